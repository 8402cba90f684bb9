"""Trackers of numbers, figures and audio: console, JSON lines, TensorBoard, Aim, Weights & Biases, or nowhere.

Steps are optimizer steps. What a resumed run does again replaces what it did before, except with Weights & Biases,
which deletes nothing: there, such steps appear twice.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

from utils import atomic_path, described, errors_named, write_text_atomic

logger = logging.getLogger("vits")

# Shapes: T frames, L tokens, M mel bands, S samples.


class Tracker(Protocol):
    """Interface of all trackers."""

    def advance(self, step: int) -> None:
        """A step is done."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Named numbers."""

    def audio(self, step: int, name: str, samples: np.ndarray, sampling_rate: int) -> None:
        """Sound, float32 [S]."""

    def figure(self, step: int, name: str, figure: Figure) -> None:
        """A picture."""

    def close(self) -> None:
        """Write what is left."""


class NullTracker:
    """Ignores everything; base class of trackers that write only some of it."""

    def advance(self, step: int) -> None:
        """Ignore a step."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Ignore numbers."""

    def audio(self, step: int, name: str, samples: np.ndarray, sampling_rate: int) -> None:
        """Ignore sound."""

    def figure(self, step: int, name: str, figure: Figure) -> None:
        """Ignore a picture."""

    def close(self) -> None:
        """Nothing is left."""


