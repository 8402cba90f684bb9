"""The objective against plain formulas, and which weight scales which term."""
# Shapes: B batch, C channels, T frames, S samples.

import math

import pytest
import torch

import losses
from config import TrainConfig
from discriminators import DiscriminatorOutput
from losses import TERMS, DiscriminatorLosses, GeneratorLosses, LossScale, LossTerm
from models import DURATION_PREDICTORS
from pitch import Pitch, pitch_loss
from tests.conftest import tiny
from training.step import loss_scales, new_networks, new_state, train_step


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def judgements(seed):
    return [DiscriminatorOutput(noise(2, 7, seed=seed), [noise(2, 3, 5, seed=seed + 1), noise(2, 4, 2, seed=seed + 2)]),
            DiscriminatorOutput(noise(2, 9, seed=seed + 3), [noise(2, 6, seed=seed + 4)])]


def test_the_adversarial_losses_are_least_squares_summed_over_discriminators():
    real, fake = judgements(0), judgements(10)
    found = losses.discriminator_losses(real, fake)
    torch.testing.assert_close(found["real"], sum(((j.logits - 1) ** 2).mean() for j in real))
    torch.testing.assert_close(found["fake"], sum((j.logits**2).mean() for j in fake))
    torch.testing.assert_close(found.total(), found["real"] + found["fake"])
    torch.testing.assert_close(losses.adversarial_loss(fake), sum(((j.logits - 1) ** 2).mean() for j in fake))


def test_a_perfect_discriminator_loses_nothing():
    ones, zeros = [DiscriminatorOutput(torch.ones(2, 3), [])], [DiscriminatorOutput(torch.zeros(2, 3), [])]
    assert losses.discriminator_losses(ones, zeros).total() == 0
    assert losses.discriminator_losses(zeros, ones).total() == 2
    assert losses.adversarial_loss(ones) == 0 and losses.adversarial_loss(zeros) == 1


def test_the_feature_loss_is_twice_the_mean_distance_of_each_map():
    real, fake = judgements(0), judgements(10)
    expected = 0.0
    for r, f in zip(real, fake):
        for a, b in zip(r.features, f.features):
            expected += 2 * (a - b).abs().mean().item()
    assert losses.feature_loss(real, fake).item() == pytest.approx(expected, rel=1e-5)
    assert losses.feature_loss(real, real) == 0


def test_the_feature_loss_teaches_the_fake_side_only():
    r, f = noise(2, 3).requires_grad_(), noise(2, 3, seed=1).requires_grad_()
    losses.feature_loss([DiscriminatorOutput(r, [r])], [DiscriminatorOutput(f, [f])]).backward()
    assert r.grad is None and f.grad.abs().sum() > 0


def test_the_kl_loss_is_its_formula_over_valid_frames():
    z_p, logstd_q, mean, logstd = (noise(2, 3, 5, seed=i) * 0.5 for i in range(4))
    mask = torch.tensor([[[1.0, 1, 1, 1, 1]], [[1, 1, 0, 0, 0]]])
    total = 0.0
    for b, frames in ((0, 5), (1, 2)):
        for c in range(3):
            for t in range(frames):
                s_p, s_q = logstd[b, c, t].item(), logstd_q[b, c, t].item()
                total += s_p - s_q - 0.5 + 0.5 * (z_p[b, c, t].item() - mean[b, c, t].item()) ** 2 * math.exp(-2 * s_p)
    found = losses.kl_loss(z_p, logstd_q, mean, logstd, mask)
    assert found.item() == pytest.approx(total / 7, rel=1e-4)
    dirty = z_p + 100 * (1 - mask)
    torch.testing.assert_close(losses.kl_loss(dirty, logstd_q, mean, logstd, mask), found)


def test_the_kl_loss_is_the_kl_divergence_on_average():
    shape = (1, 2, 200_000)
    mean_q, std_q, mean_p, std_p = 0.3, 0.7, -0.2, 1.3
    z = mean_q + std_q * noise(*shape)
    found = losses.kl_loss(z, torch.full(shape, math.log(std_q)), torch.full(shape, mean_p),
                           torch.full(shape, math.log(std_p)), torch.ones(1, 1, shape[2]))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean_q, std_q), normal(mean_p, std_p)) * 2
    assert found.item() == pytest.approx(expected.item(), rel=0.01)


