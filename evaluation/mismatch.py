"""Ranks the lines of a filelist by how badly text and recording match, scored by a trained voice.

    fits = rank_lines(voice.model, voice.config, read_filelist("train.txt", multispeaker=False), voice.text)
    write_ranking(fits, "ranking.tsv")                              # worst first

A wrong transcript is about as likely as any other text of its length, and a right one is likelier. A partly wrong one
has a stretch of sound that the text does not explain, or an unusual rate of speech.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audio.io import AudioError, read_wav
from audio.resampling import resample
from commons import sequence_mask, token_of_frame
from config import Config
from corpora.filelists import Line, speaker_id
from data_utils import Batch, Collate, Utterance
from evaluation.alignment import align, other_likelihoods
from models import NO_POSTERIOR, SynthesizerTrn, alignment_scores
from text import TextProcessor
from utils import write_text_atomic

logger = logging.getLogger("vits")

# Shapes: N utterances, B batch, T frames, L text tokens.

SUSPICIOUS = 3.0  # standard deviations from what is typical
FEWEST = 20  # utterances from which typical values are estimated
BATCH = 16
OTHERS = 8  # texts that each recording is compared with
STRETCH = 0.4  # seconds of sound that a text should explain
LONGEST = 30.0  # seconds; longer recordings fill the memory, unless the model was trained on such
LEARNED_SHARE = 0.8  # of lines whose text is likelier than others; below this the voice has not learned to align
SUM_OF_THREE = 2.0  # about the standard deviation of the sum of three measures that have much in common
RATE_HANDICAP = 1.0  # standard deviations; correct texts are spoken fast or slowly too


class TranscriptFit(NamedTuple):
    """How well the text of one line fits its recording."""

    source: str  # "file:number"
    wav_path: str
    text: str
    suspicion: float  # robust standard deviations from what is typical, higher is worse; inf: it cannot be scored
    reason: str  # for people; empty below `SUSPICIOUS`
    likelihood: float = math.nan  # nats a frame on the best path
    margin: float = math.nan  # nats a frame that the text gains over other texts
    symbols_per_second: float = math.nan


class _Scores(NamedTuple):
    """Scores of one utterance by the model."""

    likelihood: float  # nats a frame
    margin: float  # nats a frame; NaN if there was no other text
    lowest: float  # nats a frame, of the worst stretch
    lowest_at: float  # seconds, where that begins
    frames: int
    tokens: int
    rate: float  # symbols a second


def rank_lines(model: SynthesizerTrn, config: Config, lines: Sequence[Line], text: TextProcessor,
               show: Callable[[Iterable, int], Iterable] | None = None) -> list[TranscriptFit]:
    """Score every line and sort, worst first; lines that cannot be scored come before all.

    Args:
        model: a voice that has learned to align, in eval mode; see evaluation/alignment.py.
        config: of the model.
        lines: of a filelist; their texts are cleaned unless `data.cleaned_text`, audio is resampled if need be.
        text: of the model.
        show: wraps the batches in a progress bar, called as show(batches, their number).

    Raises:
        ValueError: the voice has no posterior encoder, or too few lines can be scored.
    """
    if model.enc_q is None:
        raise ValueError(NO_POSTERIOR)
    encoded, faults = _encode(lines, config, text)
    # By length, so that the other texts of a batch are alike; equals in an order that the list's own does not change.
    by_length = sorted(encoded, key=lambda place: (len(encoded[place]), zlib.crc32(lines[place].wav_path.encode())))
    batches = np.array_split(by_length, math.ceil(len(by_length) / BATCH)) if by_length else []
    scored: dict[int, _Scores] = {}
    for places in batches if show is None else show(batches, len(batches)):
        loaded: dict[int, Utterance] = {}
        for place in places.tolist():
            try:
                loaded[place] = _load_utterance(lines[place], encoded[place], config)
            except (ValueError, OSError) as error:
                faults[place] = str(error)
        if loaded:
            scored.update(zip(loaded, _score_batch(model, list(loaded.values()), config, text)))
    if len(scored) < FEWEST:
        first = "; the first fault: " + faults[min(faults)] if faults else ""
        raise ValueError(f"{len(scored)} of {len(lines)} lines can be scored, expected {FEWEST} or more{first}")
    unscored = [TranscriptFit(line.source, line.wav_path, line.text, math.inf, faults[place])
                for place, line in enumerate(lines) if place in faults]
    _warn_if_untrained(list(scored.values()))
    chosen = sorted(scored)
    fits = _fits_of([lines[place] for place in chosen], [scored[place] for place in chosen])
    return unscored + sorted(fits, key=lambda fit: -fit.suspicion)


def write_ranking(fits: Sequence[TranscriptFit], path: str | Path) -> None:
    """Write a tab-separated table with the columns rank, suspicion, reason, path, text."""
    rows = [["rank", "suspicion", "reason", "path", "text"]]
    rows += [[str(place), f"{fit.suspicion:.2f}", fit.reason, fit.wav_path, fit.text]
             for place, fit in enumerate(fits, start=1)]
    write_text_atomic(Path(path), "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows))


def _encode(lines: Sequence[Line], config: Config, text: TextProcessor) -> tuple[dict[int, list[int]], dict[int, str]]:
    """Encode the lines: index -> ids, and index -> fault of those that cannot be encoded."""
    texts = [line.text for line in lines]
    encoded, faults = {}, {}
    for place, cleaned in enumerate(texts if config.data.cleaned_text else text.clean(texts)):
        try:
            encoded[place] = text.encode(cleaned)
        except ValueError as error:
            faults[place] = str(error)
    return encoded, faults


def _load_utterance(line: Line, ids: list[int], config: Config) -> Utterance:
    """Read a line's recording; ValueError (AudioError among them) if it cannot be aligned."""
    data = config.data
    speaker = speaker_id(line.speaker or "", data.speakers, data.n_speakers) if config.multispeaker else None
    found = read_wav(line.wav_path, max_seconds=max(LONGEST, data.max_wav_seconds))
    wav = resample(found.samples, found.sampling_rate, data.sampling_rate)
    if len(wav) // data.hop_length < len(ids):
        raise AudioError(f"{line.wav_path} has {len(wav) // data.hop_length} frames for {len(ids)} symbols (blanks "
                         "included); the text is not of this recording, or a part of that is missing")
    return Utterance(line.wav_path, torch.tensor(ids), torch.from_numpy(np.ascontiguousarray(wav)), speaker)


