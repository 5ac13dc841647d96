"""TIFF of other channels than grey and colours, and of other numbers, as tifffile writes them.

Writes image/bands_*.tif beside this file. The value of channel c at (x, y) is 3 x + 7 y + 40 c, times what the test says.
Run: python bands.py  (tifffile 2026.3, NumPy)
"""

from pathlib import Path

import numpy as np
import tifffile

OUT = Path(__file__).parent / "image"

W, H = 6, 4
y, x = np.mgrid[0:H, 0:W]


def bands(n):
    return np.stack([3 * x + 7 * y + 40 * c for c in range(n)], -1)


def write(name, values, **how):
    tifffile.imwrite(OUT / f"bands_{name}.tif", values, metadata=None, **how)


write("five", bands(5).astype(np.uint8), photometric="minisblack", planarconfig="contig", compression="zlib")
planes = np.moveaxis(bands(5) * 200, -1, 0).astype(np.uint16)
write("five_planar", planes, photometric="minisblack", planarconfig="separate")
write("two", bands(2).astype(np.uint8), photometric="minisblack", planarconfig="contig")
pages = np.moveaxis(bands(4), -1, 0).astype(np.uint8)
with tifffile.TiffWriter(OUT / "bands_pages.tif") as tiff:
    for page in pages:
        tiff.write(page, photometric="minisblack", metadata=None)
write("float", (bands(1)[..., 0] / 16 - 1).astype(np.float32), photometric="minisblack", compression="zlib")
write("signed", (bands(1)[..., 0] * 100 - 1000).astype(np.int16), photometric="minisblack")
infrared = bands(5).astype(np.uint8)
write("colours_and_two", infrared, photometric="rgb", planarconfig="contig", extrasamples=["unspecified"] * 2)
rgba = bands(4).astype(np.uint8)
write("rgba", rgba, photometric="rgb", planarconfig="contig", extrasamples=["unassalpha"])
