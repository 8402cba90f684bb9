"""The parts that report and comparison share: evaluations with their tables, players and facts, as pieces of a page.

    exhibits = load([Path("runs/demo/evaluation/step_00000700")])
    numbers(exhibits), sentences(exhibits), facts(exhibits)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evaluation.report.charts import bar
from evaluation.report.html import Markup, join, number, section, table, tag
from evaluation.report.media import Clip, file_uri, sound_uri, spectrogram_uri
from evaluation.report.verdict import bounds, target_of
from evaluation.scorecard import COPY, GRIFFIN_LIM, RECORDING, VOICE, Interval, Item, Measure, Scorecard, is_number

SENTENCES = 24  # with players; more would make a page that browsers are slow to open
ALIGNMENTS = ("Alignment opens a picture of which symbol sounds when: time to the right with a line each second, the "
              "symbols upwards, pauses and spaces grey. A copy's is where the model finds the text in the recording, a "
              "voice's what it chose itself. A steady climb is right; a long flat stretch is one symbol that never "
              "ends, an upright one are symbols that are not heard.")

TITLES = {RECORDING: "Recording", COPY: "Copy", GRIFFIN_LIM: "Griffin-Lim", VOICE: "Voice"}


class Exhibit(NamedTuple):
    """An evaluation, where it lies, and how the page calls it."""

    folder: Path
    card: Scorecard
    name: str


class Column(NamedTuple):
    """A condition of an evaluation, as a column of tables and a player in each sentence."""

    exhibit: Exhibit
    condition: str
    title: str


def load(folders: Sequence[Path]) -> list[Exhibit]:
    """Read the scorecards and give each a name that tells it from the others.

    Raises:
        ValueError: no folder, or one without a scorecard.
    """
    if not folders:
        raise ValueError("a report needs at least one evaluated folder; python evaluate.py -m RUN makes one")
    cards = [Scorecard.load(folder) for folder in folders]
    names = [card.run if card.step is None else f"{card.run} at step {card.step:,}" for card in cards]
    unique = [name if names.count(name) == 1 else f"{name} ({chr(ord('a') + names[:i].count(name))})"
              for i, name in enumerate(names)]
    return [Exhibit(folder, card, name) for folder, card, name in zip(folders, cards, unique)]


def contents(parts: Mapping[str, Markup | None]) -> Markup:
    titles = {"verdict": "In short", "numbers": "Numbers", "differences": "Differences", "curves": "Curves",
              "sentences": "Sentences", "health": "Alignment", "facts": "What was trained", "absent": "What is absent"}
    links = [tag("li", tag("a", titles[name], href=f"#{name}")) for name, part in parts.items() if part is not None]
    return tag("nav", tag("ul", *links), aria_label="Contents")


def columns_of(exhibits: Sequence[Exhibit]) -> list[Column]:
    """Recording first, Griffin-Lim last, both once for all exhibits that have them alike; between them the models."""
    columns = []
    for condition in (RECORDING, COPY, VOICE, GRIFFIN_LIM):
        for exhibit in exhibits:
            if not any(condition in item.audio or condition in item.values for item in exhibit.card.items):
                continue
            is_models = condition in (COPY, VOICE)
            if not is_models and any(_alike(condition, exhibit, column) for column in columns):
                continue
            several = len(exhibits) > 1 and (is_models or not _is_shared(condition, exhibits))
            title = f"{TITLES[condition]}, {exhibit.name}" if several else TITLES[condition]
            columns.append(Column(exhibit, condition, title))
    return columns


def _alike(condition: str, exhibit: Exhibit, column: Column) -> bool:
    same = column.exhibit.card.summary.get(condition) == exhibit.card.summary.get(condition)
    return column.condition == condition and same


def _is_shared(condition: str, exhibits: Sequence[Exhibit]) -> bool:
    first = exhibits[0].card.summary.get(condition)
    return all(exhibit.card.summary.get(condition) == first for exhibit in exhibits)


def numbers(exhibits: Sequence[Exhibit]) -> Markup:
    """The table of measures by conditions."""
    columns = columns_of(exhibits)
    rows = []
    for measure in _measures(exhibits):
        cells = [column.exhibit.card.interval(column.condition, measure.name) for column in columns]
        known = [cell for cell in cells if cell is not None and is_number(cell.value)]
        if known:
            span = min(bounds(cell)[0] for cell in known), max(bounds(cell)[1] for cell in known)
            ends = [cell.value for column, cell in zip(columns, cells)
                    if cell in known and column.condition in (RECORDING, GRIFFIN_LIM)]
            scale = span if len(known) > 1 else None  # a bar alone would say nothing
            rows.append([measure_head(measure), *(_cell(cell, scale, ends) for cell in cells)])
    caption = ("Means with 95 % bootstrap intervals over texts. The bars of a row share one scale; dotted ticks are "
               "recordings and Griffin-Lim. – : not measured, or it makes no sense there.")
    return table(caption, ["Measure", *(column.title for column in columns)], rows)


def kinds(exhibits: Sequence[Exhibit]) -> Markup | None:
    """The voices' means over the test sentences, by kind of sentence; None where there are none."""
    groups = [(exhibit, kind) for exhibit in exhibits for kind in exhibit.card.sentences]
    if not groups:
        return None
    head = ["Measure", *(f"{kind}, {exhibit.name}" if len(exhibits) > 1 else kind for exhibit, kind in groups)]
    rows = []
    for measure in _measures(exhibits):
        cells = [exhibit.card.sentences[kind].get(measure.name) for exhibit, kind in groups]
        if any(cell is not None and is_number(cell.value) for cell in cells):
            rows.append([measure_head(measure), *(number(cell and cell.value) for cell in cells)])
    return table("The voice on the test sentences, which have no recordings: means by kind of sentence.", head, rows)


