"""Reader of a training run's metrics.jsonl.

    steps, values = read_metrics(metrics_path(folder))["valid/mel"]
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from evaluation.scorecard import is_number

METRICS = "metrics.jsonl"


def metrics_path(folder: Path) -> Path | None:
    """Find the metrics.jsonl of the run that contains an evaluation's folder; None if there is none."""
    places = [folder, *folder.resolve().parents[:3]]
    return next((place.resolve() / METRICS for place in places if (place / METRICS).is_file()), None)


def read_metrics(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read a run's metrics.jsonl: name -> steps and values [N]; incomplete lines and nulls are skipped."""
    found: dict[str, dict[int, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            step = int(row.pop("step"))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue  # the process was killed while it wrote
        for name, value in row.items():
            if "/" in name and is_number(value):
                found.setdefault(name, {})[step] = float(value)
    return {name: (np.array(sorted(points)), np.array([points[step] for step in sorted(points)]))
            for name, points in found.items()}
