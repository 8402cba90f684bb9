"""What a text becomes before a voice says it: sentences, pauses, words, prosody, each at its tokens."""

import itertools
from dataclasses import replace
from xml.sax.saxutils import escape

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from synthesis.controls import timings_of, trim_cut_ends
from text import TextProcessor
from text.lexicon import Lexicon
from text.markup import MarkupError
from text.symbols import PUBLISHED, SymbolTable
from text.utterances import LONGEST_UTTERANCE, ScriptReader, SentenceTokens, Silence, tokens_of_ids


def words_with(lexicon, text, language="en-us"):
    """Words of one sentence with their phonemes, by the cleaners that read numbers and acronyms aloud."""
    speaking = TextProcessor(("normalised_espeak",), language, SymbolTable.load("ipa"), False)
    [sentence] = [item for item in ScriptReader(speaking, lexicon=Lexicon(lexicon)).read(text)
                  if isinstance(item, SentenceTokens)]
    return dict(of_words(sentence))


@pytest.mark.parametrize("entry, text, language", [
    ({"NYC": "/nˈɪk/"}, "NYC is large", "en-us"), ({"km": "/klˈɪks/"}, "It is 7 km away", "en-us"),
    ({"7 km": "/fˈɑːɹ/"}, "It is 7 km away", "en-us"), ({"read": "/ɹˈiːd/"}, "I have read it", "en-us"),
    ({"NASA": "/nˈɑːsə/"}, "NASA said", "en-us"), ({"Dr.": "/dɹˈɪft/"}, "Dr. Bell came", "en-us"),
    ({"EU": "/ˈɔø/"}, "Die EU tagt", "de"), ({"kg": "/kˈiːloː/"}, "Er kauft 3 kg Mehl", "de"),
    ({"bzw.": "/bətsˈiː/"}, "Er kam bzw. ging", "de")])
def test_an_entry_comes_before_acronyms_units_abbreviations_and_heteronyms(entry, text, language):
    [(written, phonemes)] = entry.items()
    assert words_with({}, text, language).get(written) != phonemes.strip("/")
    assert words_with(entry, text, language)[written] == phonemes.strip("/")


def processor(cleaners=("english_cleaners2",), language="en-us", add_blank=True):
    return TextProcessor(cleaners, language, SymbolTable.load(PUBLISHED), add_blank)


@pytest.fixture(scope="module")
def letters():
    """Says what is written."""
    return ScriptReader(processor(("basic_cleaners",)), max_characters=80)


@pytest.fixture(scope="module")
def english():
    return ScriptReader(processor(), max_characters=190)


def read(reader, text):
    return list(reader.read(text))


def said(item):
    return "".join(item.symbols)


def of_words(utterance):
    return [(word.text, "".join(utterance.symbols[word.first : word.end])) for word in utterance.words]


def test_sentences_and_paragraphs_are_parted_by_their_pauses(letters):
    items = read(letters, "One two. Three.\n\nFour.")
    assert [item.text if isinstance(item, SentenceTokens) else item.seconds for item in items] == [
        "One two.", 0.2, "Three.", 0.6, "Four."]
    assert said(items[0]) == "one two." and items[0].ids == tuple(letters.processor.encode("one two."))
    assert of_words(items[0]) == [("One", "one"), ("two", "two")]


def test_pauses_of_no_length_are_left_out():
    reader = ScriptReader(processor(("basic_cleaners",)), sentence_pause=0, paragraph_pause=0)
    assert [type(item) for item in reader.read("One. Two.\n\nThree.")] == [SentenceTokens] * 3


def test_a_text_that_grows_is_read_as_soon_as_a_sentence_is_complete(letters):
    fed = []

    def pieces():
        for piece in ("Hello wor", "ld. How ", "are you? I", " am fine"):
            fed.append(piece)
            yield piece

    items = letters.read(pieces())
    assert next(items).text == "Hello world." and len(fed) == 2
    assert [item.text for item in items if isinstance(item, SentenceTokens)] == ["How are you?", "I am fine"]


