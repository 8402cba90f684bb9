"""Recognisers of what is written with letters and signs: markup, abbreviations, acronyms, initials, signs, emoji."""

from __future__ import annotations

import re

from text.normalisation.patterns import Patterns, one_of
from text.normalisation.recognisers import Recogniser
from text.normalisation.values import Value, Words

_TAGS = ("a abbr b big blockquote body br center cite code dd del div dl dt em font footer h1 h2 h3 h4 h5 h6 head "
         "header hr html i img ins kbd li link mark meta nav ol p pre q s samp script section small span strike "
         "strong style sub sup table tbody td th thead title tr tt u ul var").split()


def _tag(match: re.Match, p: Patterns) -> Value | None:
    return Words("")


def _entity(match: re.Match, p: Patterns) -> Value | None:
    import html  # here, for it is slow to import and rarely wanted

    character = html.unescape(match[0])
    return Words(p.language.words.get(character, character)) if character != match[0] else None


def _abbreviation_pattern(p: Patterns) -> str | None:
    """With its points; without them only where the table has it so."""
    table = p.language.abbreviations
    exact = [word for word in table if not word.islower()]
    any_case = [word for word in table if word.islower()]
    return rf"(?<![\w.&])(?P<word>(?i:{one_of(any_case)})|{one_of(exact)})(?!\w)"


def _abbreviation(match: re.Match, p: Patterns) -> Value | None:
    said = p.language.abbreviation(match)
    if said is None:
        return None
    return Words(said)


def _initials(match: re.Match, p: Patterns) -> Value | None:
    """U.S.A. and J. R. R.: their points end no sentence, but for the last point of a text."""
    letters = re.sub(r"[^\w]", "", match["letters"])
    return Words(p.language.letters(letters))


def _acronym(match: re.Match, p: Patterns) -> Value | None:
    said = p.language.acronym(match)
    return Words(said) if said is not None else None


def _sign_pattern(p: Patterns) -> str:
    return one_of(word for word in p.language.words if len(word) <= 2 and word not in p.language.quiet_signs
                  and (word == "π" or not word[0].isalnum()))


def _sign(match: re.Match, p: Patterns) -> Value | None:
    return Words(p.language.words[match[0]])


def _emoji(match: re.Match, p: Patterns) -> Value | None:
    return Words(p.language.emoji(match[0][0]))


def _operator(match: re.Match, p: Patterns) -> Value | None:
    sign = match["sign"] or match["tight"]
    return Words(p.language.operators.get(sign) or p.language.words[sign]) if _is_operation(match) else None


MARKUP = (
    Recogniser("sign", lambda p: rf"</?(?i:{one_of(_TAGS)})(?:\s[^<>]{{0,300}})?\s?/?>", _tag, has_digits=False,
               needs="<"),
    Recogniser("sign", lambda p: r"</?[a-z][\w-]{0,30}(?:\s[^<>]{0,100})?/?>", lambda match, p: Words(match[0]),
               has_digits=False, needs="<"),
    Recogniser("sign", lambda p: r"&(?:#\d{1,6}|[A-Za-z]{2,8});", _entity, has_digits=False, needs="&"),
    Recogniser("sign",
               lambda p: r"\[(?=[^\[\]]{1,200}\]\((?:https?:|/|#|mailto:))|\]\((?:https?:|/|#|mailto:)[^\s()]{0,500}\)",
               _tag, has_digits=False, needs=r"\]\("),
    Recogniser("sign", lambda p: r"(?m)^\s{0,9}(?:#{1,6}|[*+>])\s(?=\S)", _tag, has_digits=False, needs="[#*+>]"),
    Recogniser("sign",
               lambda p: r"(?<![\w*_])(?:\*{1,3}|_{1,3}|`{1,3})(?=[^\W_])|(?<=[\w.,!?])(?:\*{1,3}|_{1,3}|`{1,3})"
               r"(?![\w*_])", lambda match, p: Words(""), has_digits=False, needs="[*_`]"),
)
OPERATORS = (
    Recogniser("sign",
               lambda p: rf"(?<=[\w)²³\ue001])(?:\s(?P<sign>{one_of(p.language.operators)})|(?P<tight>[-−+])"
               rf"(?=\s?\w{{1,9}}\s?=))\s?(?=[\w(√π−\ue001-])" if p.language.operators else None,
               _operator, has_digits=False),
)
ABBREVIATIONS = (Recogniser("abbreviation", _abbreviation_pattern, _abbreviation, has_digits=False),)
ACRONYMS = (
    Recogniser("acronym", lambda p: r"(?<![\w.])(?P<letters>[^\W\d_]\.(?:[^\W\d_]\.){1,7}|(?:[A-ZÄÖÜ]\.\s){1,4}"
               r"(?=[A-ZÄÖÜ][^\W\d_])|[A-ZÄÖÜ]\.[A-ZÄÖÜ](?![\w]))", _initials, has_digits=False),
    Recogniser("acronym",
               lambda p: r"(?<![\w.])(?P<word>[^\W\d_a-z]{2,6}|[^\W\d_A-Z]{2,3})(?P<plural>s|['’]s)?(?![\w])",
               _acronym, has_digits=False),
)
SIGNS = (
    Recogniser("sign", _sign_pattern, _sign, has_digits=False),
    Recogniser("emoji",
               lambda p: "[☀-➿⬀-⯿\U0001f300-\U0001faff][\ufe0e\ufe0f\u200d\U0001f3fb-\U0001f3ff]{0,3}", _emoji,
               has_digits=False),
)


def _is_operation(match: re.Match) -> bool:
    """A minus between words is a dash: it wants a number or one letter on either side, or an equals sign near."""
    sign = match["sign"] or match["tight"]
    if sign not in "-−–*/x":
        return True
    left = re.search(r"(?:[\d\ue001]|(?<!\w)[^\W\d_]|[)²³])$", match.string[max(0, match.start() - 2):match.start()])
    right = re.match(r"[\d\ue001]|[^\W\d_](?!\w)|[(√π]", match.string[match.end():match.end() + 2])
    near = match.string[max(0, match.start() - 25):match.end() + 25]
    return bool(left and right and (sign in "*x−" or "=" in near))
