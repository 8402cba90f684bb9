"""Prosody applied: frames for each token, volume and pitch of the samples, trimming of cut sentences, timings.

    frames = frames_at_rates([3.0, 4.0, 2.0], rates=[1.0, 0.5, 0.5])   # [3, 8, 4]
    timings = timings_of(sentence, frames, hop_length=256, sample_rate=22050)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from audio.pitch_shift import pitch_shifted
from synthesis.timings import TimedLabel, Timings
from text.utterances import SentenceTokens

# Shapes: L text tokens, S samples.

LONGEST_TOKEN = 1001  # frames that a network may give; `models.MAX_LOG_DURATION` keeps ours at 1000, before rounding
SHORTEST_MEAN, LONGEST_MEAN = 1e-3, 200  # frames of a token, over a sentence; trained voices give 1 to 5
RAMP_SECONDS = 0.005  # of a change of volume or pitch, and at a cut, so that it does not click
KNEE = 0.8  # of a peak in [0, 1]; of Joe's speech at Piper's level, 0.04 % of the samples lie above
SILENCE_DB = 38.0  # below the loudest frame


def checked_durations(frames: np.ndarray, n_tokens: int) -> np.ndarray:
    """Check the frames for each token that a network predicts, [L], and return them.

    Raises:
        ValueError: they are not one finite number from 0 to `LONGEST_TOKEN` for each token, or their mean
            lies outside `SHORTEST_MEAN` to `LONGEST_MEAN`.
    """
    frames = np.asarray(frames)
    if frames.shape != (n_tokens,) or frames.dtype.kind not in "fiu":
        raise ValueError(f"the voice gives durations of shape {list(frames.shape)} and kind {frames.dtype} for "
                         f"{n_tokens} tokens; expected a number for each: its files do not belong together")
    if not np.isfinite(frames).all():
        raise ValueError("the voice's durations are not finite (NaN or infinity): its weights are damaged; take "
                         "another checkpoint, or make the release or the ONNX files anew")
    if n_tokens and not 0 <= frames.min() <= frames.max() <= LONGEST_TOKEN:
        raise ValueError(f"the voice gives a token from {frames.min():g} to {frames.max():g} frames; expected 0 to "
                         f"{LONGEST_TOKEN}: its weights are damaged")
    if n_tokens and not SHORTEST_MEAN <= frames.mean() <= LONGEST_MEAN:
        raise ValueError(f"the voice gives {n_tokens} tokens {frames.mean():g} frames each on average; expected "
                         f"{SHORTEST_MEAN:g} to {LONGEST_MEAN}: its weights are damaged")
    return frames


def frames_at_rates(frames: Sequence[float], rates: Sequence[float]) -> np.ndarray:
    """Round frames for each token to whole ones, at the rate of each: int64 [L].

    At the trained pace every token lasts the next whole number of frames, as published. At another the ends of the
    tokens, not the tokens, are stretched and rounded: so the whole is stretched by just that much, whatever the number
    of its short tokens.

    Args:
        frames: [L] as predicted or given.
        rates: [L], 2 is twice as fast.
    """
    whole = np.ceil(np.asarray(frames, np.float64))
    if all(rate == 1 for rate in rates):
        return whole.astype(np.int64)
    ends = np.floor(np.cumsum(whole / np.asarray(rates, np.float64)) + 0.5).astype(np.int64)
    return np.diff(ends, prepend=0)


def token_frames(predicted: np.ndarray, sentence: SentenceTokens) -> np.ndarray:
    """Whole frames for each token, int64 [L], from those that a network predicts and the rate of each token.

    Raises:
        ValueError: as `checked_durations`.
    """
    return frames_at_rates(checked_durations(predicted, len(sentence.ids)), sentence.rates)


def timings_of(sentence: SentenceTokens, frames: Sequence[int], hop_length: int, sample_rate: int) -> Timings:
    """Times of symbols, words, sentence and bookmarks.

    A blank belongs to the symbol before it, the first one is a pause. A word without symbols, such as a sign that the
    cleaners drop, lasts 0 samples at the end of the word before.

    Args:
        sentence: of L tokens.
        frames: [L].
        hop_length: samples of a frame.
        sample_rate: Hz.
    """
    n_samples = int(np.sum(frames)) * hop_length
    starts = [*(np.cumsum([0, *frames[:-1]]) * hop_length).tolist(), n_samples]
    spoken = [token for token, symbol in enumerate(sentence.symbols) if symbol]
    ends = dict(zip(spoken, [*spoken[1:], len(sentence.symbols)]))  # the token behind a symbol and its blanks
    symbols = [TimedLabel(sentence.symbols[token], starts[token], starts[ends[token]]) for token in spoken]
    first = symbols[0].start if symbols else n_samples
    if first:
        symbols.insert(0, TimedLabel("", 0, first))
    words: list[TimedLabel] = []
    for word in sentence.words:
        before = words[-1].end if words else 0  # where a word without symbols is
        words.append(TimedLabel(word.text, max(before, starts[word.first]), starts[ends[word.end - 1]])
                     if word.end > word.first else TimedLabel(word.text, before, before))
    bookmarks = tuple(TimedLabel(name, starts[token], starts[token]) for name, token in sentence.bookmarks)
    whole = TimedLabel(sentence.text, 0, n_samples)
    return Timings(sample_rate, n_samples, tuple(symbols), tuple(words), (whole,), bookmarks)


def trim_cut_ends(samples: np.ndarray, sentence: SentenceTokens, frames: np.ndarray, hop_length: int,
                  sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and frames without the silence at an end where a long sentence was cut, but for what the cut allows.

    Silence is what lies `SILENCE_DB` below the loudest; whole frames go, first those of the tokens at that end.

    Args:
        samples: float32 [S], the whole sentence.
        sentence: of L tokens.
        frames: int64 [L].
        hop_length: samples of a frame.
        sample_rate: Hz.

    Returns:
        What is left of the samples and of the frames.
    """
    if not sentence.is_join:
        return samples, frames
    levels = np.sqrt(np.square(samples.reshape(-1, hop_length)).mean(axis=1))  # [T]
    loud = np.flatnonzero(levels > levels.max(initial=0) * 10 ** (-SILENCE_DB / 20))
    if not len(loud):
        return samples, frames
    start, end = 0, len(levels)
    if sentence.silence_before is not None:
        start = max(0, int(loud[0]) - int(sentence.silence_before * sample_rate / hop_length))
    if sentence.silence_after is not None:
        end = min(end, int(loud[-1]) + 1 + int(sentence.silence_after * sample_rate / hop_length))
    edges = np.clip(np.cumsum([0, *frames]), start, end)
    kept = samples[start * hop_length : end * hop_length].copy()
    ramp = np.linspace(0, 1, min(len(kept), int(RAMP_SECONDS * sample_rate)), dtype=np.float32)
    if start:
        kept[: len(ramp)] *= ramp
    if end < len(levels):
        kept[len(kept) - len(ramp) :] *= ramp[::-1]
    return kept, np.diff(edges)


