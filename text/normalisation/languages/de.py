"""German as it is read aloud: Euro and Cent, Uhr, ordinals that follow their articles."""

from __future__ import annotations

import re

from text.abbreviations import TABLES
from text.normalisation.language import Language, _num2words
from text.normalisation.languages.de_words import (
    ABBREVIATIONS,
    ARTICLES,
    AT_THE_START,
    BEFORE_NAMES,
    BEFORE_NUMBERS,
    CAPITAL_WORDS,
    DATIVE,
    NAME_HEADS,
    NUMBER_NOUNS,
    OF_TIME,
    PERIODS,
    SPELLED_WORDS,
    SPOKEN_WORDS,
    WITH_DATIVE,
)
from text.normalisation.numbers import before
from text.normalisation.patterns import Patterns
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import (
    Date,
    Fraction,
    Measure,
    Money,
    Number,
    Range,
    Roman,
    Telephone,
    Time,
    Value,
    Words,
)

_FEMININE = frozenset((
    "duration-hour duration-minute duration-second duration-week mass-tonne length-mile mass-ounce volume-gallon "
    "energy-calorie energy-kilocalorie SEK NOK DKK CZK TRY INR Kopeke Million Milliarde Billion").split())


class German(Language):
    """See the module."""

    code = "de"
    decimal_mark, group_marks = ",", ".'’"
    date_order = "dmy"
    day_mark = r"\."
    point_ordinals = True
    month_abbreviations = {"jänner": 1, "feber": 2, "mrz": 3, "sept": 9}
    weekday_abbreviations = {"mo": "Montag", "di": "Dienstag", "mi": "Mittwoch", "do": "Donnerstag", "fr": "Freitag",
                             "sa": "Samstag", "so": "Sonntag"}
    month_words = frozenset({"mo", "di", "mi", "do", "fr", "sa", "so"})
    between_days = (r"(?:Mo|Di|Mi|Do|Fr|Sa|So)(?:\.|[a-zä]*tag|ttwoch|nnabend)?,? |"
                    "(?:\ue001{2,6}|\\d{1,2}\\.|\\d{1,2}\\.\\d{1,2}\\.),? (?:(?:und|oder|bis|sowie) )?")
    era_mark = r"v\.\s?Chr\.|n\.\s?Chr\."
    eras = {"vchr": "vor Christus", "nchr": "nach Christus"}
    time_mark = "Uhr|uhr"
    zones = ("EST", "CET", "MEZ", "MESZ", "UTC", "GMT")
    scales = ("Tausend", "Million", "Millionen", "Milliarde", "Milliarden", "Billion", "Billionen", "Billiarden")
    scale_abbreviations = {"Mio": "Millionen", "Mrd": "Milliarden", "Tsd": "Tausend"}
    currency_words = {
        "EUR": ("Euro", "Euro", "Cent", "Cent"), "USD": ("Dollar", "Dollar", "Cent", "Cent"),
        "GBP": ("Pfund", "Pfund", "Penny", "Pence"), "CHF": ("Franken", "Franken", "Rappen", "Rappen"),
        "US$": ("\ue000US-Dollar", "\ue000US-Dollar", "Cent", "Cent"), "JPY": ("Yen", "Yen", "Sen", "Sen"),
        "RUB": ("Rubel", "Rubel", "Kopeke", "Kopeken"), "INR": ("Rupie", "Rupien", "Paisa", "Paise"),
        "CAD": ("kanadischer Dollar", "kanadische Dollar", "Cent", "Cent"), "KRW": ("Won", "Won", "Jeon", "Jeon"),
        "AUD": ("australischer Dollar", "australische Dollar", "Cent", "Cent"),
        "PLN": ("Zloty", "Zloty", "Groschen", "Groschen")}
    currency_codes = (*Language.currency_codes, "Euro", "Dollar", "Franken")
    currency_signs = Language.currency_signs | {"US$": "US$", "US-$": "US$", "Euro": "EUR", "Dollar": "USD",
                                                  "Franken": "CHF"}
    cent_currency = "USD"
    periods = {"Monat": "Monat", "Jahr": "Jahr", "Tag": "Tag", "Woche": "Woche", "Stunde": "Stunde", "h": "Stunde",
               "kg": "Kilogramm", "t": "Tonne", "l": "Liter", "Person": "Person"}
    unit_symbols = {
        "Std.": "duration-hour", "Std": "duration-hour", "Min.": "duration-minute", "Sek.": "duration-second",
        "sec": "duration-second", "ft": "length-foot", "lb": "mass-pound", "PS": "power-horsepower",
        "Mbit/s": "digital-megabit/duration-second", "\"": "length-inch", "mph": "speed-mile-per-hour",
        "kn": "speed-knot",
        "mAh": "mAh", "Ah": "Ah", "kWp": "kWp", "Bft": "Bft", "TL": "TL", "EL": "EL",
        "kWh/100 km": "kWh-100", "oz": "mass-ounce", "mi": "length-mile", "°": "angle-degree", "dB": "sound-decibel"}
    unit_words = {
        "electric-millivolt": ("Millivolt",) * 2, "electric-kilovolt": ("Kilovolt",) * 2,
        "sound-decibel": ("Dezibel",) * 2,
        "area-square-millimeter": ("Quadratmillimeter",) * 2, "volume-cubic-millimeter": ("Kubikmillimeter",) * 2,
        "power-horsepower": ("\ue000PS",) * 2, "concentr-permille": ("Promille",) * 2,
        "mAh": ("Milliamperestunde", "Milliamperestunden"), "Ah": ("Amperestunde", "Amperestunden"),
        "kWp": ("Kilowatt Peak",) * 2, "Bft": ("Beaufort",) * 2, "TL": ("Teelöffel",) * 2, "EL": ("Esslöffel",) * 2,
        "kWh-100": ("Kilowattstunde auf einhundert Kilometer", "Kilowattstunden auf einhundert Kilometer"),
        "consumption-liter-per-100-kilometer": ("Liter auf einhundert Kilometer",) * 2}
    words = {
        "point": "Komma", "minus": "minus", "plus": "plus", "and": "und", "over": "durch", "to": "bis", "per": "pro",
        "power": "hoch", "score": "zu", "money and": "", "port": "Port", "version": "Version",
        "version point": "Punkt", "hashtag": "Hashtag",
        "%": "Prozent", "‰": "Promille", "&": "und", "+": "plus", "=": "gleich", "@": "at", "#": "Raute", "°": "Grad",
        "$": "Dollar", "£": "Pfund", "€": "Euro", "¥": "Yen", "*": "Stern", "~": "ungefähr", "≈": "ungefähr",
        "≤": "kleiner oder gleich", "≥": "größer oder gleich", "≠": "ungleich", "<": "kleiner als", ">": "größer als",
        "√": "Wurzel aus", "π": "Pi", "×": "mal", "÷": "geteilt durch", "±": "plus minus", "∞": "unendlich",
        "→": "", "§": "Paragraf", "§§": "Paragrafen", "©": "Copyright", "®": "", "™": "", "№": "Nummer",
        "†": "gestorben",
        "•": "", "^": "", "|": "", "−": "minus", "¢": "Cent", ".": "Punkt", "/": "Schrägstrich", "-": "Bindestrich",
        "_": "Unterstrich", ":": "Doppelpunkt", "?": "Fragezeichen", ",": "Komma", ";": "Semikolon",
        "!": "Ausrufezeichen", "\\": "Backslash", "'": "Apostroph", "\"": "Anführungszeichen", "(": "Klammer auf",
        ")": "Klammer zu", "[": "eckige Klammer auf", "]": "eckige Klammer zu"}
    operators = {"-": "minus", "−": "minus", "*": "mal", "×": "mal", "x": "mal", "/": "geteilt durch",
                 "÷": "geteilt durch",
                 ":": "geteilt durch", "=": "gleich", "<": "kleiner als", ">": "größer als"}
    longest_number = 18
    fixed = {"24/7": "vierundzwanzig sieben", "50/50": "fünfzig fünfzig"}
    telephone = r"(?<!\d )\(?0\d{1,5}\)?[ /-]{1,3}\d{2,12}(?:[ -]\d{1,8}){0,4}"
    abbreviations, number_nouns, name_heads = ABBREVIATIONS, NUMBER_NOUNS, NAME_HEADS
    ordinal_nouns = frozenset({"jahrhundert", "jahrhunderts", "jahrhunderte", "dynastie", "weltkrieg", "weltkriegs"})
    spelled, spoken, capital_words = SPELLED_WORDS, SPOKEN_WORDS, CAPITAL_WORDS
    not_roman = frozenset({"CD", "DC", "MC", "CC", "CV", "MD", "LCD", "XL", "XXL", "MIX", "CDI", "MI", "DI", "LI",
                           "XXX"})

    # Numbers

    def cardinal(self, number: int) -> str:
        """Thousands apart, for num2words takes long: einhunderteintausend."""
        thousands, rest = divmod(number, 1000)
        if not 0 < thousands < 1000:
            return super().cardinal(number)
        said = super().cardinal(thousands)
        said = said.removesuffix("s") if thousands % 100 == 1 else said
        return f"{said}tausend{super().cardinal(rest) if rest else ''}"

    def ordinal(self, number: int, before: str = "") -> str:
        """With the ending that the article or preposition before it wants: der dritte, am dritten, dritter."""
        stem = super().ordinal(number).removesuffix("e")
        return stem + _ending(before)

    def is_ordinal(self, digits: str, mark: str) -> bool:
        """At most six digits; see `recognisers` for the context."""
        return len(digits) <= 9

    def is_year(self, digits: str, before: str) -> bool:
        """From 1500 on, or after Jahr, anno and months."""
        number, word = int(digits), before.rpartition(" ")[2]
        return 1100 <= number < 2100 and (number >= 1500 or word in ("jahr", "jahre", "jahren", "jahres", "anno", "in",
                                                                     "seit", "um", "von", "bis", "ab"))

    def year(self, digits: str) -> str:
        """Neunzehnhundertvierundachtzig, zweitausendzwanzig."""
        century, rest = divmod(int(digits), 100)
        if len(digits) == 4 and 11 <= century < 20:
            return f"{self.cardinal(century)}hundert{self.cardinal(rest) if rest else ''}"
        return self.cardinal(int(digits))

    def say_number(self, value: Number) -> str:
        """Eine Million, not eins Million."""
        said = super().say_number(value)
        return re.sub(r"\beins(?= (?:Million|Milliarde|Billion)\b)", "eine", said, flags=re.IGNORECASE)

    def counted(self, number: Number | Fraction, unit: str) -> str:
        """Ein Kilometer, eine Stunde, einundzwanzig."""
        said = self.say(number)
        if isinstance(number, Fraction) or number.fraction or number.scale or not said.endswith("eins"):
            return said
        return said.removesuffix("s") + ("e" if unit in _FEMININE and number.count == 1 else "")

    def say_fraction(self, value: Fraction) -> str:
        """Ein halb, drei Viertel, zweieinhalb."""
        minus = "minus " if value.negative else ""
        whole, above, below = value.whole, value.above, value.below
        if whole is None and above > below >= 40:
            return f"{minus}{self.cardinal(above)} zu {self.cardinal(below)}"  # blood pressure: 120/80
        if whole is None and above < 1000 and 1900 <= below < 2100:
            return f"{minus}{self.cardinal(above)} {self.words['/']} {self.year(str(below))}"  # issue 4/2022
        if (above, below) == (1, 2) and whole is not None:
            return f"{minus}{self.cardinal(whole).removesuffix('s') if whole == 1 else self.cardinal(whole)}einhalb"
        part = ("halb" if above == 1 else "Halbe") if below == 2 else self._part(below)
        count = "ein" if above == 1 else self.cardinal(above)
        said = f"{count} {part}"
        return minus + (f"{self.cardinal(whole)} {said}" if whole is not None else said)

    def _part(self, below: int) -> str:
        return super().ordinal(below).removesuffix("e").capitalize() + "el"

    def say_roman(self, value: Roman) -> str:
        """Ludwig der Vierzehnte, Ludwigs des Vierzehnten, im neunzehnten Jahrhundert."""
        if not value.is_ordinal:
            return self.cardinal(value.number)
        if value.before.startswith("|"):
            return self.ordinal(value.number, value.before[1:]).capitalize()
        article, _, _ = value.before.partition("|")
        if value.before.endswith("|"):
            said = self.ordinal(value.number, "" if article in ("der", "die") else "dem")
            return f"{article} {said.removesuffix('r').capitalize()}"
        return self.ordinal(value.number, value.before)

    def roman_head(self, match: re.Match, head: str) -> str:
        """The article behind a name, by its ending and the preposition before it."""
        start = match.string[max(0, match.start() - 60):match.start()].rstrip().removesuffix(head)
        if head in ("der", "die", "dem", "den"):
            return f"|{head}"
        words = start.lower().split()[-2:]
        if head.lower().removesuffix("s") in self.name_heads and head.lower() not in self.name_heads:
            return "des|"
        feminine = head.lower() in ("elisabeth", "katharina", "maria", "margarethe")
        dative = any(word in ("von", "mit", "unter", "bei", "nach", "zu", "seit", "vom", "zum",
                              "dem") for word in words)
        return "die|" if feminine and not dative else "der|" if not dative or feminine else "dem|"

    # Dates and times

    def say_date(self, value: Date) -> str:
        """Am dritten Oktober; am fünften elften zweitausendzwanzig."""
        year = self.date_year(value.year) if value.year else ""
        day = self.ordinal(value.day, value.before) if value.day else ""
        month = ""
        if value.month:
            month = self.month_names[value.month] if value.named else self.ordinal(value.month, value.before)
        return " ".join(filter(None, (day, month, year)))

    def say_time(self, value: Time) -> str:
        """Acht Uhr fünf; with seconds, in words for each."""
        hour, minute, second = value.hour, value.minute, value.second
        end = f" {self.letters(value.zone)}" if value.zone else ""
        said = f"{'ein' if hour == 1 else self.cardinal(hour)} Uhr"
        if second is not None:
            for count, unit in ((minute, "Minute"), (second, "Sekunde")):
                said += f" {'eine' if count == 1 else self.cardinal(count)} {unit}{'' if count == 1 else 'n'}"
            return said + end
        return f"{said} {self.cardinal(minute)}{end}" if minute else said + end

    def time_range(self, first: Time, last: Time) -> Value | None:
        """Zehn bis zwölf Uhr."""
        if first.minute is None:
            return Words(f"{self.cardinal(first.hour)} bis {self.say(last)}")
        return Range(first, last)

    # Amounts and codes

    def cents(self, number: Number, currency: str, behind_whole: bool) -> str:
        """Drei Euro fünfzig; the parts of foreign money are named."""
        if behind_whole and currency in ("EUR", "CHF"):
            return self.cardinal(int(number.whole))
        return super().cents(number, currency, behind_whole)

    def say_telephone(self, value: Telephone) -> str:
        """Digit by digit, but the code of a country as a number."""
        groups = list(value.groups)
        said = [self.cardinal(int(groups.pop(0)))] if value.plus and len(groups[0]) <= 3 else []
        return ("plus " if value.plus else "") + ", ".join([*said, *map(self.digits, groups)])

    # Words

    def recognisers(self) -> tuple:
        """Days and months as numbers, decades, streets, ordinals by their context."""
        return _OWN

    def abbreviation(self, match: re.Match) -> str | None:
        """Some only before a number or a name."""
        word, after = match["word"], match.string[match.end():match.end() + 12]
        if word in BEFORE_NUMBERS and word != "Nr." and not re.match(r"\s?[\dIVXLC\ue001]", after):
            return None
        if word in BEFORE_NAMES and not re.match(r"\s+\w", after):
            return None
        if word in ("med.", "phil.", "jur.") and match.string[:match.start()].endswith("Dr. "):
            return word[:-1]
        low = word.lower()
        if word in self.abbreviations or word[0].islower():
            return self.abbreviations.get(word) or self.abbreviations.get(low)
        said = self.abbreviations.get(low)
        is_start = low in AT_THE_START or " " in low or re.match(r"\s?[\d\ue001]", after)
        return said[0].upper() + said[1:] if said and is_start else None

    def acronym(self, match: re.Match) -> str | None:
        """Capitals by their letters, if they are no word."""
        word = match["word"]
        return super().acronym(match) if word.isupper() or word in self.spelled else None

    def is_spelled(self, word: str) -> bool:
        """Without a vowel, or of at most three letters."""
        return super().is_spelled(word) or len(word) <= 3


