#!/usr/bin/env python3
"""How sure are points, and are they right about it? Measured on rows that were not trained on.

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/confidence.py [--rows 2000] [--head direct] [SET ...]

On `udacity_faces` points are hidden: a patch of noise covers some in half of the images, and a third of the images are cut
off so that some points lie outside. Told are the AUROC of `p*_conf` (which points are visible), its calibration error (ten
bins of equal width), the share of points outside that have .5 at most, and the mean of `p*_error` beside the mean error of
points that are there. Of the other sets the errors alone. A fifth of the units (persons, patients) is held out; frozen
steps and five epochs, or with --frozen as many frozen epochs as 300 steps take; everything else as it is by default. Needs
Pillow and NumPy.
"""
import argparse, csv, math, os, pathlib, random, tempfile

import numpy as np
from PIL import Image

from coverage import SIDELIGHT, run, write

SETS = {"udacity_faces": (68, "person", ["frame", "split"]), "frl_faces": (189, None, []), "cxr_lungs": (4, "patientid", [])}


def hide(row, points, image, chance):
    """Covers or cuts off some points; returns the image, the points in it, and which of them are visible."""
    pixels = np.asarray(image.convert("RGB")).copy()
    height, width = pixels.shape[:2]
    low, high = points.min(0), points.max(0)
    size = high - low
    covered = np.zeros(len(points), bool)
    if chance.random() < 0.5:
        middle = points[chance.randrange(len(points))]
        half = size * chance.uniform(0.12, 0.22)
        box = np.concatenate([middle - half, middle + half])
        left, top, right, bottom = np.clip(box, 0, [width, height, width, height]).round().astype(int)
        noise = np.random.default_rng(chance.randrange(1 << 30))
        patch = noise.normal(chance.uniform(40, 210), 25, (bottom - top, right - left, 3))
        pixels[top:bottom, left:right] = patch.clip(0, 255).astype(np.uint8)
        covered = ((points >= [left, top]) & (points < [right, bottom])).all(1)
    if chance.random() < 1 / 3:
        # One side of the frame goes through the face.
        axis, share = chance.randrange(2), chance.uniform(0.1, 0.35)
        if chance.random() < 0.5:
            cut = int(low[axis] + share * size[axis])
            pixels = pixels[cut:] if axis else pixels[:, cut:]
            points = points - ([0, cut] if axis else [cut, 0])
        else:
            cut = int(high[axis] - share * size[axis])
            pixels = pixels[:cut] if axis else pixels[:, :cut]
    sides = np.array(pixels.shape[1::-1])
    outside = ((points < 0) | (points > sides)).any(1)
    return Image.fromarray(pixels), points, covered, outside


def planted(rows, n_points, folder, seed):
    """The rows with points hidden, visibility as COCO has it."""
    (folder / "images").mkdir()
    chance, out = random.Random(seed), []
    for i, row in enumerate(rows):
        points = np.array([[float(row[f"x{p}"]), float(row[f"y{p}"])] for p in range(n_points)])
        image, points, covered, outside = hide(row, points, Image.open(row["file_name"]), chance)
        path = folder / "images" / f"{i}.png"
        image.save(path)
        row = {"file_name": str(path), **{k: v for k, v in row.items() if k != "file_name"}}
        for p, (x, y) in enumerate(points):
            row |= {f"x{p}": round(x, 3), f"y{p}": round(y, 3), f"v{p}": 0 if outside[p] else 1 if covered[p] else 2}
            if outside[p]:
                row |= {f"x{p}": "", f"y{p}": ""}
        out.append(row | {"outside": "".join(str(int(o)) for o in outside)})
    return out


