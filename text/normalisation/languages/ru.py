"""Russian as it is read aloud: plural forms and genders, years and centuries in their case, целых and десятых."""

from __future__ import annotations

import re

from text.normalisation.languages._european import NOUNS, SILENT, plain, point_time
from text.normalisation.languages._slavic import Slavic, century, genitives
from text.normalisation.numbers import before
from text.normalisation.patterns import Patterns, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Fraction, Number, Roman, Telephone, Time, Value, Words

_PARTS = ("", "десят", "сот", "тысячн", "десятитысячн", "стотысячн", "миллионн")
_CASES = {"nom": {}, "gen": {"case": "g"}, "dat": {"case": "d"}, "ins": {"case": "i"}, "loc": {"case": "p"},
          "fem": {"gender": "f"}, "fem_gen": {"gender": "f", "case": "g"}, "fem_acc": {"gender": "f", "case": "a"},
          "neuter": {"gender": "n"}, "pl": {"plural": True}, "pl_gen": {"plural": True, "case": "g"},
          "pl_ins": {"plural": True, "case": "i"}}
# Endings behind digits -> the form of the ordinal.
_ENDINGS = {
    "й": "nom", "ый": "nom", "ий": "nom", "ой": "fem_gen", "го": "gen", "ого": "gen", "его": "gen", "му": "dat",
    "ому": "dat", "м": "loc", "ом": "loc", "ем": "loc", "ым": "ins", "им": "ins", "я": "fem", "ая": "fem", "ья": "fem",
    "ю": "fem_acc", "ую": "fem_acc", "ей": "fem_gen", "е": "neuter", "ое": "neuter", "ье": "neuter", "ые": "pl",
    "х": "pl_gen", "ых": "pl_gen", "их": "pl_gen", "ми": "pl_ins", "ыми": "pl_ins"}
_CARDINAL_ENDINGS = {"ти": "g", "и": "g", "мя": "i", "ью": "i", "ю": "i"}
_WORD_CASES = {"год": "nom", "года": "gen", "году": "loc", "годом": "ins", "годы": "pl", "годов": "pl_gen",
               "век": "nom", "века": "gen", "веке": "loc", "веку": "dat", "веком": "ins", "веков": "pl_gen",
               "столетие": "neuter", "столетия": "gen", "столетии": "loc"}
_RULERS = {"пётр": "nom", "петр": "nom", "павел": "nom", "александр": "nom", "николай": "nom", "иван": "nom",
           "людовик": "nom", "карл": "nom", "генрих": "nom", "иоанн": "nom", "пий": "nom", "наполеон": "nom",
           "фридрих": "nom", "филипп": "nom", "вильгельм": "nom", "петра": "gen", "павла": "gen", "александра": "gen",
           "николая": "gen", "ивана": "gen", "людовика": "gen", "карла": "gen", "генриха": "gen", "иоанна": "gen",
           "наполеона": "gen", "фридриха": "gen", "екатерина": "fem", "елизавета": "fem", "мария": "fem",
           "екатерины": "fem_gen", "елизаветы": "fem_gen", "екатерине": "fem_gen", "петре": "loc", "петру": "dat",
           "николае": "loc", "николаем": "ins", "петром": "ins", "александре": "loc"}
_LATIN = dict(zip("abcdefghijklmnopqrstuvwxyz", (
    "эй би си ди и эф джи эйч ай джей кей эл эм эн оу пи кью ар эс ти ю ви дабл-ю икс уай зед").split()))
_NET_WORDS = {"com": "ком", "net": "нет", "org": "орг", "ru": "ру", "gmail": "джимейл", "mail": "мейл",
              "yandex": "яндекс",
              "hotmail": "хотмейл", "google": "гугл", "info": "инфо"}


