"""ONNX graph against Piper's on the same weights: nodes, size, loading time, speed and memory, measured in turn.

    pip install piper-tts onnx onnxscript onnxruntime
    python -m benchmarks.graph
    python -m benchmarks.graph --threads 1 --seconds 20 --repeats 9

An untrained voice of Piper's medium tier, made and exported by its own code; its checkpoint is read by `formats` and
written as our graph, and as our graph in Piper's form, which piper-tts loads. All say the same ids with the same number
of frames. A round opens each file in a process of its own. From the start of a command to its first sound, text code
and all: `benchmarks.startup`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import checkpoint
import config as settings
import formats
from benchmarks import voices
from benchmarks.synthesis import FRAMES_PER_TOKEN
from benchmarks.timing import machine, markdown
from checkpoint import Weights
from utils import set_seed

PIPER, OURS, OURS_FOR_PIPER = "Piper's", "ours", "ours, in Piper's form"
RATE, HOP = 22050, 256  # Hz, samples of a frame: those of the medium tier

PROGRAM = """
import json, pathlib, re, sys, time
import numpy, onnxruntime
file, tokens, scales, threads, level, runs = json.loads(sys.argv[1])
def most():
    status = pathlib.Path("/proc/self/status")
    peak = re.search(r"VmHWM:\\s*(\\d+) kB", status.read_text()) if status.exists() else None
    return int(peak[1]) / 1024 if peak else None
before = most()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.log_severity_level = 3
options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
begin = time.perf_counter()
session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
opened = time.perf_counter() - begin
ids = numpy.random.default_rng(0).integers(3, 30, (1, tokens))
given = {"text_ids": ids, "input": ids, "input_lengths": numpy.array([tokens]),
         "scales": numpy.array(scales, numpy.float32)}
given = {each.name: given[each.name] for each in session.get_inputs()}
if any(each.name == "scales" for each in session.get_overridable_initializers()):
    given["scales"] = numpy.array(scales, numpy.float32)
name = session.get_outputs()[0].name
taken = []
for _ in range(runs + 1):  # the first finds its memory
    begin = time.perf_counter()
    [wav] = session.run([name], given)
    taken.append(time.perf_counter() - begin)
