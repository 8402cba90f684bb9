"""Whether the largest batch of a run fits into memory: a GPU's, or, on Linux, the machine's."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from config import Config
from data_utils import Batch, Collate, Fault, Utterance
from losses import LossScale
from training import distributed
from training.augmentation import Augmenter
from training.step import TrainState, discriminator_half, eagerly, generator_half
from utils import kilobytes, peak_of

logger = logging.getLogger("vits")

CGROUP = Path("/sys/fs/cgroup")  # where a container finds its limit


class MemoryShortage(RuntimeError):
    """The largest batch of a run does not fit."""


class Memory(NamedTuple):
    """Bytes that this process holds, and those that it could still get."""

    used: int
    free: int


def memory_of(device: torch.device) -> Memory | None:
    """Memory of the device that this process works on; None where the system does not report it."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Memory(torch.cuda.memory_allocated(device), free + idle)
    status, machine = kilobytes(Path("/proc/self/status")), kilobytes(Path("/proc/meminfo"))
    if device.type != "cpu" or "VmRSS" not in status or "MemAvailable" not in machine:
        return None
    free = [machine["MemAvailable"]]
    limit, current = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.is_file() and current.is_file() and limit.read_text().strip().isdigit():
        idle = sum(int(line.split()[1]) for line in (CGROUP / "memory.stat").read_text().splitlines()
                   if line.startswith("inactive_file "))  # file cache, given back on demand
        free.append(int(limit.read_text()) - int(current.read_text()) + idle)
    return Memory(status["VmRSS"], max(0, min(free)))


def check_fit(state: TrainState, utterances: Sequence[Utterance | Fault], collate: Collate, config: Config) -> None:
    """Check before the first step that the largest batch fits: by dry runs on one and two utterances, on a GPU on all.

    Args:
        state: as before its next step; it is not changed.
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
        dry_run(state, collate(utterances[:rows]).to(device), config)

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
    """What no dry run shows: the optimizers' moments before their first step, and the copy that is being saved."""
    moments = sum(8 * p.numel() for updater in (state.generator_updater, state.discriminator_updater)
                  if not updater.optimizer.state for p in updater.parameters)
    if state.device.type != "cpu":
        return moments
    sides = [sum(p.numel() for p in side.parameters()) for side in (state.generator, state.discriminators)]
    return moments + 4 * (3 * sum(sides) + (sides[0] if state.average is not None else 0))


def dry_run(state: TrainState, batch: Batch, config: Config) -> None:
    """Compute a step on this batch, both halves, without changing the state: for measuring memory."""
    train = config.train
    steady = dataclasses.replace(config.discriminator, augment_target=None,
                                 augment_probability=1.0 if config.discriminator.augmentations else 0.0)
    alone = dataclasses.replace(
        state, wrapped_generator=state.generator, wrapped_discriminators=state.discriminators,
        augmenter=Augmenter(steady, config.data.sampling_rate))
    buffers = [buffer.clone() for buffer in state.discriminators.buffers()]  # spectral norm changes at each pass
    whole, generated = [LossScale(1.0, 1.0, 1.0)], None
    with eagerly(train):
        if train.adversarial_start < (train.total_steps or math.inf):  # now or later
            alone.step = max(alone.step, train.adversarial_start)
            _, generated = discriminator_half(alone, [batch], whole, config)
        generator_half(alone, [batch], whole, config, generated, None)
    for updater in (state.generator_updater, state.discriminator_updater):
        updater.zero_grad()
    for buffer, kept in zip(state.discriminators.buffers(), buffers):
        buffer.copy_(kept)
