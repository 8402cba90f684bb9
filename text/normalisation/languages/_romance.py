"""What Romance languages share: "de" in dates and behind millions, half past, ordinals for rulers."""

from __future__ import annotations

import re
from typing import ClassVar

from text.normalisation.languages._european import European
from text.normalisation.patterns import START, Patterns
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Date, Fraction, Measure, Number, Roman, Time, Value, Words


class Romance(European):
    """See the module."""

    of_date: ClassVar[str] = " "  # between day, month and year
    millions_of: ClassVar[str] = ""  # "de" behind a round million before a noun
    first_day: ClassVar[str] = ""
    million: ClassVar[str] = r"(?:mi[lj]|bi[lj]|tri[lj]|b[lj]|tr[lj]|mili)\w{2,6}$"
    half: ClassVar[str] = ""  # behind a whole number: two and a half
    half_before: ClassVar[tuple[str, str]] = ("", "")  # half a: before a masculine and a feminine noun
    queens: ClassVar[frozenset[str]] = frozenset()  # names whose ordinal is feminine
    hour_words: ClassVar[tuple[str, str, str]] = ("", "", "")  # hour, minute, second in the singular; "" is not said

    def counted(self, number: Number | Fraction, unit: str) -> str:
        """Two million of euros."""
        said = super().counted(number, unit)
        return f"{said} {self.millions_of}" if self.millions_of and unit and re.search(self.million, said) else said

    def say_fraction(self, value: Fraction) -> str:
        """One half, two and three quarters."""
        above = self.article_number(value.above)
        said = f"{above} {self.part(value.below, value.above != 1)}"
        if value.whole is not None and (value.above, value.below) == (1, 2):
            said = self.half
        if value.whole is not None:
            said = f"{self.cardinal(value.whole)} {self.words['and']} {said}"
        return f"{self.words['minus']} {said}" if value.negative else said

    def part(self, below: int, many: bool) -> str:
        """The denominator: halves, thirds."""
        raise NotImplementedError

    def say_date(self, value: Date) -> str:
        """Day of month of year."""
        parts = (self.day(value) if value.day else "", self.month_names[value.month] if value.month else "",
                 self.date_year(value.year) if value.year else "")
        said = self.of_date.join(filter(None, parts))
        return f"{value.weekday} {said}" if value.weekday else said

    def day(self, value: Date) -> str:
        """The first is an ordinal."""
        return self.first_day if value.day == 1 and self.first_day else self.cardinal(value.day)

    def say_roman(self, value: Roman) -> str:
        """Ordinals to ten behind a name, numbers above."""
        if not value.is_ordinal or value.number > 10:
            return self.cardinal(value.number)
        return self.feminine_of(self.ordinal(value.number), value.before)

    def feminine_of(self, ordinal: str, name: str) -> str:
        """The ordinal behind a ruler's name, feminine for a queen's."""
        return ordinal[:-1] + "a" if name.rpartition(" ")[2] in self.queens else ordinal

    def say_measure(self, value: Measure) -> str:
        """Three fifths of a mile, two litres and a half."""
        number = value.number
        if not isinstance(number, Fraction) or not value.units or value.per:
            return super().say_measure(value)
        unit, feminine = value.units[-1], self.is_feminine(self.noun(value.units[-1]))
        if number.whole and (number.above, number.below) == (1, 2):
            whole = Number(str(number.whole), negative=number.negative)
            half = self.half.removesuffix("o") + ("a" if self.half.endswith("o") else "e") if feminine else self.half
            return f"{super().say_measure(Measure(whole, (unit,)))} {self.words['and']} {half}"
        first, _, rest = self.say(number).partition(" ")
        first = self.gendered(first, feminine) if number.whole else first
        return f"{first} {rest} {self.millions_of} {self.unit_name(unit, 1)}"

    def half_of(self, noun: str) -> str | None:
        """1/2 before a noun: half a cup."""
        return self.half_before[self.is_feminine(noun)] or None

    def counted_noun(self, number: int, noun: str) -> str:
        """A number before a noun with the plural in -s."""
        return f"{self.article_number(number, self.is_feminine(noun))} {noun}{'' if number == 1 else 's'}"

    def say_time(self, value: Time) -> str:
        """Hours, minutes and seconds as three amounts."""
        hour, minute, second = self.hour_words
        said = [self.counted_noun(value.hour, hour)]
        said += [self.counted_noun(value.minute or 0, minute), self.counted_noun(value.second, second)] \
            if value.second is not None else []
        return f" {self.words['and']} ".join(said)


def _half(match: re.Match, p: Patterns) -> Value | None:
    said = p.language.half_of(match["noun"])
    return Words(said) if said else None


HALF = Recogniser("fraction", lambda p: rf"{START}(?<!\d\s)(?:1/2|½)"
                  rf"(?=\s(?P<noun>(?!de[ils]?\b|da |do |d[eo]s\b|des\b|della\b)"
                  r"[a-zà-ÿ]{3,30})(?!\w))", _half, needs="1/2|½")