def _measures(exhibits: Sequence[Exhibit]) -> list[Measure]:
    """All that any of them took, each once."""
    return list({measure.name: measure for exhibit in exhibits for measure in exhibit.card.measures}.values())


def _cell(interval: Interval | None, span: tuple[float, float] | None, ends: Sequence[float]) -> Markup:
    if interval is None or not is_number(interval.value):
        return tag("span", "–")
    told = f"{number(interval.low)} to {number(interval.high)}, " if is_number(interval.low) else ""
    return join([number(interval.value), tag("small", f"{told}of {interval.count}"),
                 bar(interval.value, *bounds(interval), span, ends) if span else None])


def measure_head(measure: Measure) -> Markup:
    target = target_of(measure)
    better = f"{measure.better} is better" if target is None else f"should be {target:g}"
    return join([measure.title, tag("small", f"{measure.unit}, {better}" if measure.unit else better)])


def measure_title(measure: Measure) -> str:
    return f"{measure.title}, {measure.unit}" if measure.unit else measure.title


def sentences(exhibits: Sequence[Exhibit], items: Sequence[Item] | None = None, title: str = "Sentences") -> Markup:
    """Players of all conditions for each text, side by side.

    Args:
        exhibits: the first one's items are shown, with what the others made of the same.
        items: which, in this order; all of the first exhibit by default.
        title: of the section.
    """
    columns = columns_of(exhibits)
    heard = [item for item in (exhibits[0].card.items if items is None else items) if item.audio]
    shown = heard[:SENTENCES] if items is not None else _spread(heard)
    left = f" {len(heard) - len(shown)} further sentences were measured and are not on this page." \
        if len(heard) > len(shown) else ""
    told = tag("p", f"The pictures of one sentence share a scale of time; pitch rises upwards.{left}")
    drawn = tag("p", ALIGNMENTS, class_="faint") if any(map(_has_alignment, exhibits)) else None
    return section("sentences", title, told, drawn, *(_sentence(item, columns) for item in shown))


def _spread(items: Sequence[Item]) -> list[Item]:
    """At most SENTENCES items, the kinds in turn, so that each kind is heard."""
    kinds: dict[str, list[Item]] = {}
    for item in items:
        kinds.setdefault(item.kind, []).append(item)
    ranked = sorted((rank, i, item.id) for i, group in enumerate(kinds.values()) for rank, item in enumerate(group))
    chosen = {name for _, _, name in ranked[:SENTENCES]}
    return [item for group in kinds.values() for item in group if item.id in chosen]


