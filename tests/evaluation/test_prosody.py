"""Prosody: known answers of sounds that were made for it."""

import numpy as np
import pytest

from audio.io import read_wav
from evaluation.metrics import AnalysedAudio, MeterContext, open_meters
from evaluation.prosody import prosody_of, syllables_of

RATE = 16000
pytest.importorskip("pyworld")


def hum(hz, level=0.3):
    """A sum of harmonics [S] whose pitch is hz [S]."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    return level * sum(np.cos(k * phase) / k for k in range(1, 8)).astype(np.float32) / 3


def steady(seconds):
    return np.full(round(seconds * RATE), 120.0)


def silence(seconds, level):
    return level * np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("depth", [0.5, 2.0, 4.0])
def test_the_pitch_movement_is_the_deviation_of_the_melody(depth):
    time = np.arange(3 * RATE) / RATE
    melody = 120 * 2 ** (depth * np.sqrt(2) * np.sin(2 * np.pi * time) / 12)  # a sine's deviation is its peak / sqrt(2)
    assert prosody_of(hum(melody), RATE).f0_sd == pytest.approx(depth, rel=0.05)


def test_pauses_are_counted_within_the_speech_and_short_silences_are_none():
    speech = hum(steady(1.0))
    sound = np.concatenate([silence(0.5, 1e-3), speech, silence(0.3, 1e-3), speech, silence(0.1, 1e-3), speech,
                            silence(0.2, 1e-3), speech, silence(0.4, 1e-3)])
    found = prosody_of(sound, RATE, syllables=41)
    assert found.pauses == pytest.approx(10 * 2 / 4.6, rel=0.02)
    assert found.pause_length == pytest.approx(0.25, abs=0.02)
    assert found.articulation == pytest.approx(41 / 4.1, rel=0.02)


@pytest.mark.parametrize("decibels", [-70, -50])
def test_the_noise_floor_is_that_of_the_silence_below_the_speech(decibels):
    speech = hum(steady(1.0))
    level = np.sqrt(np.square(speech, dtype=np.float64).mean()) * 10 ** (decibels / 20)
    found = prosody_of(np.concatenate([speech, silence(0.5, level), speech]), RATE)
    assert found.noise_floor == pytest.approx(decibels, abs=2.5)


def test_speech_without_pauses_or_syllables_has_no_such_numbers_and_ten_samples_have_none():
    found = prosody_of(hum(steady(1.0)), RATE)
    assert found.pauses == 0 and np.isnan([found.pause_length, found.articulation]).all()
    assert np.isnan(prosody_of(np.ones(10), RATE)).all()


def test_syllables_are_counted_by_their_vowels():
    counted = {text: syllables_of(text, "en-us") for text in ("cat", "about", "piano", "I like a little syllable.", "")}
    assert counted == {"cat": 1, "about": 2, "piano": 3, "I like a little syllable.": 8, "": 0}
    assert syllables_of("Guten Morgen", "de") == 4 and syllables_of("abc", "tlh") == 0


def test_recordings_have_the_prosody_of_a_reader(shared_data):
    [meter], absent = open_meters(["prosody"], MeterContext())
    wav = read_wav(shared_data / "ljspeech32" / "wavs" / "LJ001-0005.wav")
    text = ("the invention of movable metal letters in the middle of the fifteenth century may justly be considered "
            "as the invention of the art of printing.")
    values = meter.measure(AnalysedAudio(wav.samples, wav.sampling_rate, text))
    assert set(values) == {measure.name for measure in meter.measures} and not absent
    assert 3 < values["f0_sd"] < 6 and 3.5 < values["articulation"] < 6 and values["noise_floor"] < -35
