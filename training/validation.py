"""Validation: losses, alignment health and meters, on held-out utterances and test sentences.

    meters = ValidationMeters(config)                           # for the whole run
    found = validate(model, batches, config, meters)            # found.values["valid/mcd"], found.samples[0].spoken

The numbers are the same in however many processes. Losses and alignment health are of all held-out utterances; the
meters measure the speech of a few of them, and of test sentences. QUALITY makes one number of all, for
train.best_measure.
"""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from commons import path_from_durations, slice_segments
from config import Config, DataConfig, TrainConfig
from corpora.filelists import speaker_id
from data_utils import Batch
from evaluation import alignment
from evaluation.alignment import Aligned, AlignmentHealth, Longest
from evaluation.eval_texts import EvalText, find_sentences, one_of_each_kind, read_sentences, reference_recordings
from evaluation.metrics import METERS, AnalysedAudio, Meter, MeterContext, measures_of, open_meters
from losses import kl_loss, mel_loss
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import SynthesizerTrn
from synthesis.noise import SeededNoise
from text import TextProcessor
from text.utterances import ScriptReader, SentenceTokens, Silence
from training import distributed
from training.callbacks import SpokenSample, SpokenSentence
from training.step import autocast, eagerly
from training.teacher import Teacher
from utils import set_seed

logger = logging.getLogger("vits")

# Shapes: B batch, L text tokens, T frames, S samples, M mel bands.

SPOKEN_SAMPLES = 2  # utterances whose speech is kept for people, of
MEASURED_SAMPLES = 4  # those that are spoken and measured
LONGEST_SPEECH = 4  # times the recording; an untrained predictor may ask for hours
LONGEST_SECONDS = 15.0  # of one sentence, for the same reason
AUTO = "auto"
VALIDATED = ("mel", "kl", "duration", "speaking_rate")

# valid/quality is the mean of those that were measured, each divided by its number here. The numbers were chosen by
# hand, so that a voice whose words are clear and whose sound is rough has about 1 in each; docs/guide/evaluating.md.
QUALITY = {"valid/mel": 0.5, "valid/mcd": 6.0, "valid/f0_rmse": 300.0, "valid/voicing_error": 20.0,
           "valid/rate_error": 20.0}

# What validation finds without meters, and which way it is better; "" where no way is.
BETTER = {"valid/mel": "lower", "valid/kl": "lower", "valid/duration": "lower", "valid/speaking_rate": "near 1",
          "valid/quality": "lower", "health/short_share": "lower", "health/blank_share": "",
          "health/longest_token_share": "lower", "health/longest_symbol": "lower", "health/likelihood": "higher",
          "health/sharpness": "higher", "health/distance": "lower", "health/win_share": "higher",
          "health/margin": "higher"}


class Validation(NamedTuple):
    """Numbers, and the speech of the process that has batch 0."""

    values: dict[str, float]
    samples: list[SpokenSample]
    sentences: list[SpokenSentence]


@torch.no_grad()
def validate(model: SynthesizerTrn, batches: Iterable[tuple[int, Batch]], config: Config,
             meters: ValidationMeters | None = None, is_full: bool = False,
             teacher: Teacher | None = None) -> Validation:
    """Validate a model: losses and alignment health on held-out utterances, meters on the speech of a few of them.

    Args:
        model: of which the speech is measured.
        batches: this process's share, each with its place among those of all processes; every process must validate.
        config: the run's.
        meters: measure the speech; without them only losses and alignment health are measured.
        is_full: with the costly meters too.
        teacher: of a run that learns from one; kl is then the divergence from its prior.

    Returns:
        the numbers, the same however many processes share the work: mel, L1 of log-mels of segments decoded from the
        posterior; kl and duration, the losses; speaking_rate, frames predicted for the texts over frames recorded;
        health/..., see evaluation/alignment.py; the meters' means; quality, see `QUALITY`.
    """
    model.eval()
    device, text = next(model.parameters()).device, TextProcessor.from_config(config.data)
    sums, health, samples, sentences = [0.0] * (len(VALIDATED) + 1), AlignmentHealth(), [], []
    for place, batch in batches:
        batch = batch.to(device)
        set_seed(config.train.seed, place)  # the same noise at every validation, in whatever process
        with eagerly(config.train), autocast(config.train, device):
            numbers, aligned = _numbers(model, batch, config, teacher)
        health += alignment.measure(aligned, batch, text, config.data)
        for i, number in enumerate([*numbers, 1.0]):
            sums[i] += number * len(batch.names)
        if place == 0:
            with eagerly(config.train):
                samples = _speak(model, batch, aligned.durations, config)
                sentences = meters.speak(model, is_full) if meters else []
    *sums, total = distributed.sum_over_processes(sums)
    values = {f"valid/{name}": value / total for name, value in zip(VALIDATED, sums)}
    values |= over_processes(health).as_dict()
    if meters:
        values |= meters.measure(samples, sentences, is_full)
        values["valid/quality"] = quality(values, meters.names)
    return Validation(values, samples[:SPOKEN_SAMPLES], _one_of_each_kind(sentences))


