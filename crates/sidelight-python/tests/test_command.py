"""The command `sidelight` is in the package."""

import subprocess
import sys

import sidelight as sl


def command(*words):
    return subprocess.run([sys.executable, "-m", "sidelight", *words], capture_output=True, text=True)


def test_help_and_version():
    assert command("--version").stdout.strip() == f"sidelight {sl.__version__}"
    assert "train" in command("--help").stdout


def test_exit_codes_are_those_of_the_program(tmp_path):
    wrong = command("train", str(tmp_path / "none.toml"), "--out", str(tmp_path / "run"))
    assert wrong.returncode == 2 and "none.toml" in wrong.stderr
    assert command("--no-such-option").returncode == 2


def test_backbones_are_listed():
    assert "mobilenet_v2" in command("backbones").stdout
