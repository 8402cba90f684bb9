"""Transformer of the text encoder, and of VITS2's flow: self-attention, with relative positions in a window or without.

Relative positions are those of Shaw et al. 2018.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules import LayerNorm

# Shapes: B batch, C channels, H heads, D channels of a head, L tokens, W window. Masks are [B, 1, L].


class RelativeAttention(nn.Module):
    """Multi-head self-attention with learned key and value vectors for each offset up to `window` tokens.

    With a window of None there are none, so that attention does not depend on positions.
    """

    def __init__(self, channels: int, n_heads: int, window: int | None, p_dropout: float):
        super().__init__()
        self.n_heads = n_heads
        self.window = window
        head_channels = channels // n_heads
        # Public checkpoint keys.
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        if window is not None:
            self.emb_rel_k = nn.Parameter(torch.randn(1, 2 * window + 1, head_channels) * head_channels**-0.5)
            self.emb_rel_v = nn.Parameter(torch.randn(1, 2 * window + 1, head_channels) * head_channels**-0.5)
        self.drop = nn.Dropout(p_dropout)
        for conv in (self.conv_q, self.conv_k, self.conv_v):
            nn.init.xavier_uniform_(conv.weight)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, C, L] -> [B, C, L]; masked tokens are not attended to, and their outputs are undefined."""
        query, key, value = (self._split_heads(conv(x)) for conv in (self.conv_q, self.conv_k, self.conv_v))
        query = query / math.sqrt(query.shape[-1])
        scores = query @ key.mT  # [B, H, L, L]
        if self.window is not None:
            scores = scores + self._relative_scores(query)
        pair_mask = mask[:, :, :, None] * mask[:, :, None, :]  # [B, 1, L, L]
        weights = self.drop(torch.softmax(scores.masked_fill(pair_mask == 0, -1e4), dim=-1))
        mixed = weights @ value  # [B, H, L, D]
        if self.window is not None:
            mixed = mixed + self._relative_values(weights)
        return self.conv_o(mixed.mT.flatten(1, 2))

    def _split_heads(self, x: Tensor) -> Tensor:
        """[B, C, L] -> [B, H, L, D]."""
        return x.unflatten(1, (self.n_heads, -1)).mT

    def _relative_scores(self, query: Tensor) -> Tensor:
        """Scores of the offsets from queries to keys, zero outside the window: [B, H, L, D] -> [B, H, L, L]."""
        by_offset = query @ self.emb_rel_k.mT  # [B, H, L, 2W + 1]
        position = torch.arange(query.shape[2], device=query.device)
        offset = position[None, :] - position[:, None]  # [L, L], key minus query
        index = (offset.clamp(-self.window, self.window) + self.window).expand(*query.shape[:2], -1, -1)
        return by_offset.gather(-1, index) * (offset.abs() <= self.window)

    def _relative_values(self, weights: Tensor) -> Tensor:
        """Sums of the offsets' value vectors by attention weights: [B, H, L, L] -> [B, H, L, D]."""
        length = weights.shape[-1]
        position = torch.arange(length, device=weights.device)
        offset = torch.arange(-self.window, self.window + 1, device=weights.device)
        key = position[:, None] + offset  # [L, 2W + 1]
        index = key.clamp(0, length - 1).expand(*weights.shape[:2], -1, -1)
        by_offset = weights.gather(-1, index) * ((key >= 0) & (key < length))
        return by_offset @ self.emb_rel_v


class FeedForward(nn.Module):
    """Two convolutions over tokens with a ReLU between: [B, C, L] -> [B, C, L]."""

    def __init__(self, channels: int, filter_channels: int, kernel_size: int, p_dropout: float):
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, filter_channels, kernel_size)
        self.conv_2 = nn.Conv1d(filter_channels, channels, kernel_size)
        self.padding = ((kernel_size - 1) // 2, kernel_size // 2)
        self.drop = nn.Dropout(p_dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Mask before each convolution, so that padding has no influence."""
        hidden = self.drop(F.relu(self.conv_1(F.pad(x * mask, self.padding))))
        return self.conv_2(F.pad(hidden * mask, self.padding)) * mask


class Encoder(nn.Module):
    """Transformer layers with norms after each residual: [B, C, L] -> [B, C, L].

    With speaker channels the embedding joins before the third layer (VITS2), or the last of fewer.
    """

    def __init__(self, channels: int, filter_channels: int, n_heads: int, n_layers: int, kernel_size: int,
                 p_dropout: float, *, window: int | None, gin_channels: int = 0):
        super().__init__()
        layers = range(n_layers)
        self.attn_layers = nn.ModuleList(
            RelativeAttention(channels, n_heads, window, p_dropout) for _ in layers)
        self.norm_layers_1 = nn.ModuleList(LayerNorm(channels) for _ in layers)
        self.ffn_layers = nn.ModuleList(
            FeedForward(channels, filter_channels, kernel_size, p_dropout) for _ in layers)
        self.norm_layers_2 = nn.ModuleList(LayerNorm(channels) for _ in layers)
        self.drop = nn.Dropout(p_dropout)
        self.speaker_layer = min(2, n_layers - 1)
        if gin_channels:
            self.spk_emb_linear = nn.Linear(gin_channels, channels)  # a public checkpoint key

    @property
    def is_conditioned(self) -> bool:
        """Whether it takes the speaker."""
        return hasattr(self, "spk_emb_linear")

    def forward(self, x: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """x [B, C, L], g [B, G, 1] or [B, G, L], for a conditioned one; zero beyond the mask afterwards."""
        x = x * mask
        layers = zip(self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2)
        for i, (attention, norm_1, feed_forward, norm_2) in enumerate(layers):
            if i == self.speaker_layer and self.is_conditioned and g is not None:
                x = (x + self.spk_emb_linear(g.mT).mT) * mask
            x = norm_1(x + self.drop(attention(x, mask)))
            x = norm_2(x + self.drop(feed_forward(x, mask)))
        return x * mask
