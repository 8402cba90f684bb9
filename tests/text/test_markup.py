"""Marked-up text: what SSML and inline phonemes come to, and what is said of those that are wrong."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text.markup import (
    ELEMENTS,
    Break,
    Manner,
    Mark,
    MarkupError,
    Pause,
    Spoken,
    check_phonemes,
    from_ipa,
    is_ssml,
    parse_inline,
    parse_ssml,
    to_plain_text,
)
from text.symbols import SymbolTable

ROOT = Path(__file__).parents[2]
PUBLISHED = SymbolTable.load("published").ids
SENTENCE, PARAGRAPH = Break("sentence"), Break("paragraph")


def inside(markup: str) -> list:
    """The segments of what stands in <speak>; plain stretches in the caller's manner as their text alone."""
    return [segment.text if isinstance(segment, Spoken) and segment[1:4] == (None, None, Manner()) else segment
            for segment in parse_ssml(f"<speak>{markup}</speak>")]


def said(segments: list) -> list[tuple]:
    """(text, what is said instead) of the stretches."""
    return [(segment.text, segment.phonemes or segment.respelling) for segment in segments
            if isinstance(segment, Spoken)]


def manner_of(markup: str) -> Manner:
    """The manner of the last stretch."""
    return [segment for segment in parse_ssml(f"<speak>{markup}</speak>") if isinstance(segment, Spoken)][-1].manner


# Structure and white space

@pytest.mark.parametrize("markup, expected", [
    ("", []),
    ("  \n ", []),
    ("Hello.", ["Hello."]),
    (" Hello\n  there,\t you. ", ["Hello there, you."]),
    ("a<!-- not said -->b", ["ab"]),
    ("<![CDATA[1 < 2]]> &amp; 3 &gt; 2 &#233;", ["1 < 2 & 3 > 2 é"]),
    ("a<?editor hint?>b", ["ab"]),
    ("<p>One.</p><p>Two.</p>", ["One.", PARAGRAPH, "Two.", PARAGRAPH]),
    ("<s>One.</s> <s>Two.</s>", ["One.", SENTENCE, "Two.", SENTENCE]),
    ("<p><s>One.</s>\n<s>Two.</s>\n</p>\n<p> Three. </p>", ["One.", SENTENCE, "Two.", PARAGRAPH, "Three.", PARAGRAPH]),
    ("loose <p>One.</p> loose", ["loose", PARAGRAPH, "One.", PARAGRAPH, "loose"]),
    ("<p>loose <s>One.</s> loose </p>", ["loose", SENTENCE, "One.", SENTENCE, "loose", PARAGRAPH]),
    ("<p></p><s/>a<p> </p>", ["a", PARAGRAPH]),
    ("<prosody><p><s>One.</s></p></prosody>", ["One.", PARAGRAPH]),
    ("<p><s>One.</s><mark name='end'/></p>", ["One.", PARAGRAPH, Mark("end")]),
    ("a<break/>b", ["a", Pause(0.5), "b"]),
    ("a <break/> b", ["a ", Pause(0.5), "b"]),
    ("<break time='500ms'/>", [Pause(0.5)]),
    ("<break time='1.5s'/>", [Pause(1.5)]),
    ("<break time='.25s'/><break time='+2s'> </break>", [Pause(0.25), Pause(2)]),
    ("<break time='3s' strength='weak'/>", [Pause(3)]),
    ("<break strength='none'/>", [Pause(0)]),
    ("<break strength='x-weak'/><break strength='weak'/>", [Pause(0.1), Pause(0.25)]),
    ("<break strength='medium'/>", [Pause(0.5)]),
    ("<break strength='strong'/><break strength='x-strong'/>", [Pause(0.8), Pause(1.2)]),
    ("Take<mark name=' here '/> it", ["Take ", Mark("here"), "it"]),
    ("to<mark name='in'/>gether", ["to", Mark("in"), "gether"]),
    ("<emphasis level='none'>a</emphasis> b", ["a ", "b"]),
    ("<emphasis level='none'>a </emphasis> b", ["a ", "b"]),
    ("<emphasis level='none'>a</emphasis>b", ["a", "b"]),
    ("a<emphasis level='none'> b</emphasis>", ["a ", "b"]),
    ("a <emphasis level='none'> <emphasis level='none'> b </emphasis></emphasis>", ["a ", "b"]),
    ("<s>a </s> b", ["a", SENTENCE, "b"]),
])
def test_ssml_comes_to_segments_in_order(markup, expected):
    assert inside(markup) == expected


