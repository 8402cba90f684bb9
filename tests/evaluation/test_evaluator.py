"""An evaluation: what is said, in which conditions, and that its numbers are those of its sounds."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import checkpoint
import config as settings
from audio.io import read_wav
from config import TrainConfig
from corpora.filelists import FilelistError, filelist_rows
from evaluation import conditions, evaluator, measurement
from evaluation.eval_texts import (
    HELD_OUT,
    KINDS,
    find_sentences,
    held_out,
    one_of_each_kind,
    read_sentences,
    reference_recordings,
)
from evaluation.evaluator import EvaluationOptions, VoiceInfo
from evaluation.metrics import ALL, METERS, AnalysedAudio, Meter, MeterContext
from evaluation.scorecard import COPY, GRIFFIN_LIM, RECORDING, VOICE, Measure, Scorecard
from models import SynthesizerTrn
from synthesis import Voice
from tests.conftest import ROOT, with_corpus, write_corpus
from text import TextProcessor
from utils import set_seed


class Peaks(Meter):
    """The peak of a sound, and whether it has a reference: a meter for tests."""

    measures = (Measure("peak", "Peak", "", "lower"), Measure("timed", "Keeps the time", "", "higher"))

    def measure(self, heard):
        return {"peak": float(np.abs(heard.samples).max()), **({"timed": float(heard.keeps_time)}
                                                               if heard.reference is not None else {})}

    def notes(self, heard):
        return heard.text.upper()


def write_run(folder, config):
    """A run with one checkpoint of an untrained voice, the same each time."""
    set_seed(1)
    model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # what begins as zeros and ones would say nothing
            parameter.data += 0.05 * torch.randn_like(parameter)
    folder.mkdir()
    checkpoint.save(folder, 2, {"config": settings.to_dict(config), "generator": model.state_dict()})
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one voice with two held-out utterances."""
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "sentences.txt").write_text("word|Abc.\nquestion|Def ghi?\nword|Jkl.\n")
    return write_run(folder / "run", with_corpus(write_corpus(folder, None)))


@pytest.fixture(scope="module")
def voice(run):
    return Voice.load(run, "cpu")


@pytest.fixture(scope="module")
def texts(run, voice):
    return [*held_out(voice.config, voice.config.data.validation_files, 40),
            *read_sentences(run.parent / "sentences.txt")]


@pytest.fixture
def peaks(monkeypatch):
    monkeypatch.setitem(METERS._builders, "peaks", Peaks)
    monkeypatch.setattr(conditions, "griffin_lim", lambda wav, data: 0.5 * wav)


@pytest.fixture
def card(voice, texts, tmp_path, peaks):
    return evaluator.evaluate(voice, VoiceInfo("tiny", 2, {"File": "x"}), texts, tmp_path,
                              EvaluationOptions(meters=("peaks",)))


def test_held_out_utterances_sound_in_four_conditions_and_test_sentences_in_one(card, texts, tmp_path):
    assert [item.kind for item in card.items] == [HELD_OUT, HELD_OUT, "word", "question", "word"]
    assert set(card.items[0].audio) == {RECORDING, COPY, GRIFFIN_LIM, VOICE} and set(card.items[2].audio) == {VOICE}
    for item in card.items:
        for condition, path in item.audio.items():
            samples = read_wav(tmp_path / path).samples
            assert np.abs(samples).max() == pytest.approx(item.values[condition]["peak"], abs=1e-4)
    recorded = read_wav(texts[0].recording).samples
    assert np.array_equal(read_wav(tmp_path / card.items[0].audio[RECORDING]).samples, recorded)
    assert abs(len(read_wav(tmp_path / card.items[0].audio[COPY]).samples) - len(recorded)) < 64
    assert card.items[2].notes == {VOICE: "ABC."}


def test_copies_and_voices_have_a_small_picture_of_their_alignment_and_nothing_else_has(card, tmp_path):
    from PIL import Image

    for item in card.items:
        pictures = {condition for condition, path in item.audio.items()
                    if (tmp_path / path).with_suffix(".png").is_file()}
        assert pictures == set(item.audio) - {RECORDING, GRIFFIN_LIM}
        picture = (tmp_path / item.audio[VOICE]).with_suffix(".png")
        assert picture.stat().st_size < 10_000 and Image.open(picture).height > 100


