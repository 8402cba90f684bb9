"""Recognisers of numbers and amounts: cardinal, ordinal, decimal, fraction, range, score, money, measure, power."""

from __future__ import annotations

import re
import unicodedata

from text.normalisation.patterns import AMOUNT, DASH, END, SIGN, SPACES, START, Patterns, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import (
    Fraction,
    Measure,
    Money,
    Number,
    Ordinal,
    Power,
    Range,
    Time,
    Value,
    Words,
    Year,
)

SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+"))
VULGAR = "".join(chr(code) for code in (*range(0xBC, 0xBF), *range(0x2150, 0x215F), 0x2189))
_SUPER = "[" + "".join(SUPERSCRIPTS) + "]"


def _number(match: re.Match, patterns: Patterns, group: str = "number") -> Number:
    scale = patterns.scale_word(match.groupdict().get("scale"))
    return patterns.read(match[group], bool(match.groupdict().get("sign")), scale)


def _money_pattern(p: Patterns) -> str:
    letters = one_of(p.language.scale_letters)
    amount = rf"(?P<number>{p.amount}|{re.escape(p.language.decimal_mark)}\d{{1,9}})"
    scale = rf"(?P<scale>{p.scale}|(?:{letters})(?!\w))?"
    other = rf"(?P<other>{p.amount})(?P<scale2>{p.scale}|(?:{letters})(?!\w))?"
    return (rf"{SIGN}(?<![\w$])(?!(?<=\d\s)[^\W\d_A-Z])(?P<currency>{p.currency}|"
            rf"(?:{one_of(p.language.currency_codes)})(?=\s?\d))\s?{amount}"
            rf"{scale}(?:{DASH}(?P<currency2>{p.currency})?{other}(?![\w/]))?(?P<per>/(?:{p.unit}|[^\W\d_]{{1,8}}\b))?")


def _money(match: re.Match, p: Patterns) -> Value | None:
    language = p.language
    currency = language.currency_signs.get(match["currency"], match["currency"])
    per = _period(match["per"], p)
    if match["per"] and per is None:
        return None
    first = Money(_scaled(match["number"], match["scale"], p, bool(match["sign"])), currency, per or "")
    if match["other"] is None:
        return first
    last = Money(_scaled(match["other"], match["scale2"], p), currency, per or "")
    return Range(first.number if not match["currency2"] else first, last)


def _money_behind_pattern(p: Patterns) -> str:
    units = one_of([*p.language.currency_signs, *p.language.currency_codes])
    letters = one_of(p.language.scale_letters)
    return (rf"{AMOUNT}{SIGN}{START}(?:(?P<first>{p.amount}){DASH})?(?P<number>{p.amount})"
            rf"(?P<scale>{p.scale}|\s?{letters}(?=[€$£]))?[\s{SPACES}-]?"
            rf"(?P<currency>{units})(?!\w)(?P<per>/(?:{p.unit}|[^\W\d_]{{1,8}}\b))?")


def _money_behind(match: re.Match, p: Patterns) -> Value | None:
    currency = p.language.currency_signs.get(match["currency"], match["currency"])
    amount = Money(_scaled(match["number"], match["scale"], p, bool(match["sign"])), currency,
                   _period(match["per"], p) or "")
    return Range(p.read(match["first"]), amount) if match["first"] else amount


def _scaled(number: str, scale: str | None, p: Patterns, negative: bool = False) -> Number:
    return p.read(number, negative, p.scale_word(scale))


def _period(per: str | None, p: Patterns) -> str | None:
    """What money is over: a month, a square meter."""
    name = (per or "")[1:]
    return p.language.periods.get(name) or (p.language.unit_name(p.key(name), 1) if name in p.symbols else None)


def _cents(match: re.Match, p: Patterns) -> Value | None:
    number = p.read(match["number"])
    return Words(p.language.cents(number, p.language.cent_currency, False)) if p.language.cent_currency else None


def _measure_pattern(p: Patterns) -> str:
    fraction = r"(?:(?P<mixed>\d{1,6})\s)?(?P<above>\d{1,6})/(?P<below>\d{1,6})"
    vulgar = rf"(?P<vulgar>\d{{0,6}}\s?[{VULGAR}])"
    numbers = rf"(?:{fraction}|{vulgar}|(?:(?P<first>{p.number}){DASH})?(?P<number>{p.number})(?P<scale>{p.scale})?)"
    space = rf"(?P<space>[\s{SPACES}-]?)"
    units = rf"(?P<unit>{p.unit}(?:[⋅·*]{p.unit})?)"
    return (rf"{AMOUNT}{SIGN}(?<![\w^])(?<!\d[.,:/]){numbers}{space}(?:{units}(?:/(?P<per>{p.unit})|(?P<only>))|"
            rf"/(?P<alone>{p.unit}))")


