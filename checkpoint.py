"""Training state in files: written whole or not at all, read strictly, ranked; and reading what is published.

    RUN/checkpoint_00012000.pt    config, models, average, optimizers, scalers, step; plain tensors and JSON types
    RUN/best.json                 which of them validated best, by which measure
    RELEASE/model.safetensors, config.json[, discriminators.safetensors]    a voice for others, without its training
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

import config as settings
import utils
from audio.io import other_content
from commons import uninitialised
from config import Config
from models import SynthesizerTrn
from text import TextProcessor
from text.symbols import check_inside

logger = logging.getLogger("vits")

FORMAT = "vits-checkpoint"
VERSION = 1
RELEASE_FORMAT = "vits-release"
RELEASE_VERSION, INT8_VERSION = "1", "2"  # of a file with weights in 8 bits, which earlier code does not read
INT8_SCALE = ".int8_scale"  # behind a weight's name: what each first index of it is multiplied by, float32
PATTERN = re.compile(r"checkpoint_(\d{8,})\.pt")
SHAPING = ("data.symbols", "data.n_speakers", "data.filter_length")  # settings that shape tensors, beside the networks'
SHAPELESS = ("p_dropout", "augment", "plugins")  # beginnings of those of the networks' that shape none
SHOWN = 80  # characters of a name that stands in a file, in a message
FAULT = 600  # characters of what is wrong, in a message
EXPANDED = 2**26  # bytes that a tensor of fewer stored numbers may stand for
MODEL_FILE, DISCRIMINATORS_FILE = "model.safetensors", "discriminators.safetensors"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, and what to do."""


class Best(NamedTuple):
    """A checkpoint that validated well."""

    step: int
    value: float  # lower is better


class Ranking(NamedTuple):
    """The checkpoints of a run that validated best, the best one first."""

    measure: str  # by which number of the validation
    best: tuple[Best, ...]


class Weights(NamedTuple):
    """Configuration and weights of a checkpoint or a release, without the state of training."""

    config: dict[str, Any]  # JSON
    generator: dict[str, Tensor]  # the moving average if there is one
    discriminators: dict[str, Tensor] | None
    step: int
    source: Path  # the file


def path_of(run_dir: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run_dir / f"checkpoint_{step:08d}.pt"


def list_steps(run_dir: Path) -> list[int]:
    """Steps of which a checkpoint lies in the run, oldest first."""
    if not run_dir.is_dir():
        return []
    matches = (PATTERN.fullmatch(path.name) for path in run_dir.iterdir() if not path.is_dir())
    return sorted(int(match[1]) for match in matches if match)


def save(run_dir: Path, step: int, payload: dict[str, Any]) -> Path:
    """Write a checkpoint of tensors and JSON types, nested in dicts, lists and tuples, into a folder that exists.

    Raises:
        OSError: the disk is full or not writable; the older checkpoints are untouched.
    """
    content = {"format": FORMAT, "version": VERSION, "step": step, **payload}
    return _write_whole(path_of(run_dir, step), lambda file: torch.save(content, file))


def dump(path: Path, content: dict[str, Any]) -> Path:
    """Write tensors and JSON types that are no checkpoint, for `torch.load`; its folder is made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _write_whole(path, lambda file: torch.save(content, file))


def discard_after(run_dir: Path, step: int) -> None:
    """Delete the checkpoints of later steps, so that a run that went back to `step` goes on from there."""
    for later in list_steps(run_dir):
        if later > step:
            path_of(run_dir, later).unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing in the file is executed, and every byte is checked.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, or not a checkpoint of this project; the whole one before it is named.
    """
    if damage := _damage(path):
        raise CheckpointError(f"{path} cannot be read: {damage}.\n{_way_out(path)}")
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):  # no fault of the file's: it must not be called damaged
        raise
    except Exception as error:  # a foreign pickle raises whatever its bytes happen to mean
        reason = ("it holds other things than tensors, numbers and text, and they are not executed"
                  if isinstance(error, pickle.UnpicklingError) else _reason(error))  # torch advises to execute them
        raise CheckpointError(f"{path} cannot be read: {reason}.\n{_way_out(path)}") from None
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        found = (f"the keys {', '.join(map(str, list(payload)[:6]))}" if isinstance(payload, dict) and payload else
                 f"an empty {type(payload).__name__}" if payload in ({}, [], ()) else f"a {type(payload).__name__}")
        raise CheckpointError(f"{path} is not a checkpoint of this project; it holds {found}.\n{_way_out(path)}")
    version = payload.get("version")
    if _is_count(version) and version > VERSION:
        raise CheckpointError(f"{path} has version {version}, this code reads up to {VERSION}; update it")
    if faults := _payload_faults(payload):
        raise CheckpointError(f"{path} was changed by something else than training: {'; '.join(faults)}.\n"
                              f"{_way_out(path)}")
    return payload