def test_the_picture_of_an_evaluation_before_does_not_stay(voice, texts, tmp_path):
    sound = conditions.ConditionSound(0, VOICE, np.zeros(800, np.float32), voice.speak("Abc.", seed=1).timings.symbols)
    for each, is_there in ((sound, True), (sound._replace(symbols=()), False)):
        path = tmp_path / conditions.write_sound(tmp_path, texts[0], each, 8000)
        assert path.is_file() and path.with_suffix(".png").is_file() == is_there


def test_the_symbols_of_a_recording_are_those_of_its_text_and_fill_it(voice, texts):
    recording = conditions.load_recording(texts[0].recording, 8000)
    symbols = conditions.align_symbols(voice, texts[0], recording)
    assert "".join(mark.text for mark in symbols) == texts[0].text
    assert symbols[-1].end == len(recording) // 64 * 64 and symbols[0].start == 0
    assert conditions.align_symbols(voice, texts[0], recording[:640]) == ()  # ten frames for more symbols


def test_only_what_keeps_the_recordings_time_is_told_so(card):
    timed = {condition: card.values(condition, "timed") for condition in (RECORDING, COPY, GRIFFIN_LIM, VOICE)}
    assert not timed[RECORDING] and set(timed[COPY].values()) == set(timed[GRIFFIN_LIM].values()) == {1.0}
    assert set(timed[VOICE].values()) == {0.0} and len(timed[VOICE]) == 2


def test_the_summary_is_over_held_out_utterances_and_the_sentences_are_summed_up_by_kind(card):
    mine = [item.values[VOICE]["peak"] for item in card.items]
    assert card.interval(VOICE, "peak").value == pytest.approx(np.mean(mine[:2]))
    assert card.sentences["word"]["peak"].value == pytest.approx((mine[2] + mine[4]) / 2)
    assert card.sentences["all"]["peak"].count == 3
    assert card.interval(VOICE, "real_time_factor").value > 0 and card.facts["File"] == "x"


def test_a_scorecard_is_read_back_as_it_was_written(card, tmp_path):
    again = Scorecard.load(tmp_path)
    assert dataclasses.replace(again, sentences={}, health={}) == dataclasses.replace(card, sentences={}, health={})
    assert math.isnan(again.sentences["question"]["peak"].low) and again.sentences["word"] == card.sentences["word"]


def test_the_alignment_of_the_recordings_is_judged(card):
    assert card.health["state"] in card.health["verdict"] and 0 <= card.health["short_share"] <= 1


def test_the_same_seed_sounds_the_same_whatever_else_is_said_and_another_does_not(voice, texts, tmp_path, peaks):
    def peak_of_last(name, chosen, seed):
        options = EvaluationOptions(seed, ("peaks",))
        card = evaluator.evaluate(voice, VoiceInfo("tiny"), chosen, tmp_path / name, options)
        return (tmp_path / name / card.items[-1].audio[VOICE]).read_bytes()

    whole, alone, other = (peak_of_last("a", texts[2:], 1), peak_of_last("b", texts[-1:], 1),
                           peak_of_last("c", texts[-1:], 2))
    assert whole == alone and whole != other


def test_without_held_out_utterances_the_summary_is_of_the_sentences(voice, texts, tmp_path, peaks):
    card = evaluator.evaluate(voice, VoiceInfo("tiny"), texts[2:], tmp_path, EvaluationOptions(meters=("peaks",)))
    assert card.interval(VOICE, "peak").count == 3 and set(card.summary) == {VOICE}
    assert "alignment health" in card.absent


def test_several_processes_measure_the_same():
    heard = [AnalysedAudio(np.full(4000, 0.1 * i, np.float32), 8000, "abc") for i in range(1, 5)]
    one, two = (measurement.measure_sounds(("sanity",), MeterContext(), heard, jobs) for jobs in (1, 2))
    assert one == two


