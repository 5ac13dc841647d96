"""Features: what a backbone says of each image, for other tools."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from PIL import Image

import sidelight as sl
from conftest import SMALL

BACKBONE = {"backbone": "small_cnn", "weights": "none", "size": 32}


def test_a_row_each_in_the_order_of_the_frame(rows, folder):
    found = sl.features(rows, images=folder, **BACKBONE)
    assert found.dtype == np.float32 and len(found) == len(rows) and np.isfinite(found).all()
    turned = sl.features(rows[::-1], images=folder, **BACKBONE)
    assert np.array_equal(turned[::-1], found)
    # Whatever they come in: a frame of another kind, pixels, a table on disk.
    assert np.array_equal(sl.features(pl.from_pandas(rows), images=folder, **BACKBONE), found)
    pixels = [np.array(Image.open(folder / name)) for name in rows["file_name"]]
    assert np.array_equal(sl.features({"image": pixels}, **BACKBONE), found)
    table = folder / "features.csv"
    rows.to_csv(table, index=False)
    assert np.array_equal(sl.features(table, **BACKBONE), found)


def test_they_are_those_of_the_command_line(rows, folder, tmp_path):
    rows.assign(price=1.0).to_csv(folder / "command.csv", index=False)
    config = folder / "command.toml"
    config.write_text(
        '[data]\ntable = "command.csv"\n[target]\nkind = "regression"\ncolumn = "price"\n'
        '[model]\nbackbone = "small_cnn"\nweights = "none"\n[train]\nsize = 32\n'
    )
    out = tmp_path / "features.npy"
    subprocess.run([sys.executable, "-m", "sidelight", "--quiet", "features", str(config), "--out", str(out)], check=True)
    wanted = np.load(out)
    assert np.array_equal(sl.features(rows, images=folder, **BACKBONE), wanted)
    assert np.array_equal(sl.features(config=config), wanted)
    assert np.array_equal(sl.features(rows[:5], config=config, images=folder), wanted[:5])


def test_a_run_its_folder_and_its_model_give_those_of_the_trained_backbone(trained, rows, folder):
    found = sl.features(rows, trained, images=folder)
    assert np.array_equal(sl.features(rows, trained.path, images=folder), found)
    assert np.array_equal(sl.features(rows, trained.model, images=folder), found)
    # Those of the rows that it was trained on.
    assert np.array_equal(sl.features(model=trained), found)
    assert not np.array_equal(sl.features(rows, images=folder, **BACKBONE), found)


def test_a_row_that_cannot_be_read_is_not_a_number_and_is_said(rows, folder):
    some = rows[:4].assign(file_name=["0.png", "none.png", None, "3.png"])
    with pytest.warns(UserWarning, match="2 rows without features"):
        found = sl.features(some, image="file_name", images=folder, **BACKBONE)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True, False]
    with pytest.raises(sl.ImageError, match="none.png"):
        sl.features(some, image="file_name", images=folder, strict=True, **BACKBONE)


def test_progress_is_told_and_a_callback_that_raises_stops_it(rows, folder):
    events = []
    sl.features(rows, images=folder, progress=events.append, **BACKBONE)
    assert events[-1]["done"] == len(rows) and events[-1]["share"] == 1.0

    def stop(event):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sl.features(rows, images=folder, progress=stop, **BACKBONE)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"backbone": "small_cnn"}, "`weights` is not said"),
        ({"weights": "none"}, "a table and a backbone"),
        ({"backbone": "small_cnnn", "weights": "none"}, "small_cnnn"),
    ],
)
def test_what_is_missing_is_said(rows, folder, told, message):
    with pytest.raises(sl.SidelightError, match=message):
        sl.features(rows, images=folder, **told)


def test_a_model_has_its_own_backbone(trained, rows):
    with pytest.raises(sl.ConfigError, match="`size` is of another backbone"):
        sl.features(rows, trained, size=64)


def test_a_model_of_metadata_alone_has_none(frame, rows, folder, tmp_path):
    run = sl.train(rows.assign(price=frame["price"]), "price", images=folder, out=tmp_path / "run", arm="metadata", **{**SMALL, "epochs": 1})
    with pytest.raises(sl.ConfigError, match="model.arm"):
        sl.features(rows, run, images=folder)
