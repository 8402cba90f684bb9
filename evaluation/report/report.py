"""Evaluations as pages for people: report, comparison of two, progress of a voice. One file each, no network.

    write_report([Path("runs/demo/evaluation/step_00000700")], Path("report.html"))
    write_comparison(Path("runs/a/evaluation/step_00000700"), Path("runs/b/evaluation/step_00000700"), Path("c.html"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluation.report.charts import Trace, chart, legend
from evaluation.report.comparison import by_difference, compare_voices, differences, shared_items
from evaluation.report.html import Markup, join, number, section, table, tag, write_page
from evaluation.report.media import Clip
from evaluation.report.sections import (
    TITLES,
    Exhibit,
    absent,
    alignment,
    contents,
    facts,
    kinds,
    load,
    measure_title,
    numbers,
    player,
    sentences,
    values_told,
)
from evaluation.report.verdict import BETWEEN, BLIND, FEW, GOOD, GRADES, POOR, RELATIVE, SIGNIFICANT, judge
from evaluation.run_metrics import metrics_path, read_metrics
from evaluation.scorecard import COPY, GRIFFIN_LIM, RECORDING, VOICE, Measure, is_number

SCRIPTS = ("charts.js", "players.js")

MEANINGS = {
    RECORDING: "what the speaker said: the ceiling",
    COPY: "the recording through the model's own bottleneck, posterior to waveform: what its decoder can do",
    GRIFFIN_LIM: "the recording's mel spectrogram made audible without any model: a floor for the sound, though it has "
                 "the recording's own timing and melody",
    VOICE: "from the text alone: what a listener will hear",
}
CHART_GROUPS = {
    "Losses": "Lower is better for mel, kl, duration and stft. Adversarial, features and discriminator are an "
              "equilibrium of two opponents: they say nothing about how good the voice is.",
    "Held-out measures": "Of recordings and texts that the training does not see.",
    "Alignment health": "Whether the model knows which symbol sounds when.",
    "The machine": "Learning rate, gradient norms, speed, memory.",
}
LOSSES = ("mel", "kl", "duration", "stft", "features", "adversarial", "discriminator")
MACHINE = ("learning_rate", "grad_norm", "per_second", "memory", "scale", "seconds")


class Moment(NamedTuple):
    """How one checkpoint says the sentence."""

    step: int
    audio: Path
    values: dict[str, float]  # measure -> value


def write_report(folders: Sequence[Path], out: Path) -> Path:
    """Write the page on one evaluation, or on several side by side.

    Args:
        folders: each holds a scorecard.json and its audio; the run's metrics.jsonl is looked for in it and above it.
        out: the page.

    Raises:
        ValueError: no folder, or one without a scorecard.
    """
    exhibits = load(folders)
    name = " and ".join(exhibit.name for exhibit in exhibits)
    parts = {
        "verdict": section("verdict", "In short", *(_verdict(exhibit, len(exhibits) > 1) for exhibit in exhibits)),
        "numbers": section("numbers", "The numbers", _conditions_told(), numbers(exhibits), kinds(exhibits)),
        "curves": _curves(exhibits),
        "sentences": sentences(exhibits),
        "health": _health(exhibits),
        "facts": facts(exhibits),
        "absent": absent(exhibits),
    }
    question = f"How good {'is' if len(exhibits) == 1 else 'are'} {name}?"
    body = join([tag("h1", question), _introduction(exhibits), contents(parts), *parts.values()])
    return write_page(out, f"{name}: report", body, SCRIPTS)


def write_comparison(a: Path, b: Path, out: Path) -> Path:
    """Write the page on A against B: paired differences of all measures, and players, the largest difference first.

    Raises:
        ValueError: a folder without a scorecard, or evaluations that share no item.
    """
    exhibits = load([a, b])
    shared = shared_items(exhibits[0].card, exhibits[1].card)
    if not shared:
        raise ValueError(f"{a} and {b} evaluate different texts, so nothing can be paired; evaluate both with the same "
                         "filelist and the same test sentences")
    first, second = exhibits
    rows = compare_voices(first.card, second.card)
    names = tag("p", "A is ", tag("strong", first.name), ", B is ", tag("strong", second.name),
                f". Both said {len(shared)} texts; each is compared with itself in the other voice, so that hard ones "
                "favour none.")
    order = by_difference(rows, first.card, second.card, shared)
    parts = {
        "differences": section("differences", "Differences", differences(rows)),
        "sentences": sentences(exhibits, order, "Sentences, the largest difference first"),
        "facts": facts(exhibits),
        "absent": absent(exhibits),
    }
    body = join([tag("h1", f"{first.name} against {second.name}"), names, contents(parts), *parts.values()])
    return write_page(out, f"{first.name} against {second.name}", body, SCRIPTS)


def write_progress(run: str, text: str, moments: Sequence[Moment], measures: Sequence[Measure], out: Path) -> Path:
    """Write the page on one sentence from every checkpoint kept.

    Args:
        run: its name.
        text: what is said.
        moments: one a checkpoint, in any order.
        measures: those in the moments' values, in the order in which they shall stand.
        out: the page.

    Raises:
        ValueError: there are no moments.
    """
    if not moments:
        raise ValueError(f"{run} keeps no checkpoint that could say the sentence; train.save_interval and "
                         "train.keep_last decide which are kept")
    moments = sorted(moments, key=lambda moment: moment.step)
    clips = [Clip.read(moment.audio) for moment in moments]
    longest = max(clip.seconds for clip in clips)
    players = []
    for moment, clip in zip(moments, clips):
        title = f"Step {moment.step:,}"
        below = join([values_told(moment.values, measures), alignment(moment.audio, title)])
        players.append(player(title, clip, longest, below))
    curves = [chart(measure_title(measure), [_moment_trace(moments, measure)]) for measure in measures
              if any(is_number(moment.values.get(measure.name)) for moment in moments)]
    body = join([
        tag("h1", f"Progress of {run}"),
        tag("p", f"One sentence as each of {len(moments)} checkpoints says it, from the text alone with the same seed. "
                 "All pictures have the same scale of time."),
        tag("blockquote", text),
        section("players", "Step by step", tag("div", *players, class_="players")),
        section("curves", "In numbers", tag("div", *curves, class_="charts")) if curves else None,
    ])
    return write_page(out, f"Progress of {run}", body, SCRIPTS)


def _introduction(exhibits: Sequence[Exhibit]) -> Markup:
    """What the page is, in three sentences."""
    counts = sorted({len(exhibit.card.items) for exhibit in exhibits})
    checkpoints = "one checkpoint" if len(exhibits) == 1 else f"{len(exhibits)} checkpoints"
    return tag("p", f"This page shows how {' or '.join(map(str, counts))} texts sound from {checkpoints}, and what was "
               "measured of that. Every number is a mean with its 95 % interval over the texts, beside the same number "
               "of the recordings (the ceiling) and of a sound made without any model (the floor). Numbers find "
               "faults; whether a voice is pleasant, only ears tell, so the sentences are here to be heard.")


def _verdict(exhibit: Exhibit, has_title: bool) -> Markup:
    """Each measure by its grade, best first."""
    judgements = [judgement for measure in exhibit.card.measures if (judgement := judge(exhibit.card, measure))]
    words = {GOOD: "Good", BETWEEN: "In between", POOR: "Not good", FEW: "Too few texts to say",
             RELATIVE: "For comparing checkpoints only", BLIND: "Says little here"}
    lines = []
    for grade in GRADES:
        found = [judgement for judgement in judgements if judgement.grade == grade]
        if found:
            told = [tag("li", f"{judgement.measure.title}: {judgement.text}") for judgement in found]
            lines.append(tag("li", tag("span", f"{words[grade]}:", class_=grade), tag("ul", *told)))
    health = exhibit.card.health.get("verdict")
    if health:
        lines.append(tag("li", tag("strong", "Alignment: "), str(health)))
    if not lines:
        lines.append(tag("li", "Nothing was measured that could be held against recordings or a floor."))
    how = tag("p", "Conditions are told apart by the texts that both have, each text compared with itself: by a "
                   f"sign-flip test with p below {SIGNIFICANT}.", class_="faint")
    return join([tag("h3", exhibit.name) if has_title else None, tag("ul", *lines), how if judgements else None])


def _conditions_told() -> Markup:
    terms = [part for name, meaning in MEANINGS.items() for part in (tag("dt", TITLES[name]), tag("dd", meaning))]
    return tag("dl", *terms, class_="facts")


def _curves(exhibits: Sequence[Exhibit]) -> Markup | None:
    """The training runs' numbers, those of one name in one chart."""
    runs: dict[Path, list[Exhibit]] = {}  # several checkpoints of one run have one curve
    for exhibit in exhibits:
        path = metrics_path(exhibit.folder)
        if path is not None:
            runs.setdefault(path, []).append(exhibit)
    names = [" and ".join(exhibit.name for exhibit in members) if len(members) == 1 else members[0].card.run
             for members in runs.values()]
    groups: dict[str, dict[str, list[Trace]]] = {name: {} for name in CHART_GROUPS}
    flat = set()
    for colour, (path, name) in enumerate(zip(runs, names)):
        for key, (steps, values) in read_metrics(path).items():
            kind, _, title = key.partition("/")
            if len(np.unique(values)) == 1 and kind == "train":
                flat.add(f"{title} ({number(values[0])})")
                continue
            told = {"train": "training", "valid": "held-out"}.get(kind, kind)
            traces = groups[_group(kind, title)].setdefault(title, [])
            traces.append(Trace(f"{name}, {told}" if len(runs) > 1 else told, steps, values, colour, kind == "train"))
    marks = [exhibit.card.step for exhibit in exhibits if exhibit.card.step is not None]
    blocks = [join([tag("h3", group), tag("p", CHART_GROUPS[group], class_="faint"),
                    tag("div", *(chart(title.replace("_", " "), traces, marks) for title, traces in charts.items()),
                        class_="charts")]) for group, charts in groups.items() if charts]
    if not blocks:
        return None
    told = tag("p", "Thin: training, a noisy mean of some steps. Thick: held-out. Dotted upright lines: the "
                    "checkpoints of this page. Point at a chart, or use the arrow keys on it, to read its values.")
    never = f"Not drawn, as they never change: {', '.join(sorted(flat))}."
    constant = tag("p", never, class_="faint") if flat else None
    return section("curves", "Training curves", told, legend(names) if len(names) > 1 else None, *blocks, constant)


