"""What is written for others, read back by their own programs: the hub's card, TensorBoard's and MLflow's files."""

import getpass
import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

import sidelight as sl
from conftest import SMALL

HOW = "install the package with its extra `test`"


def command(*words, **more):
    return subprocess.run([sys.executable, "-m", "sidelight", *map(str, words)], capture_output=True, text=True, **more)


def done(*words, **more):
    said = command(*words, **more)
    assert said.returncode == 0, said.stderr
    return said


@pytest.fixture(scope="module")
def tables(frame, folder):
    """The frame beside its pictures, as a file, and a configuration."""
    frame.to_csv(folder / "squares.csv", index=False)
    words = ["init", folder / "squares.csv", "--target", "colour", "--ignore", "price,area,tags,x0,y0", "--out"]
    done(*words, folder / "squares.toml")
    return folder


def settings(tmp_path, tables, **more):
    chosen = {
        "model.backbone": "small_cnn", "model.weights": "none", "train.size": 32, "train.epochs": 3, "train.batch": 16,
        "train.freeze_epochs": 0, **more,
    }
    return [tables / "squares.toml", *(word for name, value in chosen.items() for word in ("--set", f"{name}={value}"))]


@pytest.fixture(scope="module")
def run(tables, tmp_path_factory):
    out = tmp_path_factory.mktemp("shared") / "run"
    done("train", *settings(out, tables, **{"train.log": '["tensorboard", "mlflow"]'}), "--out", out)
    return out


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "squares"
    done("export", run, "--hub", folder)
    return folder


# The hub


def card_of(folder):
    hub = pytest.importorskip("huggingface_hub", reason=HOW)
    return hub.ModelCard.load(folder / "README.md")


def test_the_card_is_one_to_the_hub(exported, run):
    card = card_of(exported)
    data = card.data
    assert (data.library_name, data.pipeline_tag, data.license) == ("sidelight", "image-classification", "unknown")
    assert data.base_model is None and {"sidelight", "class", "small_cnn", "multimodal"} <= set(data.tags)
    scores = {name: value for name, value in sl.Run(run).metrics.items() if value is not None}
    found = {result.metric_type: result.metric_value for result in data.eval_results}
    assert found == scores and list(found) == data.metrics
    for result in data.eval_results:
        assert (result.dataset_name, result.dataset_split, result.task_type) == ("squares.csv", "validation", "image-classification")
    assert data.model_name == "squares"
    # Read and written again, it says the same.
    hub = pytest.importorskip("huggingface_hub")
    assert hub.ModelCard(str(card)).data.to_dict() == data.to_dict()


def test_the_card_says_what_is_not_known(exported):
    text = (exported / "README.md").read_text(encoding="utf-8")
    for part in ["**Not tested.**", "sidelight compare config.toml --out answer", "64", "`source`", "google-image", "`shutter`"]:
        assert part in text
    # 64 rows of which a fifth validates: each of three classes has fewer than twenty.
    assert "Seen in fewer than 20 training rows" in text


def test_nothing_private_is_in_the_folder(exported, run, tables):
    private = [str(tables), str(run.parent), str(exported.parent), os.getcwd(), os.path.expanduser("~") + os.sep]
    for path in exported.iterdir():
        content = path.read_bytes()
        for word in private:
            assert word.encode() not in content, f"{word} is in {path.name}"
    user = getpass.getuser()
    text = (exported / "README.md").read_text(encoding="utf-8")
    assert not re.search(rf"\b{re.escape(user)}\b", text)


def test_the_folder_predicts_what_the_run_predicts(exported, run, tables, rows, tmp_path):
    for name, model in {"run": run, "hub": exported}.items():
        done("predict", model, tables / "squares.csv", "--out", tmp_path / f"{name}.csv")
    assert (tmp_path / "hub.csv").read_bytes() == (tmp_path / "run.csv").read_bytes()
    ours, theirs = sl.load(exported), sl.load(run)
    pd.testing.assert_frame_equal(ours.predict(rows, images=tables), theirs.predict(rows, images=tables))
    assert ours.columns == theirs.columns


def test_a_comparison_is_told(run, tables, tmp_path):
    answer, folder = tmp_path / "answer", tmp_path / "squares"
    done("compare", *settings(answer, tables, **{"train.epochs": 1}), "--out", answer, "--folds", "3", "--quick")
    done("export", run, "--hub", folder, "--comparison", answer, "--licence", "mit")
    found = json.loads((answer / "compare.json").read_text(encoding="utf-8"))
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"`{found['verdict']['code']}`" in text and "Not tested" not in text
    # Digits are the reader's; words are the same.
    for sentence in [found["verdict"]["sentence"], *(doubt["sentence"] for doubt in found["verdict"]["doubts"])]:
        assert sentence.split("`")[0].split("<")[0].split("(")[0].strip("* ")[:40].replace("_", r"\_") in text
    assert "95 % interval" in text
    assert card_of(folder).data.license == "mit"


