"""English as it is written -> English as it is said: numbers, money, times, abbreviations, initials; lowercase ASCII.

One rule a function, applied in the order of `RULES`; a later rule sees the words that earlier ones wrote. What comes
out holds letters, spaces, apostrophes, hyphens and the marks .,:;!?" and nothing else.
"""

from __future__ import annotations

import re
from functools import lru_cache

ABBREVIATIONS = {
    "mrs": "missis", "mr": "mister", "ms": "miz", "dr": "doctor", "st": "saint", "co": "company", "jr": "junior",
    "sr": "senior", "maj": "major", "gen": "general", "drs": "doctors", "rev": "reverend", "lt": "lieutenant",
    "hon": "honorable", "sgt": "sergeant", "capt": "captain", "esq": "esquire", "ltd": "limited", "col": "colonel",
    "prof": "professor", "gov": "governor", "sen": "senator", "rep": "representative", "inc": "incorporated",
    "corp": "corporation", "dept": "department", "ave": "avenue", "blvd": "boulevard", "rd": "road", "mt": "mount",
    "vs": "versus", "etc": "et cetera", "approx": "approximately", "est": "established", "vol": "volume",
    "jan": "january", "feb": "february", "aug": "august", "sept": "september", "oct": "october", "nov": "november",
    "dec": "december",
}
# Words in their own right, so these are abbreviations only with a capital (and a number or name next to them).
CAPITALISED_ONLY = {"co", "gen", "hon", "col", "rep", "sen", "est", "mt", "rev", "ms", "dec", "gov", "inc", "rd", "st"}
ENDS_A_NAME = {"jr", "sr", "co", "inc", "ltd", "corp", "esq", "etc", "ave", "blvd", "rd"}  # their point may end a line
UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "kg": "kilogram", "mg": "milligram", "lb": "pound",
    "lbs": "pound", "oz": "ounce", "ft": "foot", "mi": "mile", "ml": "milliliter", "gb": "gigabyte", "mb": "megabyte",
    "hz": "hertz", "khz": "kilohertz", "mph": "mile per hour", "kb": "kilobyte", "sec": "second", "hr": "hour",
    "hrs": "hour",
}
PLURALS = {"foot": "feet", "hertz": "hertz", "kilohertz": "kilohertz", "mile per hour": "miles per hour"}
CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "sen")}
FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"}
NUMBERED = {"war", "chapter", "part", "act", "scene", "volume", "book", "section", "phase", "type", "class", "level",
            "episode", "season", "round", "title", "article", "appendix", "figure", "table"}
SPELLED = {"USA", "UK", "EU", "UN", "FBI", "CIA", "IBM", "AI", "IQ", "ID", "CEO", "UFO"}
SIGNS = {"&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "°": "degrees", "$": "dollars",
         "£": "pounds", "€": "euros", "¥": "yen"}

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_RANGE_END = r"\d[\d,.]{0,30}"  # bounded, or a list of numbers would be searched again from each of them
_SENTENCE_ENDS = re.compile(r"[\"')\]]*(?:\s*$|\s+[A-Z\"'(])")
_TEXT_ENDS = re.compile(r"[\"') ]*$")
_CAPITAL_FOLLOWS = re.compile(r"\s+[A-Z]")
_ENDS_IN_NAME = re.compile(r"[A-Z][\w']* $")
_LONGEST_NAME = 40  # characters
_ROMAN = re.compile(r"\b([A-Z][a-z]+) (X?(?:IX|IV|V?I{0,3}))(?![\w'])")


def normalise(text: str) -> str:
    """Write out everything that is not a word. Never fails, whatever the text; takes time in proportion to its length.

    No rule may look at the rest of the text for each of its matches, nor have a repeat in front of what may be missing.
    """
    for rule in RULES:
        text = rule(text)
    return text


def _to_ascii(text: str) -> str:
    """Transliterate, but for the few signs that later rules read; white space becomes single spaces."""
    from unidecode import unidecode

    text = text.replace("…", "...")
    text = re.sub(r"[^\x00-\x7f£€¥°–—]+", lambda match: unidecode(match[0]), text)
    return " ".join(text.split())


def _expand_times(text: str) -> str:
    """3:30 p.m. -> three thirty p m; 15:00 -> fifteen hundred; 7:05 -> seven oh five."""
    def say(match: re.Match) -> str:
        hour, minute, half = int(match[1]), match[2], match[3]
        if not (minute or half) or hour > 23 or int(minute or 0) > 59:
            return match[0]
        if int(minute or 0) == 0:
            words = _cardinal(hour) + ("" if half else " hundred" if hour > 12 else " o'clock")
        else:
            words = f"{_cardinal(hour)} {'oh ' if minute[0] == '0' else ''}{_cardinal(int(minute))}"
        return words + (f" {half.lower()} m" + _kept_point(match) if half else "")

    return re.sub(r"(?<![\w:.,])(\d{1,2})(?::(\d\d)(?![\d:]))?(?:\s?([AaPp])\.?\s?[Mm]\b\.?)?", say, text)


