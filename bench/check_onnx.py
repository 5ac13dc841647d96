#!/usr/bin/env python3
"""Runs exported models in ONNX Runtime on real rows and compares them with `sidelight predict`.

    SIDELIGHT_DATA=… SIDELIGHT_WEIGHTS=… python3 bench/check_onnx.py [--rows 200] [--only houses-film,…] [--zoo] [--out docs/export_table.md]
    python3 bench/check_onnx.py --docs
    python3 bench/check_onnx.py --cases /tmp/cases --golden crates/sidelight/tests/it/export.json

Needs onnxruntime, numpy, pillow; for --zoo's and docs/export.md's PyTorch part torch, torchvision and safetensors.
Runs are kept under runs/export/ and not repeated. The images are written as PNG first, so that both sides see the same
pixels: decoding is the caller's. Exit code 1 where a difference is above 1e-4 of the output's scale.
"""
import argparse, csv, json, math, os, pathlib, shutil, subprocess, sys, tempfile, time

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIDELIGHT = os.environ.get("SIDELIGHT", str(ROOT / "target/release/sidelight"))
QUICK = ["train.freeze=true", "train.epochs=4", "data.limit=400"]
TOLERANCE = 1e-4
COVERAGE = 0.8
# name: data set, settings. Together all tasks, and every fusion on real rows.
REAL = {
    "houses-concat": ("houses", QUICK + ["model.fusion=concat"]),
    "houses-film": ("houses", QUICK + ["model.fusion=film"]),
    "houses-daft-crop": ("houses", QUICK + ["model.fusion=daft", "train.resize=crop"]),
    "houses-metadata": ("houses", QUICK + ["model.arm=metadata"]),
    "leaf-concat": ("leaf", QUICK + ["model.fusion=concat"]),
    "leaf-image": ("leaf", QUICK + ["model.arm=image"]),
    "leaf-metablock-pad": ("leaf", QUICK + ["model.fusion=metablock", "train.resize=pad"]),
    "leaf-sum-logits": ("leaf", QUICK + ["model.fusion=sum-logits"]),
    "frl_faces-concat": ("frl_faces", QUICK + ["model.fusion=concat"]),
    "frl_faces-heatmap": ("frl_faces", QUICK + ["model.head=heatmap"]),
    "frl_faces-heatmap-film": ("frl_faces", QUICK + ["model.head=heatmap", "model.fusion=film"]),
    "frl_faces-attention-crop": ("frl_faces", QUICK + ["model.fusion=attention", "train.resize=crop"]),
    "udacity_faces-image": ("udacity_faces", QUICK + ["data.ignore=[\"frame\"]"]),
    "udacity_faces-image-pad": ("udacity_faces", QUICK + ["data.ignore=[\"frame\"]", "train.resize=pad"]),
    "covid_cxr-metanet": ("covid_cxr", QUICK + ["model.fusion=metanet"]),
    "covid_cxr-gate-crop": ("covid_cxr", QUICK + ["model.fusion=gate", "train.resize=crop"]),
    "houses-stacked": ("houses", QUICK),
    "leaf-stacked": ("leaf", QUICK),
    "covid_cxr-stacked": ("covid_cxr", QUICK),
    "kinds-classes": ("kinds", QUICK),
}
BACKBONES = ["small_cnn", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_lite0", "efficientnet_b0",
             "resnet18", "resnet34", "resnet50", "resnet101", "convnext_tiny", "vit_s16", "dinov2_s14",
             "mobilenetv4_conv_small", "mobilenetv4_conv_medium", "efficientnet_lite1", "efficientnet_lite2", "hgnetv2_b0", "hgnetv2_b1",
             "hgnetv2_b2", "regnety_016", "convnext_atto", "convnext_femto", "convnext_pico", "convnext_nano"]
FUSIONS = ["film", "daft", "metablock", "metanet", "gate", "attention", "concat", "sum-logits"]
# Each backbone from scratch, a few steps at a high rate, so that nothing is left as it starts; 112 is a multiple of 14 and 16.
ZOO = {f"zoo-{b}": ("kinds", ["data.limit=24", "train.size=112", "train.epochs=8", "train.batch=8", "train.learning_rate=0.002",
                              f"model.backbone={b}", f"model.fusion={FUSIONS[i % len(FUSIONS)]}", "model.weights=none"])
       for i, b in enumerate(BACKBONES)}


