"""Training, and what a run folder holds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _frames, _html, _native, _settings
from ._progress import listener
from .errors import RunError

if TYPE_CHECKING:
    from ._model import Model
    from ._page import Page


class Run:
    """A finished training: a folder with the model, its scores, its predictions of the validation rows and a report."""

    def __init__(self, path: str | os.PathLike, like: str = "path") -> None:
        self.path = Path(os.fspath(path))
        self._like = like
        if not (self.path / "metrics.json").is_file():
            raise RunError(
                f"{self.path} is no finished run: it has no metrics.json",
                "sl.train(…, out=FOLDER) writes one; a stopped one goes on with resume=True",
                file=str(self.path),
            )

    @cached_property
    def scores(self) -> dict[str, Any]:
        """All of metrics.json: scores, those of a constant guess, those of each part, numbers of rows, seconds."""
        return json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))

    @property
    def metrics(self) -> dict[str, float | None]:
        """Scores over the validation rows, the main one first; `None`: undefined there."""
        return self.scores["metrics"]

    @property
    def predictions(self) -> Any:
        """The validation rows with target, prediction and loss: a frame of the kind that was trained on."""
        columns = _native.read_table(self.path / "predictions.csv", _frames.texts(self.config["target"]))
        return _frames.build(columns, self._like)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return json.loads(_native.settings((self.path / "config.toml").read_text(encoding="utf-8"), self.path / "config.toml", []))

    @property
    def log(self) -> list[dict[str, Any]]:
        """What happened, event by event."""
        lines = (self.path / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def report(self) -> Path:
        """The report, an HTML page."""
        return self.path / "report.html"

    @cached_property
    def model(self) -> Model:
        """The trained model."""
        from ._model import load

        return load(self.path)

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {_html.number(value)}" for name, value in list(self.metrics.items())[:3])
        return f"Run({str(self.path)!r}: {scores})"

    def _repr_html_(self) -> str:
        rows, guess = self.scores["rows"], self.scores.get("constant", {})
        header = ["metric", f"{rows['valid']} validation rows"] + (["a constant guess"] if guess else [])
        lines = [[name, value] + ([guess.get(name)] if guess else []) for name, value in self.metrics.items()]
        return _html.paragraph(str(self.path), bold=True) + _html.table(header, lines)

    def show(self) -> Page:
        """The report, in the notebook."""
        from ._page import Page

        return Page(self.report.read_text(encoding="utf-8"))


def train(
    data: Any = None,
    target: str | Sequence[str] | None = None,
    *,
    out: str | os.PathLike,
    config: str | os.PathLike | None = None,
    image: str | Sequence[str] | None = None,
    images: Any = None,
    group: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    ignore: Iterable[str] = (),
    kind: str | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | Callable[[dict], Any] | None = None,
    **more: Any,
) -> Run:
    """Trains a network that reads the images of a table and its metadata.

    `data` is a frame of pandas, polars or pyarrow, a dictionary of lists, or the path of a table; `target` the column to
    predict, or several. A frame is kept as Parquet beside the run (`<out>.parquet`), so that the run can be resumed and
    opened from a command line; relative paths in its `image` column are relative to `images`, or to the current folder. Cells of
    that column may be images themselves: arrays `[height, width]` or `[height, width, channels]` of uint8 or uint16, pictures of
    PIL, the bytes of files; or `images` is a list of them. They are kept as files in `<out>.images`.
    What columns mean is found as `sidelight init` finds it. `config` reads a `sidelight.toml` instead, or beside `data`.

    Further keywords: `backbone`, `weights`, `epochs`, `size`, `batch`, `learning_rate`, `freeze`, `fusion`, `head`, `arm`,
    `seed`. Every other setting goes into `settings`, flat or nested: `{"train.patience": 3}`.

    Ctrl-C saves a checkpoint and raises `KeyboardInterrupt`; the same call with `resume=True` goes on, to the same numbers.

    Raises `SidelightError` and its kinds, each with its place and a hint.
    """
    out = Path(os.fspath(out))
    configured = _settings.configure(
        data,
        target,
        config=config,
        table=out.with_name(out.name + ".parquet"),
        overwrite=overwrite,
        image=image,
        images=images,
        group=group,
        time=time,
        weight=weight,
        ignore=ignore,
        kind=kind,
        settings=settings,
        **more,
    )
    existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    if not (resume and (out / "metrics.json").is_file()):
        _native.train(configured.text, configured.path, configured.sets, out, existing, listener(progress))
    return Run(out, configured.like)
