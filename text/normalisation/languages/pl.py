"""Polish as it is read aloud: plural forms and genders, ordinals of dates, years and hours in their case."""

from __future__ import annotations

import re

from text.normalisation.languages._european import NOUNS, SILENT, plain
from text.normalisation.languages._slavic import Slavic, century, genitives
from text.normalisation.numbers import before
from text.normalisation.patterns import Patterns
from text.normalisation.values import Fraction, Number, Roman, Telephone, Time, Value, Words

_ENDINGS = {"gen": "ego", "dat": "emu", "ins": "ym", "loc": "ym", "fem": "a", "fem_gen": "ej", "fem_ins": "ą",
            "neuter": "e", "pl": "e", "pl_gen": "ych", "pl_ins": "ymi"}
_WORD_CASES = {"rok": "nom", "roku": "gen", "rokiem": "ins", "wiek": "nom", "wieku": "gen", "wiekiem": "ins",
               "lata": "pl", "latach": "pl_gen", "lat": "pl_gen", "latami": "pl_ins"}
_RULERS = {"jan": "nom", "paweł": "nom", "karol": "nom", "henryk": "nom", "zygmunt": "nom", "władysław": "nom",
           "bolesław": "nom", "kazimierz": "nom", "august": "nom", "aleksander": "nom", "mikołaj": "nom",
           "benedykt": "nom", "ludwik": "nom", "napoleon": "nom", "piotr": "nom", "stanisław": "nom", "fryderyk": "nom",
           "jana": "gen", "pawła": "gen", "karola": "gen", "henryka": "gen", "zygmunta": "gen", "władysława": "gen",
           "bolesława": "gen", "kazimierza": "gen", "augusta": "gen", "aleksandra": "gen", "mikołaja": "gen",
           "benedykta": "gen", "ludwika": "gen", "napoleona": "gen", "piotra": "gen", "stanisława": "gen",
           "elżbieta": "fem", "katarzyna": "fem", "elżbiety": "fem_gen", "katarzyny": "fem_gen"}
_HOUR_CASES = {"o": "fem_gen", "od": "fem_gen", "do": "fem_gen", "po": "fem_gen", "około": "fem_gen",
               "przed": "fem_ins"}
_GENITIVES = dict(pair.split(":") for pair in (
    "dwa:dwóch trzy:trzech cztery:czterech pięć:pięciu sześć:sześciu siedem:siedmiu osiem:ośmiu dziewięć:dziewięciu "
    "dziesięć:dziesięciu jedenaście:jedenastu dwanaście:dwunastu trzynaście:trzynastu czternaście:czternastu "
    "piętnaście:piętnastu szesnaście:szesnastu siedemnaście:siedemnastu osiemnaście:osiemnastu "
    "dziewiętnaście:dziewiętnastu dwadzieścia:dwudziestu trzydzieści:trzydziestu czterdzieści:czterdziestu "
    "pięćdziesiąt:pięćdziesięciu sześćdziesiąt:sześćdziesięciu siedemdziesiąt:siedemdziesięciu "
    "osiemdziesiąt:osiemdziesięciu dziewięćdziesiąt:dziewięćdziesięciu sto:stu dwieście:dwustu trzysta:trzystu "
    "czterysta:czterystu pięćset:pięciuset sześćset:sześciuset siedemset:siedmiuset osiemset:ośmiuset "
    "dziewięćset:dziewięciuset tysiąc:tysiąca tysiące:tysięcy milion:miliona miliony:milionów").split())


_FEMININE_PLURALS = frozenset(
    "łyżki łyżeczki szklanki kobiety godziny minuty sekundy książki osoby strony sztuki córki dziewczyny noce rzeczy "
    "części ręce nogi butelki filiżanki kawy ulice drogi szkoły klasy grupy próby bramki siostry żony tabletki porcje "
    "marchewki cebule gwiazdki wersje stacje wojny lampy firmy".split())
_WEEKDAYS_FROM = {"poniedziałek": "poniedziałku", "wtorek": "wtorku", "środa": "środy", "czwartek": "czwartku",
                  "piątek": "piątku", "sobota": "soboty", "niedziela": "niedzieli"}


