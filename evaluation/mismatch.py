"""Utterances by how badly their text fits their sound, in the ears of a model that was trained on them or on others.

    fits = rank(voice.model, voice.config, read_filelist("train.txt", multispeaker=False), voice.text)
    write_ranking(fits, "ranking.tsv")                              # worst first

A wrong transcript is about as likely as any other text of its length, and a right one is likelier. What is only partly
wrong shows itself by a stretch of sound that the text does not explain, or by an odd rate of speech.
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

# Shapes: N utterances that can be scored, B batch, T frames, L text tokens.

SUSPICIOUS = 3.0  # standard deviations from what is typical
FEWEST = 20  # utterances that tell what is typical
BATCH = 16
OTHERS = 8  # texts that each recording is compared with
STRETCH = 0.4  # seconds of sound that a text should explain
LONGEST = 30.0  # seconds; longer recordings fill the memory, unless the model was trained on such
EXPERIENCED = 0.8  # share of lines whose text is likelier than others, of a voice whose ranking means something
SUM_OF_THREE = 2.0  # about the standard deviation of the sum of three measures that have much in common
RATE_HANDICAP = 1.0  # standard deviations; right texts are spoken fast or slowly too


class Fit(NamedTuple):
    """How well one line's text fits its sound."""

    source: str  # "file:number"
    wav_path: str
    text: str
    suspicion: float  # robust standard deviations from what is typical, higher is worse; inf: it cannot be scored
    reason: str  # for people; empty below `SUSPICIOUS`
    likelihood: float = math.nan  # nats a frame on the best path
    margin: float = math.nan  # nats a frame that the text gains over other texts
    symbols_per_second: float = math.nan


class _Reading(NamedTuple):
    """What the model says of one utterance."""

    likelihood: float  # nats a frame
    margin: float  # nats a frame; NaN if there was no other text
    lowest: float  # nats a frame, of the worst stretch
    lowest_at: float  # seconds, where that begins
    frames: int
    tokens: int
    rate: float  # symbols a second


def rank(model: SynthesizerTrn, config: Config, lines: Sequence[Line], text: TextProcessor,
         show: Callable[[Iterable, int], Iterable] | None = None) -> list[Fit]:
    """Score every line and sort, worst first; what cannot be scored comes before all.

    Args:
        model: a voice that has learned to align, in eval mode; see evaluation/alignment.py.
        config: of the model.
        lines: of a filelist; their texts are cleaned unless `data.cleaned_text`, audio is resampled if need be.
        text: of the model.
        show: called as show(batches, their number), for a progress bar.

    Raises:
        ValueError: the voice has no posterior encoder, or too few lines can be scored to tell what is typical.
    """
    if model.enc_q is None:
        raise ValueError(NO_POSTERIOR)
    encoded, faults = _encode(lines, config, text)
    # By length, so that the other texts of a batch are alike; equals in an order that the list's own does not change.
    by_length = sorted(encoded, key=lambda place: (len(encoded[place]), zlib.crc32(lines[place].wav_path.encode())))
    batches = np.array_split(by_length, math.ceil(len(by_length) / BATCH)) if by_length else []
    readings: dict[int, _Reading] = {}
    for places in batches if show is None else show(batches, len(batches)):
        heard: dict[int, Utterance] = {}
        for place in places.tolist():
            try:
                heard[place] = _hear(lines[place], encoded[place], config)
            except (ValueError, OSError) as error:
                faults[place] = str(error)
        if heard:
            readings.update(zip(heard, _read(model, list(heard.values()), config, text)))
    if len(readings) < FEWEST:
        first = "; the first fault: " + faults[min(faults)] if faults else ""
        raise ValueError(f"{len(readings)} of {len(lines)} lines can be scored, expected {FEWEST} or more, which tell "
                         f"what is typical{first}")
    unscored = [Fit(line.source, line.wav_path, line.text, math.inf, faults[place])
                for place, line in enumerate(lines) if place in faults]
    _warn_of_a_beginner(list(readings.values()))
    chosen = sorted(readings)
    fits = _judge([lines[place] for place in chosen], [readings[place] for place in chosen])
    return unscored + sorted(fits, key=lambda fit: -fit.suspicion)


