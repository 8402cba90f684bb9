"""Pages of evaluations: report, comparison of two, progress of a run. One file each, which needs no network.

    write_report([Path("runs/demo/evaluation/step_00000700")], Path("report.html"))
    write_comparison(Path("runs/a/evaluation/step_00000700"), Path("runs/b/evaluation/step_00000700"), Path("c.html"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from evaluation.report.charts import Trace, chart
from evaluation.report.comparison import (
    compare_voices,
    comparison_rows,
    listener_note,
    shared_items,
    sort_by_difference,
    summary_of,
)
from evaluation.report.grades import (
    BETWEEN,
    BLIND,
    FEW,
    GOOD,
    POOR,
    RELATIVE,
    SIGNIFICANT,
    Grade,
    bounds,
    grade_measure,
    with_unit,
)
from evaluation.report.html import number, render, write_page
from evaluation.report.media import Clip
from evaluation.report.sections import (
    TITLES,
    EvaluatedRun,
    Table,
    choose_sentences,
    fact_rows,
    kinds_table,
    load_runs,
    make_player,
    measures_table,
    values_of,
)
from evaluation.run_metrics import metrics_path, read_metrics
from evaluation.scorecard import COPY, GRIFFIN_LIM, RECORDING, VOICE, Measure, is_number

SCRIPTS = ("charts.js", "players.js")

CONDITIONS = {
    RECORDING: "what the speaker recorded: the ceiling",
    COPY: "copy synthesis, the recording through posterior encoder and generator: the best that the generator can do",
    GRIFFIN_LIM: "the recording's mel spectrogram made audible without any model: a floor for the sound, though it has "
                 "the recording's own timing and melody",
    VOICE: "from the text alone, as a listener will hear it",
}
LEADING = ("dnsmos_p808", "whisper_wer", "wer", "f0_sd")  # naturalness, words, melody: at the head of the page
GRADE_TITLES = {GOOD: "Good", BETWEEN: "In between", POOR: "Not good", FEW: "Too few texts to say",
                RELATIVE: "For comparing checkpoints only", BLIND: "Says little here"}
CHART_GROUPS = {
    "Losses": "Lower is better for mel, kl, duration and stft. Adversarial, features and discriminator are an "
              "equilibrium of two opponents: they do not measure how good the voice is.",
    "Held-out measures": "Of recordings and texts that are not trained on.",
    "Alignment health": "Whether the model has learned which symbol sounds when.",
    "The machine": "Learning rate, gradient norms, speed, memory.",
}
LOSSES = ("mel", "kl", "duration", "stft", "features", "adversarial", "discriminator")
MACHINE = ("learning_rate", "grad_norm", "per_second", "memory", "scale", "seconds")


class CheckpointSample(NamedTuple):
    """One sentence spoken by one checkpoint."""

    step: int
    audio: Path
    values: dict[str, float]  # measure name -> value


class Curves(NamedTuple):
    """The charts of the training runs."""

    names: list[str]  # of the runs
    groups: list[tuple[str, str, list[Markup]]]  # title, explanation, charts
    constant: list[str]  # curves that are not drawn


def write_report(folders: Sequence[Path], out: Path) -> Path:
    """Write the page on one evaluation, or on several side by side.

    Args:
        folders: each holds a scorecard.json and its audio; the run's metrics.jsonl is looked for in it and above it.
        out: the page.

    Raises:
        ValueError: no folder, or one without a scorecard.
    """
    runs = load_runs(folders)
    title = " and ".join(run.name for run in runs)
    curves, health = _curves(runs), _health(runs)
    parts = {"verdict": "In short", "numbers": "Numbers", "curves": "Curves" if curves.groups else "",
             "sentences": "Sentences", "health": "Alignment" if health else "", "facts": "What was trained",
             "absent": "What is absent"}
    body = render(
        "report.html", title=title, runs=runs, parts=[part for part in parts.items() if part[1]],
        counts=sorted({len(run.card.items) for run in runs}), grades=[_grades(run) for run in runs],
        leading=[_leading(run) for run in runs],
        significant=SIGNIFICANT, conditions=[(TITLES[name], meaning) for name, meaning in CONDITIONS.items()],
        numbers=measures_table(runs), kinds=kinds_table(runs), curves=curves, shown=choose_sentences(runs),
        health=health, fact_rows=fact_rows(runs))
    return write_page(out, f"{title}: report", body, SCRIPTS)


def write_comparison(a: Path, b: Path, out: Path) -> Path:
    """Write the page on A against B: paired differences of all measures, and players, the largest difference first.

    Raises:
        ValueError: a folder without a scorecard, or evaluations that share no item.
    """
    runs = load_runs([a, b])
    cards = [run.card for run in runs]
    shared = shared_items(*cards)
    if not shared:
        raise ValueError(f"{a} and {b} evaluate different texts, so nothing can be paired; evaluate both with the same "
                         "filelist and the same test sentences")
    compared = compare_voices(*cards)
    title = f"{runs[0].name} against {runs[1].name}"
    body = render(
        "comparison.html", title=title, runs=runs, count=len(shared), summary=summary_of(compared),
        note=listener_note(*cards),
        tested=sum(row.difference is not None for row in compared), significant=SIGNIFICANT,
        rows=comparison_rows(compared), shown=choose_sentences(runs, sort_by_difference(compared, *cards, shared)),
        fact_rows=fact_rows(runs))
    return write_page(out, title, body, SCRIPTS)


def write_progress(run: str, text: str, samples: Sequence[CheckpointSample], measures: Sequence[Measure],
                   out: Path) -> Path:
    """Write the page on one sentence from every checkpoint kept.

    Args:
        run: its name.
        text: the sentence.
        samples: one a checkpoint, in any order.
        measures: those of the samples' values, in the order in which they are shown.
        out: the page.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError(f"{run} keeps no checkpoint that could speak the sentence; train.save_interval and "
                         "train.keep_last decide which are kept")
    samples = sorted(samples, key=lambda sample: sample.step)
    clips = [Clip.read(sample.audio) for sample in samples]
    longest = max(clip.seconds for clip in clips)
    players = [make_player(f"Step {sample.step:,}", sample.audio, clip, longest, values_of(sample.values, measures))
               for sample, clip in zip(samples, clips)]
    charts = [chart(measure.heading, [_trace(samples, measure)]) for measure in measures
              if any(is_number(sample.values.get(measure.name)) for sample in samples)]
    body = render("progress.html", run=run, text=text, players=players, charts=charts)
    return write_page(out, f"Progress of {run}", body, SCRIPTS)