def test_a_long_book_is_read_as_it_is_needed(letters):
    first = list(itertools.islice(letters.read("A sentence of a book. " * 100_000), 3))
    assert first[0].text == first[2].text == "A sentence of a book."


def test_no_utterance_is_longer_than_the_guard(letters):
    items = read(letters, "word and " * 100)
    assert all(len(item.text) <= 80 for item in items if isinstance(item, SentenceTokens))
    assert sum(len(item.words) for item in items if isinstance(item, SentenceTokens)) == 200


def test_every_token_that_is_heard_belongs_to_a_word_in_order(english):
    [utterance] = read(english, "One of the 21 cats isn't here, Dr. Smith!")
    assert of_words(utterance) == [
        ("One", "wˈʌn"), ("of", "ʌv"), ("the", "ðə"), ("21", "twˈɛnti wˈʌn"), ("cats", "kˈæts"), ("isn't", "ˌɪzənt"),
        ("here", "hˈɪɹ"), ("Dr", "dˈɑːktɚ"), ("Smith", "smˈɪθ")]
    owned = [token for word in utterance.words for token in range(word.first, word.end)]
    assert owned == sorted(set(owned))
    left = {symbol for token, symbol in enumerate(utterance.symbols) if token not in owned}
    assert not any(symbol.isalpha() for symbol in left)


def test_inline_phonemes_are_said_as_they_are(english):
    [utterance] = read(english, "I say [[təmˈɑːtoʊ]], you know.")
    assert "təmˈɑːtoʊ," in said(utterance) and ("təmˈɑːtoʊ", "təmˈɑːtoʊ") in of_words(utterance)


def test_phonemes_that_the_voice_does_not_know_are_refused_with_their_place(english):
    with pytest.raises(MarkupError, match=r"line 1, column 5.*'Ж' \(U\+0416"):
        read(english, "Say [[Ж]].")


def test_ssml_changes_the_manner_of_its_words_only(letters):
    [utterance] = read(letters, "<speak>one <prosody rate='50%' volume='+6dB'>two</prosody> three</speak>")
    rate_of = {word.text: {utterance.token_prosody[token].rate for token in range(word.first, word.end)}
               for word in utterance.words}
    assert rate_of == {"one": {1.0}, "two": {0.5}, "three": {1.0}}
    assert {prosody.volume_db for prosody in utterance.token_prosody} == {0.0, 6.0}
    assert utterance.ids == tuple(letters.processor.encode("one two three"))


def test_a_break_is_a_pause_of_its_own_and_replaces_the_one_between_sentences(letters):
    items = read(letters, "<speak>One.<break time='1234ms'/>Two. Three<break time='2s'/>four.</speak>")
    assert [item.text if isinstance(item, SentenceTokens) else item.seconds for item in items] == [
        "One.", 1.234, "Two.", 0.2, "Three", 2.0, "four."]


def test_marked_sentences_and_paragraphs_are_taken_as_such(letters):
    items = read(letters, "<speak><p><s>Mr. X. said so</s><s>and went.</s></p><p>End</p></speak>")
    assert [item.text if isinstance(item, SentenceTokens) else item.seconds for item in items] == [
        "Mr. X. said so", 0.2, "and went.", 0.6, "End"]


def test_a_respelling_counts_as_the_word_that_was_written(english):
    [utterance] = read(english, "<speak>The <sub alias='World Wide Web'>WWW</sub> is big.</speak>")
    assert utterance.text == "The WWW is big."
    assert ("WWW", "wˈɜːld wˈaɪd wˈɛb") in of_words(utterance)


def test_another_speaker_begins_another_utterance(letters):
    items = read(letters, "<speak>one <voice name='bob'>two</voice> three</speak>")
    assert [(item.text, item.speaker) for item in items] == [("one", None), ("two", "bob"), ("three", None)]


