"""Timing of several implementations of the same work, measured in turn in one process.

    timings = alternate({"ours": run_ours, "published": run_published}, repeats=15)   # {name: Timing}
    timings["ours"].median, timings["ours"].noise   # seconds; noise is the interquartile range of the repeats
    ratio(timings, "ours", "published")             # how many times faster "ours" is
    print(markdown(["work", "ms"], [["ours", milliseconds(timings["ours"])]]))
    print(machine())                                # the line under a table: date, processor, threads, versions
    peak_growth(run_ours, "cpu")                    # MiB that it takes beyond what is held before it, as text

A repeat runs every way once, in an order that turns by one each time, so a slow minute of the machine falls on all.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from utils import peak_of


class Timing(NamedTuple):
    """Times of the repeats of one implementation, in seconds."""

    median: float
    noise: float  # interquartile range


def alternate(ways: dict[str, Callable[[], object]], repeats: int = 15, warmup: int = 2) -> dict[str, Timing]:
    """Run all functions `warmup` + `repeats` times in turn; time the repeats (at least 2), with GPU work."""
    names, seconds = list(ways), {name: [] for name in ways}
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    for repeat in range(-warmup, repeats):
        for i in range(len(names)):
            name = names[(i + repeat) % len(names)]
            wait()
            start = time.perf_counter()
            ways[name]()
            wait()
            if repeat >= 0:
                seconds[name].append(time.perf_counter() - start)
    quartiles = {name: statistics.quantiles(taken, n=4, method="inclusive") for name, taken in seconds.items()}
    return {name: Timing(middle, high - low) for name, (low, middle, high) in quartiles.items()}


def ratio(timings: dict[str, Timing], name: str, peer: str) -> float:
    """How many times `name` is faster than `peer`."""
    return timings[peer].median / timings[name].median


def milliseconds(timing: Timing) -> str:
    """Format median and spread: "2.71 ± 0.05"."""
    return f"{timing.median * 1e3:.3g} ± {timing.noise * 1e3:.2g}"


def markdown(header: list[str], rows: list[list[object]]) -> str:
    """Format a table as Markdown."""
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in (header, ["---"] * len(header), *rows))


def machine() -> str:
    """Describe this machine in one line."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    processor = [*names, platform.processor() or platform.machine()][0]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (f"{datetime.date.today()}; {processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {gpu}; "
            f"Python {platform.python_version()}, torch {torch.__version__}")


def peak_growth(work: Callable[[], object], device: str = "cpu") -> str:
    """Peak memory of the work beyond what was held before it, in MiB; "?" if unknown."""
    before, most = (peak_of(each, torch.device(device)) for each in (lambda: None, work))
    return "?" if before is None or most is None else f"{(most - before) / 2**20:.0f}"


def plot_growth(path: Path, title: str, points: list[int], values: dict[str, list[float]]) -> None:
    """Save how values grow over the points as a picture, both axes logarithmic; the folder is made."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot(xlabel=title, xscale="log", yscale="log")
    for name, row in values.items():
        axes.plot(points, row, marker="o", label=name)
    axes.set_xticks(points, map(str, points), minor=False)
    axes.xaxis.minorticks_off()
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
