"""Recognisers of dates, times of day, durations and ranges of them."""

from __future__ import annotations

import re

from text.normalisation.numbers import before
from text.normalisation.patterns import DASH, END, START, Patterns, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Date, Range, Time, Value, Words, Year

_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?:[12]\d{3})"
_ISO_TIME = r"(?:[01]\d|2[0-4]):[0-5]\d"
MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _numeric_pattern(p: Patterns) -> str:
    return (rf"{START}(?:(?P<year>{_YEAR})(?P<ysign>[-/.])(?P<m>\d{{1,2}})(?P=ysign)(?P<d>\d{{1,2}})|"
            rf"(?P<a>\d{{1,2}})(?P<sign>[-/.])\s?(?P<b>\d{{1,2}})(?P=sign)\s?(?P<y>{_YEAR}|\d\d))(?!\w(?<!T)|T(?!{_ISO_TIME}))(?![-/]\d)(?!\.\d)")


def _numeric(match: re.Match, p: Patterns) -> Value | None:
    if match["year"]:
        return _checked(match["year"], int(match["m"]), int(match["d"]), False, match, p)
    first, second = int(match["a"]), int(match["b"])
    order = "dmy" if match["sign"] == "." else p.language.date_order
    if len(match["y"]) == 2 and (match["sign"] == "." or len(match["a"]) < 2) and order == "mdy":
        return None if match["sign"] == "." else _checked(match["y"], first, second, False, match, p)
    if order == "mdy" and first <= 12:
        return _checked(match["y"], first, second, False, match, p)
    return _checked(match["y"], second, first, True, match, p) or (
        _checked(match["y"], first, second, False, match, p) if match["sign"] != "." else None)


def _checked(year: str, month: int, day: int, day_first: bool, match: re.Match, p: Patterns) -> Date | None:
    if not (1 <= month <= 12 and 1 <= day <= max(30, MONTH_DAYS[month - 1])):
        return None
    return Date(year, month, day, "", day_first, before(match, p.language.between_days), named=False)


def _day_month_pattern(p: Patterns) -> str:
    words = p.language
    of = rf"(?:{words.date_of}\s)?" if words.date_of else ""
    day = rf"(?:(?P<first>{_DAY})(?:{words.day_mark}){DASH})?(?P<day>{_DAY})(?:{words.day_mark})"
    return (rf"(?=\d)(?<![\w.,:/])(?<![-–]){day}[-\s]?{of}(?P<month>{p.month})"
            rf"(?:,?[-\s]{of}(?P<year>{_YEAR})|\s?['’](?P<short>\d\d))?{END}(?![:.,]\d)")


def _day_month(match: re.Match, p: Patterns) -> Value | None:
    name = match["month"]
    if name.islower() and name in p.language.month_words and not (match["year"] or _at_end(match)):
        return None
    date = Date(match["year"] or match["short"] or "", p.language.month_numbers[name.lower().rstrip(".")],
                int(match["day"]), "", True, before(match, p.language.between_days))
    if match["first"]:
        return Range(Date(day=int(match["first"]), day_first=True, before=date.before),
                     date)
    return date


def _at_end(match: re.Match) -> bool:
    return re.match(r"\s*(?:[.,;:!?)\"”]|$)", match.string[match.end():match.end() + 10]) is not None


def _month_day_pattern(p: Patterns) -> str | None:
    if "mdy" != p.language.date_order:
        return None
    return (rf"(?<![\w.,])(?P<month>{p.month})[-\s]\s?(?P<day>{_DAY})(?:{p.language.day_mark})(?!\d)"
            rf"(?:{DASH}(?P<last>{_DAY})(?:{p.language.day_mark}))?"
            rf"(?:,?[-\s](?P<year>{_YEAR}))?{END}(?![:./%]\d)(?!\s?[ap]\.?m)")


def _month_day(match: re.Match, p: Patterns) -> Value | None:
    name = match["month"]
    if name in p.language.month_words and not (match["year"] or _at_end(match)):
        return None
    date = Date(match["year"] or "", p.language.month_numbers[name.lower().rstrip(".")], int(match["day"]))
    if match["last"]:
        return Range(date._replace(year=""), date._replace(month=0, day=int(match["last"])))
    return date


def _month_year_pattern(p: Patterns) -> str:
    of = rf"(?:{p.language.date_of}\s)?" if p.language.date_of else ""
    return rf"(?<![\w.,])(?P<month>{p.month})[,\s]\s?{of}(?P<year>{_YEAR}){END}(?![.,:]\d)"


def _month_year(match: re.Match, p: Patterns) -> Value | None:
    return Date(match["year"], p.language.month_numbers[match["month"].lower().rstrip(".")])


def _era(match: re.Match, p: Patterns) -> Value | None:
    return Year(match["year"], era=p.language.eras[re.sub(r"[\s.]", "", match["era"]).lower()])


