"""Text as it is written -> text as it is read aloud, in any language: the engine, with data for languages.

    normalise("Dr. Bell paid $3.50 on 3/5/2024.", "en")     # "doctor Bell paid three dollars and fifty cents on ..."
    readings("5 km", "de")                                  # [Reading(0, 4, "measure", "fünf Kilometer")]

Recognisers (`numbers`, `dates`, `codes`, `texts`) find values of semiotic classes with their places; a language
(`language.Language` and its subclasses in `languages/`) says each. What nobody recognises stays as it is written. A
language that has no file here is left to espeak-ng's own reading, after `unicode.composed`.

How to add a language: write `languages/xx.py` with a subclass of `Language` called `LANGUAGE`, where xx is the code
before the hyphen of espeak-ng's name ("pt" serves pt and pt-br). Give it

1. `code`, `decimal_mark`, `group_marks`, `date_order`, `day_mark` and `date_of`: how numbers and dates are written;
2. `words`: point, minus, plus, and, to, over, per, the names of signs ("%": "percent") and of the codes' signs;
3. `currency_words` and `unit_words` where CLDR's names are not what people say;
4. `abbreviations`, `number_nouns`, `name_heads`, `spelled`, `capital_words`: words of written text;
5. methods where grammar wants it: `cardinal`, `ordinal`, `year`, `counted`, `say_fraction`, `day`, `say_time`.

A language with a decimal comma is best a subclass of `languages._european.European` (signs, genders of one, letters,
hours with h), `_romance.Romance` ("de" in dates and behind millions) or `_slavic.Slavic` (plural forms, cases).

Numbers are num2words', names and plurals of units, currencies, months and weekdays CLDR's; both are imported when a
text first needs them. `tests/text/normalisation/` has a table of sentences for each language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from text.normalisation.language import PHONEMES, SPELLED, Language
from text.normalisation.languages._abbreviations import expansion, pattern_of
from text.normalisation.unicode import composed

_OWN_MARKS = {ord(mark): " " for mark in (SPELLED, PHONEMES, "\ue001")}  # from a text they would be read as ours
_PHONEMES = re.compile(f"{PHONEMES}([^{PHONEMES}]*){PHONEMES}")
CLAIMED = "\ue001"  # stands in the place of what one recogniser has taken, so that no later one reads across it

# Codes of the languages that have data, as MMS's voices name theirs.
_ISO_639_3 = {"eng": "en", "deu": "de", "spa": "es", "fra": "fr", "ita": "it", "nld": "nl", "pol": "pl", "por": "pt",
              "rus": "ru", "swe": "sv"}
# Languages without data whose decimal mark is a comma; there, espeak-ng names the point of a time: 14.30.
_COMMA_LANGUAGES = frozenset("af az ba be bg bs ca cs da el et eo eu fi gl hr hu hy hyw id is ka kk ky lb lt lv mk nb "
                             "nn no ro sk sl sq sr tk tr tt uk uz vi".split())
_CLOCK = re.compile(r"(?<![\w.,:/-])([01]?\d|2[0-3])\.([0-5]\d)(?![\w/]|[.,:]\d|\s?[%‰°€$£])")


class Reading(NamedTuple):
    """A stretch of a text and the words that say it."""

    start: int  # in the text after `composed`
    end: int
    kind: str  # its semiotic class
    spoken: str  # letters that are said by their names stand behind SPELLED


class Pronounced(NamedTuple):
    """A word whose phonemes are known from its neighbours."""

    place: int  # among the words parted by white space
    phonemes: str


def normalise(text: str, language: str) -> str:
    """The text as it is read aloud; never fails, in time proportional to the text.

    Args:
        text: as written.
        language: espeak-ng's name of it, or its code: "en-us", "de".
    """
    return _PHONEMES.sub("", spoken_text(text, language)).replace(SPELLED, "")


def normalise_for_espeak(text: str, language: str) -> tuple[str, list[Pronounced]]:
    """As `normalise`, with acronyms written so that espeak-ng names their letters; and words that it may misread.

    In languages without data, abbreviations that espeak-ng spells are written out.
    """
    language = of_espeak(language)
    found = language_of(language)
    if found is None:
        text = composed(text, language)
        text = _joined(text, readings(text, language)).strip()
    spoken = spoken_text(text, language)
    parts = _PHONEMES.split(found.speakable(spoken) if found else spoken)
    known, place = [], 0
    for said, phonemes in zip(parts[::2], parts[1::2]):
        words = said.split()
        place += len(words)
        known.append(Pronounced(place - 1, phonemes))
    return "".join(parts[::2]), known


def spoken_text(text: str, language: str) -> str:
    """As `normalise`, where SPELLED stands before letters that are said by their names."""
    text = composed(text, language).translate(_OWN_MARKS)
    found = language_of(language)
    if found is None:
        if language.split("-")[0] in _COMMA_LANGUAGES:
            text = _CLOCK.sub(r"\1 \2", text)
        return re.sub(r"(?<=\d)[\u00a0\u202f\u2009\u2007](?=\d{3}(?!\d))", "", text)  # espeak-ng reads each group
    return " ".join(found.finish(_joined(text, readings(text, language))).split())


def readings(text: str, language: str) -> list[Reading]:
    """What of a text is not read as it is written, in order and without overlaps; the text is `composed` already."""
    found = language_of(language)
    if found is None:
        return _abbreviations(text, language.split("-")[0].lower())
    text = text.translate(_OWN_MARKS)
    taken: list[Reading] = []
    free = text
    has_digits = any(map(str.isnumeric, text))
    for recogniser, pattern in _recognisers(found):
        if (recogniser.has_digits and not has_digits) or (pattern.needs and not pattern.needs.search(text)):
            continue
        here = []
        for match in (pattern.compiled or pattern.compile()).finditer(free):
            value = recogniser.value(match, _patterns(found)) if match[0].strip() and CLAIMED not in match[0] else None
            if value is None:
                continue
            spoken = found.say(value)
            start = match.start() + len(match[0]) - len(match[0].lstrip())
            stays = match[0].endswith(".") and found.ends_sentence(match)  # its point ends the sentence too
            here.append(Reading(start, match.end() - stays, recogniser.kind, spoken))
        if here:
            taken += here
            free = _masked(free, here)
            has_digits = has_digits and any(map(str.isnumeric, free))
    return sorted(taken)


def of_espeak(name: str) -> str:
    """The language tag of espeak-ng's name: its "pt" is spoken in Portugal, as a code alone it is Brazil's too."""
    return "pt-pt" if name == "pt" else name


def _abbreviations(text: str, code: str) -> list[Reading]:
    """Of a language without data; the point of one that ends the text stays."""
    pattern = pattern_of(code) if "." in text else None
    if pattern is None:
        return []
    return [Reading(match.start(), match.end() - (not text[match.end():].strip()), "abbreviation",
                    expansion(match[0], code)) for match in pattern.finditer(text)]


def language_of(name: str) -> Language | None:
    """The data of a language by espeak-ng's name of it; None if there are none."""
    return _language(name.lower().replace("_", "-"))


