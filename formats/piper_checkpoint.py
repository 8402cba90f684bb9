"""Import of Piper's training checkpoints: Lightning's .ckpt with the voice's JSON.

    imported = read(Path("epoch=2164-step=1355540.ckpt"), config=None)      # with config.json or *.onnx.json beside it
    imported.config.data.begin_end                                          # ("^", "$"), around every text

Piper has the published keys behind `model_g.` and `model_d.`; ids are `^ _ p _ ... p _ $` with `_` the blank.
"""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.serialization import safe_globals

import checkpoint
import config as settings
from checkpoint import CheckpointError
from formats import FormatError, ImportedVoice
from formats.import_helpers import (
    check_fits,
    check_tensors,
    complete_names,
    model_sizes,
    placeholder,
    published_names,
    read_json,
    with_peak_gain,
)

PAD, BEGIN, END = "_", "^", "$"
MAX_TEXT_LEN = 400  # symbols; Piper does not split sentences, whose longest are about this long
# Lightning pickles the paths of its command line; these classes replace them and touch no disk. Nothing else but
# tensors, numbers, strings and containers is unpickled.
_PATHS = [(pure, f"{module}.{name}") for module in ("pathlib", "pathlib._local")
          for name, pure in (("PosixPath", pathlib.PurePosixPath), ("PurePosixPath", pathlib.PurePosixPath),
                             ("WindowsPath", pathlib.PureWindowsPath), ("PureWindowsPath", pathlib.PureWindowsPath))]
_CLEANERS = {"espeak": ("espeak_clauses", "decomposed"), "text": ("decomposed",)}  # phoneme_type -> ours


def recognises(path: Path) -> bool:
    """Whether a file, or the only .ckpt of a folder, has a state dict with `model_g.` keys."""
    files = sorted(path.glob("*.ckpt")) if path.is_dir() else [path]
    if len(files) != 1:
        return False
    try:
        content = _load(files[0])
    except CheckpointError:
        return False
    return _is_piper(content)