class Russian(Slavic):
    """See the module."""

    code = "ru"
    group_marks = "."
    weekday_abbreviations = {"пн": "понедельник", "вт": "вторник", "ср": "среда", "чт": "четверг", "пт": "пятница",
                             "сб": "суббота", "вс": "воскресенье"}
    weekday_cases = ("с", {"понедельник": "понедельника", "вторник": "вторника", "среда": "среды",
                           "четверг": "четверга", "пятница": "пятницы", "суббота": "субботы",
                           "воскресенье": "воскресенья"},
                     {"среда": "среду", "пятница": "пятницу", "суббота": "субботу"}, "по")
    month_abbreviations = {"янв": 1, "фев": 2, "февр": 2, "апр": 4, "авг": 8, "сент": 9, "сен": 9, "окт": 10,
                           "нояб": 11,
                           "ноя": 11, "дек": 12}
    era_mark = r"(?:до\s)?н\.\s?э\."
    eras = {"донэ": "до нашей эры", "нэ": "нашей эры"}
    zones = ("МСК", "GMT", "UTC")
    scales = ("тысяча", "тысячи", "тысяч", "миллион", "миллиона", "миллионов", "миллиард", "миллиарда", "миллиардов",
              "триллион", "триллиона", "триллионов")
    scale_abbreviations = {"тыс": "тыс", "млн": "млн", "млрд": "млрд", "трлн": "трлн"}
    one_two = {"один": "одна", "два": "две"}
    accusative = {"а": "у", "я": "ю"}
    forms = {
        "тыс": "тысяча тысячи тысяч тысячи", "млн": "миллион миллиона миллионов миллиона",
        "млрд": "миллиард миллиарда миллиардов миллиарда", "трлн": "триллион триллиона триллионов триллиона",
        "RUB": "рубль рубля рублей рубля", "USD": "доллар доллара долларов доллара", "EUR": "евро евро евро евро",
        "GBP": "фунт фунта фунтов фунта", "UAH": "гривна гривны гривен гривны", "JPY": "иена иены иен иены",
        "CNY": "юань юаня юаней юаня", "KZT": "тенге тенге тенге тенге", "TRY": "лира лиры лир лиры",
        "mass-kilogram": "килограмм килограмма килограммов килограмма", "mass-gram": "грамм грамма граммов грамма",
        "копейка": "копейка копейки копеек копейки", "человек": "человек человека человек человека"}
    cent_forms = {"RUB": "копейка копейки копеек копейки", "USD": "цент цента центов цента",
                  "EUR": "цент цента центов цента", "GBP": "пенс пенса пенсов пенса",
                  "UAH": "копейка копейки копеек копейки"}
    currency_signs = Slavic.currency_signs | {"руб.": "RUB", "руб": "RUB", "р.": "RUB", "евро": "EUR", "долл.": "USD",
                                              "грн": "UAH", "₸": "KZT"}
    periods = {"мес": "месяц", "год": "год", "ч": "час", "кг": "килограмм", "чел": "человека"}
    unit_symbols = {
        "км": "length-kilometer", "м": "length-meter", "дм": "length-decimeter", "см": "length-centimeter",
        "мм": "length-millimeter", "мкм": "length-micrometer", "кг": "mass-kilogram", "г": "mass-gram",
        "мг": "mass-milligram", "т": "mass-tonne", "л": "volume-liter", "мл": "volume-milliliter",
        "га": "area-hectare", "м²": "area-square-meter", "м2": "area-square-meter", "кв. м": "area-square-meter",
        "км²": "area-square-kilometer", "м³": "volume-cubic-meter", "м3": "volume-cubic-meter",
        "куб. м": "volume-cubic-meter",
        "ч": "duration-hour", "мин": "duration-minute", "мин.": "duration-minute", "сек": "duration-second",
        "сек.": "duration-second", "с": "duration-second", "мс": "duration-millisecond", "Вт": "power-watt",
        "кВт": "power-kilowatt", "МВт": "power-megawatt", "кВт·ч": "energy-kilowatt-hour", "В": "electric-volt",
        "Гц": "frequency-hertz", "кГц": "frequency-kilohertz", "МГц": "frequency-megahertz",
        "ГГц": "frequency-gigahertz",
        "ГБ": "digital-gigabyte", "МБ": "digital-megabyte", "КБ": "digital-kilobyte", "ТБ": "digital-terabyte",
        "Дж": "energy-joule", "ккал": "energy-kilocalorie", "л.с.": "power-horsepower", "чел.": "человек",
        "коп.": "копейка", "коп": "копейка",
        "км/ч": "speed-kilometer-per-hour", "м/с": "speed-meter-per-second"}
    loose_units, tight_units = Slavic.loose_units + "мгтлчсВ", Slavic.tight_units + "мгтлчВ"
    words = SILENT | {
        "point": "запятая", "minus": "минус", "plus": "плюс", "and": "и", "over": "на", "to": "до", "per": "в",
        "power": "в степени", "score": "", "money and": "", "port": "порт", "version": "версия",
        "version point": "точка",
        "decimal point": "точка", "hashtag": "хештег", "%": "процент", "‰": "промилле", "&": "амперсанд", "+": "плюс",
        "=": "равно", "@": "собака", "#": "решётка", "°": "градусов", "$": "доллар", "£": "фунт", "€": "евро",
        "₽": "рубль", "×": "умножить на", "÷": "делить на", "±": "плюс-минус", "≈": "примерно",
        "≤": "меньше или равно", "≥": "больше или равно", "≠": "не равно", "<": "меньше", ">": "больше",
        "√": "корень из", "π": "пи", "∞": "бесконечность", "§": "параграф", "№": "номер", "→": "", ".": "точка",
        "/": "слэш", "-": "дефис", "_": "нижнее подчёркивание", ":": "двоеточие", "?": "вопросительный знак",
        "~": "тильда"}
    abbreviations = {
        "т.е.": "то есть", "т. е.": "то есть", "т.к.": "так как", "т. к.": "так как", "т.д.": "так далее",
        "т. д.": "так далее", "т.п.": "тому подобное", "т. п.": "тому подобное", "др.": "другие", "пр.": "прочее",
        "напр.": "например", "см.": "смотри", "ср.": "сравни", "стр.": "страница", "гл.": "глава", "рис.": "рисунок",
        "табл.": "таблица", "ул.": "улица", "д.": "дом", "кв.": "квартира", "обл.": "область", "р-н": "район",
        "пр-т": "проспект", "просп.": "проспект", "пл.": "площадь", "тел.": "телефон", "д-р": "доктор", "им.": "имени",
        "проф.": "профессор", "акад.": "академик", "доц.": "доцент", "г-н": "господин", "г-жа": "госпожа",
        "гр.": "гражданин", "н.э.": "нашей эры", "н. э.": "нашей эры", "в.": "век", "вв.": "века", "гг.": "годы",
        "г.": "года", "ок.": "около", "т.н.": "так называемый", "и.о.": "исполняющий обязанности", "мин.": "минут",
        "руб.": "рублей", "коп.": "копеек", "ч.": "часов"}
    number_nouns = frozenset("глава том часть акт сцена статья страница тип класс книга раздел степень группа".split())
    name_heads = frozenset(_RULERS)
    spoken = frozenset("НАТО ЮНЕСКО ВУЗ ЗАГС МИД ТАСС ГОСТ СПИД ФИФА УЕФА НАСА МХАТ ГУМ ЦУМ".split())
    spelled = frozenset("США ООН СССР РФ ФСБ МВД ЕС".split())
    capital_words = frozenset("И В НА НЕ ЧТО ОН ОНА Я МЫ ВЫ ТЫ ПО ИЗ ОТ ДО ЗА БЫ ЖЕ НЕТ ДА КАК ВСЁ ВСЕ ТУТ".split())
    letter_names = {"в": "вэ", "к": "ка", "с": "эс", "б": "бэ", "ф": "эф", "р": "эр", "м": "эм", "н": "эн", "л": "эль",
                    "д": "дэ", "г": "гэ", "ш": "ша", "п": "пэ", "т": "тэ", "з": "зэ", "ж": "жэ"}
    telephone = r"(?:8|\+7)[- ]?\(?\d{3}\)?[- ]\d{3}[- ]\d\d[- ]\d\d|\d{3}-\d\d-\d\d"

    # Numbers

    def cardinal(self, number: int) -> str:
        """Тысяча without its one."""
        return re.sub("^одна тысяча", "тысяча", super().cardinal(number))

    def inflected(self, number: int, case: str) -> str:
        """See `Slavic`."""
        return re.sub("^одна тысяча", "тысяча", _words(number, "ordinal", case))

    def genitive(self, number: int, feminine: bool = False) -> str:
        """See `Slavic`."""
        return _words(number, "cardinal", "fem_gen" if feminine else "gen")

    def genitive_decimal(self, whole: int, part: str) -> str | None:
        """Одной целой пяти десятых."""
        if not int(part):
            return None
        stem, last = _PARTS[len(part)], int(part) % 10 == 1 and int(part) % 100 != 11
        wholes = "целой" if whole % 10 == 1 and whole % 100 != 11 else "целых"
        return f"{self.genitive(whole, True)} {wholes} {self.genitive(int(part), True)} {stem}{'ой' if last else 'ых'}"

    def year_range(self, first: str, last: str) -> str:
        """С ... по ..."""
        return f"с {self.inflected_year(first, 'gen')} по {self.inflected_year(last, 'nom')}"

    def say_number(self, value: Number) -> str:
        """Две целых три десятых."""
        digits = value.fraction
        if value.scale in self.forms or not 0 < len(digits) < len(_PARTS) or not int(digits):
            return super().say_number(value)
        minus, whole, part = "минус " if value.negative else "", int(value.whole or 0), int(digits)
        said = f"{self.counted_noun(whole, 'целая целых целых')} {self.counted_noun(part, _part(len(digits)))}"
        return minus + (f"{said} {value.scale}" if value.scale else said)

    def is_feminine(self, noun: str) -> bool:
        """By the ending of the first word: тонна, квадратная миля."""
        return noun.partition(" ")[0].endswith(("а", "я"))

    def counted(self, number: Number | Fraction, unit: str) -> str:
        """The gender is of whole numbers alone."""
        whole = isinstance(number, Number) and not number.fraction
        return super().counted(number, unit) if whole else self.say(number)

    def say_fraction(self, value: Fraction) -> str:
        """Одна вторая, три четвёртых, две целых одна третья."""
        below = self.inflected(value.below, "fem" if value.above == 1 else "pl_gen")
        said = f"{self.gendered(self.cardinal(value.above), True)} {below}"
        if value.whole is not None:
            said = f"{self.counted_noun(value.whole, 'целая целых целых')} {said}"
        return f"минус {said}" if value.negative else said

    def ordinal(self, number: int, before: str = "") -> str:
        """In the form that the name or noun before it has."""
        return self.inflected(number, _RULERS.get(before.rpartition(" ")[2], "nom"))

    def say_roman(self, value: Roman) -> str:
        """Пётр Первый, Екатерины Второй."""
        said = super().say_roman(value)
        return said.capitalize() if value.is_ordinal else said

    def before_noun(self, number: int, noun: str) -> str | None:
        """Одна книга, две книги; the noun behind two stands in the genitive."""
        if number % 10 == 1 and number % 100 != 11 and noun.endswith(("о", "е", "ие")):
            return re.sub("один$", "одно", self.cardinal(number))
        feminine = noun.endswith(("а", "я")) if number % 10 == 1 else noun.endswith(("ы", "и")) and number % 10 == 2
        return self.gendered(self.cardinal(number), True) if feminine and number % 100 not in (11, 12) else None

    def per_unit(self, unit: str) -> str:
        """В час, в секунду; на килограмм."""
        name = self.in_accusative(self.unit_name(unit, 1))
        return f"в {name}" if unit.startswith("duration") else f"на {name}"

    # Times and codes

    def is_clock(self, hour: str, minute: str) -> bool:
        """13.30 is a time."""
        return len(hour) == 2 and int(hour) < 24 and int(minute) < 60

    def say_time(self, value: Time) -> str:
        """Тринадцать часов пять минут."""
        said = [self.counted_noun(value.hour, "час часа часов")]
        if value.minute or value.second:
            said.append(self.counted_noun(value.minute or 0, "минута минуты минут"))
        if value.second:
            said.append(self.counted_noun(value.second, "секунда секунды секунд"))
        return " ".join([*said, *([self.letters(value.zone)] if value.zone else [])])

    def say_telephone(self, value: Telephone) -> str:
        """Groups as numbers, zeros one by one."""
        groups = [self.leading_zeros(group) if len(group) <= 3 else self.digits(group) for group in value.groups]
        return ("плюс " if value.plus else "") + ", ".join(groups)

    def letters(self, text: str) -> str:
        """Latin letters by their English names in Cyrillic script."""
        if re.search("[a-z]", text.lower()):
            return " ".join(_LATIN.get(letter, letter) for letter in text.lower())
        return super().letters(text)

    def say_net_word(self, word: str) -> str:
        """The common ones in Cyrillic script."""
        return _NET_WORDS.get(word.lower()) or super().say_net_word(word)

    def is_spelled(self, word: str) -> bool:
        """Without a vowel."""
        return not re.search("[АЕЁИОУЫЭЮЯAEIOUY]", word)

    def abbreviation(self, match: re.Match) -> str | None:
        """г. is a year behind numbers, a city before a name; some stand only behind numbers."""
        word, start = match["word"].lower(), match.string[max(0, match.start() - 2):match.start()]
        behind_number = re.search(r"[\d\ue001]\s?$", start) is not None
        if word == "г.":
            before_name = re.match(r"\s?[А-ЯЁ]", match.string[match.end():match.end() + 3])
            return "года" if behind_number else "город" if before_name else None
        if word in ("в.", "вв.", "гг.", "ч.", "мин.", "руб.", "коп.", "тыс.", "млн", "млрд") and not behind_number:
            return None
        before_number = re.match(r"\s?[\d\ue001]", match.string[match.end():match.end() + 3])
        if word in ("д.", "кв.", "стр.", "гл.", "рис.", "табл.") and not before_number:
            return None
        return super().abbreviation(match)

    def recognisers(self) -> tuple:
        """Years and centuries in their case, ordinals with their endings."""
        return _OWN


