"""Time-stamped transcripts of long recordings: labels, subtitles and segments as cues of start, end and text.

    cues = read_cues(Path("chapter01.srt"))             # None if the file has no time stamps
    cues, faults = fit_cues(cues, seconds=612.4)

Formats: Audacity's labels, SRT, VTT, SBV, ASS, LRC, STM, the JSON of Whisper and its relatives, Praat's TextGrid,
ELAN's .eaf, tables of start, end and text, and plain text with a clock time before, behind or above each text.
"""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from corpora.filelists import FilelistError
from corpora.tables import ROLE_OF, read_table, value_of

# Most exact first: of several files beside one recording, the first that can be read is used.
ENDINGS = (".textgrid", ".eaf", ".srt", ".vtt", ".sbv", ".ass", ".ssa", ".lrc", ".stm", ".json", ".tsv", ".csv", ".txt",
           ".lab")
_FASTEST = 100  # characters per second; with less time for their text, numbers are part of the text
_OVERLAP = 0.2  # seconds that neighbours may share
_SHORTEST = 0.2  # seconds; if half of the labels are shorter, they are of words or phones
_TIME = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2}(?:[.,]\d+)?)")
_SPELLED_TIME = re.compile(r"(?:(\d+)h ?)?(\d{1,2})m ?(\d{1,2}(?:[.,]\d+)?)s")
_ARROW = re.compile(rf"^\s*({_TIME.pattern})\s*(?:-->|,)\s*({_TIME.pattern})")  # the comma is SBV's
_MOMENT = r"(?:\d+:)?\d{1,2}:\d{2}(?:[.,]\d+)?|-?\d+(?:[.,]\d+)?"
_LABEL = re.compile(rf"^\[?(?P<start>{_MOMENT})(?:\s*-+>?\s*|[\t ]+)(?P<end>{_MOMENT})\]?:?(?:[\t ]+(?P<text>.*))?$")
_CLOCK = (rf"(?:(?:\d+:)?\d{{1,2}}:\d{{2}}(?:[.,]\d+)?|{re.sub('[(](?![?])', '(?:', _SPELLED_TIME.pattern)}"
          r"|\d+\.\d{1,3}|\d+(?=s))")
_START = re.compile(rf"^(?P<bracket>[\[(<{{])?(?P<start>{_CLOCK})s?(?(bracket)[\])>}}]|(?=[\s:|,;–—-]|$))(?!:\d)"
                    r"[\s:|]*(?:[-–—]\s+)?(?P<text>.*)$")
_BEHIND = re.compile(rf"(?:\s|(?P<bracket>[\[(<{{]))(?P<start>{_CLOCK})s?(?(bracket)[\])>}}])$")
_LONGEST_STAMP = 30  # characters
_NAMED = re.compile(r"(\w[\w.-]*(?: \w[\w.-]*){0,2}):\s+(\S.*)")  # Anna: what she says
_TAG = re.compile(r"\[[A-Za-z#]+:.*\]")  # of LRC: [ar:who]
_IN_TEXT = re.compile(r"(?<![\w:.,])[\[(<{]?\d{1,2}(?::\d{2})+(?:[.,]\d+)?[\])>}]?(?![\w:])|^0 \d{4,} ")
_SMALL_TIERS = re.compile(r"word|wort|ort-?mau|phone|phon|mau|syll|kan|segment", re.IGNORECASE)


class Cue(NamedTuple):
    """A part of a recording with its text."""

    start: float  # seconds
    end: float  # seconds
    text: str
    place: str  # "file:number", for messages
    is_sure: bool = True  # False if the line may be a plain text that begins with numbers
    speaker: str | None = None
    is_clock: bool = False  # written as 0:02, so surely in seconds


def has_clock_times(text: str) -> bool:
    """Whether a text looks like a transcript: a clock time at an end or in brackets, or several of them."""
    found = list(_IN_TEXT.finditer(text))
    if not found:
        return False
    is_from_zero = not found[0][0].strip("0:.")
    return (found[0].start() == 0 or found[-1].end() == len(text.rstrip()) or len(found) > (1 if is_from_zero else 2)
            or any(match[0][0] in "[(<{" for match in found))