def test_what_takes_long_is_told_a_few_times_where_no_terminal_shows_a_bar(capsys):
    assert list(conditions.with_progress(range(5000), "voice: speaking 5000 texts", "text")) == list(range(5000))
    told = capsys.readouterr().err
    assert told.count("voice: speaking 5000 texts") < 5 and "5000/5000" in told


class Broken(Meter):
    """Fails at the second sound: a meter for tests."""

    measures = (Measure("broken", "Broken", "", "lower"),)

    def measure(self, heard):
        if heard.text == "b":
            raise RuntimeError("no more")
        return {"broken": 1.0}


def test_a_meter_that_fails_is_absent_and_the_others_go_on(monkeypatch, caplog):
    monkeypatch.setitem(METERS._builders, "broken", Broken)
    heard = [AnalysedAudio(0.1 * np.sin(np.arange(4000, dtype=np.float32)), 8000, text) for text in "abc"]
    found = measurement.measure_sounds(("broken", "sanity"), MeterContext(), heard)
    assert [measure.name for measure in found.measures] == ["sane"] and found.values == [{"sane": 100.0}] * 3
    assert found.absent == {"broken": "failed: RuntimeError: no more"} and caplog.text.count("Broken fails") == 1


def test_recordings_are_no_part_of_what_speaking_takes(voice, texts, tmp_path, peaks, monkeypatch):
    order = []
    for name in ("speak_texts", "load_recording"):
        function = getattr(evaluator, name)
        monkeypatch.setattr(evaluator, name, lambda *args, name=name, function=function: (
            order.append(name), function(*args))[1])
    evaluator.evaluate(voice, VoiceInfo("tiny"), texts[:1], tmp_path, EvaluationOptions(meters=("peaks",)))
    assert order == ["speak_texts", "load_recording"]


def test_among_how_many_sentences_a_listener_chose_is_a_fact():
    pytest.importorskip("pocketsphinx")
    measured = measurement.MeasuredSounds((Measure("sentence_id", "", "", "higher"),), [], [], {}, "Whisper x")
    facts = evaluator._listener_facts(measured, ["good morning", "good evening", "xqzt"])
    assert facts == {"Listener": "Whisper x", "Sentences to choose among": "2; chance is 50.0 %"}
    assert not evaluator._listener_facts(measured._replace(measures=(), listener=""), ["good morning"])


def test_a_file_that_is_no_scorecard_is_told(card, tmp_path):
    path = tmp_path / "scorecard.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"summary": None}))
    with pytest.raises(ValueError, match="is not a scorecard .*; evaluate again"):
        Scorecard.load(tmp_path)


def test_meters_are_chosen_by_their_name_or_by_what_they_measure():
    assert set(ALL) - set(measurement.choose_meters(None)) in ({"words"}, {"whisper"}), "one of them transcribes"
    assert set(ALL) - set(measurement.choose_meters(None, listener="pocketsphinx")) == {"whisper"}
    assert set(ALL) - set(measurement.choose_meters(None, listener="whisper")) == {"words"}
    assert measurement.choose_meters(["wer"], listener="whisper") == ("words",), "what is named is taken"
    assert measurement.choose_meters(["mcd", "sanity", "f0_rmse"]) == ("sanity", "world")
    cheap = measurement.choose_meters(None, is_cheap=True)
    assert not any(map(measurement.is_costly, cheap))
    assert set(ALL) - set(cheap) == {*TrainConfig().costly_meters, "whisper"}, "training and --cheap disagree"
    with pytest.raises(ValueError, match="no meter or measure is called 'mdc'; .*sanity: sane; "):
        measurement.choose_meters(["mdc"])


def test_nothing_to_say_is_an_error(voice, tmp_path):
    with pytest.raises(ValueError, match="there are no texts: give a filelist"):
        evaluator.evaluate(voice, VoiceInfo("tiny"), [], tmp_path, EvaluationOptions())