def _words(number: int, kind: str, case: str = "nom") -> str:
    from num2words import num2words

    return num2words(number, to=kind, lang="ru", **_CASES[case])


def _part(digits: int) -> str:
    return f"{_PARTS[digits]}ая {_PARTS[digits]}ых {_PARTS[digits]}ых"


def _case(match: re.Match, word: str) -> tuple[str, str]:
    """The case of a noun such as год, written or abbreviated, and the word itself."""
    preposition = before(match).rpartition(" ")[2]
    if word == "г.":
        word = {"в": "году", "во": "году", "о": "году", "на": "год", "к": "году", "по": "год"}.get(preposition, "года")
    if word == "в.":
        word = {"в": "веке", "во": "веке", "к": "веку"}.get(preposition, "века")
    return "dat" if word.endswith("у") and preposition == "к" else _WORD_CASES[word], word


def _year(match: re.Match, p: Patterns) -> Value | None:
    case, word = _case(match, match["word"])
    return Words(f"{p.language.inflected_year(match['digits'], case)} {word}")


def _genitive_time(match: re.Match, p: Patterns) -> Value | None:
    """До девяти часов тридцати минут."""
    said = match["head"]
    for number, one, many in ((int(match["hour"]), "часа", "часов"), (int(match["minute"]), "минуты", "минут")):
        if number or one == "часа":
            case = "fem_gen" if one == "минуты" else "gen"
            last = number % 10 == 1 and number != 11
            said += f"{_words(number, 'cardinal', case)} {one if last else many} "
    return Words(said.strip())