def test_a_stretch_knows_its_place():
    segments = parse_ssml("<speak>\n  Hé𝄞 <break/> you,\n\t<sub alias='there'>\n th.</sub>\r\n&amp; <s>me</s></speak>")
    assert [(*segment[:1], segment.line, segment.column) for segment in segments if isinstance(segment, Spoken)] == [
        ("Hé𝄞 ", 2, 3), ("you, ", 2, 16), ("th. ", 3, 2), ("&", 5, 1), ("me", 5, 10)]
    assert segments[0].place == "line 2, column 3"


# Manners

@pytest.mark.parametrize("value, rate", [("x-slow", 0.5), ("slow", 0.75), ("medium", 1), ("default", 1), ("fast", 1.25),
                                         ("x-fast", 1.75), ("80%", 0.8), ("+10%", 1.1), ("-10%", 0.9), ("1.5", 1.5),
                                         (" 2 ", 2)])
def test_a_rate_is_a_label_a_factor_or_a_change(value, rate):
    assert manner_of(f"<prosody rate='{value}'>a</prosody>") == Manner(rate=pytest.approx(rate))


@pytest.mark.parametrize("value, volume_db", [("silent", -math.inf), ("x-soft", -12), ("soft", -6), ("medium", 0),
                                              ("loud", 6), ("x-loud", 12), ("+6dB", 6), ("-3.5 db", -3.5), ("2dB", 2)])
def test_a_volume_is_a_label_or_decibels(value, volume_db):
    assert manner_of(f"<prosody volume='{value}'>a</prosody>") == Manner(volume_db=volume_db)


@pytest.mark.parametrize("value, semitones", [("x-low", -4), ("low", -2), ("medium", 0), ("high", 2), ("x-high", 4),
                                              ("+2st", 2), ("-1.5st", -1.5), ("+100%", 12), ("-50%", -12)])
def test_a_pitch_is_a_label_semitones_or_percent(value, semitones):
    assert manner_of(f"<prosody pitch='{value}'>a</prosody>") == Manner(pitch_semitones=pytest.approx(semitones))


@pytest.mark.parametrize("level, rate, volume_db", [("strong", 0.85, 2), ("moderate", 0.92, 1), ("none", 1, 0),
                                                    ("reduced", 1.1, -2)])
def test_emphasis_changes_rate_and_volume_a_little(level, rate, volume_db):
    assert manner_of(f"<emphasis level='{level}'>a</emphasis>") == Manner(rate, volume_db)
    assert manner_of("<emphasis>a</emphasis>") == Manner(0.92, 1)


def test_nested_manners_combine_and_end_with_their_elements():
    segments = parse_ssml(
        "<speak>a <prosody rate='2' volume='+6dB' pitch='+2st'>b <voice name='Ann'><prosody rate='50%' volume='soft' "
        "pitch='-3st'>c <voice name='Bob'>d</voice></prosody> e</voice></prosody> f</speak>")
    loud = Manner(2, 6, 2)
    assert [(segment.text, segment.manner) for segment in segments] == [
        ("a ", Manner()), ("b ", loud), ("c ", Manner(1, 0, -1, "Ann")), ("d ", Manner(1, 0, -1, "Bob")),
        ("e ", Manner(2, 6, 2, "Ann")), ("f", Manner())]


