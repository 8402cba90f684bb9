"""Import of Coqui's VITS checkpoints (.pth with config.json).

    imported = read(Path("tts_models--en--ljspeech--vits"), config=None)    # a folder, or its .pth
    imported.config.data.symbols[1]                                         # Coqui's pad, behind the blank

Coqui's blank is the last row of its embedding, here it is the first, and all other rows move by one: Coqui's pad, which
is in no text, is row 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import config as settings
from checkpoint import CheckpointError, load_foreign
from config import Config
from formats import FormatError, ImportedVoice
from formats.import_helpers import (
    check_fits,
    check_tensors,
    complete_names,
    model_sizes,
    placeholder,
    published_names,
    read_json,
    speaking_notes,
)
from models import SynthesizerTrn, bake_speaker

_PARTS = {"text_encoder": "enc_p", "posterior_encoder": "enc_q", "waveform_decoder": "dec", "flow": "flow",
          "duration_predictor": "dp", "emb_g": "emb_g"}
_SPEAKER_FILES = ("speakers.pth", "speakers.json", "speaker_ids.json", "speaker_ids.pth")
_MODEL_FILES = ("best_model.pth", "model_file.pth", "model.pth")
_BLANK = "<BLNK>"
_LANGUAGES = {"en": "en-us", "zh-cn": "cmn"}  # as Coqui itself calls espeak-ng
# Coqui's cleaner -> this project's; a note names inexact replacements.
_CHARACTER_CLEANERS = {"basic_cleaners": "basic_cleaners", "multilingual_cleaners": "basic_cleaners",
                       "english_cleaners": "english", "transliteration_cleaners": "transliteration_cleaners"}
_REFUSED = {"use_d_vector_file": "its speakers are vectors of another network", "use_language_embedding":
            "it has an embedding of languages", "encoder_sample_rate": "its generator has another rate than the rest"}


def recognises(path: Path) -> bool:
    """Whether a file has a model with `text_encoder` and `waveform_decoder`, or a folder has such a file."""
    try:
        return _is_coqui(load_foreign(_find_model(path)))
    except (FileNotFoundError, CheckpointError):
        return False


def read(path: Path, config: Path | None) -> ImportedVoice:
    """Read the voice, with its discriminators.

    Args:
        path: the .pth, or the folder with it.
        config: its config.json; None takes the one beside the .pth, else the copy inside it.

    Raises:
        FileNotFoundError: there is no .pth.
        FormatError: it is no VITS of Coqui, or one with parts that this project lacks.
        CheckpointError: the file is damaged, or holds what is not read.
    """
    file = _find_model(path)
    content = load_foreign(file)
    if not _is_coqui(content):
        found = ", ".join(map(str, list(content)[:6])) if isinstance(content, dict) else type(content).__name__
        raise FormatError(f"{file} is no VITS of Coqui: found {found}; expected model with text_encoder and "
                          "waveform_decoder")
    check_tensors(content["model"], file)
    described = _description(file, config, content)
    arguments = described.get("model_args") or {}
    for name, reason in _REFUSED.items():
        if arguments.get(name):
            raise FormatError(f"{file} cannot be spoken by this project: {reason} (model_args.{name} is "
                              f"{arguments[name]!r})")
    generator, discriminators = _ours(content["model"], arguments, str(file))
    table = _table(described, len(generator["enc_p.emb.weight"]), file)
    generator["enc_p.emb.weight"] = generator["enc_p.emb.weight"][list(table.rows)]
    cleaners, notes = _cleaners(described)
    n_speakers = len(generator["emb_g.weight"]) if "emb_g.weight" in generator else 0
    names = _speakers(described, file, n_speakers) if n_speakers > 1 else ()
    if n_speakers > 1 and not names:
        notes.append(f"its speakers' names were not found ({', '.join(_SPEAKER_FILES)} beside {file.name}); they are "
                     "named by their numbers")
    if arguments.get("use_spectral_norm_disriminator"):  # sic
        discriminators = None
        notes.append("its discriminators are spectrally normed, which is not read; training goes on with new ones")
    notes += speaking_notes(arguments.get("inference_noise_scale", 0.667),
                            arguments.get("inference_noise_scale_dp", 1.0), arguments.get("length_scale", 1))
    data = _data(described, generator) | cleaners | {
        "symbols": table.symbols, "begin_end": table.begin_end, "add_blank": described.get("add_blank", True),
        "n_speakers": n_speakers, "speakers": names}
    tree = {"data": data, "model": _model(generator, arguments, str(file)), "train": _train(described, data),
            "discriminator": {"periods": arguments.get("periods_multi_period_discriminator", (2, 3, 5, 7, 11))}}
    if n_speakers == 1:  # an embedding of one row: a single speaker has none here
        tree["data"] |= {"n_speakers": 0}
        generator = _without_speaker(generator, settings.from_dict(tree))
        tree["model"]["gin_channels"] = 0
    imported = ImportedVoice(settings.from_dict(tree), generator, discriminators, step=int(content.get("step") or 0),
                             notes=tuple(notes))
    check_fits(imported, str(file))
    return imported


def _is_coqui(content: Any) -> bool:
    model = content.get("model") if isinstance(content, dict) else None
    return (isinstance(model, dict) and "text_encoder.emb.weight" in model
            and any(str(name).startswith("waveform_decoder.") for name in model))


def _find_model(path: Path) -> Path:
    """The .pth of a folder: the best model, else the highest step, else the only file."""
    if not path.is_dir():
        return path
    files = {each.name: each for each in sorted(path.glob("*.pth")) if each.name not in _SPEAKER_FILES}
    stepped = [(int(match[1]), name) for name in files if (match := re.fullmatch(r"[a-z_]+_(\d+)\.pth", name))]
    wanted = [*(name for name in _MODEL_FILES if name in files), *(name for _, name in sorted(stepped)[-1:])]
    if not wanted and len(files) != 1:
        raise FileNotFoundError(f"{path} holds {len(files)} files named *.pth; expected one, one of "
                                f"{', '.join(_MODEL_FILES)}, or give the file itself")
    return files[wanted[0]] if wanted else next(iter(files.values()))


def _description(file: Path, config: Path | None, content: Mapping[str, Any]) -> dict[str, Any]:
    beside = file.with_name("config.json")
    described = read_json(config or beside) if config or beside.is_file() else content.get("config")
    if not isinstance(described, dict) or not isinstance(described.get("characters"), dict):
        raise FormatError(f"{config or beside} has no characters; expected the config.json that Coqui wrote beside "
                          f"{file.name}; give it with --config")
    return described


# Tensors


def _ours(model: Mapping[str, Tensor], arguments: Mapping[str, Any],
          source: str) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
    """Generator and discriminators with this project's keys, without parts of Coqui's training alone."""
    generator, discriminators = {}, {}
    for name, tensor in published_names(model).items():
        part, _, rest = name.partition(".")
        if part in _PARTS:
            generator[_our_name(_PARTS[part], rest)] = tensor
        elif part == "disc":
            discriminators[rest.replace("nets.", "discriminators.", 1)] = tensor
        elif part == "emb_l":
            raise FormatError(f"{source} cannot be spoken by this project: it has an embedding of languages")
    if "dp.norm_1.gamma" in generator:
        # Coqui's norm adds 1e-4 to the variance, this project's 1e-5: equal for inputs scaled by the root of a tenth,
        # which passes through the ReLU in between.
        for name in ("norm_1.gamma", "norm_1.beta", "norm_2.gamma", "norm_2.beta"):
            generator[f"dp.{name}"] = generator[f"dp.{name}"].reshape(-1)  # [1, C, 1] there
        for name in ("conv_1.weight", "conv_1.bias", "conv_2.weight", "conv_2.bias"):
            generator[f"dp.{name}"] = generator[f"dp.{name}"] * 0.1**0.5
    if "emb_g.weight" in generator and not arguments.get("condition_dp_on_speaker", True):
        dp_input = "dp.pre.weight" if "dp.pre.weight" in generator else "dp.conv_1.weight"
        width, channels = generator[dp_input].shape[1], generator["emb_g.weight"].shape[1]
        generator |= {"dp.cond.weight": torch.zeros(width, channels, 1), "dp.cond.bias": torch.zeros(width)}
    return generator, discriminators or None


def _our_name(part: str, rest: str) -> str:
    """This project's name of a tensor: flips are layers here and not in Coqui, so couplings count by two."""
    if part == "flow":
        rest = re.sub(r"^flows\.(\d+)", lambda match: f"flows.{2 * int(match[1])}", rest)
    elif part == "dp":
        rest = re.sub(r"flows\.(\d+)", lambda match: f"flows.{max(0, 2 * int(match[1]) - 1)}", rest)
        rest = rest.replace("translation", "m").replace("log_scale", "logs")
    elif part == "dec":
        rest = rest.replace("cond_layer.", "cond.")
    return f"{part}.{rest}"