def load_training(path: Path) -> dict[str, Any]:
    """Read a checkpoint that a run goes on from: see `load`; nothing of the training is missing in it.

    Raises:
        CheckpointError: something is, or it is of another type.
    """
    payload = load(path)
    faults = [f"its {name} is {_kind(payload.get(name))}, expected a dict" for name in (
        "config", "generator", "discriminators", "generator_updater", "discriminator_updater")
        if not isinstance(payload.get(name), dict)]
    if not faults and not all(isinstance(payload["config"].get(section), dict) for section in settings.SECTIONS):
        faults.append(f"its config lacks one of the sections {', '.join(settings.SECTIONS)}")
    if "average" not in payload:
        faults.append("its average is missing")
    if not isinstance(payload.get("new_rows"), (dict, type(None))):
        faults.append(f"its new_rows is {_kind(payload['new_rows'])}, expected a dict")
    if faults:
        raise CheckpointError(f"{path} cannot be trained further: {'; '.join(faults)}.\n{_way_out(path)}")
    return payload


def _payload_faults(payload: dict[str, Any]) -> list[str]:
    """What of a checkpoint is not of the type that training wrote, one clause each."""
    faults = [f"its {name} is {_kind(payload.get(name))}, expected a whole number" for name in ("version", "step")
              if not _is_count(payload.get(name))]
    try:
        json.dumps(payload.get("config"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        faults.append("its config is not made of JSON types")
    for name in ("generator", "discriminators", "average"):
        part = payload.get(name)
        if part is not None and not isinstance(part, dict):
            faults.append(f"its {name} is {_kind(part)}, expected tensors by name")
        elif part is not None and (fault := tensor_fault(part)):
            faults.append(f"its {name} {fault}")
    return faults


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"


def tensor_fault(tensors: Mapping[Any, Any]) -> str | None:
    """Why a state dict cannot be computed with, None if it can: dense real numbers, by text names."""
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            return f"has a name that is {_kind(name)}, expected text"
        if not isinstance(tensor, Tensor):
            return f"has {name[:SHOWN]} as {_kind(tensor)}, expected a tensor"
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_complex():
            kind = "meta" if tensor.is_meta else str(tensor.layout if tensor.layout != torch.strided else tensor.dtype)
            return f"has {name[:SHOWN]} as a tensor of {kind.removeprefix('torch.')}, expected dense real numbers"
        if tensor.numel() * tensor.element_size() > max(tensor.untyped_storage().nbytes(), EXPANDED):
            return f"has {name[:SHOWN]} of {list(tensor.shape)}, more numbers than the file holds"
    return None


def kind_fault(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """Which tensor is of integers or booleans where a network has floats, or the reverse; None if none is."""
    for name, tensor in expected.items():
        there = found.get(name)
        if isinstance(there, Tensor) and there.is_floating_point() != tensor.is_floating_point():
            return f"has {name} as {there.dtype}, expected {tensor.dtype}".replace("torch.", "")
    return None


def load_foreign(file: Path) -> Any:
    """Read another program's file of torch or safetensors, onto the CPU; nothing in it is executed.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, or holds code that would have to be executed.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        if zipfile.is_zipfile(file) and _is_compressed(zipfile.ZipFile(file)):
            raise CheckpointError(f"{file} cannot be read: it is compressed, which torch's files are not")
        return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, MemoryError, CheckpointError):  # no fault of the file's
        raise
    except Exception as error:  # a foreign pickle raises whatever its bytes happen to mean
        refused = re.search(r"GLOBAL (\S+)", str(error))
        reason = (f"it asks for {refused[1]} to be executed, which is not done; ask for the tensors alone, best as "
                  "safetensors" if refused else
                  f"it is {what}" if (what := _foreign_kind(file)) else
                  f"its {file.stat().st_size} bytes break off, or are of something else than tensors, numbers and text")
        raise CheckpointError(f"{file} cannot be read: {reason}") from None


def save_foreign(path: Path, content: dict[str, Any]) -> Path:
    """Write a file for another program: safetensors if that is its suffix, else with `torch.save`."""
    if path.suffix == ".safetensors":
        return write_safetensors(path, content, {"format": "pt"})
    return _write_whole(path, lambda file: torch.save(content, file))


def newest(run_dir: Path) -> Path | None:
    """The checkpoint of the highest step, None if there is none yet."""
    steps = list_steps(run_dir)
    return path_of(run_dir, steps[-1]) if steps else None


def find(path: Path) -> Path:
    """The file of weights of a path: itself, a run's best checkpoint or its newest, or a release's model.

    Raises:
        FileNotFoundError: there are no weights.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"no run or checkpoint {path}; a run is made by, e.g., python train.py -c "
                                f"configs/demo.json -m {path}")
    ranking = read_ranking(path)
    steps = [*(best.step for best in (ranking.best if ranking else ())), *list_steps(path)[-1:]]
    for file in (*(path_of(path, step) for step in steps), path / MODEL_FILE):
        if file.is_file():
            return file
    raise FileNotFoundError(f"{path} holds no checkpoint yet (files named checkpoint_00001000.pt) and no release "
                            f"({MODEL_FILE}); train first, e.g. python train.py -c configs/demo.json -m {path}")


def holds_voice(folder: Path) -> bool:
    """Whether a run's checkpoints or a release lie in a folder, so that its configuration is theirs."""
    return newest(folder) is not None or (folder / MODEL_FILE).exists()


def read_ranking(run_dir: Path) -> Ranking | None:
    """The checkpoints that validated best, None before the first.

    Raises:
        CheckpointError: best.json is damaged.
    """
    file = run_dir / "best.json"
    if not file.is_file():
        return None
    try:
        content = settings.read_json(file)
    except ValueError as error:
        raise _damaged_ranking(file, _reason(error)) from None
    try:
        if "best" not in content:  # as it was while it named one checkpoint only
            content = {"measure": "valid/mel", "best": [content]}
        entries = tuple(Best(int(entry["step"]), float(entry["value"])) for entry in content["best"])
        return Ranking(str(content["measure"]), entries)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise _damaged_ranking(file, "expected a measure, and the best steps, each with its value") from None


def _damaged_ranking(file: Path, fault: str) -> CheckpointError:
    return CheckpointError(f"{file} is damaged ({fault}); delete it, and the next validation writes it anew")


def write_ranking(run_dir: Path, ranking: Ranking) -> None:
    """Write best.json, whole or not at all."""
    content = {"measure": ranking.measure, "best": [
        {**best._asdict(), "file": path_of(run_dir, best.step).name} for best in ranking.best]}
    _write_whole(run_dir / "best.json", lambda file: file.write(json.dumps(content, indent=2).encode()))


def load_state(module: torch.nn.Module, state: dict[str, Any], path: Path, part: str) -> None:
    """Load a state dict strictly.

    Raises:
        CheckpointError: keys, shapes or kinds differ from the network that the configuration describes.
    """
    if fault := kind_fault(module.state_dict(), state):
        raise CheckpointError(f"{path}: its {part} {fault}; something else than training changed it: fetch it "
                              "again, or take another checkpoint")
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        faults = [line.strip() for line in str(error).splitlines()]
        shown = "\n".join([fault[:FAULT] for fault in faults[:6]] +
                          ([f"... and {len(faults) - 6} lines more"] if faults[6:] else []))
        raise CheckpointError(f"{path}: its {part} does not fit the configuration's: {shown}\nTrain with the "
                              "configuration saved beside the checkpoint, or start a new run folder.") from None


@contextlib.contextmanager
def fitting(path: Path, trained: Mapping[str, Any], config: Config) -> Iterator[None]:
    """Name the settings that differ from the trained ones in the error of weights that do not fit.

    Args:
        path: of the weights.
        trained: the configuration beside them, as JSON.
        config: what is wanted.

    Raises:
        CheckpointError: they do not fit.
    """
    try:
        yield
    except CheckpointError as error:
        differing = [f"{section}.{key} is {_shown(value)}, and was {_shown(trained[section][key])}"
                     for section, values in settings.to_dict(config).items() for key, value in values.items()
                     if (section in ("model", "discriminator") or f"{section}.{key}" in SHAPING)
                     and not key.startswith(SHAPELESS)
                     and isinstance(trained.get(section), dict) and trained[section].get(key, value) != value]
        if not differing:
            raise
        raise CheckpointError(f"{path} does not fit: {'; '.join(differing)} when it was trained. Leave that as "
                              "it was; another value needs a run of its own") from error


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:SHOWN]


def network_of(weights: Weights, config: Config) -> SynthesizerTrn:
    """The generator of a voice; no memory is taken for it before its tensors are seen to fit the configuration.

    Parts that only training needs (`models.TRAINING_PARTS`) may be absent as a whole, and are then left out.

    Raises:
        CheckpointError: they do not.
    """
    with fitting(weights.source, weights.config, config):
        return _network_of(weights, config)


def _network_of(weights: Weights, config: Config) -> SynthesizerTrn:
    n_symbols = len(TextProcessor.from_config(config.data).symbols)
    if not config.model.plugins:  # parts of users' own may not know the device "meta"
        with torch.device("meta"):
            expected = SynthesizerTrn(n_symbols, config)
        expected.leave_out(weights.generator)
        check_shapes(expected.state_dict(), weights)
    with uninitialised():
        model = SynthesizerTrn(n_symbols, config)
    model.leave_out(weights.generator)
    load_state(model, weights.generator, weights.source, "generator")
    return model


def read_weights(path: Path, raw: bool = False) -> Weights:
    """Read configuration and weights of a run folder, a checkpoint, a release folder or its model file.

    Args:
        path: of any of these.
        raw: the weights as the last step left them, to which the optimizers' moments belong, not the moving average.

    Raises:
        FileNotFoundError: there is nothing to read.
        CheckpointError: it is damaged or not ours.
        ValueError: raw weights are wanted of a release, which has one kind.
    """
    file = find(path)
    if file.suffix == ".safetensors":
        if raw:
            raise ValueError(f"{file} is a release, which holds one kind of weights; name the run, or leave --raw out")
        return _read_release(file)
    payload = load(file)
    missing = [part for part in ("config", "generator") if not isinstance(payload.get(part), dict)]
    if missing:
        raise CheckpointError(f"{file} holds no {' and no '.join(missing)}; expected a checkpoint that training wrote")
    generator = payload["generator"] if raw else payload.get("average") or payload["generator"]
    return Weights(payload["config"], generator, payload.get("discriminators"),
                   payload["step"], file)


def config_of(weights: Weights, overrides: Sequence[str] = (), trust_plugins: bool = False) -> Config:
    """The checked configuration of a voice; Python files that it names run only if the user trusts them.

    Args:
        weights: with the configuration as it was read.
        overrides: the user's own `section.key=value`; files that they name are trusted.
        trust_plugins: run the files of model.plugins.

    Raises:
        ConfigError: it does not fit, naming the voice.
        PluginError: it names Python files that are not trusted.
        ValueError: it names a file of symbols.
    """
    try:
        config = settings.from_dict(weights.config, overrides)
    except settings.ConfigError as error:
        raise settings.ConfigError(settings.prefixed(str(error), weights.source)) from None
    own = settings.overridden(overrides)
    if "data.symbols" not in own:
        check_inside(config.data.symbols, weights.source)
    if "model.plugins" not in own:
        utils.check_trust("model.plugins", config.model.plugins, weights.source, trust_plugins)
    utils.load_plugins(config.model.plugins)
    if weights.source.suffix == ".safetensors":  # a release names no filelists, see `publish`, unless it was changed
        dropped = {name: "" for name in ("training_files", "validation_files") if f"data.{name}" not in own}
        config = settings.replace(config, "data", dropped)
    return config


def check_shapes(expected: Mapping[str, Tensor], weights: Weights) -> None:
    """See that a generator's tensors are those of the network that the configuration describes.

    Args:
        expected: the network's state dict, which may be on torch's device "meta".
        weights: of the voice.

    Raises:
        CheckpointError: naming what does not fit.
    """
    found = weights.generator
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name[:SHOWN]} is not known" for name in found if name not in expected]
    faults += [f"{name} is {list(found[name].shape)}, expected {list(tensor.shape)}"
               for name, tensor in expected.items() if name in found and found[name].shape != tensor.shape]
    if faults:
        shown = "\n".join(faults[:6] + ([f"... and {len(faults) - 6} more"] if faults[6:] else []))
        raise CheckpointError(f"{weights.source}: its generator does not fit the configuration's: {shown}\nUse the "
                              "configuration that it was trained with.")


