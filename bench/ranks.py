#!/usr/bin/env python3
"""Two ranks of one thread beside one process of two threads, alternately, on the same training: prints a table.

    cargo build --release --features mpi
    python3 bench/ranks.py [--alternations 5] [--rows 640] [--data /work/shared/data]

ResNet-18 at 128 pixels, all layers learning, 32 rows a step on both sides. Efficiency is the ratio of the medians: 1 is
no loss. Then what goes over the wire in a step, as Open MPI counts it, beside the least that any sum over all ranks
needs: 2 (N - 1) / N times the bytes of the gradients, sent by each rank.
"""
import argparse, json, os, pathlib, statistics, subprocess, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS = ROOT / "target/release/sidelight"


def train(args, out, ranks, threads, mca=(), sync=False, batch=None):
    """Trains one epoch of steps of 32 rows, or of batches of so many a rank; the lines of its log."""
    work = {"data.table": f"{args.data}/udacity_faces/metadata.csv", "data.limit": args.rows, "model.backbone": "resnet18",
            "model.weights": "none", "train.epochs": 1, "train.batch": batch or 32 // ranks, "train.size": 128,
            "train.sync_batch_norm": str(sync).lower()}
    command = [args.program, "train", str(ROOT / "bench/configs/udacity_faces.toml"), "--out", str(out), "--quiet", "--cache", "none",
               "--threads", str(threads)]
    for field, value in work.items():
        command += ["--set", f"{field}={value}"]
    if ranks > 1:
        bind = ["--map-by", f"slot:PE={threads}", "--bind-to", "core"] if args.bind == "core" else ["--bind-to", "none"]
        command = ["mpirun", "--allow-run-as-root", "--oversubscribe", *bind, *mca, "-n", str(ranks), *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def steps(log):
    return [line for line in log if line["event"] == "step"]


def rate(log):
    """Images per second, the first step (which waits for the first images) left out."""
    return statistics.median(line["images_per_second"] for line in steps(log)[len(steps(log)) // 2:])


def wire(args, folder, ranks, sync):
    """Bytes that a rank sends in a step, and the least that it could; the difference of a long and a short run, so that
    what is sent once is left out."""
    sent, taken, n = [], [], 0
    for i, rows in enumerate((args.rows, args.rows // 2)):
        prefix = folder / f"wire{i}{sync}"
        mca = ["--mca", "pml_monitoring_enable", "2", "--mca", "pml_monitoring_enable_output", "3",
               "--mca", "pml_monitoring_filename", str(prefix)]
        log = train(argparse.Namespace(**{**vars(args), "rows": rows}), folder / f"run{i}{sync}", ranks, 1, mca, sync)
        bytes_of = 0
        for path in folder.glob(f"{prefix.name}.*.prof"):
            for line in path.read_text().splitlines():
                # I (sent by collectives) or E (by the program), from, to, "N bytes", …
                fields = line.split("\t")
                if fields[0] in ("I", "E"):
                    bytes_of += int(fields[3].split()[0])
        sent.append(bytes_of / ranks)
        taken.append(len(steps(log)))
        n = next(line["n_parameters"] for line in log if line["event"] == "plan")
    return (sent[0] - sent[1]) / (taken[0] - taken[1]), 2 * (ranks - 1) / ranks * 4 * n


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alternations", type=int, default=5)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--data", default=os.environ.get("SIDELIGHT_DATA", "/work/shared/data"))
    parser.add_argument("--bind", default="core", choices=["core", "none"], help="what Open MPI binds a rank to")
    parser.add_argument("--program", default=str(OURS))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sides = [("1 process of 2 threads", 1, 2, False), ("2 ranks of 1 thread", 2, 1, False),
                 ("2 ranks of 1 thread, sync_batch_norm", 2, 1, True)]
        rates = {name: [] for name, *_ in sides}
        for turn in range(args.alternations):
            for i, (name, ranks, threads, sync) in enumerate(sides if turn % 2 == 0 else sides[::-1]):
                rates[name].append(rate(train(args, folder / f"{turn}-{i}", ranks, threads, sync=sync)))
        print("| training | images/s, median (min to max) | efficiency |\n|---|---:|---:|")
        one = statistics.median(rates[sides[0][0]])
        for name, found in rates.items():
            print(f"| {name} | {statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f}) | {statistics.median(found) / one:.3f} |")
        print("\n| sent by a rank in a step | MB | least, MB | ratio |\n|---|---:|---:|---:|")
        for name, ranks, _, sync in sides[1:]:
            sent, least = wire(args, folder, ranks, sync)
            print(f"| {name} | {sent / 1e6:.2f} | {least / 1e6:.2f} | {sent / least:.3f} |")


if __name__ == "__main__":
    main()
