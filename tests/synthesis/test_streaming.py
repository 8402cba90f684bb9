"""ChunkSizes joined are the whole, for every generator and however it is cut; a batch is its items."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from config import DataConfig, ModelConfig
from generators import GENERATORS
from modules import fold_weight_norm
from pitch import Pitch, with_contour
from synthesis import streaming
from synthesis.streaming import (
    ChunkSizes,
    LayerStates,
    context_of,
    decode_batch,
    decode_in_chunks,
    pad_to_multiple,
    plan_chunks,
)

SMALL = {"inter_channels": 6, "gin_channels": 5}
KINDS = {
    "published": ModelConfig(**SMALL, upsample_initial_channel=32),
    "resblock 2": ModelConfig(**SMALL, resblock="2", upsample_initial_channel=16, upsample_rates=(8, 4),
                              upsample_kernel_sizes=(16, 12), resblock_kernel_sizes=(3, 5),
                              resblock_dilation_sizes=((1, 2), (2, 6))),
    "kernels of the rate": ModelConfig(**SMALL, upsample_initial_channel=16, upsample_rates=(4, 4),
                                       upsample_kernel_sizes=(4, 8), resblock_kernel_sizes=(3,),
                                       resblock_dilation_sizes=((1, 3, 5),)),
    "istft": ModelConfig(**SMALL, generator="istft", istft_channels=16, istft_layers=3),
    "istft, short windows": ModelConfig(**SMALL, generator="istft", istft_channels=16, istft_layers=1),
    "istft_hifigan": ModelConfig(**SMALL, generator="istft_hifigan", upsample_initial_channel=16,
                                 upsample_rates=(8, 4), upsample_kernel_sizes=(16, 12)),
    "multiband": ModelConfig(**SMALL, generator="multiband", upsample_initial_channel=16, upsample_rates=(4, 4),
                             upsample_kernel_sizes=(16, 16)),
    "multistream": ModelConfig(**SMALL, generator="multistream", resblock="2", upsample_initial_channel=16,
                               upsample_rates=(4, 4), upsample_kernel_sizes=(4, 8)),
    "harmonic": ModelConfig(**SMALL, generator="harmonic", istft_channels=16, istft_layers=3),
    "harmonic, one layer": ModelConfig(**SMALL, generator="harmonic", istft_channels=16, istft_layers=1),
}
DATA = {"istft, short windows": DataConfig(filter_length=512, win_length=512, hop_length=256)}


def hop_of(model, data):
    return model.samples_of_frame or data.hop_length


@pytest.fixture(params=KINDS, scope="module")
def generator(request):
    """Weights large enough that a wrong joint shows."""
    torch.manual_seed(0)
    model, data = KINDS[request.param], DATA.get(request.param, DataConfig())
    net = GENERATORS.get(model.generator)(model, data).eval()
    fold_weight_norm(net)
    for name, parameter in net.named_parameters():
        if parameter.dim() > 1 and "resblocks" in name:
            torch.nn.init.normal_(parameter, 0, 0.1)
    return net


def latent(n_frames, batch=1):
    random = torch.Generator().manual_seed(1)
    return (torch.randn(batch, 6, n_frames, generator=random), torch.randn(batch, 5, 1, generator=random),
            torch.randn(batch, 5, n_frames, generator=random))


def heard(generator, z):
    """What this generator hears of z: of one of harmonics its first two channels are the pitch."""
    if not getattr(generator, "takes_pitch", False):
        return z
    everywhere = torch.ones_like(z[:, :1])
    return with_contour(z, Pitch(0.3 * z[:, 0], torch.sigmoid(z[:, 1])), everywhere, DataConfig())


@torch.no_grad()
@pytest.mark.parametrize("chunks", [ChunkSizes(), ChunkSizes(1, 1, 1), ChunkSizes(3, 7, 1.5),
                                    ChunkSizes(40, 40), ChunkSizes(1000, 1000)])
def test_joined_pieces_equal_the_whole(generator, chunks):
    z, g, _ = latent(75)
    z = heard(generator, z)
    whole = generator(z, g)
    joined = torch.cat(list(decode_in_chunks(generator, z, g, chunks)), dim=2)
    assert joined.shape == whole.shape and whole.std() > 1e-4
    assert (joined - whole).abs().max() < 1e-5


@torch.no_grad()
def test_no_frame_goes_through_a_layer_twice(generator, monkeypatch):
    if type(generator) not in streaming._DECODERS:
        pytest.skip("its layers keep no states: neighbouring frames are decoded again")
    z, g, _ = latent(200)
    z, columns = heard(generator, z), {}

    class Counted(LayerStates):
        def conv(self, layer, x):
            columns[layer] = columns.get(layer, 0) + x.shape[2]
            return super().conv(layer, x)

    monkeypatch.setattr(streaming, "LayerStates", Counted)
    hop = generator(z, g).shape[2] // 200
    assert sum(wav.shape[2] for wav in decode_in_chunks(generator, z, g, ChunkSizes(9, 9))) == 200 * hop
    layers = {layer for layer in generator.modules() if isinstance(layer, torch.nn.Conv1d)}
    assert columns.keys() == layers - {generator.cond}
    assert set(columns.values()) <= {200 * each for each in range(1, hop + 1)}


@torch.no_grad()
def test_a_speaker_that_changes_on_the_way_is_cut_as_well(generator):
    z, _, g = latent(60)
    z = heard(generator, z)
    joined = torch.cat(list(decode_in_chunks(generator, z, g, ChunkSizes(5, 9))), dim=2)
    assert (joined - generator(z, g)).abs().max() < 1e-5


@torch.no_grad()
def test_the_context_is_as_far_as_the_generator_looks_and_no_further():
    """Changes one frame of ones that reach everywhere: the frames that move are those within the context."""
    for name, model in KINDS.items():
        data = DATA.get(name, DataConfig())
        net = GENERATORS.get(model.generator)(model, data).eval().double()
        fold_weight_norm(net)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, 0, parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1)
        if hasattr(net, "pqmf"):
            net.pqmf.synthesis_filter.fill_(1)  # its own ends are lost in rounding
        z, g, _ = (value.double() for value in latent(81))
        z = heard(net, z)
        other = z.clone()
        other[:, :, 40] += 1e-3 if getattr(net, "takes_pitch", False) else 1  # of a pitch, in cycles a sample
        hop = hop_of(model, data)
        moved = (net(z, g) - net(other, g))[0, 0].unflatten(0, (-1, hop)).abs().amax(dim=1) > 0
        places = moved.nonzero().flatten() - 40
        context = context_of(net)
        assert -context <= places.min() and places.max() <= context, name
        assert max(-places.min(), places.max()) == context, name


@torch.no_grad()
def test_items_of_unequal_lengths_are_decoded_as_if_alone(generator):
    lengths = [70, 64, 20, 1]
    z, g, _ = latent(70, batch=4)
    for i, length in enumerate(lengths):
        z[i, :, length:] = 0
    z = heard(generator, z)
    together = decode_batch(generator, z, lengths, g)
    for i, length in enumerate(lengths):
        alone = generator(z[i : i + 1, :, :length], g[i : i + 1])
        assert (together[i, :, : alone.shape[2]] - alone[0]).abs().max() < 1e-5
        assert not together[i, :, alone.shape[2] :].any()


@torch.no_grad()
def test_padding_to_few_shapes_changes_nothing(generator):
    z, g, _ = latent(50)
    z = heard(generator, z)
    padded = pad_to_multiple(z, 32)
    again = pad_to_multiple(padded, 32)
    assert padded.shape[2] == 64 and again is not None and again.shape[2] == 64
    alone = generator(z, g)
    assert (decode_batch(generator, padded, [50], g)[:, :, : alone.shape[2]] - alone).abs().max() < 1e-5


class Silent(torch.nn.Module):
    """A plugin's generator that does not say how far it looks: each sample depends on all frames."""

    def forward(self, z, g=None):
        return (z.mean(dim=1, keepdim=True) + z.mean()).repeat_interleave(4, dim=2)


