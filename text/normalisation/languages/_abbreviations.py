"""Abbreviations with a point that espeak-ng spells or cuts off, in languages without data of their own."""

from __future__ import annotations

import re
from functools import lru_cache

from text.normalisation.patterns import one_of

_NORWEGIAN = {
    "kl.": "klokka", "f.eks.": "for eksempel", "f. eks.": "for eksempel", "bl.a.": "blant annet",
    "dvs.": "det vil si", "osv.": "og så videre", "ca.": "cirka", "nr.": "nummer", "mill.": "millioner",
    "mrd.": "milliarder", "tlf.": "telefon", "jf.": "jamfør", "evt.": "eventuelt", "inkl.": "inklusive",
    "m.m.": "med mer", "o.l.": "og lignende", "pga.": "på grunn av", "iht.": "i henhold til", "f.Kr.": "før Kristus",
    "e.Kr.": "etter Kristus", "avd.": "avdeling", "fv.": "fylkesvei", "st.": "stykker", "stk.": "stykker"}
TABLES: dict[str, dict[str, str]] = {
    "nb": _NORWEGIAN, "no": _NORWEGIAN, "nn": _NORWEGIAN,
    "da": {
        "kl.": "klokken", "f.eks.": "for eksempel", "f. eks.": "for eksempel", "bl.a.": "blandt andet",
        "dvs.": "det vil sige", "osv.": "og så videre", "ca.": "cirka", "nr.": "nummer", "mio.": "millioner",
        "mia.": "milliarder", "tlf.": "telefon", "jf.": "jævnfør", "evt.": "eventuelt", "inkl.": "inklusive",
        "m.m.": "med mere", "mht.": "med hensyn til", "pga.": "på grund af", "stk.": "styk", "f.Kr.": "før Kristus",
        "e.Kr.": "efter Kristus"},
    "fi": {
        "esim.": "esimerkiksi", "mm.": "muun muassa", "ym.": "ynnä muuta", "jne.": "ja niin edelleen",
        "ks.": "katso", "nro.": "numero", "puh.": "puhelin", "milj.": "miljoonaa", "n.": "noin",
        "eKr.": "ennen Kristusta", "jKr.": "jälkeen Kristuksen", "ts.": "toisin sanoen", "vrt.": "vertaa"},
    "cs": {
        "např.": "například", "atd.": "a tak dále", "apod.": "a podobně", "tzv.": "takzvaný", "č.": "číslo",
        "str.": "strana", "tj.": "to jest", "mj.": "mimo jiné", "tzn.": "to znamená", "resp.": "respektive",
        "tel.": "telefon", "mil.": "milionů", "tis.": "tisíc", "hod.": "hodin", "min.": "minut", "ul.": "ulice",
        "př. n. l.": "před naším letopočtem", "cca.": "cirka"},
    "sk": {
        "napr.": "napríklad", "atď.": "a tak ďalej", "tzv.": "takzvaný", "č.": "číslo", "str.": "strana",
        "t. j.": "to jest", "tel.": "telefón", "mil.": "miliónov", "tis.": "tisíc", "hod.": "hodín", "ul.": "ulica"},
    "hu": {
        "pl.": "például", "stb.": "és így tovább", "ún.": "úgynevezett", "kb.": "körülbelül", "ill.": "illetve",
        "tel.": "telefon", "db.": "darab", "u.": "utca", "i. e.": "időszámításunk előtt"},
    "ro": {
        "nr.": "numărul", "dl.": "domnul", "dna.": "doamna", "str.": "strada", "ex.": "exemplu", "etc.": "etcetera",
        "tel.": "telefon", "mil.": "milioane", "pag.": "pagina", "î.Hr.": "înainte de Hristos"},
    "tr": {
        "örn.": "örneğin", "vb.": "ve benzeri", "vs.": "vesaire", "no.": "numara", "tel.": "telefon", "sok.": "sokak",
        "cad.": "cadde", "mah.": "mahalle", "yy.": "yüzyıl", "bkz.": "bakınız", "sf.": "sayfa"},
    "uk": {
        "напр.": "наприклад", "тобто.": "тобто", "вул.": "вулиця", "буд.": "будинок", "тел.": "телефон",
        "див.": "дивись", "та ін.": "та інші", "і т. д.": "і так далі", "тис.": "тисяч", "грн.": "гривень"},
    "el": {
        "π.χ.": "για παράδειγμα", "κ.λπ.": "και λοιπά", "κλπ.": "και λοιπά", "δηλ.": "δηλαδή", "κ.": "κύριος",
        "αρ.": "αριθμός", "τηλ.": "τηλέφωνο", "σελ.": "σελίδα"}}
_BEFORE_NUMBERS = frozenset("kl. nr. č. no. n. fv. αρ. str. pag. sf.".split())


@lru_cache(maxsize=32)
def pattern_of(code: str) -> re.Pattern | None:
    """What finds the abbreviations of a language; None if it has no table."""
    table = TABLES.get(code)
    if table is None:
        return None
    always = one_of(word for word in table if word not in _BEFORE_NUMBERS)
    before_numbers = one_of(word for word in table if word in _BEFORE_NUMBERS)
    return re.compile(rf"(?<![\w.])(?i:{always}(?!\w)|{before_numbers}(?=\s?\d))")


def expansion(written: str, code: str) -> str:
    """The words of an abbreviation that `pattern_of` found."""
    table = TABLES[code]
    return table.get(written) or {word.lower(): said for word, said in table.items()}[written.lower()]
