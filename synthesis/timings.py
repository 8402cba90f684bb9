"""Times of every symbol, word and sentence in samples of the audio; as JSON, SRT, WebVTT or TextGrid.

    symbols = (TimedLabel("h", 0, 2205), TimedLabel("i", 2205, 4410))
    timings = Timings(22050, 4410, symbols, words=(TimedLabel("hi", 0, 4410),))
    timings.write("hi.TextGrid")    # or .json, .srt, .vtt
"""

from __future__ import annotations

import json
import os
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from utils import write_bytes_atomic

LINE_LENGTH = 42  # characters; two lines of that are what broadcasters put on the screen at once
LINES_OF_A_PAGE = 2
CUES = ("sentences", "lines", "words")
_TIERS = ("symbols", "words", "sentences", "bookmarks")


class TimedLabel(NamedTuple):
    """A text and its interval in samples; text "" is a pause."""

    text: str
    start: int  # sample
    end: int  # sample, the first one after it


@dataclass(frozen=True)
class Timings:
    """Timings of an audio: symbols tile it from first sample to last, words and sentences lie within."""

    sample_rate: int  # Hz
    n_samples: int
    symbols: tuple[TimedLabel, ...]  # each starts where the one before ends; some may be empty
    words: tuple[TimedLabel, ...] = ()
    sentences: tuple[TimedLabel, ...] = ()
    bookmarks: tuple[TimedLabel, ...] = ()  # of SSML's <mark>; start == end

    def __post_init__(self) -> None:
        if self.sample_rate < 1 or self.n_samples < 0:
            raise ValueError(f"timings of {self.n_samples} samples at {self.sample_rate} Hz; expected 0 samples or "
                             "more at 1 Hz or more")
        for tier in _TIERS:
            _check_order(tier, getattr(self, tier), self.n_samples)
        ends = [0, *(mark.end for mark in self.symbols)]
        for i, mark in enumerate(self.symbols):
            if mark.start != ends[i]:
                raise ValueError(f"symbol {i}, {mark.text!r}, starts at sample {mark.start}; expected {ends[i]}, where "
                                 "the one before it ends, because symbols tile the audio")
        if ends[-1] != self.n_samples:
            raise ValueError(f"the last symbol ends at sample {ends[-1]}; expected {self.n_samples}, the audio's end")
        for mark in self.bookmarks:
            if mark.start != mark.end:
                raise ValueError(f"bookmark {mark.text!r} lasts from {mark.start} to {mark.end}; expected one moment")

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.n_samples / self.sample_rate

    @staticmethod
    def pause(sample_rate: int, n_samples: int) -> Timings:
        """Timings of silence."""
        return Timings(sample_rate, n_samples, (TimedLabel("", 0, n_samples),) if n_samples else ())

    @staticmethod
    def joined(parts: Sequence[Timings]) -> Timings:
        """Timings of parts one after another.

        Raises:
            ValueError: there are none, or their sampling rates differ.
        """
        rates = sorted({part.sample_rate for part in parts})
        if len(rates) != 1:
            raise ValueError(f"timings to join have {len(rates)} sampling rates, {rates} Hz; expected parts of one; "
                             "scale them first")
        tiers: dict[str, list[TimedLabel]] = {tier: [] for tier in _TIERS}
        offset = 0
        for part in parts:
            for tier, marks in tiers.items():
                marks.extend(TimedLabel(text, start + offset, end + offset) for text, start, end in getattr(part, tier))
            offset += part.n_samples
        return Timings(rates[0], offset, **{tier: tuple(marks) for tier, marks in tiers.items()})

    def shifted(self, samples: int) -> Timings:
        """Timings after so many samples of silence in front."""
        return Timings.joined([Timings.pause(self.sample_rate, samples), self])

    def scaled(self, sample_rate: int) -> Timings:
        """Timings after resampling to another rate: every edge at the nearest sample, as `at_rate` rounds."""

        def moved(sample: int) -> int:
            return (sample * sample_rate + self.sample_rate // 2) // self.sample_rate

        tiers = {tier: tuple(TimedLabel(text, moved(start), moved(end)) for text, start, end in getattr(self, tier))
                 for tier in _TIERS}
        return Timings(sample_rate, moved(self.n_samples), **tiers)

    def as_dict(self) -> dict[str, object]:
        """Content of the .json: samples as whole numbers, and seconds to the microsecond."""

        def described(mark: TimedLabel) -> dict[str, object]:
            return {**mark._asdict(), "start_seconds": round(mark.start / self.sample_rate, 6),
                    "end_seconds": round(mark.end / self.sample_rate, 6)}

        return {"sample_rate": self.sample_rate, "n_samples": self.n_samples, "seconds": round(self.seconds, 6),
                **{tier: [described(mark) for mark in getattr(self, tier)] for tier in _TIERS}}

    @staticmethod
    def from_dict(content: Mapping) -> Timings:
        """The inverse of `as_dict`; seconds are not read."""
        tiers = {tier: tuple(TimedLabel(mark["text"], mark["start"], mark["end"]) for mark in content.get(tier, ()))
                 for tier in _TIERS}
        return Timings(content["sample_rate"], content["n_samples"], **tiers)

    def render(self, ending: str, cues: str = "sentences") -> str:
        """The text of a file with this ending; `cues` as in `write`."""
        writer = _WRITERS.get(ending.lower())
        if writer is None:
            raise ValueError(f"{ending or 'no ending'!r} names no format for timings; expected one of .json .srt .vtt "
                             ".TextGrid")
        if cues not in CUES:
            raise ValueError(f"cues are {cues!r}; expected one of {' '.join(CUES)}")
        return writer(self, cues)

    def write(self, path: str | os.PathLike, cues: str = "sentences") -> None:
        """Write .json, .srt, .vtt or .TextGrid, as the path ends; UTF-8, whole or not at all, folders are made.

        Args:
            path: where to.
            cues: what a subtitle of .srt and .vtt is: one of "sentences"; "lines", which are sentences cut at words
                into at most two lines of 42 characters; or "words".

        Raises:
            ValueError: the ending names no format, or there is no such kind of cues.
        """
        content = self.render(Path(path).suffix, cues)
        write_bytes_atomic(path, content.encode("utf-8", errors="replace"))  # half a surrogate becomes "?"


def _check_order(tier: str, marks: Sequence[TimedLabel], n_samples: int) -> None:
    """Raise ValueError unless marks follow each other without overlap within the audio."""
    earliest = 0
    for i, (text, start, end) in enumerate(marks):
        if not earliest <= start <= end <= n_samples:
            raise ValueError(f"{tier}[{i}], {text!r}, lasts from sample {start} to {end}; expected an interval "
                             f"between {earliest}, where the one before it ends, and {n_samples}, the audio's end")
        earliest = end


def _json(timings: Timings, cues: str) -> str:
    return json.dumps(timings.as_dict(), ensure_ascii=False, indent=1, default=int) + "\n"


def _srt(timings: Timings, cues: str) -> str:
    """SubRip. It has no escapes: an arrow of ASCII, which players take for a time line, becomes one character."""
    blocks = [f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text.replace('-->', '→')}\n\n"
              for number, (text, start, end) in enumerate(_timed_cues(timings, cues), 1)]
    return "".join(blocks)