def _group(kind: str, title: str) -> str:
    """Which of CHART_GROUPS a number belongs to."""
    if kind == "health":
        return "Alignment health"
    if any(word in title for word in MACHINE):
        return "The machine"
    return "Losses" if kind == "train" or title in LOSSES else "Held-out measures"


def _health(exhibits: Sequence[Exhibit]) -> Markup | None:
    """Alignment health with its thresholds; None where none was measured."""
    known = [exhibit for exhibit in exhibits if exhibit.card.health]
    if not known:
        return None
    names = list(dict.fromkeys(name for exhibit in known for name, value in exhibit.card.health.items()
                               if name not in ("verdict", "state") and not isinstance(value, (dict, list))))
    limits = _limits()
    rows = [[name.removeprefix("health/").replace("_", " "), limits.get(name.removeprefix("health/"), ""),
             *(_plain(exhibit.card.health.get(name)) for exhibit in known)] for name in names]
    verdicts = [tag("p", tag("strong", f"{exhibit.name}: "), str(exhibit.card.health.get("verdict", "no verdict")))
                for exhibit in known]
    return section("health", "Alignment health", *verdicts,
                   table("What the alignment search says, and what is expected of a learned alignment.",
                         ["Number", "Expected", *(exhibit.name for exhibit in known)], rows))


def _limits() -> dict[str, str]:
    """Expectations by the names of the health numbers."""
    from evaluation import alignment as health  # with torch, which a page without health can do without

    return {"longest_token_share": f"at most {health.COLLAPSED_TOKEN_SHARE}",
            "short_share": f"at most {health.COLLAPSED_SHORT_SHARE}",
            "win_share": f"at least {health.LEARNED_WIN_SHARE}; chance is 0.5",
            "sharpness": f"at least {health.LEARNED_SHARPNESS}"}


def _plain(value: object) -> str:
    return number(value) if value is None or is_number(value) else str(value)


def _moment_trace(moments: Sequence[Moment], measure: Measure) -> Trace:
    """A measure over the checkpoints that have it."""
    known = [moment for moment in moments if is_number(moment.values.get(measure.name))]
    return Trace(measure.title, np.array([moment.step for moment in known]),
                 np.array([moment.values[measure.name] for moment in known]))
