"""Listening tests (ABX, MOS, MUSHRA): writes the page for the listeners. listening_scores.py evaluates the answers.

    write_test("mos", {"recording": {"a": Path("a.wav")}, "voice": {"a": Path("b.wav")}}, Path("test.html"))

The page needs no server: a listener opens it, and gets a file of answers to send back. It contains the sounds under
numbers only; a key file beside it says which condition each number is, and stays with the organiser.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.report.html import render, write_page
from evaluation.report.media import Clip, sound_uri
from utils import write_text_atomic

ABX, MOS, MUSHRA = KINDS = ("abx", "mos", "mushra")
ANCHOR = "anchor"  # the reference below ANCHOR_HZ, as in ITU-R BS.1534
ANCHOR_HZ = 3500
LEVEL = 0.05  # RMS of every sound; the louder of two would sound better
PEAK = 0.98

QUESTIONS = {
    ABX: "X is the same recording as A or as B. Which?",
    MOS: "How good does it sound?",
    MUSHRA: "How close does each sound come to the reference? One of them is the reference itself.",
}


def write_test(kind: str, conditions: Mapping[str, Mapping[str, Path]], out: Path, reference: str | None = None,
               texts: Mapping[str, str] | None = None, seed: int = 0) -> Path:
    """Write the page of a listening test, and its key beside it.

    Args:
        kind: abx (two conditions: can they be told apart?), mos (1 to 5 for each sound alone) or mushra (0 to 100 for
            all conditions of an item at once, beside an open reference; a hidden one and an anchor are added).
        conditions: condition -> item -> sound. Items that not all conditions have are left out.
        out: the page; the key becomes NAME.key.json.
        reference: the condition that is MUSHRA's reference.
        texts: item -> its text, shown with it.
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
    sounds = {names[place]: sound_uri(at_level(clip)) for place, clip in clips.items()}
    blind = sorted(sounds)
    identity = hashlib.sha256("".join(sounds[name] for name in blind).encode() + kind.encode()).hexdigest()[:16]
    trials = [_trial(item, [name for name in (*conditions, *([ANCHOR] if kind == MUSHRA else []))], names)
              | ({"text": texts[item]} if texts and item in texts else {}) for item in items]
    key = {"test": identity, "kind": kind, "reference": reference, "items": len(items),
           "sounds": {names[condition, item]: [condition, item] for condition, item in sorted(names)}}
    write_text_atomic(key_path(out), json.dumps(key, indent=1, ensure_ascii=False) + "\n")
    data = {"test": identity, "kind": kind, "question": QUESTIONS[kind], "trials": trials,
            "sounds": {name: sounds[name] for name in blind}}
    body = render("listening_test.html", kind=kind, count=len(items))
    return write_page(out, "Listening test", body, ("listening.js",), data)


def key_path(page: Path) -> Path:
    """The path of a page's key."""
    return page.with_name(f"{page.stem}.key.json")


def _trial(item: str, conditions: Sequence[str], names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The sounds of an item, in an order that is independent of their conditions."""
    trial: dict[str, Any] = {"sounds": sorted(names[condition, item] for condition in conditions)}
    if ("open reference", item) in names:
        trial["reference"] = names["open reference", item]
    return trial


def _shared_items(kind: str, conditions: Mapping[str, Mapping[str, Path]], reference: str | None) -> list[str]:
    """Check the conditions, and return the items that all of them have."""
    if kind not in KINDS:
        raise ValueError(f"no listening test is called {kind!r}; expected {', '.join(KINDS)}")
    if kind == ABX and len(conditions) != 2:
        raise ValueError(f"ABX compares two conditions, found {len(conditions)}: {', '.join(conditions)}")
    if kind == MUSHRA and (reference not in conditions or len(conditions) < 2):
        raise ValueError(f"MUSHRA needs a reference among its conditions and one more; the reference is {reference!r}, "
                         f"the conditions are {', '.join(conditions)}")
    if not conditions:
        raise ValueError("a listening test needs at least one condition, found none")
    first, *others = conditions.values()
    items = [item for item in first if all(item in other for other in others)]
    if not items:
        raise ValueError(f"the conditions {', '.join(conditions)} have no item in common; evaluate them with the same "
                         "texts")
    return items


def at_level(clip: Clip) -> Clip:
    """Scale a sound to the test's level, or as near as its peaks allow; silence stays."""
    power = float(np.sqrt(np.mean(np.square(clip.samples, dtype=np.float64))))
    peak = float(np.abs(clip.samples).max())
    gain = min(LEVEL / power, PEAK / peak) if power > 0 else 1.0
    return clip._replace(samples=(clip.samples * gain).astype(np.float32))


def anchor_of(clip: Clip) -> Clip:
    """Low-pass a sound at 3.5 kHz, or at a quarter of a low sampling rate."""
    spectrum = np.fft.rfft(clip.samples)  # of the whole clip: the filter is as steep as it can be
    pitch = np.fft.rfftfreq(len(clip.samples), 1 / clip.sampling_rate)  # Hz
    spectrum[pitch > min(ANCHOR_HZ, clip.sampling_rate / 4)] = 0
    return clip._replace(samples=np.fft.irfft(spectrum, len(clip.samples)).astype(np.float32))
