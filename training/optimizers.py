"""Optimizers: one updater for each network, learning-rate schedules by name, and the moving average."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from config import TrainConfig
from utils import Registry


class Schedule(Protocol):
    """A factor on the learning rate, a pure function of the step, so that a resumed run has the same."""

    def __call__(self, train: TrainConfig, step: int, epoch: int) -> float:
        """The factor at `step`, which lies in `epoch`; both count from 0."""


LR_SCHEDULES: Registry[Schedule] = Registry("learning-rate schedule")


@LR_SCHEDULES.register("exponential")
def exponential(train: TrainConfig, step: int, epoch: int) -> float:
    """`lr_decay` each epoch, as published."""
    return train.lr_decay ** epoch


@LR_SCHEDULES.register("cosine")
def cosine(train: TrainConfig, step: int, epoch: int) -> float:
    """Half a cosine from 1 to `lr_final` at `total_steps`."""
    return train.lr_final + (1 - train.lr_final) * (0.5 + 0.5 * math.cos(math.pi * _progress(train, step)))


@LR_SCHEDULES.register("linear")
def linear(train: TrainConfig, step: int, epoch: int) -> float:
    """A line from 1 to `lr_final` at `total_steps`."""
    return 1 + (train.lr_final - 1) * _progress(train, step)


@LR_SCHEDULES.register("inverse_sqrt")
def inverse_sqrt(train: TrainConfig, step: int, epoch: int) -> float:
    """1 until the warm-up is over, then falling with the root of the step."""
    return math.sqrt(max(1, train.lr_warmup_steps) / max(1, train.lr_warmup_steps, step + 1))


@LR_SCHEDULES.register("constant")
def constant(train: TrainConfig, step: int, epoch: int) -> float:
    """No change."""
    return 1.0


def generator_lr_factor(train: TrainConfig, step: int, epoch: int) -> float:
    """Warm-up times schedule of the generator."""
    return _warm_up(train.lr_warmup_steps, step) * LR_SCHEDULES.get(train.lr_schedule)(train, step, epoch)


def discriminator_lr_factor(train: TrainConfig, step: int, epoch: int) -> float:
    """Warm-up, counted from the step at which the discriminators join, times their schedule."""
    steps = train.discriminator_lr_warmup_steps
    warm_up = _warm_up(train.lr_warmup_steps if steps is None else steps, max(0, step - train.adversarial_start))
    return warm_up * LR_SCHEDULES.get(train.discriminator_lr_schedule or train.lr_schedule)(train, step, epoch)


def _warm_up(steps: int, done: int) -> float:
    return min(1.0, (done + 1) / steps) if steps else 1.0


def _progress(train: TrainConfig, step: int) -> float:
    return min(1.0, step / train.total_steps)


class Updater:
    """One optimizer with its gradient scaler and clipping: `zero_grad`, `backward` for each batch of a step, `step`.

    A step whose loss or gradient is not finite changes nothing. Nothing here waits for the device: whether the gradient
    is finite reaches the optimizer as a tensor.
    """

    def __init__(self, module: nn.Module, learning_rate: float, train: TrainConfig, uses_scaler: bool):
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.names, self.parameters = list(trained), list(trained.values())
        self.base_learning_rate = learning_rate
        self.max_norm = train.grad_clip
        self.optimizer = torch.optim.AdamW(self.parameters, learning_rate, betas=train.betas, eps=train.eps,
                                           weight_decay=train.weight_decay, fused=True)
        self.scaler = torch.amp.GradScaler(self.parameters[0].device.type, enabled=uses_scaler)

    @property
    def learning_rate(self) -> float:
        """Of the newest step."""
        return self.optimizer.param_groups[0]["lr"]

    @property
    def is_lowering_scale(self) -> bool:
        """Whether fp16's loss scale can still fall, so that a gradient that overflows is no fault yet."""
        return self.scaler.is_enabled() and self.scaler.get_scale() > 1

    def backward(self, loss: Tensor, *conditions: Tensor) -> None:
        """Add the gradients of a scalar loss.

        If it, or another scalar among the conditions, is not finite, they all become NaN, and so on every process.
        """
        is_fine = torch.stack([value.detach().float().isfinite() for value in (loss, *conditions)]).all()
        self.scaler.scale(loss * torch.where(is_fine, 1.0, math.nan)).backward()

    @record_function("optimizer")
    def step(self, learning_rate_factor: float) -> Tensor:
        """Unscale, clip and step.

        Returns:
            the gradient's norm before clipping, a scalar; infinite or NaN where the step changed nothing.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.base_learning_rate * learning_rate_factor
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.max_norm is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.max_norm, norm)
        if self.scaler.is_enabled():  # it looks for what is not finite by itself
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.found_inf = (~norm.isfinite()).float()  # as a scaler does for a fused optimizer
            self.optimizer.step()
        return norm

    def zero_grad(self) -> None:
        """Drop the gradients."""
        self.optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """State of optimizer and scaler, and names of the parameters."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(), "names": self.names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: other parameters trained then.
        """
        before = state.get("names", self.names)
        others = sorted(set(before) ^ set(self.names))
        if others:
            shown = ", ".join(others[:3] + ["..."] * bool(others[3:]))
            raise ValueError(f"{len(before)} parameters trained when it was written, {len(self.names)} do now; not in "
                             f"both: {shown}; keep train.trainable and train.frozen, or start a new run with "
                             "--init-from")
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # else it was written where nothing is scaled, and the scale is found anew
            self.scaler.load_state_dict(state["scaler"])


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int, is_updated: Tensor) -> None:
    """Update the moving average of what trains of a model; with a smaller decay in the first steps.

    Args:
        average: changed in place.
        model: of the same shape.
        decay: how much of the average stays.
        step: from 0.
        is_updated: scalar, 0 where the model was not updated, so that the average must not be either.
    """
    weight = (1 - min(decay, (1 + step) / (10 + step))) * is_updated.to(torch.float32)
    kept, new = zip(*((old, now) for old, now in zip(average.parameters(), model.parameters()) if now.requires_grad))
    difference = torch._foreach_sub(new, kept)
    torch._foreach_mul_(difference, weight)
    torch._foreach_add_(kept, difference)
    for kept_buffer, new_buffer in zip(average.buffers(), model.buffers()):
        kept_buffer.copy_(new_buffer)
