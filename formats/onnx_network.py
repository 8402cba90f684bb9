"""The inference half of the network as an ONNX graph of few nodes, for one text at a time.

    graph = Graph()
    latent = latent_of(graph, model, inputs)        # text encoder, durations and flow
    wav = waveform_of(graph, model, latent.z, latent.speaker)

A single text needs no masks. Flips of channels become flipped weights of the next coupling, the spline needs no search,
and the posterior encoder and the training half of the duration predictor are left out.
"""

from __future__ import annotations

import math
import operator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from attentions import Encoder, RelativeAttention
from formats import FormatError
from formats.graph import Graph, Value
from generators import (
    HarmonicGenerator,
    HifiGanStack,
    InverseStft,
    IstftGenerator,
    IstftHead,
    IstftHifiGanGenerator,
    MultiBandGenerator,
    MultiStreamGenerator,
)
from models import MAX_LOG_DURATION, DurationPredictor, StochasticDurationPredictor, SynthesizerTrn, TextEncoder
from modules import (
    LEAKY_SLOPE,
    ConvFlow,
    DilatedDepthSeparableConv,
    LayerNorm,
    ResBlock1,
    ResBlock2,
    ResidualCouplingLayer,
    WaveNet,
)
from pitch import (
    HIGHEST,
    HIGHEST_HARMONIC,
    LOUDNESS,
    LOWEST,
    N_CONTOUR,
    PHASE_STEPS,
    REFERENCE,
    SMALLEST_SINE,
    VOICING_BIAS,
)
from transforms import MIN_BIN_SIZE, MIN_DERIVATIVE

# Shapes: L tokens, T frames, S samples, C latent channels, H hidden channels, G speaker channels, N heads, D channels
# of a head, W window, K bins. Tokens and frames come last before a convolution, channels last before a norm.

LARGEST = 2**31  # the end of whatever is cut
OUTPUTS, INPUTS = (0,), (1,)  # axes of a convolution's weight


class SynthesisInputs(NamedTuple):
    """Inputs of the graph; given noise and durations may cover only a beginning, the rest is drawn or predicted."""

    text_ids: Value  # int64 [1, L]
    noise_scale: Value  # float32 [1]
    length_scale: Value  # float32 [1]
    noise_scale_duration: Value  # float32 [1]
    speaker: Value | None = None  # float32 [1, G, 1]
    duration_noise: Value | None = None  # float32 [1, 2, up to L]
    prior_noise: Value | None = None  # float32 [1, C, up to T]
    durations: Value | None = None  # int64 [1, up to L], frames


class LatentValues(NamedTuple):
    """Inputs of the generator, and the durations."""

    z: Value  # float32 [1, C, T], with the pitch contour for a harmonic generator
    durations: Value  # int64 [1, L], frames
    predicted_durations: Value  # int64 [1, L], frames, independent of given ones
    speaker: Value | None  # float32 [1, G, 1]


def latent_of(graph: Graph, model: SynthesizerTrn, inputs: SynthesisInputs) -> LatentValues:
    """Text to latent: text encoder, durations, prior, flow."""
    hidden = text_encoder(graph, model.enc_p, inputs.text_ids, inputs.speaker)  # [1, L, H]
    frames = graph.op("Exp", graph.op("Min", log_durations(graph, model, hidden, inputs), MAX_LOG_DURATION))
    # The only node of this kind: Piper's tools find the durations by it.
    durations = graph.op("Ceil", frames * inputs.length_scale)  # [1, L, 1]
    predicted = graph.cast(durations, np.int64).reshaped(1, -1)
    durations = _given_first(graph, inputs.durations, predicted, axis=1)
    statistics = graph.linear(hidden, model.enc_p.proj.weight, model.enc_p.proj.bias)  # [1, L, 2C]
    frame_statistics = graph.op("Gather", statistics, token_of_frame(graph, durations), axis=1)  # [1, T, 2C]
    channels = model.enc_p.proj.out_channels // 2
    mean, logstd = frame_statistics.transposed(0, 2, 1).split([channels, channels], axis=1)  # [1, C, T]
    noise = _given_first(graph, inputs.prior_noise, graph.op("RandomNormalLike", mean), axis=2)
    z_p = mean + noise * inputs.noise_scale * graph.op("Exp", logstd)
    z = flow_inverse(graph, model, z_p, inputs.speaker)
    z = z if model.pitch is None else _with_contour(graph, model, z)
    return LatentValues(z, durations, predicted, inputs.speaker)