class Polish(Slavic):
    """See the module."""

    code = "pl"
    group_marks = "."
    weekday_abbreviations = {"pon": "poniedziałek", "pn": "poniedziałek", "wt": "wtorek", "śr": "środa",
                             "czw": "czwartek", "pt": "piątek", "sob": "sobota", "nd": "niedziela"}
    weekday_cases = ("od", _WEEKDAYS_FROM, _WEEKDAYS_FROM, "do")
    month_words = frozenset({"maj"})
    era_mark = r"p\.?\s?n\.\s?e\.|n\.\s?e\."
    eras = {"pne": "przed naszą erą", "ne": "naszej ery"}
    scales = ("tysiąc", "tysiące", "tysięcy", "milion", "miliony", "milionów", "miliona", "miliard", "miliardy",
              "miliardów", "miliarda", "bilion", "biliony", "bilionów")
    scale_abbreviations = {"tys": "tys", "mln": "mln", "mld": "mld", "bln": "bln"}
    one_two = {"dwa": "dwie"}
    accusative = {"a": "ę"}
    forms = {
        "tys": "tysiąc tysiące tysięcy tysiąca", "mln": "milion miliony milionów miliona",
        "mld": "miliard miliardy miliardów miliarda", "bln": "bilion biliony bilionów biliona",
        "PLN": "złoty złote złotych złotego", "EUR": "euro euro euro euro", "USD": "dolar dolary dolarów dolara",
        "GBP": "funt funty funtów funta", "CHF": "frank franki franków franka", "RUB": "rubel ruble rubli rubla",
        "CZK": "korona korony koron korony", "JPY": "jen jeny jenów jena", "UAH": "hrywna hrywny hrywien hrywny",
        "osoba": "osoba osoby osób osoby", "dekagram": "dekagram dekagramy dekagramów dekagrama",
        "grosz": "grosz grosze groszy grosza", "sztuka": "sztuka sztuki sztuk sztuki",
        "power-horsepower": "koń mechaniczny|konie mechaniczne|koni mechanicznych|konia mechanicznego"}
    cent_forms = {"PLN": "grosz grosze groszy grosza", "EUR": "cent centy centów centa",
                  "USD": "cent centy centów centa",
                  "GBP": "pens pensy pensów pensa", "CHF": "centym centymy centymów centyma"}
    currency_signs = Slavic.currency_signs | {"zł": "PLN", "zł.": "PLN", "euro": "EUR"}
    periods = {"mies": "miesiąc", "rok": "rok", "h": "godzinę", "kg": "kilogram", "os": "osobę", "l": "litr",
               "godz": "godzinę"}
    unit_symbols = {"godz": "duration-hour", "godz.": "duration-hour", "sek": "duration-second",
                    "sek.": "duration-second",
                    "min.": "duration-minute", "dag": "dekagram", "gr": "grosz", "KM": "power-horsepower",
                    "os.": "osoba",
                    "szt.": "sztuka", "m2": "area-square-meter", "m kw.": "area-square-meter",
                    "km/h": "speed-kilometer-per-hour", "m/s": "speed-meter-per-second"}
    words = SILENT | {
        "point": "przecinek", "minus": "minus", "plus": "plus", "and": "i", "over": "przez", "to": "do", "per": "na",
        "power": "do potęgi", "score": "do", "money and": "", "port": "port", "version": "wersja",
        "version point": "kropka",
        "decimal point": "kropka", "hashtag": "hasztag", "%": "procent", "‰": "promil", "&": "i", "+": "plus",
        "=": "równa się", "@": "małpa", "#": "krzyżyk", "°": "stopni", "$": "dolar", "£": "funt", "€": "euro",
        "×": "razy", "÷": "podzielić przez", "±": "plus minus", "≈": "około", "≤": "mniejsze lub równe",
        "≥": "większe lub równe", "≠": "różne od", "<": "mniejsze niż", ">": "większe niż", "√": "pierwiastek z",
        "π": "pi", "∞": "nieskończoność", "§": "paragraf", "№": "numer", "→": "", ".": "kropka", "/": "ukośnik",
        "-": "myślnik", "_": "podkreślenie", ":": "dwukropek", "?": "znak zapytania", "~": "tylda"}
    abbreviations = {
        "np.": "na przykład", "itd.": "i tak dalej", "itp.": "i tym podobne", "tzn.": "to znaczy", "tj.": "to jest",
        "m.in.": "między innymi", "m. in.": "między innymi", "tzw.": "tak zwany", "wg": "według", "ok.": "około",
        "ul.": "ulica", "al.": "aleja", "pl.": "plac", "os.": "osiedle", "nr": "numer", "nr.": "numer",
        "str.": "strona", "na str.": "na stronie",
        "s.": "strona", "rozdz.": "rozdział", "art.": "artykuł", "ust.": "ustęp", "rys.": "rysunek", "tab.": "tabela",
        "dr": "doktor", "dr.": "doktor", "prof.": "profesor", "inż.": "inżynier", "mgr": "magister",
        "hab.": "habilitowany",
        "ks.": "ksiądz", "św.": "święty", "gen.": "generał", "płk": "pułkownik", "tel.": "telefon", "godz.": "godzina",
        "r.": "roku", "w.": "wiek", "jw.": "jak wyżej",
        "br.": "bieżącego roku", "ub.": "ubiegły", "im.": "imienia", "ds.": "do spraw", "p.n.e.": "przed naszą erą",
        "n.e.": "naszej ery", "zob.": "zobacz", "por.": "porównaj", "wyd.": "wydanie", "red.": "redaktor",
        "woj.": "województwo", "max.": "maksymalnie", "min.": "minimum", "zł": "złotych", "gr": "groszy",
        "vs.": "kontra",
        "ww.": "wyżej wymieniony", "pt.": "pod tytułem", "tzw": "tak zwany"}
    number_nouns = frozenset("rozdział tom część akt scena artykuł strona typ klasa księga grupa etap stopnia".split())
    name_heads = frozenset(_RULERS)
    spoken = frozenset("NATO UNESCO UNICEF AIDS FIFA UEFA NASA ZUS PESEL SARS ORLEN LOT".split())
    spelled = frozenset("UE ONZ PKP PKO USA TV CD DVD PAN UJ".split())
    capital_words = frozenset("I W NA NIE TO ŻE ON ONA JA MY WY TY PO ZA DO OD SIĘ JEST TAK ALE CO JAK DLA ICH "
                              "TU".split())
    not_roman = frozenset({"CD", "DVD", "MM", "CC", "MI", "DI", "XXL", "XL", "CV", "LI"})
    letter_names = {"w": "wu", "z": "zet", "i": "i", "o": "o"}
    telephone = \
        r"\d{3}[ -]\d{3}[ -]\d{3}|\d{2} \d{3} \d\d \d\d|\(\d{2}\) \d{3}[ -]\d\d[ -]\d\d|" \
        r"\d\d-\d{3}(?=\s[A-ZĆŁŚŻŹ][a-ząćęłńóśźż])"

    # Numbers

    def inflected(self, number: int, case: str) -> str:
        """See `Slavic`; the last word changes, and tens before it."""
        words = super().ordinal(number).split()
        if case == "nom":
            return " ".join(words)
        for place in range(max(0, len(words) - 2), len(words)):
            word = words[place]
            if word.endswith(("ty", "sty", "wszy", "my", "ny")):
                words[place] = word[:-1] + _ENDINGS[case]
            elif word.endswith("i") and place == len(words) - 1:
                ending = _ENDINGS[case].replace("y", "i")
                soft = ending[0] in "aąi" or (word.endswith("ci") and ending[0] == "e")
                words[place] = (word[:-1] if ending[0] == "i" or (soft and word.endswith("gi")) else word) + ending
        return " ".join(words)

    def genitive(self, number: int, feminine: bool = False) -> str:
        """See `Slavic`; one in a longer number stays."""
        if number == 1:
            return "jednej" if feminine else "jednego"
        return " ".join(_GENITIVES.get(word, word) for word in self.cardinal(number).split())

    def gendered(self, said: str, feminine: bool) -> str:
        """Jedna, dwie, dwadzieścia dwie; dwadzieścia jeden stays."""
        return re.sub("^jeden$", "jedna", super().gendered(said, feminine)) if feminine else said

    def before_noun(self, number: int, noun: str) -> str | None:
        """Jedna książka, jedno jajko, dwie kobiety."""
        if number == 1 and noun.endswith(("a", "o", "e", "ę", "um")):
            return "jedna" if noun.endswith("a") else "jedno"
        two_of_feminine = number % 10 == 2 and number % 100 != 12 and noun in _FEMININE_PLURALS
        return self.gendered(self.cardinal(number), True) if two_of_feminine else None

    def score(self, first: int, last: int) -> str:
        """Trzy do jednego."""
        return f"{self.cardinal(first)} do {self.genitive(last)}"

    def year_range(self, first: str, last: str) -> str:
        """Od ... do ..., both in the genitive."""
        return f"od {self.inflected_year(first, 'gen')} do {self.inflected_year(last, 'gen')}"

    def decimals(self, digits: str) -> str:
        """As a number to three digits, else one by one."""
        return self.leading_zeros(digits) if len(digits) <= 3 else self.digits(digits)

    def counted(self, number: Number | Fraction, unit: str) -> str:
        """The gender is of whole numbers alone."""
        whole = isinstance(number, Number) and not number.fraction
        return super().counted(number, unit) if whole else self.say(number)

    def say_fraction(self, value: Fraction) -> str:
        """Jedna druga, trzy czwarte, dwa i pół."""
        minus = "minus " if value.negative else ""
        if (value.above, value.below) == (1, 2):
            return minus + (f"{self.cardinal(value.whole)} i pół" if value.whole is not None else "jedna druga")
        below = self.inflected(value.below, "fem" if value.above == 1 else "pl" if self.form(
            "a|b|c|d", Number(str(value.above))) == "b" else "pl_gen")
        said = f"{self.gendered(self.cardinal(value.above), True)} {below}"
        return minus + (f"{self.cardinal(value.whole)} i {said}" if value.whole is not None else said)

    def ordinal(self, number: int, before: str = "") -> str:
        """In the form that the name before it has."""
        return self.inflected(number, _RULERS.get(before.rpartition(" ")[2], "nom"))

    def say_roman(self, value: Roman) -> str:
        """Jan Trzeci, Jana Trzeciego."""
        said = super().say_roman(value)
        return said.title() if value.is_ordinal else said

    def per_unit(self, unit: str) -> str:
        """Na godzinę, na sekundę."""
        return f"na {self.in_accusative(self.unit_name(unit, 1))}"

    # Times and codes

    def is_clock(self, hour: str, minute: str) -> bool:
        """13.30 is a time."""
        return len(hour) == 2 and int(hour) < 24 and int(minute) < 60

    def say_time(self, value: Time) -> str:
        """Czternasta trzydzieści."""
        return self.hour(value, "fem")

    def hour(self, value: Time, case: str) -> str:
        """A time whose hour stands in this form: o czternastej trzydzieści."""
        parts = [self.inflected(value.hour, case) if value.hour else "zero" if case == "fem" else "zerowej"]
        if value.minute or value.second or not value.hour:
            parts.append(self.leading_zeros(f"{value.minute or 0:02d}"))
        if value.second:
            parts.append(f"i {self.counted_noun(value.second, 'sekunda sekundy sekund')}")
        return " ".join([*parts, *([self.letters(value.zone)] if value.zone else [])])

    def say_telephone(self, value: Telephone) -> str:
        """Groups as numbers, zeros one by one."""
        groups = [self.leading_zeros(group) if len(group) <= 3 else self.digits(group) for group in value.groups]
        return ("plus " if value.plus else "") + ", ".join(groups)

    def is_spelled(self, word: str) -> bool:
        """Without a vowel, or of at most three letters."""
        return not re.search("[AEIOUYĄĘÓ]", word) or len(word) <= 3

    def abbreviation(self, match: re.Match) -> str | None:
        """Some stand only behind numbers, some only before them."""
        word, start = match["word"], match.string[max(0, match.start() - 2):match.start()]
        behind_number = re.search(r"[\d\ue001]\s?$", start) is not None
        if word in ("r.", "w.", "tys.", "mln", "mld", "zł", "gr") and not behind_number:
            return None
        before_number = re.match(r"\s?[\d\ue001]", match.string[match.end():match.end() + 3])
        if word in ("s.", "str.", "art.", "rozdz.", "rys.", "tab.", "ust.") and not before_number:
            return None
        return super().abbreviation(match)

    def recognisers(self) -> tuple:
        """Years, centuries and hours in their case, ordinals with a point."""
        return _OWN


