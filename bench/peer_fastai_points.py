#!/usr/bin/env python3
"""Points in fastai, as its users write it: DataBlock, aug_transforms, create_head, fine_tune. Same rows, weights, size, epochs.

    python bench/peer_fastai_points.py RUN --mode frozen|fine-tune [--epochs N] [--threads 2]

RUN is a finished Sidelight run (arm image): its config.toml says what to read, its predictions.csv which rows are held
out. Prints one JSON line: mean distance over the held-out rows in pixels of the stored image, and seconds from the
first image to the last prediction (imports not counted).
"""
import argparse, csv, json, pathlib, time, tomllib
import numpy as np, pandas as pd, torch, torchvision
from fastai.vision.all import *

from peer_points import expand


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run"); parser.add_argument("--mode", default="fine-tune"); parser.add_argument("--epochs", type=int, default=3)
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
    started = time.time()
    set_seed(config["train"].get("seed", 0))
    size, batch = config["train"]["size"], config["train"].get("batch", 32)
    image = config["data"]["image"]
    points = data[names].to_numpy(np.float32).reshape(len(data), -1, 2)
    block = DataBlock(
        blocks=(ImageBlock, PointBlock), get_items=lambda d: range(len(d)), splitter=IndexSplitter(held),
        get_x=lambda i: table.parent / data[image][i], get_y=lambda i: torch.tensor(points[i]),
        item_tfms=Resize(size, ResizeMethod.Squish),
        batch_tfms=[*aug_transforms(do_flip=False, max_rotate=10, max_zoom=1.1, max_warp=0, max_lighting=0.2), Normalize.from_stats(*imagenet_stats)])
    dls = block.dataloaders(data, bs=batch, num_workers=args.threads)
    body = torchvision.models.mobilenet_v2()
    body.load_state_dict(torch.load(config["model"]["weights"], weights_only=True))
    head = create_head(1280, 2 * points.shape[1], y_range=(-1, 1))
    apply_init(head, nn.init.kaiming_normal_)
    learn = Learner(dls, nn.Sequential(nn.Sequential(body.features), head), loss_func=MSELossFlat(), splitter=default_split)
    with learn.no_bar(), learn.no_logging():
        if args.mode == "frozen":
            learn.freeze(); learn.fit_one_cycle(args.epochs, 2e-3)
        else:
            learn.fine_tune(args.epochs)
        predicted, _ = learn.get_preds(dl=dls.valid)
    predicted = (predicted.numpy().reshape(len(held), -1, 2) + 1) / 2
    sizes = np.array([PILImage.create(table.parent / data[image][i]).size for i in held], np.float32)[:, None, :]
    off = np.linalg.norm(predicted * sizes - points[held], axis=2)
    print(json.dumps({"peer": "fastai", "mode": args.mode, "epochs": args.epochs, "n_valid": len(held), "mean_px": float(np.nanmean(off)), "seconds": round(time.time() - started, 1)}))


if __name__ == "__main__":
    main()
