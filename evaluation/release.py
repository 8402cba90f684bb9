"""Writer of releases: a folder with a voice's weights, configuration, symbols, speakers and card.

    weights = checkpoint.read_weights(run)
    write(weights, Path("folder"), CardInfo(data="LJ Speech", licence="public domain"), ReleaseFormat())
    write(weights, Path("folder"), CardInfo(), ReleaseFormat(half=True, onnx=True, quantise="int8"))

The folder holds config.json and model.safetensors, which `Voice.load` opens, symbols.txt and speakers.json for people,
README.md, curves.png if the run has its metrics.jsonl, and on request voice.onnx with voice.json, which speak without
torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import checkpoint
from checkpoint import DISCRIMINATORS_FILE, MODEL_FILE, Weights
from evaluation.card import CARD_MARKER, CardInfo, ReleaseContents, render_card, symbol_line
from evaluation.plots import write_loss_curves
from evaluation.run_metrics import METRICS
from evaluation.scorecard import Scorecard
from formats import ExportResult, publishing
from formats.onnx_voice import LoadedVoice, compare, load_voice, probe
from formats.onnx_voice import write as write_onnx
from formats.quantisation import quantised, share_weights
from utils import staged, write_text_atomic

# Shapes: L tokens, S samples.

SYMBOLS_FILE, SPEAKERS_FILE, CARD_FILE = "symbols.txt", "speakers.json", "README.md"
GRAPH_FILE, DESCRIPTION_FILE, CURVES_FILE = "voice.onnx", "voice.json", "curves.png"
OWN_FILES = (MODEL_FILE, DISCRIMINATORS_FILE, "config.json", SYMBOLS_FILE, SPEAKERS_FILE, GRAPH_FILE, DESCRIPTION_FILE,
             CURVES_FILE, CARD_FILE)  # removed if a new release lacks them
LARGEST_HALF = torch.finfo(torch.float16).max


class ReleaseFormat(NamedTuple):
    """Precision of the weights, and whether there is a graph."""

    half: bool = False  # weights in 16 bits
    int8: bool = False  # large weights in 8 bits, which the graph shares
    onnx: bool = False  # with a graph
    quantise: str | None = None  # precision of the graph, of quantisation.KINDS


def write(weights: Weights, folder: Path, info: CardInfo, form: ReleaseFormat) -> ExportResult:
    """Write a release, with discriminators if the weights have them; another release in the folder is replaced.

    Raises:
        ValueError: the folder holds other files, there is no such scorecard, or a weight is too large for 16 bits.
        FormatError: a graph is wanted of a voice that has a part that is not built in, or a library is missing.
    """
    check_folder(folder)
    scores = None if info.scorecard is None else Scorecard.load(info.scorecard)
    voice = load_voice(weights)
    if form.half or form.int8:
        _check_range(weights)
    kind = torch.int8 if form.int8 else torch.float16 if form.half else torch.float32
    with staged(folder, stale=OWN_FILES) as made:
        files = publishing.publish_weights(weights, made, kind)
        files += write_lists(voice, made)
        narrowed = checkpoint.read_weights(made)
        reopened = load_voice(narrowed)
        checks = compare(probe(voice), lambda feeds: torch_output(reopened, feeds))
        if form.onnx:
            graph = _write_graph(narrowed if form.int8 else weights, made, "int8" if form.int8 else form.quantise)
            files, checks = files + graph.files, checks + graph.checks
            if form.int8:
                checks += (share_weights(made / GRAPH_FILE, made / MODEL_FILE),)
        metrics = weights.source.parent / METRICS
        has_curves = metrics.is_file() and write_loss_curves(metrics, weights.step, made / CURVES_FILE)
        files += [made / CURVES_FILE] * has_curves
        write_text_atomic(made / CARD_FILE, render_card(voice, weights, made.name, info, scores,
                                                        ReleaseContents(form.onnx, has_curves)))
        files.append(made / CARD_FILE)
        size = sum(file.stat().st_size for file in files) / 1e6
    files = [folder / file.name for file in files]
    return ExportResult(files, (*checks, f"{len(files)} files, {size:.1f} MB"))


def check_folder(folder: Path) -> None:
    """Check that the folder is empty or holds a release.

    Raises:
        ValueError: it holds something else.
    """
    publishing.check_release_folder(folder)
    card = folder / CARD_FILE
    if card.is_file() and CARD_MARKER not in card.read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{card} was not written by export.py and is not overwritten; name another folder for the "
                         "release")
    if (folder / GRAPH_FILE).is_file() and not (folder / MODEL_FILE).is_file():
        raise ValueError(f"{folder} holds a voice in ONNX; name another folder for the release (--with onnx adds a "
                         "graph to it)")


def write_lists(voice: LoadedVoice, folder: Path) -> list[Path]:
    """Write symbols.txt, a symbol a line by id, and speakers.json, ids by name, if there are several."""
    symbols = folder / SYMBOLS_FILE
    write_text_atomic(symbols, "".join(symbol_line(row, symbol) for row, symbol in
                                       enumerate(voice.text.symbols.symbols)))
    if not voice.speakers:
        return [symbols]
    speakers = folder / SPEAKERS_FILE
    ids = {name: row for row, name in enumerate(voice.speakers)}
    write_text_atomic(speakers, json.dumps(ids, indent=1, ensure_ascii=False) + "\n")
    return [symbols, speakers]


def torch_output(voice: LoadedVoice, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Run the model in torch on the inputs of a `Probe`: wav [1, 1, S] and durations [1, L] in frames."""
    model, given = voice.model, {name: torch.from_numpy(value) for name, value in feeds.items()}
    ids, scales = given["text_ids"], given["scales"]
    with torch.inference_mode():
        g = model.speaker_embedding(given.get("speaker_id"))
        prior = model.enc_p(ids, torch.tensor([ids.shape[1]]), g)
        noise = given.get("duration_noise", torch.zeros(1, 2, ids.shape[1]))
        durations = torch.ceil(model.predict_durations(prior, g, scales[2] * noise) * scales[1])
        durations = given.get("given_durations", durations)
        drawn = given["prior_noise"]
        missing = max(0, int(durations.sum()) - drawn.shape[2])  # frames without noise, if it is longer than asked
        drawn = torch.nn.functional.pad(drawn, (0, missing))[:, :, : max(1, int(durations.sum()))]
        latent = model.latent(prior, durations, g, scales[0] * drawn)
        return model.dec(latent.z, g).numpy(), latent.durations.numpy()


def _check_range(weights: Weights) -> None:
    """Check that all weights fit 16 bits.

    Raises:
        ValueError: one that does not, by name.
    """
    for name, tensor in (*weights.generator.items(), *(weights.discriminators or {}).items()):
        largest = float(tensor.abs().max()) if tensor.is_floating_point() else 0.0
        if largest > LARGEST_HALF:
            raise ValueError(f"{weights.source}: {name} reaches {largest:.3g}, and 16 bits hold up to "
                             f"{LARGEST_HALF:.0f}; leave --half out")


def _write_graph(weights: Weights, folder: Path, quantise: str | None) -> ExportResult:
    """Write voice.onnx and voice.json; a quantised graph replaces the other."""
    written = write_onnx(weights, folder)
    if quantise is None:
        return ExportResult(written.files, tuple(f"the graph: {check}" for check in written.checks))
    narrow = quantised(folder / GRAPH_FILE, quantise)
    narrow.files[0].replace(folder / GRAPH_FILE)
    return ExportResult(written.files, (*(f"the graph before {quantise}: {check}" for check in written.checks),
                                   *narrow.checks, f"{narrow.files[0].name} became {GRAPH_FILE}"))