def waveform_of(graph: Graph, model: SynthesizerTrn, z: Value, speaker: Value | None) -> Value:
    """Latent [1, C, T] to samples [1, 1, S].

    Raises:
        FormatError: the generator is a plugin's.
    """
    if isinstance(model.dec, IstftHifiGanGenerator):
        return _istft_hifigan(graph, model.dec, z, speaker)
    if isinstance(model.dec, HifiGanStack):
        x, share = _hifigan_stack(graph, model.dec, z, speaker)
        conv = model.dec.conv_post
        return graph.op("Tanh", graph.conv(x, conv, weight=conv.weight * share, rows=1)).reshaped(1, 1, -1)
    if isinstance(model.dec, HarmonicGenerator):
        channels = [model.dec.embed.in_channels, N_CONTOUR]
        z, contour = z.split(channels, axis=1)
        hidden = _convnext(graph, model.dec, z, speaker)
        return _overlap_add(graph, model.dec, hidden, _harmonics(graph, model.dec, hidden, contour))
    if isinstance(model.dec, IstftGenerator):
        return _overlap_add(graph, model.dec, _convnext(graph, model.dec, z, speaker))
    raise FormatError(f"the generator {type(model.dec).__name__} cannot be written as ONNX; expected one of "
                      "generators.py")


def text_encoder(graph: Graph, encoder: TextEncoder, text_ids: Value, speaker: Value | None = None) -> Value:
    """Ids [1, L], speaker [1, G, 1] to hidden sequence [1, L, H]."""
    x = graph.op("Gather", encoder.emb.weight * encoder.scale, text_ids)
    return _transformer(graph, encoder.encoder, x, graph.size(text_ids, 1), speaker)


def token_of_frame(graph: Graph, durations: Value) -> Value:
    """The index of the token of each frame: durations [1, L] -> [T]; at least one frame.

    The cumulative sum of a one at the end of each token is the token's index.
    """
    ends = graph.op("CumSum", durations, 1).reshaped(-1)  # [L]
    n_frames = graph.op("Max", ends.part([-1], [LARGEST], 0), [1])  # [1]
    steps = graph.op("Expand", 0, n_frames + 1)  # one more, for the last end
    steps = graph.op("ScatterElements", steps, ends, graph.op("Expand", 1, graph.size(ends, 0)), reduction="add")
    tokens = graph.op("CumSum", steps, 0).part([0], n_frames, 0)  # [T]
    return graph.op("Min", tokens, graph.size(ends, 0) - 1)


def _transformer(graph: Graph, encoder: Encoder, x: Value, n_tokens: Value, speaker: Value | None = None) -> Value:
    """[1, L, H] -> [1, L, H]; n_tokens is L in a list."""
    layers = zip(encoder.attn_layers, encoder.norm_layers_1, encoder.ffn_layers, encoder.norm_layers_2)
    first = encoder.attn_layers[0]
    indices = None if first.window is None else _relative_indices(graph, first.n_heads, first.window, n_tokens)
    for i, (attention, norm_1, feed_forward, norm_2) in enumerate(layers):
        if i == encoder.speaker_layer and encoder.is_conditioned and speaker is not None:
            to_width = encoder.spk_emb_linear
            x = x + graph.linear(speaker.reshaped(1, 1, -1), to_width.weight, to_width.bias)
        x = _norm(graph, norm_1, x + _attention(graph, attention, x, indices))
        hidden = graph.conv(x.transposed(0, 2, 1), feed_forward.conv_1, padding=feed_forward.padding)
        hidden = graph.conv(graph.op("Relu", hidden), feed_forward.conv_2, padding=feed_forward.padding)
        x = _norm(graph, norm_2, x + hidden.transposed(0, 2, 1))
    return x


