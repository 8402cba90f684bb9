"""Augmentation: each change is what it says and the same for a pair; the probability adapts and resumes."""
# Shapes: B batch, S samples.

import math

import pytest
import torch

from tests.conftest import tiny
from training import augmentation
from training.augmentation import (
    AUGMENTATIONS,
    FILTER_TAPS,
    Augmenter,
    Draw,
    band_limit,
    gain,
    noise,
    polarity,
    shift,
)

RATE = 8000  # Hz
ALL = 'discriminator.augmentations=["gain","polarity","shift","band_limit","noise"]'


def build(*overrides):
    return Augmenter(tiny(overrides).discriminator, RATE)


def draw(*amounts, seed=0):
    return Draw(torch.ones(len(amounts), dtype=torch.bool), torch.tensor(amounts, dtype=torch.float64), seed)


def waves(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double() * 0.2


# Each augmentation


@pytest.mark.parametrize("amount, decibels", [(0.0, -6.0), (0.5, 0.0), (0.75, 3.0)])
def test_gain_multiplies_by_a_factor_of_at_most_six_decibels(amount, decibels):
    wav = waves(1, 1, 100)
    torch.testing.assert_close(gain(wav, draw(amount), RATE), wav * 10 ** (decibels / 20))


def test_polarity_turns_one_half_of_the_items_upside_down():
    wav = waves(4, 1, 50)
    changed = polarity(wav, draw(0.0, 0.49, 0.5, 0.99), RATE)
    assert torch.equal(changed, wav * torch.tensor([-1.0, -1.0, 1.0, 1.0]).double()[:, None, None])


def test_a_shift_is_a_slice_with_silence_before_or_after():
    wav = waves(3, 1, 200)
    earlier, same, later = shift(wav, draw(0.0, 0.5, 0.999), RATE)  # 5 ms are 40 samples
    silence = torch.zeros(1, 40).double()
    assert torch.equal(earlier, torch.cat([wav[0, :, 40:], silence], dim=1))
    assert torch.equal(same, wav[1])
    assert torch.equal(later, torch.cat([silence, wav[2, :, :-40]], dim=1))


def test_every_shift_is_as_likely_as_another():
    later = torch.stack([shift(torch.eye(1, 200).double()[None].roll(100, 2), draw((i + 0.5) / 81), RATE)[0, 0].argmax()
                         for i in range(81)])
    assert torch.equal(later, torch.arange(60, 141))


def test_a_shift_beyond_a_short_sound_leaves_silence():
    assert torch.equal(shift(waves(1, 1, 10), draw(0.0), RATE), torch.zeros(1, 1, 10).double())


def level_db(tone, amount):
    """How much louder a tone comes out, `tone` in parts of half the sampling rate; the ends are left out."""
    wav = torch.sin(math.pi * tone * torch.arange(4000).double())[None, None]
    middle = slice(FILTER_TAPS, -FILTER_TAPS)
    rms = [x[..., middle].square().mean().sqrt() for x in (band_limit(wav, draw(amount), RATE), wav)]
    return 20 * math.log10(rms[0] / rms[1] + 1e-9)


@pytest.mark.parametrize("cut_off", [0.25, 0.5, 0.8, 0.96])
def test_band_limiting_takes_what_is_above_its_cut_off_and_leaves_what_is_below(cut_off):
    amount = (cut_off - 0.25) / 0.75
    for tone in (0.01, cut_off / 2, cut_off - 0.02):
        assert abs(level_db(tone, amount)) < 0.5
    for tone in (cut_off + 0.025, max(cut_off + 0.025, (1 + cut_off) / 2), 0.995):
        assert level_db(tone, amount) < -30
    assert level_db(cut_off, amount) == pytest.approx(-6, abs=0.2)


def test_band_limiting_delays_nothing_and_each_item_has_its_own_cut_off():
    impulses = torch.zeros(3, 1, 401).double()
    impulses[:, :, 200] = 1
    low, middle, high = band_limit(impulses, draw(0.0, 0.5, 0.999999), RATE)[:, 0]
    for filtered in (low, middle, high):
        torch.testing.assert_close(filtered, filtered.flip(0))
        assert filtered.argmax() == 200
    assert low[200] < middle[200] < high[200] and high[200] == pytest.approx(1, abs=1e-4)
    alone = band_limit(impulses[1:2], draw(0.5), RATE)[0, 0]
    torch.testing.assert_close(middle, alone)


@pytest.mark.parametrize("amount, dbfs", [(0.0, -60), (0.5, -47.5), (0.999999, -35)])
def test_noise_has_its_absolute_level_however_loud_the_sound(amount, dbfs):
    for loudness in (0.0, 1.0):
        added = noise(loudness * waves(1, 1, 20000), draw(amount), RATE) - loudness * waves(1, 1, 20000)
        assert 20 * math.log10(added.square().mean().sqrt()) == pytest.approx(dbfs, abs=0.2)
        correlation = (added[..., 1:] * added[..., :-1]).mean() / added.square().mean()
        assert abs(correlation) < 0.03  # white


def test_noise_is_another_one_with_another_seed():
    silence = torch.zeros(2, 1, 100)
    first, second = (noise(silence, draw(0.5, 0.5, seed=seed), RATE) for seed in (1, 2))
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])


