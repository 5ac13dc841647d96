"""The same network in torch: the same numbers, and gradients."""

import copy
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import sidelight as sl
from conftest import SMALL
from sidelight import _native, _timm

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


FAMILIES = ["resnet18", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_lite0", "convnext_tiny", "vit_s16"]
FAMILIES += ["mobilenetv4_conv_small", "hgnetv2_b0", "regnety_016"]


@pytest.mark.parametrize("backbone", FAMILIES)
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


def images_of(size, n=4):
    draw = np.random.default_rng(5)
    return [draw.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(n)]


def pooled(module, pixels, mean=(0.485, 0.456, 0.406), sd=(0.229, 0.224, 0.225)):
    """The module's own features, by its own `forward_features`, or without its classifier."""
    x = (np.stack(pixels) / 255 - np.array(mean)) / np.array(sd)
    with torch.no_grad():
        return _timm.pooled(copy.deepcopy(module).eval(), torch.tensor(x, dtype=torch.float32).permute(0, 3, 1, 2)).numpy()


def shaken(module):
    """Normalisations that are no identity, as after a training."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)):
            torch.nn.init.normal_(part.weight, 1.0, 0.1)
            torch.nn.init.normal_(part.bias, 0.0, 0.1)
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.running_mean, 0.0, 0.1)
            torch.nn.init.uniform_(part.running_var, 0.8, 1.2)
    return module.eval()


def assert_same_features(module, name, size, mean=(0.485, 0.456, 0.406), sd=(0.229, 0.224, 0.225)):
    weights = sl.from_timm(module)
    assert weights.backbone == name
    pixels = images_of(size)
    found = sl.features({"image": pixels}, backbone=weights, size=size)
    wanted = pooled(module, pixels, mean, sd)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-4 * max(1.0, np.abs(wanted).max())


TORCHVISION = [
    ("mobilenet_v2", "mobilenet_v2"),
    ("mobilenet_v3_small", "mobilenet_v3_small"),
    ("mobilenet_v3_large", "mobilenet_v3_large"),
    ("efficientnet_b0", "efficientnet_b0"),
    ("resnet18", "resnet18"),
    ("resnet34", "resnet34"),
    ("resnet50", "resnet50"),
    ("convnext_tiny", "convnext_tiny"),
]


@pytest.mark.parametrize(("called", "name"), TORCHVISION)
def test_features_are_those_of_torchvision(called, name):
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(1)
    assert_same_features(shaken(getattr(models, called)(weights=None)), name, 64)


#: timm's own names.
TIMM = [
    ("efficientnet_b0", "efficientnet_b0", 64),
    ("tf_efficientnet_lite0", "efficientnet_lite0", 64),
    ("resnet18", "resnet18", 64),
    ("resnet34", "resnet34", 64),
    ("resnet50", "resnet50", 64),
    ("convnext_tiny", "convnext_tiny", 64),
    ("vit_small_patch16_224", "vit_s16", 224),
    ("vit_small_patch14_dinov2", "dinov2_s14", 518),
    ("mobilenetv2_100", "mobilenet_v2", 64),
    ("mobilenetv3_small_100", "mobilenet_v3_small", 64),
    ("mobilenetv3_large_100", "mobilenet_v3_large", 64),
    ("tf_efficientnet_lite1", "efficientnet_lite1", 64),
    ("tf_efficientnet_lite2", "efficientnet_lite2", 64),
    ("mobilenetv4_conv_small", "mobilenetv4_conv_small", 64),
    ("mobilenetv4_conv_medium", "mobilenetv4_conv_medium", 64),
    ("hgnetv2_b0", "hgnetv2_b0", 64),
    ("hgnetv2_b1", "hgnetv2_b1", 64),
    ("hgnetv2_b2", "hgnetv2_b2", 64),
    ("regnety_016", "regnety_016", 64),
    ("convnext_atto", "convnext_atto", 64),
    ("convnext_femto", "convnext_femto", 64),
    ("convnext_pico", "convnext_pico", 64),
    ("convnext_nano", "convnext_nano", 64),
]


@pytest.mark.filterwarnings("ignore:.*was trained with pixels:UserWarning")
@pytest.mark.parametrize(("called", "name", "size"), TIMM)
def test_features_are_those_of_timm(called, name, size):
    timm = pytest.importorskip("timm")
    torch.manual_seed(1)
    module = shaken(timm.create_model(called, pretrained=False))
    mean, sd = next((mean, sd) for known, mean, sd, _ in _native.backbones() if known == name)
    assert_same_features(module, name, size, mean, sd)


def test_weights_of_a_file_are_those_of_torchvision(tmp_path):
    models, folder = pytest.importorskip("torchvision.models"), os.environ.get("SIDELIGHT_WEIGHTS")
    if not folder:
        pytest.skip("SIDELIGHT_WEIGHTS names no folder")
    file = next(Path(folder).glob("mobilenet_v2-*.pth"))
    module = models.mobilenet_v2()
    module.load_state_dict(torch.load(file, weights_only=True))
    pixels = images_of(128)
    found = sl.features({"image": pixels}, backbone="mobilenet_v2", weights=file, size=128)
    wanted = pooled(module.eval(), pixels)
    assert found.shape == wanted.shape == (4, 1280)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert np.array_equal(found, sl.features({"image": pixels}, backbone=sl.from_timm(module), size=128))


def test_a_training_takes_a_module_and_its_file_stays_where_it_is_asked_for(frame, rows, folder, tmp_path):
    models = pytest.importorskip("torchvision.models")
    module = models.resnet18(weights=None)
    weights = sl.from_timm(module, out=tmp_path / "weights")
    assert weights.path == tmp_path / "weights" / "resnet18.safetensors" and weights.path.is_file()
    data = rows.assign(price=frame["price"])[:12]
    told = {**SMALL, "epochs": 1, "size": 64}
    del told["backbone"], told["weights"]
    run = sl.train(data, "price", images=folder, out=tmp_path / "run", backbone=weights, freeze=True, **told)
    assert run.config["model"]["backbone"] == "resnet18"
    assert np.array_equal(run.model.network["conv1.weight"], module.conv1.weight.detach().numpy())
    with pytest.raises(sl.ConfigError, match="said twice"):
        sl.train(data, "price", images=folder, out=tmp_path / "b", backbone=weights, weights="none", **told)
    with pytest.raises(sl.WeightsError, match="already"):
        sl.from_timm(models.resnet18(weights=None), out=tmp_path / "weights")


def test_another_architecture_is_refused_with_those_that_there_are():
    models = pytest.importorskip("torchvision.models")
    with pytest.raises(sl.WeightsError, match="VGG") as raised:
        sl.from_timm(models.vgg11(weights=None))
    assert "mobilenet_v2" in raised.value.hint and "dinov2_s14" in raised.value.hint
    with pytest.raises(sl.WeightsError, match="no module"):
        sl.from_timm({"a": 1})


def test_the_same_keys_and_other_activations_are_refused():
    models = pytest.importorskip("torchvision.models")
    module = models.resnet18(weights=None)
    module.relu = torch.nn.GELU()
    for block in (module.layer1, module.layer2, module.layer3, module.layer4):
        for part in block:
            part.relu = torch.nn.GELU()
    with pytest.raises(sl.WeightsError, match="computes something else"):
        sl.from_timm(module)


def test_without_timm_a_name_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(sl.WeightsError, match="timm is not installed") as raised:
        sl.from_timm("resnet18")
    assert "pip install timm" in raised.value.hint