def _measure(match: re.Match, p: Patterns) -> Value | None:
    unit = match["unit"] or ""
    if len(unit) == 1 and unit.isalpha() and not match["per"]:
        allowed = p.language.loose_units if match["space"] else p.language.tight_units
        tied = match["space"] == "-" and not re.match("-[A-ZÄÖÜ]", match.string[match.end():match.end() + 2])
        if unit not in allowed or tied:
            return None
    negative = bool(match["sign"])
    if match["above"]:
        number = Fraction(int(match["above"]), int(match["below"]), int(match["mixed"]) if match["mixed"] else None,
                          negative)
        if not number.below:
            return None
    elif match["vulgar"]:
        number = _vulgar_value(match["vulgar"], negative)
    else:
        number = _number(match, p)
        if match["first"]:
            number = Range(p.read(match["first"], negative), number._replace(negative=False))
    keys = tuple(key for part in re.split("[⋅·*]", unit) if part for key in [p.key(part)])
    per = match["per"] or match["alone"]
    units, _, also_per = keys[-1].partition("/") if keys else ("", "", "")
    pers = tuple(filter(None, (also_per, p.key(per) if per else "")))
    return Measure(number, (*keys[:-1], units) if keys else (), pers, match["space"] == "-")


def _fraction_pattern(p: Patterns) -> str:
    return (rf"{AMOUNT}{SIGN}(?<![\w/])(?<!\d[.,])(?:(?:(?P<whole>\d{{1,6}})\s)?(?P<above>\d{{1,9}})\s?[/⁄]\s?"
            rf"(?P<below>{p.whole})(?![\w/])(?![.,]\d)|(?P<vulgar>\d{{0,6}}\s?[{VULGAR}]))")


def _fraction(match: re.Match, p: Patterns) -> Value | None:
    fixed = p.language.fixed.get(match[0].strip())
    if fixed:
        return Words(fixed)
    if match["vulgar"]:
        return _vulgar_value(match["vulgar"], bool(match["sign"]))
    above, below = match["above"], re.sub(r"\D", "", match["below"])[:15]
    if len(above) == 4 and 1500 <= int(above) < 2100 and " " not in match[0] and (
            len(below) == 2 or (len(below) == 4 and int(below) == int(above) + 1)):
        return Words(f"{p.language.year(above)} {p.language.year(below)}")  # a season: 1989/90
    return Fraction(int(above), int(below), int(match["whole"]) if match["whole"] else None, bool(match["sign"]))


def _vulgar_value(text: str, negative: bool) -> Fraction:
    above, _, below = unicodedata.normalize("NFKC", text[-1]).partition("⁄")
    whole = text[:-1].strip()
    return Fraction(int(above or 1), int(below or 1), int(whole) if whole else None, negative)


def _power_pattern(p: Patterns) -> str:
    exponent = rf"(?:(?P<super>{_SUPER}{{1,6}})|\^(?:\{{)?(?P<caret>[-−]?\d{{1,6}}|[a-z])(?:\}})?(?!\w))"
    return (rf"(?<![\w.])(?:(?P<number>{p.number})|(?P<name>[^\W\d_]{{1,3}}))\s?{exponent}"
            rf"(?P<behind>\s(?P<unit>{p.unit})(?:/(?P<per>{p.unit}))?)?")


def _power(match: re.Match, p: Patterns) -> Value | None:
    raw = "".join(SUPERSCRIPTS[sign] for sign in match["super"]) if match["super"] else match["caret"]
    digits = raw.lstrip("-−+")
    exponent = Number(digits, negative=raw[0] in "-−") if digits.isdecimal() else p.language.letters(raw)
    if match["super"] and not digits:
        return None
    name = match["name"]
    base = p.read(match["number"]) if match["number"] else " ".join(map(p.language.letters, name))
    power = Power(base, exponent)
    if not match["unit"]:
        return power
    if name:
        return Words(p.language.say(power) + match["behind"])
    two = Measure(Number("2"), (p.key(match["unit"]),), (p.key(match["per"]),) if match["per"] else ())
    return Words(f"{p.language.say(power)} {p.language.say(two).partition(' ')[2]}")  # 10^8 m/s


def _range_pattern(p: Patterns) -> str:
    return rf"{START}(?<!\d-)(?P<first>{p.number}){DASH}(?P<number>{p.number})(?![\w%-])(?![-–—/:]\d)"


