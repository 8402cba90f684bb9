"""Latent -> waveform in chunks, which together equal the waveform of the whole.

    for wav in decode_in_chunks(model.dec, z, g, ChunkSizes(first=16, most=256)):   # [1, 1, samples] each
        play(wav)

A chunk's last samples depend on frames of the next one, as far as the generator's receptive field reaches; so the
generator is fed that far ahead. Of the frames before, the layers of this project's generators keep what the next chunk
needs (`LayerStates`). Other generators decode the neighbouring frames again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators import HarmonicGenerator, HifiGanGenerator, IstftGenerator, context_of_overlap_add
from modules import LEAKY_SLOPE, ResBlock1, ResBlock2
from pitch import N_CONTOUR
from synthesis.chunking import DEFAULT_CHUNKS, Chunk, ChunkSizes, plan_chunks

# Shapes: B batch, C latent channels, G speaker channels, T frames, S = T * hop samples.


def context_of(generator: nn.Module) -> int | None:
    """Frames on either side that a frame's samples depend on; None if the generator has no `context_frames`."""
    return getattr(generator, "context_frames", None)


def decode_in_chunks(generator: nn.Module, z: Tensor, g: Tensor | None = None,
                     chunks: ChunkSizes = DEFAULT_CHUNKS) -> Iterator[Tensor]:
    """`generator(z, g)` in chunks [B, 1, S of the chunk]; joined they equal it up to rounding.

    A generator of a plugin that has no `context_frames` decodes the whole at once.

    Args:
        generator: of `generators.GENERATORS`.
        z: [B, C, T], whose items are all T frames long.
        g: [B, G, 1], or [B, G, T] where the speaker changes on the way; None for one voice.
        chunks: their sizes.
    """
    n_frames, context = z.shape[2], context_of(generator)
    plan = [] if context is None else plan_chunks(n_frames, context, chunks)
    if len(plan) < 2:
        yield generator(z, g)
        return
    if type(generator) in _DECODERS:
        yield from _decode_with_states(generator, z, g, plan)
        return
    for chunk in plan:
        wav = generator(z[:, :, chunk.low : chunk.high], _part(g, chunk.low, chunk.high))
        hop = wav.shape[2] // (chunk.high - chunk.low)
        yield wav[:, :, (chunk.start - chunk.low) * hop : (chunk.end - chunk.low) * hop]


def _decode_with_states(generator: nn.Module, z: Tensor, g: Tensor | None, plan: list[Chunk]) -> Iterator[Tensor]:
    """Chunks of a plan, in which every frame goes through every layer once."""
    decode, states, fed = _DECODERS[type(generator)], LayerStates(), 0
    hop = generator.head.hop_length if isinstance(generator, IstftGenerator) else math.prod(
        up.stride[0] for up in generator.ups)
    ready = z.new_zeros(z.shape[0], 1, 0)
    for chunk in plan:
        if chunk.high > fed:
            states.is_last = chunk.high == z.shape[2]
            wav = decode(states, generator, z[:, :, fed : chunk.high], _part(g, fed, chunk.high))
            ready, fed = torch.cat([ready, wav], dim=2), chunk.high
        n_samples = (chunk.end - chunk.start) * hop
        yield ready[:, :, :n_samples]
        ready = ready[:, :, n_samples:]