def _ending(before: str) -> str:
    """Of an ordinal or adjective, by up to two words before it."""
    first, _, last = before.rpartition(" ")
    if last == "der":
        return "en" if first in DATIVE else "e"
    if last in ("die", "das", "diese", "dieses", "dieser", "jede", "jedes", "jeder", "welche", "eine", "keine", "meine",
                "seine", "ihre", "unsere", "deine"):
        return "e"
    if last in ("am", "im", "vom", "zum", "beim", "zur", "dem", "den", "des", "ins", "bis", "um",
                "gegen") or re.fullmatch(
            r"(?:k?ein|mein|dein|sein|ihr|unser|dies|jed|welch|jen)(?:e[nmrs])", last):
        return "en"
    return "em" if last in ("ab", "seit", "nach", "vor", "von", "mit", "bei", "aus", "zu") else "er"


def _short_date(match: re.Match, p: Patterns) -> Value | None:
    """Am 5.11. without a year."""
    return Date("", int(match["m"]), int(match["d"]), before=before(match, p.language.between_days),
                named=False)


def _decade(match: re.Match, p: Patterns) -> Value | None:
    digits = match["digits"]
    return Words(f"{p.language.year(digits)}er{match['end']}")


def _one(match: re.Match, p: Patterns) -> Value | None:
    """1 before a noun is an article, in the case of the preposition before it."""
    noun, preposition = match["noun"], before(match).rpartition(" ")[2]
    feminine = _is_feminine(noun)
    if preposition in WITH_DATIVE or (preposition == "in" and noun in OF_TIME):
        return Words("einer" if feminine else "einem")
    masculine = noun in ("Tag", "Monat", "Liter", "Meter", "Kilometer", "Zentimeter", "Euro", "Dollar", "Punkt")
    return Words("eine" if feminine else "einen" if masculine and preposition in (
        "für", "ohne", "um", "gegen", "durch", "pro", "auf") else "ein")


