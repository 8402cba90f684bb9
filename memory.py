"""Does the largest batch of a run fit into memory: a GPU's, or, on Linux, the machine's? And what is freed is kept."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

import distributed
from config import Config
from data_utils import Collate, Fault, Utterance
from training_step import TrainState, rehearse

logger = logging.getLogger("vits")

CGROUP = Path("/sys/fs/cgroup")  # where containers are told their limit


class MemoryShortage(RuntimeError):
    """The largest batch of a run does not fit."""


class Memory(NamedTuple):
    """Bytes that this process holds, and those that it could still get."""

    used: int
    free: int


def keep_freed_memory() -> bool:
    """Let the C library keep what tensors on the CPU give back, instead of handing it to the system each time.

    A training step frees and asks for the same gigabytes again; the system clears each page anew, which took 5 to 15 %
    of a small model's step. The most that is held stays the same. False where the C library is not glibc.
    """
    library = _glibc()
    trim_threshold, mmap_max = -1, -4  # names of options in malloc.h
    return library is not None and bool(library.mallopt(mmap_max, 0) and library.mallopt(trim_threshold, -1))


def _give_back() -> None:
    """Hand kept memory to the system, or what is measured next would be hidden in it."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, where it is glibc."""
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return library if hasattr(library, "gnu_get_libc_version") else None


def memory_of(device: torch.device) -> Memory | None:
    """Memory of the device that this process works on; None where nobody can tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Memory(torch.cuda.memory_allocated(device), free + idle)
    status, machine = _kilobytes(Path("/proc/self/status")), _kilobytes(Path("/proc/meminfo"))
    if device.type != "cpu" or "VmRSS" not in status or "MemAvailable" not in machine:
        return None
    free = [machine["MemAvailable"]]
    limit, current = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.is_file() and current.is_file() and limit.read_text().strip().isdigit():
        idle = sum(int(line.split()[1]) for line in (CGROUP / "memory.stat").read_text().splitlines()
                   if line.startswith("inactive_file "))  # file cache, given back on demand
        free.append(int(limit.read_text()) - int(current.read_text()) + idle)
    return Memory(status["VmRSS"], max(0, min(free)))


def peak_of(work: Callable[[], object], device: torch.device) -> int | None:
    """Most bytes that this process holds at a time while it does the work; None where nobody can tell."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device)
    if device.type == "cpu":
        _give_back()
    if device.type != "cpu" or not _reset_high_water_mark():
        return None
    work()
    return _kilobytes(Path("/proc/self/status")).get("VmHWM")


def check_fit(state: TrainState, utterances: Sequence[Utterance | Fault], collate: Collate, config: Config) -> None:
    """See before the first step whether the largest batch fits: by two small rehearsals, and on a GPU in full.

    Args:
        state: as before its next step; it does not move.
        utterances: the largest batch that the run can meet; faults are left out.
        collate: makes it a batch.
        config: the run's.

    Raises:
        MemoryShortage: it does not fit, with the batch, its need, and a size that would.
    """
    utterances = [utterance for utterance in utterances if isinstance(utterance, Utterance)]
    utterances.sort(key=lambda utterance: -len(utterance.wav))
    total, device = len(utterances), state.device

    def work(rows: int) -> None:
        rehearse(state, collate(utterances[:rows]).to(device), config)

    before = memory_of(device)
    one, two = (peak_of(partial(work, min(rows, total)), device) for rows in (1, 2))
    if before is None or one is None:
        return
    each, rest = max(0, two - one), _bytes_to_come(state)
    limit = before.used + before.free // (distributed.local_world_size() if device.type == "cpu" else 1)
    need = two + max(0, total - 2) * each + rest
    if need <= limit and device.type == "cuda":
        try:
            need = peak_of(partial(work, total), device) + rest
        except torch.OutOfMemoryError:
            need = limit + 1
    batch = collate(utterances)
    seconds = batch.wav.shape[1] / config.data.sampling_rate
    found = f"{total} utterances padded to {seconds:.1f} s"
    if need > limit:
        fitting = min(total - 1, 2 + (limit - rest - two) // max(each, 1))
        remedy = (f"train.batch_size={fitting} or train.batch_seconds={fitting * seconds:.0f} would fit, and "
                  "train.accumulate adds several batches up to one step" if fitting > 0 else
                  "not one utterance would; lower data.max_wav_seconds or the model's sizes")
        raise MemoryShortage(
            f"the largest batch does not fit into the memory of {device}: {found} ({', '.join(batch.names[:3])}, ...) "
            f"need about {need / 1e9:.1f} GB of {limit / 1e9:.1f} GB; {remedy}. train.memory_probe=false tries it "
            "all the same")
    logger.info("the largest batch, %s, takes about %.1f GB of %.1f GB", found, need / 1e9, limit / 1e9)


def _bytes_to_come(state: TrainState) -> int:
    """What no rehearsal shows: the optimizers' moments before their first step, and the copy that is being saved."""
    moments = sum(8 * p.numel() for updater in (state.generator_updater, state.discriminator_updater)
                  if not updater.optimizer.state for p in updater.parameters)
    if state.device.type != "cpu":
        return moments
    sides = [sum(p.numel() for p in side.parameters()) for side in (state.generator, state.discriminators)]
    return moments + 4 * (3 * sum(sides) + (sides[0] if state.average is not None else 0))


def _reset_high_water_mark() -> bool:
    """Tell Linux to count the peak of this process from now on."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _kilobytes(path: Path) -> dict[str, int]:
    """Lines "Name:   123 kB" of a file of /proc as bytes by name; nothing where there is no such file."""
    if not path.is_file():
        return {}
    fields = (line.split() for line in path.read_text().splitlines())
    return {field[0].rstrip(":"): 1024 * int(field[1]) for field in fields if len(field) == 3 and field[2] == "kB"}
