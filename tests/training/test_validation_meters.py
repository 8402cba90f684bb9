"""While training: what is spoken is measured the same each time, costly meters are asked now and then."""

import json
import math

import numpy as np
import pytest
import torch

from evaluation.metrics import METERS, Meter
from evaluation.scorecard import Measure
from models import SynthesizerTrn
from tests.conftest import tiny, with_corpus
from training import trainer, validation
from training.callbacks import SpokenSample, SpokenSentence
from training.validation import ValidationMeters

CPU = torch.device("cpu")


class Lengths(Meter):
    """The length in samples: a meter for tests."""

    measures = (Measure("length", "Length", "samples", "lower"),)

    def measure(self, heard):
        return {"length": float(len(heard.samples))}


class Words(Meter):
    """The number of words: stands for a costly meter."""

    measures = (Measure("said", "Words", "", "lower", is_costly=True),)

    def measure(self, heard):
        return {"said": float(len(heard.text.split()))} if heard.text else {}


@pytest.fixture
def sentences(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text("word|Abc.\nword|Def.\nquestion|Ghi jkl?\n")
    return path


@pytest.fixture(autouse=True)
def meters(monkeypatch):
    monkeypatch.setitem(METERS._builders, "lengths", Lengths)
    monkeypatch.setitem(METERS._builders, "said", Words)


def settings_of(sentences, *more):
    return (f"train.test_sentences={sentences}", 'train.meters=["lengths"]', 'train.costly_meters=["said"]', *more)


def sample(length):
    return SpokenSample("a.wav", np.zeros(9, np.float32), np.zeros(length, np.float32), 8000, *[np.zeros((1, 1))] * 3)


def sentence(text, length):
    return SpokenSentence("word-01", "word", text, np.zeros(length, np.float32), 8000)


def test_means_are_over_all_that_was_spoken_and_costly_meters_wait(sentences):
    meters = ValidationMeters(tiny(settings_of(sentences, "train.evaluate_every=2")))
    spoken = [sample(100), sample(200)], [sentence("Abc def.", 600)]
    assert meters.measure(*spoken, is_full=False) == {"valid/length": 300}
    assert meters.measure(*spoken, is_full=True) == {"valid/length": 300, "valid/said": 2}
    assert meters.names == ("valid/length", "valid/said")
    assert [meters.is_full(step) for step in (0, 2, 4, 8, 9, 12, 16)] == [
        False, False, False, True, False, False, True], "9 is a last step between intervals"
    assert not ValidationMeters(tiny(settings_of(sentences, "train.evaluate_every=0"))).is_full(8)


def test_processes_measure_what_each_of_them_spoke(sentences, monkeypatch):
    def with_another(values):  # that spoke one sound of 900 samples
        return [value + more for value, more in zip(values, (900.0, 1.0))]

    monkeypatch.setattr(validation.distributed, "sum_over_processes", with_another)
    meters = ValidationMeters(tiny(settings_of(sentences)))
    assert meters.measure([sample(100)], [], is_full=False) == {"valid/length": 500}
    assert meters.measure([], [], is_full=False) == {"valid/length": 900}


def test_test_sentences_are_spoken_one_of_each_kind_or_all_and_always_the_same(sentences):
    config = tiny(settings_of(sentences))
    meters = ValidationMeters(config)
    torch.manual_seed(0)
    model = SynthesizerTrn(len(meters._reader.processor.symbols), config).eval()
    with torch.no_grad():
        few, again, everything = (meters.speak(model, is_full) for is_full in (False, False, True))
    assert [each.text for each in few] == ["Abc.", "Ghi jkl?"] and len(everything) == 3
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(few, again))