@torch.no_grad()
def _without_speaker(generator: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Add the embedding of the only speaker to the biases."""
    twice = settings.replace(config, "data", {"n_speakers": 2})
    model = SynthesizerTrn(len(generator["enc_p.emb.weight"]), twice)
    try:
        model.load_state_dict(generator | {"emb_g.weight": generator["emb_g.weight"].repeat(2, 1)})
    except RuntimeError as error:
        raise FormatError(f"the only speaker cannot become part of the biases: {error}") from None
    return bake_speaker(model, 0).state_dict()


# Settings


class _Table(NamedTuple):
    """The symbol table, and the row of each symbol in Coqui's embedding."""

    symbols: tuple[str, ...]
    rows: tuple[int, ...]
    begin_end: tuple[str, str] | None


def _table(described: Mapping[str, Any], n_rows: int, file: Path) -> _Table:
    characters = described["characters"]
    vocabulary, blank = _vocabulary(characters, bool(described.get("use_phonemes")), file)
    if len(vocabulary) != n_rows:
        raise FormatError(f"{file} has {n_rows} rows of symbols, its config.json names {len(vocabulary)}; expected the "
                          "config.json of this checkpoint")
    places = {symbol: row for row, symbol in enumerate(vocabulary)}  # of a repeated symbol the later row counts
    if described.get("add_blank", True) and blank not in places:
        raise FormatError(f"{file} has add_blank, but no symbol is the blank (characters.blank is {blank!r}); "
                          "expected the blank among its symbols")
    symbols = [symbol if len(symbol) == 1 and places[symbol] == row else placeholder(row)
               for row, symbol in enumerate(vocabulary)]
    first = places.get(blank, 0)
    rows = (first, *(row for row in range(n_rows) if row != first))
    begin_end = None
    if described.get("enable_eos_bos_chars"):
        names = [characters.get(name) for name in ("bos", "eos")]
        if any(name not in places for name in names):
            raise FormatError(f"{file} has enable_eos_bos_chars, but its symbols lack characters.bos {names[0]!r} or "
                              f"characters.eos {names[1]!r}")
        begin_end = tuple(symbols[places[name]] for name in names)
    return _Table(tuple(symbols[row] for row in rows), rows, begin_end)


def _vocabulary(characters: Mapping[str, Any], use_phonemes: bool, file: Path) -> tuple[list[str], str | None]:
    """Coqui's symbols by id, some longer than a character, and the blank."""
    kind = (characters.get("characters_class") or "").rpartition(".")[2]
    kind = kind or ("IPAPhonemes" if use_phonemes else "Graphemes")
    if kind not in ("VitsCharacters", "BaseVocabulary", "BaseCharacters", "IPAPhonemes", "Graphemes"):
        raise FormatError(f"{file}: its characters_class {kind} is unknown; expected VitsCharacters, BaseVocabulary, "
                          "BaseCharacters, IPAPhonemes or Graphemes")
    blank = _BLANK if kind == "VitsCharacters" else characters.get("blank")
    letters, marks = characters.get("characters") or "", list(characters.get("punctuations") or "")
    if kind == "BaseVocabulary":
        return list(characters.get("vocab_dict") or ()), blank
    if kind == "VitsCharacters":
        return [characters.get("pad") or "", *marks, *letters, *(characters.get("phonemes") or ""), blank], blank
    if kind == "IPAPhonemes":
        letters = characters.get("phonemes") or letters
    if characters.get("is_unique"):
        letters = set(letters)
    if characters.get("is_sorted", True):
        letters = sorted(letters)
    elif characters.get("is_unique"):
        raise FormatError(f"{file}: its characters are unique and not sorted, so the order of their ids is unknown; "
                          "expected is_sorted")
    special = [characters.get(name) for name in ("pad", "eos", "bos", "blank")]
    return [*(symbol for symbol in special if symbol), *letters, *marks], blank


def _cleaners(described: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The nearest cleaners of this project, and notes on the differences."""
    theirs, notes = described.get("text_cleaner"), []
    if not described.get("use_phonemes"):
        ours = () if theirs in (None, "no_cleaners") else (_CHARACTER_CLEANERS.get(theirs, "basic_cleaners"),)
        if ours and (theirs,) != ours:
            notes.append(f"its text_cleaner {theirs} does not exist here; {ours[0]} is the nearest")
        return {"text_cleaners": ours}, notes
    language = described.get("phoneme_language") or "en-us"
    language = _LANGUAGES.get(language, language)
    is_english = theirs in ("phoneme_cleaners", "english_cleaners") and language.startswith("en")
    ours = "english_espeak" if is_english else "espeak"
    if theirs not in (None, "no_cleaners"):
        notes.append(f"its text_cleaner {theirs} does not exist here; {ours} is the nearest")
    if (phonemizer := described.get("phonemizer")) not in (None, "espeak"):
        notes.append(f"its phonemes are {phonemizer}'s, here they are espeak-ng's, which differ; compare, and give "
                     "phonemes as [[phonemes]] where they do")
    return {"text_cleaners": (ours,), "language": language}, notes


def _speakers(described: Mapping[str, Any], file: Path, n_speakers: int) -> tuple[str, ...]:
    """Speakers' names by id, from the settings (newer versions) or a file beside the model."""
    if described.get("speakers"):
        return complete_names({name: number for number, name in enumerate(described["speakers"])}, n_speakers)
    for path in map(file.with_name, _SPEAKER_FILES):
        if path.is_file():
            ids = read_json(path) if path.suffix == ".json" else load_foreign(path)
            if isinstance(ids, dict) and all(isinstance(number, int) for number in ids.values()):
                return complete_names(ids, n_speakers)
    return ()


def _data(described: Mapping[str, Any], generator: Mapping[str, Tensor]) -> dict[str, Any]:
    """Audio settings of the data section."""
    audio = described.get("audio") or {}
    return {"sampling_rate": audio.get("sample_rate", 22050), "hop_length": audio.get("hop_length", 256),
            "filter_length": 2 * (generator["enc_q.pre.weight"].shape[1] - 1),
            "win_length": audio.get("win_length", 1024), "n_mel_channels": audio.get("num_mels", 80),
            "mel_fmin": audio.get("mel_fmin") or 0.0, "mel_fmax": audio.get("mel_fmax")}


def _model(generator: Mapping[str, Tensor], arguments: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The model section: sizes from the tensors, the rest from model_args."""
    for name in ("dilation_rate_posterior_encoder", "dilation_rate_flow"):
        if arguments.get(name, 1) != 1:
            raise FormatError(f"{source}: its WaveNet is dilated ({name} is {arguments[name]}); expected 1")
    given = {"upsample_rates": "upsample_rates_decoder", "resblock_dilation_sizes": "resblock_dilation_sizes_decoder"}
    return model_sizes(generator, source) | {ours: arguments[name] for ours, name in given.items() if name in arguments}


def _train(described: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the training that this project has too."""
    frames = (described.get("model_args") or {}).get("spec_segment_size", 32)
    return {"learning_rate": described.get("lr_gen", 2e-4), "segment_size": frames * data["hop_length"],
            "discriminator_learning_rate": described.get("lr_disc", 2e-4)}
