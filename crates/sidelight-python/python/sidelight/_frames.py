"""Frames in and out: pandas, polars, pyarrow, dictionaries of lists, paths."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _native
from .errors import DataError


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


def write(data: Any, path: Path, images: Sequence[str], root: str | os.PathLike | None, overwrite: bool = False) -> None:
    """Writes a frame as Parquet; relative paths in its columns of images become paths below `root`."""
    base = Path(root if root is not None else ".").absolute()
    if (stream := _stream(data)) is not None:
        _native.write_stream(stream, path, list(images), base, overwrite)
        return
    _native.write_columns({str(name): _list(data[name]) for name in names_of(data)}, path, list(images), base, overwrite)


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
    """The frame with one more column."""
    kind = kind_of(data)
    if kind == "pandas":
        return data.assign(**{name: list(values)})
    if kind == "polars":
        import polars

        return data.with_columns(polars.Series(name, list(values)))
    if kind == "pyarrow":
        import pyarrow

        return data.append_column(name, pyarrow.array(list(values)))
    return {**data, name: list(values)}
