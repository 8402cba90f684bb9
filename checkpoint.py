"""Training state in files: written whole or not at all, read strictly, best and newest kept; and what is published.

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
import math
import os
import pickle
import re
import shutil
import zipfile
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

import config as settings
import distributed
from config import TrainConfig

logger = logging.getLogger("vits")

FORMAT = "vits-checkpoint"
VERSION = 1
RELEASE_FORMAT = "vits-release"
RELEASE_VERSION = "1"
PATTERN = re.compile(r"checkpoint_(\d{8,})\.pt")
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
    """What a checkpoint or a release says, without the training."""

    config: dict[str, Any]  # JSON
    generator: dict[str, Tensor]  # the moving average if there is one
    discriminators: dict[str, Tensor] | None
    step: int
    source: Path  # the file


@dataclass(frozen=True)
class Retention:
    """Which checkpoints of a run stay: the newest, those that validated best, and one every so many steps."""

    last: int
    best: int  # 0 ranks nothing
    every: int | None  # steps; None keeps none for ever
    measure: str  # a number of the validation; lower is better

    @classmethod
    def from_config(cls, train: TrainConfig) -> Retention:
        """As the settings say."""
        return cls(train.keep_last, train.keep_best, train.keep_every, train.best_measure)

    def rank(self, run_dir: Path, step: int, measures: Mapping[str, float]) -> None:
        """Enter a checkpoint that was just written into best.json, by what its validation measured, if there was one.

        Raises:
            ValueError: the validation measured other things only.
        """
        if not self.best:
            return
        if measures and self.measure not in measures:
            raise ValueError(f"train.best_measure is {self.measure!r}, which validation does not measure; choose one "
                             f"of {', '.join(sorted(measures))}, or set train.keep_best=0")
        ranking = read_ranking(run_dir) or Ranking(self.measure, ())
        if ranking.measure != self.measure:
            logger.warning("%s: checkpoints were ranked by %s; the ranking starts anew, by %s", run_dir,
                           ranking.measure, self.measure)
            ranking = Ranking(self.measure, ())
        entries = [best for best in ranking.best if best.step != step and path_of(run_dir, best.step).is_file()]
        value = float(measures.get(self.measure, math.nan))
        if math.isfinite(value):
            entries.append(Best(step, value))
        entries.sort(key=lambda best: (best.value, best.step))
        content = {"measure": self.measure, "best": [
            {**best._asdict(), "file": path_of(run_dir, best.step).name} for best in entries[: self.best]]}
        _write_whole(run_dir / "best.json", lambda file: file.write(json.dumps(content, indent=2).encode()))

    def prune(self, run_dir: Path, step: int) -> list[Path]:
        """Delete what need not stay; `step` stays, for after going back it may not be the newest. Returns what went."""
        ranking = read_ranking(run_dir)
        steps = [each for each in list_steps(run_dir) if path_of(run_dir, each).is_file()]
        kept = {step, *steps[-self.last:], *(best.step for best in (ranking.best[: self.best] if ranking else ()))}
        gone = [path_of(run_dir, each) for each in steps
                if each not in kept and not (self.every and each % self.every == 0)]
        for path in gone:
            path.unlink(missing_ok=True)
        return gone


class Writer:
    """Saves a run's checkpoints without stopping it: a copy is taken at once; one thread writes, ranks and prunes.

    An error in that thread (disk full, no permission) is raised by the next call of `save`, `poll`, `wait` or `close`.
    """

    def __init__(self, run_dir: Path, retention: Retention):
        read_ranking(run_dir)  # a damaged one is found now, not hours later
        self.run_dir = run_dir
        self.retention = retention
        self._memory: Any = None  # of the copy: the next one of the same shapes is taken into it
        self._reserving: Future[Any] | None = None
        self._pending: Future[Path] | None = None
        self._finished: deque[Path] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        if distributed.is_main():  # the others write nothing, and must not clear away what this one writes
            for left_over in (*run_dir.glob("checkpoint_*.tmp"), *run_dir.glob("best.json.tmp")):  # of a killed process
                left_over.unlink()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise
            logger.exception("%s: the checkpoint that was being saved is lost", self.run_dir)  # not to hide `error`

    def reserve(self, payload: dict[str, Any]) -> None:
        """Let the thread find memory for copies of such a payload, which the first save would else have to wait for."""
        self._reserving = self._thread.submit(_room_for, payload)

    def save(self, step: int, payload: dict[str, Any], measures: Mapping[str, float] | None = None) -> None:
        """Take a copy of the payload and let it be written; waits first if the save before it is not through.

        Args:
            step: names the file.
            payload: tensors and JSON types, nested in dicts, lists and tuples; may change once this returns.
            measures: what the validation of this step measured, if there was one.

        Raises:
            OSError: the disk has no room for it; nothing was written or deleted.
            TypeError: the payload holds something else, which could not be loaded again.
        """
        self._settle()
        needed, free = _size(payload), shutil.disk_usage(self.run_dir).free
        if needed > free:
            raise OSError(f"{self.run_dir}: a checkpoint needs about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are "
                          "free; free some, delete older checkpoints there and lower train.keep_last or "
                          "train.keep_best, or move the run to another disk")
        if self._reserving is not None:
            self._memory, self._reserving = self._reserving.result(), None
        self._memory = _copy(payload, self._memory, "payload")
        self._pending = self._thread.submit(self._write, step, self._memory, dict(measures or {}))

    def poll(self) -> Path | None:
        """A checkpoint that was finished and not told yet, the oldest first. Cheap enough for each step."""
        if self._pending is not None and self._pending.done():
            self._settle()
        return self._finished.popleft() if self._finished else None

    def wait(self) -> Path | None:
        """As `poll`, after waiting for the save in progress; None says that all are finished and told."""
        self._settle()
        return self.poll()

    def close(self) -> None:
        """Wait for the save in progress and end the thread."""
        try:
            self._settle()
        finally:
            self._thread.shutdown()

    def _settle(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            self._finished.append(pending.result())

    def _write(self, step: int, payload: dict[str, Any], measures: dict[str, float]) -> Path:
        path = save(self.run_dir, step, payload)
        self.retention.rank(self.run_dir, step, measures)
        self.retention.prune(self.run_dir, step)
        return path


def path_of(run_dir: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run_dir / f"checkpoint_{step:08d}.pt"


def list_steps(run_dir: Path) -> list[int]:
    """Steps of which a checkpoint lies in the run, oldest first."""
    if not run_dir.is_dir():
        return []
    matches = (PATTERN.fullmatch(path.name) for path in run_dir.iterdir())
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
        found = (f"the keys {', '.join(map(str, list(payload)[:6]))}" if isinstance(payload, dict) else
                 f"a {type(payload).__name__}")
        raise CheckpointError(f"{path} is not a checkpoint of this project; it holds {found}.\n{_way_out(path)}")
    if payload["version"] > VERSION:
        raise CheckpointError(f"{path} has version {payload['version']}, this code reads up to {VERSION}; update it")
    return payload


def load_foreign(file: Path) -> Any:
    """What torch or safetensors wrote into a file of somebody else's, onto the CPU; nothing in it is executed.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, or holds code that would have to be executed.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):  # no fault of the file's
        raise
    except Exception as error:  # a foreign pickle raises whatever its bytes happen to mean
        refused = re.search(r"GLOBAL (\S+)", str(error))
        reason = (f"it asks for {refused[1]} to be executed, which is not done; ask for the tensors alone, best as "
                  "safetensors" if refused else
                  f"its {file.stat().st_size} bytes break off, or are of something else than tensors, numbers and text")
        raise CheckpointError(f"{file} cannot be read: {reason}") from None


