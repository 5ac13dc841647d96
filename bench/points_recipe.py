#!/usr/bin/env python3
"""Chooses the recipe for points on inner splits: a fifth of each set's persons, patients or images is never looked at.

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/points_recipe.py [--seeds 3] [--home FOLDER] [PART ...]

Parts: `shape` (what the shape of a heatmap counts), `loss-direct`, `loss-heatmap`, `size`, `augment`, `flip`, `epochs`. Of the others
a quarter is validated on, drawn anew for each seed; MobileNetV2, fine-tuned, all else by default.
With `--quote` the rows that are never looked at are scored, by networks that learn from all others: what is quoted.
Prints mean_px over the seeds; a line of several sets is compared with the first of its part by the mean of the ratios.
"""
import argparse, csv, json, math, os, pathlib, random, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA, WEIGHTS = pathlib.Path(os.environ["SIDELIGHT_DATA"]), pathlib.Path(os.environ["SIDELIGHT_WEIGHTS"])
SIDELIGHT = os.environ.get("SIDELIGHT", str(ROOT / "target/release/sidelight"))
# Group of rows that stay together, rows that are used of the training rows, epochs with everything trainable.
SETS = {"frl_faces": (None, None, 6), "cxr_lungs": ("patientid", None, 6), "udacity_faces": ("person", 900, 4)}
# 68 points of iBUG: pairs of the left and the right half.
IBUG = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)] + [(31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)] + [
    (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]
STRONG = ["augment.rotate=20", "augment.zoom=0.2", "augment.shift=0.1", "augment.light=0.3"]
NONE = ["augment.probability=0"]
PARTS = {
    "shape": [("direct", ["model.head=direct"])] + [(f"heatmap, {w}", ["model.head=heatmap", f"train.heatmap_loss={w}"]) for w in (0, 0.01, 0.05, 0.2, 1, 5)],
    **{f"loss-{head}": [(loss, [f"model.head={head}", f"train.loss={loss}"]) for loss in ("smooth_l1", "smooth_l1:0.02", "l1", "mse", "wing", "wing:0.05")]
       for head in ("direct", "heatmap")},
    "epochs": [(str(n), [f"train.epochs={n}"]) for n in (4, 10, 20)],
    "size": [(f"{size} px", [f"train.size={size}"]) for size in (128, 96, 192, 224)],
    "augment": [("default", []), ("none", NONE), ("strong", STRONG), ("half", ["augment.rotate=5", "augment.zoom=0.05", "augment.shift=0.025", "augment.light=0.1"])],
    "flip": [("no", []), ("with pairs", ["augment.flip=true", "target.symmetric=" + json.dumps(IBUG)])],
}


def tables(home, seeds, quote):
    """`{set: [table of each seed]}`, their rows marked by `is_valid`: inner ones, or all of a set."""
    made = {}
    for name, (group, limit, _) in SETS.items():
        with open(DATA / name / "metadata.csv", newline="") as f:
            rows = list(csv.DictReader(f))
        key = (lambda row: row[group]) if group else (lambda row: row["file_name"])
        units = sorted({key(row) for row in rows})
        random.Random(0).shuffle(units)
        outer = set(units[: math.ceil(len(units) / 5)])  # never looked at
        units = [unit for unit in units if unit not in outer]
        made[name] = []
        for seed in range(seeds):
            drawn = units[:]
            random.Random(100 + seed).shuffle(drawn)
            held = outer if quote else set(drawn[: math.ceil(len(drawn) / 4)])
            inner = [row for row in rows if quote or key(row) not in outer]
            random.Random(200 + seed).shuffle(inner)
            path = home / f"{name}-{'quote' if quote else seed}.csv"
            with open(path, "w", newline="") as f:
                writer = csv.DictWriter(f, [*rows[0], "is_valid"])
                writer.writeheader()
                for row in inner[: None if quote else limit]:
                    writer.writerow({**row, "file_name": DATA / name / row["file_name"], "is_valid": str(key(row) in held).lower()})
            made[name].append(path)
    return made


def run(name, table, seed, sets, out):
    if not (out / "metrics.json").is_file():
        words = [SIDELIGHT, "train", ROOT / f"bench/configs/{name}.toml", "--out", out, "--overwrite", "--quiet"]
        for item in [f"data.table={table}", "data.split.column=is_valid", f"model.weights={WEIGHTS}/mobilenet_v2-b0353104.pth",
                     f"train.epochs={SETS[name][2]}", f"train.seed={seed}", *sets]:
            words += ["--set", item]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
    return json.loads((out / "metrics.json").read_text())["metrics"]["mean_px"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[*PARTS]); parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--home", type=pathlib.Path, default=pathlib.Path("runs/points-recipe")); parser.add_argument("--sets", nargs="*", default=[*SETS])
    parser.add_argument("--base", nargs="*", default=[], help="settings of every line"); parser.add_argument("--quote", action="store_true")
    parser.add_argument("--lines", nargs="*", help="of a part these alone")
    args = parser.parse_args()
    args.home = args.home.absolute(); args.home.mkdir(parents=True, exist_ok=True)
    made = tables(args.home, args.seeds, args.quote)
    for part in args.parts:
        first = {}
        names = ["udacity_faces"] if part == "flip" else args.sets
        print(f"\n| {part} | " + " | ".join(names) + " | ratio |\n|---|" + "---:|" * (len(names) + 1))
        for label, sets in PARTS[part]:
            if args.lines and label not in args.lines:
                continue
            cells, ratios = [], []
            for name in names:
                code = "-".join([*["quote"] * args.quote, part, label, *args.base]).replace("/", "_").replace(" ", "_")
                found = [run(name, table, seed, [*args.base, *sets], args.home / name / f"{code}-{seed}") for seed, table in enumerate(made[name])]
                mean = sum(found) / len(found)
                first.setdefault(name, mean)
                ratios.append(mean / first[name])
                cells.append(f"{mean:.3f}")
            print(f"| {label} | " + " | ".join(cells) + f" | {sum(ratios) / len(ratios):.3f} |", flush=True)


if __name__ == "__main__":
    main()
