"""Portuguese as it is read aloud (Brazil's words): e between hundreds and tens, genders of numbers, horas, reais."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from text.normalisation.languages._european import NOUNS, ORDINALS, SILENT, hours, plain, point_time
from text.normalisation.languages._romance import HALF, Romance
from text.normalisation.patterns import Patterns
from text.normalisation.values import Time, Value, Words

_SCALES = (("", ""), ("mil", "mil"), ("milhão", "milhões"), ("bilhão", "bilhões"), ("trilhão", "trilhões"),
           ("quatrilhão", "quatrilhões"))
_TEENS = {"dezasseis": "dezesseis", "dezassete": "dezessete", "dezanove": "dezenove"}
_UNITS = " primeiro segundo terceiro quarto quinto sexto sétimo oitavo nono".split(" ")
_TENS = " décimo vigésimo trigésimo quadragésimo quinquagésimo sexagésimo septuagésimo octogésimo nonagésimo".split(" ")
_HUNDREDS = (" centésimo ducentésimo tricentésimo quadringentésimo quingentésimo sexcentésimo septingentésimo "
             "octingentésimo noningentésimo").split(" ")


class Portuguese(Romance):
    """See the module."""

    code = "pt"
    masculine_a = frozenset("quilograma grama miligrama micrograma dia dias quilogramas gramas programa".split())
    of_date, date_of, millions_of, first_day = " de ", "de", "de", "primeiro"
    million = r"(?:[lr]hão|[lr]hões|ilhão|ilhões)$"
    hour_words = ("hora", "minuto", "segundo")
    half, half_before, queens = "meio", ("meio", "meia"), frozenset({"maria", "isabel"})
    scale_letters = {"k": "mil", "M": "milhões"}
    ordinal_mark = r"\.?(?:º|ª)|°(?=\s[a-zà-ú]{3})|[oa]"
    day_mark = "(?:º|°)?"
    weekday_abbreviations = {"seg": "segunda", "ter": "terça", "qua": "quarta", "qui": "quinta", "sex": "sexta",
                             "sáb": "sábado", "dom": "domingo"}
    era_mark = r"[ad]\.\s?C\."
    eras = {"ac": "antes de Cristo", "dc": "depois de Cristo"}
    time_mark = "h|hs|horas"
    scales = ("mil", "milhão", "milhões", "bilhão", "bilhões", "trilhão", "trilhões")
    scale_abbreviations = {"mi": "milhões", "bi": "bilhões", "tri": "trilhões"}
    currency_signs = Romance.currency_signs | {"US$": "USD", "Kz": "AOA", "real": "BRL", "reais": "BRL"}
    currency_words = {
        "BRL": ("real", "reais", "centavo", "centavos"), "USD": ("dólar", "dólares", "centavo", "centavos"),
        "EUR": ("euro", "euros", "centavo", "centavos"), "GBP": ("libra", "libras", "centavo", "centavos"),
        "JPY": ("iene", "ienes", "sen", "senes"), "INR": ("rupia", "rupias", "paisa", "paisas"),
        "CHF": ("franco suíço", "francos suíços", "cêntimo", "cêntimos")}
    telephone = \
        r"\d{5}-\d{3}|\d{3}\.\d{3}\.\d{3}-\d\d|\d\d\.\d{3}\.\d{3}/\d{4}-\d\d|" \
        r"(?:\(\d{2}\)|\d{2})\s\d{4,5}-\d{4}|9\d{4}-\d{4}|(?!20\d\d-20)[2-5]\d{3}-\d{4}"
    periods = {"mês": "mês", "ano": "ano", "dia": "dia", "h": "hora", "kg": "quilo", "l": "litro", "hora": "hora"}
    unit_symbols = {"mph": "speed-mile-per-hour", "kmh": "speed-kilometer-per-hour", "seg": "duration-second"}
    unit_words = {
        "mass-kilogram": ("quilo", "quilos"), "temperature-celsius": ("grau Celsius", "graus Celsius"),
        "speed-kilometer-per-hour": ("quilômetro por hora", "quilômetros por hora"), "mass-tonne": ("tonelada",
        "toneladas")}
    words = SILENT | {
        "point": "vírgula", "minus": "menos", "plus": "mais", "and": "e", "over": "sobre", "to": "a", "per": "por",
        "power": "elevado a", "score": "a", "money and": "e", "port": "porta", "version": "versão",
        "version point": "ponto", "decimal point": "ponto", "hashtag": "hashtag", "%": "por cento", "‰": "por mil",
        "&": "e", "+": "mais", "=": "é igual a", "@": "arroba", "#": "cerquilha", "°": "graus", "$": "dólar",
        "£": "libra", "€": "euro", "×": "vezes", "÷": "dividido por", "±": "mais ou menos", "≈": "aproximadamente",
        "≤": "menor ou igual a", "≥": "maior ou igual a", "≠": "diferente de", "<": "menor que", ">": "maior que",
        "√": "raiz quadrada de", "π": "pi", "∞": "infinito", "§": "parágrafo", "№": "número", "→": "a", ".": "ponto",
        "/": "barra", "-": "hífen", "_": "sublinhado", ":": "dois pontos", "?": "interrogação", "~": "til"}
    abbreviations = {
        "Sr.": "senhor", "Sra.": "senhora", "Srta.": "senhorita", "Srs.": "senhores", "Dr.": "doutor",
        "Dra.": "doutora",
        "D.": "dom", "Prof.": "professor", "Profa.": "professora", "prof.": "professor", "eng.": "engenheiro",
        "etc.": "etcétera", "p. ex.": "por exemplo", "p.ex.": "por exemplo", "pág.": "página", "págs.": "páginas",
        "cap.": "capítulo", "art.": "artigo", "n.º": "número", "nº": "número", "n°": "número", "tel.": "telefone",
        "av.": "avenida", "R.": "rua", "aprox.": "aproximadamente", "vol.": "volume", "fig.": "figura",
        "séc.": "século",
        "Cia.": "companhia", "Ltda.": "limitada", "S.A.": "sociedade anônima", "S/A": "sociedade anônima",
        "EUA": "Estados Unidos", "Sto.": "Santo", "Sta.": "Santa", "vs.": "versus", "Exmo.": "excelentíssimo"}
    number_nouns = frozenset("século séculos cap vol art séc capítulo tomo volume parte ato cena artigo página tipo "
                             "fase grau classe "
                             "livro título guerra número".split())
    name_heads = frozenset("pedro joão afonso maria luís carlos filipe felipe paulo pio bento henrique jorge sancho "
                           "manuel fernando isabel gregório leão clemente napoleão nicolau alexandre eduardo".split())
    spoken = frozenset("OTAN ONU UNESCO UNICEF AIDS FIFA UEFA NASA SUS USP CEP PIB".split())
    spelled = frozenset("UE PT TV CD DVD CPF RG DNA".split())
    capital_words = frozenset("O A OS AS UM UMA DE DO DA EM NO NA E OU QUE NÃO SIM É SE SEU POR COM AO MUITO MAIS JÁ "
                              "TUDO NADA HOJE AQUI".split())
    not_roman = frozenset({"CD", "DVD", "MM", "CC", "MI", "DI", "VI", "XXL", "XL", "CV"})
    letter_names = {"e": "é", "o": "ó", "a": "á"}

    def cardinal(self, number: int) -> str:
        """Groups of three digits; e before the last one if it is below a hundred or round."""
        groups, rest, place = [], number, 0
        while rest and place < len(_SCALES):
            rest, group = divmod(rest, 1000)
            if group:
                one, many = _SCALES[place]
                said = "" if place == 1 and group == 1 else self._below_1000(group)
                groups.append((group, f"{said} {one if group == 1 else many}".strip()))
            place += 1
        if not groups or rest:
            return super().cardinal(number)
        last, said = groups[0]
        joint = " e " if last < 100 or last % 100 == 0 else " "
        return f"{' '.join(words for _, words in groups[:0:-1])}{joint}{said}" if groups[1:] else said

    def _below_1000(self, number: int) -> str:
        said = super().cardinal(number)
        return re.sub("dezas?[sn]\\w+", lambda match: _TEENS.get(match[0], match[0]), said)

    def ordinal(self, number: int, before: str = "") -> str:
        """Masculine."""
        if number > 1000:
            return self.cardinal(number)
        hundreds, rest = divmod(number % 1000, 100)
        words = ("milésimo" if number == 1000 else "", _HUNDREDS[hundreds], _TENS[rest // 10], _UNITS[rest % 10])
        return " ".join(filter(None, words))

    def marked_ordinal(self, number: int, mark: str) -> str | None:
        """Terceira."""
        said = self.ordinal(number)
        return re.sub(r"o\b", "a", said) if mark.endswith(("a", "ª")) else said

    def gendered(self, said: str, feminine: bool) -> str:
        """Duas mil e duzentas horas."""
        if not feminine:
            return said
        millions, tail = re.fullmatch(r"(.*lh(?:ão|ões)\b)?(.*)", said).groups()
        tail = re.sub(r"\bdois\b", "duas", re.sub(r"\bum\b", "uma", tail))
        return (millions or "") + re.sub(r"entos\b", "entas", tail)

    def before_noun(self, number: int, noun: str) -> str | None:
        """Uma casa, duas pessoas, duzentas horas."""
        feminine = (noun.removesuffix("s").endswith(("a", "dade", "ção", "çõe", "age", "agem", "ã")) or noun in (
            "colheres", "mulheres", "vezes", "flores", "mãos", "noites", "partes", "chaves", "nuvens", "colher", "vez",
            "mulher", "mão", "noite", "parte", "chave", "viagens", "imagens")) and noun not in self.masculine_a
        return self.gendered(self.cardinal(number), True) if feminine and noun.endswith("s") != (number == 1) else None

    def part(self, below: int, many: bool) -> str:
        """Meio, terço, quinto, onze avos, centésimo."""
        if below > 10 and below not in (100, 1000):
            return f"{self.cardinal(below)} avos"
        said = {2: "meio", 3: "terço"}.get(below) or self.ordinal(below)
        return said + ("s" if many else "")

    def say_time(self, value: Time) -> str:
        """Nove horas e cinco."""
        zone = f" {self.letters(value.zone)}" if value.zone else ""
        if value.second is not None:
            return super().say_time(value) + zone
        said = self.counted_noun(value.hour, "hora")
        return f"{said} e {self.cardinal(value.minute)}{zone}" if value.minute else said + zone

    def recognisers(self) -> tuple:
        """Ordinals with their endings, hours with h, afternoons."""
        return _OWN


def _half_day(match: re.Match, p: Patterns) -> Value | None:
    """15h da tarde is three in the afternoon."""
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    late = match["part"] == "noite"
    hour -= 12 if (18 if late else 13) <= hour <= (23 if late else 18) else 0
    return Words(f"{p.language.say(Time(hour, minute))} da {match['part']}")


_OWN = (
    plain("time", r"(?=\d)(?<![\w:.,/])(?P<hour>[01]?\d|2[0-3])(?:[h:](?P<minute>[0-5]\d)|\s?h)"
                  r"\s?da (?P<part>tarde|noite)\b",
          _half_day),
    hours("horas|hs|h"),
    plain("score", r"(?=\d)(?<![\w.,:/])(?P<first>\d{1,2})\s?x\s?(?P<last>\d{1,2})(?!\w|[.,]\d|\s?=|\s?(?:cm|m|mm)\b)",
          lambda match, p: Words(f"{p.language.cardinal(int(match['first']))} a "
                                 f"{p.language.cardinal(int(match['last']))}")),
    HALF,
    NOUNS,
    point_time("às|as|à|das|até as"),
    ORDINALS,
)


class PortugueseOfPortugal(Portuguese):
    """Dezasseis, mil milhões, quilómetro."""

    currency_words = Portuguese.currency_words | {"EUR": ("euro", "euros", "cêntimo", "cêntimos")}
    unit_words = Portuguese.unit_words | {
        "speed-kilometer-per-hour": ("quilómetro por hora", "quilómetros por hora")}
    scales = (*Portuguese.scales, "bilião", "biliões", "mil milhões")
    abbreviations = Portuguese.abbreviations | {"S.A.": "sociedade anónima", "S/A": "sociedade anónima"}

    def cardinal(self, number: int) -> str:
        """Groups of six digits: mil milhões is a thousand millions."""
        if not 0 < number < 10**18:
            return super().cardinal(number)
        groups = []
        for one, many in (("", ""), ("milhão", "milhões"), ("bilião", "biliões")):
            number, group = divmod(number, 10**6)
            if group:
                groups.append((group, f"{super().cardinal(group)} {one if group == 1 else many}".strip()))
        last, said = groups[0]
        joint = " e " if last < 100 or (last < 1000 and last % 100 == 0) else " "
        return f"{' '.join(words for _, words in groups[:0:-1])}{joint}{said}" if groups[1:] else said

    def _below_1000(self, number: int) -> str:
        return Romance.cardinal(self, number)

    @cached_property
    def locale(self) -> Any:
        """CLDR's data of Portugal."""
        from babel import Locale

        return Locale.parse("pt_PT")


def LANGUAGE(variant: str) -> Portuguese:  # noqa: N802
    """The Portuguese of a language tag: pt-pt is Portugal's, every other one Brazil's."""
    return (PortugueseOfPortugal if variant == "pt-pt" else Portuguese)(variant)