def _is_feminine(noun: str) -> bool:
    """By its ending, which tells most of them."""
    return noun not in ("Ei", "Ende", "Auge", "Gebäude") and not noun.endswith("ee") and noun.endswith((
        "e", "ung", "heit", "keit", "schaft", "ion", "tät", "ei", "ur"))


def _plate(match: re.Match, p: Patterns) -> Value | None:
    """The plate of a car: B-AB 1234."""
    letters = " ".join(map(p.language.letters, match["letters"].split("-")))
    return Words(f"{letters} {p.language.cardinal(int(match['digits']))}")


def _days(match: re.Match, p: Patterns) -> Value | None:
    """24.–26.12.2024."""
    last = Date(match["y"] or "", int(match["m"]), int(match["d"]), before=before(match, p.language.between_days),
                named=False)
    return Range(Date(day=int(match["a"]), before=last.before), last)


def _unit_alone(match: re.Match, p: Patterns) -> Value | None:
    """Pro kg."""
    return Words(p.language.unit_name(p.key(match[0]), 1))


def _times(match: re.Match, p: Patterns) -> Value | None:
    """2x, 4 x: zweimal, viermal."""
    said = p.language.cardinal(int(match["number"]))
    return Words(f"{said.removesuffix('s') if said.endswith('eins') else said}mal")


