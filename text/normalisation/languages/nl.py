"""Dutch as it is read aloud: veertien uur dertig, negentienhonderd, drie kwart, Willem de Tweede."""

from __future__ import annotations

import re

from text.normalisation.codes import roman_value
from text.normalisation.languages._european import ORDINALS, SILENT, European, hours, plain, point_time
from text.normalisation.patterns import Patterns
from text.normalisation.values import Fraction, Number, Roman, Telephone, Time, Value, Words


class Dutch(European):
    """See the module."""

    code = "nl"
    ordinal_mark = "ste|de|e"
    day_mark = "(?:e|ste|de)?"
    month_abbreviations = {"mrt": 3, "maa": 3, "sept": 9}
    weekday_abbreviations = {"ma": "maandag", "di": "dinsdag", "wo": "woensdag", "do": "donderdag", "vr": "vrijdag",
                             "za": "zaterdag", "zo": "zondag"}
    month_words = frozenset({"ma", "di", "wo", "do", "vr", "za", "zo"})
    era_mark = r"[vn]\.\s?Chr\."
    eras = {"vchr": "voor Christus", "nchr": "na Christus"}
    time_mark = "uur|u"
    scales = ("duizend", "miljoen", "miljard", "biljoen", "biljard")
    scale_abbreviations = {"mln": "miljoen", "mld": "miljard", "mio": "miljoen"}
    currency_signs = European.currency_signs | {"euro": "EUR", "ƒ": "NLG", "dollar": "USD"}
    currency_words = {
        "EUR": ("euro", "euro", "cent", "cent"), "USD": ("dollar", "dollar", "cent", "cent"),
        "GBP": ("pond", "pond", "penny", "pence"), "CHF": ("frank", "frank", "rappen", "rappen"),
        "NLG": ("gulden", "gulden", "cent", "cent"), "JPY": ("yen", "yen", "sen", "sen"),
        "SEK": ("Zweedse kroon", "Zweedse kroon", "öre", "öre"), "DKK": ("Deense kroon", "Deense kroon", "øre", "øre"),
        "INR": ("roepie", "roepie", "paisa", "paisa"), "RUB": ("roebel", "roebel", "kopeke", "kopeken")}
    periods = {"maand": "maand", "mnd": "maand", "jaar": "jaar", "dag": "dag", "week": "week", "uur": "uur", "u": "uur",
               "kg": "kilo", "l": "liter", "p": "persoon"}
    unit_symbols = {"sec": "duration-second", "u": "duration-hour", "pk": "power-horsepower",
                    "km/u": "speed-kilometer-per-hour",
                    "kmu": "speed-kilometer-per-hour", "m2": "area-square-meter", "ons": "ons",
                    "el": "eetlepel", "tl": "theelepel", "min.": "duration-minute"}
    unit_words = {"mass-tonne": ("ton", "ton"), "power-horsepower": ("paardenkracht",) * 2, "ons": ("ons", "ons"),
                  "eetlepel": ("eetlepel", "eetlepels"), "theelepel": ("theelepel", "theelepels"),
                  "mass-kilogram": ("kilo", "kilo"), "speed-kilometer-per-hour": ("kilometer per uur",) * 2,
                  "duration-minute": ("minuut", "minuten"), "duration-second": ("seconde", "seconden")}
    words = SILENT | {
        "point": "komma", "minus": "min", "plus": "plus", "and": "en", "over": "gedeeld door", "to": "tot",
        "per": "per",
        "power": "tot de macht", "score": "", "money and": "", "port": "poort", "version": "versie",
        "version point": "punt", "decimal point": "punt", "hashtag": "hashtag", "%": "procent", "‰": "promille",
        "&": "en", "+": "plus", "=": "is gelijk aan", "@": "apenstaartje", "#": "hekje", "°": "graden", "$": "dollar",
        "£": "pond", "€": "euro", "×": "keer", "÷": "gedeeld door", "±": "plus of min", "≈": "ongeveer",
        "≤": "kleiner dan of gelijk aan", "≥": "groter dan of gelijk aan", "≠": "ongelijk aan", "<": "kleiner dan",
        ">": "groter dan", "√": "de wortel van", "π": "pi", "∞": "oneindig", "§": "paragraaf", "№": "nummer",
        "→": "naar", ".": "punt", "/": "schuine streep", "-": "streepje", "_": "laag streepje", ":": "dubbele punt",
        "?": "vraagteken", "~": "tilde"}
    abbreviations = {
        "bijv.": "bijvoorbeeld", "bv.": "bijvoorbeeld", "b.v.": "bijvoorbeeld", "d.w.z.": "dat wil zeggen",
        "dwz": "dat wil zeggen", "enz.": "enzovoort", "etc.": "et cetera", "o.a.": "onder andere",
        "m.b.t.": "met betrekking tot", "t/m": "tot en met", "t.o.v.": "ten opzichte van", "i.p.v.": "in plaats van",
        "i.v.m.": "in verband met", "m.a.w.": "met andere woorden", "n.a.v.": "naar aanleiding van",
        "n.v.t.": "niet van toepassing", "a.u.b.": "alstublieft", "s.v.p.": "alstublieft", "z.s.m.": "zo snel mogelijk",
        "z.o.z.": "zie ommezijde", "m.i.": "mijns inziens", "t.a.v.": "ter attentie van", "d.m.v.": "door middel van",
        "e.d.": "en dergelijke", "e.a.": "en anderen", "i.h.a.": "in het algemeen", "m.n.": "met name",
        "dhr.": "de heer", "mevr.": "mevrouw", "mw.": "mevrouw", "mej.": "mejuffrouw", "dr.": "dokter",
        "drs.": "doctorandus", "prof.": "professor", "ing.": "ingenieur", "ir.": "ingenieur", "mr.": "meester",
        "ds.": "dominee", "blz.": "bladzijde", "pag.": "pagina", "nr.": "nummer", "nrs.": "nummers", "art.": "artikel",
        "hfst.": "hoofdstuk", "tel.": "telefoon", "ca.": "circa", "resp.": "respectievelijk", "incl.": "inclusief",
        "excl.": "exclusief", "evt.": "eventueel", "vgl.": "vergelijk", "jl.": "jongstleden", "a.s.": "aanstaande",
        "St.": "Sint", "max.": "maximaal", "min.": "minimaal", "gem.": "gemiddeld", "afb.": "afbeelding",
        "v.Chr.": "voor Christus", "n.Chr.": "na Christus", "vs.": "versus"}
    number_nouns = frozenset("hoofdstuk deel boek akte scène bladzijde type fase klasse artikel groep niveau".split())
    name_heads = frozenset("willem karel lodewijk filips hendrik frederik jan johannes paulus pius benedictus napoleon "
                           "albert boudewijn leopold elizabeth edward george nicolaas alexander catharina "
                           "maria".split())
    spoken = frozenset("NAVO UNESCO UNICEF AIDS FIFA UEFA NASA HAVO MAVO KEMA".split())
    spelled = frozenset("EU VN NS KLM VVD CDA TV CD DVD USA VS BTW PvdA ANWB RIVM AOW WK EK".split())
    capital_words = frozenset("DE HET EEN EN OF VAN IN OP TE DAT DIE IS IK JE HIJ ZIJ WIJ NIET MET VOOR AAN JA NEE "
                              "OOK MAAR "
                              "ALS ER AL NU HIER STOP".split())
    not_roman = frozenset({"CD", "DVD", "MM", "CC", "MI", "DI", "VI", "XXL", "XL", "CV", "MIX"})
    telephone = r"0\d{1,3}[ -]\d{2,8}(?:[ -]\d{2,4}){0,4}"

    def year(self, digits: str) -> str:
        """Negentienhonderdvierentachtig, tweeduizendvierentwintig."""
        century, rest = divmod(int(digits), 100)
        if len(digits) == 4 and 11 <= century < 20:
            return f"{self.cardinal(century)}honderd{self.cardinal(rest) if rest else ''}"
        return self.cardinal(int(digits))

    def is_year(self, digits: str, before: str) -> bool:
        """From 1500 on, or after in and jaar."""
        number, word = int(digits), before.rpartition(" ")[2]
        return 1500 <= number < 2100 or (1100 <= number < 1500 and word in ("in", "jaar", "sinds", "van", "tot"))

    def ordinal(self, number: int, before: str = "") -> str:
        """Eerste, tweeëntwintigste."""
        return super().ordinal(number).replace(" ", "")

    def is_feminine(self, noun: str) -> bool:
        """Nothing depends on it."""
        return False

    def say_fraction(self, value: Fraction) -> str:
        """Een half, een kwart, twee derde, anderhalf."""
        minus = "min " if value.negative else ""
        whole, above, below = value.whole, value.above, value.below
        if (above, below) == (1, 2) and whole is not None:
            said = re.sub("(?<=e)enhalf", "ënhalf", f"{self.cardinal(whole)}enhalf")
            return minus + ("anderhalf" if whole == 1 else said)
        part = {2: "half" if above == 1 else "halve", 4: "kwart"}.get(below) or self.ordinal(below)
        said = f"{'een' if above == 1 else self.cardinal(above)} {part}"
        return minus + (f"{self.cardinal(whole)} {said}" if whole is not None else said)

    def say_roman(self, value: Roman) -> str:
        """Willem de Tweede."""
        return f"de {self.ordinal(value.number).capitalize()}" if value.is_ordinal else self.cardinal(value.number)

    def cents(self, number: Number, currency: str, behind_whole: bool) -> str:
        """Zevenentwintig euro vijftig."""
        if behind_whole and currency in ("EUR", "USD", "NLG"):
            return self.cardinal(int(number.whole))
        return super().cents(number, currency, behind_whole)

    def say_time(self, value: Time) -> str:
        """Veertien uur dertig."""
        zone = f" {self.letters(value.zone)}" if value.zone else ""
        said = f"{self.cardinal(value.hour)} uur"
        if value.second is not None:
            for count, one, many in ((value.minute or 0, "minuut", "minuten"), (value.second, "seconde", "seconden")):
                said += f" {self.cardinal(count)} {one if count == 1 else many}"
            return said + zone
        return f"{said} {self.cardinal(value.minute)}{zone}" if value.minute else said + zone

    def time_range(self, first: Time, last: Time) -> Value | None:
        """Tien tot twaalf uur."""
        if first.minute is None:
            return Words(f"{self.cardinal(first.hour)} tot {self.say(last)}")
        return super().time_range(first, last)

    def say_telephone(self, value: Telephone) -> str:
        """Digit by digit, but the code of a country as a number."""
        groups = list(value.groups)
        said = [self.cardinal(int(groups.pop(0)))] if value.plus and len(groups[0]) <= 3 else []
        return ("plus " if value.plus else "") + ", ".join([*said, *map(self.digits, groups)])

    def recognisers(self) -> tuple:
        """Ordinals, centuries, prices without cents, hours with u."""
        return _OWN


