#!/usr/bin/env python3
"""Trains over a set that is larger than memory is allowed to be: made, trained, killed, resumed, predicted, measured.

    python3 bench/big_set.py [--images 200000] [--dir /tmp/big] [--http] [--skip-whole]

Makes tar shards of noise (64 × 64 PNG, stored: 12.4 KB each, so that the size is honest) with a class that shows in the
brightness, trains one epoch of `small_cnn` at 32 pixels without interruption, again with SIGKILL in the middle and
`--resume`, and predicts all of it. Checks that the steps of the log count every training row exactly once, in the
killed run too, and that both runs end with the same bytes. Peak memory is VmHWM of the process. With --http the shards
come from a server in this script, through a folder that holds a quarter of them; give --images 20000 or so then.
Needs nothing but Python and a release build (or SIDELIGHT=…). The set is kept in --dir and made once.
"""
import argparse, http.server, io, json, os, pathlib, random, re, signal, struct, subprocess, sys, tarfile, threading, time, zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIDELIGHT = os.environ.get("SIDELIGHT", str(ROOT / "target/release/sidelight"))
SIDE, CLASSES, PER_SHARD = 64, 4, 2000
SHADES = [bytes(value * 3 // 4 + 16 * c for value in range(256)) for c in range(CLASSES)]


def png(pixels):
    """A PNG whose pixels are stored, not compressed."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + pixels[y * SIDE * 3:(y + 1) * SIDE * 3] for y in range(SIDE))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


def make(folder, n_images):
    folder.mkdir(parents=True, exist_ok=True)
    n_shards = -(-n_images // PER_SHARD)
    for shard in range(n_shards):
        path = folder / f"big-{shard:04}.tar"
        if path.exists():
            continue
        source = random.Random(shard)
        part = path.with_suffix(".part")
        with tarfile.open(part, "w") as tar:
            for row in range(shard * PER_SHARD, min(n_images, (shard + 1) * PER_SHARD)):
                answer = source.randrange(CLASSES)
                image = png(source.randbytes(SIDE * SIDE * 3).translate(SHADES[answer]))
                cells = json.dumps({"answer": f"class {answer}", "age": round(source.gauss(50, 9), 1), "part": "valid" if row % 20 == 0 else "train"})
                for name, data in [(f"{row:07}.png", image), (f"{row:07}.json", cells.encode())]:
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        part.rename(path)
    return n_shards


class Shards(http.server.SimpleHTTPRequestHandler):
    """Files with `Range`, which Python's own server does not know."""
    protocol_version = "HTTP/1.1"
    sent = 0

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, with_body):
        path = pathlib.Path(self.directory) / self.path.lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        size, found = path.stat().st_size, re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, end = map(int, found.groups()) if found else (0, size - 1)
        self.send_response(206 if found else 200)
        self.send_header("Content-Length", end - start + 1)
        self.send_header("ETag", f'"{size}-{path.stat().st_mtime_ns}"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if found:
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.end_headers()
        if with_body:
            with open(path, "rb") as file:
                file.seek(start)
                self.wfile.write(file.read(end - start + 1))
            Shards.sent += end - start + 1


def run(words, kill_when=None):
    """Runs the program; seconds, VmHWM in MB, whether it was killed."""
    begun, peak, killed = time.time(), 0, False
    process = subprocess.Popen([SIDELIGHT, *map(str, words), "--quiet"], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024)
        except (OSError, TypeError):
            pass
        if kill_when and not killed and kill_when():
            process.send_signal(signal.SIGKILL)
            killed = True
        time.sleep(0.1)
    if not killed and process.returncode not in (0, 1):
        sys.exit(f"{' '.join(map(str, words))}: exit code {process.returncode}")
    return time.time() - begun, peak, killed


def lines(run_dir):
    text = (run_dir / "log.jsonl").read_text().splitlines() if (run_dir / "log.jsonl").exists() else []
    return [json.loads(line) for line in text if line.endswith("}")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/tmp/big"))
    parser.add_argument("--http", action="store_true")
    parser.add_argument("--skip-whole", action="store_true", help="compare with the uninterrupted run that is there")
    args = parser.parse_args()
    shards = args.dir / f"shards-{args.images}"
    begun = time.time()
    n_shards = make(shards, args.images)
    n_bytes = sum(path.stat().st_size for path in shards.glob("*.tar"))
    print(f"{args.images} images in {n_shards} shards, {n_bytes / 1e9:.2f} GB, made in {time.time() - begun:.0f} s", flush=True)

    table, remote = f"{shards}/big-{{0000..{n_shards - 1:04}}}.tar", ""
    if args.http:
        handler = lambda *a, **k: Shards(*a, directory=str(shards), **k)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        table = f"http://127.0.0.1:{server.server_port}/big-{{0000..{n_shards - 1:04}}}.tar"
        remote = f'remote = {{ cache = "{args.dir}/cache", cache_size = {max(n_bytes // 4 >> 20, 120)} }}\n'
    work = args.dir / ("http" if args.http else "local")
    work.mkdir(parents=True, exist_ok=True)
    config = work / f"big-{args.images}.toml"
    config.write_text(f'''[data]
table = "{table}"
image = "image"
split = {{ column = "part" }}
shuffle_shards = {8 if n_shards > 20 else 2}
ignore = ["__key__"]
{remote}[target]
kind = "class"
column = "answer"
[metadata]
age = "continuous"
[model]
backbone = "small_cnn"
[train]
size = 32
batch = 128
epochs = 1
checkpoint_steps = 50
''')
    whole, killed = work / f"whole-{args.images}", work / f"killed-{args.images}"
    rows = args.images - -(-args.images // 20)
    if not (args.skip_whole and (whole / "metrics.json").exists()):
        seconds, peak, _ = run(["train", config, "--out", whole, "--overwrite"])
        print(f"trained: {seconds:.0f} s, {args.images / seconds:.0f} images/s, peak {peak:.0f} MB", flush=True)
    half = lambda: any(line.get("event") == "step" and line.get("total_step", 0) >= rows // 128 // 2 for line in lines(killed))
    subprocess.run(["rm", "-rf", killed])
    seconds, peak, was_killed = run(["train", config, "--out", killed], half)
    assert was_killed and not (killed / "metrics.json").exists(), "it was not killed in the middle"
    at = max(line.get("total_step", 0) for line in lines(killed))
    print(f"killed after {seconds:.0f} s, at step {at} or so", flush=True)
    seconds, peak, _ = run(["train", config, "--out", killed, "--resume"])
    print(f"resumed: {seconds:.0f} s, peak {peak:.0f} MB", flush=True)
    for name in ["model/weights.safetensors", "predictions.csv"]:
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), f"{name} differs"
    for which in [whole, killed]:
        epoch = [line for line in lines(which) if line.get("event") == "epoch"]
        assert len(epoch) == 1 and epoch[0]["rows"] == rows, f"{which}: {epoch}, not {rows} rows"
    metrics = json.loads((whole / "metrics.json").read_text())
    print(f"same bytes; {rows} training rows counted once in both; {metrics['metrics']}", flush=True)
    out = work / f"predictions-{args.images}.csv"
    seconds, peak, _ = run(["predict", whole, table, "--out", out, "--overwrite"])
    with open(out) as file:
        n = sum(1 for _ in file) - 1
    assert n == args.images, f"{n} predictions"
    print(f"predicted: {seconds:.0f} s, {n / seconds:.0f} rows/s, peak {peak:.0f} MB", flush=True)
    if args.http:
        print(f"the server sent {Shards.sent / 1e6:.0f} MB in all", flush=True)


if __name__ == "__main__":
    main()
