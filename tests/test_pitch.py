"""Pitch: what is measured is what sounds, harmonics are cosines of one running phase, the latent learns to tell it."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from audio.io import read_wav
from config import DataConfig
from pitch import (
    HIGHEST_HARMONIC,
    LOUDNESS,
    LOWEST,
    N_CONTOUR,
    REFERENCE,
    Pitch,
    PitchPredictor,
    harmonics,
    measure_pitch,
    pitch_loss,
    with_contour,
)

SHARED = Path(os.environ.get("VITS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
DATA = DataConfig(sampling_rate=16000, hop_length=160, filter_length=1024, win_length=1024)
CENTS = 1200


def voice_of(frequency, seconds=1.0, rate=16000, n_harmonics=20):
    """A sum of cosines that fall off as those of a voice do."""
    turns = np.cumsum(np.broadcast_to(frequency, int(seconds * rate))) / rate
    return torch.tensor(sum(np.cos(2 * np.pi * k * turns) / k**1.5 for k in range(1, n_harmonics + 1)) * 0.1).float()


def contour_of(octaves, voicing=None, data=DATA):
    octaves = torch.as_tensor(octaves, dtype=torch.float32)[None]
    voicing = torch.ones_like(octaves) if voicing is None else torch.as_tensor(voicing, dtype=torch.float32)[None]
    z = torch.zeros(1, 0, octaves.shape[1])
    return with_contour(z, Pitch(octaves, voicing), torch.ones(1, 1, octaves.shape[1]), data)


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
@pytest.mark.parametrize("frequency", [65, 100, 187.3, 300, 480])
def test_a_steady_voice_is_measured_to_a_few_cents(frequency, rate):
    data = DataConfig(sampling_rate=rate, hop_length=rate // 100)
    pitch = measure_pitch(voice_of(frequency, rate=rate, n_harmonics=12)[None], data)
    assert pitch.octaves.shape == pitch.voicing.shape == (1, 100 if rate != 22050 else 22050 // 220)
    inner = slice(5, -5)
    off = CENTS * (pitch.octaves[0, inner] - math.log2(frequency / REFERENCE))
    assert off.abs().max() < 10 and pitch.voicing[0, inner].all()


def test_a_gliding_voice_is_measured_in_the_middle_of_each_frame():
    glide = 120 * 2 ** (np.arange(16000) / 16000)  # an octave in a second
    pitch = measure_pitch(voice_of(glide)[None], DATA)
    wanted = np.log2(120 / REFERENCE) + (np.arange(100) + 0.5) / 100
    off = CENTS * (pitch.octaves[0].numpy() - wanted)[5:-5]
    assert np.abs(off).max() < 25 and abs(off.mean()) < 5  # a frame is 12 cents


@pytest.mark.parametrize("sound", ["silence", "noise", "hiss"])
def test_what_has_no_pitch_is_no_voice(sound):
    random = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    wav = {"silence": 0 * random, "noise": 0.1 * random, "hiss": 1e-4 * voice_of(150)[None]}[sound]
    assert measure_pitch(wav, DATA).voicing.mean() < 0.05


def test_items_are_measured_alone_and_short_ones_too():
    wavs = [voice_of(150, 0.5), voice_of(220, 0.3), torch.zeros(10)]
    together = measure_pitch(torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True), DATA)
    assert torch.isfinite(together.octaves).all()
    alone = measure_pitch(wavs[1][None], DATA)
    torch.testing.assert_close(together.octaves[1, :25], alone.octaves[0, :25], rtol=0, atol=1e-4)
    assert measure_pitch(wavs[2][None], DATA).octaves.shape == (1, 1)


@pytest.mark.parametrize(("hop", "rate"), [(1024, 16000), (2000, 16000), (64, 8000), (512, 44100)])
def test_there_are_as_many_frames_as_in_a_spectrogram(hop, rate):
    for n_samples in (1, hop - 1, hop, 3 * hop + 5, rate // 2):
        pitch = measure_pitch(torch.full((2, n_samples), 0.1), DataConfig(hop_length=hop, sampling_rate=rate))
        assert pitch.octaves.shape == pitch.voicing.shape == (2, max(1, n_samples // hop))
        assert torch.isfinite(pitch.octaves).all()


def test_recordings_are_measured_as_by_world():
    pyworld = pytest.importorskip("pyworld", reason="pip install pyworld")
    off, heard = [], []
    files = sorted((SHARED / "kerstin_de" / "wavs").glob("*"))
    if not files:
        pytest.skip(f"no {SHARED / 'kerstin_de'}; set VITS_SHARED_DATA")
    for path in files[::300]:
        samples, rate = read_wav(path)
        wav = torch.as_tensor(samples)[None]
        data = DataConfig(sampling_rate=rate, hop_length=rate // 100)
        pitch = measure_pitch(wav, data)
        raw, times = pyworld.dio(wav[0].double().numpy(), rate, f0_floor=80, f0_ceil=400)
        wanted = pyworld.stonemask(wav[0].double().numpy(), raw, times, rate)
        middles = (np.arange(pitch.octaves.shape[1]) + 0.5) * data.hop_length / rate
        is_voiced = np.interp(middles, times, (wanted > 0).astype(float)) == 1
        both = is_voiced & (pitch.voicing[0].numpy() > 0)
        heard.append(both.sum() / is_voiced.sum())
        wanted = np.log2(np.interp(middles, times, wanted)[both] / REFERENCE)
        off.extend(CENTS * (pitch.octaves[0].numpy()[both] - wanted))
    assert np.median(np.abs(off)) < 25 and np.mean(np.abs(off) > 600) < 0.03 and np.mean(heard) > 0.75


def test_harmonics_are_cosines_of_one_phase_that_runs_on():
    octaves = np.concatenate([np.full(20, -0.5), np.linspace(-0.5, 0.8, 30), np.full(10, 0.8)])
    wav = harmonics(contour_of(octaves), 160)[0].double().numpy()
    ends = REFERENCE / 16000 * 2.0**octaves
    starts = np.concatenate([ends[:1], ends[:-1]])
    share = np.arange(160) / 160
    frequency = (starts[:, None] + (ends - starts)[:, None] * share).ravel()
    within = starts[:, None] * np.arange(160) + (ends - starts)[:, None] * np.arange(160) ** 2 / 320
    before = np.concatenate([[0], np.cumsum((starts + ends) * 80)[:-1]])
    turns = (before[:, None] + within).ravel()
    number = np.floor(HIGHEST_HARMONIC / frequency)
    wanted = sum(np.cos(2 * np.pi * k * turns) * (k <= number) for k in range(1, int(number.max()) + 1))
    assert np.abs(wav - wanted * LOUDNESS / np.sqrt(number)).max() < 5e-3  # at the pulses it is 1.3
    assert np.sqrt(np.mean(wav**2)) == pytest.approx(LOUDNESS / np.sqrt(2), rel=0.05)


def test_what_sounds_is_what_was_asked_for():
    octaves = torch.linspace(-0.8, 0.6, 200)
    wav = lfilter([0.1], [1, -0.95], harmonics(contour_of(octaves), 160).numpy())  # falls off as a voice does
    pitch = measure_pitch(torch.from_numpy(wav), DATA)
    off = CENTS * (pitch.octaves[0] - octaves)[5:-5]
    assert off.abs().max() < 30 and pitch.voicing[0, 5:-5].all()


def test_no_voice_and_what_lies_outside_an_item_is_silent():
    mask = torch.ones(1, 1, 30)
    mask[:, :, 25:] = 0
    voicing = torch.ones(1, 30)
    voicing[:, 10:20] = 0
    z = with_contour(torch.zeros(1, 4, 30), Pitch(torch.zeros(1, 30), voicing), mask, DATA)
    assert z.shape == (1, 4 + N_CONTOUR, 30)
    loudness = harmonics(z[:, 4:], 160)[0].unflatten(0, (30, 160)).abs().amax(dim=1)
    assert (loudness[:10] > 0.1).all() and not loudness[11:20].any() and not loudness[25:].any()


def test_a_prediction_out_of_bounds_stays_a_pitch():
    z = contour_of([-50.0, 50.0, 0.0])
    assert torch.isfinite(harmonics(z, 160)).all()
    assert z[0, 1, 0] == pytest.approx(LOWEST / 16000) and z[0, 1, 1] == pytest.approx(500 / 16000)


def test_the_latent_learns_from_what_the_generator_makes_of_it_but_the_pitch_does_not():
    predictor, z = PitchPredictor(6), torch.randn(2, 6, 9, requires_grad=True)
    heard = with_contour(z, predictor(z).spoken(), torch.ones(2, 1, 9), DATA)
    heard.square().sum().backward()
    torch.testing.assert_close(z.grad, 2 * z.detach())
    assert all(parameter.grad is None for parameter in predictor.parameters())


def test_the_loss_counts_octaves_where_there_is_a_voice():
    measured = Pitch(torch.tensor([[0.0, 1.0, 5.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0, 1.0]]))
    certain = torch.tensor([[50.0, 50.0, -50.0, -50.0]])
    predicted = Pitch(torch.tensor([[0.5, 1.0, 0.0, 0.0]]), certain)
    mask = torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
    assert float(pitch_loss(predicted, measured, mask)) == pytest.approx(0.5 / 3)
    wrong = Pitch(predicted.octaves, -certain)
    assert float(pitch_loss(wrong, measured, mask)) == pytest.approx(0.5 / 3 + 50, rel=1e-3)


def test_teaching_takes_the_recordings_pitch_where_there_is_one():
    predicted = Pitch(torch.tensor([[0.1, 0.2]]), torch.tensor([[3.0, 3.0]]))
    taught = predicted.teacher_forced(Pitch(torch.tensor([[0.7, 0.8]]), torch.tensor([[1.0, 0.0]])))
    torch.testing.assert_close(taught.octaves, torch.tensor([[0.7, 0.2]]))
    assert taught.voicing.tolist() == [[1.0, 0.0]]
