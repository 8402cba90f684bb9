"""Words and their places: in order, nothing lost, through espeak-ng that merges and splits."""

import subprocess
import sys
import unicodedata
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text import TextProcessor
from text.cleaners import basic_cleaners, english, english_cleaners2, english_espeak, espeak
from text.symbols import SymbolTable
from text.words import SPOKEN_MARKS, align_words, match_characters, written_words

ROOT = Path(__file__).parents[2]
WORDS = ("of the in to be a out it 21 1984 3.14 I've well-known dogs' O'Neill U.S. $5 50% & — … - , ( 😀 St. Dr. 3:30 "
         "was at have been going century's naïve é ß x-y").split()


def said(cleaned):
    """Places of what is neither white space nor punctuation."""
    return [place for place, character in enumerate(cleaned) if not character.isspace()
            and (not unicodedata.category(character).startswith("P") or character in SPOKEN_MARKS)]


def pieces(text, cleaner, language="en-us"):
    """What each word became, after checking what must hold of every alignment."""
    clean = partial(cleaner, language=language)
    [cleaned] = clean([text])
    words = align_words(text, cleaned, clean)
    check(text, cleaned, words)
    return [f"{word.text}={cleaned[word.cleaned_start:word.cleaned_end]}" for word in words]


def check(text, cleaned, words):
    end = cleaned_end = 0
    for word in words:
        assert end <= word.start < word.end and text[word.start:word.end] == word.text
        assert cleaned_end <= word.cleaned_start <= word.cleaned_end <= len(cleaned)
        end, cleaned_end = word.end, word.cleaned_end
    covered = {place for word in words for place in range(word.cleaned_start, word.cleaned_end)}
    assert set(said(cleaned)) <= covered


@pytest.mark.parametrize("text, words", [
    ("", []), (" !? … —", []), ("Hello, world!", ["Hello", "world"]),
    ("“It's” (so-called) 'x'.", ["It's", "so-called", "x"]),
    ("wait—what… no...yes", ["wait", "what", "no", "yes"]),
    ("one,two 1,000.50 3:30", ["one", "two", "1,000.50", "3:30"]),
    ("the U.S. e.g. a.txt", ["the", "U.S", "e.g", "a.txt"]), ("$5 50% & -5", ["$5", "50%", "&", "5"]),
    ("**bold** _x_", ["bold", "x"]), ("你好，OK吗", ["你", "好", "OK", "吗"]),
    ("東京に行きます", ["東", "京", "に", "行", "きます"]), ("ไทย ดี", ["ไทย", "ดี"]), ("¿Qué? «Sí»", ["Qué", "Sí"]),
    ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया"]), ("سلام، دنیا؟", ["سلام", "دنیا"]),
    ("e\u0301a a\u0301", ["e\u0301a", "a\u0301"]),
])
def test_words_have_no_punctuation_around_them(text, words):
    assert [text[start:end] for start, end in written_words(text)] == words


@pytest.mark.parametrize("text, became", [
    ("One of the 21 cats.", "One=wˈʌn of=ʌv the=ðə 21=twˈɛnti_wˈʌn cats=kˈæts"),
    ("to be or not to be", "to=tə be=bi or=ɔːɹ not=nˌɑːt to=tə be=bˈiː"),
    ("In 1984 it was.", "In=ɪn 1984=nˈaɪntiːnhˈʌndɹɪd_ˈeɪɾi_fˈɔːɹ it=ɪt was=wˈʌz"),
    ("I've kind of a lot.", "I've=aɪv kind=kˈaɪnd of=əv a=ə lot=lˈɑːt"),
    ("Dr. Smith's well-known dog", "Dr=dˈɑːktɚ Smith's=smˈɪθz well-known=wˈɛlnˈoʊn dog=dˈɑːɡ"),
    ("It's 3.14 of the U.S. budget.", "It's=ɪts 3.14=θɹˈiː_pɔɪnt_wˈʌn_fˈɔːɹ of=ʌv the=ðə U.S=jˈuː.ˈɛs budget=bˈʌdʒɪt"),
    ("wait—what 😀 then", "wait=wˈeɪt what=wʌt 😀= then=ðˈɛn"),
    ("We would have been out of it", "We=wiː would=wʊd have=hɐv been=bˌɪn out=ˌaʊɾ of=əv it=ɪt"),
    ("50% & $5", "50%=fˈɪfti_pɚsˈɛnt &=ænd $5=dˈɑːlɚ_fˈaɪv"),
])
def test_espeak_merges_and_splits_and_each_word_has_its_phonemes(text, became):
    assert [piece.replace(" ", "_") for piece in pieces(text, english_cleaners2)] == became.split()


