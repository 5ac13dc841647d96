#!/usr/bin/env python3
"""Does `explain` look where the truth was planted? At several input sizes, for classes, values (up and down) and points.

    SIDELIGHT_WEIGHTS=… python3 bench/where.py [--sizes 64,96,128,224] [--rows 900] [--held 90] [TRUTH ...]

In every picture of 256 × 256 pixels, on a ground of blurred noise, lie plain patches of any colour, orange and purple too, and
one checked in grey, 36 to 60 pixels a side; in two thirds of them one checked in orange or purple as well, which decides: its
colour is the class (`none` where there is none); the value is 100 and 40 more (orange) or less (purple); the point lies 50
pixels to the right of its middle (there are no pictures without it then). A model is trained on each with pretrained
MobileNetV2 and the defaults else, and serves held-out rows. Told is in how many of the rows that have the patch and are
predicted right the largest change of the map, whatever its sign, lies in the patch, and in the patch or within half the
smallest window of it; of values and classes also how often that change is of the right sign. Needs Pillow and NumPy.
"""
import argparse, csv, json, math, os, pathlib, random, subprocess, sys, tempfile, time, urllib.request

import numpy as np
from PIL import Image

from coverage import SIDELIGHT, run, write

SIDE, OFFSET = 256, 50
TRUTHS = {  # targets and settings
    "class": (["kind"], ["train.epochs=4"]),
    "value": (["value"], ["train.epochs=4"]),
    "point": (["x", "y"], ["train.epochs=8"]),
}
COLOURS = {"orange": (235, 130, 20), "purple": (130, 40, 190)}


def scene(draw):
    """A picture, the checked patch in it (left, top, side) and its colour; `none`: there is none."""
    noise = np.random.default_rng(draw.randrange(1 << 30))
    ground = Image.fromarray(noise.integers(40, 216, (12, 12, 3), dtype=np.uint8))
    picture = np.asarray(ground.resize((SIDE, SIDE), Image.BICUBIC)).copy()
    boxes = []
    while len(boxes) < 5:
        side = draw.randrange(36, 61)
        # The point beside the patch lies in the picture too.
        left, top = draw.randrange(SIDE - side - OFFSET * (not boxes)), draw.randrange(SIDE - side)
        if all(left + side <= l or l + s <= left or top + side <= t or t + s <= top for l, t, s in boxes):
            boxes.append((left, top, side))
    kind = draw.choice([*COLOURS, "none"])
    any_colour = lambda: draw.choice([*COLOURS.values(), tuple(draw.randrange(256) for _ in range(3))])
    colours = [COLOURS.get(kind), (110, 110, 110), any_colour(), any_colour(), any_colour()]
    for at, ((left, top, side), colour) in enumerate(zip(boxes, colours)):
        if colour is None:
            continue
        cells = np.arange(side) * 4 // side % 2
        is_white = (cells[:, None] ^ cells) & (at < 2)
        picture[top:top + side, left:left + side] = np.where(is_white[..., None], 245, colour)
    return Image.fromarray(picture), boxes[0], kind


def plant(home, n, seed):
    draw, rows = random.Random(seed), []
    for i in range(n):
        picture, (left, top, side), kind = scene(draw)
        picture.save(home / f"{i}.png")
        value = 100 + {"orange": 40, "purple": -40, "none": 0}[kind] + draw.gauss(0, 3)
        rows.append({"file_name": f"{i}.png", "kind": kind, "value": f"{value:.3f}", "x": left + side / 2 + OFFSET,
                     "y": top + side / 2, "left": left, "top": top, "side": side})
    return rows


def is_right(row, said):
    if "class" in said:
        return said["class"] == row["kind"]
    if "values" in said:
        return abs(said["values"]["value"] - float(row["value"])) < 20
    x, y = said["points"][0][:2]
    return math.hypot(x - row["x"], y - row["y"]) < row["side"] / 2


