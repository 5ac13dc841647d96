"""Does the metadata help?"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _frames, _html, _native, _settings
from ._progress import listener
from .errors import RunError

if TYPE_CHECKING:
    from ._page import Page


class Comparison:
    """The answer of a comparison: verdict, doubts, and a row for each arm."""

    def __init__(self, path: str | os.PathLike, like: str = "path", target: Mapping[str, Any] | None = None, kept: Any = None) -> None:
        self.path = Path(os.fspath(path))
        self._like = like
        self._target = target or {}
        self._kept = kept
        file = self.path / "compare.json"
        if not file.is_file():
            raise RunError(f"{self.path} has no answer yet: there is no compare.json", "sl.compare(…, out=FOLDER) makes it", file=str(file))
        self.answer: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))

    @property
    def verdict(self) -> str:
        """`helps`, `helps_but_spurious`, `no_evidence` or `harms`."""
        return self.answer["verdict"]["code"]

    @property
    def sentence(self) -> str:
        """The verdict in words, with the effect and its interval."""
        return self.answer["verdict"]["sentence"]

    @property
    def doubts(self) -> list[str]:
        """What speaks against trusting it."""
        return [doubt["sentence"] for doubt in self.answer["verdict"]["doubts"]]

    @property
    def table(self) -> Any:
        """A row an arm: its mean over the folds and their standard deviation."""
        arms = self.answer["arms"]
        columns = {name: [arm.get(name) for arm in arms] for name in ("name", "mean", "sd")}
        return _frames.build(columns, self._like)

    @property
    def predictions(self) -> Any:
        """Predictions of every arm for rows that it had not learned from."""
        columns = _native.read_table(self.path / "out_of_fold.csv", ["arm", *_frames.texts(self._target)])
        return _frames.build(columns, self._like)

    @property
    def report(self) -> Path:
        """The report, an HTML page."""
        return self.path / "report.html"

    def __repr__(self) -> str:
        return f"Comparison({self.verdict!r}: {self.sentence})"

    def _repr_html_(self) -> str:
        metric = self.answer["metric"]["name"]
        rows = [[arm["name"], arm["mean"], arm["sd"]] for arm in self.answer["arms"]]
        doubts = "".join(_html.paragraph(f"but {doubt}") for doubt in self.doubts)
        return _html.paragraph(self.sentence, bold=True) + doubts + _html.table(["arm", metric, "± over folds"], rows)

    def show(self) -> Page:
        """The report, in the notebook."""
        from ._page import Page

        return Page(self.report.read_text(encoding="utf-8"))


def compare(
    data: Any = None,
    target: str | Sequence[str] | None = None,
    *,
    out: str | os.PathLike | None = None,
    quick: bool = False,
    folds: int = 5,
    seeds: int = 1,
    arms: Iterable[str] = (),
    metric: str | None = None,
    config: str | os.PathLike | None = None,
    image: str | Sequence[str] | None = None,
    images: Any = None,
    group: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    ignore: Iterable[str] = (),
    kind: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: bool | Callable[[dict], Any] | None = None,
    **more: Any,
) -> Comparison:
    """Trains image, metadata and both on the same folds, beside controls, and says whether the metadata helps.

    Arguments are those of `train`. `out` keeps every finished training: a second call goes on with them; without it they are
    gone with the answer. `quick` keeps the backbone frozen: a first answer, in seconds to minutes.
    """
    kept = None
    if out is None:
        kept = tempfile.TemporaryDirectory(prefix="sidelight-")
        out = Path(kept.name) / "answer"
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
    options = {
        "quick": quick,
        "folds": folds,
        "seeds": seeds,
        "arms": [arms] if isinstance(arms, str) else list(arms),
        "metric": metric,
        "overwrite": overwrite,
    }
    _native.compare(configured.text, configured.path, configured.sets, out, options, listener(progress))
    return Comparison(out, configured.like, configured.resolved()["target"], kept)
