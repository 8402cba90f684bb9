"""Text: symbol tables, cleaners, espeak-ng, and the ids that come of them."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import text
from config import DataConfig
from text import TextProcessor, UnknownSymbolError, cleaners, espeak, symbols
from text.english import normalise
from text.io import decoded
from text.symbols import SymbolTable

ROOT = Path(__file__).parents[2]
PUBLISHED = SymbolTable.load("published")
SENTENCES = (ROOT / "filelists/demo_sentences.txt").read_text(encoding="utf-8").splitlines()
TEST_SENTENCES = (ROOT / "filelists/demo_test_sentences.txt").read_text(encoding="utf-8").splitlines()


def processor(cleaner_names=(), table=PUBLISHED, add_blank=True) -> TextProcessor:
    return TextProcessor(tuple(cleaner_names), "en-us", table, add_blank)


# Symbol tables

def test_the_published_table_has_178_rows_and_the_later_apostrophe_wins():
    assert len(PUBLISHED) == len(PUBLISHED.symbols) == 178
    assert len(PUBLISHED.ids) == 177
    assert PUBLISHED.pad == "_" and PUBLISHED.ids["_"] == 0
    assert PUBLISHED.symbols[174] == PUBLISHED.symbols[176] == "'" and PUBLISHED.ids["'"] == 176
    assert PUBLISHED.symbols[175] == "\u0329"


@pytest.mark.parametrize("symbol, row", [(";", 1), (" ", 16), ("A", 17), ("Z", 42), ("a", 43), ("z", 68), ("ɑ", 69),
                                         ("ˈ", 156), ("ˌ", 157), ("ː", 158), ("ᵻ", 177)])
def test_published_symbols_keep_their_published_ids(symbol, row):
    assert PUBLISHED.ids[symbol] == row


def test_the_published_list_is_there_for_older_code():
    from text.symbols import symbols as published_list
    assert published_list == list(PUBLISHED.symbols)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = symbols.nothing


def test_the_characters_table_encodes_plain_english():
    table = SymbolTable.load("characters")
    line = cleaners.english(["Don't buy 3 well-known books (for $5)!"], "en-us")[0]
    assert processor(table=table).decode(processor(table=table).encode(line)) == line


def test_a_table_can_be_a_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("k\r\n'\r\n \r\n\u2028\r\nz".encode())
    table = SymbolTable.load(str(path))
    assert table.symbols == ("k", "'", " ", "\u2028", "z") and table.name == str(path)


def test_a_table_survives_pickling_and_comparison():
    assert PUBLISHED.ids and pickle.loads(pickle.dumps(PUBLISHED)) == PUBLISHED
    assert pickle.loads(pickle.dumps(PUBLISHED)).ids == PUBLISHED.ids


def test_a_table_may_grow_from_the_published_one():
    grown = SymbolTable.load((*PUBLISHED.symbols, "\u0303"))
    assert len(grown) == 179 and grown.ids["'"] == 176 and grown.ids["\u0303"] == 178


@pytest.mark.parametrize("spec, message", [
    ("publishd", r"'publishd' is neither a file nor a known table \(characters, ipa, published\); did you mean 'publ"),
    ((), "it is empty; it needs at least a pad"),
    (("_", "", "a"), "line 2 is empty"),
    (("_", "a", "tʃ"), r"line 3 is 'tʃ' \(U\+0074 U\+0283\), 2 characters"),
    (("_", "a", "b", "a"), "line 4 repeats 'a' of line 2; remove one"),
    ((*PUBLISHED.symbols, "a"), "line 179 repeats 'a' of line 44"),
    ((*PUBLISHED.symbols[:-1], "#"), r"line 177 repeats \"'\" of line 175"),
])
def test_a_faulty_table_is_refused_with_its_line(spec, message):
    with pytest.raises(ValueError, match=message):
        SymbolTable.load(spec)


def test_all_faults_of_a_table_come_at_once():
    with pytest.raises(ValueError, match=r"(?s)line 2 is empty.*line 3 is 'bc'.*line 4 repeats '_' of line 1"):
        SymbolTable.load(("_", "", "bc", "_"))


# Cleaners

@pytest.mark.parametrize("written, said", [
    ("$500", "five hundred dollars"), ("$3.50", "three dollars and fifty cents"), ("£2", "two pounds"),
    ("$0.01", "one cent"), ("$1.2 million", "one point two million dollars"), ("$5-$10", "five dollars to ten dollars"),
    ("1,234", "one thousand two hundred thirty four"), ("3.14", "three point one four"), ("50%", "fifty percent"),
    ("3:30 p.m.", "three thirty p m."), ("At 3:30 p.m. today", "at three thirty p m today"), ("3:00", "three o'clock"),
    ("He left at 9 a.m. She stayed.", "he left at nine a m. she stayed."), ("7:05", "seven oh five"),
    ("1999", "nineteen ninety nine"), ("in 2005", "in two thousand five"), ("1905", "nineteen oh five"),
    ("1914-1918", "nineteen fourteen to nineteen eighteen"), ("the 1980s", "the nineteen eighties"),
    ("21st", "twenty first"), ("100th", "one hundredth"), ("Mr. Bell", "mister bell"), ("Dr. Bell", "doctor bell"),
    ("St. Mary lived on Main St.", "saint mary lived on main street."), ("James T. Kirk", "james t kirk"),
    ("J. R. R. Tolkien wrote.", "j r r tolkien wrote."), ("the U.S.A. won", "the u s a won"),
    ("World War II", "world war two"), ("Henry VIII", "henry the eighth"), ("So did I. Then", "so did i. then"),
    ("555-1234", "five five five, one two three four"), ("½ cup", "one half cup"), ("007", "zero zero seven"),
    ("-5 degrees", "minus five degrees"), ("5 km", "five kilometers"), ("TV", "tv"), ("A TV set", "a t v set"),
    ("cats & dogs", "cats and dogs"), ("a (big) dog", "a, big, dog"), ("wait — what…", "wait, what..."), ("", ""),
    ("Café\n naïve", "cafe naive"), ("mother-in-law's", "mother-in-law's"), ("25:99", "twenty five to ninety nine"),
    ("$" + "9" * 400, " ".join(["nine"] * 400) + " dollars"), ("£" + "1" * 5000, " ".join(["one"] * 5000) + " pounds"),
    ("7" * 5000, " ".join(["seven"] * 5000)), ("$0.00", "zero dollars"), ("7,8,9", "seven, eight, nine"),
    ("- first", "first"), ("a  \n - b", "a, b"),
])
def test_english_is_written_out(written, said):
    assert normalise(written) == said


@settings(max_examples=150, deadline=None)
@given(st.text(st.one_of(st.sampled_from("0123456789$£%.,:-–/'#° apmstndrhVIX&()[]"), st.characters(codec="utf-8")),
               max_size=30))
def test_english_never_fails_and_leaves_only_letters_and_marks(written):
    assert re.fullmatch(r"[a-z .,:;!?\"'-]*", normalise(written))


def test_basic_and_transliteration_cleaners():
    assert cleaners.basic_cleaners([" Ça  VA?\n", ""], "fr-fr") == ["ça va?", ""]
    assert cleaners.transliteration_cleaners(["Ça  VÀ? "], "fr-fr") == ["ca va?"]


def test_published_cleaners_give_known_phonemes():
    lines = ["How much variation is there?", "Mrs. Bell, has 3 cats."]
    with_marks = ["hˌaʊ mˈʌtʃ vˌɛɹɪˈeɪʃən ɪz ðˈɛɹ?", "mɪsˈɛs bˈɛl, hɐz θɹˈiː kˈæts."]  # of espeak-ng 1.52
    assert cleaners.english_cleaners2(lines, "en-us") == with_marks
    bare = cleaners.english_cleaners(lines, "en-us")
    assert bare[0] == "haʊ mʌtʃ vɛɹɪeɪʃən ɪz ðɛɹ"
    assert not any(set(line) & set("ˈˌ?,.") for line in bare)


def test_published_cleaners_are_english_whatever_the_language():
    assert cleaners.english_cleaners2(["Hello"], "de") == cleaners.english_cleaners2(["Hello"], "en-us")


def test_published_abbreviations_expand():
    assert len(cleaners.PUBLISHED_ABBREVIATIONS) == 18
    assert cleaners.english_cleaners2(["Dr. Who"], "") == cleaners.english_cleaners2(["doctor who"], "")


def test_an_unknown_cleaner_names_the_nearest():
    with pytest.raises(ValueError, match="no text cleaner 'english_cleaner'; did you mean 'english_cleaners'"):
        processor(["english_cleaner"])


def test_a_cleaner_of_ones_own_registers_once(monkeypatch):
    monkeypatch.setattr(cleaners, "CLEANERS", dict(cleaners.CLEANERS))
    cleaners.cleaner("loud")(lambda lines, language: [line.upper() for line in lines])
    assert processor(["basic_cleaners", "loud"]).clean([" a  b"]) == ["A B"]
    with pytest.raises(ValueError, match="there is a cleaner 'loud' already"):
        cleaners.cleaner("loud")(lambda lines, language: lines)


def test_importing_text_is_cheap():
    heavy = "{'torch', 'phonemizer', 'num2words', 'unidecode', 'espeakng_loader', 'numpy'}"
    code = f"import sys, text.cleaners, text.english, text.espeak; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


# espeak-ng

@pytest.mark.parametrize("preserve", [True, False])
def test_every_line_gives_one_line(preserve):
    lines = ["", "!?", "Hello.", " ", "...", "One, two", "-", "a\nb", "3.14 is pi.", "«¿Sí?»", "x\0y", ""]
    phonemes = espeak.phonemize(lines, "en-us", preserve_punctuation=preserve)
    assert len(phonemes) == len(lines)
    assert phonemes[0] == phonemes[-1] == ""
    assert phonemes[1] == ("!?" if preserve else "")
    assert [espeak.phonemize([line], "en-us", preserve_punctuation=preserve)[0] for line in lines] == phonemes


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.sampled_from('ab 1.,!?—"-()\n'), max_size=12), max_size=6))
def test_every_line_keeps_its_marks(lines):
    phonemes = espeak.phonemize(lines, "en-us")
    assert len(phonemes) == len(lines)
    for line, spoken in zip(lines, phonemes):
        assert re.sub('[^!?—"]', "", spoken) == re.sub('[^!?—"]', "", line)


def test_a_decimal_point_is_no_punctuation():
    assert espeak.phonemize(["7,8,9", "1,000", "1,000,000.5"], "en-us") == [
        "sˈɛvən, ˈeɪt, nˈaɪn", "wˈʌn θˈaʊzənd", "wˈʌn mˈɪliən pɔɪnt fˈaɪv"]
    of_german = espeak.phonemize(["7,8,9 und 3,5", "3,14159", "1,23,4, ja"], "de")
    assert [phonemes.count(",") for phonemes in of_german] == [2, 0, 3]
    assert espeak.phonemize(["3.14 is pi."], "en-us") == ["θɹˈiː pɔɪnt wˈʌn fˈɔːɹ ɪz pˈaɪ."]


@pytest.mark.parametrize("language, line, phonemes", [
    ("de", "Straße, ich?", "ʃtɾˈɑːsə, ɪç?"), ("es", "¿Qué tal, niño?", "¿kˈe tˈal, nˈiɲo?"),
    ("fr-fr", "un bon vin blanc", "œ̃ bˈɔ̃ vˈɛ̃ blˈɑ̃"), ("en-gb", "hot", "hˈɒt"),
])
def test_languages_have_their_phonemes(language, line, phonemes):
    assert espeak.phonemize([line], language) == [phonemes]


def test_words_read_in_another_language_leave_no_flags(capfd):
    (phonemes,) = espeak.phonemize(["j'aime le football, oui!"], "fr-fr")
    assert not set("()-") & set(phonemes) and phonemes.endswith("!")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("language, message", [
    ("en_us", "no language 'en_us'; did you mean .*'en-us'"), ("german", r"did you mean 'de' \(German\)\?"),
    ("qqqqqq", "it has af, am, "),
])
def test_an_unknown_language_names_the_nearest(language, message):
    with pytest.raises(ValueError, match=message):
        espeak.phonemize(["a"], language)


def test_one_backend_is_made_for_each_language(monkeypatch):
    import phonemizer.backend
    made = []

    class Counted(phonemizer.backend.EspeakBackend):
        def __init__(self, language: str, **options) -> None:
            made.append(language)
            super().__init__(language, **options)

    espeak.languages()
    monkeypatch.setattr(phonemizer.backend, "EspeakBackend", Counted)
    espeak._backend.cache_clear()
    for _ in range(3):
        espeak.phonemize(["a"], "en-us")
        espeak.phonemize(["a"], "en-us", preserve_punctuation=False)
        espeak.phonemize(["a"], "de")
    assert made == ["en-us", "de"]
    espeak._backend.cache_clear()


def test_a_library_of_the_users_own_is_left_alone():
    code = ("from text import espeak; espeak.languages();"
            "from phonemizer.backend.espeak.wrapper import EspeakWrapper; print(EspeakWrapper._ESPEAK_LIBRARY)")
    import os

    import espeakng_loader
    environment = {**os.environ, "PHONEMIZER_ESPEAK_LIBRARY": espeakng_loader.get_library_path(),
                   "PHONEMIZER_ESPEAK_DATA_PATH": espeakng_loader.get_data_path()}
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                           env=environment)
    assert found.stdout.strip() == "None"


def test_speaking_and_phonemizing_share_a_process():
    before = espeak.phonemize(["How much?"], "en-us")
    short, empty, long = espeak.speak(["Hello.", "", "The big dog ran over the green hill."])
    assert short.dtype == np.int16 and len(short) < len(long) and np.abs(long.astype(int)).max() > 3000
    assert 1.0 < len(long) / espeak.SAMPLING_RATE < 4.0
    assert len(empty) < 2000
    (fast,) = espeak.speak(["The big dog ran over the green hill."], words_per_minute=300)
    assert len(fast) < 0.8 * len(long)
    assert espeak.phonemize(["How much?"], "en-us") == before
    (again,) = espeak.speak(["The big dog ran over the green hill."])
    assert abs(len(again) - len(long)) < 0.02 * len(long)


def test_speaking_refuses_unknown_voices_and_rates():
    with pytest.raises(ValueError, match="no voice 'klingonish'"):
        next(espeak.speak(["a"], voice="klingonish"))
    with pytest.raises(ValueError, match="words_per_minute is 9; expected 80 to 450"):
        next(espeak.speak(["a"], words_per_minute=9))


# Ids

@pytest.mark.parametrize("add_blank", [True, False])
@settings(max_examples=100, deadline=None)
@given(cleaned=st.text(st.sampled_from(sorted(set(PUBLISHED.symbols) - {"_"})), min_size=1, max_size=40))
def test_what_is_encoded_decodes_to_itself(add_blank, cleaned):
    both = processor(add_blank=add_blank)
    if cleaned.strip():
        ids = both.encode(cleaned)
        assert len(ids) == (2 * len(cleaned) + 1 if add_blank else len(cleaned))
        assert both.decode(ids) == cleaned == both.decode(ids + [0] * 5)
        assert both.encode_lenient(cleaned)[:2] == (ids, [])


def test_blanks_stand_between_before_and_after():
    assert processor().encode("ab'") == [0, 43, 0, 44, 0, 176, 0]
    assert processor(add_blank=False).encode("ab'") == [43, 44, 176]
    assert text.intersperse([5], 0) == [0, 5, 0] and text.intersperse([], 0) == [0]


AROUND = SymbolTable.load(("_", "^", "$", "a", "b"))


def around(add_blank=True) -> TextProcessor:
    return TextProcessor((), "en-us", AROUND, add_blank, begin_end=("^", "$"))


def test_a_begin_and_an_end_stand_around_the_blanks():
    assert around().encode("ab") == [1, 0, 3, 0, 4, 0, 2]
    assert around(add_blank=False).encode("ab") == [1, 3, 4, 2]
    assert around().encode_lenient("aéb") == ([1, 0, 3, 0, 4, 0, 2], ["é"], [-1, -1, 0, -1, 2, -1, -1])
    assert around().encode_lenient("é") == ([], ["é"], [])
    assert around(add_blank=False).encode_lenient("ab").places == [-1, 0, 1, -1]


@pytest.mark.parametrize("add_blank", [True, False])
def test_many_texts_add_special_ids_are_the_texts_encoded_one_by_one(add_blank):
    both = around(add_blank)
    encoded = both.encode_all(["ab", "a"])
    assert both.add_special_ids(encoded.ids[:2].tolist()) == both.encode("ab")
    assert both.add_special_ids(encoded.ids[2:].tolist()) == both.encode("a")


@pytest.mark.parametrize("add_blank", [True, False])
def test_begin_end_and_padding_go_when_ids_are_decoded(add_blank):
    both = around(add_blank)
    ids = both.encode("ab$a")  # its end mark within a text is a symbol like others
    assert both.decode(ids) == both.decode([*ids, 0, 0]) == "ab$a"


@pytest.mark.parametrize("ids", [[], [1], [0, 3, 0], [1, 0, 3, 0]])
def test_ids_without_a_begin_or_an_end_are_refused_where_the_voice_has_them(ids):
    with pytest.raises(ValueError, match=r"begin with 1 \('\^'\) and end with 2 \('\$'\); found .* data.begin_end"):
        around().decode(ids)


def test_a_begin_that_the_table_lacks_is_refused():
    with pytest.raises(ValueError, match=r"data.begin_end has '\^', which the table 'published' lacks; name two"):
        TextProcessor.from_config(DataConfig(begin_end=("^", "a")))


def test_accents_become_symbols_behind_their_letters():
    assert cleaners.decomposed(["ɪç é", "a"], "de") == ["ɪc\u0327 e\u0301", "a"]


def test_a_letter_in_row_0_is_decoded_by_its_place():
    table = SymbolTable.load(("k", "i", "c"))
    assert processor(table=table).decode(processor(table=table).encode("kick")) == "kick"


def test_both_apostrophe_rows_decode_to_an_apostrophe():
    assert processor(add_blank=False).decode([174, 176]) == "''"


def test_an_unknown_symbol_is_refused_with_its_place():
    with pytest.raises(UnknownSymbolError) as caught:
        processor().encode("a#b\u0303#")
    error = caught.value
    assert (error.symbol, error.position, error.positions, error.table) == ("#", 1, (1, 3, 4), "published")
    assert "the table 'published' lacks: '#' (U+0023) at 1 4, '\u0303' (U+0303) at 3; change the text" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("cleaned", ["", "  "])
def test_an_empty_text_is_refused(cleaned):
    with pytest.raises(ValueError, match="the cleaned text is empty .* what the cleaners espeak make of it"):
        processor(["espeak"]).encode(cleaned)


@pytest.mark.parametrize("cleaned, heard, unknown", [
    ("café", "cafe", "é"), ("ﬁn", "fin", "ﬁ"), ("a–b", "a—b", "–"), ("don’t", "don't", "’"), ("a#b", "a b", "#"),
    ("ɑ\u0303n", "ɑn", "\u0303"), ("a。", "a.", "。"), ("ＡＢ", "AB", "ＡＢ"), ("(a)", ",a,", "()"),
    ("a5#", "a  ", "5#"),
])
def test_unknown_symbols_are_substituted_and_told(cleaned, heard, unknown):
    both = processor()
    encoded = both.encode_lenient(cleaned)
    assert encoded.ids == both.encode(heard) and encoded.unknown == list(unknown)


def test_case_and_missing_spaces_are_substituted():
    upper = processor(table=SymbolTable.load(("_", "A", "B")), add_blank=False)
    assert upper.encode_lenient("a b") == ([1, 2], ["a", " ", "b"], [0, 2])


def test_nothing_left_to_say_gives_no_ids():
    assert processor().encode_lenient("") == ([], [], [])
    assert processor().encode_lenient("你") == ([], ["你"], [])


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_lenient_encoding_takes_any_text_and_tells_every_unknown(cleaned):
    encoded = processor().encode_lenient(cleaned)
    assert encoded.unknown == [symbol for symbol in cleaned if symbol not in PUBLISHED.ids]
    assert all(0 <= symbol_id < 178 for symbol_id in encoded.ids)
    for symbol_id, place in zip(encoded.ids, encoded.places, strict=True):  # the symbol itself, or what replaces it
        assert place >= 0 or symbol_id == 0
        assert place == -1 or cleaned[place] not in PUBLISHED.ids or PUBLISHED.ids[cleaned[place]] == symbol_id


@pytest.mark.parametrize("ids, message", [
    ([0, 178, 0], "id 178 at 1 is not in the table 'published' of 178 rows"),
    ([0, 5, 6], "id 6 at 2 should be a blank"),
])
def test_ids_of_another_making_are_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        processor().decode(ids)


def test_the_processor_follows_the_configuration():
    made = TextProcessor.from_config(DataConfig(text_cleaners=("espeak",), language="de", add_blank=False))
    assert made == TextProcessor(("espeak",), "de", PUBLISHED, False)
    assert made.clean(["ich"]) == ["ɪç"]
    assert TextProcessor.from_config(DataConfig(symbols=("_", "a"))).symbols.symbols == ("_", "a")


def test_published_functions_have_no_blanks():
    ids = text.text_to_sequence("How much?", ["english_cleaners2"])
    assert text.sequence_to_text(ids) == "hˌaʊ mˈʌtʃ?"
    assert text.cleaned_text_to_sequence("hˌaʊ mˈʌtʃ?") == ids and len(ids) == 11


# The demo corpus

def test_demo_sentences_are_distinct_and_plain():
    assert len(SENTENCES) >= 400 and len(TEST_SENTENCES) == 100
    both = [line.lower() for line in SENTENCES + TEST_SENTENCES]
    assert len(set(both)) == len(both)
    for lines, fewest, most in ((SENTENCES, 5, 9), (TEST_SENTENCES, 6, 10)):
        for line in lines:
            assert re.fullmatch("[A-Z][A-Za-z', ]*[.?!]", line), line
            assert fewest <= len(line.split()) <= most, line


@pytest.mark.parametrize("name", ["english_cleaners2", "english_espeak"])
def test_demo_sentences_encode_in_the_published_table(name):
    both = processor([name])
    for cleaned in both.clean(SENTENCES + TEST_SENTENCES):
        assert both.decode(both.encode(cleaned)) == cleaned


def test_the_ipa_table_extends_the_published_one_to_other_languages():
    published, ipa = SymbolTable.load("published"), SymbolTable.load("ipa")
    assert ipa.symbols[:178] == published.symbols
    lines = [("fr-fr", "Un bon vin blanc."), ("pt", "São João não está."), ("cmn", "你好"), ("vi", "xin chào")]
    for language, line in lines:
        processor = TextProcessor(("espeak",), language, ipa, add_blank=True)
        [cleaned] = processor.clean([line])
        assert processor.decode(processor.encode(cleaned)) == cleaned


def test_languages_whose_dictionaries_are_missing_are_not_offered():
    assert "fo" not in espeak.languages()
    with pytest.raises(ValueError, match="espeak-ng has no language 'fo'"):
        espeak.phonemize(["hallo"], "fo")


def test_every_language_name_speaks_with_and_without_a_variant():
    voices = ("en-gb", "en-gb+m7", "en-us", "de", "fr-fr")
    lengths = [len(next(espeak.speak(["hello there"], voice))) for voice in voices]
    assert min(lengths) > 5000


@given(st.lists(st.text(alphabet="ab ɑˈ'日𝄞\ud800", max_size=6), max_size=5))
def test_many_texts_at_once_give_the_ids_and_the_faults_of_each(texts):
    one_by_one = processor(add_blank=False)
    encoded = one_by_one.encode_all(texts)
    rows = np.split(encoded.ids, np.cumsum(encoded.lengths)[:-1]) if texts else []
    faults = {place: str(error) for place, error in encoded.faults}
    assert encoded.ids.dtype == np.uint8 and len(rows) == len(texts) == len(encoded.lengths)
    for place, (written, row) in enumerate(zip(texts, rows)):
        try:
            assert one_by_one.encode(written) == row.tolist() and place not in faults
        except ValueError as error:
            assert faults[place] == str(error)


KILLERS = [("de", "🤠漢"), ("de", "🚼ヽ"), ("de", "Kaufe 🤠 heute Ѻ"), ("pt", "©Ҭ"), ("pt", "🤵 🥌 🥾 漢"),
           ("am", "ⓜѺ"), ("ar", "⣿ 漢"), ("el", "🅰Ѻ"), ("de", "🤠  🠴 🚃"), ("hi", "ꩂCowboy忢"), ("mr", "ꜘé漢Cowboy"),
           ("hi", "🛏ꩂCowboy忢🔪 👶"), ("de", "\ud83d\0漢")]


def test_no_pictograph_ends_the_process():
    code = ("import sys, ast; from text import espeak\n"
            "for language, line in ast.literal_eval(sys.argv[1]): print(len(espeak.phonemize([line] * 5, language)))")
    done = subprocess.run([sys.executable, "-c", code, ascii(KILLERS)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == ["5"] * len(KILLERS), done.stderr


@settings(max_examples=60, deadline=None)
@given(st.text(st.one_of(st.characters(categories=["So", "Sk", "Cs", "Cc"]), st.sampled_from("ab漢. ,°\u200d\ufe0f")),
               max_size=12))
def test_espeak_gets_no_pictograph(line):
    given_to_it = espeak._unreadable().sub(" ", line)
    assert not [sign for sign in given_to_it
                if unicodedata.category(sign) in ("So", "Cs") and sign not in "°℃℉№"]


@pytest.mark.parametrize("language, nearest", [
    ("zh", "cmn"), ("zh-CN", "cmn"), ("zh_TW", "cmn"), ("zh-HK", "yue"), ("jp", "ja"), ("iw", "he"), ("no", "nb"),
    ("Deutsch", "de"), ("deu", "de"), ("de-DE", "de"), ("fr", "fr-fr"), ("français", "fr-fr"), ("en", "en-us"),
    ("English", "en-us"), ("español", "es"), ("日本語", "ja"),
    ("ger", "de"), ("ua", "uk"), ("kr", "ko"), ("sr-Latn", "sr"), ("Englisch", "en-us"), ("Hochdeutsch", "de"),
    ("us", "en-us"), ("at", "de"), ("ch", "de"), ("gsw", "de"), ("simple", "en-us"), ("Schweizer Deutsch", "de"),
    ("Französisch", "fr-fr"), ("anglais", "en-us"), ("mx", "es-419"), ("it-CH", "it"), ("gb", "en-gb"),
    ("br", "pt-br")])
def test_a_language_is_guessed_by_the_names_that_people_have_for_it(language, nearest):
    with pytest.raises(ValueError, match=rf"no language '{language}'; did you mean '{nearest}' \("):
        espeak.phonemize(["a"], language)


@pytest.mark.parametrize("language", ["tl", "fil", "fil-PH", "Tagalog"])
def test_a_language_that_espeak_lacks_is_named_as_such(language):
    with pytest.raises(ValueError, match=r"for it does not speak Tagalog \(Filipino\)"):
        espeak.phonemize(["a"], language)


def test_every_name_of_a_language_leads_to_one_that_there_is():
    assert set(espeak._OTHER_NAMES) <= set(espeak.languages())
    names = [name for others in espeak._OTHER_NAMES.values() for name in others.split()]
    assert len(names) == len(set(names))


def test_a_process_that_forks_while_a_thread_phonemizes_goes_on():
    code = """
