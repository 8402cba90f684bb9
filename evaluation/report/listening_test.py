"""Listening tests for people: a page that asks (ABX, MOS, MUSHRA), and what the answers come to.

    write_test("mos", {"recording": {"a": Path("a.wav")}, "voice": {"a": Path("b.wav")}}, Path("test.html"))
    print(score_answers([Path("answers_1.json")], Path("test.key.json")).table())

The page needs no server: a listener opens it, and gets a file of answers to send back. It knows the sounds by numbers
only; which condition each number is stands in the key beside it, which stays with who asks.

Shapes: L listeners, I items, R resamples, S samples.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import config as settings
from evaluation.report.html import join, tag, write_page
from evaluation.report.media import Clip, sound_uri
from utils import write_text_atomic

ABX, MOS, MUSHRA = KINDS = ("abx", "mos", "mushra")
ANCHOR = "anchor"  # the reference below ANCHOR_HZ, as in ITU-R BS.1534
ANCHOR_HZ = 3500
LEVEL = 0.05  # RMS of every sound, since the louder of two sounds better
PEAK = 0.98
HIDDEN_REFERENCE_LEAST = 90  # ITU-R BS.1534-3: who rates the hidden reference lower than this ...
HIDDEN_REFERENCE_SHARE = 0.15  # ... in more than this share of the items is left out
RESAMPLES = 5000

QUESTIONS = {
    ABX: "X is the same recording as A or as B. Which?",
    MOS: "How good does it sound?",
    MUSHRA: "How close does each sound come to the reference? One of them is the reference itself.",
}


class Score(NamedTuple):
    """What listeners gave one condition, with the 95 % interval of the mean."""

    condition: str
    mean: float
    low: float
    high: float
    median: float
    ratings: int


@dataclass(frozen=True)
class Outcome:
    """What the answers of a test come to."""

    kind: str
    listeners: int  # that count
    excluded: tuple[str, ...]  # files of listeners left out
    scores: tuple[Score, ...] = ()  # MOS and MUSHRA, best first
    correct: int = 0  # ABX
    trials: int = 0
    share: tuple[float, float] = (math.nan, math.nan)  # ABX: 95 % interval of the share of correct answers
    p_value: float = math.nan  # ABX: chance of so many correct answers by guessing

    def table(self) -> str:
        """The outcome for people, as lines of text."""
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


def write_test(kind: str, conditions: Mapping[str, Mapping[str, Path]], out: Path, reference: str | None = None,
               texts: Mapping[str, str] | None = None, seed: int = 0) -> Path:
    """Write the page of a listening test, and its key beside it.

    Args:
        kind: abx (two conditions: can they be told apart?), mos (1 to 5 for each sound alone) or mushra (0 to 100 for
            all conditions of an item at once, beside an open reference; a hidden one and an anchor are added).
        conditions: condition -> item -> sound. Items that not all conditions have are left out.
        out: the page; the key becomes NAME.key.json.
        reference: the condition that is MUSHRA's reference.
        texts: item -> what is said, shown with it.
        seed: of the numbers that stand for the sounds. The order of a listener is drawn in the page.

    Raises:
        ValueError: no such kind, a wrong number of conditions, no item in common, no reference.
    """
    items = _shared_items(kind, conditions, reference)
    clips = {(name, item): Clip.read(conditions[name][item]) for name in conditions for item in items}
    if kind == MUSHRA:
        clips |= {(ANCHOR, item): anchor_of(clips[reference, item]) for item in items}
        clips |= {("open reference", item): clips[reference, item] for item in items}
    numbers = list(range(len(clips)))
    random.Random(seed).shuffle(numbers)
    names = {place: f"s{i:03d}" for place, i in zip(clips, numbers)}
    sounds = {names[place]: sound_uri(levelled(clip)) for place, clip in clips.items()}
    blind = sorted(sounds)
    identity = hashlib.sha256("".join(sounds[name] for name in blind).encode() + kind.encode()).hexdigest()[:16]
    trials = [_trial(item, [name for name in (*conditions, *([ANCHOR] if kind == MUSHRA else []))], names)
              | ({"text": texts[item]} if texts and item in texts else {}) for item in items]
    key = {"test": identity, "kind": kind, "reference": reference, "items": len(items),
           "sounds": {names[condition, item]: [condition, item] for condition, item in sorted(names)}}
    write_text_atomic(key_path(out), json.dumps(key, indent=1, ensure_ascii=False) + "\n")
    data = {"test": identity, "kind": kind, "question": QUESTIONS[kind], "trials": trials,
            "sounds": {name: sounds[name] for name in blind}}
    return write_page(out, "Listening test", _body(kind, len(items)), ("listening.js",), data)


def key_path(page: Path) -> Path:
    """Where a page's key lies."""
    return page.with_name(f"{page.stem}.key.json")


