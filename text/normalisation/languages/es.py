"""Spanish as it is read aloud: genders of numbers, ordinals to the thousands, y media, decimals in pairs."""

from __future__ import annotations

import re

from text.normalisation.languages._european import NOUNS, ORDINALS, SILENT, hours, plain, point_time
from text.normalisation.languages._romance import HALF, Romance
from text.normalisation.patterns import Patterns, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Date, Number, Telephone, Time, Value, Words

_UNITS = " primero segundo tercero cuarto quinto sexto séptimo octavo noveno".split(" ")
_TENS = " décimo vigésimo trigésimo cuadragésimo quincuagésimo sexagésimo septuagésimo octogésimo nonagésimo".split(" ")
_HUNDREDS = (" centésimo ducentésimo tricentésimo cuadringentésimo quingentésimo sexcentésimo septingentésimo "
             "octingentésimo noningentésimo").split(" ")
_ORDINAL_ENDINGS = {"ª": "a", "ra": "a", "da": "a", "ta": "a", "ma": "a", "va": "a", "na": "a", "ᵉʳ": "r", "er": "r"}
_CODES = "USD EUR GBP CHF CRC NIO PAB TTD HKD AWG GTQ MXN ARS CLP COP PEN UYU BOB PYG DOP HNL BRL JPY CAD".split()