class _RelativeIndices(NamedTuple):
    """Gather indices by the offset of a key to a query, for all heads."""

    scores: Value  # [N, L, L], columns of 2W + 3: scores of each offset, and zeros at both ends
    weights: Value  # [N, L, 2W + 1], columns of L + 2W: weights, and W zeros at both ends


def _relative_indices(graph: Graph, n_heads: int, window: int, n_tokens: Value) -> _RelativeIndices:
    position = graph.op("Range", 0, n_tokens.reshaped(), 1)  # [L]
    column = position.reshaped(-1, 1)
    beyond = window + 1
    offset = graph.op("Clip", position - column, -beyond, beyond)  # [L, L]
    by_head = np.zeros((n_heads, 1, 1), np.int64)
    return _RelativeIndices(offset + (by_head + beyond), column + (by_head + np.arange(2 * window + 1)))


def _attention(graph: Graph, attention: RelativeAttention, x: Value, indices: _RelativeIndices | None) -> Value:
    """[1, L, H] -> [1, L, H]."""
    n_heads, window = attention.n_heads, attention.window
    channels = attention.conv_o.out_channels // n_heads
    scale = 1 / math.sqrt(channels)
    weight = torch.cat([attention.conv_q.weight * scale, attention.conv_k.weight, attention.conv_v.weight])
    bias = torch.cat([attention.conv_q.bias * scale, attention.conv_k.bias, attention.conv_v.bias])
    heads = graph.linear(x, weight, bias).reshaped(-1, 3 * n_heads, channels).transposed(1, 0, 2)  # [3N, L, D]
    query, key, value = heads.split([n_heads] * 3, axis=0)

    scores = query @ key.transposed(0, 2, 1)
    if indices is not None:
        offset_keys = nn.functional.pad(attention.emb_rel_k[0].mT, (1, 1))  # [D, 2W + 3], zeros outside the window
        scores = scores + graph.op("GatherElements", query @ offset_keys, indices.scores, axis=2)
    weights = graph.op("Softmax", scores, axis=-1)  # [N, L, L]
    mixed = weights @ value  # [N, L, D]
    if indices is not None:
        padded = graph.op("Pad", weights, [0, 0, window, 0, 0, window])
        by_offset = graph.op("GatherElements", padded, indices.weights, axis=2)  # [N, L, 2W + 1]
        mixed = mixed + by_offset @ attention.emb_rel_v[0]
    mixed = mixed.transposed(1, 0, 2).reshaped(1, -1, n_heads * channels)
    return graph.linear(mixed, attention.conv_o.weight, attention.conv_o.bias)


def log_durations(graph: Graph, model: SynthesizerTrn, hidden: Value, inputs: SynthesisInputs) -> Value:
    """Logarithm of each token's frames: [1, L, H] -> [1, L, 1].

    Raises:
        FormatError: the duration predictor is a plugin's.
    """
    speaker = None if inputs.speaker is None else inputs.speaker.reshaped(1, 1, -1)  # [1, 1, G]
    if isinstance(model.dp, DurationPredictor):
        return _deterministic_durations(graph, model.dp, hidden, speaker)
    if not isinstance(model.dp, StochasticDurationPredictor):
        raise FormatError(f"the duration predictor {type(model.dp).__name__} cannot be written as ONNX; expected "
                          "stochastic or deterministic")
    given = None if inputs.duration_noise is None else inputs.duration_noise.transposed(0, 2, 1)
    noise = graph.op("RandomNormalLike", hidden.part([0], [2], 2))  # [1, L, 2]
    noise = _given_first(graph, given, noise, axis=1) * inputs.noise_scale_duration
    return _stochastic_durations(graph, model.dp, hidden, noise, speaker)


def _deterministic_durations(graph: Graph, predictor: DurationPredictor, x: Value, speaker: Value | None) -> Value:
    if speaker is not None:
        x = x + graph.linear(speaker, predictor.cond.weight, predictor.cond.bias)
    for conv, norm in ((predictor.conv_1, predictor.norm_1), (predictor.conv_2, predictor.norm_2)):
        x = _norm(graph, norm, graph.op("Relu", graph.conv(x.transposed(0, 2, 1), conv)).transposed(0, 2, 1))
    return graph.linear(x, predictor.proj.weight, predictor.proj.bias)


