"""The sounds of an evaluation: recordings, copy synthesis, Griffin-Lim, and the voice from the text alone.

    spoken = speak_texts(voice, texts, options.seed_of)
    for sound in sounds_of(voice, texts, recordings, spoken, options.seed_of):
        write_sound(folder, texts[sound.text_index], sound, voice.sample_rate)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from audio.io import read_wav, write_wav
from audio.resampling import resample
from config import Config
from corpora.filelists import speaker_id
from data_utils import Collate, Utterance
from evaluation import alignment
from evaluation.eval_texts import HELD_OUT, EvalText
from evaluation.plots import alignment_png
from evaluation.scorecard import COPY, GRIFFIN_LIM, RECORDING, VOICE
from mel_processing import griffin_lim, spectrogram
from synthesis import Voice
from synthesis.base import Audio, BaseVoice
from synthesis.controls import timings_of
from synthesis.noise import prior_noise
from synthesis.timings import TimedLabel
from text.utterances import tokens_of_ids
from utils import peak_of, write_bytes_atomic

# Shapes: B batch, S samples.

PROGRESS_SECONDS = 30  # between two lines of progress where no terminal shows a bar
T = TypeVar("T")


class ConditionSound(NamedTuple):
    """One text in one condition."""

    text_index: int
    condition: str
    samples: np.ndarray  # [S] float32
    symbols: Sequence[TimedLabel] = ()  # times of the symbols, if known


class SpokenTexts(NamedTuple):
    """The voice's audio of all texts, with its cost."""

    audios: list[Audio]
    seconds: list[float]  # of computation, one a text
    peak: int | None  # bytes of memory; None if unknown


def speak_texts(voice: BaseVoice, texts: Sequence[EvalText], seed_of: Callable[[EvalText], int]) -> SpokenTexts:
    """Synthesise all texts, one at a time, and measure time and memory."""
    audios, seconds = [], []

    def work() -> None:
        for text in with_progress(texts, f"voice: speaking {len(texts)} texts", "text"):
            start = time.perf_counter()
            audios.append(_speak(voice, text, seed_of(text)))
            seconds.append(time.perf_counter() - start)

    _speak(voice, texts[0], 0)  # warm up: what happens only once shall not count
    peak = peak_of(work, getattr(voice, "device", torch.device("cpu")))
    if not audios:  # the peak cannot be measured on this system, so nothing was done
        work()
    return SpokenTexts(audios, seconds, peak)


def _speak(voice: BaseVoice, text: EvalText, seed: int) -> Audio:
    """Speak a held-out utterance as one sentence, as it was recorded; a test sentence as users would have it spoken."""
    if text.kind == HELD_OUT:
        return voice.speak_ids(text.text_ids(voice.text), seed=seed, speaker=text.speaker)
    return voice.speak(text.text, seed=seed, speaker=text.speaker)


def load_recording(path: str, sampling_rate: int) -> np.ndarray:
    """Read a recording and resample it: samples [S]."""
    wav = read_wav(path)
    return np.asarray(resample(wav.samples, wav.sampling_rate, sampling_rate), np.float32)


def sounds_of(voice: BaseVoice, texts: Sequence[EvalText], recordings: Sequence[np.ndarray | None],
              spoken: SpokenTexts, seed_of: Callable[[EvalText], int]) -> Iterator[ConditionSound]:
    """Yield every text in each of its conditions."""
    held = sum(recording is not None for recording in recordings)
    has_copies = has_posterior_encoder(voice)
    title = f"{COPY}, {GRIFFIN_LIM}: of {held} recordings" if has_copies else f"{GRIFFIN_LIM}: of {held}"
    for i in with_progress(range(len(texts)), title, "text"):
        text, recording, audio = texts[i], recordings[i], spoken.audios[i]
        if recording is not None:
            yield ConditionSound(i, RECORDING, recording)
            copied = copy_synthesis(voice, text, recording, seed_of(text)) if has_copies else None
            if copied is not None:
                yield ConditionSound(i, COPY, copied, align_symbols(voice, text, recording))
            yield ConditionSound(i, GRIFFIN_LIM, griffin_lim(recording, voice.config.data))
        yield ConditionSound(i, VOICE, audio.samples, audio.timings.symbols if audio.timings else ())


