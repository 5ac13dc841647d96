"""Estimators of scikit-learn: `cross_val_score`, `GridSearchCV`, `Pipeline`.

    from sidelight.sklearn import SidelightRegressor
    cross_val_score(SidelightRegressor(image="file_name", backbone="mobilenet_v2", weights=…), df[columns], df["price"])

Every fit trains from its rows alone, of which a fifth (`data.split.valid`) is watched.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from . import _frames
from ._model import Model
from ._run import train

#: The column that the target is given to a frame as.
TARGET = "sidelight target"


class _Estimator(BaseEstimator):
    _kind = ""

    def __init__(
        self,
        image: str | None = None,
        *,
        images: str | os.PathLike | None = None,
        group: str | None = None,
        backbone: str | None = None,
        weights: str | None = None,
        epochs: int | None = None,
        size: int | None = None,
        batch: int | None = None,
        learning_rate: float | None = None,
        freeze: bool | None = None,
        fusion: str | None = None,
        arm: str | None = None,
        seed: int = 0,
        settings: dict | None = None,
        out: str | os.PathLike | None = None,
    ) -> None:
        self.image = image
        self.images = images
        self.group = group
        self.backbone = backbone
        self.weights = weights
        self.epochs = epochs
        self.size = size
        self.batch = batch
        self.learning_rate = learning_rate
        self.freeze = freeze
        self.fusion = fusion
        self.arm = arm
        self.seed = seed
        self.settings = settings
        self.out = out

    def _fit(self, X: Any, y: Any) -> None:
        short = ("backbone", "weights", "epochs", "size", "batch", "learning_rate", "freeze", "fusion", "arm", "seed")
        self.folder_ = tempfile.TemporaryDirectory(prefix="sidelight-") if self.out is None else None
        out = Path(self.folder_.name) / "run" if self.folder_ is not None else Path(os.fspath(self.out or "."))
        self.run_ = train(
            _frames.with_column(X, TARGET, y),
            TARGET,
            out=out,
            kind=self._kind,
            image=self.image,
            images=self.images,
            group=self.group,
            settings=self.settings,
            overwrite=self.folder_ is None,
            progress=False,
            **{name: getattr(self, name) for name in short},
        )
        self.model_ = Model(out)
        self.feature_names_in_ = np.asarray(_frames.names_of(X), dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)

    def _predicted(self, X: Any) -> dict[str, list]:
        check_is_fitted(self)
        found = self.model_.predict(X, images=self.images, strict=True)
        return {name: list(found[name].to_pylist() if hasattr(found[name], "to_pylist") else found[name]) for name in _frames.names_of(found)}

    def __getstate__(self) -> dict[str, Any]:
        # A copy in another process reads the run's folder, which this one keeps.
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload, arg-type]
        return {**state, "folder_": None} if "folder_" in state else state


class SidelightClassifier(ClassifierMixin, _Estimator):
    """A network that reads image and metadata and says one of several classes."""

    _kind = "class"

    def fit(self, X: Any, y: Any) -> "SidelightClassifier":
        """Trains on the rows of a frame; `y`: the class of each."""
        self.classes_ = np.unique(np.asarray(y))
        names = {label: f"class {i}" for i, label in enumerate(self.classes_)}
        self._fit(X, [names[label] for label in np.asarray(y)])
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """`[rows, classes]`, in the order of `classes_`."""
        check_is_fitted(self)
        found = self._predicted(X)
        # A class that only validation rows had is one that nobody learned.
        columns = [found.get(f"p(class {i})") or [0.0] * len(X) for i in range(len(self.classes_))]
        return np.asarray(columns, dtype=float).T

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class SidelightRegressor(RegressorMixin, _Estimator):
    """A network that reads image and metadata and says a number."""

    _kind = "value"

    def fit(self, X: Any, y: Any) -> "SidelightRegressor":
        """Trains on the rows of a frame; `y`: the number of each."""
        self._fit(X, [float(value) for value in np.asarray(y)])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The number of each row."""
        return np.asarray(self._predicted(X)[TARGET], dtype=float)