def _duration(match: re.Match, p: Patterns) -> Value | None:
    """2:45:30 Stunden; 3:20 Minuten."""
    units = ["hour", "minute", "second"][0 if match["unit"][0] in "Sh" else 1:]
    counts = [int(match[group]) for group in "abc" if match[group]]
    if len(counts) > len(units):
        return None
    return Words(" ".join(p.language.say(Measure(Number(str(count)), (f"duration-{unit}",)))
                          for count, unit in zip(counts, units) if count))


def _clock_before(match: re.Match, p: Patterns) -> Value | None:
    return Time(int(match["hour"]), int(match["minute"]))


def _weekday(match: re.Match, p: Patterns) -> Value | None:
    return Words(p.language.weekday_abbreviations[match[0].lower().rstrip(".")])


def _scale(match: re.Match, p: Patterns) -> Value | None:
    """1:25.000."""
    return Words(f"{p.language.cardinal(int(match['a']))} zu {p.language.say(p.read(match['b']))}")


def _emergency(match: re.Match, p: Patterns) -> Value | None:
    return Words(match["words"] + p.language.digits(match["digits"]))


def _post_code(match: re.Match, p: Patterns) -> Value | None:
    return Words(match["words"] + p.language.digits(match["digits"]))


def _even_money(match: re.Match, p: Patterns) -> Value | None:
    """5,- Euro."""
    currency = p.language.currency_signs.get(match["currency"] or "€", match["currency"])
    return Money(p.read(match["number"]), currency)


