"""Relative attention against loops over every pair, and what masks and lengths may not change."""
# Shapes: B batch, C channels, H heads, D channels of a head, L tokens.

import math

import pytest
import torch

from attentions import Encoder, FeedForward, RelativeAttention
from commons import sequence_mask
from tests.conftest import tiny

CHANNELS, HEADS, WINDOW = 8, 2, 3


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def attention(window=WINDOW):
    torch.manual_seed(0)
    layer = RelativeAttention(CHANNELS, HEADS, window, 0.1).eval()
    with torch.no_grad():
        layer.emb_rel_k.mul_(3)
        layer.emb_rel_v.mul_(3)
    return layer


def slow_attention(layer, x, length):
    """One item by loops: [C, L] -> [C, length]; every pair (i, j) looked at, with Shaw et al.'s vectors near by."""
    size = CHANNELS // HEADS
    query, key, value = (conv(x[None, :, :length])[0].view(HEADS, size, length)
                         for conv in (layer.conv_q, layer.conv_k, layer.conv_v))
    out = torch.zeros(HEADS, size, length)
    for head in range(HEADS):
        for i in range(length):
            scores = torch.zeros(length)
            for j in range(length):
                seen = key[head, :, j].clone()
                if abs(j - i) <= layer.window:
                    seen += layer.emb_rel_k[0, j - i + layer.window]
                scores[j] = query[head, :, i] @ seen / math.sqrt(size)
            weights = torch.softmax(scores, dim=0)
            for j in range(length):
                seen = value[head, :, j].clone()
                if abs(j - i) <= layer.window:
                    seen += layer.emb_rel_v[0, j - i + layer.window]
                out[head, :, i] += weights[j] * seen
    return layer.conv_o(out.reshape(1, CHANNELS, length))[0]


@torch.no_grad()
@pytest.mark.parametrize("window", [1, 3, 10])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
def test_relative_attention_equals_loops_over_all_pairs(length, window):
    layer, x = attention(window), noise(2, CHANNELS, length)
    out = layer(x, torch.ones(2, 1, length))
    for i in range(2):
        torch.testing.assert_close(out[i], slow_attention(layer, x[i], length), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_masked_tokens_are_as_good_as_absent():
    layer, x = attention(), noise(3, CHANNELS, 9)
    lengths = torch.tensor([9, 5, 1])
    mask = sequence_mask(lengths, 9)[:, None].float()
    out = layer(x * 1.0, mask)
    other = layer(torch.where(mask > 0, x, 50.0), mask)
    for i, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(out[i, :, :length], slow_attention(layer, x[i], length), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(out[i, :, :length], other[i, :, :length], rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5])
def test_the_feed_forward_keeps_lengths_and_leaks_nothing(kernel_size):
    layer = FeedForward(CHANNELS, 12, kernel_size, 0.1).eval()
    x = noise(2, CHANNELS, 7)
    mask = sequence_mask(torch.tensor([7, 4]), 7)[:, None].float()
    out = layer(x, mask)
    alone = layer(x[1:, :, :4], torch.ones(1, 1, 4))
    assert out.shape == x.shape
    torch.testing.assert_close(out[1:, :, :4], alone, rtol=0, atol=1e-6)
    assert not out[1, :, 4:].any()


@torch.no_grad()
def encoder_of(model):
    """The text encoder's transformer."""
    return Encoder(model.hidden_channels, model.filter_channels, model.n_heads, model.n_layers, model.kernel_size,
                   model.p_dropout, window=model.attention_window)


@pytest.mark.parametrize("overrides", [(), ("model.kernel_size=4",), ("model.n_heads=4", "model.attention_window=1")])
def test_each_item_of_the_encoder_comes_out_as_if_it_had_been_alone(overrides):
    torch.manual_seed(0)
    model = tiny(overrides).model
    net = encoder_of(model).eval()
    x, lengths = noise(3, model.hidden_channels, 9), torch.tensor([9, 5, 1])
    mask = sequence_mask(lengths, 9)[:, None].float()
    out = net(x, mask)
    other = net(torch.where(mask > 0, x, 50.0), mask)
    torch.testing.assert_close(out, other, rtol=0, atol=1e-6)
    assert not (out * (1 - mask)).any()
    for i, length in enumerate(lengths.tolist()):
        alone = net(x[i : i + 1, :, :length], torch.ones(1, 1, length))
        torch.testing.assert_close(out[i : i + 1, :, :length], alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_attention_is_relative():
    layer, x = attention(), noise(1, CHANNELS, 6)
    mask = torch.ones(1, 1, 12)
    mask[:, :, 6:] = 0
    padded_right = torch.cat([x, torch.zeros_like(x)], dim=2)
    padded_left = torch.cat([torch.zeros_like(x), x], dim=2)
    torch.testing.assert_close(layer(padded_left, mask.flip(2))[:, :, 6:], layer(padded_right, mask)[:, :, :6],
                               rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", [1, 30])
def test_every_parameter_of_the_encoder_is_learned(length):
    torch.manual_seed(0)
    model = tiny().model
    net = encoder_of(model)
    net(noise(2, model.hidden_channels, length), torch.ones(2, 1, length)).square().mul(
        noise(2, model.hidden_channels, length, seed=1)).sum().backward()
    without = [name for name, parameter in net.named_parameters() if not parameter.grad.abs().sum() > 0]
    # One token attends to itself whatever its score is.
    assert not [name for name in without if length > 1 or not ("conv_q" in name or "conv_k" in name or "rel_k" in name)]


def test_dropout_is_there_in_training_only():
    model = tiny(("model.p_dropout=0.5",)).model
    net, x, mask = encoder_of(model), noise(1, model.hidden_channels, 5), torch.ones(1, 1, 5)
    assert not torch.equal(net(x, mask), net(x, mask))
    assert torch.equal(net.eval()(x, mask), net(x, mask))


def test_bfloat16_attention_is_close_to_float32():
    layer, x, mask = attention(), noise(2, CHANNELS, 9), torch.ones(2, 1, 9)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer(x, mask)
    torch.testing.assert_close(rough.float(), layer(x, mask).detach(), rtol=0.1, atol=0.1)


def test_without_a_window_attention_does_not_depend_on_positions():
    torch.manual_seed(0)
    net, x, order = RelativeAttention(8, 2, None, 0.0), noise(1, 8, 6), torch.tensor([3, 0, 5, 1, 4, 2])
    mask = torch.ones(1, 1, 6)
    torch.testing.assert_close(net(x[:, :, order], mask), net(x, mask)[:, :, order])
    assert not [name for name, _ in net.named_parameters() if "emb_rel" in name]


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_a_speaker_joins_at_the_third_layer_or_the_last_one(n_layers):
    net, x, mask = Encoder(8, 16, 2, n_layers, 3, 0.0, window=4, gin_channels=3), noise(1, 8, 5), torch.ones(1, 1, 5)
    assert net.speaker_layer == min(2, n_layers - 1)
    changed = noise(1, 3, 5).repeat(1, 1, 1)
    assert not torch.allclose(net(x, mask, noise(1, 3, 1)), net(x, mask)) and net(x, mask, changed).shape == x.shape
