#!/usr/bin/env python3
"""Points in Ultralytics YOLO-pose, as its users write them: a folder of labels, a YAML, `train`, `predict`. Same rows, same size.

    python bench/peer_ultralytics_points.py RUN [--model yolo11n-pose.yaml] [--epochs 60] [--threads 2]

RUN is a finished Sidelight run (arm image): its config.toml says what to read, its predictions.csv which rows are held out.
YOLO-pose looks for boxes first: the box of an object is that of its points and a tenth more, one object an image; an image in
which it finds none counts as the mean of the training rows' points. From scratch where `--model` is a `.yaml`; a `.pt` is a
file of pretrained weights. Its own defaults, mosaic and mirroring off (no pairs are told). Prints one JSON line: mean distance
over the held-out rows in pixels of the stored image, in how many images nothing was found, and seconds from the first image to the last
prediction (imports not counted).
"""
import argparse, csv, json, os, pathlib, tempfile, time, tomllib

import numpy as np, pandas as pd
from PIL import Image
import torch
from ultralytics import YOLO, settings

from peer_points import expand


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run"); parser.add_argument("--model", default="yolo11n-pose.yaml"); parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    run = pathlib.Path(args.run)
    config = tomllib.loads((run / "config.toml").read_text())
    table = pathlib.Path(config["data"]["table"])
    data = pd.read_csv(table)
    names = expand(config["target"]["columns"])
    with open(run / "predictions.csv") as f:
        held = sorted({int(r["row"]) - 1 for r in csv.DictReader(f)})
    size, batch, seed = config["train"]["size"], config["train"].get("batch", 32), config["train"].get("seed", 0)
    points = data[names].to_numpy(np.float32).reshape(len(data), -1, 2)
    images = [table.parent / name for name in data[config["data"]["image"]]]
    sizes = np.array([Image.open(image).size for image in images], np.float32)[:, None, :]
    n = points.shape[1]
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        started = time.time()
        is_held = set(held)
        for i, image in enumerate(images):
            part = "val" if i in is_held else "train"
            for folder in ("images", "labels"):
                (home / folder / part).mkdir(parents=True, exist_ok=True)
            os.symlink(image.resolve(), home / "images" / part / f"{i:06}{image.suffix}")
            shares = points[i] / sizes[i]
            seen = ~np.isnan(shares).any(1) & (shares >= 0).all(1) & (shares <= 1).all(1)
            low, high = np.nanmin(shares[seen], 0), np.nanmax(shares[seen], 0)
            margin = (high - low) * 0.05
            low, high = (low - margin).clip(0, 1), (high + margin).clip(0, 1)
            cells = [0, *((low + high) / 2), *(high - low)]
            for place, is_seen in zip(shares, seen):
                cells += [*place, 2] if is_seen else [0, 0, 0]
            (home / "labels" / part / f"{i:06}.txt").write_text(" ".join(f"{x:.6g}" for x in cells) + "\n")
        (home / "data.yaml").write_text(f"path: {home}\ntrain: images/train\nval: images/val\nkpt_shape: [{n}, 3]\nflip_idx: {list(range(n))}\nnames: {{0: object}}\n")
        settings.update({"sync": False, "runs_dir": str(home / "runs")})
        model = YOLO(args.model)
        model.train(data=str(home / "data.yaml"), epochs=args.epochs, imgsz=size, batch=batch, seed=seed, device="cpu", workers=args.threads,
                    project=str(home / "runs"), name="peer", mosaic=0.0, fliplr=0.0, plots=False, val=False, verbose=False, exist_ok=True)
        model = YOLO(next((home / "runs").rglob("last.pt")))
        train = [i for i in range(len(images)) if i not in is_held]
        mean = np.nanmean(points[train] / sizes[train], 0)
        off, n_missed = [], 0
        for i in held:
            found = model.predict(str(images[i]), imgsz=size, conf=0.01, max_det=1, device="cpu", verbose=False)[0].keypoints
            is_found = found is not None and len(found.xy) > 0
            n_missed += not is_found
            at = found.xy[0].numpy() if is_found else mean * sizes[i]
            off.append(np.linalg.norm(at - points[i], axis=1))
        print(json.dumps({"peer": "ultralytics", "model": args.model, "epochs": args.epochs, "n_valid": len(held), "mean_px": float(np.nanmean(off)),
                          "median_px": float(np.nanmedian(np.nanmean(off, axis=1))), "nothing_found": n_missed, "seconds": round(time.time() - started, 1)}))


if __name__ == "__main__":
    main()