def test_bookmarks_stand_before_the_next_word_or_in_the_silence_behind_the_last(letters):
    items = read(letters, "<speak>one <mark name='a'/>two. <mark name='b'/>three <mark name='c'/><break/> "
                          "four<mark name='d'/></speak>")
    found = {}
    for number, item in enumerate(items):
        if isinstance(item, Silence):
            found |= {name: (number, "silence") for name in item.bookmarks}
        else:
            for name, token in item.bookmarks:
                found[name] = (number, next(word.text for word in item.words if word.first >= token))
    assert [item.text if isinstance(item, SentenceTokens) else "-" for item in items] == [
        "one two.", "-", "three", "-", "four", "-"]
    assert found == {"a": (0, "two"), "b": (2, "three"), "c": (3, "silence"), "d": (5, "silence")}


def test_a_lexicon_is_heard_in_plain_text_and_in_markup():
    reader = ScriptReader(processor(), lexicon=Lexicon({"nginx": "engine ex", "vits": "/vˈɪts/"}))
    [plain] = read(reader, "Nginx and VITS.")
    assert said(plain) == "ˈɛndʒɪn ˈɛks ænd vˈɪts." and [word.text for word in plain.words] == ["Nginx", "and", "VITS"]
    [marked] = read(reader, "<speak>Nginx and VITS.</speak>")
    assert marked == plain


def test_a_lexicon_with_phonemes_that_the_voice_lacks_is_refused_at_once():
    with pytest.raises(ValueError, match="'Ж'"):
        ScriptReader(processor(), lexicon=Lexicon({"x": "[[Ж]]"}))


def test_what_has_nothing_to_say_is_left_out(letters):
    assert read(letters, "  \n ") == [] and read(letters, "你") == []
    assert [item.text for item in read(letters, "<speak><s>one</s><s> </s></speak>")] == ["one"]


def test_unknown_symbols_are_told(letters):
    [utterance] = read(letters, "one 你 two")
    assert utterance.unknown == ("你",) and [word.text for word in utterance.words][0] == "one"


def test_without_blanks_each_token_is_a_symbol():
    reader = ScriptReader(processor(("basic_cleaners",), add_blank=False))
    [utterance] = read(reader, "ab cd")
    assert utterance.symbols == tuple("ab cd") and of_words(utterance) == [("ab", "ab"), ("cd", "cd")]


def test_ids_have_the_symbols_of_their_rows():
    both = processor(("basic_cleaners",))
    utterance = tokens_of_ids(both.encode("ab"), both)
    assert utterance.symbols == ("", "a", "", "b", "") and utterance.text == "ab" and utterance.words == ()


@pytest.mark.parametrize("add_blank", [True, False])
def test_begin_and_end_say_nothing(add_blank):
    table = SymbolTable.load(("_", "^", "$", "a", "b", " "))
    both = TextProcessor(("basic_cleaners",), "en-us", table, add_blank, begin_end=("^", "$"))
    [read_out] = ScriptReader(both).read("ab a")
    assert read_out.ids == tuple(both.encode("ab a")) and "".join(read_out.symbols) == "ab a"
    assert read_out.symbols[0] == read_out.symbols[-1] == ""
    assert ["".join(read_out.symbols[word.first : word.end]) for word in read_out.words] == ["ab", "a"]
    assert tokens_of_ids(read_out.ids, both).symbols == read_out.symbols


SIGNS = ("😀 ❤️ -> > < ~ √2 ≈ % ∞ || && | → • © ™ ° — - * ** # @ ^ _ \\ / + = $ € ( ) [ ] … « » ! ? , ; : ' "
         "\u200b \u00ad \ufe0f 👩‍🚀 🇩🇪 1️⃣ \u0301 ½ ² № ☃ ✓ 🤠漢").split()
WORDS = "hello world Dr. 5 3.14 21st Ich bin da 漢字 こんにちは don't 1,000 U.S.A. é".split()
READERS = [ScriptReader(TextProcessor((cleaner,), language, SymbolTable.load("ipa"), add_blank), max_characters=60)
           for cleaner, language, add_blank in [("english_cleaners2", "en-us", True), ("english", "en-us", False),
                                                ("espeak", "de", True), ("basic_cleaners", "de", True)]]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(READERS), st.lists(st.sampled_from([*SIGNS, *WORDS]), min_size=1, max_size=9),
       st.sampled_from([" ", ""]), st.sampled_from([None, "<emphasis>", "<sub alias='a sign'>"]), st.data())
