"""What an evaluation found, as dataclasses: made by evaluation/evaluator.py, kept as JSON, shown by report.py.

    card = Scorecard.load(folder)          # folder/scorecard.json, with its audio beside it
    card.interval("voice", "mcd").value

Conditions are ways in which the same texts sound: "recording", "copy" (posterior to waveform: the recording through the
model's own bottleneck), "griffin-lim" (from the recording's mels: a floor) and "voice" (from the text alone).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import config as settings
from utils import write_text_atomic

FILE = "scorecard.json"
RECORDING, COPY, GRIFFIN_LIM, VOICE = CONDITIONS = ("recording", "copy", "griffin-lim", "voice")


class Measure(NamedTuple):
    """What a number is."""

    name: str  # as it is called in tables and files: "mcd"
    title: str  # for people: "Mel-cepstral distortion"
    unit: str  # "dB", "cents", "%", "" where it has none
    better: str  # "lower", "higher", or "near <number>"
    is_costly: bool = False  # too slow for every validation of a training run


# What the machine and its load have a part in: numbers to know, which no voice is better for.
REAL_TIME = Measure("real_time_factor", "Seconds to make a second of speech", "", "lower")
MEMORY = Measure("memory", "Peak memory while speaking", "MB", "lower")
OF_THE_MACHINE = frozenset({REAL_TIME.name, MEMORY.name})


class Interval(NamedTuple):
    """A mean over items with the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    count: int  # items


@dataclass(frozen=True)
class Item:
    """One text, how it sounds in each condition, and what was measured of that."""

    id: str
    text: str
    kind: str  # "held-out", or a kind of test sentence: "word", "number", "question", "paragraph", "sentence"
    speaker: str | None = None
    audio: dict[str, str] = field(default_factory=dict)  # condition -> wav, relative to the scorecard's folder
    values: dict[str, dict[str, float]] = field(default_factory=dict)  # condition -> measure -> value
    notes: dict[str, str] = field(default_factory=dict)  # condition -> what a listener heard, for reading


@dataclass(frozen=True)
class Scorecard:
    """One evaluation of one checkpoint."""

    run: str  # name of the run or voice
    step: int | None  # of the checkpoint; None where it does not say
    facts: dict[str, str]  # data, steps, versions, machine, date, settings: title -> text
    measures: tuple[Measure, ...]
    summary: dict[str, dict[str, Interval]]  # condition -> measure -> interval
    items: tuple[Item, ...]
    absent: dict[str, str] = field(default_factory=dict)  # measure or condition -> why there is none
    health: dict[str, Any] = field(default_factory=dict)  # alignment health: numbers, verdict
    # The voice's means over the test sentences, kind -> measure -> interval; "all" is over all kinds. The summary is
    # over the held-out utterances, which every condition says, unless there are none.
    sentences: dict[str, dict[str, Interval]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What people call it."""
        return self.run if self.step is None else f"{self.run} at step {self.step}"

    def interval(self, condition: str, measure: str) -> Interval | None:
        """A measure's mean in a condition, None where it was not measured."""
        return self.summary.get(condition, {}).get(measure)

    def values(self, condition: str, measure: str) -> dict[str, float]:
        """Item id -> value, of the items where it was measured."""
        return {item.id: item.values[condition][measure] for item in self.items
                if measure in item.values.get(condition, {})}

    def save(self, folder: Path) -> Path:
        """Write the JSON; a number that is not finite becomes null."""
        path = folder / FILE
        write_text_atomic(path, json.dumps(_finite(asdict(self)), indent=1, ensure_ascii=False) + "\n")
        return path

    @classmethod
    def load(cls, folder: Path) -> Scorecard:
        """Read what `save` wrote.

        Raises:
            ValueError: there is no scorecard, or it is not one.
        """
        path = folder / FILE
        if not path.is_file():
            raise ValueError(f"{folder} holds no {FILE}; python evaluate.py -m RUN makes one")
        try:
            content = settings.read_json(path)
            content["measures"] = tuple(Measure(*row) for row in content["measures"])
            content["items"] = tuple(Item(**row) for row in content["items"])
            for part in ("summary", "sentences"):
                content[part] = {group: {name: Interval(*map(_number, row)) for name, row in rows.items()}
                                 for group, rows in content.get(part, {}).items()}
            return cls(**content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a scorecard ({error}); evaluate again") from error


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; None, which JSON has instead of NaN, is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: float | None) -> float:
    """What `_finite` made None is not a number again."""
    return math.nan if value is None else value


def _finite(value: Any) -> Any:
    """The same with None for every number that JSON has no word for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value