@torch.no_grad()
def _score_batch(model: SynthesizerTrn, utterances: list[Utterance], config: Config,
                 text: TextProcessor) -> list[_Scores]:
    """Score a batch by the posterior's mean, since a sample would only add noise to the scores."""
    data = config.data
    batch: Batch = Collate(data.hop_length, data.hop_length)(utterances).to(next(model.parameters()).device)
    frames = batch.wav_lengths // data.hop_length
    aligned = align(model, batch, data)
    scores = alignment_scores(aligned.z_p, aligned.prior)
    of_frame = scores.gather(2, token_of_frame(aligned.durations, scores.shape[1])[:, :, None])[:, :, 0]  # [B, T]
    of_frame = of_frame * sequence_mask(frames, scores.shape[1])
    own = of_frame.sum(dim=1) / frames
    margins = (own[:, None] - other_likelihoods(aligned, batch, frames, OTHERS)).nanmean(dim=1)
    lowest, start = _worst_stretch(of_frame, frames, max(1, round(STRETCH * data.sampling_rate / data.hop_length)))
    seconds = data.hop_length / data.sampling_rate
    symbols = [sum(text.are_symbols(each.text_ids.tolist())) for each in utterances]
    return [_Scores(likelihood, margin, low, at * seconds, n_frames, tokens, n_symbols / (n_frames * seconds))
            for likelihood, margin, low, at, n_frames, tokens, n_symbols in zip(
                own.tolist(), margins.tolist(), lowest.tolist(), start.tolist(), frames.tolist(),
                batch.text_lengths.tolist(), symbols)]


