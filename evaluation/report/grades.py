"""Grades of a voice by measure: as good as its recordings, between them and a floor, or no better than the floor.

    grade_measure(card, measure).grade          # "good", "between", "poor", "few", "relative" or "blind"

Two conditions are compared on the texts that have both, each text with itself: some texts are hard for every voice, and
the spread over texts would hide that the voice is worse at each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from evaluation.report.html import number
from evaluation.scorecard import AS_RECORDED, COPY, GRIFFIN_LIM, RECORDING, VOICE, Interval, Measure, Scorecard
from evaluation.statistics import Difference, compare

GOOD, BETWEEN, POOR, FEW, RELATIVE, BLIND = ("good", "between", "poor", "few", "relative", "blind")
SIGNIFICANT = 0.05  # p below this; uncorrected for the number of measures, which makes "good" harder to reach
ENOUGH = 6  # texts; with fewer no p is below that


class Grade(NamedTuple):
    """The grade of a voice by one measure, with the reason."""

    measure: Measure
    grade: str  # one of the six above
    text: str  # the reason, with the numbers


def as_cost(measure: Measure, value: float) -> float:
    """Map a value to a cost, lower is better: itself, its negative, or its distance from the target.

    Of a measure without a direction it is the negative, so that differences of costs are positive where B is higher.
    """
    target = target_of(measure)
    if target is not None:
        return abs(value - target)
    return -value if measure.better in ("higher", AS_RECORDED) else value


def target_of(measure: Measure) -> float | None:
    """The target of a measure that should be near a number; None for others."""
    return float(measure.better.removeprefix("near")) if measure.better.startswith("near") else None


def bounds(interval: Interval) -> tuple[float, float]:
    """The ends of an interval; the value twice if it has none, as of one item."""
    known = all(end is not None and math.isfinite(end) for end in (interval.low, interval.high))
    return (interval.low, interval.high) if known else (interval.value, interval.value)


def with_unit(interval: Interval, measure: Measure) -> str:
    """Format a mean with its unit: "3.21 dB"."""
    return f"{number(interval.value)} {measure.unit}".rstrip()


def grade_measure(card: Scorecard, measure: Measure) -> Grade | None:
    """Grade the voice between ceiling and floor, by sign-flip tests on the texts that they share.

    The ceiling is the recording, the floor Griffin-Lim. A distance to the recording is not defined for the recording
    itself; there the ceiling is the copy. Both the copy and Griffin-Lim have the recording's own timing and melody,
    which a voice has to find from the text: one that stays behind both may still be good, and the measure is for
    comparing checkpoints. Where only copies were measured (PESQ, STOI), they are graded. None where there is nothing to
    compare with.
    """
    voice, copy, floor, recording = (card.interval(name, measure.name)
                                     for name in (VOICE, COPY, GRIFFIN_LIM, RECORDING))
    if voice is None:
        return _grade_copy(card, measure)
    if measure.better == AS_RECORDED:
        return None if recording is None else _grade_as_recorded(card, measure)
    if recording is not None:
        return _grade_between(card, measure)
    target = target_of(measure)
    if target is not None:
        if voice.count < ENOUGH:
            return Grade(measure, FEW, f"{voice.count} texts are too few to say: {with_unit(voice, measure)}")
        low, high = bounds(voice)
        grade = GOOD if low <= target <= high else POOR
        return Grade(measure, grade, f"{with_unit(voice, measure)}, {'' if grade == GOOD else 'not '}around the "
                                         f"{target:g} that it should be")
    return None if copy is None and floor is None else _grade_distance(card, measure)


def _grade_distance(card: Scorecard, measure: Measure) -> Grade:
    """Grade a distance to the recording, with copy and Griffin-Lim, which have its timing, as ceiling and floor."""
    beside = _beside(card, measure, (("copy", COPY), ("Griffin-Lim", GRIFFIN_LIM)))
    copy, floor = (paired_difference(card, measure, VOICE, other) for other in (COPY, GRIFFIN_LIM))
    if max(copy.count, floor.count) < ENOUGH:
        return Grade(measure, FEW, f"{max(copy.count, floor.count)} texts are too few to say: {beside}")
    if copy.count >= ENOUGH and not is_worse(copy):
        return Grade(measure, GOOD, f"not distinguishable from the copy, which has the recording's timing: {beside}")
    if is_better(floor):
        return Grade(measure, BETWEEN, f"above the floor, though that has the recording's timing: {beside}")
    return Grade(measure, RELATIVE, f"{beside}; those have the recording's timing, the voice its own")


def _grade_as_recorded(card: Scorecard, measure: Measure) -> Grade:
    """Grade a measure without a direction by whether the voice differs from the recordings."""
    beside = _beside(card, measure, (("recordings", RECORDING),))
    gap = paired_difference(card, measure, VOICE, RECORDING)
    if gap.count < ENOUGH:
        return Grade(measure, FEW, f"{gap.count} texts are too few to say: {beside}")
    differs = is_worse(gap) or is_better(gap)
    return Grade(measure, POOR if differs else GOOD, f"{'not as' if differs else 'as'} the recordings: {beside}")


def _grade_copy(card: Scorecard, measure: Measure) -> Grade | None:
    """Grade the decoder alone, by the copy against Griffin-Lim: both have the recording's timing."""
    copy, floor = (card.interval(name, measure.name) for name in (COPY, GRIFFIN_LIM))
    if copy is None or floor is None:
        return None
    gap = paired_difference(card, measure, COPY, GRIFFIN_LIM)
    if gap.count < ENOUGH:
        return Grade(measure, FEW, f"{gap.count} texts are too few to say: copy {with_unit(copy, measure)}, "
                                       f"Griffin-Lim {with_unit(floor, measure)}")
    words = "better than Griffin-Lim's" if is_better(gap) else "no better than Griffin-Lim's"
    return Grade(measure, GOOD if is_better(gap) else POOR,
                     f"the copy's {with_unit(copy, measure)} is {words} {with_unit(floor, measure)}")


