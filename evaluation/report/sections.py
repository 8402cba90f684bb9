"""Parts shared by report and comparison: evaluated runs, their tables and their players, as data for the templates.

    runs = load_runs([Path("runs/demo/evaluation/step_00000700")])
    measures_table(runs), choose_sentences(runs), fact_rows(runs)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from evaluation.report.charts import bar
from evaluation.report.grades import bounds, target_of
from evaluation.report.html import macro, number
from evaluation.report.media import Clip, file_uri, sound_uri, spectrogram_uri
from evaluation.scorecard import (
    AS_RECORDED,
    COPY,
    GRIFFIN_LIM,
    RECORDING,
    VOICE,
    Interval,
    Item,
    Measure,
    Scorecard,
    is_number,
)

SENTENCES = 24  # with players; more would make a page that browsers are slow to open
TITLES = {RECORDING: "Recording", COPY: "Copy", GRIFFIN_LIM: "Griffin-Lim", VOICE: "Voice"}


class EvaluatedRun(NamedTuple):
    """An evaluation, its folder, and its name on the page."""

    folder: Path
    card: Scorecard
    name: str


class Column(NamedTuple):
    """A condition of an evaluation, as a column of tables and a player in each sentence."""

    run: EvaluatedRun
    condition: str
    title: str


class Table(NamedTuple):
    """Head and rows of a table."""

    head: list[str]
    rows: list[list[str]]


class Player(NamedTuple):
    """A sound as the macro `player` shows it."""

    title: str
    seconds: float
    width: float  # per cent of the longest sound beside it
    uri: str
    spectrogram: str  # URI
    values: list[tuple[str, str]] = []  # measure, value with unit
    note: str | None = None
    alignment: str | None = None  # URI


class Sentences(NamedTuple):
    """The texts with players on a page."""

    sentences: list[tuple[Item, list[Player]]]
    left_out: int
    has_alignments: bool


def load_runs(folders: Sequence[Path]) -> list[EvaluatedRun]:
    """Read scorecards, and give each a name that differs from the others.

    Raises:
        ValueError: no folder, or one without a scorecard.
    """
    if not folders:
        raise ValueError("a report needs at least one evaluated folder; python evaluate.py -m RUN makes one")
    cards = [Scorecard.load(folder) for folder in folders]
    names = [card.run if card.step is None else f"{card.run} at step {card.step:,}" for card in cards]
    unique = [name if names.count(name) == 1 else f"{name} ({chr(ord('a') + names[:i].count(name))})"
              for i, name in enumerate(names)]
    return [EvaluatedRun(folder, card, name) for folder, card, name in zip(folders, cards, unique)]


def columns_of(runs: Sequence[EvaluatedRun]) -> list[Column]:
    """The columns of tables: recording, the models, Griffin-Lim; a condition that runs share has one column."""
    columns: list[Column] = []
    for condition in (RECORDING, COPY, VOICE, GRIFFIN_LIM):
        summaries = [run.card.summary.get(condition) for run in runs]
        of_the_model = condition in (COPY, VOICE)
        several = len(runs) > 1 and (of_the_model or any(summary != summaries[0] for summary in summaries))
        for i, run in enumerate(runs):
            if not any(condition in item.audio or condition in item.values for item in run.card.items):
                continue
            if not of_the_model and any(column.condition == condition and column.run.card.summary.get(condition)
                                        == summaries[i] for column in columns):
                continue
            columns.append(Column(run, condition, f"{TITLES[condition]}, {run.name}" if several else TITLES[condition]))
    return columns


def measures_table(runs: Sequence[EvaluatedRun]) -> Table:
    """Means of all measures by conditions, with interval bars."""
    columns = columns_of(runs)
    rows = []
    for measure in _measures(runs):
        cells = [column.run.card.interval(column.condition, measure.name) for column in columns]
        known = [cell for cell in cells if cell is not None and is_number(cell.value)]
        if known:
            span = min(bounds(cell)[0] for cell in known), max(bounds(cell)[1] for cell in known)
            ends = [cell.value for column, cell in zip(columns, cells)
                    if cell in known and column.condition in (RECORDING, GRIFFIN_LIM)]
            scale = span if len(known) > 1 else None  # a bar alone has nothing to compare with
            rows.append([measure_head(measure), *(_cell(cell, scale, ends) for cell in cells)])
    return Table(["Measure", *(column.title for column in columns)], rows)


def kinds_table(runs: Sequence[EvaluatedRun]) -> Table | None:
    """Means over the test sentences by kind of sentence; None if there are none."""
    groups = [(run, kind) for run in runs for kind in run.card.sentences]
    if not groups:
        return None
    head = ["Measure", *(f"{kind}, {run.name}" if len(runs) > 1 else kind for run, kind in groups)]
    rows = []
    for measure in _measures(runs):
        cells = [run.card.sentences[kind].get(measure.name) for run, kind in groups]
        if any(cell is not None and is_number(cell.value) for cell in cells):
            rows.append([measure_head(measure), *(number(cell and cell.value) for cell in cells)])
    return Table(head, rows)


def fact_rows(runs: Sequence[EvaluatedRun]) -> list[list[str]]:
    """Facts of the runs side by side: title, then one text a run."""
    names = dict.fromkeys(name for run in runs for name in run.card.facts)
    return [[name, *(run.card.facts.get(name, "–") for run in runs)] for name in names]


def _measures(runs: Sequence[EvaluatedRun]) -> list[Measure]:
    """The measures of all runs, each once."""
    return list({measure.name: measure for run in runs for measure in run.card.measures}.values())


def _cell(interval: Interval | None, span: tuple[float, float] | None, ends: Sequence[float]) -> str:
    if interval is None or not is_number(interval.value):
        return "–"
    reach = f"{number(interval.low)} to {number(interval.high)}, " if is_number(interval.low) else ""
    return macro("cell", number(interval.value), f"{reach}of {interval.count}",
                 bar(interval.value, *bounds(interval), span, ends) if span else None)


def measure_head(measure: Measure) -> Markup:
    """The head of a measure's row: title, unit and direction."""
    target = target_of(measure)
    better = (f"should be {target:g}" if target is not None else f"should be {measure.better}"
              if measure.better == AS_RECORDED else f"{measure.better} is better")
    return macro("cell", measure.title, f"{measure.unit}, {better}" if measure.unit else better)