def _trial(item: str, conditions: Sequence[str], names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The sounds of an item, in an order that says nothing."""
    trial: dict[str, Any] = {"sounds": sorted(names[condition, item] for condition in conditions)}
    if ("open reference", item) in names:
        trial["reference"] = names["open reference", item]
    return trial


def _shared_items(kind: str, conditions: Mapping[str, Mapping[str, Path]], reference: str | None) -> list[str]:
    """The items that all conditions have, or what is wrong with the plan."""
    if kind not in KINDS:
        raise ValueError(f"no listening test is called {kind!r}; expected {', '.join(KINDS)}")
    if kind == ABX and len(conditions) != 2:
        raise ValueError(f"ABX compares two conditions, found {len(conditions)}: {', '.join(conditions)}")
    if kind == MUSHRA and (reference not in conditions or len(conditions) < 2):
        raise ValueError(f"MUSHRA needs a reference among its conditions and one more; the reference is {reference!r}, "
                         f"the conditions are {', '.join(conditions)}")
    if not conditions:
        raise ValueError("a listening test needs a condition to listen to; found none")
    first, *others = conditions.values()
    items = [item for item in first if all(item in other for other in others)]
    if not items:
        raise ValueError(f"the conditions {', '.join(conditions)} have no item in common; evaluate them with the same "
                         "texts")
    return items


def _body(kind: str, count: int) -> str:
    """What stands on the page before its script takes over."""
    told = {ABX: f"{2 * count} times you will hear three sounds. Two are the same.",
            MOS: "You will hear one sound after the other, and say how good each is: 1 bad, 2 poor, 3 fair, 4 good, 5 "
                 "excellent.",
            MUSHRA: f"{count} times you will hear a reference and several sounds, and give each sound 0 (bad) to 100 "
                    "(as good as the reference). One of them is the reference, which should get 100."}[kind]
    return join([
        tag("h1", "Listening test"),
        tag("div", tag("p", told),
            tag("p", "Use headphones in a quiet room, and set the loudness once, with the first sound. Each sound must "
                     "be heard to its end before you can answer; you may repeat it as often as you like. At the end "
                     "you get a file of your answers to send back; nothing is sent by itself, and closing the page "
                     "loses them."),
            tag("p", tag("label", "Your name, or a nickname (may stay empty)", for_="listener")),
            tag("p", tag("input", type="text", id="listener", autocomplete="off")),
            tag("p", tag("button", "Start", id="start", class_="main", type="button")), id="intro"),
        tag("div", id="trial", hidden=True),
        tag("noscript", tag("p", "This page needs JavaScript.")),
        tag("p", id="news", class_="faint", role="status", aria_live="polite")])


def levelled(clip: Clip) -> Clip:
    """The sound at the test's level, or as near as its peaks allow; silence stays."""
    power = float(np.sqrt(np.mean(np.square(clip.samples, dtype=np.float64))))
    peak = float(np.abs(clip.samples).max())
    gain = min(LEVEL / power, PEAK / peak) if power > 0 else 1.0
    return clip._replace(samples=(clip.samples * gain).astype(np.float32))


def anchor_of(clip: Clip) -> Clip:
    """The sound without what lies above 3.5 kHz, or above a quarter of a low sampling rate."""
    spectrum = np.fft.rfft(clip.samples)  # of the whole clip: the filter is as steep as it can be
    pitch = np.fft.rfftfreq(len(clip.samples), 1 / clip.sampling_rate)  # Hz
    spectrum[pitch > min(ANCHOR_HZ, clip.sampling_rate / 4)] = 0
    return clip._replace(samples=np.fft.irfft(spectrum, len(clip.samples)).astype(np.float32))


def score_answers(files: Sequence[Path], key: Path) -> Outcome:
    """What listeners' files come to.

    MOS and MUSHRA: means whose intervals come from drawing both listeners and items anew, since both are samples; with
    one listener they speak of the items alone. MUSHRA leaves out listeners who rate the hidden reference below 90 in
    more than 15 % of the items. ABX: a one-sided binomial test of all answers against guessing, and Wilson's interval.

    Raises:
        ValueError: no file, one that is no answers, or of another test, or there twice.
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
    return Outcome(solution["kind"], len(kept), excluded, tuple(sorted(scores, key=lambda score: -score.mean)))


def _answers(file: Path, solution: Mapping[str, Any]) -> dict[str, Any]:
    """A listener's file, checked against the key."""
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
    """Whether a listener takes the hidden reference for something worse too often."""
    values = [value for condition, _, value in given if condition == reference]
    return sum(value < HIDDEN_REFERENCE_LEAST for value in values) > HIDDEN_REFERENCE_SHARE * len(values)


def _score(condition: str, listeners: Sequence[Sequence[tuple[str, str, float]]]) -> Score:
    """Mean, interval and median of one condition over listeners and items."""
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
    return Score(condition, float(ratings[known].mean()), float(low), float(high), float(np.median(ratings[known])),
                 int(known.sum()))


def _score_abx(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Outcome:
    """How often the listeners found X."""
    given = [answer["x"] == answer["choice"] for answers in rows.values() for answer in answers]
    correct, trials = sum(given), len(given)
    p_value = sum(math.comb(trials, k) for k in range(correct, trials + 1)) / 2**trials
    return Outcome(ABX, len(rows), (), correct=correct, trials=trials, share=wilson(correct, trials), p_value=p_value)


def wilson(correct: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = 1.959964
    share, spread = correct / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)
