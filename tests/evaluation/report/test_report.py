"""The report, the comparison and the progress page say what the scorecards hold, in one file each."""

import dataclasses
import json
import re

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from audio.io import write_wav
from evaluation.plots import HEIGHT, LINE, alignment_png
from evaluation.report import comparison, report, sections
from evaluation.report.charts import POINTS, Trace, chart, round_values, thinned
from evaluation.report.grades import BETWEEN, BLIND, FEW, GOOD, POOR, RELATIVE, grade_measure
from evaluation.report.html import macro, number, render, write_page
from evaluation.report.media import BANDS, Clip, mel_decibels, sound_uri, spectrogram_uri
from evaluation.run_metrics import metrics_path, read_metrics
from evaluation.scorecard import (
    AS_RECORDED,
    COPY,
    GRIFFIN_LIM,
    MEMORY,
    REAL_TIME,
    RECORDING,
    VOICE,
    Interval,
    Item,
    Measure,
    Scorecard,
)
from evaluation.statistics import bootstrap
from synthesis.timings import TimedLabel

RATE = 8000
DNSMOS = Measure("dnsmos", "Sound quality (DNSMOS)", "", "higher")
MCD = Measure("mcd", "Mel-cepstral distortion", "dB", "lower")
SPEED = Measure("rate", "Speaking rate", "", "near 1")
PESQ = Measure("pesq", "PESQ", "", "higher")
MEASURES = (DNSMOS, MCD, SPEED, PESQ)
USUAL = {RECORDING: {"dnsmos": 3.2, "rate": 1.0}, COPY: {"dnsmos": 3.0, "mcd": 3.0, "pesq": 3.0},
         GRIFFIN_LIM: {"dnsmos": 2.0, "mcd": 2.0, "pesq": 2.0}, VOICE: {"dnsmos": 2.6, "mcd": 6.0, "rate": 1.0}}


def tone(pitch, seconds=0.25, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def make_card(folder, run="demo", step=700, better_by=0.0, count=8, **changes):
    """A scorecard of `count` items of tones, whose voice has `better_by` more DNSMOS; saved."""
    random = np.random.default_rng(0)
    items = []
    for i in range(count):
        values = {condition: {name: mean + 0.05 * float(random.standard_normal()) for name, mean in means.items()}
                  for condition, means in USUAL.items()}
        values[VOICE]["dnsmos"] += better_by
        audio = {condition: f"audio/{i}_{condition}.wav" for condition in values}
        for pitch, path in enumerate(audio.values(), start=2):
            write_wav(folder / path, tone(100 * pitch), RATE)
        items.append(Item(f"item{i}", f"Sentence {i} <b>&amp;</b>.", ("held-out", "word")[i % 2], None, audio, values,
                          {VOICE: "sentence heard"}))
    summary = {condition: {name: bootstrap([item.values[condition][name] for item in items]) for name in means}
               for condition, means in USUAL.items()}
    fields = {"run": run, "step": step, "facts": {"Data": "8 tones", "Commit": "abc123"}, "measures": MEASURES,
              "summary": summary, "items": tuple(items), "absent": {"wer": "pocketsphinx is not installed"},
              "health": {"verdict": "learned", "state": "learned", "reasons": [],
                         "short_share": 0.2, "sharpness": 0.8, "longest": "'a', 26 frames, 0.26 s"}}
    Scorecard(**fields | changes).save(folder)
    return folder


def write_metrics(path, rows=5):
    lines = [{"step": 10 * i, "time": 1.0, "train/mel": 1 / (i + 1), "train/adversarial": 0.0,
              "valid/mel": 1.1 / (i + 1), "health/sharpness": 0.1 * i} for i in range(rows)]
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 50, "train/m', encoding="utf-8")


@pytest.fixture
def evaluated(tmp_path):
    """A run's folder with metrics, and an evaluation within."""
    folder = make_card(tmp_path / "run" / "evaluation")
    write_metrics(tmp_path / "run" / "metrics.jsonl")
    return folder


def card_with(measure, count=9, **means):
    """A scorecard of one measure: condition -> mean over texts that spread by 0.1, each condition in its own way."""
    names = {"recording": RECORDING, "copy": COPY, "floor": GRIFFIN_LIM, "voice": VOICE}
    spread = {key: np.random.default_rng(seed).permutation(np.linspace(-0.15, 0.15, count))
              for seed, key in enumerate(names)}
    return card_of(measure, {names[key]: mean + spread[key] for key, mean in means.items()})


def card_of(measure, values):
    """A scorecard of one measure: condition -> its value for each text."""
    items = tuple(Item(str(i), "Abc.", "held-out", values={name: {measure.name: float(column[i])}
                                                           for name, column in values.items()})
                  for i in range(len(next(iter(values.values())))))
    return Scorecard("run", 1, {}, (measure,), {name: {measure.name: bootstrap(column)}
                                                for name, column in values.items()}, items)


def test_the_report_is_one_file_with_everything_inside(evaluated, tmp_path):
    text = report.write_report([evaluated], tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)="(?!data:|#)""", text), "something lies outside of the file"
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<audio") == 8 * 4 and text.count("data:audio/flac") == 8 * 4
    for said in ("How good is demo at step 700?", "Not drawn, as they never change: adversarial (0)", "abc123",
                 "pocketsphinx is not installed", "sentence heard", "Alignment health", "at most 0.9"):
        assert said in text, said


