"""The same network in torch: the same numbers, and gradients."""

import numpy as np
import pytest

import sidelight as sl
from conftest import SMALL

torch = pytest.importorskip("torch")


def agree(model, data, folder):
    batch = model.batch(data, images=folder)
    module = model.to_torch()
    inputs = {name: torch.from_numpy(values.copy()) for name, values in batch.items() if name != "outputs"}
    with torch.no_grad():
        found = module(**inputs).numpy()
    scale = max(1.0, float(np.abs(batch["outputs"]).max()))
    assert np.abs(found - batch["outputs"]).max() < 1e-5 * scale
    return module, inputs, found


def test_a_class(trained, rows, folder):
    _, _, found = agree(trained.model, rows, folder)
    p = torch.from_numpy(found).softmax(1).numpy()
    said = trained.model.predict(rows, images=folder)
    names = trained.model.predict_one(folder / "0.png")["probabilities"]
    assert np.abs(p - said[[f"p({name})" for name in names]].to_numpy()).max() < 1e-5


def test_a_value(priced, rows, folder):
    agree(priced.model, rows, folder)


@pytest.mark.parametrize("head", ["direct", "heatmap"])
def test_points(frame, rows, folder, tmp_path, head):
    data = rows.assign(x0=frame["x0"], y0=frame["y0"])
    run = sl.train(data, ["x0", "y0"], images=folder, out=tmp_path / "run", head=head, **SMALL)
    agree(run.model, rows, folder)


def test_rows_without_image_or_metadata(trained, rows, folder):
    batch = trained.model.batch(rows, images=folder)
    some = rows.assign(file_name=[None if i % 2 else name for i, name in enumerate(rows["file_name"])])
    some["is_dirty"] = some["is_dirty"].astype("boolean")
    some.loc[some.index % 3 == 0, ["is_dirty", "source", "shutter"]] = None
    found = trained.model.batch(some, images=folder)
    assert set(found["has_image"].ravel()) == {0.0, 1.0}
    assert not np.array_equal(found["outputs"], batch["outputs"])
    agree(trained.model, some, folder)


@pytest.mark.parametrize("fusion", ["concat", "sum-logits", "film", "daft", "metablock", "metanet", "gate", "attention"])
def test_every_fusion(frame, rows, folder, tmp_path, fusion):
    data = rows.assign(price=frame["price"])
    run = sl.train(data, "price", images=folder, out=tmp_path / "run", fusion=fusion, **{**SMALL, "epochs": 1})
    agree(run.model, rows, folder)


@pytest.mark.parametrize("arm", ["image", "metadata", "vote"])
def test_every_arm(frame, rows, folder, tmp_path, arm):
    data = rows.assign(colour=frame["colour"])
    run = sl.train(data, "colour", images=folder, out=tmp_path / "run", arm=arm, **{**SMALL, "epochs": 1})
    agree(run.model, rows, folder)


@pytest.mark.parametrize(
    "backbone", ["resnet18", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_lite0", "convnext_tiny", "vit_s16"]
)
def test_every_family_of_backbones(frame, rows, folder, tmp_path, backbone):
    data = rows.assign(price=frame["price"])[:12]
    told = {**SMALL, "backbone": backbone, "epochs": 1, "size": 64, "settings": {"train.freeze_epochs": 0, "train.memory": 256}}
    run = sl.train(data, "price", images=folder, out=tmp_path / "run", **told)
    agree(run.model, rows[:3], folder)


def test_it_learns_in_torch(trained, frame, rows, folder):
    module, inputs, _ = agree(trained.model, rows, folder)
    names = sorted(frame["colour"].unique())
    truth = torch.tensor([names.index(colour) for colour in frame["colour"]])
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], 1e-2)
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(module(**inputs), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_names_are_those_of_the_network(trained):
    module = trained.model.to_torch()
    assert {name.removeprefix("root.") for name in module.state_dict()} == set(trained.model.network)