def test_silence_stays_silent_whatever_stands_in_it():
    assert manner_of("<prosody volume='silent'><prosody volume='+20dB'>a</prosody></prosody>").volume_db == -math.inf


# What is said instead

@pytest.mark.parametrize("markup, expected", [
    ("<sub alias='World  Wide Web'>WWW</sub>", [("WWW", "World Wide Web")]),
    ("the <sub alias='b'> a </sub> c", [("the ", None), ("a ", "b"), ("c", None)]),
    ("<sub alias='b'/>", [("b", "b")]),
    ("<phoneme ph='təˈmɑːtoʊ'>tomato</phoneme>!", [("tomato", "təˈmɑːtoʊ"), ("!", None)]),
    ("<phoneme alphabet='ipa' ph='/ˈdi.ʤən/'>Dijon</phoneme>", [("Dijon", "ˈdidʒən")]),
    ("<phoneme alphabet='vits' ph=\"g':.  a\">x</phoneme>", [("x", "g':. a")]),
    ("<phoneme ph='aː'></phoneme>", [("aː", "aː")]),
    ("<say-as interpret-as='ordinal'>2</say-as> of <say-as interpret-as='date' format='dmy'>1/2/2003</say-as>",
     [("2 ", "second"), ("of ", None), ("1/2/2003", "the first of february, two thousand three")]),
])
def test_a_stretch_may_be_said_otherwise_than_written(markup, expected):
    assert said(parse_ssml(f"<speak>{markup}</speak>")) == expected


def test_say_as_knows_the_language_of_the_voice():
    markup = "<speak><say-as interpret-as='digits'>12</say-as></speak>"
    assert said(parse_ssml(markup)) == [("12", "one two")]
    assert said(parse_ssml(markup, "de")) == [("12", "eins zwei")]
    assert said(parse_ssml(markup, "nb")) == [("12", "1 2")]


# Documents

@pytest.mark.parametrize("before", ["", "\ufeff", " \n\t", "<?xml version='1.0' encoding='latin-1'?>",
                                    "<!-- a -- > -->", "\ufeff \n<?xml version=\"1.0\"?>\n<!-- x --> <!---->\n"])
@pytest.mark.parametrize("root", ["<speak>", "<speak version='1.1' xmlns='http://www.w3.org/2001/10/synthesis' "
                                  "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b' "
                                  "xml:lang='en-US'>", "<speak\n>"])
def test_a_document_is_known_by_its_first_element(before, root):
    assert is_ssml(f"{before}{root}é</speak>")
    if "-- >" not in before:  # XML has no -- in a comment
        assert said(parse_ssml(f"{before}{root}é</speak>")) == [("é", None)]


@pytest.mark.parametrize("source", ["", "speak", "<speaker>", "<speak:x>", "<p><speak/></p>", "a <speak/>",
                                    "<!-- <speak>", "<Speak>", "<?xml <speak>"])
def test_other_text_is_not_taken_for_ssml(source):
    assert not is_ssml(source)


def test_places_count_from_the_beginning_of_the_source():
    with pytest.raises(MarkupError, match="^line 4, column 3: <q> is not known"):
        parse_ssml("\n\ufeff\n<?xml version='1.0'?><speak>\n  <q/></speak>")


def test_every_element_is_tried_here():
    tried = Path(__file__).read_text(encoding="utf-8")
    assert all(re.search(f"<{name}[ />]", tried) for name in ELEMENTS)


# Errors

LABELS = "x-slow, slow, medium, fast, x-fast, default or a factor such as 0.8, 80%, +10% or -10%"