def _vtt(timings: Timings, cues: str) -> str:
    """WebVTT, in which three characters must be escaped."""
    blocks = ["WEBVTT\n\n"]
    for text, start, end in _timed_cues(timings, cues):
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n{escaped}\n\n")
    return "".join(blocks)


def _clock(milliseconds: int, point: str) -> str:
    """hh:mm:ss,mmm"""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _timed_cues(timings: Timings, cues: str) -> list[TimedLabel]:
    """Cues with text, in milliseconds, one after another; what lasts less than half of one has none."""
    marks = _pages(timings) if cues == "lines" else getattr(timings, cues)
    timed = []
    for text, start, end in marks:
        text = "\n".join(filter(None, map(_plain, text.split("\n")))) if cues == "lines" else _plain(text)
        first, last = ((sample * 2000 // timings.sample_rate + 1) // 2 for sample in (start, end))
        if text and first < last:
            timed.append(TimedLabel(text, first, last))
    return timed


def _plain(text: str) -> str:
    """On one line, without control characters."""
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())


def _pages(timings: Timings) -> list[TimedLabel]:
    """Sentences cut into subtitles of at most two lines, each from its first word's start to the next one's."""
    word_starts = [word.start for word in timings.words]
    pages = []
    for text, start, end in timings.sentences:
        words = timings.words[bisect_left(word_starts, start):bisect_left(word_starts, end)]
        text = _plain(text)
        lines = _lines(_word_parts(text, words) or [TimedLabel(text, start, end)])
        cut = [lines[i:i + LINES_OF_A_PAGE] for i in range(0, len(lines), LINES_OF_A_PAGE)]
        edges = [start, *(page[0][0].start for page in cut[1:]), end]
        for i, page in enumerate(cut):
            pages.append(TimedLabel("\n".join("".join(part.text for part in line) for line in page), *edges[i:i + 2]))
    return pages


def _word_parts(text: str, words: Sequence[TimedLabel]) -> list[TimedLabel]:
    """The sentence cut before its words, with all its punctuation; the words alone where they are not as written."""
    lowered = text.lower() if len(text.lower()) == len(text) else text  # some capitals become two letters
    cuts = []
    place = 0
    for word in words:
        spoken = _plain(word.text).lower()
        found = lowered.find(spoken, place)
        if found < 0:  # "Dr." is spoken as "doctor"
            return [TimedLabel(_plain(word.text) + " ", word.start, word.end) for word in words]
        cuts.append(text.rfind(" ", place, found) + 1 or found)  # an opening quote goes with what it opens
        place = found + len(spoken)
    edges = [0, *cuts[1:], len(text)]
    return [TimedLabel(text[edges[i]:edges[i + 1]], word.start, word.end) for i, word in enumerate(words)]


def _lines(parts: Sequence[TimedLabel]) -> list[list[TimedLabel]]:
    """Parts on the fewest lines, of about equal length: the narrowest subtitle that needs no more."""
    fewest = _broken(parts, LINE_LENGTH)
    return next(lines for width in range(LINE_LENGTH + 1)
                if len(lines := _broken(parts, width)) == len(fewest))


def _broken(parts: Sequence[TimedLabel], width: int) -> list[list[TimedLabel]]:
    """Parts on lines of so many characters; a longer part has a line for itself."""
    lines: list[list[TimedLabel]] = []
    length = 0
    for part in parts:
        if lines and length + len(part.text.rstrip()) <= width:
            lines[-1].append(part)
        else:
            lines.append([part])
            length = 0
        length += len(part.text)
    return lines


def _textgrid(timings: Timings, cues: str) -> str:
    """Praat's long text format, which has no empty intervals, so what lasts 0 samples is left out."""
    if not timings.n_samples:
        raise ValueError("a .TextGrid of 0 samples cannot be; expected audio of one sample or more")
    end = _seconds(timings.n_samples, timings.sample_rate)
    points = _points(timings)
    tiers = [_interval_tier(tier, getattr(timings, tier), timings) for tier in ("symbols", "words", "sentences")]
    tiers += [_point_tier(points, timings)] if points else []
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}", "tiers? <exists>",
            f"size = {len(tiers)}", "item []:"]
    for i, tier in enumerate(tiers, 1):
        head += [f"    item [{i}]:", *(f"        {line}" for line in tier)]
    return "\n".join(head) + "\n"


