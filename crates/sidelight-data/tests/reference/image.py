"""Small images of every kind, and what Pillow makes of them.

Writes image/*.{jpg,png,webp,tif,bmp} and image.json beside this file.
`decoded`: upright RGB on white as hexadecimal, width, height; `resized`: Pillow's BILINEAR at several sizes.
Run: python image.py  (Pillow 13.0, NumPy)
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
OUT = HERE / "image"
OUT.mkdir(exist_ok=True)

W, H = 29, 21
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([x * 255 / (W - 1), y * 255 / (H - 1), (x + y) * 255 / (W + H - 2)], -1).round().astype(np.uint8)
rgb[4:9, 5:11] = [250, 20, 30]
rgb[12:18, 17:26] = [10, 60, 240]
picture = Image.fromarray(rgb)
alpha = (x * 255 / (W - 1)).round().astype(np.uint8)

decoded = {}


def keep(name, upright=None):
    """What Pillow reads, upright, transparency on white."""
    with Image.open(OUT / name) as image:
        image.load()
        if upright is None:
            upright = ImageOps.exif_transpose(image)
            if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                upright = upright.convert("RGBA")
                white = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(white, upright)
            upright = upright.convert("RGB")
    decoded[name] = {"width": upright.width, "height": upright.height, "rgb": upright.tobytes().hex()}


picture.save(OUT / "rgb.jpg", quality=90, subsampling=0)
keep("rgb.jpg")
picture.save(OUT / "subsampled.jpg", quality=90, subsampling=2)
keep("subsampled.jpg")
picture.save(OUT / "progressive.jpg", quality=90, subsampling=0, progressive=True)
keep("progressive.jpg")
picture.convert("L").save(OUT / "grey.jpg", quality=90)
keep("grey.jpg")
picture.convert("CMYK").save(OUT / "cmyk.jpg", quality=95)
keep("cmyk.jpg")
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    name = f"orientation_{orientation}.jpg"
    picture.save(OUT / name, quality=90, subsampling=0, exif=exif)
    keep(name)
picture.save(OUT / "rgb.png")
keep("rgb.png")
exif = Image.Exif()
exif[0x0112] = 6
picture.save(OUT / "orientation_6.webp", lossless=True, exif=exif)
keep("orientation_6.webp")
picture.quantize(16).save(OUT / "palette.png")
keep("palette.png")
picture.quantize(16).save(OUT / "palette_transparent.png", transparency=3)
keep("palette_transparent.png")
picture.convert("1").save(OUT / "one_bit.png")
keep("one_bit.png")
rgba = picture.copy()
rgba.putalpha(Image.fromarray(alpha))
rgba.save(OUT / "rgba.png")
keep("rgba.png")
rgba.convert("LA").save(OUT / "grey_alpha.png")
keep("grey_alpha.png")
# Pillow clips 16 bits instead of scaling them: the truth is computed here.
deep = (x.astype(np.float64) * 65535 / (W - 1)).round().astype(np.uint16)
Image.fromarray(deep).save(OUT / "grey_16.png")
shallow = ((deep.astype(np.float64)) / 257).round().astype(np.uint8)
keep("grey_16.png", Image.fromarray(shallow).convert("RGB"))
Image.fromarray(deep).save(OUT / "grey_16.tif")
keep("grey_16.tif", Image.fromarray(shallow).convert("RGB"))
picture.save(OUT / "rgb.webp", lossless=True)
keep("rgb.webp")
rgba.save(OUT / "rgba.webp", lossless=True, exact=True)
keep("rgba.webp")
picture.save(OUT / "lossy.webp", quality=90)
keep("lossy.webp")
picture.save(OUT / "rgb.tif", compression="tiff_lzw")
keep("rgb.tif")
picture.save(OUT / "jpeg.tif", compression="jpeg", quality=95)
keep("jpeg.tif")
picture.save(OUT / "rgb.bmp")
keep("rgb.bmp")
picture.convert("L").save(OUT / "grey.bmp")
keep("grey.bmp")

# Something with sharp detail at every scale, so that a wrong filter shows.
rng = np.random.default_rng(0)
noisy = (0.5 * rng.integers(0, 256, (47, 61, 3)) + 0.5 * np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1)))[:47, :61])
noisy = Image.fromarray(noisy.round().astype(np.uint8))
noisy.save(OUT / "noisy.png")
resized = {}
for size in (7, 16, 32, 80):
    resized[str(size)] = noisy.resize((size, size), Image.Resampling.BILINEAR).tobytes().hex()

# A photograph-like picture, large enough to be decoded at reduced scale: smooth shapes and fine texture.
big_w, big_h = 530, 370
yy, xx = np.mgrid[0:big_h, 0:big_w]
big = np.stack([
    128 + 90 * np.sin(xx / 37) * np.cos(yy / 29),
    128 + 90 * np.sin(xx / 61 + yy / 43),
    128 + 90 * np.cos(xx / 23 - yy / 71),
], -1)
big[90:200, 120:300] = [230, 210, 40]
big[(xx - 400) ** 2 + (yy - 250) ** 2 < 70**2] = [30, 40, 200]
big = Image.fromarray((big + rng.normal(0, 6, big.shape)).clip(0, 255).round().astype(np.uint8))
for name, options in {
    "big.jpg": dict(subsampling=2),
    "big_444.jpg": dict(subsampling=0),
    "big_422.jpg": dict(subsampling=1),
    "big_restarts.jpg": dict(subsampling=2, restart_marker_blocks=7),
}.items():
    big.save(OUT / name, quality=75, **options)
big.save(OUT / "big_progressive.jpg", quality=75, subsampling=2, progressive=True)
big.convert("L").save(OUT / "big_grey.jpg", quality=75)

(HERE / "image.json").write_text(json.dumps({"decoded": decoded, "resized": resized}, indent=0) + "\n")
