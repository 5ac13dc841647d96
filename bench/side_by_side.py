#!/usr/bin/env python3
"""Sidelight and PyTorch / ONNX Runtime alternately, in one run, on the same work: writes docs/benchmarks.md.

    cargo build --release --examples
    ../peers/bin/python bench/side_by_side.py [--alternations 5] [--threads 2] [--only train,infer]

Each alternation starts a fresh process of each side, which warms up, then times; the order is turned round every
time, so that a machine that slows down does so for both. Ratios are of medians: above 1 Sidelight is faster.
"""
import argparse, json, os, pathlib, platform, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS = ROOT / "target/release/examples/step"


def torch_step(work):
    """One side of one alternation, in this process: images per second of a PyTorch training step or inference."""
    import torch, torchvision
    torch.set_num_threads(work["threads"])
    torch.manual_seed(0)
    model = getattr(torchvision.models, work["backbone"])()
    x = torch.randn(work["batch"], 3, work["size"], work["size"])
    y = torch.randint(0, 1000, (work["batch"],))
    if work["layout"] == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    bf16 = work["precision"] == "bf16"
    if work["mode"] == "train":
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        loss_function = torch.nn.CrossEntropyLoss()

        def step():
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
    else:
        model.eval()

        def step():
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                model(x)
    return timed(step, work)