def choose_sentences(runs: Sequence[EvaluatedRun], items: Sequence[Item] | None = None) -> Sentences:
    """Make players of all conditions for some texts.

    Args:
        runs: the first one's items are shown, with the sounds of the same texts in the others.
        items: the first of these; by default items of all kinds.
    """
    columns = columns_of(runs)
    audible = [item for item in (runs[0].card.items if items is None else items) if item.audio]
    shown = audible[:SENTENCES] if items is not None else _all_kinds(audible)
    made = [(item, _players(item, columns)) for item in shown]
    return Sentences(made, len(audible) - len(shown),
                     any(player.alignment for _, players in made for player in players))


def _all_kinds(items: Sequence[Item]) -> list[Item]:
    """At most SENTENCES items, taken from the kinds in turn."""
    kinds: dict[str, list[Item]] = {}
    for item in items:
        kinds.setdefault(item.kind, []).append(item)
    ranked = sorted((rank, i, item.id) for i, group in enumerate(kinds.values()) for rank, item in enumerate(group))
    chosen = {name for _, _, name in ranked[:SENTENCES]}
    return [item for group in kinds.values() for item in group if item.id in chosen]


def _players(item: Item, columns: Sequence[Column]) -> list[Player]:
    """The sounds of one text."""
    sounds = []
    for column in columns:
        same = same_item(column.run.card, item)
        if same is not None and column.condition in same.audio:
            path = column.run.folder / same.audio[column.condition]
            sounds.append((column, same, path, Clip.read(path)))
    longest = max((clip.seconds for *_, clip in sounds), default=1.0)
    return [make_player(column.title, path, clip, longest,
                        values_of(same.values.get(column.condition, {}), column.run.card.measures),
                        same.notes.get(column.condition)) for column, same, path, clip in sounds]


def make_player(title: str, path: Path, clip: Clip, longest: float, values: list[tuple[str, str]],
                note: str | None = None) -> Player:
    """A player of a wav, with the picture of its alignment if the evaluation drew one beside it."""
    picture = path.with_suffix(".png")
    return Player(title, clip.seconds, 100 * clip.seconds / longest, sound_uri(clip), spectrogram_uri(clip), values,
                  note, file_uri(picture) if picture.is_file() else None)


def values_of(values: Mapping[str, float], measures: Sequence[Measure]) -> list[tuple[str, str]]:
    """The measured values of one sound: title, value with unit."""
    return [(measure.title, f"{number(values[measure.name])} {measure.unit}".rstrip())
            for measure in measures if is_number(values.get(measure.name))]


def same_item(card: Scorecard, item: Item) -> Item | None:
    """The item of another scorecard with the same id and text; None if there is none."""
    return next((other for other in card.items if other.id == item.id and other.text == item.text), None)