def test_each_speaker_is_copied_in_its_own_voice_and_says_sentences_in_turn(tmp_path):
    config = with_corpus(write_corpus(tmp_path, ("bob", "alice")),
                         ("data.n_speakers=2", 'data.speakers=["alice","bob"]', "model.gin_channels=8"))
    duo = Voice.load(write_run(tmp_path / "run", config), "cpu")
    [first, second] = held_out(duo.config, config.data.validation_files, 2)
    assert {first.speaker, second.speaker} == {"alice", "bob"}
    recording = conditions.load_recording(first.recording, 8000)
    own, other = (conditions.copy_synthesis(duo, text, recording, 1) for text in (first, second))
    assert len(own) == len(other) and not np.array_equal(own, other)
    (tmp_path / "s.txt").write_text("word|Abc.\nword|Def.\nword|Ghi.\n")
    assert [each.speaker for each in read_sentences(tmp_path / "s.txt", duo.speakers)] == ["alice", "bob", "alice"]
    assert set(reference_recordings(duo.config, ["alice", "bob"])) == {"alice", "bob"}
    assert set(reference_recordings(duo.config, ["bob"])) == {"bob"} and reference_recordings(duo.config, []) == {}


def test_a_recording_that_cannot_be_read_is_passed_over(tmp_path):
    config = with_corpus(write_corpus(tmp_path, None))
    rows = next(filelist_rows(config.data.training_files, False))
    Path(rows.wav_paths[0]).write_bytes(b"no sound")
    Path(rows.wav_paths[1]).unlink()
    [found] = reference_recordings(config, [None]).values()
    assert len(found) == 5 and np.array_equal(found[0].samples, read_wav(rows.wav_paths[2]).samples)


def test_held_out_utterances_are_spread_over_the_list(voice):
    config = voice.config
    assert [text.id for text in held_out(config, config.data.training_files, 3)] == ["0001-00", "0005-04",
                                                                                      "0010-09"]


def test_a_cleaned_filelist_is_read_with_the_texts_it_was_made_from(tmp_path, tiny_config):
    config = dataclasses.replace(tiny_config, data=dataclasses.replace(tiny_config.data, cleaned_text=True))
    (tmp_path / "val.txt.cleaned").write_text("a.wav|ebisi\n")
    [text] = held_out(config, tmp_path / "val.txt.cleaned", 40)
    assert (text.text, text.symbols, text.is_written) == ("ebisi", "ebisi", False)
    (tmp_path / "val.txt").write_text("a.wav|A B C\n")
    [text] = held_out(config, tmp_path / "val.txt.cleaned", 40)
    assert (text.text, text.symbols, text.is_written) == ("A B C", "ebisi", True)
    (tmp_path / "val.txt").write_text("b.wav|D E F\n")  # as many lines, of other recordings
    [text] = held_out(config, tmp_path / "val.txt.cleaned", 40)
    assert (text.text, text.is_written) == ("ebisi", False)


@pytest.mark.parametrize("language", ["en-us", "de"])
def test_the_test_sentences_have_all_kinds_and_no_text_twice(language):
    texts = read_sentences(find_sentences(language))
    assert len(texts) == 40 == len({text.text for text in texts}) == len({text.id for text in texts})
    assert [text.kind for text in one_of_each_kind(texts)] == list(KINDS)
    assert max(len(text.text) for text in texts if text.kind == "paragraph") > 300


def test_the_listener_knows_all_words_of_the_english_test_sentences():
    pytest.importorskip("pocketsphinx")
    from evaluation.listeners import recognisable_sentences

    texts = [text.text for text in read_sentences(find_sentences("en-us"))]
    assert recognisable_sentences(texts) == texts
    for name in ("demo_sentences.txt", "demo_test_sentences.txt", "en_sentences.txt"):
        assert not set(texts) & set((ROOT / "filelists" / name).read_text(encoding="utf-8").splitlines())


def test_a_language_without_test_sentences_is_told():
    assert find_sentences("tlh") is None


def test_lines_that_are_no_test_sentences_are_all_named(tmp_path):
    (tmp_path / "s.txt").write_text("word|Abc.\nAbc.\nshout|Abc!\n")
    with pytest.raises(FilelistError, match=r"(?s)s.txt:2: 'Abc.' is not a test sentence; expected kind.*s.txt:3"):
        read_sentences(tmp_path / "s.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(FilelistError, match="holds no lines"):
        read_sentences(tmp_path / "empty.txt")
