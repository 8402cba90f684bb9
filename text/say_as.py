"""Expansion of <say-as>: a number, date or code as it is written -> the words that say it.

    respelled("21", "ordinal")                    # "twenty first"
    respelled("2024-03-05", "date")               # "march fifth, twenty twenty four"

The words are those of `text.normalisation`, in every language that has data there. For others only what needs no words
is possible: letters and digits are parted, so that espeak-ng names them one by one, and cardinal numbers stay.
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Callable

from text.normalisation import described_languages, language_of
from text.normalisation.language import SPELLED, Language
from text.normalisation.patterns import Patterns, one_of
from text.normalisation.values import Date, Fraction, Money, Time, Value
from text.prosody import nearest_hint

DATE_FORMATS = ("mdy", "dmy", "ymd", "md", "dm", "my", "ym", "y")
TIME_FORMATS = ("hms12", "hms24")


def respelled(text: str, interpret_as: str, format: str | None = None, language: str = "en-us") -> str:
    """The words that say `text` in the way that is asked for.

    Args:
        text: what stands in the element.
        interpret_as: a key of INTERPRETATIONS.
        format: the order of a date's fields (DATE_FORMATS, or written out as yyyy-mm-dd), or the clock of a time
            (TIME_FORMATS).
        language: espeak-ng's name of the language of the voice.

    Raises:
        ValueError: an unknown interpretation or format, one that this language has no words for, or a text that is
            nothing of the kind.
    """
    if interpret_as not in INTERPRETATIONS:
        raise ValueError(f"interpret-as={interpret_as!r} is not known; {nearest_hint(interpret_as, INTERPRETATIONS)}"
                         f"there are {', '.join(INTERPRETATIONS)}; for anything else write the words with "
                         "<sub alias='...'>")
    if format and interpret_as not in ("date", "time"):
        raise ValueError(f"format={format!r} has no meaning with interpret-as={interpret_as!r}, only with date and "
                         "time; remove it")
    known = language_of(language)
    say, say_elsewhere = INTERPRETATIONS[interpret_as]
    if known is None and say_elsewhere is None:
        raise ValueError(f"interpret-as={interpret_as!r} is written out in {', '.join(described_languages())} only, "
                         f"and the voice's language is {language!r}; write the words with <sub alias='...'>")
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if known is None:
        return say_elsewhere(text)
    ascii_digits = "".join(str(unicodedata.decimal(symbol)) if symbol.isdecimal() else symbol for symbol in text)
    return say(ascii_digits, known, format) if interpret_as in ("date", "time") else say(ascii_digits, known)


def _said(value: Value, language: Language) -> str:
    """The words of a value, plain: letters parted by spaces, English in lower case as its older cleaners write it."""
    words = re.sub(rf"{SPELLED}(\w+)", lambda match: " ".join(match[1].lower()), language.say(value))
    return words.lower() if language.code == "en" else words


def _characters(text: str, language: Language) -> str:
    """Every character by its name. Commas part them, else an a before a word is taken for the article."""
    names = [language.words.get(character) or (character.lower() if character.isalpha() else
             language.cardinal(int(character)) if character.isdecimal() else
             unicodedata.name(character, "").lower() if language.code == "en" else character)
             for character in text if not character.isspace()]
    return _something(", ".join(filter(None, names)), "a letter, digit or sign", text)


def _characters_elsewhere(text: str) -> str:
    """Signs stay signs: their names are words, which we have in English only."""
    return _something(", ".join(text.replace(" ", "")), "a letter, digit or sign", text)


def _cardinal(text: str, language: Language) -> str:
    """A number, as a year never is: 1999 is one thousand nine hundred ninety nine."""
    patterns = Patterns(language)
    match = _match(rf"([+−-]?)({patterns.number})", text, "a number such as 1234, -5 or 3.14")
    words = _said(patterns.read(match[2], match[1] in ("-", "−")), language)
    return f"{language.words['plus']} {words}" if match[1] == "+" else words


def _cardinal_elsewhere(text: str) -> str:
    return _match(r"[+−-]?\d+(?:[.,]\d+)*", text, "a number such as 1234")[0]


def _ordinal(text: str, language: Language) -> str:
    mark = language.ordinal_mark or r"\."
    digits = _match(rf"(\d{{1,9}}|\d{{1,3}}(?:[{re.escape(language.group_marks)}]\d{{3}}){{1,2}})(?:{mark})?", text,
                    "a whole number below a billion, such as 21 or 21st")[1]
    return language.ordinal(int("".join(filter(str.isdecimal, digits))))


def _digits(text: str, language: Language) -> str:
    return ", ".join(language.digits(group.replace(" ", "")) for group in _digits_elsewhere(text).split(", "))


def _digits_elsewhere(text: str) -> str:
    groups = re.split("[ -]", _match(r"\d+(?:[ -]\d+)*", text, "digits, in groups if you like: 4096 0017")[0])
    return ", ".join(" ".join(group) for group in groups)


def _telephone(text: str, language: Language) -> str:
    """Digit by digit, a comma between groups; letters of a number such as 1-800-FLOWERS one by one."""
    groups = [", ".join(group.lower()) if group.isalpha() else language.digits(group)
              for group in _telephone_groups(text, "[0-9]+|[A-Za-z]+", "0-9A-Za-z")]
    return (f"{language.words['plus']} " if text.startswith("+") else "") + ", ".join(groups)


def _telephone_elsewhere(text: str) -> str:
    return ("+ " if text.startswith("+") else "") + ", ".join(map(" ".join, _telephone_groups(text, r"\d+", r"\d")))


def _telephone_groups(text: str, group: str, characters: str) -> list[str]:
    """What `group` finds in a number of such characters, and of the signs that people write between them."""
    wanted = "a telephone number such as +1 555 010-4477"
    if not re.search(r"\d", text):
        raise ValueError(f"it holds {_shortened(text)}; it takes {wanted}")
    _match(rf"\+?[{characters} ()./-]+", text, wanted)
    return re.findall(group, text)


def _fraction(text: str, language: Language) -> str:
    """3/4 -> three quarters, 2 1/2 -> two and a half."""
    match = _match(r"(?:(\d{1,9}) (?:\+ )?)?(\d{1,9}) ?/ ?(\d{1,9})", text, "a fraction such as 3/4 or 2 1/2")
    if int(match[3]) == 0:
        raise ValueError(f"{text!r} divides by zero; it takes a fraction such as 3/4 or 2 1/2")
    return _said(Fraction(int(match[2]), int(match[3]), int(match[1]) if match[1] else None), language)


def _currency(text: str, language: Language) -> str:
    """The sign or code may stand on either side: $5, 5 €, USD 5.00."""
    patterns = Patterns(language)
    units, number = one_of([*language.currency_signs, *language.currency_codes]), patterns.number
    match = _match(rf"([−-]?)(?:({units}) ?({number})|({number}) ?({units}))", text,
                   "an amount such as $12.50, 3 € or USD 100")
    unit, amount = match[2] or match[5], match[3] or match[4]
    return _said(Money(patterns.read(amount, bool(match[1])), language.currency_signs.get(unit, unit)), language)


def _time(text: str, language: Language, format: str | None) -> str:
    """15:05 -> fifteen oh five, 2:30:15 pm -> two thirty p m and fifteen seconds."""
    if format and format not in TIME_FORMATS:
        raise ValueError(f"format={format!r} is no format of a time; there are {', '.join(TIME_FORMATS)}")
    wanted = "a time such as 15:05, 2:30 pm or 10:30:15"
    match = _match(r"(\d{1,2})(?::(\d\d)(?::(\d\d))?)?(?: ?([ap])\.? ?m\.?)?", text.lower(), wanted)
    hour, minute, second, half = int(match[1]), int(match[2] or 0), match[3], match[4]
    highest = 12 if half or format == "hms12" else 23
    if not (match[2] or half) or hour > highest or minute > 59 or int(second or 0) > 59 or (half and hour == 0):
        raise ValueError(f"{text!r} is no time{' of twelve hours' if highest == 12 else ''}; it takes {wanted}")
    if half and format == "hms24":
        raise ValueError(f"{text!r} is a time of twelve hours, and format='hms24' asks for one of 24; change one of "
                         "them")
    time = Time(hour, minute if match[2] else None, int(second) if second else None, f"{half.upper()}M" if half else "")
    return _said(time, language)


def _date(text: str, language: Language, format: str | None) -> str:
    """2024-03-05 -> march fifth, twenty twenty four. The order of fields comes from the format, or is plain."""
    fields = re.split(r"[ /.,-]+", re.sub(rf"(?<=\d){language.day_mark}(?!\w)", "", text.lower()).strip(" .,"))
    order = _field_order(text, fields, format)
    if len(fields) != len(order):
        raise ValueError(f"{text!r} has {len(fields)} fields, and the format {order!r} {len(order)}; write it as such")
    written = dict(zip(order, fields))
    month = _month(written["m"], text, language) if "m" in order else 0
    year, day = written.get("y"), written.get("d")
    if any(field is not None and not field.isdecimal() for field in (year, day)) or len(year or "1") > 4:
        raise ValueError(f"{text!r} is no date of the format {order!r}; the year and the day are numbers")
    if day is not None:
        leap = year is None or len(year) < 3 or calendar.isleap(int(year))
        last = calendar.monthrange(2000 if leap else 2001, month)[1]
        if not 1 <= int(day[:3]) <= last:
            raise ValueError(f"{text!r} has the day {day} of {calendar.month_name[month].lower()}, which ends with day "
                             f"{last}; check the order of its fields ({order})")
    return _said(Date(year or "", month, int(day or 0), day_first=order[0] == "d"), language)


def _field_order(text: str, fields: list[str], format: str | None) -> str:
    """A key of DATE_FORMATS: the format's, or what a name of a month or a year in front leaves no doubt about."""
    if format:
        order = re.sub(r"(.)\1+", r"\1", re.sub("[^a-z]", "", format.lower()))  # yyyy-mm-dd is ymd
        if order not in DATE_FORMATS:
            raise ValueError(f"format={format!r} is no format of a date; there are {', '.join(DATE_FORMATS)}")
        return order
    if fields[0].isalpha() and len(fields) in (2, 3):
        return "mdy" if len(fields) == 3 else "my" if len(fields[1]) == 4 else "md"
    if len(fields) in (2, 3) and fields[1].isalpha():
        return "dmy"[:len(fields)]
    if re.fullmatch(r"\d{4}-\d\d?-\d\d?", text):
        return "ymd"
    raise ValueError(f"{text!r} can be read in more than one order; add format= one of {', '.join(DATE_FORMATS)}")


