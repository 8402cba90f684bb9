"""Figures: alignments, mel spectrograms and loss curves.

    Path("a.png").write_bytes(alignment_png(audio.timings.symbols, audio.sample_rate))
    write_loss_curves(Path("runs/demo/metrics.jsonl"), step=700, file=Path("demo_voice/curves.png"))
    tracker.figure(step, "mel", plot_mels({"recorded": mel, "spoken": other}))

Matplotlib and Pillow are imported where they are used, without pyplot, which would look for a screen.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.run_metrics import read_metrics
from utils import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.ImageDraw import ImageDraw

    from synthesis.timings import TimedLabel

# Shapes: T frames, L tokens, M mel bands.

# Of alignment_png, in pixels.
PER_SECOND = 150  # wide enough to read the symbols of usual speech
NARROWEST, WIDEST = 240, 1800
HEIGHT, TOP, BOTTOM, RIGHT = 184, 6, 20, 16  # of the whole, and margins with space for labels
LABEL = 11  # height of the letters
GROUND, TICK, LINE, PAUSE, INK = (18, 20, 28), (52, 58, 70), (252, 160, 95), (120, 130, 150), (235, 238, 242)
COLOURS = 16  # in the file; enough for five and the edges of letters

# Of write_loss_curves: title -> names in metrics.jsonl.
LOSS_PANELS = {"mel loss (L1)": ("train/mel", "valid/mel"), "KL": ("train/kl", "valid/kl"),
          "duration loss": ("train/duration", "valid/duration"),
          "adversarial": ("train/adversarial", "train/discriminator", "train/features")}
LOSS_SIZE, LOSS_DPI = (9.0, 5.0), 80  # inches, dots per inch
LOSS_COLOURS = 48  # enough for the lines; some 30 kB


def alignment_png(symbols: Sequence[TimedLabel], sampling_rate: int) -> bytes:
    """Draw which symbol sounds when, as a PNG of a few kB: time to the right, the symbols of the text upwards.

    Speech climbs steadily. A long flat stretch is one symbol that never ends, an upright one are symbols without sound.

    Args:
        symbols: times in samples, in order, at least one; "" is a pause.
        sampling_rate: Hz.
    """
    from PIL import Image, ImageDraw

    seconds = symbols[-1].end / sampling_rate
    width = round(min(max(NARROWEST, PER_SECOND * seconds), WIDEST))
    scale = (width - RIGHT) / max(symbols[-1].end, 1)  # pixels a sample
    image = Image.new("RGB", (width, HEIGHT), GROUND)
    canvas = ImageDraw.Draw(image)
    for second in range(1, int(seconds) + 1):
        x = round(second * sampling_rate * scale)
        canvas.line([(x, 0), (x, HEIGHT)], fill=TICK)
    _draw_path(canvas, symbols, scale)
    file = io.BytesIO()
    image.quantize(COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw_path(canvas: ImageDraw, symbols: Sequence[TimedLabel], scale: float) -> None:
    """Draw a stair for each symbol, with its label below to the right."""
    from PIL import ImageFont

    font = ImageFont.truetype(_font(), LABEL)
    row = (HEIGHT - TOP - BOTTOM) / len(symbols)
    free = 0.0  # x from which there are no labels yet
    for i, (text, start, end) in enumerate(symbols):
        left, right, y = start * scale, end * scale, HEIGHT - BOTTOM - (i + 0.5) * row
        canvas.line([(left, y + row if i else y), (left, y), (right, y)], fill=LINE if text.strip() else PAUSE, width=2)
        if text.strip():
            place = max(left + 3, free)
            canvas.text((place, y + 2), text, fill=INK, font=font)
            free = place + canvas.textlength(text, font=font) + 1


def _font() -> str:
    """Path of a font with phonetic letters, which comes with matplotlib."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def write_loss_curves(metrics: Path, step: int, file: Path) -> bool:
    """Draw the losses of a run up to a step; losses that were not measured are left out.

    Args:
        metrics: of the run, `metrics.jsonl`.
        step: of the released weights; later points are left out.
        file: a PNG, replaced.

    Returns:
        whether there was anything to draw; if not, no file is written.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    found = read_metrics(metrics)
    drawn = {title: [name for name in names if name in found and (found[name][0] <= step).any()]
             for title, names in LOSS_PANELS.items()}
    drawn = {title: names for title, names in drawn.items() if names}
    if not drawn:
        return False
    figure = Figure(figsize=LOSS_SIZE, dpi=LOSS_DPI, layout="constrained")
    for place, (title, names) in enumerate(drawn.items()):
        axes = figure.add_subplot(2, 2, place + 1)
        for name in names:
            steps, values = found[name]
            kind, _, loss = name.partition("/")
            label = loss if title == "adversarial" else {"train": "training"}.get(kind, "held-out")
            axes.plot(steps[steps <= step], values[steps <= step], linewidth=2 if kind == "valid" else 0.8, label=label)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    with Image.open(content) as picture, atomic_path(file) as temporary:
        picture.convert("RGB").quantize(LOSS_COLOURS).save(temporary, "PNG", optimize=True)
    return True


def plot_alignment(path: np.ndarray, title: str, labels: Sequence[str] = ()) -> Figure:
    """Draw which token each frame belongs to.

    Args:
        path: [T, L], zeros and ones.
        title: stands above.
        labels: one a token, drawn if there are few enough to read.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(path.T, origin="lower", aspect="auto", interpolation="nearest", cmap="viridis")
    axes.set(xlabel="frame", ylabel="token", title=title)
    if 0 < len(labels) <= 80:
        axes.set_yticks(range(len(labels)), labels, fontsize=5 if len(labels) > 40 else 7)
    return figure


def plot_mels(mels: Mapping[str, np.ndarray]) -> Figure:
    """Draw log-mels [M, T] above each other under their names, all in one scale of colours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.2 * len(mels)), layout="constrained")
    low, high = min(mel.min() for mel in mels.values()), max(mel.max() for mel in mels.values())
    for axes, (name, mel) in zip(figure.subplots(len(mels), squeeze=False)[:, 0], mels.items()):
        image = axes.imshow(mel, origin="lower", aspect="auto", interpolation="nearest", vmin=low, vmax=high,
                            cmap="magma")
        axes.set(title=name, xlabel="frame", ylabel="mel band")
        figure.colorbar(image, ax=axes, label="log amplitude")
    return figure


def plot_speech(mel: np.ndarray, durations: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    """Draw a log-mel, and below it the alignment as a staircase with its symbols.

    Args:
        mel: [M, T].
        durations: [L], frames for each symbol.
        labels: [L], the symbols; blanks may be any text of length 0 or "_".
        title: stands above.
    """
    from matplotlib.figure import Figure

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
