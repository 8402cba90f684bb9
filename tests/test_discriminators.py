"""Discriminators: which parts a configuration has, and what does not depend on lengths, batches and freezing."""
# Shapes: B batch, S samples.

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from config import DiscriminatorConfig
from discriminators import (
    DISCRIMINATORS,
    DiscriminatorOutput,
    Discriminators,
    PeriodDiscriminator,
    ScaleDiscriminator,
    StftDiscriminator,
    real_accuracy,
    set_trainable,
    split_outputs,
)
from tests.conftest import tiny

ALL_KINDS = ('discriminator.kinds=["scale","period","stft"]', "discriminator.n_scales=3")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def build(overrides=ALL_KINDS):
    torch.manual_seed(0)
    return Discriminators(tiny(overrides).discriminator)


def is_spectrally_normed(part):
    return "SpectralNorm" in type(part.conv_post.parametrizations.weight[0]).__name__


def test_the_published_default_is_one_scale_and_five_periods():
    with torch.device("meta"):
        parts = Discriminators(DiscriminatorConfig()).discriminators
    assert [type(part) for part in parts] == [ScaleDiscriminator, *[PeriodDiscriminator] * 5]
    assert [part.period for part in parts[1:]] == [2, 3, 5, 7, 11]
    assert not any(is_spectrally_normed(part) for part in parts)


def test_three_scales_are_hifigans_the_first_spectrally_normed_the_others_pooled():
    parts = build(('discriminator.kinds=["scale"]', "discriminator.n_scales=3")).discriminators
    assert [is_spectrally_normed(part) for part in parts] == [True, False, False]
    wav = noise(1, 1, 1024)
    lengths = [part(wav).features[0].shape[2] for part in parts]
    assert lengths == [1024, 513, 257]


def test_every_layer_is_spectrally_normed_if_asked():
    parts = build((*ALL_KINDS, "discriminator.use_spectral_norm=true")).discriminators
    assert all(is_spectrally_normed(part) for part in parts)
    assert not [name for name, _ in parts.named_parameters() if name.endswith("original1")]


def test_kinds_come_in_the_order_of_the_configuration():
    parts = build(('discriminator.kinds=["stft","period"]',)).discriminators
    assert [type(part) for part in parts] == [StftDiscriminator, PeriodDiscriminator, PeriodDiscriminator]


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(ValueError, match=r"unknown discriminator 'periods'; did you mean 'period'\?"):
        build(('discriminator.kinds=["periods"]',))


def test_a_discriminator_of_the_users_own_joins_by_name(monkeypatch):
    class Loudness(nn.Module):
        def forward(self, wav):
            return DiscriminatorOutput(wav.abs().mean(dim=2), [wav])

    monkeypatch.setattr(DISCRIMINATORS, "_builders", dict(DISCRIMINATORS._builders))
    DISCRIMINATORS.register("loudness")(lambda config: [Loudness()])
    judgements = build(('discriminator.kinds=["period","loudness"]',))(noise(2, 1, 64))
    assert [judgement.logits.shape[0] for judgement in judgements] == [2, 2, 2]


@pytest.mark.parametrize("samples", [1024, 1023, 1022, 1019, 2310, 257, 127])
def test_any_length_of_sound_is_judged(samples):
    net = build()
    for judgement in net(noise(2, 1, samples)):
        assert judgement.logits.dim() == 2 and judgement.logits.shape[0] == 2 and judgement.logits.shape[1] > 0
        assert torch.isfinite(judgement.logits).all()
        assert all(feature.shape[0] == 2 for feature in judgement.features)


@pytest.mark.parametrize("period", [2, 3, 5, 7, 11])
def test_a_period_discriminator_sees_each_phase_of_the_period_on_its_own(period):
    torch.manual_seed(0)
    net = PeriodDiscriminator(tiny().discriminator, period)
    wav = noise(1, 1, 20 * period)
    changed = wav.clone()
    changed[:, :, 1::period] += 1
    for before, after in zip(net(wav).features, net(changed).features):
        is_other = torch.arange(period) != 1
        assert torch.equal(before[..., is_other], after[..., is_other])
        assert not torch.equal(before[..., ~is_other], after[..., ~is_other])