def _month(field: str, text: str, language: Language) -> int:
    """1 to 12, from digits or a name of at least three letters."""
    if field.isdecimal() and len(field) <= 2 and 1 <= int(field) <= 12:
        return int(field)
    names = language.month_numbers
    named = {number for name, number in names.items() if len(field) >= 3 and name.startswith(field)}
    if field in names or len(named) == 1:
        return names.get(field) or named.pop()
    raise ValueError(f"{text!r} has the month {field!r}; it takes 1 to 12 or a name, so check the order of its fields")


def _match(pattern: str, text: str, wanted: str) -> re.Match:
    match = re.fullmatch(pattern, text)
    if not match:
        raise ValueError(f"it holds {_shortened(text)}; it takes {wanted}")
    return match


def _something(words: str, wanted: str, text: str) -> str:
    if not words:
        raise ValueError(f"it holds {_shortened(text)}; it takes {wanted}")
    return words


def _shortened(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}..."


_Say = Callable[..., str]
# interpret-as -> (in a language with data, in any other). Date and time take the format too.
INTERPRETATIONS: dict[str, tuple[_Say, _Say | None]] = {
    "characters": (_characters, _characters_elsewhere), "spell-out": (_characters, _characters_elsewhere),
    "verbatim": (_characters, _characters_elsewhere),
    "cardinal": (_cardinal, _cardinal_elsewhere), "number": (_cardinal, _cardinal_elsewhere),
    "ordinal": (_ordinal, None), "digits": (_digits, _digits_elsewhere),
    "telephone": (_telephone, _telephone_elsewhere), "fraction": (_fraction, None), "currency": (_currency, None),
    "date": (_date, None), "time": (_time, None),
}
