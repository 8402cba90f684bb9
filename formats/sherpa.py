"""Export for sherpa-onnx in its form for the published VITS: model.onnx, tokens.txt and, for phonemes, lexicon.txt.

    write(checkpoint.read_weights(run), Path("folder"))                      # a voice of letters
    write(checkpoint.read_weights(run), Path("folder"), words=["hello"])     # a voice of phonemes: words of its lexicon
    write(checkpoint.read_weights("joe"), Path("folder"))                    # Piper's form: the caller gives phonemes

    config = sherpa_onnx.OfflineTtsVitsModelConfig(model="folder/model.onnx", tokens="folder/tokens.txt",
                                                   lexicon="folder/lexicon.txt")   # "" for letters
    generation.phoneme_codepoints = [[ord(symbol) for symbol in "həlˈoʊ."]]     # of Piper's form
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from checkpoint import Weights
from formats import ExportResult, FormatError
from formats.graph import Graph, open_session
from formats.onnx_network import SynthesisInputs, latent_of, waveform_of
from formats.onnx_voice import LoadedVoice, compare, load_voice, metadata_of, probe, sizes, speaker_of
from formats.piper_voice import phonemizes, symbol_ids, write_graph
from utils import write_text_atomic

PUNCTUATION = ";:,.!?¡¿—…\""


def write(weights: Weights, folder: Path, words: Iterable[str] | None = None) -> ExportResult:
    """Write model.onnx, tokens.txt and, for a voice of phonemes, lexicon.txt.

    A voice with a symbol before and one behind each text (data.begin_end) is written in Piper's form, which has them,
    and no lexicon: sherpa-onnx is given its phonemes.

    Args:
        weights: of the voice.
        folder: made as needed.
        words: of the lexicon of a voice of phonemes; sherpa-onnx skips all others.

    Raises:
        FormatError: words are missing, the voice has a part that is not built in, or a library is missing.
    """
    voice = load_voice(weights)
    if voice.text.begin_end:
        return _write_piper_form(voice, folder)
    if phonemizes(voice) and not words:
        raise FormatError(f"{weights.source} speaks phonemes, which sherpa-onnx looks up in a lexicon; found no words "
                          "for it, expected a list of all words that the voice needs")
    graph = _graph(voice)
    file = graph.save(folder / "model.onnx", {**metadata_of(voice), **_metadata(voice)})
    session = open_session(file)

    def run(feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        ids, scales = feeds["text_ids"], feeds["scales"]
        inputs = {"x": ids, "x_length": np.array(ids.shape[1:]), "noise_scale": scales[:1], "length_scale": scales[1:2],
                 "noise_scale_w": scales[2:]}
        if "speaker_id" in feeds:
            inputs["sid"] = feeds["speaker_id"]
        wav, durations = session.run(["y", "durations"], inputs)
        return wav, durations

    files = [file, _write_tokens(voice.text.symbols.ids, folder)]
    if phonemizes(voice):
        files.append(folder / "lexicon.txt")
        write_text_atomic(files[-1], _lexicon(voice, words))
    return ExportResult(files, (*compare(probe(voice, scales=(0.0, 0.0)), run), *sizes(file, graph)))


def _write_piper_form(voice: LoadedVoice, folder: Path) -> ExportResult:
    """Write model.onnx with the metadata that sherpa-onnx expects of Piper's voices, and tokens.txt."""
    data = voice.config.data
    file, checks = write_graph(voice, folder / "model.onnx", {
        **metadata_of(voice), "model_type": "vits", "comment": "piper", "language": data.language,
        "voice": data.language, "has_espeak": "1"})
    tokens = {symbol: ids[0] for symbol, ids in symbol_ids(voice).items() if ids}
    advice = "sherpa-onnx has no phonemizer: give it phonemes as GenerationConfig.phoneme_codepoints"
    return ExportResult([file, _write_tokens(tokens, folder)], (*checks, advice))


def _write_tokens(ids: Mapping[str, int], folder: Path) -> Path:
    """Write tokens.txt, a symbol and its id in each line, without white space other than the space."""
    tokens = folder / "tokens.txt"
    write_text_atomic(tokens, "".join(f"{symbol} {row}\n" for symbol, row in ids.items()
                                      if symbol == " " or not symbol.isspace()))
    return tokens


def _graph(voice: LoadedVoice) -> Graph:
    """The graph; sherpa-onnx passes inputs by position."""
    graph = Graph(voice.model)
    ids = graph.input("x", np.int64, [1, "tokens"])
    lengths = graph.input("x_length", np.int64, [1])
    scales = [graph.input(name, np.float32, [1]) for name in ("noise_scale", "length_scale", "noise_scale_w")]
    speaker = None
    if voice.speakers:
        speaker = speaker_of(graph, voice.model, graph.input("sid", np.int64, [1]))
    latent = latent_of(graph, voice.model, SynthesisInputs(ids.part([0], lengths, 1), *scales, speaker))
    graph.output("y", waveform_of(graph, voice.model, latent.z, speaker), np.float32, [1, 1, "samples"])
    graph.output("durations", latent.durations, np.int64, [1, "tokens"])
    return graph


def _metadata(voice: LoadedVoice) -> dict[str, str]:
    """Metadata for sherpa-onnx; a comment of none of its special kinds means the published form."""
    with_blanks = int(voice.text.add_blank)
    return {"model_type": "vits", "comment": "vits", "language": voice.config.data.language, "voice": "",
            "has_espeak": "0", "frontend": "" if phonemizes(voice) else "characters", "add_blank": str(with_blanks),
            "blank_id": "0", "pad_id": "0", "use_eos_bos": "0",
            "punctuation": " ".join(mark for mark in PUNCTUATION if mark in voice.text.symbols.ids)}


def _lexicon(voice: LoadedVoice, words: Iterable[str]) -> str:
    """Lines of a lowercase word and its symbols, separated by spaces."""
    unique = list(dict.fromkeys(word.lower() for word in words if word.strip()))
    known = voice.text.symbols.ids
    lines = []
    for word, cleaned in zip(unique, voice.text.clean(unique)):
        symbols = [symbol for symbol in cleaned if symbol in known and not symbol.isspace()]
        if symbols:
            lines.append(f"{word} {' '.join(symbols)}\n")
    return "".join(lines)
