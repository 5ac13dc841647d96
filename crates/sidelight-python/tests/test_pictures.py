"""Images that are cells: pixels, pictures of PIL and the bytes of files are what their files are."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import sidelight as sl
from conftest import SMALL
from sidelight import _pictures

PROBABILITIES = ["p(red)", "p(green)", "p(blue)"]


def array(folder, name):
    return np.array(Image.open(folder / name))


#: A cell, from the folder and the name of a file.
CELLS = {
    "array": array,
    "pil": lambda folder, name: Image.open(folder / name),
    "bytes": lambda folder, name: (folder / name).read_bytes(),
    "hugging face": lambda folder, name: {"bytes": (folder / name).read_bytes(), "path": name},
    "hugging face, a path": lambda folder, name: {"bytes": None, "path": str(folder / name)},
}


def with_cells(rows, folder, cell):
    return rows.assign(file_name=pd.Series([CELLS[cell](folder, name) for name in rows["file_name"]], dtype=object, index=rows.index))


@pytest.mark.parametrize("cell", CELLS)
def test_predictions_are_those_of_the_files_to_the_bit(trained, rows, folder, cell):
    wanted = trained.model.predict(rows, images=folder)
    found = trained.model.predict(with_cells(rows, folder, cell))
    pd.testing.assert_frame_equal(found[PROBABILITIES], wanted[PROBABILITIES], check_exact=True)
    # A folder that is gone is no name of an image.
    assert all(name is None or os.path.exists(name) for name in found["image"].where(found["image"].notna(), None))


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "dict", "stacked", "polars objects"])
def test_any_frame_can_hold_them(trained, rows, folder, kind):
    wanted = trained.model.predict(rows, images=folder)
    columns = {name: rows[name].where(rows[name].notna(), None).tolist() for name in rows}
    content = [(folder / name).read_bytes() for name in rows["file_name"]]
    arrays = [array(folder, name) for name in rows["file_name"]]
    data = {
        "pandas": lambda: rows.assign(file_name=content),
        "polars": lambda: pl.DataFrame({**columns, "file_name": content}),
        "pyarrow": lambda: pa.table({**columns, "file_name": content}),
        "dict": lambda: {**columns, "file_name": arrays},
        "stacked": lambda: {**columns, "file_name": np.stack(arrays)},
        "polars objects": lambda: pl.DataFrame(columns).with_columns(
            pl.Series("file_name", [Image.fromarray(pixels) for pixels in arrays], dtype=pl.Object)
        ),
    }[kind]()
    found = trained.model.predict(data)
    for name in PROBABILITIES:
        assert list(found[name].to_pylist() if kind == "pyarrow" else found[name]) == wanted[name].tolist()


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "dict"])
def test_a_list_beside_the_frame_is_a_column(trained, rows, folder, kind):
    wanted = trained.model.predict(rows, images=folder)
    pixels = [array(folder, name) for name in rows["file_name"]]
    rest = rows.drop(columns="file_name")
    data = {
        "pandas": lambda: rest,
        "polars": lambda: pl.from_pandas(rest),
        "pyarrow": lambda: pa.Table.from_pandas(rest, preserve_index=False),
        "dict": lambda: {name: rest[name].tolist() for name in rest},
    }[kind]()
    found = trained.model.predict(data, images=pixels)
    assert list(found["p(red)"].to_pylist() if kind == "pyarrow" else found["p(red)"]) == wanted["p(red)"].tolist()


def test_a_run_of_arrays_is_that_of_their_files_and_can_be_gone_on_with(trained, frame, rows, folder, tmp_path):
    data = rows.drop(columns="file_name").assign(colour=frame["colour"])
    pixels = [array(folder, name) for name in rows["file_name"]]
    run = sl.train(data, "colour", images=pixels, out=tmp_path / "run", **SMALL)
    weights = "model/weights.safetensors"
    assert (run.path / weights).read_bytes() == (trained.path / weights).read_bytes()
    kept = list((tmp_path / "run.images").iterdir())
    assert len(kept) == len({image.tobytes() for image in pixels})
    # The same again changes nothing, and the command line finds everything.
    sl.train(data, "colour", images=pixels, out=tmp_path / "run", resume=True, **SMALL)
    command = [sys.executable, "-m", "sidelight", "eval", str(run.path), "--format", "json"]
    scores = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    told = {score["metric"]: score["value"] for score in scores if score["of"] == "all"}
    assert told["accuracy"] == pytest.approx(run.metrics["accuracy"])


def test_equal_images_are_one_file_and_those_of_an_overwritten_run_are_gone(frame, rows, folder, tmp_path):
    data = rows.drop(columns="file_name").assign(colour=frame["colour"])
    pixels = [array(folder, f"{i % 3}.png") for i in range(len(rows))]
    told = {**SMALL, "epochs": 1}
    sl.train(data, "colour", images=pixels, out=tmp_path / "run", **told)
    before = {file.name for file in (tmp_path / "run.images").iterdir()}
    assert len(before) == 3
    mine = tmp_path / "run.images" / "notes.txt"
    mine.write_text("mine")
    other = [array(folder, f"{i % 2}.png") for i in range(len(rows))]
    with pytest.raises(sl.SidelightError, match="already"):
        sl.train(data, "colour", images=other[:-1] + [array(folder, "9.png")], out=tmp_path / "run", **told)
    assert {file.name for file in (tmp_path / "run.images").iterdir()} == before | {"notes.txt"}
    sl.train(data, "colour", images=other, out=tmp_path / "run", overwrite=True, **told)
    after = {file.name for file in (tmp_path / "run.images").iterdir()} - {"notes.txt"}
    assert len(after) == 2 and after < before and mine.exists()


def test_comparing_and_looking_take_them_as_well(frame, rows, folder):
    data = with_cells(rows, folder, "pil").assign(colour=frame["colour"])
    told = {**SMALL, "epochs": 1}
    answer = sl.compare(data, "colour", quick=True, folds=2, arms=["image", "both"], **told)
    wanted = sl.compare(rows.assign(colour=frame["colour"]), "colour", images=folder, quick=True, folds=2, arms=["image", "both"], **told)
    assert answer.answer["arms"] == wanted.answer["arms"]
    assert "file_name" not in list(sl.audit(data, "colour").table["column"])
    assert "<svg" in sl.show(data, "colour", rows=4).html or "<img" in sl.show(data, "colour", rows=4).html
    found = sl.check(data, "colour")
    assert found is not None and not [row for row in found.get("level", []) if row == "error"]


def test_sixteen_bits_are_those_of_a_file(trained, rows, tmp_path):
    deep = [(np.arange(32 * 40).reshape(32, 40) * (40 + i)).astype(np.uint16) for i in range(4)]
    for i, pixels in enumerate(deep):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    some = rows[:4].assign(file_name=[f"{i}.png" for i in range(4)])
    wanted = trained.model.predict(some, images=tmp_path)
    for cells in (deep, [pixels.astype(">u2") for pixels in deep], [Image.open(tmp_path / f"{i}.png") for i in range(4)]):
        found = trained.model.predict(some.drop(columns="file_name"), images=cells)
        assert found["p(red)"].tolist() == wanted["p(red)"].tolist()


def turned(path):
    exif = Image.Exif()
    exif[_pictures.ORIENTATION] = 6
    Image.fromarray(np.arange(32 * 40 * 3, dtype=np.uint8).reshape(32, 40, 3)).save(path, exif=exif)


def palette(path):
    Image.fromarray(np.arange(32 * 40 * 3, dtype=np.uint8).reshape(32, 40, 3)).quantize(16).save(path)


def see_through(path):
    Image.fromarray(np.arange(32 * 40 * 4, dtype=np.uint8).reshape(32, 40, 4)).save(path)


def two_levels(path):
    Image.fromarray(np.arange(32 * 40).reshape(32, 40) % 3 == 0).save(path)


@pytest.mark.parametrize("make", [turned, palette, see_through, two_levels])
def test_a_picture_of_pil_is_what_its_file_is(trained, rows, tmp_path, make):
    make(tmp_path / "a.png")
    some = rows[:1].assign(file_name="a.png")
    wanted = trained.model.predict(some, images=tmp_path)
    found = trained.model.predict(some.drop(columns="file_name"), images=[Image.open(tmp_path / "a.png")])
    assert found["p(red)"].tolist() == wanted["p(red)"].tolist()
    assert trained.model.predict_one(Image.open(tmp_path / "a.png")) == trained.model.predict_one(tmp_path / "a.png")


def test_a_row_without_an_image_has_none(trained, rows, folder):
    some = rows[:4]
    cells = [None if i == 2 else array(folder, name) for i, name in enumerate(some["file_name"])]
    found = trained.model.predict(some.drop(columns="file_name"), images=cells)
    paths = some.assign(file_name=[None if i == 2 else name for i, name in enumerate(some["file_name"])])
    assert found["p(red)"].tolist() == trained.model.predict(paths, images=folder)["p(red)"].tolist()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (np.zeros((8, 8, 3)), "float64"),
        (np.zeros((3, 8, 8), np.uint8), "channels come last"),
        (np.zeros((0, 8, 3), np.uint8), "is no image"),
        (object(), "object is no image"),
    ],
)
def test_what_is_no_image_is_named_with_its_row(trained, rows, folder, cell, message):
    cells = [array(folder, "0.png"), cell, array(folder, "1.png")]
    with pytest.raises(sl.ImageError, match=message) as raised:
        trained.model.predict(rows[:3].drop(columns="file_name"), images=cells)
    assert raised.value.row == 2 and raised.value.column == "file_name"


def test_a_file_that_breaks_off_is_named_with_its_row(trained, rows, folder, tmp_path):
    whole = (folder / "0.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(sl.ImageError) as raised:
        trained.model.predict(rows[:1].drop(columns="file_name"), images=[Image.open(tmp_path / "half.png")])
    assert raised.value.row == 1


def test_as_many_images_as_rows(trained, rows, folder):
    with pytest.raises(sl.ConfigError, match="1 images for 3 rows"):
        trained.model.predict(rows[:3].drop(columns="file_name"), images=[array(folder, "0.png")])
    with pytest.raises(sl.ConfigError, match="would replace"):
        sl.features(rows[:1].assign(image="a.png"), backbone="small_cnn", weights="none", images=[array(folder, "0.png")])