def _grade_between(card: Scorecard, measure: Measure) -> Grade:
    """Grade a measure that the recordings have, too."""
    beside = _beside(card, measure, (("recordings", RECORDING), ("Griffin-Lim", GRIFFIN_LIM)))
    ceiling, floor = (paired_difference(card, measure, VOICE, other) for other in (RECORDING, GRIFFIN_LIM))
    if ceiling.count < ENOUGH:
        return Grade(measure, FEW, f"{ceiling.count} texts are too few to say: {beside}")
    if not is_worse(ceiling):
        between = paired_difference(card, measure, GRIFFIN_LIM, RECORDING)
        is_blind = between.count >= ENOUGH and not is_worse(between)
        note = "; but nor is Griffin-Lim, so the measure says little here" if is_blind else ""
        return Grade(measure, BLIND if is_blind else GOOD, f"not distinguishable from the recordings: {beside}{note}")
    if floor.count < ENOUGH:
        return Grade(measure, BETWEEN, f"short of the recordings: {beside}")
    if is_better(floor):
        return Grade(measure, BETWEEN, f"above the floor, short of the recordings: {beside}")
    words = "worse than" if is_worse(floor) else "no better than"
    return Grade(measure, POOR, f"{words} the floor: {beside}")


def _beside(card: Scorecard, measure: Measure, others: Sequence[tuple[str, str]]) -> str:
    """Format the voice's mean and those of other conditions, given as (name, condition)."""
    found = [(name, card.interval(condition, measure.name)) for name, condition in others]
    return ", ".join([with_unit(card.interval(VOICE, measure.name), measure),
                      *(f"{name} {with_unit(interval, measure)}" for name, interval in found if interval is not None)])


def paired_difference(card: Scorecard, measure: Measure, condition: str, other: str) -> Difference:
    """By how much a condition is worse than another one, in cost, on the texts that have both."""
    ours, theirs = card.values(condition, measure.name), card.values(other, measure.name)
    both = [name for name in ours if ours[name] is not None and theirs.get(name) is not None]  # NaN is null in JSON
    return compare(*([as_cost(measure, values[name]) for name in both] for values in (ours, theirs)))


def is_worse(gap: Difference) -> bool:
    """Whether it is significantly worse."""
    return gap.mean > 0 and gap.p_value < SIGNIFICANT


def is_better(gap: Difference) -> bool:
    """Whether it is significantly better."""
    return gap.mean < 0 and gap.p_value < SIGNIFICANT