print(json.dumps({"opened": opened, "spoken": sorted(taken[1:])[runs // 2], "samples": wav.size,
                  "mebibytes": None if before is None else most() - before}))
"""


class Found(NamedTuple):
    """Results of one process."""

    opened: float  # seconds
    spoken: float  # seconds, the median of its runs
    samples: int
    mebibytes: float | None  # most that it held beyond the libraries; None where nobody can tell


def piper_weights(graph: Path) -> Weights:
    """Read the weights of a voice by `voices.write_piper`, by our reader of Piper's checkpoints."""
    from piper.train.vits.config import ModelAudioConfig, ModelConfig
    from piper.train.vits.models import SynthesizerTrn

    sizes = ModelConfig(voices.PIPER_SYMBOLS, 1, ModelAudioConfig.low_quality())
    audio = dataclasses.asdict(sizes.audio)
    set_seed(0)  # as there, so the same numbers are drawn; `check_same` would tell
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the old weight norm
        model = SynthesizerTrn(
            voices.PIPER_SYMBOLS, 513, 32, sizes.inter_channels, sizes.hidden_channels, sizes.filter_channels,
            sizes.n_heads, sizes.n_layers, sizes.kernel_size, sizes.p_dropout, **audio)
    file = checkpoint.dump(graph.with_suffix(".ckpt"), {
        "state_dict": {f"model_g.{name}": tensor for name, tensor in model.state_dict().items()},
        "hyper_parameters": {name: str(tuple(audio[name])) for name in ("upsample_rates", "resblock_dilation_sizes")}})
    imported = formats.read(file, Path(f"{graph}.json"), "piper-checkpoint")
    return Weights(settings.to_dict(imported.config), imported.generator, None, 0, file)


def write_graphs(folder: Path, overrides: tuple[str, ...] = ()) -> dict[str, Path]:
    """Write the files to compare; without Piper only ours, of an untrained voice of the same size.

    Args:
        folder: gets them.
        overrides: change the sizes of ours where there is no Piper.

    Raises:
        ValueError: they do not say the same.
    """
    files = {}
    if voices.is_installed("piper", "onnxscript"):
        files[PIPER] = voices.write_piper(folder / "piper.onnx")
        weights = piper_weights(files[PIPER])
    else:
        medium = voices.full_config((*voices.MEDIUM, *overrides))
        weights = checkpoint.read_weights(voices.write_ours(folder / "release", medium))
    for name, form in ((OURS, "onnx"), (OURS_FOR_PIPER, "piper")):
        formats.write(form, weights, folder / form)
        files[name] = folder / form / "voice.onnx"
    check_same(files)
    return files


def check_same(files: dict[str, Path]) -> None:
    """Check that the graphs give the same sound without noise.

    Raises:
        ValueError: naming the two.
    """
    import numpy as np

    from formats.graph import open_session

    ids, scales = np.arange(3, 30)[None], np.array([0, FRAMES_PER_TOKEN - 0.5, 0], np.float32)
    said = {}
    for name, file in files.items():
        session = open_session(file)
        given = {"text_ids": ids, "input": ids, "input_lengths": np.array([ids.size]), "scales": scales}
        taken = {each.name for each in (*session.get_inputs(), *session.get_overridable_initializers())}
        [wav] = session.run([session.get_outputs()[0].name], {key: given[key] for key in given if key in taken})
        said[name] = wav.ravel()
    first = next(iter(said))
    for name, wav in said.items():
        if wav.shape != said[first].shape or np.abs(wav - said[first]).max() > 1e-4:
            raise ValueError(f"{first!r} and {name!r} give different sounds for the same ids: not comparable")


def opened(file: Path, tokens: int, threads: int, runs: int) -> Found:
    """Load a graph and speak, in a new process.

    Raises:
        RuntimeError: it ended without a sound.
    """
    from formats.graph import optimization

    level = optimization(threads) if file.parent.name == "onnx" else "ORT_ENABLE_ALL"  # as its own client opens it
    scales = [0.667, FRAMES_PER_TOKEN - 0.5, 0.0]  # noise, pace (then rounded up), noise of the durations
    told = json.dumps([str(file), tokens, scales, threads, level, runs])
    done = subprocess.run([sys.executable, "-c", PROGRAM, told], cwd=tempfile.gettempdir(), capture_output=True,
                          text=True)
    if done.returncode:
        raise RuntimeError(f"{file} was not spoken: {done.stderr.strip()[-500:]}")
    return Found(**json.loads(done.stdout))


def n_nodes(file: Path) -> int:
    """The number of nodes in the file, before optimisation by a runtime."""
    import onnx

    return len(onnx.load(file).graph.node)


def measure(files: dict[str, Path], tokens: int, threads: int, repeats: int) -> dict[str, list[Found]]:
    """Measure all graphs in turn; the first round, which reads the files from disk, is dropped."""
    found: dict[str, list[Found]] = {name: [] for name in files}
    names = list(files)
    for repeat in range(-1, repeats):
        for i in range(len(names)):
            name = names[(i + repeat) % len(names)]
            one = opened(files[name], tokens, threads, runs=3)
            if repeat >= 0:
                found[name].append(one)
    return found


def rows_of(files: dict[str, Path], found: dict[str, list[Found]], threads: int) -> list[list[object]]:
    """A row for each graph."""
    rows = []
    for name, each in found.items():
        seconds = each[0].samples / RATE
        factors = [one.spoken / seconds for one in each]
        memory = [one.mebibytes for one in each]
        rows.append([name, threads, n_nodes(files[name]), f"{files[name].stat().st_size / 1e6:.1f}",
                     _spread([one.opened for one in each], 2), _spread(factors, 3),
                     "?" if None in memory else f"{statistics.median(memory):.0f}"])
    return rows


def _spread(values: list[float], digits: int) -> str:
    """Median ± interquartile range."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} ± {high - low:.{digits}f}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    described.add_argument("--seconds", type=float, default=6, help="how long the sentence is")
    described.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    described.add_argument("--repeats", type=int, default=5, help="counted rounds, at least 2")
    return described


def main(arguments: list[str] | None = None, overrides: tuple[str, ...] = ()) -> None:
    """Write the graphs, measure them, print a table."""
    args = parser().parse_args(arguments)
    if args.repeats < 2:
        parser().error(f"--repeats {args.repeats}: a range takes 2 or more")
    tokens = max(1, round(args.seconds * RATE / HOP / FRAMES_PER_TOKEN))
    with tempfile.TemporaryDirectory() as folder:
        files = write_graphs(Path(folder), overrides)
        rows = [row for threads in args.threads
                for row in rows_of(files, measure(files, tokens, threads, args.repeats), threads)]
    print(markdown(["graph", "threads", "nodes", "MB", "opens in, s", "real-time factor", "MiB beyond the libraries"],
                   rows))
    said = "The same weights, equal sound within 1e-4." if PIPER in files else "Not installed, so left out: piper-tts."
    print(f"\nA sentence of {tokens * FRAMES_PER_TOKEN * HOP / RATE:.1f} s; median of {args.repeats} ± interquartile "
          f"range, in turn. {said} {machine()}")


if __name__ == "__main__":
    main()