def _sentence(item: Item, columns: Sequence[Column]) -> Markup:
    """One text with its players."""
    sounds = []
    for column in columns:
        same = twin(column.exhibit.card, item)
        if same is not None and column.condition in same.audio:
            path = column.exhibit.folder / same.audio[column.condition]
            sounds.append((column, same, path, Clip.read(path)))
    longest = max((clip.seconds for *_, clip in sounds), default=1.0)
    players = []
    for column, same, path, clip in sounds:
        values = values_told(same.values.get(column.condition, {}), column.exhibit.card.measures)
        note = same.notes.get(column.condition)
        heard = tag("p", tag("span", "AnalysedAudio: ", class_="faint"), note) if note else None
        more = tag("details", tag("summary", "Numbers"), values) if values else None
        players.append(player(column.title, clip, longest, join([heard, more, alignment(path, column.title)])))
    kind = item.kind if item.speaker is None else f"{item.kind}, speaker {item.speaker}"
    head = tag("h3", f"{item.id} ", tag("span", kind, class_="faint"))
    return tag("article", head, tag("p", item.text), tag("div", *players, class_="players"), class_="sentence")


def player(title: str, clip: Clip, longest: float, below: Markup) -> Markup:
    """A sound with its spectrogram, which is as wide as the sound is long."""
    picture = tag("img", src=spectrogram_uri(clip), style=f"width:{100 * clip.seconds / longest:.1f}%",
                  alt=f"Mel spectrogram of {title}, {clip.seconds:.1f} seconds")
    return tag("figure", tag("figcaption", f"{title}, {clip.seconds:.1f} s"),
               tag("audio", controls=True, preload="metadata", src=sound_uri(clip), aria_label=title),
               tag("div", picture, class_="picture"), below, class_="player")


def values_told(values: Mapping[str, float], measures: Sequence[Measure]) -> Markup | None:
    """The numbers of one sound."""
    known = [measure for measure in measures if is_number(values.get(measure.name))]
    terms = [part for measure in known for part in
             (tag("dt", measure.title), tag("dd", f"{number(values[measure.name])} {measure.unit}".rstrip()))]
    return tag("dl", *terms) if terms else None


def alignment(audio: Path, title: str) -> Markup | None:
    """The picture beside a sound that shows which symbol sounds when, if the evaluation drew one."""
    path = audio.with_suffix(".png")
    if not path.is_file():
        return None
    picture = tag("img", src=file_uri(path), alt=f"Alignment of {title}: time to the right, the symbols upwards")
    return tag("details", tag("summary", "Alignment"),
               tag("div", picture, class_="alignment", tabindex="0", role="region", aria_label=f"Alignment of {title}"))


def _has_alignment(exhibit: Exhibit) -> bool:
    return any((exhibit.folder / path).with_suffix(".png").is_file()
               for item in exhibit.card.items for path in item.audio.values())


def twin(card: Scorecard, item: Item) -> Item | None:
    """The item of another scorecard that says the same, None where there is none."""
    return next((other for other in card.items if other.id == item.id and other.text == item.text), None)


def facts(exhibits: Sequence[Exhibit]) -> Markup:
    """Data, steps, versions, machine, side by side."""
    names = list(dict.fromkeys(name for exhibit in exhibits for name in exhibit.card.facts))
    rows = [[name, *(exhibit.card.facts.get(name, "–") for exhibit in exhibits)] for name in names]
    caption = "What the evaluation wrote down about the run, the data and the machine."
    return section("facts", "What was trained, with what",
                   table(caption, ["", *(exhibit.name for exhibit in exhibits)], rows))


def absent(exhibits: Sequence[Exhibit]) -> Markup:
    """What was not measured, and why."""
    lines = [tag("li", tag("strong", name), f": {reason}" if len(exhibits) == 1 else f" ({exhibit.name}): {reason}")
             for exhibit in exhibits for name, reason in exhibit.card.absent.items()]
    return section("absent", "What is absent, and why",
                   tag("ul", *lines) if lines else tag("p", "Nothing: all measures ran."))
