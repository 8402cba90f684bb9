"""Recognisers of written English: street addresses, feet and inches, quarters of a year, code, sizes, heteronyms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from text.normalisation.language import PHONEMES
from text.normalisation.languages.en_heteronyms import OTHERS, PAIRS, pronunciation
from text.normalisation.languages.en_words import STATES, STREETS
from text.normalisation.patterns import END, START, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Date, Measure, Number, Range, Value, Words

if TYPE_CHECKING:
    from text.normalisation.languages.en import English

_SHORT_MONTH = "(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)"
_SHORT_DAY = "(?:Mon|Tues?|Wed|Thurs?|Thu|Fri|Sat|Sun)"
# Plural nouns behind which 100m is a hundred metres: 100m sprints.
_OF_METRES = frozenset("hurdles sprints sprinters races heats finals walls waves trees towers swimmers runners lengths "
                       "intervals tracks pools steps times".split())


def _street(match: re.Match, p) -> Value | None:
    """1428 Elm St. -> fourteen twenty eight Elm Street."""
    number, street = match["number"], STREETS[match["street"].lower().rstrip(".")]
    return Words(f"{_house(number, p.language)} {match['name'].strip()} {street}")


def _house(digits: str, language: English) -> str:
    if len(digits) < 3 or digits.endswith("00"):
        return language.cardinal(int(digits)) if digits[0] != "0" else language.digits(digits)
    head, rest = digits[:-2], digits[-2:]
    tail = f"oh {language.cardinal(int(rest))}" if rest[0] == "0" else language.cardinal(int(rest))
    return f"{language.cardinal(int(head))} {tail}" if len(digits) < 5 else language.digits(digits)


def _state(match: re.Match, p) -> Value | None:
    code = match["zip"]
    zip_code = f"{match['comma'] or ''} " + ", ".join(map(p.language.digits, code.split("-"))) if code else ""
    return Words(f"{STATES[match['state']]}{zip_code}")


def _feet(match: re.Match, p) -> Value | None:
    feet, inches = int(match["feet"]), match["inches"]
    said = f"{p.language.cardinal(feet)} {'foot' if inches or feet == 1 else 'feet'}"
    return Words(f"{said} {p.language.cardinal(int(inches))}" if inches else said)


def _quarter(match: re.Match, p) -> Value | None:
    quarter, year = match["q"] or match["q2"], match["y"] or match["y2"]
    return Words(f"the {p.language.ordinal(int(quarter))} quarter of {p.language.year(year)}")


def _code_name(match: re.Match, p) -> Value | None:
    return Words({"c#": "C sharp", "f#": "F sharp", "c++": "C plus plus", ".net": "dot net"}[match[0].lower()])


def _race(match: re.Match, p) -> Value | None:
    """A 10k."""
    return Words(f"{p.language.cardinal(int(match['number']))} {p.language.letters('K')}")


def _people(match: re.Match, p) -> Value | None:
    """5m people, 2.5m homes."""
    if match["noun"] in _OF_METRES:
        return None
    return p.read(match["number"], scale=p.language.scale_letters[match["scale"]])


def _minutes(match: re.Match, p) -> Value | None:
    """52:13 is no time of day."""
    first, last = match["first"], match["last"]
    return Words(f"{p.language.cardinal(int(first))} {p.language.leading_oh(last)}") if int(first) > 24 else None


def _size(match: re.Match, p) -> Value | None:
    """12 x 14 ft, 1920x1080; not 3 x 4 = 12, and 2x8 is a code."""
    numbers = [match[name] for name in "abc" if match[name]]
    if ("×" in match[0] and " " in match[0]) or re.fullmatch(r"\dx\d", match[0]):
        return None
    if all(len(number) > 2 and number.isdecimal() for number in numbers):
        return Words(" by ".join(_house(number, p.language) for number in numbers))
    return Words(" by ".join(p.language.say(p.read(number)) for number in numbers))


def _month_and_day(match: re.Match, p) -> Value | None:
    """On 4/7."""
    return Date(month=int(match["m"]), day=int(match["d"]))


def _fiscal_year(match: re.Match, p) -> Value | None:
    return Words(f"fiscal year {p.language.year(match['year'])}")


def _plural_number(match: re.Match, p) -> Value | None:
    """747s, the 49ers."""
    said = p.language.cardinal(int(match["number"]))
    if match["end"] == "s":
        return Words(said[:-1] + "ies" if said.endswith("y") else said + ("es" if said.endswith("x") else "s"))
    return Words(said + match["end"].removeprefix("e" if said.endswith("e") else ""))


def _military(match: re.Match, p) -> Value | None:
    """0900 hours."""
    hour, minute = match["hour"], match["minute"]
    said = p.language.digits(hour) if hour[0] == "0" else p.language.cardinal(int(hour))
    return Words(f"{said} {'hundred' if minute == '00' else p.language.leading_oh(minute)}")


def _duration(match: re.Match, p) -> Value | None:
    """1h 20m, 5m 30s."""
    counts = [(match[name], unit) for name, unit in (("h", "hour"), ("m", "minute"), ("s", "second")) if match[name]]
    if len(counts) < 2:
        return None
    return Words(" ".join(p.language.say(Measure(Number(count), (f"duration-{unit}",))) for count, unit in counts))


def _expiry(match: re.Match, p) -> Value | None:
    """09/27 is no fraction."""
    return Words(f"{p.language.digits(match['first'])} {p.language.leading_oh(match['last'])}")


def _software(match: re.Match, p) -> Value | None:
    """Python 3.11."""
    return Words(f"{p.language.cardinal(int(match['whole']))} point {p.language.leading_oh(match['part'])}")


def _unit_alone(match: re.Match, p) -> Value | None:
    """Per kg."""
    return Words(p.language.unit_name(p.key(match[0]), 1))


def _emergency(match: re.Match, p) -> Value | None:
    return Words(p.language.digits(match["digits"]))


def _scaled(match: re.Match, p) -> Value | None:
    """50k, 3.5M, 10bn."""
    number = p.read(match["number"], scale=p.language.scale_letters[match["scale"]])
    return Range(p.read(match["first"]), number) if match["first"] else number


def _heteronym(match: re.Match, p) -> Value | None:
    """The word stays, with its phonemes marked behind it."""
    text, word = match.string, match["word"]
    before = re.findall(r"[\w'’]+|[.;:!?]", text[max(0, match.start() - 30):match.start()].lower())[-2:]
    behind = re.findall(r"[\w'’]+|[.;:!?]", text[match.end():match.end() + 60].lower())
    phonemes = pronunciation(word.lower(), before, behind)
    return Words(f"{word}{PHONEMES}{phonemes}{PHONEMES}") if phonemes else None


def _slashes(match: re.Match, p) -> Value | None:
    words = match[0].split("/")
    return Words((" " if match[0].lower() == "and/or" else " slash ").join(words))


def _letter_a(match: re.Match, p) -> Value | None:
    """A capital within a sentence is the letter: Plan A; a title may begin with the article."""
    return Words(p.language.letters("A"))


def _months(match: re.Match, p) -> Value | None:
    numbers = p.language.month_numbers
    first, last = (p.language.month_names[numbers[match[name].lower()]] for name in ("first", "last"))
    return Words(f"{first} to {last}")


def _signs_of(name: str, pattern: str, value, has_digits: bool = True, needs: str = "") -> Recogniser:
    return Recogniser(name, lambda p: pattern, value, has_digits, needs)


_STREET_NAMES = "|".join(sorted(STREETS, key=len, reverse=True))
ENGLISH = (
    _signs_of("address", rf"(?=\d)(?<![\w.,$€£])(?P<number>\d{{1,5}})(?P<name>(?:\s[A-Z][\w'’.-]{{0,20}}){{1,3}}?)\s"
              rf"(?P<street>(?i:{_STREET_NAMES})\b\.?)(?!\s?\w*['’])", lambda match,
              p: None if match["street"].isupper()
              else _street(match, p)),
    _signs_of("address", rf"(?<=,\s)(?P<state>{'|'.join(STATES)})(?:(?P<comma>,?)\s(?P<zip>\d{{5}}(?:-\d{{4}})?)(?!\d)|"
              rf"(?=[.,;!?]|$)(?P<none>))", _state, has_digits=False, needs=r",\s[A-Z]{2}"),
    _signs_of("measure", r"(?=\d)(?<![\w.,])(?P<feet>\d{1,2})\s?['’′]\s?(?P<inches>\d{1,2})"
                         r"(?:\s?(?:[\"”″]|''))?(?![\w])",
              _feet),
    _signs_of("date", r"(?<![\w.])(?:(?P<q>[1-4])Q(?P<y>\d{2}|20\d\d)|Q(?P<q2>[1-4])[\s-](?P<y2>20\d\d))(?!\w)",
              _quarter),
    _signs_of("electronic", r"(?<![\w.])(?:[CcFf]#|[Cc]\+\+|\.(?:NET|Net|net))(?![\w#+])", _code_name,
              has_digits=False),
    _signs_of("acronym", r"(?<=[a-z] )A(?=[.,;:!?)\"]|$| [a-z])", _letter_a, has_digits=False, needs="[a-z] A"),
    _signs_of("range", rf"(?<![\w.-])(?P<first>{_SHORT_MONTH})\.?\s?[-–—]\s?(?P<last>{_SHORT_MONTH})(?![\w-])\.?",
              _months, has_digits=False, needs="[a-z.] ?[-–—] ?[A-Z]"),
    _signs_of("telephone", r"(?:(?<=[Cc]all )|(?<=[Dd]ial )|(?<=[Tt]ext ))(?P<digits>911|999|112|411|311|988|101|111)"
              r"(?!\w|[.,]\d|\s[a-z]+s\b)", _emergency),
    _signs_of("date", rf"(?<![\w–—-])(?<![–—-]\s)(?<![Tt]he )(?:(?P<day>{_SHORT_DAY})\.?(?=,?\s\d)|(?:(?<=[Cc]losed )|"
              rf"(?<=[Ee]very )|(?<=\bon )|(?<=[Oo]pen )|(?<=[Uu]ntil ))(?P<day2>{_SHORT_DAY})"
              r"(?!\w|\s?[–—-]|\.\s?[–—-]))", lambda match, p: Words(
                  p.language.weekday_abbreviations[(match["day"] or match["day2"]).lower()])),
    _signs_of("time", r"(?<!\w)(?P<hour>[01]\d|2[0-4])(?P<minute>[0-5]\d)(?=\s(?:hours|hrs)\b)", _military),
    _signs_of("duration", r"(?=\d)(?<![\w.,])(?:(?P<h>\d{1,3})\s?h(?:rs?)?\s?)?(?P<m>[0-5]?\d)\s?m(?:ins?)?"
              r"(?:\s?(?P<s>[0-5]?\d)\s?s(?:ecs?)?)?(?!\w)", _duration),
    _signs_of("time", r"(?=\d)(?<![\w.,:])(?P<first>\d{2,3}):(?P<last>[0-5]\d)(?![\w:])", _minutes),
    _signs_of("measure", r"(?=\d)(?<![\w.,:/$£€])(?P<a>\d{1,5}(?:\.\d{1,3})?)\s?[x×]\s?(?P<b>\d{1,5}(?:\.\d{1,3})?)"
              r"(?:\s?[x×]\s?(?P<c>\d{1,5}(?:\.\d{1,3})?))?(?!\w(?<!m)|\s?=|\.\d)(?!m\w{2})", _size),
    _signs_of("measure", r"(?:(?<=\d[\"″])|(?<=\d[ -]ft)|(?<=\dft)|(?<=\d in)|(?<=\d[ -]cm)|(?<=\dcm)|(?<=\dmm)|"
              r"(?<=\d mm)|(?<=\d m)|(?<=\dm))\s?[x×]\s?(?=\d)", lambda match, p: Words("by"), needs="[x×]"),
    _signs_of("date", r"(?:(?<=\b[Oo]n )|(?<=\b[Dd]ue )|(?<=\b[Uu]ntil ))(?P<m>1[0-2]|[1-9])/"
              r"(?P<d>3[01]|[12]\d|[1-9])(?![\w/]|\.\d)", _month_and_day),
    _signs_of("date", r"(?<!\w)FY\s?(?P<year>20\d\d|\d\d)(?!\w)", _fiscal_year, needs="FY"),
    _signs_of("abbreviation", r"(?<![\w.])c\.\s?(?=\d{3,4}(?!\d))", lambda match, p: Words("circa ")),
    _signs_of("abbreviation", r"(?<![\w.])[Ee]xp\.?(?=:?\s(?:date\s)?\d)", lambda match, p: Words("expires")),
    _signs_of("date", r"(?=\d)(?<![\w/.,])(?P<first>0\d)/(?P<last>\d\d)(?![\w/]|\.\d)", _expiry),
    _signs_of("cardinal", r"(?=\d)(?<![\w.,$£€'’-])(?P<number>[1-9]\d\d|\d\d(?=er))(?P<end>s|ers?)(?!\w)",
              _plural_number),
    _signs_of("version", r"(?:(?<=Python )|(?<=PHP )|(?<=Node )|(?<=iOS )|(?<=macOS )|(?<=Android )|(?<=Ubuntu )|"
              r"(?<=Java )|(?<=Ruby )|(?<=Go ))(?P<whole>\d{1,3})\.(?P<part>\d\d)(?![\w%]|\.\d)", _software),
    _signs_of("measure", r"(?<=\bper )(?:kg|km|lb|oz|ft|mi|gal|hr|min|sec|ml|sq ft|kWh|m²|cm)(?!\w)", _unit_alone,
              has_digits=False, needs=r"\bper "),
    _signs_of("measure", r"(?=\d)(?<![\w.,])(?P<number>\d{1,5}\.\d{1,3})s(?!\w)", lambda match, p: Measure(
        p.read(match["number"]), ("duration-second",))),
    _signs_of("cardinal", r"(?=\d)(?<![\w.,])(?P<number>\d{1,5}(?:\.\d{1,3})?)[x×](?=\s[a-z]{2}|[.,;!?)](?!\d))",
              lambda match, p: Words(f"{p.language.say(p.read(match['number']))} times")),
    _signs_of("sign", r"(?<=\d)!(?=\s?[=+*/×÷-])", lambda match, p: Words(" factorial"), needs=r"\d!"),
    _signs_of("cardinal", r"(?:(?<=\b[Aa] )|(?<=\bthe ))(?P<number>5|10)[kK](?!\w)", _race),
    Recogniser("cardinal", lambda p: rf"{START}(?<![$£€¥₹₩])(?P<number>{p.number})(?P<scale>[mb])(?=\s(?P<noun>people|"
               r"men|women|children|of (?:them|us|its|the)|[a-z]{3,20}s)\b)", _people),
    Recogniser("cardinal", lambda p: rf"{START}(?<![$£€¥₹₩])(?<!\d[-–])"
               rf"(?:(?P<first>\d{{1,3}})[-–])?(?P<number>{p.number})(?P<scale>k|M|mn|bn|tn){END}", _scaled),
    _signs_of("measure", r"(?<=\d\d)\s?C(?=/\d|[.,;)](?!\w)|\s(?:fan|oven|for|and|or)\b)",
              lambda match, p: Words(" degrees Celsius")),
    _signs_of("measure", r"(?:(?<=\d)in(?!\w)\.?(?!$)|(?<=\d )in(?=\.\s[A-Z]|"
              r"\s(?:x|wide|tall|long|deep|high|thick)\b))", lambda match, p: Words("inches")),
    _signs_of("abbreviation", r"(?<![\w.])(?<!\d\s)[Ss]ec\.(?=\s\d)", lambda match, p: Words("section")),
    _signs_of("sign", r"#(?=\d)", lambda match, p: Words("number")),
    Recogniser("heteronym", lambda p: rf"(?<![\w'’-])(?P<word>(?i:{one_of([*PAIRS, *OTHERS])}))(?![\w'’-])", _heteronym,
               has_digits=False),
    _signs_of("sign", r"(?<![\w/:.@])(?<!\d\s)[A-Za-z]{2,20}(?:/[A-Za-z]{2,20}){1,4}(?![\w/.:@])", _slashes,
              has_digits=False),
)