def test_marks_are_in_order_and_within_the_audio_whatever_signs_are_written(reader, parts, between, element, data):
    if element is None:
        source = between.join(parts)
    else:
        closing = f"</{element[1:].split()[0].rstrip('>')}> "
        source = f"<speak>{''.join(element + escape(part) + closing for part in parts)}</speak>"
    for item in reader.read(source):
        if isinstance(item, SentenceTokens):
            frames = data.draw(st.lists(st.integers(0, 3), min_size=len(item.ids), max_size=len(item.ids)))
            timings = timings_of(item, frames, hop_length=10, sample_rate=100)  # refuses marks out of order
            assert len(timings.words) == len(item.words) and timings.n_samples == 10 * sum(frames)


@pytest.mark.parametrize("source", ["a → b", "5 > 3", "I ❤️ you", "a > b 😀 c < d"])
def test_a_sign_that_nothing_says_lasts_no_time_at_the_end_of_the_word_before(source):
    [item] = READERS[1].read(source)
    words = timings_of(item, [1] * len(item.ids), hop_length=10, sample_rate=100).words
    silent = [number for number, word in enumerate(item.words) if word.first == word.end]
    assert silent and [word.text for word in words] == source.split()
    assert all(words[number].start == words[number].end == words[number - 1].end for number in silent)


LONG = "the old man walked down to the river where the boats lay in the evening light and thought of all the years"


@pytest.mark.parametrize("between, silence", [(" and ", 0.01), (", ", 0.04), ("; ", 0.04)])
def test_pieces_of_a_sentence_that_is_too_long_are_joined_without_a_pause(letters, between, silence):
    for source in (between.join([LONG[:59]] * 4), f"<speak><s>{between.join([LONG[:59]] * 4)}</s></speak>"):
        items = read(letters, source)
        assert len(items) > 2 and all(isinstance(item, SentenceTokens) for item in items)
        assert items[0].silence_before is None and items[-1].silence_after is None
        for one, other in itertools.pairwise(items):
            expected = silence if one.text[-1] in ",;" else 0.01
            assert one.silence_after == other.silence_before == expected
            assert one.is_join and other.is_join


def test_a_sentence_that_ends_by_itself_keeps_its_pause(letters):
    items = read(letters, f"{LONG}. Then.")
    assert [type(item) for item in items] == [SentenceTokens, SentenceTokens, Silence, SentenceTokens]
    assert items[2].seconds == 0.2
    assert items[1].silence_after is None and not items[3].is_join


TOO_LONG = 4 * 190 + 1  # symbols, for the reader `english`


@pytest.mark.parametrize("source, place", [
    (f"Say [[{'a' * TOO_LONG}]].", "line 1, column 5"),
    (f"<speak>Say <phoneme ph='{'a' * TOO_LONG}'>it</phoneme></speak>", "line 1, column 12"),
    (f"<speak><sub alias='{'so it is ' * 100}'>it</sub></speak>", "line 1, column 8"),
    (f"<speak>\n<say-as interpret-as='digits'>{'9' * 500}</say-as></speak>", "line 2, column 1"),
    (f"<speak><say-as interpret-as='characters'>{'7' * 500}</say-as></speak>", "line 1, column 8")])
def test_what_nothing_can_cut_is_refused_by_its_length(english, source, place):
    with pytest.raises(MarkupError, match=f"{place}: .* too many symbols .*; this voice takes at most 760"):
        read(english, source)


@pytest.mark.parametrize("max_characters", [501, 10_000, 10**9, None])
def test_no_setting_of_a_voice_raises_the_limit_of_an_utterance_beyond_the_absolute_one(max_characters):
    reader = ScriptReader(processor(("basic_cleaners",)), max_characters)
    assert reader.longest == LONGEST_UTTERANCE == 2000
    for source in (f"[[{'a' * 9000}]]", f"<speak><sub alias='{'a' * 9000}'>it</sub></speak>"):
        with pytest.raises(MarkupError, match="too many symbols .9000 as written.*at most 2000"):
            read(reader, source)
    assert all(len(item.ids) <= 4001 for item in reader.read("word " * 3000) if isinstance(item, SentenceTokens))


