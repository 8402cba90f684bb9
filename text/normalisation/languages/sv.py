"""Swedish as it is read aloud: en and ett, years in hundreds, klockan fjorton trettio, tredjedelar."""

from __future__ import annotations

import re

from text.normalisation.languages._european import NOUNS, SILENT, European, plain, point_time
from text.normalisation.patterns import Patterns
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Date, Electronic, Fraction, Roman, Telephone, Time, Value, Words

_SCALES = (("miljon", "miljoner"), ("miljard", "miljarder"), ("biljon", "biljoner"), ("biljard", "biljarder"))
_NEUTER = re.compile(r"(?:gram|ton|pund|öre|år|dygn|uns|skålpund|procent|hg|rum)\b")


_NEUTER_NOUNS = frozenset(
    "hus ägg barn år äpple bord rum kilo liv land namn ord djur brev kort glas paket brott mål tåg träd problem hjärta "
    "huvud öga öra ben par pris språk folk fall steg spel tal test val vin kök bad bröd skepp skott slag språng prov "
    "parti företag sätt plus minus dygn sekel hav berg torn fel möte samtal fönster papper nummer".split())


class Swedish(European):
    """See the module."""

    code = "sv"
    group_marks = "."
    ordinal_mark = ":(?:a|e|de|te)"
    day_mark = r"(?::[ae]|[ae](?=\s)|\.|)"
    weekday_abbreviations = {"mån": "måndag", "tis": "tisdag", "ons": "onsdag", "tors": "torsdag", "fre": "fredag",
                             "lör": "lördag", "sön": "söndag"}
    era_mark = r"[fe]\.?\s?Kr\.?"
    eras = {"fkr": "före Kristus", "ekr": "efter Kristus"}
    scales = ("tusen", "miljon", "miljoner", "miljard", "miljarder", "biljon", "biljoner", "biljarder")
    scale_abbreviations = {"mn": "miljoner", "milj": "miljoner", "md": "miljarder", "mdr": "miljarder",
                           "mkr": "miljoner kronor", "mnkr": "miljoner kronor", "tkr": "tusen kronor"}
    currency_signs = European.currency_signs | {
        "kr": "SEK", "USD$": "USD$", "kronor": "SEK", "krona": "SEK", "dollar": "USD", "euro": "EUR", ":-": "SEK"}
    currency_words = {
        "SEK": ("krona", "kronor", "öre", "öre"), "NOK": ("norsk krona", "norska kronor", "öre", "öre"),
        "DKK": ("dansk krona", "danska kronor", "öre", "öre"), "EUR": ("euro", "euro", "cent", "cent"),
        "USD": ("dollar", "dollar", "cent", "cent"), "GBP": ("pund", "pund", "penny", "pence"),
        "USD$": ("amerikansk dollar", "amerikanska dollar", "cent", "cent"), "JPY": ("yen", "yen", "sen", "sen"),
        "CNY": ("yuan", "yuan", "fen", "fen"), "KRW": ("won", "won", "jeon", "jeon"),
        "RUB": ("rubel", "rubel", "kopek", "kopek"), "INR": ("rupie", "rupier", "paisa", "paisa")}
    periods = {"mån": "månad", "månad": "månad", "år": "år", "dag": "dag", "h": "timme", "kg": "kilo", "l": "liter",
               "st": "styck"}
    unit_symbols = {"tim": "duration-hour", "sek": "duration-second", "hg": "hektogram",
                    "mil": "length-mile-scandinavian",
                    "kvm": "area-square-meter", "km/tim": "speed-kilometer-per-hour", "st": "styck",
                    "dl": "volume-deciliter",
                    "hk": "power-horsepower", "st.": "styck", "msk": "matsked", "tsk": "tesked", "krm": "kryddmått"}
    unit_words = {"hektogram": ("hekto", "hekto"), "styck": ("styck", "stycken"), "matsked": ("matsked", "matskedar"),
                  "tesked": ("tesked", "teskedar"), "kryddmått": ("kryddmått", "kryddmått")}
    words = SILENT | {
        "point": "komma", "minus": "minus", "plus": "plus", "and": "och", "over": "genom", "to": "till", "per": "per",
        "power": "upphöjt till", "score": "", "money and": "", "port": "port", "version": "version",
        "version point": "punkt", "decimal point": "punkt", "hashtag": "hashtagg", "%": "procent", "‰": "promille",
        "&": "och", "+": "plus", "=": "är", "@": "snabel-a", "#": "nummertecken", "°": "grader", "$": "dollar",
        "£": "pund", "€": "euro", "×": "gånger", "÷": "delat med", "±": "plus minus", "≈": "ungefär",
        "≤": "mindre än eller lika med", "≥": "större än eller lika med", "≠": "skilt från", "<": "mindre än",
        ">": "större än", "√": "roten ur", "π": "pi", "∞": "oändligheten", "§": "paragraf", "№": "nummer", "→": "till",
        ".": "punkt", "/": "snedstreck", "-": "bindestreck", "_": "understreck", ":": "kolon", "?": "frågetecken",
        "~": "tilde"}
    abbreviations = {
        "t.ex.": "till exempel", "t ex": "till exempel", "bl.a.": "bland annat", "bl a": "bland annat",
        "d.v.s.": "det vill säga", "dvs.": "det vill säga", "dvs": "det vill säga", "m.m.": "med mera",
        "o.s.v.": "och så vidare", "osv.": "och så vidare", "osv": "och så vidare", "etc.": "et cetera",
        "m.fl.": "med flera", "f.d.": "före detta", "s.k.": "så kallad", "p.g.a.": "på grund av", "pga": "på grund av",
        "fr.o.m.": "från och med", "t.o.m.": "till och med", "f.n.": "för närvarande", "i.e.": "det vill säga",
        "ca": "cirka", "ca.": "cirka", "c:a": "cirka", "kl.": "klockan", "kl": "klockan", "nr": "nummer",
        "nr.": "nummer", "s:t": "sankt", "s:ta": "sankta", "st:": "sankt", "tel.": "telefon", "tfn.": "telefon",
        "tfn": "telefon", "dr.": "doktor", "dr": "doktor", "prof.": "professor", "hr": "herr", "fr.": "fru",
        "sid.": "sidan", "jfr": "jämför", "resp.": "respektive", "inkl.": "inklusive", "exkl.": "exklusive",
        "max.": "maximalt", "min.": "minst", "f.Kr.": "före Kristus", "f Kr": "före Kristus", "e.Kr.": "efter Kristus",
        "e Kr": "efter Kristus", "f.m.": "förmiddag", "e.m.": "eftermiddag", "vs.": "mot", "u.å.": "utan år"}
    number_nouns = frozenset("kap kapitel band del akt scen sida typ fas grad klass bok artikel världskriget".split())
    name_heads = frozenset("karl gustav gustaf oscar erik johan fredrik adolf sigismund johannes paulus pius "
                           "benedictus "
                           "henrik ludvig georg christian harald margareta katarina filip frans wilhelm".split())
    spoken = frozenset("NATO UNESCO UNICEF AIDS FIFA UEFA NASA SAAB IKEA SIDA ASEA".split())
    spelled = frozenset("EU FN SVT SVD DN TV CD DVD USA UD LO SJ AB".split())
    capital_words = frozenset("EN ETT OCH ATT DET DEN DE ÄR I PÅ AV FÖR MED TILL SOM INTE JA NEJ JAG DU VI NI HAN HON "
                              "HAR "
                              "OM MEN SÅ ALLT NU HÄR".split())
    not_roman = frozenset({"CD", "DVD", "MM", "CC", "MI", "DI", "VI", "XXL", "XL", "CV", "MIX"})

    def cardinal(self, number: int) -> str:
        """Hundra and tusen without their one; millions as words of their own."""
        if not 0 <= number < 10**18:
            return super().cardinal(number)
        rest, below = divmod(number, 10**6)
        said = [self._below_million(below)] if below or not rest else []
        for one, many in _SCALES:
            rest, group = divmod(rest, 1000)
            if group:
                said.insert(0, f"{self.gendered(self._below_million(group), True)} {one if group == 1 else many}")
        return " ".join(said)

    def _below_million(self, number: int) -> str:
        thousands, rest = divmod(number, 1000)
        small = re.sub("^etthundra", "hundra", super().cardinal(rest)).replace("förtio", "fyrtio") if rest or (
            not thousands) else ""
        if not thousands:
            return small
        head = "" if thousands == 1 else self._below_million(thousands)
        return f"{head}{' ' if head.endswith('ett') else ''}tusen {small}".strip()

    def ordinal(self, number: int, before: str = "") -> str:
        """Tjugoförsta, hundrade."""
        said = re.sub("tjugode$", "tjugonde", super().ordinal(number).replace("förtio", "fyrtio"))
        return re.sub(r"\bett(?=hundra|tusen)", "", said)

    def is_year(self, digits: str, before: str) -> bool:
        """From 1500 on, or after år and i."""
        word = before.rpartition(" ")[2]
        return 1500 <= int(digits) < 2100 or (1000 < int(digits) < 1500 and word in (
            "år", "året", "i", "sedan", "från", "till", "omkring", "hösten", "våren", "sommaren", "vintern"))

    def year(self, digits: str) -> str:
        """Nittonhundraåttiofyra, tjugotjugofyra."""
        century, rest = divmod(int(digits), 100)
        if not 11 <= century <= 20 or len(digits) != 4:
            return self.cardinal(int(digits))
        if century == 20 and rest >= 10:
            return f"tjugo{self.cardinal(rest)}"
        if century == 20 and rest:
            return f"tjugohundra{self.cardinal(rest)}"
        return f"{self.cardinal(century)}hundra{self.cardinal(rest) if rest else ''}"

    def is_clock(self, hour: str, minute: str) -> bool:
        """13.30 is a time."""
        return len(hour) == 2 and int(hour) < 24 and int(minute) < 60

    def is_feminine(self, noun: str) -> bool:
        """Of common gender (en), by a list of endings of the others."""
        return not _NEUTER.search(noun.lower())

    def gendered(self, said: str, feminine: bool) -> str:
        """Tjugoen kronor, tjugoett ton."""
        return re.sub("ett$", "en", said) if feminine else said

    def decimals(self, digits: str) -> str:
        """As a number to three digits, else one by one."""
        return self.leading_zeros(digits) if len(digits) <= 3 else self.digits(digits)

    def say_number(self, value) -> str:
        """En miljon."""
        said = super().say_number(value)
        return re.sub(r"ett(?= (?:(?:komma .*)?(?:mi|bi)lj))", "en", said) if value.scale else said

    def say_fraction(self, value: Fraction) -> str:
        """En halv, två tredjedelar, tre och en fjärdedel."""
        minus = "minus " if value.negative else ""
        if value.below == 2:
            part = "halv" if value.above == 1 else "halva"
        else:
            named = self.ordinal(value.below)
            named = named[:-2] if named.endswith("nde") and not named.endswith("sjunde") else named
            part = f"{named}del{'' if value.above == 1 else 'ar'}"
        said = f"{self.article_number(value.above, True)} {part}"
        return minus + (f"{self.cardinal(value.whole)} och {said}" if value.whole is not None else said)

    def say_roman(self, value: Roman) -> str:
        """Karl den sextonde."""
        if not value.is_ordinal:
            return self.cardinal(value.number)
        said = self.ordinal(value.number)
        is_queen = value.before.rpartition(" ")[2] in ("margareta", "margrethe", "elisabet", "elizabeth", "kristina",
                                                       "katarina")
        return "den " + (said if is_queen else re.sub("(först|andr)a$", r"\1e", said))

    def before_noun(self, number: int, noun: str) -> str | None:
        """En bok, ett hus."""
        is_neuter = noun in _NEUTER_NOUNS or not self.is_feminine(noun) or noun.endswith(("um", "eri", "ande", "else"))
        return None if number != 1 or noun.endswith(("er", "ar", "or")) else "ett" if is_neuter else "en"

    def day(self, value: Date) -> str:
        """An ordinal."""
        return self.ordinal(value.day)

    def say_time(self, value: Time) -> str:
        """Fjorton trettio, åtta noll fem."""
        zone = f" {self.letters(value.zone)}" if value.zone else ""
        parts = [self.cardinal(value.hour)]
        if value.minute or value.second:
            parts.append(self.leading_zeros(f"{value.minute or 0:02d}") if value.minute else "noll noll")
        if value.second:
            parts += ["och", self.article_number(value.second, True), "sekund" if value.second == 1 else "sekunder"]
        return " ".join(parts) + zone

    def say_telephone(self, value: Telephone) -> str:
        """Groups as numbers, the first with its zeros."""
        groups = [self.leading_zeros(group) if len(group) <= 3 else self.digits(group) for group in value.groups]
        return ("plus " if value.plus else "") + f"{groups[0]}, " + " ".join(groups[1:])

    telephone = r"0\d{1,3}[- ]\d{2,3}(?: \d{2,3}){1,3}"

    def say_electronic(self, value: Electronic) -> str:
        """Double slashes have a name; gmail is said in two parts."""
        said = super().say_electronic(value).replace("snedstreck snedstreck", "dubbla snedstreck")
        return re.sub(r"\bgmail\b", "g-mail", said)

    def recognisers(self) -> tuple:
        """Ordinals with a colon, times with e.m., decades."""
        return _OWN


