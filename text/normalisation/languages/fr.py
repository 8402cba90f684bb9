"""French as it is read aloud: première and XIXe siècle, quatorze heures trente, cinq euros cinquante."""

from __future__ import annotations

import re

from text.normalisation.codes import roman_value
from text.normalisation.languages._european import NOUNS, ORDINALS, SILENT, hours, plain, point_time
from text.normalisation.languages._romance import HALF, Romance
from text.normalisation.patterns import Patterns, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Number, Telephone, Time, Value, Words

_FEMININE = frozenset("heure minute seconde tonne calorie kilocalorie livre once couronne roupie lire année semaine "
                      "atmosphère bougie personne candela hryvnia pinte verge page table tasse chambre femme place "
                      "chaise voiture carte chose lettre porte route ville maison fois voix équipe école image ligne "
                      "pièce fille".split())
_FEMININE_ENDINGS = ("tion", "sion", "té", "ette", "ence", "ance", "ille", "elle", "esse", "ure", "ine", "ade", "euse",
                     "trice", "sse", "ée", "ie")
_MASCULINE = frozenset("été comité côté lycée musée silence génie incendie parapluie".split())


class French(Romance):
    """See the module."""

    code = "fr"
    gendered_one = ("un", "un", "une")
    millions_of, first_day = "de", "premier"
    million = r"(?:milli(?:on|ard)|billi(?:on|ard))s?$"
    half = "demi"
    ordinal_mark = "[èe]res?|ers?|res?|ᵉʳ|ʳᵉ|ndes?|nds?|i?[èe]mes?|es?|ᵉ|°(?=\\s(?!C\\b|F\\b|et|de|à)[a-zà-ÿ]{3})"
    day_mark = "(?:er|ᵉʳ)?"
    month_abbreviations = {"janv": 1, "févr": 2, "fév": 2, "avr": 4, "juil": 7, "sept": 9, "oct": 10, "nov": 11,
                           "déc": 12}
    weekday_abbreviations = {"lun": "lundi", "mar": "mardi", "mer": "mercredi", "jeu": "jeudi", "ven": "vendredi",
                             "sam": "samedi", "dim": "dimanche"}
    era_mark = r"(?:av|apr)\.\s?J\.-C\."
    eras = {"avj-c": "avant Jésus-Christ", "aprj-c": "après Jésus-Christ"}
    time_mark = "h|H|heures?"
    scales = ("mille", "million", "millions", "milliard", "milliards", "billion", "billions")
    scale_abbreviations = {"Mds": "milliards", "Md": "milliard"}
    scale_letters = {"M": "millions", "Md": "milliards", "Mds": "milliards", "k": "mille"}
    currency_signs = Romance.currency_signs | {"M€": "M€", "k€": "k€", "euros": "EUR", "euro": "EUR"}
    currency_words = {
        "EUR": ("euro", "euros", "centime", "centimes"), "USD": ("dollar", "dollars", "cent", "cents"),
        "GBP": ("livre", "livres", "penny", "pence"), "CHF": ("franc suisse", "francs suisses", "centime", "centimes"),
        "CAD": ("dollar canadien", "dollars canadiens", "cent", "cents"), "JPY": ("yen", "yens", "sen", "sens"),
        "M€": ("million d'euros", "millions d'euros", "centime", "centimes"), "INR": ("roupie", "roupies", "paisa",
        "paisas"),
        "k€": ("mille euros", "mille euros", "centime", "centimes")}
    periods = {"mois": "mois", "an": "an", "jour": "jour", "h": "heure", "kg": "kilo", "l": "litre", "pers": "personne"}
    unit_symbols = {"o": "digital-byte", "ko": "digital-kilobyte", "Mo": "digital-megabyte", "Go": "digital-gigabyte",
                    "To": "digital-terabyte", "mn": "duration-minute", "sec": "duration-second", "hab": "habitant",
                    "km/h": "speed-kilometer-per-hour", "ch": "power-horsepower"}
    unit_words = {"habitant": ("habitant", "habitants"), "power-horsepower": ("cheval", "chevaux"),
                  "mass-kilogram": ("kilo", "kilos"), "speed-kilometer-per-hour": ("kilomètre heure",
                  "kilomètres heure")}
    words = SILENT | {
        "point": "virgule", "minus": "moins", "plus": "plus", "and": "et", "over": "sur", "to": "à", "per": "par",
        "power": "puissance", "score": "à", "money and": "", "port": "port", "version": "version",
        "version point": "point", "decimal point": "point", "hashtag": "hashtag", "%": "pour cent", "‰": "pour mille",
        "&": "et", "+": "plus", "=": "égale", "@": "arobase", "#": "dièse", "°": "degrés", "$": "dollar",
        "£": "livre", "€": "euro", "×": "fois", "÷": "divisé par", "±": "plus ou moins", "≈": "environ",
        "≤": "inférieur ou égal à", "≥": "supérieur ou égal à", "≠": "différent de", "<": "inférieur à",
        ">": "supérieur à", "√": "racine carrée de", "π": "pi", "∞": "infini", "§": "paragraphe", "№": "numéro",
        "→": "à", ".": "point", "/": "barre oblique", "-": "tiret", "_": "tiret bas", ":": "deux points",
        "?": "point d'interrogation", "~": "tilde"}
    abbreviations = {
        "M.": "monsieur", "MM.": "messieurs", "Mme": "madame", "Mmes": "mesdames", "Mlle": "mademoiselle",
        "Mlles": "mesdemoiselles", "Mᵐᵉ": "madame", "Mᵐᵉˢ": "mesdames", "Mˡˡᵉ": "mademoiselle",
        "Mˡˡᵉˢ": "mesdemoiselles", "Dr": "docteur", "Dr.": "docteur", "Dʳ": "docteur", "Pr": "professeur",
        "Pʳ": "professeur", "Me": "maître", "Mᵉ": "maître", "Mgr": "monseigneur", "St": "saint", "Ste": "sainte",
        "etc.": "et cætera", "p. ex.": "par exemple", "p.ex.": "par exemple", "c.-à-d.": "c'est-à-dire",
        "cf.": "confer",
        "env.": "environ", "av.": "avenue", "bd": "boulevard", "boul.": "boulevard", "n°": "numéro", "nº": "numéro",
        "n° ": "numéro ", "nos": "nos", "art.": "article", "p.": "page", "pp.": "pages", "vol.": "volume",
        "chap.": "chapitre", "fig.": "figure", "éd.": "édition", "tél.": "téléphone", "apr.": "après",
        "janv.": "janvier", "févr.": "février", "juil.": "juillet", "sept.": "septembre", "oct.": "octobre",
        "nov.": "novembre", "déc.": "décembre", "Cie": "compagnie", "vs": "contre", "s.v.p.": "s'il vous plaît",
        "SVP": "s'il vous plaît", "max.": "maximum", "min.": "minimum"}
    number_nouns = frozenset("chapitre chap vol t art tome volume partie acte scène article page type phase degré "
                             "classe livre titre "
                             "guerre vatican paris apollo".split())
    name_heads = frozenset("louis charles henri philippe françois jean paul pie benoît napoléon guillaume édouard "
                           "georges frédéric nicolas alexandre catherine élisabeth léopold albert clément grégoire "
                           "innocent léon urbain richard jacques".split())
    spoken = frozenset("OTAN ONU UNESCO UNICEF SIDA OVNI FIFA UEFA NASA SMIC INSEE ENA CAPES PACS FNAC URSSAF".split())
    spelled = frozenset("UE TGV SNCF RATP TVA PIB PDG EDF HLM CD DVD TV BD USA".split())
    capital_words = frozenset("LE LA LES UN UNE DE DU DES EN ET OU QUE NE PAS OUI NON EST SE SON PAR AU AUX SUR JE TU "
                              "IL ELLE NOUS VOUS ILS À Y TOUT RIEN TRÈS PLUS ICI STOP".split())
    not_roman = frozenset({"CD", "DVD", "MM", "CC", "MI", "DI", "XXL", "XL", "CV", "DIX", "MIX"})
    letter_names = {"y": "i grec"}

    def ordinal(self, number: int, before: str = "") -> str:
        """Premier, cinquième, vingt et unième, milliardième."""
        if number == 1:
            return "premier"
        said = re.sub(r"(quatre-vingt|cent|million|milliard)s$", r"\1", self.cardinal(number))
        said = re.sub("neuf$", "neuv", re.sub("cinq$", "cinqu", said.removesuffix("e")))
        return said + "ième"

    def marked_ordinal(self, number: int, mark: str) -> str | None:
        """Premières, seconde, 6° with a noun behind it."""
        plural = "s" if mark.endswith("s") else ""
        if mark == "°" and number > 20:
            return None
        if mark.startswith("nd"):
            return ("seconde" if "e" in mark else "second") + plural if number == 2 else None
        first = number == 1 and mark.rstrip("s") in ("re", "ère", "ere", "ʳᵉ", "e")
        return ("première" if first else self.ordinal(number)) + plural

    def is_feminine(self, noun: str) -> bool:
        """By a list, and by endings that most feminine nouns have."""
        first = re.split(r"[\s-]", noun.lower())[0]
        return first in _FEMININE or (first.endswith(_FEMININE_ENDINGS) and first not in _MASCULINE)

    def half_of(self, noun: str) -> str | None:
        """Un demi litre, une demi tasse."""
        return "une demi" if self.is_feminine(noun) else "un demi"

    def before_noun(self, number: int, noun: str) -> str | None:
        """Une fille, vingt et une personnes."""
        noun = noun if number == 1 else noun.removesuffix("s")
        if number % 10 != 1 or number % 100 in (11, 71, 81, 91):
            return None
        return self.gendered(self.cardinal(number), True) if self.is_feminine(noun) else None

    def gendered(self, said: str, feminine: bool) -> str:
        """Vingt et une heures."""
        return re.sub(r"\bun$", "une", said) if feminine else said

    def decimals(self, digits: str) -> str:
        """As a number to three digits, else in pairs."""
        return self.leading_zeros(digits) if len(digits) <= 3 else self.decimal_pairs(digits)

    def part(self, below: int, many: bool) -> str:
        """Demi, tiers, quart, huitième."""
        said = {2: "demi", 3: "tiers", 4: "quart"}.get(below) or self.ordinal(below)
        return said + ("s" if many and below != 3 else "")

    def cents(self, number: Number, currency: str, behind_whole: bool) -> str:
        """Cinq euros cinquante."""
        return self.cardinal(int(number.whole)) if behind_whole else super().cents(number, currency, behind_whole)

    def say_time(self, value: Time) -> str:
        """Quatorze heures trente."""
        zone = f" {self.letters(value.zone)}" if value.zone else ""
        said = self.counted_noun(value.hour, "heure")
        if value.hour == 0:
            said = "zéro heure"
        if value.second is not None:
            second = self.counted_noun(value.second, "seconde")
            return f"{said} {self.counted_noun(value.minute or 0, 'minute')} et {second}{zone}"
        return f"{said} {self.article_number(value.minute, True)}{zone}" if value.minute else said + zone

    def say_telephone(self, value: Telephone) -> str:
        """In pairs, as they are written."""
        groups = [self.leading_zeros(group) if len(group) <= 3 else self.digits(group) for group in value.groups]
        return ("plus " if value.plus else "") + ", ".join(groups)

    scale_letters = {"k": "mille", "M": "millions", "Md": "milliards", "Mds": "milliards"}
    telephone = r"0\d(?:[ .]\d\d){4}|\+33[ .]\d(?:[ .]\d\d){4}"

    def finish(self, text: str) -> str:
        """Millions d'euros."""
        text = re.sub(r"\bde (?=une? (?:million|milliard|billion)\b)", "d'", text)
        return re.sub(r"\b((?:milli|billi)(?:on|ard)s? )de (?=[aeiouhéèêAEIOUÉ])", r"\1d'", text)

    def recognisers(self) -> tuple:
        """Ordinals, centuries, lists of days, hours with h."""
        return _OWN


