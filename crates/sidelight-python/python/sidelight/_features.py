"""What a backbone says of images, for those who go on elsewhere."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _frames, _native, _pictures, _settings
from ._progress import listener
from .errors import ConfigError, ImageError, RunError

if TYPE_CHECKING:
    from ._model import Model
    from ._run import Run
    from ._timm import Weights


def features(
    data: Any = None,
    model: Model | Run | str | os.PathLike | None = None,
    *,
    backbone: str | Weights | None = None,
    weights: str | os.PathLike | None = None,
    config: str | os.PathLike | None = None,
    image: str | Sequence[str] | None = None,
    images: Any = None,
    size: int | None = None,
    settings: Mapping[str, Any] | None = None,
    strict: bool = False,
    progress: bool | Callable[[dict], Any] | None = None,
) -> np.ndarray:
    """The pooled output of a backbone for the image of each row: `[rows, features]` of float32, in the order of the rows.

    Of a pretrained one, `sl.features(df, backbone="mobilenet_v2", weights="mobilenet_v2.pth")`, with its own normalisation at
    `size` pixels; of a `config`; or of a trained `model`, which may be a run or its folder. `data`, `image` and `images` are
    those of `train`; neither a target nor metadata is read. Nothing is changed at random.

    A row whose image cannot be read is NaN, and a warning says which; with `strict` it is an `ImageError`.
    """
    with tempfile.TemporaryDirectory(prefix="sidelight-") as name:
        folder = Path(name)
        if model is not None:
            chosen = {"backbone": backbone, "weights": weights, "config": config, "size": size, "settings": settings, "image": image}
            told = [name for name, value in chosen.items() if value is not None]
            if told:
                raise ConfigError(f"`{told[0]}` is of another backbone than the model's", "give a model, or a backbone with its weights")
            of = _of_model(data, model, images, folder)
        else:
            more = {"backbone": backbone, "weights": weights, "size": size}
            of = _of_config(data, config, image, images, settings, more, folder)
        out = folder / "features.npy"
        written = _native.features(of, out, listener(progress))
        if written is None:
            raise RunError("stopped before all rows were done")
        n_bad, first = written
        if n_bad:
            said = f"{n_bad} rows without features; the first: {first[0]}"
            if strict:
                raise ImageError(said, "leave out `strict`, and they are NaN")
            warnings.warn(said, stacklevel=2)
        return np.load(out, allow_pickle=False)


def _of_model(data: Any, model: Any, images: Any, folder: Path) -> dict[str, Any]:
    from ._model import Model, load

    if data is None:
        # The rows that it was trained on.
        table = None
    else:
        model = model if isinstance(model, Model) else load(getattr(model, "path", model))
        table = model._table(data, folder, images)
    run = Path(os.fspath(getattr(model, "path", model)))
    return {"run": run, "text": "", "path": Path(), "sets": [], "table": table, "find_image": False}


def _of_config(
    data: Any, config: Any, image: Any, images: Any, settings: Mapping[str, Any] | None, more: dict[str, Any], folder: Path
) -> dict[str, Any]:
    table = folder / "table.parquet"
    if config is not None:
        found = _settings.configure(
            data, None, config=config, table=table, overwrite=False, image=image, images=images, settings=settings, **more
        )
        return {"run": None, "text": found.text, "path": found.path, "sets": found.sets, "table": None, "find_image": False}
    if data is None or more["backbone"] is None:
        raise ConfigError("features need a table and a backbone", "say sl.features(df, backbone='mobilenet_v2', weights=…), or give a model")
    sets = _settings.sets(settings, more)
    if not any(item.startswith("model.weights=") for item in sets):
        raise ConfigError("`weights` is not said", "name a file, a run or a repository; weights='none': random ones, whose features say little")
    columns = _pictures.names(image)
    if _frames.is_path(data):
        if images is not None:
            raise ConfigError("`images` is for frames", "paths in a file are relative to its own folder")
        table = Path(os.fspath(data)).absolute()
    else:
        columns = _frames.write(data, table, columns, images)
    # What the target is does not matter: it is not read.
    text = f'[data]\ntable = {json.dumps(str(table))}\n[target]\nkind = "regression"\ncolumn = "none"\n'
    if columns:
        sets.append(f"data.image={_settings.toml(columns if len(columns) > 1 else columns[0])}")
    path = Path.cwd() / "sidelight.toml"
    return {"run": None, "text": text, "path": path, "sets": sets, "table": None, "find_image": not columns}
