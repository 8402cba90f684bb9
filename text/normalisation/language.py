"""What the engine must know about a language, and how it says values; a language is a subclass with its own data.

    class French(Language):
        code, decimal_mark, group_marks = "fr", ",", "."
        words = Language.words | {"point": "virgule", "minus": "moins", "and": "et", ...}

Numbers come from num2words; the names and plurals of units, currencies, months and weekdays from CLDR (babel). Both
are imported when a text first needs them. Every `say_...` method may be replaced where a language's grammar wants it.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from text.normalisation import values
from text.normalisation.values import Date, Fraction, Measure, Money, Number, Ordinal, Power, Range, Roman, Time, Year

PHONEMES = "\ue002"  # stands in spoken text around phonemes that say the word before them
SPELLED = "\ue000"  # stands in spoken text before letters that are said by their names


class Language:
    """A language that nobody has described: numbers as num2words has them, CLDR's names, English names of nothing."""

    code: ClassVar[str] = ""  # of num2words and CLDR
    decimal_mark: ClassVar[str] = "."
    group_marks: ClassVar[str] = ","  # signs that may part thousands, beside the spaces that never break
    date_order: ClassVar[str] = "dmy"  # of 1/2/2003: dmy or mdy
    ordinal_mark: ClassVar[str] = ""  # pattern behind digits that makes an ordinal: (?:st|nd|rd|th)
    point_ordinals: ClassVar[bool] = False  # "3." is the third
    # Words for signs and joints. A sign that has none is left to espeak-ng.
    words: ClassVar[dict[str, str]] = {}
    # Currency signs -> ISO 4217; and ISO 4217 -> (one, many, one of its parts, many of them) instead of CLDR's names.
    currency_signs: ClassVar[dict[str, str]] = {
        "$": "USD", "US$": "USD", "CA$": "CAD", "C$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD",
        "S$": "SGD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₴": "UAH",
        "₫": "VND", "₪": "ILS", "฿": "THB", "₦": "NGN", "₱": "PHP", "R$": "BRL", "CN¥": "CNY"}
    currency_words: ClassVar[dict[str, tuple[str, str, str, str]]] = {}
    # Written forms of units beside the international ones of `units.SYMBOLS`, and spoken names beside CLDR's.
    unit_symbols: ClassVar[dict[str, str]] = {}
    unit_words: ClassVar[dict[str, tuple[str, str]]] = {}
    month_abbreviations: ClassVar[dict[str, int]] = {}  # beside CLDR's
    scales: ClassVar[tuple[str, ...]] = ()  # words of large numbers, as written: million
    scale_abbreviations: ClassVar[dict[str, str]] = {}  # with or without a point: Mio -> Millionen
    scale_letters: ClassVar[dict[str, str]] = {}  # behind money: M -> million
    abbreviations: ClassVar[dict[str, str]] = {}  # with their points, as written -> spoken; lower case matches any
    number_nouns: ClassVar[frozenset[str]] = frozenset()  # before a Roman numeral that is a number, in lower case
    name_heads: ClassVar[frozenset[str]] = frozenset()  # names and titles before one that is an ordinal
    spelled: ClassVar[frozenset[str]] = frozenset()  # acronyms said by their letters
    spoken: ClassVar[frozenset[str]] = frozenset()  # acronyms said as words
    capital_words: ClassVar[frozenset[str]] = frozenset()  # words that people write in capitals to be loud
    phonemes_of: ClassVar[str] = ""  # espeak-ng's name of the variant that its phonemes belong to
    letter_names: ClassVar[dict[str, str]] = {}  # for espeak-ng, where it misreads the letter alone
    day_mark: ClassVar[str] = ""  # pattern behind the day of a date: (?:st|nd|rd|th)?
    date_of: ClassVar[str] = ""  # pattern between day and month: de
    month_words: ClassVar[frozenset[str]] = frozenset()  # months that are other words too, as written: may
    weekday_abbreviations: ClassVar[dict[str, str]] = {}  # lower case, without the point -> spoken
    between_days: ClassVar[str] = ""  # pattern of what stands between a day and the word that inflects it
    decade_mark: ClassVar[str] = ""  # pattern behind a decade: s
    era_mark: ClassVar[str] = ""  # pattern behind a year: AD
    eras: ClassVar[dict[str, str]] = {}  # lower case, without points or spaces -> spoken
    time_mark: ClassVar[str] = ""  # pattern behind a time: Uhr
    twelve_hours: ClassVar[bool] = False  # a.m. and p.m. are written
    zones: ClassVar[tuple[str, ...]] = ()  # of time
    currency_codes: ClassVar[tuple[str, ...]] = (
        "USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "CNY", "INR", "RUB", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF")
    cent_currency: ClassVar[str] = ""  # whose hundredth ¢ is
    periods: ClassVar[dict[str, str]] = {}  # behind a slash after money: month
    loose_units: ClassVar[str] = "mgtlLhsWV"  # one-letter units behind a space
    tight_units: ClassVar[str] = "mglLhWV%‰°"  # and without one
    longest_number: ClassVar[int] = 15  # digits; longer ones are said digit by digit
    no_whole: ClassVar[str] = ""  # before the point of .5
    fixed: ClassVar[dict[str, str]] = {}  # pairs of numbers with a reading of their own: 24/7
    operators: ClassVar[dict[str, str]] = {}  # signs between numbers -> spoken
    quiet_signs: ClassVar[frozenset[str]] = frozenset(".,:;!?-–—'\"()[]{}/\\_ ")  # said in codes alone
    telephone: ClassVar[str] = ""  # pattern of telephone numbers as the country writes them
    ordinal_nouns: ClassVar[frozenset[str]] = frozenset()  # behind a Roman numeral that is an ordinal: century
    not_roman: ClassVar[frozenset[str]] = frozenset()  # capitals that look like numerals
    i_verbs: ClassVar[frozenset[str]] = frozenset()  # behind a name and I that is a pronoun

    def __init__(self, variant: str = "") -> None:
        self.variant = variant or self.code  # espeak-ng's name

    # Numbers

    def cardinal(self, number: int) -> str:
        """A whole number in words."""
        return _num2words(number, self.code, "cardinal")

    def ordinal(self, number: int, before: str = "") -> str:
        """The ordinal in words; `before` is the word before it, which may inflect it."""
        return _num2words(number, self.code, "ordinal")

    def is_ordinal(self, digits: str, mark: str) -> bool:
        """Whether these digits have this mark as ordinals: 2nd, not 2th."""
        return True

    def is_year(self, digits: str, before: str) -> bool:
        """Whether four digits are a year; `before` is the word before them."""
        return 1100 <= int(digits) < 2100

    def is_clock(self, hour: str, minute: str) -> bool:
        """Whether two numbers with the foreign decimal mark between them are a time of day."""
        return False

    def year(self, digits: str) -> str:
        """A year in words."""
        return self.cardinal(int(digits))

    def digits(self, digits: str) -> str:
        """One by one."""
        return " ".join(self.cardinal(int(digit)) for digit in digits)

    def decimals(self, digits: str) -> str:
        """The digits behind a decimal mark."""
        return self.digits(digits)

    def counted(self, number: Number | Fraction, unit: str) -> str:
        """The number in words as it stands before a noun (a key of CLDR, or a currency's code)."""
        return self.say(number)

    def say_number(self, value: Number) -> str:
        """Cardinals and decimals; long ones and those with zeros in front digit by digit."""
        whole = value.whole
        by_digit = len(whole) > self.longest_number or (len(whole) > 1 and whole[0] == "0")
        said = self.digits(whole) if by_digit else self.cardinal(int(whole or 0)) if whole or value.fraction else ""
        if value.fraction:
            said = f"{said if whole else self.no_whole} {self.words['point']} {self.decimals(value.fraction)}".strip()
        return " ".join(filter(None, (self.words["minus"] if value.negative else "", said, value.scale)))

    def say_ordinal(self, value: Ordinal) -> str:
        """See `ordinal`."""
        return self.ordinal(value.number, value.before)

    def say_year(self, value: Year) -> str:
        """See `year`."""
        return " ".join(filter(None, (self.year(value.digits), value.era)))

    def say_fraction(self, value: Fraction) -> str:
        """Three over four, where a language has nothing better."""
        said = f"{self.cardinal(value.above)} {self.words['over']} {self.cardinal(value.below)}"
        return f"{self.cardinal(value.whole)} {self.words['and']} {said}" if value.whole is not None else said

    def say_range(self, value: Range) -> str:
        """From a value to another."""
        return f"{self.say(value.first)} {self.words['to']} {self.say(value.last)}"

    def say_power(self, value: Power) -> str:
        """The base, then the exponent."""
        base = value.base if isinstance(value.base, str) else self.say(value.base)
        exponent = value.exponent if isinstance(value.exponent, str) else self.say(value.exponent)
        return f"{base} {self.words['power']} {exponent}"

    def say_roman(self, value: Roman) -> str:
        """A number or an ordinal."""
        return self.ordinal(value.number, value.before) if value.is_ordinal else self.cardinal(value.number)

    # Dates and times

    def say_date(self, value: Date) -> str:
        """Day, month, year."""
        day = self.day(value) if value.day else ""
        month = self.month_names[value.month] if value.month else ""
        return " ".join(filter(None, (value.weekday, day, month, self.date_year(value.year) if value.year else "")))

    def day(self, value: Date) -> str:
        """The day of a date."""
        return self.cardinal(value.day)

    def date_year(self, digits: str) -> str:
        """The year of a date, of two digits or four."""
        return self.digits(digits) if len(digits) == 2 and digits[0] == "0" else self.year(digits)

    def say_time(self, value: Time) -> str:
        """Hours, then minutes, with CLDR's names of both."""
        parts = [(value.hour, "duration-hour")]
        parts += [(value.minute, "duration-minute")] if value.minute else []
        parts += [(value.second, "duration-second")] if value.second else []
        return " ".join(self.say_measure(Measure(Number(str(count)), (unit,))) for count, unit in parts)

    @cached_property
    def month_names(self) -> dict[int, str]:
        """From 1, as they stand in a date."""
        return dict(self.locale.months["format"]["wide"])

    @cached_property
    def month_numbers(self) -> dict[str, int]:
        """Names and abbreviations in lower case, without points -> from 1."""
        found = {}
        for context in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                found |= {name.lower().rstrip("."): number for number, name
                          in self.locale.months[context][width].items() if not name.isdecimal()}
        return found | self.month_abbreviations

    # Amounts

    def say_money(self, value: Money) -> str:
        """Whole units, then their hundredths; one number where there is a scale or no hundredth."""
        number, words = value.number, self.currency_words.get(value.currency)
        part = number.fraction.rstrip("0") if len(number.fraction) > 2 else number.fraction
        if part.strip("0") == "":
            part = ""
        if number.scale or len(part) > 2 or (part and not words):
            return self._amount(number, value.currency) + self._per(value)
        cents = Number(str(int(part.ljust(2, "0")))) if part else None
        whole = number._replace(fraction="") if number.whole.strip("0") or cents is None else None
        if whole is None:
            cents = cents._replace(negative=number.negative)
        said = [self._amount(whole, value.currency)] if whole else []
        if cents:
            said.append(self.cents(cents, value.currency, whole is not None))
        return f" {self.words['money and']} ".join(said).replace("  ", " ") + self._per(value)

    def cents(self, number: Number, currency: str, behind_whole: bool) -> str:
        """The hundredths of an amount."""
        one, many = self.currency_words[currency][2:]
        return f"{self.counted(number, one)} {one if number.count == 1 else many}"

    def _per(self, value: Money) -> str:
        return f" {self.words['per']} {value.per}" if value.per else ""

    def _amount(self, number: Number, currency: str) -> str:
        words = self.currency_words.get(currency)
        is_one = number.count == 1 and not number.fraction
        return f"{self.counted(number, currency)} {self.currency_name(currency, is_one, number, words)}"

    def currency_name(self, currency: str, is_one: bool, number: Number, words: tuple | None) -> str:
        """From the language's own words, else CLDR's in the plural that the number wants."""
        if words:
            return words[0] if is_one else words[1]
        from babel.numbers import get_currency_name

        return get_currency_name(currency, count=_plain_count(number), locale=self.locale)

    def say_measure(self, value: Measure) -> str:
        """Number and unit, the unit in the plural that CLDR has for the number."""
        number, said = value.number, ""
        if number is not None:
            said = self.say(number) if isinstance(number, Range) else self.counted(number, value.units[-1]
                                                                                   if value.units else "")
            if isinstance(number, Range):
                number = number.last
        one = value.attributive or number is None
        units = [self.unit_name(unit, 1 if one or place < len(value.units) - 1 else number)
                 for place, unit in enumerate(value.units)]
        per = [self.per_unit(unit) for unit in value.per]
        return " ".join(filter(None, (said, *units, *per)))

    def per_unit(self, unit: str) -> str:
        """What an amount is over: per hour."""
        return f"{self.words['per']} {self.unit_name(unit, 1)}"

    def unit_name(self, unit: str, number: Any) -> str:
        """The unit's name for a number: from `unit_words`, else CLDR's."""
        count = number if isinstance(number, int) else _plain_count(number)
        if unit in self.unit_words:
            return self.unit_words[unit][0 if count == 1 and isinstance(count, int) else 1]
        key = (unit, self.locale.plural_form(count))
        if key not in self._unit_names:
            self._unit_names[key] = _unit_name(unit, count, str(self.locale))
        name = self._unit_names[key]
        return re.sub(r"\d+", lambda match: self.cardinal(int(match[0])), name)  # liters per 100 kilometers

    @cached_property
    def _unit_names(self) -> dict[tuple[str, str], str]:
        """CLDR's, by unit and plural form."""
        return {}

    # Codes

    def letters(self, text: str) -> str:
        """Marked, so that what speaks can name each letter."""
        return SPELLED + text.upper()

    def say_letters(self, value: values.Letters) -> str:
        """By their names."""
        return self.letters(value.text)

    def say_words(self, value: values.Words) -> str:
        """As they are."""
        return value.text

    def say_telephone(self, value: values.Telephone) -> str:
        """Digit by digit, a comma between groups."""
        groups = [self.digits(group) if group.isdecimal() else self.letters(group) for group in value.groups]
        return (f"{self.words['plus']} " if value.plus else "") + ", ".join(groups)

    def say_serial(self, value: values.Serial) -> str:
        """Letters and numbers in turn."""
        parts = re.findall(r"\d+|[^\W\d_]+|[^\w]", value.text)
        return " ".join(self.say_number(Number(part)) if part.isdecimal() else self.letters(part)
                        if len(part) == 1 or part.isupper() else part for part in parts if part != "-")

    def say_electronic(self, value: values.Electronic) -> str:
        """Words and letters of an address, with the names of the signs between them."""
        said = []
        for part in re.findall(r"\d+|[^\W\d_]+|[\W_]", value.text):
            if part.isdecimal():
                said.append(self.digits(part))
            elif part.isalpha():
                said.append(self.say_net_word(part))
            elif self.words.get(part):
                said.append(self.words[part])
        return " ".join(said)

    def say_net_word(self, word: str) -> str:
        """A word of an address: by letters if it looks like an abbreviation."""
        return self.letters(word) if len(word) == 1 or (len(word) <= 4 and not re.search("[aeiouy]", word.lower())) \
            or word.lower() in ("www", "http", "https", "html", "php") else word

    def port(self, digits: str) -> str:
        """The number behind an address and a colon."""
        return self.say(Number(digits))

    # Words

    def recognisers(self) -> tuple:
        """The language's own, which come before all others."""
        return ()

    def abbreviation(self, match: re.Match) -> str | None:
        """What an abbreviation stands for; None if it is none here."""
        word = match["word"]
        return self.abbreviations.get(word) or self.abbreviations.get(word.lower())

    def ends_sentence(self, match: re.Match) -> bool:
        """Whether the point of an abbreviation ends the text too."""
        return re.match(r"[\"'”’»)\]\s]*$", match.string[match.end():match.end() + 10]) is not None

    def acronym(self, match: re.Match) -> str | None:
        """Letters, or the word in lower case; None leaves it as it is."""
        word, plural = match["word"], match["plural"] or ""
        if "&" in match.string[max(0, match.start() - 1):match.start()] + match.string[match.end():match.end() + 1]:
            return self.letters(word) + plural
        if word in self.spoken:
            return word.capitalize() + plural
        if word not in self.spelled and word in self.capital_words:
            return word.lower() + plural if len(word) > 1 else None
        if word not in self.spelled and not word.isupper():
            return None
        if word not in self.spelled and not re.search("[a-zäöüß\ue001]", match.string[:500]) and len(match.string) > 6:
            return word.lower() + plural  # a line in capitals
        return self.letters(word) + plural if word in self.spelled or self.is_spelled(word) else None

    def is_spelled(self, word: str) -> bool:
        """Whether capitals are said by their letters: those without a vowel."""
        return not re.search("[AEIOUYÄÖÜ]", word)

    def roman_head(self, match: re.Match, head: str) -> str:
        """What inflects the ordinal behind a name."""
        return head.lower()

    def time_range(self, first: Time, last: Time) -> values.Value | None:
        """From a time to another."""
        return Range(first, last)

    def score(self, first: int, last: int) -> str:
        """Of a match: three to one."""
        return f"{self.cardinal(first)} {self.words['score']} {self.cardinal(last)}"

    def weekday_range(self, first: str, last: str) -> str:
        """From a day of the week to another."""
        return f"{first} {self.words['to']} {last}"

    def emoji(self, sign: str) -> str:
        """The name of a pictograph; "" leaves it out."""
        return ""

    def finish(self, text: str) -> str:
        """A last step over the whole text."""
        return text

    # The rest

    def say(self, value: values.Value) -> str:
        """A value of any kind."""
        return getattr(self, f"say_{type(value).__name__.lower()}")(value)

    def speakable(self, spoken: str) -> str:
        """Spoken text with its marked letters written so that espeak-ng names each."""
        if self.variant != self.phonemes_of:
            spoken = re.sub(f"{PHONEMES}[^{PHONEMES}]*{PHONEMES}", "", spoken)
        return re.sub(rf"{SPELLED}(\w+)", lambda match: " ".join(
            self.letter_names.get(letter.lower(), letter.lower()) for letter in match[1]), spoken)

    @cached_property
    def locale(self) -> Any:
        """CLDR's data of the language."""
        from babel import Locale

        return Locale.parse(self.code)


def _plain_count(number: Any) -> int | float:
    count = number.count
    return int(count) if count == int(count) and not getattr(number, "fraction", "") else count


@lru_cache(maxsize=4096)
def _num2words(number: int, code: str, kind: str) -> str:
    from num2words import num2words

    return num2words(number, to=kind, lang=code)


def _unit_name(unit: str, count: int | float, locale: str) -> str:
    """CLDR's long name without the number."""
    from babel.units import format_unit

    return re.sub(r"[-\u2212]?\d[\d.,\u00a0\u202f']*", "", format_unit(count, unit, locale=locale), count=1).strip()
