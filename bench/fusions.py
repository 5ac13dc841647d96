#!/usr/bin/env python3
"""Every way of joining metadata, on four real data sets over several seeds; a table for docs/results.md.

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/fusions.py [--seeds 3] [--out docs/fusion_table.md]

The runs are those of bench/results.py but for `model.fusion` and a backbone that stays frozen, for 30 epochs: what differs is then how the metadata joins, and a run takes seconds. Finished runs are kept. Standard library only.
"""
import argparse, pathlib, statistics

from results import ROOT, train

FUSIONS = ["concat", "sum-logits", "film", "daft", "metablock", "metanet", "gate", "attention"]
SHOWN = {"frl_faces": "mean_px", "houses": "mae", "covid_cxr": "log_loss", "cxr_lungs": "mean_px"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", default=",".join(SHOWN))
    parser.add_argument("--out", default="docs/fusion_table.md")
    args = parser.parse_args()
    sets = args.sets.split(",")

    # Seeds outermost: a table of one seed is there early, and every later one narrows it.
    values = {}
    for seed in range(args.seeds):
        for row in ["image", "metadata", *FUSIONS]:
            for name in sets:
                arm = row if row in ("image", "metadata") else "both"
                extra = ["train.freeze=true", "train.epochs=30"] + ([f"model.fusion={row}"] if arm == "both" else [])
                metrics = train(name, arm, seed, extra, f"{name}-frozen-{row}-{seed}")
                values.setdefault((row, name), []).append(metrics["metrics"][SHOWN[name]])
            write(args, sets, values)


def write(args, sets, values):
    lines = ["| fusion | " + " | ".join(f"{name}, {SHOWN[name]}" for name in sets) + " |", "|---|" + "---:|" * len(sets)]
    for row in ["image", "metadata", *FUSIONS]:
        cells = []
        for name in sets:
            found = values.get((row, name), [])
            spread = f" ± {statistics.stdev(found):.2g}" if len(found) > 1 else ""
            cells.append(f"{statistics.mean(found):.4g}{spread}" if found else "")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    pathlib.Path(ROOT / args.out).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