def _range(match: re.Match, p: Patterns) -> Value | None:
    behind = match.string[match.end():match.end() + 40]
    first, last = p.read(match["first"]), p.read(match["number"])
    if re.match(r"\s?=", behind) and "-" in match[0]:
        return Words(f"{p.language.say(first)} {p.language.words['minus']} {p.language.say(last)}")
    if first.ungrouped and p.language.is_year(first.whole, "in") and len(last.whole) in (2, 4) and not last.fraction:
        return Range(Year(first.whole), Year(last.whole))
    return Range(first, last)


def _score(match: re.Match, p: Patterns) -> Value | None:
    if p.language.words.get("score") is None:
        return Range(Number(match["first"]), Number(match["last"]))
    return Words(p.language.score(int(match["first"]), int(match["last"])))


def _ordinal(match: re.Match, p: Patterns) -> Value | None:
    digits = "".join(filter(str.isdecimal, match["number"]))
    if len(digits) > 15 or not p.language.is_ordinal(digits, match["mark"]):
        return None
    return Ordinal(int(digits), before(match))


def before(match: re.Match, skipped: str = "") -> str:
    """Up to two words before a match in lower case; "" if a mark or nothing stands there.

    Args:
        match: of a value.
        skipped: pattern of what may stand between those words and the value.
    """
    left = match.string[max(0, match.start() - 72):match.start()]
    if skipped:
        left = re.sub(rf"(?<!\S)(?:{skipped}){{1,4}}$", "", left)
    found = re.search(r"(?:[^\W\d_]{1,20} )?[^\W\d_]{1,20} $", left[-42:])
    return found[0].strip().lower() if found else ""


def _cardinal_pattern(p: Patterns) -> str:
    decimal = re.escape(p.language.decimal_mark)
    return rf"{AMOUNT}{SIGN}(?:(?P<number>{p.number})|(?<!\w){decimal}(?P<part>\d+))(?P<scale>{p.scale})?"


def _cardinal(match: re.Match, p: Patterns) -> Value | None:
    if match["part"]:
        return Number("", match["part"], bool(match["sign"]), p.scale_word(match["scale"]))
    number = _number(match, p)
    if number.ungrouped and not number.negative and not number.scale and p.language.is_year(
            number.whole, before(match)):
        return Year(number.whole)
    return number


def _thousands(match: re.Match, p: Patterns) -> Value | None:
    """10k, 1,5k."""
    number = p.read(match["number"])
    return Number(str(int(f"{number.whole}{number.fraction.ljust(3, '0')}")))


def _foreign_decimal(match: re.Match, p: Patterns) -> Value | None:
    """3.14 where decimals have a comma: a time of day where the language writes them so."""
    whole, fraction = match["whole"], match["fraction"]
    language = p.language
    if not match["sign"] and len(fraction) == 2 and language.is_clock(whole, fraction):
        return Time(int(whole), int(fraction))
    said = language.say(Number(whole, negative=bool(match["sign"])))
    return Words(f"{said} {language.words['decimal point']} {language.decimals(fraction)}")


AMOUNTS = (
    Recogniser("money", _money_pattern, _money),
    Recogniser("money", _money_behind_pattern, _money_behind),
    Recogniser("money", lambda p: rf"{START}(?P<number>{p.number})\s?¢", _cents, needs="¢"),
    Recogniser("measure", _measure_pattern, _measure),
    Recogniser("power", _power_pattern, _power, needs=rf"\^|{_SUPER}"),
)
FRACTIONS = (Recogniser("fraction", _fraction_pattern, _fraction, needs=rf"[/⁄{VULGAR}]"),)
NUMBERS = (
    Recogniser("score", lambda p: rf"{START}(?P<first>\d{{1,3}}):(?P<last>\d{{1,3}})(?![\w:])", _score),
    Recogniser("range", _range_pattern, _range),
    Recogniser("cardinal", lambda p: rf"{START}(?P<number>\d{{1,6}}(?:{re.escape(p.language.decimal_mark)}\d{{1,3}})?)k"
               r"(?!\w)", _thousands, needs=r"\dk"),
    Recogniser("decimal", lambda p: rf"{AMOUNT}{SIGN}{START}(?P<whole>\d{{1,9}})[{p.foreign}]"
               rf"(?P<fraction>\d{{1,2}}|\d{{4,9}}){END}(?![.,:/]\d)"
               if p.language.words.get("decimal point") else None, _foreign_decimal),
    Recogniser("ordinal",
               lambda p: rf"(?=\d)(?<![\w.,])(?P<number>{p.whole}|\d{{1,6}})(?P<mark>{p.language.ordinal_mark}){END}"
               if p.language.ordinal_mark else None, _ordinal),
    Recogniser("cardinal", _cardinal_pattern, _cardinal),
)
