"""Prosody of a span of text (rate, volume, pitch, speaker), and the values of the SSML attributes that change it.

    slower = Prosody().nested(rate=read_rate("80%"))
    louder = slower.nested(volume_db=read_volume_db("+6dB"))

The readers raise a ValueError that names what is accepted; the caller adds the place.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

# Values of labels. In SSML these are absolute; here they are relative to the element around, as all of prosody is.
RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "fast": 1.25, "x-fast": 1.75, "default": 1.0}
VOLUMES_DB = {"silent": -math.inf, "x-soft": -12.0, "soft": -6.0, "medium": 0.0, "loud": 6.0, "x-loud": 12.0,
              "default": 0.0}
PITCHES = {"x-low": -4.0, "low": -2.0, "medium": 0.0, "high": 2.0, "x-high": 4.0, "default": 0.0}  # semitones
PAUSES = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 0.8, "x-strong": 1.2}  # seconds
EMPHASIS = {"strong": (0.85, 2.0), "moderate": (0.92, 1.0), "none": (1.0, 0.0), "reduced": (1.1, -2.0)}  # rate, dB

# Limits of nested elements together.
SLOWEST, FASTEST = 0.2, 5.0
LOUDEST_DB = 24.0
FARTHEST_SEMITONES = 12.0  # as far as `audio.pitch_shift.pitch_shifted` goes
LONGEST_PAUSE = 600.0  # seconds
LONGEST_SILENCE = 3600.0  # seconds, of all pauses of a document together

_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Prosody:
    """Rate, volume, pitch and speaker of a span of text."""

    rate: float = 1.0  # 2 is twice as fast; nested ones multiply
    volume_db: float = 0.0  # nested ones add; minus infinity is silence
    pitch_semitones: float = 0.0  # nested ones add
    speaker: str | int | None = None  # the inner one counts; None is the caller's

    def inside(self, outer: Prosody) -> Prosody:
        """This prosody within an outer one: rates multiply, volumes and pitches add."""
        return Prosody(outer.rate * self.rate, outer.volume_db + self.volume_db,
                       outer.pitch_semitones + self.pitch_semitones,
                       outer.speaker if self.speaker is None else self.speaker)

    def nested(self, rate: float = 1.0, volume_db: float = 0.0, pitch_semitones: float = 0.0) -> Prosody:
        """Prosody of an element inside; ValueError if it is out of range."""
        inner = Prosody(rate, volume_db, pitch_semitones).inside(self)
        if not SLOWEST <= inner.rate <= FASTEST:
            raise ValueError(f"a rate of {inner.rate:g} with the elements around it; it may be {SLOWEST:g} to "
                             f"{FASTEST:g}")
        if inner.volume_db > LOUDEST_DB:
            raise ValueError(f"a volume of {inner.volume_db:+g} dB with the elements around it; it may be up to "
                             f"{LOUDEST_DB:+g} dB")
        if abs(inner.pitch_semitones) > FARTHEST_SEMITONES:
            raise ValueError(f"a pitch of {inner.pitch_semitones:+.3g} semitones with the elements around it; it may "
                             f"be {-FARTHEST_SEMITONES:+g} to {FARTHEST_SEMITONES:+g}")
        return inner


def read_rate(value: str) -> float:
    """Rate as a factor, from a label, a factor (0.8, 80%) or a change (+10%)."""
    match = re.fullmatch(rf"([+-]?){_NUMBER}(%?)", value)
    if not match or (match[1] and not match[3]):
        return read_label(value, RATES, "a factor such as 0.8, 80%, +10% or -10%")
    number = float(match[2]) / (100 if match[3] else 1)
    rate = {"": number, "+": 1 + number, "-": 1 - number}[match[1]]
    if rate <= 0:
        raise ValueError("rate must be above 0; use a factor such as 0.8, 80%, +10% or -10%")
    return rate


def read_volume_db(value: str) -> float:
    """Volume in decibels, from a label or a change in decibels."""
    match = re.fullmatch(rf"([+-]?){_NUMBER}\s*dB", value, flags=re.IGNORECASE)
    if not match:
        return read_label(value, VOLUMES_DB, "a change in decibels such as +6dB or -3dB")
    return float(match[1] + match[2])


def read_semitones(value: str) -> float:
    """Pitch in semitones, from a label or a change in semitones or percent."""
    match = re.fullmatch(rf"([+-]){_NUMBER}\s*(st|%)", value)
    if not match:
        if re.fullmatch(rf"[+-]?{_NUMBER}\s*Hz", value, flags=re.IGNORECASE):
            raise ValueError("a pitch in Hz is not possible, as the model predicts it; it takes a change such as "
                             "+2st, -1.5st or +10%")
        return read_label(value, PITCHES, "a change such as +2st, -1.5st or +10%")
    number = float(match[1] + match[2])
    if match[3] == "st":
        return number
    if number <= -100:
        raise ValueError("a change must be above -100%; use one such as +2st, -1.5st or +10%")
    return 12 * math.log2(1 + number / 100)


def read_seconds(value: str) -> float:
    """Seconds, from a time such as 1.5s or 500ms."""
    match = re.fullmatch(rf"\+?{_NUMBER}(ms|s)", value)
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else math.inf
    if seconds > LONGEST_PAUSE:
        raise ValueError(f"it takes a time such as 500ms or 1.5s, up to {LONGEST_PAUSE:g}s")
    return seconds


def read_label(value: str, known: Mapping[str, _Value], otherwise: str = "") -> _Value:
    """Value of a label; ValueError lists the labels, and what else may be written."""
    if value in known:
        return known[value]
    labels = ", ".join(known) + (f" or {otherwise}" if otherwise else "")
    raise ValueError(f"{nearest_hint(value, known)}it takes {labels}")


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """For messages: a question after the known name that looks most alike, and a space; empty if none does."""
    match = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {match[0]!r}? " if match else ""
