"""Recognisers of codes: electronic addresses, telephone numbers, versions, Roman numerals, serial numbers."""

from __future__ import annotations

import re

from text.normalisation.patterns import END, START, Patterns, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Electronic, Number, Roman, Serial, Telephone, Value, Words

DOMAINS = ("com org net edu gov mil int info biz io ai app dev co uk us ca de at ch fr es it pt nl be pl ru se no dk "
           "fi cz sk hu ro gr tr ua eu cn jp kr in br mx ar au nz za ie tv me ly fm").split()
FILES = ("js py ts css html json xml csv txt md pdf doc docx xls xlsx ppt pptx jpg jpeg png gif svg mp3 mp4 wav flac "
         "ogg zip exe cpp sh ini log yaml yml toml").split()
_LABEL = r"[^\W_](?:[\w-]{0,62}[^\W_])?"


def _address_pattern(p: Patterns) -> str:
    tail = r"(?:[/?#][^\s<>\"”’»)\]]{0,2000})?"
    hosts = rf"{_LABEL}(?:\.{_LABEL}){{1,8}}"
    url = r"(?i:https?|ftp)://[^\s<>\"”’»)\]]{1,2000}"
    mail = rf"[\w.+-]{{1,64}}@{hosts}{tail}"
    known = rf"(?:{_LABEL}\.){{1,8}}(?i:{one_of(DOMAINS)})(?!\w){tail}"
    name = rf"(?:[a-z][a-z0-9_-]{{1,40}}\.[a-z][a-z0-9]{{1,3}}|[\w-]{{1,40}}\.(?:{one_of(FILES)}))(?![\w@])(?!\.\w)"
    return rf"(?<![\w@.])(?P<net>{url}|{mail}|www\.{hosts}{tail}|{known})|(?<![\w@./])(?P<name>{name})"


def _address(match: re.Match, p: Patterns) -> Value | None:
    if match["name"]:
        word, _, ending = match["name"].rpartition(".")
        if ending.upper() in p.language.capital_words or (word + ".") in p.language.abbreviations:
            return None
        return Electronic(match["name"])
    text = match["net"]
    if f"{text}." in p.language.abbreviations or text in p.language.abbreviations:
        return None
    if re.fullmatch(r"[^\W_]+\.[A-Z][a-z]+", text):
        return None  # a full stop without a space: "He left.No"
    if "@" not in text and "//" not in text and not text.lower().startswith("www.") and text[0].isupper() \
            and re.fullmatch(rf"\w+\.(?:{one_of(p.language.capital_words)})", text.upper()):
        return None  # a full stop without a space: "Go.It"
    return Electronic(text.rstrip(".,;:!?"))


def _numbers_with_points(match: re.Match, p: Patterns) -> Value | None:
    """192.168.0.1 digit by digit, 3.11.7 as numbers."""
    words, port = p.language.words, match["port"]
    parts = match["parts"].split(".")
    if len(parts) == 4 and not match["version"]:
        said = f" {words['.']} ".join(map(p.language.digits, parts))
        if port:
            said += f" {words['port']} {p.language.port(port[1:])}"
        return Words(said)
    if len(parts) == 2 and not match["version"]:
        return None
    said = f" {words['version point']} ".join(p.language.say(Number(part)) for part in parts)
    return Words(f"{words['version']} {said}" if match["version"] else said)


def _tag(match: re.Match, p: Patterns) -> Value | None:
    sign = p.language.words["hashtag" if match["sign"] == "#" else "@"]
    name = match["name"]
    said = name
    if match["sign"] == "@" or re.search("[0-9._]", name):
        is_code = name.isalnum() and not name.isalpha()
        said = p.language.say(Serial(name) if is_code else Electronic(name))
    return Words(f"{sign} {said}")


def _telephone_pattern(p: Patterns) -> str:
    gap = r"[ .\u00a0/-]"
    american = rf"(?:\+?\d{{1,3}}{gap}?)?(?:\(\d{{3}}\){gap}?|\d{{3}}{gap})\d{{3}}[-. ]\d{{4}}(?:-\d{{1,4}})?"
    local = r"\d{3}-\d{4}"
    lettered = r"1-8\d\d(?:-[A-Z0-9]{1,9}){1,4}"
    abroad = rf"\+\d{{1,3}}(?:(?:{gap}{{1,2}}|(?<=\)))\(?\d{{1,12}}\)?){{1,6}}|\+\d{{7,15}}"
    social = r"\d{3}-\d{2}-\d{4}"
    card = r"\d{4}(?:[- ]\d{4}){3}"
    card += r"|97[89]-\d{1,5}-\d{1,7}-\d{1,7}-[\dX]"  # ISBN
    own = rf"|{p.language.telephone}" if p.language.telephone else ""
    return (rf"(?=[\d+(])(?<![\w.,$€£-])"
            rf"(?P<number>{american}|{lettered}|{abroad}|{social}|{card}|{local}{own}){END}(?!-\d)"
            rf"(?![.,:/]\d)")


def _telephone(match: re.Match, p: Patterns) -> Value | None:
    groups = re.findall(r"[0-9]+|[A-Z]+", match["number"])
    return Telephone(tuple(groups), match["number"].startswith("+"))


def _long_code(match: re.Match, p: Patterns) -> Value | None:
    digits = match["digits"]
    return Words(p.language.digits(digits))


