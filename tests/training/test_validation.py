"""Validation: it leaves the training as it is, every process waits for the same sums, and silence is no quality."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from data_utils import Batch
from evaluation.alignment import AlignmentHealth, Longest
from models import SynthesizerTrn
from tests.conftest import tiny, with_corpus
from tests.evaluation.test_alignment import LEARNED, A, B
from text import TextProcessor
from training import distributed, trainer, validation
from training.validation import BETTER, ValidationMeters, over_processes

CPU = torch.device("cpu")
CONFIG = tiny(('train.meters=["sanity", "timing"]',))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SynthesizerTrn(len(TextProcessor.from_config(CONFIG.data).symbols), CONFIG).eval()


@pytest.fixture
def batch(tiny_batch):
    """Nine utterances of one voice, the shortest first."""
    samples = torch.arange(9) * 64 + 2048
    wav = 0.1 * torch.randn(9, 2560, generator=torch.Generator().manual_seed(0))
    return Batch(list("abcdefghi"), tiny_batch.text_ids[2:, :5].repeat(9, 1),
                 torch.full((9,), 5), wav * (torch.arange(2560) < samples[:, None]), samples, None)


def test_training_is_the_same_however_often_it_is_validated(tiny_corpus, tmp_path):
    weights = []
    for interval in (1, 100):
        config = with_corpus(tiny_corpus, (f"train.eval_interval={interval}", 'train.meters=["sanity", "timing"]'))
        weights.append(trainer.fit(config, tmp_path / str(interval), CPU).generator.state_dict())
    assert all(torch.equal(often, weights[1][name]) for name, often in weights[0].items())


def test_a_process_without_a_batch_waits_for_the_same_sums(model, batch, monkeypatch):
    lengths = []

    def counted(values):
        lengths.append(len(values))
        return [value + 1 for value in values]

    monkeypatch.setattr(distributed, "sum_over_processes", counted)
    found = [validation.validate(model, batches, CONFIG, ValidationMeters(CONFIG)).values.keys()
             for batches in ([(0, batch)], [(1, batch)], [])]
    assert lengths[:3] == lengths[3:6] == lengths[6:] and found[0] == found[1] == found[2]


def test_of_all_that_is_found_it_is_known_which_way_it_is_better(model, batch):
    meters, health = ValidationMeters(CONFIG), AlignmentHealth(*[1.0] * 12).as_dict()
    found = validation.validate(model, [(0, batch)], CONFIG, meters).values.keys()  # no other text to compare with
    assert (found | health.keys()) - set(meters.names) == BETTER.keys()


def test_what_is_measured_is_of_all_lengths(model, batch):
    durations = torch.full((9, 5), 6).index_fill(1, torch.tensor([4]), 8)
    spoken = validation._speak(model, batch, durations, CONFIG)
    assert [sample.name for sample in spoken] == ["a", "d", "f", "i"]
    assert [sample.path.shape for sample in spoken] == [(len(sample.recorded) // 64, 5) for sample in spoken]
    one = Batch(*(field[:1] if field is not None else None for field in batch[:6]))
    assert [sample.name for sample in validation._speak(model, one, durations[:1], CONFIG)] == ["a"]


def test_an_untrained_voice_says_no_more_than_a_few_times_what_was_recorded(model, batch, monkeypatch):
    monkeypatch.setattr(model, "predict_durations", lambda prior, g, noise: torch.full((1, noise.shape[2]), 900.0))
    for sample in validation._speak(model, batch, torch.full((9, 5), 6), CONFIG):
        assert len(sample.spoken) == validation.LONGEST_SPEECH * (len(sample.recorded) // 64 * 64)


def test_a_voice_of_silence_has_no_quality(model, batch, monkeypatch):
    assert validation.validate(model, [(0, batch)], CONFIG, ValidationMeters(CONFIG)).values["valid/quality"] > 0
    speak = validation._speak
    monkeypatch.setattr(validation, "_speak", lambda *args: [
        sample._replace(spoken=np.zeros_like(sample.spoken)) for sample in speak(*args)])
    found = validation.validate(model, [(0, batch)], CONFIG, ValidationMeters(CONFIG)).values
    assert math.isnan(found["valid/quality"]) and found["valid/sane"] == 0 and math.isfinite(found["valid/mel"])


def test_where_nobody_asks_for_the_rate_of_speech_the_losses_are_the_quality():
    assert validation.quality({"valid/mel": 0.25}, ["valid/mcd"]) == 0.5
    assert math.isnan(validation.quality({"valid/mel": 0.25}, ["valid/rate_error"]))


def test_every_process_gets_the_sums_and_the_longest_symbol_of_all(monkeypatch):
    shares = [replace(LEARNED, longest=Longest(25, A)), replace(LEARNED, frames=500, longest=Longest(90, B))]
    told = []
    for rank in (0, 1):  # what each would send
        monkeypatch.setattr(distributed, "world_size", lambda: 2)
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(distributed, "sum_over_processes",
                            lambda values: told.append(values) or values)
        over_processes(shares[rank])
    monkeypatch.setattr(distributed, "sum_over_processes",
                        lambda values: [a + b for a, b in zip(*told)])
    assert over_processes(shares[1]) == shares[0] + shares[1]
    assert (shares[0] + shares[1]).longest == (90, B)
