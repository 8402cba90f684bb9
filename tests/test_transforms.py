"""The rational-quadratic spline: total, monotonic, invertible, with the derivative that it claims."""
# Shapes: N inputs, K bins.

import pytest
import torch

from transforms import MIN_DERIVATIVE, inverse_spline, spline

BOUND = 5.0
K = 10
SCALES = [0.0, 0.3, 1.0, 3.0, 30.0, 1000.0]
KINDS = ["normal", "uniform", "signs", "one bin takes all"]


def parameters(n, scale, kind="normal", seed=0, n_bins=K):
    """Unnormalised widths, heights [N, K] and slopes [N, K - 1]; `scale` is a standard deviation or a bound."""
    random = torch.Generator().manual_seed(seed)
    made = []
    for size in (n_bins, n_bins, n_bins - 1):
        value = torch.randn(n, size, generator=random)
        if kind == "uniform":
            value = torch.rand(n, size, generator=random) * 2 - 1
        elif kind == "signs":
            value = value.sign()
        elif kind == "one bin takes all":
            value = torch.nn.functional.one_hot(value.argmax(dim=1), size).float()
        made.append(value * scale)
    return made


def inputs_of_all_kinds(n, seed=1):
    """Values within, at and just beyond the bounds, and far outside."""
    random = torch.Generator().manual_seed(seed)
    x = (torch.rand(n, generator=random) * 2 - 1) * 1.2 * BOUND
    bound = torch.tensor(BOUND)
    infinity = torch.tensor(torch.inf)
    special = torch.stack([
        bound, -bound, torch.nextafter(bound, infinity), torch.nextafter(bound, -infinity),
        torch.nextafter(-bound, -infinity), torch.nextafter(-bound, infinity), torch.tensor(0.0), torch.tensor(-0.0),
        torch.tensor(1e-30), torch.tensor(1e30), torch.tensor(-1e30), torch.tensor(3.4e38), torch.tensor(-4.0)])
    x[: len(special)] = special
    return x


def knots(unnormalised):
    """Positions of the inner knots, by the formula: [N, K] -> [N, K - 1]."""
    shares = 1e-3 + (1 - 1e-3 * unnormalised.shape[1]) * torch.softmax(unnormalised, dim=1)
    return 2 * BOUND * shares.cumsum(dim=1)[:, :-1] - BOUND


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_a_million_inputs_in_all_never_give_nan_or_infinity(scale, kind):
    n = 1_000_000 // (len(SCALES) * len(KINDS)) + 1
    given, x = parameters(n, scale, kind), inputs_of_all_kinds(n)
    x[1000:2000] = knots(given[0])[1000:2000, 3]  # where bins meet
    for transform in (spline, inverse_spline):
        out = transform(x, *given, BOUND)
        assert torch.isfinite(out.values).all()
        assert torch.isfinite(out.log_derivative).all()
        is_outside = x.abs() > BOUND
        assert torch.equal(out.values[is_outside], x[is_outside])
        assert not out.log_derivative[is_outside].any()
        assert (out.values[~is_outside].abs() <= BOUND + 2e-6).all()


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.3])  # a coupling divides its parameters by sqrt(channels), about 14
def test_the_inverse_undoes_the_spline_within_1e_4(scale):
    given, x = parameters(200_000, scale), inputs_of_all_kinds(200_000)
    there = spline(x, *given, BOUND)
    back = inverse_spline(there.values, *given, BOUND)
    assert (back.values - x).abs().max() <= 1e-4
    assert (back.log_derivative + there.log_derivative).abs().max() <= 1e-4
    y = inverse_spline(x, *given, BOUND)
    assert (spline(y.values, *given, BOUND).values - x).abs().max() <= 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_spline_undoes_the_inverse_as_well_as_float32_can_hold_the_value_between(scale, kind):
    given, y = parameters(50_000, scale, kind), inputs_of_all_kinds(50_000)
    back = inverse_spline(y, *given, BOUND)
    there = spline(back.values, *given, BOUND)
    # A rounding of the value between, of 2^-22 at most, is stretched by the slope; both sides' slopes bound it.
    slope = torch.maximum(there.log_derivative, -back.log_derivative).exp().clamp(min=1)
    assert ((there.values - y).abs() / slope).max() <= 5e-6


def test_the_inverse_is_the_inverse_in_double_precision():
    given = [value.double() for value in parameters(2000, 1.0)]
    x = inputs_of_all_kinds(2000)[13:].clamp(-BOUND, BOUND)
    given = [value[13:] for value in given]
    low, high = torch.full_like(x, -BOUND, dtype=torch.float64), torch.full_like(x, BOUND, dtype=torch.float64)
    for _ in range(60):  # bisection on a plain double-precision spline
        middle = (low + high) / 2
        is_below = plain_spline(middle, *given) < x
        low, high = torch.where(is_below, middle, low), torch.where(is_below, high, middle)
    found = inverse_spline(x, *given, BOUND)
    slope = found.log_derivative.exp().clamp(min=1)
    assert ((found.values - low).abs() / slope).max() < 5e-6


def plain_spline(x, widths, heights, slopes):
    """Equation 4 of Durkan et al. in the dtype of its arguments, bin by bin; inside the bounds."""
    bounds = torch.full_like(widths[:, :1], BOUND)
    knots_x = torch.cat([-bounds, knots(widths), bounds], dim=1)
    knots_y = torch.cat([-bounds, knots(heights), bounds], dim=1)
    ones = torch.ones_like(bounds)
    derivatives = torch.cat([ones, MIN_DERIVATIVE + torch.nn.functional.softplus(slopes), ones], dim=1)
    y = torch.zeros_like(x)
    for k in range(widths.shape[1]):
        width, height = knots_x[:, k + 1] - knots_x[:, k], knots_y[:, k + 1] - knots_y[:, k]
        s, xi = height / width, (x - knots_x[:, k]) / width
        rise = height * (s * xi**2 + derivatives[:, k] * xi * (1 - xi))
        rise = rise / (s + (derivatives[:, k + 1] + derivatives[:, k] - 2 * s) * xi * (1 - xi))
        y = torch.where((xi >= 0) & (xi <= 1), knots_y[:, k] + rise, y)
    return y