def test_an_untrained_voice_does_not_speak_for_hours(sentences, monkeypatch):
    config = tiny(settings_of(sentences))
    meters = ValidationMeters(config)
    model = SynthesizerTrn(len(meters._reader.processor.symbols), config).eval()
    monkeypatch.setattr(model, "predict_durations", lambda prior, g, noise: torch.full((1, noise.shape[2]), 900.0))
    with torch.no_grad():
        spoken = meters.speak(model, is_full=False)
    assert max(len(each.samples) for each in spoken) <= validation.LONGEST_SECONDS * 8000


def test_sentences_that_cannot_be_read_are_left_out_with_one_warning(sentences, caplog, monkeypatch):
    def no_espeak(self, source):
        raise ImportError("no espeak here")

    meters = ValidationMeters(tiny(settings_of(sentences)))
    monkeypatch.setattr(type(meters._reader), "read", no_espeak)
    assert meters.speak(None, is_full=False) == meters.speak(None, is_full=False) == []
    assert caplog.text.count("3 of 3 test sentences are left out") == 1 and "no espeak here" in caplog.text


def test_a_sentence_that_cannot_be_read_leaves_the_others(sentences, caplog, monkeypatch):
    meters = ValidationMeters(tiny(settings_of(sentences)))
    read = type(meters._reader).read

    def without_abc(self, source):
        if source == "Abc.":
            raise ValueError("what is that")
        return read(self, source)

    monkeypatch.setattr(type(meters._reader), "read", without_abc)
    monkeypatch.setattr(meters, "_speak", lambda model, prompt: np.zeros(8, np.float32))
    assert [each.text for each in meters.speak(None, is_full=True)] == ["Def.", "Ghi jkl?"]
    assert "1 of 3 test sentences are left out, which cannot be read; the first is 'Abc.': what is" in caplog.text


def test_an_error_of_the_model_is_not_taken_for_a_sentence_that_cannot_be_read(sentences, monkeypatch):
    def out_of_memory(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    config = tiny(settings_of(sentences))
    meters = ValidationMeters(config)
    model = SynthesizerTrn(len(meters._reader.processor.symbols), config).eval()
    monkeypatch.setattr(model, "predict_durations", out_of_memory)
    with torch.no_grad(), pytest.raises(torch.cuda.OutOfMemoryError):
        meters.speak(model, is_full=False)


def test_meters_that_are_absent_are_told_once(sentences, caplog, monkeypatch):
    monkeypatch.setattr(Lengths, "needs", ("no_such_package",))
    meters = ValidationMeters(tiny(settings_of(sentences, "train.evaluate_every=2")))
    for _ in range(2):
        assert meters.measure([sample(100)], [], is_full=False) == {}
    meters.measure([sample(100)], [], is_full=True)
    assert caplog.text.count("validation goes without length") == 1 and caplog.text.count("needs no_such_package") == 1


def test_a_meter_that_fails_is_left_out_from_then_on_with_one_warning(sentences, caplog, monkeypatch):
    def fail_at_the_second(self, heard):
        asked.append(heard)
        return {"said": 1.0} if len(asked) < 2 else {}["broken"]

    asked, lengths = [], []
    monkeypatch.setattr(Words, "measure", fail_at_the_second)
    monkeypatch.setattr(validation.distributed, "sum_over_processes",
                        lambda values: lengths.append(len(values)) or values)
    meters = ValidationMeters(tiny(settings_of(sentences, "train.evaluate_every=2")))
    for _ in range(2):
        assert meters.measure([sample(100), sample(200)], [], is_full=True) == {"valid/length": 150}
    assert len(asked) == 2 and lengths == [4, 4], "not asked again, and in step with the other processes"
    assert caplog.text.count("goes on without the meter said, which fails: KeyError: 'broken'") == 1


class Voices(Meter):
    """Whose recordings there are: a meter for tests."""

    measures = (Measure("voices", "Voices", "", "higher"),)
    needs_recordings = True

    def __init__(self, setting):
        self.recordings = setting.recordings

    def measure(self, heard):
        return {"voices": float(len(self.recordings[heard.speaker]))}


def test_recordings_are_had_without_test_sentences_and_for_meters_of_each_validation(tiny_corpus, monkeypatch):
    monkeypatch.setitem(METERS._builders, "voices", Voices)
    config = with_corpus(tiny_corpus, ("train.test_sentences=null", 'train.meters=["voices"]',
                                       'train.costly_meters=[]'))
    assert ValidationMeters(config).measure([sample(100)], [], is_full=False) == {"valid/voices": 5}


@pytest.mark.parametrize(("measure", "message"), [
    ("valid/sane", r"'valid/sane', which is not better when lower \(higher is\); choose one of health/distance, "),
    ("health/sharpness", r"not better when lower \(higher is\)"),
    ("valid/speaking_rate", r"not better when lower \(near 1 is\)"),
    ("valid/mle", r"which validation does not measure \(did you mean 'valid/mel'\?\)"),
    ("valid/wer", "which validation does not measure"),  # as nobody asks for the words
])
def test_a_measure_that_cannot_rank_is_refused_before_the_first_step(measure, message):
    meters = ('train.meters=["sanity"]', "train.evaluate_every=0", f"train.best_measure={measure}")
    with pytest.raises(ValueError, match=message):
        ValidationMeters(tiny(meters))
    ValidationMeters(tiny((*meters, "train.keep_best=0")))
    with pytest.raises(ValueError, match=message):
        ValidationMeters(tiny((*meters, "train.keep_best=0", "train.patience=3")))


def test_a_meter_or_a_file_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="unknown meter 'lenghts'; did you mean 'lengths'"):
        ValidationMeters(tiny(('train.meters=["lenghts"]',)))
    with pytest.raises(FileNotFoundError, match="no text file none.txt"):
        ValidationMeters(tiny(("train.test_sentences=none.txt",)))


