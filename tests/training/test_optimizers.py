"""Updaters, schedules and the moving average."""

import math

import pytest
import torch

from tests.conftest import tiny
from training.optimizers import (
    LR_SCHEDULES,
    Updater,
    discriminator_lr_factor,
    generator_lr_factor,
    update_average,
)


def updater_of(module, *overrides, uses_scaler=False):
    return Updater(module, 1e-3, tiny(overrides).train, uses_scaler)


def loss_of(module):
    return 1000 * module(torch.ones(2, 4)).square().sum()


@pytest.mark.parametrize("uses_scaler", [False, True])
def test_gradient_clipping_acts_and_the_norm_is_reported_before_it(uses_scaler):
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 4)
    clipped = updater_of(module, "train.grad_clip=0.5", uses_scaler=uses_scaler)
    clipped.backward(loss_of(module))
    norm = clipped.step(1.0)
    left = torch.stack([p.grad.norm() for p in module.parameters()]).norm()
    assert norm > 100 and float(left) == pytest.approx(0.5, rel=1e-3)


def test_without_clipping_the_gradient_stays_as_it_is():
    module = torch.nn.Linear(4, 4)
    free = updater_of(module)
    free.backward(loss_of(module))
    before = [p.grad.clone() for p in module.parameters()]
    free.step(1.0)
    assert all(torch.equal(a, p.grad) for a, p in zip(before, module.parameters()))


def test_gradients_of_several_batches_add_up_until_they_are_forgotten():
    module = torch.nn.Linear(4, 4)
    updater = updater_of(module)
    updater.backward(loss_of(module))
    once = module.weight.grad.clone()
    updater.backward(loss_of(module))
    assert torch.allclose(module.weight.grad, 2 * once)
    updater.zero_grad()
    assert module.weight.grad is None


@pytest.mark.parametrize("fault", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_poisons_the_gradient_and_moves_nothing(fault):
    module = torch.nn.Linear(4, 4)
    updater = updater_of(module)
    updater.backward(loss_of(module))
    updater.step(1.0)
    weights, state = module.weight.clone(), {k: v.clone() for k, v in updater.optimizer.state[module.weight].items()}
    updater.zero_grad()
    updater.backward(loss_of(module) + fault)  # its gradient alone would be finite
    assert not math.isfinite(updater.step(1.0))
    assert torch.equal(weights, module.weight)
    assert all(torch.equal(value, updater.optimizer.state[module.weight][key]) for key, value in state.items())


def test_frozen_parameters_are_left_out_and_another_choice_on_resume_is_refused():
    module = torch.nn.Linear(4, 4)
    both = updater_of(module).state_dict()
    module.bias.requires_grad_(False)
    one = updater_of(module)
    assert one.parameters == [module.weight]
    with pytest.raises(ValueError, match=r"2 parameters trained when it was written, 1 do now; not in both: bias; keep "
                                         r"train\.trainable and train\.frozen"):
        one.load_state_dict(both)


def test_as_many_but_other_parameters_are_refused_too():
    """Moments of the wrong parameter would be taken over in silence, or worse, be of another size."""
    module = torch.nn.Linear(4, 4)
    module.bias.requires_grad_(False)
    before = updater_of(module).state_dict()
    module.bias.requires_grad_(True)
    module.weight.requires_grad_(False)
    with pytest.raises(ValueError, match="trained when it was written, 1 do now; not in both: bias, weight"):
        updater_of(module).load_state_dict(before)


def factors(function, overrides, steps, batches_per_epoch=5):
    train = tiny(overrides).train
    return [function(train, step, step // batches_per_epoch) for step in steps]


def test_the_learning_rate_warms_up_and_decays_by_epoch_as_published():
    found = factors(generator_lr_factor, ("train.lr_decay=0.5", "train.lr_warmup_steps=4"), range(11))
    assert found == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25])


@pytest.mark.parametrize(("schedule", "expected"), [
    ("cosine", [1, 0.55, 0.1, 0.1]), ("linear", [1, 0.55, 0.1, 0.1]), ("constant", [1, 1, 1, 1]),
    ("inverse_sqrt", [0.25, 0.8164966, 0.6030227, 0.2])])
def test_each_schedule_by_its_name(schedule, expected):
    warm_up = 4 if schedule == "inverse_sqrt" else 0
    overrides = (f"train.lr_schedule={schedule}", "train.lr_final=0.1", "train.total_steps=10",
                 f"train.lr_warmup_steps={warm_up}")
    assert factors(generator_lr_factor, overrides, (0, 5, 10, 99)) == pytest.approx(expected)


def test_an_unknown_schedule_names_the_known_ones():
    with pytest.raises(ValueError, match="unknown learning-rate schedule 'cosin'; did you mean 'cosine'"):
        factors(generator_lr_factor, ("train.lr_schedule=cosin",), [0])
    assert set(LR_SCHEDULES._builders) == {"exponential", "cosine", "linear", "inverse_sqrt", "constant"}


def test_the_discriminators_have_a_schedule_of_their_own_and_warm_up_when_they_join():
    same = ("train.lr_decay=0.5", "train.lr_warmup_steps=4")
    assert factors(discriminator_lr_factor, same, range(11)) == factors(generator_lr_factor, same, range(11))
    own = (*same, "train.discriminator_lr_schedule=constant", "train.discriminator_lr_warmup_steps=2",
           "train.adversarial_start=3")
    assert factors(discriminator_lr_factor, own, (3, 4, 5, 10)) == [0.5, 1, 1, 1]


def test_the_average_is_a_weighted_mean():
    average, model = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    wanted = {n: 0.9 * p + 0.1 * q for (n, p), q in zip(average.named_parameters(), model.parameters())}
    update_average(average, model, 0.9, 10**6, torch.tensor(True))
    assert all(torch.allclose(p, wanted[n]) for n, p in average.named_parameters())
    update_average(average, model, 0.9, 0, torch.tensor(True))  # young: mostly the model
    left, before = ((weight - model.weight).detach().abs().max() for weight in (average.weight, wanted["weight"]))
    assert float(left) < 0.11 * float(before)


def test_the_average_stays_to_the_bit_where_the_model_did_not_move():
    average, model = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    before = average.weight.clone()
    update_average(average, model, 0.9, 5, torch.tensor(False))
    assert torch.equal(before, average.weight)


def test_the_average_takes_over_what_is_no_parameter():
    average, model = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    model.running_mean += 3
    update_average(average, model, 0.9, 5, torch.tensor(True))
    assert torch.equal(average.running_mean, model.running_mean)
