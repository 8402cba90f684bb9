"""Building blocks: norms, the WaveNet stack, residual blocks, and the layers of the flows.

Attribute names below are public checkpoint keys of the 2021 release and stay as they are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from transforms import inverse_spline, spline

# Shapes: B batch, C channels, G speaker channels, T time (frames or tokens), S samples. Masks are [B, 1, T].

LEAKY_SLOPE = 0.1
_NEW_TO_PUBLISHED = {"original0": "weight_g", "original1": "weight_v"}


def weight_norm(module: nn.Module) -> nn.Module:
    """Weight-normalise a convolution; its state dict keeps the published names weight_g and weight_v."""
    parametrizations.weight_norm(module)  # loads the published names by itself
    module.register_state_dict_post_hook(_publish_weight_norm_names)
    return module


def _publish_weight_norm_names(module: nn.Module, state_dict: dict, prefix: str, _metadata: dict) -> None:
    for new, published in _NEW_TO_PUBLISHED.items():
        key = f"{prefix}parametrizations.weight.{new}"
        if key in state_dict:
            state_dict[prefix + published] = state_dict.pop(key)


def fold_weight_norm(module: nn.Module) -> None:
    """Replace weight-normalised weights below `module` by their values: the same function, faster, not trainable."""
    for part in module.modules():
        if parametrize.is_parametrized(part, "weight"):
            # Not parametrize.remove_parametrizations: deep copies share the class that it would take the weight from.
            weight = part.weight.detach().clone()
            part.__class__ = type(part).__bases__[0]
            del part.parametrizations
            part.weight = nn.Parameter(weight)


def in_float32(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a module's method that disables autocast: it and its layers compute in float32.

    Wanted where rounding would be seen: logarithms of determinants, phases. Without autocast it does nothing.
    """
    @functools.wraps(method)
    def call(self: nn.Module, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_autocast_enabled(x.device.type):
            return method(self, x, *args, **kwargs)
        with torch.autocast(x.device.type, enabled=False):
            return method(self, _widen(x), *map(_widen, args), **{name: _widen(arg) for name, arg in kwargs.items()})
    return call


def _widen(value: Any) -> Any:
    """Tensors of half precision as float32, all else as it is."""
    is_half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if is_half else value


def same_padding(kernel_size: int, dilation: int = 1) -> int:
    """Padding that keeps the length, for an odd kernel."""
    return (kernel_size - 1) * dilation // 2


class LayerNorm(nn.Module):
    """Layer norm over channels: [B, C, T] -> [B, C, T]."""

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each column of [B, C, T]."""
        normalised = F.layer_norm(x.mT, self.gamma.shape, self.gamma, self.beta, self.eps).mT
        return normalised.contiguous()  # or each operation that follows walks over two memory layouts at once, slowly


class WaveNet(nn.Module):
    """Gated convolutions with residual and skip connections, conditioned on a speaker (non-causal WaveNet)."""

    def __init__(self, channels: int, kernel_size: int, n_layers: int, gin_channels: int):
        super().__init__()
        self.channels = channels
        self.n_layers = n_layers
        self.context_frames = n_layers * same_padding(kernel_size)  # steps on either side that an output depends on
        self.in_layers = nn.ModuleList()
        self.res_skip_layers = nn.ModuleList()
        for i in range(n_layers):
            self.in_layers.append(weight_norm(
                nn.Conv1d(channels, 2 * channels, kernel_size, padding=same_padding(kernel_size))))
            is_last = i == n_layers - 1  # the last layer only skips
            self.res_skip_layers.append(weight_norm(nn.Conv1d(channels, channels if is_last else 2 * channels, 1)))
        if gin_channels:
            self.cond_layer = weight_norm(nn.Conv1d(gin_channels, 2 * channels * n_layers, 1))

    def forward(self, x: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """x [B, C, T], g [B, G, 1] -> [B, C, T]."""
        conditions = [None] * self.n_layers if g is None else self.cond_layer(g).chunk(self.n_layers, dim=1)
        skips = torch.zeros_like(x)
        for i, (in_layer, res_skip_layer) in enumerate(zip(self.in_layers, self.res_skip_layers)):
            activation = in_layer(x) if conditions[i] is None else in_layer(x) + conditions[i]
            to_tanh, to_sigmoid = activation.chunk(2, dim=1)
            out = res_skip_layer(torch.tanh(to_tanh) * torch.sigmoid(to_sigmoid))
            if i == self.n_layers - 1:
                return (skips + out) * mask
            residual, skip = out.chunk(2, dim=1)
            x = (x + residual) * mask
            skips = skips + skip
        raise AssertionError("a WaveNet has at least one layer")


class ResBlock1(nn.Module):
    """HiFi-GAN's residual block of type 1: pairs of a dilated and a plain convolution. [B, C, S] -> [B, C, S]."""

    def __init__(self, channels: int, kernel_size: int, dilations: tuple[int, ...]):
        super().__init__()
        self.convs1 = _dilated_convs(channels, kernel_size, dilations)
        self.convs2 = _dilated_convs(channels, kernel_size, (1,) * len(dilations))

    def forward(self, x: Tensor) -> Tensor:
        """Add each pair's output to its input."""
        for dilated, plain in zip(self.convs1, self.convs2):
            out = dilated(F.leaky_relu(x, LEAKY_SLOPE))
            x = x + plain(F.leaky_relu(out, LEAKY_SLOPE))
        return x


class ResBlock2(nn.Module):
    """HiFi-GAN's residual block of type 2: dilated convolutions alone. [B, C, S] -> [B, C, S]."""

    def __init__(self, channels: int, kernel_size: int, dilations: tuple[int, ...]):
        super().__init__()
        self.convs = _dilated_convs(channels, kernel_size, dilations)

    def forward(self, x: Tensor) -> Tensor:
        """Add each convolution's output to its input."""
        for dilated in self.convs:
            x = x + dilated(F.leaky_relu(x, LEAKY_SLOPE))
        return x


def _dilated_convs(channels: int, kernel_size: int, dilations: tuple[int, ...]) -> nn.ModuleList:
    return nn.ModuleList(
        weight_norm(nn.Conv1d(channels, channels, kernel_size, dilation=d, padding=same_padding(kernel_size, d)))
        for d in dilations)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm and a pointwise MLP with layer scale, as in Vocos. [B, C, T] -> [B, C, T]."""

    def __init__(self, channels: int, kernel_size: int, expansion: int, scale: float):
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, kernel_size, padding=same_padding(kernel_size), groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, expansion * channels)
        self.project = nn.Linear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's output to its input."""
        return x + self.pointwise(self.depthwise(x))

    def pointwise(self, x: Tensor) -> Tensor:
        """What follows the depthwise convolution, frame by frame."""
        out = self.norm(x.mT)  # [B, C, T] -> [B, T, C]
        out = self.project(F.gelu(self.expand(out)))
        return (self.scale * out).mT


class DilatedDepthSeparableConv(nn.Module):
    """Residual stack of dilated depthwise and pointwise convolutions, of the duration predictors (appendix B)."""

    def __init__(self, channels: int, kernel_size: int, n_layers: int, p_dropout: float = 0.0):
        super().__init__()
        self.drop = nn.Dropout(p_dropout)
        self.convs_sep = nn.ModuleList()
        self.convs_1x1 = nn.ModuleList()
        self.norms_1 = nn.ModuleList(LayerNorm(channels) for _ in range(n_layers))
        self.norms_2 = nn.ModuleList(LayerNorm(channels) for _ in range(n_layers))
        for i in range(n_layers):
            dilation = kernel_size**i
            self.convs_sep.append(nn.Conv1d(channels, channels, kernel_size, groups=channels, dilation=dilation,
                                            padding=same_padding(kernel_size, dilation)))
            self.convs_1x1.append(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """x and the optional condition g are [B, C, T]."""
        if g is not None:
            x = x + g
        for sep, pointwise, norm_1, norm_2 in zip(self.convs_sep, self.convs_1x1, self.norms_1, self.norms_2):
            out = F.gelu(norm_1(sep(x * mask)))
            out = F.gelu(norm_2(pointwise(out)))
            x = x + self.drop(out)
        return x * mask


class Flowed(NamedTuple):
    """Output of one flow layer: z like its input, log_det [B] the log-determinant of its Jacobian."""

    z: Tensor
    log_det: Tensor


class Flip(nn.Module):
    """Reverse the channels, so that the next coupling changes the half that this one kept."""

    def forward(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Flowed:
        """z [B, C, T]; volume preserving."""
        return Flowed(z.flip(1), z.new_zeros(z.shape[0], dtype=torch.float32))

    def inverse(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """A flip undoes itself."""
        return z.flip(1)


class Log(nn.Module):
    """Elementwise logarithm, floored at 1e-5."""

    def forward(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Flowed:
        """z [B, C, T]."""
        log_z = torch.log(z.float().clamp(min=1e-5)) * mask
        return Flowed(log_z, -log_z.sum(dim=(1, 2)))

    def inverse(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """Elementwise exponential."""
        return torch.exp(z.float()) * mask


class ElementwiseAffine(nn.Module):
    """A learned shift and log-scale for each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.m = nn.Parameter(torch.zeros(channels, 1))
        self.logs = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Flowed:
        """z [B, C, T]."""
        return Flowed((self.m + torch.exp(self.logs) * z) * mask, (self.logs * mask).sum(dim=(1, 2)))

    def inverse(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """Undo shift and scale."""
        return (z - self.m) * torch.exp(-self.logs) * mask


class ResidualCouplingLayer(nn.Module):
    """Affine coupling that only shifts (volume preserving): a WaveNet of one half moves the other (section 2.2.2).

    A transformer, if there is one, is added to what the WaveNet is given: in front of its first convolution where its
    width is that of the half, else behind it (VITS2's `pre_conv` and `pre_conv2`).
    """

    def __init__(self, channels: int, hidden_channels: int, kernel_size: int, n_layers: int, gin_channels: int,
                 transformer: nn.Module | None = None, is_behind: bool = False):
        super().__init__()
        self.pre = nn.Conv1d(channels // 2, hidden_channels, 1)
        self.enc = WaveNet(hidden_channels, kernel_size, n_layers, gin_channels)
        self.post = nn.Conv1d(hidden_channels, channels // 2, 1)
        self.pre_transformer = transformer  # a public checkpoint key
        self.is_behind = is_behind
        nn.init.zeros_(self.post.weight)  # starts as the identity
        nn.init.zeros_(self.post.bias)

    def _shift(self, kept: Tensor, mask: Tensor, g: Tensor | None) -> Tensor:
        transformer = self.pre_transformer
        if transformer is not None and not self.is_behind:
            kept = kept + transformer(kept, mask)
        hidden = self.pre(kept) * mask
        if transformer is not None and self.is_behind:
            hidden = hidden + transformer(hidden, mask)
        return self.post(self.enc(hidden, mask, g)) * mask

    def forward(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Flowed:
        """z [B, C, T], g [B, G, 1]."""
        kept, moved = z.chunk(2, dim=1)
        moved = moved * mask + self._shift(kept, mask, g)
        return Flowed(torch.cat([kept, moved], dim=1), z.new_zeros(z.shape[0], dtype=torch.float32))

    def inverse(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """Undo `forward`."""
        kept, moved = z.chunk(2, dim=1)
        return torch.cat([kept, (moved - self._shift(kept, mask, g)) * mask], dim=1)


class ConvFlow(nn.Module):
    """Coupling by a rational-quadratic spline over two channels, for the stochastic duration predictor (appendix B)."""

    N_BINS = 10
    TAIL_BOUND = 5.0

    def __init__(self, filter_channels: int, kernel_size: int, n_layers: int = 3):
        super().__init__()
        self.scale = math.sqrt(filter_channels)
        self.pre = nn.Conv1d(1, filter_channels, 1)
        self.convs = DilatedDepthSeparableConv(filter_channels, kernel_size, n_layers)
        self.proj = nn.Conv1d(filter_channels, 3 * self.N_BINS - 1, 1)
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def _spline_parameters(self, kept: Tensor, mask: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Unnormalised widths, heights and slopes, [B, 1, T, K], [B, 1, T, K], [B, 1, T, K - 1]."""
        h = self.proj(self.convs(self.pre(kept), mask, g)) * mask
        widths, heights, slopes = h.mT[:, None].split((self.N_BINS, self.N_BINS, self.N_BINS - 1), dim=-1)
        return widths.float() / self.scale, heights.float() / self.scale, slopes

    @in_float32
    def forward(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Flowed:
        """z [B, 2, T], g [B, filter_channels, T]."""
        kept, moved = z.chunk(2, dim=1)
        out = spline(moved, *self._spline_parameters(kept, mask, g), self.TAIL_BOUND)
        return Flowed(torch.cat([kept, out.values], dim=1) * mask, (out.log_derivative * mask).sum(dim=(1, 2)))

    @in_float32
    def inverse(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """Undo `forward`."""
        kept, moved = z.chunk(2, dim=1)
        out = inverse_spline(moved, *self._spline_parameters(kept, mask, g), self.TAIL_BOUND)
        return torch.cat([kept, out.values], dim=1) * mask