class Trackers(NullTracker):
    """Passes everything to each of several trackers; what one of them fails to write is a warning, once for each.

    Numbers and pictures are not worth the end of a run of weeks: a full disk may be mended while it goes on.
    """

    def __init__(self, trackers: Sequence[Tracker]):
        self.trackers = list(trackers)
        self._failed: list[Tracker] = []

    def advance(self, step: int) -> None:
        """Pass on."""
        self._pass_on(lambda tracker: tracker.advance(step))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Pass on."""
        self._pass_on(lambda tracker: tracker.scalars(step, values))

    def audio(self, step: int, name: str, samples: np.ndarray, sampling_rate: int) -> None:
        """Pass on."""
        self._pass_on(lambda tracker: tracker.audio(step, name, samples, sampling_rate))

    def figure(self, step: int, name: str, figure: Figure) -> None:
        """Pass on."""
        self._pass_on(lambda tracker: tracker.figure(step, name, figure))

    def close(self) -> None:
        """Close each."""
        self._pass_on(lambda tracker: tracker.close())

    def _pass_on(self, call: Callable[[Tracker], None]) -> None:
        for tracker in self.trackers:
            try:
                call(tracker)
            except Exception as error:  # of whatever kind its library has for a full disk or a lost network
                if tracker not in self._failed:
                    self._failed.append(tracker)
                    logger.warning("%s cannot write (%s); the run goes on, and what it should have written may be "
                                   "missing there", type(tracker).__name__, described(error))


class ConsoleTracker(NullTracker):
    """A progress bar with steps a second and the time left, and the newest numbers beside it."""

    SHOWN = ("mel", "kl", "duration", "adversarial", "discriminator")

    def __init__(self, first_step: int, total_steps: int):
        from tqdm import tqdm

        is_terminal = sys.stderr.isatty()
        self.bar = tqdm(total=total_steps, initial=first_step, unit="step", dynamic_ncols=True, smoothing=0.05,
                        mininterval=0.5 if is_terminal else 15, desc="training")

    def advance(self, step: int) -> None:
        """Move the bar."""
        self.bar.update(step - self.bar.n)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Show the training losses beside the bar; validation gets a line of its own."""
        losses = {name: f"{values[f'train/{name}']:.3f}" for name in self.SHOWN if f"train/{name}" in values}
        if losses:
            self.bar.set_postfix(losses, refresh=False)
        validation = {name: value for name, value in values.items() if name.startswith("valid/")}
        if validation:
            text = ", ".join(f"{name.removeprefix('valid/')} {value:.3f}" for name, value in validation.items())
            self.bar.write(f"step {step}: validation {text}", file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self.bar.close()


class JsonLinesTracker(NullTracker):
    """One JSON object a call: step, wall time, numbers. Lines after the step that a run resumes from are dropped.

    A line is written whole or not at all; where that fails, the next one is tried again.
    """

    def __init__(self, path: Path, first_step: int):
        if path.is_file():
            _drop_lines_after(path, first_step)
        self.path = path
        self.file = path.open("ab", buffering=0)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write one line; numbers that JSON lacks (NaN, infinity) become null."""
        numbers = {name: value if math.isfinite(value) else None for name, value in values.items()}
        line = json.dumps({"step": step, "time": round(time.time(), 3), **numbers}).encode() + b"\n"
        end = self.file.seek(0, os.SEEK_END)
        with errors_named(self.path):
            try:
                while line:  # a disk that is nearly full takes a part
                    line = line[self.file.write(line):]
            except OSError:
                with contextlib.suppress(OSError):  # what is no file cannot be cut
                    self.file.truncate(end)
                raise

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class TensorBoardTracker(NullTracker):
    """Event files for `tensorboard --logdir RUN`. After a failure it writes no more until the next start."""

    def __init__(self, run_dir: Path, first_step: int):
        from torch.utils.tensorboard import SummaryWriter

        self.run_dir = run_dir
        self.writer = SummaryWriter(str(run_dir), purge_step=first_step + 1 if first_step else None)
        # Its thread would print a traceback of what it raises here again at the next call.
        self._excepthook, threading.excepthook = threading.excepthook, self._leave_out_traceback

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Curves."""
        with errors_named(self.run_dir / "events.out.tfevents"):
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def audio(self, step: int, name: str, samples: np.ndarray, sampling_rate: int) -> None:
        """Players."""
        with errors_named(self.run_dir / "events.out.tfevents"):
            self.writer.add_audio(name, np.clip(samples, -1, 1)[None], step, sample_rate=sampling_rate)

    def figure(self, step: int, name: str, figure: Figure) -> None:
        """Pictures."""
        with errors_named(self.run_dir / "events.out.tfevents"):
            self.writer.add_image(name, _pixels(figure), step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close."""
        try:
            with errors_named(self.run_dir / "events.out.tfevents"):
                self.writer.close()
        finally:
            threading.excepthook = self._excepthook

    def _leave_out_traceback(self, failure: threading.ExceptHookArgs) -> None:
        if not type(failure.thread).__module__.startswith("tensorboard."):
            self._excepthook(failure)


class AimTracker(NullTracker):
    """One run of the Aim repository in the folder above; `aim up --repo runs` shows all of them side by side.

    RUN/aim_hash.txt holds its name in there, by which it is found again when the run resumes.
    """

    def __init__(self, run_dir: Path, config: Mapping):
        import aim

        self.aim = aim
        repository = aim.Repo.from_path(str(run_dir.resolve().parent), init=True)
        note = run_dir / "aim_hash.txt"
        known = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
        self.run = aim.Run(  # a killed run leaves its lock behind on network file systems: take it over
            known if known and repository.run_exists(known) else None, repo=repository, force_resume=bool(known),
            system_tracking_interval=None, capture_terminal_logs=False)
        write_text_atomic(note, self.run.hash + "\n")
        self.run.name = run_dir.resolve().name
        self.run["config"] = dict(config)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Curves."""
        for name, value in values.items():
            self.run.track(float(value), name=name, step=step)

    def audio(self, step: int, name: str, samples: np.ndarray, sampling_rate: int) -> None:
        """Players."""
        sound = self.aim.Audio(_as_int16(samples), format="wav", rate=sampling_rate)
        self.run.track(sound, name=name, step=step)

    def figure(self, step: int, name: str, figure: Figure) -> None:
        """Pictures."""
        from PIL import Image

        self.run.track(self.aim.Image(Image.fromarray(_pixels(figure))), name=name, step=step)

    def close(self) -> None:
        """Mark the run as ended."""
        self.run.close()


class WandbTracker(NullTracker):
    """One Weights & Biases run, in the project WANDB_PROJECT ("vits" if that is not set).

    RUN/wandb_id.txt holds its id, by which it goes on when the run resumes. With WANDB_MODE=offline each start leaves
    a folder in RUN/wandb, for `wandb sync --append`.

    Raises:
        ValueError: it does not start, for want of an account or of a network.
    """

    def __init__(self, run_dir: Path, config: Mapping):
        import wandb

        self.wandb = wandb
        note = run_dir / "wandb_id.txt"
        known = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
        run_id = known or uuid.uuid4().hex
        write_text_atomic(note, run_id + "\n")
        try:
            self.run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "vits"), id=run_id, name=run_dir.resolve().name,
                dir=str(run_dir), resume="allow", config=dict(config), allow_val_change=True,
                settings=wandb.Settings(console="off"))  # RUN/train.log holds what the console shows
        except wandb.Error as error:
            raise ValueError(f"train.trackers names wandb, which does not start: {error} Run `wandb login`, set "
                             "WANDB_MODE=offline, or leave it out of train.trackers") from error
        # Its own count of calls must never fall, and a resumed run's step does; so the step is a number like others.
        self.run.define_metric("*", step_metric="step")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Curves."""
        self.run.log({**values, "step": step})

    def audio(self, step: int, name: str, samples: np.ndarray, sampling_rate: int) -> None:
        """Players."""
        self.run.log({name: self.wandb.Audio(_as_int16(samples), sample_rate=sampling_rate), "step": step})

    def figure(self, step: int, name: str, figure: Figure) -> None:
        """Pictures."""
        self.run.log({name: self.wandb.Image(_pixels(figure)), "step": step})

    def close(self) -> None:
        """Send what is left."""
        self.run.finish()


TRACKERS: dict[str, Callable[[Path, int, float, Mapping], Tracker]] = {
    "console": lambda run_dir, first_step, total_steps, config: ConsoleTracker(first_step, total_steps),
    "jsonl": lambda run_dir, first_step, total_steps, config: JsonLinesTracker(run_dir / "metrics.jsonl", first_step),
    "tensorboard": lambda run_dir, first_step, total_steps, config: TensorBoardTracker(run_dir, first_step),
    "aim": lambda run_dir, first_step, total_steps, config: AimTracker(run_dir, config),
    "wandb": lambda run_dir, first_step, total_steps, config: WandbTracker(run_dir, config),
}
"""Makers by the names of train.trackers; the package that a maker imports has the name of its tracker."""


def make_trackers(names: Sequence[str], run_dir: Path, first_step: int, total_steps: float,
                  config: Mapping) -> Trackers:
    """The trackers of those names; one whose package is not installed is left out with a warning.

    Args:
        names: of train.trackers; what is not among them is not even imported.
        run_dir: where they write.
        first_step: that the run resumes from; 0 for a new one.
        total_steps: that the run goes to.
        config: the whole configuration as JSON types, shown by those that can.

    Raises:
        ValueError: no such tracker, or one that does not start.
    """
    unknown = [name for name in names if name not in TRACKERS]
    if unknown:
        raise ValueError(f"train.trackers names {', '.join(map(repr, unknown))}; known: {', '.join(TRACKERS)}")
    trackers = Trackers([])
    for name in dict.fromkeys(names):
        try:
            trackers.trackers.append(TRACKERS[name](run_dir, first_step, total_steps, config))
        except ImportError as error:
            logger.warning("train.trackers names %s, which is not installed here (%s); the run goes on without it. "
                           "To have it: pip install %s", name, error, name)
        except BaseException:
            trackers.close()
            raise
    return trackers


def _drop_lines_after(path: Path, step: int) -> None:
    """Keep the lines up to that step; whole or not at all, line by line, since weeks of numbers may be large."""
    with path.open("rb") as lines, atomic_path(path) as temporary, temporary.open("wb") as kept:
        for line in lines:
            if _step_of(line) <= step:
                kept.write(line.rstrip(b"\r\n") + b"\n")
        kept.flush()
        os.fsync(kept.fileno())


def _step_of(line: bytes) -> float:
    """The step of a JSON line; a torn one (the process was killed) counts as after everything."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return math.inf


