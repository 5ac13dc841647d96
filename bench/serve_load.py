"""Holds many clients on `sidelight serve` for a while: no error but 429, and no growth of memory after warm-up.

    python bench/serve_load.py --run runs/a --image photo.jpg --metadata '{"beds": 3}' --clients 200 --seconds 60

Python's own library is all it needs. Each client keeps a connection and asks again as soon as it is answered; after a 429
it waits for a tenth of a second. Memory is the server's resident set, from /proc, every second. Exits with 1 where there
was another error, or where the mean of the last quarter is more than 5 % (and 16 MiB) above that of the second quarter.
"""

import argparse
import asyncio
import base64
import collections
import json
import signal
import subprocess
import sys
import time


async def client(host, port, request, until, statuses, times):
    reader = writer = None
    while time.monotonic() < until:
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(host, port)
            began = time.monotonic()
            writer.write(request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            status = int(head.split(" ", 2)[1])
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            await reader.readexactly(length)
            statuses[status] += 1
            if status == 200:
                times.append(time.monotonic() - began)
            if status == 429:
                await asyncio.sleep(0.1)
            if "connection: close" in head:
                writer.close()
                writer = None
        except (OSError, asyncio.IncompleteReadError) as error:
            statuses[type(error).__name__] += 1
            writer = None
    if writer is not None:
        writer.close()


async def watch(pid, until, memory):
    while time.monotonic() < until:
        with open(f"/proc/{pid}/status") as status:
            memory.append(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:")))
        await asyncio.sleep(1)


async def hold(arguments, host, port, pid, body):
    request = (
        f"POST /v1/predict HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    until = time.monotonic() + arguments.seconds
    statuses, times, memory = collections.Counter(), [], []
    clients = [client(host, port, request, until, statuses, times) for _ in range(arguments.clients)]
    await asyncio.gather(watch(pid, until, memory), *clients)
    return statuses, times, memory


def options(text):
    """What a load of `sidelight serve` can be told."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sidelight", default="target/release/sidelight")
    parser.add_argument("--run", required=True)
    parser.add_argument("--image", help="left out: a model of metadata alone")
    parser.add_argument("--metadata", default="{}")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("serve", nargs="*", help="further arguments of `sidelight serve`, after --")
    return parser


def body_of(arguments):
    """The row that is asked for, as the body of a request."""
    row = {"metadata": json.loads(arguments.metadata)}
    if arguments.image:
        with open(arguments.image, "rb") as file:
            row["image"] = base64.b64encode(file.read()).decode()
    return json.dumps(row).encode()


def start(arguments, **process):
    """The server, and where it listens."""
    command = [arguments.sidelight, "serve", arguments.run, "--addr", "127.0.0.1:0", *arguments.serve]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **process)
    host, port = server.stdout.readline().strip().removeprefix("http://").rsplit(":", 1)
    return server, host, int(port)


def main():
    arguments = options(__doc__).parse_args()
    body = body_of(arguments)
    server, host, port = start(arguments)
    statuses, times, memory = asyncio.run(hold(arguments, host, port, server.pid, body))
    server.send_signal(signal.SIGTERM)
    code = server.wait(120)

    times.sort()
    quantile = lambda share: 1000 * times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")
    quarter = len(memory) // 4
    mean = lambda values: sum(values) / max(1, len(values))
    early, late = mean(memory[quarter : 2 * quarter]), mean(memory[3 * quarter :])
    print(f"{arguments.clients} clients, {arguments.seconds:.0f} s, request of {len(body)} bytes")
    print("answers:", ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items(), key=str)))
    print(f"rows a second: {len(times) / arguments.seconds:.1f}")
    print(f"milliseconds: median {quantile(0.5):.0f}, 95 % {quantile(0.95):.0f}, 99 % {quantile(0.99):.0f}, most {quantile(1):.0f}")
    print(f"memory, MiB: start {memory[0]:.0f}, second quarter {early:.0f}, last quarter {late:.0f}, most {max(memory):.0f}")
    print("exit code after SIGTERM:", code)
    others = {status for status in statuses if status not in (200, 429)}
    grew = late > early * 1.05 and late > early + 16
    sys.exit(1 if others or grew or code != 0 or not times else 0)


if __name__ == "__main__":
    main()
