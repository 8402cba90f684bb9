"""Typed values that recognisers find in a text; a language says them (see `text.normalisation.language`)."""

from __future__ import annotations

from typing import NamedTuple


class Number(NamedTuple):
    """A cardinal or decimal number as digits, without signs of grouping."""

    whole: str  # "" in .5
    fraction: str = ""  # digits behind the decimal mark
    negative: bool = False
    scale: str = ""  # a spoken word behind it: million
    ungrouped: bool = False  # four digits written without a sign of grouping: perhaps a year

    @property
    def count(self) -> float:
        """For plural rules; infinite where that is as good as any."""
        return float(f"{self.whole[-15:] or 0}.{self.fraction[:10] or 0}") if not self.scale else 1e6


class Ordinal(NamedTuple):
    """The place in an order, with the word before it, which may inflect it."""

    number: int
    before: str = ""  # in lower case


class Year(NamedTuple):
    """A year, or a decade."""

    digits: str
    decade: bool = False
    era: str = ""  # spoken: AD


class Fraction(NamedTuple):
    """2 1/2 is whole 2, above 1, below 2."""

    above: int
    below: int
    whole: int | None = None
    negative: bool = False

    @property
    def count(self) -> float:
        """For plural rules."""
        return (self.whole or 0) + (self.above / self.below if self.below else 0)


class Date(NamedTuple):
    """A date or a part of one; numbers from 1."""

    year: str = ""  # digits as written, two or four
    month: int = 0
    day: int = 0
    weekday: str = ""  # spoken
    day_first: bool = False
    before: str = ""  # the word before it, in lower case
    named: bool = True  # the month is written as a word


class Time(NamedTuple):
    """A time of day, or a duration of hours, minutes and seconds."""

    hour: int
    minute: int | None = None
    second: int | None = None
    half: str = ""  # "AM" or "PM"
    zone: str = ""
    marked: bool = False  # a word such as Uhr or h stands with it


class Money(NamedTuple):
    """An amount of a currency (ISO 4217)."""

    number: Number
    currency: str
    per: str = ""  # a duration: month


class Measure(NamedTuple):
    """An amount of units of CLDR, over others."""

    number: Number | Fraction | Range | None
    units: tuple[str, ...] = ()  # length-kilometer; two multiply
    per: tuple[str, ...] = ()
    attributive: bool = False  # 5-meter: the unit stays singular


class Range(NamedTuple):
    """From a value to another."""

    first: tuple
    last: tuple


class Power(NamedTuple):
    """A base, spoken already, to an exponent."""

    base: str | Number
    exponent: Number | str


class Telephone(NamedTuple):
    """Groups of digits or letters, said one by one."""

    groups: tuple[str, ...]
    plus: bool = False


class Electronic(NamedTuple):
    """An address of the net, a version, a file name: said with the names of its signs."""

    text: str


class Roman(NamedTuple):
    """A Roman numeral: a number behind a noun, an ordinal behind a name."""

    number: int
    is_ordinal: bool
    before: str = ""  # in lower case


class Letters(NamedTuple):
    """Said by the names of its letters."""

    text: str


class Serial(NamedTuple):
    """Letters and numbers in one word: B2A23C."""

    text: str


class Words(NamedTuple):
    """Spoken text."""

    text: str


Value = (Number | Ordinal | Year | Fraction | Date | Time | Money | Measure | Range | Power | Telephone | Electronic
         | Roman | Letters | Serial | Words)


class Found(NamedTuple):
    """A value and where it stands."""

    start: int
    end: int
    kind: str  # a semiotic class: cardinal, date, money
    value: Value
