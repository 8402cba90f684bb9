"""A step: both halves, what moves and what must not, several batches as one, and what is not finite."""

import math

import pytest
import torch

import losses as losses_module
import models
from data_utils import Batch
from losses import LossScale
from tests.conftest import MULTIBAND, VITS2_STANDARD, tiny
from training import step as training_step
from training.memory import dry_run
from training.step import TrainState, loss_scales, new_networks, new_state, train_step

CPU = torch.device("cpu")
KINDS = [("model.generator=hifigan", "model.duration_predictor=stochastic"),
         ("model.generator=istft", "model.duration_predictor=deterministic"),
         ("model.generator=harmonic", "model.duration_predictor=deterministic"),
         (*MULTIBAND, "model.duration_predictor=deterministic"),
         (*VITS2_STANDARD, "model.duration_predictor=stochastic")]


def fresh_state(*overrides):
    config = tiny(overrides)
    return new_state(config, new_networks(config, 71, CPU)), config


def step_on(state, config, *batches, epoch=0):
    return train_step(state, batches, loss_scales(batches, config.data), config, epoch)


def one_voice(batch: Batch) -> Batch:
    return batch._replace(speaker_ids=None)


def everything_of(state: TrainState):
    """Copies of all tensors that a step may move, by name."""
    found = {}

    def walk(value, place):
        if isinstance(value, torch.Tensor):
            found[place] = value.clone()
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{place}.{key}")
        elif isinstance(value, (list, tuple)):
            for i, inner in enumerate(value):
                walk(inner, f"{place}[{i}]")

    walk(state.state_dict(), "")
    return found


def gradients_of(state):
    return {f"{side}.{name}": parameter.grad.clone()
            for side, module in (("generator", state.generator), ("discriminators", state.discriminators))
            for name, parameter in module.named_parameters()}


def rows(batch: Batch, first: int, last: int) -> Batch:
    """Some utterances of a batch, cut to their own longest text and wav as a loader would."""
    lengths = batch.text_lengths[first:last], batch.wav_lengths[first:last]
    return Batch(batch.names[first:last], batch.text_ids[first:last, :lengths[0].max()], lengths[0],
                 batch.wav[first:last, :lengths[1].max()], lengths[1], None)


@pytest.fixture
def without_noise(monkeypatch):
    """Every draw is zero, so that an utterance gives the same numbers in whatever batch it comes."""
    monkeypatch.setattr(models, "draw_normal", lambda like: torch.zeros_like(like))
    monkeypatch.setattr(models, "random_segment_starts", lambda lengths, segment: torch.zeros_like(lengths))
    return "model.p_dropout=0", "model.p_dropout_duration=0"


def test_the_learning_rate_reaches_the_optimizers(tiny_batch):
    state, config = fresh_state("train.lr_decay=0.5", "train.learning_rate=0.002",
                                "train.discriminator_learning_rate=0.004")
    step_on(state, config, one_voice(tiny_batch), epoch=1)
    assert state.generator_updater.learning_rate == pytest.approx(0.001)
    assert state.discriminator_updater.learning_rate == pytest.approx(0.002)


def test_each_rollback_lowers_both_learning_rates(tiny_batch):
    state, config = fresh_state("train.learning_rate=0.002", "train.rollback_lr_factor=0.5", "train.lr_decay=1")
    state.rollbacks = 2
    step_on(state, config, one_voice(tiny_batch))
    assert state.generator_updater.learning_rate == pytest.approx(0.0005)
    assert state.discriminator_updater.learning_rate == pytest.approx(0.0005)


@pytest.mark.parametrize("kinds", KINDS)
def test_no_parameter_of_either_network_is_without_gradient(tiny_batch, kinds):
    state, config = fresh_state("train.weight_decay=0", *kinds)
    before = everything_of(state)
    step_on(state, config, one_voice(tiny_batch))
    for module in (state.generator, state.discriminators):
        without = [name for name, p in module.named_parameters() if p.grad is None]
        assert not without, f"no gradient for {without}"
    after = everything_of(state)
    still = [name for name in before if name.startswith(".discriminators") and torch.equal(before[name], after[name])]
    assert not still


def test_no_parameter_of_several_voices_is_without_gradient(tiny_batch):
    state, config = fresh_state("data.n_speakers=2", "model.gin_channels=8")
    step_on(state, config, tiny_batch)
    assert not [name for name, p in state.generator.named_parameters() if p.grad is None]


