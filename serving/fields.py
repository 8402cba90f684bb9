"""Fields of a request's JSON, checked: text, voice, format, speed and the options of synthesis.

    fields = Fields.parse(b'{"input": "Hello.", "voice": "en_joe", "speed": 1.2}')
    request = speech_request(fields, fields.text("input"))
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.engine import SpeechRequest, TextFeed
from serving.errors import RequestError
from synthesis.base import SynthesisOptions

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
PCM_RATE = 24_000  # Hz, by OpenAI's definition of the format
SLOWEST, FASTEST = 0.25, 4.0
NUMBERS = ("noise_scale", "noise_scale_duration", "volume_db", "pitch_semitones", "sentence_pause", "paragraph_pause")


@dataclass(frozen=True)
class Fields:
    """A JSON object; null stands for a field that is missing, and unknown fields are ignored."""

    values: Mapping[str, Any]

    @classmethod
    def parse(cls, body: bytes | str) -> Fields:
        """Read JSON.

        Raises:
            RequestError: it is no JSON, or no object.
        """
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"the request is no JSON ({error}); expected an object such as "
                               '{"input": "Hello.", "voice": "alloy"}', code="invalid_json") from None
        if not isinstance(values, dict):
            raise RequestError(f"the request is a JSON {type(values).__name__}; expected an object",
                               code="invalid_json")
        return cls(values)

    def text(self, name: str, default: str | None = None) -> str:
        """A string; without a default it has to be there."""
        value = self.values.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise _wrong(name, value, "a string")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise RequestError(f"{name} has half of a character (a lone surrogate); expected Unicode text", name)
        return value

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """One of several words."""
        value = self.text(name, default)
        if value not in choices:
            raise _wrong(name, value, f"one of {', '.join(choices)}")
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A number within bounds; None if it is missing."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _wrong(name, value, f"a number from {low:g} to {high:g}" if math.isfinite(high) else "a number")
        return value

    def whole(self, name: str) -> int | None:
        """A whole number; None if it is missing."""
        value = self.values.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise _wrong(name, value, "a whole number")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false if it is missing."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise _wrong(name, value, "true or false")
        return bool(value)

    def voice(self) -> str | None:
        """Name of a voice, as a string or as {"id": name}; None if it is missing."""
        value = self.values.get("voice")
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            value = value["id"]
        if value is not None and not isinstance(value, str):
            raise _wrong("voice", value, 'a name, or {"id": name}')
        return value or None

    def speaker(self) -> str | int | None:
        """Name, number or mix of speakers; None if it is missing."""
        value = self.values.get("speaker")
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
            raise _wrong("speaker", value, "a name, a number or a mix such as 'ann:0.7+bob:0.3'")
        return value


def speech_request(fields: Fields, text: str | TextFeed, default_format: str = "mp3") -> SpeechRequest:
    """The request that the fields describe; `pcm` has OpenAI's 24,000 Hz unless `sample_rate` is given.

    Raises:
        RequestError: a field of a wrong kind, or out of range.
    """
    kind = fields.choice("response_format", FORMATS, default_format)
    numbers = {name: value for name in NUMBERS if (value := fields.number(name)) is not None}
    speaker, speed, seed = fields.speaker(), fields.number("speed", SLOWEST, FASTEST), fields.whole("seed")
    try:
        options = SynthesisOptions(speaker=speaker, speed=speed, seed=seed, **numbers)
    except ValueError as error:  # its message begins with the field
        field = next((name for name in (*NUMBERS, "seed") if str(error).startswith(name)), None)
        raise RequestError(str(error), field) from None
    rate = fields.whole("sample_rate") or (PCM_RATE if kind == "pcm" else None)
    return SpeechRequest(text, fields.voice(), options, sample_rate=rate, format=kind)


def _wrong(name: str, value: Any, expected: str) -> RequestError:
    if value is None:
        return RequestError(f"{name} is missing; expected {expected}", name, "missing_field")
    return RequestError(f"{name} is {json.dumps(value)[:80]}; expected {expected}", name)