@pytest.mark.parametrize("text, language, became", [
    ("Im Jahr 1984 kam ich, am 3. Mai.", "de",
     "Im=ɪm Jahr=jˈɑːɾ 1984=ˈaɪn_tˈaʊzənt_nˈɔønhˈʊndɜt_fˈiːɾ_ʊntˈaxtsɪç kam=kˌɑːm ich=ɪç am=am 3=dɾˈaɪ Mai=mˈaɪ"),
    ("Das Geräusch-Problem gibt's", "de", "Das=das Geräusch-Problem=ɡərˈɔøʃpɾoːblˈeːm gibt's=ɡˈɪpts"),
    ("les amis, en 1998", "fr-fr", "les=lez amis=amˈi en=ɑ̃ 1998=mil_nœfsɑ̃_katʁəvɛ̃dizyˈit"),
])
def test_other_languages_are_aligned_too(text, language, became):
    assert [piece.replace(" ", "_") for piece in pieces(text, espeak, language)] == became.split()


def test_what_english_writes_out_belongs_to_the_word_it_came_from():
    text = "5 ft, e.g. on Main St. in World War II, 60 mph"
    assert pieces(text, english) == ["5=five", "ft=feet", "e.g=for example", "on=on", "Main=main", "St=street", "in=in",
                                     "World=world", "War=war", "II=two", "60=sixty", "mph=miles per hour"]
    assert pieces(text, english_espeak)[-4:] == ["War=wˈɔːɹ", "II=tˈuː", "60=sˈɪksti", "mph=mˈaɪlz pɜːɹ ˈaʊɚ"]


@pytest.mark.parametrize("text", ["", " ", "!!!", " … — ", "()"])
def test_punctuation_alone_has_no_words(text):
    assert pieces(text, english_cleaners2) == pieces(text, basic_cleaners) == []


def test_punctuation_that_is_read_out_is_one_word():
    assert [tuple(word) for word in align_words(" * ", "asterisk", lambda lines: ["asterisk"] * len(lines))] == [
        ("*", 1, 2, 0, 8)]


def test_letters_keep_their_places():
    text = "  Hello—World's  BIG (50%) word-play, “x” a a a aa:  你好 naïve... café"
    [cleaned] = basic_cleaners([text], "")
    for word in align_words(text, cleaned, partial(basic_cleaners, language="")):
        assert cleaned[word.cleaned_start:word.cleaned_end] == word.text.lower()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "aa", "a", "b", "ab", "ba", "你", "に", "\n"]), max_size=12),
       st.sampled_from(" —"))
def test_letters_keep_their_places_whatever_the_words(words, joint):
    text = joint.join(words)
    [cleaned] = basic_cleaners([text], "")
    aligned = align_words(text, cleaned, partial(basic_cleaners, language=""))
    check(text, cleaned, aligned)
    assert [cleaned[word.cleaned_start:word.cleaned_end] for word in aligned] == [word.text.lower() for word in aligned]


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)),
                max_size=12))
def test_spans_are_in_order_and_cover_whatever_the_words(words):
    pieces(" ".join(words), english_cleaners2)


@settings(max_examples=200, deadline=None)
@given(st.text("aAbˈː. ,\u0301", max_size=12), st.text("abˈˌː. ,-\u0301", max_size=15))
def test_spans_are_in_order_and_cover_whatever_the_cleaner_writes(text, cleaned):
    check(text, cleaned if text.strip() else "", align_words(text, cleaned, lambda lines: lines[::-1]))


