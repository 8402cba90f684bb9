"""Clauses by espeak-ng: the phonemes, marks and sentences of Piper, and where they differ."""

import pytest

from text import TextProcessor
from text.espeak import phonemize_clauses
from text.symbols import SymbolTable
from text.utterances import ScriptReader, SentenceTokens

AS_PIPER = (
    "Hello.", "The birch canoe slid on the smooth planks.", "Did it rain?", "Stop!", "I am here",
    "Yes, of course; why not: try it.", "The first came. The second left! Did the third stay?", "One. Two. Three.",
    '"Come in," she said.', 'He called it "odd" and left.', "‘Never,’ he said.", "It's Tom's book, isn't it?",
    "'Tis true.", 'She asked: "Why?"', "He said «no» twice.", "The house — old and grey — stood alone.",
    "A well-known man.", "Pages 10-20 are gone.", "It is late – too late.", "Wait -- I forgot.", "Wait—no.",
    "Re-enter the X-ray room.", "He lives in the U.S. now.", "It is 5 p.m. now.", "Use e.g. a spoon.",
    "At 9 a.m. we met.", "Acme Inc. grew.", "She has a Ph.D. in law.", "It is 5:30 now.", "At 14:05 we ate.",
    "The score was 3:2.", "The ratio is 1:100.", "The cat (a black one) slept.", "See [note 3] below.",
    "A {curly} one.", "(All of it.)", "Some (few, old) men.", "What?!", "Really?! No way!", "No!!!", "Oh?? Yes.",
    "It costs $5.50.", "There were 1,200 men.", "In 1984 he died.", "It is 3.14 or so.", "50% of it.",
    "Call 555-1234.", "7,8,9 are next.", "He ran 26.2 mi. in May.", "-5 degrees.", "Visit example.com today.",
    "Mail me@site.org now.", "Salt & pepper.", "A/B testing.", "C++ and C# code.", "#1 of 2.", "The file is a.txt.",
    "~ 10 km/h.", "A line\nand another.", "Two  spaces here.", "comma ,strange", "no space.After point", "semi;colon",
    "a:b", "¿Qué?", "¡Hola!", "The café is naïve.", "Señor Núñez came.", "The Eiffel tower, in Paris, rises.",
    "NASA and the BBC agree.", "He left, but she (who was ill) stayed; then they met again: in May.")
OTHERWISE = {  # what Piper makes of it: other sentences, or a mark lost with its pause
    "Dr. Smith came.": "a sentence ends after a title",
    "Mr. and Mrs. Brown left.": "a sentence ends after a title",
    "See No. 5.": "a sentence ends after an abbreviation",
    "J. R. Tolkien wrote it.": "a sentence ends after an initial",
    "St. Paul is cold.": "a sentence ends after an abbreviation",
    "“Who is there?” asked the man.": "a sentence ends within the one that names the speaker",
    '"Stop!" he said.': "a sentence ends within the one that names the speaker",
    "Well... I suppose.": "the points are lost, and two words become one",
    "So... what now?": "the points are lost, and two words become one",
    "Hm… maybe.": "the points are lost, and two words become one",
    "First paragraph.\n\nSecond one.": "the first point is lost",
}


def ids_as_here(text: str, symbols: list[str]) -> list[list[int]]:
    processor = TextProcessor(("espeak_clauses", "decomposed"), "en-us", SymbolTable.load(symbols), add_blank=True,
                              begin_end=("^", "$"))
    return [list(item.ids) for item in ScriptReader(processor, 400).read(text) if isinstance(item, SentenceTokens)]


def ids_as_piper(text: str) -> list[list[int]]:
    """Without ʲ, which espeak-ng puts between some vowels since a version later than the one that is used here."""
    phonemize_espeak, phoneme_ids = (pytest.importorskip(f"piper.{name}") for name in ("phonemize_espeak",
                                                                                       "phoneme_ids"))
    sentences = phonemize_espeak.EspeakPhonemizer().phonemize("en-us", text)
    sentences = [[phoneme for phoneme in sentence if phoneme != "ʲ"] for sentence in sentences]
    return [phoneme_ids.phonemes_to_ids(sentence) for sentence in sentences if sentence]


@pytest.fixture(scope="module")
def piper_symbols():
    ids = pytest.importorskip("piper.phoneme_ids", reason="needs piper-tts").DEFAULT_PHONEME_ID_MAP
    return [symbol for symbol in ids if len(symbol) == 1]


@pytest.mark.parametrize("text", AS_PIPER)
def test_clauses_have_the_ids_and_the_sentences_that_piper_gives_them(text, piper_symbols):
    assert ids_as_here(text, piper_symbols) == ids_as_piper(text)


@pytest.mark.parametrize("text", OTHERWISE)
def test_where_piper_ends_a_sentence_too_early_or_loses_a_mark_is_listed(text, piper_symbols):
    assert ids_as_here(text, piper_symbols) != ids_as_piper(text)


@pytest.mark.parametrize("text, phonemes", [
    ("Dr. Smith came.", "dˈɑːktɚ smˈɪθ kˈeɪm."), ("Well... I suppose.", "wˈɛl. aɪ səpˈoʊz."),
    ("So... what now?", "sˈoʊ; wˌʌt nˈaʊ?"), ("He left. She stayed.", "hiː lˈɛft. ʃiː stˈeɪd."),
    ("Really?!", "ɹˈiəli?"), ("", ""), (" ", ""), ("“", "")])
def test_each_clause_ends_with_one_mark_and_a_point_within_a_sentence_with_none(text, phonemes):
    assert phonemize_clauses([text], "en-us") == [phonemes]


def test_clauses_of_a_language_that_espeak_lacks_name_the_nearest():
    with pytest.raises(ValueError, match="espeak-ng has no voice 'xx'"):
        phonemize_clauses(["a"], "xx")
