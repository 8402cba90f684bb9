"""Unicode as a first step: composed letters, compatibility forms as what they are, marks of every script.

    composed("Wir \\ufb01nden ５ ℃。")       # "Wir finden 5 °C."
"""

from __future__ import annotations

import re
import unicodedata

from text import marks

# Marks of other scripts -> the mark that espeak-ng and the symbol tables know.
MARKS = {
    **dict.fromkeys(marks.COMMAS, ","), **dict.fromkeys(marks.FULL_STOPS + marks.WIDE_POINTS, "."),
    **dict.fromkeys(marks.EXCLAMATIONS, "!"), **dict.fromkeys(marks.QUESTIONS, "?"),
    **dict.fromkeys(marks.SEMICOLONS, ";"), **dict.fromkeys(marks.COLONS, ":"),
    **dict.fromkeys(marks.WORD_DIVIDERS, ""),
}
# A wide point, comma or colon that belongs to a number: ３．５, １，０００, １２：３０.
_WITHIN_NUMBERS = re.compile(r"(?<=\d)(?:[．﹒：](?=\d)|，(?=\d{3}(?!\d)))")
_ARMENIAN = ("hy", "hyw")
_ALWAYS = re.escape(marks.FULL_STOPS)
_STRETCH = re.compile(f"[^{_ALWAYS}]*(?:[{_ALWAYS}][\\s{_ALWAYS}]*[”’»›)\\]}}」』）】》〉］｝｣]*|$)")
# Kept as they are, for they have readings of their own: fractions, superscripts, signs of units and of music.
_KEPT = frozenset("½¼¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞²³¹⁰⁴⁵⁶⁷⁸⁹⁻⁺ªº™℠…№\u00a0\u202f\u2009\u2007´¨¯¸˘˙˚˛˜˝")


def composed(text: str, language: str = "") -> str:
    """NFC, with compatibility letters, digits and marks of other scripts written as their plain counterparts.

    Superscripts, fractions and spaces that group digits stay. In Greek a semicolon is a question mark.
    """
    if text.isascii():
        return text if language.split("-")[0] != "el" else re.sub(r";(?=\s|$)", "?", text)
    text = unicodedata.normalize("NFC", text)
    code = language.split("-")[0]
    text = _WITHIN_NUMBERS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    if code in _ARMENIAN:  # marks of questions and of calls stand within a word; a colon is written as a full stop
        text = re.sub(r":(?=\s|$)", "\u0589", text)
        text = re.sub("([\u055c\u055e])([^\u0589:.!?\u055c\u055e]{0,300})[\u0589:]?",
                      lambda match: match[2] + ("?" if match[1] == "\u055e" else "!"), text)
    text = text.translate({ord(each): _plain(each) for each in set(text) if not each.isascii() and _is_special(each)})
    if code == "el":
        text = re.sub(r"[;\u037e](?=[\s»\")]|$)", "?", text)
        text = re.sub(r"\s?\u00b7(?=\s)", ";", text)
    return text


def stretches(text: str, language: str) -> list[str]:
    """A text cut behind full stops that are no points, for no abbreviation and no number has one: `։`, `।`, `。`."""
    if language.split("-")[0] in _ARMENIAN:
        text = re.sub(r":(?=\s|$)", "\u0589", text)
    return [text] if text.isascii() else [found for found in _STRETCH.findall(text) if found] or [text]


def _plain(character: str) -> str:
    mark = MARKS.get(character)
    if mark is not None:
        return mark + " "
    if character == "µ":
        return "μ"
    if character in "\u00ad\u200b\ufeff\u2060":
        return ""
    if character in "‐‑":
        return "-"
    return unicodedata.normalize("NFKC", character)


def _is_special(character: str) -> bool:
    """Whether `composed` writes it otherwise."""
    return character in MARKS or character in "µ\u00ad\u200b\u2060\ufeff‐‑" or (
        (character < "\U00010000" or "\U0001d400" <= character < "\U0001d800") and _is_compatible(character))


def _is_compatible(character: str) -> bool:
    """A presentation form of plain letters, digits or signs: ﬁ, ５, ℃, Ⅳ; not a superscript, fraction or space."""
    if character in _KEPT or unicodedata.category(character) in ("Zs", "Lm", "Sk", "Mn", "Mc"):
        return False
    form = unicodedata.decomposition(character)
    return form.startswith("<") and not form.startswith("<super>")


# Scripts that espeak-ng's languages have rules for beside Latin, which all read; languages not listed have no other.
_CYRILLIC = "ba be bg cv kk ky mk nog os ru sr tt ug uk uz bs"
SCRIPTS = {
    **dict.fromkeys(_CYRILLIC.split(), {"CYRILLIC"}), **dict.fromkeys("ar fa ur sd ug ku".split(), {"ARABIC"}),
    **dict.fromkeys("hi mr ne kok bpy".split(), {"DEVANAGARI"}), **dict.fromkeys(["am", "ti"], {"ETHIOPIC"}),
    **dict.fromkeys(["cmn", "yue", "hak", "nan", "zh"], {"CJK", "BOPOMOFO"}), "ja": {"HIRAGANA", "KATAKANA"},
    **dict.fromkeys(["el", "grc"], {"GREEK"}), **dict.fromkeys(["he", "yi"], {"HEBREW"}),
    **dict.fromkeys(["bn", "as", "bpy"], {"BENGALI"}), "hy": {"ARMENIAN"}, "hyw": {"ARMENIAN"}, "ka": {"GEORGIAN"},
    "ko": {"HANGUL"}, "ta": {"TAMIL"}, "te": {"TELUGU"}, "kn": {"KANNADA"}, "ml": {"MALAYALAM"}, "gu": {"GUJARATI"},
    "pa": {"GURMUKHI"}, "or": {"ORIYA"}, "si": {"SINHALA"}, "th": {"THAI"}, "my": {"MYANMAR"}, "chr": {"CHEROKEE"},
    "shn": {"MYANMAR"}, "lo": {"LAO"}, "km": {"KHMER"}, "bo": {"TIBETAN"}, "dv": {"THAANA"}}
_OF_NO_SCRIPT = frozenset({"MODIFIER", "MASCULINE", "FEMININE", "MICRO", "SUPERSCRIPT", "SUBSCRIPT", "DOUBLE", "PLANCK",
                           "SCRIPT", "KELVIN", "ANGSTROM", "OHM", "COMBINING", "IDEOGRAPHIC", "EULER", "UNKNOWN"})


def scripts_of(text: str) -> set[str]:
    """The scripts of a text's letters, as Unicode names them: LATIN, CYRILLIC, CJK."""
    return set(map(_script, filter(str.isalpha, set(text))))


def unreadable_letters(text: str, language: str) -> dict[str, str]:
    """Scripts that espeak-ng's language has no rules for, so that it names their letters -> those letters of a text.

    A single Greek letter, as of a formula, is read everywhere.
    """
    if text.isascii():
        return {}
    known = {"LATIN", *SCRIPTS.get(language.lower().split("-")[0], ())}
    found: dict[str, str] = {}
    for letter in dict.fromkeys(composed(text, language)):
        if letter.isalpha() and (script := _script(letter)) not in known | _OF_NO_SCRIPT:
            found[script] = found.get(script, "") + letter
    if "GREEK" in found and not re.search("[\u0370-\u03ff\u1f00-\u1fff]{2}", text):
        del found["GREEK"]
    return found


def _script(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").partition(" ")[0].partition("-")[0]


def script_name(script: str) -> str:
    """As messages write it: Cyrillic; CJK, Han characters."""
    return "CJK, Han characters" if script == "CJK" else script.capitalize()
