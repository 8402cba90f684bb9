"""Import and export of Hugging Face's `VitsModel` and `VitsTokenizer`: weights, configuration and vocabulary.

    write(checkpoint.read_weights(run), Path("folder"))         # VitsModel.from_pretrained("folder") speaks with it
    imported = read(Path("mms-tts-eng"), config=None)           # model.safetensors or pytorch_model.bin

Their tokenizer lower-cases, drops what its vocabulary lacks and puts blanks between; it has no cleaners of this
project's. So a voice of letters reads plain text there, any other what `TextProcessor.clean` has made of the text.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import checkpoint
import config as settings
from checkpoint import Weights
from config import Config
from formats import ExportResult, FormatError, ImportedVoice
from formats.import_helpers import check_fits, check_tensors, placeholder, published_names, read_json, speaking_notes
from models import SynthesizerTrn
from modules import fold_weight_norm
from text import TextProcessor
from text.normalisation import reads_numbers
from text.symbols import SymbolTable, builtin_tables
from utils import write_text_atomic

MODEL_FILES = ("model.safetensors", "pytorch_model.bin")
LOWERING = ("basic_cleaners", "mms_cleaners")  # what VitsTokenizer does too
PAD = "<pad>"  # has the id of the blank, but no text is cut at it
TEXT = [12, 5, 33, 7, 8, 21, 2, 19, 30, 4, 11, 9]  # ids for the comparison

# Our names -> theirs; the first pattern that fits counts.
NAMES = [(re.compile(ours), theirs) for ours, theirs in (
    (r"enc_p\.emb\.", r"text_encoder.embed_tokens."),
    (r"enc_p\.encoder\.attn_layers\.(\d+)\.conv_([qkv])\.", r"text_encoder.encoder.layers.\1.attention.\2_proj."),
    (r"enc_p\.encoder\.attn_layers\.(\d+)\.conv_o\.", r"text_encoder.encoder.layers.\1.attention.out_proj."),
    (r"enc_p\.encoder\.attn_layers\.(\d+)\.", r"text_encoder.encoder.layers.\1.attention."),
    (r"enc_p\.encoder\.norm_layers_1\.(\d+)\.", r"text_encoder.encoder.layers.\1.layer_norm."),
    (r"enc_p\.encoder\.norm_layers_2\.(\d+)\.", r"text_encoder.encoder.layers.\1.final_layer_norm."),
    (r"enc_p\.encoder\.ffn_layers\.(\d+)\.", r"text_encoder.encoder.layers.\1.feed_forward."),
    (r"enc_p\.proj\.", r"text_encoder.project."),
    (r"dec\.ups\.", r"decoder.upsampler."),
    (r"dec\.", r"decoder."),
    (r"enc_q\.enc\.", r"posterior_encoder.wavenet."),
    (r"enc_q\.(pre|proj)\.", r"posterior_encoder.conv_\1."),
    (r"flow\.flows\.(\d+)\.enc\.", r"flow.flows.{half}.wavenet."),
    (r"flow\.flows\.(\d+)\.(pre|post)\.", r"flow.flows.{half}.conv_\2."),
    (r"dp\.(post_)?flows\.0\.m$", r"duration_predictor.\1flows.0.translate"),
    (r"dp\.(post_)?flows\.0\.logs$", r"duration_predictor.\1flows.0.log_scale"),
    (r"dp\.(post_)?flows\.(\d+)\.(pre|proj)\.", r"duration_predictor.\1flows.{half}.conv_\3."),
    (r"dp\.(post_)?flows\.(\d+)\.convs\.", r"duration_predictor.\1flows.{half}.conv_dds."),
    (r"dp\.(post_)?convs\.", r"duration_predictor.\1conv_dds."),
    (r"dp\.(post_)?(pre|proj)\.", r"duration_predictor.\1conv_\2."),
    (r"dp\.", r"duration_predictor."),
    (r"emb_g\.", r"embed_speaker."),
)]
# A setting of theirs -> the section and key of ours.
SETTINGS = {
    "flow_size": "inter_channels", "hidden_size": "hidden_channels", "ffn_dim": "filter_channels",
    "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers", "ffn_kernel_size": "kernel_size",
    "window_size": "attention_window", "hidden_dropout": "p_dropout",
    "posterior_encoder_num_wavenet_layers": "posterior_layers", "prior_encoder_num_flows": "flow_couplings",
    "prior_encoder_num_wavenet_layers": "flow_layers", "wavenet_kernel_size": "wavenet_kernel_size",
    "duration_predictor_filter_channels": "duration_channels", "duration_predictor_num_flows": "duration_flows",
    "duration_predictor_dropout": "p_dropout_duration", "resblock_kernel_sizes": "resblock_kernel_sizes",
    "resblock_dilation_sizes": "resblock_dilation_sizes", "upsample_rates": "upsample_rates",
    "upsample_initial_channel": "upsample_initial_channel", "upsample_kernel_sizes": "upsample_kernel_sizes",
}
# Constants of this project; a model with other values cannot be built.
CONSTANTS = {"use_bias": True, "hidden_act": "relu", "layer_norm_eps": 1e-5, "leaky_relu_slope": 0.1,
             "depth_separable_channels": 2, "depth_separable_num_layers": 3, "duration_predictor_flow_bins": 10,
             "duration_predictor_tail_bound": 5.0, "duration_predictor_kernel_size": 3, "wavenet_dilation_rate": 1}


def recognises(path: Path) -> bool:
    """Whether a folder has the config.json of a VitsModel; the weights in such a folder count too."""
    file = _folder(path) / "config.json"
    if not file.is_file():
        return False
    try:
        return read_json(file).get("model_type") == "vits"
    except FormatError:
        return False


def read(path: Path, config: Path | None) -> ImportedVoice:
    """Read the voice, which has no discriminators in this format.

    Args:
        path: the folder, or the weights in it.
        config: another config.json.

    Raises:
        FileNotFoundError: a file is missing.
        FormatError: it is no VitsModel, or one that this project cannot build.
    """
    path = _folder(path)
    described_at = config or path / "config.json"
    if not described_at.is_file():
        raise FileNotFoundError(f"no {described_at}; expected the folder of a VitsModel")
    described = read_json(described_at)
    file = next((path / name for name in MODEL_FILES if (path / name).is_file()), None)
    if file is None:
        raise FileNotFoundError(f"{path} has no {' and no '.join(MODEL_FILES)}; a folder in several parts has to be "
                                "saved as one first")
    constants = [f"{name} is {described[name]}, here it is {value}" for name, value in CONSTANTS.items()
                 if described.get(name, value) != value]
    if constants or described.get("model_type") != "vits":
        raise FormatError(f"{described_at} is of a {described.get('model_type')!r}, expected 'vits'"
                          f"{''.join('; ' + each for each in constants)}; this project cannot build it")
    content = checkpoint.load_foreign(file)
    if not isinstance(content, dict):
        raise FormatError(f"{file} holds a {type(content).__name__}, expected tensors by name")
    check_tensors(content, file)
    tensors = published_names(content)
    ours, notes = _config(described, path, tensors)
    generator = dict(_ours(tensors, ours, file))
    notes = (*notes, "no discriminators are in it: it speaks, and can be trained further with new ones")
    imported = ImportedVoice(ours, generator, notes=notes)
    table = TextProcessor.from_config(ours.data).symbols
    check_fits(imported._replace(config=settings.replace(ours, "data", {"symbols": table.symbols})), str(file))
    return imported


def write(weights: Weights, folder: Path) -> ExportResult:
    """Write a folder for `from_pretrained`; compared with this project's output if transformers is installed.

    Raises:
        FormatError: a VitsModel cannot be such a voice; naming each setting.
    """
    config = settings.from_dict(weights.config)
    _check_writable(config)
    text = TextProcessor.from_config(config.data)
    folder.mkdir(parents=True, exist_ok=True)
    files = [checkpoint.save_foreign(folder / MODEL_FILES[0], dict(_theirs(weights.generator, config)))]
    for name, content in (("config.json", _described(config, len(text.symbols))), ("vocab.json", _vocabulary(text)),
                          ("tokenizer_config.json", _tokenizer(text))):
        files.append(folder / name)
        write_text_atomic(files[-1], json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    reads = ("its tokenizer reads plain text, and drops what its vocabulary lacks" if _reads_letters(text) else
             f"its tokenizer reads what the cleaners {', '.join(text.cleaners)} make of a text, not the text itself")
    if importlib.util.find_spec("transformers") is None:
        return ExportResult(files, (reads, "transformers is not installed: its sound was not compared"))
    sound = f"differs by {_deviation(weights, config, folder):.1e} at most from this project's sound, without noise"
    return ExportResult(files, (reads, f"{sound} (transformers {importlib.metadata.version('transformers')})"))


def hf_name(name: str, is_stochastic: bool) -> str:
    """VitsModel's name of one of this project's tensors, weight norm as weight_g and weight_v; see NAMES."""
    if name.startswith("dp.proj.") and not is_stochastic:  # of another shape and purpose, and under its own name
        return name.replace("dp.", "duration_predictor.")
    match, theirs = next((match, theirs) for pattern, theirs in NAMES if (match := pattern.match(name)))
    if "{half}" in theirs:  # VitsModel does not count flips
        place = next(int(group) for group in match.groups() if group and group.isdigit())
        theirs = theirs.replace("{half}", str((place + 1) // 2))
    renamed = match.expand(theirs) + name[match.end():]
    if renamed.endswith((".gamma", ".beta")):
        renamed = renamed.replace(".gamma", ".weight").replace(".beta", ".bias")
    return renamed.replace(".convs_sep.", ".convs_dilated.").replace(".convs_1x1.", ".convs_pointwise.")


def _folder(path: Path) -> Path:
    return path.parent if path.name in MODEL_FILES else path


def _ours(tensors: Mapping[str, Tensor], config: Config, source: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors under this project's names."""
    with torch.device("meta"):
        expected = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config).state_dict()
    is_stochastic = config.model.duration_predictor == "stochastic"
    missing = []
    for name, shape in ((name, tensor.shape) for name, tensor in expected.items()):
        theirs = hf_name(name, is_stochastic)
        folded = re.sub(r"\.weight_[gv]$", ".weight", theirs)
        if theirs in tensors:
            found = tensors[theirs]
        elif theirs != folded and folded in tensors:  # decoders are stored so
            weight = tensors[folded]
            found = weight if name.endswith("_v") else weight.flatten(1).norm(dim=1).reshape(shape)
        else:
            missing.append(theirs)
            continue
        yield name, found[..., None] if found.dim() == len(shape) - 1 else found  # Linear there, Conv1d here
    if missing:
        raise FormatError(f"{source} has no {', '.join(missing[:4])}{' ...' * bool(missing[4:])} ({len(missing)} of "
                          f"{len(expected)} tensors are missing); its config.json describes another model")