def _stochastic_durations(graph: Graph, predictor: StochasticDurationPredictor, hidden: Value, noise: Value,
                          speaker: Value | None) -> Value:
    """The predictor's flow backwards: hidden [1, L, H], noise [1, L, 2] -> [1, L, 1]."""
    condition = graph.linear(hidden, predictor.pre.weight, predictor.pre.bias)
    if speaker is not None:
        condition = condition + graph.linear(speaker, predictor.cond.weight, predictor.cond.bias)
    condition = _separable_convs(graph, predictor.convs, condition)
    condition = graph.linear(condition, predictor.proj.weight, predictor.proj.bias)
    first, second = noise.split([1, 1], axis=2)  # [1, L, 1]
    # The coupling of index 1 only changes the unused channel; before each coupling there is a flip.
    for coupling in reversed([flow for flow in predictor.flows[2:] if isinstance(flow, ConvFlow)]):
        kept, moved = second, first
        first, second = kept, _conv_flow_inverse(graph, coupling, kept, moved, condition)
    mean, logstd = (graph.value(each).part([0], [1], 0) for each in (predictor.flows[0].m, predictor.flows[0].logs))
    return (second - mean) / graph.op("Exp", logstd)  # behind one more flip


def _separable_convs(graph: Graph, stack: DilatedDepthSeparableConv, x: Value) -> Value:
    """[1, L, H] -> [1, L, H]."""
    for sep, pointwise, norm_1, norm_2 in zip(stack.convs_sep, stack.convs_1x1, stack.norms_1, stack.norms_2):
        out = graph.conv(x.transposed(0, 2, 1), sep).transposed(0, 2, 1)
        out = graph.gelu(_norm(graph, norm_1, out))
        out = graph.linear(out, pointwise.weight, pointwise.bias)
        x = x + graph.gelu(_norm(graph, norm_2, out))
    return x


def _conv_flow_inverse(graph: Graph, flow: ConvFlow, kept: Value, moved: Value, condition: Value) -> Value:
    """Inverse of a ConvFlow: the transformed channel [1, L, 1] -> the original."""
    x = graph.linear(kept, flow.pre.weight, flow.pre.bias) + condition
    x = _separable_convs(graph, flow.convs, x)
    # Rows of the projection: widths, heights, and the slope at the left and at the right of each bin. The first and
    # the last slope are 1: rows of zero weight and constant bias.
    n_bins = flow.N_BINS
    weight, bias = flow.proj.weight[:, :, 0], flow.proj.bias
    slope_one = bias.new_full((1,), math.log(math.expm1(1 - MIN_DERIVATIVE)))
    sizes, sizes_bias = weight[: 2 * n_bins] / flow.scale, bias[: 2 * n_bins] / flow.scale
    slopes, slopes_bias, no_weight = weight[2 * n_bins :], bias[2 * n_bins :], torch.zeros_like(weight[:1])
    parameters = graph.linear(x, torch.cat([sizes, no_weight, slopes, slopes, no_weight]),
                              torch.cat([sizes_bias, slope_one, slopes_bias, slopes_bias, slope_one]))  # [1, L, 4K]
    return inverse_spline(graph, moved, parameters.reshaped(-1, 4, n_bins), flow.TAIL_BOUND)


def inverse_spline(graph: Graph, inputs: Value, parameters: Value, bound: float) -> Value:
    """`transforms.inverse_spline` without a search: the sum of all bins' contributions.

    A bin below the input contributes its whole width, a bin above it nothing.

    Args:
        graph: receives the nodes.
        inputs: [1, L, 1].
        parameters: unnormalised widths, heights, slopes at the left and at the right of each bin: [L, 4, K].
        bound: half the interval's length.
    """
    n_bins = ConvFlow.N_BINS
    sizes, slopes = parameters.split([2, 2], axis=1)
    sizes = graph.op("Softmax", sizes, axis=-1) * (2 * bound * (1 - MIN_BIN_SIZE * n_bins)) + 2 * bound * MIN_BIN_SIZE
    width, height = sizes.split([1, 1], axis=1)  # [L, 1, K]
    left, right = (graph.op("Softplus", slopes) + MIN_DERIVATIVE).split([1, 1], axis=1)
    bottom = height @ np.triu(np.ones((n_bins, n_bins), np.float32), 1) - bound

    inputs = inputs.reshaped(-1, 1, 1)
    inside = graph.op("Clip", inputs, -bound, bound)
    share = graph.op("Clip", (inside - bottom) / height, 0.0, 1.0)
    rest = 1.0 - share
    double_slope = height / width * 2.0
    d = left * rest - right * share
    straight = double_slope * share
    cross = straight * double_slope * rest
    positive = graph.op("Abs", d)
    d_plus_root = d + positive + cross / (graph.op("Sqrt", d * d + cross) + positive)
    theta = straight / (straight + d_plus_root)
    values = graph.op("ReduceSum", width * theta, [2]) - bound
    return (values.reshaped(-1, 1, 1) + (inputs - inside)).reshaped(1, -1, 1)  # outside it is the identity


