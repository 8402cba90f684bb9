"""Time-stamped transcripts beside a long recording: labels, subtitles and segments, with the text of each.

    cues = read_cues(Path("chapter01.srt"))             # None where the file holds no time stamps
    cues, faults = fitted(cues, seconds=612.4)

Read are Audacity's labels, SRT, VTT, the JSON of Whisper and its relatives, Praat's TextGrid, ELAN's .eaf, and tables
of start, end and text.
"""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from corpora.tables import ROLE_OF, read_table, value_of
from corpus import FilelistError

# Most exact first: where several lie beside one recording, the first that can be read counts.
ENDINGS = (".TextGrid", ".textgrid", ".eaf", ".srt", ".vtt", ".json", ".tsv", ".csv", ".txt", ".lab")
_UNITS = (1.0, 1e-3, 1e-7)  # seconds; milliseconds of tables; the 100 ns of HTK's labels
_OVERLAP = 0.2  # seconds that neighbours may share
_SHORTEST = 0.2  # seconds; labels half of which are shorter are of words or sounds
_TIME = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2}(?:[.,]\d+)?)")
_ARROW = re.compile(rf"^\s*({_TIME.pattern})\s*-->\s*({_TIME.pattern})")
_MOMENT = r"(?:\d+:)?\d{1,2}:\d{2}(?:[.,]\d+)?|-?\d+(?:[.,]\d+)?"
_LABEL = re.compile(rf"^\[?(?P<start>{_MOMENT})(?:\s*-+>?\s*|[\t ]+)(?P<end>{_MOMENT})\]?:?(?:[\t ]+(?P<text>.*))?$")
_START = re.compile(r"^(?P<bracket>\[)?(?P<start>(?:\d+:)?\d{1,2}:\d{2}(?:[.,]\d+)?)(?(bracket)\])[\t :]+(?P<text>.*)$")
_SMALL_TIERS = re.compile(r"word|wort|ort-?mau|phone|phon|mau|syll|kan|segment", re.IGNORECASE)


class Cue(NamedTuple):
    """What is said in a stretch of a recording."""

    start: float  # seconds
    end: float  # seconds
    text: str
    place: str  # "file:number", for messages


def read_cues(path: Path) -> list[Cue] | None:
    """The stretches of a transcript that have a text; None if it has no time stamps.

    Times of numbers alone are as they are written: `fitted` finds their unit.

    Raises:
        FilelistError: it is not UTF-8 or UTF-16, or is damaged.
    """
    try:
        found = [cue._replace(start=float(cue.start), end=float(cue.end), text=" ".join(str(cue.text).split()))
                 for cue in _READERS[path.suffix.lower()](path)]
    except FilelistError:
        raise
    except (ValueError, TypeError, IndexError, OverflowError) as error:  # damaged, or another kind under this ending
        raise FilelistError([f"{path} cannot be read as a transcript with times: {error}"]) from None
    odd = next((cue for cue in found if math.isnan(cue.start + cue.end) or cue.start < 0), None)
    if odd is not None:
        raise FilelistError([f"{odd.place}: found times {odd.start:g} to {odd.end:g}; expected seconds from 0 on"])
    return [cue for cue in found if cue.text] or ([] if found else None)


