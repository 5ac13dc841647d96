"""Frames of three libraries, dictionaries and paths say the same."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import sidelight as sl
from conftest import SMALL
from sidelight import _frames, _native

KINDS = ["pandas", "polars", "pyarrow", "dict"]


def of_kind(frame, kind):
    return {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "pyarrow": lambda: pa.Table.from_pandas(frame, preserve_index=False),
        "dict": lambda: {name: frame[name].tolist() for name in frame},
    }[kind]()


def lists(frame):
    return {name: [None if cell is None or cell != cell else cell for cell in _frames._list(frame[name])] for name in _frames.names_of(frame)}


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_a_frame_of_the_kind_that_came_in(trained, rows, folder, kind):
    found = trained.model.predict(of_kind(rows, kind), images=folder)
    assert _frames.kind_of(found) == kind
    wanted = trained.model.predict(rows, images=folder)
    wanted, found = lists(wanted), {name: list(cells.to_pylist() if kind == "pyarrow" else cells) for name, cells in ((n, found[n]) for n in _frames.names_of(found))}
    for name in ("p(red)", "p(green)", "p(blue)", "prediction"):
        assert found[name] == wanted[name]


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_to_the_bit_from_any_kind(trained, frame, rows, folder, tmp_path, kind):
    data = of_kind(rows.assign(colour=frame["colour"]), kind)
    run = sl.train(data, "colour", images=folder, out=tmp_path / "run", **SMALL)
    weights = "model/weights.safetensors"
    assert (run.path / weights).read_bytes() == (trained.path / weights).read_bytes()
    assert run.metrics == trained.metrics
    assert _frames.kind_of(run.predictions) == kind


def test_a_path_is_a_table(trained, rows, folder):
    table = folder / "rows.csv"
    rows.to_csv(table, index=False)
    found = trained.model.predict(table)
    assert isinstance(found, pd.DataFrame)
    assert found["p(red)"].tolist() == trained.model.predict(rows, images=folder)["p(red)"].tolist()


def test_an_index_is_kept(trained, rows, folder):
    some = rows.iloc[10:20].set_index(pd.Index([f"row {i}" for i in range(10)]))
    found = trained.model.predict(some, images=folder)
    assert found.index.tolist() == some.index.tolist()


def test_pandas_is_read_without_pyarrow(rows, tmp_path, monkeypatch):
    wanted = tmp_path / "a.parquet"
    _frames.write(rows, wanted, ["file_name"], tmp_path)
    monkeypatch.setattr(_frames, "_stream", lambda data: None)
    found = tmp_path / "b.parquet"
    _frames.write(rows, found, ["file_name"], tmp_path)
    assert _native.read_table(found, []) == _native.read_table(wanted, [])


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pd.Series([1, None, 3], dtype="Int64"), [1.0, None, 3.0]),
        (pd.Series(["a", None, "b"], dtype="category"), ["a", None, "b"]),
        (pd.Series([True, None, False], dtype="boolean"), [True, None, False]),
        (pd.Series([1.5, np.nan, 2.0]), [1.5, None, 2.0]),
        (pd.Series(["x", 3, None], dtype=object), ["x", "3", None]),
        (pl.Series(["a", None, "b"], dtype=pl.Categorical), ["a", None, "b"]),
        (pl.Series([1, None, 3], dtype=pl.UInt8), [1.0, None, 3.0]),
        (pa.array(["a", None, "b"]).dictionary_encode(), ["a", None, "b"]),
        (pa.array([1, None, 3], pa.int8()), [1.0, None, 3.0]),
    ],
    ids=str,
)
def test_cells_of_every_type_arrive(column, wanted, tmp_path):
    names = {pd.Series: lambda: pd.DataFrame({"c": column}), pl.Series: lambda: pl.DataFrame({"c": column})}
    frame = names.get(type(column), lambda: pa.table({"c": column}))()
    _frames.write(frame, tmp_path / "t.parquet", [], None)
    assert _native.read_table(tmp_path / "t.parquet", [])["c"] == wanted


def test_dates_arrive_as_dates(tmp_path):
    frame = pd.DataFrame({"when": pd.to_datetime(["2024-03-01", None]), "day": [datetime.date(2024, 3, 1), None]})
    _frames.write(frame, tmp_path / "t.parquet", [], None)
    found = _native.read_table(tmp_path / "t.parquet", [])
    assert found["when"][0].startswith("2024-03-01") and found["when"][1] is None
    assert found["day"][0].startswith("2024-03-01") and found["day"][1] is None


@pytest.mark.parametrize("dtype", ["object", "category", "string"])
def test_paths_of_images_are_below_their_folder(tmp_path, dtype):
    frame = pd.DataFrame({"file_name": pd.Series(["a/1.png", "/b/2.png", None], dtype=dtype)})
    _frames.write(frame, tmp_path / "t.parquet", ["file_name"], tmp_path / "pictures")
    found = _native.read_table(tmp_path / "t.parquet", [])["file_name"]
    assert found == [str(tmp_path / "pictures/a/1.png"), "/b/2.png", None]


def test_a_table_of_other_rows_is_not_replaced(rows, tmp_path):
    path = tmp_path / "t.parquet"
    _frames.write(rows, path, [], None)
    before = path.read_bytes()
    _frames.write(rows, path, [], None)
    with pytest.raises(sl.SidelightError, match="already") as raised:
        _frames.write(rows.head(3), path, [], None)
    assert "overwrite=True" in raised.value.hint
    assert path.read_bytes() == before
    _frames.write(rows.head(3), path, [], None, overwrite=True)
    assert len(_native.read_table(path, [])["source"]) == 3


def test_what_is_no_table_says_what_is():
    with pytest.raises(sl.DataError, match="list is no table") as raised:
        _frames.kind_of([1, 2])
    assert "pandas" in raised.value.hint


def test_a_path_made_of_columns_is_below_the_folder_of_the_images(rows, frame, folder, tmp_path):
    named = frame[["is_dirty", "source", "colour"]].assign(id=[name.split(".")[0] for name in frame["file_name"]])
    found = sl.check(named, "colour", image="{id}.png", images=folder)
    assert not [problem for problem in found.to_dict("records") if problem["severity"] == "error"], found
