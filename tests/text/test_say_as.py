"""<say-as>: the words that say numbers, dates and codes, and what cannot be said so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text.english import normalise
from text.normalisation import described_languages
from text.normalisation import normalise as normalise_of
from text.say_as import DATE_FORMATS, INTERPRETATIONS, respelled


@pytest.mark.parametrize("interpret_as, written, words", [
    ("characters", "AT&T 3é☃", "a, t, and, t, three, é, snowman"),
    ("spell-out", "a_b@c.org", "a, underscore, b, at, c, dot, o, r, g"),
    ("verbatim", "X-1", "x, dash, one"),
    ("cardinal", "1999", "one thousand nine hundred ninety nine"),
    ("number", "-1,234.50", "minus one thousand two hundred thirty four point five zero"),
    ("cardinal", "+5", "plus five"),
    ("cardinal", "٣٤", "thirty four"),
    ("cardinal", "007", "zero zero seven"),
    ("cardinal", "9" * 5000, " ".join(["nine"] * 5000)),
    ("ordinal", "21", "twenty first"),
    ("ordinal", "1,999TH", "one thousand nine hundred ninety ninth"),
    ("digits", "4096 00-17", "four zero nine six, zero zero, one seven"),
    ("telephone", "+1 (800) CAR-0012", "plus one, eight zero zero, c, a, r, zero zero one two"),
    ("fraction", "3/4", "three quarters"),
    ("fraction", "1/2", "one half"),
    ("fraction", "5/2", "five halves"),
    ("fraction", "2 5/21", "two and five twenty firsts"),
    ("fraction", "3/1", "three over one"),
    ("currency", "$12.50", "twelve dollars and fifty cents"),
    ("currency", "-5 €", "minus five euros"),
    ("currency", "USD 1,000", "one thousand dollars"),
    ("currency", "100JPY", "one hundred yen"),
    ("time", "15:05", "fifteen oh five"),
    ("time", "2:30:01 p.m.", "two thirty p m and one second"),
    ("time", "7am", "seven a m"),
    ("date", "2024-03-05", "march fifth, twenty twenty four"),
    ("date", "5th Sept. 1905", "the fifth of september, nineteen oh five"),
    ("date", "Mar 5, 2024", "march fifth, twenty twenty four"),
    ("date", "May 1999", "may nineteen ninety nine"),
    ("date", "May 31", "may thirty first"),
    ("date", "31 May", "the thirty first of may"),
])
def test_a_text_is_written_out_in_english(interpret_as, written, words):
    assert respelled(written, interpret_as) == words


@pytest.mark.parametrize("format, written, words", [
    ("mdy", "3/5/2024", "march fifth, twenty twenty four"),
    ("dmy", "3/5/2024", "the third of may, twenty twenty four"),
    ("ymd", "2024.3.5", "march fifth, twenty twenty four"),
    ("yyyy-mm-dd", "2024-03-05", "march fifth, twenty twenty four"),
    ("MM/DD", "12/25", "december twenty fifth"),
    ("dm", "29/2", "the twenty ninth of february"),
    ("my", "9/05", "september oh five"),
    ("ym", "1999 9", "september nineteen ninety nine"),
    ("y", "1605", "sixteen oh five"),
])
def test_the_format_of_a_date_orders_its_fields(format, written, words):
    assert respelled(written, "date", format) == words


def test_every_interpretation_and_format_is_tried():
    marks = {mark.name: mark for mark in test_a_text_is_written_out_in_english.pytestmark}
    assert {case[0] for case in marks["parametrize"].args[1]} == set(INTERPRETATIONS)
    formats = {case[0] for case in test_the_format_of_a_date_orders_its_fields.pytestmark[0].args[1]}
    assert set(DATE_FORMATS) - formats == {"md"}  # tried as MM/DD


@pytest.mark.parametrize("interpret_as, written, said", [
    ("characters", "ÄB 1-", "Ä, B, 1, -"), ("digits", "12-34", "1 2, 3 4"), ("cardinal", "1.234,5", "1.234,5"),
    ("telephone", "+49 30/12", "+ 4 9, 3 0, 1 2"),
])
def test_other_languages_get_parted_digits_and_whole_numbers(interpret_as, written, said):
    assert respelled(written, interpret_as, language="nb") == said


@pytest.mark.parametrize("interpret_as, written, words", [
    ("characters", "Äb-1", "ä, b, Bindestrich, eins"),
    ("cardinal", "1.234,5", "eintausendzweihundertvierunddreißig Komma fünf"),
    ("ordinal", "3.", "dritter"), ("digits", "12-34", "eins zwei, drei vier"), ("fraction", "3/4", "drei Viertel"),
    ("telephone", "+49 30/12", "plus vier neun, drei null, eins zwei"), ("currency", "12,50 €", "zwölf Euro fünfzig"),
    ("time", "18:05", "achtzehn Uhr fünf"), ("date", "3. Mai 2024", "dritter Mai zweitausendvierundzwanzig"),
    ("date", "2024-03-05", "fünfter März zweitausendvierundzwanzig"),
])
def test_a_text_is_written_out_in_german(interpret_as, written, words):
    assert respelled(written, interpret_as, language="de") == words


@pytest.mark.parametrize("interpret_as, language, marked, plain", [
    ("cardinal", "en-us", "1,234", "1,234"), ("number", "en-us", "-2.5", "-2.5"), ("ordinal", "en-us", "21", "21st"),
    ("fraction", "en-us", "2 5/8", "2 5/8"), ("currency", "en-us", "$12.50", "$12.50"),
    ("time", "en-us", "15:05", "15:05"), ("date", "en-us", "2024-03-05", "2024-03-05"),
    ("telephone", "en-us", "555-1234", "555-1234"), ("digits", "en-us", "555 1234", "555-1234"),
    ("characters", "en-us", "NYC", "N, Y, C"), ("spell-out", "en-us", "NYC", "N, Y, C"),
    ("verbatim", "en-us", "NYC", "N, Y, C"),
    ("cardinal", "de", "1.234,5", "1.234,5"), ("ordinal", "de", "21", "21. Mai"), ("fraction", "de", "3/4", "3/4"),
    ("currency", "de", "12,50 €", "12,50 €"), ("time", "de", "15:05", "15:05"),
    ("date", "de", "3. Mai 2024", "3. Mai 2024"), ("telephone", "de", "030 1234567", "030 1234567")])
def test_marked_and_plain_text_are_said_alike(interpret_as, language, marked, plain):
    assert respelled(marked, interpret_as, language=language).lower() == normalise_of(
        plain, language).lower().removesuffix(" mai")


@pytest.mark.parametrize("arguments, message", [
    (("21", "ordnal"), "interpret-as='ordnal' is not known; did you mean 'ordinal'? there are characters, spell-out, "
     "verbatim, cardinal, number, ordinal, digits, telephone, fraction, currency, date, time; for anything else write "
     "the words with <sub alias='...'>"),
    (("3", "digits", "dmy"), "format='dmy' has no meaning with interpret-as='digits', only with date and time; remove "
     "it"),
    (("3", "ordinal", None, "nb"), f"interpret-as='ordinal' is written out in {', '.join(described_languages())} only, "
     "and the voice's language is 'nb'; write the words with <sub alias='...'>"),
    (("", "characters"), "it holds ''; it takes a letter, digit or sign"),
    ((" ", "characters", None, "nb"), "it holds ''; it takes a letter, digit or sign"),
    (("x" * 70, "cardinal"), f"it holds {'x' * 60!r}...; it takes a number such as 1234, -5 or 3.14"),
    (("x", "cardinal", None, "nb"), "it holds 'x'; it takes a number such as 1234"),
    (("1234567890", "ordinal"), "it holds '1234567890'; it takes a whole number below a billion, such as 21 or 21st"),
    (("1.5", "digits"), "it holds '1.5'; it takes digits, in groups if you like: 4096 0017"),
    (("call", "telephone"), "it holds 'call'; it takes a telephone number such as +1 555 010-4477"),
    (("1*2", "telephone"), "it holds '1*2'; it takes a telephone number such as +1 555 010-4477"),
    (("3", "fraction"), "it holds '3'; it takes a fraction such as 3/4 or 2 1/2"),
    (("3/0", "fraction"), "'3/0' divides by zero; it takes a fraction such as 3/4 or 2 1/2"),
    (("5", "currency"), "it holds '5'; it takes an amount such as $12.50, 3 € or USD 100"),
    (("noon", "time"), "it holds 'noon'; it takes a time such as 15:05, 2:30 pm or 10:30:15"),
    (("25:00", "time"), "'25:00' is no time; it takes a time such as 15:05, 2:30 pm or 10:30:15"),
    (("13:00", "time", "hms12"), "'13:00' is no time of twelve hours; it takes a time such as 15:05, 2:30 pm or "
     "10:30:15"),
    (("1 pm", "time", "hms24"), "'1 pm' is a time of twelve hours, and format='hms24' asks for one of 24; change one "
     "of them"),
    (("1:00", "time", "hms"), "format='hms' is no format of a time; there are hms12, hms24"),
    (("1/2/3", "date", "xyz"), "format='xyz' is no format of a date; there are mdy, dmy, ymd, md, dm, my, ym, y"),
    (("1/2/2003", "date"), "'1/2/2003' can be read in more than one order; add format= one of mdy, dmy, ymd, md, dm, "
     "my, ym, y"),
    (("1/2", "date", "mdy"), "'1/2' has 2 fields, and the format 'mdy' 3; write it as such"),
    (("13/2/2003", "date", "mdy"), "'13/2/2003' has the month '13'; it takes 1 to 12 or a name, so check the order of "
     "its fields"),
    (("Ju 3", "date"), "'Ju 3' has the month 'ju'; it takes 1 to 12 or a name, so check the order of its fields"),
    (("x/2/2003", "date", "dmy"), "'x/2/2003' is no date of the format 'dmy'; the year and the day are numbers"),
    (("1/2/20030", "date", "dmy"), "'1/2/20030' is no date of the format 'dmy'; the year and the day are numbers"),
    (("29/2/2023", "date", "dmy"), "'29/2/2023' has the day 29 of february, which ends with day 28; check the order of "
     "its fields (dmy)"),
])
def test_what_cannot_be_said_so_is_refused_with_what_can(arguments, message):
    with pytest.raises(ValueError) as error:
        respelled(*arguments)
    assert str(error.value) == message


WRITTEN = st.text(st.sampled_from("0123456789 ,.:/-+$€apmJune٣\n²é")) | st.text()


@given(st.sampled_from(sorted(INTERPRETATIONS)), WRITTEN, st.none() | st.sampled_from(DATE_FORMATS),
       st.sampled_from(["en-us", "de", "nb"]))
@settings(max_examples=500, deadline=None)
def test_whatever_is_written_gives_words_or_a_value_error(interpret_as, written, format, language):
    try:
        words = respelled(written, interpret_as, format, language)
    except ValueError:
        return
    assert words.strip() == words != ""
    if language == "en-us":
        assert interpret_as in ("characters", "spell-out", "verbatim") or words == normalise(words)


@pytest.mark.parametrize("language", ["en-us", "de", "nb"])
@pytest.mark.parametrize("number", [
    "1" * 40 + "#", "1 " * 40 + "#", "a1" * 40 + "#", "(" * 40 + "1#", "1-" * 5000 + "#"])
def test_a_number_with_a_sign_that_is_not_known_is_refused_at_once(number, language):
    with pytest.raises(ValueError, match="it takes a telephone number such as"):
        respelled(number, "telephone", language=language)
