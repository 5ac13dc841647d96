"""Pretrained CNNs that also read the metadata of each image, and an honest answer whether that helps.

    import sidelight as sl
    run = sl.train(df, target="price", out="runs/a")
    answer = sl.compare(df, target="price", quick=True)
    model = sl.load("runs/a")
    model.predict(df)

All of it is done by the Rust library; frames of pandas, polars and pyarrow, dictionaries of lists and paths are read alike.
"""

from . import errors, nn
from ._compare import Comparison, compare
from ._features import features
from ._model import Model, load
from ._native import __version__
from ._network import Network
from ._page import Page, audit, check, show
from ._run import Run, train
from ._timm import Weights, from_timm
from .errors import (
    ColumnError,
    ConfigError,
    DataError,
    ImageError,
    NetworkError,
    RunError,
    SidelightError,
    WeightsError,
)

__all__ = [
    "ColumnError",
    "Comparison",
    "ConfigError",
    "DataError",
    "ImageError",
    "Model",
    "Network",
    "NetworkError",
    "Page",
    "Run",
    "RunError",
    "SidelightError",
    "Weights",
    "WeightsError",
    "__version__",
    "audit",
    "check",
    "compare",
    "errors",
    "features",
    "from_timm",
    "load",
    "nn",
    "show",
    "train",
]
