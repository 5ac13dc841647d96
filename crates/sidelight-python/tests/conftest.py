"""Small sets with a truth, made here: coloured squares, and columns that say more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sidelight as sl

#: What every training here has: a network of four layers, 32 pixels, a few steps.
SMALL = {"backbone": "small_cnn", "weights": "none", "size": 32, "epochs": 2, "batch": 16, "settings": {"train.freeze_epochs": 0}}
N = 64


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Pictures of 40 × 32 pixels: a bright square whose place and colour the columns of the frame know."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for i in range(N):
        pixels = draw.integers(0, 60, (32, 40, 3), dtype=np.uint8)
        x, y = 4 + i * 7 % 28, 3 + i * 5 % 20
        pixels[y : y + 8, x : x + 8, i % 3] = 230
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def frame(folder):
    i = np.arange(N)
    return pd.DataFrame(
        {
            "file_name": [f"{k}.png" for k in i],
            "is_dirty": i % 4 == 0,
            "source": np.array(["google-image", "pinterest", "reddit"])[i // 2 % 3],
            "shutter": np.where(i % 5 == 0, np.nan, 0.01 + 0.001 * i),
            "colour": np.array(["red", "green", "blue"])[i % 3],
            "price": 100.0 + 3 * (i % 17) + 40 * (i % 4 == 0),
            "area": 10.0 + i % 9,
            "tags": np.array(["round;hot", "hot", "cold"])[i % 3],
            "x0": 8.0 + i * 7 % 28,
            "y0": 7.0 + i * 5 % 20,
        }
    )


@pytest.fixture(scope="session")
def rows(frame):
    """Image and metadata alone."""
    return frame[["file_name", "is_dirty", "source", "shutter"]]


@pytest.fixture(scope="session")
def trained(frame, rows, folder, tmp_path_factory):
    """A run of a class."""
    data = rows.assign(colour=frame["colour"])
    return sl.train(data, "colour", images=folder, out=tmp_path_factory.mktemp("runs") / "class", **SMALL)


@pytest.fixture(scope="session")
def priced(frame, rows, folder, tmp_path_factory):
    """A run of a value."""
    data = rows.assign(price=frame["price"])
    return sl.train(data, "price", images=folder, out=tmp_path_factory.mktemp("runs") / "value", **SMALL)


@pytest.fixture(scope="session")
def pointed(frame, rows, folder, tmp_path_factory):
    """A run of a point."""
    data = rows.assign(x0=frame["x0"], y0=frame["y0"])
    return sl.train(data, ["x0", "y0"], images=folder, out=tmp_path_factory.mktemp("runs") / "points", **SMALL)
