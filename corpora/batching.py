"""Batching: batches of similar length, limited by number or by seconds, with optional balancing of speakers.

    batches = LengthBatchSampler(dataset.lengths, Batching.from_config(config), rank, world_size, dataset.speaker_ids)
    loader = DataLoader(dataset, batch_sampler=StepSampler(batches, step), ...)

Batches are a function of (lengths, settings, epoch), not of what a run did before, so that it can resume at any step.

Shapes: N utterances, D utterances drawn for an epoch, V speakers, P steps of an epoch, W processes, K = P * W batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from config import Config

_JITTER = 0.1  # width of the random change of each length, so that neighbours differ between epochs


@dataclass(frozen=True)
class Batching:
    """Settings of batching; sizes are per process."""

    batch_size: int  # most utterances of a batch
    max_frames: int | None = None  # most frames of a batch: utterances times the longest; None sets no limit
    minimum_frames: int = 0  # what a shorter utterance is padded to
    temperature: float = 1.0  # each speaker's share is frequency ** (1 / temperature)
    seed: int = 0  # any whole number
    shuffle: bool = True  # False gives the same batches each epoch, in order of length

    @classmethod
    def from_config(cls, config: Config) -> Batching:
        """The batching of a training set; seconds and samples are converted to frames."""
        train, data = config.train, config.data
        seconds = train.batch_seconds
        return cls(batch_size=train.batch_size,
                   max_frames=None if seconds is None else math.ceil(seconds * data.sampling_rate / data.hop_length),
                   minimum_frames=config.segment_frames, temperature=train.speaker_temperature, seed=train.seed)


class LengthBatchSampler(Sampler[list[int]]):
    """Batches of similar length, as many for each rank and in each epoch.

    With a temperature of 1 each utterance comes once an epoch; where there are fewer utterances than batches that the
    ranks need, as few as possible come twice, others each epoch. With another temperature, speakers come as often as
    their quotas say, and utterances of a speaker equally often over the epochs. Batches of a step, one per rank, are
    neighbours in length and differ by one utterance at most.

    How many utterances each batch has is planned once, for the longest utterances that can come to lie in it, so that
    no batch of any epoch exceeds `max_frames`.

    Args:
        lengths: [N] frames.
        batching: the settings.
        rank: this process.
        world_size: processes that share an epoch.
        speaker_ids: [N] whole numbers; None for one voice.

    Raises:
        ValueError: no utterances, a wrong rank or batch size, or an utterance that fits no batch.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, batching: Batching, rank: int = 0, world_size: int = 1,
                 speaker_ids: Sequence[int] | np.ndarray | None = None):
        self.lengths = np.asarray(lengths, dtype=np.int64)  # [N]
        self.batching = batching
        self.rank = rank
        self.world_size = world_size
        self._check(speaker_ids)
        if speaker_ids is None or batching.temperature == 1:
            speakers = np.zeros(len(self.lengths), dtype=np.int64)
        else:
            speakers = np.unique(speaker_ids, return_inverse=True)[1]  # [N] in [0, V)
        self._draws = _Draws(self.lengths, speakers, len(self.lengths), batching)
        self._plan()
        if self._bounds[-1] < len(self._bounds) - 1:  # fewer utterances than batches
            self._draws = _Draws(self.lengths, speakers, _round_up(len(self.lengths), world_size), batching)
            self._plan()

    def _check(self, speaker_ids: Sequence[int] | np.ndarray | None) -> None:
        lengths, batching = self.lengths, self.batching
        if lengths.ndim != 1 or len(lengths) == 0:
            raise ValueError(f"expected the lengths of at least one utterance, found shape {list(lengths.shape)}")
        if speaker_ids is not None and len(speaker_ids) != len(lengths):
            raise ValueError(f"found {len(speaker_ids)} speaker ids for {len(lengths)} utterances; expected one each")
        if batching.batch_size < 1 or not 0 <= self.rank < self.world_size:
            raise ValueError(f"batch_size is {batching.batch_size}, it must be above 0; rank is {self.rank}, "
                             f"it must lie in [0, {self.world_size})")
        longest, most = max(int(lengths.max()), batching.minimum_frames), batching.max_frames
        if most is not None and longest > most:
            found, remedy = f"utterance {lengths.argmax()} has", "data.max_wav_seconds, so that it is left out"
            if longest > lengths.max():
                found, remedy = "every utterance is padded to", "train.segment_size"
            raise ValueError(f"{found} {longest} frames, and train.batch_seconds leaves a batch {most}; raise it "
                             f"{longest / most:.3f}-fold or more, or lower {remedy}")

    def _plan(self) -> None:
        """Set `_bounds`, where each batch begins among an epoch's draws in order of length, and `_reach`.

        Jitter by factors in [a, b] moves utterances past each other. Still, the draw at place q of the jittered order
        has at most b times the q-th length, for that many draws have; so up to there no true length exceeds b / a of
        it. What may be drawn instead of the longest of its stratum is shorter, and changes nothing.
        """
        in_order = np.sort(self.lengths)  # [N]
        planned = np.sort(self.lengths[self._draws.longest()])  # [D]
        margin = (1 + _JITTER / 2) / (1 - _JITTER / 2) * (1 + 1e-9) if self.batching.shuffle else 1.0  # 1e-9: rounding
        reach = np.searchsorted(in_order, planned * margin, side="right") - 1  # [D] places in `in_order`
        padded = np.maximum(in_order[reach], self.batching.minimum_frames)  # [D]
        capacity = np.full(len(padded), self.batching.batch_size)
        if self.batching.max_frames is not None:
            capacity = np.minimum(capacity, self.batching.max_frames // np.maximum(padded, 1))
        step_sizes = _step_sizes(capacity, self.world_size)  # [P]
        ranks = np.arange(self.world_size)
        sizes = (step_sizes[:, None] + self.world_size - 1 - ranks) // self.world_size  # [P, W], the larger come first
        self._bounds = np.concatenate([[0], np.cumsum(sizes)])  # [K + 1]
        last = np.maximum(self._bounds[1:] - 1, 0)  # the place of each batch's longest; an empty one is planned again
        self._reach = reach[last]  # [K]
        self._padded = padded[last]  # [K]

    @property
    def batches_per_epoch(self) -> int:
        """Batches of one rank in an epoch; the same for every rank and epoch."""
        return (len(self._bounds) - 1) // self.world_size

    def batches(self, epoch: int) -> list[list[int]]:
        """This rank's batches of utterance indices in one epoch."""
        return [batch.tolist() for batch in self._batches(epoch)]

    def _batches(self, epoch: int) -> list[np.ndarray]:
        epoch = epoch if self.batching.shuffle else 0
        random = np.random.default_rng([self.batching.seed % 2**63, epoch])
        indices = self._draws.of_epoch(epoch)  # [D]
        lengths = self.lengths[indices]
        steps = np.arange(self.batches_per_epoch)
        if self.batching.shuffle:
            lengths = lengths * random.uniform(1 - _JITTER / 2, 1 + _JITTER / 2, len(lengths))
            steps = random.permutation(steps)
        indices = indices[np.argsort(lengths, kind="stable")]
        places = steps * self.world_size + self.rank
        return [indices[start:end] for start, end in zip(self._bounds[places], self._bounds[places + 1])]

    def largest(self) -> list[int]:
        """The batch of most padded frames that any rank can ever meet, for a probe of memory.

        It may be larger than any that really comes, if jitter never brings its utterances together.
        """
        sizes = np.diff(self._bounds)
        place = np.lexsort((sizes, sizes * self._padded))[-1]
        size, reach = int(sizes[place]), int(self._reach[place])
        in_order = np.argsort(self.lengths, kind="stable")
        return np.resize(in_order[max(0, reach + 1 - size):reach + 1][::-1], size).tolist()  # a short one is repeated

    def from_step(self, step: int) -> Iterator[list[int]]:
        """This rank's batches without end, beginning with that of global step `step`."""
        epoch, done = divmod(step, self.batches_per_epoch)
        while True:
            for batch in self._batches(epoch)[done:]:
                yield batch.tolist()
            epoch, done = epoch + 1, 0

    def __iter__(self) -> Iterator[list[int]]:
        """Epoch 0 once. Training goes through `StepSampler`, validation through `ShardSampler`."""
        return iter(self.batches(0))

    def __len__(self) -> int:
        return self.batches_per_epoch


class StepSampler(Sampler[list[int]]):
    """`DataLoader(batch_sampler=...)` for training: endless batches, beginning at the step where a run resumes."""

    def __init__(self, batches: LengthBatchSampler, start_step: int):
        self.batches = batches
        self.start_step = start_step

    def __iter__(self) -> Iterator[list[int]]:
        return self.batches.from_step(self.start_step)


class ShardSampler(Sampler[list[int]]):
    """`DataLoader(batch_sampler=...)` for validation: over all ranks each batch of epoch 0 comes once.

    The batches are those of a single process, so that numbers do not depend on how many share them. Ranks may differ by
    one batch, and have none, so nothing may wait for the others within the pass.

    Attributes:
        places: the number of each batch of this rank among all.
    """

    def __init__(self, batches: LengthBatchSampler, rank: int, world_size: int):
        if batches.world_size != 1 or not 0 <= rank < world_size:
            raise ValueError(f"expected the batches of 1 process, found those of {batches.world_size}; rank is {rank}, "
                             f"it must lie in [0, {world_size})")
        self.batches = batches
        self.places = range(rank, batches.batches_per_epoch, world_size)

    def __iter__(self) -> Iterator[list[int]]:
        batches = self.batches.batches(0)
        return (batches[place] for place in self.places)

    def __len__(self) -> int:
        return len(self.places)


class _Draws:
    """Which utterances come in an epoch: of each speaker its quota, evenly over its lengths and over the epochs.

    A speaker of n utterances with a quota of c * n + r gives c copies of each, and r draws more, which cut its
    utterances, in order of length, into as many strata. In an epoch draw i is that at place (i * n + k) // r, and
    k goes on by r from epoch to epoch, modulo n. So draws of an epoch differ and are spread over all lengths, and how
    often each utterance has come after any number of epochs differs by one at most.
    """

    def __init__(self, lengths: np.ndarray, speakers: np.ndarray, total: int, batching: Batching):
        self._in_order = np.lexsort((lengths, speakers))  # [N] by speaker, each by length
        self._counts = np.bincount(speakers)  # [V]
        copies, self._rest = np.divmod(_quotas(self._counts, batching.temperature, total), self._counts)  # [V] each
        self._copies = np.repeat(self._in_order, np.repeat(copies, self._counts))
        # Speakers begin at different places, or all would have their shortest utterances in the same epochs.
        self._starts = np.random.default_rng(batching.seed % 2**63).integers(self._counts)  # [V]

    def of_epoch(self, epoch: int) -> np.ndarray:
        """[D] utterance indices."""
        return self._drawn((self._starts + epoch * self._rest) % self._counts)

    def longest(self) -> np.ndarray:
        """[D] what each draw is at its longest; sorted by length, no epoch's draws exceed it anywhere."""
        return self._drawn(self._counts - 1)

    def _drawn(self, offsets: np.ndarray) -> np.ndarray:
        speaker = np.repeat(np.arange(len(self._rest)), self._rest)  # [sum of r] of each draw
        draw = np.arange(len(speaker)) - (np.cumsum(self._rest) - self._rest)[speaker]  # its number i
        places = (draw * self._counts[speaker] + offsets[speaker]) // self._rest[speaker]
        first = (np.cumsum(self._counts) - self._counts)[speaker]
        return np.concatenate([self._copies, self._in_order[first + places]])


def _quotas(counts: np.ndarray, temperature: float, total: int) -> np.ndarray:
    """[V] draws of each speaker, `total` in all: as counts ** (1 / temperature), but at least 1."""
    weights = (counts / counts.max()) ** (1 / temperature)
    free = np.ones(len(counts), dtype=bool)  # whose share is no less than 1; with a temperature above 1 all are
    while True:
        shares = np.where(free, weights * (total - np.count_nonzero(~free)) / weights[free].sum(), 1.0)
        if (shares >= 1 - 1e-9).all():
            break
        free &= shares >= 1 - 1e-9
    quotas = np.maximum(shares.astype(np.int64), 1)
    by_remainder = np.argsort(quotas - shares, kind="stable")
    quotas[by_remainder[:total - quotas.sum()]] += 1
    return quotas


def _step_sizes(capacity: np.ndarray, world_size: int) -> np.ndarray:
    """[P] utterances of each step, from the shortest on.

    Args:
        capacity: [D] most utterances of a batch whose longest is this one; 1 or more, and never rising.
        world_size: batches of a step.
    """
    ends = []  # of each step among the utterances, from the longest down
    end = len(capacity)
    while end > 0:
        ends.append(end)
        end -= world_size * int(capacity[end - 1])
    steps = len(ends)
    ends = np.array(ends)
    # The last step has what is left, perhaps one utterance; it shares evenly with all neighbours that this relieves.
    room = (steps - np.arange(steps)) * world_size * capacity[ends - 1]
    first = int(np.argmax(ends <= room))
    sharing = steps - first
    even = (ends[first] + np.arange(sharing)[::-1]) // sharing  # the larger come first
    return np.concatenate([even, -np.diff(ends[:first + 1])[::-1]])


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
