"""Timings add up to the audio, and the files say what the libraries of others read out of them."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthesis.timings import LINE_LENGTH, TimedLabel, Timings

RATE = 22050
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)  # any character at all, halves of surrogates too


def tiled(texts, lengths):
    """Labels one after another from sample 0, of so many samples each."""
    ends = [0, *itertools.accumulate(lengths)]
    return tuple(TimedLabel(text, start, end) for text, start, end in zip(texts, ends[:-1], ends[1:], strict=True))


@st.composite
def any_timings(draw, rate=None):
    """Symbols of any length, words and sentences over some of them, bookmarks between."""
    lengths = draw(st.lists(st.integers(0, 5000), min_size=1, max_size=12))
    symbols = tiled([draw(TEXTS) for _ in lengths], lengths)
    edges = sorted({0, *(mark.end for mark in symbols)})
    spans = [(a, b) for a, b in zip(edges, edges[1:]) if draw(st.booleans())]
    words = tuple(TimedLabel(draw(TEXTS), a, b) for a, b in spans)
    sentences = tuple(TimedLabel(draw(TEXTS), a, b) for a, b in spans[::2])
    bookmarks = tuple(TimedLabel(draw(TEXTS), a, a) for a in sorted(draw(st.lists(st.sampled_from(edges), max_size=3))))
    return Timings(rate or draw(st.sampled_from([8000, 16000, 22050, 44100])), symbols[-1].end, symbols, words,
                   sentences, bookmarks)


def said(*sentences, rate=RATE, length=9000):
    """Timings of sentences whose words take `length` samples each."""
    parts = []
    for sentence in sentences:
        words = tiled([word.strip(".,\"!?") for word in sentence.split()], [length] * len(sentence.split()))
        parts.append(Timings(rate, words[-1].end, words, words, (TimedLabel(sentence, 0, words[-1].end),)))
    return Timings.joined(parts)


def clock(text, point):
    """hh:mm:ss,mmm as milliseconds; anything else is no time."""
    found = re.fullmatch(rf"(\d\d+):([0-5]\d):([0-5]\d){re.escape(point)}(\d\d\d)", text)
    assert found, text
    hours, minutes, seconds, rest = map(int, found.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def parsed_cues(text, point):
    """Cues of .srt and .vtt, strictly; their lines of text, and that times go up."""
    if point == ".":
        head, _, text = text.partition("\n\n")
        assert head == "WEBVTT"
    assert text == "" or text.endswith("\n\n")
    cues, end = [], 0
    for number, block in enumerate(text[:-2].split("\n\n") if text else [], 1):
        lines = block.split("\n")
        if point == ",":
            assert lines.pop(0) == str(number)
        times, *content = lines
        first, last = (clock(time, point) for time in times.split(" --> "))
        assert end <= first < last and content and all(line.strip() for line in content)
        assert "-->" not in block.replace(times, "")
        end = last
        cues.append(("\n".join(content), first, last))
    return cues


@pytest.mark.parametrize(("changed", "expected"), [
    ({"symbols": (TimedLabel("a", 0, 5), TimedLabel("b", 6, 10))}, "symbol 1, 'b', starts at sample 6; expected 5"),
    ({"symbols": (TimedLabel("a", 2, 10),)}, "symbol 0, 'a', starts at sample 2; expected 0"),
    ({"symbols": (TimedLabel("a", 0, 9),)}, "last symbol ends at sample 9; expected 10"),
    ({"symbols": ()}, "last symbol ends at sample 0; expected 10"),
    ({"words": (TimedLabel("a", 0, 6), TimedLabel("b", 5, 10))},
     r"words\[1\], 'b', lasts from sample 5 to 10; expected .* 6"),
    ({"sentences": (TimedLabel("a", 4, 3),)}, r"sentences\[0\], 'a', lasts from sample 4 to 3"),
    ({"words": (TimedLabel("a", 0, 11),)}, "and 10, the audio's end"),
    ({"bookmarks": (TimedLabel("a", 1, 2),)}, "bookmark 'a' lasts from 1 to 2; expected one moment"),
    ({"sample_rate": 0}, "10 samples at 0 Hz"),
])
def test_timings_that_do_not_add_up_are_refused(changed, expected):
    good = {"sample_rate": 8000, "n_samples": 10, "symbols": (TimedLabel("a", 0, 10),)}
    Timings(**good)
    with pytest.raises(ValueError, match=expected):
        Timings(**{**good, **changed})


@settings(deadline=None)
@given(st.lists(any_timings(rate=16000), min_size=1, max_size=4), st.sampled_from([8000, 22050, 48000, 16000, 11127]))
def test_joined_and_resampled_timings_add_up_to_the_new_audio(parts, rate):
    whole = Timings.joined(parts)  # its own checks say that symbols tile it
    assert whole.n_samples == sum(part.n_samples for part in parts)
    assert [mark.text for mark in whole.words] == [mark.text for part in parts for mark in part.words]
    scaled = whole.scaled(rate)
    assert scaled.sample_rate == rate and abs(scaled.n_samples - whole.n_samples * rate / 16000) <= 0.5
    for before, after in zip(whole.symbols, scaled.symbols, strict=True):
        assert abs(after.start - before.start * rate / 16000) <= 0.5 and after.text == before.text
    assert whole.scaled(16000) == whole


def test_joining_puts_each_part_behind_the_one_before():
    part = Timings(RATE, 30, tiled(["a", "b"], [10, 20]), (TimedLabel("ab", 0, 30),), (TimedLabel("Ab.", 0, 30),),
                   (TimedLabel("here", 10, 10),))
    whole = Timings.joined([part, Timings.pause(RATE, 5), part])
    assert whole.symbols[2:] == (TimedLabel("", 30, 35), TimedLabel("a", 35, 45), TimedLabel("b", 45, 65))
    assert whole.words[1] == TimedLabel("ab", 35, 65) and whole.bookmarks[1] == TimedLabel("here", 45, 45)
    assert part.shifted(5).symbols == (TimedLabel("", 0, 5), TimedLabel("a", 5, 15), TimedLabel("b", 15, 35))
    assert part.shifted(0) == part


@pytest.mark.parametrize("parts", [[], [Timings.pause(8000, 5), Timings.pause(16000, 5)]])
def test_parts_of_different_rates_or_none_are_not_joined(parts):
    with pytest.raises(ValueError, match="to join have"):
        Timings.joined(parts)


@settings(deadline=None)
@given(any_timings())
def test_json_gives_back_the_same_timings(timings):
    content = json.loads(timings.render(".json"))
    assert Timings.from_dict(content) == timings
    for mark in content["symbols"]:
        assert abs(mark["end_seconds"] - mark["end"] / timings.sample_rate) < 1e-6


@pytest.mark.parametrize("cues", ["sentences", "lines", "words"])
@settings(deadline=None)
@given(timings=any_timings())
def test_whatever_is_said_subtitles_stay_well_formed(cues, timings):
    for ending, point in ((".srt", ","), (".vtt", ".")):
        found = parsed_cues(timings.render(ending, cues), point)
        if cues == "words":
            assert len(found) <= len(timings.words)
        ends = [last for _, _, last in found]
        assert all(last <= timings.seconds * 1000 + 0.5 for last in ends)


@pytest.mark.parametrize("cues", ["sentences", "lines", "words"])
def test_what_lasts_no_time_has_no_cue(cues):
    timings = Timings(1000, 650, (TimedLabel("b", 0, 650),), (TimedLabel("Bye", 0, 650), TimedLabel("🎬", 650, 650)),
                      (TimedLabel("Bye 🎬", 0, 650), TimedLabel("🎬", 650, 650)))
    [(text, first, last)] = parsed_cues(timings.render(".srt", cues), ",")
    assert text == ("Bye" if cues == "words" else "Bye 🎬") and (first, last) == (0, 650)


def test_a_sentence_is_one_cue_at_its_time():
    timings = Timings.joined([said('He said: "No!"'), Timings.pause(RATE, RATE), said("1984 <b> & co.")])
    assert parsed_cues(timings.render(".srt"), ",") == [
        ('He said: "No!"', 0, 1224), ("1984 <b> & co.", 2224, 3857)]
    assert [text for text, *_ in parsed_cues(timings.render(".VTT"), ".")][1] == "1984 &lt;b&gt; &amp; co."
    assert [text for text, *_ in parsed_cues(timings.render(".srt", "words"), ",")][:3] == ["He", "said:", "No"]


def test_a_long_sentence_is_cut_at_words_into_pages_of_two_lines():
    sentence = ('Printing, in the only sense with which we are at present concerned, "differs" from most if not from '
                "all the arts and crafts represented in the Exhibition.")
    timings = said("Short one.", sentence, "Short again.")
    cues = parsed_cues(timings.render(".vtt", "lines"), ".")
    assert cues[0][0] == "Short one." and cues[-1][0] == "Short again."
    pages = cues[1:-1]
    lines = [line for text, *_ in pages for line in text.split("\n")]
    assert len(pages) == 2 and " ".join(lines) == sentence  # no sign is lost
    assert all(len(line) <= LINE_LENGTH for line in lines) and min(map(len, lines)) > LINE_LENGTH / 2
    first_of_page = len(" ".join(pages[0][0].split()).split())
    assert pages[1][1] == pages[0][2] == round((2 + first_of_page) * 9000 / RATE * 1000)


def test_words_said_otherwise_than_written_are_shown_as_said():
    marks = tiled(["doctor"] + ["who"] * 14, [1000] * 15)
    timings = Timings(RATE, 15000, marks, marks, (TimedLabel("Dr. " + "Who " * 14, 0, 15000),))
    [(text, *_)] = parsed_cues(timings.render(".srt", "lines"), ",")
    assert text.split() == ["doctor"] + ["who"] * 14


def test_a_script_without_spaces_is_cut_between_its_words():
    sentence = "这是一个很长的句子" * 6
    marks = tiled(sentence, [1000] * len(sentence))
    timings = Timings(RATE, marks[-1].end, marks, marks, (TimedLabel(sentence, 0, marks[-1].end),))
    [(text, *_)] = parsed_cues(timings.render(".srt", "lines"), ",")
    assert [len(line) for line in text.split("\n")] == [27, 27]


def test_a_text_that_looks_like_a_time_line_breaks_no_subtitle():
    timings = said("a\n\n2\n00:00:00,000 --> 00:00:09,000\nb\x00")
    [(text, *_)] = parsed_cues(timings.render(".srt"), ",")
    assert text == "a 2 00:00:00,000 → 00:00:09,000 b"


def test_subtitle_libraries_read_the_same(tmp_path):
    srt, webvtt = pytest.importorskip("srt"), pytest.importorskip("webvtt")
    timings = said('He said: "No!"', "1984 & co.", rate=8000)
    timings.write(tmp_path / "a.srt")
    timings.write(tmp_path / "a.vtt")
    cues = list(srt.parse((tmp_path / "a.srt").read_text(encoding="utf-8"), ignore_errors=False))
    assert [(cue.content, cue.start.total_seconds(), cue.end.total_seconds()) for cue in cues] == [
        (text, start / 8000, end / 8000) for text, start, end in timings.sentences]
    captions = webvtt.read(tmp_path / "a.vtt").captions
    assert [(caption.start, caption.end) for caption in captions] == [
        ("00:00:00.000", "00:00:03.375"), ("00:00:03.375", "00:00:06.750")]


def test_praats_readers_find_every_interval_at_its_sample(tmp_path):
    textgrid = pytest.importorskip("textgrid", reason="pip install textgrid")
    part = Timings(RATE, 4411, tiled(["h", "", "ˈɪ\""], [2205, 0, 2206]), (TimedLabel('"hi"', 3, 4411),),
                   (TimedLabel('Say\n"hi"…', 0, 4000),), (TimedLabel("here", 7, 7), TimedLabel("there", 7, 7)))
    timings = Timings.joined([part, Timings.pause(RATE, 333), part])
    timings.write(tmp_path / "new" / "a.TextGrid")
    grid = textgrid.TextGrid()
    grid.read(str(tmp_path / "new" / "a.TextGrid"), round_digits=9)
    found = {tier.name: [(i.mark, round(i.minTime * RATE), round(i.maxTime * RATE)) for i in tier] for tier in grid[:3]}
    assert found == {
        "symbols": [("h", 0, 2205), ('ˈɪ"', 2205, 4411), ("", 4411, 4744), ("h", 4744, 6949), ('ˈɪ"', 6949, 9155)],
        "words": [("", 0, 3), ('"hi"', 3, 4411), ("", 4411, 4747), ('"hi"', 4747, 9155)],
        "sentences": [('Say "hi"…', 0, 4000), ("", 4000, 4744), ('Say "hi"…', 4744, 8744), ("", 8744, 9155)]}
    assert [(point.mark, round(point.time * RATE)) for point in grid[3]] == [("here there", 7), ("here there", 4751)]


def test_a_textgrid_of_no_audio_is_refused():
    with pytest.raises(ValueError, match="TextGrid of 0 samples"):
        Timings.pause(RATE, 0).render(".TextGrid")


def test_no_audio_and_no_sentences_give_files_without_cues():
    assert Timings.pause(RATE, 0).render(".srt") == "" and Timings.pause(RATE, 9).render(".vtt") == "WEBVTT\n\n"


@pytest.mark.parametrize(("name", "cues", "expected"), [
    ("a.txt", "sentences", r"'\.txt' names no format for timings; expected one of \.json \.srt \.vtt \.TextGrid"),
    ("a", "sentences", "no ending"), ("a.srt", "pages", "cues are 'pages'; expected one of sentences lines words"),
])
def test_other_endings_and_cues_are_refused_and_nothing_is_written(tmp_path, name, cues, expected):
    with pytest.raises(ValueError, match=expected):
        said("Hi.").write(tmp_path / name, cues)
    assert not list(tmp_path.iterdir())


def test_half_a_surrogate_does_not_lose_the_file(tmp_path):
    said("a \ud800 b").write(tmp_path / "a.srt")
    assert "a ? b" in (tmp_path / "a.srt").read_text(encoding="utf-8")


def test_timings_are_made_and_written_without_torch(tmp_path):
    code = ("import sys; sys.modules['torch'] = None; from synthesis.timings import *; "
            f"Timings.pause(8000, 5).write({str(tmp_path / 'a.json')!r})")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert json.loads((tmp_path / "a.json").read_text())["n_samples"] == 5
