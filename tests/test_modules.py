"""Building blocks: flows invert and know their determinants, masks leak nothing, weight norm keeps published names."""
# Shapes: B batch, C channels, G speaker channels, T time. Masks are [B, 1, T].

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from commons import sequence_mask
from modules import (
    ConvFlow,
    ConvNeXtBlock,
    DilatedDepthSeparableConv,
    ElementwiseAffine,
    Flip,
    LayerNorm,
    Log,
    ResBlock1,
    ResBlock2,
    ResidualCouplingLayer,
    WaveNet,
    fold_weight_norm,
    weight_norm,
)

B, T, G = 3, 9, 5
LENGTHS = torch.tensor([9, 6, 1])
MASK = sequence_mask(LENGTHS, T)[:, None].float()


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def randomised(module, scale=0.3, seed=0):
    """Every parameter moved, so that no layer is the identity that it starts as."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random) * scale)
    return module.eval()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def coupling(gin_channels=0):
    return randomised(ResidualCouplingLayer(4, 6, 3, 2, gin_channels))


# name -> (flow, its input [B, C, T], its condition)
FLOWS = {
    "affine": lambda: (randomised(ElementwiseAffine(2)), noise(B, 2, T), None),
    "flip": lambda: (Flip(), noise(B, 4, T), None),
    "log": lambda: (Log(), noise(B, 1, T).exp(), None),
    "conv flow": lambda: (randomised(ConvFlow(6, 3), 0.2), noise(B, 2, T) * 2, None),
    "conv flow with a condition": lambda: (randomised(ConvFlow(6, 3), 0.2), noise(B, 2, T) * 2, noise(B, 6, T)),
    "coupling": lambda: (coupling(), noise(B, 4, T), None),
    "coupling with a speaker": lambda: (coupling(G), noise(B, 4, T), noise(B, G, 1)),
}


@pytest.fixture(params=FLOWS)
def flow(request):
    return FLOWS[request.param]()


# Flows


def test_a_flow_inverts_both_ways_within_the_mask(flow):
    layer, z, g = flow
    z = z * MASK if not isinstance(layer, Log) else torch.where(MASK > 0, z, 1e-5)
    with torch.no_grad():
        there = layer(z, MASK, g).z
        assert torch.isfinite(there).all()
        torch.testing.assert_close(layer.inverse(there, MASK, g) * MASK, z * MASK, rtol=1e-4, atol=1e-4)
        back = layer.inverse(z * MASK, MASK, g)
        if not isinstance(layer, Log):
            torch.testing.assert_close(layer(back, MASK, g).z * MASK, z * MASK, rtol=1e-4, atol=1e-4)


def test_the_log_determinant_is_that_of_the_jacobian(flow):
    layer, z, g = flow
    frames = 4
    z, mask = z[:1, :, :frames], torch.ones(1, 1, frames)
    g = None if g is None else g[:1, :, :frames]
    jacobian = torch.autograd.functional.jacobian(lambda value: layer(value, mask, g).z, z)
    expected = torch.linalg.slogdet(jacobian.reshape(z.numel(), z.numel()).double()).logabsdet
    log_det = layer(z, mask, g).log_det
    assert log_det.shape == (1,)
    torch.testing.assert_close(log_det[0].double(), expected, rtol=1e-4, atol=1e-4)


def test_the_log_determinant_counts_each_item_within_its_mask_only(flow):
    layer, z, g = flow
    with torch.no_grad():
        together = layer(z, MASK, g).log_det
        for i, length in enumerate(LENGTHS.tolist()):
            g_i = None if g is None else g[i : i + 1] if g.shape[2] == 1 else g[i : i + 1, :, :length]
            alone = layer(z[i : i + 1, :, :length], torch.ones(1, 1, length), g_i).log_det
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-4)


def test_what_lies_beyond_the_mask_does_not_reach_a_flow(flow):
    layer, z, g = flow
    other = torch.where(MASK > 0, z, z.roll(1, 0) + 3)
    with torch.no_grad():
        for call in (lambda value: layer(value, MASK, g).z, lambda value: layer.inverse(value, MASK, g)):
            torch.testing.assert_close(call(other) * MASK, call(z) * MASK, rtol=0, atol=1e-6)


def test_couplings_start_as_the_identity():
    z = noise(B, 4, T)
    torch.testing.assert_close(ResidualCouplingLayer(4, 6, 3, 2, 0)(z, torch.ones(B, 1, T)).z, z)


def test_a_coupling_keeps_one_half_and_a_flip_hands_it_the_other():
    layer, z = coupling(), noise(B, 4, T) * MASK
    with torch.no_grad():
        once = layer(z, MASK).z
        twice = layer(Flip()(once, MASK).z, MASK).z
    assert torch.equal(once[:, :2], z[:, :2])
    assert not torch.allclose(once[:, 2:], z[:, 2:])
    assert not torch.allclose(twice.flip(1)[:, :2], z[:, :2])


def test_the_spline_of_a_conv_flow_stays_finite_for_wild_weights():
    layer = randomised(ConvFlow(6, 3), 100.0)
    z = noise(B, 2, T) * 100
    with torch.no_grad():
        assert all(torch.isfinite(value).all() for value in layer(z, MASK))
        assert torch.isfinite(layer.inverse(z, MASK)).all()


# Masks


STACKS = {
    "wavenet": lambda: (randomised(WaveNet(4, 5, 3, 0)), None),
    "wavenet with a speaker": lambda: (randomised(WaveNet(4, 5, 3, G)), noise(B, G, 1)),
    "depth-separable": lambda: (randomised(DilatedDepthSeparableConv(4, 3, 3)), None),
    "depth-separable with a condition": lambda: (randomised(DilatedDepthSeparableConv(4, 3, 3)), noise(B, 4, T)),
}


@pytest.mark.parametrize("name", STACKS)
def test_each_item_of_a_stack_comes_out_as_if_it_had_been_alone(name):
    layer, g = STACKS[name]()
    x = noise(B, 4, T)
    x = x * MASK if name.startswith("wavenet") else x  # its callers mask; the other masks by itself
    with torch.no_grad():
        together = layer(x, MASK, g)
        assert not (together * (1 - MASK)).any()
        for i, length in enumerate(LENGTHS.tolist()):
            g_i = None if g is None else g[i : i + 1] if g.shape[2] == 1 else g[i : i + 1, :, :length]
            alone = layer(x[i : i + 1, :, :length], torch.ones(1, 1, length), g_i)
            torch.testing.assert_close(together[i : i + 1, :, :length], alone, rtol=0, atol=1e-5)


def test_a_wavenet_hears_the_speaker_and_every_layer_counts():
    layer, g = STACKS["wavenet with a speaker"]()
    x = noise(B, 4, T) * MASK
    out = layer(x, MASK, g)
    assert not torch.allclose(out, layer(x, MASK, g + 1), atol=1e-3)
    out.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


# Residual blocks and norms


@pytest.mark.parametrize("block", [ResBlock1(4, 3, (1, 3, 5)), ResBlock2(4, 5, (1, 3)), ConvNeXtBlock(4, 7, 3, 0.5)])
@pytest.mark.parametrize("length", [1, 2, 17])
def test_residual_blocks_keep_the_shape_and_use_all_their_weights(block, length):
    x = noise(2, 4, length)
    out = randomised(copy.deepcopy(block))(x)
    assert out.shape == x.shape
    with torch.no_grad():
        bare = copy.deepcopy(block)
        fold_weight_norm(bare)
        for parameter in bare.parameters():
            parameter.zero_()
        torch.testing.assert_close(bare(x), x)  # nothing but the residual path is left


def test_layer_norm_normalises_each_column_by_the_formula():
    norm = randomised(LayerNorm(6))
    x = noise(2, 6, 5) * 3 + 1
    centred = x - x.mean(dim=1, keepdim=True)
    expected = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected * norm.gamma[:, None] + norm.beta[:, None], rtol=1e-5, atol=1e-5)


# Weight norm

NORMED = {"conv": lambda: nn.Conv1d(3, 4, 5), "transposed": lambda: nn.ConvTranspose1d(3, 4, 5, 2),
          "conv2d": lambda: nn.Conv2d(3, 4, (5, 1))}


@pytest.mark.parametrize("name", NORMED)
def test_weight_norm_saves_and_loads_the_published_names(name):
    plain = NORMED[name]()
    weight = plain.weight.detach().clone()
    layer = weight_norm(plain)
    saved = layer.state_dict()
    assert set(saved) == {"weight_g", "weight_v", "bias"}
    assert saved["weight_g"].shape == (weight.shape[0], *[1] * (weight.dim() - 1))
    torch.testing.assert_close(layer.weight, weight)

    other = weight_norm(NORMED[name]())
    other.load_state_dict(saved, strict=True)
    assert torch.equal(other.weight, layer.weight)
    rows = saved["weight_v"].flatten(1).norm(dim=1).view_as(saved["weight_g"])
    torch.testing.assert_close(other.weight, saved["weight_g"] * saved["weight_v"] / rows)


def test_the_published_names_hold_below_a_prefix_and_keep_other_entries():
    inner = nn.Sequential(weight_norm(nn.Conv1d(2, 2, 1)), nn.BatchNorm1d(2))
    net = nn.Sequential(weight_norm(nn.Conv1d(2, 2, 1)), inner)
    saved = net.state_dict()
    assert {"0.weight_g", "0.weight_v", "1.0.weight_g", "1.0.weight_v", "1.1.running_mean"} <= set(saved)
    assert not [key for key in saved if "parametrizations" in key]
    net.load_state_dict(saved, strict=True)


def test_weight_norms_of_published_files_load_into_the_torch_of_old():
    with pytest.warns(FutureWarning):
        old = nn.utils.weight_norm(nn.Conv1d(3, 4, 5))
    new = weight_norm(nn.Conv1d(3, 4, 5))
    old.load_state_dict(new.state_dict(), strict=True)
    x = noise(1, 3, 9)
    torch.testing.assert_close(old(x), new(x))


def test_a_deep_copy_is_equal_independent_and_saves_the_same_names():
    net = randomised(WaveNet(4, 3, 2, G))
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == list(net.state_dict())
    x, mask, g = noise(1, 4, T), torch.ones(1, 1, T), noise(1, G, 1)
    assert torch.equal(twin(x, mask, g), net(x, mask, g))
    randomised(twin, seed=1)
    assert not torch.allclose(twin(x, mask, g), net(x, mask, g))


def test_folding_keeps_the_function_and_leaves_plain_weights():
    net = randomised(WaveNet(4, 3, 2, G))
    x, mask, g = noise(B, 4, T) * MASK, MASK, noise(B, G, 1)
    before = net(x, mask, g)
    fold_weight_norm(net)
    torch.testing.assert_close(net(x, mask, g), before, rtol=0, atol=1e-6)
    assert {key.rpartition(".")[2] for key in net.state_dict()} == {"weight", "bias"}
    plain = nn.Conv1d(4, 8, 3, padding=1)
    plain.load_state_dict(net.in_layers[0].state_dict(), strict=True)
    fold_weight_norm(net)  # a second time does nothing
    copy.deepcopy(net)


def test_folding_one_copy_leaves_the_other_as_it_was():
    net = randomised(WaveNet(4, 3, 2, G))
    x, mask, g = noise(B, 4, T) * MASK, MASK, noise(B, G, 1)
    before = net(x, mask, g)
    folded, twin = copy.deepcopy(net), copy.deepcopy(net)
    fold_weight_norm(folded)
    assert torch.equal(net(x, mask, g), before) and torch.equal(twin(x, mask, g), before)
    assert "in_layers.0.weight_g" in net.state_dict()
    before.sum().backward()
    fold_weight_norm(net)
    torch.testing.assert_close(net(x, mask, g), before, rtol=0, atol=1e-6)


def test_a_folded_network_saves_and_loads_plain_weights():
    net, other = randomised(WaveNet(4, 3, 2, 0)), WaveNet(4, 3, 2, 0).eval()
    fold_weight_norm(net)
    fold_weight_norm(other)
    other.load_state_dict(net.state_dict(), strict=True)
    x = noise(B, 4, T) * MASK
    assert torch.equal(other(x, MASK), net(x, MASK))


def test_hooks_survive_folding_and_copying():
    net = weight_norm(nn.Conv1d(3, 4, 5))
    calls = []
    net.register_forward_hook(lambda *_: calls.append("called"))
    twin = copy.deepcopy(net)
    fold_weight_norm(net)
    net(noise(1, 3, 9))
    twin(noise(1, 3, 9))
    assert calls == ["called", "called"]


def test_gradients_reach_both_halves_of_a_normed_weight():
    layer = weight_norm(nn.Conv1d(3, 4, 5))
    F.relu(layer(noise(1, 3, 9))).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
