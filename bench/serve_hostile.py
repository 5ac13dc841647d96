"""Well-behaved clients of `sidelight serve` beside hostile ones, then clients that never read: who is answered, and how fast?

    python bench/serve_hostile.py --run runs/a --image photo.jpg --metadata '{"beds": 3}'

Python's own library is all it needs. For `--seconds`, `--clients` clients ask again as soon as they are answered (a 429
waits for a tenth of a second), beside `--hostile` clients of each kind below, who come again when they are left. Then
`--flood` clients ask for the page's script 400 times each and read nothing, while `/healthz` is asked four times a second
for 20 s; then SIGTERM, with all of them still connected. Prints answers, latencies, the largest memory of the process and of the system's TCP, and how
long the end took. Exits with 1 where a well-behaved client had another answer than 200 or 429, where `/healthz` was
not answered within 5 s, or where the server did not end by itself.
"""

import asyncio
import collections
import resource
import signal
import socket
import subprocess
import sys
import time

from serve_load import body_of, client, options, start

HEAD = "POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


async def until_left(reader, until):
    """Reads until the server closes, or time is over."""
    try:
        while time.monotonic() < until and await asyncio.wait_for(reader.read(65536), max(0.1, until - time.monotonic())):
            pass
    except (OSError, asyncio.TimeoutError):
        pass


async def slow(reader, writer, body, until):
    writer.write(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode())
    for at in range(len(body)):
        writer.write(body[at : at + 1])
        await writer.drain()
        await asyncio.sleep(0.5)
        if time.monotonic() > until or reader.at_eof():
            return


async def silent(reader, writer, body, until):
    await until_left(reader, until)


async def half_head(reader, writer, body, until):
    writer.write(b"POST /v1/predict HTTP/1.1\r\nhost: loc")
    await until_left(reader, until)


async def half_body(reader, writer, body, until):
    writer.write(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])
    await until_left(reader, until)


async def cut_body(reader, writer, body, until):
    writer.write(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])
    writer.write_eof()
    await until_left(reader, min(until, time.monotonic() + 5))


async def says_less(reader, writer, body, until):
    writer.write(f"{HEAD}content-length: {len(body) // 2}\r\n\r\n".encode() + body)
    await until_left(reader, min(until, time.monotonic() + 5))


async def says_all(reader, writer, body, until):
    writer.write(f"{HEAD}content-length: 18446744073709551615\r\n\r\n".encode() + body)
    await until_left(reader, min(until, time.monotonic() + 5))


async def endless(reader, writer, body, until):
    writer.write(f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode())
    while time.monotonic() < until and not reader.at_eof():
        writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def gone(reader, writer, body, until):
    writer.write(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    writer.transport.abort()


KINDS = [slow, silent, half_head, half_body, cut_body, says_less, says_all, endless, gone]


async def hostile(kind, host, port, body, until, visits):
    while time.monotonic() < until:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(host, port)
            await kind(reader, writer, body, until)
            visits[kind.__name__] += 1
        except OSError:
            visits[kind.__name__] += 1
        finally:
            if writer is not None:
                writer.transport.abort()
        await asyncio.sleep(0.05)


def memory(pid, name):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


def tcp_memory():
    """MiB that the system holds for all TCP connections of the machine."""
    with open("/proc/net/sockstat") as file:
        words = next(line for line in file if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * 4096 / 2**20


async def watch(most, until):
    while time.monotonic() < until:
        most[0] = max(most[0], tcp_memory())
        await asyncio.sleep(0.2)


async def crowd(arguments, host, port, body):
    request = f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body
    until = time.monotonic() + arguments.seconds
    statuses, times, visits, most = collections.Counter(), [], collections.Counter(), [0]
    good = [client(host, port, request, until, statuses, times) for _ in range(arguments.clients)]
    bad = [hostile(kind, host, port, body, until, visits) for kind in KINDS for _ in range(arguments.hostile)]
    await asyncio.gather(watch(most, until), *good, *bad)
    return statuses, times, visits, most[0]


def health(host, port):
    began = time.monotonic()
    try:
        with socket.create_connection((host, port), timeout=5) as stream:
            stream.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            is_well = b"200 OK" in stream.recv(4096)
    except OSError:
        is_well = False
    return is_well, time.monotonic() - began


def ask_and_not_read(host, port, n, times):
    """So many clients that ask for the page's script so many times, and do not read."""
    streams = []
    for _ in range(n):
        stream = socket.socket()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.settimeout(5)
        try:
            stream.connect((host, port))
            stream.setblocking(False)
            stream.send(b"GET /page.js HTTP/1.1\r\nhost: localhost\r\n\r\n" * times)
        except OSError:
            pass
        streams.append(stream)
    return streams


def flood(arguments, host, port):
    streams = ask_and_not_read(host, port, arguments.flood, 400)
    answers, most, until = [], 0, time.monotonic() + 20
    while time.monotonic() < until:
        answers.append(health(host, port))
        most = max(most, tcp_memory())
        time.sleep(0.25)
    return streams, answers, most


def main():
    parser = options(__doc__)
    parser.add_argument("--hostile", type=int, default=20, help="clients of each kind")
    parser.add_argument("--flood", type=int, default=1030)
    parser.add_argument("--files", type=int, default=1024, help="the server's soft limit of open files, as most shells have it")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    body = body_of(arguments)
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(arguments.files, hard), hard))
    server, host, port = start(arguments, stderr=subprocess.DEVNULL, preexec_fn=few)
    is_good = True

    statuses, times, visits, tcp = asyncio.run(crowd(arguments, host, port, body))
    times.sort()
    quantile = lambda values, share: 1000 * values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
    n = arguments.hostile
    print(f"{arguments.clients} clients, {arguments.seconds:.0f} s, beside {n} of each: {', '.join(k.__name__ for k in KINDS)}")
    print("  answers:", ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items(), key=str)))
    print(f"  rows a second: {len(times) / arguments.seconds:.1f}")
    print(f"  milliseconds: median {quantile(times, 0.5):.0f}, 99 % {quantile(times, 0.99):.0f}, most {quantile(times, 1):.0f}")
    print("  visits:", ", ".join(f"{kind} {count}" for kind, count in sorted(visits.items())))
    print(f"  memory, MiB: most {memory(server.pid, 'VmHWM:'):.0f}; of TCP, most {tcp:.0f}")
    is_good &= bool(times) and set(statuses) <= {200, 429}

    streams, answers, tcp = flood(arguments, host, port)
    waited = sorted(seconds for _, seconds in answers)
    failed = sum(not is_well for is_well, _ in answers)
    print(f"{len(streams)} clients that never read, 20 s")
    print(f"  /healthz: {len(answers)} asked, {failed} not answered within 5 s")
    print(f"  milliseconds: first {1000 * answers[0][1]:.0f}, median {quantile(waited, 0.5):.0f}, most {quantile(waited, 1):.0f}")
    print(f"  memory, MiB: most {memory(server.pid, 'VmHWM:'):.0f}; of TCP, most {tcp:.0f}")
    is_good &= failed == 0

    streams += ask_and_not_read(host, port, min(arguments.flood, 1000), 40)
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    try:
        code = server.wait(120)
    except subprocess.TimeoutExpired:
        server.kill()
        code = None
    print(f"SIGTERM beside as many anew: exit code {code} after {time.monotonic() - began:.1f} s")
    sys.exit(0 if is_good and code == 0 else 1)


if __name__ == "__main__":
    main()