import os, threading
from text.espeak import phonemize
phonemize(["a"], "de")
done = threading.Event()
def work():
    while not done.is_set():
        phonemize(["Guten Morgen."] * 50, "de")
thread = threading.Thread(target=work)
thread.start()
for _ in range(5):
    child = os.fork()
    if not child:
        phonemize(["Guten Tag."], "de")
        os._exit(0)
    print(os.waitpid(child, 0)[1])
done.set()
thread.join()
"""
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True,
                           timeout=60)
    assert found.returncode == 0 and found.stdout.split() == ["0"] * 5, found.stderr


def test_digits_that_a_voice_drops_are_told():
    dropping = processor(["mms_cleaners"], SymbolTable("letters", ("_", " ", *"abcdefghijklmnopqrstuvwxyz")))
    with pytest.warns(UserWarning,
                      match="letters, digits and signs that this voice was not trained on are left out: 1 2 é"):
        assert dropping.clean(["At 12, é!"]) == ["at"]
    with pytest.warns(UserWarning, match="are left out: & ÷ π"):
        assert dropping.clean(["π & ÷!"]) == [""]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dropping.clean(["So it is!"]) == ["so it is"]


@pytest.mark.parametrize("language, text, letters", [
    ("de", "Hallo 世界", "世界 .CJK, Han"), ("ja", "世界", "世界 .CJK, Han"), ("en-us", "Привет", "Приве")])
def test_letters_of_a_script_that_espeak_cannot_read_are_told(language, text, letters):
    speaking = TextProcessor(("normalised_espeak",), language, SymbolTable.load("ipa"), False)
    with pytest.warns(UserWarning, match=letters):
        speaking.clean([text])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        speaking.clean(["Le café π 5 μm, Größe"])


@pytest.mark.parametrize("content, message", [
    (b"one\ncaf\xe9\n", "lines.txt:2: this is not UTF-8; save the file in that encoding .byte 0xe9"),
    ("a\nb".encode("utf-16-le"), "lines.txt:1: this is not UTF-8 text, for it has a byte 0x00"),
    (b"\xff\xfea", "lines.txt:1: this is not UTF-16, as its first bytes say")])
def test_a_text_in_another_encoding_is_refused_with_file_and_line(content, message):
    with pytest.raises(ValueError, match=message):
        decoded(content, "lines.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_text(encoding):
    assert decoded("Grüße\n".encode(encoding), "lines.txt") == "Grüße\n"


# Symbols of a voice from outside


def test_an_error_of_a_file_of_symbols_quotes_nothing_of_it(tmp_path):
    secrets = ["password: hunter2", "a", "b", "b", "", "42 Elm Street"]
    (tmp_path / "other.txt").write_text("\n".join(secrets) + "\n")
    with pytest.raises(ValueError) as raised:
        SymbolTable.load(str(tmp_path / "other.txt"))
    message = str(raised.value)
    assert "line 1 has 17 characters" in message and "line 4 repeats line 3" in message
    assert not any(secret in message for secret in ("hunter", "Elm", "'b'", "U+0070"))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 2**21, b"ab\n" * 9999])
def test_a_file_that_is_no_table_is_one_short_message(tmp_path, content):
    (tmp_path / "other.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"symbol table .*other\.bin: ") as raised:
        SymbolTable.load(str(tmp_path / "other.bin"))
    assert len(str(raised.value)) < 4000


@pytest.mark.parametrize("spec", ["../elsewhere.txt", "/etc/passwd", "config.json", "LICENSE", "publishd", ""])
def test_a_voice_names_no_file_for_its_symbols(spec):
    with pytest.raises(ValueError, match=r"voice/config.json: data\.symbols is .*No file is read"):
        symbols.check_inside(spec, "voice/config.json")
    symbols.check_inside("published", "voice/config.json")
    symbols.check_inside(("_", "a"), "voice/config.json")
