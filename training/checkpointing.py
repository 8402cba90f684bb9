"""Retention of a run's checkpoints, and saving them in a thread beside the training loop."""

from __future__ import annotations

import logging
import math
import shutil
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import checkpoint
from checkpoint import Best, Ranking
from config import TrainConfig
from training import distributed

logger = logging.getLogger("vits")


@dataclass(frozen=True)
class Retention:
    """Which checkpoints of a run are kept: the newest, those that validated best, and one every so many steps."""

    last: int
    best: int  # 0 ranks nothing
    every: int | None  # steps; None keeps none for ever
    measure: str  # a number of the validation; lower is better

    @classmethod
    def from_config(cls, train: TrainConfig) -> Retention:
        """From the settings."""
        return cls(train.keep_last, train.keep_best, train.keep_every, train.best_measure)

    def rank(self, run_dir: Path, step: int, measures: Mapping[str, float]) -> None:
        """Enter a checkpoint that was just written into best.json, by what its validation measured, if there was one.

        Raises:
            ValueError: the validation measured other things only.
        """
        if not self.best:
            return
        if measures and self.measure not in measures:
            raise ValueError(f"train.best_measure is {self.measure!r}, which validation does not measure; choose one "
                             f"of {', '.join(sorted(measures))}, or set train.keep_best=0")
        ranking = checkpoint.read_ranking(run_dir) or Ranking(self.measure, ())
        if ranking.measure != self.measure:
            logger.warning("%s: checkpoints were ranked by %s; the ranking starts anew, by %s", run_dir,
                           ranking.measure, self.measure)
            ranking = Ranking(self.measure, ())
        entries = [best for best in ranking.best
                   if best.step != step and checkpoint.path_of(run_dir, best.step).is_file()]
        value = float(measures.get(self.measure, math.nan))
        if math.isfinite(value):
            entries.append(Best(step, value))
        entries.sort(key=lambda best: (best.value, best.step))
        checkpoint.write_ranking(run_dir, Ranking(self.measure, tuple(entries[: self.best])))

    def prune(self, run_dir: Path, step: int) -> list[Path]:
        """Delete what is not kept, and return it; `step` is kept, for after a rollback it may not be the newest."""
        ranking = checkpoint.read_ranking(run_dir)
        steps = checkpoint.list_steps(run_dir)
        kept = {step, *steps[-self.last:], *(best.step for best in (ranking.best[: self.best] if ranking else ()))}
        gone = [checkpoint.path_of(run_dir, each) for each in steps
                if each not in kept and not (self.every and each % self.every == 0)]
        for path in gone:
            path.unlink(missing_ok=True)
        return gone


class Writer:
    """Saves a run's checkpoints without stopping it: a copy is taken at once; one thread writes, ranks and prunes.

    An error in that thread (disk full, no permission) is raised by the next call of `save`, `poll`, `wait` or `close`.
    """

    def __init__(self, run_dir: Path, retention: Retention):
        checkpoint.read_ranking(run_dir)  # a damaged one is found now, not hours later
        self.run_dir = run_dir
        self.retention = retention
        self._memory: Any = None  # of the copy: the next one of the same shapes is taken into it
        self._reserving: Future[Any] | None = None
        self._pending: Future[Path] | None = None
        self._finished: deque[Path] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        if distributed.is_main():  # the others write nothing, and must not clear away what this one writes
            for left_over in (*run_dir.glob("checkpoint_*.tmp"), *run_dir.glob("best.json.tmp")):  # of a killed process
                left_over.unlink()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise
            logger.exception("%s: the checkpoint that was being saved is lost", self.run_dir)  # not to hide `error`

    def reserve(self, payload: dict[str, Any]) -> None:
        """Allocate memory for copies of such a payload in the thread, so that the first save need not wait for it."""
        self._reserving = self._thread.submit(_room_for, payload)

    def save(self, step: int, payload: dict[str, Any], measures: Mapping[str, float] | None = None) -> None:
        """Take a copy of the payload and let it be written; waits first if the save before it is not through.

        Args:
            step: names the file.
            payload: tensors and JSON types, nested in dicts, lists and tuples; may change once this returns.
            measures: what the validation of this step measured, if there was one.

        Raises:
            OSError: the disk has no room for it; nothing was written or deleted.
            TypeError: the payload holds something else, which could not be loaded again.
        """
        self._settle()
        needed, free = _size(payload), shutil.disk_usage(self.run_dir).free
        if needed > free:
            raise OSError(f"{self.run_dir}: a checkpoint needs about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are "
                          "free; free some, delete older checkpoints there and lower train.keep_last or "
                          "train.keep_best, or move the run to another disk")
        if self._reserving is not None:
            self._memory, self._reserving = self._reserving.result(), None
        self._memory = _copy(payload, self._memory, "payload")
        self._pending = self._thread.submit(self._write, step, self._memory, dict(measures or {}))

    def poll(self) -> Path | None:
        """The oldest finished checkpoint that was not returned yet, or None. Cheap enough for each step."""
        if self._pending is not None and self._pending.done():
            self._settle()
        return self._finished.popleft() if self._finished else None

    def wait(self) -> Path | None:
        """As `poll`, after waiting for the save in progress; None if all were returned."""
        self._settle()
        return self.poll()

    def close(self) -> None:
        """Wait for the save in progress and end the thread."""
        try:
            self._settle()
        finally:
            self._thread.shutdown()

    def _settle(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            self._finished.append(pending.result())

    def _write(self, step: int, payload: dict[str, Any], measures: dict[str, float]) -> Path:
        path = checkpoint.save(self.run_dir, step, payload)
        self.retention.rank(self.run_dir, step, measures)
        self.retention.prune(self.run_dir, step)
        return path


def _copy(value: Any, memory: Any, where: str) -> Any:
    """The value in plain containers, its tensors on the CPU; in the memory of an earlier copy where that fits."""
    if isinstance(value, Tensor):
        source = value.detach()
        if not (isinstance(memory, Tensor) and memory.dtype == source.dtype and memory.shape == source.shape):
            memory = torch.empty_like(source, device="cpu", pin_memory=source.is_cuda)  # pinned: the GPU fills it fast
        return memory.copy_(source)
    if isinstance(value, dict):
        old = memory if isinstance(memory, dict) else {}
        return {key: _copy(each, old.get(key), f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        old = memory if isinstance(memory, (list, tuple)) and len(memory) == len(value) else [None] * len(value)
        items = [_copy(each, old[i], f"{where}[{i}]") for i, each in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}; a checkpoint holds tensors, numbers, text, dicts and lists")


def _room_for(value: Any) -> Any:
    """Memory in the shape of a payload, written to once, so that the system has allocated it."""
    if isinstance(value, Tensor):
        return torch.zeros(value.shape, dtype=value.dtype, pin_memory=value.is_cuda).fill_(0)
    if isinstance(value, dict):
        return {key: _room_for(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_room_for(each) for each in value]
    return None


def _size(value: Any) -> int:
    """Bytes in a file, a little generously: each tensor has a header and padding."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size() + 512
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return 64 + sum(map(_size, parts))