def _street(match: re.Match, p: Patterns) -> Value | None:
    return Words(match[0][:-4] + ("Straße" if match[0].startswith("S") else "straße"))


def _ordinal(match: re.Match, p: Patterns) -> Value | None:
    """3. is the third before a word that begins no sentence, or behind an article."""
    words = before(match, p.language.between_days)
    after = match.string[match.end():match.end() + 30].lstrip(" ")
    follows = re.match(r"[^\W\d_]+", after)
    is_starter = bool(follows) and follows[0][0].isupper() and follows[0].lower() in TABLES["de"].starters
    alone = not match.string[:match.start()][-3:].strip() and not after
    if words.rpartition(" ")[2] in ARTICLES or alone or (follows and not is_starter):
        said = p.language.ordinal(int(match["number"].replace(".", "")), words)
        bare = not words and follows and follows[0][0].isupper() and _is_feminine(follows[0])
        return Words(said.removesuffix("r") if bare else said)  # 4. Klasse
    return None


_SHORT_DAY = "(?:Mo|Di|Mi|Do|Fr|Sa|So)"


def _plain(kind: str, pattern: str, value, has_digits: bool = True) -> Recogniser:
    return Recogniser(kind, lambda p: pattern, value, has_digits)


_OWN = (
    _plain("duration", r"(?=\d)(?<![\w.,:])(?P<a>\d{1,3}):(?P<b>[0-5]\d)(?::(?P<c>[0-5]\d))?\s"
           r"(?P<unit>Stunden|Std\.|h|Minuten|Min\.)(?!\w)", _duration),
    _plain("score", r"(?=\d)(?<![\w.,:])(?P<a>\d{1,3}):(?P<b>\d{1,3}(?:\.\d{3}){1,3}|\d{4,9})(?![\w:])", _scale),
    _plain("time", r"(?=\d)(?<![\w.,:])(?P<hour>[01]?\d|2[0-4])[.:](?P<minute>[0-5]\d)"
           r"(?=\s(?:bis|und|oder)\s(?:ca\.\s)?\d{1,2}(?:[.:]\d\d)?\sUhr)", _clock_before),
    _plain("money", r"(?=\d)(?<![\w.,:])(?P<number>\d{1,3}(?:\.\d{3}){1,3}|\d{1,9}),\s?[-–—]{1,2}"
           r"(?!\d)(?:\s?(?P<currency>€|Euro|EUR|CHF|Franken|\$)(?!\w))?", _even_money),
    _plain("money", r"(?<!\w)(?P<currency>€|EUR|CHF|Fr\.)\s?(?P<number>\d{1,3}(?:[.'’]\d{3}){1,3}|\d{1,9})[.,]"
           r"[-–—]{1,2}(?!\w)", _even_money),
    _plain("date", rf"(?<![\w.–-]){_SHORT_DAY}\.?(?=,?\s\d{{1,2}}(?:\.\d{{1,2}}\.|[.:]\d\d|\s?[-–]\s?\d|\sUhr|"
           rf"\.\s?[JFMASOND][a-zä])|\s(?:[+&/]|und|oder)\s{_SHORT_DAY}(?!\w))", _weekday),
    _plain("telephone", r"(?<![\w-])(?P<letters>[A-ZÄÖÜ]{1,3}-[A-Z]{1,2})\s?(?P<digits>[1-9]\d{0,3})(?!\w|[.,]\d)",
           _plate),
    _plain("range", r"(?=\d)(?<![\w.,])(?P<a>3[01]|[12]\d|0?[1-9])\.\s?[-–]\s?(?P<d>3[01]|[12]\d|0?[1-9])\.\s?"
           r"(?P<m>1[0-2]|0?[1-9])\.(?P<y>\d{4}|\d\d)?(?!\d)", _days),
    _plain("measure", r"(?=\d)(?<![\w.,])(?P<number>\d{1,9})\s?%(?P<end>ig(?:e[nmrs]?)?)(?!\w)", lambda match, p: Words(
        f"{p.language.cardinal(int(match['number']))}prozent{match['end']}")),
    _plain("measure", r"(?:(?<=\bpro )|(?<=\bje ))(?:kg|km|m²|qm|kWh|min|Min\.|Std\.|ml|cm|[ghlt])(?!\w)", _unit_alone,
           has_digits=False),
    _plain("cardinal", r"(?=\d)(?<![\w.,])(?P<number>\d{1,3})\s?[x×](?=\s[^\W\d_]{2}|[.,;!?)]|$)", _times),
    _plain("telephone", r"(?P<words>(?:[Rr]ufen Sie|[Nn]otruf|[Ww]ählen Sie|[Ww]ähle|[Rr]uft?)\s(?:die )?)"
           r"(?P<digits>11[02567]|19222|116\d{3})(?![\w]|[.,]\d)", _emergency),
    _plain("telephone", r"(?P<words>\bunter\s(?:der\s)?)(?P<digits>11[02567]|19222|116\d{3})(?=[.,;!?]?(?:\s|$))"
           r"(?!\s[A-ZÄÖÜ€])", _emergency),
    _plain("address", r"(?P<words>(?:PLZ:?|D-)\s?)(?P<digits>\d{5})(?!\w|[.,]\d)", _post_code),
    _plain("address", r"(?P<words>(?:(?<=^)|(?<=, )|(?<=\n))|(?:in|aus|nach)\s)(?P<digits>\d{3}(?:\d[1-9]|[1-9]\d))"
           r"(?=\s[A-ZÄÖÜ][a-zäöüß])(?!\s\w+en\b(?<!hen)(?<!gen))", _post_code),
    _plain("sign", r"(?<=[(;,] )\*|(?<=\()\*(?=\s?(?:\d{1,2}\.\s?\S{1,10}\s?)?\d{3,4}\b)",
           lambda match, p: Words("geboren")),
    _plain("ordinal", r"(?<=\bzu )(?P<number>\d{1,2})\.(?=\s[a-zäöü])",
           lambda match, p: Words(_num2words(int(match["number"]), "de", "ordinal").removesuffix("e"))),
    _plain("time", r"(?<=\b[Uu]m )(?P<hour>[01]?\d|2[0-4])\s?h(?!\w)", lambda match, p: Time(int(match["hour"]))),
    _plain("abbreviation", r"(?<=\d )S\.(?=\s[a-zäöü]|,|$)", lambda match, p: Words("Seiten")),
    _plain("abbreviation", r"(?<=\d )u\.(?=\s\d)", lambda match, p: Words("und")),
    _plain("abbreviation", r"(?:(?<=Abs\. \d )|(?<=Abs\. \d\d )|(?<=Absatz \d ))S\.(?=\s\d)",
           lambda match, p: Words("Satz")),
    _plain("money", r"(?:(?<=€)|(?<=Euro)|(?<=EUR)|(?<=Cent)|(?<=CHF)|(?<=\ue001))\s?/\s?"
           r"(?P<per>Std\.?|Min\.?|min|Pers\.?|Stk\.?|Mon\.)(?!\w)",
           lambda match, p: Words(f" pro {PERIODS[match['per'].rstrip('.').lower()]}"), has_digits=False),
    _plain("abbreviation", r"(?<=\d )ff?\.(?!\w)",
           lambda match, p: Words("fortfolgende" if match[0] == "ff." else "folgende")),
    _plain("abbreviation", r"(?<=\d )J\.(?=\s[a-zäöü]|,|$)",
           lambda match, p: Words("Jahren" if re.search(r"(?i:\b(?:ab|seit|mit|unter|nach|vor|von))\s\d{1,4}\s$",
                                                        match.string[max(0, match.start() - 14):match.start()])
                                  else "Jahre")),
    _plain("date", r"(?=\d)(?<![\w.,])(?P<d>3[01]|[12]\d|0?[1-9])\.\s?(?P<m>1[0-2]|0?[1-9])\.(?![\d])", _short_date),
    _plain("date", r"(?=\d)(?<![\w.,])(?P<digits>[1-9]0|1\d\d0|20\d0)er(?P<end>n?)(?![\w])", _decade),
    _plain("cardinal",
           r"(?<![\w.,:/-])(?<!Nummer )1(?=[ \u00a0](?P<noun>[A-ZÄÖÜ][a-zäöüß]{1,30})\b)"
           "(?! Uhr| Mio| Mrd| Std| Min| Sek| Tsd)", _one),
    _plain("address", r"\b[A-ZÄÖÜ][a-zäöüß-]{2,30}str\.|\bStr\.", _street, has_digits=False),
    _plain("ordinal", r"(?=\d)(?<![\w.,])(?P<number>\d{1,9})\.(?![\d.])(?=\s*[^\W\d_]|\s*$|[)\"“]|,)"
                      r"(?!\s?(?:Uhr|Mio|Mrd)\b)",
           lambda match, p: None if re.match(rf"\s?{p.month}", match.string[match.end():match.end() + 12])
           else _ordinal(match, p)),
)
LANGUAGE = German
