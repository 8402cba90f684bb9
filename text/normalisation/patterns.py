"""Pieces of patterns that recognisers of numbers, dates and amounts share, made from a language's data.

No pattern looks at the rest of the text for each of its matches: digits begin one match (`START`), repeats are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from text.normalisation.language import Language
from text.normalisation.units import SYMBOLS
from text.normalisation.values import Number

SPACES = "\u00a0\u202f\u2009\u2007"  # that part thousands and never break
# Where a number may begin. The look at the next character comes first, for it fails fastest.
START = r"(?=[\d½])(?<![\w.])(?<!\d[,:/])"
AMOUNT = r"(?=[-−–\d.,¼½¾⅐-⅟↉])"  # before SIGN and a number, for the same reason
SIGN = r"(?:(?<![^\s(\[{\"'“„:=])(?P<sign>[-−–])\s?)?"
END = r"(?!\w)"
DASH = r"\s?[-–—]\s?"


def one_of(words: Iterable[str]) -> str:
    """An alternation, longest first; matches nothing if there are none.

    Words of one first letter share it, for an alternation of hundreds is slow.
    """
    words = sorted(filter(None, set(words)), key=lambda word: (-len(word), word))
    if len(words) < 8:
        return "(?:" + "|".join(map(re.escape, words)) + ")" if words else "(?!)"
    rests: dict[str, list[str]] = {}
    for word in words:
        rests.setdefault(word[0], []).append(re.escape(word[1:]))
    return "(?:" + "|".join(f"{re.escape(first)}(?:{'|'.join(found)})" for first, found in rests.items()) + ")"


class Patterns:
    """Of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        marks = re.escape(language.group_marks) + SPACES
        groups = rf"\d{{1,3}}(?:(?:[{marks}]| (?=\d{{3}}(?!\d)))\d{{3}}){{1,8}}(?!\d)"
        other = re.escape(language.decimal_mark)  # 1.000.000 where thousands have commas, 1,000,000 where points
        groups += rf"|\d{{1,3}}(?:{other}\d{{3}}){{2,8}}(?!\d|{other})"
        if "," in language.group_marks:
            groups += r"|\d{1,2}(?:,\d\d){1,5},\d{3}(?![\d,])"  # Indian: 12,34,567
        self.whole = rf"(?:{groups}|\d+)"
        self.number = rf"(?:{self.whole}(?:{re.escape(language.decimal_mark)}\d+)?)"
        self.foreign = "," if language.decimal_mark == "." else "."
        self.amount = rf"(?:\d{{1,9}}[{self.foreign}]\d{{2}}(?!\d|[.,]\d)|{self.number})"
        short = language.scale_abbreviations
        words = one_of([*language.scales, *short])
        point = rf"(?:(?:{'|'.join(rf'(?<={re.escape(word)})' for word in short)})\.)?" if short else ""
        self.scale = rf"(?:[\s\u00a0](?i:{words})\b{point})"

    @cached_property
    def month(self) -> str:
        """Names of months in any case, with a point or without."""
        return rf"(?i:{one_of(self.language.month_numbers)}\b\.?)"

    @cached_property
    def symbols(self) -> dict[str, str]:
        """Written units -> keys, the language's own first."""
        return SYMBOLS | self.language.unit_symbols

    @cached_property
    def unit(self) -> str:
        """One unit as written; those of two letters and more in any case."""
        return rf"(?:{one_of(self.symbols)}|(?i:{one_of(key for key in self.symbols if len(key) > 1)}))(?!\w)"

    @cached_property
    def currency(self) -> str:
        """A sign or an ISO code."""
        return one_of(self.language.currency_signs)

    def read(self, text: str, negative: bool = False, scale: str = "") -> Number:
        """The number that `number` matched."""
        foreign = re.fullmatch(rf"\d{{1,9}}[{self.foreign}]\d\d", text)
        decimal_mark = self.foreign if foreign else self.language.decimal_mark
        whole, mark, fraction = text.partition(decimal_mark) if text.count(decimal_mark) == 1 else (text, "", "")
        digits = "".join(str(int(each)) for each in whole if each.isdecimal())
        return Number(digits, fraction, negative, scale, len(digits) == 4 and digits == whole and not mark)

    def scale_word(self, written: str | None) -> str:
        """The spoken word for what `scale` or a letter behind money matched."""
        word = (written or "").strip(" .\u00a0\n\t")
        return self.language.scale_letters.get(word) or self.language.scale_abbreviations.get(word, word)

    def key(self, unit: str) -> str:
        """The key of a unit as written."""
        return self.symbols.get(unit) or self._folded.get(unit.lower(), unit)

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {symbol.lower(): key for symbol, key in reversed(self.symbols.items())}
