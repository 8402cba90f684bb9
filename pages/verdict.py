"""Numbers in plain words: is a voice as good as its recordings, between them and a floor, or no better than that?

    judge(card, measure).grade          # "good", "between", "poor", "relative" or "blind"
"""

from __future__ import annotations

import math
from typing import NamedTuple

from pages import number
from scorecard import COPY, GRIFFIN_LIM, RECORDING, VOICE, Interval, Measure, Scorecard

GOOD, BETWEEN, POOR, RELATIVE, BLIND = GRADES = ("good", "between", "poor", "relative", "blind")


class Judgement(NamedTuple):
    """What a measure says about a voice."""

    measure: Measure
    grade: str  # of GRADES
    text: str  # why, in words


class Span(NamedTuple):
    """An interval in terms of badness, where less is better whatever the measure's direction."""

    best: float
    worst: float


def badness(measure: Measure, value: float) -> float:
    """A number that falls as the measure gets better: itself, its negative, or its distance from the target."""
    target = target_of(measure)
    if target is not None:
        return abs(value - target)
    return -value if measure.better == "higher" else value


def target_of(measure: Measure) -> float | None:
    """Where a measure should be, if neither lower nor higher is better."""
    return float(measure.better.removeprefix("near")) if measure.better.startswith("near") else None


def span(measure: Measure, interval: Interval) -> Span:
    """The badness of the bounds; the best of an interval around the target is 0."""
    low, high = bounds(interval)
    best, worst = sorted((badness(measure, low), badness(measure, high)))
    target = target_of(measure)
    return Span(0.0 if target is not None and low <= target <= high else best, worst)


def bounds(interval: Interval) -> tuple[float, float]:
    """The interval's ends; of one item, which has none, the item's value twice."""
    known = all(end is not None and math.isfinite(end) for end in (interval.low, interval.high))
    return (interval.low, interval.high) if known else (interval.value, interval.value)


def said(interval: Interval, measure: Measure) -> str:
    """A mean with its unit: "3.21 dB"."""
    return f"{number(interval.value)} {measure.unit}".rstrip()


def judge(card: Scorecard, measure: Measure) -> Judgement | None:
    """Place the voice between ceiling and floor by the intervals of their means.

    The ceiling is the recording, the floor Griffin-Lim. What measures a distance to the recording has none of the
    recording itself; there the ceiling is the copy. Both the copy and Griffin-Lim have the recording's own timing and
    melody, which a voice has to find from the text: one that stays behind both may still be good, and the measure is
    for comparing checkpoints. Where only copies were measured (PESQ, STOI), they are judged. None where there is
    nothing to hold the number against.
    """
    voice, copy, floor, recording = (card.interval(name, measure.name)
                                     for name in (VOICE, COPY, GRIFFIN_LIM, RECORDING))
    if voice is None:
        return _judge_copy(measure, copy, floor)
    if recording is not None:
        return _judge_between(measure, voice, recording, floor)
    target = target_of(measure)
    if target is not None:
        grade = GOOD if span(measure, voice).best == 0 else POOR
        return Judgement(measure, grade, f"{said(voice, measure)}, {'' if grade == GOOD else 'not '}around the "
                                         f"{target:g} that it should be")
    return None if copy is None and floor is None else _judge_distance(measure, voice, copy, floor)


def _judge_distance(measure: Measure, voice: Interval, copy: Interval | None, floor: Interval | None) -> Judgement:
    """A distance to the recording, of sounds that have its timing and of one that has not."""
    beside = ", ".join([said(voice, measure), *(f"{name} {said(interval, measure)}" for name, interval in
                                                (("copy", copy), ("Griffin-Lim", floor)) if interval is not None)])
    own = span(measure, voice)
    if copy is not None and own.best <= span(measure, copy).worst:
        return Judgement(measure, GOOD, f"not told apart from the copy, which has the recording's timing: {beside}")
    if floor is not None and own.worst < span(measure, floor).best:
        return Judgement(measure, BETWEEN, f"above the floor, though that has the recording's timing: {beside}")
    return Judgement(measure, RELATIVE, f"{beside}; those have the recording's timing, the voice its own")


def _judge_copy(measure: Measure, copy: Interval | None, floor: Interval | None) -> Judgement | None:
    """The decoder alone against the floor, to which it is fairly compared: both have the recording's timing."""
    if copy is None or floor is None:
        return None
    passes = span(measure, copy).worst < span(measure, floor).best
    words = "better than Griffin-Lim's" if passes else "no better than Griffin-Lim's"
    return Judgement(measure, GOOD if passes else POOR,
                     f"the copy's {said(copy, measure)} is {words} {said(floor, measure)}")


def _judge_between(measure: Measure, voice: Interval, recording: Interval, floor: Interval | None) -> Judgement:
    """A measure that the recordings have, too."""
    own, ceiling = span(measure, voice), span(measure, recording)
    beside = f"{said(voice, measure)}, recordings {said(recording, measure)}"
    if floor is not None:
        beside += f", Griffin-Lim {said(floor, measure)}"
    if own.best <= ceiling.worst:
        is_blind = floor is not None and span(measure, floor).best <= ceiling.worst
        note = "; but nor is Griffin-Lim, so that this says little" if is_blind else ""
        return Judgement(measure, BLIND if is_blind else GOOD, f"not told apart from the recordings: {beside}{note}")
    if floor is None:
        return Judgement(measure, BETWEEN, f"short of the recordings: {beside}")
    if own.worst < span(measure, floor).best:
        return Judgement(measure, BETWEEN, f"above the floor, short of the recordings: {beside}")
    words = "worse than" if own.best > span(measure, floor).worst else "no better than"
    return Judgement(measure, POOR, f"{words} the floor: {beside}")
