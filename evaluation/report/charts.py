"""Curves and interval bars as inline SVG, coloured by the page's style; charts.js adds the values under the pointer.

    chart("mel", [Trace("run, training", steps, values, colour=0, is_fine=True)], marks=(700,))
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from evaluation.report.html import DASHES, macro, number

WIDTH, HEIGHT = 340, 190  # units of the drawing
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 24  # margins for the labels
POINTS = 300  # at most, of one curve


class Trace(NamedTuple):
    """One curve."""

    name: str
    steps: np.ndarray  # [points], rising
    values: np.ndarray  # [points], finite
    colour: int = 0
    is_fine: bool = False  # drawn thin: noisy training values behind those of the validation


class Scale(NamedTuple):
    """The map from steps and values to coordinates of the drawing."""

    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        """Horizontal coordinate of a step."""
        return LEFT + (step - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Vertical coordinate of a value."""
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


class Curve(NamedTuple):
    """A trace as an SVG path."""

    colour: int
    is_fine: bool
    path: str
    dots: list[tuple[float, float]]  # few points are marked


class Drawing(NamedTuple):
    """A chart as the macro `chart` draws it."""

    title: str
    description: str  # for screen readers
    points: str  # JSON for charts.js
    last: str  # the newest values
    lines: list[tuple[float, float, float, float, str]]  # x1, y1, x2, y2, class
    labels: list[tuple[str, float, float, str]]  # text, x, y, anchor
    curves: list[Curve]
    cursor: tuple[float, float, float, float, str] = (-9, TOP, -9, HEIGHT - BOTTOM, "cursor")
    width: int = WIDTH
    height: int = HEIGHT


def chart(title: str, traces: Sequence[Trace], marks: Sequence[int] = ()) -> Markup:
    """Draw curves over optimizer steps as a figure.

    Args:
        title: its caption.
        traces: none of them empty.
        marks: steps with an upright line: the checkpoints evaluated.
    """
    traces = [thinned(trace) for trace in traces]
    scale = _scale(traces)
    levels = round_values(scale.low, scale.high)
    lines = [(LEFT, scale.y(value), WIDTH - RIGHT, scale.y(value), "axis") for value in levels]
    lines += [(scale.x(step), TOP, scale.x(step), HEIGHT - BOTTOM, "mark") for step in marks
              if scale.first <= step <= scale.last]
    labels = [(f"{value:,g}", LEFT - 5, scale.y(value) + 4, "end") for value in levels]
    labels += [(f"step {step:,.0f}", scale.x(step), HEIGHT - 7, anchor)
               for step, anchor in ((scale.first, "start"), (scale.last, "end"))]
    points = [{"name": trace.name, "points": [[int(step), float(f"{value:.5g}"), round(scale.x(step), 1)]
                                              for step, value in zip(trace.steps, trace.values)]} for trace in traces]
    last = "last: " + ", ".join(f"{trace.name} {number(trace.values[-1])}" for trace in traces)
    return macro("chart", Drawing(title, _description(title, traces), json.dumps(points, separators=(",", ":")), last,
                                  lines, labels, [_curve(trace, scale) for trace in traces]))


def thinned(trace: Trace) -> Trace:
    """Reduce a curve to the means of at most POINTS equal parts."""
    if len(trace.steps) <= POINTS:
        return trace
    means = [np.array([part.mean() for part in np.array_split(row, POINTS)]) for row in (trace.steps, trace.values)]
    return trace._replace(steps=means[0], values=means[1])


def bar(value: float, low: float, high: float, span: tuple[float, float], marks: Sequence[float] = ()) -> Markup:
    """Draw an interval with its mean on the scale of its table row, with ticks at `marks`; for the eye alone."""

    def x(position: float) -> float:
        return 3 + (position - span[0]) / ((span[1] - span[0]) or 1.0) * 114

    return macro("bar", x(value), x(low), max(x(high), x(low) + 1), [x(mark) for mark in marks])


def _scale(traces: Sequence[Trace]) -> Scale:
    """Bounds of all curves; where a few values are huge, the largest 2 % are cut off."""
    steps = np.concatenate([trace.steps for trace in traces])
    values = np.concatenate([trace.values for trace in traces])
    low, high = float(values.min()), float(values.max())
    usual = float(np.quantile(values, 0.98))
    if len(values) > 50 and high - low > 5 * (usual - low) > 0:
        high = usual
    margin = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    first, last = float(steps.min()), float(steps.max())
    return Scale(first, last if last > first else first + 1, low - margin, high + margin)


def round_values(low: float, high: float) -> list[float]:
    """Choose three to six multiples of 1, 2 or 5 times a power of ten within the bounds."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    unit = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(i * unit, 12) for i in range(math.ceil(low / unit), math.floor(high / unit) + 1)]


def _curve(trace: Trace, scale: Scale) -> Curve:
    points = [(scale.x(step), max(scale.y(value), TOP)) for step, value in zip(trace.steps, trace.values)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = points if len(points) <= 40 and not trace.is_fine else []
    return Curve(trace.colour % len(DASHES), trace.is_fine, path, dots)


def _description(title: str, traces: Sequence[Trace]) -> str:
    """The curves in words, for screen readers."""
    curves = [f"{trace.name} from {number(trace.values[0])} at step {trace.steps[0]:.0f} to "
              f"{number(trace.values[-1])} at step {trace.steps[-1]:.0f}, lowest {number(trace.values.min())}, "
              f"highest {number(trace.values.max())}"
              for trace in traces]
    return f"{title}: {'; '.join(curves)}. Arrow keys move through the values."
