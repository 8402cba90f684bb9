"""A user's lexicon: what it finds in a text, how its files are read, and what is said of faulty ones."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.plain_text import to_plain_text
from text.lexicon import Lexicon
from text.markup import Pause, Prosody, TextSpan, parse_inline, parse_ssml
from text.symbols import SymbolTable


def applied(entries: dict[str, str], text: str) -> list[tuple]:
    """(text, what is said instead) of each stretch."""
    segments = Lexicon(entries).apply([TextSpan(text, None, None, Prosody(), 1, 1)])
    return [(stretch.text, stretch.phonemes or stretch.respelling) for stretch in segments]


def found(entries: dict[str, str], text: str) -> list[str]:
    return [written.strip() for written, said in applied(entries, text) if said]


# Pronunciations

def test_a_pronunciation_is_symbols_or_ipa_or_a_respelling():
    lexicon = Lexicon({"gif": "[[ g'ɪf ]]", "judge": "/ ʤʌʤ /", "nginx": " engine  ex "})
    segments = lexicon.apply(parse_inline("gif judge nginx"))
    assert [(stretch.phonemes, stretch.respelling) for stretch in segments] == [
        ("g'ɪf", None), ("dʒʌdʒ", None), (None, "engine ex")]
    assert len(lexicon) == 3


# What is found

def test_words_are_split_out_and_everything_else_stays():
    assert applied({"nginx": "engine ex"}, "So nginx, nginx  and\nmore.") == [
        ("So ", None), ("nginx", "engine ex"), (", ", None), ("nginx  ", "engine ex"), ("and\nmore.", None)]


def test_a_stretch_keeps_its_manner_and_place():
    segments = parse_ssml("<speak>\n<prosody rate='slow'>say b now</prosody></speak>")
    assert [stretch[3:] for stretch in Lexicon({"b": "bee"}).apply(segments)] == [segments[0][3:]] * 3


def test_what_has_phonemes_or_a_respelling_already_stays():
    segments = parse_ssml("<speak><sub alias='x'>b</sub> <phoneme ph='a'>b</phoneme> <break/> b</speak>")
    after = Lexicon({"b": "bee"}).apply(segments)
    assert after[:3] == segments[:3] and isinstance(after[2], Pause)
    assert after[3].respelling == "bee"


@pytest.mark.parametrize("word, text, expected", [
    ("nginx", "Nginx NGINX nginx", ["Nginx", "NGINX", "nginx"]),
    ("Polish", "Polish polish POLISH", ["Polish"]),
    ("GIF", "gif GIF Gif", ["GIF"]),
    ("straße", "STRASSE", ["STRASSE"]),
    ("don", "don don't Don's", ["don", "Don"]),
    ("don't", "DON’T don", ["DON’T"]),
    ("O'Brien", "O’Brien's O'Briens", ["O’Brien"]),
    ("it's", "It's it", ["It's"]),
    ("cat", "cats concat cat_ cat2 (cat)-cat", ["cat", "cat"]),
    ("New York", "in New\n York, New  York's", ["New\n York", "New  York"]),
    ("New York", "New, York NewYork", []),
    ("C++", "C++ and C, C+", ["C++"]),
    ("&", "AT&T", ["&"]),
    ("wi-fi", "Wi-Fi wifi", ["Wi-Fi"]),
    ("café", "cafe\u0301 café cafe", ["cafe\u0301", "café"]),
    ("cafe", "cafe\u0301", []),
    ("हिन", "हिन हिन्दी", ["हिन"]),
    ("هم", "هم می\u200cهم", ["هم"]),
    ("重庆", "我住在重庆市", ["重庆"]),
    ("ア", "アメリカ", ["ア"]),
    ("อยู่", "ผมอยู่ที่", ["อยู่"]),
    ("Москва", "Москва, Москвасити", ["Москва"]),
])
def test_entries_match_whole_words(word, text, expected):
    assert found({word: "[[x]]"}, text) == expected


def test_the_longest_entry_counts_and_the_exact_one_before_any_case():
    entries = {"new": "one", "new york": "two", "New York": "three", "new york city hall": "four", "york": "five"}
    assert applied(entries, "new New York new york city york") == [
        ("new ", "one"), ("New York ", "three"), ("new york ", "two"), ("city ", None), ("york", "five")]


def test_a_respelling_is_not_looked_up_again():
    assert applied({"a": "b", "b": "a"}, "a b") == [("a ", "b"), ("b", "a")]


def test_thousands_of_entries_find_what_a_few_would():
    random_words = random.Random(0)
    words = ["".join(random_words.choices("abcdefgh", k=5)) for _ in range(5000)]
    entries = {word: f"[[{word}]]" for word in dict.fromkeys(words)} | {f"new {word}": "x" for word in set(words)}
    text = " ".join(f"new {word} {word}x {word}" for word in words)
    stretches = applied(entries, text)
    assert [said for written, said in stretches if said] == [said for word in words for said in ("x", word)]
    assert "".join(written for written, _ in stretches) == text


LETTERS = st.sampled_from("abA'’ é\u0301-s重")
WORDS = st.text(LETTERS, min_size=1, max_size=6) | st.text(min_size=1)


@given(st.dictionaries(WORDS, st.just("x"), max_size=6), st.text(LETTERS) | st.text())
@settings(max_examples=300, deadline=None)
def test_the_text_is_kept_whatever_the_entries(entries, text):
    try:
        lexicon = Lexicon(entries)
    except ValueError as error:
        assert "there is no word" in str(error) or "already" in str(error)
        return
    segments = parse_inline(text.replace("[[", ""))
    after = lexicon.apply(segments)
    assert to_plain_text(after) == to_plain_text(segments)
    assert not any(isinstance(stretch, TextSpan) and stretch.text[:1].isspace() for stretch in after)


# Files

def test_a_file_has_a_word_and_its_pronunciation_on_each_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeff# names\r\n\r\nnginx\tengine ex\r\n  New York  \t /nuː ˈjɔːɹk/  \r\nGIF    [[dʒˈɪf]]\n"
                     .encode())
    lexicon = Lexicon.load(path)
    assert len(lexicon) == 3
    segments = lexicon.apply(parse_inline("Nginx GIF New York"))
    assert [stretch.phonemes or stretch.respelling for stretch in segments] == ["engine ex", "dʒˈɪf", "nuː ˈjɔːɹk"]


def test_a_file_may_be_a_json_object(tmp_path):
    path = tmp_path / "names.json"
    path.write_text('\n {"#1": "number one", "New York": "[[x]]"}', encoding="utf-8")
    assert found({}, "#1") == []
    assert [stretch.text for stretch in Lexicon.load(str(path)).apply(parse_inline("a #1 New York"))] == [
        "a ", "#1 ", "New York"]


@pytest.mark.parametrize("source, message", [
    (b"good\tgood\n\nnginx engine ex\nGIF\t[[x\nb\t[[a]] [[b]]\nc\t/a\nd\t/\ne\t[[ ]]\nf\t/./\nGood\tx\ngood\ty",
     "{path}:3: there is no pronunciation; write the word, a tab or two spaces, and then [[phonemes]], /IPA/ or a "
     "respelling\n"
     "{path}:4: the pronunciation '[[x' begins with [[ and does not end with the next ]]; write one pronunciation as "
     "[[phonemes]]\n"
     "{path}:5: the pronunciation '[[a]] [[b]]' begins with [[ and does not end with the next ]]; write one "
     "pronunciation as [[phonemes]]\n"
     "{path}:6: the pronunciation '/a' begins with / and does not end with the next /; write one pronunciation as "
     "/phonemes/\n"
     "{path}:7: the pronunciation '/' begins with / and does not end with the next /; write one pronunciation as "
     "/phonemes/\n"
     "{path}:8: the pronunciation '[[ ]]' has no phonemes; write [[phonemes]]\n"
     "{path}:9: the pronunciation '/./' has no phonemes; write /phonemes/\n"
     "{path}:11: 'good' is in {path}:1 already; remove one of them"),
    (b"good\tgood\nb\xff\tb", "{path}:2: this is not UTF-8; save the file in that encoding"),
    (b'{"a": "b",\n,}', "{path}:2: this begins like JSON but is not JSON: "),
    (b'{"a": ["b"]}', "{path}: 'a' has ['b']; a pronunciation is a string"),
    (b'{"a": "b", "a": "c", " ": "d"}', "{path}: 'a': 'a' is in {path}: 'a' already; remove one of them\n"
     "{path}: ' ': there is no word; write the word that is meant before its pronunciation"),
])
def test_every_faulty_line_is_named(tmp_path, source, message):
    path = tmp_path / "names.txt"
    path.write_bytes(source)
    with pytest.raises(ValueError) as error:
        Lexicon.load(path)
    assert str(error.value).startswith(message.replace("{path}", str(path)))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no lexicon .*none.txt; give the path of a file"):
        Lexicon.load(tmp_path / "none.txt")


def test_unknown_phonemes_are_refused_with_their_entries(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("a\t[[aɪ]]\nb\t[[∂]]\nc\tsee\nd\t[[3]]", encoding="utf-8")
    lexicon = Lexicon.load(path)
    lexicon.check({"a", "ɪ", "∂", "3"})
    with pytest.raises(ValueError) as error:
        lexicon.check(SymbolTable.load("published").ids)
    assert [line.split(" have ")[0] for line in str(error.value).splitlines()] == [
        f"{path}:2: the phonemes '∂'", f"{path}:4: the phonemes '3'"]
