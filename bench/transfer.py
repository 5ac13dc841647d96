#!/usr/bin/env python3
"""What pretrained weights are worth: fine-tuned, frozen, from scratch, on the image alone; a table for docs/results.md.

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/transfer.py [--seeds 1] [--sets houses,leaf] [--out FILE]

Frozen trains for as many epochs in all as fine-tuning does; from scratch trains everything for 10, as fine-tuning does after its frozen epochs. Finished runs are kept. Standard library only.
"""
import argparse, json, os, pathlib, statistics

from results import ROOT, train

WEIGHTS = {"mobilenet_v2": "mobilenet_v2-b0353104.pth", "efficientnet_lite0": "efficientnet-lite0-57934424.pth"}
SHOWN = {"houses": "mae", "leaf": "accuracy", "covid_cxr": "log_loss"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sets", default="houses,leaf,covid_cxr")
    parser.add_argument("--out", default="docs/transfer_table.md")
    args = parser.parse_args()
    lines = ["| set | metric | backbone | fine-tuned | frozen | from scratch |", "|---|---|---|---:|---:|---:|"]
    for name in args.sets.split(","):
        for backbone, weights in WEIGHTS.items():
            base = [f"model.backbone={backbone}", f"model.weights={os.environ['SIDELIGHT_WEIGHTS']}/{weights}"]
            cells = []
            epochs = None
            for kind in ["fine-tuned", "frozen", "scratch"]:
                values = []
                for seed in range(args.seeds):
                    extra = list(base)
                    if kind == "frozen":
                        extra += ["train.freeze=true", f"train.epochs={epochs}"]
                    if kind == "scratch":
                        extra += ["model.weights=none", "train.epochs=10"]
                    metrics = train(name, "image", seed, extra, f"{name}-image-{backbone}-{kind}-{seed}")
                    values.append(metrics["metrics"][SHOWN[name]])
                    if epochs is None:
                        log = ROOT / f"runs/results/{name}-image-{backbone}-{kind}-{seed}/log.jsonl"
                        epochs = next(e for e in map(json.loads, open(log)) if "epochs" in e)["epochs"]
                spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.4g}{spread}")
            lines.append(f"| {name} | {SHOWN[name]} | {backbone} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
            pathlib.Path(ROOT / args.out).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