@pytest.mark.parametrize("source, message", [
    ("<speak>\n  a <prosody rate='fsat'>b</prosody></speak>",
     f"line 2, column 5: <prosody> has rate='fsat'; did you mean 'fast'? it takes {LABELS}"),
    ("<speak><prosody rate='+2'>b</prosody></speak>", f"line 1, column 8: <prosody> has rate='+2'; it takes {LABELS}"),
    ("<speak><prosody rate='-100%'>b</prosody></speak>",
     "line 1, column 8: <prosody> has rate='-100%'; nothing is that slow; it takes a factor such as 0.8, 80%, +10% or "
     "-10%"),
    ("<speak><prosody rate='0'>b</prosody></speak>",
     "line 1, column 8: <prosody> has rate='0'; nothing is that slow; it takes a factor such as 0.8, 80%, +10% or "
     "-10%"),
    ("<speak><prosody rate='4'><prosody rate='2'>b</prosody></prosody></speak>",
     "line 1, column 26: <prosody> makes a rate of 8 with what stands around it; it may be 0.2 to 5"),
    ("<speak><prosody volume='40'>b</prosody></speak>",
     "line 1, column 8: <prosody> has volume='40'; it takes silent, x-soft, soft, medium, loud, x-loud, default or a "
     "change in decibels such as +6dB or -3dB"),
    ("<speak><prosody volume='+40dB'>b</prosody></speak>",
     "line 1, column 8: <prosody> makes a volume of +40 dB with what stands around it; it may be up to +24 dB"),
    ("<speak><prosody pitch='200Hz'>b</prosody></speak>",
     "line 1, column 8: <prosody> has pitch='200Hz'; a pitch in Hz is not possible, for the voice chooses its own; it "
     "takes a change such as +2st, -1.5st or +10%"),
    ("<speak><prosody pitch='hihg'>b</prosody></speak>",
     "line 1, column 8: <prosody> has pitch='hihg'; did you mean 'high'? it takes x-low, low, medium, high, x-high, "
     "default or a change such as +2st, -1.5st or +10%"),
    ("<speak><prosody pitch='-100%'>b</prosody></speak>",
     "line 1, column 8: <prosody> has pitch='-100%'; nothing is that low; it takes a change such as +2st, -1.5st or "
     "+10%"),
    ("<speak><prosody pitch='+30st'>b</prosody></speak>",
     "line 1, column 8: <prosody> makes a pitch of +30 semitones with what stands around it; it may be -12 to +12"),
    ("<speak><prosody contour='x'>b</prosody></speak>",
     "line 1, column 8: <prosody> has an attribute 'contour' that is not known; it takes rate, volume, pitch"),
    ("<speak><emphasis lvel='strong'>b</emphasis></speak>",
     "line 1, column 8: <emphasis> has an attribute 'lvel' that is not known; did you mean 'level'? it takes level"),
    ("<speak><p xml:lang='fr'>b</p></speak>",
     "line 1, column 8: <p> has an attribute 'xml:lang' that is not known; it takes none"),
    ("<speak><emphasis level='big'>b</emphasis></speak>",
     "line 1, column 8: <emphasis> has level='big'; it takes strong, moderate, none, reduced"),
    ("<speak><break time='3'/></speak>",
     "line 1, column 8: <break> has time='3'; it takes a time such as 500ms or 1.5s, up to 600s"),
    ("<speak><break time='601s'/></speak>",
     "line 1, column 8: <break> has time='601s'; it takes a time such as 500ms or 1.5s, up to 600s"),
    ("<speak><break time='-1s'/></speak>",
     "line 1, column 8: <break> has time='-1s'; it takes a time such as 500ms or 1.5s, up to 600s"),
    ("<speak><break strength='stong'/></speak>",
     "line 1, column 8: <break> has strength='stong'; did you mean 'strong'? it takes none, x-weak, weak, medium, "
     "strong, x-strong"),
    ("<speak><break>\n b</break></speak>", "line 2, column 2: <break> holds nothing; close it as <break .../>"),
    ("<speak><voice>b</voice></speak>", "line 1, column 8: <voice> has no name; write <voice name='...'>"),
    ("<speak><mark name=' '/></speak>", "line 1, column 8: <mark> has no name; write <mark name='...'>"),
    ("<speak><sub>b</sub></speak>", "line 1, column 8: <sub> has no alias; write <sub alias='...'>"),
    ("<speak><phoneme>b</phoneme></speak>", "line 1, column 8: <phoneme> has no ph; write <phoneme ph='...'>"),
    ("<speak><phoneme ph='.'>b</phoneme></speak>",
     "line 1, column 8: <phoneme> has ph='.', in which nothing sounds; write phonemes"),
    ("<speak><phoneme alphabet='x-sampa' ph='@'>b</phoneme></speak>",
     "line 1, column 8: <phoneme> has alphabet='x-sampa'; it takes ipa, vits"),
    ("<speak><say-as>b</say-as></speak>",
     "line 1, column 8: <say-as> has no interpret-as; write <say-as interpret-as='...'>"),
    ("<speak>a\n<say-as interpret-as='digits'>one</say-as></speak>",
     "line 2, column 1: <say-as>: it holds 'one'; it takes digits, in groups if you like: 4096 0017"),
    ("<speak><voce name='a'/></speak>",
     "line 1, column 8: <voce> is not known; did you mean 'voice'? there are speak, p, s, break, prosody, emphasis, "
     "voice, phoneme, sub, say-as, mark"),
    ("<p>a</p>", "line 1, column 1: <p> is outside of <speak>; put one <speak> around everything"),
    ("<speak><speak/></speak>",
     "line 1, column 8: <speak> stands inside of another; there is one, around everything"),
    ("<speak><s><p>a</p></s></speak>", "line 1, column 11: <p> stands in <s>; close </s> before it"),
    ("<speak><p><emphasis><p>a</p></emphasis></p></speak>",
     "line 1, column 21: <p> stands in <p>; close </p> before it"),
    ("<speak><s><s>a</s></s></speak>", "line 1, column 11: <s> stands in <s>; close </s> before it"),
    ("<speak><sub alias='a'><break/></sub></speak>",
     "line 1, column 23: <break> stands in <sub>, which holds text only; move it out"),
    ("<speak><mark name='a'><s/></mark></speak>",
     "line 1, column 23: <s> stands in <mark>, which holds nothing; move it out"),
    ("", "line 1, column 1: no element found; a document begins with <speak> and ends with </speak>"),
    ("<speak>\n<p>a", "line 2, column 5: no element found; the <p> of line 2, column 1 is still open"),
    ("<speak>\n<p>a</s>", "line 2, column 7: mismatched tag; the <p> of line 2, column 1 is still open"),
    ("<speak/>b", "line 1, column 9: junk after document element; everything stands in one <speak>"),
    ("<speak>a & b</speak>", "line 1, column 11: not well-formed (invalid token); write & as &amp; and < as &lt; where "
                             "they are text, and leave out control characters"),
    ("<speak>\0</speak>", "line 1, column 8: not well-formed (invalid token); write & as &amp; and < as &lt; where "
                          "they are text, and leave out control characters"),
    ("<speak>a&nbsp;b</speak>", "line 1, column 9: undefined entity; only &amp; &lt; &gt; &quot; &apos; and numbers "
                                "such as &#233; are known, so write the character itself"),
    ("<speak>\n \ud800</speak>", "line 2, column 2: '\\ud800' is half of a character; the text was read with a wrong "
                                 "encoding"),
])
def test_wrong_ssml_is_refused_with_its_place_and_what_to_do(source, message):
    with pytest.raises(MarkupError) as error:
        parse_ssml(source)
    assert str(error.value) == message