def read_cues(path: Path) -> list[Cue] | None:
    """Cues of a transcript that have a text; None if it has no time stamps.

    Times that are plain numbers have an unknown unit, which `fit_cues` finds.

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


def fit_cues(cues: Sequence[Cue], seconds: float, rate: int = 16000) -> tuple[list[Cue], list[tuple[str, str]]]:
    """Convert the times of cues to seconds of a recording; returns the valid ones, and (place, found) of the others.

    Whole numbers beyond the recording's end are milliseconds, samples at its rate, or the 100 ns of HTK's labels. Both
    lists are empty if cues that are not sure do not fit the recording: their file is then a plain text.
    """
    last = max(cue.start if math.isinf(cue.end) else cue.end for cue in cues)
    known = (1.0,) if any(cue.is_clock for cue in cues) else (1.0, 1e-3, 1 / rate, 1e-7)
    units = [unit for unit in known if last * unit <= 1.02 * seconds + 1]
    are_sure = all(cue.is_sure for cue in cues)
    unit = next((unit for unit in units if are_sure or _are_plausible(cues, unit, seconds)), None)
    if unit is None and not are_sure:
        return [], []
    if unit is None:
        return [], [(cues[0].place, f"labels up to {last:g} for a recording of {seconds:.2f} seconds")]
    cues = sorted((cue._replace(start=cue.start * unit, end=min(cue.end * unit, seconds)) for cue in cues),
                  key=lambda cue: (cue.start, cue.end))
    lengths = sorted(cue.end - cue.start for cue in cues)
    if len(cues) > 3 and lengths[len(cues) // 2] < _SHORTEST:
        return [], [(cues[0].place, f"labels of {lengths[len(cues) // 2]:.3f} seconds, too short for utterances")]
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


def _are_plausible(cues: Sequence[Cue], unit: float, seconds: float) -> bool:
    """Whether the times are long enough for the texts; a single cue must last as long as the recording."""
    spans = [min(cue.end * unit, seconds) - cue.start * unit for cue in cues]
    is_time_enough = sum(len(cue.text) for cue in cues) <= _FASTEST * sum(spans)
    return is_time_enough and (len(cues) > 1 or spans[0] >= 0.9 * seconds)


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
    """SRT, VTT and SBV: a line of times, then lines of text until an empty one."""
    times, place, lines = None, "", []
    for number, line in enumerate([*_decoded(path).split("\n"), ""], start=1):
        arrow = _ARROW.match(line)
        if arrow or not line.strip():
            if times:
                yield Cue(*times, re.sub(r"<[^>]*>|\{\\[^}]*\}", "", " ".join(lines)), place, is_clock=True)
            times, place, lines = None, f"{path}:{number}", []
        if arrow:
            times = (_seconds(*arrow.group(2, 3, 4)), _seconds(*arrow.group(6, 7, 8)))
        elif times:
            lines.append(line)


class _Stamp(NamedTuple):
    """A line with a time, and the following lines without one."""

    start: float
    end: float  # infinite if the line has only a start
    own: str  # the rest of the line
    is_sure: bool
    place: str
    lines: list[str]
    is_clock: bool


def _labels(path: Path) -> Iterator[Cue]:
    """Audacity's labels: start, end and text on each line; a line with a backslash has frequencies, and is skipped.

    Also with an arrow between the times, as Whisper prints them, or with only a start, valid until the next: at the
    line's beginning or end, or above the text, perhaps with the speaker's name.
    """
    stamps: list[_Stamp] = []
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith(("\\", "#")) or _TAG.fullmatch(line):
            continue
        stamp = _stamp(line, f"{path}:{number}")
        if stamp is not None:
            stamps.append(stamp)
        elif not stamps:
            return  # a plain text
        elif stamps[-1].own and not math.isinf(stamps[-1].end):
            if len(stamps) > 1 and all(stamp.is_sure for stamp in stamps):
                raise FilelistError([f"{path}:{number}: found a line without times, expected times as in those before"])
            return
        else:
            stamps[-1].lines.append(line)
    yield from _cues_of(stamps)


def _stamp(line: str, place: str) -> _Stamp | None:
    """The time of a line and the rest of it; None without a time."""
    label = _LABEL.match(line)
    if label is not None:
        is_exact = bool(re.search(r"\t|-->|[.,]\d{3}", line[:label.end("end")]))
        return _Stamp(_number(label["start"]), _number(label["end"]), label["text"] or "", is_exact, place, [],
                      ":" in label["start"])
    label = _START.match(line) or _BEHIND.search(line, max(0, len(line) - _LONGEST_STAMP))
    if label is None:
        return None
    own = label["text"] if label.re is _START else line[:label.start()].strip()
    is_clock = ":" in label["start"] or "m" in label["start"]
    is_sure = is_clock and (bool(label["bracket"]) or "m" in label["start"])
    return _Stamp(_number(label["start"]), math.inf, own, is_sure, place, [], is_clock)


def _cues_of(stamps: Sequence[_Stamp]) -> Iterator[Cue]:
    """Cues of the stamps, none if they are plain text, such as "12 30 people came" or "10:30 is too late"."""
    are_sure = all(stamp.is_sure for stamp in stamps)
    is_rising = all(one.start <= two.start for one, two in zip(stamps, stamps[1:]))
    if len(stamps) == 1:
        [stamp] = stamps
        is_clock = math.isinf(stamp.end)
        if stamp.start != 0 if is_clock else not are_sure and (stamp.start != 0 or stamp.end % 1):
            return
        if is_clock and not are_sure and stamp.own:
            return
    elif not are_sure and (not is_rising or not stamps[0].is_clock and math.isinf(stamps[0].end) and stamps[0].start):
        return
    own = [stamp.own for stamp in stamps]
    are_speakers = all(stamp.lines for stamp in stamps) and not any(
        len(name.split()) > 4 or name.endswith((".", "?", "!")) for name in own)
    named = [_NAMED.match(name) for name in own]
    ends = [stamp.start for stamp in stamps[1:]] + [math.inf]
    for stamp, end, name in zip(stamps, ends, named):
        speaker, text = (stamp.own.strip(" :"), []) if are_speakers else \
            name.groups() if len(named) > 1 and all(named) else ("", stamp.own)
        lines = stamp.lines if are_speakers else [text, *stamp.lines]
        yield Cue(stamp.start, end if math.isinf(stamp.end) else stamp.end, " ".join(lines), stamp.place, are_sure,
                  speaker or None, stamp.is_clock)


def _plain(path: Path) -> Iterator[Cue]:
    """A text file that may hold labels, or subtitles under another name."""
    is_subtitle = any(_ARROW.match(line) and not _LABEL.match(line.strip())["text"]
                      for line in _decoded(path).split("\n"))
    return _subtitles(path) if is_subtitle else _labels(path)


def _json(path: Path) -> Iterator[Cue]:
    """A list of objects with a text and its times: Whisper's segments, Hugging Face's chunks, aeneas's fragments.

    A few of its objects may have no times, as the punctuation of Amazon Transcribe.
    """
    try:
        content = json.loads(_decoded(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise FilelistError([f"{path} is not JSON: {error}"]) from None
    for rows in sorted(_object_lists(content, 3), key=len):  # sentences are fewer than words
        timed = [(number, row, times) for number, row in enumerate(rows) for times in [_times(row)] if times]
        if 2 * len(timed) > len(rows) and any(_text_in(row) for _, row, _ in timed):
            if any(_text_in(row) for row in rows if not _times(row)):
                yield from _of_words(rows, path)
                return
            for number, row, (start, end) in timed:
                yield Cue(start, end, _text_in(row), f"{path}:segment {number}",
                          speaker=value_of(row, "speaker") or None)
            return


def _of_words(rows: Sequence[dict], path: Path) -> Iterator[Cue]:
    """Cues of sentences from words with times and punctuation without."""
    words, start, end = [], 0.0, 0.0
    for number, row in enumerate(rows):
        times, text = _times(row), _text_in(row)
        if times:
            start, end = (start if words else times[0]), times[1]
            words.append(text)
        elif words:
            words[-1] += text
        if words and (not times and text in (".", "?", "!") or number == len(rows) - 1):
            yield Cue(start, end, " ".join(words), f"{path}:segment {number}")
            words = []


def _object_lists(content: object, deepest: int) -> Iterator[list[dict]]:
    """The lists of objects in a JSON value, and those in its objects."""
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        yield content
    elif isinstance(content, dict) and deepest:
        for value in content.values():
            yield from _object_lists(value, deepest - 1)


def _text_in(row: dict) -> str:
    """The text of a segment, under any of its usual keys; aeneas has `lines`, Amazon and Google `alternatives`."""
    lines, others = row.get("lines"), row.get("alternatives")
    if isinstance(lines, list):
        return " ".join(map(str, lines))
    if isinstance(others, list) and others and isinstance(others[0], dict):
        return value_of(others[0], "text")
    return value_of(row, "text")


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


# Roles of columns without a header. Nine are ELAN's: tier, participant, begin, end and duration, each in two forms.
_OF_WIDTH = {3: ["start", "end", "text"], 4: ["start", "end", "speaker", "text"],
             9: ["-", "-", "start", "-", "end", "-", "-", "-", "text"]}


def _table(path: Path) -> Iterator[Cue]:
    """Columns of start, end or duration, and text, perhaps with a speaker: by the header's names or their number."""
    table = read_table(path)
    roles = [ROLE_OF.get(name) for name in table.header] or _OF_WIDTH.get(table.width, [])
    if not {"start", "text"} <= set(roles) or not {"end", "seconds"} & set(roles):
        return
    for place, row in table.rows:
        cells = dict(zip(reversed(roles), reversed(row + [""] * (len(roles) - len(row)))))  # first of equal roles
        start, end = _number(cells["start"]), _number(cells.get("end", cells.get("seconds")))
        if start is None or end is None:
            return
        yield Cue(start, end if "end" in cells else start + end, cells["text"], place,
                  speaker=cells.get("speaker") or None)


