"""Two photographs in HEIC, and what libheif makes of them.

Writes image/heic_{grey,colour}.heic and the .rgb of each (width, height, pixels) beside this file. The colour one is to be
turned (EXIF orientation 6, which becomes HEIF's own `irot`).
Run: python heic.py  (pillow-heif 1.x with libheif 1.23, NumPy)
"""

from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
OUT = Path(__file__).parent / "image"

W, H = 48, 32
y, x = np.mgrid[0:H, 0:W]
# Smooth colours: the coarser grid that they are stored on does not show.
rgb = np.stack([x * 4 + 20, y * 6 + 10, 200 - x * 2 - y], -1).astype(np.uint8)


def write(name, picture, **how):
    path = OUT / f"heic_{name}.heic"
    picture.save(path, quality=90, chroma="420", **how)
    seen = Image.open(path).convert("RGB")
    sides = np.array([seen.width, seen.height], dtype="<u4").tobytes()
    path.with_suffix(".rgb").write_bytes(sides + seen.tobytes())


write("grey", Image.fromarray(rgb).convert("L"))
exif = Image.Exif()
exif[0x0112] = 6
write("colour", Image.fromarray(rgb), exif=exif.tobytes())
