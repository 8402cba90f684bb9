"""What the languages with a decimal comma share: signs, letters, pairs of decimals, hours with a letter, addresses."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

from text.abbreviations import TABLES
from text.normalisation.language import SPELLED, Language
from text.normalisation.numbers import before
from text.normalisation.patterns import START, Patterns
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Fraction, Number, Range, Time, Value, Words

# Words of addresses that everybody says as words; others of at most three letters are spelled.
NET_WORDS = frozenset("com net org gov edu info gmail hotmail yahoo outlook google nvidia wiki blog web".split())
_PRONOUNCEABLE = re.compile("(?!html|https)(?=.{4}).*[aeiouyаеиоуыэюя]|[bcdfghj-np-tvwxz][aeiou][bcdfghj-np-tvwxz]$")
SILENT = dict.fromkeys(("®", "™", "•", "^", "|", "†", "‡"), "")
ZONES = ("EST", "EDT", "CST", "PST", "GMT", "UTC", "CET", "CEST", "MSK")


class European(Language):
    """See the module."""

    decimal_mark, group_marks = ",", "."
    zones = (*ZONES, *map(str.lower, ZONES))
    gendered_one: tuple[str, str, str] | None = None  # one alone, masculine and feminine before a noun
    masculine_a: frozenset[str] = frozenset()  # nouns in -a that are masculine

    @cached_property
    def operators(self) -> dict[str, str]:
        """Signs between numbers."""
        words = self.words
        return {"-": words["minus"], "−": words["minus"], "*": words["×"], "×": words["×"], "x": words["×"],
                "÷": words["÷"], "+": words["+"], "=": words["="], "<": words["<"], ">": words[">"]}

    def decimal_pairs(self, digits: str) -> str:
        """Two at a time: 1,5332 as fifty three, thirty two."""
        return " ".join(self.leading_zeros(digits[at:at + 2]) for at in range(0, len(digits), 2))

    def leading_zeros(self, digits: str) -> str:
        """Zeros one by one, then what follows them as a number."""
        rest = digits.lstrip("0")
        return " ".join([self.cardinal(0)] * (len(digits) - len(rest)) + ([self.cardinal(int(rest))] if rest else []))

    # Nouns

    def noun(self, unit: str) -> str:
        """The singular of what is counted: a unit's key, a currency's code or the noun itself."""
        if re.fullmatch("[a-z]{3,12}-[a-z0-9-]+", unit) or unit in self.unit_words:
            return self.unit_name(unit, 1)
        if unit in self.currency_words or re.fullmatch("[A-Z]{3}", unit):
            return self.currency_name(unit, True, Number("1"), self.currency_words.get(unit))
        return unit

    def is_feminine(self, noun: str) -> bool:
        """By the ending of its first word."""
        first = noun.partition(" ")[0].lower()
        return first.endswith("a") and first not in self.masculine_a

    def counted(self, number: Number | Fraction, unit: str) -> str:
        """The number in the gender of the noun behind it."""
        said = self.say(number)
        scaled = isinstance(number, Number) and number.scale
        return self.gendered(said, not scaled and self.is_feminine(self.noun(unit))) if unit else said

    def gendered(self, said: str, feminine: bool) -> str:
        """A number in words as it stands before a noun."""
        if not self.gendered_one:
            return said
        alone, masculine, feminine_one = self.gendered_one
        return re.sub(rf"\b{alone}$", feminine_one if feminine else masculine, said)

    def article_number(self, number: int, feminine: bool = False) -> str:
        """A whole number before a noun of that gender."""
        return self.gendered(self.cardinal(number), feminine)

    def marked_ordinal(self, number: int, mark: str) -> str | None:
        """The ordinal with the ending that the mark behind the digits says; None: it is no ordinal."""
        return self.ordinal(number)

    def before_noun(self, number: int, noun: str) -> str | None:
        """The number before a noun as written, where its ending tells the gender; None leaves it as it is."""
        return None

    def currency_name(self, currency: str, is_one: bool, number: Number, words: tuple | None) -> str:
        """As they stand in a sentence, not in a list."""
        name = super().currency_name(currency, is_one, number, words)
        return name if words else name[:1].lower() + name[1:]

    # Codes

    def letters(self, text: str) -> str:
        """Parted by spaces, each marked."""
        return " ".join(SPELLED + letter for letter in text.upper() if letter.isalnum())

    def say_net_word(self, word: str) -> str:
        """As a word where it can be one."""
        low = word.lower()
        return low if low in NET_WORDS or _PRONOUNCEABLE.match(low) else self.letters(low)

    def is_spelled(self, word: str) -> bool:
        """Without a vowel, or of at most three letters."""
        return super().is_spelled(word) or len(word) <= 3


def hours(letters: str) -> Recogniser:
    """14h30 and 15 h 10 min 40 s, with these letters for the hour; 14h alone is `time_mark`'s."""
    clock = rf"(?P<hour>[01]?\d|2[0-4])\s?(?:{letters})"
    minutes = r"\s?(?P<minute>[0-5]\d)(?:\s?(?:min\.?|m)(?!\w))?(?:\s?(?P<second>[0-5]\d)\s?s(?:eg|ec|ek)?)?"
    first, last = (re.sub(r"\?P<(\w+)>", rf"?P<\g<1>{place}>", clock + f"(?:{minutes})?") for place in ("", "2"))
    pattern = rf"(?<![\w:.,/–-]){first}(?:\s?[-–]\s?{last})?(?![\w/])"
    return Recogniser("time", lambda p: pattern, _hour)


