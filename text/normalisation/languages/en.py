"""English as it is read aloud; American where the two differ, but for dates with the day first."""

from __future__ import annotations

import re
import unicodedata

from text.normalisation.language import Language, _num2words
from text.normalisation.languages.en_rules import ENGLISH
from text.normalisation.languages.en_words import (
    ABBREVIATIONS,
    CAPITAL_WORDS,
    NAME_HEADS,
    NUMBER_NOUNS,
    SPELLED_WORDS,
    SPOKEN_WORDS,
    STREETS,
)
from text.normalisation.values import (
    Date,
    Fraction,
    Number,
    Power,
    Roman,
    Serial,
    Telephone,
    Time,
    Year,
)

_MONTHS = ("January February March April May June July August September October November December").split()
_POINTED_UNITS = {"hr.": "duration-hour", "hrs.": "duration-hour", "min.": "duration-minute",
                  "mins.": "duration-minute", "sec.": "duration-second", "secs.": "duration-second",
                  "yr.": "duration-year", "yrs.": "duration-year", "yd.": "length-yard", "yds.": "length-yard",
                  "tsp.": "volume-teaspoon", "tbsp.": "volume-tablespoon", "gal.": "volume-gallon"}
_SUFFIXES = {"1": "st", "2": "nd", "3": "rd"}