BOMB = "".join(f"<!ENTITY e{level} '{f'&e{level - 1};' * 10}'>" for level in range(1, 10))


@pytest.mark.parametrize("declarations", [
    f" [<!ENTITY e0 'ha'>{BOMB}]", " [<!ENTITY e9 SYSTEM 'file:///etc/hostname'>]", " SYSTEM 'http://example.org/a.dtd'",
    " [<!ENTITY % e9 SYSTEM 'file:///etc/hostname'> %e9;]", "",
])
def test_entities_are_neither_expanded_nor_fetched(declarations):
    source = f"<!DOCTYPE speak{declarations}><speak>&e9;</speak>"
    assert is_ssml(source)
    with pytest.raises(MarkupError, match="^line 1, column [0-9]+: a document type is not read.*remove <!DOCTYPE"):
        parse_ssml(source)


def test_no_depth_is_too_deep():
    opening, closing = "<emphasis level='none'>", "</emphasis>"
    segments = parse_ssml(f"<speak>{opening * 20_000}a{closing * 20_000}</speak>")
    assert to_plain_text(segments) == "a"
    with pytest.raises(MarkupError, match="no element found; the <emphasis> of line 1"):
        parse_ssml(f"<speak>{opening * 20_000}")


# Inline phonemes

@pytest.mark.parametrize("source, expected", [
    ("", []),
    (" plain   text\nof lines ", [("plain text of lines", None)]),
    ("I say [[təmˈɑːtoʊ]].", [("I say ", None), ("təmˈɑːtoʊ", "təmˈɑːtoʊ"), (".", None)]),
    ("[[ a  b ]] [[c]]", [("a b ", "a b"), ("c", "c")]),
    ("un[[dˈuː]]ing", [("un", None), ("dˈuː", "dˈuː"), ("ing", None)]),
    ("[[a]]]", [("a", "a"), ("]", None)]),
    ("a [[b", [("a [[b", None)]),
    ("a]] [[b", [("a]] [[b", None)]),
    ("a [b] [[]] [[ ]]", [("a [b] [[]] [[ ]]", None)]),
    ("[[]] [[b]]", [("[[]] ", None), ("b", "b")]),
    ("a [[b\nc]]", [("a ", None), ("b c", "b c")]),
    ("a [[b\n\nc]]", [("a [[b", None), ("c]]", None)]),
    ("<speak> & </speak>", [("<speak> & </speak>", None)]),
])
def test_double_brackets_hold_phonemes(source, expected):
    assert said(parse_inline(source)) == expected