@pytest.mark.parametrize("cleaned, alone, became", [
    ("x yz", {"A": "xy", "B": "z"}, ["x", "yz"]),  # one to one, as it costs no match
    ("ʌvˈðə", {"A": "ʌv", "B": "ðə"}, ["ʌv", "ˈðə"]),  # stress leads
    ("pːˈa", {"A": "p", "B": "a"}, ["pː", "ˈa"]),  # length follows
    ("bbcdk e fgh ijk", {"A": "b", "B": "dke", "C": "fgh ijk"}, ["bbcdk", "e", "fgh ijk"]),  # no scraps of a neighbour
    ("bb cdef xx yy", {"A": "bbc", "B": "def", "C": "xx yy"}, ["bb", "cdef", "xx yy"]),
    ("p qq rr s", {"A": "p", "B": "", "C": "", "D": "s"}, ["p", "qq", "rr", "s"]),  # what nobody wrote: who has nothing
    ("pq rs", {"A": "p", "B": "s"}, ["pq", "rs"]), ("p qq s", {"A": "p", "B": "s"}, ["p qq", "s"]),
    ("xx yy", {"A": "", "B": ""}, ["xx", "yy"]), ("", {"A": "a", "B": "b"}, ["", ""]),
])
def test_borders_stand_where_they_make_sense(cleaned, alone, became):
    words = align_words(" ".join(alone), cleaned, lambda lines: [alone[line] for line in lines])
    assert [cleaned[word.cleaned_start:word.cleaned_end] for word in words] == became


def test_the_cleaner_is_called_once_with_distinct_words():
    calls = []
    align_words("a b a, b!", "a b a, b!", lambda lines: calls.append(lines) or lines)
    assert calls == [["a", "b"]]


def test_a_cleaner_that_loses_a_line_is_named():
    with pytest.raises(ValueError, match="returned 1 lines for 2 words; expected one line for each"):
        align_words("a b", "a b", lambda lines: lines[:1])


@settings(max_examples=200, deadline=None)
@given(st.text("abc ", max_size=9), st.text("abc ", max_size=9))
def test_as_many_characters_are_matched_as_can_be(written, heard):
    longest = [[0] * (len(heard) + 1)]
    for character in written:  # the plain table
        above, row = longest[-1], [0]
        for column, other in enumerate(heard):
            row.append(above[column] + 1 if character == other else max(above[column + 1], row[-1]))
        longest.append(row)
    pairs = [(match, column) for column, match in enumerate(match_characters(written, heard)) if match >= 0]
    assert len(pairs) == longest[-1][-1] and all(written[row] == heard[column] for row, column in pairs)
    assert [row for row, _ in pairs] == sorted({row for row, _ in pairs})


def test_importing_words_is_cheap():
    code = "import sys, text.words; print({'torch', 'phonemizer', 'numpy', 'unidecode'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize("language, text, pairs", [
    ("en-us", "It has 5 m² of land.", ["5=fˈaɪv", "m²=skwˈɛɹ mˈiːɾɚz", "of=ʌv"]),
    ("en-us", "They met on May 8, 1945 in NYC.", ["8=ˈeɪtθ", "1945=nˈaɪntiːn fˈɔːɹɾi fˈaɪv", "in=ɪn",
                                                  "NYC=ˈɛn wˈaɪ sˈiː"]),
    ("de", "Am 3. Oktober kostete es 5 €.", ["3=dɾˈɪtən", "Oktober=ɔktˈoːbɜ", "5=fˈʏnf", "€=ˈɔøroː"]),
])
def test_words_of_a_stretch_that_is_read_as_one_share_what_it_became(language, text, pairs):
    processor = TextProcessor(("normalised_espeak",), language, SymbolTable.load("ipa"), False)
    cleaned = processor.clean([text])[0]
    found = [f"{word.text}={cleaned[word.cleaned_start:word.cleaned_end]}"
             for word in align_words(text, cleaned, processor.clean, processor.joined(text))]
    assert set(pairs) <= set(found), found