def _interval_tier(name: str, marks: Sequence[TimedLabel], timings: Timings) -> list[str]:
    """Its lines; empty intervals fill the gaps, because intervals must tile the time."""
    tiles: list[TimedLabel] = []
    end = 0
    for mark in (*marks, TimedLabel("", timings.n_samples, timings.n_samples)):
        tiles += [TimedLabel("", end, mark.start), mark]
        end = mark.end
    tiles = [tile for tile in tiles if tile.end > tile.start]
    lines = ['class = "IntervalTier"', f'name = "{name}"', "xmin = 0",
             f"xmax = {_seconds(timings.n_samples, timings.sample_rate)}", f"intervals: size = {len(tiles)}"]
    for i, tile in enumerate(tiles, 1):
        lines += [f"intervals [{i}]:", f"    xmin = {_seconds(tile.start, timings.sample_rate)}",
                  f"    xmax = {_seconds(tile.end, timings.sample_rate)}", f"    text = {_quoted(tile.text)}"]
    return lines


def _points(timings: Timings) -> dict[int, str]:
    """Bookmarks by sample; Praat has one point a moment, so those of one moment share it."""
    points: dict[int, str] = {}
    for text, start, _ in timings.bookmarks:
        points[start] = f"{points[start]} {text}" if start in points else text
    return points


def _point_tier(points: Mapping[int, str], timings: Timings) -> list[str]:
    lines = ['class = "TextTier"', 'name = "bookmarks"', "xmin = 0",
             f"xmax = {_seconds(timings.n_samples, timings.sample_rate)}", f"points: size = {len(points)}"]
    for i, (sample, text) in enumerate(points.items(), 1):
        lines += [f"points [{i}]:", f"    number = {_seconds(sample, timings.sample_rate)}",
                  f"    mark = {_quoted(text)}"]
    return lines


def _quoted(text: str) -> str:
    return '"' + _plain(text).replace('"', '""') + '"'


def _seconds(sample: int, sample_rate: int) -> str:
    """Seconds to the nanosecond, which identify the sample at every rate."""
    return f"{sample / sample_rate:.9f}"


_WRITERS: dict[str, Callable[[Timings, str], str]] = {
    ".json": _json, ".srt": _srt, ".vtt": _vtt, ".textgrid": _textgrid}