def kinds(folder):
    """A table with every kind of column, made of the houses: the images are real, some columns are derived."""
    source = pathlib.Path(os.environ["SIDELIGHT_DATA"]) / "houses"
    rows = list(csv.DictReader(open(source / "metadata.csv")))
    with open(folder / "kinds.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["file_name", "dear", "large", "sold", "heading", "area", "pool", "zipcode", "bedrooms"])
        for i, row in enumerate(rows):
            gap = lambda every, value: "" if i % every == 0 else value
            out.writerow([source / row["file_name"], int(float(row["price"]) > 5e5), int(float(row["area"]) > 2500),
                          gap(11, f"20{10 + i % 15}-{1 + i % 12:02}-{1 + i % 28:02}T{i % 24:02}:{i % 60:02}:00"),
                          gap(7, (i * 37) % 360), gap(9, row["area"]), gap(5, ["yes", "no"][i % 3 == 0]),
                          gap(13, row["zipcode"]), f"{row['bedrooms']} rooms"])
    (folder / "kinds.toml").write_text('''[data]
table = "kinds.csv"
image = "file_name"
[target]
kind = "multilabel"
columns = ["dear", "large"]
[metadata]
sold = "datetime"
heading = { kind = "continuous", scale = "periodic", period = 360.0 }
area = { kind = "continuous", scale = "quantile" }
pool = "boolean"
zipcode = { kind = "categorical", encoding = "embedding" }
bedrooms = "categorical"
[model]
backbone = "mobilenet_v2"
[train]
size = 128
''')


def run(*command):
    found = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if found.returncode:
        sys.exit(f"$ {' '.join(map(str, command))}\n{found.stderr}")
    return found.stdout


def train(name, data, settings, home):
    """The folder of a small run, trained where it is not there."""
    folder = home / name
    if not (folder / "metrics.json").exists():
        weights = os.environ["SIDELIGHT_WEIGHTS"] + "/mobilenet_v2-b0353104.pth"
        table = home / "kinds.csv" if data == "kinds" else pathlib.Path(os.environ["SIDELIGHT_DATA"]) / data / "metadata.csv"
        config = home / "kinds.toml" if data == "kinds" else ROOT / f"bench/configs/{data}.toml"
        sets = [f"data.table={table}"] + ([] if any("model.weights" in s for s in settings) else [f"model.weights={weights}"]) + settings
        run(SIDELIGHT, "train", config, "--out", folder, "--overwrite", *sum((["--set", s] for s in sets), []))
    return folder, table_of(data, home)


def table_of(data, home):
    return home / "kinds.csv" if data == "kinds" else pathlib.Path(os.environ["SIDELIGHT_DATA"]) / data / "metadata.csv"


def rows_of(table, n, folder):
    """n rows spread over a table, their images written as upright PNG, and the table of these."""
    rows = list(csv.DictReader(open(table)))
    rows = [rows[i * len(rows) // min(n, len(rows))] for i in range(min(n, len(rows)))]
    pictures = folder / "png"
    pictures.mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(rows):
        path = pictures / f"{i}.png"
        if not path.exists():
            ImageOps.exif_transpose(Image.open(table.parent / row["file_name"])).convert("RGB").save(path, compress_level=1)
        row["original"], row["file_name"] = str(table.parent / row["file_name"]), str(path)
    written = [folder / "rows.csv", folder / "originals.csv"]
    for path, image in zip(written, ["file_name", "original"]):
        with open(path, "w", newline="") as file:
            out = csv.DictWriter(file, [key for key in rows[0] if key != "original"], extrasaction="ignore")
            out.writeheader()
            out.writerows({**row, "file_name": row[image]} for row in rows)
    return rows, written


def number(text):
    """A cell as the graph wants it: a number, a truth value as 1 or 0, a moment as seconds; NaN where it is missing."""
    text = text.strip()
    if not text:
        return math.nan
    truth = {"true": 1.0, "yes": 1.0, "t": 1.0, "y": 1.0, "false": 0.0, "no": 0.0, "f": 0.0, "n": 0.0}
    if text.lower() in truth:
        return truth[text.lower()]
    try:
        return float(text)
    except ValueError:
        try:
            return np.datetime64(text).astype("datetime64[ms]").astype(float) / 1000
        except ValueError:
            return math.nan


class Graph:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 2
        self.session = onnxruntime.InferenceSession(str(path), options)
        meta = self.session.get_modelmeta().custom_metadata_map
        self.columns, self.names, self.size = json.loads(meta["columns"]), json.loads(meta["names"]), int(meta["size"])

    def __call__(self, image, cells):
        """The outputs of one row, by name."""
        outputs = self.session.run(None, self.feed(image, cells))
        return {port.name: value[0] for port, value in zip(self.session.get_outputs(), outputs)}

    def feed(self, image, cells):
        """The inputs of one row. `image`: [height, width, 3] bytes; `cells`: text or numbers by column."""
        feed = {}
        for port in self.session.get_inputs():
            if port.name == "image":
                feed["image"] = self.form(image, port)
            elif port.name == "has_images":
                feed["has_images"] = np.array([[float(one is not None) for one in image.values()]], np.float32)
            elif port.name.startswith("image."):
                # What stands for an image that is missing counts for nothing.
                one = image[port.name.removeprefix("image.")]
                feed[port.name] = self.form(np.full((self.size, self.size, 3), 77, np.uint8) if one is None else one, port)
            elif port.name == "image_size":
                feed["image_size"] = np.array([[self.sides[0], self.sides[1]]], np.int64)
            else:
                cell = cells[self.columns[port.name]]
                if "string" in port.type:
                    feed[port.name] = np.array([str(cell).strip()], dtype=object)
                else:
                    cell = number(cell) if isinstance(cell, str) else math.nan if cell is None else cell
                    feed[port.name] = np.array([cell], np.float64)
        return feed

    def is_equal_in_a_batch(self, feeds):
        """Whether rows say in one batch what they say alone."""
        batch = self.session.run(None, {key: np.concatenate([feed[key] for feed in feeds]) for key in feeds[0]})
        alone = [np.concatenate(values) for values in zip(*(self.session.run(None, feed) for feed in feeds))]
        close = lambda a, b: (a == b).all() if a.dtype == object else np.allclose(a, b, rtol=1e-5, atol=1e-5)
        return all(close(a, b) for a, b in zip(batch, alone))

    def form(self, image, port):
        if "float" in port.type:
            return np.moveaxis(image, 2, 0)[None].astype(np.float32) / 255
        return image[None]


def predicted(path, graph):
    """The rows that `sidelight predict` wrote, as the graph's outputs are laid out."""
    rows = list(csv.DictReader(open(path)))
    names = graph.names
    outputs = {port.name for port in graph.session.get_outputs()}
    if "probabilities" in outputs:
        names = [f"p({name})" for name in names]
    numbers = np.array([[float(row[name]) for name in names] for row in rows])
    return numbers, [row.get("prediction") for row in rows]


def sets(path, graph):
    """What `sidelight predict --coverage` wrote beside the predictions, as the graph puts it out."""
    rows = list(csv.DictReader(open(path)))
    if "set" in rows[0]:
        of = lambda row: json.loads(row["set"]) if row["set"].startswith("[") else row["set"].split("|")
        return [[name if name in of(row) else "" for name in graph.names] for row in rows]
    if "radius_0" in rows[0]:
        return [[float(row[f"radius_{i}"]) for i in range(len(graph.names) // 2)] for row in rows]
    if f"{graph.names[0]}_low" in rows[0]:
        return [[float(row[f"{name}_{end}"]) for name in graph.names for end in ("low", "high")] for row in rows]
    return [[row[f"set({name})"] for name in graph.names] for row in rows]


def differs(ours, theirs):
    """Whether a row's set is another; numbers may differ by the tolerance."""
    theirs = np.asarray(theirs).ravel().tolist()
    near = lambda a, b: a == b if isinstance(a, str) else abs(a - b) <= TOLERANCE * max(abs(a), 1.0)
    return len(ours) != len(theirs) or not all(map(near, ours, theirs))


def compare(name, folder, table, n_rows, home):
    rows, (written, originals) = rows_of(table, n_rows, home / f"{n_rows}-rows-{table.parent.name}-{table.stem}")
    model = folder / "model.onnx"
    run(SIDELIGHT, "export", folder, "--onnx", model, "--safetensors", folder / "model.safetensors", "--coverage", COVERAGE)
    graph = Graph(model)
    run(SIDELIGHT, "predict", folder, written, "--out", folder / "onnx_rows.csv", "--coverage", COVERAGE)
    ours, said = predicted(folder / "onnx_rows.csv", graph)
    our_sets, n_other_sets = sets(folder / "onnx_rows.csv", graph), 0
    run(SIDELIGHT, "predict", folder, originals, "--out", folder / "onnx_originals.csv")
    from_files, _ = predicted(folder / "onnx_originals.csv", graph)
    theirs, sides, seconds = [], [], 0.0
    for row, wanted, our_set in zip(rows, said, our_sets):
        image = np.asarray(Image.open(row["file_name"]))
        graph.sides = image.shape[1], image.shape[0]
        start = time.perf_counter()
        found = graph(image, row)
        seconds += time.perf_counter() - start
        n_other_sets += differs(our_set, next(found[key] for key in ("set", "intervals", "radii") if key in found))
        main = next(found[key] for key in ("points", "probabilities", "values") if key in found)
        theirs.append(np.asarray(main, np.float64).ravel())
        sides.append(max(image.shape))
        if wanted is not None and found["prediction"] != wanted:
            sys.exit(f"{name}: {row['file_name']} is {found['prediction']}, not {wanted}")
    # The row that says where a set ends may be on its other side by rounding.
    if n_other_sets > len(rows) // 100:
        sys.exit(f"{name}: {n_other_sets} of {len(rows)} sets are others in the graph")
    theirs = np.array(theirs)
    if "points" in found:
        scale = np.array(sides)[:, None]  # pixels of the longer side
    elif "values" in found:
        scale = np.abs(ours)
    else:
        scale = 1.0
    difference = float((np.abs(ours - theirs) / scale).max())
    # The same rows as stored: Pillow decoded for the graph, and we for ourselves.
    decoders = float((np.abs(from_files - theirs) / scale).max())
    # Of how much the outputs differ from row to row: a graph that says the same of all rows must not pass.
    spread = float((np.abs(ours - theirs) / ours.std(axis=0).max()).max()) if len(ours) > 1 else 0.0
    task = json.loads((folder / "metrics.json").read_text())["task"]
    line = f"| {name} | {task} | {len(rows)} | {difference:.1e} | {spread:.1e} | {decoders:.0e} | {model.stat().st_size / 1e6:.1f} | {1000 * seconds / len(rows):.0f} |"
    print(line, flush=True)
    return line, difference <= TOLERANCE and spread <= 1e-2


def fits_torchvision(backbone, weights):
    """Whether torchvision's network takes the backbone's weights, all but its classifier; true of those it has not."""
    import torchvision
    from safetensors.torch import load_file

    if not hasattr(torchvision.models, backbone):
        return True
    state = {key: value for key, value in load_file(weights).items() if not key.startswith(("head.", "fusion."))}
    missing, unexpected = getattr(torchvision.models, backbone)().load_state_dict(state, strict=False)
    return not unexpected and all(key.startswith(("classifier.", "fc.")) for key in missing)


def docs(home):
    """Runs the Python of docs/export.md as it stands, and PyTorch's answers against the graph's."""
    import torch

    blocks = [part.split("```")[0] for part in (ROOT / "docs/export.md").read_text().split("```python\n")[1:]]
    of_torch = [block for block in blocks if "import torch" in block]
    assert len(of_torch) == 1 and len(blocks) == 3, "docs/export.md has other snippets than these"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run_folder, table = train("houses-film", *REAL["houses-film"], home)
        run(SIDELIGHT, "export", run_folder, "--onnx", "model.onnx")
        shutil.copy(table.parent / "images/1_frontal.jpg", "house.jpg")
        names = {}
        for block in blocks[:2]:
            exec(block, names)
        assert names["price"].shape == (1, 1) and names["price"][0, 0] > 1000

        run_folder, table = train("leaf-image", *REAL["leaf-image"], home)
        run(SIDELIGHT, "export", run_folder, "--onnx", "model.onnx", "--image", "float", "--safetensors", "model.safetensors")
        exec(of_torch[0], names)
        about = json.loads(names["about"]["input"])
        images = np.random.default_rng(0).random((8, 3, about["size"], about["size"]), np.float32)
        mean, sd = (torch.tensor(about[key]).view(3, 1, 1) for key in ("mean", "sd"))
        with torch.no_grad():
            theirs = torch.softmax(names["model"]((torch.from_numpy(images) - mean) / sd) / names["temperature"], 1).numpy()
        [ours] = onnxruntime.InferenceSession("model.onnx").run(["probabilities"], {"image": images})
        difference = float(np.abs(ours - theirs).max())
        os.chdir(ROOT)
    print(f"the Python of docs/export.md runs; PyTorch and the graph differ by {difference:.1e}")
    assert difference <= TOLERANCE and ours.std(axis=0).max() > 100 * difference


def cases(folder, golden):
    """What ONNX Runtime makes of the cases that the Rust test wrote."""
    found = {}
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        graph = Graph(case / "model.onnx")
        outputs = {}
        takes = {port.name: port for port in graph.session.get_inputs()}
        any_size = any(port.shape[1] == "height" for name, port in takes.items() if name == "image" or name.startswith("image."))
        opened = lambda name: None if name is None else np.asarray(Image.open(case / name))
        feeds = []
        for row in json.loads((case / "rows.json").read_text()):
            if isinstance(row["image"], dict):
                fitted = lambda name: name if any_size or name is None else f"fitted_{name}"
                image = {column: opened(fitted(name)) for column, name in row["image"].items()}
            else:
                stored = opened(row["image"])
                graph.sides = stored.shape[1], stored.shape[0]
                image = stored if any_size else opened(f"fitted_{row['image']}")
            first = image if not feeds else first
            feeds.append(graph.feed(first, row["metadata"]))
            for key, value in graph(image, row["metadata"]).items():
                value = np.asarray(value)
                # Points are pairs in the graph, and numbers in a row here.
                flat = value.ravel().tolist() if value.ndim else value.item()
                outputs.setdefault(key, []).append(flat)
        if not graph.is_equal_in_a_batch(feeds):
            sys.exit(f"{case.name}: rows differ in a batch from what they are alone")
        found[case.name] = {"graph": (case / "checksum").read_text(), "outputs": outputs}
    golden.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} cases: {golden}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--only", default="")
    parser.add_argument("--zoo", action="store_true", help="every backbone, a few steps from scratch")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--docs", action="store_true", help="run the Python of docs/export.md")
    parser.add_argument("--cases", type=pathlib.Path)
    parser.add_argument("--golden", type=pathlib.Path)
    args = parser.parse_args()
    if args.cases:
        return cases(args.cases, args.golden)
    home = ROOT / "runs/export"
    home.mkdir(parents=True, exist_ok=True)
    kinds(home)
    if args.docs:
        return docs(home)
    chosen = {**(ZOO if args.zoo else REAL)} if not args.only else {key: {**REAL, **ZOO}[key] for key in args.only.split(",")}
    head = ["| run | task | rows | difference, of the scale | of the spread over rows | each its own JPEG decoder | MB | ms a row |", "|---|---|---:|---:|---:|---:|---:|---:|"]
    print("\n".join(head))
    lines, ok = [], True
    for name, (data, settings) in chosen.items():
        folder, table = train(name, data, settings, home)
        line, is_equal = compare(name, folder, table, 24 if name.startswith("zoo") else args.rows, home)
        lines.append(line)
        ok &= is_equal
        if name in ZOO:
            ok &= fits_torchvision(name.removeprefix("zoo-"), folder / "model.safetensors")
    if args.out:
        args.out.write_text("\n".join(head + lines) + "\n")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
