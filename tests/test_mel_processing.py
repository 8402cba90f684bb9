"""Spectrograms against librosa, batches against single items, and the caches."""
# Shapes: B batch, S samples, T frames, F FFT bins, M mel bands.

import sys
import warnings

import librosa
import numpy as np
import pytest
import torch

import mel_processing
from config import DataConfig
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram, stft_magnitude

PUBLISHED = DataConfig()
TINY = DataConfig(sampling_rate=8000, filter_length=256, hop_length=64, win_length=256, n_mel_channels=20)
SHORT_WINDOW = DataConfig(sampling_rate=16000, filter_length=512, hop_length=128, win_length=400, n_mel_channels=40,
                          mel_fmin=50.0, mel_fmax=7000.0)
LONG_FFT = DataConfig(sampling_rate=48000, filter_length=2048, hop_length=256, win_length=2048, n_mel_channels=100)
ODD_RATE = DataConfig(sampling_rate=11025, filter_length=512, hop_length=128, win_length=512, n_mel_channels=40)
ALL = [PUBLISHED, TINY, SHORT_WINDOW, LONG_FFT, ODD_RATE]


def speech_like(seconds=0.5, rate=22050, seed=0):
    """Harmonics of a gliding pitch under an envelope, and noise: [S]."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(3 * time)) / rate
    wav = sum(np.sin(k * phase) / k for k in range(1, 20)) * (0.2 + 0.2 * np.sin(9 * time))
    wav = 0.5 * wav + 0.01 * np.random.default_rng(seed).standard_normal(len(time))
    return torch.from_numpy((0.9 * wav / np.abs(wav).max()).astype(np.float32))


def librosa_magnitude(wav, data):
    """[S] -> [F, T]; reflected by (FFT - hop) / 2 as published, not centred by librosa."""
    padding = (data.filter_length - data.hop_length) // 2
    padded = np.pad(wav.numpy().astype(np.float64), padding, mode="reflect")
    frames = librosa.stft(padded, n_fft=data.filter_length, hop_length=data.hop_length, win_length=data.win_length,
                          window="hann", center=False, dtype=np.complex128)
    return np.sqrt(np.abs(frames) ** 2 + 1e-6)


def librosa_mel(magnitude, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # empty filters of small FFTs
        filters = librosa.filters.mel(sr=data.sampling_rate, n_fft=data.filter_length, n_mels=data.n_mel_channels,
                                      fmin=data.mel_fmin, fmax=data.mel_fmax, htk=False, norm="slaney",
                                      dtype=np.float64)
    return np.log(np.maximum(filters @ magnitude, 1e-5))


@pytest.mark.parametrize("data", ALL, ids=lambda data: f"{data.sampling_rate}")
def test_spectrograms_and_mels_equal_librosas(data):
    wav = speech_like(rate=data.sampling_rate)
    magnitude = librosa_magnitude(wav, data)
    spec = spectrogram(wav[None], data)[0]
    assert spec.shape == magnitude.shape == (data.filter_length // 2 + 1, len(wav) // data.hop_length)
    np.testing.assert_allclose(spec.numpy(), magnitude, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(mel_spectrogram(wav[None], data)[0].numpy(), librosa_mel(magnitude, data), atol=1e-3)


@pytest.mark.parametrize("data", ALL, ids=lambda data: f"{data.sampling_rate}")
def test_the_mel_of_a_spectrogram_is_the_mel_of_its_wav(data):
    wav = speech_like(rate=data.sampling_rate)[None]
    assert torch.equal(spec_to_mel(spectrogram(wav, data), data), mel_spectrogram(wav, data))


@pytest.mark.parametrize("data", ALL, ids=lambda data: f"{data.sampling_rate}")
def test_each_item_of_a_batch_comes_out_as_if_it_had_been_alone(data):
    hop, padding = data.hop_length, (data.filter_length - data.hop_length) // 2
    lengths = [20 * hop, 20 * hop - 1, 7 * hop + 13, max(hop, padding + 1), max(hop, padding), hop, hop + 1]
    wav = torch.zeros(len(lengths), max(lengths))
    for i, length in enumerate(lengths):
        wav[i, :length] = speech_like(rate=data.sampling_rate, seed=i)[:length]
    wav_dirty = wav + (torch.arange(wav.shape[1])[None, :] >= torch.tensor(lengths)[:, None])  # padding does not matter
    for batch in (wav, wav_dirty):
        spec = spectrogram(batch, data, torch.tensor(lengths))
        assert spec.shape[2] == 20
        for i, length in enumerate(lengths):
            alone = spectrogram(wav[i : i + 1, :length], data)[0]
            assert alone.shape[1] == length // hop
            torch.testing.assert_close(spec[i, :, : length // hop], alone, rtol=1e-4, atol=1e-5)
            assert not spec[i, :, length // hop :].any()


@pytest.mark.parametrize("data", ALL, ids=lambda data: f"{data.sampling_rate}")
@pytest.mark.parametrize("samples", [1, 2, 63, 64, 100, 220, 256, 383, 384, 385, 511, 1023, 5001])
def test_any_length_gives_a_frame_for_each_hop_and_at_least_one(data, samples):
    wav = speech_like(1.0, data.sampling_rate)[None, :samples]
    mel = mel_spectrogram(wav, data)
    assert mel.shape == (1, data.n_mel_channels, max(1, samples // data.hop_length))
    assert torch.isfinite(mel).all()
    spec = spectrogram(wav, data, torch.tensor([samples]))
    assert spec.shape[2] == mel.shape[2]


def test_ten_milliseconds_of_sound_work():
    assert torch.isfinite(mel_spectrogram(speech_like(0.01)[None], PUBLISHED)).all()


def test_silence_is_the_floor_and_its_gradient_is_finite():
    wav = torch.zeros(1, 4096, requires_grad=True)
    spec = spectrogram(wav, PUBLISHED)
    torch.testing.assert_close(spec, torch.full_like(spec, 1e-3))
    mel_spectrogram(wav, PUBLISHED).sum().backward()
    assert torch.isfinite(wav.grad).all()


@pytest.mark.parametrize("changed", [{"sampling_rate": 16000}, {"n_mel_channels": 40}, {"mel_fmin": 100.0},
                                     {"mel_fmax": 8000.0}, {"win_length": 800}])
def test_settings_that_share_an_fft_size_do_not_share_a_cache(changed):
    wav = speech_like()[None]
    before = mel_spectrogram(wav, PUBLISHED)
    other = mel_spectrogram(wav, DataConfig(**changed))
    assert other.shape != before.shape or not torch.allclose(other, before, atol=1e-2)
    assert torch.equal(mel_spectrogram(wav, PUBLISHED), before)


def test_windows_of_two_lengths_do_not_share_a_cache():
    wav = speech_like()[None]
    assert not torch.allclose(stft_magnitude(wav, 1024, 256, 1024), stft_magnitude(wav, 1024, 256, 512), atol=1e-2)


def test_what_inference_mode_cached_serves_training():
    data = DataConfig(n_mel_channels=33, win_length=1000)  # of no other test, so that this one fills the caches
    with torch.inference_mode():
        mel_spectrogram(speech_like()[None], data)
    wav = speech_like()[None].requires_grad_()
    mel_spectrogram(wav, data).sum().backward()
    assert wav.grad.abs().sum() > 0


def test_without_torchaudios_library_librosa_makes_the_same_filters(monkeypatch, caplog):
    wav = speech_like()[None]
    before = mel_spectrogram(wav, PUBLISHED)
    mel_processing._filterbank.cache_clear()
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    after = mel_spectrogram(wav, PUBLISHED)
    mel_processing._filterbank.cache_clear()  # later tests want their own
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)
    assert "torchaudio is not installed" in caplog.text and "librosa makes the mel filters" in caplog.text


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype):
    wav = speech_like()[None]
    with torch.autocast("cpu", dtype=dtype):
        mel = mel_spectrogram(wav, PUBLISHED)
    assert mel.dtype == torch.float32
    assert torch.equal(mel, mel_spectrogram(wav, PUBLISHED))


def test_half_precision_waves_are_computed_in_float32():
    wav = speech_like()[None].bfloat16()
    assert torch.equal(mel_spectrogram(wav, PUBLISHED), mel_spectrogram(wav.float(), PUBLISHED))


def test_the_gradient_of_a_mel_is_that_of_finite_differences():
    torch.manual_seed(0)
    wav, direction = speech_like(0.05, 8000)[None].requires_grad_(), torch.randn(1, 400)
    mel_spectrogram(wav, TINY).sum().backward()
    with torch.no_grad():
        ahead, behind = (mel_spectrogram(wav + sign * 1e-3 * direction, TINY).double().sum() for sign in (1, -1))
    assert (wav.grad * direction).sum().item() == pytest.approx(((ahead - behind) / 2e-3).item(), rel=0.05)