def write_ranking(fits: Sequence[Fit], path: str | Path) -> None:
    """Write a table, tab separated, with a head line: rank, suspicion, reason, path, text."""
    rows = [["rank", "suspicion", "reason", "path", "text"]]
    rows += [[str(place), f"{fit.suspicion:.2f}", fit.reason, fit.wav_path, fit.text]
             for place, fit in enumerate(fits, start=1)]
    write_text_atomic(Path(path), "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows))


def _encode(lines: Sequence[Line], config: Config, text: TextProcessor) -> tuple[dict[int, list[int]], dict[int, str]]:
    """Place -> ids of the lines that have some, and place -> what is wrong with the others."""
    texts = [line.text for line in lines]
    encoded, faults = {}, {}
    for place, cleaned in enumerate(texts if config.data.cleaned_text else text.clean(texts)):
        try:
            encoded[place] = text.encode(cleaned)
        except ValueError as error:
            faults[place] = str(error)
    return encoded, faults


def _hear(line: Line, ids: list[int], config: Config) -> Utterance:
    """One line with its sound; ValueError (AudioError among them) for what cannot be aligned."""
    data = config.data
    speaker = speaker_id(line.speaker or "", data.speakers, data.n_speakers) if config.multispeaker else None
    found = read_wav(line.wav_path, max_seconds=max(LONGEST, data.max_wav_seconds))
    wav = resample(found.samples, found.sampling_rate, data.sampling_rate)
    if len(wav) // data.hop_length < len(ids):
        raise AudioError(f"{line.wav_path} has {len(wav) // data.hop_length} frames for {len(ids)} symbols (blanks "
                         "included); the text is not of this recording, or a part of that is missing")
    return Utterance(line.wav_path, torch.tensor(ids), torch.from_numpy(np.ascontiguousarray(wav)), speaker)


@torch.no_grad()
def _read(model: SynthesizerTrn, utterances: list[Utterance], config: Config, text: TextProcessor) -> list[_Reading]:
    """A batch in the model's ears, by the posterior's mean: its noise would only blur the scores."""
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
    return [_Reading(likelihood, margin, low, at * seconds, n_frames, tokens, n_symbols / (n_frames * seconds))
            for likelihood, margin, low, at, n_frames, tokens, n_symbols in zip(
                own.tolist(), margins.tolist(), lowest.tolist(), start.tolist(), frames.tolist(),
                batch.text_lengths.tolist(), symbols)]


def _warn_of_a_beginner(readings: Sequence[_Reading]) -> None:
    margins = [reading.margin for reading in readings if not math.isnan(reading.margin)]
    share = sum(margin > 0 for margin in margins) / max(1, len(margins))
    if margins and share < EXPERIENCED:
        logger.warning("this voice finds only %.0f %% of the texts likelier than others, expected %.0f %% or more: it "
                       "has not learned to align yet, and its ranking says little", 100 * share, 100 * EXPERIENCED)


def _worst_stretch(of_frame: Tensor, frames: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Mean over the stretch of `width` frames that is the least likely, and its first frame: [B, T] -> [B], [B].

    An utterance that is shorter is one stretch.
    """
    width = min(width, of_frame.shape[1])
    means = F.avg_pool1d(of_frame[:, None], width, stride=1)[:, 0]  # [B, T - width + 1]
    means = means.masked_fill(~sequence_mask((frames - width + 1).clamp(min=1), means.shape[1]), math.inf)
    lowest, start = means.min(dim=1)
    return lowest * width / frames.clamp(max=width), start


def _judge(lines: Sequence[Line], readings: Sequence[_Reading]) -> list[Fit]:
    """Fits in the order of the lines.

    Three measures of sound against text are added up, as their faults differ; or the rate of speech is odd, which alone
    tells of missing text. The oddest of the four gives the reason.
    """
    likelihood, margin, lowest, _, frames, tokens, rate = np.array(readings, np.float64).T  # each [N]
    speakers = [line.speaker for line in lines]
    # A long text of short sounds fits any sound better: what that explains is no fault of the line.
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
    for place, (line, reading) in enumerate(zip(lines, readings)):
        worst = 3 if odd[3, place] > unlike[place] else int(odd[:3, place].argmax())
        reason = (
            f"no likelier than other texts: {reading.margin:.2f} nats a frame better, typical are {typical:.2f}",
            f"an unlikely sound of this text: {reading.likelihood:.2f} nats a frame",
            f"the text does not explain the sound between {reading.lowest_at:.1f} and "
            f"{reading.lowest_at + STRETCH:.1f} s",
            f"{reading.rate:.1f} symbols a second, typical are {np.median(rate):.1f}")[worst]
        suspicion = float(max(odd[3, place], unlike[place]))
        fits.append(Fit(line.source, line.wav_path, line.text, suspicion, reason if suspicion >= SUSPICIOUS else "",
                        reading.likelihood, reading.margin, reading.rate))
    return fits


def _deviations(values: np.ndarray, speakers: Sequence[str | None]) -> np.ndarray:
    """[N] in standard deviations from the median, both such that a few wild values do not move them.

    Speakers of `FEWEST` lines and more have a median of their own.
    """
    centred = values - np.median(values)
    names = np.array([speaker or "" for speaker in speakers])
    for name, count in zip(*np.unique(names, return_counts=True)):
        if count >= FEWEST:
            centred[names == name] = values[names == name] - np.median(values[names == name])
    return centred / (1.4826 * float(np.median(np.abs(centred))) or float(centred.std()) or 1.0)
