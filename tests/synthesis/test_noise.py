"""Noise is a function of strategy and seed: no batch, padding, length or device changes it, and it is what it says."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthesis import noise as latents
from synthesis.noise import (
    SEED_LIMIT,
    STRATEGIES,
    best_of,
    candidate_seed,
    duration_noise,
    prior_noise,
    random_stream,
)

NAMES = ("prior", "mode", "truncated", "antithetic")
SEEDS = st.integers(0, SEED_LIMIT - 1)
GOLDEN_PRIOR = [0.613058, 0.211780, -0.513915, 0.881548]  # channel by channel
GOLDEN_DURATIONS = [-0.486393, -0.356409]


@settings(max_examples=60, deadline=None)
@given(strategy=st.sampled_from(NAMES), items=st.lists(st.tuples(SEEDS, st.integers(1, 40)), min_size=1, max_size=5),
       channels=st.integers(1, 9))
def test_an_item_hears_the_same_noise_alone_and_in_any_batch(strategy, items, channels):
    seeds, lengths = zip(*items)
    batch = prior_noise(strategy, seeds, channels, lengths)
    assert batch.shape == (len(items), channels, max(lengths)) and batch.dtype == torch.float32
    for row, seed, length in zip(batch, seeds, lengths):
        assert torch.equal(row[:, :length], prior_noise(strategy, [seed], channels, [length])[0])
        assert not row[:, length:].any()


@pytest.mark.parametrize("strategy", NAMES)
def test_a_shorter_draw_is_the_beginning_of_a_longer_one(strategy):
    whole = prior_noise(strategy, [7], 5, [50])[0]
    for length in range(1, 50):
        assert torch.equal(prior_noise(strategy, [7], 5, [length])[0], whole[:, :length])
    rhythm = duration_noise([7], [50], strategy)[0]
    for length in range(1, 50):
        assert torch.equal(duration_noise([7], [length], strategy)[0], rhythm[:, :length])


def test_noise_does_not_touch_and_does_not_hear_the_generators_of_torch_and_numpy():
    torch.manual_seed(1)
    undisturbed = torch.rand(1)
    torch.manual_seed(1)
    first = prior_noise("prior", [3], 4, [6])
    assert torch.equal(torch.rand(1), undisturbed)
    np.random.seed(5)
    assert torch.equal(prior_noise("prior", [3], 4, [6]), first)


def test_the_numbers_of_a_seed_stay_what_they_were():
    # Someone's saved seed must sound tomorrow as it does today; a change here breaks that.
    noise = prior_noise("prior", [1234], 2, [2])[0]
    assert noise.flatten().tolist() == pytest.approx(GOLDEN_PRIOR, abs=1e-6)
    assert duration_noise([1234], [1])[0].flatten().tolist() == pytest.approx(GOLDEN_DURATIONS, abs=1e-6)


def test_seeds_and_streams_do_not_share_their_draws():
    # 2**32 apart, where torch's generator on CPUs no longer sees a difference.
    seeds = [0, 1, 2, 3, 2**32, 2**32 + 1, 2**62, SEED_LIMIT - 1]
    rows = torch.cat([prior_noise("prior", seeds, 2, [500] * len(seeds)), duration_noise(seeds, [500] * len(seeds))])
    correlation = torch.corrcoef(rows.flatten(1))
    assert (correlation - torch.eye(len(rows))).abs().max() < 0.15  # 1000 values: a chance of 1 in a million each


@pytest.mark.parametrize("strategy", ["prior", "antithetic"])
def test_the_prior_is_a_standard_normal_distribution(strategy):
    noise = prior_noise(strategy, [11], 100, [4000]).double()
    moments = [float((noise**k).mean()) for k in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.04)
    duration = duration_noise([11], [100_000]).double()
    assert [float(duration.mean()), float(duration.var())] == pytest.approx([0, 1], abs=0.02)


def test_the_mode_is_silent():
    assert not prior_noise("mode", [1, 2], 3, [5, 4]).any()


@pytest.mark.parametrize("bound", [0.05, 0.5, 1.0, 2.0, 4.0])
def test_truncated_noise_has_the_moments_and_the_bounds_of_the_truncated_normal_distribution(bound):
    from scipy.stats import kstest, truncnorm

    noise = prior_noise("truncated", [5], 100, [2000], truncation=bound).flatten().double()
    assert noise.abs().max() <= bound
    expected = truncnorm(-bound, bound)
    assert float(noise.mean()) == pytest.approx(0, abs=0.01 * bound)
    assert float(noise.std()) == pytest.approx(expected.std(), rel=0.01)
    assert kstest(noise[:20_000].numpy(), expected.cdf).pvalue > 1e-3


def test_truncation_keeps_the_order_of_the_draws_and_far_bounds_change_nothing():
    normal = prior_noise("prior", [5], 10, [300]).flatten()
    pressed = prior_noise("truncated", [5], 10, [300], truncation=1.0).flatten()
    assert torch.equal(normal.argsort(), pressed.argsort())
    for far in (9.0, math.inf):
        assert torch.allclose(prior_noise("truncated", [5], 10, [300], truncation=far).flatten(), normal, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(pair=st.integers(0, SEED_LIMIT // 2 - 1))
def test_antithetic_pairs_mirror_their_sound_and_share_their_rhythm(pair):
    even, odd = prior_noise("antithetic", [2 * pair, 2 * pair + 1], 3, [8, 8])
    assert torch.equal(odd, -even)
    assert torch.equal(even, prior_noise("prior", [2 * pair], 3, [8])[0])
    even, odd = duration_noise([2 * pair, 2 * pair + 1], [8, 8], "antithetic")
    assert torch.equal(odd, even)
    even, odd = duration_noise([2 * pair, 2 * pair + 1], [8, 8])
    assert not torch.equal(odd, even)


def test_a_strategy_of_ones_own_joins_by_its_name(monkeypatch):
    monkeypatch.setattr(STRATEGIES, "_builders", dict(STRATEGIES._builders))

    @STRATEGIES.register("loud")
    class Loud(latents.Strategy):
        def transform(self, drawn, seed):
            return drawn * self.truncation

    assert torch.equal(prior_noise("loud", [1], 2, [3], truncation=4), prior_noise("prior", [1], 2, [3]) * 4)


def test_best_of_keeps_the_highest_score_and_more_candidates_never_score_less():
    def score(seed):
        return float(random_stream(seed, 99).random())

    kept = [best_of(n, 3, make=lambda seed: seed, score=score) for n in range(1, 12)]
    assert kept[0] == 3
    candidates = [candidate_seed(3, i) for i in range(11)]
    assert len(set(candidates)) == 11
    for n, best in enumerate(kept, start=1):
        assert best == max(candidates[:n], key=score)


def test_best_of_takes_the_first_among_equals_and_nan_for_the_lowest():
    made = []
    assert best_of(3, 1, make=lambda seed: made.append(seed) or len(made), score=lambda number: 0.0) == 1
    scores = iter([math.nan, math.nan, -5.0, math.nan])
    assert best_of(4, 1, make=lambda seed: seed, score=lambda seed: next(scores)) == candidate_seed(1, 2)


def test_a_single_candidate_is_not_scored():
    assert best_of(1, 5, make=lambda seed: seed, score=lambda seed: pytest.fail("scored")) == 5


@pytest.mark.parametrize("seed", [-1, SEED_LIMIT, 1.5, "3", None])
def test_a_seed_out_of_range_is_an_error(seed):
    for draw in (lambda: prior_noise("antithetic", [seed], 2, [3]), lambda: duration_noise([seed], [3]),
                 lambda: best_of(2, seed, make=int, score=float), lambda: best_of(1, seed, make=int, score=float)):
        with pytest.raises(ValueError, match=r"seed is .*; expected a whole number from 0 to 2\*\*63 - 1"):
            draw()


def test_numpy_and_bool_seeds_are_whole_numbers_too():
    plain = prior_noise("prior", [1], 2, [3])
    for one in (np.int64(1), np.uint32(1), True):
        assert torch.equal(prior_noise("prior", [one], 2, [3]), plain)


@pytest.mark.parametrize("bound", [0, -1.0, math.nan])
def test_bounds_that_leave_nothing_are_an_error(bound):
    with pytest.raises(ValueError, match=f"truncation is {bound}; it must be above 0"):
        prior_noise("truncated", [1], 2, [3], truncation=bound)


def test_other_mistakes_are_named():
    with pytest.raises(ValueError, match="unknown sampling strategy 'truncate'; did you mean 'truncated'"):
        prior_noise("truncate", [1], 2, [3])
    with pytest.raises(ValueError, match="found 1 seeds for 2 items; expected one for each"):
        prior_noise("prior", [1], 2, [3, 4])
    with pytest.raises(ValueError, match="unknown sampling strategy"):
        duration_noise([1], [3], "best")
    with pytest.raises(ValueError, match="best of 0: expected 1 candidate or more"):
        best_of(0, 1, make=int, score=float)
