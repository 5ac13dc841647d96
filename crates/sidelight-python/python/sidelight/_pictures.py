"""Images that are cells of a frame and not files: pixels, pictures of PIL, the bytes of files."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from . import _native
from .errors import ImageError

#: The tag of EXIF that says which side of a picture is up.
ORIENTATION = 0x0112
#: How files of images begin, and the ending that they get.
ENDINGS = ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"II*\0", ".tif"), (b"MM\0*", ".tif"), (b"GIF8", ".gif"), (b"BM", ".bmp"))
#: What a kept file is called: a hash of what is in it.
KEPT = re.compile(r"[0-9a-f]{40}\.[a-z]+")


def is_pil(cell: Any) -> bool:
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(cell).__mro__)


def is_picture(cell: Any) -> bool:
    """Whether a cell is an image itself, and not its path. Of Hugging Face's data sets: `{"bytes": …, "path": …}`."""
    if isinstance(cell, Mapping):
        return set(cell) == {"bytes", "path"}
    if isinstance(cell, np.ndarray):
        return cell.ndim >= 2
    return isinstance(cell, (bytes, bytearray)) or is_pil(cell)


def pixels(image: Any) -> np.ndarray:
    """`[height, width, channels]` of uint8 or uint16, from an array or a picture of PIL."""
    found = np.asarray(_plain(image) if is_pil(image) else image)
    if found.dtype == bool:
        found = found.astype(np.uint8) * 255
    if found.dtype == np.int32 and is_pil(image) and found.size and 0 <= found.min() and found.max() < 2**16:
        # Older versions of PIL read 16 bits so.
        found = found.astype(np.uint16)
    if found.ndim == 2:
        found = found[:, :, None]
    if found.ndim != 3 or found.shape[2] not in (1, 2, 3, 4) or 0 in found.shape:
        first = found.ndim == 3 and found.shape[0] in (1, 3)
        raise ImageError(
            f"an array of shape {list(np.shape(found))} is no image",
            "channels come last: np.moveaxis(pixels, 0, -1)" if first else "give [height, width] or [height, width, channels], of 1 to 4 channels",
        )
    if found.dtype.kind != "u" or found.dtype.itemsize > 2:
        raise ImageError(
            f"pixels of {found.dtype} are neither uint8 nor uint16",
            "of numbers from 0 to 1: (pixels * 255).round().astype('uint8')",
        )
    return np.ascontiguousarray(found, dtype=found.dtype.newbyteorder("="))


def _plain(image: Any) -> Any:
    """A picture as the file that it came from is read: upright, its palette looked up."""
    if image.getexif().get(ORIENTATION, 1) != 1:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    is_transparent = "transparency" in image.info
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La"):
        return image.convert("RGBA" if is_transparent or image.mode in ("PA", "RGBa", "La") else "RGB")
    if is_transparent and image.mode in ("L", "RGB"):
        return image.convert("RGBA")
    return image


def png(image: np.ndarray) -> bytes:
    """As a file, without loss."""
    height, width, channels = image.shape
    return _native.encode_png(image.tobytes(), width, height, channels, image.dtype == np.uint16)


class Folder:
    """A folder of images beside a table. What is the same is one file, whose name is a hash of it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.used: set[str] = set()
        self._new: list[Path] = []

    def keep(self, cells: Iterable[Any], column: str) -> list[str | None]:
        """Writes the images among these cells; returns the path of each, a cell that is a path as it is."""
        cells = list(cells)
        # An object that is in several rows is read once, and by one thread.
        each = {id(cell): (row, cell) for row, cell in reversed(list(enumerate(cells, 1)))}
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as threads:
            paths = dict(zip(each, threads.map(lambda at: self._path(at[0], at[1], column), each.values())))
        return [paths[id(cell)] for cell in cells]

    def _path(self, row: int, cell: Any, column: str) -> str | None:
        try:
            return self._kept(cell)
        except ImageError as error:
            raise ImageError(error.message, error.hint, row=row, column=column) from error
        except (OSError, SyntaxError, ValueError) as error:
            # PIL's own, of a file that breaks off.
            raise ImageError(f"row {row}, column `{column}`: {error}", row=row, column=column) from error

    def _kept(self, cell: Any) -> str | None:
        if isinstance(cell, Mapping):
            cell = cell.get("bytes") or cell.get("path")
        if isinstance(cell, (str, os.PathLike)):
            return os.fspath(cell)
        if isinstance(cell, (bytes, bytearray)):
            content = bytes(cell)
            ending = next((ending for start, ending in ENDINGS if content.startswith(start)), ".img")
            return self._file(hashlib.sha256(content), ending, lambda: content)
        if isinstance(cell, np.ndarray) or is_pil(cell):
            image = pixels(cell)
            digest = hashlib.sha256(f"pixels {image.shape} {image.dtype.str} ".encode())
            digest.update(image.data)
            return self._file(digest, ".png", lambda: png(image))
        if cell is None or cell != cell or type(cell).__name__ == "NAType":
            return None
        raise ImageError(f"a {type(cell).__name__} is no image", "give paths, arrays, pictures of PIL or the bytes of files")

    def _file(self, digest: Any, ending: str, content: Any) -> str:
        file = self.path / f"{digest.hexdigest()[:40]}{ending}"
        self.used.add(file.name)
        if not file.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            # Two threads, or two processes, may write the same: each has a file of its own until it is whole.
            handle, partial = tempfile.mkstemp(dir=self.path, prefix=".", suffix=".partial")
            try:
                with os.fdopen(handle, "wb") as writer:
                    writer.write(content())
                os.replace(partial, file)
            except BaseException:
                Path(partial).unlink(missing_ok=True)
                raise
            self._new.append(file)
        return str(file)

    def undo(self) -> None:
        """Removes what was written here."""
        for file in self._new:
            file.unlink(missing_ok=True)
        if self._new and not any(self.path.iterdir()):
            self.path.rmdir()

    def tidy(self) -> None:
        """Removes what an earlier table kept here and this one does not."""
        if not self.path.is_dir():
            return
        for file in self.path.iterdir():
            if KEPT.fullmatch(file.name) and file.name not in self.used:
                file.unlink(missing_ok=True)


def names(image: str | Sequence[str] | None) -> list[str]:
    """The columns of images, as `image=` names them."""
    return [image] if isinstance(image, str) else list(image or [])
