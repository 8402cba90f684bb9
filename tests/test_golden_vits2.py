"""The numbers of VITS2 (p0p4k/vits2_pytorch), within 2e-4 of their scale."""

import json

import numpy as np
import pytest
import torch

import checkpoint
import formats
import monotonic_align
from commons import path_from_durations, sequence_mask
from formats.published import read_config
from losses import kl_loss
from models import SynthesizerTrn, noisy_scores
from tests.golden import golden

CASES = {"vits2_ljs_base": {"use_sdp": True}, "vits2_ljs_nosdp": {"use_sdp": False},
         "vits2_vctk_base": {"use_sdp": False, "gin_channels": 256, "use_spk_conditioned_encoder": True}}
STANDARD = {"use_sdp": True, "gin_channels": 256, "use_spk_conditioned_encoder": True}


def published_config(case: str) -> dict:
    """A configuration with that repository's keys."""
    n_speakers = 109 if "vctk" in case else 0
    return {
        "train": {"learning_rate": 2e-4, "batch_size": 64, "fp16_run": False, "segment_size": 8192, "init_lr_ratio": 1,
                  "warmup_epochs": 0, "c_mel": 45, "c_kl": 1.0},
        "data": {"use_mel_posterior_encoder": True, "text_cleaners": ["english_cleaners2"], "max_wav_value": 32768.0,
                 "sampling_rate": 22050, "filter_length": 1024, "hop_length": 256, "win_length": 1024,
                 "n_mel_channels": 80, "mel_fmin": 0.0, "mel_fmax": None, "add_blank": False,
                 "n_speakers": n_speakers, "cleaned_text": True},
        "model": {"use_mel_posterior_encoder": True, "use_transformer_flows": True,
                  "transformer_flow_type": "pre_conv2" if "standard" in case else "pre_conv",
                  "use_spk_conditioned_encoder": False, "use_noise_scaled_mas": True,
                  "use_duration_discriminator": True, "inter_channels": 192, "hidden_channels": 192,
                  "filter_channels": 768, "n_heads": 2, "n_layers": 6, "kernel_size": 3, "p_dropout": 0.1,
                  "resblock": "1", "resblock_kernel_sizes": [3, 7, 11],
                  "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]], "upsample_rates": [8, 8, 2, 2],
                  "upsample_initial_channel": 512, "upsample_kernel_sizes": [16, 16, 4, 4], "n_layers_q": 3,
                  "use_spectral_norm": False, **CASES.get(case, STANDARD)}}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow if "ljs" in name else ())
                                        for name in CASES])
def case(request):
    return request.param


def imported_from(case, folder):
    state = {name: torch.from_numpy(value) for name, value in golden.fill(golden.manifest(case)).items()}
    torch.save({"model": state, "iteration": 3, "optimizer": None, "learning_rate": 2e-4}, folder / "G_1000.pth")
    (folder / "config.json").write_text(json.dumps(published_config(case)))
    return formats.read(folder / "G_1000.pth")


@pytest.fixture(scope="module")
def model(case, tmp_path_factory):
    """The network of its checkpoint, read from files."""
    imported = imported_from(case, tmp_path_factory.mktemp(case))
    net = SynthesizerTrn(178, imported.config).eval()
    checkpoint.load_state(net, imported.generator, "G_1000.pth", "generator")
    return net


@pytest.fixture(scope="module")
def inputs(case):
    shared = golden.inputs("vits2_ljs_base") if "ljs" in case else {}
    return shared | golden.inputs(case)


@pytest.fixture(scope="module")
def g(model, inputs):
    with torch.no_grad():
        return model.speaker_embedding(inputs.get("sid"))


@pytest.fixture
def check(case):
    """Compares with the case; vits2_ljs_nosdp has only what depends on its duration predictor."""
    stored = {name.rpartition("/")[0] for name in golden_names(case)}

    def compare(tensor, name):
        golden.compare(tensor, case if name in stored else "vits2_ljs_base", name)
    return compare


def golden_names(case):
    return np.load(golden.HERE / f"{case}.npz").files


@torch.no_grad()
def test_text_encoder_equals_the_published_one(model, inputs, g, check, case):
    prior = model.enc_p(inputs["x"], inputs["x_lengths"], g)
    for name, value in zip(("x", "m", "logs", "mask"), prior):
        check(value, f"enc_p.{name}")
    if "vctk" in case:
        for name, value in zip(("x", "m", "logs"), model.enc_p(inputs["x"], inputs["x_lengths"])):
            check(value, f"enc_p_nog.{name}")