def flow_inverse(graph: Graph, model: SynthesizerTrn, z_p: Value, speaker: Value | None) -> Value:
    """Prior space to latent, [1, C, T] -> [1, C, T].

    A flip swaps the halves and turns each around. Here they stay as they are and the couplings' weights are turned.
    """
    couplings = list(model.flow.flows)[::2]
    half = couplings[0].pre.in_channels
    kept, moved, turned = *z_p.split([half, half], axis=1), False
    for coupling in reversed(couplings):
        kept, moved, turned = moved, kept, not turned
        hidden = _coupling_input(graph, coupling, kept, turned)
        hidden = _wavenet(graph, coupling.enc, hidden, speaker)
        shift = graph.conv(hidden, coupling.post, weight=coupling.post.weight.flip(OUTPUTS if turned else ()),
                           bias=coupling.post.bias.flip(OUTPUTS if turned else ()))
        moved = moved - shift
    z = graph.op("Concat", kept, moved, axis=1)
    if not turned:
        return z
    order = np.concatenate([np.arange(half)[::-1], half + np.arange(half)[::-1]])
    return graph.op("Gather", z, order, axis=1)


def _coupling_input(graph: Graph, coupling: ResidualCouplingLayer, kept: Value, turned: bool) -> Value:
    """What a coupling's WaveNet is given, of the half that it keeps, which may be turned around: -> [1, H, T]."""
    transformer = coupling.pre_transformer
    if transformer is None:
        return graph.conv(kept, coupling.pre, weight=coupling.pre.weight.flip(INPUTS if turned else ()))

    def transformed(x: Value) -> Value:
        out = _transformer(graph, transformer, x.transposed(0, 2, 1), graph.size(x, 2))
        return x + out.transposed(0, 2, 1)

    if turned:
        kept = graph.op("Gather", kept, np.arange(coupling.pre.in_channels)[::-1].copy(), axis=1)
    hidden = graph.conv(kept if coupling.is_behind else transformed(kept), coupling.pre)
    return transformed(hidden) if coupling.is_behind else hidden


def _wavenet(graph: Graph, wavenet: WaveNet, x: Value, speaker: Value | None) -> Value:
    """[1, H, T] -> [1, H, T]."""
    width, skips = wavenet.channels, None
    conditions: list[Value | None] = [None] * wavenet.n_layers
    if speaker is not None:
        conditions = list(graph.conv(speaker, wavenet.cond_layer).split([2 * width] * wavenet.n_layers, axis=1))
    for in_layer, res_skip_layer, condition in zip(wavenet.in_layers, wavenet.res_skip_layers, conditions):
        activation = graph.conv(x, in_layer)
        if condition is not None:
            activation = activation + condition
        to_tanh, to_sigmoid = activation.split([width, width], axis=1)
        skip = graph.conv(graph.op("Tanh", to_tanh) * graph.op("Sigmoid", to_sigmoid), res_skip_layer)
        if res_skip_layer.out_channels > width:
            residual, skip = skip.split([width, width], axis=1)
            x = x + residual
        skips = skip if skips is None else skips + skip
    return skips