def test_the_generator_half_leaves_the_discriminators_gradients_alone(tiny_batch):
    state, config = fresh_state()
    batches = [one_voice(tiny_batch)]
    scales = loss_scales(batches, config.data)
    training_step.discriminator_half(state, batches, scales, config)
    before = [p.grad.clone() for p in state.discriminators.parameters()]
    training_step.generator_half(state, batches, scales, config, None, None)
    assert all(not p.requires_grad for p in state.discriminators.parameters())
    assert all(torch.equal(a, p.grad) for a, p in zip(before, state.discriminators.parameters()))


def test_the_average_follows_the_generator_and_speaks(tiny_batch):
    state, config = fresh_state("train.ema_decay=0.5")
    step_on(state, config, one_voice(tiny_batch))
    assert state.speaking_model is state.average
    pairs = zip(state.average.parameters(), state.generator.parameters())
    assert 0 < max(float((kept - new).detach().abs().max()) for kept, new in pairs) < 1e-2
    without, _ = fresh_state("train.ema_decay=0")
    assert without.average is None and without.speaking_model is without.generator


def test_discriminators_warm_up_from_the_step_at_which_they_join():
    train = tiny(("train.adversarial_start=10", "train.discriminator_warmup_steps=4")).train
    assert [training_step.adversarial_factor(train, step) for step in (10, 11, 14, 99)] == [0, 0.25, 1, 1]
    assert training_step.adversarial_factor(tiny().train, 0) == 1


def test_discriminators_are_updated_at_the_last_step_of_each_interval_and_used_at_every_one(tiny_batch):
    state, config = fresh_state("train.adversarial_start=1", "train.discriminator_interval=2")
    moved, heard = [], []
    for step in range(5):
        state.step = step
        before = [p.clone() for p in state.discriminators.parameters()]
        losses = step_on(state, config, one_voice(tiny_batch))
        still = [torch.equal(a, b) for a, b in zip(before, state.discriminators.parameters())]
        assert all(still) or not any(still)
        assert (losses.discriminator is None) is all(still)
        moved.append(not any(still))
        heard.append(float(losses.generator["adversarial"]) > 0)
    assert moved == [False, False, True, False, True] and heard == [False, True, True, True, True]


def test_while_they_warm_up_the_generator_hears_less_of_them(tiny_batch):
    norms = []
    for warm_up in (0, 1000):
        state, config = fresh_state(f"train.discriminator_warmup_steps={warm_up}", "train.c_mel=0", "train.c_kl=0",
                                    "train.c_dur=0")
        norms.append(float(step_on(state, config, one_voice(tiny_batch)).generator_norm))
    assert norms[0] > 0 and norms[1] == 0  # weight 0 at its first step


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("parts", [((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3))])
def test_several_batches_of_a_step_give_the_gradients_of_one_large_batch(tiny_batch, without_noise, kinds, parts):
    """Unequal batches, of unequal lengths: every term must be weighted by what it is a mean over."""
    overrides = (*without_noise, *kinds, "train.c_stft=1", "train.learning_rate=0.00001")
    whole, config = fresh_state(*overrides)
    expected_losses = step_on(whole, config, rows(tiny_batch, 0, 3))
    expected = gradients_of(whole)
    pieces, _ = fresh_state(*overrides)
    losses = step_on(pieces, config, *(rows(tiny_batch, *part) for part in parts))
    for name, gradient in gradients_of(pieces).items():
        scale = float(expected[name].abs().max())
        assert torch.allclose(gradient, expected[name], rtol=1e-3, atol=1e-4 * scale + 1e-7), name
    for name, value in expected_losses.as_floats().items():
        assert losses.as_floats()[name] == pytest.approx(value, rel=1e-4), name


def test_shares_are_one_for_one_batch_and_add_up_to_one_over_several(tiny_batch, tiny_config):
    assert loss_scales([rows(tiny_batch, 0, 3)], tiny_config.data) == [LossScale(1, 1, 1)]
    scales = loss_scales([rows(tiny_batch, 0, 1), rows(tiny_batch, 1, 3)], tiny_config.data)
    assert [sum(column) for column in zip(*scales)] == pytest.approx([1, 1, 1])
    assert scales[0] == LossScale(1 / 3, pytest.approx(64 / (64 + 46 + 32)), pytest.approx(12 / 26))


