"""A trained model: predictions of tables and of single rows, explanations, its network."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from . import _frames, _native, _pictures
from ._network import Network
from .errors import ColumnError, ImageError


def load(run: str | os.PathLike) -> "Model":
    """The model of a finished run."""
    return Model(run)


class Model:
    """A trained model. Its methods may be called from several threads; a copy by `pickle` reads the run's folder again."""

    def __init__(self, run: str | os.PathLike) -> None:
        self.path = Path(os.fspath(run)).absolute()
        self._native = _native.Model(self.path)
        self.config: dict[str, Any] = json.loads(self._native.config())

    def __reduce__(self) -> tuple:
        return (load, (self.path,))

    def __repr__(self) -> str:
        target = self.config["target"]
        columns = [target["column"]] if target.get("column") else target.get("columns", [])
        return f"Model({str(self.path)!r}: {target['kind']} {', '.join(columns[:4])})"

    @property
    def columns(self) -> list[str]:
        """The columns of metadata that it reads."""
        return self._native.columns()

    @property
    def network(self) -> Network:
        """A copy of its network, to look at and to change."""
        return Network(self._native.network())

    def batch(self, data: Any, *, images: Any = None) -> dict[str, np.ndarray]:
        """What the network reads of the rows of a frame, and what it puts out: `images` `[rows, channels, size, size]`, normalised,
        `has_image` `[rows, 1]`, `dense` `[rows, d]`, `codes` `[rows, n]`, `outputs` `[rows, outputs]`; what it does not read is not
        there. All images are in memory at once. One that cannot be read is an error."""
        with tempfile.TemporaryDirectory(prefix="sidelight-") as folder:
            table = self._table(data, Path(folder), images)
            parts = self._native.batch(table)
        return {name: np.frombuffer(values, kind).reshape(shape) for name, (values, kind, shape) in parts.items()}

    def to_torch(self) -> Any:
        """The network as a `torch.nn.Module` of the same layers, names and numbers; needs torch.

        `module(*(torch.tensor(x) for x in …))` takes what `batch` gives. Layers of several images a row, `candidates` and layers of
        one's own have no counterpart and are a `NetworkError`.
        """
        from ._torch import TorchNetwork

        network = self._native.network()
        values = []
        for name, shape, trains in network.parameters():
            values.append((name, np.frombuffer(network.get(name), "<f4").reshape(shape), trains))
        return TorchNetwork(json.loads(network.describe()), values)

    def predict(
        self,
        data: Any,
        *,
        images: Any = None,
        tta: int = 1,
        coverage: float | None = None,
        min_confidence: float | None = None,
        allow_missing: bool = False,
        strict: bool = False,
    ) -> Any:
        """Predicts the rows of a frame or of the file of a table: a frame of the kind that came in, a row each.

        `tta`: so many looks a row, averaged. `coverage`: sets that hold the truth that often. `min_confidence`: points that
        are less probably visible are left out. `allow_missing`: a column of metadata that is not there is missing in every
        row. A row whose image cannot be read has no prediction; with `strict` it is an `ImageError`. Images may be cells of the
        frame, or the list `images`, as in `train`.
        """
        kind = _frames.kind_of(data)
        options: dict[str, Any] = {
            "tta": tta,
            "coverage": coverage,
            "min_confidence": min_confidence,
            "allow_missing": allow_missing,
            "strict": strict,
        }
        with tempfile.TemporaryDirectory(prefix="sidelight-") as folder:
            table = self._table(data, Path(folder), images)
            # As text a number of single precision is what a person would read, and what the command line writes.
            out = Path(folder) / "predictions.csv"
            self._native.predict_table(table, out, options)
            columns = _native.read_table(out, _frames.texts(self.config["target"]))
            if kind != "path" and "image" in columns:
                # Images that were no files have no name.
                columns["image"] = [None if name is None or name.startswith(str(folder)) else name for name in columns["image"]]
        return _frames.build(columns, kind, getattr(data, "index", None) if kind == "pandas" else None)

    def _table(self, data: Any, folder: Path, images: Any) -> Path:
        """The file of a table: a frame is written into this folder."""
        if _frames.kind_of(data) == "path":
            return Path(os.fspath(data))
        image = self.config["data"]["image"]
        table = folder / "rows.parquet"
        _frames.write(data, table, _pictures.names(image), images)
        return table

    def predict_one(self, image: Any = None, **metadata: Any) -> dict[str, Any]:
        """The prediction of one row: the fields of `/v1/predict`.

        `image` is a path, the bytes of a file, an array `[height, width]` or `[height, width, channels]` of uint8 or uint16,
        or a picture of PIL. Metadata that is not given is missing.
        """
        self._check(metadata)
        return json.loads(self._native.predict_one(image_bytes(image), json.dumps(_plain(metadata))))

    def explain(self, image: Any = None, *, point: str | int | None = None, **metadata: Any) -> dict[str, Any]:
        """What the prediction of one row is made of: what image and metadata add to the baseline, where the network looks,
        what-if curves of each column; with `point`, what each column moves that point by. The fields of `/v1/explain`."""
        self._check(metadata)
        return json.loads(self._native.explain(image_bytes(image), json.dumps(_plain(metadata)), None if point is None else str(point)))

    def _check(self, metadata: dict[str, Any]) -> None:
        unknown = sorted(set(metadata) - set(self.columns))
        if unknown:
            raise ColumnError(
                f"the model reads no column `{unknown[0]}`",
                f"it reads: {', '.join(self.columns) or 'no metadata'}",
                column=unknown[0],
            )


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    plain = {}
    for name, cell in metadata.items():
        if hasattr(cell, "item"):
            cell = cell.item()
        if hasattr(cell, "isoformat"):
            cell = cell.isoformat()
        if isinstance(cell, float) and cell != cell:
            cell = None
        plain[name] = cell
    return plain


def image_bytes(image: Any) -> bytes | None:
    """The file of an image, whatever it is given as."""
    if image is None or isinstance(image, bytes):
        return image
    if isinstance(image, (str, os.PathLike)):
        try:
            return Path(os.fspath(image)).read_bytes()
        except OSError as error:
            raise ImageError(f"cannot read {os.fspath(image)}: {error.strerror}", file=os.fspath(image)) from error
    return _pictures.png(_pictures.pixels(image))
