"""Italian as it is read aloud: un'ora, ventuno chilometri, il ventesimo secolo, due euro e cinquanta."""

from __future__ import annotations

import re

from text.normalisation.languages._european import NET_WORDS, NOUNS, ORDINALS, SILENT, hours, plain, point_time
from text.normalisation.languages._romance import HALF, Romance
from text.normalisation.values import Money, Number, Roman, Time, Words

_SCALES = (("milione", "milioni"), ("miliardo", "miliardi"), ("bilione", "bilioni"), ("biliardo", "biliardi"))
_FEMININE = frozenset({"lira", "candela"})


# Words of addresses that end otherwise than Italian ones, and are said as words all the same.
_NET_WORDS = NET_WORDS | frozenset(
    "facebook youtube linkedin instagram netflix amazon booking twitter whatsapp telegram microsoft index news sport "
    "film bar app forum hotel computer email mail shop online store chat podcast server admin contact "
    "download".split())


class Italian(Romance):
    """See the module."""

    code = "it"
    gendered_one = ("uno", "un", "una")
    millions_of, first_day = "di", "primo"
    million = r"(?:milion[ei]|miliard[oi]|bilion[ei])$"
    ordinal_mark = r"º|ª|°(?=\s(?!C\b|F\b|e\b|di\b)[a-zà-ÿ]{3})|[oa](?=\s)"
    day_mark = "(?:º|°)?"
    weekday_abbreviations = {"lun": "lunedì", "mar": "martedì", "mer": "mercoledì", "gio": "giovedì", "ven": "venerdì",
                             "sab": "sabato", "dom": "domenica"}
    era_mark = r"[ad]\.\s?C\."
    eras = {"ac": "avanti Cristo", "dc": "dopo Cristo"}
    half, half_before = "mezzo", ("mezzo", "mezza")
    queens = frozenset({"elisabetta", "caterina", "maria", "giovanna"})
    scale_letters = {"k": "mila", "M": "milioni"}
    telephone = r"0\d{1,3}[ /-]\d{5,8}|3\d\d[ /-]\d{3} ?\d{3,4}"
    scales = ("mila", "milione", "milioni", "miliardo", "miliardi", "bilioni")
    scale_abbreviations = {"mln": "milioni", "mld": "miliardi"}
    currency_signs = Romance.currency_signs | {"euro": "EUR", "₤": "ITL"}
    currency_words = {
        "EUR": ("euro", "euro", "centesimo", "centesimi"), "USD": ("dollaro", "dollari", "centesimo", "centesimi"),
        "GBP": ("sterlina", "sterline", "penny", "penny"), "RUB": ("rublo", "rubli", "copeca", "copeche"),
        "CHF": ("franco svizzero", "franchi svizzeri", "centesimo", "centesimi"), "JPY": ("yen", "yen", "sen", "sen"),
        "INR": ("rupia", "rupie", "paisa", "paise"), "ITL": ("lira", "lire", "centesimo", "centesimi")}
    periods = {"mese": "mese", "anno": "anno", "giorno": "giorno", "h": "ora", "kg": "chilo", "l": "litro",
               "ora": "ora"}
    unit_symbols = {"mph": "speed-mile-per-hour", "sec": "duration-second", "d": "duration-day", "ab": "abitante",
                    "mq": "area-square-meter", "gg": "duration-day", "q": "quintale", "kmq": "area-square-kilometer"}
    unit_words = {"abitante": ("abitante", "abitanti"), "quintale": ("quintale", "quintali"),
                  "mass-kilogram": ("chilogrammo", "chilogrammi"), "mass-tonne": ("tonnellata", "tonnellate"),
                  "concentr-percent": ("per cento", "per cento")}
    loose_units = Romance.loose_units + "d"
    words = SILENT | {
        "point": "virgola", "minus": "meno", "plus": "più", "and": "e", "over": "su", "to": "a", "per": "al",
        "power": "alla", "score": "a", "money and": "e", "port": "porta", "version": "versione",
        "version point": "punto", "decimal point": "punto", "hashtag": "hashtag", "%": "per cento", "‰": "per mille",
        "&": "e commerciale", "+": "più", "=": "uguale a", "@": "chiocciola", "#": "cancelletto", "°": "gradi",
        "$": "dollaro", "£": "sterlina", "€": "euro", "×": "per", "÷": "diviso", "±": "più o meno", "≈": "circa",
        "≤": "minore o uguale a", "≥": "maggiore o uguale a", "≠": "diverso da", "<": "minore di", ">": "maggiore di",
        "√": "radice quadrata di", "π": "pi greco", "∞": "infinito", "§": "paragrafo", "№": "numero", "→": "a",
        ".": "punto", "/": "slash", "-": "trattino", "_": "trattino basso", ":": "due punti",
        "?": "punto interrogativo", "~": "tilde"}
    abbreviations = {
        "sig.": "signor", "sig.ra": "signora", "sig.na": "signorina", "sigg.": "signori", "dott.": "dottor",
        "dott.ssa": "dottoressa", "dr.": "dottor", "prof.": "professor", "prof.ssa": "professoressa",
        "ing.": "ingegner", "avv.": "avvocato", "arch.": "architetto", "on.": "onorevole", "geom.": "geometra",
        "rag.": "ragionier", "mons.": "monsignor", "dip.": "dipartimento", "ecc.": "eccetera", "etc.": "eccetera",
        "es.": "esempio", "p. es.": "per esempio", "p.es.": "per esempio", "cfr.": "confronta", "pag.": "pagina",
        "pagg.": "pagine", "p.": "pagina", "pp.": "pagine", "cap.": "capitolo", "art.": "articolo", "n.": "numero",
        "n°": "numero", "nº": "numero", "tel.": "telefono", "vol.": "volume", "fig.": "figura", "sec.": "secolo",
        "ca.": "circa", "spett.": "spettabile", "egr.": "egregio", "gent.": "gentile", "s.p.a.": "società per azioni",
        "S.p.A.": "società per azioni", "s.r.l.": "società a responsabilità limitata", "v.le": "viale",
        "p.zza": "piazza",
        "c.so": "corso", "vs.": "contro", "min.": "minuti", "a.m.": "di mattina", "p.m.": "di pomeriggio"}
    number_nouns = frozenset("cap vol art capitolo tomo volume parte atto scena articolo pagina tipo fase classe "
                             "libro titolo".split())
    name_heads = frozenset("vittorio emanuele umberto luigi carlo enrico filippo francesco giovanni paolo pio "
                           "benedetto "
                           "napoleone guglielmo edoardo giorgio federico nicola alessandro caterina elisabetta "
                           "leopoldo "
                           "alberto amedeo clemente gregorio innocenzo leone urbano ferdinando".split())
    ordinal_nouns = frozenset({"secolo", "sec", "secoli", "edizione", "legislatura", "dinastia", "guerra"})
    spoken = frozenset("NATO ONU UNESCO UNICEF AIDS FIFA UEFA NASA FIAT RAI ENI ENEL IVA INPS ISTAT IMU PIL "
                       "COOP".split())
    spelled = frozenset("UE DNA TV CD DVD PD USA".split())
    capital_words = frozenset("IL LO LA I GLI LE UN UNA DI DEL DA IN NEL CON SU PER E O CHE NON SÌ NO È SI AL MA TU IO "
                              "TUTTO NIENTE OGGI QUI ORA PIÙ".split())
    not_roman = frozenset({"CD", "DVD", "MM", "CC", "MI", "DI", "XXL", "XL", "CV", "VI", "LI", "CI"})

    def cardinal(self, number: int) -> str:
        """Miliardi, milioni, mila and hundreds as words of their own."""
        if not 0 <= number < 10**18:
            return super().cardinal(number)
        rest, below = divmod(number, 10**6)
        said = [self._below_million(below)] if below or not rest else []
        for one, many in _SCALES:
            rest, group = divmod(rest, 1000)
            if group:
                said.insert(0, f"un {one}" if group == 1 else f"{self._below_million(group)} {many}")
        return " ".join(said)

    def _below_million(self, number: int) -> str:
        thousands, rest = divmod(number, 1000)
        hundreds, below = divmod(rest, 100)
        many = self._below_million(thousands).replace("é", "e") if thousands else ""
        said = ("mille" if thousands == 1 else many and many + "mila",
                super().cardinal(hundreds * 100) if hundreds else "", super().cardinal(below) if below else "")
        return " ".join(filter(None, said)) or super().cardinal(0)

    def ordinal(self, number: int, before: str = "") -> str:
        """In one word."""
        return super().ordinal(number).replace(" ", "")

    def marked_ordinal(self, number: int, mark: str) -> str | None:
        """Seconda."""
        return self.ordinal(number)[:-1] + ("a" if mark in "aª" else "o")

    def gendered(self, said: str, feminine: bool) -> str:
        """Un chilometro, una tonnellata; ventuno stays."""
        return re.sub("^uno$", "una" if feminine else "un", said)

    def before_noun(self, number: int, noun: str) -> str | None:
        """Un libro, una casa."""
        if number != 1:
            return None
        if noun.endswith("a"):
            return "una"
        return None if not noun.endswith("o") else "uno" if re.match("s[^aeiou]|z|gn|ps", noun) else "un"

    def counted(self, number, unit: str) -> str:
        """Uno per cento keeps its one."""
        return self.say(number) if unit.startswith("concentr-per") else super().counted(number, unit)

    def say_net_word(self, word: str) -> str:
        """As a word if it ends as Italian ones do, or is a common one; letter by letter otherwise."""
        low = word.lower()
        return low if low in _NET_WORDS or (len(low) > 3 and low[-1] in "aeiou") else super().say_net_word(
            low) if len(low) < 4 else self.letters(low)

    def decimals(self, digits: str) -> str:
        """As a number to three digits, else one by one."""
        return self.leading_zeros(digits) if len(digits) <= 3 else self.digits(digits)

    def part(self, below: int, many: bool) -> str:
        """Mezzo, terzo, quarto, centesimo."""
        said = "mezzo" if below == 2 else self.ordinal(below)
        return said[:-1] + "i" if many else said

    def per_unit(self, unit: str) -> str:
        """All'ora, al secondo, alla settimana."""
        return self._to(self.unit_name(unit, 1))

    def _per(self, value: Money) -> str:
        return f" {self._to(value.per)}" if value.per else ""

    def _to(self, name: str) -> str:
        return f"all'{name}" if name[0] in "aeiou" else f"alla {name}" if self.is_feminine(name) else f"al {name}"

    def cents(self, number: Number, currency: str, behind_whole: bool) -> str:
        """Due euro e cinquanta."""
        short = behind_whole and currency == "EUR" and number.count >= 10
        return self.cardinal(int(number.whole)) if short else super().cents(number, currency, behind_whole)

    def say_time(self, value: Time) -> str:
        """Diciassette e quindici minuti; una e trenta minuti."""
        zone = f" {self.letters(value.zone)}" if value.zone else ""
        said = [self.gendered(self.cardinal(value.hour), True)]
        for count, noun in ((value.minute, "minut"), (value.second, "second")):
            if count:
                said.append(f"{self.gendered(self.cardinal(count), False)} {noun}{'o' if count == 1 else 'i'}")
        return " e ".join(said) + zone

    def say_roman(self, value: Roman) -> str:
        """Luigi quattordicesimo, ventesimo secolo."""
        return self.feminine_of(self.ordinal(value.number), value.before) if value.is_ordinal else self.cardinal(
            value.number)

    def finish(self, text: str) -> str:
        """Un'ora."""
        return re.sub(r"\buna (?=or[ae]\b|oncia)", "un'", text)

    def recognisers(self) -> tuple:
        """Ordinals with their endings, hours with h."""
        return _OWN


_OWN = (
    hours("ore|h"),
    HALF,
    NOUNS,
    point_time("alle|dalle|le|ore|delle|alle ore|dalle ore"),
    plain("date", r"(?<!\w)['’](?P<digits>[1-9]0)(?!\w)",
          lambda match, p: Words(p.language.cardinal(int(match["digits"])))),
    ORDINALS,
)
LANGUAGE = Italian
