"""Trainings: every task, the same numbers as the command line, interrupts."""

import json
import logging
import signal
import subprocess
import sys
import threading

import pandas as pd
import pytest

import sidelight as sl
from conftest import SMALL
from sidelight import _settings


def test_a_class(trained):
    assert list(trained.metrics)[0] == "accuracy"
    assert 0 <= trained.metrics["accuracy"] <= 1
    found = trained.predictions
    assert {"image", "true_colour", "prediction", "p(red)", "loss"} <= set(found.columns)
    assert len(found) == trained.scores["rows"]["valid"]
    assert found["row"].dtype == int
    assert set(found["true_colour"]) <= {"red", "green", "blue"}


def test_a_value(priced):
    assert list(priced.metrics)[0] == "mae"
    assert priced.predictions["price"].dtype == float


def test_points(pointed, rows, folder):
    assert list(pointed.metrics)[0] == "mean_px"
    found = pointed.model.predict(rows, images=folder)
    assert {"x0", "y0", "p0_conf", "p0_error"} <= set(found.columns)


def test_labels(frame, rows, folder, tmp_path):
    run = sl.train(rows.assign(tags=frame["tags"]), "tags", kind="classes", images=folder, out=tmp_path / "run", **SMALL)
    assert run.config["target"]["kind"] == "multilabel"
    assert {"p(hot)", "p(cold)", "p(round)"} <= set(run.model.predict(rows, images=folder).columns)


def test_two_values(frame, rows, folder, tmp_path):
    data = rows.assign(price=frame["price"], area=frame["area"])
    run = sl.train(data, ["price", "area"], images=folder, out=tmp_path / "run", **SMALL)
    assert {"price", "area"} <= set(run.model.predict(rows, images=folder).columns)


def test_numbers_are_those_of_the_command_line(trained, rows, folder, tmp_path):
    table = trained.path.with_name("class.parquet")
    config = tmp_path / "sidelight.toml"
    words = [sys.executable, "-m", "sidelight"]
    subprocess.run([*words, "init", table, "--target", "colour", "--out", config], check=True, capture_output=True)
    sets = [f"{name}={_settings.toml(value)}" for name, value in {
        "model.backbone": "small_cnn", "model.weights": "none", "train.size": 32, "train.epochs": 2, "train.batch": 16, "train.freeze_epochs": 0}.items()]
    options = [word for item in sets for word in ("--set", item)]
    subprocess.run([*words, "train", config, "--out", tmp_path / "run", *options], check=True, capture_output=True)
    for file in ("model/weights.safetensors", "predictions.csv"):
        assert (tmp_path / "run" / file).read_bytes() == (trained.path / file).read_bytes()
    assert sl.Run(tmp_path / "run").metrics == trained.metrics
    # And so are predictions of new rows.
    rows.to_csv(folder / "new.csv", index=False)
    subprocess.run([*words, "predict", tmp_path / "run", folder / "new.csv", "--out", tmp_path / "p.csv"], check=True, capture_output=True)
    theirs = pd.read_csv(tmp_path / "p.csv")
    ours = trained.model.predict(rows, images=folder)
    assert ours["p(red)"].tolist() == theirs["p(red)"].tolist()


def test_a_configuration_can_be_a_file(trained, tmp_path):
    run = sl.train(config=trained.path / "config.toml", out=tmp_path / "run")
    assert run.metrics == trained.metrics


def test_settings_are_flat_or_nested(rows, frame, folder, tmp_path):
    data = rows.assign(colour=frame["colour"])
    told = {**SMALL, "settings": {"train": {"freeze_epochs": 0, "patience": 2}, "augment.flip": False}}
    run = sl.train(data, "colour", images=folder, out=tmp_path / "run", **told)
    assert run.config["train"]["patience"] == 2
    assert run.config["augment"]["flip"] is False


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (3, "3"), (1e-3, "0.001"), ("a\"b", '"a\\"b"'), ([1, "x"], '[1, "x"]'), ({"between": [0, 1]}, '{ "between" = [0, 1] }')],
)
def test_values_are_written_as_toml(value, text):
    assert _settings.toml(value) == text


def test_events_are_told(frame, rows, folder, tmp_path):
    events = []
    data = rows.assign(colour=frame["colour"])
    sl.train(data, "colour", images=folder, out=tmp_path / "run", progress=events.append, **SMALL)
    steps = [event for event in events if event["event"] == "step"]
    assert steps[-1]["total_step"] == steps[-1]["total_steps"]
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == [1, 2]


