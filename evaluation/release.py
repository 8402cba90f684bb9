"""A voice to give away: what speaks and can be trained further, its symbols and speakers, and a card that describes it.

    write(checkpoint.read_weights(run), Path("folder"), Card(data="LJ Speech", licence="public domain"), Form())
    write(checkpoint.read_weights(run), Path("folder"), Card(), Form(half=True, onnx=True, quantise="int8"))

The folder holds config.json and model.safetensors, which `Voice.load` opens, symbols.txt and speakers.json for reading,
README.md, curves.png where the run has its metrics.jsonl, and on request voice.onnx with voice.json, by which it speaks
where there is no torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import checkpoint
from checkpoint import DISCRIMINATORS_FILE, MODEL_FILE, Weights
from evaluation import card as cards
from evaluation import curves
from evaluation.card import Card
from evaluation.report.report import METRICS
from evaluation.scorecard import Scorecard
from formats import Written, publishing
from formats.onnx_voice import Loaded, compare, load_voice, probe
from formats.onnx_voice import write as write_onnx
from formats.quantisation import quantised, share_weights
from utils import staged, write_text_atomic

# Shapes: L tokens, S samples.

SYMBOLS_FILE, SPEAKERS_FILE, CARD_FILE = "symbols.txt", "speakers.json", "README.md"
GRAPH_FILE, DESCRIPTION_FILE, CURVES_FILE = "voice.onnx", "voice.json", "curves.png"
OWN_FILES = (MODEL_FILE, DISCRIMINATORS_FILE, "config.json", SYMBOLS_FILE, SPEAKERS_FILE, GRAPH_FILE, DESCRIPTION_FILE,
             CURVES_FILE, CARD_FILE)  # those of another release go
LARGEST_HALF = torch.finfo(torch.float16).max


class Form(NamedTuple):
    """How a release is stored."""

    half: bool = False  # weights in 16 bits
    int8: bool = False  # large weights in 8 bits, which the graph takes from there
    onnx: bool = False  # a graph too
    quantise: str | None = None  # how the graph is narrowed, of quantisation.KINDS


def write(weights: Weights, folder: Path, card: Card, form: Form) -> Written:
    """A release, with discriminators if the weights have them; another release in the folder is replaced.

    Raises:
        ValueError: the folder is somebody else's, there is no such scorecard, or a weight is too large for 16 bits.
        FormatError: a graph is wanted of a voice that has a part that is not built in, or a library is missing.
    """
    check_folder(folder)
    scores = None if card.scorecard is None else Scorecard.load(card.scorecard)
    voice = load_voice(weights)
    if form.half or form.int8:
        _check_range(weights)
    kind = torch.int8 if form.int8 else torch.float16 if form.half else torch.float32
    with staged(folder, stale=OWN_FILES) as made:
        files = publishing.publish_weights(weights, made, kind)
        files += write_lists(voice, made)
        narrowed = checkpoint.read_weights(made)
        reopened = load_voice(narrowed)
        checks = compare(probe(voice), lambda feeds: spoken(reopened, feeds))
        if form.onnx:
            graph = _write_graph(narrowed if form.int8 else weights, made, "int8" if form.int8 else form.quantise)
            files, checks = files + graph.files, checks + graph.checks
            if form.int8:
                checks += (share_weights(made / GRAPH_FILE, made / MODEL_FILE),)
        metrics = weights.source.parent / METRICS
        has_curves = metrics.is_file() and curves.draw(metrics, weights.step, made / CURVES_FILE)
        files += [made / CURVES_FILE] * has_curves
        write_text_atomic(made / CARD_FILE, cards.text_of(voice, weights, made.name, card, scores,
                                                          cards.Beside(form.onnx, has_curves)))
        files.append(made / CARD_FILE)
        size = sum(file.stat().st_size for file in files) / 1e6
    files = [folder / file.name for file in files]
    return Written(files, (*checks, f"{len(files)} files, {size:.1f} MB"))


def check_folder(folder: Path) -> None:
    """Refuse to write over what is no release.

    Raises:
        ValueError: naming it.
    """
    publishing.check_release_folder(folder)
    card = folder / CARD_FILE
    if card.is_file() and cards.MARK not in card.read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{card} is no voice card that export.py wrote; a release goes to a folder of its own")
    if (folder / GRAPH_FILE).is_file() and not (folder / MODEL_FILE).is_file():
        raise ValueError(f"{folder} holds a voice in ONNX; a release goes to a folder of its own (--with onnx adds a "
                         "graph to it)")


def write_lists(voice: Loaded, folder: Path) -> list[Path]:
    """symbols.txt, a symbol a line by id; and speakers.json, ids by name, where there are several."""
    symbols = folder / SYMBOLS_FILE
    write_text_atomic(symbols, "".join(cards.symbol_line(row, symbol) for row, symbol in
                                       enumerate(voice.text.symbols.symbols)))
    if not voice.speakers:
        return [symbols]
    speakers = folder / SPEAKERS_FILE
    ids = {name: row for row, name in enumerate(voice.speakers)}
    write_text_atomic(speakers, json.dumps(ids, indent=1, ensure_ascii=False) + "\n")
    return [symbols, speakers]


def spoken(voice: Loaded, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What torch says of what a `Probe` asks: wav [1, 1, S] and durations [1, L] in frames."""
    model, given = voice.model, {name: torch.from_numpy(value) for name, value in feeds.items()}
    ids, scales = given["text_ids"], given["scales"]
    with torch.inference_mode():
        g = model.speaker_embedding(given.get("speaker_id"))
        prior = model.enc_p(ids, torch.tensor([ids.shape[1]]))
        noise = given.get("duration_noise", torch.zeros(1, 2, ids.shape[1]))
        durations = torch.ceil(model.predict_durations(prior, g, scales[2] * noise) * scales[1])
        durations = given.get("given_durations", durations)
        drawn = given["prior_noise"]
        missing = max(0, int(durations.sum()) - drawn.shape[2])  # silent frames, where it says more than it was asked
        drawn = torch.nn.functional.pad(drawn, (0, missing))[:, :, : max(1, int(durations.sum()))]
        latent = model.latent(prior, durations, g, scales[0] * drawn)
        return model.dec(latent.z, g).numpy(), latent.durations.numpy()


def _check_range(weights: Weights) -> None:
    """Refuse to make infinities of weights.

    Raises:
        ValueError: naming the first that is too large.
    """
    for name, tensor in (*weights.generator.items(), *(weights.discriminators or {}).items()):
        largest = float(tensor.abs().max()) if tensor.is_floating_point() else 0.0
        if largest > LARGEST_HALF:
            raise ValueError(f"{weights.source}: {name} reaches {largest:.3g}, and 16 bits hold up to "
                             f"{LARGEST_HALF:.0f}; leave --half out")


def _write_graph(weights: Weights, folder: Path, quantise: str | None) -> Written:
    """voice.onnx and voice.json; of narrower weights only the narrow file."""
    written = write_onnx(weights, folder)
    if quantise is None:
        return Written(written.files, tuple(f"the graph: {check}" for check in written.checks))
    narrow = quantised(folder / GRAPH_FILE, quantise)
    narrow.files[0].replace(folder / GRAPH_FILE)
    return Written(written.files, (*(f"the graph before {quantise}: {check}" for check in written.checks),
                                   *narrow.checks, f"{narrow.files[0].name} became {GRAPH_FILE}"))
