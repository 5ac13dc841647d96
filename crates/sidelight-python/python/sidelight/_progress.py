"""Progress on a bar of tqdm, remarks on the logger `sidelight`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

log = logging.getLogger("sidelight")


def listener(progress: bool | Callable[[dict], Any] | None) -> Callable[[str], None]:
    """What the Rust side calls with every event, as JSON.

    `progress`: a function is called with each event, a dictionary; true shows a bar; false shows none; `None` shows one where
    somebody looks: a terminal or a notebook.
    """
    if callable(progress):
        own = progress
        return lambda event: own(json.loads(event))
    shown = _is_watched() if progress is None else progress
    bar = _Bar() if shown else None

    def on_event(text: str) -> None:
        event = json.loads(text)
        _remark(event)
        if bar is not None:
            bar.update(event)

    return on_event


def _is_watched() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _remark(event: dict) -> None:
    if event.get("event") == "remark":
        log.info(event["text"])


class _Bar:
    """One bar for all of the work; its length is known with the plan."""

    def __init__(self) -> None:
        self.bar: Any = None

    def update(self, event: dict) -> None:
        kind = event.get("event")
        if kind == "features" and "share" in event:
            # How many rows there are is not known before the last.
            self._to(round(100 * event["share"]), 100, "features", rows=event["done"])
        elif kind == "features":
            self._to(event["done"], event["rows"], "features")
        elif kind == "step" and "total_steps" in event:
            self._to(event["total_step"], event["total_steps"], f"epoch {event['epoch']}", loss=event["loss"])
        elif kind == "job":
            self._to(event["number"] - 1, event["of"], event["name"])
        elif kind == "weighing" and self.bar is not None:
            self._to(self.bar.total, self.bar.total, "weighing")

    def _to(self, done: float, of: float, what: str, **numbers: Any) -> None:
        if self.bar is None or self.bar.total != of:
            self.close()
            try:
                from tqdm.auto import tqdm
            except ImportError:
                return
            self.bar = tqdm(total=of, leave=False)
        self.bar.set_description(what, refresh=False)
        if numbers:
            self.bar.set_postfix(numbers, refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def __del__(self) -> None:
        self.close()
