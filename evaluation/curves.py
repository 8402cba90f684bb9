"""A picture of how a training went, for a release's card.

    draw(Path("runs/demo/metrics.jsonl"), step=700, file=Path("demo_voice/curves.png"))
"""

from __future__ import annotations

import io
from pathlib import Path

from evaluation.report.report import read_metrics
from utils import atomic_path

# Title -> the numbers of metrics.jsonl that are drawn in it.
PANELS = {"mel loss (L1)": ("train/mel", "valid/mel"), "KL": ("train/kl", "valid/kl"),
          "duration loss": ("train/duration", "valid/duration"),
          "adversarial": ("train/adversarial", "train/discriminator", "train/features")}
SIZE, DOTS = (9.0, 5.0), 80  # inches, dots per inch
COLOURS = 48  # as many as lines need: some 30 kB


def draw(metrics: Path, step: int, file: Path) -> bool:
    """Draw the losses up to a step; what has not been measured is left out.

    Args:
        metrics: of the run, `metrics.jsonl`.
        step: of the released weights; later points are not theirs.
        file: a PNG, replaced.

    Returns:
        whether there was anything to draw; if not, no file is written.
    """
    from matplotlib.figure import Figure  # a second of imports; pyplot would look for a screen
    from PIL import Image  # comes with matplotlib

    found = read_metrics(metrics)
    drawn = {title: [name for name in names if name in found and (found[name][0] <= step).any()]
             for title, names in PANELS.items()}
    drawn = {title: names for title, names in drawn.items() if names}
    if not drawn:
        return False
    figure = Figure(figsize=SIZE, dpi=DOTS, layout="constrained")
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
        picture.convert("RGB").quantize(COLOURS).save(temporary, "PNG", optimize=True)
    return True
