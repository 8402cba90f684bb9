"""The voice card of a release, README.md: what the voice is, how to use it, what is known of it and what is not.

    text = text_of(voice, weights, "anna", Card(data="LJ Speech", licence="public domain"), None, Beside())
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import shlex
import unicodedata
from pathlib import Path
from typing import NamedTuple

import torch

from checkpoint import Weights
from evaluation.scorecard import Interval, Scorecard
from formats.onnx_voice import LoadedVoice as Loaded

MARK = "<!-- voice card by export.py -->"  # tells a card that may be replaced from somebody's own text
LISTED_SPEAKERS = 20


class Card(NamedTuple):
    """What only people know of a voice; None is not said."""

    title: str | None = None
    data: str | None = None  # what it was trained on
    licence: str | None = None  # of the data, and so of the voice
    limits: str | None = None  # what it is bad at
    scorecard: Path | None = None  # a folder of evaluate.py


class Beside(NamedTuple):
    """What else lies in the release folder."""

    graph: bool = False  # voice.onnx
    curves: bool = False  # curves.png


def text_of(voice: Loaded, weights: Weights, name: str, card: Card, scores: Scorecard | None, beside: Beside) -> str:
    """The card as Markdown.

    Args:
        voice: what speaks.
        weights: where it comes from.
        name: the release folder's.
        card: what people said.
        scores: what an evaluation measured.
        beside: what else lies in the folder.
    """
    title = card.title or name
    sections = [
        _front_matter(voice, card), MARK, f"# {title}", _summary(voice),
        "## Use", _use(voice, name, beside.graph),
        "## Data and licence",
        f"Trained on: {card.data or 'not stated.'}",
        f"Licence: {card.licence}" if card.licence else "No licence is stated: ask whoever gave it to you before you "
                                                        "publish what it says.",
        "## How it was made", _facts(voice, weights), *["![losses over training](curves.png)"] * beside.curves,
        "## Measures", *_measures(scores, weights.step),
        "## What it is bad at", card.limits or "Not stated: nobody wrote down what goes wrong."]
    return "\n\n".join(sections) + "\n"


def symbol_line(row: int, symbol: str) -> str:
    """A line of symbols.txt: id, symbol, code points and their names, between tabs."""
    codes = " ".join(f"U+{ord(character):04X}" for character in symbol)
    names = ", ".join(unicodedata.name(character, "without a name") for character in symbol)
    return f"{row}\t{symbol}\t{codes}\t{names}\n"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown; a bar within a cell does not end it."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _front_matter(voice: Loaded, card: Card) -> str:
    """What catalogues of models read, as YAML; JSON's strings are YAML's."""
    lines = [f"language: {voice.config.data.language.partition('-')[0]}", "pipeline_tag: text-to-speech",
             "tags: [text-to-speech, vits]"]
    if card.licence:
        name = card.licence.partition(". ")[0].removesuffix(".")  # the rest is below
        lines += ["license: other", f"license_name: {json.dumps(name, ensure_ascii=False)}"]
    return "\n".join(["---", *lines, "---"])


def _summary(voice: Loaded) -> str:
    data = voice.config.data
    names = ", ".join(voice.speakers[:LISTED_SPEAKERS]) + (", ..." if voice.speakers[LISTED_SPEAKERS:] else "")
    who = f"{len(voice.speakers)} speakers ({names})" if voice.speakers else "one speaker"
    return f"A VITS voice: text to speech, {who}, language `{data.language}`, {data.sampling_rate} Hz."


def _use(voice: Loaded, name: str, has_graph: bool) -> str:
    name = shlex.quote(name)
    speaker = next(iter(voice.speakers), "")
    is_plain = speaker.isprintable() and "`" not in speaker  # or it would leave the line, or the block
    who = f" --speaker {shlex.quote(speaker) if is_plain else 0}" if voice.speakers else ""
    verb = "train_ms.py" if voice.speakers else "train.py"
    commands = [f'python synthesize.py -m {name}{who} --text "Hello." -o hello.wav']
    if has_graph:
        commands.append(f'python synthesize.py -m {name}/voice.onnx{who} --text "Hello."   # without torch')
    commands.append(f"python {verb} -c CONFIG.json --init-from {name} -m runs/mine   # train it further")
    return "```bash\n" + "\n".join(commands) + "\n```"


def _facts(voice: Loaded, weights: Weights) -> str:
    config = voice.config
    train, data, model = config.train, config.data, config.model
    cleaners = ", ".join(data.text_cleaners) or "none"
    values = sum(tensor.numel() for tensor in weights.generator.values()) / 1e6
    listening = sum(tensor.numel() for name, tensor in weights.generator.items() if name.startswith("enc_q.")) / 1e6
    adversarial = (f"adversarial from step {train.adversarial_start}" if train.adversarial_start <= weights.step else
                   "no adversarial losses")
    training = (f"{weights.step} steps, batches of {train.batch_size}, {adversarial}, seed {train.seed}" if weights.step
                else "none by this project")
    return table(["", ""], [
        ["training", training],
        ["network", f"{model.generator} generator, {model.duration_predictor} durations"],
        ["parameters", f"{values:.1f} M, " + (f"of which {listening:.1f} M serve training and conversion alone"
                                              if listening else "none of them for training alone")],
        ["sound", f"{data.sampling_rate} Hz, a frame each {data.hop_length} samples"],
        ["text", f"{len(voice.text.symbols)} symbols (symbols.txt), cleaners {cleaners}"],
        ["with", f"vits {_version()}, torch {torch.__version__}"]])


def _version() -> str:
    try:
        return importlib.metadata.version("vits")
    except importlib.metadata.PackageNotFoundError:  # it runs from its folder
        return "from its sources"


def _measures(scores: Scorecard | None, step: int) -> list[str]:
    """A table of means with intervals, a column for each condition."""
    if scores is None:
        return ["Not measured."]
    conditions = [each for each in scores.summary if scores.summary[each]]
    rows, counts = [], set()
    for measure in scores.measures:
        found = [scores.interval(condition, measure.name) for condition in conditions]
        found = [each if each is not None and math.isfinite(each.value) else None for each in found]
        counts |= {each.count for each in found if each is not None}
        cells = ["-" if each is None else _interval(each) for each in found]
        unit = f", {measure.unit}" if measure.unit else ""
        if any(cell != "-" for cell in cells):
            rows.append([f"{measure.title}{unit} ({measure.better} is better)", *cells])
    when = f"Of step {scores.step}" if scores.step is not None else "Of a step that is not known"
    other = f", while these weights are of step {step}" if scores.step not in (None, step) else ""
    items = " to ".join(map(str, sorted({min(counts), max(counts)}))) if counts else "0"
    return [table(["measure", *conditions], rows),
            f"{when}{other}. Means with their 95 % bootstrap intervals over {items} texts."]


def _interval(found: Interval) -> str:
    bounds = f" [{found.low:.3g}, {found.high:.3g}]" if math.isfinite(found.low) and math.isfinite(found.high) else ""
    return f"{found.value:.3g}{bounds}"