def test_quality_is_the_mean_of_what_was_measured():
    assert validation.quality({"valid/mel": 0.5, "valid/mcd": 3.0, "valid/kl": 9.0}) == pytest.approx(0.75)
    assert validation.quality({"valid/mel": 1.0, "valid/mcd": math.nan}) == 2.0
    assert math.isnan(validation.quality({}))


def test_a_run_writes_all_of_it_and_may_rank_by_quality(tiny_corpus, tmp_path, sentences):
    config = with_corpus(tiny_corpus, settings_of(
        sentences, "train.eval_interval=2", "train.evaluate_every=2", "train.best_measure=valid/quality"))
    trainer.fit(config, tmp_path / "run", CPU)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first, second = [line for line in lines if "valid/mel" in line]
    assert "valid/length" in first and "valid/said" not in first and second["valid/said"] > 0
    assert first["valid/quality"] == pytest.approx(first["valid/mel"] / 0.5)
    assert {"health/short_share", "health/sharpness"} <= first.keys()
    assert json.loads((tmp_path / "run" / "best.json").read_text())["measure"] == "valid/quality"


def test_checkpoints_may_be_ranked_by_what_is_measured_only_now_and_then(tiny_corpus, tmp_path, sentences):
    config = with_corpus(tiny_corpus, settings_of(
        sentences, "train.eval_interval=1", "train.evaluate_every=2", "train.best_measure=valid/said"))
    trainer.fit(config, tmp_path / "run", CPU)
    assert {best["step"] for best in json.loads((tmp_path / "run" / "best.json").read_text())["best"]} == {2, 4}


def test_a_run_without_patience_left_ends(tiny_corpus, tmp_path, sentences, monkeypatch):
    monkeypatch.setattr(Lengths, "measure", lambda self, heard: {"length": 1.0})
    config = with_corpus(tiny_corpus, settings_of(
        sentences, "train.eval_interval=1", "train.total_steps=40", "train.best_measure=valid/length",
        "train.patience=2"))
    assert trainer.fit(config, tmp_path / "run", CPU).step == 3  # best at 1, none better at 2 and 3