def _kept_point(match: re.Match) -> str:
    """The point of an abbreviation stays where it ends the sentence too."""
    return "." if match[0].endswith(".") and _SENTENCE_ENDS.match(match.string, match.end()) else ""


def _expand_money(text: str) -> str:
    """$3.50 -> three dollars and fifty cents; £2 -> two pounds; $1.2 million -> one point two million dollars."""
    def say(match: re.Match) -> str:
        unit, part = CURRENCIES[match[1]]
        amount, scale = match[2].replace(",", ""), match[3]
        whole, _, cents = amount.partition(".")
        if scale or (cents and len(cents) != 2):
            return f"{_decimal(amount)} {scale + ' ' if scale else ''}{_plural(unit)}"
        words = [f"{_decimal(count)} {name if count == '1' else _plural(name)}"
                 for count, name in ((whole.lstrip("0"), unit), (cents.lstrip("0"), part)) if count]
        return " and ".join(words) or f"zero {_plural(unit)}"

    signs = "".join(CURRENCIES)
    text = re.sub(rf"(?<=\d)\s?[-–—]\s?(?=[{signs}]\d)", " to ", text)
    return re.sub(rf"(?:\bUS)?([{signs}])\s?({_NUMBER})(?:\s(hundred|thousand|million|billion|trillion)\b)?", say, text)


def _expand_abbreviations(text: str) -> str:
    """Mr. -> mister. St. and Dr. after a name are a street and a drive."""
    def say(match: re.Match) -> str:
        word = match[1].lower()
        if word in CAPITALISED_ONLY and match[1][0].islower():
            return match[0]
        start = match.start()
        after_name = _ENDS_IN_NAME.search(match.string[max(0, start - _LONGEST_NAME):start])
        before_name = _CAPITAL_FOLLOWS.match(match.string, match.end())
        if word in ("st", "dr") and after_name and not before_name:
            return {"st": "street", "dr": "drive"}[word] + _kept_point(match)
        return ABBREVIATIONS[word] + (_kept_point(match) if word in ENDS_A_NAME and _ends_text(match) else "")

    names = "|".join(sorted(ABBREVIATIONS, key=len, reverse=True))
    text = re.sub(r"\be\.g\.", "for example", text, flags=re.IGNORECASE)
    text = re.sub(r"\bi\.e\.", "that is", text, flags=re.IGNORECASE)
    text = re.sub(r"\bNos?\. ?(?=\d)", "number ", text)
    return re.sub(rf"\b({names})\.", say, text, flags=re.IGNORECASE)


def _ends_text(match: re.Match) -> bool:
    return _TEXT_ENDS.match(match.string, match.end()) is not None


def _join_initials(text: str) -> str:
    """James T. Kirk -> James T Kirk, U.S.A. -> U S A: their points end no sentence."""
    text = re.sub(r"\b(?:[A-Z]\.\s?){2,}", lambda match: " ".join(re.findall("[A-Z]", match[0])) + _kept_after(match),
                  text)
    return re.sub(r"\b([A-HJ-Z])\.(?=\s[A-Z])", r"\1", text)


def _kept_after(match: re.Match) -> str:
    return "." if _ends_text(match) else " " if match[0][-1].isspace() else ""


def _spell_acronyms(text: str) -> str:
    """TV -> t v: capitals without a vowel, and some that everyone spells; a line all in capitals is only loud."""
    if not re.search("[a-z]", text):
        return text
    return re.sub(r"\b[A-Z]{2,5}\b", lambda match: " ".join(match[0]) if match[0] in SPELLED or (
        not set(match[0]) & set("AEIOUY") and not _roman_value(match[0])) else match[0], text)


def _expand_roman(text: str) -> str:
    """World War II -> World War two; Henry VIII -> Henry the eighth."""
    def say(match: re.Match) -> str:
        head, numeral = match[1], match[2]
        numbered = head.lower() in NUMBERED
        if not _roman_value(numeral) or (len(numeral) == 1 and not numbered):
            return match[0]
        value = _roman_value(numeral)
        return f"{head} {_cardinal(value)}" if numbered else f"{head} the {_ordinal(value)}"

    return _ROMAN.sub(say, text)


def _roman_value(numeral: str) -> int:
    """1 to 18, or 0 for anything else."""
    if not re.fullmatch(r"X?(?:IX|IV|V?I{0,3})", numeral):
        return 0
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in numeral]
    return sum(-value if value < following else value for value, following in zip(values, [*values[1:], 0]))


def _expand_units(text: str) -> str:
    """5 km -> 5 kilometers, 1 lb. -> 1 pound."""
    def say(match: re.Match) -> str:
        unit = UNITS[match[2].lower()]
        return f"{match[1]} {unit if match[1] == '1' else PLURALS.get(unit, unit + 's')}"

    names = "|".join(sorted(UNITS, key=len, reverse=True))
    text = re.sub(rf"(?<![\d.,])({_NUMBER})\s?({names})\b(?:\.(?=\s+[a-z]))?", say, text, flags=re.IGNORECASE)
    return re.sub(r"°\s?([CF])\b", lambda match: f"° {'celsius' if match[1] == 'C' else 'fahrenheit'}", text)


