"""Alignment health: whether a voice has learned to align text and sound, measured on its alignment search.

    health = health_of(model, batches, text, config.data)           # of held-out utterances
    print(health.verdict, health.as_dict()["health/short_share"])

Where the model has run already, `measure(Aligned(out.z_p, prior, out.durations), batch, ...)` needs no second run.
All numbers are sums, so those of batches add up (`+`), and so do those of processes (`over_processes`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import monotonic_align
from commons import sequence_mask, token_of_frame
from config import DataConfig
from data_utils import Batch
from mel_processing import spectrogram
from models import Prior, SynthesizerTrn, alignment_scores
from synthesis.noise import prior_noise
from text import TextProcessor

# Shapes: B batch, C latent channels, T frames, L text tokens.

# Between the values measured of learned and other alignments, see docs/reference/measures.md.
COLLAPSED_TOKEN_SHARE = 0.4  # of an utterance's frames spent on one token, on the average over utterances
COLLAPSED_SHORT_SHARE = 0.9  # of the symbols with one frame or none
LEARNED_WIN_SHARE = 0.9  # how often the right text is likelier than another; chance is one half
LEARNED_SHARPNESS = 0.65  # share of frames that all likely paths agree on
OTHERS = 4  # texts that each utterance is compared with
_NEVER = -1e9  # nats; finite, so that differences stay numbers


class Aligned(NamedTuple):
    """Input and result of the alignment search of a batch."""

    z_p: Tensor  # [B, C, T], the recording in prior space
    prior: Prior  # of L tokens
    durations: Tensor  # [B, L], frames of each token on the best path


class Verdict(NamedTuple):
    """The state of the alignment, with reasons."""

    state: str  # "learned", "not learned yet", "collapsed"
    reasons: tuple[str, ...]  # none where it is learned

    def __str__(self) -> str:
        return f"{self.state}: {'; '.join(self.reasons)}" if self.reasons else self.state


class Longest(NamedTuple):
    """The longest symbol."""

    frames: int = 0
    symbol_id: int = 0


@dataclass(frozen=True)
class AlignmentHealth:
    """Sums over utterances, with the shares and means computed from them. Blanks, begin and end are not symbols.

    Means of nothing are NaN.
    """

    utterances: float = 0
    frames: float = 0
    symbols: float = 0
    short_symbols: float = 0  # with one frame or none
    blank_frames: float = 0  # of tokens that are not symbols
    likelihood_sum: float = 0  # over frames, nats
    sharpness_sum: float = 0  # over frames
    distance_sum: float = 0  # over frames, share of the text
    longest_share_sum: float = 0  # over utterances, share of the frames
    pairs: float = 0  # of an utterance and another one's text
    won_pairs: float = 0  # whose own text is likelier
    margin_sum: float = 0  # over pairs, nats a frame
    longest: Longest = Longest()

    def __add__(self, other: AlignmentHealth) -> AlignmentHealth:
        *sums, longest = _values(self)
        *more, another = _values(other)
        return AlignmentHealth(*(a + b for a, b in zip(sums, more)), longest=max(longest, another))

    @property
    def short_share(self) -> float:
        """Symbols with one frame or none among all symbols."""
        return _ratio(self.short_symbols, self.symbols)

    @property
    def blank_share(self) -> float:
        """Frames of blanks among all frames."""
        return _ratio(self.blank_frames, self.frames)

    @property
    def longest_token_share(self) -> float:
        """Share of its utterance that the longest token takes, blanks included, on the average."""
        return _ratio(self.longest_share_sum, self.utterances)

    @property
    def likelihood(self) -> float:
        """Log-likelihood of a frame under the prior of its token, in nats; only models of one width compare."""
        return _ratio(self.likelihood_sum, self.frames)

    @property
    def sharpness(self) -> float:
        """Certainty of the path: the mean over frames of p(frame belongs to its token on the best path | text, sound).

        Every monotonic path weighs exp(its sum of scores), so p is forward times backward sum over that of all paths.
        1 where only one path is possible. An untrained model may be certain too, of a meaningless path.
        """
        return _ratio(self.sharpness_sum, self.frames)

    @property
    def distance(self) -> float:
        """Mean distance of the path from the diagonal (all tokens equally long), as a share of the text."""
        return _ratio(self.distance_sum, self.frames)

    @property
    def win_share(self) -> float:
        """How often a recording is likelier under its own text than under another one's; 0.5 is chance."""
        return _ratio(self.won_pairs, self.pairs)

    @property
    def margin(self) -> float:
        """Nats a frame by which a recording is likelier under its own text than under another one's."""
        return _ratio(self.margin_sum, self.pairs)

    @property
    def verdict(self) -> Verdict:
        """Learned, not learned yet, or collapsed, with the reasons."""
        collapsed, missing = [], []
        if self.longest_token_share > COLLAPSED_TOKEN_SHARE:
            collapsed.append(f"one token takes {self.longest_token_share:.0%} of an utterance, expected at most "
                             f"{COLLAPSED_TOKEN_SHARE:.0%}")
        if self.short_share > COLLAPSED_SHORT_SHARE:
            collapsed.append(f"{self.short_share:.0%} of the symbols have one frame or none, expected at most "
                             f"{COLLAPSED_SHORT_SHARE:.0%}")
        if not self.pairs:
            missing.append("there was no other text to compare with; batches of two utterances or more have one")
        elif self.win_share < LEARNED_WIN_SHARE:
            missing.append(f"another text is as likely: the right one wins {self.win_share:.0%} of the comparisons, "
                           f"expected at least {LEARNED_WIN_SHARE:.0%}, chance is 50%")
        if self.sharpness < LEARNED_SHARPNESS:
            missing.append(f"many paths are as likely: sharpness {self.sharpness:.2f}, expected at least "
                           f"{LEARNED_SHARPNESS}")
        if not self.frames:
            missing = ["no utterance was measured"]
        if collapsed:
            return Verdict("collapsed", tuple(collapsed + missing))
        return Verdict("not learned yet", tuple(missing)) if missing else Verdict("learned", ())

    def as_dict(self) -> dict[str, float]:
        """The measures by their names in trackers: "health/short_share" and the like."""
        names = ("short_share", "blank_share", "longest_token_share", "likelihood", "sharpness", "distance",
                 "win_share", "margin")
        numbers = {f"health/{name}": getattr(self, name) for name in names}
        return {name: value for name, value in numbers.items() if value == value} | {
            "health/longest_symbol": float(self.longest.frames)}

    def describe_longest(self, text: TextProcessor, data: DataConfig) -> str:
        """Format the longest symbol: "'a', 26 frames, 0.26 s"."""
        frames, symbol_id = self.longest
        return (f"{text.symbols.symbols[symbol_id]!r}, {frames} frames, "
                f"{frames * data.hop_length / data.sampling_rate:.2f} s")