def _case(match: re.Match, word: str) -> tuple[str, str]:
    """The case of rok or wiek, written or abbreviated, and the word itself."""
    word = {"r.": "roku", "w.": "wieku"}.get(word, word)
    preposition = before(match).rpartition(" ")[2]
    return "loc" if word in ("roku", "wieku") and preposition in ("w", "po", "o") else _WORD_CASES[word], word


def _year(match: re.Match, p: Patterns) -> Value | None:
    case, word = _case(match, match["word"])
    return Words(f"{p.language.inflected(int(match['digits']), case)} {word}")


def _decade(match: re.Match, p: Patterns) -> Value | None:
    return Words(f"{match['word']} {p.language.inflected(int(match['digits']), _WORD_CASES[match['word'].lower()])}")


def _clock(match: re.Match, p: Patterns) -> Value | None:
    """O czternastej trzydzieści, godzina ósma."""
    head, hour_word = match["head"] or "", match["word"] or ""
    of_day = re.match(r"\s(?:rano|wieczorem|po południu|w nocy|nad ranem)", match.string[match.end():match.end() + 15])
    if not hour_word and not match["minute"] and not (head and of_day):
        return None
    case = _HOUR_CASES.get(head.strip().lower(), "fem")
    if hour_word:
        hour_word = {"fem": "godzina ", "fem_gen": "godzinie " if head.strip().lower() in ("o", "po") else "godziny ",
                     "fem_ins": "godziną "}[case]
    minute = match["minute"]
    return Words(head + hour_word + p.language.hour(Time(int(match["hour"]), int(minute) if minute else None), case))


