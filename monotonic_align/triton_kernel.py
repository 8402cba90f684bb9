"""The alignment search for GPUs, in Triton: the scores stay where they are, and nothing waits for the host.

One program searches one item, with all its tokens side by side. Frames follow one another, as each needs the sums of
the one before; the next few are on their way meanwhile. Where the best paths advance is kept as one bit per cell.
"""
# Shapes: B batch, L text tokens, T frames.

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

MAX_TOKENS = 4096  # more would not fit into shared memory together with the frames on their way
_WORD_BITS = 32  # frames whose bits share a word


def supports(scores: Tensor) -> bool:
    """Whether the kernel can search such scores: not too many tokens, on a GPU that Triton compiles for."""
    return scores.shape[2] <= MAX_TOKENS and torch.cuda.get_device_capability(scores.device) >= (7, 5)


def durations(scores: Tensor, text_lengths: Tensor, spec_lengths: Tensor) -> Tensor:
    """Find the frames per token of every item's best path: scores [B, T, L] -> [B, L] int64, all on the same device.

    Nobody waits for the lengths [B], so nobody checks them: an item without a path, because its lengths do not fit its
    scores or one another, gets durations of 0.
    """
    batch, max_frames, max_tokens = scores.shape
    found = torch.zeros(batch, max_tokens, dtype=torch.int64, device=scores.device)
    if scores.numel() == 0:
        return found
    words = triton.cdiv(max_frames, _WORD_BITS)
    advances = torch.empty(batch, words, max_tokens, dtype=torch.int32, device=scores.device)
    block = max(32, triton.next_power_of_2(max_tokens))
    with torch.cuda.device_of(scores):  # Triton launches on the current device
        _search[(batch,)](
            scores, *scores.stride(), text_lengths.contiguous(), spec_lengths.contiguous(), advances, found,
            max_frames, max_tokens, WORD_BITS=_WORD_BITS, BLOCK=block, STAGES=8 if block <= 1024 else 3,
            num_warps=min(max(block // 128, 1), 16))
    return found


# Sizes are not specialised: every batch has its own, and each variant would be compiled anew.
@triton.jit(do_not_specialize=["item_stride", "frame_stride", "max_frames", "max_tokens"])
def _search(scores, item_stride, frame_stride, token_stride, text_lengths, spec_lengths, advances, durations,
            max_frames, max_tokens, WORD_BITS: tl.constexpr, BLOCK: tl.constexpr, STAGES: tl.constexpr):
    """Search one item; arguments as `durations`, `advances` [B, words, L] is scratch."""
    item = tl.program_id(0).to(tl.int64)
    tokens = tl.load(text_lengths + item).to(tl.int32)
    frames = tl.load(spec_lengths + item).to(tl.int32)
    has_path = (tokens >= 1) & (tokens <= frames) & (tokens <= max_tokens) & (frames <= max_frames)
    tokens = tl.where(has_path, tokens, 0)
    frames = tl.where(has_path, frames, 0)
    advances += item * ((max_frames + WORD_BITS - 1) // WORD_BITS) * max_tokens
    durations += item * max_tokens

    token = tl.arange(0, BLOCK)
    before = tl.maximum(token - 1, 0)  # token 0 is compared with itself, and never advances
    is_token = token < tokens
    cells = scores + item * item_stride + token.to(tl.int64) * token_stride
    sums = tl.load(cells, mask=is_token, other=0.0).to(tl.float32)  # only token 0's is the sum of a path
    word = tl.full((BLOCK,), 0, tl.int32)
    for frame in tl.range(1, frames, num_stages=STAGES):
        cells += frame_stride
        score = tl.load(cells, mask=is_token, other=0.0).to(tl.float32)
        sums_before = tl.gather(sums, before, 0)
        # At token == frame the path has advanced every time; what lies beyond is no path's, and never reached.
        advance = (sums < sums_before) | (token == frame)
        sums = score + tl.where(advance, sums_before, sums)
        bit = frame % WORD_BITS
        word = tl.where(bit == 0, 0, word) | (advance.to(tl.int32) << bit)
        is_full = (bit == WORD_BITS - 1) | (frame == frames - 1)
        tl.store(advances + (frame // WORD_BITS) * max_tokens + token, word, mask=is_token & is_full)
    tl.debug_barrier()  # every thread reads below what others wrote above

    # Walk from (T - 1, L - 1) to (0, 0); a word serves until the path leaves its token or its frames.
    here = tl.maximum(tokens - 1, 0)
    end = frames  # the frame after the last one of token `here`
    word_here = tl.load(advances + (tl.maximum(frames - 1, 0) // WORD_BITS) * max_tokens + here)
    for back in range(1, frames):
        frame = frames - back
        advance_here = (word_here >> (frame % WORD_BITS)) & 1
        if advance_here == 1:
            tl.store(durations + here, (end - frame).to(tl.int64))
            end = frame
        here -= advance_here
        if (advance_here == 1) | (frame % WORD_BITS == 0):
            word_here = tl.load(advances + ((frame - 1) // WORD_BITS) * max_tokens + here)
    tl.store(durations + here, end.to(tl.int64))  # token 0, or 0 frames of an item without a path