def reads_numbers(name: str, symbols: Iterable[str]) -> bool:
    """Whether a voice of letters needs the cleaner `normalised`: it has no digits, and the language has data."""
    return language_of(name) is not None and not any(map(str.isdecimal, symbols))


def described_languages() -> list[str]:
    """Codes of the languages that have data."""
    return sorted(path.stem for path in (Path(__file__).parent / "languages").glob("[a-z][a-z].py"))


@lru_cache(maxsize=64)
def _language(name: str) -> Language | None:
    code = name.split("-")[0]
    code = _ISO_639_3.get(code, code)
    if not re.fullmatch("[a-z]{2,3}", code) or code not in described_languages():
        return None
    return import_module(f"text.normalisation.languages.{code}").LANGUAGE(name)


@lru_cache(maxsize=64)
def _patterns(language: Language):
    from text.normalisation.patterns import Patterns

    return Patterns(language)


@lru_cache(maxsize=64)
def _recognisers(language: Language) -> list[tuple]:
    """Those of the language with their patterns, in order: an earlier one takes what a later one would read too."""
    from text.normalisation import codes, dates, numbers, texts

    order = (*texts.MARKUP, *codes.ELECTRONIC, *language.recognisers(), *dates.DATES, *codes.TELEPHONE, *dates.TIMES,
             *numbers.AMOUNTS, *texts.OPERATORS, *numbers.FRACTIONS, *codes.ROMAN, *texts.ABBREVIATIONS,
             *numbers.NUMBERS[:-1], *texts.ACRONYMS, *codes.SERIAL, *numbers.NUMBERS[-1:], *texts.SIGNS)
    return [(each, _Lazy(each, language)) for each in order]


class _Lazy:
    """A pattern that is made when a text first needs it, for names of months or units cost an import."""

    def __init__(self, recogniser, language: Language) -> None:
        self.recogniser, self.language, self.compiled = recogniser, language, None
        self.needs = re.compile(recogniser.needs) if recogniser.needs else None

    def compile(self) -> re.Pattern:
        """The pattern, kept in `compiled`."""
        source = self.recogniser.pattern(_patterns(self.language))
        self.compiled = re.compile("(?!)" if source is None else source)
        return self.compiled


def _masked(text: str, taken: list[Reading]) -> str:
    pieces, here = [], 0
    for reading in taken:
        pieces += [text[here:reading.start], CLAIMED * (reading.end - reading.start)]
        here = reading.end
    return "".join([*pieces, text[here:]])


def _joined(text: str, taken: list[Reading]) -> str:
    """The text with the readings in their places, parted by spaces from letters and digits beside them."""
    pieces, here = [], 0
    for reading in taken:
        pieces.append(text[here:reading.start])
        spaced = reading.spoken
        if spaced and (text[reading.start - 1:reading.start].isalnum() or here == reading.start):
            spaced = " " + spaced
        if spaced and text[reading.end:reading.end + 1].isalnum():
            spaced += " "
        pieces.append(spaced)
        here = reading.end
    return "".join([*pieces, text[here:]])