class LayerStates:
    """What each layer keeps of earlier pieces of its input, for streams that it takes piece by piece.

    A layer that looks ahead gives its last outputs with the next piece. So streams of different layers are at different
    places, and `aligned` holds back those that are ahead.
    """

    def __init__(self) -> None:
        self.is_last = False  # the pieces at hand are the last ones
        self._kept: dict[object, Any] = {}

    def conv(self, layer: nn.Conv1d, x: Tensor) -> Tensor:
        """Output of a convolution of stride 1 as far as its input [B, C, n] reaches."""
        padding, reach = layer.padding[0], (layer.kernel_size[0] - 1) * layer.dilation[0]
        before = self._kept.get(layer)
        if before is None:
            before = x.new_zeros(*x.shape[:2], padding)
        x = torch.cat([before, x], dim=2)
        if self.is_last:
            x = F.pad(x, (0, padding))
        self._kept[layer] = x[:, :, max(0, x.shape[2] - reach) :]
        return F.conv1d(x, layer.weight, layer.bias, dilation=layer.dilation, groups=layer.groups)

    def transposed_conv(self, layer: nn.ConvTranspose1d, x: Tensor) -> Tensor:
        """Output of a transposed convolution as far as no later input changes it."""
        stride, padding = layer.stride[0], layer.padding[0]
        settled = x.shape[2] * stride
        full = F.conv_transpose1d(x, layer.weight, None, layer.stride)
        before = self._kept.get(layer)
        if before is not None:
            full[:, :, : before.shape[2]] += before
        self._kept[layer] = full[:, :, settled:]
        end = full.shape[2] - padding if self.is_last else settled
        full = full[:, :, padding if before is None else 0 : end]
        return full if layer.bias is None else full + layer.bias[:, None]

    def aligned(self, key: object, *streams: Tensor) -> list[Tensor]:
        """Pieces of several streams [B, C, n], cut where the one that is furthest behind ends."""
        whole = [x if (key, i) not in self._kept else torch.cat([self._kept[key, i], x], dim=2)
                 for i, x in enumerate(streams)]
        length = min(x.shape[2] for x in whole)
        self._kept.update({(key, i): x[:, :, length:] for i, x in enumerate(whole)})
        return [x[:, :, :length] for x in whole]

    def overlapping(self, key: object, streams: Sequence[tuple[Tensor, int]], hop: int,
                    head: Callable[..., Tensor]) -> Tensor:
        """Output [B, 1, samples] of a cheap layer, which computes a few frames on each side again.

        Args:
            key: of the layer.
            streams: pieces [B, C, n] of its inputs, each with the frames on either side that a frame's samples need.
            hop: samples of a frame.
            head: the layer, of inputs that begin at the same frame and may end at different ones.
        """
        start, kept = self._kept.get(key, (0, None))  # frames that were given out already, and what follows
        whole = [x for x, _ in streams]
        if kept is not None:
            whole = [torch.cat(pair, dim=2) for pair in zip(kept, whole)]
        end = min(x.shape[2] - (0 if self.is_last else context) for x, (_, context) in zip(whole, streams))
        low = max(0, end - max(context for _, context in streams))
        self._kept[key] = (end - low, [x[:, :, low:] for x in whole])
        return head(*whole)[:, :, start * hop : end * hop]


def _decode_hifigan(states: LayerStates, generator: HifiGanGenerator, z: Tensor, g: Tensor | None) -> Tensor:
    """A piece of `HifiGanGenerator`."""
    x = _with_speaker(states, generator, states.conv(generator.conv_pre, z), g)
    for stage, up in enumerate(generator.ups):
        x = states.transposed_conv(up, F.leaky_relu(x, LEAKY_SLOPE))
        blocks = generator.resblocks[stage * generator.n_kernels : (stage + 1) * generator.n_kernels]
        x = sum(states.aligned(up, *(_residual_block(states, block, x) for block in blocks))) / generator.n_kernels
    return torch.tanh(states.conv(generator.conv_post, F.leaky_relu(x)))


def _residual_block(states: LayerStates, block: ResBlock1 | ResBlock2, x: Tensor) -> Tensor:
    pairs = zip(block.convs1, block.convs2) if isinstance(block, ResBlock1) else ((conv,) for conv in block.convs)
    for convs in pairs:
        out = x
        for conv in convs:
            out = states.conv(conv, F.leaky_relu(out, LEAKY_SLOPE))
        x = sum(states.aligned(convs, x, out))
    return x


def _decode_istft(states: LayerStates, generator: IstftGenerator, z: Tensor, g: Tensor | None) -> Tensor:
    """A piece of `IstftGenerator`."""
    head, hidden = generator.head, _hidden(states, generator, z, g)
    return states.overlapping(head, [(hidden, _overlap(generator))], head.hop_length, lambda x: head(x.mT))


