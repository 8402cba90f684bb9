"""Islands of float32 under autocast: what half precision would ruin is computed in float32, whatever it is given.

On CPUs autocast leaves exponentials, sums and softmax in the precision of their inputs, on GPUs it widens them; so what
holds here by itself holds there too.
"""
# Shapes: B batch, C channels, L tokens, T frames, S samples, K bins.

import functools
import itertools

import pytest
import torch

import losses
from attentions import RelativeAttention
from commons import slice_segments
from discriminators import DiscriminatorOutput, Discriminators, split_outputs
from generators import IstftHead
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram, stft_magnitude
from models import DURATION_PREDICTORS, Prior, SynthesizerTrn, alignment_scores
from modules import ConvFlow, ElementwiseAffine, Flip, Log, ResidualCouplingLayer, weight_norm
from pitch import measure_pitch
from tests.conftest import MULTIBAND, tiny
from tests.test_transforms import BOUND, inputs_of_all_kinds, knots, parameters
from transforms import inverse_spline, spline

HALVES = [torch.bfloat16, torch.float16]
B, C, L, T, S = 2, 4, 5, 7, 1000
MASK = (torch.arange(T)[None, :] < torch.tensor([T, 4])[:, None])[:, None].float()
DATA = tiny().data


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomised(module, scale=0.3):
    """Parameters moved off their starting values, at which couplings are identities."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random) * scale)
    return module


def flows():
    """name -> (flow, its input and condition)."""
    coupling = randomised(ResidualCouplingLayer(C, 6, 3, 2, 0))
    return {"log": (Log(), noise(B, 1, T).exp(), None),
            "affine": (randomised(ElementwiseAffine(2)), noise(B, 2, T), None),
            "conv flow": (randomised(ConvFlow(6, 3)), noise(B, 2, T) * 2, noise(B, 6, T)),
            "flip": (Flip(), noise(B, 2, T), None), "coupling": (coupling, noise(B, C, T), None)}


def flow_islands():
    """The splines, and the flows made of them: values, inverses and log-determinants."""
    made = {}
    for transform in (spline, inverse_spline):
        made[transform.__name__] = (functools.partial(transform, tail_bound=BOUND),
                                    [noise(50) * 4, *parameters(50, 1.0)])
    for name, (flow, z, g) in flows().items():
        given = [z, MASK] if g is None else [z, MASK, g]
        made[f"log-determinant of {name}"] = (lambda *args, flow=flow: flow(*args).log_det, given)
        if name in ("log", "affine", "conv flow"):  # of the duration predictor
            made[name] = (flow, given)
            made[f"inverse of {name}"] = (flow.inverse, given)
    predictor = randomised(DURATION_PREDICTORS.get("stochastic")(tiny().model).eval(), 0.1)
    made["likelihood of durations"] = (
        predictor.loss, [noise(B, 16, T) * MASK, MASK, noise(B, 1, T).exp().ceil() * MASK])
    return made


def loss_islands():
    """The terms of the objective, and the scores of the alignment search."""
    def judged(x):
        return [DiscriminatorOutput(x, [x])]

    wav, other = noise(B, S) * 0.1, noise(B, S, seed=1) * 0.1
    return {
        "kl_loss": (losses.kl_loss, [*(noise(B, C, T, seed=i) * 0.5 for i in range(4)), MASK]),
        "alignment_scores": (lambda z_p, mean, logstd: alignment_scores(z_p, Prior(mean, mean, logstd, None)),
                             [noise(B, C, T), noise(B, C, L), noise(B, C, L, seed=1)]),
        "mel_loss": (losses.mel_loss, [noise(B, 20, T), noise(B, 20, T, seed=1)]),
        "stft_loss": (lambda real, fake: losses.stft_loss(real, fake, (64, 256)), [wav, other]),
        "discriminator_losses": (lambda x, y: losses.discriminator_losses(judged(x), judged(y)), [wav, other]),
        "adversarial_loss": (lambda x: losses.adversarial_loss(judged(x)), [wav]),
        "feature_loss": (lambda x, y: losses.feature_loss(judged(x), judged(y)), [wav, other]),
    }


def sound_islands():
    """Spectrograms and back, and the weights of convolutions."""
    wav, normed = noise(B, S) * 0.1, weight_norm(torch.nn.Conv1d(C, C, 3))
    return {
        "stft_magnitude": (lambda x: stft_magnitude(x, 256, 64, 256), [wav]),
        "spectrogram": (lambda x: spectrogram(x, DATA), [wav]),
        "spectrogram of lengths": (lambda x: spectrogram(x, DATA, torch.tensor([S, 500])), [wav]),
        "spec_to_mel": (lambda x: spec_to_mel(x, DATA), [spectrogram(wav, DATA)]),
        "mel_spectrogram": (lambda x: mel_spectrogram(x, DATA), [wav]),
        "iSTFT head": (IstftHead(C, 256, 64), [noise(B, T, C) * 5]),
        "weight norm": (lambda: normed.weight, []),
    }


# name -> (function, its floating-point inputs)
ISLANDS = {**flow_islands(), **loss_islands(), **sound_islands()}


def run(function, inputs, half=None):
    """Outputs as a list of tensors, and the gradients of their sum with regard to the inputs."""
    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=half, enabled=half is not None):
        out = function(*inputs)
    outputs = [out] if isinstance(out, torch.Tensor) else list(out.values() if isinstance(out, dict) else out)
    if any(value.requires_grad for value in outputs):
        sum(value.float().sum() for value in outputs).backward()
    return outputs, [value.grad for value in inputs]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", ISLANDS)
def test_autocast_changes_neither_values_nor_gradients_of_an_island(name, half):
    function, inputs = ISLANDS[name]
    outputs, gradients = run(function, inputs, half)
    expected, expected_gradients = run(function, inputs)
    if name in ("log-determinant of flip", "log-determinant of coupling"):
        assert not any(value.any() for value in outputs)  # they preserve volume
    assert all(value.dtype == torch.float32 for value in outputs)
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-5)
    for found, wanted in zip(gradients, expected_gradients):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", ISLANDS)
def test_an_island_computes_in_float32_what_it_is_given_in_half_precision(name, half):
    function, inputs = ISLANDS[name]
    inputs = [value.to(half) for value in inputs]
    outputs, _ = run(function, inputs, half)
    expected, _ = run(function, [value.float() for value in inputs])
    assert all(value.dtype == torch.float32 for value in outputs)
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("half", HALVES)
def test_the_tests_above_would_notice_half_precision(half):
    coupling = randomised(ResidualCouplingLayer(C, 6, 3, 2, 0))
    found, expected = (run(coupling, [noise(B, C, T), MASK], precision)[0][0] for precision in (half, None))
    assert (found - expected).abs().max() > 1e-4


@pytest.mark.parametrize("half", HALVES)
def test_a_conv_flow_inverts_under_autocast(half):
    flow, z, g = flows()["conv flow"]
    with torch.no_grad(), torch.autocast("cpu", dtype=half):
        back = flow.inverse(flow(z, MASK, g).z, MASK, g)
    torch.testing.assert_close(back, z * MASK, rtol=1e-4, atol=1e-4)


# Range


@pytest.mark.parametrize("is_half_given", [False, True])
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("transform", [spline, inverse_spline])
def test_a_hundred_thousand_inputs_under_autocast_never_give_nan(transform, half, is_half_given):
    kinds = list(itertools.product((0.3, 1.0, 30.0, 1000.0), ("normal", "signs", "one bin takes all")))
    n = 100_000 // len(kinds) + 1
    for i, (scale, kind) in enumerate(kinds):
        given, x = parameters(n, scale, kind, seed=i), inputs_of_all_kinds(n, seed=i)
        edges = knots(given[0 if transform is spline else 1])
        x[1000:4000] = edges[1000:4000, i % edges.shape[1]]  # where bins meet
        if is_half_given:
            x, given = x.to(half), [value.to(half) for value in given]
        with torch.autocast("cpu", dtype=half):
            out = transform(x, *given, BOUND)
        assert torch.isfinite(out.log_derivative).all()
        assert torch.equal(torch.isfinite(out.values), torch.isfinite(x))  # 1e30 is infinite in float16 already
        assert not out.values.isnan().any()


@pytest.mark.parametrize("half", HALVES)
def test_a_prior_too_narrow_for_float16_has_its_kl_in_float32(half):
    logstd = torch.full((1, 2, 3), -6.0)
    assert torch.exp(-2 * logstd.half()).isinf().all()
    z_p, mean, mask = torch.full((1, 2, 3), 1.5), torch.full((1, 2, 3), 0.5), torch.ones(1, 1, 3)
    expected = 2 * (-6 - 0 - 0.5 + 0.5 * torch.exp(torch.tensor(12.0, dtype=torch.float64)))
    with torch.autocast("cpu", dtype=half):
        found = losses.kl_loss(*(value.to(half) for value in (z_p, 0 * logstd, mean, logstd, mask)))
        scores = alignment_scores(z_p.to(half), Prior(None, mean.to(half), logstd.to(half), None))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    normal = torch.distributions.Normal(0.5, torch.tensor(-6.0, dtype=torch.float64).exp())
    of_frame = 2 * normal.log_prob(torch.tensor(1.5, dtype=torch.float64))
    torch.testing.assert_close(scores, of_frame.float().expand(1, 3, 3), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("half", HALVES)
def test_a_signal_too_loud_for_float16_has_its_spectrogram_in_float32(half):
    wav = (2000 * torch.sin(torch.arange(4096) / 5))[None].to(half)
    with torch.autocast("cpu", dtype=half):
        spec, mel = spectrogram(wav, DATA), mel_spectrogram(wav, DATA)
        distance = losses.stft_loss(wav, 0.5 * wav, (256,))
    assert spec.max() > torch.finfo(torch.float16).max
    assert torch.isfinite(spec).all() and torch.isfinite(mel).all() and torch.isfinite(distance)
    assert torch.equal(mel, mel_spectrogram(wav.float(), DATA))


@pytest.mark.parametrize("half", HALVES)
def test_log_determinants_of_long_texts_do_not_overflow(half):
    with torch.autocast("cpu", dtype=half):
        log_det = Log()(torch.full((1, 1, 20_000), 1e-5).to(half), torch.ones(1, 1, 20_000)).log_det
    assert log_det.item() == pytest.approx(20_000 * 11.5, rel=0.02) and log_det > torch.finfo(torch.float16).max


@pytest.mark.parametrize("half", HALVES)
def test_attention_in_half_precision_still_sees_no_masked_token(half):
    attention = RelativeAttention(16, 2, 4, 0.0).eval()
    mask = (torch.arange(9)[None, :] < torch.tensor([9, 5])[:, None])[:, None].float()
    x = noise(2, 16, 9) * 3
    with torch.no_grad(), torch.autocast("cpu", dtype=half):
        clean, dirty = (attention(value, mask)[1, :, :5] for value in (x * mask, x + 30 * (1 - mask)))
        alone = attention(x[1:, :, :5], mask[1:, :, :5])[0]
    assert torch.isfinite(clean).all()
    assert torch.equal(clean, dirty)
    torch.testing.assert_close(clean, alone, rtol=0.05, atol=0.05)


# A whole step

KINDS = [(f"model.generator={generator}", f"model.duration_predictor={predictor}") for generator, predictor in
         (*itertools.product(("hifigan", "istft"), ("stochastic", "deterministic")), ("harmonic", "deterministic"))]
KINDS.append(MULTIBAND)


def objective(config, batch, half):
    """Both totals of a step, and the gradients of all parameters, at the same weights and noise."""
    torch.manual_seed(0)
    generator, discriminators = SynthesizerTrn(40, config), Discriminators(config.discriminator)
    hop = config.data.hop_length
    spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    with torch.autocast("cpu", dtype=half, enabled=half is not None):
        out = generator(batch.text_ids, batch.text_lengths, spec, batch.wav_lengths // hop,
                        pitch=measure_pitch(batch.wav, config.data))
        wav_real = slice_segments(batch.wav[:, None], out.segment_starts * hop, config.train.segment_size)
        wav_fake = out.wav_fake.float()
        real, fake = split_outputs(discriminators(torch.cat([wav_real, wav_fake])))
        mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
        terms = losses.GeneratorLosses(
            mel=losses.mel_loss(mel_real, mel_spectrogram(wav_fake[:, 0], config.data)),
            kl=losses.kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask),
            duration=out.duration_loss.sum(), adversarial=losses.adversarial_loss(fake),
            features=losses.feature_loss(real, fake),
            stft=losses.stft_loss(wav_real[:, 0], wav_fake[:, 0], config.train.stft_sizes), pitch=out.pitch_loss)
        if out.bands_fake is not None:
            terms["subband"] = losses.subband_loss(generator.dec.pqmf.analysis(wav_real), out.bands_fake, config.train)
    assert all(term.dtype == torch.float32 for term in terms.values())
    terms.total(config.train).backward()
    parameters_of = [*generator.parameters(), *discriminators.parameters()]
    values = torch.stack([*terms.values()]).detach()
    return values, torch.cat([p.grad.flatten() for p in parameters_of if p.grad is not None])


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: " ".join(value.partition("=")[2] for value in kind))
def test_a_step_in_half_precision_has_nearly_the_losses_and_the_gradient_of_float32(kind, half, tiny_batch):
    config = tiny((*kind, 'discriminator.kinds=["scale","period","stft"]', "train.c_stft=1"))
    (terms, gradient), (expected, expected_gradient) = (objective(config, tiny_batch, value) for value in (half, None))
    torch.testing.assert_close(terms, expected, rtol=0.05, atol=1e-3)
    cosine = torch.nn.functional.cosine_similarity(gradient, expected_gradient, dim=0)
    assert cosine > 0.98