def fitted(cues: Sequence[Cue], seconds: float) -> tuple[list[Cue], list[tuple[str, str]]]:
    """The cues in seconds of a recording of that length, and what is wrong: (place, what was found).

    Whole numbers beyond the recording's end are milliseconds or 100 ns.
    """
    last = max(cue.start if math.isinf(cue.end) else cue.end for cue in cues)
    unit = next((unit for unit in _UNITS if last * unit <= 1.02 * seconds + 1), None)
    if unit is None:
        return [], [(cues[0].place, f"labels up to {last:g} for a recording of {seconds:.2f} seconds")]
    cues = sorted((cue._replace(start=cue.start * unit, end=min(cue.end * unit, seconds)) for cue in cues),
                  key=lambda cue: (cue.start, cue.end))
    lengths = sorted(cue.end - cue.start for cue in cues)
    if len(cues) > 3 and lengths[len(cues) // 2] < _SHORTEST:
        return [], [(cues[0].place, f"labels of {lengths[len(cues) // 2]:.3f} seconds, which are words or sounds")]
    good, faults, before = [], [], 0.0
    for cue in cues:
        if cue.end <= cue.start:
            faults.append((cue.place, f"a label from {cue.start:.3f} to {cue.end:.3f} seconds"))
        elif cue.start < before - _OVERLAP:
            faults.append((cue.place, f"a label from {cue.start:.3f} seconds on, where the one before it lasts until "
                           f"{before:.3f}"))
        else:
            good.append(cue)
            before = max(before, cue.end)
    return good, faults


def _decoded(path: Path) -> str:
    """A text file in UTF-8, or in the UTF-16 that Praat writes."""
    content = path.read_bytes()
    try:
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise FilelistError([f"{path}:{number}: byte {content[error.start]:#04x} is not UTF-8; "
                             "save the file as UTF-8"]) from None


def _seconds(hours: str | None, minutes: str, seconds: str) -> float:
    return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))


def _subtitles(path: Path) -> Iterator[Cue]:
    """SRT and VTT: a line of times, then lines of text until an empty one."""
    times, place, lines = None, "", []
    for number, line in enumerate([*_decoded(path).split("\n"), ""], start=1):
        arrow = _ARROW.match(line)
        if arrow or not line.strip():
            if times:
                yield Cue(*times, re.sub(r"<[^>]*>|\{\\[^}]*\}", "", " ".join(lines)), place)
            times, place, lines = None, f"{path}:{number}", []
        if arrow:
            times = (_seconds(*arrow.group(2, 3, 4)), _seconds(*arrow.group(6, 7, 8)))
        elif times:
            lines.append(line)


def _labels(path: Path) -> Iterator[Cue]:
    """Audacity's: start, end and text on each line; a line with a backslash has the frequencies of the one before.

    Also with an arrow between the times, as Whisper prints them, or with a start alone, which lasts until the next.
    """
    cues, are_exact = [], True
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith(("\\", "#")):
            continue
        label = _LABEL.match(line) or _START.match(line)
        if label is None:
            if are_exact and len(cues) > 1:
                raise FilelistError([f"{path}:{number}: found no times, which the lines before it have"])
            return  # a text
        start, end = _number(label["start"]), label.groupdict().get("end")
        are_exact = are_exact and bool(re.search(r"\t|-->|[.,]\d{3}", line[:label.end("end")] if end else ""))
        cues.append(Cue(start, math.inf if end is None else _number(end), label["text"] or "", f"{path}:{number}"))
    if are_exact or len(cues) > 1:  # "12 30 people came" is a sentence, and so is "10:30 is too late"
        ends = [cue.start for cue in cues[1:]] + [math.inf]
        yield from (cue._replace(end=min(cue.end, end)) if math.isinf(cue.end) else cue for cue, end in zip(cues, ends))


def _plain(path: Path) -> Iterator[Cue]:
    """A text file that may hold labels, or subtitles under another name."""
    is_subtitle = any(_ARROW.match(line) and not _LABEL.match(line.strip())["text"]
                      for line in _decoded(path).split("\n"))
    return _subtitles(path) if is_subtitle else _labels(path)