def _expand_ranges(text: str) -> str:
    """555-1234 digit by digit, 1914-1918 -> 1914 to 1918, 3/4 -> three quarters."""
    text = re.sub(r"(?<![\d-])(?:\d{3}-)?\d{3}-\d{4}(?![\d-])",
                  lambda match: ", ".join(_digits(part) for part in match[0].split("-")), text)
    text = re.sub(r"(?<![\w/])(\d/\d)(?![\w/])", lambda match: FRACTIONS.get(match[1], match[1]), text)
    text = re.sub(r"(?<=\d)\s?/\s?(?=\d)", " over ", text)
    return re.sub(rf"(?<![\d-])({_RANGE_END})\s?[-–—:]\s?({_RANGE_END})(?![\d-])", r"\1 to \2", text)


def _expand_ordinals(text: str) -> str:
    """21st -> twenty first; 1980s -> nineteen eighties."""
    text = re.sub(r"\b(\d{1,9}|\d{1,3}(?:,\d{3}){1,2})(?:st|nd|rd|th)\b",
                  lambda match: _ordinal(int(match[1].replace(",", ""))), text, flags=re.IGNORECASE)
    return re.sub(r"(?:'(?=\d\ds\b))?\b(\d{2}|1\d{3}|20\d\d)'?s\b", lambda match: _plural(_year(int(match[1]))), text)


def _expand_numbers(text: str) -> str:
    """What numbers are left: years, decimals, thousands, signs."""
    def say(match: re.Match) -> str:
        minus, number = match[1], match[2]
        is_year = re.fullmatch(r"1[1-9]\d\d|20\d\d", number) and not minus
        words = _year(int(number)) if is_year else _decimal(number.replace(",", ""))
        return f" {'minus ' if minus else ''}{words} "

    text = re.sub(r"#\s?(?=\d)", "number ", text)
    text = re.sub(r"\s?%", " percent", text)
    text = re.sub(rf"((?<![\w.,'-])-)?({_NUMBER}|\.\d+)", say, text)
    return re.sub(r"\d", lambda match: f" {_cardinal(int(match[0]))} ", text)


def _tidy(text: str) -> str:
    """Brackets and dashes become commas, signs become words, the rest of what is not text goes."""
    from unidecode import unidecode

    for sign, word in SIGNS.items():
        text = text.replace(sign, f" {word} ")
    text = " ".join(text.split())
    text = re.sub(r" ?(?:[()\[\]{}–—]|--+|(?<![^ ])-(?![^ ])) ?", ", ", text)
    text = re.sub(r"[^a-z .,:;!?\"'-]", " ", unidecode(text).lower())
    text = re.sub(r" (?=[.,:;!?])", "", " ".join(text.split()))
    text = re.sub(r"([,;:]),+", r"\1", text)
    return re.sub(r"^[,;: ]+|,(?= ?[.;:!?])", "", text).rstrip(", ")


def _cardinal(number: int) -> str:
    return _words(number, "cardinal")


def _ordinal(number: int) -> str:
    return _words(number, "ordinal")


def _decimal(number: str) -> str:
    """A number as digits with at most one point; very long ones, and those with leading zeros, digit by digit."""
    whole, point, fraction = number.partition(".")
    by_digit = len(whole) > 15 or (len(whole) > 1 and whole[0] == "0")
    words = _digits(whole) if by_digit else _cardinal(int(whole)) if whole else ""
    return f"{words} point {_digits(fraction)}".strip() if point else words


def _digits(digits: str) -> str:
    return " ".join(_cardinal(int(digit)) for digit in digits)


def _year(year: int) -> str:
    """1999 -> nineteen ninety nine, 1905 -> nineteen oh five, 2005 -> two thousand five."""
    century, rest = divmod(year, 100)
    if century < 10 or 2000 <= year < 2010:
        return _cardinal(year)
    if rest == 0:
        return f"{_cardinal(century)} hundred"
    return f"{_cardinal(century)} {'oh ' if rest < 10 else ''}{_cardinal(rest)}"


def _plural(words: str) -> str:
    if words in ("penny", "yen", "sen"):
        return {"penny": "pence"}.get(words, words)
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}es" if words.endswith("x") else f"{words}s"


@lru_cache(maxsize=4096)
def _words(number: int, kind: str) -> str:
    """num2words without its commas, hyphens and British and."""
    from num2words import num2words

    return re.sub(r"\band\b|[,-]", " ", num2words(number, to=kind)).replace("  ", " ").replace("  ", " ")


RULES = (_to_ascii, _expand_times, _expand_money, _expand_abbreviations, _join_initials, _expand_roman,
         _spell_acronyms, _expand_units, _expand_ranges, _expand_ordinals, _expand_numbers, _tidy)