def changes_pitch(sentence: SentenceTokens) -> bool:
    """Whether any token is shifted in pitch, which takes the samples of the whole sentence at once."""
    return any(prosody.pitch_semitones for prosody in sentence.token_prosody)


def with_volume_and_pitch(decoded: Iterable[np.ndarray], sentence: SentenceTokens, frames: np.ndarray, hop_length: int,
                          sample_rate: int, gain_db: float = 0.0) -> Iterator[np.ndarray]:
    """Samples of one sentence at the pitch and volume of each of its tokens, float32 within [-1, 1].

    A sample's value depends on no later sample, so that pieces of a stream equal the whole.

    Args:
        decoded: its samples in order; all of them at once if `changes_pitch`.
        sentence: of L tokens.
        frames: int64 [L].
        hop_length: samples of a frame.
        sample_rate: Hz.
        gain_db: of the voice; unless it is 0, peaks are limited smoothly, else cut off at 1.
    """
    decibels, done = [prosody.volume_db + gain_db for prosody in sentence.token_prosody], 0
    if any(decibels):
        gains = _smoothed(10.0 ** (np.repeat(decibels, frames * hop_length) / 20), sample_rate)  # [S]
    for samples in decoded:
        n_samples = len(samples)
        if changes_pitch(sentence):
            samples = _with_pitch(samples, sentence, frames, sample_rate)
        if any(decibels):
            samples = samples * gains[done : done + n_samples]
        yield limited(samples) if gain_db else samples.clip(-1, 1)
        done += n_samples


def limited(samples: np.ndarray) -> np.ndarray:
    """Samples within (-1, 1): equal up to `KNEE`, above it bent towards 1 by a hyperbolic tangent."""
    over = np.abs(samples) - KNEE
    bent = np.copysign(KNEE + (1 - KNEE) * np.tanh(np.maximum(over, 0) / (1 - KNEE)), samples)
    return np.where(over > 0, bent, samples).astype(np.float32)


def _with_pitch(samples: np.ndarray, sentence: SentenceTokens, frames: np.ndarray, sample_rate: int) -> np.ndarray:
    """The whole [S] shifted once for each pitch, then mixed token by token."""
    wanted = [prosody.pitch_semitones for prosody in sentence.token_prosody]
    of_sample = np.repeat(wanted, frames * (len(samples) // max(1, int(frames.sum()))))
    mixed = np.zeros_like(samples)
    for pitch in sorted(set(wanted)):
        share = _smoothed((of_sample == pitch).astype(np.float64), sample_rate)
        mixed += share * pitch_shifted(samples, sample_rate, pitch)
    return mixed


def _smoothed(values: np.ndarray, sample_rate: int) -> np.ndarray:
    """Steps become ramps: the mean of the neighbourhood, float32 [S]."""
    width = min(len(values), 2 * int(RAMP_SECONDS * sample_rate / 2) + 1)
    if width < 3 or (values == values[0]).all():
        return values.astype(np.float32)
    sums = np.cumsum(np.pad(values, (width // 2 + 1, width // 2), mode="edge"))
    return ((sums[width:] - sums[:-width]) / width)[: len(values)].astype(np.float32)