def _one_of_each_kind(sentences: list[SpokenSentence]) -> list[SpokenSentence]:
    """The first sentence of each kind, few enough to be kept at each validation."""
    return list({sentence.kind: sentence for sentence in reversed(sentences)}.values())[::-1]


def quality(values: Mapping[str, float], asked: Collection[str] = ()) -> float:
    """One number for how far a voice is from good, lower is better: see `QUALITY`; NaN where too little was measured.

    Of silence nothing but the losses can be measured, and those alone would look good. The rate of speech, which needs
    no package, shows that: it is missing though it was asked for.
    """
    if "valid/rate_error" in asked and "valid/rate_error" not in values:
        return math.nan
    found = [values[name] / scale for name, scale in QUALITY.items() if math.isfinite(values.get(name, math.nan))]
    return sum(found) / len(found) if found else math.nan


def _numbers(model: SynthesizerTrn, batch: Batch, config: Config,
             teacher: Teacher | None) -> tuple[tuple[float, ...], Aligned]:
    """Of a batch: numbers in the order of `VALIDATED`, and what the alignment search found."""
    spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    frames = batch.wav_lengths // config.data.hop_length
    targets = None if teacher is None else teacher.targets(batch)
    out = model(batch.text_ids, batch.text_lengths, spec, frames, batch.speaker_ids, targets=targets)
    mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
    mel_fake = mel_spectrogram(out.wav_fake[:, 0].float(), config.data)
    g = model.speaker_embedding(batch.speaker_ids)
    prior = model.enc_p(batch.text_ids, batch.text_lengths, g)
    noise = 0.8 * torch.randn_like(prior.hidden[:, :2])
    predicted = model.predict_durations(prior, g, noise).ceil()
    kl = out.teacher_prior if targets is not None else kl_loss(
        out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask)
    numbers = (float(mel_loss(mel_real, mel_fake)), float(kl), float(out.duration_loss.sum()),
               float(predicted.sum() / frames.sum()))
    return numbers, Aligned(out.z_p if targets is None else targets.z_p, prior, out.durations)


