"""Cost of a training step: time over batch, segment and processes, memory over the clips' length.

    python -m benchmarks.growth                                   # configs/ljs.json, one thread a process
    python -m benchmarks.growth -c configs/demo.json --plots docs/reference/benchmarks

All are steps of `training.step.train_step` with both networks, on noise. Processes are real ones, joined by gloo under
torchrun; each works on a batch of its own, so twice as many could do twice as much.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import config as settings
from benchmarks.timing import alternate, machine, markdown, peak_growth, plot_growth
from benchmarks.training_step import N_VOCAB, OurStep, made_up_batch
from config import Config
from data_utils import Batch
from training import distributed
from training.step import new_networks

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
BATCHES = (1, 2, 4, 8)
SEGMENTS = (4096, 8192, 16384)  # samples
FRAMES = (200, 400, 600, 800)  # of a clip


def step_of(config: Config) -> OurStep:
    """A training step with its own state, after its optimizers' moments are allocated."""
    step = OurStep(new_networks(config, N_VOCAB, CPU), config)
    step(made_up_batch(config, 1))
    return step


def against_batch(config: Config, batches: list[int], repeats: int) -> dict[str, list[float]]:
    """Seconds of a step, and of each of its utterances."""
    step, drawn = step_of(config), {str(n): made_up_batch(config, n) for n in batches}
    taken = alternate({name: _call(step, batch) for name, batch in drawn.items()}, repeats, warmup=1)
    seconds = [taken[str(n)].median for n in batches]
    return {"a step": seconds, "an utterance": [s / n for s, n in zip(seconds, batches)]}


def against_segment(config: Config, segments: list[int], repeats: int) -> dict[str, list[float]]:
    """Seconds of a step of two utterances."""
    ways = {}
    for samples in segments:
        changed = dataclasses.replace(config, train=dataclasses.replace(config.train, segment_size=samples))
        ways[str(samples)] = _call(step_of(changed), made_up_batch(changed, 2))
    taken = alternate(ways, repeats, warmup=1)
    return {"a step": [taken[str(samples)].median for samples in segments]}


def memory_against_length(config: Config, frames: list[int]) -> dict[str, list[float]]:
    """MiB of a step beyond networks and optimizers, for two utterances of this many frames each."""
    step = step_of(config)
    grown = [peak_growth(_call(step, _clips(config, n))) for n in frames]
    return {"a step": [float("nan") if text == "?" else float(text) for text in grown]}


def against_processes(config_path: Path, overrides: list[str], counts: list[int], repeats: int,
                      batch: int) -> dict[str, list[float]]:
    """Utterances a second of all processes together."""
    rates = []
    for count in counts:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}",
                   "-m", "benchmarks.growth", "--as-worker", "--repeats", str(repeats), "--batch", str(batch),
                   "-c", str(config_path), *(argument for each in overrides for argument in ("--set", each))]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
                              capture_output=True, text=True)
        rates.append(json.loads(done.stdout.splitlines()[-1]))
    return {"utterances a second": rates}


def work_in_a_group(config: Config, repeats: int, batch_size: int) -> None:
    """The work of each process of `against_processes`; the first prints the rate."""
    with distributed.joined(CPU):
        step = OurStep(new_networks(config, N_VOCAB, CPU), config)
        batch, seconds = made_up_batch(config, batch_size), []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            step(batch)
            seconds.append(time.perf_counter() - start)
        if distributed.is_main():
            print(json.dumps(distributed.world_size() * batch_size / sorted(seconds[1:])[repeats // 2]))


def _call(step: OurStep, batch: Batch) -> Callable[[], object]:
    return lambda: step(batch)


def _clips(config: Config, frames: int) -> Batch:
    """Two clips of exactly that many frames, with a token for every third."""
    wav_lengths = torch.tensor([frames * config.data.hop_length] * 2)
    text_lengths = torch.tensor([frames // 3] * 2)
    random = torch.Generator().manual_seed(0)
    return Batch(["0", "1"], torch.randint(1, N_VOCAB, (2, frames // 3), generator=random), text_lengths,
                 0.1 * torch.randn(2, int(wav_lengths[0]), generator=random), wav_lengths, None)


def table(title: str, points: list[int], values: dict[str, list[float]]) -> str:
    """Format a table with one row for each kind of value."""
    return markdown([title, *map(str, points)], [[name, *(f"{value:.3g}" for value in row)]
                                                  for name, row in values.items()])


def main() -> None:
    """Measure, print and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", type=Path, default=Path("configs/ljs.json"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batches", nargs="*", type=int, default=list(BATCHES))
    parser.add_argument("--segments", nargs="*", type=int, default=list(SEGMENTS), help="samples")
    parser.add_argument("--frames", nargs="*", type=int, default=list(FRAMES), help="of a clip")
    parser.add_argument("--processes", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--batch", type=int, default=2, help="utterances of each process")
    parser.add_argument("--plots", type=Path, help="a folder for pictures")
    parser.add_argument("--as-worker", action="store_true", help=argparse.SUPPRESS)
    settings.add_arguments(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = settings.load(args.config, ["train.ema_decay=0", "train.precision=fp32", "train.adversarial_start=0",
                                         *args.overrides])
    if args.as_worker:
        work_in_a_group(config, args.repeats, args.batch)
        return
    found = {
        "batch": ("step, s, by batch", args.batches, against_batch(config, args.batches, args.repeats)),
        "segment": ("step of 2, s, by segment in samples", args.segments,
                    against_segment(config, args.segments, args.repeats)),
        "clip_length": ("step of 2, MiB, by frames of a clip", args.frames,
                        memory_against_length(config, args.frames)),
        "processes": ("training, by processes", args.processes,
                      against_processes(args.config, args.overrides, args.processes, args.repeats, args.batch))}
    for name, (title, points, values) in found.items():
        print(table(title, points, values) + "\n")
        if args.plots:
            plot_growth(args.plots / f"{name}.png", title, points, values)
    print(f"{args.config}, medians of {args.repeats}, one thread a process. {machine()}")


if __name__ == "__main__":
    main()
