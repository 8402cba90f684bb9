"""Rules of text take work in proportion to the text, whatever is in it: steps are counted, nothing is timed."""

import re
from contextlib import suppress

import pytest

from tests.regex_work import CountedModule, TooMuchWork, Work, counted
from text import cleaners, english, espeak, lexicon, markup, say_as, sentences, words

HOSTILE = [
    "1,1,1,", " ", ".5.5", "AAAA... St. St. ", "\n", " \n", "\0", ",", "5", "12", "(", "[ ", "[[", "]]", "- ", "--",
    "Mr. ",
    "A. ", "1-", "1:", "3 ", "$1", "$ ", "Henry ", "'", '" ', "6,000,", "Inc. ", 'Co.") ', "2/", " %", "e.g.", ", ",
    "; :", "5 p.m. ", "\u3000", "1,,1", "\t", "\u00a0", "<!-- ", "?xml ", "aA", ". ", "... ", "é", "Nos. "]


def written_out(text):
    english.normalise(text + "x")


def said_as(text):
    for interpret_as in say_as.INTERPRETATIONS:
        for language in ("en-us", "de"):
            with suppress(ValueError):
                say_as.respelled(text + "#", interpret_as, language=language)


def cleaned(text):
    cleaners._collapse(cleaners._expand_published_abbreviations(text))
    espeak._MARKS.split(text + "x")


def read(text):
    markup.parse_inline(text)
    markup.parse_inline(text + "[[a]]")
    for beginning in ("", "<?xml ", "<!--"):
        markup.is_ssml(beginning + text)
    lexicon._SEPARATOR.split(text + "x", maxsplit=1)
    words.written_words(text + "x")


def parted(text):
    sentences.split_sentences(text + "x", max_characters=100)


@pytest.mark.parametrize("rule, modules, length", [
    (written_out, [english], 60), (said_as, [say_as], 60), (cleaned, [cleaners, espeak], 60),
    (read, [markup, lexicon, words], 60), (parted, [sentences], 120)])
def test_twice_the_text_is_twice_the_work(rule, modules, length):
    for hostile in HOSTILE:
        counts = []
        for size in (length, 2 * length):
            with counted(*modules) as work:
                rule((hostile * size)[:size])
            counts.append(work.steps)
        for pattern, steps in counts[1].items():
            assert steps < 2.6 * counts[0][pattern] + 200, f"{pattern}: {steps} steps for {2 * length} of {hostile!r}"


@pytest.mark.parametrize("pattern, text", [
    (r"\s*,\s*", " "), (r"(?<![\d-])(\d[\d,.]*)-", "1,"), (r"[A-Z][\w']* $", "A"), (r"\+?(?:[0-9]+|[ ()./-])+$", "1")])
def test_the_count_sees_what_is_not_linear(pattern, text):
    counts = []
    for length in (7, 14):
        counting = CountedModule(Work())
        with suppress(TooMuchWork):
            counting.search(pattern, text * length + "#")
        counts.append(counting.work.steps[pattern])
    assert counts[1] > 2.8 * counts[0]


@pytest.mark.parametrize("pattern, text", [
    (r"(a|b)*?c(?=d)", "abacd"), (r"\b(\w)\1+\b", "x aaa y"), (r"(?<=\d)[^,.\s]{2,3}$", "1abc"),
    (r"(?:ab)+|x", "yabab")])
def test_the_counting_matcher_finds_what_re_finds(pattern, text):
    matcher = CountedModule(Work()).compile(pattern).matcher
    assert matcher.count(text) == re.search(pattern, text).span()
