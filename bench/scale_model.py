#!/usr/bin/env python3
"""How long a step takes on N ranks: a model, fitted to steps measured here with 1 and 2 ranks, checked on 4, and what it
says of clusters nobody here has: prints the tables of docs/scale.md.

    cargo build --release --features mpi
    python3 bench/scale_model.py [--data /work/shared/data] [--measured FILE]

    step = fixed + rows a rank / rate of a rank + sum of the gradients
    sum  = 2 (N - 1) / N * bytes / bandwidth + 2 (N - 1) * latency        (a ring: Patarasuk and Yuan 2009)
    input: never faster than what reads, sends and decodes the images
"""
import argparse, json, os, pathlib, statistics, tempfile

from ranks import OURS, steps, train

CORES = os.cpu_count()


def measured(args):
    """Seconds a step by (ranks, rows a rank), ResNet-18 at 128 pixels, one thread a rank; and the bytes of its gradients."""
    found, n_bytes = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(args.alternations):
            for ranks in (1, 2, 4):
                for rows in (8, 16, 32):
                    one = argparse.Namespace(**{**vars(args), "rows": rows * ranks * 12, "bind": "none" if ranks > CORES else "core"})
                    log = train(one, pathlib.Path(folder) / f"{turn}-{ranks}-{rows}", ranks, 1, batch=rows)
                    taken = steps(log)[4:]
                    found.append(dict(ranks=ranks, rows=rows, seconds=statistics.median(rows * ranks / line["images_per_second"] for line in taken)))
                    n_bytes = 4 * next(line["n_parameters"] for line in log if line["event"] == "plan")
                    print(found[-1], flush=True)
    return dict(steps=found, bytes=n_bytes)


def fit(steps, n_bytes):
    """Fixed seconds, seconds a row, seconds a byte sent: the first two from one rank, the last from two."""
    median = lambda ranks, rows: statistics.median(s["seconds"] for s in steps if (s["ranks"], s["rows"]) == (ranks, rows))
    rows = sorted({s["rows"] for s in steps})
    alone = [median(1, n) for n in rows]
    mean, middle = statistics.mean(alone), statistics.mean(rows)
    per_row = sum((n - middle) * (t - mean) for n, t in zip(rows, alone)) / sum((n - middle) ** 2 for n in rows)
    fixed = mean - per_row * middle
    per_byte = statistics.median(median(2, n) - fixed - per_row * n for n in rows) / n_bytes  # 2 (N - 1) / N is 1
    return fixed, per_row, per_byte, rows, median


def here(steps, n_bytes):
    fixed, per_row, per_byte, rows, median = fit(steps, n_bytes)
    print(f"\nfixed {1e3 * fixed:.1f} ms, {1e3 * per_row:.2f} ms a row, {per_byte * 1e9:.2f} s a GB sent ({1e-9 / per_byte:.2f} GB/s)\n")
    print("| ranks | rows a rank | measured, ms | model, ms | |\n|---:|---:|---:|---:|---|")
    for ranks in (1, 2, 4):
        shared = max(1, ranks / CORES)
        for n in rows:
            model = shared * (fixed + per_row * n + 2 * (ranks - 1) / ranks * n_bytes * per_byte)
            found = median(ranks, n)
            print(f"| {ranks} | {n} | {1e3 * found:.0f} | {1e3 * model:.0f} | {'fitted' if ranks < 4 else f'{model / found - 1:+.0%}'} |")


# What is assumed of a cluster: eight GPUs a machine, 400 Gbit/s between machines, and ResNet-50 at 224 pixels.
GPU = dict(rows_a_second=2500, rows=256, bytes=4 * 25.6e6, within=300e9, between=50e9, latency=15e-6, gpus=8)
IMAGE_BYTES, DECODED_A_CORE, CORES_A_GPU = 110e3, 600, 12


def cluster():
    print("\n| GPUs | compute, ms | one ring, ms | by machine, then ring, ms | images/s | efficiency | from the store, GB/s | cores that decode |\n|---:|---:|---:|---:|---:|---:|---:|---:|")
    g = GPU
    for n in (8, 32, 128, 512, 1000):
        machines = -(-n // g["gpus"])
        compute = g["rows"] / g["rows_a_second"]
        ring = 2 * (n - 1) / n * g["bytes"] / (g["within"] if machines == 1 else g["between"]) + 2 * (n - 1) * g["latency"]
        within = 2 * (g["gpus"] - 1) / g["gpus"] * g["bytes"] / g["within"]
        between = 0 if machines == 1 else 2 * (machines - 1) / machines * g["bytes"] / g["between"] + 2 * (machines - 1) * g["latency"]
        two = within + between
        step = compute + min(ring, two)
        images = n * g["rows"] / step
        print(f"| {n} | {1e3 * compute:.0f} | {1e3 * ring:.1f} | {1e3 * two:.1f} | {images:,.0f} | {compute / step:.0%} | {images * IMAGE_BYTES / 1e9:.1f} | {images / DECODED_A_CORE:,.0f} of {n * CORES_A_GPU:,} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("SIDELIGHT_DATA", "/work/shared/data"))
    parser.add_argument("--program", default=str(OURS))
    parser.add_argument("--alternations", type=int, default=2)
    parser.add_argument("--measured", help="a JSON file: written where it is not there, else read instead of measuring")
    args = parser.parse_args()
    if args.measured and os.path.exists(args.measured):
        found = json.loads(pathlib.Path(args.measured).read_text())
    else:
        found = measured(args)
        if args.measured:
            pathlib.Path(args.measured).write_text(json.dumps(found))
    here(found["steps"], found["bytes"])
    cluster()


if __name__ == "__main__":
    main()