def _as_int16(samples: np.ndarray) -> np.ndarray:
    """16-bit samples of floats in [-1, 1], what every player takes."""
    return (np.clip(samples, -1, 1) * 32767).round().astype(np.int16)


def _pixels(figure: Figure) -> np.ndarray:
    """A drawn figure, uint8 [height, width, 3]; no figure manager is involved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]


def plot_alignment(path: np.ndarray, title: str, labels: Sequence[str] = ()) -> Figure:
    """Which token each frame belongs to.

    Args:
        path: [T, L], zeros and ones.
        title: stands above.
        labels: one a token, drawn if there are few enough to read.
    """
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(path.T, origin="lower", aspect="auto", interpolation="nearest", cmap="viridis")
    axes.set(xlabel="frame", ylabel="token", title=title)
    if 0 < len(labels) <= 80:
        axes.set_yticks(range(len(labels)), labels, fontsize=5 if len(labels) > 40 else 7)
    return figure


def plot_mels(mels: Mapping[str, np.ndarray]) -> Figure:
    """Log-mels [M, T] above each other under their names, all in one scale of colours."""
    figure = Figure(figsize=(8, 2.2 * len(mels)), layout="constrained")
    low, high = min(mel.min() for mel in mels.values()), max(mel.max() for mel in mels.values())
    for axes, (name, mel) in zip(figure.subplots(len(mels), squeeze=False)[:, 0], mels.items()):
        image = axes.imshow(mel, origin="lower", aspect="auto", interpolation="nearest", vmin=low, vmax=high,
                            cmap="magma")
        axes.set(title=name, xlabel="frame", ylabel="mel band")
        figure.colorbar(image, ax=axes, label="log amplitude")
    return figure


def plot_speech(mel: np.ndarray, durations: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    """A log-mel with the symbol of each stretch of it below, and the alignment as a staircase.

    Args:
        mel: [M, T].
        durations: [L], frames for each symbol.
        labels: [L], the symbols; blanks may be any text of length 0 or "_".
        title: stands above.
    """
    figure = Figure(figsize=(10, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    image = above.imshow(mel, origin="lower", aspect="auto", interpolation="nearest", cmap="magma")
    figure.colorbar(image, ax=above, label="log amplitude")
    above.set(title=title if len(title) < 100 else title[:97] + "...", ylabel="mel band")
    edges = np.concatenate([[0], np.cumsum(durations)])
    below.stairs(np.arange(len(durations)), edges, baseline=None)
    for i, label in enumerate(labels):
        if label.strip("_ ") and len(labels) <= 200:
            below.text((edges[i] + edges[i + 1]) / 2, i, label, ha="center", va="bottom", fontsize=8)
    below.set(xlabel="frame", ylabel="token", xlim=(0, mel.shape[1]))
    return figure
