"""What Romance languages share: "de" in dates and behind millions, half past, ordinals for rulers."""

from __future__ import annotations

import re
from typing import ClassVar

from text.normalisation.languages._european import European
from text.normalisation.values import Date, Fraction, Measure, Number, Roman, Time


class Romance(European):
    """See the module."""

    of_date: ClassVar[str] = " "  # between day, month and year
    millions_of: ClassVar[str] = ""  # "de" behind a round million before a noun
    first_day: ClassVar[str] = ""
    million: ClassVar[str] = r"(?:mi[lj]|bi[lj]|tri[lj]|b[lj]|tr[lj]|mili)\w{2,6}$"
    half: ClassVar[str] = ""  # behind a whole number: two and a half
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
        return self.ordinal(value.number) if value.is_ordinal and value.number <= 10 else self.cardinal(value.number)

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