def roman_value(numeral: str) -> int:
    """The number, or 0 for what is no Roman numeral in its usual form."""
    if not re.fullmatch(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})", numeral):
        return 0
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}[letter] for letter in numeral]
    return sum(-value if value < following else value for value, following in zip(values, [*values[1:], 0]))


def _roman(match: re.Match, p: Patterns) -> Value | None:
    numeral, language = match["numeral"], p.language
    value = roman_value(numeral.upper())
    head = re.search(r"([^\W\d_][\w'’]{0,20})\.?\s$", match.string[max(0, match.start() - 24):match.start()])
    word = head[1].lower() if head else ""
    if not value:
        return None
    is_number = word in language.number_nouns
    if numeral.islower():
        return Roman(value, False) if is_number and len(numeral) < 6 else None
    point = bool(match["point"])
    follows = match.string[match.end():match.end() + 20].strip().partition(" ")[0].strip(".,;").lower()
    if follows in language.ordinal_nouns:
        return Roman(value, True, word)
    if len(numeral) == 1 and not language.point_ordinals and (
            (is_number and follows in language.i_verbs)
        or re.match(r"\.\s[A-Z]", match.string[match.end():match.end() + 3])):
        return None  # the pronoun, or an initial: Robert I. Hall
    if is_number:
        return Roman(value, False)
    if language.point_ordinals and point and head and (len(numeral) > 1 or numeral in "IVX"):
        return Roman(value, True, language.roman_head(match, head[1]))
    is_name = word in language.name_heads
    if len(numeral) == 1 and not (is_name and numeral in "IVX"
                                  and (follows not in language.i_verbs or _is_titled(match, head))):
        return None
    if is_name:
        return Roman(value, True, language.roman_head(match, head[1]))
    known_word = numeral in language.spelled or numeral in language.not_roman
    return Roman(value, False) if head and head[1][0].isupper() and not known_word else None


def _is_titled(match: re.Match, head: re.Match) -> bool:
    """King Charles I was: a title stands before the name."""
    place = max(0, match.start() - 24) + head.start()
    return match.string[max(0, place - 8):place].strip().rpartition(" ")[2] in ("King", "Queen", "Pope", "Emperor",
                                                                                "Tsar")


def _serial(match: re.Match, p: Patterns) -> Value | None:
    return Serial(match[0]) if "π" not in match[0] else None


ELECTRONIC = (
    Recogniser("electronic", _address_pattern, _address, has_digits=False, needs=r"@|\.\w|//"),
    Recogniser("electronic", lambda p: r"(?<![\w.])(?P<version>(?i:v|version )\.?)?(?P<parts>\d{1,5}(?:\.\d{1,5}){1,5})"
               r"(?P<port>:\d{1,5})?(?![\w%])(?!\.\d)" if p.language.words.get("port") else None,
               lambda match, p: _numbers_with_points(match, p) if _is_chain(match, p) else None),
    Recogniser("electronic", lambda p: r"(?<![\w&])(?P<sign>[#@])(?P<name>[^\W\d_]\w{0,60}(?:\.[a-z]\w{1,20}){0,3})"
               if p.language.words.get("hashtag") else None, _tag, has_digits=False),
)
TELEPHONE = (
    Recogniser("telephone", _telephone_pattern, _telephone),
    Recogniser("telephone", lambda p: rf"{START}(?<!\d )(?P<digits>0\d{{2,12}}){END}(?![.,]\d)", _long_code),
)
ROMAN = (Recogniser("roman", lambda p: r"(?<![\w.’'-])(?P<numeral>[IVXLCDM]{1,9}|[ivxlc]{1,5})(?![\w-])(?P<point>"
                    + (r"\.)?" if p.language.point_ordinals else "(?!))?"), _roman, has_digits=False),)
SERIAL = (Recogniser("serial",
                     lambda p: r"(?<![\w.,])(?:(?=[^\W\d_]{1,8}-?\d)[^\W_]{2,20}|(?=\d{1,8}[^\W\d_])[^\W_]{2,20})"
                     r"(?!\w)", _serial),)


def _is_chain(match: re.Match, p: Patterns) -> bool:
    """Whether numbers with points are no decimal, thousands or date."""
    parts = match["parts"].split(".")
    if match["version"]:
        return True
    if len(parts) == 2 or (all(len(part) == 3 for part in parts[1:]) and (
            p.language.decimal_mark != "." or len(parts[0]) < 4) and (len(parts) != 4 or "000" in parts)):
        return False  # a decimal, or thousands
    if len(parts) == 3 and len(parts[0]) <= 2 and 1 <= int(parts[1]) <= 12 and len(parts[2]) == 4:
        return False  # a date
    if len(parts) == 3 and len(parts[0]) == 4 and 1 <= int(parts[1]) <= 12 and 1 <= int(parts[2]) <= 31:
        return False  # a date with the year first
    is_short = list(map(len, parts)) == [2, 2, 2] and p.language.date_order == "dmy"
    if is_short and int(parts[0]) <= 31 and int(parts[1]) <= 12:
        return False  # a date with a year of two digits
    return len(parts) >= 3 and not re.fullmatch(r"\d{3}\.\d{3}\.\d{4}", match["parts"])  # a telephone number