def test_the_mel_loss_is_the_mean_distance():
    real, fake = noise(2, 4, 5), noise(2, 4, 5, seed=1)
    torch.testing.assert_close(losses.mel_loss(real, fake), (real - fake).abs().mean())


def test_the_stft_loss_is_zero_for_equal_waves_and_finite_for_silence():
    wav = noise(2, 2000) * 0.1
    assert losses.stft_loss(wav, wav, (64, 256)) == 0
    silence = torch.zeros(2, 2000, requires_grad=True)
    for real, fake in ((wav, silence), (silence.detach(), silence)):
        loss = losses.stft_loss(real, fake, (64, 256))
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(silence.grad).all()
    assert losses.stft_loss(wav, silence, (64,)) > losses.stft_loss(wav, 0.9 * wav, (64,)) > 0


def test_the_stft_loss_is_convergence_plus_log_distance_averaged_over_sizes():
    real, fake = noise(1, 1000), noise(1, 1000, seed=1)
    total = 0.0
    for size in (64, 128):
        padding = (size - size // 4) // 2
        magnitudes = []
        for wav in (real, fake):
            padded = torch.nn.functional.pad(wav[:, None], (padding, padding), mode="reflect")[:, 0]
            frames = padded.unfold(1, size, size // 4) * torch.hann_window(size)
            magnitudes.append((torch.fft.rfft(frames).abs() ** 2 + 1e-6).sqrt())
        a, b = magnitudes
        total += ((a - b).square().sum().sqrt() / a.square().sum().sqrt() + (a.log() - b.log()).abs().mean()).item()
    assert losses.stft_loss(real, fake, (64, 128)).item() == pytest.approx(total / 2, rel=1e-3)


def test_the_spectral_convergence_is_a_ratio_of_each_item_so_that_a_loud_one_does_not_hide_a_quiet_one():
    real = noise(2, 1000) * torch.tensor([[1.0], [0.01]])
    quiet_is_wrong = torch.stack([real[0], -real[1].flip(0)])
    loud_is_wrong = torch.stack([-real[0].flip(0), real[1]])
    found = [losses.stft_loss(real, fake, (64,)).item() for fake in (quiet_is_wrong, loud_is_wrong)]
    assert found[0] == pytest.approx(found[1], rel=0.2)


# A batch and its parts


def cut(batch, part):
    """Some items of a batch, whatever holds it."""
    if isinstance(batch, torch.Tensor):
        return batch[part]
    if isinstance(batch, DiscriminatorOutput):
        return DiscriminatorOutput(cut(batch.logits, part), cut(batch.features, part))
    return [cut(value, part) for value in batch]


def loud_and_quiet(*shape, seed):
    """Noise whose items differ in level by powers of three."""
    level = 3.0 ** torch.arange(shape[0], dtype=torch.float32)
    return noise(*shape, seed=seed) * level.view(-1, *[1] * (len(shape) - 1)) * 0.01


def verdicts(n_items, seed):
    return [DiscriminatorOutput(loud_and_quiet(n_items, size, seed=seed + i),
                                [loud_and_quiet(n_items, *map_size, seed=seed + i + 1)])
            for i, size, map_size in ((0, 7, (3, 5)), (2, 9, (4, 2)))]


def masked_batch(n_items, seed):
    """Four tensors [B, 3, T] of latents and a mask of unequal lengths."""
    lengths = torch.randint(1, 12, (n_items,), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(11)[None, :] < lengths[:, None])[:, None].float()
    return [*(loud_and_quiet(n_items, 3, 11, seed=seed + i).clamp(-2, 2) for i in range(4)), mask]


def pitch_batch(n_items, seed):
    """Predicted octaves and logits, measured octaves and voicing, all [B, T], and a mask of unequal lengths."""
    octaves, logits, measured, voicing, mask = masked_batch(n_items, seed)
    return [octaves[:, 0], logits[:, 0], measured[:, 0], (voicing[:, 0] > 0).float(), mask]


def duration_batch(n_items, seed):
    """Hidden sequence [B, H, L], mask and durations [B, 1, L]."""
    mask = masked_batch(n_items, seed)[-1]
    return [noise(n_items, 16, 11, seed=seed) * mask, mask, noise(n_items, 1, 11, seed=seed + 1).exp().ceil() * mask]


def duration_of(kind):
    """The mean over valid tokens that the synthesizer makes of a predictor's losses."""
    torch.manual_seed(0)
    predictor = DURATION_PREDICTORS.get(kind)(tiny().model).eval()
    with torch.no_grad():
        for parameter in predictor.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # couplings begin as identities
    return lambda batch: predictor.loss(*batch).sum() / batch[1].sum()


def count_items(batch):
    return batch[0].shape[0] if isinstance(batch[0], torch.Tensor) else count_items(batch[0])


# name -> (batch of `n_items` from a seed, its loss, the weight of a batch)
DECOMPOSABLE = {
    "real": (lambda n, seed: [verdicts(n, seed), verdicts(n, seed + 50)],
             lambda batch: losses.discriminator_losses(*batch)["real"], lambda batch: count_items(batch[0][0])),
    "fake": (lambda n, seed: [verdicts(n, seed), verdicts(n, seed + 50)],
             lambda batch: losses.discriminator_losses(*batch)["fake"], lambda batch: count_items(batch[0][0])),
    "adversarial": (verdicts, losses.adversarial_loss, lambda batch: count_items(batch[0])),
    "features": (lambda n, seed: [verdicts(n, seed), verdicts(n, seed + 50)],
                 lambda batch: losses.feature_loss(*batch), lambda batch: count_items(batch[0][0])),
    "mel": (lambda n, seed: [loud_and_quiet(n, 4, 5, seed=seed), loud_and_quiet(n, 4, 5, seed=seed + 1)],
            lambda batch: losses.mel_loss(*batch), count_items),
    "kl": (masked_batch, lambda batch: losses.kl_loss(*batch), lambda batch: batch[-1].sum()),
    "pitch": (pitch_batch, lambda batch: pitch_loss(Pitch(*batch[:2]), Pitch(*batch[2:4]), batch[4]),
              lambda batch: batch[4].sum()),
    "stft": (lambda n, seed: [loud_and_quiet(n, 700, seed=seed), loud_and_quiet(n, 700, seed=seed + 1)],
             lambda batch: losses.stft_loss(*batch, (64, 128)), count_items),
    "stochastic duration": (duration_batch, duration_of("stochastic"), lambda batch: batch[1].sum()),
    "deterministic duration": (duration_batch, duration_of("deterministic"), lambda batch: batch[1].sum()),
}


HALVES, UNEQUAL_PARTS = (slice(0, 3), slice(3, 6)), (slice(0, 2), slice(2, 6))


@pytest.mark.parametrize("where", [HALVES, UNEQUAL_PARTS])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("term", DECOMPOSABLE)
def test_the_loss_of_a_batch_is_the_weighted_mean_of_those_of_its_parts(monkeypatch, term, seed, where):
    # Noise that an item gets by its place in the text, in whichever batch it is.
    monkeypatch.setattr("models.draw_normal", lambda like: torch.arange(like.shape[-1]).sin().expand(like.shape))
    make, loss, weigh = DECOMPOSABLE[term]
    batch = make(6, seed)
    parts = [cut(batch, part) for part in where]
    expected = sum(weigh(part) * loss(part) for part in parts) / sum(weigh(part) for part in parts)
    assert abs(loss(parts[0]) - loss(parts[1])) > 1e-4 * abs(expected)  # else any weights would do
    torch.testing.assert_close(loss(batch), expected, rtol=1e-5, atol=1e-6)


def test_losses_times_their_share_add_up_to_those_of_all_batches_together():
    """Two processes with two batches each; a process's gradient is the sum over its batches, then processes average."""
    names = list(TERMS)
    held = torch.tensor([[4.0, 40, 9], [2, 11, 7], [3, 35, 8], [1, 14, 1]])  # utterances, frames, tokens of each batch
    # Column of `held`; all else is a mean over utterances.
    kind_of = {"kl": 1, "duration": 2, "pitch": 1, "teacher_prior": 2, "teacher_flow": 1}
    values = noise(4, len(names)).abs()
    expected = [(values[:, i] * held[:, kind_of.get(name, 0)]).sum() / held[:, kind_of.get(name, 0)].sum()
                for i, name in enumerate(names)]
    scales = [LossScale(*(2 * row / held.sum(dim=0)).tolist()) for row in held]
    scaled = [GeneratorLosses(zip(names, row)).scaled(scale).values() for row, scale in zip(values, scales)]
    torch.testing.assert_close(torch.stack([sum(terms) / 2 for terms in zip(*scaled)]), torch.stack(expected))
    of_both = [DiscriminatorLosses(real=row[0], fake=row[1]).scaled(scale).values()
               for row, scale in zip(values, scales)]
    expected = (values[:, :2] * held[:, :1]).sum(dim=0) / held[:, 0].sum()
    torch.testing.assert_close(torch.stack([sum(terms) / 2 for terms in zip(*of_both)]), expected)


WEIGHT_OF = {"mel": "c_mel", "kl": "c_kl", "duration": "c_dur", "adversarial": "c_adv", "features": "c_fm",
             "stft": "c_stft", "subband": "c_subband", "pitch": "c_pitch", "teacher_prior": "c_teacher_prior",
             "teacher_flow": "c_teacher_flow"}


@pytest.mark.parametrize("term", TERMS)
def test_each_weight_scales_its_own_term(term):
    values = {name: torch.tensor(2.0**i) for i, name in enumerate(TERMS)}
    none = dict.fromkeys(WEIGHT_OF.values(), 0.0)
    terms = GeneratorLosses(**values)
    assert terms.total(TrainConfig(**none)) == 0
    assert terms.total(TrainConfig(**none | {WEIGHT_OF[term]: 3.0})) == 3 * values[term]


def test_the_default_weights_are_the_published_ones():
    one, zero = torch.tensor(1.0), torch.tensor(0.0)  # of pitch the published generator hears nothing
    published = {name: one for name, term in TERMS.items() if not term.with_teacher and not term.of_bands}
    assert GeneratorLosses(published | {"pitch": zero}).total(TrainConfig()) == 45 + 1 + 1 + 1 + 1


def test_a_new_term_is_one_row(tiny_batch, monkeypatch):
    """It is computed, weighted, scaled and logged; the terms that were there do not change."""
    state, config = fresh_state()
    before = train_step(state, [tiny_batch], loss_scales([tiny_batch], config.data), config, 0)
    monkeypatch.setitem(TERMS, "energy", LossTerm(
        lambda x: (x.wav_fake.square().mean() - x.wav_real.square().mean()).abs(), weight=2.5))
    state, config = fresh_state()
    after = train_step(state, [tiny_batch], loss_scales([tiny_batch], config.data), config, 0)
    assert after.generator["energy"] > 0 and after.as_floats()["train/energy"] == float(after.generator["energy"])
    assert {name: float(after.generator[name]) for name in before.generator} == {
        name: float(value) for name, value in before.generator.items()}
    added = after.generator.total(config.train) - before.generator.total(config.train)
    assert float(added) == pytest.approx(2.5 * float(after.generator["energy"]), rel=1e-3)
    assert after.generator_norm != before.generator_norm


def test_a_term_is_skipped_before_it_applies_and_where_it_costs_nothing(tiny_batch, monkeypatch):
    state, config = fresh_state("train.adversarial_start=5")
    monkeypatch.setattr(losses, "stft_loss", None)  # not called while train.c_stft is 0
    found = train_step(state, [tiny_batch], loss_scales([tiny_batch], config.data), config, 0).generator
    assert found["adversarial"] == found["features"] == found["stft"] == 0 < found["mel"]


def fresh_state(*overrides):
    """A model of two voices, as `tiny_batch` has."""
    config = tiny(("data.n_speakers=2", "model.gin_channels=8", *overrides))
    return new_state(config, new_networks(config, 71, torch.device("cpu")), {}), config


def test_losses_of_half_precision_are_summed_in_float32():
    loud = torch.full((1, 4), 300.0, dtype=torch.float16)
    fake = [DiscriminatorOutput(loud, [loud])]
    real = [DiscriminatorOutput(torch.ones(1, 4, dtype=torch.float16), [torch.zeros(1, 4, dtype=torch.float16)])]
    assert losses.discriminator_losses(real, fake)["fake"] == 90_000
    assert losses.adversarial_loss(fake) == 299**2
    assert losses.feature_loss(real, fake) == 600