def _bare_year(match: re.Match, p: Patterns) -> Value | None:
    return Words(f"{match['head']}{p.language.inflected_year(match['digits'], 'loc')}")


def _years(match: re.Match, p: Patterns) -> Value | None:
    """1941-1945 гг."""
    word, behind_in = match["word"], before(match).rpartition(" ")[2] in ("в", "во")
    case, noun = ("loc", "годах") if behind_in or word == "годах" else ("gen", "годов") if word == "годов" else (
        "nom", "годы")
    return Words(f"{p.language.inflected_year(match['a'], case)} {p.language.inflected_year(match['b'], case)} {noun}")


def _ordinal(match: re.Match, p: Patterns) -> Value | None:
    """20-го, 1990-е, 5-ти, 4-х."""
    digits, ending = match["number"], match["ending"]
    number = int(digits)
    if ending in _CARDINAL_ENDINGS or (ending == "х" and number < 5):
        from num2words import num2words

        return Words(num2words(number, lang="ru", case=_CARDINAL_ENDINGS.get(ending, "g")))
    case = _ENDINGS[ending]
    is_decade = number % 10 == 0 and number >= 10 and (len(digits) == 4 or number < 100)
    if ending == "е" and is_decade:
        case = "pl"
    if ending == "й" and re.match(r"\s\w+(?:ой|ей|ии)\b", match.string[match.end():match.end() + 25]):
        case = "fem_gen"
    if ending == "м" and before(match).rpartition(" ")[2] not in ("в", "на", "о", "об", "при", ""):
        case = "ins"
    return Words(p.language.inflected(number, case))


