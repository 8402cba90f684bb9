"""Unicode as a first step: composed letters, compatibility forms as what they are, marks of every script.

    composed("Wir \\ufb01nden ５ ℃。")       # "Wir finden 5 °C."
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Marks of other scripts -> the mark that espeak-ng and the symbol tables know.
MARKS = {
    **dict.fromkeys("，、،﹐､፣߸", ","), **dict.fromkeys("。।॥۔።．｡។၊။", "."), **dict.fromkeys("！﹗", "!"),
    **dict.fromkeys("？؟﹖⸮፧", "?"), **dict.fromkeys("；؛﹔፤", ";"), **dict.fromkeys("：﹕፥", ":"),
}
_UNSPACED = "\u3001-\u303f\u3040-\u30ff\u3400-\u9fff\uff00-\uffef"
# Kept as they are, for they have readings of their own: fractions, superscripts, signs of units and of music.
_KEPT = frozenset("½¼¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞²³¹⁰⁴⁵⁶⁷⁸⁹⁻⁺ªº™℠…‼⁇⁈⁉\u00a0\u202f\u2009\u2007´¨¯¸˘˙˚˛˜˝")


def composed(text: str, language: str = "") -> str:
    """NFC, with compatibility letters, digits and marks of other scripts written as their plain counterparts.

    Superscripts, fractions and spaces that group digits stay. In Greek a semicolon is a question mark.
    """
    if text.isascii():
        return text if language.split("-")[0] != "el" else re.sub(r";(?=\s|$)", "?", text)
    text = unicodedata.normalize("NFC", text)
    text = _special().sub(lambda match: _plain(match[0]), text)
    if language.split("-")[0] == "el":
        text = re.sub(r"[;\u037e](?=[\s»\")]|$)", "?", text)
    return text


def _plain(character: str) -> str:
    mark = MARKS.get(character)
    if mark:
        return mark + " " if mark != "." or character not in "." else mark
    if character == "µ":
        return "μ"
    if character == "№":
        return "№"
    if character in "\u00ad\u200b\ufeff\u2060":
        return ""
    if character in "‐‑":
        return "-"
    return unicodedata.normalize("NFKC", character)


@cache
def _special() -> re.Pattern:
    """Every character that `composed` writes otherwise."""
    wanted = [chr(code) for code in (*range(0x80, 0xd800), *range(0xf900, 0xfb50), *range(0xfe10, 0xfe70),
                                     *range(0xff00, 0xfff0), *range(0x1d400, 0x1d800))
              if (chr(code) in MARKS or chr(code) in "µ\u00ad\u200b\u2060‐‑" or _is_compatible(chr(code)))]
    wanted.append("\ufeff")
    return re.compile("[" + "".join(map(re.escape, wanted)) + "]")


def _is_compatible(character: str) -> bool:
    """A presentation form of plain letters, digits or signs: ﬁ, ５, ℃, Ⅳ; not a superscript, fraction or space."""
    if character in _KEPT or unicodedata.category(character) in ("Zs", "Lm", "Sk", "Mn", "Mc"):
        return False
    return unicodedata.decomposition(character).startswith("<") and "<super>" not in unicodedata.decomposition(
        character) and "<sub>" not in unicodedata.decomposition(character)


def scripts_of(text: str) -> set[str]:
    """The scripts of a text's letters, as Unicode names them: LATIN, CYRILLIC, CJK."""
    return {unicodedata.name(letter, "UNKNOWN").partition(" ")[0].partition("-")[0] for letter in set(text)
            if letter.isalpha()}