class English(Language):
    """See the module."""

    code = "en"
    date_order = "mdy"
    ordinal_mark = "(?i:st|nd|rd|th)"
    day_mark = "(?:(?i:st|nd|rd|th))?"
    date_of = "of"
    month_words = frozenset({"may", "march", "mar", "sat", "sun"})
    month_numbers = {written: number for number, name in enumerate(_MONTHS, start=1)
                     for written in (name.lower(), name[:3].lower(), *(["sept"] if number == 9 else []))}
    weekday_abbreviations = {"mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday",
                             "thu": "thursday", "thur": "thursday", "thurs": "thursday", "fri": "friday",
                             "sat": "saturday", "sun": "sunday"}
    decade_mark = "s"
    era_mark = r"A\.?D\.?|B\.?C\.?(?:E\.?)?|C\.?E\.?"
    eras = {"ad": "\ue000AD", "bc": "\ue000BC", "bce": "\ue000BCE", "ce": "\ue000CE"}
    twelve_hours = True
    zones = ("EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "GMT", "UTC", "CET", "BST", "ET", "PT")
    scales = ("hundred", "thousand", "million", "billion", "trillion", "quadrillion")
    scale_letters = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million",
                     "b": "billion", "bn": "billion", "B": "billion", "T": "trillion", "tn": "trillion"}
    currency_words = {
        "USD": ("dollar", "dollars", "cent", "cents"), "GBP": ("pound", "pounds", "penny", "pence"),
        "EUR": ("euro", "euros", "cent", "cents"), "JPY": ("yen", "yen", "sen", "sen"),
        "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"), "KRW": ("won", "won", "jeon", "jeon"),
        "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
        "RUB": ("ruble", "rubles", "kopek", "kopeks"),
        "INR": ("rupee", "rupees", "paisa", "paise"), "ILS": ("shekel", "shekels", "agora", "agorot"),
        "US$": ("\ue000US dollar", "\ue000US dollars", "cent", "cents"), "CNY": ("yuan", "yuan", "fen", "fen"),
        "PHP": ("peso", "pesos", "centavo", "centavos"), "BRL": ("real", "reais", "centavo", "centavos"),
        "TRY": ("lira", "lira", "kurus", "kurus"), "UAH": ("hryvnia", "hryvnias", "kopiyka", "kopiykas"),
        "THB": ("baht", "baht", "satang", "satang"), "VND": ("dong", "dong", "hao", "hao"),
        "NGN": ("naira", "naira", "kobo", "kobo"), "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes")}
    currency_signs = Language.currency_signs | {"US$": "US$", "Rs.": "INR", "Rs": "INR"}
    cent_currency = "USD"
    periods = {"mo": "month", "month": "month", "wk": "week", "week": "week", "d": "day", "day": "day", "yr": "year",
               "year": "year", "y": "year", "h": "hour", "hr": "hour", "hour": "hour", "min": "minute",
               "night": "night", "person": "person", "kg": "kilogram", "lb": "pound", "gal": "gallon", "m": "meter",
               "unit": "unit", "piece": "piece", "hundred": "hundred", "share": "share", "barrel": "barrel"}
    unit_symbols = {
        "° C": "temperature-celsius", "° F": "temperature-fahrenheit", "lb": "mass-pound", "lbs": "mass-pound",
        "oz": "mass-ounce", "ft": "length-foot", "mi": "length-mile",
        "yd": "length-yard", "yds": "length-yard", "mph": "speed-mile-per-hour", "kph": "speed-kilometer-per-hour",
        "kmh": "speed-kilometer-per-hour", "mbps": "digital-megabit/duration-second",
        "Mbps": "digital-megabit/duration-second", "gbps": "digital-gigabit/duration-second",
        "kbps": "digital-kilobit/duration-second", "sec": "duration-second", "secs": "duration-second",
        "mins": "duration-minute", "hr": "duration-hour", "hrs": "duration-hour", "gal": "volume-gallon",
        "ft²": "area-square-foot", "ft2": "area-square-foot", "mi²": "area-square-mile", "sq ft": "area-square-foot",
        "sq. ft.": "area-square-foot", "ft³": "volume-cubic-foot", "hp": "power-horsepower", "kt": "speed-knot",
        "psi": "pressure-pound-force-per-square-inch", "mpg": "consumption-mile-per-gallon", "lb.": "mass-pound",
        "lbs.": "mass-pound", "oz.": "mass-ounce", "ft.": "length-foot", "\"": "length-inch", "”": "length-inch",
        "″": "length-inch", "yr": "duration-year", "yrs": "duration-year", "pt": "volume-pint", "qt": "volume-quart",
        "tsp": "volume-teaspoon", "tbsp": "volume-tablespoon", "kB/s": "digital-kilobyte/duration-second",
        "bps": "basis point", "fps": "frames", **_POINTED_UNITS}
    unit_words = {
        "basis point": ("basis point", "basis points"), "frames": ("frame per second", "frames per second"),
        "electric-millivolt": ("millivolt", "millivolts"),
        "electric-kilovolt": ("kilovolt", "kilovolts"),
        "area-square-millimeter": ("square millimeter", "square millimeters"),
        "volume-cubic-millimeter": ("cubic millimeter", "cubic millimeters"), "sound-decibel": ("decibel", "decibels"),
        "temperature-celsius": ("degree Celsius", "degrees Celsius"), "angle-degree": ("degree", "degrees"),
        "temperature-fahrenheit": ("degree Fahrenheit", "degrees Fahrenheit"), "concentr-percent": ("percent",) * 2,
        "concentr-permille": ("per mille", "per mille"), "mass-tonne": ("ton", "tons"),
        "energy-kilowatt-hour": ("kilowatt hour", "kilowatt hours"), "duration-second": ("second", "seconds"),
        "duration-minute": ("minute", "minutes"), "duration-hour": ("hour", "hours"), "mass-pound": ("pound", "pounds"),
        "length-kilometer": ("kilometer", "kilometers"), "length-foot": ("foot", "feet"),
        "length-inch": ("inch", "inches"), "length-meter": ("meter", "meters"),
        "mass-kilogram": ("kilogram", "kilograms")}
    tight_units = "mglLhWV%‰°\"”″"
    words = {
        "point": "point", "minus": "minus", "plus": "plus", "and": "and", "over": "over", "to": "to", "per": "per",
        "power": "to the", "score": None, "money and": "and", "port": "port", "version": "version",
        "version point": "point",
        "hashtag": "hashtag", "%": "percent", "‰": "per mille", "&": "and", "+": "plus", "=": "equals", "@": "at",
        "#": "hash", "°": "degrees", "$": "dollar", "£": "pound", "€": "euro", "¥": "yen", "₩": "won", "₹": "rupee",
        "*": "asterisk", "~": "about", "≈": "approximately", "≤": "less than or equal to",
        "≥": "greater than or equal to", "≠": "not equal to", "<": "less than", ">": "greater than",
        "√": "square root of",
        "π": "pi", "×": "times", "÷": "divided by", "±": "plus or minus", "∞": "infinity", "→": "to", "§": "section",
        "§§": "sections", "©": "copyright", "®": "", "™": "", "№": "number", "†": "", "‡": "", "•": "", "^": "",
        "|": "", "−": "minus", "¢": "cents", "¼": "one quarter", "½": "one half", "∑": "sum of", "∂": "partial",
        ".": "dot", "/": "slash", "-": "dash", "_": "underscore", ":": "colon", "?": "question mark", ",": "comma",
        ";": "semicolon", "!": "exclamation mark", "\\": "backslash", "'": "apostrophe", "\"": "quote",
        "(": "open bracket", ")": "close bracket", "[": "open bracket", "]": "close bracket"}
    operators = {"-": "minus", "−": "minus", "*": "times", "×": "times", "x": "times", "/": "divided by",
                 "÷": "divided by",
                 "=": "equals", "<": "is less than", ">": "is greater than"}
    fixed = {"24/7": "twenty four seven", "9/11": "nine eleven", "50/50": "fifty fifty", "7/11": "seven eleven",
             "20/20": "twenty twenty"}
    telephone = r"\d{10}|\(?0\d{2,4}\)?[ -]\d{3,4}[ -]\d{3,4}|0\d{3,4} \d{5,6}"
    abbreviations = ABBREVIATIONS
    number_nouns, name_heads = NUMBER_NOUNS, NAME_HEADS
    ordinal_nouns = frozenset({"century", "centuries", "dynasty", "olympiad"})
    spelled, spoken, capital_words = SPELLED_WORDS, SPOKEN_WORDS, CAPITAL_WORDS
    not_roman = frozenset({"CD", "DC", "MC", "CC", "CV", "DI", "MI", "MD", "LCD", "XL", "XXL", "MIX", "DIM", "LIVID",
                           "CIVIL", "MILD", "DIV", "MM", "CM", "DL", "ML", "XXX", "LI", "LC"})
    i_verbs = frozenset("think am know want love hope met saw can will need guess have had did was would".split())
    phonemes_of = "en-us"
    letter_names = {"a": "eigh"}

    # Numbers

    def cardinal(self, number: int) -> str:
        """Without commas, hyphens and the British and."""
        thousands, rest = divmod(number, 1000)
        if not 0 < thousands < 1000:
            return _plain(_num2words(number, "en", "cardinal"))
        said = f"{self.cardinal(thousands)} thousand"  # apart, for num2words takes long
        return f"{said} {self.cardinal(rest)}" if rest else said

    def ordinal(self, number: int, before: str = "") -> str:
        """Without commas, hyphens and the British and."""
        return _plain(_num2words(number, "en", "ordinal"))

    def is_ordinal(self, digits: str, mark: str) -> bool:
        """2nd and 12th, not 2th and 12nd."""
        return mark.lower() == ("th" if digits[-2:-1] == "1" else _SUFFIXES.get(digits[-1], "th"))

    def year(self, digits: str) -> str:
        """1999 -> nineteen ninety nine, 1905 -> nineteen oh five, 2005 -> two thousand five."""
        century, rest = divmod(int(digits), 100)
        if len(digits) == 2:
            return f"oh {self.cardinal(rest)}" if digits[0] == "0" else self.cardinal(rest)
        if len(digits) == 3:
            return f"{self.cardinal(century)} {self._pair(rest)}"
        if century < 10 or 2000 <= int(digits) < 2010:
            return self.cardinal(int(digits))
        return f"{self.cardinal(century)} {self._pair(rest)}"

    def _pair(self, rest: int) -> str:
        return "hundred" if rest == 0 else f"{'oh ' if rest < 10 else ''}{self.cardinal(rest)}"

    def leading_oh(self, digits: str) -> str:
        """Two digits of a time or a version: oh five, eleven."""
        return f"oh {self.cardinal(int(digits))}" if digits[0] == "0" else self.cardinal(int(digits))

    def say_year(self, value: Year) -> str:
        """The nineteen eighties, three forty AD."""
        said = self.year(value.digits) if len(value.digits) > 1 else self.cardinal(int(value.digits))
        return f"{_plural(said)}" if value.decade else f"{said} {value.era}".strip()

    def say_fraction(self, value: Fraction) -> str:
        """Three quarters, two and a half, five twenty firsts."""
        above, below = value.above, value.below
        minus = "minus " if value.negative else ""
        if below == 0:
            return f"{minus}{self.cardinal(above)} over zero"
        if value.whole is not None and (above, below) == (1, 2):
            return f"{minus}{self.cardinal(value.whole)} and a half"
        part = "half" if below == 2 else "quarter" if below == 4 else self.ordinal(below)
        if above != 1:
            part = "halves" if below == 2 else _plural(part)
        said = f"{self.cardinal(above)} over one" if below == 1 else f"{self.cardinal(above)} {part}"
        return minus + (f"{self.cardinal(value.whole)} and {said}" if value.whole is not None else said)

    def say_power(self, value: Power) -> str:
        """Squared, cubed, to the fourth, to the minus two."""
        base = value.base if isinstance(value.base, str) else self.say(value.base)
        exponent = value.exponent
        if isinstance(exponent, str):
            return f"{base} to the {exponent}"
        if exponent.whole in ("2", "3") and not exponent.negative:
            return f"{base} {'squared' if exponent.whole == '2' else 'cubed'}"
        number = int(exponent.whole)
        return f"{base} to the {'minus ' + self.cardinal(number) if exponent.negative else self.ordinal(number)}"

    def say_roman(self, value: Roman) -> str:
        """Henry the eighth, chapter four, the nineteenth century."""
        if not value.is_ordinal:
            return self.cardinal(value.number)
        said = self.ordinal(value.number)
        return said if value.before.rpartition(" ")[2] in ("the", "late", "early", "mid") else f"the {said}"

    # Dates and times

    month_names = dict(enumerate(_MONTHS, start=1))

    def say_date(self, value: Date) -> str:
        """December twenty fifth, or the twenty fifth of December where the day is written first."""
        year = self.year(value.year) if value.year else ""
        month = self.month_names.get(value.month, "")
        if not value.day:
            return f"{month} {year}".strip()
        day = self.ordinal(value.day)
        if value.day_first and month:
            said = f"{'' if value.before.endswith('the') else 'the '}{day} of {month}"
        else:
            article = "the " if value.day_first and not value.before.endswith("the") else ""
            said = f"{month} {day}" if month else f"{article}{day}"
        return f"{said}, {year}" if year else said

    def say_time(self, value: Time) -> str:
        """Three thirty PM, fifteen hundred, twenty one hours and five seconds."""
        hour, minute, second = value.hour, value.minute, value.second
        end = "".join(f" {self.letters(word)}" for word in (value.half, value.zone) if word)
        if second is not None:
            if 0 < hour <= 12 and minute >= 10:
                return f"{self.cardinal(hour)} {self.cardinal(minute)}{end} and {_counted(self, second, 'second')}"
            parts = [_counted(self, count, unit) for count, unit in ((hour, "hour"), (minute, "minute"))]
            return f"{' '.join(parts)} and {_counted(self, second, 'second')}{end}"
        if not minute:
            if not value.half and hour in (0, 24) and minute == 0:
                return "midnight" + end
            bare = value.half or minute is None
            return self.cardinal(hour) + ("" if bare else " hundred" if hour > 12 else " o'clock") + end
        return f"{self.cardinal(hour)} {'oh ' if minute < 10 else ''}{self.cardinal(minute)}{end}"

    # Codes

    def say_telephone(self, value: Telephone) -> str:
        """Eight hundred stays a number; a comma between groups."""
        groups = [group if not group.isdecimal() else "eight hundred" if group == "800" else self.digits(group)
                  for group in value.groups]
        groups = [self._dialled(group) for group in groups]
        return ("plus " if value.plus else "") + ", ".join(groups)

    def _dialled(self, group: str) -> str:
        return self.letters(group) if group.isupper() and (len(group) == 1 or group not in CAPITAL_WORDS) else \
            group.lower()

    def say_serial(self, value: Serial) -> str:
        """B two A twenty three C; 2th is no ordinal."""
        parts = re.findall(r"\d+|[^\W\d_]+|[^\w]", value.text)
        said = []
        for part in parts:
            if part.isdecimal():
                said.append(self.digits(part) if len(part) > 4 else self.say_number(Number(part)))
            elif len(part) > 1 and (part.lower() in ("th", "rd", "nd", "st") or re.search("[aeiouy]", part.lower())):
                said.append(part if not part.isupper() or part in CAPITAL_WORDS else self.acronym_word(part))
            elif part.isalpha():
                said.append(self.letters(part))
        return " ".join(said)

    def acronym_word(self, word: str) -> str:
        """Letters or a word."""
        return word.capitalize() if word in self.spoken or len(word) > 5 else self.letters(word)

    def say_net_word(self, word: str) -> str:
        """Letters for short words without a vowel and for endings such as FR."""
        low = word.lower()
        if low in ("com", "net", "org", "info", "gov", "app", "dev", "biz", "mil", "index", "node"):
            return low
        spelled = len(word) == 1 or (len(word) <= 4 and not re.search("[aeiouy]", low)) or low in (
            "www", "http", "https", "ftp", "html", "php", "io", "ai", "uk", "us", "eu", "de", "it", "ie", "au", "at")
        return self.letters(word) if spelled else word

    def port(self, digits: str) -> str:
        """Eighty eighty, three thousand."""
        if len(digits) == 4 and not digits.endswith("00") and digits[0] != "0":
            return f"{self.cardinal(int(digits[:2]))} {self._pair(int(digits[2:]))}"
        return super().port(digits)

    # Words

    def recognisers(self) -> tuple:
        """Street addresses, feet and inches, names of code, quarters of a year."""
        return ENGLISH

    def abbreviation(self, match: re.Match) -> str | None:
        """What an abbreviation stands for; some only before or behind a name or number."""
        word, text = match["word"], match.string
        bare = word.rstrip(".")
        key = bare.lower()
        before, after = text[max(0, match.start() - 40):match.start()], text[match.end():match.end() + 40]
        names = re.match(r"\s+[A-Z\"'(]", after)
        if key in ("st", "dr", "ave", "blvd", "rd", "hwy", "ct", "ln") and re.search(r"[A-Z][\w']* $", before) \
                and not (names and not re.match(r"\s+[A-Z]{2}\b", after)):
            return STREETS[key] if bare[0].isupper() and not bare.isupper() else None
        if word == "St." or word == "St":
            return "Saint" if names else None
        if not word.endswith(".") and key in ("jr", "sr"):
            return self.abbreviations.get(word) if re.search(r"^$|[A-Z][\w']*,? $", before) else None
        if word == "NO.":
            return None
        if key in ("dr", "mr", "mrs", "ms", "mt", "ft", "prof", "gen", "col", "rep", "sen", "gov", "rev", "hon", "sgt",
                   "capt", "lt", "maj") and (not names or bare[0].islower() or bare.isupper()):
            return None if key not in ("mr", "mrs", "dr", "ms") or bare.isupper() else self.abbreviations.get(word)
        if key in ("no", "nos", "fig", "figs", "p", "pp", "ch", "sec", "vol", "art") and not re.match(
                r"\s?(?:\d|[IVXLC]+\b|\ue001)", after):
            return None
        if key in ("inc", "est", "dec", "sat", "sun", "mar") and bare[0].islower():
            return None
        return self.abbreviations.get(word) or self.abbreviations.get(word.lower())

    def ends_sentence(self, match: re.Match) -> bool:
        """Also before a capital, behind what often ends a sentence."""
        after = match.string[match.end():match.end() + 10]
        if re.match(r"[\"'”’)\]\s]*$", after):
            return True
        return bool(re.match(r"[\"'”’)]*\s+[A-Z]", after)) and match[0].lower().endswith(
            ("etc.", "jr.", "sr.", "inc.", "ltd.", "corp.", "co.", "a.m.", "p.m.", "c.", *_POINTED_UNITS))

    def acronym(self, match: re.Match) -> str | None:
        """US, IT, WHO by their neighbours; else by lists, vowels and length."""
        word, text = match["word"], match.string
        if "&" in text[max(0, match.start() - 1):match.start()] + text[match.end():match.end() + 1]:
            return super().acronym(match)
        if word in ("US", "IT", "WHO", "AM", "OR", "IN", "ME", "HI", "OK", "PA", "MA", "LA"):
            return self._ambiguous(word, match)
        if word.lower() == "tv":
            return self.letters(word) + (match["plural"] or "")
        if not word.isupper():
            return None
        return super().acronym(match) if re.search("[a-z\ue001]",
                                                   text[max(0, match.start() - 60):match.end() + 60]) or \
            len(text) <= 6 else self._loud(match)

    def _loud(self, match: re.Match) -> str | None:
        word = match["word"]
        return self.letters(word) + (match["plural"] or "") if word in self.spelled else word.lower()

    def _ambiguous(self, word: str, match: re.Match) -> str | None:
        around = match.string[max(0,
                                  match.start() - 12):match.start()] + " " + match.string[match.end():match.end() + 12]
        if word in ("OK",):
            return "okay"
        loud = re.search(r"\b[A-Z]{2,}\b", around) and not re.search(r"\b[a-z]{2,}\b", around)
        if word in ("US", "IT", "WHO", "PA", "MA", "LA", "AM") and not loud:
            return self.letters(word)
        return word.lower() if word not in ("PA", "MA", "LA") else None

    def is_spelled(self, word: str) -> bool:
        """Without a vowel, or of two or three letters that are no word."""
        return not re.search("[AEIOUY]", word) or len(word) <= 3

    def emoji(self, sign: str) -> str:
        """Unicode's name of it."""
        if sign == "❤":
            return "red heart"
        name = unicodedata.name(sign, "").lower()
        return name if "variation" not in name and "modifier" not in name else ""


def _plain(words: str) -> str:
    return " ".join(re.sub(r"\band\b|[,-]", " ", words).split())


def _plural(words: str) -> str:
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}es" if words.endswith("x") else f"{words}s"


def _counted(language: English, number: int, unit: str) -> str:
    return f"{language.cardinal(number)} {unit}{'' if number == 1 else 's'}"


LANGUAGE = English