@pytest.mark.parametrize("name", ["gain", "polarity", "shift", "band_limit", "noise"])
def test_gradients_are_those_of_the_function(name):
    wav = waves(2, 1, 60).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: AUGMENTATIONS.get(name)(x, draw(0.3, 0.8), RATE), wav)


# All of them together


def test_off_is_the_default_and_touches_neither_sound_nor_random_numbers():
    for augmenter in (build(), build(ALL)):
        before, wav = torch.get_rng_state(), waves(2, 1, 64).requires_grad_()
        assert not augmenter.is_active and augmenter.apply(wav, augmenter.draw(2, wav.device)) is wav
        assert torch.equal(torch.get_rng_state(), before)


def test_on_draws_at_random_and_changes_every_item():
    augmenter = build(ALL, "discriminator.augment_probability=1.0")
    before, wav = torch.get_rng_state(), waves(4, 1, 1024)
    changed = augmenter.apply(wav, augmenter.draw(4, wav.device))
    assert not torch.equal(torch.get_rng_state(), before)
    assert changed.shape == wav.shape and torch.isfinite(changed).all()
    assert (changed - wav).abs().amax(dim=(1, 2)).min() > 0


def test_a_recording_and_its_synthesis_get_the_same_change():
    augmenter = build(ALL, "discriminator.augment_probability=0.5")
    torch.manual_seed(0)
    for _ in range(5):
        wav, draws = waves(4, 1, 512).float(), augmenter.draw(4, torch.device("cpu"))
        assert torch.equal(augmenter.apply(wav, draws), augmenter.apply(wav.clone(), draws))


def test_the_change_of_a_difference_holds_no_noise_so_a_pair_hears_one_and_the_same():
    augmenter = build('discriminator.augmentations=["noise","shift"]', "discriminator.augment_probability=1.0")
    real, fake = waves(3, 1, 512), waves(3, 1, 512, seed=1)
    draws = augmenter.draw(3, torch.device("cpu"))
    difference = augmenter.apply(real, draws) - augmenter.apply(fake, draws)
    torch.testing.assert_close(difference, shift(real - fake, draws[1], RATE))


def test_the_same_seed_draws_the_same_and_another_another():
    augmenter = build(ALL, "discriminator.augment_probability=0.5")
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augmenter.apply(waves(4, 1, 256), augmenter.draw(4, torch.device("cpu"))))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_each_augmentation_is_on_by_itself_with_the_probability_for_each_item():
    augmenter = build(ALL, "discriminator.augment_probability=0.3")
    torch.manual_seed(0)
    draws = augmenter.draw(4000, torch.device("cpu"))
    is_on = torch.stack([draw.is_on for draw in draws]).double()  # [5, 4000]
    assert (is_on.mean(dim=1) - 0.3).abs().max() < 0.03
    assert torch.corrcoef(is_on).fill_diagonal_(0).abs().max() < 0.06
    for draw in draws:  # how much is another question than whether
        assert draw.amount[draw.is_on].mean() == pytest.approx(0.5, abs=0.04)


def test_an_item_whose_augmentations_are_off_is_left_to_the_bit():
    augmenter = build(ALL, "discriminator.augment_probability=0.5")
    wav = waves(3, 1, 256)
    draws = tuple(Draw(torch.tensor([True, False, True]), torch.rand(3), 5) for _ in range(5))
    changed = augmenter.apply(wav, draws)
    assert torch.equal(changed[1], wav[1]) and not torch.equal(changed[0], wav[0])


def test_gradients_flow_through_all_of_them_to_the_synthesis():
    augmenter = build(ALL, "discriminator.augment_probability=1.0")
    fake = waves(2, 1, 600).float().requires_grad_()
    augmenter.apply(fake, augmenter.draw(2, fake.device)).square().sum().backward()
    assert torch.isfinite(fake.grad).all() and fake.grad.abs().amax(dim=(1, 2)).min() > 0


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_the_result_is_float32_under_autocast(kind):
    augmenter = build(ALL, "discriminator.augment_probability=1.0")
    wav = waves(2, 1, 512).to(kind)
    draws = augmenter.draw(2, wav.device)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        changed = augmenter.apply(wav, draws)
    assert changed.dtype == torch.float32
    assert torch.equal(changed, augmenter.apply(wav.float(), draws))