def save_foreign(path: Path, content: dict[str, Any]) -> Path:
    """Write a file for somebody else's program: safetensors if its name says so, else with `torch.save`."""
    if path.suffix == ".safetensors":
        tensors = {name: tensor.contiguous() for name, tensor in content.items()}
        return _write_whole(path, lambda file: file.write(safetensors.torch.save(tensors, {"format": "pt"})))
    return _write_whole(path, lambda file: torch.save(content, file))


def newest(run_dir: Path) -> Path | None:
    """The checkpoint of the highest step, None if there is none yet."""
    steps = list_steps(run_dir)
    return path_of(run_dir, steps[-1]) if steps else None


def find(path: Path) -> Path:
    """The file that a user means by a path: itself, a run's best checkpoint or its newest, or a release's model.

    Raises:
        FileNotFoundError: nothing there can be spoken with.
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


def read_ranking(run_dir: Path) -> Ranking | None:
    """The checkpoints that validated best, None before the first.

    Raises:
        CheckpointError: best.json is damaged.
    """
    file = run_dir / "best.json"
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if "best" not in content:  # as it was while it named one checkpoint only
            content = {"measure": "valid/mel", "best": [content]}
        entries = tuple(Best(int(entry["step"]), float(entry["value"])) for entry in content["best"])
        return Ranking(str(content["measure"]), entries)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} is damaged ({_reason(error)}); delete it, and the next validation writes it "
                              "anew") from None


def read_best(run_dir: Path) -> Best | None:
    """The checkpoint that validated best so far, None before the first."""
    ranking = read_ranking(run_dir)
    return ranking.best[0] if ranking and ranking.best else None


def load_state(module: torch.nn.Module, state: dict[str, Any], path: Path, part: str) -> None:
    """Load a state dict strictly.

    Raises:
        CheckpointError: keys or shapes differ from the network that the configuration describes.
    """
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        faults = [line.strip() for line in str(error).splitlines()]
        shown = "\n".join(faults[:6] + ([f"... and {len(faults) - 6} lines more"] if faults[6:] else []))
        raise CheckpointError(f"{path}: its {part} does not fit the configuration's: {shown}\nTrain with the "
                              "configuration saved beside the checkpoint, or start a new run folder.") from None


def read_weights(path: Path) -> Weights:
    """Read configuration and weights of a run folder, a checkpoint, a release folder or its model file.

    Raises:
        FileNotFoundError: there is nothing to read.
        CheckpointError: it is damaged or not ours.
    """
    file = find(path)
    if file.suffix == ".safetensors":
        return _read_release(file)
    payload = load(file)
    missing = [part for part in ("config", "generator") if not isinstance(payload.get(part), dict)]
    if missing:
        raise CheckpointError(f"{file} holds no {' and no '.join(missing)}; expected a checkpoint that training wrote")
    return Weights(payload["config"], payload.get("average") or payload["generator"], payload.get("discriminators"),
                   payload["step"], file)


def publish(source: Path, folder: Path, with_discriminators: bool = False) -> list[Path]:
    """Write a release: the weights that speak as fp32 safetensors, and the configuration without private paths.

    Args:
        source: run folder, checkpoint or release.
        folder: made as needed; a release in it is replaced.
        with_discriminators: so that others can fine-tune where the training left off.

    Raises:
        ValueError: the folder is a run's or somebody else's, or discriminators are wanted and there are none.
    """
    weights = read_weights(source)
    if with_discriminators and weights.discriminators is None:
        raise ValueError(f"{weights.source} has no discriminators to publish; take the run, or leave them out")
    return publish_weights(weights if with_discriminators else weights._replace(discriminators=None), folder)


def publish_weights(weights: Weights, folder: Path, kind: torch.dtype = torch.float32) -> list[Path]:
    """Write a release of weights, with their discriminators if there are any; see `publish`. float16 halves it."""
    if newest(folder) is not None:
        raise ValueError(f"{folder} holds checkpoints; a release goes to a folder of its own")
    if (folder / "config.json").exists() and not _is_release(folder / MODEL_FILE):
        raise ValueError(f"{folder} holds a config.json of something else; a release goes to a folder of its own")
    config = settings.from_dict(weights.config)
    # Whoever speaks with it needs none of these, and what the trainer's disks look like is nobody's business.
    config = settings.replace(config, "data", {"training_files": "", "validation_files": ""})
    config = settings.replace(config, "train", {"init_from": None, "callbacks": ()})
    if config.model.plugins:
        logger.warning("the voice needs %s to load; give it away with %s", ", ".join(config.model.plugins), folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(settings.to_dict(config), indent=2, ensure_ascii=False) + "\n"
    (folder / DISCRIMINATORS_FILE).unlink(missing_ok=True)  # another release's would not fit
    files = [_write_tensors(folder / MODEL_FILE, weights.generator, weights.step, kind),
             _write_whole(folder / "config.json", lambda file: file.write(text.encode()))]
    if weights.discriminators is not None:
        files.append(_write_tensors(folder / DISCRIMINATORS_FILE, weights.discriminators, weights.step, kind))
    return files


def _is_release(file: Path) -> bool:
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
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON ({error}); fetch or export the release again") from None
    # A folder that is to stay small may have them beside it: voices/en_rms.discriminators.safetensors.
    folder = file.parent.resolve()
    places = (folder / DISCRIMINATORS_FILE, folder.parent / f"{folder.name}.{DISCRIMINATORS_FILE}")
    found = next((place for place in places if place.is_file()), None)
    return Weights(config, generator, _read_tensors(found)[0] if found else None, step, file)


def _write_tensors(path: Path, tensors: Mapping[str, Tensor], step: int, kind: torch.dtype) -> Path:
    """A safetensors file of one kind of floats, which says what it is and has a checksum (the format has none)."""
    tensors = {name: (tensor.to(kind) if tensor.is_floating_point() else tensor).contiguous()
               for name, tensor in tensors.items()}
    checksum = _digest(tensors, str(step))
    metadata = {"format": RELEASE_FORMAT, "version": RELEASE_VERSION, "step": str(step), "checksum": checksum}
    return _write_whole(path, lambda file: file.write(safetensors.torch.save(tensors, metadata)))


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], int]:
    """The tensors of a release's file, and the step that they are of."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} cannot be read: {_reason(error)}; fetch or export it again") from None
    if metadata.get("format") != RELEASE_FORMAT:
        raise CheckpointError(f"{path} is not a release of this project; its format is {metadata.get('format')!r}, "
                              f"expected {RELEASE_FORMAT!r} as export.py writes it")
    if metadata.get("version") != RELEASE_VERSION:
        raise CheckpointError(f"{path} has version {metadata.get('version')}, this code reads {RELEASE_VERSION}; "
                              "update it")
    if metadata.get("checksum") != _digest(tensors, metadata.get("step", "")):
        raise CheckpointError(f"{path} is damaged, its checksum is wrong; fetch or export it again")
    wide = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    return wide, int(metadata["step"])


