"""Comparison of two voices: paired differences with significance, and the texts that differ most.

    rows = compare_voices(card_a, card_b)
    rows[0].wording                             # "B is better", "A is better", "no difference shown"

Speed and memory depend on the machine: they are shown, and voices are not compared by them. Words that different
recognisers transcribed are not compared at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation import statistics
from evaluation.report.charts import bar
from evaluation.report.grades import as_cost
from evaluation.report.html import macro, number
from evaluation.report.sections import measure_head, same_item
from evaluation.scorecard import (
    AS_RECORDED,
    OF_THE_MACHINE,
    VOICE,
    WORD_MEASURES,
    Item,
    Measure,
    Scorecard,
    is_number,
)

SIGNIFICANT = 0.05  # p below this, after Holm's correction for the number of measures
A_BETTER, B_BETTER, NOT_SHOWN = WORDINGS = ("A is better", "B is better", "no difference shown")
A_HIGHER, B_HIGHER = ("A is higher", "B is higher")  # of measures of which neither direction is better
MACHINE = "of the machine, not tested"


class Compared(NamedTuple):
    """One measure of two voices."""

    measure: Measure
    a: float  # means over the shared items
    b: float
    difference: statistics.Difference | None  # of costs, above 0 where B is better, or higher; None for OF_THE_MACHINE
    p_value: float = 1.0  # after Holm's correction

    @property
    def wording(self) -> str:
        """The result in words."""
        if self.difference is None:
            return MACHINE
        if not self.p_value < SIGNIFICANT:
            return NOT_SHOWN
        is_b = self.difference.mean > 0
        if self.measure.better == AS_RECORDED:
            return B_HIGHER if is_b else A_HIGHER
        return B_BETTER if is_b else A_BETTER


def shared_items(a: Scorecard, b: Scorecard) -> list[Item]:
    """A's items whose texts B has too."""
    return [item for item in a.items if same_item(b, item) is not None]


def compare_voices(a: Scorecard, b: Scorecard) -> list[Compared]:
    """Compare the voices of two scorecards by each measure that both have on two or more shared items.

    Words are left out where the recognisers differ: see `listener_note`.
    """
    ids = [item.id for item in shared_items(a, b)]
    tested, machine = [], []
    left_out = WORD_MEASURES if listener_note(a, b) else ()
    for measure in a.measures:
        if measure.name in left_out:
            continue
        values_a, values_b = a.values(VOICE, measure.name), b.values(VOICE, measure.name)
        pairs = [(values_a[i], values_b[i]) for i in ids if is_number(values_a.get(i)) and is_number(values_b.get(i))]
        sides = [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
        if measure.name in OF_THE_MACHINE:
            means = [card.interval(VOICE, measure.name) for card in (a, b)]  # memory is of the whole evaluation
            if all(means):
                machine.append(Compared(measure, means[0].value, means[1].value, None))
        elif len(pairs) > 1:
            worse = [[as_cost(measure, value) for value in side] for side in sides]
            tested.append(Compared(measure, float(np.mean(sides[0])), float(np.mean(sides[1])),
                                   statistics.compare(*worse)))
    corrected = holm([row.difference.p_value for row in tested])
    return [row._replace(p_value=p_value) for row, p_value in zip(tested, corrected)] + machine


def listener_note(a: Scorecard, b: Scorecard) -> str:
    """Why the word errors of two scorecards are not compared; "" if they are, or neither has any."""
    if a.listener == b.listener and not (a.listener == "" and _has_words(a) and _has_words(b)):
        return ""
    names = [card.listener or ("an unrecorded listener" if _has_words(card) else "none") for card in (a, b)]
    return (f"word errors are not compared: A was transcribed by {names[0]}, B by {names[1]}; evaluate both again with "
            "the same --listener")


def _has_words(card: Scorecard) -> bool:
    return any(measure.name in WORD_MEASURES for measure in card.measures)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down procedure (1979)."""
    corrected, last = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        last = max(last, min(1.0, p_values[i] * (len(p_values) - rank)))
        corrected[i] = last
    return corrected


def summary_of(rows: Sequence[Compared]) -> str:
    """The result in one line, without its full stop: "B is better: PESQ; no difference shown: STOI"."""
    by_wording = {wording: [row.measure.title for row in rows if row.wording == wording]
                  for wording in (B_BETTER, A_BETTER, B_HIGHER, A_HIGHER, NOT_SHOWN)}
    return "; ".join(f"{wording}: {', '.join(titles)}" for wording, titles in by_wording.items() if titles)


def comparison_rows(rows: Sequence[Compared]) -> list[list[str]]:
    """The cells of the table of differences."""
    return [[measure_head(row.measure), number(row.a), number(row.b), *_difference_cells(row)] for row in rows]


def _difference_cells(row: Compared) -> list[str]:
    """Difference, p-value, texts and wording; dashes for measures of the machine."""
    measure, difference = row.measure, row.difference
    if difference is None:
        return ["–", "–", "–", macro("graded", row.wording, "unclear")]
    reach = max(abs(end) for end in (difference.low, difference.high, difference.mean) if is_number(end)) or 1.0
    gain = macro("cell", f"{signed(difference.mean)} {measure.unit}".rstrip(),
                 f"{signed(difference.low)} to {signed(difference.high)}",
                 bar(difference.mean, difference.low, difference.high, (-reach, reach), (0.0,)))
    grade = "unclear" if row.wording == NOT_SHOWN else "good"
    return [gain, format_p(row.p_value), str(difference.count), macro("graded", row.wording, grade)]


def format_p(p_value: float) -> str:
    """Format a p-value in three digits."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def signed(value: float) -> str:
    """Format a difference with its sign."""
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def sort_by_difference(rows: Sequence[Compared], a: Scorecard, b: Scorecard, items: Sequence[Item]) -> list[Item]:
    """Sort items by their largest difference in any measure, in standard deviations of the measure over A's texts."""
    sizes = dict.fromkeys((item.id for item in items), 0.0)
    for row in rows:
        if row.difference is None:
            continue
        values_a, values_b = a.values(VOICE, row.measure.name), b.values(VOICE, row.measure.name)
        scale = float(np.std([value for value in values_a.values() if is_number(value)])) or 1.0
        for name in sizes:
            if is_number(values_a.get(name)) and is_number(values_b.get(name)):
                gap = abs(as_cost(row.measure, values_a[name]) - as_cost(row.measure, values_b[name]))
                sizes[name] = max(sizes[name], gap / scale)
    return sorted(items, key=lambda item: -sizes[item.id])
