"""What Slavic languages share: three or four plural forms, genders of one and two, cases of years and of per."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from text.normalisation.codes import roman_value
from text.normalisation.languages._european import European
from text.normalisation.patterns import Patterns, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Date, Fraction, Money, Number, Range, Value, Words, Year

PLURALS = ("one", "few", "many", "other")  # CLDR's


class Slavic(European):
    """See the module."""

    # Words for one, few, many and parts of something: рубль рубля рублей рубля. Of currencies also of their hundredths.
    forms: ClassVar[dict[str, str]] = {}
    cent_forms: ClassVar[dict[str, str]] = {}
    # From, the weekdays behind it, those behind until, and until.
    weekday_cases: ClassVar[tuple[str, dict[str, str], dict[str, str], str]] = ("", {}, {}, "")
    one_two: ClassVar[dict[str, str]] = {}  # masculine -> feminine
    accusative: ClassVar[dict[str, str]] = {}  # endings of feminine nouns

    def form(self, words: str, number: Any) -> str:
        """The one of the forms that goes with the number."""
        each = words.split("|") if "|" in words else words.split()
        scaled, part = getattr(number, "scale", ""), getattr(number, "fraction", "") or isinstance(number, Fraction)
        place = 2 if scaled else 3 if part else PLURALS.index(self.locale.plural_form(int(number.count)))
        return each[min(place, len(each) - 1)] if place < 3 or len(each) > 3 else each[1]

    def say_number(self, value: Number) -> str:
        """Two million, where millions are abbreviated."""
        if value.scale in self.forms:
            bare = value._replace(scale="")
            return f"{self.say_number(bare)} {self.form(self.forms[value.scale], bare)}"
        return super().say_number(value)

    def noun(self, unit: str) -> str:
        """The first form."""
        words = self.forms.get(unit)
        return re.split(r"\|| ", words)[0] if words else super().noun(unit)

    def gendered(self, said: str, feminine: bool) -> str:
        """One and two in the feminine."""
        if not feminine:
            return said
        head, _, last = said.rpartition(" ")
        return f"{head} {self.one_two.get(last, last)}".strip()

    def currency_name(self, currency: str, is_one: bool, number: Number, words: tuple | None) -> str:
        """In the form that the number wants."""
        if currency in self.forms:
            return self.form(self.forms[currency], number)
        return super().currency_name(currency, is_one, number, words)

    def say_money(self, value: Money) -> str:
        """Whole units, then their hundredths."""
        number, cents = value.number, self.cent_forms.get(value.currency)
        part = number.fraction.ljust(2, "0")
        if not number.fraction or number.scale or len(part) > 2 or not cents:
            return self._amount(number, value.currency) + self._per(value)
        whole = number._replace(fraction="")
        said = [self._amount(whole, value.currency)] if int(whole.whole or 0) else []
        if int(part):
            small = Number(str(int(part)), negative=number.negative and not said)
            feminine = self.is_feminine(cents.split()[0])
            said.append(f"{self.gendered(self.say(small), feminine)} {self.form(cents, small)}")
        return (" ".join(said) or self._amount(whole, value.currency)) + self._per(value)

    def unit_name(self, unit: str, number: Any) -> str:
        """In the form that the number wants."""
        if unit in self.forms:
            return self.form(self.forms[unit], Number(str(number)) if isinstance(number, int) else number)
        return super().unit_name(unit, number.last if isinstance(number, Range) else number)

    def say_date(self, value: Date) -> str:
        """The fifth of May of the year, in the genitive; a month alone in the nominative."""
        months = self.month_names if value.day else self.locale.months["stand-alone"]["wide"]
        parts = (self.inflected(value.day, "gen") if value.day else "", months[value.month] if value.month else "",
                 self.inflected_year(value.year, "gen") if value.year else "")
        return " ".join(filter(None, (value.weekday, *parts)))

    def inflected(self, number: int, case: str) -> str:
        """The ordinal in a form: nom, gen, dat, ins, loc (masculine), fem, fem_gen, neuter, pl, pl_gen."""
        raise NotImplementedError

    def genitive(self, number: int, feminine: bool = False) -> str:
        """The cardinal in the genitive."""
        raise NotImplementedError

    def genitive_decimal(self, whole: int, part: str) -> str | None:
        """A decimal in the genitive; None leaves it in the nominative."""
        return None

    def say_range(self, value: Range) -> str:
        """Two numbers side by side; from a year to another."""
        if isinstance(value.first, Year) and isinstance(value.last, Year) and len(value.last.digits) == 4:
            return self.year_range(value.first.digits, value.last.digits)
        return f"{self.say(value.first)} {self.say(value.last)}"

    def year_range(self, first: str, last: str) -> str:
        """From a year to another."""
        return f"{self.cardinal(int(first))} {self.cardinal(int(last))}"

    def weekday_range(self, first: str, last: str) -> str:
        """From a day of the week to another, in their cases."""
        start, from_day, to_day, until = self.weekday_cases
        return f"{start} {from_day.get(first, first)} {until} {to_day.get(last, last)}"

    def inflected_year(self, digits: str, case: str) -> str:
        """A year as an ordinal; of two digits with its zero."""
        zero = f"{self.cardinal(0)} " if len(digits) == 2 and digits[0] == "0" else ""
        return self.cardinal(0) if not int(digits) else zero + self.inflected(int(digits), case)

    def in_accusative(self, noun: str) -> str:
        """As it stands behind per."""
        first, _, rest = noun.partition(" ")
        return (first[:-1] + self.accusative.get(first[-1], first[-1]) + " " + rest).strip()

    def counted_noun(self, number: int, words: str) -> str:
        """A number with the noun in its form."""
        value = Number(str(number))
        return f"{self.gendered(self.cardinal(number), self.is_feminine(words.split()[0]))} {self.form(words, value)}"


def genitives(heads: str) -> Recogniser:
    """Numbers behind these prepositions, with their unit or currency: up to five kilometres, over a million."""
    def pattern(p: Patterns) -> str:
        unit = rf"(?:\s?(?P<unit>{p.currency}(?!\w)|{p.unit})(?!/))?"
        scale = rf"(?:\s?(?P<scale>{one_of(p.language.scale_abbreviations)})(?!\w)\.?)?"
        return (rf"(?<!\w)(?P<head>(?i:{heads})\s)(?P<number>{p.whole})(?:,(?P<part>\d{{1,3}}))?{scale}"
                rf"(?![\w:/-]|[.,\s]\d|\s?{p.month}){unit}")

    return Recogniser("cardinal", pattern, _genitive)


def _genitive(match: re.Match, p: Patterns) -> Value | None:
    digits, part, scale, language = re.sub(r"\D", "", match["number"]), match["part"], match["scale"], p.language
    number = int(digits[:15])
    if number >= 10**9 or (len(digits) > 1 and digits[0] == "0"):
        return None
    head = language.abbreviations.get(match["head"].strip().lower(), match["head"].strip()) + " "
    unit = match["unit"]
    key = language.currency_signs.get(unit) or p.key(unit) if unit else ""
    is_year = len(digits) == 4 and 1500 <= number < 2100 and not re.match(
        r"\s[^\W\d_]", match.string[match.end():match.end() + 3])
    if not (part or scale or unit) and is_year:
        return Words(head + language.inflected_year(digits, "gen"))
    noun = language.noun(scale or key) if scale or unit else ""
    said = language.genitive_decimal(number, part) if part else language.genitive(
        number, bool(noun) and language.is_feminine(noun))
    if said is None:
        return None
    is_one = part or language.locale.plural_form(number) == "one"  # it takes the genitive singular
    if scale:
        said += f" {language.form(language.forms[scale], Number('1', '5') if is_one else Number('5'))}"
        is_one = False
    if not unit:
        return Words(head + said)
    form = Number("1", "5") if is_one else Number("5")
    name = language.currency_name(key, False, form, None) if unit in language.currency_signs else language.unit_name(
        key, form if is_one else 5)
    return Words(f"{head}{said} {name}")


def century(case_of: Callable[[re.Match, str], tuple[str, str]]) -> Callable[[re.Match, Patterns], Value | None]:
    """What a Roman numeral before a century says: `case_of` gives the case of the noun and the noun."""
    def value(match: re.Match, p: Patterns) -> Value | None:
        number = roman_value(match["numeral"])
        case, word = case_of(match, match["word"])
        return Words(f"{p.language.inflected(number, case)} {word}") if number else None

    return value
