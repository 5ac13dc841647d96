#!/usr/bin/env python3
"""Columns with a known answer, planted beside real images: does `compare --quick` find what was planted, and nothing else?

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/truths.py [--rows 500] [--repeats 3] [--only noise50,xor,…] [--out table.md]

The images are faces of `utkface5k`, the target is planted upon them: whether a face is older than the median (of `classes`:
which third its age is in). A column that is worth b bits is the target seen through a channel that leaves b bits of it (a
binary symmetric one). What is right is known: columns of noise, a proxy of the image, and a column that turns round
between groups must not be said to help; the others must. The table: how often the verdict was right, the verdicts, and
the scores of the image, of the metadata and of both. Features of the images are computed once (`--cache`).
"""
import argparse, collections, csv, json, math, os, pathlib, random, statistics, tempfile

from coverage import SIDELIGHT, run

DATA = pathlib.Path(os.environ["SIDELIGHT_DATA"]) / "utkface5k"
WEIGHTS = pathlib.Path(os.environ["SIDELIGHT_WEIGHTS"]) / "mobilenet_v2-b0353104.pth"


def error_of(bits):
    """Error of a binary symmetric channel that leaves so many bits of an even coin."""
    entropy = lambda p: -p * math.log2(p) - (1 - p) * math.log2(1 - p)
    low, high = 1e-9, 0.5
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - entropy(middle) > bits else (low, middle)
    return middle


def channel(draw, target, bits):
    return int(target) ^ (draw.random() < error_of(bits))


def noise(draw, row, n):
    for i in range(n):
        row[f"noise{i}"] = draw.choice("abcd") if i % 5 == 4 else f"{draw.gauss(0, 1):.4f}"


def bits(b):
    def plant(draw, row, old, third, light):
        row["told"] = f"{channel(draw, old, b) + draw.gauss(0, 0.01):.4f}"
    return plant


def with_noise(n, inner=None):
    def plant(draw, row, old, third, light):
        if inner:
            inner(draw, row, old, third, light)
        noise(draw, row, n)
    return plant


def threshold(draw, row, old, third, light):
    """What counts is whether a skewed number lies in a band."""
    inside = channel(draw, old, 0.15)
    u = draw.uniform(0.55, 0.7) if inside else draw.choice([draw.uniform(0, 0.55), draw.uniform(0.7, 1)])
    row["dose"] = f"{math.exp(4 * u):.4f}"


def xor(draw, row, old, third, light):
    """Two columns that say nothing alone, each absent in a fifth of the rows."""
    a = draw.random() < 0.5
    b = a ^ bool(channel(draw, old, 0.4))
    for name, value in (("a", a), ("b", b)):
        row[name] = "" if draw.random() < 0.2 else str(value).lower()


def one_class(draw, row, old, third, light):
    """Tells the youngest third from the others, and nothing else."""
    row["told"] = f"{channel(draw, third == 0, 0.3) + draw.gauss(0, 0.01):.4f}"


def gaps(draw, row, old, third, light):
    """A number of no meaning that is absent more often where the face is old."""
    row["tested"] = "" if channel(draw, old, 0.15) else f"{draw.gauss(0, 1):.4f}"


def proxy(draw, row, old, third, light):
    """How light the image is: nothing that the image does not say."""
    row["light"] = f"{light + draw.gauss(0, 0.05):.4f}"


def turning(draw, row, old, third, light):
    """Tells the target, and its contrary in half of the groups: by groups that were not seen it says nothing."""
    told = channel(draw, old, 0.3)
    row["told"] = told if int(row["site"]) % 2 else 1 - told


