"""Alignment search against the published one and the one on PyPI, and its cost over the number of frames.

    pip install monotonic-alignment-search==0.2.1     # the peer; its rows are left out where it is missing
    python benchmarks/alignment.py
    python benchmarks/alignment.py --sizes 64x150x800 --frames 250 500 1000 --repeats 9 --plot alignment.png

Every call begins with the scores and what a model has beside them: lengths, a mask of frames and one of tokens; so the
dense mask that some want is made within the call. On a machine with a GPU all calls begin and end there.
"""
# Shapes: B batch, L text tokens, T frames.

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import monotonic_align  # noqa: E402
from benchmarks import timing  # noqa: E402
from commons import sequence_mask  # noqa: E402
from utils import keep_freed_memory  # noqa: E402

SIZES = ["16x100x400", "64x150x800", "64x300x1200", "1x1000x8000"]  # B x L x T
FRAMES = [200, 400, 800, 1600, 3200]
FRAMES_PER_TOKEN = 5
DURATIONS = "ours, durations out"
PATH = "ours, path out"
MASK = "ours, published signature"
PUBLISHED = "published call"
PEER = "monotonic-alignment-search"
PEER_TURNED = "monotonic-alignment-search, from and to the published layout"


class Work(NamedTuple):
    """A batch to align, with items of different lengths."""

    scores: Tensor  # [B, T, L]
    text_lengths: Tensor  # [B]
    spec_lengths: Tensor  # [B]
    frame_mask: Tensor  # [B, T, 1] float32, as a model has it anyway
    token_mask: Tensor  # [B, 1, L]


def new_work(batch: int, tokens: int, frames: int, device: str) -> Work:
    """Draw random scores, with lengths from three quarters of the size to the full size."""
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(batch, frames, tokens, generator=random)
    share = 1 - 0.25 * torch.rand(batch, generator=random)
    share[0] = 1
    text_lengths, spec_lengths = (share * tokens).long().clamp(min=1), (share * frames).long()
    frame_mask = sequence_mask(spec_lengths, frames)[:, :, None].float()
    token_mask = sequence_mask(text_lengths, tokens)[:, None, :].float()
    return Work(*(each.to(device) for each in (scores, text_lengths, spec_lengths, frame_mask, token_mask)))


@lru_cache(maxsize=1)
def _published_search() -> ModuleType:
    """Compile published_search.pyx as `python setup.py build_ext` would, in a temporary folder."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    with tempfile.TemporaryDirectory() as folder:
        extension = Extension("published_search", [str(ROOT / "benchmarks" / "published_search.pyx")])
        command = build_ext(Distribution({"ext_modules": cythonize([extension], build_dir=folder, quiet=True)}))
        command.build_lib = command.build_temp = folder
        command.finalize_options()
        command.run()
        spec = importlib.util.spec_from_file_location("published_search", command.get_ext_fullpath("published_search"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def published_call(work: Work) -> Tensor:
    """The published search: dense mask, copies through NumPy, dense int32 path [B, T, L]."""
    mask = work.frame_mask * work.token_mask
    sums = work.scores.detach().cpu().numpy().astype(np.float32)  # always a copy
    path = np.zeros(sums.shape, np.int32)
    spec_lengths = mask.sum(1)[:, 0].cpu().numpy().astype(np.int32)
    text_lengths = mask.sum(2)[:, 0].cpu().numpy().astype(np.int32)
    _published_search().search_batch(path, sums, spec_lengths, text_lengths)
    return torch.from_numpy(path).to(device=work.scores.device, dtype=work.scores.dtype)


def ways_of(work: Work) -> dict[str, Callable[[], Tensor]]:
    """The available implementations by name; they return paths in different layouts, or durations."""
    scores, text_lengths, spec_lengths, frame_mask, token_mask = work
    ways = {
        DURATIONS: lambda: monotonic_align.durations(scores, text_lengths, spec_lengths),
        PATH: lambda: monotonic_align.search(scores, text_lengths, spec_lengths).path,
        MASK: lambda: monotonic_align.maximum_path(scores, frame_mask * token_mask),
        PUBLISHED: lambda: published_call(work),
    }
    if importlib.util.find_spec("monotonic_alignment_search") is not None:
        from monotonic_alignment_search import maximum_path
        turned_scores = scores.mT.contiguous()  # it wants tokens before frames, [B, L, T]
        ways[PEER] = lambda: maximum_path(turned_scores, token_mask.mT * frame_mask.mT)
        ways[PEER_TURNED] = lambda: maximum_path(
            scores.mT.contiguous(), token_mask.mT * frame_mask.mT).mT.contiguous()
    return ways


def check_equal(ways: dict[str, Callable[[], Tensor]]) -> None:
    """Check that all implementations find the same path."""
    path = ways[PUBLISHED]()
    for name, way in ways.items():
        found, expected = way(), {DURATIONS: path.sum(1).long(), PEER: path.mT}.get(name, path)
        if not torch.equal(found, expected):
            raise ValueError(f"{name!r} finds another path than {PUBLISHED!r}, expected the same: not comparable")


def measure_size(size: str, repeats: int, device: str) -> list[list[str]]:
    """Measure one size, "BxLxT"; return a row for each implementation."""
    ways = ways_of(new_work(*map(int, size.split("x")), device))
    check_equal(ways)
    timings = timing.alternate(ways, repeats)
    return [[size, name, timing.milliseconds(timings[name]), *(
        f"{timing.ratio(timings, name, peer):.2f}x" if peer in ways else "-" for peer in (PUBLISHED, PEER)),
        timing.peak_growth(ways[name], device)] for name in ways]


def measure_growth(frames: list[int], repeats: int, device: str) -> dict[str, list[float]]:
    """Measure milliseconds for each number of frames, of 16 items with one token per 5 frames."""
    milliseconds: dict[str, list[float]] = {}
    for each in frames:
        ways = ways_of(new_work(16, max(1, each // FRAMES_PER_TOKEN), each, device))
        for name, taken in timing.alternate(ways, repeats).items():
            milliseconds.setdefault(name, []).append(taken.median * 1e3)
    return milliseconds


def parser() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    described.add_argument("--sizes", nargs="*", default=SIZES, help="batch x tokens x frames, e.g. 64x150x800")
    described.add_argument("--frames", nargs="*", type=int, default=FRAMES, help="for the cost against the frames")
    described.add_argument("--repeats", type=int, default=15, help="measured runs of every way, at least 2")
    described.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    described.add_argument("--plot", type=Path, help="save the cost against the frames as a picture")
    return described


def main(arguments: list[str] | None = None) -> None:
    """Print both tables, and save the picture if one is wanted."""
    args = parser().parse_args(arguments)
    keep_freed_memory()  # as training does; or finding 30 MB for a path again and again is most of what is measured
    rows = [row for size in args.sizes for row in measure_size(size, args.repeats, args.device)]
    print(timing.markdown(["B x L x T", "way", "ms", "times faster than the published call", "than PyPI's",
                           "MiB beyond the scores"], rows))
    milliseconds = measure_growth(args.frames, args.repeats, args.device)
    print("\n" + timing.markdown(["16 items, ms by frames", *map(str, args.frames)], [
        [name, *(f"{value:.3g}" for value in values)] for name, values in milliseconds.items()]))
    print(f"\nMedian of {args.repeats} ± interquartile range. {timing.machine()}")
    if args.plot:
        timing.plot_growth(args.plot, "alignment of 16 items, ms, by frames", args.frames, milliseconds)


if __name__ == "__main__":
    main()
