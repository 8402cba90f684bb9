"""Who listens while a run trains: the meters of train.meters, and the test sentences that each validation speaks.

    jury = Jury(config)
    sentences = jury.speak(model, is_full=False)                # in the process that has the first batch
    values = jury.measure(samples, sentences, is_full=False)    # in every process: {"valid/mcd": 6.1, ...}

What is not installed, cannot be read or fails is left out, with one warning: no meter is worth a training run.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from config import Config, TrainConfig
from corpora.filelists import speaker_id
from evaluation.metrics import METERS, Heard, Meter, measures_of, open_meters
from evaluation.prompts import Prompt, find_sentences, one_of_each, others_of, read_sentences
from models import SynthesizerTrn
from synthesis.noise import SeededNoise
from text import TextProcessor
from text.utterances import ScriptReader, SentenceTokens, Silence
from training import distributed
from training.callbacks import SpokenSample, SpokenSentence

logger = logging.getLogger("vits")

# Shapes: L text tokens, S samples.

LONGEST_SECONDS = 15.0  # of one sentence; an untrained predictor may ask for hours
AUTO = "auto"

# What validation finds without meters, and which way it is better; "" where no way is.
BETTER = {"valid/mel": "lower", "valid/kl": "lower", "valid/duration": "lower", "valid/speaking_rate": "near 1",
          "valid/quality": "lower", "health/short_share": "lower", "health/blank_share": "",
          "health/longest_token_share": "lower", "health/longest_symbol": "lower", "health/likelihood": "higher",
          "health/sharpness": "higher", "health/distance": "lower", "health/win_share": "higher",
          "health/margin": "higher"}


class Jury:
    """Meters and test sentences of a run.

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
        self._meters: dict[str, Meter | None] = {}  # those asked so far; None: absent, or failed
        self._scripts: dict[str, list[SentenceTokens | Silence]] | None = None  # of the test sentences' ids, once read
        found = measures_of(self._wanted)
        self.names = tuple(found)  # numbers that meters may give, the same in every process
        check_ranking(train, BETTER | {name: measure.better for name, measure in found.items()})

    def is_full(self, step: int) -> bool:
        """Whether the validation of a step also asks the costly meters; that of a last step between intervals never."""
        train = self.config.train
        return bool(self._costly) and step > 0 and step % (train.eval_interval * train.evaluate_every) == 0

    def speak(self, model: SynthesizerTrn, is_full: bool) -> list[SpokenSentence]:
        """The first test sentence of each kind; all of them for the costly meters."""
        if self._scripts is None:
            self._scripts = self._read()
            self.sentences = [prompt for prompt in self.sentences if prompt.id in self._scripts]
        return [SpokenSentence(prompt.id, prompt.kind, prompt.text, self._say(model, prompt),
                               self.config.data.sampling_rate, prompt.speaker)
                for prompt in (self.sentences if is_full else one_of_each(self.sentences))]

    def _read(self) -> dict[str, list[SentenceTokens | Silence]]:
        """What to say of each test sentence, by its id, without those that cannot be read."""
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

    def _say(self, model: SynthesizerTrn, prompt: Prompt) -> np.ndarray:
        """Samples [S], sentence by sentence as `Voice.speak` says them."""
        rate, parts = self.config.data.sampling_rate, []
        for item in self._scripts[prompt.id]:
            parts.append(np.zeros(round(item.seconds * rate), np.float32) if isinstance(item, Silence)
                         else self._say_ids(model, item.ids, prompt.speaker))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _say_ids(self, model: SynthesizerTrn, ids: Sequence[int], speaker: str | None) -> np.ndarray:
        data, device = self.config.data, next(model.parameters()).device
        text_ids, lengths = torch.tensor([ids], device=device), torch.tensor([len(ids)], device=device)
        speaker_ids = None if speaker is None else torch.tensor(
            [speaker_id(speaker, data.speakers, data.n_speakers)], device=device)
        seed = self.config.train.seed
        limit = LONGEST_SECONDS * data.sampling_rate / data.hop_length

        def within_limit(predicted: torch.Tensor) -> torch.Tensor:
            frames = predicted.ceil()  # [1, L]
            return frames * (frames.cumsum(dim=1) <= limit)

        wav = model.infer(text_ids, lengths, speaker_ids, durations=within_limit, noise=SeededNoise([seed])).wav
        return wav[0, 0].float().cpu().numpy()

    def measure(self, samples: Sequence[SpokenSample], sentences: Sequence[SpokenSentence],
                is_full: bool) -> dict[str, float]:
        """Means over what all processes spoke, each of which must call this; without what nobody could measure."""
        wanted = self._wanted if is_full else tuple(dict.fromkeys(self._always))
        names = tuple(measures_of(wanted))
        sums, counts = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        heard = [*self._heard_samples(samples), *self._heard_sentences(sentences)]
        if heard:
            self._open([name for name in wanted if name not in self._meters], heard)
        for meter in wanted if heard else ():
            for name, value in self._ask(meter, heard):
                if np.isfinite(value):
                    sums[name] += value
                    counts[name] += 1
        total = distributed.sum_over_processes([*sums.values(), *counts.values()])
        return {name: value / count for name, value, count in zip(names, total, total[len(names):]) if count}

    def _heard_samples(self, samples: Sequence[SpokenSample]) -> Iterator[Heard]:
        """Of held-out utterances the batch has no written text, so no words are counted."""
        for sample in samples:
            yield Heard(sample.spoken, sample.sampling_rate, "", self.config.data.language, sample.recorded,
                        speaker=sample.speaker, hop_length=self.config.data.hop_length)

    def _heard_sentences(self, sentences: Sequence[SpokenSentence]) -> Iterator[Heard]:
        for sentence in sentences:
            yield Heard(sentence.samples, sentence.sampling_rate, sentence.text, self.config.data.language,
                        speaker=sentence.speaker, hop_length=self.config.data.hop_length)

    def _open(self, names: Sequence[str], heard: Sequence[Heard]) -> None:
        """Make meters, and tell which are absent."""
        rivals = [prompt.text for prompt in self.sentences if prompt.kind != "paragraph"]
        speakers = {each.speaker for each in [*heard, *self.sentences]}
        is_asked = any(METERS.get(name).needs_recordings for name in names)
        recordings = others_of(self.config, speakers) if is_asked else {}
        absent: dict[str, str] = {}
        for name in names:
            meters, why = open_meters([name], self.config.data.language, rivals, recordings)
            self._meters[name] = meters[0] if meters else None
            absent |= why
        if absent:
            logger.warning("validation goes without %s", "; ".join(
                f"{measure} ({reason})" for measure, reason in absent.items()))

    def _ask(self, name: str, heard: Sequence[Heard]) -> list[tuple[str, float]]:
        """What a meter finds of all that is heard; nothing from then on where it fails."""
        meter = self._meters[name]
        if meter is None:
            return []
        try:
            found = [meter.measure(each) for each in heard]
            return [(f"valid/{measure.name}", float(values[measure.name])) for values in found
                    for measure in meter.measures if measure.name in values]
        except Exception as error:  # whatever it is: the run is worth more, and the other processes wait
            logger.warning("validation goes on without the meter %s, which fails: %s: %s", name,
                           type(error).__name__, error)
            self._meters[name] = None
            return []


def check_ranking(train: TrainConfig, better: Mapping[str, str]) -> None:
    """Refuse a measure that could not rank checkpoints, where they are ranked.

    Args:
        train: the settings.
        better: of all that validation may find, which way it is better.

    Raises:
        ValueError: validation does not find it, or it is not better when lower.
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


def _sentences_of(config: Config) -> list[Prompt]:
    """The test sentences that the settings name."""
    wanted = config.train.test_sentences
    path = find_sentences(config.data.language) if wanted == AUTO else wanted
    return read_sentences(path, config.speaker_names) if path else []
