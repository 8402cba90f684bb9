"""One voice against another, text by text: paired differences, how sure they are, and which texts differ most.

    rows = compare_voices(card_a, card_b)
    rows[0].wording                             # "B is better", "A is better", "no difference shown"

What says more of the machine than of the voice (speed and memory) is shown, and nobody is better for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation import statistics
from evaluation.report.charts import bar
from evaluation.report.html import Markup, join, number, table, tag
from evaluation.report.sections import measure_head, twin
from evaluation.report.verdict import badness
from evaluation.scorecard import OF_THE_MACHINE, VOICE, Item, Measure, Scorecard, is_number

SIGNIFICANT = 0.05  # p below this, after Holm's correction for the number of measures
A_BETTER, B_BETTER, NOT_SHOWN = WORDINGS = ("A is better", "B is better", "no difference shown")
MACHINE = "of the machine, not judged"


class Compared(NamedTuple):
    """One measure of two voices."""

    measure: Measure
    a: float  # means over the shared items
    b: float
    difference: statistics.Difference | None  # of how bad they are: above 0 where B is better; None: of the machine
    p_value: float = 1.0  # after Holm's correction

    @property
    def wording(self) -> str:
        """What a reader shall take home."""
        if self.difference is None:
            return MACHINE
        if not self.p_value < SIGNIFICANT:
            return NOT_SHOWN
        return B_BETTER if self.difference.mean > 0 else A_BETTER


def shared_items(a: Scorecard, b: Scorecard) -> list[Item]:
    """A's items whose texts B says too."""
    return [item for item in a.items if twin(b, item) is not None]


def compare_voices(a: Scorecard, b: Scorecard) -> list[Compared]:
    """The voices of two scorecards by each measure that both have of two or more of the items that they share."""
    ids = [item.id for item in shared_items(a, b)]
    judged, machine = [], []
    for measure in a.measures:
        values_a, values_b = a.values(VOICE, measure.name), b.values(VOICE, measure.name)
        pairs = [(values_a[i], values_b[i]) for i in ids if is_number(values_a.get(i)) and is_number(values_b.get(i))]
        sides = [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
        if measure.name in OF_THE_MACHINE:
            means = [card.interval(VOICE, measure.name) for card in (a, b)]  # memory is of the whole evaluation
            if all(means):
                machine.append(Compared(measure, means[0].value, means[1].value, None))
        elif len(pairs) > 1:
            worse = [[badness(measure, value) for value in side] for side in sides]
            judged.append(Compared(measure, float(np.mean(sides[0])), float(np.mean(sides[1])),
                                   statistics.compare(*worse)))
    corrected = holm([row.difference.p_value for row in judged])
    return [row._replace(p_value=p_value) for row, p_value in zip(judged, corrected)] + machine


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): below a level where his procedure rejects at that level."""
    corrected, last = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        last = max(last, min(1.0, p_values[i] * (len(p_values) - rank)))
        corrected[i] = last
    return corrected


def differences(rows: Sequence[Compared]) -> Markup:
    """The verdict, how it was reached, and the table."""
    return join([_told(rows), _table(rows)])


def _told(rows: Sequence[Compared]) -> Markup:
    """The verdict in one sentence, and how it was reached."""
    by_wording = {wording: [row.measure.title for row in rows if row.wording == wording]
                  for wording in (B_BETTER, A_BETTER, NOT_SHOWN)}
    judged = sum(row.difference is not None for row in rows)
    verdict = "; ".join(f"{wording}: {', '.join(titles)}" for wording, titles in by_wording.items() if titles)
    return join([
        tag("p", tag("strong", f"{verdict}." if verdict else "No measure was taken of two texts or more by both.")),
        tag("p", "Each difference is the mean over texts, with its 95 % bootstrap interval; p is the chance of one so "
                 "large if each text could as well have favoured the other (a sign-flip test), after Holm's correction "
                 f"for {judged} measures. A voice is called better where it is below {SIGNIFICANT}. No difference "
                 "shown does not mean none: with more texts, smaller ones show. Speed and memory change with what else "
                 "the machine does, so they are numbers only.", class_="faint")])


def _table(rows: Sequence[Compared]) -> Markup | None:
    if not rows:
        return None
    cells = [[measure_head(row.measure), number(row.a), number(row.b), *_difference_cells(row)] for row in rows]
    return table("B better by: above 0 where B is better, whatever the measure's direction. The dotted tick is 0.",
                 ["Measure", "A", "B", "B better by", "p, corrected", "Texts", "In words"], cells)


def _difference_cells(row: Compared) -> list[str]:
    """What the machine has a part in has none but the words."""
    measure, difference = row.measure, row.difference
    if difference is None:
        return ["–", "–", "–", tag("span", row.wording, class_="unclear")]
    reach = max(abs(end) for end in (difference.low, difference.high, difference.mean) if is_number(end)) or 1.0
    gain = join([f"{signed(difference.mean)} {measure.unit}".rstrip(),
                 tag("small", f"{signed(difference.low)} to {signed(difference.high)}"),
                 bar(difference.mean, difference.low, difference.high, (-reach, reach), (0.0,))])
    grade = "unclear" if row.wording == NOT_SHOWN else "good"
    return [gain, p_told(row.p_value), str(difference.count), tag("span", row.wording, class_=grade)]


def p_told(p_value: float) -> str:
    """A p-value in three digits."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def by_difference(rows: Sequence[Compared], a: Scorecard, b: Scorecard, items: Sequence[Item]) -> list[Item]:
    """Items by their largest difference in any measure, in standard deviations of the measure over A's texts."""
    sizes = dict.fromkeys((item.id for item in items), 0.0)
    for row in rows:
        if row.difference is None:
            continue
        values_a, values_b = a.values(VOICE, row.measure.name), b.values(VOICE, row.measure.name)
        scale = float(np.std([value for value in values_a.values() if is_number(value)])) or 1.0
        for name in sizes:
            if is_number(values_a.get(name)) and is_number(values_b.get(name)):
                gap = abs(badness(row.measure, values_a[name]) - badness(row.measure, values_b[name]))
                sizes[name] = max(sizes[name], gap / scale)
    return sorted(items, key=lambda item: -sizes[item.id])
