"""Intervals hold the truth about as often as they say, and a comparison of paired items finds what is there."""

import numpy as np
import pytest

from evaluation.statistics import bootstrap, compare


def test_an_interval_is_the_same_again_and_around_the_mean():
    values = np.random.default_rng(0).normal(3, 1, 20)
    interval = bootstrap(values)
    assert interval == bootstrap(list(values)) and interval.count == 20
    assert interval.low < interval.value < interval.high and interval.value == pytest.approx(values.mean())
    assert interval != bootstrap(values, seed=1)


def test_intervals_of_few_values_hold_the_true_mean_nearly_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr("evaluation.statistics.RESAMPLES", 1000)
    random = np.random.default_rng(1)
    for count in (6, 12):
        intervals = [bootstrap(random.normal(5, 2, count), seed) for seed in range(300)]
        held = np.mean([interval.low <= 5 <= interval.high for interval in intervals])
        assert 0.91 <= held <= 0.98, count  # plain percentiles hold 0.87 of six


def test_an_interval_is_that_of_students_t_for_many_normal_values():
    values = np.random.default_rng(2).normal(0, 1, 400)
    interval = bootstrap(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.01)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.01)


def test_values_that_are_not_finite_do_not_count():
    assert bootstrap([1, 2, np.nan, 4, np.inf]) == bootstrap([1, 2, 4])


def test_one_value_has_no_interval_and_none_has_no_mean():
    one, none = bootstrap([3.0]), bootstrap([np.nan])
    assert (one.value, one.count) == (3, 1) and np.isnan([one.low, one.high]).all()
    assert none.count == 0 and np.isnan(none[:3]).all()


def test_an_interval_of_two_goes_no_further_than_they_do():
    assert bootstrap([1, 2]) == (1.5, 1, 2, 2)


def test_equal_values_have_an_interval_of_no_width():
    assert bootstrap([2, 2, 2]) == (2, 2, 2, 3)


def test_a_difference_that_each_pair_shows_is_found_though_the_items_differ_far_more():
    items = np.random.default_rng(3).normal(0, 10, 20)
    a, b = items + 1 + 0.2 * np.random.default_rng(4).normal(size=20), items
    found = compare(a, b)
    assert 0.8 < found.low < found.mean < found.high < 1.2 and found.p_value < 0.001 and found.count == 20
    back = compare(b, a)
    assert back.mean == -found.mean and back.p_value == found.p_value


def test_the_p_value_of_no_difference_is_small_as_seldom_as_it_says(monkeypatch):
    monkeypatch.setattr("evaluation.statistics.RESAMPLES", 1000)
    random = np.random.default_rng(5)
    for count in (8, 25):  # all signs, and signs drawn at random
        p_values = [compare(random.normal(size=count), random.normal(size=count)).p_value for _ in range(200)]
        assert np.mean(np.array(p_values) <= 0.05) < 0.1
        assert np.median(p_values) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(("count", "least"), [(1, 1), (2, 0.5), (5, 2 / 32), (6, 2 / 64)])
def test_few_pairs_never_give_a_small_p_value(count, least):
    assert compare(np.arange(count) + 9.0, np.zeros(count)).p_value == pytest.approx(least)


def test_signs_whose_sum_is_as_small_but_for_rounding_count():
    assert sum([0.1, 0.1, 0.1, -0.3]) != 0  # though it should be
    assert compare([0.1, 0.1, 0.1, -0.3], [0] * 4).p_value == 1


def test_pairs_without_a_value_are_left_out():
    assert compare([1, np.nan, 3, 4], [0, 1, np.inf, 2]) == compare([1, 4], [0, 2])
    nothing = compare([np.nan], [1])
    assert nothing.count == 0 and np.isnan(nothing.p_value) and np.isnan(nothing.mean)
    assert compare([1, 2], [1, 2]).p_value == 1


def test_other_items_in_each_are_refused():
    with pytest.raises(ValueError, match="expected the same items in both, found 2 and 1"):
        compare([1, 2], [1])