def health_of(model: SynthesizerTrn, batches: Iterable[Batch], text: TextProcessor,
              data: DataConfig) -> AlignmentHealth:
    """Align utterances, with a sample of the posterior as in training, and measure the alignment.

    Batches of one utterance have no other text to compare with. The noise of an utterance depends on its name only.
    """
    health, device = AlignmentHealth(), next(model.parameters()).device
    for batch in batches:
        batch = batch.to(device)
        seeds = [zlib.crc32(name.encode()) for name in batch.names]
        frames = (batch.wav_lengths // data.hop_length).tolist()
        noise = prior_noise("prior", seeds, model.enc_p.proj.out_channels // 2, frames)
        noise = F.pad(noise, (0, max(1, batch.wav.shape[1] // data.hop_length) - noise.shape[2]))
        health += measure(align(model, batch, data, noise.to(device)), batch, text, data)
    return health


@torch.no_grad()
def align(model: SynthesizerTrn, batch: Batch, data: DataConfig, noise: Tensor | None = None) -> Aligned:
    """Search the best path of each utterance, without the generator.

    Args:
        model: in eval mode.
        batch: on the model's device.
        data: FFT and hop of the model.
        noise: [B, C, T] for the posterior's sample; None takes its mean, which aligns better.
    """
    spec = spectrogram(batch.wav, data, batch.wav_lengths)
    frames = batch.wav_lengths // data.hop_length
    g = model.speaker_embedding(batch.speaker_ids)
    prior = model.enc_p(batch.text_ids, batch.text_lengths, g)
    posterior = model.encode_posterior(spec, frames, g, spec.new_zeros(1, 1, 1) if noise is None else noise)
    z_p = model.flow(posterior.z, posterior.mask, g)
    return Aligned(z_p, prior, monotonic_align.durations(alignment_scores(z_p, prior), batch.text_lengths, frames))


@torch.no_grad()
def measure(aligned: Aligned, batch: Batch, text: TextProcessor, data: DataConfig) -> AlignmentHealth:
    """Compute the sums of one batch from its alignment; all tensors on one device."""
    durations, frames = aligned.durations, batch.wav_lengths // data.hop_length
    scores = alignment_scores(aligned.z_p, aligned.prior)  # [B, T, L]
    token = token_of_frame(durations, scores.shape[1])  # [B, T]
    mask = sequence_mask(frames, scores.shape[1])
    own = path_likelihoods(scores, durations, frames)
    posteriors = path_posteriors(scores, batch.text_lengths, frames)
    margins = own[:, None] - other_likelihoods(aligned, batch, frames, OTHERS)  # [B, OTHERS], NaN where there is none
    margins = margins[margins.isfinite()]
    text_position = (token + 0.5) / batch.text_lengths[:, None]
    sound_position = (torch.arange(scores.shape[1], device=frames.device) + 0.5) / frames[:, None]
    is_symbol = _are_symbols(batch, text)  # [B, L]
    tokens = sequence_mask(batch.text_lengths, durations.shape[1])
    of_symbols = durations.masked_fill(~is_symbol, -1)
    place = int(of_symbols.argmax())
    return AlignmentHealth(
        utterances=len(frames), frames=float(frames.sum()), symbols=float(is_symbol.sum()),
        short_symbols=float((is_symbol & (durations <= 1)).sum()),
        blank_frames=float(durations[tokens & ~is_symbol].sum()),
        likelihood_sum=_total(own * frames),
        sharpness_sum=_total(posteriors.gather(2, token[:, :, None])[:, :, 0][mask]),
        distance_sum=_total((text_position - sound_position).abs()[mask]),
        longest_share_sum=_total(durations.amax(dim=1) / frames),
        pairs=len(margins), won_pairs=float((margins > 0).sum()), margin_sum=_total(margins),
        longest=Longest(int(of_symbols.flatten()[place]), int(batch.text_ids.flatten()[place])))


def path_likelihoods(scores: Tensor, durations: Tensor, frames: Tensor) -> Tensor:
    """Mean score of the frames on a path: scores [B, T, L], durations [B, L], frames [B] -> [B], nats a frame."""
    token = token_of_frame(durations, scores.shape[1])  # [B, T]
    mask = sequence_mask(frames, scores.shape[1])
    return (scores.gather(2, token[:, :, None])[:, :, 0] * mask).sum(dim=1) / frames


def other_likelihoods(aligned: Aligned, batch: Batch, frames: Tensor, n_others: int) -> Tensor:
    """Each recording's likelihood under the best path through other texts of its batch: [B, n_others], nats a frame.

    The texts are those of the items before it, around the end. NaN where that text is the same, where it has more
    tokens than the recording has frames, and beyond the batch.
    """
    found = aligned.z_p.new_full((len(frames), n_others), float("nan"), dtype=torch.float32)
    items = torch.arange(len(frames), device=frames.device)
    for shift in range(1, min(n_others, len(frames) - 1) + 1):
        other = items.roll(shift)
        lengths = batch.text_lengths[other]
        same = (batch.text_ids == batch.text_ids[other]).all(dim=1) & (batch.text_lengths == lengths)
        rows = ((lengths <= frames) & ~same).nonzero()[:, 0]
        if len(rows):
            scores = alignment_scores(aligned.z_p[rows], Prior(*(each[other[rows]] for each in aligned.prior)))
            durations = monotonic_align.durations(scores, lengths[rows], frames[rows])
            found[rows, shift - 1] = path_likelihoods(scores, durations, frames[rows])
    return found


def path_posteriors(scores: Tensor, text_lengths: Tensor, spec_lengths: Tensor) -> Tensor:
    """The probability that a frame belongs to a token, if every monotonic path weighs exp(its sum of scores).

    Args:
        scores: [B, T, L] in nats.
        text_lengths: [B] tokens.
        spec_lengths: [B] frames, each at least the item's text length.

    Returns:
        [B, T, L]; undefined beyond the lengths.
    """
    batch, n_frames, n_tokens = scores.shape
    valid = sequence_mask(text_lengths, n_tokens)[:, None]  # [B, 1, L]
    scores = scores.float().masked_fill(~valid, _NEVER)
    scores = scores - scores.amax(dim=2, keepdim=True)
    frame = torch.arange(n_frames, device=scores.device)
    token = torch.arange(n_tokens, device=scores.device)
    last_frame_first = (spec_lengths[:, None] - 1 - frame).clamp(min=0)[:, :, None].expand(scores.shape)
    last_token_first = (text_lengths[:, None] - 1 - token).clamp(min=0)[:, None].expand(scores.shape)

    def reversed_in_time(values: Tensor) -> Tensor:
        values = values.gather(1, last_frame_first).gather(2, last_token_first)
        return values.masked_fill(~valid, _NEVER)

    # The backward sums are the forward sums of the utterance read from its end: one loop for both.
    both = torch.cat([scores, reversed_in_time(scores)])  # [2B, T, L]
    state = torch.full_like(both[:, 0], _NEVER)
    state[:, 0] = both[:, 0, 0]
    sums = [state]
    for t in range(1, n_frames):
        state = torch.logaddexp(state, F.pad(state[:, :-1], (1, 0), value=_NEVER)) + both[:, t]
        # A constant of a frame is the same for every path, and without it float32 is exact enough for long utterances.
        state = state - state.amax(dim=1, keepdim=True)
        sums.append(state)
    forward, backward = torch.stack(sums, dim=1).split(batch)
    return (forward + reversed_in_time(backward) - scores).softmax(dim=2)


def _are_symbols(batch: Batch, text: TextProcessor) -> Tensor:
    """[B, L], true where a token is a symbol of the text: no blank, begin, end or padding."""
    rows = [text.are_symbols(ids[:length]) + [False] * (len(ids) - length)
            for ids, length in zip(batch.text_ids.tolist(), batch.text_lengths.tolist())]
    return torch.tensor(rows, device=batch.text_ids.device)


def _values(health: AlignmentHealth) -> tuple:
    return (*astuple(health)[:-1], health.longest)


def _total(values: Tensor) -> float:
    return float(values.cpu().double().sum())  # on the host: not every device has float64


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