def test_the_end_is_reflected_to_a_multiple_of_the_period():
    torch.manual_seed(0)
    net = PeriodDiscriminator(tiny().discriminator, 3)
    wav = noise(1, 1, 100)
    longer = torch.cat([wav, wav[:, :, [98, 97]]], dim=2)
    assert torch.equal(net(wav).logits, net(longer).logits)


@torch.no_grad()
def test_real_and_fake_in_one_batch_are_judged_as_if_apart():
    net = build().eval()
    real, fake = noise(2, 1, 1024), noise(2, 1, 1024, seed=1)
    together = split_outputs(net(torch.cat([real, fake])))
    for half, wav in zip(together, (real, fake)):
        apart = net(wav)
        assert len(half) == len(apart) == 6
        for a, b in zip(half, apart):
            torch.testing.assert_close(a.logits, b.logits, rtol=0, atol=1e-6)
            assert len(a.features) == len(b.features)
            for x, y in zip(a.features, b.features):
                torch.testing.assert_close(x, y, rtol=0, atol=1e-5)


def test_the_last_feature_is_the_logits():
    for judgement in build()(noise(2, 1, 1024)):
        assert torch.equal(judgement.features[-1].flatten(1), judgement.logits)


def test_every_parameter_is_learned():
    net = build()
    sum(judgement.logits.square().mean() for judgement in net(noise(2, 1, 1024))).backward()
    assert not [name for name, parameter in net.named_parameters() if not parameter.grad.abs().sum() > 0]


def test_a_frozen_network_passes_gradients_and_gathers_none():
    net, wav = build(), noise(2, 1, 1024).requires_grad_()
    set_trainable(net, False)
    sum(judgement.logits.mean() for judgement in net(wav)).backward()
    assert wav.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in net.parameters())
    set_trainable(net, True)
    sum(judgement.logits.mean() for judgement in net(wav)).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_weights_save_under_published_names_and_load_again():
    net, other = build(("discriminator.n_scales=1",)), build(("discriminator.n_scales=1",))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1)
    saved = net.state_dict()
    assert {"discriminators.0.convs.0.weight_g", "discriminators.0.conv_post.weight_v"} <= set(saved)
    assert not [key for key in saved if "parametrizations" in key]
    other.load_state_dict(saved, strict=True)
    assert torch.equal(other(noise(1, 1, 512))[0].logits, net(noise(1, 1, 512))[0].logits)


def test_spectrally_normed_weights_save_and_load_too():
    net, other = build().eval(), build().eval()
    parametrized = [part for part in net.modules() if parametrize.is_parametrized(part, "weight")]
    with torch.no_grad():
        for part in parametrized:
            for value in part.parametrizations.weight.parameters():
                value.add_(0.1)
    other.load_state_dict(net.state_dict(), strict=True)
    with torch.no_grad():
        wav = noise(1, 1, 512)
        assert torch.equal(other(wav)[0].logits, net(wav)[0].logits)


def test_the_stft_discriminator_works_under_autocast():
    net = build(('discriminator.kinds=["stft"]',))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        [judgement] = net(noise(1, 1, 1024))
    judgement.logits.float().mean().backward()
    assert torch.isfinite(judgement.logits).all()


def test_recordings_are_told_as_such_by_their_mean_over_time_and_discriminators():
    first = DiscriminatorOutput(torch.tensor([[1.0, 1.0], [0.2, 0.4], [2.0, -1.2]], requires_grad=True), [])
    second = DiscriminatorOutput(torch.tensor([[0.9], [1.0], [0.7]], requires_grad=True), [])
    share = real_accuracy([first, second])  # means 0.95, 0.65, 0.55, then the second alone
    assert share == 1 and not share.requires_grad
    assert real_accuracy([first]) == pytest.approx(1 / 3)


def test_a_share_of_logits_that_are_not_finite_is_not_a_number():
    for wrong in (float("nan"), float("inf")):
        assert torch.isnan(real_accuracy([DiscriminatorOutput(torch.tensor([[wrong], [1.0]]), [])]))
