"""Curves and interval bars as inline SVG, coloured by the page's style; charts.js adds the values under the pointer.

    chart("mel", [Trace("run, training", steps, values, colour=0, is_fine=True)], marks=(700,))
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.report.html import Markup, join, number, tag

WIDTH, HEIGHT = 340, 190  # units of the drawing
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 24  # margins for the labels
POINTS = 300  # at most, of one curve
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "1 4")  # runs differ in more than their colour
COLOURS = len(DASHES)


class Trace(NamedTuple):
    """One curve."""

    name: str
    steps: np.ndarray  # [points], rising
    values: np.ndarray  # [points], finite
    colour: int = 0
    is_fine: bool = False  # drawn thin: noisy training values behind those of the validation


class Scale(NamedTuple):
    """How numbers become places in the drawing."""

    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        """Left to right."""
        return LEFT + (step - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Bottom to top."""
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def chart(title: str, traces: Sequence[Trace], marks: Sequence[int] = (), limits: Sequence[float] = ()) -> Markup:
    """A figure with curves over optimizer steps.

    Args:
        title: its caption.
        traces: none of them empty.
        marks: steps with an upright line: the checkpoints evaluated.
        limits: values with a level line: thresholds.
    """
    traces = [thinned(trace) for trace in traces]
    scale = _scale(traces, limits)
    drawing = [*_axes(scale)]
    drawing += [_line(scale.x(step), TOP, scale.x(step), HEIGHT - BOTTOM, "mark") for step in marks
                if scale.first <= step <= scale.last]
    drawing += [_line(LEFT, scale.y(value), WIDTH - RIGHT, scale.y(value), "mark") for value in limits]
    drawing += [_curve(trace, scale) for trace in traces]
    drawing.append(_line(-9, TOP, -9, HEIGHT - BOTTOM, "cursor"))
    points = [{"name": trace.name, "points": [[int(step), float(f"{value:.5g}"), round(scale.x(step), 1)]
                                              for step, value in zip(trace.steps, trace.values)]} for trace in traces]
    svg = tag("svg", *drawing, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", tabindex="0",
              aria_label=_told(title, traces), data_traces=json.dumps(points, separators=(",", ":")))
    return tag("figure", tag("figcaption", title), svg, tag("output", _last(traces)), class_="chart")


def thinned(trace: Trace) -> Trace:
    """The curve by the means of at most POINTS stretches of equal number."""
    if len(trace.steps) <= POINTS:
        return trace
    means = [np.array([part.mean() for part in np.array_split(row, POINTS)]) for row in (trace.steps, trace.values)]
    return trace._replace(steps=means[0], values=means[1])


def bar(value: float, low: float, high: float, span: tuple[float, float], marks: Sequence[float] = ()) -> Markup:
    """An interval with its mean on the axis of its row, ticks at `marks` (ceiling and floor); for the eye alone."""

    def x(place: float) -> float:
        return 3 + (place - span[0]) / ((span[1] - span[0]) or 1.0) * 114

    ticks = [_line(x(mark), 1, x(mark), 13, "mark") for mark in marks]
    line = tag("line", x1=f"{x(low):.1f}", x2=f"{max(x(high), x(low) + 1):.1f}", y1=7, y2=7, stroke="var(--line-0)",
               stroke_width=3, stroke_opacity=0.55)
    dot = tag("circle", cx=f"{x(value):.1f}", cy=7, r=3, fill="var(--line-0)")
    return tag("svg", _line(0, 7, 120, 7, "axis"), *ticks, line, dot, viewBox="0 0 120 14", aria_hidden="true",
               focusable="false")


def legend(names: Sequence[str]) -> Markup:
    """Which colour and dash is whose."""
    keys = [tag("li", tag("svg", _stroke("line", i, x1=0, x2=36, y1=5, y2=5, stroke_width=2), viewBox="0 0 36 10",
                          aria_hidden="true"), name) for i, name in enumerate(names)]
    return tag("ul", *keys, class_="legend")


def _scale(traces: Sequence[Trace], limits: Sequence[float]) -> Scale:
    """Bounds that hold all curves; a curve that starts with a few huge values is shown without the worst of them."""
    steps = np.concatenate([trace.steps for trace in traces])
    values = np.concatenate([trace.values for trace in traces])
    low, high = float(values.min()), float(values.max())
    usual = float(np.quantile(values, 0.98))
    if len(values) > 50 and high - low > 5 * (usual - low) > 0:
        high = usual
    low, high = min([low, *limits]), max([high, *limits])
    room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    first, last = float(steps.min()), float(steps.max())
    return Scale(first, last if last > first else first + 1, low - room, high + room)


def _axes(scale: Scale) -> list[Markup]:
    """Level lines and their numbers at round values, first and last step below."""
    lines = []
    for value in round_values(scale.low, scale.high):
        y = scale.y(value)
        lines.append(_line(LEFT, y, WIDTH - RIGHT, y, "axis"))
        lines.append(tag("text", f"{value:,g}", x=LEFT - 5, y=f"{y + 4:.1f}", text_anchor="end"))
    for step, anchor in ((scale.first, "start"), (scale.last, "end")):
        lines.append(tag("text", f"step {step:,.0f}", x=f"{scale.x(step):.1f}", y=HEIGHT - 7, text_anchor=anchor))
    return lines


def round_values(low: float, high: float) -> list[float]:
    """Three to six multiples of 1, 2 or 5 times a power of ten within the bounds."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    unit = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(i * unit, 12) for i in range(math.ceil(low / unit), math.floor(high / unit) + 1)]


def _curve(trace: Trace, scale: Scale) -> Markup:
    places = [(scale.x(step), max(scale.y(value), TOP)) for step, value in zip(trace.steps, trace.values)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    line = _stroke("path", trace.colour, d=path, class_="trace fine" if trace.is_fine else "trace")
    dots = [tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.4, fill=f"var(--line-{trace.colour % COLOURS})")
            for x, y in places] if len(places) <= 40 and not trace.is_fine else []
    return join([line, *dots])


def _stroke(name: str, colour: int, **attributes: object) -> Markup:
    return tag(name, stroke=f"var(--line-{colour % COLOURS})", stroke_dasharray=DASHES[colour % COLOURS], **attributes)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=kind)


def _told(title: str, traces: Sequence[Trace]) -> str:
    """What the curve shows, for who does not see it."""
    told = [f"{trace.name} from {number(trace.values[0])} at step {trace.steps[0]:.0f} to {number(trace.values[-1])} "
            f"at step {trace.steps[-1]:.0f}, lowest {number(trace.values.min())}, highest {number(trace.values.max())}"
            for trace in traces]
    return f"{title}: {'; '.join(told)}. Arrow keys move through the values."


def _last(traces: Sequence[Trace]) -> str:
    return "last: " + ", ".join(f"{trace.name} {number(trace.values[-1])}" for trace in traces)