def read(path: Path, config: Path | None) -> ImportedVoice:
    """Read the voice, with its discriminators.

    Args:
        path: the .ckpt, or a folder with one.
        config: the voice's JSON; None takes config.json beside the .ckpt, or else *.onnx.json.

    Raises:
        FileNotFoundError: there is no .ckpt or no JSON.
        FormatError: it is no checkpoint of Piper, or of a voice that this project cannot speak.
        CheckpointError: the file is damaged, or holds what is not read.
    """
    file = _find_checkpoint(path)
    content = _load(file)
    if not _is_piper(content):
        found = ", ".join(map(str, list(content)[:6])) if isinstance(content, dict) else type(content).__name__
        raise FormatError(f"{file} is no checkpoint of Piper: found {found}; expected a state_dict with model_g. keys")
    check_tensors(content["state_dict"], file)
    described_at = config or _find_config(file)
    described = read_json(described_at)
    state, hyper = content["state_dict"], content.get("hyper_parameters") or {}
    generator = _part(state, "model_g.")
    symbols, notes = symbols_of(described, len(generator["enc_p.emb.weight"]), described_at)
    tree = {"data": data_of(described, hyper, generator, described_at) | {"symbols": symbols},
            "model": _model(generator, hyper, file), "train": _train(hyper), "speaking": speaking_of(described)}
    if not tree["data"]["n_speakers"]:
        generator = {name: tensor for name, tensor in generator.items() if ".cond" not in name}
    discriminators = _part(state, "model_d.") or None
    if discriminators and hyper.get("use_spectral_norm"):
        discriminators = None
        notes.append("its discriminators are spectrally normed, which is not read; training goes on with new ones")
    if any(name.startswith("model_mrd.") for name in state):
        notes.append("its multi-resolution discriminator has other windows than this project's and is left out")
    notes += notes_of(tree["data"], described)
    # Lightning counts the steps of both optimizers.
    imported = ImportedVoice(settings.from_dict(tree), generator, discriminators, notes=tuple(notes),
                             step=content.get("global_step", 0) // 2)
    check_fits(imported, str(file))
    return with_peak_gain(imported)


def _load(file: Path) -> Any:
    with safe_globals(_PATHS):
        return checkpoint.load_foreign(file)


def _is_piper(content: Any) -> bool:
    state = content.get("state_dict") if isinstance(content, dict) else None
    return isinstance(state, dict) and "model_g.enc_p.emb.weight" in state


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return published_names({name.removeprefix(prefix): tensor for name, tensor in state.items()
                            if name.startswith(prefix)})


def _find_checkpoint(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.ckpt"))
    if len(files) != 1:
        raise FileNotFoundError(f"{path} holds {len(files)} files named *.ckpt; expected one, or give the file itself")
    return files[0]


def _find_config(file: Path) -> Path:
    beside = [file.with_name("config.json"), *sorted(file.parent.glob("*.onnx.json"))]
    found = [each for each in beside if each.is_file()]
    if not found:
        raise FileNotFoundError(f"no config.json and no *.onnx.json beside {file}; give the voice's JSON, "
                                "which has the symbols of the ids, with --config")
    return found[0]


def symbols_of(described: Mapping[str, Any], n_rows: int, source: Path) -> tuple[list[str], list[str]]:
    """The symbol of each row of the embedding, and notes on rows that have none.

    Raises:
        FormatError: the map of phonemes to ids is missing, or is one that cannot be read.
    """
    id_map = described.get("phoneme_id_map")
    if not isinstance(id_map, dict) or any(symbol not in id_map for symbol in (PAD, BEGIN, END)):
        raise FormatError(f"{source} has no phoneme_id_map with {PAD} {BEGIN} {END}; expected the JSON of a Piper "
                          "voice")
    if described.get("vowel_clusters"):
        raise FormatError(f"{source} joins vowels to one symbol (vowel_clusters); expected symbols of one character")
    symbols, joined = [placeholder(row) for row in range(n_rows)], []
    for symbol, ids in id_map.items():
        ids = [ids] if isinstance(ids, int) else ids
        if len(ids) != 1 or not 0 <= ids[0] < n_rows:
            raise FormatError(f"{source}: phoneme_id_map gives {symbol!r} the ids {ids}; expected one below {n_rows}, "
                              "the rows of the checkpoint's embedding")
        if len(symbol) == 1:
            symbols[ids[0]] = symbol
        else:
            joined.append(symbol)
    if symbols[0] != PAD:
        raise FormatError(f"{source}: the blank {PAD!r} has id {id_map[PAD]}; expected 0")
    empty = sum(symbol == placeholder(row) for row, symbol in enumerate(symbols))
    notes = [f"{empty} of {n_rows} rows of its symbol table have no character and got private ones "
             f"(from U+{ord(placeholder(0)):04X})"] if empty else []
    if joined:
        notes.append(f"{' '.join(joined)} have rows that no text uses: they are read letter by letter, as by Piper")
    return symbols, notes


def data_of(described: Mapping[str, Any], hyper: Mapping[str, Any], generator: Mapping[str, Tensor],
            source: Path) -> dict[str, Any]:
    """The data section, without symbols, from the voice's JSON and the training's hyperparameters.

    Raises:
        FormatError: there is no sampling rate or no language.
    """
    try:
        sampling_rate, language = described["audio"]["sample_rate"], described["espeak"]["voice"]
    except (KeyError, TypeError) as error:
        raise FormatError(f"{source} has no audio.sample_rate or no espeak.voice ({error}); expected the JSON of a "
                          "Piper voice") from None
    n_speakers = len(generator["emb_g.weight"]) if "emb_g.weight" in generator else 0
    reads = "enc_q.pre.weight"  # of the spectrogram; a graph that only speaks has none, and Piper's is 1024 by default
    return {"text_cleaners": _CLEANERS.get(described.get("phoneme_type", "espeak"), ("decomposed",)),
            "language": language, "begin_end": (BEGIN, END), "sampling_rate": sampling_rate,
            "max_text_len": MAX_TEXT_LEN,
            "filter_length": 2 * (generator[reads].shape[1] - 1) if reads in generator else 1024,
            "hop_length": hyper.get("hop_length", described.get("hop_length", 256)),
            "win_length": hyper.get("win_length", 1024), "n_mel_channels": hyper.get("mel_channels", 80),
            "mel_fmin": hyper.get("mel_fmin", 0.0), "mel_fmax": hyper.get("mel_fmax"), "n_speakers": n_speakers,
            "speakers": complete_names(described.get("speaker_id_map") or {}, n_speakers)}


def speaking_of(described: Mapping[str, Any]) -> dict[str, float]:
    """The speaking section: the voice's own settings for synthesis."""
    scales = described.get("inference") or {}
    return {"noise_scale": scales.get("noise_scale", 0.667), "noise_scale_duration": scales.get("noise_w", 0.8),
            "speed": 1 / (scales.get("length_scale") or 1)}


def notes_of(data: Mapping[str, Any], described: Mapping[str, Any]) -> list[str]:
    """Notes for the user on speakers and text front-end."""
    notes = []
    if data["n_speakers"] and not data["speakers"]:
        notes.append("its speakers have no names; they are named by their numbers")
    if described.get("phoneme_type", "espeak") not in _CLEANERS:
        notes.append(f"its text front-end for {described['phoneme_type']} does not exist here; give phonemes as "
                     "[[phonemes]]")
    return notes


def _model(generator: Mapping[str, Tensor], hyper: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The model section: sizes from the tensors, the rest from the hyperparameters."""
    given = {}
    for name in ("upsample_rates", "resblock_dilation_sizes"):
        value = hyper.get(name)
        if value is not None:
            given[name] = ast.literal_eval(value) if isinstance(value, str) else value  # as on a command line
    return model_sizes(generator, str(file)) | given


def _train(hyper: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the training that this project has too."""
    ours = {"learning_rate": "learning_rate", "learning_rate_d": "discriminator_learning_rate", "lr_decay": "lr_decay",
            "segment_size": "segment_size", "c_mel": "c_mel", "c_kl": "c_kl", "grad_clip": "grad_clip"}
    return {ours[name]: hyper[name] for name in ours if hyper.get(name) is not None}