def _roman_ordinal(match: re.Match, p: Patterns) -> Value | None:
    value = roman_value(match["numeral"])
    return Words(p.language.ordinal(value)) if value else None


def _decade(match: re.Match, p: Patterns) -> Value | None:
    return Words(f"jaren {p.language.cardinal(int(match['digits']))}")


_NEUTER = frozenset("uur jaar ei brood glas blik blok pak pond dozijn miljoen procent".split())
_OWN = (
    plain("fraction", r"(?<![\w.,/])(?<!\d\s)(?:1/2|½)(?=\s(?P<noun>[a-z]{3,})\b)",
          lambda match, p: Words("een half" if match["noun"] in _NEUTER else "een halve")),
    plain("score", r"(?<=\bmet )(?P<first>\d{1,2})-(?P<last>\d{1,2})(?![\w-])",
          lambda match, p: Words(p.language.score(int(match["first"]), int(match["last"])))),
    hours("uur|u"),
    point_time("om|tot|van|vanaf|rond"),
    plain("money", r"(?<=\d),-(?!\w)", lambda match, p: Words("")),
    ORDINALS,
    plain("roman", r"(?<![\w.])(?P<numeral>[IVX]{1,7})(?:ste|de|e)(?!\w)", _roman_ordinal, has_digits=False),
    plain("date", r"(?<!\w)jaren\s['’]?(?P<digits>[1-9]0)(?!\w)", _decade),
)
LANGUAGE = Dutch