def _ordinal(match: re.Match, p: Patterns) -> Value | None:
    return Words(p.language.ordinal(int(match["number"])))


def _half_day(match: re.Match, p: Patterns) -> Value | None:
    half = "förmiddag" if match["half"] == "f" else "eftermiddag"
    zone = f" {p.language.letters(match['zone'])}" if match["zone"] else ""
    return Words(f"{p.language.say(Time(int(match['hour']), int(match['minute'] or 0)))} {half}{zone}")


def _decade(match: re.Match, p: Patterns) -> Value | None:
    return Words(p.language.year(match["digits"]) + match["tal"])


_OWN = (
    NOUNS,
    Recogniser("time", lambda p: r"(?=\d)(?<![\w:.,/])(?P<hour>[01]?\d|2[0-3])(?:[:.](?P<minute>[0-5]\d))?\s?"
               rf"(?P<half>[fe])\.?\s?m\b\.?(?:\s(?P<zone>{'|'.join(p.language.zones)})(?!\w))?", _half_day),
    point_time(r"kl\.?|klockan|från|till"),
    plain("ordinal", r"^\s*(?P<number>\d{1,6})\.\s*$", _ordinal),
    plain("date", r"(?=\d)(?<![\w.,])(?P<digits>[1-9]0|1\d00|1\d\d0|20\d0)-(?P<tal>tal(?:et|ets|en)?)(?!\w)", _decade),
    plain("telephone", r"(?<![\w.,])112(?![\w.,]\d| (?:kronor|kr|meter|kilo|personer|000))",
          lambda match, p: Words(p.language.digits("112"))),
)
LANGUAGE = Swedish
