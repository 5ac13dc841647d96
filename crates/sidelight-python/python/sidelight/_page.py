"""The pages of `sidelight audit`, `check` and `show`, in a notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _frames, _html, _settings
from .errors import ConfigError, SidelightError


class Page:
    """A self-contained HTML page; a notebook shows it. `table` is what was found, a frame, where it is one."""

    def __init__(self, html: str, table: Any = None) -> None:
        self.html = html
        self.table = table

    def save(self, path: str | os.PathLike) -> None:
        """Writes the page."""
        Path(os.fspath(path)).write_text(self.html, encoding="utf-8")

    def __repr__(self) -> str:
        return f"Page({len(self.html)} characters of HTML)" if self.table is None else repr(self.table)

    def _repr_html_(self) -> str:
        return _html.page(self.html)


def audit(data: Any = None, target: str | Sequence[str] | None = None, **keywords: Any) -> Page:
    """What each column is worth before anything is trained: keep, look at, or drop. Arguments are those of `train`."""
    return _asked("audit", data, target, keywords, has_page=True)


def check(data: Any = None, target: str | Sequence[str] | None = None, **keywords: Any) -> Any:
    """Every problem of a table and its images, as a frame. Arguments are those of `train`."""
    return _asked("check", data, target, keywords, has_page=False).table


def show(data: Any = None, target: str | Sequence[str] | None = None, *, rows: int = 16, **keywords: Any) -> Page:
    """Rows as the network sees them: a batch. Of a run's folder, with its predictions. Arguments are those of `train`."""
    if _frames.is_path(data) and (Path(os.fspath(data)) / "metrics.json").is_file():
        with tempfile.TemporaryDirectory(prefix="sidelight-") as folder:
            page = Path(folder) / "page.html"
            _command(["show", str(data), "--out", str(page), "--rows", str(rows)])
            return Page(page.read_text(encoding="utf-8"))
    return _asked("show", data, target, keywords, has_page=True, more=["--rows", str(rows)])


def _asked(command: str, data: Any, target: Any, keywords: dict[str, Any], *, has_page: bool, more: Iterable[str] = ()) -> Page:
    with tempfile.TemporaryDirectory(prefix="sidelight-") as name:
        folder = Path(name)
        options: dict[str, Any] = {"config": None, **keywords}
        configured = _settings.configure(data, target, table=folder / "table.parquet", overwrite=False, **options)
        config, place = str(configured.path), None
        if options["config"] is None:
            # The page is called as its configuration is; paths that are in it are those of the person's folder.
            config, place = "sidelight.toml", folder
            (folder / config).write_text(configured.text, encoding="utf-8")
            resolved = configured.resolved()
            paths = {"data.table": resolved["data"]["table"], "model.weights": resolved["model"]["weights"]}
            configured.sets.extend(_settings.overrides(paths))
        words = [command, config, *(word for item in configured.sets for word in ("--set", item)), *more]
        page = folder / "page.html"
        words += ["--out", str(page)] if has_page else []
        words += ["--format", "json"] if command != "show" else []
        printed = _command(words, place)
        rows: list[Mapping[str, Any]] = json.loads(printed) if command != "show" and printed.strip() else []
        names = list(dict.fromkeys(name for row in rows for name in row))
        table = _frames.build({name: [row.get(name) for row in rows] for name in names}, configured.like) if command != "show" else None
        return Page(page.read_text(encoding="utf-8") if has_page else "", table)


def _command(words: list[str], place: Path | None = None) -> str:
    """What the command line prints; its errors are exceptions. It exits with 1 where it found something."""
    command = [sys.executable, "-m", "sidelight", "--quiet", *words]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode in (0, 1):
        return done.stdout
    message, _, hint = done.stderr.strip().partition("\nhint: ")
    kind = ConfigError if done.returncode == 2 else SidelightError
    raise kind(message.removeprefix("error: "), hint or None)