def auroc(positive, negative):
    order = np.argsort(np.concatenate([positive, negative]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    return (ranks[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2) / len(positive) / len(negative)


def measure(name, n_rows, head, seed, frozen, settings, home):
    n_points, group, ignored = SETS[name]
    source = pathlib.Path(os.environ["SIDELIGHT_DATA"]) / name
    rows = list(csv.DictReader(open(source / "metadata.csv")))
    random.Random(seed).shuffle(rows)
    rows = [dict(row, file_name=str(source / row["file_name"])) for row in rows[:n_rows]]
    hides = name == "udacity_faces"
    rows = planted(rows, n_points, home, seed) if hides else rows
    units = sorted({row[group] if group else row["file_name"] for row in rows})
    random.Random(seed).shuffle(units)
    held = set(units[: len(units) // 5])
    is_held = lambda row: (row[group] if group else row["file_name"]) in held
    held_out, learned = [r for r in rows if is_held(r)], [r for r in rows if not is_held(r)]
    write(home / "learned.csv", learned)
    write(home / "held_out.csv", held_out)
    columns = [f"{axis}{p}" for p in range(n_points) for axis in "xy"]
    arguments = ["--group", group] if group else []
    for column in ignored + (["outside"] + [f"v{p}" for p in range(n_points)] if hides else []):
        arguments += ["--ignore", column]
    run(SIDELIGHT, "init", home / "learned.csv", "--target", ",".join(columns), "--out", home / "s.toml", *arguments)
    epochs = max(10, math.ceil(300 / math.ceil(0.8 * len(learned) / 32))) if frozen else 5
    of_model = ["model.backbone=mobilenet_v2", f"model.weights={os.environ['SIDELIGHT_WEIGHTS']}/mobilenet_v2-b0353104.pth",
                f"train.freeze={str(frozen).lower()}", f"train.epochs={epochs}", f"model.head={head}", *settings]
    if hides:
        of_model.append(f'target.visibility=["v0..v{n_points - 1}"]')
    if name != "cxr_lungs":
        of_model.append("model.arm=image")
    run(SIDELIGHT, "train", home / "s.toml", "--out", home / "run", *sum((["--set", s] for s in of_model), []))
    run(SIDELIGHT, "predict", home / "run", home / "held_out.csv", "--out", home / "said.csv")
    visible, conf, outside, errors, expected = [], [], [], [], []
    for row, said in zip(held_out, csv.DictReader(open(home / "said.csv")), strict=True):
        for p in range(n_points):
            conf.append(float(said[f"p{p}_conf"]))
            visible.append(row.get(f"v{p}", 2) in (2, "2"))
            outside.append(hides and row["outside"][p] == "1")
            if row[f"x{p}"] != "":
                errors.append(math.hypot(float(row[f"x{p}"]) - float(said[f"x{p}"]), float(row[f"y{p}"]) - float(said[f"y{p}"])))
                expected.append(float(said[f"p{p}_error"]))
    conf, visible, outside, errors, expected = map(np.array, (conf, visible, outside, errors, expected))
    cells = ["-"] * 4
    if hides:
        bins = np.minimum((conf * 10).astype(int), 9)
        ece = sum(abs(conf[bins == b].mean() - visible[bins == b].mean()) * (bins == b).mean() for b in range(10) if (bins == b).any())
        cells = [f"{1 - visible.mean():.3f}", f"{auroc(conf[visible], conf[~visible]):.3f}", f"{ece:.3f}", f"{(conf[outside] <= 0.5).mean():.3f}"]
    ranks = np.corrcoef(np.argsort(np.argsort(errors)), np.argsort(np.argsort(expected)))[0, 1]
    print(f"| {name}, {head} ({len(learned)} + {len(held_out)}) | {' | '.join(cells)} | {errors.mean():.2f} | {expected.mean():.2f} | {ranks:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--head", default="direct")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frozen", action="store_true", help="the backbone stays frozen")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting of the training")
    args = parser.parse_args()
    print("| set, head (rows) | hidden | AUROC | calibration error | outside at most .5 | error, px | expected, px | rank correlation |\n|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in args.sets or SETS:
        with tempfile.TemporaryDirectory() as home:
            measure(name, args.rows, args.head, args.seed, args.frozen, args.set, pathlib.Path(home))


if __name__ == "__main__":
    main()
