"""Generators: T frames become T hops of sound, finite whatever comes in; the inverse STFT against plain sums."""
# Shapes: B batch, C latent channels, G speaker channels, T frames, S samples, F FFT bins.

import numpy as np
import pytest
import torch

import config
from generators import GENERATORS, InverseStft, IstftHead, Pqmf
from modules import fold_weight_norm
from tests.conftest import ISTFT_HIFIGAN, MULTIBAND, MULTISTREAM, tiny

KINDS = {
    "hifigan": (),
    "hifigan with blocks of type 2": ('model.resblock="2"',),
    "istft": ("model.generator=istft",),
    "istft of an odd FFT": ("model.generator=istft", "data.filter_length=255", "data.win_length=255",
                            "data.hop_length=51", "train.segment_size=1020"),
    "istft of half overlap": ("model.generator=istft", "data.hop_length=128"),
    "istft_hifigan": ISTFT_HIFIGAN,
    "multiband": MULTIBAND,
    "multiband of two bands": (*MULTIBAND, "model.subbands=2", "model.gen_istft_hop_size=8"),
    "multistream": MULTISTREAM,
}
SPEAKERS = ("model.gin_channels=6", "data.n_speakers=3")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(kind, more=()):
    settings = tiny((*KINDS[kind], *more))
    torch.manual_seed(0)
    return GENERATORS.get(settings.model.generator)(settings.model, settings.data), settings


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("speakers", [(), SPEAKERS], ids=["one voice", "three voices"])
@pytest.mark.parametrize("frames", [1, 2, 7, 16])
def test_each_frame_becomes_one_hop_of_samples(kind, speakers, frames):
    net, settings = build(kind, speakers)
    g = noise(2, 6, 1) if speakers else None
    wav = net(noise(2, settings.model.inter_channels, frames), g)
    assert wav.shape == (2, 1, frames * settings.data.hop_length)
    assert wav.dtype == torch.float32 and torch.isfinite(wav).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_speaker_is_heard(kind):
    net, settings = build(kind, SPEAKERS)
    z = noise(1, settings.model.inter_channels, 8)
    assert not torch.allclose(net(z, noise(1, 6, 1)), net(z, noise(1, 6, 1, seed=1)))


@pytest.mark.parametrize("kind", KINDS)
def test_items_of_equal_length_do_not_influence_each_other(kind):
    net, settings = build(kind)
    z = noise(3, settings.model.inter_channels, 8)
    with torch.no_grad():
        torch.testing.assert_close(net(z)[1:2], net(z[1:2]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.0, 1e3, 1e8])
def test_the_sound_is_finite_for_huge_inputs(kind, scale):
    net, settings = build(kind)
    z = (noise(1, settings.model.inter_channels, 8) * scale).requires_grad_()
    wav = net(z)
    assert torch.isfinite(wav).all()
    wav.square().mean().backward()
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_learned(kind):
    net, settings = build(kind, SPEAKERS)
    net(noise(2, settings.model.inter_channels, 8), noise(2, 6, 1)).square().mean().backward()
    assert not [name for name, parameter in net.named_parameters() if not parameter.grad.abs().sum() > 0]


@pytest.mark.parametrize("kind", ["hifigan", "istft", "istft_hifigan", "multiband", "multistream"])
def test_bfloat16_sounds_like_float32(kind):
    net, settings = build(kind)
    z = noise(1, settings.model.inter_channels, 8)
    with torch.no_grad():
        exact = net(z)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = net(z).float()
    assert (rough - exact).abs().max() < 0.1 * exact.abs().max()


def test_folded_hifigan_sounds_the_same():
    net, settings = build("hifigan")
    z = noise(1, settings.model.inter_channels, 8)
    before = net(z)
    fold_weight_norm(net)
    torch.testing.assert_close(net(z), before, rtol=0, atol=1e-6)


def test_hifigan_stays_between_minus_one_and_one():
    net, settings = build("hifigan")
    with torch.no_grad():
        net.conv_post.weight.mul_(100)
        assert net(noise(1, settings.model.inter_channels, 8)).abs().max() <= 1


# The inverse-STFT head


def spectrum_of(head, x):
    """What the head makes of its linear layer's output: complex [B, F, T]."""
    log_magnitude, phase = head.out(x).chunk(2, dim=-1)
    return torch.polar(log_magnitude.clamp(max=head.MAX_LOG_MAGNITUDE).exp(), phase).mT


