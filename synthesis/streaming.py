"""Latent -> waveform in chunks: each is decoded with as many neighbouring frames as the generator's receptive field, so
the chunks together equal the waveform of the whole.

    for wav in decode_in_chunks(model.dec, z, g, ChunkSizes(first=16, most=256)):   # [1, 1, samples] each
        play(wav)
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from synthesis.chunking import DEFAULT_CHUNKS, ChunkSizes, plan_chunks

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
    if context is None:
        yield generator(z, g)
        return
    for chunk in plan_chunks(n_frames, context, chunks):
        wav = generator(z[:, :, chunk.low : chunk.high], _part(g, chunk.low, chunk.high))
        hop = wav.shape[2] // (chunk.high - chunk.low)
        yield wav[:, :, (chunk.start - chunk.low) * hop : (chunk.end - chunk.low) * hop]


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