def _hifigan_stack(graph: Graph, generator: HifiGanStack, z: Value, speaker: Value | None) -> tuple[Value, float]:
    """[1, C, T] -> [1, width, 1, steps], and a factor that the next layer's weights take."""
    x = graph.conv(z, generator.conv_pre)
    if speaker is not None:
        x = x + graph.conv(speaker, generator.cond)
    x = x.reshaped(1, generator.conv_pre.out_channels, 1, -1)
    share = 1.0  # the blocks' mean is moved into the next layer's weights, through the leaky ReLU
    for stage, up in enumerate(generator.ups):
        x = graph.conv(graph.op("LeakyRelu", x, alpha=LEAKY_SLOPE), up, weight=up.weight * share, rows=1)
        blocks = generator.resblocks[stage * generator.n_kernels : (stage + 1) * generator.n_kernels]
        outputs = [_residual_block(graph, block, x) for block in blocks]
        x = outputs[0]
        for other in outputs[1:]:
            x = x + other
        share = 1 / generator.n_kernels
    return graph.op("LeakyRelu", x, alpha=0.01), share


def _istft_hifigan(graph: Graph, generator: IstftHifiGanGenerator, z: Value, speaker: Value | None) -> Value:
    """[1, C, T] -> [1, 1, S]: one inverse STFT, or one for each band and a filter that joins them."""
    x, share = _hifigan_stack(graph, generator, z, speaker)
    x = graph.op("Concat", x.part([1], [2], 3), x, axis=3)  # one reflected step
    layer, istft = generator.output_layer, generator.istft
    x = graph.conv(x, layer, weight=layer.weight * share, rows=1)
    n_bands = layer.out_channels // (2 * istft.n_bins)
    bands = _inverse_stft(graph, istft, x.reshaped(n_bands, 2 * istft.n_bins, -1)).reshaped(1, n_bands, -1)
    if isinstance(generator, MultiBandGenerator):
        return _joined_bands(graph, bands, generator.pqmf.synthesis_filter)
    if isinstance(generator, MultiStreamGenerator):
        return _joined_bands(graph, bands, generator.multistream_conv_post.weight[0])
    return bands


