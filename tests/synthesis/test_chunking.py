"""Chunk sizes that a machine's speed allows: every chunk is ready before the one before it has been played."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from synthesis import chunking
from synthesis.chunking import DEFAULT_CHUNKS, WHOLE, calibrated_chunks, plan_chunks

HOP, RATE = 256, 22050


class Machine:
    """A voice and a clock: a chunk takes `per_chunk` and each of its frames `per_frame` seconds."""

    config = SimpleNamespace(data=SimpleNamespace(hop_length=HOP))
    sample_rate = RATE

    def __init__(self, per_chunk, per_frame, is_whole=False):
        self.per_chunk, self.per_frame, self.is_whole, self.now = per_chunk, per_frame, is_whole, 0.0

    def perf_counter(self):
        return self.now

    def stream_ids(self, ids, chunks, durations, seed, speed):
        for chunk in plan_chunks(sum(durations), 0, WHOLE if self.is_whole else chunks):
            self.now += self.per_chunk + (chunk.end - chunk.start) * self.per_frame
            yield np.zeros((chunk.end - chunk.start) * HOP)


def sizes_on(monkeypatch, machine, **options):
    monkeypatch.setattr(chunking, "time", machine)
    return calibrated_chunks(machine, **options)


@given(st.floats(1e-5, 0.05), st.floats(1e-5, 0.004), st.floats(0.3, 0.9))
def test_every_chunk_is_ready_in_time_and_none_takes_long(per_chunk, per_frame, load):
    assume(per_frame / (HOP / RATE) / load < 0.85)
    with pytest.MonkeyPatch.context() as monkeypatch:
        sizes = sizes_on(monkeypatch, Machine(per_chunk, per_frame), load=load)
    lengths = [chunk.end - chunk.start for chunk in plan_chunks(5000, 0, sizes)]
    for played, computed in zip(lengths, lengths[1:]):
        assert per_chunk + computed * per_frame <= load * played * HOP / RATE * 1.01
    assert all(per_chunk + each * per_frame <= 0.26 for each in lengths[1:] if each > sizes.first)


def test_a_faster_machine_starts_with_less_and_goes_on_with_more(monkeypatch):
    slow, fast = (sizes_on(monkeypatch, Machine(0.03 / speed, 0.002 / speed)) for speed in (1, 20))
    assert fast.first < slow.first and fast.most > slow.most and fast.growth > slow.growth


def test_a_voice_that_is_too_slow_or_decodes_whole_gets_fixed_sizes(monkeypatch):
    assert sizes_on(monkeypatch, Machine(0.01, 0.02)) == DEFAULT_CHUNKS
    assert sizes_on(monkeypatch, Machine(0.01, 0.001, is_whole=True)) == WHOLE
