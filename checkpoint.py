"""Training state in files: written whole or not at all, read strictly, the newest found, old ones pruned.

    RUN/checkpoint_00012000.pt    config, models, average, optimizers, scalers, step; plain tensors and JSON types
    RUN/best.json                 which of them validated best, and by what number
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch

from utils import write_text_atomic

FORMAT = "vits-checkpoint"
VERSION = 1
PATTERN = re.compile(r"checkpoint_(\d{8,})\.pt")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, and what to do."""


class Best(NamedTuple):
    """The best validation so far."""

    step: int
    value: float  # lower is better


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
    """Write a checkpoint: to a temporary name, flushed to the disk, then renamed.

    Args:
        run_dir: exists.
        step: names the file.
        payload: tensors and JSON types, nested in dicts and lists.

    Raises:
        OSError: the disk is full or not writable; the older checkpoints are untouched.
    """
    target = path_of(run_dir, step)
    temporary = target.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, "version": VERSION, "step": step, **payload}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing in the file is executed.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, or not a checkpoint of this project; an older one beside it is named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):  # no fault of the file's: it must not be called damaged
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} ({path.stat().st_size} bytes) cannot be read: {reason}\n"
                              f"{_way_out(path)}") from None
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        found = f"the keys {', '.join(map(str, list(payload)[:6]))}" if isinstance(payload, dict) else type(payload)
        raise CheckpointError(f"{path} is not a checkpoint of this project; it holds {found}.\n{_way_out(path)}")
    if payload["version"] > VERSION:
        raise CheckpointError(f"{path} has version {payload['version']}, this code reads up to {VERSION}; update it")
    return payload


def newest(run_dir: Path) -> Path | None:
    """The checkpoint of the highest step, None if there is none yet."""
    steps = list_steps(run_dir)
    return path_of(run_dir, steps[-1]) if steps else None


def find(path: Path) -> Path:
    """The file that a user means by a path: itself, or a run's best checkpoint, or its newest.

    Raises:
        FileNotFoundError: nothing there can be spoken with.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"no run or checkpoint {path}; a run is made by, e.g., python train.py -c "
                                f"configs/demo.json -m {path}")
    best = read_best(path)
    if best is not None and path_of(path, best.step).is_file():
        return path_of(path, best.step)
    latest = newest(path)
    if latest is None:
        raise FileNotFoundError(f"{path} holds no checkpoint yet (files named checkpoint_00001000.pt); train first, "
                                f"e.g. python train.py -c configs/demo.json -m {path}")
    return latest


def read_best(run_dir: Path) -> Best | None:
    """The best validation so far, None before the first.

    Raises:
        CheckpointError: the pointer is damaged.
    """
    pointer = run_dir / "best.json"
    if not pointer.is_file():
        return None
    try:
        content = json.loads(pointer.read_text(encoding="utf-8"))
        return Best(int(content["step"]), float(content["value"]))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{pointer} is damaged ({error}); delete it, and the next validation writes it anew"
                              ) from None


def write_best(run_dir: Path, best: Best) -> None:
    """Point at the best checkpoint."""
    write_text_atomic(run_dir / "best.json", json.dumps({**best._asdict(), "file": path_of(run_dir, best.step).name}))


def prune(run_dir: Path, keep_last: int) -> list[Path]:
    """Delete all but the newest `keep_last` and the best; returns what went."""
    best = read_best(run_dir)
    kept = set(list_steps(run_dir)[-keep_last:]) | ({best.step} if best else set())
    gone = [path_of(run_dir, step) for step in list_steps(run_dir) if step not in kept]
    for path in gone:
        path.unlink()
    return gone


def load_state(module: torch.nn.Module, state: dict[str, Any], path: Path, part: str) -> None:
    """Load a state dict strictly.

    Raises:
        CheckpointError: keys or shapes differ from the network that the configuration describes.
    """
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: its {part} does not fit the configuration's: {error}\nTrain with the "
                              "configuration saved beside the checkpoint, or start a new run folder.") from None


def _way_out(path: Path) -> str:
    older = [path_of(path.parent, step) for step in list_steps(path.parent) if path_of(path.parent, step) < path]
    if older:
        return f"The one before it is {older[-1]}; delete or move the damaged file to go on from there."
    return "There is no older checkpoint beside it; delete or move the file to start anew."
