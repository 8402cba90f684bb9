"""A voice reads its own sound back: the score is what it says it is, and tells the right text from a wrong one."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from mel_processing import spectrogram
from models import Posterior, Prior, SynthesizerTrn
from synthesis.noise import best_of
from synthesis.rescoring import text_likelihood
from tests.conftest import tiny

CONFIG = tiny(("data.n_speakers=2", "model.gin_channels=8"))
HOP = CONFIG.data.hop_length


@pytest.fixture(scope="module")
def model():
    """A model of two speakers, shaken out of its starting values."""
    torch.manual_seed(0)
    model = SynthesizerTrn(30, CONFIG).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def tone(hertz, n_frames):
    return 0.4 * torch.sin(2 * math.pi * hertz * torch.arange(n_frames * HOP) / CONFIG.data.sampling_rate)


def in_prior_space(model, wav, g=None):
    """What posterior encoder and flow make of a sound, [1, C, T]."""
    spec = spectrogram(wav[None], CONFIG.data)
    posterior = model.enc_q(spec, torch.tensor([spec.shape[2]]), g)  # draws a z that is not looked at
    return model.flow(posterior.mean, posterior.mask, g)


class Ear(nn.Module):
    """A posterior encoder that hears the loudness of 16 bands, in powers of e."""

    def forward(self, spec, spec_lengths, g=None, noise=None):
        bands = spec[:, :128].unflatten(1, (16, 8)).mean(dim=2).log()  # [1, F, T] -> [1, 16, T]
        return Posterior(bands, bands, torch.zeros_like(bands), torch.ones_like(bands[:, :1]))


class KnownTones(nn.Module):
    """A text encoder whose tokens are to sound as the given tones do."""

    def __init__(self, ear, tones):
        super().__init__()
        heard = [ear(spectrogram(wav[None], CONFIG.data), None).z[0, :, 5:15].mean(dim=1) for wav in tones]
        self.means = torch.stack(heard)  # [N, C]

    def forward(self, text_ids, text_lengths, g=None):
        mean = self.means[text_ids].mT
        return Prior(mean, mean, torch.zeros_like(mean), torch.ones_like(mean[:, :1]))


@pytest.fixture(scope="module")
def reader():
    """A model that hears tones well and knows three of them as tokens 0, 1 and 2; its flow is the identity."""
    model = SynthesizerTrn(30, tiny()).eval()
    model.enc_q = Ear()
    model.enc_p = KnownTones(model.enc_q, [tone(hertz, 20) for hertz in (300, 1000, 2500)])
    return model


@torch.no_grad()
@pytest.mark.parametrize("speaker", [0, 1])
def test_the_score_is_the_mean_log_likelihood_of_each_frame_under_its_token(model, speaker):
    text_ids, durations, wav = torch.tensor([4, 9, 2]), torch.tensor([3, 0, 4]), tone(400, 7)
    g = model.emb_g.weight[speaker][None, :, None]
    prior = model.enc_p(text_ids[None], torch.tensor([3]))
    z_p = in_prior_space(model, wav, g)[0]  # [C, 7]
    of_each = [Normal(prior.mean[0, :, token], prior.logstd[0, :, token].exp()).log_prob(z_p[:, frame]).sum()
               for frame, token in enumerate([0, 0, 0, 2, 2, 2, 2])]
    expected = float(sum(of_each)) / 7
    assert text_likelihood(model, CONFIG.data, text_ids, durations, wav, g) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("wrong", "durations"), [
    ([1, 0], [15, 15]), ([0, 2], [15, 15]), ([2, 1], [15, 15]), ([0, 2, 1], [12, 6, 12]), ([0, 1], [8, 22])])
def test_what_was_said_is_read_better_than_another_text_and_another_rhythm(reader, wrong, durations):
    wav = torch.cat([tone(300, 15), tone(1000, 15)])
    right = text_likelihood(reader, CONFIG.data, torch.tensor([0, 1]), torch.tensor([15, 15]), wav)
    assert text_likelihood(reader, CONFIG.data, torch.tensor(wrong), torch.tensor(durations), wav) < right - 1


def test_the_clearest_of_several_candidates_is_kept(reader):
    text_ids, durations = torch.tensor([0, 1, 2]), torch.tensor([10, 10, 10])
    clear = torch.cat([tone(300, 10), tone(1000, 10), tone(2500, 10)])
    slurred = torch.cat([tone(300, 10), 0.5 * tone(300, 10) + 0.5 * tone(1000, 10), tone(2500, 10)])
    swallowed = torch.cat([tone(300, 20), tone(2500, 10)])
    candidates = iter([slurred, swallowed, clear, math.nan * clear, slurred])
    kept = best_of(5, 1, make=lambda seed: next(candidates),
                   score=lambda wav: text_likelihood(reader, CONFIG.data, text_ids, durations, wav))
    assert kept is clear


def test_the_score_needs_no_chance_and_takes_a_speaker_over_time(model):
    said = torch.tensor([4, 9, 2]), torch.tensor([1, 4, 2]), tone(400, 7)
    g = model.emb_g.weight[:1, :, None]
    torch.manual_seed(1)
    undisturbed = torch.rand(1)
    torch.manual_seed(1)
    score = text_likelihood(model, CONFIG.data, *said, g)
    assert torch.equal(torch.rand(1), undisturbed)
    assert text_likelihood(model, CONFIG.data, *said, g.expand(1, 8, 7)) == pytest.approx(score, rel=1e-5)


def test_what_is_no_sound_scores_lowest(model):
    said = torch.tensor([4, 9, 2]), torch.tensor([1, 4, 2])
    for broken in (math.nan, math.inf):
        wav = tone(400, 7)
        wav[100] = broken
        assert text_likelihood(model, CONFIG.data, *said, wav) == -math.inf
    assert text_likelihood(model, CONFIG.data, said[0], torch.zeros(3, dtype=torch.int64), torch.zeros(0)) == -math.inf


@pytest.mark.parametrize(("text_ids", "durations", "wav", "message"), [
    ([], [], HOP, r"found text_ids \[0\], durations \[0\] and a wav \[64\]; expected \[L\], \[L\] and \[S\]"),
    ([1], [1, 2], 3 * HOP, r"durations \[2\]"),
    ([[1]], [[1]], HOP, r"text_ids \[1, 1\]"),
    ([1, 2], [1, 3], 5 * HOP, "durations add up to 4 frames, and the wav has 5 of 64 samples"),
    ([1, 2], [0, 0], HOP, "durations add up to 0 frames, and the wav has 1")])
def test_what_does_not_fit_together_is_an_error(model, text_ids, durations, wav, message):
    with pytest.raises(ValueError, match=message):
        text_likelihood(model, CONFIG.data, torch.tensor(text_ids), torch.tensor(durations), torch.zeros(wav))