def test_blank_lines_part_paragraphs():
    segments = parse_inline("\n\nOne\ntwo.\r\n \t\r\n\r\nThree\rfour.\n\n")
    assert [segment if isinstance(segment, Break) else segment[::4] for segment in segments] == [
        ("One two.", 3), PARAGRAPH, ("Three four.", 7), PARAGRAPH]


def test_an_inline_stretch_knows_its_place():
    assert [segment[4:] for segment in parse_inline("a\n  [[b]]  \n c")] == [(1, 1), (2, 3), (3, 2)]


def test_a_million_open_brackets_are_text():
    assert said(parse_inline("[" * 1_000_000)) == [("[" * 1_000_000, None)]
    assert len(parse_inline("[[" * 300_000 + "a]]")) == 1


# Plain text again

def test_plain_text_parts_paragraphs_and_what_a_pause_parts():
    segments = parse_ssml("<speak><p>One<break/>two <break/> <sub alias='b'>3</sub>.<s>Four.</s></p>five "
                          "<mark name='x'/></speak>")
    assert to_plain_text(segments) == "One two 3. Four.\n\nfive"


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_plain_text_comes_back_from_ssml(source):
    # What XML cannot write, and white space that is not its own, which Python knows more of.
    source = "".join(character for character in source
                     if character in "\t\n" or character >= " " and not "\ud800" <= character <= "\udfff"
                     and character not in "\ufffe\uffff")
    assert to_plain_text(parse_ssml(f"<speak>{escape(source)}</speak>")) == " ".join(source.split())


