"""The voice card of a release, README.md: summary, use, data, licence, training, measures, limits.

    text = render_card(voice, weights, "anna", CardInfo(data="LJ Speech", licence="public domain"), None,
                       ReleaseContents())
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
from evaluation.scorecard import AS_RECORDED, Interval, Scorecard
from formats.onnx_voice import LoadedVoice

CARD_MARKER = "<!-- voice card by export.py -->"  # cards without it are not overwritten
LISTED_SPEAKERS = 20


class CardInfo(NamedTuple):
    """What the publisher states about a voice; None is not stated."""

    title: str | None = None
    data: str | None = None  # what it was trained on
    licence: str | None = None  # of the data, and so of the voice
    limits: str | None = None  # what it is bad at
    scorecard: Path | None = None  # a folder of evaluate.py


class ReleaseContents(NamedTuple):
    """Optional files of the release folder."""

    graph: bool = False  # voice.onnx
    curves: bool = False  # curves.png


def render_card(voice: LoadedVoice, weights: Weights, name: str, info: CardInfo, scores: Scorecard | None,
                contents: ReleaseContents) -> str:
    """Format the card as Markdown.

    Args:
        voice: the loaded voice.
        weights: its weights, with step and source.
        name: of the release folder.
        info: what the publisher states.
        scores: of an evaluation.
        contents: optional files of the folder.
    """
    title = info.title or name
    sections = [
        _front_matter(voice, info), CARD_MARKER, f"# {title}", _summary(voice),
        "## Use", _use(voice, name, contents.graph),
        "## Data and licence",
        f"Trained on: {info.data or 'not stated.'}",
        f"Licence: {info.licence}" if info.licence else "No licence is stated: ask whoever gave it to you before you "
                                                        "publish what it says.",
        "## How it was made", _facts(voice, weights), *["![losses over training](curves.png)"] * contents.curves,
        "## Measures", *_measures(scores, weights.step),
        "## What it is bad at", info.limits or "Not stated: nobody wrote down what goes wrong."]
    return "\n\n".join(sections) + "\n"


def symbol_line(row: int, symbol: str) -> str:
    """Format a line of symbols.txt: id, symbol, code points and their names, tab-separated."""
    codes = " ".join(f"U+{ord(character):04X}" for character in symbol)
    names = ", ".join(unicodedata.name(character, "without a name") for character in symbol)
    return f"{row}\t{symbol}\t{codes}\t{names}\n"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Format a table as Markdown; bars within cells are escaped."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _front_matter(voice: LoadedVoice, info: CardInfo) -> str:
    """The YAML header for model catalogues; JSON's strings are YAML's."""
    lines = [f"language: {voice.config.data.language.partition('-')[0]}", "pipeline_tag: text-to-speech",
             "tags: [text-to-speech, vits]"]
    if info.licence:
        name = info.licence.partition(". ")[0].removesuffix(".")  # the rest is in the text
        lines += ["license: other", f"license_name: {json.dumps(name, ensure_ascii=False)}"]
    return "\n".join(["---", *lines, "---"])


def _summary(voice: LoadedVoice) -> str:
    data = voice.config.data
    names = ", ".join(voice.speakers[:LISTED_SPEAKERS]) + (", ..." if voice.speakers[LISTED_SPEAKERS:] else "")
    who = f"{len(voice.speakers)} speakers ({names})" if voice.speakers else "one speaker"
    return f"A VITS voice: text to speech, {who}, language `{data.language}`, {data.sampling_rate} Hz."


def _use(voice: LoadedVoice, name: str, has_graph: bool) -> str:
    name = shlex.quote(name)
    speaker = next(iter(voice.speakers), "")
    is_plain = speaker.isprintable() and "`" not in speaker  # or it would leave the line, or the block
    who = f" --speaker {shlex.quote(speaker) if is_plain else 0}" if voice.speakers else ""
    command = "train_ms.py" if voice.speakers else "train.py"
    commands = [f'python synthesize.py -m {name}{who} --text "Hello." -o hello.wav']
    if has_graph:
        commands.append(f'python synthesize.py -m {name}/voice.onnx{who} --text "Hello."   # without torch')
    commands.append(f"python {command} -c CONFIG.json --init-from {name} -m runs/mine   # train it further")
    return "```bash\n" + "\n".join(commands) + "\n```"


def _facts(voice: LoadedVoice, weights: Weights) -> str:
    config = voice.config
    train, data, model = config.train, config.data, config.model
    cleaners = ", ".join(data.text_cleaners) or "none"
    values = sum(tensor.numel() for tensor in weights.generator.values()) / 1e6
    posterior = sum(tensor.numel() for name, tensor in weights.generator.items() if name.startswith("enc_q.")) / 1e6
    adversarial = (f"adversarial from step {train.adversarial_start}" if train.adversarial_start <= weights.step else
                   "no adversarial losses")
    training = (f"{weights.step} steps, batches of {train.batch_size}, {adversarial}, seed {train.seed}" if weights.step
                else "none by this project")
    return table(["", ""], [
        ["training", training],
        ["network", f"{model.generator} generator, {model.duration_predictor} durations"],
        ["parameters", f"{values:.1f} M, " + (f"of which {posterior:.1f} M serve training and conversion alone"
                                              if posterior else "none of them for training alone")],
        ["sound", f"{data.sampling_rate} Hz, a frame each {data.hop_length} samples"],
        ["text", f"{len(voice.text.symbols)} symbols (symbols.txt), cleaners {cleaners}"],
        ["with", f"vits {_version()}, torch {torch.__version__}"]])


def _version() -> str:
    try:
        return importlib.metadata.version("vits")
    except importlib.metadata.PackageNotFoundError:  # not installed, run from its folder
        return "from its sources"


def _measures(scores: Scorecard | None, step: int) -> list[str]:
    """Format a table of means with intervals, a column for each condition."""
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
            better = measure.better if measure.better == AS_RECORDED else f"{measure.better} is better"
            rows.append([f"{measure.title}{unit} ({better})", *cells])
    when = f"Of step {scores.step}" if scores.step is not None else "Of a step that is not known"
    other = f", while these weights are of step {step}" if scores.step not in (None, step) else ""
    items = " to ".join(map(str, sorted({min(counts), max(counts)}))) if counts else "0"
    transcribed = f" Words by {scores.listener}." if scores.listener else ""
    return [table(["measure", *conditions], rows),
            f"{when}{other}. Means with their 95 % bootstrap intervals over {items} texts.{transcribed}"]


def _interval(found: Interval) -> str:
    bounds = f" [{found.low:.3g}, {found.high:.3g}]" if math.isfinite(found.low) and math.isfinite(found.high) else ""
    return f"{found.value:.3g}{bounds}"
