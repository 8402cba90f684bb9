"""Numbers in plain words: is a voice as good as its recordings, between them and a floor, or no better than that?

    judge(card, measure).grade          # "good", "between", "poor", "few", "relative" or "blind"

Two conditions are told apart by the texts that have both, each compared with itself: some texts are hard for everybody,
and the spread over texts would hide that the voice is worse at each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from evaluation.report.html import number
from evaluation.scorecard import COPY, GRIFFIN_LIM, RECORDING, VOICE, Interval, Measure, Scorecard
from evaluation.statistics import Difference, compare

GOOD, BETWEEN, POOR, FEW, RELATIVE, BLIND = GRADES = ("good", "between", "poor", "few", "relative", "blind")
SIGNIFICANT = 0.05  # p below this; for measures of one voice uncorrected, so that "good" is not easily said
ENOUGH = 6  # texts; with fewer no p is below that


class Judgement(NamedTuple):
    """What a measure says about a voice."""

    measure: Measure
    grade: str  # of GRADES
    text: str  # why, in words


def badness(measure: Measure, value: float) -> float:
    """A number that falls as the measure gets better: itself, its negative, or its distance from the target."""
    target = target_of(measure)
    if target is not None:
        return abs(value - target)
    return -value if measure.better == "higher" else value


def target_of(measure: Measure) -> float | None:
    """Where a measure should be, if neither lower nor higher is better."""
    return float(measure.better.removeprefix("near")) if measure.better.startswith("near") else None


def bounds(interval: Interval) -> tuple[float, float]:
    """The interval's ends; of one item, which has none, the item's value twice."""
    known = all(end is not None and math.isfinite(end) for end in (interval.low, interval.high))
    return (interval.low, interval.high) if known else (interval.value, interval.value)


def said(interval: Interval, measure: Measure) -> str:
    """A mean with its unit: "3.21 dB"."""
    return f"{number(interval.value)} {measure.unit}".rstrip()


def judge(card: Scorecard, measure: Measure) -> Judgement | None:
    """Place the voice between ceiling and floor, by sign-flip tests on the texts that they share.

    The ceiling is the recording, the floor Griffin-Lim. What measures a distance to the recording has none of the
    recording itself; there the ceiling is the copy. Both the copy and Griffin-Lim have the recording's own timing and
    melody, which a voice has to find from the text: one that stays behind both may still be good, and the measure is
    for comparing checkpoints. Where only copies were measured (PESQ, STOI), they are judged. None where there is
    nothing to hold the number against.
    """
    voice, copy, floor, recording = (card.interval(name, measure.name)
                                     for name in (VOICE, COPY, GRIFFIN_LIM, RECORDING))
    if voice is None:
        return _judge_copy(card, measure)
    if recording is not None:
        return _judge_between(card, measure)
    target = target_of(measure)
    if target is not None:
        if voice.count < ENOUGH:
            return Judgement(measure, FEW, f"{voice.count} texts are too few to say: {said(voice, measure)}")
        low, high = bounds(voice)
        grade = GOOD if low <= target <= high else POOR
        return Judgement(measure, grade, f"{said(voice, measure)}, {'' if grade == GOOD else 'not '}around the "
                                         f"{target:g} that it should be")
    return None if copy is None and floor is None else _judge_distance(card, measure)


def _judge_distance(card: Scorecard, measure: Measure) -> Judgement:
    """A distance to the recording, of sounds that have its timing and of one that has not."""
    beside = _beside(card, measure, (("copy", COPY), ("Griffin-Lim", GRIFFIN_LIM)))
    copy, floor = (against(card, measure, VOICE, other) for other in (COPY, GRIFFIN_LIM))
    if max(copy.count, floor.count) < ENOUGH:
        return Judgement(measure, FEW, f"{max(copy.count, floor.count)} texts are too few to say: {beside}")
    if copy.count >= ENOUGH and not is_worse(copy):
        return Judgement(measure, GOOD, f"not told apart from the copy, which has the recording's timing: {beside}")
    if is_better(floor):
        return Judgement(measure, BETWEEN, f"above the floor, though that has the recording's timing: {beside}")
    return Judgement(measure, RELATIVE, f"{beside}; those have the recording's timing, the voice its own")


def _judge_copy(card: Scorecard, measure: Measure) -> Judgement | None:
    """The decoder alone against the floor, to which it is fairly compared: both have the recording's timing."""
    copy, floor = (card.interval(name, measure.name) for name in (COPY, GRIFFIN_LIM))
    if copy is None or floor is None:
        return None
    gap = against(card, measure, COPY, GRIFFIN_LIM)
    if gap.count < ENOUGH:
        return Judgement(measure, FEW, f"{gap.count} texts are too few to say: copy {said(copy, measure)}, "
                                       f"Griffin-Lim {said(floor, measure)}")
    words = "better than Griffin-Lim's" if is_better(gap) else "no better than Griffin-Lim's"
    return Judgement(measure, GOOD if is_better(gap) else POOR,
                     f"the copy's {said(copy, measure)} is {words} {said(floor, measure)}")


def _judge_between(card: Scorecard, measure: Measure) -> Judgement:
    """A measure that the recordings have, too."""
    beside = _beside(card, measure, (("recordings", RECORDING), ("Griffin-Lim", GRIFFIN_LIM)))
    ceiling, floor = (against(card, measure, VOICE, other) for other in (RECORDING, GRIFFIN_LIM))
    if ceiling.count < ENOUGH:
        return Judgement(measure, FEW, f"{ceiling.count} texts are too few to say: {beside}")
    if not is_worse(ceiling):
        between = against(card, measure, GRIFFIN_LIM, RECORDING)
        is_blind = between.count >= ENOUGH and not is_worse(between)
        note = "; but nor is Griffin-Lim, so that this says little" if is_blind else ""
        return Judgement(measure, BLIND if is_blind else GOOD, f"not told apart from the recordings: {beside}{note}")
    if floor.count < ENOUGH:
        return Judgement(measure, BETWEEN, f"short of the recordings: {beside}")
    if is_better(floor):
        return Judgement(measure, BETWEEN, f"above the floor, short of the recordings: {beside}")
    words = "worse than" if is_worse(floor) else "no better than"
    return Judgement(measure, POOR, f"{words} the floor: {beside}")


def _beside(card: Scorecard, measure: Measure, others: Sequence[tuple[str, str]]) -> str:
    """The voice's mean, and those of other conditions that have one: (what to call it, condition)."""
    found = [(name, card.interval(condition, measure.name)) for name, condition in others]
    return ", ".join([said(card.interval(VOICE, measure.name), measure),
                      *(f"{name} {said(interval, measure)}" for name, interval in found if interval is not None)])


def against(card: Scorecard, measure: Measure, condition: str, other: str) -> Difference:
    """By how much a condition is worse than another one, on the texts that have both."""
    ours, theirs = card.values(condition, measure.name), card.values(other, measure.name)
    both = [name for name in ours if ours[name] is not None and theirs.get(name) is not None]  # NaN is null in JSON
    return compare(*([badness(measure, values[name]) for name in both] for values in (ours, theirs)))


def is_worse(gap: Difference) -> bool:
    """Whether the texts show that it is worse."""
    return gap.mean > 0 and gap.p_value < SIGNIFICANT


def is_better(gap: Difference) -> bool:
    """Whether the texts show that it is better."""
    return gap.mean < 0 and gap.p_value < SIGNIFICANT