def _warn_if_untrained(scored: Sequence[_Scores]) -> None:
    margins = [scores.margin for scores in scored if not math.isnan(scores.margin)]
    share = sum(margin > 0 for margin in margins) / max(1, len(margins))
    if margins and share < LEARNED_SHARE:
        logger.warning("only %.0f %% of the texts are likelier than others by this voice, expected %.0f %% or more: it "
                       "has not learned to align yet, and its ranking is unreliable", 100 * share, 100 * LEARNED_SHARE)


def _worst_stretch(of_frame: Tensor, frames: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Mean over the stretch of `width` frames that is the least likely, and its first frame: [B, T] -> [B], [B].

    An utterance that is shorter is one stretch.
    """
    width = min(width, of_frame.shape[1])
    means = F.avg_pool1d(of_frame[:, None], width, stride=1)[:, 0]  # [B, T - width + 1]
    means = means.masked_fill(~sequence_mask((frames - width + 1).clamp(min=1), means.shape[1]), math.inf)
    lowest, start = means.min(dim=1)
    return lowest * width / frames.clamp(max=width), start


def _fits_of(lines: Sequence[Line], scored: Sequence[_Scores]) -> list[TranscriptFit]:
    """Compute suspicion and reason of each line, in the order of the lines.

    Suspicion is the sum of three measures of sound against text, or the deviation of the rate of speech, which alone
    reveals missing text, if that is larger. The largest of the four deviations gives the reason.
    """
    likelihood, margin, lowest, _, frames, tokens, rate = np.array(scored, np.float64).T  # each [N]
    speakers = [line.speaker for line in lines]
    # A long text of short sounds fits any sound better: the effect of lengths is removed by regression.
    length = np.stack([np.ones(len(lines)), np.log(frames / tokens), np.log(frames), 1 / frames], axis=1)

    def beyond_length(values: np.ndarray) -> np.ndarray:
        return values - length @ np.linalg.lstsq(length, values, rcond=None)[0]

    typical = np.nanmedian(margin) if np.isfinite(margin).any() else 0.0
    margin = np.where(np.isnan(margin), typical, margin)
    odd = np.stack([-_deviations(margin, speakers), -_deviations(beyond_length(likelihood), speakers),
                    -_deviations(beyond_length(lowest), speakers),
                    np.abs(_deviations(np.log(rate), speakers)) - RATE_HANDICAP])  # [4, N]
    unlike = odd[:3].sum(axis=0) / SUM_OF_THREE  # [N]
    fits = []
    for place, (line, scores) in enumerate(zip(lines, scored)):
        worst = 3 if odd[3, place] > unlike[place] else int(odd[:3, place].argmax())
        reason = (
            f"no likelier than other texts: {scores.margin:.2f} nats a frame better, typical are {typical:.2f}",
            f"an unlikely sound of this text: {scores.likelihood:.2f} nats a frame",
            f"the text does not explain the sound between {scores.lowest_at:.1f} and "
            f"{scores.lowest_at + STRETCH:.1f} s",
            f"{scores.rate:.1f} symbols a second, typical are {np.median(rate):.1f}")[worst]
        suspicion = float(max(odd[3, place], unlike[place]))
        fits.append(TranscriptFit(line.source, line.wav_path, line.text, suspicion,
                                  reason if suspicion >= SUSPICIOUS else "",
                                  scores.likelihood, scores.margin, scores.rate))
    return fits


def _deviations(values: np.ndarray, speakers: Sequence[str | None]) -> np.ndarray:
    """Robust deviations [N] from the median, in standard deviations estimated from the median absolute deviation.

    Speakers of `FEWEST` lines and more have a median of their own.
    """
    centred = values - np.median(values)
    names = np.array([speaker or "" for speaker in speakers])
    for name, count in zip(*np.unique(names, return_counts=True)):
        if count >= FEWEST:
            centred[names == name] = values[names == name] - np.median(values[names == name])
    return centred / (1.4826 * float(np.median(np.abs(centred))) or float(centred.std()) or 1.0)
