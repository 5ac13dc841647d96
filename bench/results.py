#!/usr/bin/env python3
"""Trains image / metadata / both on the real data sets over several seeds and writes the table for docs/results.md.

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/results.py [--seeds 3] [--sets houses,leaf] [--out docs/results_table.md]

Finished runs are kept under runs/results/ and not repeated. Standard library only.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOWN = {"points": ["mean_px", "mean_nme"], "class": ["accuracy", "balanced_accuracy", "auroc", "log_loss"], "value": ["mae", "rmse", "r2"]}


def train(name, arm, seed, extra, folder=None):
    """One run through the command a user would type; returns its metrics.json and the command."""
    data, weights = os.environ["SIDELIGHT_DATA"], os.environ["SIDELIGHT_WEIGHTS"]
    out = ROOT / "runs/results" / (folder or f"{name}-{arm}-{seed}")
    sets = [f"data.table={data}/{name}/metadata.csv", f"model.weights={weights}/mobilenet_v2-b0353104.pth",
            f"model.arm={arm}", f"train.seed={seed}", f"data.split.seed={seed}", *extra]
    command = [os.environ.get("SIDELIGHT", "target/release/sidelight"), "train", f"bench/configs/{name}.toml", "--out", str(out.relative_to(ROOT))]
    for s in sets:
        command += ["--set", s]
    if not (out / "metrics.json").exists():
        if out.exists():
            command.append("--resume")
        print("$", " ".join(command), file=sys.stderr, flush=True)
        subprocess.run(command, cwd=ROOT, check=True)
    return json.loads((out / "metrics.json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", default="frl_faces,leaf,houses,covid_cxr,cxr_lungs")
    parser.add_argument("--out", default="docs/results_table.md")
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    lines = []
    for name in args.sets.split(","):
        table = {}
        for arm in ["image", "metadata", "both"]:
            table[arm] = [train(name, arm, seed, args.set) for seed in range(args.seeds)]
        first = table["both"][0]
        names = [m for m in SHOWN[first["task"]] if m in first["metrics"]]
        lines += [f"\n### {name} ({first['task']}; n = {first['rows']['train']} training, {first['rows']['valid']} validation rows)\n",
                  "| arm | " + " | ".join(names) + " | seconds |", "|---|" + "---:|" * (len(names) + 1)]
        for arm, runs in table.items():
            cells = []
            for m in names:
                v = [r["metrics"][m] for r in runs]
                spread = statistics.stdev(v) if len(v) > 1 else 0.0
                cells.append(f"{statistics.mean(v):.4g} ± {spread:.2g}")
            seconds = statistics.mean(r["seconds"] for r in runs)
            lines.append(f"| {arm} | " + " | ".join(cells) + f" | {seconds:.0f} |")
        pathlib.Path(ROOT / args.out).write_text("\n".join(lines).lstrip() + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
