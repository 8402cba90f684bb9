"""Where numbers, figures and audio go: the console, JSON lines, TensorBoard, several of them, or nowhere.

A tracker is told; it never asks. Steps are optimizer steps.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

# Shapes: T frames, L tokens, M mel bands, S samples.


class Tracker(Protocol):
    """What the training loop speaks to."""

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
    """Goes nowhere; the base of trackers that care for some things only."""

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
    """Passes everything to each of several trackers."""

    def __init__(self, trackers: Sequence[Tracker]):
        self.trackers = list(trackers)

    def advance(self, step: int) -> None:
        """Pass on."""
        for tracker in self.trackers:
            tracker.advance(step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Pass on."""
        for tracker in self.trackers:
            tracker.scalars(step, values)

    def audio(self, step: int, name: str, samples: np.ndarray, sampling_rate: int) -> None:
        """Pass on."""
        for tracker in self.trackers:
            tracker.audio(step, name, samples, sampling_rate)

    def figure(self, step: int, name: str, figure: Figure) -> None:
        """Pass on."""
        for tracker in self.trackers:
            tracker.figure(step, name, figure)

    def close(self) -> None:
        """Close each."""
        for tracker in self.trackers:
            tracker.close()


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
    """One JSON object a call: step, wall time, numbers. Lines after the step that a run resumes from are dropped."""

    def __init__(self, path: Path, first_step: int):
        if path.is_file():
            kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= first_step]
            path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self.file = path.open("a", encoding="utf-8")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write one line; numbers that JSON cannot say (NaN, infinity) become null."""
        numbers = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.file.write(json.dumps({"step": step, "time": round(time.time(), 3), **numbers}) + "\n")
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class TensorBoardTracker(NullTracker):
    """Event files for `tensorboard --logdir RUN`."""

    def __init__(self, run_dir: Path, first_step: int):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run_dir), purge_step=first_step + 1 if first_step else None)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Curves."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def audio(self, step: int, name: str, samples: np.ndarray, sampling_rate: int) -> None:
        """Players."""
        self.writer.add_audio(name, np.clip(samples, -1, 1)[None], step, sample_rate=sampling_rate)

    def figure(self, step: int, name: str, figure: Figure) -> None:
        """Pictures, drawn to pixels here so that no figure manager is involved."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        self.writer.add_image(name, np.asarray(canvas.buffer_rgba())[:, :, :3], step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close."""
        self.writer.close()


def _step_of(line: str) -> int:
    """The step of a JSON line; a torn last line (the process was killed) counts as after everything."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return sys.maxsize


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