def _hour(match: re.Match, p: Patterns) -> Value | None:
    if not match["minute"] and not match["minute2"]:
        return None
    times = [Time(*(int(match[name + place]) if match[name + place] else None for name in ("hour", "minute", "second")),
                  marked=True) for place in ("", "2") if match["hour" + place]]
    return Range(*times) if len(times) > 1 else times[0]


def point_time(heads: str) -> Recogniser:
    """13.30 behind a word such as "at"."""
    pattern = rf"(?<![\w.,:])(?P<head>(?i:{heads})\s)(?P<hour>[01]?\d|2[0-4])\.(?P<minute>[0-5]\d)(?![\d%]|[.,:]\d)"

    def value(match: re.Match, p: Patterns) -> Value | None:
        head, time = match["head"].strip(), Time(int(match["hour"]), int(match["minute"]))
        return Words(f"{p.language.abbreviations.get(head, head)} {p.language.say(time)}")

    return Recogniser("time", lambda p: rf"{pattern}(?:\s?(?:{p.language.time_mark or '(?!)'}))?(?!\w)", value)


def _before_noun(match: re.Match, p: Patterns) -> Value | None:
    """1 casa, 200 personas; not 1 mayo, 21 km, artículo 1 trata."""
    language, noun, written = p.language, match["noun"], match["number"]
    known = noun in language.month_numbers or noun in p.symbols or noun in language.scales or noun in (
        *language.currency_signs, *language.currency_codes, *language.scale_abbreviations) or noun in (
        TABLES[language.code].starters | TABLES[language.code].conjunctions)
    number = int(re.sub(r"\D", "", written))
    if known or (len(written) == 4 and 1500 <= number < 2100) or written[0] == "0" or number >= 10**9 or before(
            match).rpartition(" ")[2] in language.number_nouns:
        return None
    said = language.before_noun(number, noun)
    return Words(said) if said else None


NOUNS = Recogniser("cardinal", lambda p: rf"{START}(?<![-–+−/])(?P<number>{p.whole})(?=[ \u00a0](?P<noun>[^\W\d_A-ZА-Я]"
                   r"{3,30})(?!\w))", _before_noun)


def _ordinal(match: re.Match, p: Patterns) -> Value | None:
    said = p.language.marked_ordinal(int(re.sub(r"\D", "", match["number"])[:15]), match["mark"])
    return Words(said) if said else None


ORDINALS = Recogniser(
    "ordinal", lambda p: rf"(?<![\w.,])(?P<number>{p.whole})(?P<mark>{p.language.ordinal_mark})(?!\w)", _ordinal)


def plain(kind: str, pattern: str, value: Callable[[re.Match, Patterns], Value | None],
          has_digits: bool = True) -> Recogniser:
    """A recogniser whose pattern needs no data of the language."""
    return Recogniser(kind, lambda p: pattern, value, has_digits)