def test_no_file_of_a_person_is_replaced(run, exported, tmp_path):
    folder = tmp_path / "squares"
    folder.mkdir()
    (folder / "README.md").write_text("years of work")
    for more in [[], ["--overwrite"]]:
        said = command("export", run, "--hub", folder, *more)
        assert said.returncode == 2 and "hint: " in said.stderr
    assert [path.name for path in folder.iterdir()] == ["README.md"]
    assert (folder / "README.md").read_text() == "years of work"


# What train.log asks for


def epochs_of(run):
    return [event for event in sl.Run(run).log if event["event"] == "epoch"]


def scalars(folder):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=HOW)
    read = accumulators.EventAccumulator(str(folder), size_guidance=dict.fromkeys(["scalars", "tensors"], 0))
    read.Reload()
    return read, {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def history(run):
    tracking = pytest.importorskip("mlflow.tracking", reason=HOW)
    client = tracking.MlflowClient(f"file:{run / 'mlruns'}")
    experiment = client.get_experiment("1")
    [found] = client.search_runs([experiment.experiment_id])
    metrics = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
    return experiment, found, {name: [(point.step, point.value) for point in points] for name, points in metrics.items()}


@pytest.fixture(autouse=True)
def file_store(monkeypatch):
    # Current versions read stores of files only where they are told to.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def agrees_with_the_log(values, run):
    """Every step of the log is there once, in order, with its value."""
    log = sl.Run(run).log
    steps = [event for event in log if event["event"] == "step"]
    assert len({event["total_step"] for event in steps}) == len(steps)
    for tag, field in [("train/loss", "loss"), ("train/learning_rate", "learning_rate")]:
        assert [step for step, _ in values[tag]] == [event["total_step"] for event in steps]
        for (_, value), event in zip(values[tag], steps, strict=True):
            assert math.isclose(value, event[field], rel_tol=1e-6)
    epochs = epochs_of(run)
    name = epochs[0]["score_name"]
    for tag, field in [("epoch", "epoch"), ("valid/loss", "valid_loss"), ("train/epoch_loss", "train_loss"), (f"valid/{name}", "score")]:
        assert [step for step, _ in values[tag]] == [event["total_step"] for event in epochs]
        for (_, value), event in zip(values[tag], epochs, strict=True):
            assert math.isclose(value, event[field], rel_tol=1e-6)
    for name, value in sl.Run(run).metrics.items():
        if value is not None:
            [(step, found)] = values[f"final/{name}"]
            assert step == steps[-1]["total_step"] and math.isclose(found, value, rel_tol=1e-6)


def test_tensorboard_reads_what_was_logged(run):
    read, values = scalars(run / "tensorboard")
    agrees_with_the_log(values, run)
    [text] = read.Tensors("config/text_summary") if "config/text_summary" in read.Tags()["tensors"] else read.Tensors("config")
    assert b"[train]" in text.tensor_proto.string_val[0]


def test_mlflow_reads_what_was_logged(run):
    experiment, found, values = history(run)
    agrees_with_the_log(values, run)
    assert (experiment.name, found.info.run_name, found.info.status) == ("squares", "run", "FINISHED")
    assert found.data.params["train.epochs"] == "3" and found.data.params["target.column"] == "colour"
    assert found.info.end_time >= found.info.start_time
    assert found.data.tags["sidelight.version"] == sl.__version__


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_and_resumed_every_step_is_told_once(tables, tmp_path):
    words = settings(tmp_path, tables, **{"train.epochs": 40, "train.checkpoint_steps": 3, "train.log": '["tensorboard", "mlflow"]'})
    out = tmp_path / "killed"
    line = [sys.executable, "-m", "sidelight", "train", *map(str, words), "--out", str(out)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log, start = out / "log.jsonl", time.monotonic()
    while not (out / "checkpoint").is_dir() or log.read_text().count('"epoch"') < 8:
        assert process.poll() is None and time.monotonic() - start < 120
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "metrics.json").exists(), "it was killed too late to show anything"
    _, before, _ = history(out)
    assert before.info.status == "RUNNING"
    done("train", *words, "--out", out, "--resume")
    assert any(event["event"] == "resumed" for event in sl.Run(out).log)
    _, values = scalars(out / "tensorboard")
    agrees_with_the_log(values, out)
    _, found, values = history(out)
    agrees_with_the_log(values, out)
    assert (found.info.status, found.info.run_id) == ("FINISHED", before.info.run_id)
    # The same weights as of a run that was never killed, and told nobody.
    whole = tmp_path / "whole"
    done("train", *settings(tmp_path, tables, **{"train.epochs": 40}), "--out", whole)
    weights = "model/weights.safetensors"
    assert (out / weights).read_bytes() == (whole / weights).read_bytes()
    assert not (whole / "tensorboard").exists() and not (whole / "mlruns").exists()


def test_python_asks_for_it_too(rows, frame, folder, tmp_path):
    data = rows.assign(colour=frame["colour"])
    more = {**SMALL, "settings": {**SMALL["settings"], "train.log": ["tensorboard"]}}
    run = sl.train(data, "colour", images=folder, out=tmp_path / "run", **more)
    assert [path.suffix for path in (run.path / "tensorboard").iterdir()] == [".sidelight"]
    assert not (run.path / "mlruns").exists()
