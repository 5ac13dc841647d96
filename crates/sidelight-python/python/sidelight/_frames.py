"""Frames in and out: pandas, polars, pyarrow, dictionaries of lists, paths."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _native, _pictures
from .errors import ConfigError, DataError


def is_path(data: Any) -> bool:
    return isinstance(data, (str, os.PathLike))


def kind_of(data: Any) -> str:
    """`pandas`, `polars`, `pyarrow`, `dict` or `path`; of anything else that has an Arrow stream, `pyarrow`."""
    if is_path(data):
        return "path"
    module = type(data).__module__.split(".")[0]
    if module in ("pandas", "polars", "pyarrow"):
        return module
    if isinstance(data, Mapping):
        return "dict"
    if hasattr(data, "__arrow_c_stream__"):
        return "pyarrow"
    raise DataError(
        f"a {type(data).__name__} is no table",
        "give a frame of pandas, polars or pyarrow, a dictionary of lists, or the path of a table",
    )


def names_of(data: Any) -> list[str]:
    """The names of a frame's columns."""
    if isinstance(data, Mapping):
        return [str(name) for name in data]
    return [str(name) for name in getattr(data, "column_names", None) or data.columns]


def write(data: Any, path: Path, images: Sequence[str], root: Any, overwrite: bool = False) -> list[str]:
    """Writes a frame as Parquet; returns its columns of images, those that were named or those that hold images.

    Relative paths in them become paths below the folder `root`. Images that are cells themselves, and those of `root` where it
    is a list of them, are written into a folder beside the Parquet file.
    """
    folder = _pictures.Folder(path.with_suffix(".images"))
    try:
        if root is not None and not is_path(root):
            data, images = _beside(data, images, root, folder)
            root = None
        data, found = _taken_out(data, folder)
        images = list(images) or found
        base = Path(root if root is not None else ".").absolute()
        if (stream := _stream(data)) is not None:
            _native.write_stream(stream, path, images, base, overwrite)
        else:
            _native.write_columns({str(name): _list(data[name]) for name in names_of(data)}, path, images, base, overwrite)
    except BaseException:
        folder.undo()
        raise
    if overwrite:
        folder.tidy()
    # What a path is made of says where images are as a cell would.
    return [str(base / name) if "{" in name else name for name in images]


def _beside(data: Any, columns: Sequence[str], cells: Any, folder: _pictures.Folder) -> tuple[Any, list[str]]:
    """The frame with the images that were given beside it as a column."""
    cells = list(cells)
    names = list(columns) or ["image"]
    if len(names) > 1:
        raise ConfigError(f"`images` has one image a row, and there are {len(names)} columns of them", "put each into a column of the frame")
    if not columns and names[0] in names_of(data):
        raise ConfigError("`images` would replace the column `image`", "say image='image', or leave out `images`")
    if (rows := n_rows(data)) not in (None, len(cells)):
        raise ConfigError(f"there are {len(cells)} images for {rows} rows", "give one a row; None where there is none")
    return with_column(data, names[0], folder.keep(cells, names[0])), names


def _taken_out(data: Any, folder: _pictures.Folder) -> tuple[Any, list[str]]:
    """The frame with paths in the place of images, and the names of the columns that hold any."""
    found = []
    for name in _objects(data):
        cells = data[name]
        cells = cells.to_pylist() if hasattr(cells, "to_pylist") else list(cells)
        # Of a column that begins with gaps the first that is none.
        known = (cell for cell in cells if cell is not None and not (isinstance(cell, float) and cell != cell))
        if _pictures.is_picture(next(known, None)):
            data = with_column(data, name, folder.keep(cells, name))
            found.append(name)
    return data, found


def _objects(data: Any) -> list[str]:
    """The columns that can hold images, as their types say."""
    kind = type(data).__module__.split(".")[0]
    if isinstance(data, Mapping):
        return [name for name in data if not isinstance(name, bytes) and _may_hold(data[name])]
    if kind == "pandas":
        types = zip(data.columns, data.dtypes)
        return [name for name, of in types if str(of) == "object" or "binary" in str(of) or "struct" in str(of)]
    if kind == "polars":
        return [name for name, of in data.schema.items() if of.base_type().__name__ in ("Object", "Binary", "Struct")]
    if kind == "pyarrow":
        return [field.name for field in data.schema if "binary" in str(field.type) or str(field.type).startswith("struct")]
    return []


def _may_hold(column: Any) -> bool:
    """Of a list nothing is known; an array of numbers holds images where it has three axes or more."""
    numbers = getattr(getattr(column, "dtype", None), "kind", "O") in "biufM"
    return not numbers or getattr(column, "ndim", 1) > 2


def n_rows(data: Any) -> int | None:
    """How many rows a frame has; `None`: it does not say."""
    if isinstance(data, Mapping):
        return next((len(column) for column in data.values()), None)
    return getattr(data, "num_rows", None) or (len(data) if hasattr(data, "__len__") else None)


def _stream(data: Any) -> Any | None:
    """Its Arrow stream; `None` where it has none: no pyarrow beside pandas, columns of several types."""
    if not hasattr(data, "__arrow_c_stream__"):
        return None
    if type(data).__module__.split(".")[0] != "pandas":
        return data.__arrow_c_stream__()
    try:
        # The index is no column.
        return data.reset_index(drop=True).__arrow_c_stream__()
    except Exception:  # noqa: BLE001 - pyarrow's own errors, and ImportError without it: lists say the same
        return None


def _list(column: Any) -> list:
    cells = column.tolist() if hasattr(column, "tolist") else list(column)
    if len(cells) and type(cells[0]).__module__ == "numpy":
        cells = [cell.item() if hasattr(cell, "item") else cell for cell in cells]
    # pandas' own words for a missing cell.
    return [None if type(cell).__name__ in ("NAType", "NaTType") else cell for cell in cells]


def texts(target: Mapping[str, Any]) -> list[str]:
    """The columns of predictions that are text, whatever their cells look like."""
    names = ["image", "group", "problem"]
    return [*names, "prediction", f"true_{target['column']}"] if target.get("kind") == "class" else names


def build(columns: dict[str, list], like: str, index: Any = None) -> Any:
    """A frame of this kind; of a path, pandas where it is installed, else a dictionary of lists."""
    if like == "path":
        like = "pandas" if _has("pandas") else "dict"
    if like == "pandas":
        import pandas

        return pandas.DataFrame(columns, index=index)
    if like == "polars":
        import polars

        return polars.DataFrame(columns)
    if like == "pyarrow":
        import pyarrow

        return pyarrow.table(columns)
    return columns


def _has(module: str) -> bool:
    if module in sys.modules:
        return True
    from importlib.util import find_spec

    return find_spec(module) is not None


def with_column(data: Any, name: str, values: Any) -> Any:
    """The frame with this column, in the place of one of its name if there is one."""
    kind = kind_of(data)
    if kind == "pandas":
        return data.assign(**{name: list(values)})
    if kind == "polars":
        import polars

        return data.with_columns(polars.Series(name, list(values)))
    if kind == "pyarrow":
        import pyarrow

        column = pyarrow.array(list(values))
        if name in data.column_names:
            return data.set_column(data.column_names.index(name), name, column)
        return data.append_column(name, column)
    return {**data, name: list(values)}
