#!/usr/bin/env python3
"""How often do the sets of `--coverage` hold the truth? Measured on held-out folds of real sets.

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/coverage.py [--coverage 0.9] [--folds 5] [--seed 0] [SET ...]

Each table is divided into folds (groups kept whole). For each, a model is trained on the other rows with the backbone
frozen (300 steps or more, as a quick comparison trains), with the defaults else; it predicts the held-out rows with
`--coverage`. A line a set: rows, units, coverage over all held-out rows (of points: over all points) and its standard error
from fold to fold, coverage with each unit counted once, and the mean size of a set.
"""
import argparse, csv, json, math, os, pathlib, random, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIDELIGHT = os.environ.get("SIDELIGHT", str(ROOT / "target/release/sidelight"))
SETS = {  # target columns, group, columns that are not metadata
    "houses": (["price"], None, []),
    "utkface5k": (["age"], None, []),
    "elpv": (["defective"], None, ["defect_probability"]),
    "katkam_weather": (["weather"], "week", ["weather_text"]),
    "covid_cxr": (["covid19"], "patientid", ["finding", "finding_group", "license", "location"]),
    "leaf": (["species"], None, ["genus"]),
    "cxr_lungs": ([f"{axis}{i}" for i in range(4) for axis in "xy"], "patientid", []),
    "frl_faces": ([f"{axis}{i}" for i in range(189) for axis in "xy"], None, []),
}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"$ {' '.join(map(str, command))}\n{done.stderr}")


def write(path, rows):
    with open(path, "w", newline="") as file:
        out = csv.DictWriter(file, rows[0].keys())
        out.writeheader()
        out.writerows(rows)


def folds_of(rows, group, n, seed):
    """The fold of each row: units in random order, dealt one by one."""
    units = list(dict.fromkeys(row[group] if group else i for i, row in enumerate(rows)))
    random.Random(seed).shuffle(units)
    fold = {unit: i % n for i, unit in enumerate(units)}
    return [fold[row[group] if group else i] for i, row in enumerate(rows)]


def outcomes(row, said, targets):
    """Of each part of a row whose truth is known: whether its set holds it, and how large the set is."""
    if "set" in said:
        if row[targets[0]]:
            names = json.loads(said["set"]) if said["set"].startswith("[") else said["set"].split("|")
            names = names if int(said["set_size"]) else []
            yield row[targets[0]] in names, len(names)
    elif "radius_0" in said:
        for i, (x, y) in enumerate(zip(targets[::2], targets[1::2])):
            if row[x] and row[y]:
                radius = float(said[f"radius_{i}"])
                yield math.hypot(float(row[x]) - float(said[x]), float(row[y]) - float(said[y])) <= radius, radius
    else:
        for name in targets:
            if row[name]:
                low, high = float(said[f"{name}_low"]), float(said[f"{name}_high"])
                yield low <= float(row[name]) <= high, high - low


def measure(name, coverage, n_folds, seed, settings, home):
    targets, group, ignored = SETS[name]
    source = pathlib.Path(os.environ["SIDELIGHT_DATA"]) / name
    rows = list(csv.DictReader(open(source / "metadata.csv")))
    for row in rows:
        row["file_name"] = str(source / row["file_name"])
    of_row = folds_of(rows, group, n_folds, seed)
    by_fold, by_unit, sizes = [], {}, []
    for fold in range(n_folds):
        folder = home / f"{name}-{fold}"
        folder.mkdir()
        held_out = [row for row, own in zip(rows, of_row) if own == fold]
        learned = [row for row, own in zip(rows, of_row) if own != fold]
        write(folder / "learned.csv", learned)
        write(folder / "held_out.csv", held_out)
        arguments = ["--group", group] if group else []
        for column in ignored:
            arguments += ["--ignore", column]
        run(SIDELIGHT, "init", folder / "learned.csv", "--target", ",".join(targets), "--out", folder / "s.toml", *arguments)
        epochs = max(10, math.ceil(300 / math.ceil(0.8 * len(learned) / 32)))
        of_model = ["model.backbone=mobilenet_v2", f"model.weights={os.environ['SIDELIGHT_WEIGHTS']}/mobilenet_v2-b0353104.pth",
                    "train.freeze=true", f"train.epochs={epochs}", *settings]
        run(SIDELIGHT, "train", folder / "s.toml", "--out", folder / "run", "--cache", home / "features", *sum((["--set", s] for s in of_model), []))
        run(SIDELIGHT, "predict", folder / "run", folder / "held_out.csv", "--coverage", coverage, "--out", folder / "said.csv")
        within = []
        for row, said in zip(held_out, csv.DictReader(open(folder / "said.csv")), strict=True):
            for is_within, size in outcomes(row, said, targets):
                within.append(is_within)
                sizes.append(size)
                by_unit.setdefault(row[group] if group else said["image"], []).append(is_within)
        by_fold.append(within)
    mean = lambda values: sum(values) / len(values)
    each = [mean(within) for within in by_fold]
    error = (sum((x - mean(each)) ** 2 for x in each) / (n_folds - 1) / n_folds) ** 0.5
    units = f"{len(rows)}, {len(by_unit)} {group}s" if group else f"{len(rows)}"
    kind = "classes" if len(targets) == 1 and all(float(size).is_integer() for size in sizes) else "px" if len(targets) > 1 else "wide"
    empty = f", {mean([size == 0 for size in sizes]):.1%} empty" if kind == "classes" else ""
    print(f"| {name} ({units}) | {mean(sum(by_fold, [])):.3f} | {error:.3f} | {mean([mean(x) for x in by_unit.values()]):.3f} "
          f"| {mean(sizes):.4g} {kind}{empty} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--coverage", type=float, default=0.9)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting of the training")
    args = parser.parse_args()
    print("| set (rows) | coverage | standard error | by unit | mean size of a set |\n|---|---:|---:|---:|---|")
    for name in args.sets or SETS:
        with tempfile.TemporaryDirectory() as home:
            measure(name, args.coverage, args.folds, args.seed, args.set, pathlib.Path(home))


if __name__ == "__main__":
    main()