def _decode_harmonic(states: LayerStates, generator: HarmonicGenerator, z: Tensor, g: Tensor | None) -> Tensor:
    """A piece of `HarmonicGenerator`."""
    z, contour = z.split([z.shape[1] - N_CONTOUR, N_CONTOUR], dim=1)
    hidden, overlap = _hidden(states, generator, z.to(generator.embed.weight.dtype), g), _overlap(generator)

    def head(x: Tensor, contour: Tensor) -> Tensor:
        x = F.pad(x, (0, contour.shape[2] - x.shape[2])).mT  # of the frames ahead only the harmonics' spectrum counts
        return generator.head(x, generator.filter(x, contour))

    inputs = [(hidden, overlap), (contour, 2 * overlap)]
    return states.overlapping(generator.head, inputs, generator.head.hop_length, head)


def _hidden(states: LayerStates, generator: IstftGenerator, z: Tensor, g: Tensor | None) -> Tensor:
    """A piece of the head's input, [B, width, n]."""
    x = _with_speaker(states, generator, states.conv(generator.embed, z), g)
    x = generator.norm(x.mT).mT
    for block in generator.blocks:
        x = sum(states.aligned(block, x, block.pointwise(states.conv(block.depthwise, x))))
    return generator.final_norm(x.mT).mT


def _overlap(generator: IstftGenerator) -> int:
    return context_of_overlap_add(generator.head.n_fft, generator.head.hop_length)


def _with_speaker(states: LayerStates, generator: nn.Module, x: Tensor, g: Tensor | None) -> Tensor:
    if g is None:
        return x
    condition = generator.cond(g)
    return x + condition if condition.shape[2] == 1 else sum(states.aligned("speaker", x, condition))


_DECODERS = {HifiGanGenerator: _decode_hifigan, IstftGenerator: _decode_istft, HarmonicGenerator: _decode_harmonic}


def decode_batch(generator: nn.Module, z: Tensor, lengths: list[int], g: Tensor | None = None) -> Tensor:
    """Decode items of unequal lengths together, each as if it were alone: [B, 1, S], zeros past an item's end.

    Near the end of a shorter item the generator's receptive field covers the batch's padding instead of its own, so the
    last frames of such an item are decoded once more, alone.

    Args:
        generator: of `generators.GENERATORS`.
        z: [B, C, T].
        lengths: frames of each item, the longest at most T.
        g: as in `decode_in_chunks`.
    """
    n_frames, context = z.shape[2], context_of(generator)
    if context is None and any(length < n_frames for length in lengths):
        alone = [generator(z[i : i + 1, :, :length], _item(g, i, length)) for i, length in enumerate(lengths)]
        wav = z.new_zeros(len(lengths), 1, n_frames * (alone[0].shape[2] // max(1, lengths[0])))
        for i, item in enumerate(alone):
            wav[i, :, : item.shape[2]] = item[0]
        return wav
    wav = generator(z, g)
    hop = wav.shape[2] // n_frames
    for i, length in enumerate(lengths):
        if length == n_frames:
            continue
        changed, low = max(0, length - context), max(0, length - 2 * context)
        speaker = _item(g, i, length)
        tail = generator(z[i : i + 1, :, low:length], _part(speaker, low, length))
        wav[i, :, changed * hop : length * hop] = tail[0, :, (changed - low) * hop :]
        wav[i, :, length * hop :] = 0
    return wav


def pad_to_multiple(z: Tensor, step: int) -> Tensor:
    """Pad the frames of [B, C, T] with zeros to a multiple of `step`, so that a compiled generator has few shapes."""
    return torch.nn.functional.pad(z, (0, -z.shape[2] % step))


def _part(g: Tensor | None, low: int, high: int) -> Tensor | None:
    """Speaker condition of frames [low, high); one that does not change over time is [B, G, 1]."""
    return g if g is None or g.shape[2] == 1 else g[:, :, low:high]


def _item(g: Tensor | None, i: int, length: int) -> Tensor | None:
    """Speaker condition of one item of a batch."""
    return None if g is None else _part(g[i : i + 1], 0, length)