def test_augmentations_come_in_the_order_of_the_configuration(monkeypatch):
    monkeypatch.setattr(AUGMENTATIONS, "_builders", dict(AUGMENTATIONS._builders))
    AUGMENTATIONS.register("plus_one")(lambda wav, draw, sampling_rate: wav + 1)
    AUGMENTATIONS.register("twice")(lambda wav, draw, sampling_rate: wav * 2)
    for names, expected in ((["plus_one", "twice"], 2), (["twice", "plus_one"], 1)):
        augmenter = build(f"discriminator.augmentations={names}".replace("'", '"'),
                          "discriminator.augment_probability=1.0")
        assert augmenter.apply(torch.zeros(1, 1, 1), augmenter.draw(1, torch.device("cpu"))).item() == expected


def test_an_unknown_augmentation_names_the_nearest():
    with pytest.raises(ValueError, match=r"unknown augmentation 'noises'; did you mean 'noise'\?.*model\.plugins"):
        build('discriminator.augmentations=["noises"]')


# The probability


ADAPTIVE = (ALL, "discriminator.augment_target=0.6")


@pytest.mark.parametrize("share, expected", [(1.0, 0.5 + 0.064), (0.0, 0.5 - 0.064), (0.61, 0.5 + 0.064)])
def test_the_probability_rises_where_recordings_are_told_apart_and_falls_where_they_are_not(share, expected):
    augmenter = build(*ADAPTIVE, "discriminator.augment_probability=0.5")
    for _ in range(500):
        augmenter.update(share, 64)  # 32000 of 500000 recordings in all
    assert float(augmenter.probability) == pytest.approx(expected, abs=1e-4)


def test_the_probability_stays_between_none_and_all():
    augmenter = build(*ADAPTIVE)
    augmenter.update(0.0, 1000)
    assert float(augmenter.probability) == 0
    augmenter.update(1.0, augmentation.RECORDINGS_FROM_0_TO_1)
    augmenter.update(1.0, 1000)
    assert float(augmenter.probability) == 1


def test_a_share_on_its_target_or_not_finite_changes_nothing():
    augmenter = build(*ADAPTIVE, "discriminator.augment_probability=0.5")
    for share in (torch.tensor(0.6), torch.tensor(math.nan), math.nan):
        augmenter.update(share, 64)
        assert float(augmenter.probability) == 0.5


def test_a_fixed_probability_stays_fixed_and_a_resumed_run_takes_it_from_the_configuration():
    augmenter = build(ALL, "discriminator.augment_probability=0.3")
    augmenter.update(1.0, 10_000)
    assert float(augmenter.probability) == pytest.approx(0.3)
    augmenter.load_state_dict({"probability": 0.9})
    assert float(augmenter.probability) == pytest.approx(0.3)


def test_an_adaptive_run_that_starts_from_none_draws_and_comes_to_change_something():
    augmenter = build(*ADAPTIVE)
    wav = waves(4, 1, 256)
    assert augmenter.is_active
    assert torch.equal(augmenter.apply(wav, augmenter.draw(4, wav.device)), wav)
    augmenter.update(torch.tensor(1.0), augmentation.RECORDINGS_FROM_0_TO_1)
    assert not torch.equal(augmenter.apply(wav, augmenter.draw(4, wav.device)), wav)


def test_the_state_is_plain_and_resumes_to_the_bit():
    shares = torch.rand(60, generator=torch.Generator().manual_seed(0)).tolist()
    unbroken, first, second = (build(*ADAPTIVE, "discriminator.augment_probability=0.2") for _ in range(3))
    for share in shares:
        unbroken.update(share, 48)
    for share in shares[:25]:
        first.update(share, 48)
    state = first.state_dict()
    assert {name: type(value) for name, value in state.items()} == {"probability": float}
    second.load_state_dict(state)
    for share in shares[25:]:
        second.update(share, 48)
    assert torch.equal(unbroken.probability, second.probability)


def test_a_checkpoint_from_before_augmentation_starts_where_the_configuration_says():
    augmenter = build(*ADAPTIVE, "discriminator.augment_probability=0.2")
    augmenter.load_state_dict({})
    assert float(augmenter.probability) == pytest.approx(0.2)


@pytest.mark.gpu
def test_a_gpu_draws_what_the_cpu_draws_and_keeps_the_probability_to_itself():
    augmenter = build(*ADAPTIVE, "discriminator.augment_probability=0.5")
    drawn = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        drawn.append(augmenter.draw(8, torch.device(device)))
    for here, there in zip(*drawn):
        assert torch.equal(here.is_on, there.is_on.cpu()) and torch.equal(here.amount, there.amount.cpu())
        assert here.seed == there.seed
    augmenter.update(torch.tensor(1.0, device="cuda"), 64)
    assert augmenter.probability.is_cuda and augmenter.draw(8, torch.device("cuda"))[0].is_on.is_cuda
    without_noise, wav = augmenter.functions[:4], waves(8, 1, 2048).float()
    augmenter.functions = without_noise  # each kind of device has noise of its own
    torch.testing.assert_close(augmenter.apply(wav.cuda(), drawn[1]).cpu(), augmenter.apply(wav, drawn[0]),
                               rtol=0, atol=2e-3)  # convolutions may run in TF32