def peak(heat):
    """Where the largest change is, in pixels of the stored picture, and the change."""
    values = np.array(heat["values"]).reshape(heat["height"], heat["width"])
    row, column = np.unravel_index(np.abs(values).argmax(), values.shape)
    a, b, c, d, e, f = heat["to_stored"]
    x, y = column + 0.5, row + 0.5
    return a * x + b * y + c, d * x + e * y + f, values[row, column]


def served(run_folder, home, rows):
    """What the server says of each row."""
    log = open(home / "serve.log", "w+")
    server = subprocess.Popen([SIDELIGHT, "serve", run_folder, "--addr", "127.0.0.1:0", "--timeout", "600"], stdout=log, stderr=log)
    try:
        url = None
        while url is None:
            time.sleep(0.2)
            if server.poll() is not None:
                sys.exit((home / "serve.log").read_text())
            words = open(home / "serve.log").read().split()
            url = next((word.rstrip("/") for word in words if word.startswith("http://")), None)
        for row in rows:
            body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
            body += (home / row["file_name"]).read_bytes() + b"\r\n--b--\r\n"
            request = urllib.request.Request(f"{url}/v1/explain", body, {"Content-Type": "multipart/form-data; boundary=b"})
            yield json.load(urllib.request.urlopen(request))
    finally:
        server.terminate()
        server.wait()


def measure(truth, size, rows, n_held, home, backbone, settings):
    targets, of_truth = TRUTHS[truth]
    has_patch = [row for row in rows if row["kind"] != "none"]
    held = has_patch[:n_held]
    learned = [row for row in (has_patch if truth == "point" else rows) if row not in held]
    columns = ["file_name", *targets]
    write(home / "learned.csv", [{c: row[c] for c in columns} for row in learned])
    folder = home / f"{truth}-{size}"
    config = folder.with_suffix(".toml")
    weights = {"mobilenet_v2": "mobilenet_v2-b0353104.pth"}.get(backbone)
    of_model = ["model.arm=image", f"train.size={size}", f"model.backbone={backbone}", *of_truth, *settings]
    if weights:
        of_model.append(f"model.weights={os.environ['SIDELIGHT_WEIGHTS']}/{weights}")
    start = time.time()
    if not (folder / "report.html").exists():
        run(SIDELIGHT, "init", home / "learned.csv", "--target", ",".join(targets), "--out", config)
        run(SIDELIGHT, "train", config, "--out", folder, *sum((["--set", s] for s in of_model), []))
    trained = time.time() - start
    n_right, inside, near, signed = 0, 0, 0, 0
    start = time.time()
    for row, why in zip(held, served(folder, home, held), strict=True):
        if not is_right(row, why["prediction"]):
            continue
        n_right += 1
        x, y, change = peak(why["heat"])
        margin = SIDE / why["heat"]["width"] / 2
        off = max(row["left"] - x, x - row["left"] - row["side"], row["top"] - y, y - row["top"] - row["side"])
        inside += off <= 0
        near += off <= margin
        signed += (change > 0) == (truth != "value" or row["kind"] == "orange")
    share = lambda n: f"{n / n_right:.3f}" if n_right else "-"
    sign = "–" if truth == "point" else share(signed)
    print(f"| {truth} | {size} | {n_right} of {n_held} | {share(inside)} | {share(near)} | {sign} |", flush=True)
    print(f"{trained:.0f} s trained, {time.time() - start:.0f} s explained", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truths", nargs="*", metavar="TRUTH", help=", ".join(TRUTHS))
    parser.add_argument("--sizes", default="64,96,128,224")
    parser.add_argument("--rows", type=int, default=900)
    parser.add_argument("--held", type=int, default=90)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting of the training")
    parser.add_argument("--home", type=pathlib.Path, help="where runs are kept, and taken from if they are there")
    args = parser.parse_args()
    print("| truth | size | predicted right | peak in the patch | within half a window | of the right sign |\n|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as temporary:
        home = args.home or pathlib.Path(temporary)
        home.mkdir(exist_ok=True)
        rows = plant(home, args.rows, 0)
        for size in map(int, args.sizes.split(",")):
            for truth in args.truths or TRUTHS:
                measure(truth, size, rows, args.held, home, args.backbone, args.set)


if __name__ == "__main__":
    main()