def _number(cell: str) -> float | None:
    clock = _TIME.fullmatch(cell) or _SPELLED_TIME.fullmatch(cell)
    if clock:
        return _seconds(*clock.groups())
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def _text_grid(path: Path) -> Iterator[Cue]:
    """Praat's TextGrid, long or short form: the tier of sentences, or else the tier of words as one cue."""
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
    """The tier of utterances: the one with the fewest intervals, tiers of words and phones aside."""
    filled = {name: [cue for cue in cues if cue.text.strip()] for name, cues in tiers.items()}
    large = [cues for name, cues in filled.items() if cues and not _SMALL_TIERS.search(name)]
    if large:
        return min(large, key=len)
    words = next((cues for name, cues in filled.items() if cues and re.search("wor[dt]|ort", name, re.IGNORECASE)), [])
    return [words[0]._replace(end=words[-1].end, text=" ".join(cue.text for cue in words))] if words else []


def _elan(path: Path) -> Iterator[Cue]:
    """ELAN's .eaf: the annotations that are aligned to times."""
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


def _sub_station(path: Path) -> Iterator[Cue]:
    """ASS and SSA: dialogue lines of layer, start, end, style, name, three margins, effect and text."""
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        cells = line.strip().partition("Dialogue:")[2].split(",", 9)
        if len(cells) == 10:
            start, end = (_number(cell.strip()) for cell in cells[1:3])
            text = re.sub(r"\{[^}]*\}", "", re.sub(r"\\[Nnh]", " ", cells[9]))
            yield Cue(start, end, text, f"{path}:{number}", speaker=cells[4].strip() or None, is_clock=True)


def _stm(path: Path) -> Iterator[Cue]:
    """NIST's STM: recording, channel, speaker, start, end, perhaps <labels>, and the text."""
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        cells = line.split(None, 5)
        if len(cells) == 6 and not line.startswith(";;"):
            yield Cue(float(cells[3]), float(cells[4]), re.sub(r"^<\S*>\s*", "", cells[5]), f"{path}:{number}",
                      speaker=cells[2])


_READERS: dict[str, Callable[[Path], Iterator[Cue]]] = {
    ".textgrid": _text_grid, ".eaf": _elan, ".srt": _subtitles, ".vtt": _subtitles, ".sbv": _subtitles,
    ".ass": _sub_station, ".ssa": _sub_station, ".lrc": _plain, ".stm": _stm, ".json": _json, ".tsv": _table,
    ".csv": _table, ".txt": _plain, ".lab": _plain}
