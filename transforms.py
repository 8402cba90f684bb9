"""The monotonic rational-quadratic spline with linear tails, and its inverse ("Neural Spline Flows", Durkan 2019).

Everything is float32 and total: no input, parameter or rounding error makes it assert or return NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Shapes: N any leading shape, K bins.

MIN_BIN_SIZE = 1e-3  # of the whole interval, for widths and heights
MIN_DERIVATIVE = 1e-3


class Transformed(NamedTuple):
    """Transformed values and the log of the derivative there, both of the inputs' shape."""

    values: Tensor
    log_derivative: Tensor


class _Bin(NamedTuple):
    """The bin that each input falls into, all [N]."""

    left: Tensor
    width: Tensor
    bottom: Tensor
    height: Tensor
    slope_left: Tensor
    slope_right: Tensor


def spline(inputs: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, tail_bound: float) -> Transformed:
    """Apply the spline: identity outside [-tail_bound, tail_bound], slope 1 at both bounds.

    Args:
        inputs: [N].
        widths, heights: unnormalised, [N, K].
        slopes: unnormalised, of the inner knots, [N, K - 1].
        tail_bound: half the interval's length.
    """
    inputs = inputs.float()
    inside = inputs.clamp(-tail_bound, tail_bound)
    b = _find_bin(inside, widths, heights, slopes, tail_bound, by_height=False)
    theta = ((inside - b.left) / b.width).clamp(0, 1)
    values = b.bottom + b.height * _rise(b, theta)
    return _with_tails(inputs, values, _log_derivative(b, theta), tail_bound)


def inverse_spline(inputs: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, tail_bound: float) -> Transformed:
    """Undo `spline`; arguments and results as there, the derivative being that of the inverse."""
    inputs = inputs.float()
    inside = inputs.clamp(-tail_bound, tail_bound)
    b = _find_bin(inside, widths, heights, slopes, tail_bound, by_height=True)
    # Eq. 6-8 solved for theta, with m the mean slope, r in [0, 1] the share of the bin's height below the input and
    # d = slope_left (1 - r) - slope_right r: theta = 2mr / (2mr + d + root), root = sqrt(d^2 + 4 m^2 r (1 - r)).
    # The discriminant is a sum of squares, and d + root is written so that nothing cancels where d is negative.
    share = ((inside - b.bottom) / b.height).clamp(0, 1)
    mean_slope = b.height / b.width
    d = b.slope_left * (1 - share) - b.slope_right * share
    cross = 4 * mean_slope.square() * share * (1 - share)
    d_plus_root = 2 * d.clamp(min=0) + cross / ((d.square() + cross).sqrt() + d.abs())
    theta = 2 * mean_slope * share / (2 * mean_slope * share + d_plus_root)
    values = b.left + b.width * theta
    return _with_tails(inputs, values, -_log_derivative(b, theta), tail_bound)


def _find_bin(x: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float, by_height: bool) -> _Bin:
    """Knots from the unnormalised parameters, and the bin of each x, looked up among their x or y positions."""
    knots_x = _knots(widths.float(), bound)  # [N, K + 1]
    knots_y = _knots(heights.float(), bound)
    inner = MIN_DERIVATIVE + F.softplus(slopes.float())
    derivatives = F.pad(inner, (1, 1), value=1.0)  # slope 1 at both bounds meets the tails
    knots = knots_y if by_height else knots_x
    index = (x[..., None] >= knots[..., 1:-1]).sum(dim=-1, keepdim=True)  # 0 .. K - 1

    def at(values: Tensor, offset: int = 0) -> Tensor:
        return values.gather(-1, index + offset)[..., 0]

    left, bottom = at(knots_x), at(knots_y)
    return _Bin(left, at(knots_x, 1) - left, bottom, at(knots_y, 1) - bottom, at(derivatives), at(derivatives, 1))


def _knots(unnormalised: Tensor, bound: float) -> Tensor:
    """Positions of K + 1 knots from -bound to bound, each bin at least its minimum: [N, K] -> [N, K + 1]."""
    n_bins = unnormalised.shape[-1]
    shares = MIN_BIN_SIZE + (1 - MIN_BIN_SIZE * n_bins) * torch.softmax(unnormalised, dim=-1)
    inner = 2 * bound * shares.cumsum(dim=-1)[..., :-1] - bound
    return torch.cat([torch.full_like(inner[..., :1], -bound), inner, torch.full_like(inner[..., :1], bound)], dim=-1)


def _rise(b: _Bin, theta: Tensor) -> Tensor:
    """Share of the bin's height reached at theta in [0, 1] (eq. 4)."""
    mean_slope = b.height / b.width
    between = theta * (1 - theta)
    denominator = mean_slope + (b.slope_left + b.slope_right - 2 * mean_slope) * between
    return (mean_slope * theta.square() + b.slope_left * between) / denominator


def _log_derivative(b: _Bin, theta: Tensor) -> Tensor:
    """Log of dy/dx at theta (eq. 5)."""
    mean_slope = b.height / b.width
    between = theta * (1 - theta)
    denominator = mean_slope + (b.slope_left + b.slope_right - 2 * mean_slope) * between
    numerator = b.slope_right * theta.square() + 2 * mean_slope * between + b.slope_left * (1 - theta).square()
    return 2 * torch.log(mean_slope) + torch.log(numerator) - 2 * torch.log(denominator)


def _with_tails(inputs: Tensor, values: Tensor, log_derivative: Tensor, bound: float) -> Transformed:
    """The identity outside the interval."""
    inside = (inputs >= -bound) & (inputs <= bound)
    return Transformed(torch.where(inside, values, inputs), torch.where(inside, log_derivative, 0.0))
