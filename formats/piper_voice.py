"""A voice for Piper: voice.onnx and voice.onnx.json.

    write(checkpoint.read_weights(run), Path("folder"))
    PiperVoice.load("folder/voice.onnx").synthesize("Hello.")

Piper puts ^ before and $ behind a text. A voice with `data.begin_end` knows them; for others both stand for no id at
all: then what Piper makes of a text (pad, symbol, pad, ..., pad) is what this project makes of it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from checkpoint import Weights
from formats import Written
from formats.graph import Graph, open_session
from formats.onnx_network import Asked, latent_of, waveform_of
from formats.onnx_voice import Loaded, compare, load_voice, metadata_of, probe, sizes, speaker_of
from text.cleaners import PHONEMIZING
from utils import write_text_atomic

MARKS = "_^$"  # pad, beginning, end: Piper's own


def write(weights: Weights, folder: Path) -> Written:
    """voice.onnx and voice.onnx.json.

    Raises:
        FormatError: the voice has a part that is not built in, or a library is missing.
    """
    voice = load_voice(weights)
    file, checks = write_graph(voice, folder / "voice.onnx", metadata_of(voice))
    description = file.with_name(file.name + ".json")
    content = _description(voice)
    write_text_atomic(description, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return Written([file, description], (*checks, *_limits(voice)))


def write_graph(voice: Loaded, file: Path, metadata: Mapping[str, str]) -> tuple[Path, tuple[str, ...]]:
    """The graph that Piper's clients run, and what was checked of it.

    Raises:
        FormatError: the voice has a part that is not built in, or a library is missing.
    """
    graph = _graph(voice)
    graph.save(file, metadata)
    session = open_session(file)
    speaks_of = probe(voice, scales=(0.0, 0.0))  # Piper's graphs draw their noise themselves

    def say(feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        ids = feeds["text_ids"]
        asked = {"input": ids, "input_lengths": np.array(ids.shape[1:]), "scales": feeds["scales"]}
        if "speaker_id" in feeds:
            asked["sid"] = feeds["speaker_id"]
        wav, durations = session.run(["output", "durations"], asked)
        return wav[0], durations

    return file, (*compare(speaks_of, say), *sizes(file, graph))


def _graph(voice: Loaded) -> Graph:
    graph = Graph()
    ids = graph.input("input", np.int64, [1, "tokens"])
    lengths = graph.input("input_lengths", np.int64, [1])
    noise_scale, length_scale, noise_scale_duration = graph.input("scales", np.float32, [3]).split([1, 1, 1], axis=0)
    speaker = None
    if voice.speakers:
        speaker = speaker_of(graph, voice.model, graph.input("sid", np.int64, [1]))
    asked = Asked(ids.part([0], lengths, 1), noise_scale, length_scale, noise_scale_duration, speaker)
    latent = latent_of(graph, voice.model, asked)
    wav = waveform_of(graph, voice.model, latent.z, speaker)
    graph.output("output", wav.reshaped(1, 1, 1, -1), np.float32, [1, 1, 1, "samples"])
    graph.output("durations", latent.durations, np.int64, [1, "tokens"])
    return graph


def _description(voice: Loaded) -> dict[str, Any]:
    """What Piper reads beside the graph."""
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


def phonemizes(voice: Loaded) -> bool:
    """Whether the voice was trained on phonemes of espeak-ng, not on letters."""
    return any(name in PHONEMIZING for name in voice.text.cleaners)


def symbol_ids(voice: Loaded) -> dict[str, list[int]]:
    """Piper's symbols to lists of ids; a capital that the table lacks is read as the small letter."""
    ids = {symbol: [row] for symbol, row in voice.text.symbols.ids.items() if symbol not in MARKS}
    if not phonemizes(voice):
        for symbol in list(ids):
            capital = symbol.upper()
            if len(capital) == 1:
                ids.setdefault(capital, ids[symbol])
    around = voice.text.begin_end
    begin, end = ([], []) if around is None else ([voice.text.symbols.ids[symbol]] for symbol in around)
    return {"_": [0] if voice.text.add_blank else [], "^": begin, "$": end, **ids}


def _limits(voice: Loaded) -> tuple[str, ...]:
    """What the voice can say here and not there."""
    ids = voice.text.symbols.ids
    limits = []
    known = voice.text.begin_end or ()
    if kept := [mark for mark in MARKS if ids.get(mark, 0) != 0 and mark not in known]:
        limits.append(f"Piper keeps {' '.join(kept)} for itself and does not say what the voice knows by it")
    apart = [symbol for symbol in ids if any(part not in ids for part in unicodedata.normalize("NFD", symbol))]
    if apart:
        limits.append(f"Piper takes letters and accents apart and will not find {' '.join(apart)}")
    return tuple(limits)