def _json(path: Path) -> Iterator[Cue]:
    """The first list of objects with a text and its times: Whisper's segments, whisper.cpp's, Hugging Face's chunks."""
    try:
        content = json.loads(_decoded(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise FilelistError([f"{path} is not JSON: {error}"]) from None
    lists = content.values() if isinstance(content, dict) else [content]
    for rows in lists:
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            times = [_times(row) for row in rows]
            if all(times):
                for number, (row, (start, end)) in enumerate(zip(rows, times)):
                    yield Cue(start, end, str(row.get("text", "")), f"{path}:segment {number}")
                return


def _times(row: dict) -> tuple[float, float] | None:
    offsets = row.get("offsets")
    if isinstance(offsets, dict):  # milliseconds
        start, end = (offsets.get(name) for name in ("from", "to"))
        scale = 1e-3
    else:
        pair = row.get("timestamp")
        is_pair = isinstance(pair, list) and len(pair) == 2
        start, end = pair if is_pair else (value_of(row, "start"), value_of(row, "end"))
        scale = 1.0
    try:
        return scale * float(start), scale * float(end)
    except (TypeError, ValueError):
        return None


def _table(path: Path) -> Iterator[Cue]:
    """Columns of start, end and text: by the header's names, or the last two times and the text behind them."""
    table = read_table(path)
    names = [ROLE_OF.get(name) for name in table.header]
    for place, row in table.rows:
        if {"start", "end", "text"} <= set(names):
            cells = [(row + [""] * len(names))[names.index(role)] for role in ("start", "end", "text")]
        elif len(row) == 3:
            cells = row
        elif len(row) == 9:  # ELAN's: tier, participant, begin, end and duration, each in two forms, and the text
            cells = [row[2], row[4], row[8]]
        else:
            return
        start, end = map(_number, cells[:2])
        if start is None or end is None:
            return
        yield Cue(start, end, cells[2], place)


def _number(cell: str) -> float | None:
    clock = _TIME.fullmatch(cell)
    if clock:
        return _seconds(*clock.groups())
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def _text_grid(path: Path) -> Iterator[Cue]:
    """Praat's interval tiers, in its long and its short form; the tier of sentences, or else of words, as one cue."""
    tokens = re.findall(r'"((?:[^"]|"")*)"|(?<![\w\[])(-?\d+(?:\.\d+)?)(?![\w\]])', re.sub(
        r"(?m)^\s*(?:item|intervals|points)\s*\[\d*\]:?", "", _decoded(path)))
    values = [text.replace('""', '"') if not number else float(number) for text, number in tokens]
    tiers: dict[str, list[Cue]] = {}
    for place in (place for place, value in enumerate(values) if value == "IntervalTier"):
        name, _, _, count = values[place + 1:place + 5]
        body = values[place + 5:place + 5 + 3 * int(count)]
        tiers[str(name)] = [Cue(*interval, f"{path}:{name} {number}") for number, interval in
                            enumerate(zip(body[::3], body[1::3], map(str, body[2::3])), start=1)]
    yield from _sentences(tiers)


def _sentences(tiers: dict[str, list[Cue]]) -> list[Cue]:
    """The tier of whole utterances: not one of words or sounds, and the one with the fewest stretches among others."""
    filled = {name: [cue for cue in cues if cue.text.strip()] for name, cues in tiers.items()}
    large = [cues for name, cues in filled.items() if cues and not _SMALL_TIERS.search(name)]
    if large:
        return min(large, key=len)
    words = next((cues for name, cues in filled.items() if cues and re.search("wor[dt]|ort", name, re.IGNORECASE)), [])
    return [words[0]._replace(end=words[-1].end, text=" ".join(cue.text for cue in words))] if words else []


def _elan(path: Path) -> Iterator[Cue]:
    """The annotations of an .eaf that have times of their own."""
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        raise FilelistError([f"{path} is not XML: {error}"]) from None
    times = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", -1)) / 1000 for slot in root.iter("TIME_SLOT")}
    tiers = {}
    for tier in root.iter("TIER"):
        name = tier.get("TIER_ID", "")
        tiers[name] = [Cue(times.get(each.get("TIME_SLOT_REF1"), -1.0), times.get(each.get("TIME_SLOT_REF2"), -1.0),
                           each.findtext("ANNOTATION_VALUE") or "", f"{path}:{name} {number}")
                       for number, each in enumerate(tier.iter("ALIGNABLE_ANNOTATION"), start=1)]
    yield from _sentences(tiers)


_READERS: dict[str, Callable[[Path], Iterator[Cue]]] = {
    ".textgrid": _text_grid, ".eaf": _elan, ".srt": _subtitles, ".vtt": _subtitles, ".json": _json, ".tsv": _table,
    ".csv": _table, ".txt": _plain, ".lab": _plain}