def _time_piece(p: Patterns, number: str = "") -> str:
    """A time with groups h, m, s, half and zone, each with that number behind its name."""
    n, words = number, p.language
    half = rf"(?:\s?(?P<half{n}>(?i:[ap])(?:\.\s?(?i:m)\.?|(?i:m))(?!\w)))"
    clock = rf"(?P<h{n}>[01]?\d|2[0-4])"
    exact = rf"(?P<m{n}>[0-5]\d)(?::(?P<s{n}>[0-5]\d))?(?![\d:])"
    mark = rf"(?:\s?(?P<mark{n}>{words.time_mark})(?!\w))"
    pieces = [rf"{clock}(?::{exact}){half}?{mark}?"]
    if words.twelve_hours:
        pieces += [rf"(?P<h1{n}>1[0-2]|0?[1-9])(?:\.(?P<m1{n}>[0-5]\d))?{half.replace('half', 'half1')}"]
    if words.time_mark:
        pieces += [rf"(?P<h2{n}>[01]?\d|2[0-4])(?:\.(?P<m2{n}>[0-5]\d))?{mark.replace('mark', 'mark2')}"]
    return "(?:" + "|".join(pieces) + ")"


def _time_of(match: re.Match, number: str = "") -> Time:
    found = match.groupdict()

    def group(*names: str) -> str:
        return next((found[name + number] for name in names if found.get(name + number)), "")

    minute, second = group("m", "m1", "m2"), group("s")
    half = group("half", "half1")
    return Time(int(group("h", "h1", "h2")), int(minute) if minute else None, int(second) if second else None,
                f"{half[0].upper()}M" if half else "", "", bool(group("mark", "mark2")))


def _time_pattern(p: Patterns) -> str:
    zones = p.language.zones
    pointed = one_of(".".join(zone) for zone in zones)
    zone = rf"(?:\s?(?P<zone>{one_of(zones)}|(?i:{pointed}\.?))(?!\w))?" if zones else "(?P<zone>)"
    return rf"(?=\d)(?<![\w:.,/$€£-])(?<!\d[ ]){_time_piece(p)}{zone}"


def _time(match: re.Match, p: Patterns) -> Value | None:
    zone = (match["zone"] or "").replace(".", "").upper()
    return _time_of(match)._replace(zone=zone)


def _iso_time(match: re.Match, p: Patterns) -> Value | None:
    """2024-05-03T12:30:00Z: the time behind a date."""
    hour, minute = map(int, match["time"].split(":"))
    return Time(hour, minute, int(match["second"] or 0) or None, zone="UTC" if match["zone"] == "Z" else "")


def _time_range_pattern(p: Patterns) -> str:
    bare = r"(?P<bare>[01]?\d|2[0-4])(?:[:.](?P<bare_m>[0-5]\d))?"
    return (rf"(?=\d)(?<![\w:.,/$€£-])(?:(?:{_time_piece(p, '_a')}|{bare})\s?[-–—]\s?{_time_piece(p, '_b')})")


def _time_range(match: re.Match, p: Patterns) -> Value | None:
    last = _time_of(match, "_b")
    if match["bare"]:
        if not (last.half or last.marked or match["bare_m"]):
            return None
        first = Time(int(match["bare"]), int(match["bare_m"]) if match["bare_m"] else None, marked=last.marked)
    else:
        first = _time_of(match, "_a")
    return p.language.time_range(first, last)


def _weekdays(match: re.Match, p: Patterns) -> Value | None:
    names = p.language.weekday_abbreviations
    first, last = (re.sub(r"\W", "", match[group] or "").lower() for group in ("first", "last"))
    if not last and (match[0][0].islower()
                     or (first in p.language.month_words and match.string[match.end():match.end() + 1] != ",")):
        return None
    if not last:
        return Words(names[first])
    return Words(p.language.weekday_range(names[first], names[last]) if not match["word"] else
                 f"{names[first]} {match['word']} {names[last]}")


def _weekday_pattern(p: Patterns) -> str | None:
    if not p.language.weekday_abbreviations:
        return None
    name = rf"(?i:{one_of(p.language.weekday_abbreviations)})"
    joint = r"(?:\s?[-–—]\s?|\s(?P<word>au|al|a|à|tot|bis|till|do)\s)"
    return (rf"(?<![\w.])(?P<first>{name})(?:\.?{joint}(?P<last>{name})(?!\w)\.?|"
            r"\.(?=,?\s?[\w\ue001]|$))")


def _decade(match: re.Match, p: Patterns) -> Value | None:
    said = p.language.say(Year(match["digits"] or match["years"], decade=True))
    return Words(f"mid {said}" if match[0].startswith("mid-") else said)


DATES = (
    Recogniser("date",
               lambda p: rf"(?<![\w.,])(?:(?:mid-|['’])?(?P<digits>\d{{2}})['’]?|(?P<years>1\d{{3}}|20\d\d)['’]?\s?)"
               rf"{p.language.decade_mark}{END}" if p.language.decade_mark else None, _decade),
    Recogniser("date", _numeric_pattern, _numeric),
    Recogniser("date", _day_month_pattern, _day_month),
    Recogniser("date", _month_day_pattern, _month_day),
    Recogniser("date", _month_year_pattern, _month_year),
    Recogniser("date", lambda p: rf"{START}(?P<year>\d{{1,4}})\s?(?P<era>{p.language.era_mark}){END}\.?"
               if p.language.era_mark else None, _era),
    Recogniser("range", _weekday_pattern, _weekdays, has_digits=False),
)
TIMES = (
    Recogniser("time", lambda p: rf"(?<=\ue001)T(?P<time>{_ISO_TIME})(?::(?P<second>[0-5]\d)(?:\.\d{{1,9}})?)?"
               rf"(?P<zone>Z|[+-]\d\d:?\d\d)?(?!\w)", _iso_time, needs=r"\dT\d"),
    Recogniser("range", _time_range_pattern, _time_range),
    Recogniser("time", _time_pattern, _time),
)