def _hours(match: re.Match, p: Patterns) -> Value | None:
    first, last = (Time(int(match[f"h{place}"]), int(match[f"m{place}"])) for place in "12")
    said = p.language.hour(last, "fem_gen")
    if match["word"]:
        return Words(f"w godzinach od {p.language.hour(first, 'fem_gen')} do {said}")
    return Words(f"{p.language.hour(first, 'fem')} do {said}")


def _ordinal(match: re.Match, p: Patterns) -> Value | None:
    """5. rocznica, 1. miejsce, 3. rozdział: the gender is that of the ending behind it."""
    noun = match["noun"]
    case = "fem" if noun.endswith("a") else "neuter" if noun.endswith(("o", "e", "ę")) else "fem_gen" if noun.endswith(
        ("y", "i")) else "gen" if noun.endswith("u") else "nom"
    return Words(p.language.inflected(int(match["number"]), case))


_OWN = (
    plain("date", r"(?=\d)(?<![\w.,])(?P<digits>[12]\d{3}|[1-9]\d{2})\s?(?P<word>roku|rokiem|rok|r\.)(?!\w)", _year),
    plain("date", r"(?<!\w)(?P<word>[Ll]at(?:a|ach|ami|))\s(?P<digits>[1-9]0|1\d\d0)\.?(?!\w)",
          _decade),
    plain("roman", r"(?<![\w.])(?P<numeral>[IVX]{1,6})\s(?P<word>wieku|wiekiem|wiek|w\.)(?!\w)",
          century(_case), has_digits=False),
    plain("range", r"(?<![\w:.,])(?P<word>w godz\.?\s)?(?P<h1>[01]?\d|2[0-3])[:.](?P<m1>[0-5]\d)\s?[-–]\s?"
          r"(?P<h2>[01]?\d|2[0-3])[:.](?P<m2>[0-5]\d)(?![\w:.]\w)",
          _hours),
    plain("time", r"(?<!\w)(?P<head>(?i:o|od|do|po|około|przed)\s)?(?P<word>(?<!\d )"
          r"(?i:godz\.?|godzin[aieęąy]{1,2})\s)?(?<![\w:.,])(?P<hour>[01]?\d|2[0-4])(?:[:.](?P<minute>[0-5]\d))?"
          r"(?![\w%]|[.,:]\d|\s?(?:zł|km|m|kg|%|proc)\b)", _clock),
    genitives(r"ok\.|do|od|bez|około|powyżej|poniżej|blisko|spośród|dla"),
    NOUNS,
    plain("ordinal", r"(?=\d)(?<![\w.,])(?P<number>\d{1,4})\.(?=\s(?P<noun>[a-ząćęłńóśźż]{3,}))", _ordinal),
)
LANGUAGE = Polish
