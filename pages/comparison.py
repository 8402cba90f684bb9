"""One voice against another, text by text: paired differences, how sure they are, and which texts differ most.

    rows = compare_voices(card_a, card_b, ids)
    rows[0].wording                             # "B is better", "A is better", "no difference shown"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import confidence
from pages import Markup, join, number, table, tag
from pages.charts import bar
from pages.exhibits import is_number, measure_head
from pages.verdict import badness
from scorecard import VOICE, Item, Measure, Scorecard

SIGNIFICANT = 0.05  # p below this, after Holm's correction for the number of measures


class Compared(NamedTuple):
    """One measure of two voices."""

    measure: Measure
    a: float  # means over the shared items
    b: float
    difference: confidence.Difference  # of how bad they are: above 0 where B is better
    is_shown: bool  # significant after Holm's correction

    @property
    def wording(self) -> str:
        """What a reader shall take home."""
        if not self.is_shown:
            return "no difference shown"
        return "B is better" if self.difference.mean > 0 else "A is better"


def compare_voices(a: Scorecard, b: Scorecard, ids: Sequence[str]) -> list[Compared]:
    """The voices of two scorecards by each measure that both have of two or more of these items."""
    rows = []
    for measure in a.measures:
        values_a, values_b = a.values(VOICE, measure.name), b.values(VOICE, measure.name)
        pairs = [(values_a[i], values_b[i]) for i in ids if is_number(values_a.get(i)) and is_number(values_b.get(i))]
        if len(pairs) < 2:
            continue
        sides = [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
        worse = [[badness(measure, value) for value in side] for side in sides]
        difference = confidence.compare(*worse)
        rows.append(Compared(measure, float(np.mean(sides[0])), float(np.mean(sides[1])), difference, False))
    for rank, i in enumerate(sorted(range(len(rows)), key=lambda i: rows[i].difference.p_value)):
        if not rows[i].difference.p_value * (len(rows) - rank) < SIGNIFICANT:
            break
        rows[i] = rows[i]._replace(is_shown=True)
    return rows


def differences(rows: Sequence[Compared]) -> Markup:
    """The verdict, how it was reached, and the table."""
    return join([_told(rows), _table(rows)])


def _told(rows: Sequence[Compared]) -> Markup:
    """The verdict in one sentence, and how it was reached."""
    by_wording = {wording: [row.measure.title for row in rows if row.wording == wording]
                  for wording in ("B is better", "A is better", "no difference shown")}
    verdict = "; ".join(f"{wording}: {', '.join(titles)}" for wording, titles in by_wording.items() if titles)
    return join([
        tag("p", tag("strong", f"{verdict}." if verdict else "No measure was taken of two texts or more by both.")),
        tag("p", "Each difference is the mean over texts, with its 95 % bootstrap interval; p is the chance of one so "
                 "large if each text could as well have favoured the other (a sign-flip test). A voice is called "
                 f"better where p is below {SIGNIFICANT} after Holm's correction for {len(rows)} measures. No "
                 "difference shown does not mean none: with more texts, smaller ones show.", class_="faint")])


def _table(rows: Sequence[Compared]) -> Markup | None:
    if not rows:
        return None
    cells = []
    for row in rows:
        measure, difference = row.measure, row.difference
        reach = max(abs(end) for end in (difference.low, difference.high, difference.mean) if is_number(end)) or 1.0
        grade = "unclear" if not row.is_shown else "good"
        gain = join([f"{signed(difference.mean)} {measure.unit}".rstrip(),
                     tag("small", f"{signed(difference.low)} to {signed(difference.high)}"),
                     bar(difference.mean, difference.low, difference.high, (-reach, reach), (0.0,))])
        p_value = "< 0.001" if difference.p_value < 0.001 else f"{difference.p_value:.3f}"
        cells.append([measure_head(measure), number(row.a), number(row.b), gain, p_value, str(difference.count),
                      tag("span", row.wording, class_=grade)])
    return table("B better by: above 0 where B is better, whatever the measure's direction. The dotted tick is 0.",
                 ["Measure", "A", "B", "B better by", "p", "Texts", "In words"], cells)


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def by_difference(rows: Sequence[Compared], a: Scorecard, b: Scorecard, items: Sequence[Item]) -> list[Item]:
    """Items by their largest difference in any measure, in standard deviations of the measure over A's texts."""
    sizes = dict.fromkeys((item.id for item in items), 0.0)
    for row in rows:
        values_a, values_b = a.values(VOICE, row.measure.name), b.values(VOICE, row.measure.name)
        scale = float(np.std([value for value in values_a.values() if is_number(value)])) or 1.0
        for name in sizes:
            if is_number(values_a.get(name)) and is_number(values_b.get(name)):
                gap = abs(badness(row.measure, values_a[name]) - badness(row.measure, values_b[name]))
                sizes[name] = max(sizes[name], gap / scale)
    return sorted(items, key=lambda item: -sizes[item.id])