def test_a_bar_shows_what_is_done(monkeypatch):
    from sidelight import _progress

    shown = []

    class Bar:
        def __init__(self, total, leave):
            self.total, self.n = total, 0

        def set_description(self, text, refresh):
            self.text = text

        def set_postfix(self, numbers, refresh):
            pass

        def update(self, n):
            self.n += n
            shown.append((self.text, self.n, self.total))

        def close(self):
            shown.append("closed")

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    tell = _progress.listener(True)
    tell('{"event": "features", "done": 3, "rows": 8}')
    tell('{"event": "step", "epoch": 1, "total_step": 1, "total_steps": 4, "loss": 0.5}')
    tell('{"event": "step", "epoch": 2, "total_step": 4, "total_steps": 4, "loss": 0.25}')
    assert shown == [("features", 3, 8), "closed", ("epoch 1", 1, 4), ("epoch 2", 4, 4)]
    assert callable(_progress.listener(False))


def test_remarks_are_logged(frame, rows, folder, tmp_path, caplog):
    data = rows.assign(colour=frame["colour"], empty=[None] * len(rows))
    with caplog.at_level(logging.INFO, logger="sidelight"):
        run = sl.train(data, "colour", images=folder, out=tmp_path / "run", progress=False, **SMALL)
    kept = [event["text"] for event in run.log if event["event"] == "remark"]
    assert [record.message for record in caplog.records] == kept


def test_what_a_listener_raises_stops_the_training_and_is_raised(frame, rows, folder, tmp_path):
    def listen(event):
        if event["event"] == "step":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sl.train(rows.assign(colour=frame["colour"]), "colour", images=folder, out=tmp_path / "run", progress=listen, **SMALL)


def test_ctrl_c_keeps_a_checkpoint_and_resume_comes_to_the_same_numbers(trained, frame, rows, folder, tmp_path):
    def interrupt(event):
        if event["event"] == "step" and event["total_step"] == 3:
            # To this thread, at once: a process is told whenever one of its threads is.
            signal.raise_signal(signal.SIGINT)

    arguments = {"images": folder, "out": tmp_path / "run", **SMALL}
    data = rows.assign(colour=frame["colour"])
    # A shell's background jobs ignore Ctrl-C, and so does Python there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            sl.train(data, "colour", progress=interrupt, **arguments)
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(sl.RunError):
        sl.Run(tmp_path / "run")
    run = sl.train(data, "colour", resume=True, **arguments)
    assert (run.path / "model/weights.safetensors").read_bytes() == (trained.path / "model/weights.safetensors").read_bytes()
    # A finished run has nothing to go on with.
    assert sl.train(data, "colour", resume=True, **arguments).metrics == run.metrics


def test_other_threads_run_meanwhile(frame, rows, folder, tmp_path):
    done = threading.Event()
    counted = [0]

    def count():
        while not done.is_set():
            counted[0] += 1
            done.wait(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    sl.train(rows.assign(colour=frame["colour"]), "colour", images=folder, out=tmp_path / "run", progress=False, **SMALL)
    done.set()
    thread.join()
    assert counted[0] > 10


def test_a_run_in_a_notebook(trained):
    shown = trained._repr_html_()
    assert "accuracy" in shown and "validation rows" in shown and "a constant guess" in shown
    assert "<iframe srcdoc=" in trained.show()._repr_html_()
    assert "accuracy" in repr(trained)


def test_the_log_is_read(trained):
    assert trained.log[0]["event"] in ("remark", "plan")
    assert trained.log[-1]["event"] == "done"
    assert json.dumps(trained.config["target"]["column"]) == '"colour"'


def test_a_column_of_images_is_found_by_its_cells(trained, frame, rows, folder, tmp_path):
    data = rows.rename(columns={"file_name": "photograph"}).assign(colour=frame["colour"])
    run = sl.train(data, "colour", images=folder, out=tmp_path / "run", **SMALL)
    assert run.config["data"]["image"] == "photograph"
    assert run.metrics == trained.metrics


def test_a_relative_path_of_weights_is_that_of_the_folder_one_is_in(trained, frame, rows, folder, tmp_path, monkeypatch):
    (tmp_path / "w.safetensors").write_bytes((trained.path / "model/weights.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    data = rows.assign(colour=frame["colour"])
    told = {**SMALL, "weights": "./w.safetensors", "settings": {}}
    run = sl.train(data, "colour", images=folder, out="run", **told)
    assert run.config["model"]["weights"] == str(tmp_path / "w.safetensors")
    assert sl.show(data, "colour", images=folder, rows=2, weights="./w.safetensors", backbone="small_cnn", size=32).html