def _leading(run: EvaluatedRun) -> list[tuple[str, str]]:
    """The measures that lead: title, and the voice's mean with its interval beside the recordings'."""
    lines = []
    for measure in run.card.measures:
        voice, recording = (run.card.interval(condition, measure.name) for condition in (VOICE, RECORDING))
        if measure.name in LEADING and voice is not None and is_number(voice.value):
            low, high = bounds(voice)
            beside = "" if recording is None else f"; the recordings have {with_unit(recording, measure)}"
            lines.append((measure.title, f"{with_unit(voice, measure)} [{number(low)}, {number(high)}]{beside}"))
    return lines


def _grades(run: EvaluatedRun) -> list[tuple[str, str, list[Grade]]]:
    """The measures of a run by their grades, best first: grade, title, measures."""
    grades = [grade for measure in run.card.measures if (grade := grade_measure(run.card, measure))]
    groups = [(name, title, [grade for grade in grades if grade.grade == name]) for name, title in GRADE_TITLES.items()]
    return [group for group in groups if group[2]]


def _curves(runs: Sequence[EvaluatedRun]) -> Curves:
    """Charts of the training runs' numbers; numbers of one name share a chart."""
    sources: dict[Path, list[EvaluatedRun]] = {}  # checkpoints of one run share its curves
    for run in runs:
        path = metrics_path(run.folder)
        if path is not None:
            sources.setdefault(path, []).append(run)
    names = [members[0].name if len(members) == 1 else members[0].card.run for members in sources.values()]
    groups: dict[str, dict[str, list[Trace]]] = {name: {} for name in CHART_GROUPS}
    constant = set()
    for colour, (path, name) in enumerate(zip(sources, names)):
        for key, (steps, values) in read_metrics(path).items():
            kind, _, title = key.partition("/")
            if len(np.unique(values)) == 1 and kind == "train":
                constant.add(f"{title} ({number(values[0])})")
                continue
            label = {"train": "training", "valid": "held-out"}.get(kind, kind)
            traces = groups[_group(kind, title)].setdefault(title, [])
            traces.append(Trace(f"{name}, {label}" if len(sources) > 1 else label, steps, values, colour,
                                kind == "train"))
    marks = [run.card.step for run in runs if run.card.step is not None]
    drawn = [(group, CHART_GROUPS[group], [chart(title.replace("_", " "), traces, marks)
                                           for title, traces in charts.items()])
             for group, charts in groups.items() if charts]
    return Curves(names, drawn, sorted(constant))


def _group(kind: str, title: str) -> str:
    """The group in CHART_GROUPS of a number."""
    if kind == "health":
        return "Alignment health"
    if any(word in title for word in MACHINE):
        return "The machine"
    return "Losses" if kind == "train" or title in LOSSES else "Held-out measures"


def _health(runs: Sequence[EvaluatedRun]) -> Table | None:
    """Alignment health with its thresholds; None if it was not measured."""
    known = [run for run in runs if run.card.health]
    if not known:
        return None
    names = dict.fromkeys(name for run in known for name, value in run.card.health.items()
                          if name not in ("verdict", "state") and not isinstance(value, (dict, list)))
    limits = _limits()
    rows = [[name.removeprefix("health/").replace("_", " "), limits.get(name.removeprefix("health/"), ""),
             *(_plain(run.card.health.get(name)) for run in known)] for name in names]
    return Table(["Number", "Expected", *(run.name for run in known)], rows)


def _limits() -> dict[str, str]:
    """Thresholds by the names of the health numbers."""
    from evaluation import alignment  # imports torch, which a page without health can do without

    return {"longest_token_share": f"at most {alignment.COLLAPSED_TOKEN_SHARE}",
            "short_share": f"at most {alignment.COLLAPSED_SHORT_SHARE}",
            "win_share": f"at least {alignment.LEARNED_WIN_SHARE}; chance is 0.5",
            "sharpness": f"at least {alignment.LEARNED_SHARPNESS}"}


def _plain(value: object) -> str:
    return number(value) if value is None or is_number(value) else str(value)


def _trace(samples: Sequence[CheckpointSample], measure: Measure) -> Trace:
    """A measure over the checkpoints that have it."""
    known = [sample for sample in samples if is_number(sample.values.get(measure.name))]
    return Trace(measure.title, np.array([sample.step for sample in known]),
                 np.array([sample.values[measure.name] for sample in known]))
