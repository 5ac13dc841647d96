"""Every error is an exception with its place and the way out."""

import pickle

import numpy as np
import pytest

import sidelight as sl
from conftest import SMALL


def refused(kind, act):
    with pytest.raises(kind) as raised:
        act()
    error = raised.value
    assert isinstance(error, sl.SidelightError)
    assert error.message and str(error).startswith(error.message)
    return error


def test_a_column_that_is_not_there(frame, folder, tmp_path):
    error = refused(sl.ColumnError, lambda: sl.train(frame, "colr", images=folder, out=tmp_path / "run", **SMALL))
    assert error.column == "colr"
    assert "colour" in error.hint
    assert isinstance(error, KeyError)


def test_a_keyword_that_is_none(frame, tmp_path):
    error = refused(sl.ConfigError, lambda: sl.train(frame, "colour", out=tmp_path / "run", epoch=3))
    assert "`epoch`" in error.message and "epochs" in error.hint


def test_a_setting_that_is_none(frame, rows, folder, tmp_path):
    data = rows.assign(colour=frame["colour"])
    told = {**SMALL, "settings": {"train.epoch": 3}}
    error = refused(sl.ConfigError, lambda: sl.train(data, "colour", images=folder, out=tmp_path / "run", **told))
    assert "train.epoch" in error.message and "epochs" in error.hint
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("settings", [{"train.ema": 2}, {"train.batch": 8}, {"model.head": "candidates"}, {"train.loss": "mee"}])
def test_a_value_that_a_setting_cannot_have(frame, rows, folder, tmp_path, settings):
    data = rows.assign(colour=frame["colour"])
    refused(sl.ConfigError, lambda: sl.train(data, "colour", images=folder, out=tmp_path / "run", **{**SMALL, "settings": settings}))


def test_a_backbone_that_nobody_knows(frame, rows, folder, tmp_path):
    data = rows.assign(colour=frame["colour"])
    told = {**SMALL, "backbone": "resnet19"}
    error = refused(sl.SidelightError, lambda: sl.train(data, "colour", images=folder, out=tmp_path / "run", **told))
    assert "resnet18" in str(error)


def test_neither_table_nor_configuration(tmp_path):
    refused(sl.ConfigError, lambda: sl.train(out=tmp_path / "run"))


def test_a_run_is_not_trained_over(trained, frame, rows, folder):
    data = rows.assign(colour=frame["colour"])
    error = refused(sl.RunError, lambda: sl.train(data, "colour", images=folder, out=trained.path, **SMALL))
    assert error.hint


def test_a_folder_that_is_no_run(tmp_path):
    error = refused(sl.RunError, lambda: sl.load(tmp_path))
    assert "config.toml" in error.message
    refused(sl.RunError, lambda: sl.Run(tmp_path))


def test_a_folder_that_is_not_there(tmp_path):
    error = refused(sl.DataError, lambda: sl.load(tmp_path / "none"))
    assert error.file == str(tmp_path / "none")


def test_an_image_that_cannot_be_read(trained, rows, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = rows.head(2).assign(file_name=["broken.png", "missing.png"])
    found = trained.model.predict(broken, images=tmp_path)
    assert found["problem"].notna().tolist() == [True, True]
    error = refused(sl.SidelightError, lambda: trained.model.predict(broken, images=tmp_path, strict=True))
    assert "broken.png" in str(error)


def test_a_column_of_metadata_that_the_frame_lacks(trained, rows, folder):
    lacking = rows.drop(columns="source")
    error = refused(sl.ColumnError, lambda: trained.model.predict(lacking, images=folder))
    assert "source" in error.message
    assert len(trained.model.predict(lacking, images=folder, allow_missing=True)) == len(rows)


def test_a_column_that_the_model_does_not_read(trained, folder):
    error = refused(sl.ColumnError, lambda: trained.model.predict_one(folder / "0.png", sauce="reddit"))
    assert error.column == "sauce" and "source" in error.hint


def test_a_cell_that_is_not_what_its_column_holds(trained, folder):
    error = refused(sl.SidelightError, lambda: trained.model.predict_one(folder / "0.png", shutter="fast"))
    assert error.column == "shutter" and error.row == 1


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(7, np.uint8), "nowhere.png", b"no picture"],
    ids=["float", "channels", "empty", "line", "path", "bytes"],
)
def test_what_is_no_image(trained, image):
    refused(sl.ImageError, lambda: trained.model.predict_one(image))


def test_errors_travel_between_processes():
    error = sl.ColumnError("no column `a`", "did you mean `b`?", file="t.csv", row=3, line=4, column="a")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is sl.ColumnError
    assert (copy.message, copy.hint, copy.file, copy.row, copy.line, copy.column) == (error.message, error.hint, "t.csv", 3, 4, "a")
    assert str(copy) == "no column `a`\nhint: did you mean `b`?"
