"""Single rows, explanations, networks, copies."""

import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import sidelight as sl
from sidelight import nn
from sidelight._model import image_bytes

ROW = {"is_dirty": True, "source": "reddit", "shutter": 0.0185}


def test_one_row_is_what_a_table_of_it_is(trained, rows, folder):
    one = trained.model.predict_one(folder / "3.png", **{name: rows[name][3] for name in ROW})
    table = trained.model.predict(rows.iloc[[3]], images=folder)
    assert one["class"] == table["prediction"].iloc[0]
    assert one["probabilities"]["red"] == table["p(red)"].iloc[0]


def test_an_image_is_a_path_bytes_an_array_or_a_picture(trained, folder):
    path = folder / "5.png"
    wanted = trained.model.predict_one(path, **ROW)
    pixels = np.asarray(Image.open(path))
    for image in (str(path), path.read_bytes(), pixels, pixels[:, ::-1][:, ::-1], Image.open(path)):
        assert trained.model.predict_one(image, **ROW) == wanted


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 2), (6, 5, 3), (6, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_of_every_depth_and_channel_are_kept_exactly(shape, dtype, tmp_path):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    (tmp_path / "a.png").write_bytes(image_bytes(pixels))
    if dtype == np.uint16 and len(shape) == 3 and shape[2] > 1:
        return  # Pillow reads these with 8 bits
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels.reshape(6, 5) if shape == (6, 5, 1) else pixels)


def test_bits_are_pixels():
    assert image_bytes(np.ones((2, 2), bool)) == image_bytes(np.full((2, 2), 255, np.uint8))


def test_missing_metadata_may_be_left_out_or_nan(trained, folder):
    none = trained.model.predict_one(folder / "1.png", source="reddit")
    assert trained.model.predict_one(folder / "1.png", source="reddit", shutter=float("nan"), is_dirty=None) == none


def test_numpy_numbers_are_numbers(trained, folder):
    plain = trained.model.predict_one(folder / "1.png", **ROW)
    assert trained.model.predict_one(folder / "1.png", is_dirty=np.True_, source="reddit", shutter=np.float64(0.0185)) == plain


def test_a_row_without_an_image_is_predicted_from_its_metadata(trained):
    assert trained.model.predict_one(**ROW)["kind"] == "class"


def test_points_need_their_image(pointed):
    with pytest.raises(sl.ImageError):
        pointed.model.predict_one(**ROW)


def test_an_explanation_adds_up(priced, folder):
    said = priced.model.explain(folder / "2.png", **ROW)
    assert said["value"] == pytest.approx(said["baseline"] + said["image_adds"] + said["metadata_adds"])
    assert {curve["column"] for curve in said["curves"]} == set(ROW)
    assert said["heat"]["width"] * said["heat"]["height"] == len(said["heat"]["values"])


def test_an_explanation_of_a_point_has_arrows(pointed, folder):
    said = pointed.model.explain(folder / "2.png", point="p0", **ROW)
    assert pointed.model.explain(folder / "2.png", point=0, **ROW) == said
    assert {arrow["column"] for arrow in said["arrows"]} == set(ROW)
    with pytest.raises(sl.SidelightError):
        pointed.model.explain(folder / "2.png", point="nose", **ROW)


def test_sets_that_hold_the_truth(priced, rows, folder):
    found = priced.model.predict(rows, images=folder, coverage=0.8)
    new = set(found.columns) - set(priced.model.predict(rows, images=folder).columns)
    assert len(new) == 2


def test_several_looks_a_row_are_another_prediction(trained, rows, folder):
    one, four = (trained.model.predict(rows, images=folder, tta=n)["p(red)"] for n in (1, 4))
    assert (one != four).any()


def test_a_model_travels_to_another_process(trained, rows, folder):
    copy = pickle.loads(pickle.dumps(trained.model))
    wanted = trained.model.predict(rows, images=folder)
    assert copy.predict(rows, images=folder).equals(wanted)


def test_threads_share_a_model(trained, rows, folder):
    model = trained.model
    wanted = model.predict(rows, images=folder)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model.predict(rows, images=folder), range(8)):
            assert found.equals(wanted)
    assert threading.active_count() >= 1


def predict_elsewhere(model):
    return model.predict_one(**ROW)


def test_another_process_predicts_the_same(trained):
    import multiprocessing

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(predict_elsewhere, trained.model).result() == predict_elsewhere(trained.model)


def test_weights_are_arrays_by_path(trained):
    network = trained.model.network
    name = next(name for name in network if name.endswith("weight") and network[name].ndim == 4)
    weight = network[name]
    assert weight.dtype == np.float32
    layer, _, leaf = name.rpartition(".")
    assert np.array_equal(getattr(network[layer], leaf), weight)
    network[name] = weight * 2
    assert np.array_equal(network[name], weight * 2)
    # The model's own is as it was.
    assert np.array_equal(trained.model.network[name], weight)
    assert name in network and len(network) == len(network.state_dict())
    with pytest.raises(sl.NetworkError, match="shape"):
        network[name] = weight[:1]


def test_layers_are_replaced_inserted_and_removed(trained):
    network = trained.model.network
    first = network.layers[1][0]
    before = network.state_dict()
    new = network.insert_before(first, "balance", nn.Layer("scale", features=3))
    assert new == ["balance.weight"] or new
    after = network.state_dict()
    assert all(np.array_equal(after[name], before[name]) for name in before if name in after)
    network.remove("balance")
    assert list(network.state_dict()) == list(before)


def test_a_new_layer_is_drawn_by_its_seed(trained):
    def with_seed(seed):
        network = trained.model.network
        first = network.layers[1][0]
        network.insert_before(first, "mix", nn.Conv2d(3, 1), seed)
        return network["mix.weight"]

    assert np.array_equal(with_seed(1), with_seed(1))
    assert not np.array_equal(with_seed(1), with_seed(2))


def test_an_edit_that_does_not_fit_changes_nothing(trained):
    network = trained.model.network
    before = repr(network)
    with pytest.raises(sl.NetworkError):
        network.insert_before(network.layers[1][0], "mix", nn.Conv2d(7, 1))
    with pytest.raises(sl.NetworkError):
        network.remove("no.such.layer")
    assert repr(network) == before
    with pytest.raises(sl.NetworkError, match="no.such"):
        network["no.such.layer"]


def test_weights_are_saved_and_loaded(trained, tmp_path):
    network, other = trained.model.network, trained.model.network
    name = next(iter(network))
    network[name] = network[name] + 1
    network.save(tmp_path / "w.safetensors")
    other.load(tmp_path / "w.safetensors")
    assert np.array_equal(other[name], network[name])


def test_layers_are_described():
    layer = nn.Sequential(nn.Linear(8), nn.ReLU(), last=nn.Linear(2, zeros=True))
    assert layer.spec["children"][0] == {"name": "0", "kind": "linear", "out_features": 8, "bias": True}
    assert layer.spec["children"][2]["start"] == "zeros"
    assert nn.Linear(3) == nn.Linear(3) and nn.Linear(3) != nn.Linear(4)


def test_a_network_in_a_notebook(trained):
    assert "<table>" in trained.model.network._repr_html_()
