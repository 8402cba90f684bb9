"""Which utterances share a batch: by number and by seconds, as recorded and with speakers evened out, over ranks."""

import dataclasses
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.batching import Batching, LengthBatchSampler, ShardSampler, StepSampler
from tests.conftest import tiny

SHARED = Path(os.environ.get("VITS_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def lj_like_lengths(n):
    return np.random.default_rng(0).lognormal(np.log(520), 0.4, n).clip(90, 870).astype(np.int64)


def samplers_of(lengths, batching, world_size, speaker_ids=None):
    return [LengthBatchSampler(lengths, batching, rank, world_size, speaker_ids) for rank in range(world_size)]


def batches_of(samplers, epoch):
    return [batch for sampler in samplers for batch in sampler.batches(epoch)]


def times_drawn(samplers, epoch):
    indices = [index for batch in batches_of(samplers, epoch) for index in batch]
    return np.bincount(indices, minlength=len(samplers[0].lengths))


def padded_frames(lengths, batch, minimum=0):
    return len(batch) * max(minimum, lengths[batch].max())


def padding_waste(lengths, batches):
    return 1 - sum(lengths[batch].sum() for batch in batches) / sum(padded_frames(lengths, batch) for batch in batches)


@st.composite
def corpora(draw):
    """Lengths and speakers, and settings under which every utterance fits a batch."""
    lengths = draw(st.lists(st.integers(0, 2000), min_size=1, max_size=200))
    speaker_ids = draw(st.lists(st.integers(0, 6), min_size=len(lengths), max_size=len(lengths)))
    minimum = draw(st.sampled_from([0, 32, 500]))
    budget = draw(st.none() | st.integers(max(1, minimum, *lengths), 20000))
    batching = Batching(draw(st.integers(1, 32)), budget, minimum, draw(st.sampled_from([0.3, 1.0, 1.5, 5.0, 100.0])),
                        seed=draw(st.integers(-5, 2**40)), shuffle=draw(st.booleans()))
    return np.array(lengths), np.array(speaker_ids), batching


WORLDS, EPOCHS = st.integers(1, 5), st.integers(0, 50)


@settings(max_examples=200, deadline=None)
@given(corpora(), WORLDS, EPOCHS)
def test_ranks_have_equally_many_batches_and_no_batch_is_empty_or_beyond_a_limit(corpus, world_size, epoch):
    lengths, speaker_ids, batching = corpus
    samplers = samplers_of(lengths, batching, world_size, speaker_ids)
    fullest = samplers[0].largest()
    bound = padded_frames(lengths, fullest, batching.minimum_frames)
    assert 1 <= len(fullest) <= batching.batch_size and bound <= (batching.max_frames or np.inf)
    for each in range(epoch, epoch + 5):
        ranks = [sampler.batches(each) for sampler in samplers]
        assert {len(batches) for batches in ranks} == {samplers[0].batches_per_epoch} == {len(samplers[0])}
        for step in zip(*ranks):
            assert 1 <= min(map(len, step)) and max(map(len, step)) <= min(batching.batch_size, min(map(len, step)) + 1)
            assert max(padded_frames(lengths, batch, batching.minimum_frames) for batch in step) <= bound


@settings(max_examples=150, deadline=None)
@given(corpora(), WORLDS, EPOCHS)
def test_as_recorded_each_utterance_comes_once_an_epoch(corpus, world_size, epoch):
    lengths, speaker_ids, batching = corpus
    samplers = samplers_of(lengths, dataclasses.replace(batching, temperature=1.0), world_size, speaker_ids)
    drawn = times_drawn(samplers, epoch)
    assert len(drawn) == len(lengths) and drawn.min() >= 1 and drawn.max() - drawn.min() <= 1
    slots = world_size * len(samplers[0])
    assert drawn.sum() == max(len(lengths), slots)  # repeats only where a batch would else be empty


@settings(max_examples=100, deadline=None)
@given(corpora(), WORLDS, EPOCHS)
def test_each_speaker_gets_its_quota_in_every_epoch(corpus, world_size, epoch):
    lengths, speaker_ids, batching = corpus
    samplers = samplers_of(lengths, dataclasses.replace(batching, temperature=2.5), world_size, speaker_ids)
    drawn = times_drawn(samplers, epoch)
    counts = np.bincount(speaker_ids)
    shares = counts**0.4 * drawn.sum() / (counts[counts > 0]**0.4).sum()
    found = np.bincount(speaker_ids, weights=drawn)
    assert np.all(np.abs(found - shares) < 1 + 1e-6) and drawn.sum() in (len(lengths), world_size * len(samplers[0]))
    for speaker in np.unique(speaker_ids):
        own = drawn[speaker_ids == speaker]
        assert own.max() - own.min() <= 1


@settings(max_examples=60, deadline=None)
@given(corpora(), WORLDS, st.integers(0, 400))
def test_a_run_resumed_at_any_step_sees_the_tail_of_the_unbroken_one(corpus, world_size, step):
    lengths, speaker_ids, batching = corpus
    unbroken = LengthBatchSampler(lengths, batching, 0, world_size, speaker_ids)
    resumed = LengthBatchSampler(list(lengths), batching, 0, world_size, list(speaker_ids))
    resumed.batches(3)  # what was asked before changes nothing
    tail = list(itertools.islice(StepSampler(unbroken, 0), step, step + 5))
    assert list(itertools.islice(StepSampler(resumed, step), 5)) == tail


@settings(max_examples=40, deadline=None)
@given(corpora(), WORLDS, st.integers(1, 60))
def test_after_any_number_of_epochs_a_speakers_utterances_came_equally_often(corpus, world_size, epochs):
    lengths, speaker_ids, batching = corpus
    batching = dataclasses.replace(batching, shuffle=True)
    samplers = samplers_of(lengths, batching, world_size, speaker_ids)
    drawn = sum(times_drawn(samplers, epoch) for epoch in range(epochs))
    groups = np.zeros_like(speaker_ids) if batching.temperature == 1 else speaker_ids
    for group in np.unique(groups):
        own = drawn[groups == group]
        assert own.max() - own.min() <= 1


def test_temperature_evens_out_speakers_and_keeps_each_ones_lengths():
    lengths = lj_like_lengths(3300)
    speaker_ids = np.repeat([7, 3, 9], [3000, 290, 10])  # any numbers
    expected = {1.0: [3000, 290, 10], 2.0: [2411, 750, 139], 1e9: [1100, 1100, 1100]}
    for temperature, quotas in expected.items():
        sampler = LengthBatchSampler(lengths, Batching(16, temperature=temperature), speaker_ids=speaker_ids)
        for epoch in (0, 5):
            drawn = times_drawn([sampler], epoch)
            assert [int(drawn[speaker_ids == speaker].sum()) for speaker in (7, 3, 9)] == quotas
            own, drawn = lengths[:3000], drawn[:3000]
            deciles = np.quantile(np.repeat(own, drawn), np.linspace(0.1, 0.9, 9))
            assert np.allclose(deciles, np.quantile(own, np.linspace(0.1, 0.9, 9)), rtol=0.01)


def test_a_temperature_below_one_still_leaves_each_speaker_an_utterance():
    speaker_ids = np.repeat([0, 1, 2], [50, 3, 1])
    sampler = LengthBatchSampler(np.arange(54), Batching(8, temperature=0.2), speaker_ids=speaker_ids)
    assert np.bincount(speaker_ids, weights=times_drawn([sampler], 0)).tolist() == [52, 1, 1]


def test_batches_by_seconds_are_nearly_full_and_hold_more_of_the_short_utterances():
    lengths = lj_like_lengths(13100)
    samplers = samplers_of(lengths, Batching(1000, max_frames=20000), 2)
    loads = [padded_frames(lengths, batch) for batch in batches_of(samplers, 0)]
    assert np.mean(loads) > 0.9 * 20000 and np.max(loads) <= 20000 and np.min(loads) > 0.4 * 20000
    sizes = [len(batch) for batch in batches_of(samplers, 0)]
    assert min(sizes) < 30 and max(sizes) > 60  # few long ones, many short ones
    capped = [len(batch) for batch in batches_of(samplers_of(lengths, Batching(40, max_frames=20000), 2), 0)]
    assert max(capped) == 40 and min(capped) == min(sizes)


def test_the_largest_batch_is_as_full_as_the_plan_allows_and_of_real_utterances():
    lengths = np.array([10, 11, 300, 310, 1000])
    by_count = LengthBatchSampler(lengths, Batching(2, shuffle=False))  # sizes 2, 2, 1
    assert by_count.largest() == [4]
    assert LengthBatchSampler(lengths, Batching(2, minimum_frames=2000, shuffle=False)).largest() == [3, 2]
    jittered = LengthBatchSampler(lengths, Batching(2)).largest()
    assert jittered == [4]  # 310 and 1000 are too far apart to change places
    near = LengthBatchSampler(np.array([100, 100, 100, 105]), Batching(2))
    assert padded_frames(near.lengths, near.largest()) == 210
    one = LengthBatchSampler(np.array([5]), Batching(4), rank=1, world_size=3)
    assert one.largest() == [0]


def test_epochs_differ_and_repeated_utterances_rotate():
    sampler = LengthBatchSampler(lj_like_lengths(100), Batching(8, seed=1))
    assert sampler.batches(0) != sampler.batches(1)
    composed = [{frozenset(batch) for batch in sampler.batches(epoch)} for epoch in (0, 1)]
    assert composed[0] != composed[1]
    few = samplers_of([5, 6, 7], Batching(1, seed=1), 2)
    repeated = {int(times_drawn(few, epoch).argmax()) for epoch in range(3)}
    assert repeated == {0, 1, 2}


def test_without_shuffling_each_epoch_is_the_same_and_in_order_of_length():
    sampler = LengthBatchSampler(lengths := lj_like_lengths(50), Batching(8, shuffle=False))
    assert list(sampler) == sampler.batches(0) == sampler.batches(7)
    assert np.all(np.diff(lengths[[index for batch in sampler for index in batch]]) >= 0)
    few = LengthBatchSampler([5, 6, 7], Batching(1, shuffle=False), 1, 2)
    assert few.batches(0) == few.batches(1)


@pytest.mark.parametrize("batching, world_size", [
    (Batching(16), 1), (Batching(64), 1), (Batching(32), 4), (Batching(500, max_frames=30000), 4)])
def test_less_than_a_tenth_of_a_corpus_like_ljspeech_is_padding(batching, world_size):
    lengths = lj_like_lengths(13100)
    assert padding_waste(lengths, batches_of(samplers_of(lengths, batching, world_size), 0)) < 0.1


def test_less_than_a_tenth_of_a_real_small_corpus_is_padding():
    files = sorted((SHARED / "kerstin_de" / "wavs").glob("*"))
    if not files:
        pytest.skip(f"no {SHARED / 'kerstin_de'}; set VITS_SHARED_DATA")
    lengths = np.array([soundfile.info(file).frames // 256 for file in files])
    for batch_size in (8, 32):
        assert padding_waste(lengths, LengthBatchSampler(lengths, Batching(batch_size, seed=1)).batches(0)) < 0.1


def test_settings_of_a_configuration_count_in_frames_that_seconds_fill():
    config = tiny(("train.batch_seconds=2.001", "train.batch_size=9", "train.speaker_temperature=3", "train.seed=5"))
    assert Batching.from_config(config) == Batching(9, max_frames=251, minimum_frames=16, temperature=3.0, seed=5)
    assert Batching.from_config(tiny()).max_frames is None


@pytest.mark.parametrize("world_size", [1, 2, 3, 9])
def test_a_validation_set_is_shared_without_changing_its_batches(world_size):
    whole = LengthBatchSampler(lj_like_lengths(50), Batching(8, shuffle=False))
    shards = [ShardSampler(whole, rank, world_size) for rank in range(world_size)]
    assert sorted(place for shard in shards for place in shard.places) == list(range(7))
    for shard in shards:
        assert list(shard) == [whole.batches(0)[place] for place in shard.places] and len(list(shard)) == len(shard)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_shard_of_batches_made_for_several_processes_is_refused():
    with pytest.raises(ValueError, match="expected the batches of 1 process, found those of 2"):
        ShardSampler(LengthBatchSampler([1, 2], Batching(1), 0, 2), 0, 2)
    with pytest.raises(ValueError, match=r"rank is 2, it must lie in \[0, 2\)"):
        ShardSampler(LengthBatchSampler([1, 2], Batching(1)), 2, 2)


@pytest.mark.parametrize("arguments, expected", [
    (([], Batching(4)), "at least one utterance"), (([1], Batching(0)), "batch_size is 0"),
    (([1], Batching(1), 2, 2), r"rank is 2, it must lie in \[0, 2\)"),
    (([1, 2], Batching(1), 0, 1, [0]), "found 1 speaker ids for 2 utterances"),
    (([5, 90], Batching(1, max_frames=60)), "utterance 1 has 90 frames, and train.batch_seconds leaves a batch 60; "
     "raise it 1.500-fold or more, or lower data.max_wav_seconds"),
    (([5], Batching(1, max_frames=60, minimum_frames=66)), "every utterance is padded to 66 frames.* 1.100-fold or more"
     ", or lower train.segment_size")])
def test_what_cannot_be_batched_is_refused(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        LengthBatchSampler(*arguments)