def _speak(model: SynthesizerTrn, batch: Batch, durations: Tensor, config: Config) -> list[SpokenSample]:
    """Speech of some utterances of a batch, beside their recordings; spread over it, as it is in order of length."""
    data = config.data
    path = path_from_durations(durations, int((batch.wav_lengths // data.hop_length).max()))
    chosen = np.unique(np.linspace(0, len(batch.names) - 1, MEASURED_SAMPLES).round().astype(int))
    samples = []
    for i in chosen.tolist():
        n_ids, n_samples = int(batch.text_lengths[i]), int(batch.wav_lengths[i])
        speaker = None if batch.speaker_ids is None else batch.speaker_ids[i : i + 1]
        spoken = model.infer(batch.text_ids[i : i + 1, :n_ids], batch.text_lengths[i : i + 1], speaker,
                             max_frames=LONGEST_SPEECH * (n_samples // data.hop_length),
                             noise=SeededNoise([config.train.seed])).wav[:, 0].float()
        recorded = batch.wav[i : i + 1, :n_samples]
        samples.append(SpokenSample(
            batch.names[i], recorded[0].cpu().numpy(), spoken[0].cpu().numpy(), data.sampling_rate,
            path[i, : n_samples // data.hop_length, :n_ids].cpu().numpy(),
            mel_spectrogram(recorded, data)[0].cpu().numpy(), mel_spectrogram(spoken, data)[0].cpu().numpy(),
            None if speaker is None else _speaker_name(int(speaker), data)))
    return samples


def _speaker_name(speaker_id: int, data: DataConfig) -> str:
    """The speaker's name in the filelist; the number where it has no names."""
    return data.speakers[speaker_id] if data.speakers else str(speaker_id)


def over_processes(health: AlignmentHealth) -> AlignmentHealth:
    """The sums of all processes, in every process; all must call it."""
    sums, longest = astuple(health)[:-1], health.longest
    slots = [0.0] * (2 * distributed.world_size())  # one for each process, as the longest of all is no sum
    slots[2 * distributed.rank() : 2 * distributed.rank() + 2] = map(float, longest)
    total = distributed.sum_over_processes([*sums, *slots])
    found = (int(each) for each in total[len(sums):])
    return AlignmentHealth(*total[: len(sums)], longest=max(Longest(*each) for each in zip(found, found)))


class ValidationMeters:
    """The meters of train.meters and train.costly_meters, and the test sentences, of a run.

    A meter that is not installed or fails is left out, with one warning: it must not end a training run.

    Raises:
        ValueError: there is no such meter, the file of sentences has faults, or train.best_measure cannot rank.
        FileNotFoundError: there is no such file.
    """

    def __init__(self, config: Config):
        train, data = config.train, config.data
        self.config = config
        self.sentences = _sentences_of(config)
        self._reader = ScriptReader(TextProcessor.from_config(data), data.max_text_len)
        self._always = tuple(train.meters)
        self._costly = tuple(train.costly_meters) if train.evaluate_every else ()
        self._wanted = tuple(dict.fromkeys((*self._always, *self._costly)))
        self._meters: dict[str, Meter | None] = {}  # those used so far; None: not installed, or failed
        self._scripts: dict[str, list[SentenceTokens | Silence]] | None = None  # of the test sentences' ids, once read
        found = measures_of(self._wanted)
        self.names = tuple(found)  # of the numbers that meters may give, the same in every process
        check_ranking(train, BETTER | {name: measure.better for name, measure in found.items()})

    def is_full(self, step: int) -> bool:
        """Whether the validation of a step has the costly meters; that of a last step between intervals never."""
        train = self.config.train
        return bool(self._costly) and step > 0 and step % (train.eval_interval * train.evaluate_every) == 0

    def speak(self, model: SynthesizerTrn, is_full: bool) -> list[SpokenSentence]:
        """Speech of the first test sentence of each kind; of all of them for the costly meters."""
        if self._scripts is None:
            self._scripts = self._read()
            self.sentences = [prompt for prompt in self.sentences if prompt.id in self._scripts]
        return [SpokenSentence(prompt.id, prompt.kind, prompt.text, self._speak(model, prompt),
                               self.config.data.sampling_rate, prompt.speaker)
                for prompt in (self.sentences if is_full else one_of_each_kind(self.sentences))]

    def _read(self) -> dict[str, list[SentenceTokens | Silence]]:
        """The symbols of each test sentence, by its id, without those that cannot be read."""
        scripts, faults = {}, []
        for prompt in self.sentences:
            try:
                scripts[prompt.id] = list(self._reader.read(prompt.text))
            except (ImportError, RuntimeError, ValueError) as error:  # cleaners whose package is missing, for example
                faults.append(f"{prompt.text[:80]!r}: {error}")
        if faults:
            logger.warning("%d of %d test sentences are left out, which cannot be read; the first is %s", len(faults),
                           len(self.sentences), faults[0])
        return scripts

    def _speak(self, model: SynthesizerTrn, prompt: EvalText) -> np.ndarray:
        """Samples [S], sentence by sentence as in `Voice.speak`."""
        rate, parts = self.config.data.sampling_rate, []
        for item in self._scripts[prompt.id]:
            parts.append(np.zeros(round(item.seconds * rate), np.float32) if isinstance(item, Silence)
                         else self._speak_ids(model, item.ids, prompt.speaker))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _speak_ids(self, model: SynthesizerTrn, ids: Sequence[int], speaker: str | None) -> np.ndarray:
        data, device = self.config.data, next(model.parameters()).device
        text_ids, lengths = torch.tensor([ids], device=device), torch.tensor([len(ids)], device=device)
        speaker_ids = None if speaker is None else torch.tensor(
            [speaker_id(speaker, data.speakers, data.n_speakers)], device=device)
        seed = self.config.train.seed
        limit = LONGEST_SECONDS * data.sampling_rate / data.hop_length

        def within_limit(predicted: Tensor) -> Tensor:
            frames = predicted.ceil()  # [1, L]
            return frames * (frames.cumsum(dim=1) <= limit)

        wav = model.infer(text_ids, lengths, speaker_ids, durations=within_limit, noise=SeededNoise([seed])).wav
        return wav[0, 0].float().cpu().numpy()

    def measure(self, samples: Sequence[SpokenSample], sentences: Sequence[SpokenSentence],
                is_full: bool) -> dict[str, float]:
        """Means over the speech of all processes, each of which must call this; without what could not be measured."""
        wanted = self._wanted if is_full else tuple(dict.fromkeys(self._always))
        names = tuple(measures_of(wanted))
        sums, counts = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        analysed = [*self._analysed_samples(samples), *self._analysed_sentences(sentences)]
        if analysed:
            self._open([name for name in wanted if name not in self._meters], analysed)
        for meter in wanted if analysed else ():
            for name, value in self._measure_by(meter, analysed):
                if np.isfinite(value):
                    sums[name] += value
                    counts[name] += 1
        total = distributed.sum_over_processes([*sums.values(), *counts.values()])
        return {name: value / count for name, value, count in zip(names, total, total[len(names):]) if count}

    def _analysed_samples(self, samples: Sequence[SpokenSample]) -> Iterator[AnalysedAudio]:
        """Held-out utterances; a batch has no written text, so no words are counted."""
        for sample in samples:
            yield AnalysedAudio(sample.spoken, sample.sampling_rate, "", self.config.data.language, sample.recorded,
                                speaker=sample.speaker, hop_length=self.config.data.hop_length)

    def _analysed_sentences(self, sentences: Sequence[SpokenSentence]) -> Iterator[AnalysedAudio]:
        for sentence in sentences:
            yield AnalysedAudio(sentence.samples, sentence.sampling_rate, sentence.text, self.config.data.language,
                                speaker=sentence.speaker, hop_length=self.config.data.hop_length)

    def _open(self, names: Sequence[str], analysed: Sequence[AnalysedAudio]) -> None:
        """Make meters, with a warning about those that are not installed."""
        candidates = [prompt.text for prompt in self.sentences if prompt.kind != "paragraph"]
        speakers = {each.speaker for each in [*analysed, *self.sentences]}
        is_needed = any(METERS.get(name).needs_recordings for name in names)
        recordings = reference_recordings(self.config, speakers) if is_needed else {}
        absent: dict[str, str] = {}
        for name in names:
            self._meters[name] = None
            try:
                meters, why = open_meters([name], MeterContext(self.config.data.language, candidates, recordings))
            except RuntimeError as error:  # the run is worth more, and the other processes wait
                logger.error("validation goes on without the meter %s", name, exc_info=error)
                continue
            self._meters[name] = meters[0] if meters else None
            absent |= why
        if absent:
            logger.warning("validation goes without %s", "; ".join(
                f"{measure} ({reason})" for measure, reason in absent.items()))

    def _measure_by(self, name: str, analysed: Sequence[AnalysedAudio]) -> list[tuple[str, float]]:
        """Named values of one meter; none from then on where it fails."""
        meter = self._meters[name]
        if meter is None:
            return []
        try:
            found = [meter.measure(each) for each in analysed]
            return [(f"valid/{measure.name}", float(values[measure.name])) for values in found
                    for measure in meter.measures if measure.name in values]
        except Exception as error:  # whatever it is: the run is worth more, and the other processes wait
            logger.warning("validation goes on without the meter %s, which fails: %s: %s", name,
                           type(error).__name__, error)
            self._meters[name] = None
            return []


def check_ranking(train: TrainConfig, better: Mapping[str, str]) -> None:
    """Check that train.best_measure can rank checkpoints, where they are ranked.

    Args:
        train: the settings.
        better: name of each number that validation may find -> which way it is better.

    Raises:
        ValueError: validation does not measure it, or lower is not better.
    """
    measure = train.best_measure
    if not train.keep_best and not train.patience or better.get(measure) == "lower":
        return
    known = sorted(name for name, way in better.items() if way == "lower")
    if measure in better:
        fault = f"which is not better when lower ({better[measure] or 'neither lower nor higher'} is)"
    else:
        near = difflib.get_close_matches(measure, better, n=1)
        fault = "which validation does not measure" + (f" (did you mean {near[0]!r}?)" if near else "")
    raise ValueError(f"train.best_measure is {measure!r}, {fault}; choose one of {', '.join(known)}, or set "
                     "train.keep_best=0 and no train.patience")


def _sentences_of(config: Config) -> list[EvalText]:
    """The test sentences that the settings name."""
    wanted, data = config.train.test_sentences, config.data
    path = find_sentences(data.language) if wanted == AUTO else wanted
    if not path:
        return []
    speakers = data.speakers or [str(i) for i in range(data.n_speakers)]
    return read_sentences(path, speakers if config.multispeaker else ())
