"""The work of a training run: settings, folder, batches, and the request to stop."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from torch.profiler import record_function
from torch.utils.data import DataLoader

from config import Config
from corpora.batching import Batching, LengthBatchSampler, ShardSampler, StepSampler
from data_utils import Batch, Collate, RestartingLoader, UtteranceDataset, report_faults
from training import distributed
from training.callbacks import Callback
from training.distributed import StopRequest


@dataclass
class Job:
    """What a run works on: settings, folder, data, and the request to stop."""

    config: Config
    run_dir: Path
    device: torch.device
    train_set: UtteranceDataset
    valid_set: UtteranceDataset
    stop: StopRequest
    callbacks: Sequence[Callback] = ()  # beside those that train.callbacks names
    seen_faults: set[str] = field(default_factory=set)  # files that were reported

    def __post_init__(self) -> None:
        rank, world_size, batching = distributed.rank(), distributed.world_size(), Batching.from_config(self.config)
        self.batches = LengthBatchSampler(self.train_set.lengths, batching, rank, world_size,
                                          self.train_set.speaker_ids)
        in_order = dataclasses.replace(batching, shuffle=False, temperature=1.0)
        self.shard = ShardSampler(LengthBatchSampler(self.valid_set.lengths, in_order), rank, world_size)
        self.collate = Collate(self.config.train.segment_size, self.config.data.hop_length)

    @property
    def total_steps(self) -> int:
        """The step at which the run is done."""
        train = self.config.train
        by_epochs = train.epochs * self.batches.batches_per_epoch // train.accumulate
        return min(by_epochs, train.total_steps or by_epochs)

    def epoch_of(self, step: int) -> int:
        """The pass over the data that a step belongs to, from 0."""
        return step * self.config.train.accumulate // self.batches.batches_per_epoch

    def must_stop(self) -> bool:
        """Whether any process was asked to stop; the same in all processes, which must all call it."""
        if distributed.sum_over_processes([float(self.stop.is_made)])[0]:
            self.stop.reason = self.stop.reason or "another process was asked to"
        return self.stop.is_made

    def batches_from(self, step: int) -> Iterator[list[Batch]]:
        """The batches of each step, endlessly; files that cannot be read are reported and left out."""
        accumulate = self.config.train.accumulate
        with contextlib.closing(iter(RestartingLoader(self._train_loader, step * accumulate))) as loader:
            while True:
                with record_function("data"):
                    batches = list(islice(loader, accumulate))
                for batch in batches:
                    report_faults(batch, self.seen_faults)
                yield batches

    def _train_loader(self, first_batch: int) -> DataLoader:
        return DataLoader(self.train_set, batch_sampler=StepSampler(self.batches, first_batch), collate_fn=self.collate,
                          num_workers=self.config.train.num_workers, pin_memory=self.device.type == "cuda",
                          worker_init_fn=_ignore_signals)

    def valid_batches(self) -> Iterator[tuple[int, Batch]]:
        """One pass over this process's share of the validation set, each batch with its place among all."""
        for place, batch in zip(self.shard.places,
                                DataLoader(self.valid_set, batch_sampler=self.shard, collate_fn=self.collate)):
            report_faults(batch, self.seen_faults)
            yield place, batch


def _ignore_signals(_worker: int) -> None:
    """In a worker: Ctrl-C and torchrun's SIGTERM are for the main process, whose step in progress needs the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