def _theirs(generator: Mapping[str, Tensor], config: Config) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors under VitsModel's names: weight norm of the decoder folded, elsewhere as parametrizations."""
    for name, tensor in generator.items():
        theirs = hf_name(name, config.model.duration_predictor == "stochastic")
        if name.startswith("dec.") and name.endswith("weight_v"):
            norm = tensor.double().flatten(1).norm(dim=1).reshape(generator[name[:-1] + "g"].shape)
            yield theirs.replace("weight_v", "weight"), (
                tensor.double() * (generator[name[:-1] + "g"].double() / norm)).float()
        elif not (name.startswith("dec.") and name.endswith("weight_g")):
            theirs = theirs.replace("weight_g", "parametrizations.weight.original0")
            is_linear = re.search(r"attn_layers\.\d+\.conv_[qkvo]\.weight", name)
            yield theirs.replace("weight_v", "parametrizations.weight.original1"), (
                tensor[..., 0] if is_linear else tensor).float()


def _config(described: Mapping[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> tuple[Config, list[str]]:
    """This project's configuration, and notes for the user."""
    model = {ours: described[theirs] for theirs, ours in SETTINGS.items() if described.get(theirs) is not None}
    is_stochastic, n_speakers = described.get("use_stochastic_duration_prediction", True), described.get("num_speakers")
    several = n_speakers if n_speakers and n_speakers > 1 else 0
    model["duration_predictor"] = "stochastic" if is_stochastic else "deterministic"
    model["gin_channels"] = described.get("speaker_embedding_size", 0) if several else 0
    n_fft = 2 * (described.get("spectrogram_bins", 513) - 1)
    embedding = tensors.get("text_encoder.embed_tokens.weight")
    data, notes = _text(folder, described["vocab_size"] if embedding is None else len(embedding))
    data |= {"sampling_rate": described.get("sampling_rate", 16000), "filter_length": n_fft, "win_length": n_fft,
             "hop_length": math.prod(model.get("upsample_rates", (8, 8, 2, 2))), "n_speakers": several,
             "speakers": described.get("speaker_names", ())}
    if several and not data["speakers"]:
        notes.append("its speakers have no names; they are named by their numbers")
    notes += speaking_notes(described.get("noise_scale", 0.667), described.get("noise_scale_duration", 0.8),
                            1 / described.get("speaking_rate", 1.0))
    segment = {"segment_size": 32 * data["hop_length"]}
    return settings.from_dict({"train": segment, "data": data, "model": model}), notes


def _text(folder: Path, n_rows: int) -> tuple[dict[str, Any], list[str]]:
    """The text settings of the data section, and notes for the user."""
    if not (folder / "vocab.json").is_file():
        raise FileNotFoundError(f"no {folder / 'vocab.json'}; expected the tokenizer beside the model")
    described = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    vocabulary, notes = read_json(folder / "vocab.json"), []
    symbols = [placeholder(row) for row in range(n_rows)]
    for symbol, row in vocabulary.items():
        if len(symbol) == 1 and isinstance(row, int) and row < n_rows:
            symbols[row] = symbol
    phonemizes = described.get("phonemize", True)
    cleaners = described.get("text_cleaners") or (["english_cleaners2"] if phonemizes else
                                                  ["mms_cleaners"] if described.get("normalize", True) else [])
    if cleaners == ["mms_cleaners"] and not described.get("text_cleaners") and reads_numbers(
            described.get("language") or "", vocabulary):
        cleaners = ["normalised", *cleaners]  # it says digits as words, which it would leave out
    if phonemizes:
        notes.append("its tokenizer gives text to espeak-ng unchanged; here english_cleaners2 first writes out "
                     "abbreviations and lowercases")
    if described.get("is_uroman"):
        cleaners = [*cleaners[:-1], "uroman", *cleaners[-1:]]
        notes.append("its texts were romanised before training (is_uroman): the cleaner uroman does it with the "
                     "library of that name, pip install uroman")
    return {"symbols": _known_table(symbols), "text_cleaners": cleaners, "add_blank": described.get("add_blank", True),
            "language": described.get("language") or "en-us"}, notes


def _known_table(symbols: list[str]) -> str | list[str]:
    """The name of a built-in table with these rows, of which some may be placeholders; else the rows."""
    for name in builtin_tables():
        table = SymbolTable.load(name)
        if len(table) == len(symbols) and all(symbol == known or symbol == placeholder(row) for row, (symbol, known)
                                              in enumerate(zip(symbols, table.symbols))):
            return name
    return symbols


def _reads_letters(text: TextProcessor) -> bool:
    """Whether VitsTokenizer covers all of the cleaners."""
    return all(name in LOWERING for name in text.cleaners)


def _vocabulary(text: TextProcessor) -> dict[str, int]:
    """Symbol -> id, without capitals for lowercasing cleaners: VitsTokenizer lowercases only unknown capitals."""
    table = text.symbols
    lowers = any(name in LOWERING for name in text.cleaners)
    return {symbol: row for row, symbol in enumerate(table.symbols)
            if table.ids[symbol] == row and not (lowers and symbol.lower() != symbol and symbol.lower() in table.ids)}


def _tokenizer(text: TextProcessor) -> dict[str, Any]:
    """Settings of VitsTokenizer; only this project reads text_cleaners."""
    pad = {"content": PAD, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    return {"tokenizer_class": "VitsTokenizer", "add_blank": text.add_blank, "language": text.language,
            "normalize": True, "phonemize": False, "is_uroman": False, "pad_token": PAD, "unk_token": PAD,
            "added_tokens_decoder": {"0": pad}, "text_cleaners": list(text.cleaners)}


def _described(config: Config, n_symbols: int) -> dict[str, Any]:
    """Content of config.json; only this project reads speaker_names."""
    tree = settings.to_dict(config)
    names = {"speaker_names": list(config.data.speakers)} if config.data.speakers else {}
    return {
        "architectures": ["VitsModel"], "model_type": "vits", "torch_dtype": "float32", "vocab_size": n_symbols,
        **CONSTANTS, **{theirs: tree["model"][ours] for theirs, ours in SETTINGS.items()},
        "attention_dropout": config.model.p_dropout, "activation_dropout": config.model.p_dropout, "layerdrop": 0.0,
        "spectrogram_bins": config.spec_channels, "sampling_rate": config.data.sampling_rate,
        "use_stochastic_duration_prediction": config.model.duration_predictor == "stochastic",
        "num_speakers": config.data.n_speakers if config.multispeaker else 1,
        "speaker_embedding_size": config.model.gin_channels if config.multispeaker else 0,
        "speaking_rate": 1.0, "noise_scale": 0.667, "noise_scale_duration": 0.8, **names}


def _check_writable(config: Config) -> None:
    model, faults = config.model, []
    if model.generator != "hifigan" or model.resblock != "1":
        faults.append(f"model.generator is {model.generator!r} with model.resblock {model.resblock!r}, expected "
                      "'hifigan' with '1'")
    faults += [f"model.{name} is {getattr(model, name)}, expected {expected}" for name, expected in (
        ("posterior_input", "linear"), ("speaker_in_text_encoder", False), ("flow_transformer", "none"))
        if getattr(model, name) != expected]
    if model.duration_predictor not in ("stochastic", "deterministic"):
        faults.append(f"model.duration_predictor is {model.duration_predictor!r}, expected stochastic or deterministic")
    if config.data.begin_end is not None:
        faults.append(f"data.begin_end is {list(config.data.begin_end)}, which VitsTokenizer does not add")
    if faults:
        raise FormatError(f"a VitsModel cannot be this voice: {'; '.join(faults)}; take another format")


@torch.no_grad()
def _deviation(weights: Weights, config: Config, folder: Path) -> float:
    """Largest difference of samples between both models, without noise, for the first and the last speaker."""
    from transformers import VitsModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    n_symbols = len(TextProcessor.from_config(config.data).symbols)
    ours = SynthesizerTrn(n_symbols, config)
    checkpoint.load_state(ours, weights.generator, weights.source, "generator")
    fold_weight_norm(ours.eval())
    theirs = VitsModel.from_pretrained(folder, local_files_only=True).eval()
    theirs.noise_scale = theirs.noise_scale_duration = 0.0
    ids = torch.tensor([[each % n_symbols for each in TEXT]])
    largest = 0.0
    for speaker in {0, config.data.n_speakers - 1} if config.multispeaker else {None}:
        wav = ours.infer(ids, torch.tensor([ids.shape[1]]), None if speaker is None else torch.tensor([speaker]),
                         noise_scale=0.0, noise_scale_duration=0.0).wav[:, 0]
        other = theirs(ids, speaker_id=speaker).waveform
        if wav.shape != other.shape:
            raise FormatError(f"{folder}: a VitsModel makes {other.shape[1]} samples, this project {wav.shape[1]}; the "
                              "durations differ, so the folder must not be used")
        largest = max(largest, float((wav - other).abs().max()))
    return largest