def test_texts_of_the_corpus_are_shown_and_never_become_markup(evaluated, tmp_path):
    text = report.write_report([evaluated], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Sentence 0 &lt;b&gt;&amp;amp;&lt;/b&gt;." in text and "<b>&amp;</b>" not in text


def test_several_evaluations_stand_side_by_side_and_the_recordings_once(tmp_path):
    folders = [make_card(tmp_path / "a"), make_card(tmp_path / "b", step=900, better_by=0.5)]
    text = report.write_report(folders, tmp_path / "report.html").read_text(encoding="utf-8")
    heads = re.findall(r'<th scope="col">([^<]*)</th>', text)[:7]
    assert heads == ["Measure", "Recording", "Copy, demo at step 700", "Copy, demo at step 900",
                     "Voice, demo at step 700", "Voice, demo at step 900", "Griffin-Lim"]


def test_test_sentences_have_a_table_by_kind(tmp_path):
    kinds = {"word": {"dnsmos": Interval(2.5, 2.4, 2.6, 4)}, "all": {"dnsmos": Interval(2.25, 2.0, 2.5, 8)}}
    text = report.write_report([make_card(tmp_path, sentences=kinds)], tmp_path / "r.html").read_text(encoding="utf-8")
    assert '<th scope="col">word</th><th scope="col">all</th>' in text and "<td>2.50</td><td>2.25</td>" in text


def test_two_evaluations_of_one_checkpoint_have_different_names(tmp_path):
    names = [run.name for run in sections.load_runs([make_card(tmp_path / "a"), make_card(tmp_path / "b")])]
    assert len(set(names)) == 2


def test_curves_come_from_the_run_above_and_a_torn_line_is_left_out(evaluated):
    curves = read_metrics(metrics_path(evaluated))
    assert list(curves["valid/mel"][0]) == [0, 10, 20, 30, 40]
    assert set(curves) == {"train/mel", "train/adversarial", "valid/mel", "health/sharpness"}


def test_a_report_needs_no_metrics_no_health_and_no_sound(tmp_path):
    make_card(tmp_path, items=(), health={}, absent={})
    text = report.write_report([tmp_path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<audio" not in text and 'href="#curves"' not in text and "Nothing: all measures ran." in text


def test_a_report_of_nothing_says_how_to_make_a_scorecard(tmp_path):
    with pytest.raises(ValueError, match=r"evaluate\.py"):
        report.write_report([], tmp_path / "report.html")
    with pytest.raises(ValueError, match=r"holds no scorecard\.json"):
        report.write_report([tmp_path], tmp_path / "report.html")


def test_with_many_sentences_each_kind_is_heard(tmp_path, monkeypatch):
    monkeypatch.setattr(sections, "SENTENCES", 3)
    text = report.write_report([make_card(tmp_path)], tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h3>(item\d)", text) == ["item0", "item2", "item1"]
    assert "5 further sentences" in text


def test_a_picture_beside_a_sound_is_shown_as_its_alignment(evaluated, tmp_path):
    from PIL import Image

    Image.new("L", (4, 4)).save(evaluated / f"audio/3_{VOICE}.png")
    text = report.write_report([evaluated], tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("<summary>Alignment</summary>") == 1


def picture_of(symbols):
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(alignment_png(symbols, RATE))).convert("RGB")).astype(int)


def test_an_alignment_is_a_stair_that_climbs_to_the_right_at_the_pace_of_the_symbols():
    one, other = (picture_of([TimedLabel("a", 0, end), TimedLabel("b", end, 2 * RATE)]) for end in (RATE // 2, RATE))
    heights = []
    for picture, share in ((one, 0.25), (other, 0.5)):
        path = np.abs(picture - LINE).sum(axis=2) < 60  # [height, width]
        top, bottom = (np.flatnonzero(path[rows].any(axis=0)) for rows in (slice(0, HEIGHT // 2),
                                                                        slice(HEIGHT // 2, HEIGHT)))
        assert bottom.min() < 5 and top.max() > picture.shape[1] - 25
        assert top.min() == pytest.approx(share * (picture.shape[1] - 16), abs=4)
        heights.append(picture.shape[0])
    assert heights == [HEIGHT] * 2


def test_any_symbols_can_be_drawn_wide_enough_for_their_time():
    short = picture_of([TimedLabel("ʌ", 0, 0)])
    long = picture_of([TimedLabel("", 0, RATE), *(TimedLabel("ˈ", RATE + i, RATE + i + 1) for i in range(400))])
    assert short.shape[1] == long.shape[1] == 240 and picture_of([TimedLabel("a", 0, 2 * RATE)]).shape[1] == 300
    assert picture_of([TimedLabel("a", 0, 60 * RATE)]).shape[1] == 1800


@pytest.mark.parametrize(("grade", "measure", "means"), [
    (GOOD, DNSMOS, {"recording": 3.2, "floor": 2, "voice": 3.15}),
    (GOOD, DNSMOS, {"recording": 3.2, "floor": 2, "voice": 3.6}),
    (BETWEEN, DNSMOS, {"recording": 3.2, "floor": 2, "voice": 2.6}),
    (POOR, DNSMOS, {"recording": 3.2, "floor": 2, "voice": 1.5}),
    (POOR, DNSMOS, {"recording": 3.2, "floor": 2, "voice": 2.02}),
    (BETWEEN, DNSMOS, {"recording": 3.2, "voice": 2.1}),
    (BLIND, DNSMOS, {"recording": 3.2, "floor": 3.2, "voice": 3.2}),
    (RELATIVE, MCD, {"copy": 3, "floor": 2, "voice": 6}),
    (GOOD, MCD, {"copy": 3, "floor": 5, "voice": 3.02}),
    (BETWEEN, MCD, {"copy": 3, "floor": 5, "voice": 4}),
    (GOOD, PESQ, {"copy": 3, "floor": 2}),
    (POOR, PESQ, {"copy": 2, "floor": 2}),
    (GOOD, SPEED, {"voice": 1.02}),
    (POOR, SPEED, {"voice": 1.2}),
    (POOR, SPEED, {"voice": 0.8}),
])
def test_a_verdict_places_the_voice_between_ceiling_and_floor(grade, measure, means):
    assert grade_measure(card_with(measure, **means), measure).grade == grade


@pytest.mark.parametrize(("measure", "means"), [
    (DNSMOS, {"recording": 3.2, "floor": 2, "voice": 3.2}), (MCD, {"copy": 3, "floor": 5, "voice": 3}),
    (PESQ, {"copy": 3, "floor": 2}), (SPEED, {"voice": 1.0})])
def test_of_five_texts_nothing_is_called_good(measure, means):
    grade = grade_measure(card_with(measure, count=5, **means), measure)
    assert grade.grade == FEW and "5 texts are too few to say" in grade.text
    assert grade_measure(card_with(measure, count=6, **means), measure).grade == GOOD


def test_a_voice_that_is_worse_at_each_text_is_not_good_however_much_the_texts_differ():
    hard = np.arange(9.0)
    card = card_of(DNSMOS, {RECORDING: hard, VOICE: hard - 0.2})
    voice, recording = (card.interval(name, "dnsmos") for name in (VOICE, RECORDING))
    assert voice.high > recording.value, "the intervals overlap"
    grade = grade_measure(card, DNSMOS)
    assert grade.grade == BETWEEN and "short of the recordings" in grade.text


def test_a_value_that_json_has_no_number_for_is_left_out_of_the_verdict(tmp_path):
    values = np.append(np.linspace(3, 3.5, 6), np.nan)
    card_of(DNSMOS, {RECORDING: values, VOICE: values}).save(tmp_path)
    assert grade_measure(Scorecard.load(tmp_path), DNSMOS).grade == GOOD


def test_where_lower_is_better_the_verdict_turns_around():
    error = Measure("wer", "Word error rate", "%", "lower")
    card = card_with(error, recording=13, floor=26, voice=52)
    assert grade_measure(card, error).grade == POOR and "worse than the floor" in grade_measure(card, error).text


def test_where_the_floor_is_as_good_as_the_recordings_the_verdict_says_that_it_says_little():
    assert "says little" in grade_measure(card_with(DNSMOS, recording=3.2, voice=3.2, floor=3.2), DNSMOS).text
    assert "says little" not in grade_measure(card_with(DNSMOS, recording=3.2, voice=3.2, floor=2.1), DNSMOS).text


def test_a_number_with_nothing_beside_it_gets_no_verdict():
    seconds = Measure("rtf", "Real-time factor", "", "lower")
    assert grade_measure(card_with(seconds, voice=0.1), seconds) is None


def test_a_mean_of_one_item_has_no_interval_and_is_still_shown(tmp_path):
    make_card(tmp_path, count=1)
    text = report.write_report([tmp_path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<small>of 1</small>" in text and "nan" not in re.sub(r"data:\S*", "", text).lower()


def test_a_real_difference_is_found_and_named(tmp_path):
    folders = make_card(tmp_path / "a"), make_card(tmp_path / "b", step=900, better_by=0.5)
    cards = [Scorecard.load(folder) for folder in folders]
    rows = {row.measure.name: row for row in comparison.compare_voices(*cards)}
    assert rows["dnsmos"].wording == "B is better" and rows["dnsmos"].difference.mean == pytest.approx(0.5)
    assert rows["mcd"].wording == "no difference shown" and "pesq" not in rows
    text = report.write_comparison(*folders, tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "B is better: Sound quality (DNSMOS); no difference shown" in text and "+0.500" in text


def test_words_of_different_recognisers_are_not_compared_and_the_page_says_so(tmp_path):
    words = Measure("whisper_wer", "Word error rate by Whisper", "%", "lower")
    cards = [dataclasses.replace(card_of(words, {VOICE: np.arange(8.0) + i}), facts={"Listener": name})
             for i, name in enumerate(("Whisper tiny.en", "Whisper small"))]
    assert comparison.compare_voices(*cards) == []
    assert "A was transcribed by Whisper tiny.en, B by Whisper small;" in comparison.listener_note(*cards)
    folders = [card.save(tmp_path / name).parent for name, card in zip("ab", cards)]
    text = report.write_comparison(*folders, tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "Word errors are not compared: A was transcribed by" in text
    [row] = comparison.compare_voices(cards[0], dataclasses.replace(cards[1], facts=cards[0].facts))
    assert row.wording == "A is better" and not comparison.listener_note(cards[0], cards[0])
    unknown = dataclasses.replace(cards[0], facts={})
    assert "an unrecorded listener" in comparison.listener_note(unknown, unknown)


def test_a_measure_without_a_direction_is_graded_by_its_distance_from_the_recordings_and_called_higher(tmp_path):
    melody = Measure("f0_sd", "Pitch movement", "semitones", AS_RECORDED)
    values = np.random.default_rng(0).normal(4, 0.2, 12)
    card = card_of(melody, {RECORDING: values, VOICE: values - 2})
    found = grade_measure(card, melody)
    assert found.grade == POOR and "not as the recordings: 2." in found.text
    near = card_of(melody, {RECORDING: values, VOICE: values + 0.1 * (-1) ** np.arange(12)})
    assert grade_measure(near, melody).grade == GOOD and grade_measure(card_of(melody, {VOICE: values}), melody) is None
    [row] = comparison.compare_voices(card, near)
    assert row.wording == "B is higher" and row.difference.mean == pytest.approx(2, abs=0.1)
    text = report.write_report([card.save(tmp_path).parent], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<strong>Pitch movement: </strong>2." in text and "should be as recorded" in text


def test_what_the_machine_has_a_part_in_is_told_and_nobody_is_better_for_it(tmp_path):
    folders = []
    for name, seconds in (("a", 0.1), ("b", 0.9)):
        card = Scorecard.load(make_card(tmp_path / name, run=name, measures=(DNSMOS, REAL_TIME, MEMORY)))
        card.summary[VOICE] |= {REAL_TIME.name: Interval(seconds, seconds, seconds, 8),
                                MEMORY.name: Interval(99.0, 99.0, 99.0, 1)}
        for item in card.items:
            item.values[VOICE][REAL_TIME.name] = seconds
        folders.append(card.save(tmp_path / name).parent)
    quality, *machine = comparison.compare_voices(*map(Scorecard.load, folders))
    assert [(row.a, row.b, row.wording) for row in machine] == [(0.1, 0.9, comparison.MACHINE),
                                                                (99, 99, comparison.MACHINE)]
    assert quality.p_value == quality.difference.p_value == 1, "the others count among the measures"
    text = report.write_comparison(*folders, tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "correction for 1 measures" in text
    assert "<td>0.100</td><td>0.900</td><td>–</td>" in text


def test_p_values_are_corrected_as_holm_says():
    assert comparison.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # his step-down rule
    assert comparison.holm([0.9, 0.8]) == [1, 1] and comparison.holm([]) == []


def test_of_two_voices_the_worse_one_is_named_whatever_the_measure_s_direction(tmp_path):
    folders = make_card(tmp_path / "a", better_by=0.5), make_card(tmp_path / "b")
    rows = comparison.compare_voices(*map(Scorecard.load, folders))
    assert rows[0].wording == "A is better" and rows[0].difference.mean < 0


def test_the_sentence_that_differs_most_comes_first(tmp_path):
    make_card(tmp_path / "a")
    card = Scorecard.load(make_card(tmp_path / "b"))
    card.items[5].values[VOICE]["mcd"] += 4
    card.save(tmp_path / "b")
    report.write_comparison(tmp_path / "a", tmp_path / "b", tmp_path / "comparison.html")
    assert re.findall(r"<h3>(item\d)", (tmp_path / "comparison.html").read_text(encoding="utf-8"))[0] == "item5"


def test_evaluations_of_different_texts_are_not_compared(tmp_path):
    make_card(tmp_path / "a")
    make_card(tmp_path / "b", items=(Item("other", "Another text.", "word"),))
    with pytest.raises(ValueError, match="different texts"):
        report.write_comparison(tmp_path / "a", tmp_path / "b", tmp_path / "comparison.html")


def test_progress_shows_the_checkpoints_in_order(tmp_path):
    samples = []
    for step in (300, 100, 200):
        write_wav(tmp_path / f"{step}.wav", tone(step), RATE)
        samples.append(report.CheckpointSample(step, tmp_path / f"{step}.wav", {"mcd": 1000 / step}))
    page = report.write_progress("demo", "Say <this>.", samples, [MCD, PESQ], tmp_path / "progress.html")
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"<figcaption>Step (\d+)", text) == ["100", "200", "300"]
    assert "Say &lt;this&gt;." in text and text.count('<figure class="chart">') == 1
    with pytest.raises(ValueError, match="no checkpoint"):
        report.write_progress("demo", "Say this.", [], [MCD], tmp_path / "progress.html")


def test_a_sound_in_a_page_is_the_sound_of_the_file(tmp_path):
    import base64

    from audio.io import read_wav

    clip = Clip(np.round(tone(300) * 32768) / np.float32(32768), RATE)
    (tmp_path / "a.flac").write_bytes(base64.b64decode(sound_uri(clip).partition(",")[2]))
    assert np.array_equal(read_wav(tmp_path / "a.flac").samples, clip.samples)


@pytest.mark.parametrize("pitch", [300, 1000, 3000])
def test_a_spectrogram_is_brightest_at_the_pitch(pitch):
    mel = mel_decibels(Clip(tone(pitch), RATE))
    expected = np.log1p(pitch / 700) / np.log1p(RATE / 2 / 700) * (BANDS + 1) - 1
    assert abs(mel.mean(axis=1).argmax() - expected) < 2


def test_silence_and_a_single_sample_have_a_spectrogram():
    for count in (1, RATE):
        assert spectrogram_uri(Clip(np.zeros(count, np.float32), RATE)).startswith("data:image/png;base64,")


def test_a_long_curve_is_drawn_by_its_means():
    trace = thinned(Trace("loss", np.arange(9000.0), np.ones(9000)))
    assert len(trace.steps) == POINTS and (trace.values == 1).all()


def test_a_chart_tells_its_values_to_who_does_not_see_it():
    drawn = chart("mel", [Trace("held-out", np.array([10, 20]), np.array([0.5, 0.25]))], marks=(20,))
    assert 'aria-label="mel: held-out from 0.500 at step 10 to 0.250 at step 20' in drawn


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 17.5), (0.4021, 0.4022), (1e6, 3e6)])
def test_the_labels_of_an_axis_are_few_and_within_it(low, high):
    values = round_values(low, high)
    assert 2 <= len(values) <= 6 and low <= min(values) and max(values) <= high


def test_a_curve_of_one_point_or_one_value_is_drawn():
    for values in ([2.0], [2.0, 2.0], [0.0]):
        drawn = chart("flat", [Trace("a", np.arange(len(values)), np.array(values))])
        assert "nan" not in drawn and "inf" not in drawn


def test_markup_is_escaped_once_and_only_where_it_is_text():
    inner = macro("graded", "a < b & c", 'x" y')
    assert inner == '<span class="x&#34; y">a &lt; b &amp; c</span>' and isinstance(inner, Markup)
    assert str(inner) in macro("table", '"', ["<b>"], [[inner, "&"]])
    assert 'aria-label="&#34;"' in macro("table", '"', ["<b>"], []) and "<b>" not in macro("table", '"', ["<b>"], [])


def test_a_template_that_misses_a_value_fails():
    with pytest.raises(UndefinedError, match="count"):
        render("listening_test.html", kind="abx")


def test_data_cannot_end_the_script_that_holds_it(tmp_path):
    text = write_page(tmp_path / "page.html", "T", Markup(""), data={"a": "</script>{{body}}"}).read_text("utf-8")
    assert text.count("</script>") == 2 and "\\u003c/script>{{body}}" in text


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (float("nan"), "–"), (0, "0"), (0.0004, "0.0004"),
                                              (0.25, "0.250"), (3.14159, "3.14"), (31.4159, "31.4"),
                                              (12345.6, "12,346")])
def test_numbers_have_the_digits_that_say_something(value, shown):
    assert number(value) == shown
