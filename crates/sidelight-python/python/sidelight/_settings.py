"""From keywords of Python to the configuration that `sidelight init` begins and `--set` changes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _frames, _native, _pictures
from ._timm import Weights
from .errors import ConfigError

#: Keywords with a name of their own, and the setting that each is.
SHORT = {
    "arm": "model.arm",
    "backbone": "model.backbone",
    "batch": "train.batch",
    "epochs": "train.epochs",
    "freeze": "train.freeze",
    "fusion": "model.fusion",
    "head": "model.head",
    "learning_rate": "train.learning_rate",
    "seed": "train.seed",
    "size": "train.size",
    "weights": "model.weights",
}


@dataclass(frozen=True)
class Configured:
    """A configuration: its text, the file that it would be, and what `--set` would say."""

    text: str
    path: Path
    sets: list[str]
    like: str

    def resolved(self) -> dict[str, Any]:
        return json.loads(_native.settings(self.text, self.path, self.sets))


def configure(
    data: Any,
    target: str | Sequence[str] | None,
    *,
    config: str | os.PathLike | None,
    table: Path,
    overwrite: bool,
    image: str | Sequence[str] | None = None,
    images: Any = None,
    group: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    ignore: Iterable[str] = (),
    kind: str | None = None,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Configured:
    """Begins a configuration as `sidelight init` does, or reads the file `config`; a frame is written to `table`."""
    told = sets(settings, more)
    like, path = ("path", None) if data is None else (_frames.kind_of(data), None)
    image_columns = _pictures.names(image)
    if data is not None and like != "path":
        # Where it is not said, a column that holds images is one, or one of whose first cells one is a file below `images`.
        image_columns = _frames.write(data, table, image_columns, images, overwrite)
        path = table.absolute()
    elif data is not None:
        path = Path(os.fspath(data)).absolute()
        if images is not None:
            raise ConfigError("`images` is for frames", "paths in a file are relative to its own folder")
    if config is not None:
        file = Path(os.fspath(config))
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot read {file}: {error.strerror}", file=str(file)) from error
        if path is not None:
            told.append(f"data.table={json.dumps(str(path))}")
        return Configured(text, file.absolute(), told, like)
    if path is None or target is None:
        raise ConfigError("neither a table and a target nor `config` was given", "say sl.train(df, target='price', …)")
    words = [str(path), "--target", target if isinstance(target, str) else ",".join(target)]
    for name, value in {"group": group, "time": time, "weight": weight, "kind": kind}.items():
        words += [f"--{name}", value] if value is not None else []
    for column in [ignore] if isinstance(ignore, str) else ignore:
        words += ["--ignore", column]
    words += ["--image", ",".join(image_columns)] if image_columns else []
    # What the target and the cells are is known where the columns are looked at; whose weights they are, from the file.
    words += [word for item in told if item.startswith(("data.", "target.", "model.")) for word in ("--set", item)]
    text = _native.init([*words, "--out", "-"])
    return Configured(text, Path.cwd() / "sidelight.toml", told, like)


def sets(settings: Mapping[str, Any] | None, more: Mapping[str, Any]) -> list[str]:
    """What `--set` would say, of settings and of keywords with a name of their own."""
    unknown = sorted(set(more) - set(SHORT))
    if unknown:
        known = ", ".join(sorted(SHORT))
        raise ConfigError(
            f"unknown keyword `{unknown[0]}`",
            f"there is: {known}; any other setting goes into `settings`, as in settings={{'train.patience': 3}}",
        )
    backbone = more.get("backbone")
    if isinstance(backbone, Weights):
        if more.get("weights") is not None:
            raise ConfigError("`weights` is said twice: `backbone` has its own", "leave one of them out")
        more = {**more, "backbone": backbone.backbone, "weights": backbone.path}
    chosen = {SHORT[name]: value for name, value in more.items() if value is not None}
    told = flat(settings or {})
    for name in chosen.keys() & told.keys():
        raise ConfigError(f"`{name}` is said twice: by a keyword and in `settings`", "leave one of them out")
    return list(overrides({**told, **chosen}))


def flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """`{"train": {"epochs": 3}}` as `{"train.epochs": 3}`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{before}{name}."))
        else:
            found[f"{before}{name}"] = value
    return found


def overrides(settings: Mapping[str, Any]) -> Iterable[str]:
    return (f"{name}={toml(value)}" for name, value in settings.items())


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        return json.dumps(os.fspath(value), ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(name))} = {toml(cell)}" for name, cell in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(cell) for cell in value) + "]"
    raise ConfigError(f"{value!r} is no value of a setting", "text, numbers, true or false, and lists of these are")
