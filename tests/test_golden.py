"""The published model's numbers: every case of tests/golden/ljs_base.npz, within 2e-4 of its scale."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import commons
import config
import losses
import monotonic_align
from discriminators import Discriminators
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import SynthesizerTrn
from tests.golden import golden

ROOT = Path(__file__).parents[1]
CASE = "ljs_base"


def check(tensor, name):
    return golden.compare(tensor, CASE, name)


@pytest.fixture(scope="module")
def inputs():
    return golden.inputs(CASE)


@pytest.fixture(scope="module")
def settings():
    return config.load(ROOT / "configs" / "ljs.json")


@pytest.fixture(scope="module")
def model(settings):
    net = SynthesizerTrn(178, settings).eval()
    net.load_state_dict(parameters("ljs_base"), strict=True)
    return net


@pytest.fixture(scope="module")
def spec(inputs, settings):
    spec = spectrogram(inputs["wav"], settings.data)
    return spec * commons.sequence_mask(inputs["y_lengths"], spec.shape[2])[:, None]


@pytest.fixture(scope="module")
def posterior(model, spec, inputs):
    with golden.fixed_noise(), torch.no_grad():
        return model.enc_q(spec, inputs["y_lengths"])


@pytest.fixture(scope="module")
def forward(model, spec, inputs):
    with golden.fixed_noise(), torch.no_grad():
        return model(inputs["x"], inputs["x_lengths"], spec, inputs["y_lengths"])


def parameters(name):
    return {key: torch.from_numpy(value) for key, value in golden.fill(golden.manifest(name)).items()}


def test_spectrograms_equal_the_published_ones(inputs, settings, spec):
    check(spec, "spec")
    check(mel_spectrogram(inputs["wav"], settings.data), "mel")
    check(spec_to_mel(spec, settings.data), "spec_to_mel")


def test_text_encoder_equals_the_published_one(model, inputs):
    with torch.no_grad():
        prior = model.enc_p(inputs["x"], inputs["x_lengths"])
    check(prior.hidden, "enc_p.x")
    check(prior.mean, "enc_p.m")
    check(prior.logstd, "enc_p.logs")
    check(prior.mask, "enc_p.mask")


def test_posterior_encoder_equals_the_published_one(posterior):
    check(posterior.z, "enc_q.z")
    check(posterior.mean, "enc_q.m")
    check(posterior.logstd, "enc_q.logs")


def test_flow_equals_the_published_one_both_ways(model, posterior):
    with torch.no_grad():
        z_p = model.flow(posterior.z, posterior.mask)
        check(z_p, "flow.z_p")
        check(model.flow.inverse(z_p, posterior.mask), "flow.reverse")


def test_stochastic_duration_predictor_equals_the_published_one(model, inputs):
    with golden.fixed_noise(), torch.no_grad():
        prior = model.enc_p(inputs["x"], inputs["x_lengths"])
        durations = inputs["durations"]
        check(model.dp.loss(prior.hidden, prior.mask, durations), "dp.nll")
        noise = torch.randn(len(prior.hidden), 2, prior.hidden.shape[2])
        check(model.dp.predict(prior.hidden, prior.mask, None, 0.8 * noise), "dp.logw")
        check(model.dp.predict(prior.hidden, prior.mask, None, 0 * noise), "dp.logw_noise0")


def test_generator_equals_the_published_one(model, posterior):
    with torch.no_grad():
        check(model.dec(posterior.z[:, :, :32]), "dec.o")


def test_inference_equals_the_published_one(model, inputs):
    with golden.fixed_noise():
        out = model.infer(inputs["x"], inputs["x_lengths"], noise_scale=0, noise_scale_duration=0)
        check(out.wav, "infer.o")
        check(out.durations[:, None], "infer.durations")
        noisy = model.infer(inputs["x"], inputs["x_lengths"], noise_scale=0.667, noise_scale_duration=0.8,
                            length_scale=1.3)
        check(noisy.wav, "infer_noise.o")
        check(noisy.durations[:, None], "infer_noise.durations")


def test_training_forward_equals_the_published_one(forward):
    check(forward.wav_fake, "forward.o")
    check(forward.duration_loss, "forward.l_length")
    check(commons.path_from_durations(forward.durations, forward.z.shape[2])[:, None], "forward.attn")
    check(forward.segment_starts, "forward.ids_slice")
    check(forward.prior_mean, "forward.m_p")
    check(forward.prior_logstd, "forward.logs_p")


def test_discriminator_and_losses_equal_the_published_ones(forward, inputs, settings):
    net = Discriminators(settings.discriminator).eval()
    net.load_state_dict(parameters("discriminator"), strict=True)
    segment = settings.train.segment_size
    first_samples = forward.segment_starts * settings.data.hop_length
    wav_real = commons.slice_segments(inputs["wav"][:, None], first_samples, segment)
    check(wav_real, "slice.y")
    with torch.no_grad():
        real, fake = net(wav_real), net(forward.wav_fake)
    check(torch.cat([judgement.logits.flatten() for judgement in real]), "disc.real")
    check(torch.cat([judgement.logits.flatten() for judgement in fake]), "disc.fake")
    statistics = [[f.mean(), f.std()] for judgement in real for f in judgement.features]
    check(torch.tensor(statistics), "disc.fmap_stats")
    check(losses.kl_loss(forward.z_p, forward.posterior_logstd, forward.prior_mean, forward.prior_logstd,
                         forward.spec_mask), "loss.kl")
    check(losses.discriminator_losses(real, fake).total(), "loss.disc")
    check(losses.adversarial_loss(fake), "loss.gen")
    check(losses.feature_loss(real, fake), "loss.fm")


def test_alignment_search_equals_the_published_one(inputs):
    check(monotonic_align.maximum_path(inputs["neg_cent"], inputs["neg_cent_mask"]), "mas.path")


@pytest.mark.parametrize(("manifest", "file"), [
    ("ljs_base", "ljs.json"), ("ljs_nosdp", "ljs_nosdp.json"), ("vctk_base", "vctk.json")])
def test_the_published_layout_loads_strictly_and_is_saved_unchanged(manifest, file):
    net = SynthesizerTrn(178, config.load(ROOT / "configs" / file))
    published = parameters(manifest)
    net.load_state_dict(published, strict=True)
    saved = net.state_dict()
    assert {key: list(value.shape) for key, value in saved.items()} == golden.manifest(manifest)
    assert all(torch.equal(saved[key], published[key]) for key in published)
    total = sum(value.numel() for value in saved.values())
    assert total == {"ljs_base": 36_321_072, "ljs_nosdp": 35_349_761, "vctk_base": 39_700_208}[manifest]


def test_every_reference_of_the_golden_file_is_compared():
    source = Path(__file__).read_text()
    names = {key.rsplit("/", 1)[0] for key in np.load(golden.HERE / f"{CASE}.npz").files if not key.startswith("in/")}
    assert not [name for name in names if json.dumps(name) not in source]