class Spanish(Romance):
    """See the module."""

    code = "es"
    gendered_one = ("uno", "un", "una")
    masculine_a = frozenset({"día", "días"})
    of_date, date_of, millions_of, first_day = " de ", "de", "de", "primero"
    million = r"(?:millón|millones|billón|billones|trillón|trillones)$"
    hour_words = ("hora", "minuto", "segundo")
    ordinal_mark = r"\.?(?:º|ª|ᵉʳ)|er|ro|ra|do|da|to|ta|mo|ma|vo|va|no|na"
    day_mark = r"(?:\.?º|\.?ᵉʳ|ro)?"
    month_abbreviations = {"set": 9, "setiembre": 9}
    weekday_abbreviations = {"lun": "lunes", "mart": "martes", "miér": "miércoles", "mié": "miércoles", "jue": "jueves",
                             "vier": "viernes", "vie": "viernes", "sáb": "sábado", "dom": "domingo"}
    era_mark = r"[ad]\.\s?C\."
    eras = {"ac": "antes de Cristo", "dc": "después de Cristo"}
    twelve_hours = True
    half = "medio"
    telephone = r"[6-9]\d{1,2} \d{2,3} \d\d \d\d|[679]\d\d \d{3} \d{3}(?!\s?[a-z%€$])|9\d \d{3} \d\d \d\d"
    scale_letters = {"k": "mil", "M": "millones"}
    half_before, queens = ("medio", "media"), frozenset({"isabel", "juana", "maría", "catalina"})
    scales = ("mil", "millón", "millones", "billón", "billones", "trillones")
    scale_abbreviations = {"mill": "millones"}
    currency_codes = (*_CODES, *map(str.lower, _CODES))
    currency_signs = Romance.currency_signs | {code.lower(): code for code in _CODES} | {
        "US$": "USD$", "us$": "USD$", "USD": "USD$", "usd": "USD$", "rs": "INR", "kr": "kr", "mk": "mk", "fr": "fr",
        "Q": "GTQ", "q": "GTQ", "₡": "₡"}
    currency_words = {
        "USD": ("dólar", "dólares", "centavo", "centavos"), "EUR": ("euro", "euros", "céntimo", "céntimos"),
        "GBP": ("libra", "libras", "penique", "peniques"), "JPY": ("yen", "yenes", "sen", "senes"),
        "USD$": ("dólar estadounidense", "dólares estadounidenses", "centavo", "centavos"),
        "KRW": ("won", "wones", "jeon", "jeones"), "INR": ("rupia", "rupias", "paisa", "paisas"),
        "GTQ": ("quetzal", "quetzales", "centavo", "centavos"), "NIO": ("córdoba", "córdobas", "centavo", "centavos"),
        "PAB": ("balboa", "balboas", "centésimo", "centésimos"), "RUB": ("rublo", "rublos", "kopek", "kopeks"),
        "kr": ("corona", "coronas", "öre", "öre"), "mk": ("marco", "marcos", "penique", "peniques"),
        "fr": ("franco", "francos", "céntimo", "céntimos"), "₡": ("colón", "colones", "céntimo", "céntimos"),
        "MXN": ("peso mexicano", "pesos mexicanos", "centavo", "centavos"),
        "CHF": ("franco suizo", "francos suizos", "céntimo", "céntimos")}
    periods = {"mes": "mes", "año": "año", "día": "día", "h": "hora", "kg": "kilogramo", "l": "litro"}
    unit_symbols = {"mph": "speed-mile-per-hour", "kph": "speed-kilometer-per-hour", "seg": "duration-second",
                    "gr": "mass-gram", "kgs": "mass-kilogram", "hab": "habitante"}
    unit_words = {"habitante": ("habitante", "habitantes"), "speed-mile-per-hour": ("milla por hora",
                  "millas por hora")}
    words = SILENT | {
        "point": "coma", "minus": "menos", "plus": "más", "and": "y", "over": "sobre", "to": "a", "per": "por",
        "power": "elevado a", "score": "a", "money and": "", "port": "puerto", "version": "versión",
        "version point": "punto", "decimal point": "punto", "hashtag": "hashtag", "%": "por ciento", "‰": "por mil",
        "&": "y", "+": "más",
        "=": "es igual a", "@": "arroba", "#": "almohadilla", "°": "grados", "$": "dólar", "£": "libra", "€": "euro",
        "×": "por", "÷": "entre", "±": "más menos", "≈": "aproximadamente", "≤": "menor o igual que",
        "≥": "mayor o igual que", "≠": "distinto de", "<": "menor que", ">": "mayor que", "√": "raíz cuadrada de",
        "π": "pi", "∞": "infinito", "§": "párrafo", "№": "número", "→": "a", ".": "punto", "/": "barra", "-": "guion",
        "_": "guion bajo", ":": "dos puntos", "?": "interrogación", "~": "tilde"}
    abbreviations = {
        "Sr.": "señor", "Sra.": "señora", "Srta.": "señorita", "Sres.": "señores", "Dr.": "doctor", "Dra.": "doctora",
        "D.": "don", "Dña.": "doña", "Ud.": "usted", "Uds.": "ustedes", "Vd.": "usted", "Vds.": "ustedes",
        "prof.": "profesor", "profa.": "profesora", "ing.": "ingeniero", "lic.": "licenciado", "arq.": "arquitecto",
        "gral.": "general", "etc.": "etcétera", "p. ej.": "por ejemplo", "p.ej.": "por ejemplo", "ej.": "ejemplo",
        "pág.": "página", "págs.": "páginas", "cap.": "capítulo", "art.": "artículo", "núm.": "número", "n.º": "número",
        "nº": "número", "n°": "número", "tel.": "teléfono", "ext.": "extensión", "av.": "avenida", "avda.": "avenida",
        "c/": "calle", "esq.": "esquina", "dpto.": "departamento", "aprox.": "aproximadamente", "vol.": "volumen",
        "fig.": "figura", "EE. UU.": "Estados Unidos", "EE.UU.": "Estados Unidos", "EEUU": "Estados Unidos",
        "S. A.": "sociedad anónima", "S.A.": "sociedad anónima", "Cía.": "compañía", "ss.": "siguientes",
        "vs.": "contra",
        "Sto.": "Santo", "Sta.": "Santa", "vier.": "viernes", "sáb.": "sábado", "dom.": "domingo", "lun.": "lunes",
        "miérc.": "miércoles", "juev.": "jueves",
        "mart.": "martes", "a. m.": "de la mañana", "p. m.": "de la tarde"}
    number_nouns = frozenset("siglo siglos cap vol art capítulo tomo volumen parte acto escena artículo página tipo "
                             "fase grado "
                             "clase libro título guerra número".split())
    name_heads = frozenset("alfonso carlos felipe fernando isabel juan pablo pío benedicto enrique luis jaime sancho "
                           "pedro francisco gregorio león clemente inocencio jorge eduardo guillermo federico "
                           "napoleón nicolás alejandro iván catalina juana".split())
    spoken = frozenset("OTAN ONU UNESCO UNICEF RENFE SIDA OVNI FIFA UEFA NASA IVA".split())
    spelled = frozenset("UE PP DNI ADN TV CD DVD".split())
    capital_words = frozenset("EL LA LOS LAS UN UNA DE DEL EN Y O A QUE NO SI SÍ ES SE SU POR CON AL LO MUY MÁS YA "
                              "TODO NADA HOY AQUÍ".split())
    not_roman = frozenset({"CD", "DVD", "MM", "CC", "MI", "DI", "VI", "XXL", "XL", "CV"})
    letter_names = {"y": "i griega"}

    def cardinal(self, number: int) -> str:
        """Un before mil: veintiún mil."""
        return re.sub(r"veintiuno (?=mil)", "veintiún ", re.sub(r"\buno (?=mil)", "un ", super().cardinal(number)))

    def ordinal(self, number: int, before: str = "") -> str:
        """Masculine; from 11 to 29 in one word."""
        if number >= 2000:
            return self.cardinal(number)
        below = number % 1000
        hundreds, rest = divmod(below, 100)
        tens, unit = divmod(rest, 10)
        last = [_TENS[tens], _UNITS[unit]]
        if tens in (1, 2) and unit:
            last = [("decimo" if tens == 1 else "vigesimo") + _UNITS[unit]]
        said = ("milésimo" if number >= 1000 else "", _HUNDREDS[hundreds], *last)
        return " ".join(filter(None, said)).replace("oo", "o")

    def gendered(self, said: str, feminine: bool) -> str:
        """Veintiún kilómetros, doscientas una toneladas."""
        if feminine:
            return re.sub(r"cientos\b", "cientas", re.sub(r"uno\b", "una", said)).replace("quinientos", "quinientas")
        return re.sub(r"\buno$", "un", re.sub(r"veintiuno$", "veintiún", said))

    def counted(self, number, unit: str) -> str:
        """Uno por ciento keeps its one."""
        return self.say(number) if unit.startswith("concentr-per") else super().counted(number, unit)

    def before_noun(self, number: int, noun: str) -> str | None:
        """Un libro, una casa, doscientas personas."""
        if noun.endswith("s") == (number == 1) or not (number % 10 == 1 or 200 <= number % 1000):
            return None
        feminine = noun.removesuffix("s").endswith(("a", "dad", "ción")) and noun not in self.masculine_a
        return self.gendered(self.cardinal(number), feminine)

    def is_clock(self, hour: str, minute: str) -> bool:
        """13.30 is a time in Spain, where decimals have a comma."""
        return self.variant == "es" and len(hour) == 2 and int(hour) < 24 and int(minute) < 60

    def say_number(self, value: Number) -> str:
        """Veintiún millones, where millions are written as a word."""
        return re.sub(r"(veinti)?uno(?= (?:mil|bil|tril))", lambda match: "veintiún" if match[1] else "un",
                      super().say_number(value)) if value.scale else super().say_number(value)

    def decimals(self, digits: str) -> str:
        """In pairs."""
        return self.decimal_pairs(digits)

    def part(self, below: int, many: bool) -> str:
        """Medio, tercio, cuarto, onceavo, centésimo, cincomilésimo."""
        if below <= 10:
            said = {2: "medio", 3: "tercio"}.get(below) or self.ordinal(below)
        elif below < 100:
            said = _one_word(self.cardinal(below)).removesuffix("a") + "avo"
        elif below % 100 == 0 and below < 1000:
            said = _HUNDREDS[below // 100]
        else:
            size, said = (10**6, "millonésimo") if below % 10**6 == 0 else (10**3, "milésimo")
            head = below // size
            usual = below % size == 0 and (size == 10**6 or head % 10 == 0 or head < 10)
            said = ("" if head == 1 else self.cardinal(head).replace(" ", "")) + said if usual else ""
        return said + ("s" if many else "") if said else ""

    def say_fraction(self, value) -> str:
        """Uno sobre ciento diez, where no ordinal is usual."""
        if self.part(value.below, False):
            return super().say_fraction(value)
        return f"{self.cardinal(value.above)} sobre {self.cardinal(value.below)}"

    def marked_ordinal(self, number: int, mark: str) -> str | None:
        """Decimotercera, tercer."""
        if number >= 2000:
            return None
        said, ending = self.ordinal(number), _ORDINAL_ENDINGS.get(mark.lstrip("."), "o")
        if ending == "a":
            return re.sub(r"o\b", "a", said)
        return re.sub(r"(prime|terce)ro$", r"\1r", said) if ending == "r" else said

    def say_time(self, value: Time) -> str:
        """Una y cuarto, trece y media; de la mañana."""
        end = {"AM": " de la mañana", "PM": " de la tarde"}.get(value.half, "")
        end += f" {self.letters(value.zone)}" if value.zone else ""
        if value.second:
            parts = [self.counted_noun(value.hour, "hora"), self.counted_noun(value.minute or 0, "minuto")]
            return " ".join(parts) + f" y {self.counted_noun(value.second, 'segundo')}{end}"
        hour = self.article_number(value.hour, True)
        minute = {15: "cuarto", 30: "media"}.get(value.minute or 0) or self.cardinal(value.minute or 0)
        return (f"{hour} y {minute}" if value.minute else hour) + end

    def say_telephone(self, value: Telephone) -> str:
        """Digit by digit."""
        return super().say_telephone(value).replace(",", "")

    def recognisers(self) -> tuple:
        """Ordinals with their endings, month before day, hours with h."""
        return _OWN


def _one_word(said: str) -> str:
    return said.replace(" y ", "i").replace("é", "e").replace("ó", "o").removesuffix("uno") + (
        "un" if said.endswith("uno") else "")


def _month_first(match: re.Match, p: Patterns) -> Value | None:
    return Date(match["year"] or "", p.language.month_numbers[match["month"].lower().rstrip(".")], int(match["day"]))


def _zone_shift(match: re.Match, p: Patterns) -> Value | None:
    sign = p.language.words["plus" if match["sign"] == "+" else "minus"]
    minute = f" {p.language.cardinal(int(match['minute']))}" if match["minute"] else ""
    return Words(f"{p.language.letters(match['zone'])} {sign} {p.language.cardinal(int(match['hour']))}{minute}")


_OWN = (
    hours("horas|hs|h"),
    plain("time", r"(?=\d)(?<![\w.,:])(?:(?P<alone>0\d)|(?P<hour>[01]?\d|2[0-4])[.:](?P<minute>[0-5]\d))\s?"
          r"h(?:s|oras)?(?!\w)",
          lambda match, p: Time(int(match["alone"] or match["hour"]), int(match["minute"] or 0))),
    HALF,
    NOUNS,
    point_time("a las?|las?|desde las?|hasta las?|de las?"),
    plain("time", r"(?i:(?P<zone>gmt|utc))\s?(?P<sign>[-+−])(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?!\w)",
          _zone_shift),
    ORDINALS,
    Recogniser("date", lambda p: rf"(?<![\w.,])(?P<month>(?i:{one_of(p.language.month_names.values())}))"
               r"\s(?P<day>3[01]|[12]\d|0?[1-9])(?:,?\s(?P<year>[12]\d{3}))?(?![\w.,:]\w?)", _month_first),
)
LANGUAGE = Spanish