PUNCTUATION = "… ... ? ! ?! , ; : - — – ( ) [ ] \" ' « » „ “ * 🙂 🙃 🎬 👩‍🚀 ❤️".split()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(READERS), st.lists(st.sampled_from(PUNCTUATION), min_size=1, max_size=6),
       st.sampled_from(["", " ", "\n\n"]), st.booleans())
def test_punctuation_and_emoji_alone_are_nothing_to_say_in_every_mixture(reader, parts, between, is_ssml):
    source = between.join(parts)
    assume("[[" not in source or is_ssml)
    assume(not any(map(str.isalnum, reader.processor.clean([source])[0])))  # cleaners that read a sign out
    source = f"<speak>{escape(source)}</speak>" if is_ssml else source
    assert not [item for item in reader.read(source) if isinstance(item, SentenceTokens)]


def test_a_bookmark_before_punctuation_alone_keeps_its_moment(letters):
    items = read(letters, "<speak><s>One.</s><s><mark name='here'/>…</s></speak>")
    assert [each.bookmarks for each in items] == [(), ("here",)] and isinstance(items[1], Silence)


def test_a_lexicon_with_an_entry_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="names: 'b': 'xxxxxxxxxxxxxxxxxxxx'... has too many symbols .900 as"):
        ScriptReader(processor(), 190, lexicon=Lexicon({"a": "b", "b": "x" * 900}, "names"))


@pytest.mark.parametrize("source", [
    "9" * 2000, "1% " * 200, "1," * 500, f"<speak><sub alias='{'the ' * 150}'>x</sub></speak>",
    "<speak>" + "<phoneme ph='abcabc'>x</phoneme>" * 400 + "</speak>",
    "<speak>" + "<sub alias='so it is, they told us'>x</sub> " * 60 + "</speak>"])
def test_no_utterance_is_longer_than_the_limit_and_nothing_is_lost(english, source):
    items = [item for item in read(english, source) if isinstance(item, SentenceTokens)]
    assert max(len(item.ids) for item in items) <= 2 * english.longest + 1
    assert sum(len(item.text.replace(" ", "")) for item in items) == len(
        source.replace(" ", "") if source[0] != "<" else "x" * source.count(">x<"))


def test_what_is_said_instead_of_a_word_is_said_once_in_its_own_sentence(letters):
    source = ("<speak>One. <sub alias='two'>This</sub>. Three. <sub alias='four'>it</sub> "
              "<phoneme ph='faɪv'>that</phoneme>. <sub alias='six'>we</sub></speak>")
    items = [item for item in read(letters, source) if isinstance(item, SentenceTokens)]
    assert [said(item) for item in items] == ["one.", "two.", "three.", "four faɪv.", "six"]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 40), st.integers(1, 30), st.integers(0, 40), st.sampled_from([None, 0.0, 0.02]),
       st.sampled_from([None, 0.0, 0.02]))
def test_silence_at_a_join_is_cut_to_what_is_wanted_and_sound_stays(before, loud, after, head, tail):
    hop, rate = 10, 1000
    [item] = READERS[2].read("da")
    item = replace(item, silence_before=head, silence_after=tail)
    frames = np.array([before, *[0] * (len(item.ids) - 3), loud, after])
    samples = np.concatenate([np.zeros(before * hop), np.ones(loud * hop), np.zeros(after * hop)]).astype(np.float32)
    kept, left = trim_cut_ends(samples, item, frames, hop, rate)
    expected = [length if wanted is None else min(length, round(wanted * rate / hop))
                for length, wanted in ((before, head), (after, tail))]
    assert len(kept) == hop * left.sum() == hop * (expected[0] + loud + expected[1])
    assert left[0] == expected[0] and left[-1] == expected[1] and left[-2] == loud