def _roman_ordinal(match: re.Match, p: Patterns) -> Value | None:
    value = roman_value(match["numeral"] or match["numeral2"])
    return Words(p.language.marked_ordinal(value, match["mark"] or match["mark2"])) if value else None


def _days(match: re.Match, p: Patterns) -> Value | None:
    """Les 17/18/19 mars."""
    days = [int(day) for day in re.split(r"[/-]", match["days"])]
    said = ["premier" if day == 1 else p.language.cardinal(day) for day in days]
    return Words(" ".join(said)) if max(days) < 32 else None


_OWN = (
    hours("heures|heure|h|H"),
    point_time("à"),
    ORDINALS,
    HALF,
    NOUNS,
    plain("abbreviation", r"(?<=[IVX]e )s\.(?!\w)", lambda match, p: Words("siècle"), has_digits=False),
    plain("roman", r"(?<![\w.])(?:(?P<numeral>I)(?P<mark>ers?|re|ère|ᵉʳ)|(?P<numeral2>[IVX]{1,7}|[IVXLC]{2,7})"
          r"(?P<mark2>ᵉ|es?|i?[èe]mes?))(?!\w)", _roman_ordinal, has_digits=False),
    Recogniser("date", lambda p: r"(?=\d)(?<![\w.,])(?P<days>\d{1,2}([/-])\d{1,2}(?:\2\d{1,2}){0,3})"
               rf"(?=\s(?i:{one_of(p.language.month_names.values())})\b)", _days),
)
LANGUAGE = French