def test_the_values_are_those_of_the_formula():
    given = parameters(20_000, 1.0)
    x = inputs_of_all_kinds(20_000).clamp(-BOUND, BOUND)
    expected = plain_spline(x.double(), *(value.double() for value in given))
    out = spline(x, *given, BOUND)
    assert ((out.values - expected).abs() / out.log_derivative.exp().clamp(min=1)).max() < 5e-6


@pytest.mark.parametrize("transform", [spline, inverse_spline])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_the_derivative_is_that_of_autograd(transform, scale):
    given = parameters(20_000, scale)
    x = inputs_of_all_kinds(20_000).requires_grad_()
    out = transform(x, *given, BOUND)
    out.values.sum().backward()
    torch.testing.assert_close(out.log_derivative.exp()[13:], x.grad[13:], rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("transform", [spline, inverse_spline])
def test_the_derivative_integrates_to_the_whole_interval(transform):
    given = [value.expand(20_001, -1) for value in parameters(1, 1.0, seed=4)]
    x = torch.linspace(-BOUND, BOUND, 20_001)
    out = transform(x, *given, BOUND)
    assert torch.trapezoid(out.log_derivative.exp(), x) == pytest.approx(2 * BOUND, rel=1e-3)


@pytest.mark.parametrize("transform", [spline, inverse_spline])
@pytest.mark.parametrize("scale", SCALES)
def test_larger_inputs_give_no_smaller_outputs(transform, scale):
    for seed in range(5):
        given = [value.expand(10_001, -1) for value in parameters(1, scale, seed=seed)]
        x = torch.linspace(-6, 6, 10_001)
        assert transform(x, *given, BOUND).values.diff().min() >= -2e-6


@pytest.mark.parametrize("transform", [spline, inverse_spline])
def test_equal_parameters_with_unit_slopes_are_the_identity(transform):
    unit = torch.log(torch.expm1(torch.tensor(1 - MIN_DERIVATIVE)))  # softplus of it plus the minimum is 1
    x = inputs_of_all_kinds(1000)
    out = transform(x, torch.zeros(1000, K), torch.zeros(1000, K), unit.expand(1000, K - 1), BOUND)
    torch.testing.assert_close(out.values, x, rtol=0, atol=3e-6)
    torch.testing.assert_close(out.log_derivative, torch.zeros(1000), rtol=0, atol=1e-5)


@pytest.mark.parametrize("transform", [spline, inverse_spline])
def test_the_bounds_are_fixed_points_with_slope_one(transform):
    given = parameters(1000, 1.0)
    for bound in (-BOUND, BOUND):
        out = transform(torch.full((1000,), bound), *given, BOUND)
        torch.testing.assert_close(out.values, torch.full((1000,), bound), rtol=0, atol=1e-6)
        torch.testing.assert_close(out.log_derivative, torch.zeros(1000), rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("transform", [spline, inverse_spline])
def test_other_precisions_are_computed_in_float32(transform, dtype):
    given = [value.to(dtype) for value in parameters(1000, 3.0)]
    x = inputs_of_all_kinds(1000).clamp(-6e4, 6e4).to(dtype)
    out = transform(x, *given, BOUND)
    exact = transform(x.float(), *(value.float() for value in given), BOUND)
    assert out.values.dtype == out.log_derivative.dtype == torch.float32
    assert torch.equal(out.values, exact.values) and torch.equal(out.log_derivative, exact.log_derivative)
    assert torch.isfinite(out.values).all() and torch.isfinite(out.log_derivative).all()


@pytest.mark.parametrize("transform", [spline, inverse_spline])
def test_autocast_changes_nothing(transform):
    given, x = parameters(1000, 3.0), inputs_of_all_kinds(1000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = transform(x, *given, BOUND)
    assert torch.equal(out.values, transform(x, *given, BOUND).values)


@pytest.mark.parametrize("transform", [spline, inverse_spline])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_gradients_are_finite_at_edges_and_outside(transform, kind, scale):
    given = [value.requires_grad_() for value in parameters(5000, scale, kind)]
    x = inputs_of_all_kinds(5000)
    x[1000:4000] = knots(given[0 if transform is spline else 1].detach())[1000:4000, 5]
    x.requires_grad_()
    out = transform(x, *given, BOUND)
    (out.values.sum() + out.log_derivative.sum()).backward()
    for value in (x, *given):
        assert torch.isfinite(value.grad).all()
    is_outside = x.detach().abs() > BOUND
    assert (x.grad[is_outside] == 1).all()
    assert not given[0].grad[is_outside].any()


@pytest.mark.parametrize("n_bins", [2, 10, 30])
def test_any_leading_shape_and_number_of_bins_are_fine(n_bins):
    given = parameters(24, 0.3, n_bins=n_bins)
    x = inputs_of_all_kinds(24)
    flat = spline(x, *given, BOUND)
    shaped = spline(x.view(2, 3, 4), *(value.view(2, 3, 4, -1) for value in given), BOUND)
    assert torch.equal(shaped.values.flatten(), flat.values)
    assert torch.equal(shaped.log_derivative.flatten(), flat.log_derivative)