@pytest.mark.parametrize("kind", ["sound", "loss alone"])
def test_a_step_that_is_not_finite_changes_nothing(tiny_batch, monkeypatch, kind):
    """Also where the loss alone is infinite: adding a constant leaves the gradient as it was."""
    state, config = fresh_state()
    step_on(state, config, one_voice(tiny_batch))  # optimizers have moments now
    before = everything_of(state)
    batch = one_voice(tiny_batch)
    if kind == "sound":
        wav = tiny_batch.wav.clone()
        wav[0] = math.nan
        batch = batch._replace(wav=wav)
    else:
        for name in ("mel_loss", "discriminator_losses"):
            module = training_step if name == "discriminator_losses" else losses_module
            real = getattr(module, name)
            monkeypatch.setattr(module, name, lambda *a, real=real: _plus_infinity(real(*a)))
    losses = step_on(state, config, batch)
    assert not losses.is_finite
    assert not math.isfinite(losses.generator_norm) and not math.isfinite(losses.discriminator_norm)
    after = everything_of(state)
    assert before.keys() == after.keys()
    assert not [name for name in before if not torch.equal(before[name], after[name])]
    monkeypatch.undo()
    assert step_on(state, config, one_voice(tiny_batch)).is_finite


def _plus_infinity(value):
    return value + math.inf if isinstance(value, torch.Tensor) else type(value)(
        {name: part + math.inf for name, part in value.items()})


@pytest.mark.parametrize("side", ["discriminator_losses", "kl_loss"])
def test_a_loss_that_is_not_finite_on_one_side_stops_both(tiny_batch, monkeypatch, side):
    state, config = fresh_state()
    before = everything_of(state)
    module = training_step if side == "discriminator_losses" else losses_module
    real = getattr(module, side)
    monkeypatch.setattr(module, side, lambda *a: _plus_infinity(real(*a)))
    assert not step_on(state, config, one_voice(tiny_batch)).is_finite
    after = everything_of(state)
    assert not [name for name in before if not torch.equal(before[name], after[name])]


def test_what_only_the_generators_gradient_shows_comes_too_late_for_the_discriminators(tiny_batch, monkeypatch):
    """They have moved by then, on sound that was in order."""
    state, config = fresh_state()
    before = everything_of(state)
    real = losses_module.adversarial_loss
    monkeypatch.setattr(losses_module, "adversarial_loss", lambda *a: _plus_infinity(real(*a)))
    losses = step_on(state, config, one_voice(tiny_batch))
    assert not losses.is_finite and math.isfinite(losses.discriminator_norm)
    after = everything_of(state)
    moved = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert "discriminators" in moved and not moved & {"generator", "average", "generator_updater"}


def test_a_dry_run_changes_nothing_not_even_spectral_norms(tiny_batch):
    state, config = fresh_state("discriminator.use_spectral_norm=true", "train.adversarial_start=3",
                                "train.total_steps=9", 'discriminator.augmentations=["gain"]',
                                "discriminator.augment_target=0.6", "discriminator.augment_probability=0.5")
    before = everything_of(state)
    dry_run(state, one_voice(tiny_batch), config)
    after = everything_of(state)
    assert before and not [name for name in before if not torch.equal(before[name], after[name])]
    assert state.step == 0 and float(state.augmenter.probability) == 0.5
    assert all(p.grad is None for p in state.generator.parameters())


def test_augmentation_adapts_and_survives_a_restart(tiny_batch):
    overrides = ('discriminator.augmentations=["gain","noise"]', "discriminator.augment_target=0.6",
                 "discriminator.augment_probability=0.5")
    state, config = fresh_state(*overrides)
    for _ in range(3):
        step_on(state, config, one_voice(tiny_batch))
    found = float(state.augmenter.probability)
    assert found != 0.5
    other, _ = fresh_state(*overrides)
    other.load_state_dict({**state.state_dict(), "step": 3}, "checkpoint")
    assert float(other.augmenter.probability) == found


@pytest.fixture
def emulated_fp16(monkeypatch):
    """fp16 on the CPU, which has every operation that it needs, though slowly; the scaler is a real one."""
    monkeypatch.setattr(training_step, "effective_precision", lambda train, device: train.precision)


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_step_in_half_precision_has_losses_near_those_in_float32(tiny_batch, emulated_fp16, kinds, precision):
    values = {}
    for name in ("fp32", precision):
        state, config = fresh_state(*kinds, f"train.precision={name}")
        losses = step_on(state, config, one_voice(tiny_batch))
        values[name] = losses.as_floats()
        assert losses.generator["kl"].dtype == losses.generator["mel"].dtype == torch.float32
    for name in ("train/mel", "train/kl", "train/duration", "train/discriminator"):
        assert values[precision][name] == pytest.approx(values["fp32"][name], rel=0.1)