def _digest(tensors: Mapping[str, Tensor], step: str) -> str:
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


def _copy(value: Any, memory: Any, where: str) -> Any:
    """The value in plain containers, its tensors on the CPU; in the memory of an earlier copy where that fits."""
    if isinstance(value, Tensor):
        source = value.detach()
        if not (isinstance(memory, Tensor) and memory.dtype == source.dtype and memory.shape == source.shape):
            memory = torch.empty_like(source, device="cpu", pin_memory=source.is_cuda)  # pinned: the GPU fills it fast
        return memory.copy_(source)
    if isinstance(value, dict):
        old = memory if isinstance(memory, dict) else {}
        return {key: _copy(each, old.get(key), f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        old = memory if isinstance(memory, (list, tuple)) and len(memory) == len(value) else [None] * len(value)
        items = [_copy(each, old[i], f"{where}[{i}]") for i, each in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}; a checkpoint holds tensors, numbers, text, dicts and lists")


def _room_for(value: Any) -> Any:
    """Memory in the shape of a payload, written to once, so that the system has really given it."""
    if isinstance(value, Tensor):
        return torch.zeros(value.shape, dtype=value.dtype, pin_memory=value.is_cuda).fill_(0)
    if isinstance(value, dict):
        return {key: _room_for(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_room_for(each) for each in value]
    return None


def _size(value: Any) -> int:
    """Bytes in a file, a little generously: each tensor has a header and padding."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size() + 512
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return 64 + sum(map(_size, parts))


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
                return f"its {path.stat().st_size} bytes break off, or were never a checkpoint"
            archive = zipfile.ZipFile(file)
            # torch reads nothing of a record whose flag says that it is a folder, and leaves memory as it was.
            folders = [record.filename for record in archive.infolist() if record.external_attr & 0x10]
            wrong = archive.testzip() or next(iter(folders), None)
            is_foreign = not any(name.endswith("/data.pkl") for name in archive.namelist())
    except Exception as error:  # a damaged directory makes zipfile raise whatever its bytes happen to mean
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        return f"it is damaged ({_reason(error)})"
    if wrong:
        return f"it is damaged (its record {wrong} is not what was written)"
    return "it is a zip archive of something else" if is_foreign else None


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(". ") if str(error).strip() else type(error).__name__


def _way_out(path: Path) -> str:
    """How to go on without a checkpoint that cannot be used."""
    named = PATTERN.fullmatch(path.name)
    if not named:
        return "Expected a run folder, or a file of one that is named like checkpoint_00001000.pt."
    for step in reversed(list_steps(path.parent)):
        older = path_of(path.parent, step).resolve()
        if step < int(named[1]) and _damage(older) is None:
            return f"The one before it is {older}; delete or move {path.name}, and the run goes on from there."
    return "There is no older checkpoint beside it; delete or move the file to start anew."