def has_posterior_encoder(voice: BaseVoice) -> bool:
    """Whether a voice has a posterior encoder, which copy synthesis and alignment need."""
    return isinstance(voice, Voice) and voice.model.enc_q is not None


def with_progress(items: Sequence[T], title: str, unit: str) -> Iterator[T]:
    """Yield the items with a progress bar on standard error; without a terminal, with a line now and then."""
    from tqdm import tqdm

    every = 0.1 if sys.stderr.isatty() else PROGRESS_SECONDS
    yield from tqdm(items, desc=title, unit=unit, dynamic_ncols=True, mininterval=every, maxinterval=max(10, every))


@torch.inference_mode()
def copy_synthesis(voice: Voice, text: EvalText, recording: np.ndarray, seed: int) -> np.ndarray | None:
    """Reconstruct a recording [S] through posterior encoder and generator; None if it is shorter than a frame."""
    data, model = voice.config.data, voice.model
    if len(recording) < data.hop_length:
        return None
    spec = spectrogram(torch.from_numpy(recording)[None].to(voice.device), data)  # [1, F, T]
    n_frames = spec.shape[2]
    noise = prior_noise("prior", [seed], voice.config.model.inter_channels, [n_frames]).to(voice.device)
    g = model.speaker_embedding(_speaker_ids(voice.config, text, voice.device))
    posterior = model.encode_posterior(spec, torch.tensor([n_frames], device=voice.device), g, noise)
    return model.dec(model.with_pitch(posterior.z, posterior.mask), g)[0, 0].float().clamp(-1, 1).cpu().numpy()


def _speaker_ids(config: Config, text: EvalText, device: torch.device | None = None) -> Tensor | None:
    """The speaker's id [1]; None for a voice of one speaker."""
    if not config.multispeaker:
        return None
    return torch.tensor([speaker_id(text.speaker or "", config.data.speakers, config.data.n_speakers)], device=device)


def align_symbols(voice: Voice, text: EvalText, recording: np.ndarray) -> tuple[TimedLabel, ...]:
    """Times of the symbols in a recording [S], by the model's alignment search; () if it is too short."""
    utterance = as_utterance(voice, text, recording)
    if utterance is None:
        return ()
    batch = collate_of(voice.config)([utterance]).to(voice.device)
    frames = alignment.align(voice.model, batch, voice.config.data).durations[0].long().tolist()
    ids = tokens_of_ids(utterance.text_ids.tolist(), voice.text)
    return timings_of(ids, frames, voice.config.data.hop_length, voice.sample_rate).symbols


def as_utterance(voice: Voice, text: EvalText, recording: np.ndarray) -> Utterance | None:
    """A recording [S] and its text as a training example; None with less than a frame for each symbol."""
    ids = torch.tensor(text.text_ids(voice.text))
    if len(ids) > len(recording) // voice.config.data.hop_length:
        return None
    speaker = _speaker_ids(voice.config, text)
    return Utterance(text.id, ids, torch.from_numpy(recording), None if speaker is None else int(speaker))


def collate_of(config: Config) -> Collate:
    """The collation of utterances into batches, as in training."""
    return Collate(config.train.segment_size, config.data.hop_length)


def write_sound(folder: Path, text: EvalText, sound: ConditionSound, sampling_rate: int) -> str:
    """Write a sound as 16-bit wav, and a picture of its alignment beside it; samples that are not finite become 0.

    Returns:
        the path of the wav relative to the folder.
    """
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in text.id)
    path = Path("audio") / f"{name}_{sound.condition}.wav"
    write_wav(folder / path, np.nan_to_num(sound.samples, nan=0.0, posinf=0.0, neginf=0.0), sampling_rate)
    picture = (folder / path).with_suffix(".png")
    picture.unlink(missing_ok=True)  # of an earlier evaluation
    if sound.symbols:
        write_bytes_atomic(picture, alignment_png(sound.symbols, sampling_rate))
    return path.as_posix()