def test_an_overflow_lowers_the_scale_of_fp16_and_is_no_fault_while_it_can_fall(tiny_batch, emulated_fp16):
    state, config = fresh_state("train.precision=fp16")
    assert not fresh_state()[0].is_lowering_scale
    step_on(state, config, one_voice(tiny_batch))
    state.generator_updater.scaler.update(2.0**40)  # scaled gradients overflow
    before = everything_of(state)
    losses = step_on(state, config, one_voice(tiny_batch))
    assert not math.isfinite(losses.generator_norm) and state.is_lowering_scale
    assert state.generator_updater.scaler.get_scale() == 2.0**39
    after = everything_of(state)
    assert not [n for n in before if n.startswith(".generator.") and not torch.equal(before[n], after[n])]
    while not math.isfinite(losses.generator_norm):
        losses = step_on(state, config, one_voice(tiny_batch))
    assert state.generator_updater.scaler.get_scale() < 2.0**39


@pytest.mark.parametrize(("precision", "device", "effective"), [
    ("fp16", "cpu", "fp32"), ("bf16", "cpu", "bf16"), ("fp32", "cpu", "fp32"), ("bf16", "mps", "fp32"),
    ("fp16", "mps", "fp32")])
def test_a_precision_that_the_device_lacks_falls_back(precision, device, effective):
    train = tiny((f"train.precision={precision}",)).train
    assert training_step.effective_precision(train, torch.device(device)) == effective


def test_the_alignment_prior_fades():
    train = tiny(("train.alignment_prior_steps=10", "train.alignment_prior_weight=4")).train
    assert [training_step.alignment_prior(train, step) for step in (0, 5, 10, 99)] == [4, 2, 0, 0]
    assert training_step.alignment_prior(tiny().train, 0) == 0


# train.compile


@pytest.fixture
def compilations(monkeypatch):
    """Stands in for torch's compiler backend: the networks are traced but not compiled; each trace is counted."""
    found, compile_in_place = [], torch.nn.Module.compile

    def backend(graph, _inputs):
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, dynamic: compile_in_place(
        module, backend=backend, dynamic=dynamic))
    monkeypatch.setattr(training_step, "missing_compiler", lambda device: None)
    torch.compiler.reset()
    yield found
    torch.compiler.reset()


def test_networks_to_be_compiled_are_traced_in_a_step_and_move_as_they_always_do(tiny_batch, compilations):
    (plain, config), (traced, compiling) = fresh_state(), fresh_state("train.compile=true")
    for _ in range(2):
        expected, found = (step_on(state, each, one_voice(tiny_batch)).as_floats()
                           for state, each in ((plain, config), (traced, compiling)))
        assert found == pytest.approx(expected, rel=1e-4)
    assert compilations
    assert everything_of(plain).keys() == everything_of(traced).keys()


def test_dry_runs_and_averages_run_uncompiled(tiny_batch, compilations):
    state, config = fresh_state("train.compile=true")
    dry_run(state, one_voice(tiny_batch), config)
    state.average.dec(torch.randn(1, 16, 20))
    assert not compilations


def test_without_a_compiler_a_warning_says_so_and_training_goes_on(tiny_batch, monkeypatch, caplog):
    monkeypatch.setenv("CXX", "no-such-compiler")
    state, config = fresh_state("train.compile=true")
    assert "there is no C++ compiler (no-such-compiler) here; training goes on without compiling" in caplog.text
    assert step_on(state, config, one_voice(tiny_batch)).is_finite


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated")  # torch's compiler says so of itself
@pytest.mark.skipif(training_step.missing_compiler(CPU) is not None, reason="needs a C++ compiler")
def test_compiled_and_eager_networks_agree(tiny_batch):
    small = ('discriminator.kinds=["period"]', "discriminator.periods=[2]")  # compiling takes minutes
    (plain, config), (compiled, compiling) = fresh_state(*small), fresh_state("train.compile=true", *small)
    for _ in range(3):
        expected, found = (step_on(state, each, one_voice(tiny_batch)).as_floats()
                           for state, each in ((plain, config), (compiled, compiling)))
        assert found == pytest.approx(expected, rel=1e-3)
