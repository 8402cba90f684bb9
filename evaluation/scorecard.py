"""Results of an evaluation: dataclasses, stored as JSON.

    card = Scorecard.load(folder)          # folder/scorecard.json, with its audio beside it
    card.interval("voice", "mcd").value

The same texts are measured in several conditions: "recording", "copy" (copy synthesis: posterior encoder and
generator), "griffin-lim" (from the recording's mels: a floor) and "voice" (from the text alone).
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
AS_RECORDED = "as recorded"  # of measures of which neither direction is better
LISTENER = "Listener"  # title of the fact that names the recogniser of words
WORD_MEASURES = frozenset({"wer", "words_heard", "whisper_wer"})  # depend on it
RECORDING, COPY, GRIFFIN_LIM, VOICE = CONDITIONS = ("recording", "copy", "griffin-lim", "voice")


class Measure(NamedTuple):
    """A measured quantity: name, title, unit and direction."""

    name: str  # in files: "mcd"
    title: str  # in tables: "Mel-cepstral distortion"
    unit: str  # "dB", "cents", "%", "" if none
    better: str  # "lower", "higher", "near <number>" or AS_RECORDED
    is_costly: bool = False  # too slow for every validation of a training run

    @property
    def heading(self) -> str:
        """The title with the unit: "Mel-cepstral distortion, dB"."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


# These depend on the machine and its load, so voices are not compared by them.
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
    """One text, with its audio and measured values in each condition."""

    id: str
    text: str
    kind: str  # "held-out", or a kind of test sentence: "word", "number", "question", "paragraph", "sentence"
    speaker: str | None = None
    audio: dict[str, str] = field(default_factory=dict)  # condition -> wav, relative to the scorecard's folder
    values: dict[str, dict[str, float]] = field(default_factory=dict)  # condition -> measure -> value
    notes: dict[str, str] = field(default_factory=dict)  # condition -> remarks of the meters, such as a transcript


@dataclass(frozen=True)
class Scorecard:
    """One evaluation of one checkpoint."""

    run: str  # name of the run or voice
    step: int | None  # of the checkpoint; None if unknown
    facts: dict[str, str]  # data, steps, versions, machine, date, settings: title -> text
    measures: tuple[Measure, ...]
    summary: dict[str, dict[str, Interval]]  # condition -> measure -> interval
    items: tuple[Item, ...]
    absent: dict[str, str] = field(default_factory=dict)  # measure or condition -> why there is none
    health: dict[str, Any] = field(default_factory=dict)  # alignment health: numbers, verdict
    # The voice's means over the test sentences, kind -> measure -> interval; "all" is over all kinds. The summary is
    # over the held-out utterances, which all conditions have, or over the test sentences if there are none.
    sentences: dict[str, dict[str, Interval]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name and step, for people."""
        return self.run if self.step is None else f"{self.run} at step {self.step}"

    @property
    def listener(self) -> str:
        """The recogniser of words with its model and version; "" if none is recorded."""
        return self.facts.get(LISTENER, "")

    def interval(self, condition: str, measure: str) -> Interval | None:
        """A measure's mean in a condition, None where it was not measured."""
        return self.summary.get(condition, {}).get(measure)

    def values(self, condition: str, measure: str) -> dict[str, float]:
        """Item id -> value, of the items where it was measured."""
        return {item.id: item.values[condition][measure] for item in self.items
                if measure in item.values.get(condition, {})}

    def save(self, folder: Path) -> Path:
        """Write folder/scorecard.json; numbers that are not finite become null."""
        path = folder / FILE
        write_text_atomic(path, json.dumps(_finite(asdict(self)), indent=1, ensure_ascii=False) + "\n")
        return path

    @classmethod
    def load(cls, folder: Path) -> Scorecard:
        """Read folder/scorecard.json.

        Raises:
            ValueError: the file does not exist, or is not a scorecard.
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
    """NaN for None, the reverse of `_finite`."""
    return math.nan if value is None else value


def _finite(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value
