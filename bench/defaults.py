#!/usr/bin/env python3
"""What `sidelight init` writes, beside a small network from scratch and the other backbone whose weights can be had.

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/defaults.py [--seeds 2] [--home FOLDER] [SET ...]

Each configuration is `init`'s own, nothing changed but the backbone and its weights (from the folder, where `weights = "auto"` would
fetch them from the hub); image and metadata; a fifth of the rows, or of the groups, is held out, another fifth for each seed.
Standard library only; finished runs are kept.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA, WEIGHTS = pathlib.Path(os.environ["SIDELIGHT_DATA"]), pathlib.Path(os.environ["SIDELIGHT_WEIGHTS"])
SIDELIGHT = os.environ.get("SIDELIGHT", str(ROOT / "target/release/sidelight"))
POINTS = lambda n: ",".join(f"{axis}{i}" for i in range(n) for axis in "xy")
# Target, group, columns that are no metadata.
SETS = {
    "houses": ("price", None, ()),
    "leaf": ("species", None, ("genus",)),
    "covid_cxr": ("covid19", "patientid", ("finding", "finding_group", "license", "location")),
    "cxr_lungs": (POINTS(4), "patientid", ()),
    "frl_faces": (POINTS(68), None, ()),
    "elpv": ("defective", None, ("defect_probability",)),
    "katkam_weather": ("weather", "week", ("weather_text",)),
    "utkface5k": ("age", None, ()),
}
NETWORKS = {
    "mobilenet_v2, pretrained: the default": ("mobilenet_v2", "mobilenet_v2-b0353104.pth"),
    "small_cnn, from scratch": ("small_cnn", None),
    "efficientnet_lite0, pretrained": ("efficientnet_lite0", "efficientnet-lite0-57934424.pth"),
}


def sidelight(*words):
    done = subprocess.run([SIDELIGHT, *map(str, words), "--quiet"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def run(name, backbone, weights, seed, home):
    out = home / f"{name}-{backbone}-{seed}"
    if not (out / "metrics.json").is_file():
        target, group, ignored = SETS[name]
        config = home / f"{name}-{backbone}.toml"
        words = ["init", DATA / name / "metadata.csv", "--target", target, "--out", config, "--overwrite"]
        words += ["--group", group] if group else []
        words += [word for column in ignored for word in ("--ignore", column)]
        weights = "none" if weights is None else WEIGHTS / weights
        sidelight(*words, "--set", f"model.backbone={backbone}", "--set", f"model.weights={weights}")
        sidelight("train", config, "--out", out, "--overwrite", "--set", f"train.seed={seed}", "--set", f"data.split.seed={seed}")
    found = json.loads((out / "metrics.json").read_text())
    return found["metrics"], found["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[*SETS]); parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--home", type=pathlib.Path, default=pathlib.Path("runs/defaults"))
    args = parser.parse_args()
    args.home.mkdir(parents=True, exist_ok=True)
    home = args.home.absolute()
    print("| set | metric | " + " | ".join(NETWORKS) + " |\n|---|---|" + "---:|" * len(NETWORKS))
    for name in args.sets or SETS:
        cells, metric = [], None
        for backbone, weights in NETWORKS.values():
            runs = [run(name, backbone, weights, seed, home) for seed in range(args.seeds)]
            metric = metric or next(iter(runs[0][0]))
            values, seconds = [metrics[metric] for metrics, _ in runs], statistics.mean(seconds for _, seconds in runs)
            cells.append(f"{statistics.mean(values):.4g} ({min(values):.4g} to {max(values):.4g}), {seconds:.0f} s")
        print(f"| {name} | {metric} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