@torch.no_grad()
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (64, 32), (60, 20), (63, 21), (1024, 256)])
def test_the_head_is_a_sum_of_shifted_frames_over_the_sum_of_squared_windows(n_fft, hop):
    head, x = IstftHead(4, n_fft, hop), noise(2, 9, 4)
    spectrum = spectrum_of(head, x).numpy().astype(np.complex128)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    overhang = n_fft - hop
    expected, envelope = np.zeros((2, 9 * hop + overhang)), np.zeros(9 * hop + overhang)
    for frame in range(9):
        at = slice(frame * hop, frame * hop + n_fft)
        expected[:, at] += np.fft.irfft(spectrum[:, :, frame], n_fft, axis=1) * window
        envelope[at] += window**2
    inside = slice(overhang // 2, overhang // 2 + 9 * hop)
    np.testing.assert_allclose(head(x)[:, 0].numpy(), (expected / np.maximum(envelope, 1e-11))[:, inside],
                               rtol=1e-3, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (64, 32), (1024, 256)])
def test_the_head_equals_torchs_istft_away_from_the_ends(n_fft, hop):
    head, x = IstftHead(4, n_fft, hop), noise(2, 16, 4)
    # torch centres frames: it drops n_fft / 2 samples at the front, the head (n_fft - hop) / 2.
    reference = torch.istft(spectrum_of(head, x), n_fft, hop, n_fft, torch.hann_window(n_fft), center=True)
    wav = head(x)[:, 0, hop // 2 :]
    n = reference.shape[1]
    torch.testing.assert_close(wav[:, :n], reference, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_the_head_undoes_a_spectrogram():
    settings = config.DataConfig()
    n_fft, hop = settings.filter_length, settings.hop_length
    wav = noise(1, 20 * hop)
    padded = torch.nn.functional.pad(wav, ((n_fft - hop) // 2,) * 2)
    spectrum = torch.stft(padded, n_fft, hop, n_fft, torch.hann_window(n_fft), center=False, return_complex=True)
    head = IstftHead(n_fft + 2, n_fft, hop)
    head.out = torch.nn.Identity()
    out = head(torch.cat([spectrum.abs().clamp(max=99).log(), spectrum.angle()], dim=1).mT)
    torch.testing.assert_close(out[0], wav, rtol=0, atol=1e-3)


def test_the_heads_window_is_no_part_of_a_checkpoint():
    assert set(IstftHead(4, 64, 16).state_dict()) == {"out.weight", "out.bias"}


# The inverse STFT behind HiFi-GAN's stack, and bands


@pytest.mark.parametrize(("n_fft", "hop"), [(16, 4), (8, 4), (20, 5)])
def test_the_short_inverse_stft_is_torchs(n_fft, hop):
    magnitude, phase = noise(2, n_fft // 2 + 1, 9).exp(), noise(2, n_fft // 2 + 1, 9, seed=1)
    expected = torch.istft(torch.polar(magnitude, phase), n_fft, hop, window=torch.hann_window(n_fft))
    torch.testing.assert_close(InverseStft(n_fft, hop)(magnitude, phase), expected, rtol=0, atol=1e-5)


def signal_to_error(wav, other):
    error = (wav - other)[..., 500:-500]
    return float(10 * torch.log10(wav[..., 500:-500].square().mean() / error.square().mean()))


@pytest.mark.parametrize("n_bands", [2, 3, 4, 8])
def test_bands_joined_are_the_waveform(n_bands):
    pqmf, wav = Pqmf(n_bands), noise(1, 1, 240 * 50)
    assert signal_to_error(wav, pqmf.synthesis(pqmf.analysis(wav))) > 60


def test_the_published_filters_lose_what_they_are_known_to_lose():
    pqmf, wav = Pqmf(4, "published"), noise(1, 1, 12000)
    late = pqmf.synthesis(pqmf.analysis(wav))[..., 1:]
    assert 15 < signal_to_error(wav[..., :-1], late) < 17


@pytest.mark.parametrize("band", range(4))
def test_a_tone_is_in_the_band_of_its_frequency(band):
    tone = torch.sin(2 * np.pi * (band + 0.5) / 8 * torch.arange(8000))[None, None]
    powers = Pqmf(4).analysis(tone)[0, :, 200:-200].square().mean(dim=1)
    assert powers.argmax() == band and powers[band] > 1e4 * (powers.sum() - powers[band])


def test_the_multiband_generator_returns_its_bands():
    net, settings = build("multiband")
    z = noise(2, settings.model.inter_channels, 8)
    wav, bands = net(z, with_bands=True)
    assert bands.shape == (2, 4, wav.shape[2] // 4)
    torch.testing.assert_close(wav, net(z), rtol=0, atol=0)
    torch.testing.assert_close(net.pqmf.synthesis(bands), wav, rtol=0, atol=0)