def is_release(file: Path) -> bool:
    """Whether a file calls itself a release of this project, whole or not."""
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            return (opened.metadata() or {}).get("format") == RELEASE_FORMAT
    except (OSError, safetensors.SafetensorError):
        return False


def _read_release(file: Path) -> Weights:
    generator, step = _read_tensors(file)
    path = file.with_name("config.json")
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; a release is the folder with {file.name} and config.json")
    try:
        config = settings.read_json(path)
    except ValueError as error:
        raise CheckpointError(f"{error}; fetch or export the release again") from None
    # A folder that is to stay small may have them beside it: voices/en_rms.discriminators.safetensors.
    folder = file.parent.resolve()
    places = (folder / DISCRIMINATORS_FILE, folder.parent / f"{folder.name}.{DISCRIMINATORS_FILE}")
    found = next((place for place in places if place.is_file()), None)
    return Weights(config, generator, _read_tensors(found)[0] if found else None, step, file)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write a safetensors file, whole or not at all; metadata in order, which the library varies each time."""
    content = safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + length])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return _write_whole(path, lambda file: file.write(len(text).to_bytes(8, "little") + text + content[8 + length:]))


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], int]:
    """The tensors of a release's file, and the step that they are of."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except safetensors.SafetensorError as error:
        reason = f"it is {what}" if (what := _foreign_kind(path)) else _reason(error)
        raise CheckpointError(f"{path} cannot be read: {reason}; fetch or export it again") from None
    if metadata.get("format") != RELEASE_FORMAT:
        raise CheckpointError(f"{path} is not a release of this project; its format is {metadata.get('format')!r}, "
                              f"expected {RELEASE_FORMAT!r} as export.py writes it")
    if metadata.get("version") not in (RELEASE_VERSION, INT8_VERSION):
        raise CheckpointError(f"{path} has version {metadata.get('version')}, this code reads {RELEASE_VERSION} and "
                              f"{INT8_VERSION}; update it")
    if metadata.get("checksum") != checksum(tensors, metadata.get("step", "")):
        raise CheckpointError(f"{path} is damaged, its checksum is wrong; fetch or export it again")
    if not re.fullmatch(r"\d{1,18}", metadata.get("step", "")):
        raise CheckpointError(f"{path} names the step {metadata.get('step', '')[:SHOWN]!r}, expected a whole number; "
                              "fetch or export it again")
    if fault := tensor_fault(tensors):
        raise CheckpointError(f"{path} {fault}; fetch or export it again")
    scales = {name: tensors.pop(name) for name in list(tensors) if name.endswith(INT8_SCALE)}
    if lost := [name for name in scales if name.removesuffix(INT8_SCALE) not in tensors]:
        raise CheckpointError(f"{path} has {lost[0][:SHOWN]} without its weight; fetch or export it again")
    wide = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    for name, scale in scales.items():
        name = name.removesuffix(INT8_SCALE)
        wide[name] = wide[name].float() * scale
    return wide, int(metadata["step"])