TRUTHS = {  # name: what is planted, whether it helps, classes or not
    "noise1": (with_noise(1), False, 2),
    "noise10": (with_noise(10), False, 2),
    "noise50": (with_noise(50), False, 2),
    "bits.1": (bits(0.1), True, 2),
    "bits.3": (bits(0.3), True, 2),
    "bits.3+noise10": (with_noise(10, bits(0.3)), True, 2),
    "bits.3+noise50": (with_noise(50, bits(0.3)), True, 2),
    "threshold": (threshold, True, 2),
    "xor": (xor, True, 2),
    "one-class": (one_class, True, 3),
    "gaps": (gaps, True, 2),
    "proxy": (proxy, False, 2),
    "turning": (turning, False, 2),
}


def faces():
    from PIL import Image
    rows = list(csv.DictReader(open(DATA / "metadata.csv")))
    ages = sorted(float(row["age"]) for row in rows)
    cut = lambda share: ages[int(share * len(ages))]
    for row in rows:
        age = float(row["age"])
        row["old"], row["third"] = age > cut(0.5), (age > cut(1 / 3)) + (age > cut(2 / 3))
    light = {}
    def light_of(name):
        if name not in light:
            light[name] = sum(Image.open(DATA / name).convert("L").resize((16, 16)).getdata()) / 256 / 255
        return light[name]
    return rows, light_of


def table(folder, name, n, repeat, rows, light_of):
    plant, _, n_classes = TRUTHS[name]
    draw = random.Random(f"{name} {n} {repeat}")
    path = folder / "metadata.csv"
    out = []
    for face in draw.sample(rows, min(n, len(rows))):
        target = ["young", "old"][face["old"]] if n_classes == 2 else ["young", "middle", "old"][face["third"]]
        row = {"file_name": DATA / face["file_name"], "age_group": target}
        if name == "turning":
            row["site"] = draw.randrange(40)
        light = light_of(face["file_name"]) if name == "proxy" else 0
        plant(draw, row, face["old"], face["third"], light)
        out.append(row)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, out[0].keys())
        writer.writeheader()
        writer.writerows(out)
    return path


def compare(name, n, repeat, rows, light_of, cache):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        metadata = table(folder, name, n, repeat, rows, light_of)
        group = ["--group", "site"] if name == "turning" else []
        run(SIDELIGHT, "init", metadata, "--target", "age_group", *group, "--out", folder / "s.toml")
        run(SIDELIGHT, "compare", folder / "s.toml", "--quick", "--out", folder / "c", "--arms", "metadata,both", "--cache", cache,
            "--set", "model.backbone=mobilenet_v2", "--set", f"model.weights={WEIGHTS}", "--set", f"train.seed={repeat}",
            "--set", f"data.split.seed={repeat}")
        return json.loads((folder / "c/compare.json").read_text())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first repeat")
    parser.add_argument("--only")
    parser.add_argument("--out", type=pathlib.Path)
    asked = parser.parse_args()
    rows, light_of = faces()
    lines = [f"| planted ({asked.rows} rows) | is to be said | right | said | image | metadata | both | difference |", "|---|---|---:|---|---:|---:|---:|---:|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for name in asked.only.split(",") if asked.only else TRUTHS:
            helps, said, scores = TRUTHS[name][1], collections.Counter(), collections.defaultdict(list)
            for repeat in range(asked.first, asked.first + asked.repeats):
                answer = compare(name, asked.rows, repeat, rows, light_of, cache)
                said[answer["verdict"]["code"]] += 1
                for arm in answer["arms"]:
                    scores[arm["name"]].append(arm["mean"])
                scores["difference"].append(answer["decision"]["difference"])
            right = said["helps"] if helps else asked.repeats - said["helps"] - said["harms"]
            mean = lambda arm: f"{statistics.mean(scores[arm]):.3f}"
            words = ", ".join(f"{code} {n}" for code, n in said.most_common())
            lines.append(f"| {name} | {'helps' if helps else 'not helps, nor harms'} | {right} of {asked.repeats} | {words} | {mean('image')} | {mean('metadata')} | {mean('stacked')} | {mean('difference')} |")
            print(lines[-1], flush=True)
    if asked.out:
        asked.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