def test_a_generator_that_does_not_tell_its_context_is_asked_for_the_whole():
    z, _, _ = latent(9, batch=2)
    [wav] = decode_in_chunks(Silent(), z)
    assert torch.equal(wav, Silent()(z))
    together = decode_batch(Silent(), z, [9, 5])
    assert torch.equal(together[1, :, :20], Silent()(z[1:, :, :5])[0]) and not together[1, :, 20:].any()


@given(st.integers(0, 400), st.integers(0, 30), st.integers(1, 50), st.integers(0, 50), st.floats(1, 4))
@settings(deadline=None)
def test_a_plan_says_every_frame_once_with_all_the_context_there_is(n_frames, context, first, more, growth):
    chunks = plan_chunks(n_frames, context, ChunkSizes(first, first + more, growth))
    assert [frame for chunk in chunks for frame in range(chunk.start, chunk.end)] == list(range(n_frames))
    for chunk in chunks:
        assert chunk.low == max(0, chunk.start - context) and chunk.high == min(n_frames, chunk.end + context)
        assert chunk.end - chunk.start <= first + more


@pytest.mark.parametrize("chunks", [ChunkSizes(0), ChunkSizes(8, 4), ChunkSizes(8, 16, 0.5)])
def test_pieces_that_cannot_be_are_refused(chunks):
    with pytest.raises(ValueError, match="1 <= first <= most frames and a growth of 1 or more"):
        plan_chunks(10, 2, chunks)