_OWN = (
    plain("range", r"(?=\d)(?<![\w.,–-])(?P<a>[12]\d{3})\s?[-–—]\s?(?P<b>[12]\d{3})"
                   r"\s?(?P<word>гг\.|годы|годах|годов)(?!\w)",
          _years),
    plain("acronym", r"(?<![A-Za-z'’.\d°&])(?<!\d\s)[A-HJ-UWYZa-z](?![A-Za-z'’²³^]|\s?[=+<>]|\.\w)",
          lambda match, p: Words(p.language.letters(match[0])), has_digits=False),
    Recogniser("measure", lambda p: r"(?<!\w)(?<!\d\s)(?:к|с|м)?м[²³](?!\w)",
               lambda match, p: Words(p.language.unit_name(p.key(match[0]), 1)), has_digits=False, needs="[²³]"),
    plain("date", r"(?=\d)(?<![\w.,])(?P<digits>[12]\d{3}|[1-9]\d{2})\s(?P<word>год(?:ов|ом|а|у|ы|)|г\.)(?!\w)",
          _year),
    plain("date", r"(?<!\w)(?P<head>[Вв]о?\s)(?P<digits>1[5-9]\d\d|20\d\d)(?=[,;)]|[.!?]?\s*$)", _bare_year),
    plain("roman", r"(?<![\w.])(?P<numeral>[IVX]{1,6})(?:-?(?:й|го|м|му|е))?\s"
          r"(?P<word>век(?:ов|ом|е|у|а|)|столети[иея]|в\.)(?!\w)",
          century(_case), has_digits=False),
    plain("ordinal", rf"(?=\d)(?<![\w.,])"
                     rf"(?P<number>\d{{1,9}})-(?P<ending>{one_of(_ENDINGS | _CARDINAL_ENDINGS)})(?!\w)",
               _ordinal),
    NOUNS,
    plain("time", r"(?<!\w)(?P<head>(?i:с|со|до|от|после|около)\s)(?P<hour>[01]?\d|2[0-4])[:.]"
          r"(?P<minute>[0-5]\d)(?![\w:]|[.,]\d)", _genitive_time),
    genitives(r"ок\.|от|до|из|около|более|менее|больше|меньше|после|без|свыше|для|старше|младше|моложе|дольше|порядка|кроме|"
              r"в течение|на протяжении|со?(?=\s\d{1,4}(?:\s[а-яё]{1,12})?\sдо\s)"),
    point_time("в|к"),
)
LANGUAGE = Russian
