"""Evaluates the answers of a listening test.

    print(score_answers([Path("answers_1.json")], Path("test.key.json")).table())
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import config as settings
from evaluation.report.listening_test import ABX, MUSHRA

# Shapes: L listeners, I items, R resamples.

HIDDEN_REFERENCE_LEAST = 90  # ITU-R BS.1534-3: who rates the hidden reference lower than this ...
HIDDEN_REFERENCE_SHARE = 0.15  # ... in more than this share of the items is excluded
RESAMPLES = 5000


class ConditionScore(NamedTuple):
    """The ratings of one condition: mean with its 95 % interval, and median."""

    condition: str
    mean: float
    low: float
    high: float
    median: float
    ratings: int


@dataclass(frozen=True)
class ListeningResult:
    """The result of a listening test."""

    kind: str
    listeners: int  # without those excluded
    excluded: tuple[str, ...]  # files of excluded listeners
    scores: tuple[ConditionScore, ...] = ()  # MOS and MUSHRA, best first
    correct: int = 0  # ABX
    trials: int = 0
    share: tuple[float, float] = (math.nan, math.nan)  # ABX: 95 % interval of the share of correct answers
    p_value: float = math.nan  # ABX: chance of so many correct answers by guessing

    def table(self) -> str:
        """Format the result as lines of text."""
        lines = [f"{self.kind.upper()}, {self.listeners} listeners"]
        if self.kind == ABX:
            low, high = self.share
            heard = "the difference is heard" if self.p_value < 0.05 else "no difference shown to be heard"
            lines.append(f"{self.correct} of {self.trials} correct ({self.correct / self.trials:.0%}, 95 % interval "
                         f"{low:.0%} to {high:.0%}; guessing gives 50%), p = {self.p_value:.3g}: {heard}")
        else:
            lines.append(f"{'condition':<24} {'mean':>6} {'95 % interval':>15} {'median':>7} {'ratings':>8}")
            lines += [f"{score.condition:<24} {score.mean:>6.2f} {score.low:>6.2f} to {score.high:>5.2f} "
                      f"{score.median:>7.1f} {score.ratings:>8}" for score in self.scores]
        if self.excluded:
            lines.append(f"left out, as they rated the hidden reference below {HIDDEN_REFERENCE_LEAST} in more than "
                         f"{HIDDEN_REFERENCE_SHARE:.0%} of the items: {', '.join(self.excluded)}")
        return "\n".join(lines)


def score_answers(files: Sequence[Path], key: Path) -> ListeningResult:
    """Evaluate the files of the listeners.

    MOS and MUSHRA: means whose intervals come from drawing both listeners and items anew, since both are samples; with
    one listener the interval is over items alone. MUSHRA excludes listeners who rate the hidden reference below 90 in
    more than 15 % of the items. ABX: a one-sided binomial test of all answers against guessing, and Wilson's interval.

    Raises:
        ValueError: no file, one that does not hold answers of this test, or one that is given twice.
    """
    solution = _read_json(key, "sounds")
    if not files:
        raise ValueError("no answers to score; expected the files that the listeners sent back")
    answers = {str(file): _answers(file, solution) for file in files}
    listeners = [content["listener_id"] for content in answers.values()]
    if len(set(listeners)) != len(listeners):
        raise ValueError(f"{', '.join(answers)}: some are of the same listener and time; give each once")
    rows = {file: content["answers"] for file, content in answers.items()}
    if solution["kind"] == ABX:
        return _score_abx(rows)
    ratings = {file: [(*solution["sounds"][sound], float(value)) for row in content
                      for sound, value in row["ratings"].items()] for file, content in rows.items()}
    excluded = tuple(file for file, given in ratings.items()
                     if solution["kind"] == MUSHRA and _misses_reference(given, solution["reference"]))
    kept = [given for file, given in ratings.items() if file not in excluded]
    scores = [_score(condition, kept) for condition in dict.fromkeys(name for given in kept for name, *_ in given)]
    return ListeningResult(solution["kind"], len(kept), excluded, tuple(sorted(scores, key=lambda score: -score.mean)))


def _answers(file: Path, solution: Mapping[str, Any]) -> dict[str, Any]:
    """Read a listener's file, and check it against the key."""
    content = _read_json(file, "answers")
    if content.get("test") != solution["test"]:
        raise ValueError(f"{file} answers test {content.get('test')}, the key is of {solution['test']}; give the key "
                         "that was written with the page")
    try:
        named = [sound for row in content["answers"] for sound in row.get("ratings", row.get("sounds"))]
        well_formed = bool(named) and "listener_id" in content and all(sound in solution["sounds"] for sound in named)
    except TypeError:
        well_formed = False
    if not well_formed:
        raise ValueError(f"{file} is of this test, and its answers are not as the page writes them; was it edited?")
    return content


def _read_json(path: Path, needed: str) -> dict[str, Any]:
    try:
        content = settings.read_json(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}); expected a file of a listening test") from error
    if not isinstance(content, dict) or needed not in content:
        raise ValueError(f"{path} holds no {needed!r}; expected a file of a listening test")
    return content


def _misses_reference(given: Sequence[tuple[str, str, float]], reference: str) -> bool:
    """Whether a listener rates the hidden reference too low too often."""
    values = [value for condition, _, value in given if condition == reference]
    return sum(value < HIDDEN_REFERENCE_LEAST for value in values) > HIDDEN_REFERENCE_SHARE * len(values)


def _score(condition: str, listeners: Sequence[Sequence[tuple[str, str, float]]]) -> ConditionScore:
    """Mean, interval and median of one condition; the bootstrap draws both listeners and items."""
    items = sorted({item for given in listeners for name, item, _ in given if name == condition})
    ratings = np.full((len(listeners), len(items)), np.nan)  # [L, I]
    for row, given in enumerate(listeners):
        for name, item, value in given:
            if name == condition:
                ratings[row, items.index(item)] = value
    known = np.isfinite(ratings)
    draws = np.random.default_rng(0)
    by_listener = draws.multinomial(len(listeners), np.full(len(listeners), 1 / len(listeners)), RESAMPLES)  # [R, L]
    by_item = draws.multinomial(len(items), np.full(len(items), 1 / len(items)), RESAMPLES)  # [R, I]
    sums = ((by_listener @ np.where(known, ratings, 0)) * by_item).sum(axis=1)  # [R]
    counts = ((by_listener @ known.astype(float)) * by_item).sum(axis=1)
    low, high = np.quantile(sums[counts > 0] / counts[counts > 0], [0.025, 0.975])
    return ConditionScore(condition, float(ratings[known].mean()), float(low), float(high),
                          float(np.median(ratings[known])), int(known.sum()))


def _score_abx(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> ListeningResult:
    """Count how often the listeners found X."""
    from scipy.stats import binomtest

    given = [answer["x"] == answer["choice"] for answers in rows.values() for answer in answers]
    correct, trials = sum(given), len(given)
    interval = binomtest(correct, trials).proportion_ci(method="wilson")
    p_value = binomtest(correct, trials, alternative="greater").pvalue
    return ListeningResult(ABX, len(rows), (), correct=correct, trials=trials,
                           share=(float(interval.low), float(interval.high)), p_value=float(p_value))