def _inverse_stft(graph: Graph, istft: InverseStft, x: Value) -> Value:
    """[N, 2F, frames] -> [N, 1, (frames - 1) * hop]."""
    log_magnitude, turned = x.split([istft.n_bins] * 2, axis=1)
    magnitude = graph.op("Exp", graph.op("Min", log_magnitude, istft.MAX_LOG_MAGNITUDE))
    phase = graph.op("Sin", turned) * math.pi
    spectrum = graph.op("Concat", magnitude * graph.op("Cos", phase), magnitude * graph.op("Sin", phase), axis=1)
    sizes = {"strides": [istft.hop_length], "pads": [istft.n_fft // 2] * 2, "kernel_shape": [istft.n_fft]}
    ones = graph.op("Expand", np.ones((1, 1, 1), np.float32),
                    graph.op("Concat", [1, 1], graph.size(x, 2), axis=0))  # [1, 1, frames]
    return (graph.op("ConvTranspose", spectrum, istft.basis, **sizes)
            / graph.op("ConvTranspose", ones, istft.squared_window, **sizes))


def _joined_bands(graph: Graph, bands: Value, filters: torch.Tensor) -> Value:
    """`generators.join_bands`: [1, N, S / N] -> [1, 1, S]."""
    n_bands, length = filters.shape
    return graph.op("ConvTranspose", bands, n_bands * filters.flip(-1)[:, None], strides=[n_bands],
                    pads=[length // 2] * 2, output_padding=[n_bands - 1], kernel_shape=[length])


def _residual_block(graph: Graph, block: ResBlock1 | ResBlock2, x: Value) -> Value:
    pairs = zip(block.convs1, block.convs2) if isinstance(block, ResBlock1) else ((conv,) for conv in block.convs)
    for convs in pairs:
        out = x
        for conv in convs:
            out = graph.conv(graph.op("LeakyRelu", out, alpha=LEAKY_SLOPE), conv, rows=1)
        x = x + out
    return x


def _convnext(graph: Graph, generator: IstftGenerator, z: Value, speaker: Value | None) -> Value:
    """The ConvNeXt stack in front of the head: [1, C, T] -> [1, T, width]."""
    x = graph.conv(z, generator.embed)
    if speaker is not None:
        x = x + graph.conv(speaker, generator.cond)
    x = _norm(graph, generator.norm, x.transposed(0, 2, 1))  # [1, T, C]
    for block in generator.blocks:
        out = graph.conv(x.transposed(0, 2, 1), block.depthwise).transposed(0, 2, 1)
        out = graph.linear(_norm(graph, block.norm, out), block.expand.weight, block.expand.bias)
        x = x + graph.linear(graph.gelu(out), block.project.weight, block.project.bias) * block.scale
    return _norm(graph, generator.final_norm, x)


def _with_contour(graph: Graph, model: SynthesizerTrn, z: Value) -> Value:
    """`pitch.with_contour` of the predicted pitch: [1, C, T] -> [1, C + N_CONTOUR, T]."""
    predictor, data = model.pitch, model.data
    octaves, logit = graph.conv(graph.gelu(graph.conv(z, predictor.conv)), predictor.proj).split([1, 1], axis=1)
    lowest, highest = math.log2(LOWEST / REFERENCE), math.log2(HIGHEST / REFERENCE)
    octaves = graph.op("Clip", octaves, lowest, highest)
    end = graph.op("Exp", octaves * math.log(2)) * (REFERENCE / data.sampling_rate)  # [1, 1, T]
    loud = graph.op("Sigmoid", logit + VOICING_BIAS)
    start, loud_before = (graph.op("Concat", value.part([0], [1], 2), value.part([0], [-1], 2), axis=2)
                          for value in (end, loud))
    turns = graph.cast(graph.op("Round", (start + end) * (data.hop_length / 2 * PHASE_STEPS)), np.int64)
    steps = graph.op("Mod", graph.op("CumSum", turns, 2, exclusive=1), PHASE_STEPS)
    phase = graph.cast(steps, np.float32) / float(PHASE_STEPS)
    return graph.op("Concat", z, start, end, loud_before, loud, phase, axis=1)


def _harmonics(graph: Graph, generator: HarmonicGenerator, x: Value, contour: Value) -> tuple[Value, Value]:
    """Filtered harmonics: hidden [1, T, C], contour [1, N_CONTOUR, T] -> real and imaginary parts [1, F, T]."""
    drawn, n_fft, hop = generator.filter, generator.filter.n_fft, generator.filter.hop_length
    start, end, loud_before, loud, phase = contour.transposed(0, 2, 1).split([1] * N_CONTOUR, axis=2)  # [1, T, 1]
    sample = np.arange(hop, dtype=np.float32)
    turns = phase + start * sample + (end - start) * (sample**2 / (2 * hop))  # [1, T, hop]
    frequency = graph.op("Max", start + (end - start) * (sample / hop), LOWEST / 1e6)
    n_harmonics = graph.op("Max", graph.op("Floor", graph.op("Div", HIGHEST_HARMONIC, frequency)), 1.0)
    half_angle = (turns - graph.op("Round", turns)) * math.pi
    sine = graph.op("Sin", half_angle)
    is_pulse = graph.op("Less", graph.op("Abs", sine), SMALLEST_SINE)
    ratio = graph.op("Sin", (n_harmonics * 2.0 + 1.0) * half_angle) / graph.op("Where", is_pulse, 1.0, sine)
    total = graph.op("Where", is_pulse, n_harmonics, (ratio - 1.0) * 0.5)
    loudness = (loud_before + (loud - loud_before) * (sample / hop)) * LOUDNESS
    source = (total / graph.op("Sqrt", n_harmonics) * loudness).reshaped(1, 1, -1)
    angle, overhang, bins = _angles(graph, n_fft), n_fft - hop, n_fft // 2 + 1
    dft = graph.op("Concat", graph.op("Cos", angle), graph.op("Sin", angle) * -1.0, axis=0) * drawn.window
    spectrum = graph.op("Conv", source, dft.reshaped(-1, 1, n_fft), strides=[hop], kernel_shape=[n_fft],
                        pads=[overhang // 2, overhang - overhang // 2])  # [1, 2F, T]
    real, imaginary = spectrum.split([bins, bins], axis=1)
    places, place = np.arange(drawn.BANDS + 1.0)[:, None], np.linspace(0, drawn.BANDS, bins)[None]
    lines = graph.op("Relu", 1.0 - graph.op("Abs", graph.value(place) - places))  # a formula, as the DFT is
    log_gain, turned = graph.linear(x, drawn.out.weight, drawn.out.bias).split([drawn.BANDS + 1] * 2, axis=2)
    gain = graph.op("Exp", graph.op("Min", (log_gain @ lines).transposed(0, 2, 1), IstftHead.MAX_LOG_MAGNITUDE))
    turned = (turned @ lines).transposed(0, 2, 1)
    cosine, sine = gain * graph.op("Cos", turned), gain * graph.op("Sin", turned)
    return cosine * real - sine * imaginary, cosine * imaginary + sine * real


def _overlap_add(graph: Graph, generator: IstftGenerator, x: Value, more: tuple[Value, Value] | None = None) -> Value:
    """[1, T, C] -> [1, 1, S]: one transposed convolution is the inverse DFT, the window and the overlapping sum."""
    head = generator.head
    n_fft, hop, bins = head.n_fft, head.hop_length, head.n_fft // 2 + 1
    spectrum = graph.linear(x, head.out.weight, head.out.bias).transposed(0, 2, 1)  # [1, 2F, T]
    log_magnitude, phase = spectrum.split([bins, bins], axis=1)
    magnitude = graph.op("Exp", graph.op("Min", log_magnitude, head.MAX_LOG_MAGNITUDE))
    parts = [magnitude * graph.op("Cos", phase), magnitude * graph.op("Sin", phase)]
    parts = graph.op("Concat", *(parts if more is None else map(operator.add, parts, more)), axis=1)
    window = head.window.double()
    cut = [(n_fft - hop) // 2] * 2  # T frames give T hops
    wav = graph.op("ConvTranspose", parts, (_inverse_dft(graph, n_fft) * window).reshaped(-1, 1, n_fft),
                   strides=[hop], pads=cut, kernel_shape=[n_fft])
    ones = graph.op("Expand", np.ones((1, 1, 1), np.float32),
                    graph.op("Concat", [1, 1], graph.size(x, 1), axis=0))  # [1, 1, T]
    envelope = graph.op("ConvTranspose", ones, window.square()[None, None], strides=[hop], pads=cut,
                        kernel_shape=[n_fft])
    return wav / graph.op("Max", envelope, 1e-11)


def _inverse_dft(graph: Graph, n_fft: int) -> Value:
    """Real parts of all bins, then imaginary parts, to samples: [2F, n_fft]."""
    n_bins, angle = n_fft // 2 + 1, _angles(graph, n_fft)
    real = np.full((n_bins, 1), 2 / n_fft)  # a bin stands for its mirror image too, but for the first and the last
    real[[0, -1]] = 1 / n_fft
    imaginary = -2 / n_fft * np.ones((n_bins, 1))
    imaginary[[0, -1]] = 0
    return graph.op("Concat", graph.op("Cos", angle) * real, graph.op("Sin", angle) * imaginary, axis=0)


def _angles(graph: Graph, n_fft: int) -> Value:
    """Of every bin at every sample, [F, n_fft].

    A formula, which runtimes work out when they open the file: for 1024 samples the numbers would take 2 MB in it.
    """
    turns = graph.op("Mod", graph.value(np.arange(n_fft // 2 + 1)[:, None]) * np.arange(n_fft), n_fft)  # exact
    return graph.cast(turns, np.float32) * (2 * math.pi / n_fft)


def _norm(graph: Graph, norm: LayerNorm | nn.LayerNorm, x: Value) -> Value:
    """Over the channels of [1, T, C]."""
    scale, shift = (norm.gamma, norm.beta) if isinstance(norm, LayerNorm) else (norm.weight, norm.bias)
    return graph.layer_norm(x, scale, shift, norm.eps)


def _given_first(graph: Graph, given: Value | None, otherwise: Value, axis: int) -> Value:
    """`other` with its beginning replaced by `given`, as far as that reaches."""
    if given is None:
        return otherwise
    rest = otherwise.part(graph.size(given, axis), [LARGEST], axis)
    return graph.op("Concat", given, rest, axis=axis).part([0], graph.size(otherwise, axis), axis)