def checksum(tensors: Mapping[str, Tensor], step: str) -> str:
    """A checksum of names, types, shapes and numbers, and of the step."""
    digest = hashlib.blake2b(step.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _write_whole(target: Path, write: Callable[[BinaryIO], object]) -> Path:
    """Let `write` fill a file beside the target, bring it to the disk, and give it the target's name."""
    temporary = target.with_name(target.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        with contextlib.suppress(OSError):  # where folders cannot be flushed, a power cut may take the new name back
            folder = os.open(target.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    except (OSError, RuntimeError) as error:
        # torch's writer hides the disk's words behind its own, about a position.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise OSError(cause.errno, cause.strerror, str(target)) from None
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _damage(path: Path) -> str | None:
    """What is wrong with a checkpoint's bytes by the checksums in it, None if nothing is.

    torch.load does not look at them: a flipped bit would be another weight, in silence.

    Raises:
        OSError: it cannot be read for no fault of its bytes.
    """
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint {path}")
    if path.is_dir():
        return "it is a folder"
    if path.stat().st_size == 0:
        return "it is empty (0 bytes)"
    try:
        with path.open("rb") as file:  # ZipFile(path) would not tell a file that may not be read from a damaged one
            if not zipfile.is_zipfile(file):
                what = _foreign_kind(path)
                return f"it is {what}" if what else (
                    f"its {path.stat().st_size} bytes break off, or were never a checkpoint")
            archive = zipfile.ZipFile(file)
            # torch reads nothing of a record whose flag says that it is a folder, and leaves memory as it was.
            folders = [record.filename for record in archive.infolist() if record.external_attr & 0x10]
            if _is_compressed(archive):
                return "it is compressed, which no checkpoint is"
            wrong = archive.testzip() or next(iter(folders), None)
            is_foreign = not any(name.endswith("/data.pkl") for name in archive.namelist())
    except Exception as error:  # a damaged directory makes zipfile raise whatever its bytes happen to mean
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        return f"it is damaged ({_reason(error)})"
    if wrong:
        return f"it is damaged (its record {wrong} is not what was written)"
    return "it is a zip archive of something else" if is_foreign else None


def _is_compressed(archive: zipfile.ZipFile) -> bool:
    """Whether a zip archive would need more memory than its size; torch stores its records as they are."""
    return any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist())


def _foreign_kind(path: Path) -> str | None:
    """What stands under a checkpoint's name, such as a web page; None if that is not sure, as of a zip's beginning."""
    what = other_content(path)
    return None if what == "a zip archive" else what


def _reason(error: Exception) -> str:
    """An error's first line; of errors that only programmers understand, what they mean for a file."""
    if isinstance(error, (LookupError, TypeError, AttributeError, ArithmeticError)) or not str(error).strip():
        return "its content is not what was written"
    return str(error).splitlines()[0].rstrip(". ")


def _way_out(path: Path) -> str:
    """How to go on without a checkpoint that cannot be used."""
    named = PATTERN.fullmatch(path.name)
    if not named:
        return "Expected a run folder, or a file of one that is named like checkpoint_00001000.pt."
    for step in reversed(list_steps(path.parent)):
        older = path_of(path.parent, step).resolve()
        if step < int(named[1]) and _damage(older) is None:
            return (f"The one before it is {older}; delete or move {path.name}, and the run goes on from there. "
                    "To speak, name that one.")
    return ("There is no older checkpoint beside it. To speak, name another voice; to train, delete or move the file "
            "to start anew.")