@torch.no_grad()
def test_posterior_encoder_and_flow_equal_the_published_ones(model, inputs, g, check):
    with golden.fixed_noise():
        posterior = model.enc_q(inputs["mel"], inputs["y_lengths"], g)
    for name, value in zip(("z", "m", "logs"), posterior):
        check(value, f"enc_q.{name}")
    z_p = model.flow(posterior.z, posterior.mask, g)
    check(z_p, "flow.z_p")
    check(model.flow.inverse(z_p, posterior.mask, g), "flow.reverse")
    z, mask = inputs["z"], sequence_mask(inputs["z_lengths"], 16)[:, None].float()
    check(model.flow.flows[0](z, mask, g).z, "flow.layer0")
    check(model.flow(z, mask, g), "flow.forward")
    check(model.flow.inverse(z, mask, g), "flow.inverse")


@torch.no_grad()
def test_durations_equal_the_published_ones(model, inputs, g, check):
    prior = model.enc_p(inputs["x"], inputs["x_lengths"], g)
    with golden.fixed_noise():
        noise = torch.randn(2, 2, 13)
        if hasattr(model.dp, "post_flows"):
            check(model.dp.loss(prior.hidden, prior.mask, inputs["durations"], g), "dp.nll")
            check(model.dp.predict(prior.hidden, prior.mask, g, 0.8 * noise), "dp.logw")
            check(model.dp.predict(prior.hidden, prior.mask, g, 0 * noise), "dp.logw_noise0")
        else:
            check(model.dp.predict(prior.hidden, prior.mask, g, noise), "dp.logw")


@torch.no_grad()
def test_inference_equals_the_published_one(model, inputs, g, check):
    check(model.dec(inputs["z"], g), "dec.o")
    with golden.fixed_noise():
        out = model.infer(inputs["x"], inputs["x_lengths"], inputs.get("sid"), noise_scale=0, noise_scale_duration=0)
        check(out.wav, "infer.o")
        check(out.durations[:, None], "infer.durations")
        check(out.z, "infer.z")
        noisy = model.infer(inputs["x"], inputs["x_lengths"], inputs.get("sid"), noise_scale=0.667,
                            noise_scale_duration=0.8, length_scale=1.3)
        check(noisy.wav, "infer_noise.o")
        check(noisy.durations[:, None], "infer_noise.durations")


@torch.no_grad()
def test_training_forward_equals_the_published_one(model, inputs, check, monkeypatch):
    monkeypatch.setattr(model, "posterior_input", "linear")  # it is given the mel itself
    with golden.fixed_noise():
        out = model(inputs["x"], inputs["x_lengths"], inputs["mel"], inputs["y_lengths"], inputs.get("sid"),
                    alignment_noise=0.01)
    check(out.wav_fake, "forward.o")
    check(out.duration_loss, "forward.l_length")
    check(path_from_durations(out.durations, 40)[:, None], "forward.attn")
    check(out.segment_starts, "forward.ids_slice")
    check(out.prior_mean, "forward.m_p")
    check(out.prior_logstd, "forward.logs_p")
    check(kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask), "loss.kl")


def test_noise_scaled_alignment_search_equals_the_published_one(inputs, check):
    scores, mask = inputs["neg_cent"], inputs["neg_cent_mask"]
    with golden.fixed_noise():
        noisy = noisy_scores(scores, float(inputs["mas_scale"]), None)
    check(noisy, "mas.noisy")
    check(monotonic_align.maximum_path(noisy, mask), "mas.path")
    check(monotonic_align.maximum_path(scores, mask), "mas.path_noise0")


def test_the_noise_of_the_search_does_not_depend_on_padding():
    scores, mask = torch.randn(2, 6, 4), torch.ones(2, 6, 4)
    mask[1, 4:] = 0
    with golden.fixed_noise():
        first = noisy_scores(scores, 0.5, mask)
        padded = noisy_scores(torch.where(mask > 0, scores, -1e6), 0.5, mask)
    torch.testing.assert_close(first[mask > 0], padded[mask > 0])
    with golden.fixed_noise():
        alone = noisy_scores(scores[:1], 0.5, mask[:1])
    torch.testing.assert_close(alone, first[:1])


@pytest.mark.parametrize("kind", ["fft", "mono_layer_inter_residual", None])
def test_a_flow_of_a_kind_that_was_never_published_is_refused_by_name(tmp_path, kind):
    tree = published_config("vits2_ljs_nosdp")
    del tree["model"]["transformer_flow_type"]
    tree["model"] |= {} if kind is None else {"transformer_flow_type": kind}
    path = tmp_path / "config.json"
    with pytest.raises(ValueError, match="model.flow_transformer is .*; it must be none, pre_conv or pre_conv2"):
        read_config(tree, path)


def test_the_other_published_flow_loads(tmp_path):
    """Its layout alone; its weights are used as those of the first kind are."""
    with torch.device("meta"):
        config, _ = read_config(published_config("vits2_vctk_standard") | {}, tmp_path / "config.json")
        net = SynthesizerTrn(178, config)
    assert {name: list(value.shape) for name, value in net.state_dict().items()} == golden.manifest(
        "vits2_vctk_standard")
