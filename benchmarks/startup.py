"""Time from the start of a process to its first sound: ours in torch and ONNX, and other projects.

    pip install piper-tts onnx onnxscript transformers    # the peers; their rows are left out where they are missing
    python -m benchmarks.startup
    python -m benchmarks.startup --repeats 9 --text "Hello."

Every way says the text in a process of its own, in turn with the others; the first round, which brings the files into
memory, does not count. The clock runs from before the process is asked for until the samples are there. Voices are
untrained ones of real sizes: what they say lasts about as long, which the table shows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import checkpoint
from benchmarks import voices
from benchmarks.timing import machine, markdown

STAGES = ("imports", "load", "speak")


class Way(NamedTuple):
    """Start-up code of one implementation, as Python source with the text in `TEXT`."""

    imports: str
    load: str
    speak: str  # leaves `seconds`, the length of what was said


PROGRAM = """
import time
begin = time.perf_counter()
TEXT = {text!r}
{imports}
imported = time.perf_counter()
{load}
loaded = time.perf_counter()
{speak}
spoken = time.perf_counter()
import json, pathlib, re
status = pathlib.Path("/proc/self/status")
peak = re.search(r"VmHWM:\\s*(\\d+) kB", status.read_text()) if status.exists() else None
print(json.dumps({{"imports": imported - begin, "load": loaded - imported, "speak": spoken - loaded,
                  "said": seconds, "mebibytes": int(peak[1]) / 1024 if peak else None}}), flush=True)
"""


class Start(NamedTuple):
    """Times of one start, in seconds."""

    total: float  # from before the process was asked for until it had the sound
    imports: float
    load: float
    speak: float
    said: float  # length of the sound
    mebibytes: float | None  # most that the process held; None where nobody can tell


def ours(folder: Path) -> Way:
    """Our voice in torch, as synthesize.py starts it."""
    return Way("from synthesis import Voice",
               f"voice = Voice.load({str(folder)!r}, 'cpu')",
               "seconds = voice.speak(TEXT, seed=1).seconds")


def ours_onnx(release: Path, folder: Path) -> Way:
    """Our voice in ONNX, as synthesize.py starts it without torch."""
    from formats import onnx_voice

    onnx_voice.write(checkpoint.read_weights(release), folder)
    return Way("from synthesis.onnx import OnnxVoice",
               f"voice = OnnxVoice.load({str(folder)!r})",
               "seconds = voice.speak(TEXT, seed=1).seconds")


def piper(path: Path) -> Way:
    """Piper, as its documentation starts it."""
    return Way("from piper import PiperVoice",
               f"voice = PiperVoice.load({str(path)!r})",
               "chunk = next(iter(voice.synthesize(TEXT)))\n"
               "seconds = len(chunk.audio_float_array) / chunk.sample_rate")


def transformers(folder: Path, tokens: int) -> Way:
    """VitsModel of transformers, with ids instead of a tokenizer, whose files only a trained voice has."""
    return Way("import torch\nfrom transformers import VitsModel",
               f"model = VitsModel.from_pretrained({str(folder)!r})",
               f"with torch.inference_mode():\n    wav = model(torch.ones(1, {tokens}, dtype=torch.int64)).waveform\n"
               "seconds = wav.shape[-1] / model.config.sampling_rate")


def start(way: Way, text: str) -> Start:
    """Run the start-up code in a new process.

    Raises:
        RuntimeError: it ended without a sound.
    """
    program = PROGRAM.format(text=text, **way._asdict())
    environment = {**os.environ, "PYTHONPATH": str(voices.ROOT), "HF_HUB_OFFLINE": "1"}
    begin = time.perf_counter()
    # Away from this project's folder: whatever a peer imports must be the peer's.
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], cwd=tempfile.gettempdir(), env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        total = time.perf_counter() - begin
        _, errors = process.communicate()
    if process.returncode or not line.startswith("{"):
        raise RuntimeError(f"{way.imports.splitlines()[-1]!r} ... ended with status {process.returncode} and without a "
                           f"sound: {errors.strip()[-500:]}")
    return Start(total, **json.loads(line))


def new_ways(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> dict[str, Way]:
    """Write a voice for every implementation that is installed, ours first."""
    full = voices.full_config(overrides)
    medium = voices.full_config((*voices.MEDIUM, *overrides))
    ways = {"ours, medium": ours(voices.write_ours(folder / "medium", medium)),
            "ours, full": ours(voices.write_ours(folder / "full", full))}
    if voices.is_installed("onnx", "onnxruntime"):
        for size in ("medium", "full"):
            ways[f"ours, {size}, onnx"] = ours_onnx(folder / size, folder / f"{size}_onnx")
    if voices.is_installed("piper", "onnx"):  # onnx is what its graph is made with
        ways["piper-tts, medium"] = piper(voices.write_piper(folder / "medium.onnx"))
    if voices.is_installed("transformers"):
        voices.transformers_model(full).save_pretrained(folder / "transformers")
        from text import TextProcessor
        processor = TextProcessor.from_config(full.data)
        tokens = len(processor.encode_lenient(processor.clean([text])[0]).ids)
        ways["transformers, full"] = transformers(folder / "transformers", tokens)
    return ways


def measure(ways: dict[str, Way], text: str, repeats: int) -> dict[str, list[Start]]:
    """Start all implementations in turn; the first round is dropped."""
    starts: dict[str, list[Start]] = {name: [] for name in ways}
    for repeat in range(-1, repeats):
        for i in range(len(ways)):
            name = list(ways)[(i + repeat) % len(ways)]
            found = start(ways[name], text)
            if repeat >= 0:
                starts[name].append(found)
    return starts


def table(starts: dict[str, list[Start]]) -> str:
    """Format medians as Markdown."""
    rows = []
    for name, found in starts.items():
        median = Start(*(None if None in column else statistics.median(column) for column in zip(*found)))
        low, _, high = statistics.quantiles([each.total for each in found], n=4, method="inclusive")
        stages = (f"{getattr(median, stage):.2f}" for stage in STAGES)
        rows.append([name, f"{median.total:.2f} ± {high - low:.2f}", *stages, f"{median.said:.2f}",
                     "?" if median.mebibytes is None else f"{median.mebibytes:.0f}"])
    return markdown(["voice", "first sound, s", *(f"{stage}, s" for stage in STAGES), "says, s", "MiB at most"], rows)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    described.add_argument("--repeats", type=int, default=5, help="counted starts of every way, at least 2")
    described.add_argument("--text", default="Hello.")
    return described


def main(arguments: list[str] | None = None, overrides: tuple[str, ...] = ()) -> None:
    """Write the voices, start them, print a table."""
    args = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        ways = new_ways(Path(folder), args.text, overrides)
        starts = measure(ways, args.text, args.repeats)
    print(table(starts))
    missing = [peer for peer in ("piper-tts", "transformers") if not any(name.startswith(peer) for name in ways)]
    notes = f" Not installed, so left out: {', '.join(missing)}." if missing else ""
    print(f"\nMedian of {args.repeats} ± interquartile range, in turn.{notes} {machine()}")


if __name__ == "__main__":
    main()