def onnx_step(work):
    """Inference by ONNX Runtime on the graph that torch exports."""
    import numpy, onnxruntime, torch, torchvision
    path = f"/tmp/sidelight_bench_{work['backbone']}_{work['size']}_{work['batch']}.onnx"
    if not os.path.exists(path):
        model = getattr(torchvision.models, work["backbone"])().eval()
        torch.onnx.export(model, (torch.randn(work["batch"], 3, work["size"], work["size"]),), path, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = work["threads"]
    session = onnxruntime.InferenceSession(path, options)
    x = numpy.random.rand(work["batch"], 3, work["size"], work["size"]).astype("float32")
    name = session.get_inputs()[0].name
    return timed(lambda: session.run(None, {name: x}), work)


def torch_pipeline(work):
    """Files to normalised batches by torchvision and Pillow in two worker processes, changed as `sidelight train` changes them."""
    import torch, torchvision
    from PIL import Image
    t = torchvision.transforms
    size = work["size"]
    change = t.Compose([
        t.Resize((size, size)), t.RandomHorizontalFlip(),
        t.RandomApply([t.RandomAffine(10, (0.05, 0.05), (0.9, 1.1), interpolation=t.InterpolationMode.BILINEAR)], 0.75),
        t.RandomApply([t.ColorJitter(0.2, 0.2)], 0.75), t.ToTensor(), t.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    paths = sorted(pathlib.Path(work["folder"]).iterdir())

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return len(paths)

        def __getitem__(self, i):
            return change(Image.open(paths[i]).convert("RGB"))

    def epoch():
        for _ in torch.utils.data.DataLoader(Files(), 32, shuffle=True, num_workers=work["threads"]):
            pass
    epoch()  # the files come from the disk once
    start = time.perf_counter()
    epoch()
    return {"images_per_second": len(paths) / (time.perf_counter() - start), "peak_mib": 0}


def our_pipeline(work):
    command = [str(OURS.with_name("input_pipeline")), work["folder"], str(work["threads"]), str(work["size"]), "1"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {"images_per_second": float(out.split()[1]), "peak_mib": 0}


def large_photographs(n=24):
    """12-megapixel JPEGs, made of photographs of the `houses` set."""
    from PIL import Image
    folder = pathlib.Path("/tmp/sidelight_bench_12mp")
    if not folder.exists():
        made = folder.with_name(folder.name + ".part")
        made.mkdir(exist_ok=True)
        for i, path in enumerate(sorted((pathlib.Path(os.environ["SIDELIGHT_DATA"]) / "houses/images").iterdir())[:n]):
            Image.open(path).convert("RGB").resize((4000, 3000), Image.BICUBIC).save(made / f"{i}.jpg", quality=90)
        made.rename(folder)
    return str(folder)


def timed(step, work):
    for _ in range(work["warmup"]):
        step()
    times = []
    for _ in range(work["steps"]):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"images_per_second": work["batch"] / statistics.median(times),
            "peak_mib": peak_mib("self")}


def peak_mib(process):
    """Most memory that a process has had; its own, where `ru_maxrss` begins with that of whoever started it."""
    with open(f"/proc/{process}/status") as status:
        return next((int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:")), 0)


def side(kind, work):
    if work["mode"] == "pipeline" and kind == "sidelight":
        return our_pipeline(work)
    if kind == "sidelight":
        command = [str(OURS), json.dumps(work)]
    else:
        command = [sys.executable, __file__, "--side", kind, json.dumps(work)]
    env = dict(os.environ, OMP_NUM_THREADS=str(work["threads"]), RAYON_NUM_THREADS=str(work["threads"]))
    out = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)
    if out.returncode:
        raise SystemExit(f"{kind} failed: {out.stderr[-2000:]}")
    return json.loads(out.stdout.strip().splitlines()[-1])


WORK = [
    ("train", dict(mode="train", backbone="resnet18", batch=32, size=128, precision="f32"), ["torch", "torch_cl"]),
    ("train", dict(mode="train", backbone="resnet18", batch=32, size=128, precision="bf16"), ["torch_cl"]),
    ("train", dict(mode="train", backbone="mobilenet_v2", batch=32, size=128, precision="f32"), ["torch", "torch_cl"]),
    ("infer", dict(mode="infer", backbone="resnet18", batch=32, size=128, precision="f32"), ["torch", "torch_cl", "onnx"]),
    ("infer", dict(mode="infer", backbone="resnet18", batch=1, size=128, precision="f32"), ["torch", "torch_cl", "onnx"]),
    ("infer", dict(mode="infer", backbone="mobilenet_v2", batch=32, size=128, precision="f32"), ["torch", "torch_cl", "onnx"]),
    ("infer", dict(mode="infer", backbone="mobilenet_v2", batch=1, size=128, precision="f32"), ["torch", "torch_cl", "onnx"]),
    ("infer", dict(mode="infer", backbone="resnet18", batch=32, size=128, precision="bf16"), ["torch_cl", "onnx"]),
    ("infer", dict(mode="infer", backbone="mobilenet_v2", batch=32, size=128, precision="bf16"), ["torch_cl", "onnx"]),
    ("pipeline", dict(mode="pipeline", folder="houses", size=128), ["torch"]),
    ("pipeline", dict(mode="pipeline", folder="12 megapixels", size=128), ["torch"]),
]


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "--side":
        kind, work = sys.argv[2], json.loads(sys.argv[3])
        work["layout"] = "channels_last" if kind == "torch_cl" else "contiguous"
        run = torch_pipeline if work["mode"] == "pipeline" else onnx_step if kind == "onnx" else torch_step
        print(json.dumps(run(work)))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alternations", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="train,infer,pipeline,growth")
    parser.add_argument("--backbone")
    parser.add_argument("--out", default="docs/benchmarks_table.md")
    args = parser.parse_args()
    import torch, torchvision, onnxruntime
    peaks = limits(args.threads)
    lines = [f"{platform.processor() or platform.machine()}, {cpu()}, {args.threads} threads; torch {torch.__version__}, "
             f"torchvision {torchvision.__version__}, onnxruntime {onnxruntime.__version__}; {args.alternations} alternations; "
             f"matrix product {peaks['f32'] / 1e9:.0f} GFLOP/s in f32, {peaks['bf16'] / 1e9:.0f} in bf16, copy {peaks['copy'] / 1e9:.1f} GB/s\n",
             "| work | side | images/s, median (min to max) | peak MiB | share of the peak | Sidelight is |", "|---|---|---:|---:|---:|---:|"]
    for group, work, peers in WORK:
        if group not in args.only.split(",") or (args.backbone and args.backbone != work.get("backbone")):
            continue
        if group == "pipeline":
            name = f"decode, resize, augment, {work['folder']}, to {work['size']} px"
            folder = large_photographs() if work["folder"] != "houses" else os.environ["SIDELIGHT_DATA"] + "/houses/images"
            work = dict(work, folder=folder, threads=args.threads, precision="f32")
        else:
            name = f"{work['mode']} {work['backbone']}, {work['size']} px, batch {work['batch']}, {work['precision']}"
            steps = 5 if work["mode"] == "train" else (10 if work["batch"] > 1 else 60)
            work = dict(work, threads=args.threads, warmup=2 if work["batch"] > 1 else 10, steps=steps)
        kinds = ["sidelight", *peers]
        rates, peak = {k: [] for k in kinds}, {k: 0 for k in kinds}
        for turn in range(args.alternations):
            for kind in kinds if turn % 2 == 0 else kinds[::-1]:
                w = dict(work, precision="f32") if kind == "onnx" else work
                result = side(kind, w)
                rates[kind].append(result["images_per_second"])
                peak[kind] = max(peak[kind], result["peak_mib"])
        ours = statistics.median(rates["sidelight"])
        for kind in kinds:
            median = statistics.median(rates[kind])
            label = {"torch": "torchvision + Pillow" if group == "pipeline" else "PyTorch", "torch_cl": "PyTorch channels_last", "onnx": "ONNX Runtime (f32)", "sidelight": "**Sidelight**"}[kind]
            ratio = "" if kind == "sidelight" else f"{ours / median:.2f}×"
            part = "" if group == "pipeline" else f"{share(dict(work, precision='f32') if kind == 'onnx' else work, median, peaks):.0%}"
            lines.append(f"| {name} | {label} | {median:.1f} ({min(rates[kind]):.1f} to {max(rates[kind]):.1f}) | {peak[kind]:.0f} | {part} | {ratio} |")
            print(lines[-1], flush=True)
    if "growth" in args.only.split(","):
        lines += ["", *growth(args.threads), "", *growth_of_rows(args.threads)]
    (ROOT / args.out).write_text("\n".join(lines) + "\n")


def growth(threads):
    """How the cost of a training step grows, Sidelight beside PyTorch (channels_last): a markdown table."""
    lines = ["| MobileNetV2, f32 | Sidelight images/s | PyTorch images/s | ratio | peak MiB, Sidelight | peak MiB, PyTorch |", "|---|---:|---:|---:|---:|---:|"]
    base = dict(mode="train", backbone="mobilenet_v2", batch=32, size=128, precision="f32", threads=threads, warmup=1, steps=3)
    cases = [(f"side {n}", dict(size=n, batch=16)) for n in (96, 128, 224, 384)]
    cases += [(f"batch {n}", dict(batch=n)) for n in (1, 8, 32, 128)]
    cases += [(f"{n} thread" + "s" * (n > 1), dict(threads=n)) for n in range(1, threads + 1)]
    for name, change in cases:
        work = dict(base, **change)
        ours, theirs = side("sidelight", work), side("torch_cl", work)
        ratio = ours["images_per_second"] / theirs["images_per_second"]
        lines.append(f"| {name} | {ours['images_per_second']:.1f} | {theirs['images_per_second']:.1f} | {ratio:.2f}× | {ours['peak_mib']:.0f} | {theirs['peak_mib']:.0f} |")
        print(lines[-1], flush=True)
    return lines


def growth_of_rows(threads):
    """How the cost of `sidelight train` grows with the table: an epoch of everything, then an epoch over frozen features."""
    lines = ["| rows of `udacity_faces` | fine-tuning, s an epoch | peak MiB | frozen, 10 epochs, s | peak MiB |", "|---|---:|---:|---:|---:|"]
    source = pathlib.Path(os.environ["SIDELIGHT_DATA"]) / "udacity_faces"
    header, *rows = (source / "metadata.csv").read_text().splitlines()
    rows.sort(key=lambda row: row[::-1])  # the persons mixed, the same every time
    for n in (len(rows) // 16, len(rows) // 4, len(rows)):
        folder = pathlib.Path("/tmp/sidelight_bench_rows")
        folder.mkdir(exist_ok=True)
        table = folder / f"{n}.csv"
        table.write_text("\n".join([header, *(str(source) + "/" + row for row in rows[:n])]) + "\n")
        cells = []
        for change in (["train.freeze_epochs=0", "train.epochs=1"], ["train.freeze=true", "train.epochs=10"]):
            command = [str(ROOT / "target/release/sidelight"), "train", "bench/configs/udacity_faces.toml", "--out", str(folder / "run"), "--overwrite",
                       "--cache", "none", "--set", f"data.table={table}", *(part for c in change for part in ("--set", c))]
            started = time.perf_counter()
            process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ, RAYON_NUM_THREADS=str(threads)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            peak = 0
            while process.poll() is None:
                peak = max(peak, peak_mib(process.pid))
                time.sleep(0.02)
            if process.returncode:
                raise SystemExit(f"{' '.join(command)} failed")
            cells.append(f"{time.perf_counter() - started:.1f} | {peak:.0f}")
        lines.append(f"| {n} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def limits(threads):
    """What the machine can do at most, as PyTorch's libraries find it: FLOP/s of a matrix product, bytes/s of a copy."""
    import torch
    torch.set_num_threads(threads)

    def best(step, n=20):
        seconds = []
        for _ in range(n):
            started = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    peaks = {}
    for name, dtype in {"f32": torch.float32, "bf16": torch.bfloat16}.items():
        a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
        peaks[name] = 2 * 1024**3 / best(lambda: a @ b)
    # An instruction over bf16 forms twice the products of one over f32, at the same rate; PyTorch's own f32 product does not get there.
    peaks["f32"] = max(peaks["f32"], peaks["bf16"] / 2)
    x = torch.randn(64 << 20)
    y = torch.empty_like(x)
    peaks["copy"] = 2 * 4 * x.numel() / best(lambda: y.copy_(x), 8)
    return peaks


# Multiplications and additions of a forward pass at 224 pixels (torchvision's documentation); a training step is three.
FLOPS_224 = {"resnet18": 2 * 1.814e9, "mobilenet_v2": 2 * 0.3e9}


def share(work, images_per_second, peaks):
    """Which part of the matrix-product peak of its precision that is."""
    flops = FLOPS_224[work["backbone"]] * (work["size"] / 224) ** 2 * (3 if work["mode"] == "train" else 1)
    return flops * images_per_second / peaks[work["precision"]]


def cpu():
    try:
        return next(l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown processor"


if __name__ == "__main__":
    main()
