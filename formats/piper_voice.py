"""Export for Piper: voice.onnx and voice.onnx.json.

    write(checkpoint.read_weights(run), Path("folder"))
    PiperVoice.load("folder/voice.onnx").synthesize("Hello.")

Piper adds ^ before and $ after a text. A voice without `data.begin_end` gets no ids for them, so that Piper's ids of a
text (pad, symbol, pad, ..., pad) are those of this project.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from checkpoint import Weights
from formats import ExportResult
from formats.graph import Graph, open_session
from formats.onnx_network import SynthesisInputs, latent_of, waveform_of
from formats.onnx_voice import LoadedVoice, compare, load_voice, metadata_of, probe, sizes, speaker_of
from text.cleaners import PHONEMIZING
from utils import write_text_atomic

MARKS = "_^$"  # pad, beginning, end: Piper's own


def write(weights: Weights, folder: Path) -> ExportResult:
    """Write voice.onnx and voice.onnx.json.

    Raises:
        FormatError: the voice has a part of a plugin, or a library is missing.
    """
    voice = load_voice(weights)
    file, checks = write_graph(voice, folder / "voice.onnx", metadata_of(voice))
    description = file.with_name(file.name + ".json")
    content = _description(voice)
    write_text_atomic(description, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return ExportResult([file, description], (*checks, *_limits(voice)))


def write_graph(voice: LoadedVoice, file: Path, metadata: Mapping[str, str]) -> tuple[Path, tuple[str, ...]]:
    """Write the graph for Piper's clients; returns the file and the results of its checks.

    Raises:
        FormatError: the voice has a part of a plugin, or a library is missing.
    """
    graph = _graph(voice)
    graph.save(file, metadata)
    session = open_session(file)
    probed = probe(voice, scales=(0.0, 0.0))  # Piper's graphs draw their noise themselves

    def run(feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        ids = feeds["text_ids"]
        inputs = {"input": ids, "input_lengths": np.array(ids.shape[1:]), "scales": feeds["scales"]}
        if "speaker_id" in feeds:
            inputs["sid"] = feeds["speaker_id"]
        wav, durations = session.run(["output", "durations"], inputs)
        return wav[0], durations

    return file, (*compare(probed, run), *sizes(file, graph))


def _graph(voice: LoadedVoice) -> Graph:
    graph = Graph(voice.model)
    ids = graph.input("input", np.int64, [1, "tokens"])
    lengths = graph.input("input_lengths", np.int64, [1])
    noise_scale, length_scale, noise_scale_duration = graph.input("scales", np.float32, [3]).split([1, 1, 1], axis=0)
    speaker = None
    if voice.speakers:
        speaker = speaker_of(graph, voice.model, graph.input("sid", np.int64, [1]))
    inputs = SynthesisInputs(ids.part([0], lengths, 1), noise_scale, length_scale, noise_scale_duration, speaker)
    latent = latent_of(graph, voice.model, inputs)
    wav = waveform_of(graph, voice.model, latent.z, speaker)
    graph.output("output", wav.reshaped(1, 1, 1, -1), np.float32, [1, 1, 1, "samples"])
    graph.output("durations", latent.durations, np.int64, [1, "tokens"])
    return graph


def _description(voice: LoadedVoice) -> dict[str, Any]:
    """Content of voice.onnx.json."""
    data, model = voice.config.data, voice.config.model
    meant = voice.config.speaking
    return {
        "audio": {"sample_rate": data.sampling_rate},
        "espeak": {"voice": data.language},
        "phoneme_type": "espeak" if phonemizes(voice) else "text",
        "inference": {"noise_scale": meant.noise_scale, "length_scale": 1 / meant.speed,
                      "noise_w": meant.noise_scale_duration if model.duration_predictor == "stochastic" else 0},
        "num_symbols": len(voice.text.symbols),
        "num_speakers": max(1, len(voice.speakers)),
        "speaker_id_map": {name: i for i, name in enumerate(voice.speakers)},
        "phoneme_id_map": symbol_ids(voice),
        "hop_length": data.hop_length,
    }


def phonemizes(voice: LoadedVoice) -> bool:
    """Whether the voice was trained on phonemes of espeak-ng, not on letters."""
    return any(name in PHONEMIZING for name in voice.text.cleaners)


def symbol_ids(voice: LoadedVoice) -> dict[str, list[int]]:
    """Ids of Piper's symbols; capitals that the table lacks get the ids of small letters."""
    ids = {symbol: [row] for symbol, row in voice.text.symbols.ids.items() if symbol not in MARKS}
    if not phonemizes(voice):
        for symbol in list(ids):
            capital = symbol.upper()
            if len(capital) == 1:
                ids.setdefault(capital, ids[symbol])
    around = voice.text.begin_end
    begin, end = ([], []) if around is None else ([voice.text.symbols.ids[symbol]] for symbol in around)
    return {"_": [0] if voice.text.add_blank else [], "^": begin, "$": end, **ids}


def _limits(voice: LoadedVoice) -> tuple[str, ...]:
    """Sentences on symbols that work in this project but not in Piper."""
    ids = voice.text.symbols.ids
    limits = []
    known = voice.text.begin_end or ()
    if kept := [mark for mark in MARKS if ids.get(mark, 0) != 0 and mark not in known]:
        limits.append(f"Piper uses {' '.join(kept)} itself, so the voice's symbols of that name are not spoken")
    apart = [symbol for symbol in ids if any(part not in ids for part in unicodedata.normalize("NFD", symbol))]
    if apart:
        limits.append(f"Piper separates letters and accents and will not find {' '.join(apart)}")
    return tuple(limits)