@given(st.text(st.sampled_from("ab []\n\r\t\ud800é")))
@settings(max_examples=200, deadline=None)
def test_inline_text_is_never_refused_nor_lost(source):
    segments = parse_inline(source)
    shown = "".join(to_plain_text(segments).split())
    assert shown == "".join(source.split()) or "[[" in source and sorted(shown.replace("[", "").replace("]", "")) == \
        sorted("".join(source.split()).replace("[", "").replace("]", ""))
    assert not any(isinstance(segment, Spoken) and segment.text[:1].isspace() for segment in segments)


PIECES = [f"<{name}>" for name in ELEMENTS] + [f"</{name}>" for name in ELEMENTS] + [
    "<speak>", "</speak>", "<break time='", "<prosody rate='2' pitch='", "'>", "'/>", "<sub alias='b'>", "<p/>", " ",
    "<phoneme ph='a'>", "<say-as interpret-as='", "cardinal", "date", "<![CDATA[", "]]>", "<!--", "-->", "&amp;",
    "&#0;", "<!DOCTYPE speak>", "<?xml version='1.0'?>", "1e999", "99999999999999999999999s", "-", "é", "\ud800", "\0",
    "12"]


@given(st.one_of(st.text(), st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3))).map("".join),
                 st.lists(st.sampled_from(PIECES)).map(lambda pieces: f"<speak>{''.join(pieces)}</speak>")))
@settings(max_examples=500, deadline=None)
def test_whatever_is_given_nothing_but_a_markup_error_is_raised(source):
    is_ssml(source)
    try:
        segments = parse_ssml(source)
    except MarkupError as error:
        assert str(error).startswith("line ")
    else:
        assert is_ssml(source)
        assert all(math.isfinite(segment.seconds) for segment in segments if isinstance(segment, Pause))


# Phonemes

@pytest.mark.parametrize("written, meant", [
    ("təˈmɑːtoʊ", "təˈmɑːtoʊ"), ("/ga'ga:/", "ɡaˈɡaː"), ("[ʤʌʤ]", "dʒʌdʒ"), ("t͡ʃɝ.t͡ʃ", "tʃɝtʃ"), ("/", "/"),
    ("vẽ", "ve\u0303"), ("ve\u0303", "ve\u0303"), ("façä", "façä"), (" a  b\n", "a b"), ("", ""),
])
def test_slips_in_ipa_are_read_as_they_are_meant(written, meant):
    assert from_ipa(written) == meant


def test_known_phonemes_pass():
    check_phonemes("təmˈɑːtoʊ tˈuː!", PUBLISHED, "line 1, column 1")


@pytest.mark.parametrize("phonemes, unknown, advice", [
    ("ə∂a3∂", "'∂' (U+2202 partial differential), '3' (U+0033 digit three)", "write them with symbols of the voice's "
                                                                             "table"),
    ("t͡s", "'͡' (U+0361 combining double inverted breve)", "write 'ts'"),
    ("ʣ", "'ʣ' (U+02A3 latin small letter dz digraph)", "write them with symbols of the voice's table"),
    ("\x01", "'\\x01' (U+0001 without a name)", "write them with symbols of the voice's table"),
])
def test_unknown_phonemes_are_listed_with_their_code_points(phonemes, unknown, advice):
    with pytest.raises(MarkupError) as error:
        check_phonemes(phonemes, PUBLISHED, "line 3, column 14")
    assert str(error.value) == (f"line 3, column 14: the phonemes {phonemes!r} have symbols that the voice does not "
                                f"know: {unknown}; {advice}")


def test_marked_up_text_is_read_without_torch():
    code = "import sys, text.lexicon; text.lexicon.Lexicon({}).apply(text.markup.parse_ssml('<speak>a</speak>')); " \
           "sys.exit(bool({'torch', 'numpy', 'num2words'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_all_breaks_together_are_bounded():
    with pytest.raises(MarkupError, match="line 1, column 131: <break>: all breaks together last more than 3600 s"):
        parse_ssml("<speak>so " + "<break time='600s'/>" * 7 + "</speak>")
    parse_ssml("<speak>so " + "<break time='600s'/>" * 6 + "</speak>")
