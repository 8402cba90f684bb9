"""Who listens while a run trains: the meters of train.meters, and the test sentences that each validation speaks.

    jury = Jury(config)
    sentences = jury.speak(model, is_full=False)                # in the process that has the first batch
    values = jury.measure(samples, sentences, is_full=False)    # in every process: {"valid/mcd": 6.1, ...}

What is not installed is left out, with one warning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

import distributed
import latents
from callbacks import SpokenSample, SpokenSentence
from config import Config
from corpus import speaker_id
from evaluation import measure_one, others_of
from metrics import METERS, Heard, Meter, open_meters
from models import SynthesizerTrn
from prompts import Prompt, find_sentences, one_of_each, read_sentences
from script import ScriptReader, Silence
from text import TextProcessor

logger = logging.getLogger("vits")

# Shapes: L text tokens, S samples.

LONGEST_SECONDS = 15.0  # of one sentence; an untrained predictor may ask for hours
AUTO = "auto"


class Jury:
    """Meters and test sentences of a run.

    Raises:
        ValueError: there is no such meter, or the file of sentences has faults.
        FileNotFoundError: there is no such file.
    """

    def __init__(self, config: Config):
        train, data = config.train, config.data
        self.config = config
        self.sentences = _sentences_of(config)
        self._reader = ScriptReader(TextProcessor.from_config(data), data.max_text_len)
        self._always = tuple(train.meters)
        self._costly = tuple(train.costly_meters) if train.evaluate_every else ()
        self._meters: dict[tuple[str, ...], list[Meter]] = {}
        self.names = _names_of((*self._always, *self._costly))

    def is_full(self, step: int) -> bool:
        """Whether the validation of a step also asks the costly meters; one before the first interval's end never."""
        train = self.config.train
        number = step // train.eval_interval
        return bool(self._costly) and number > 0 and number % train.evaluate_every == 0

    def speak(self, model: SynthesizerTrn, is_full: bool) -> list[SpokenSentence]:
        """The first test sentence of each kind; all of them for the costly meters."""
        spoken = []
        for prompt in self.sentences if is_full else one_of_each(self.sentences):
            try:
                samples = self._say(model, prompt)
            except (ImportError, RuntimeError, ValueError) as error:  # cleaners whose package is missing, for example
                logger.warning("test sentences are left out, %r cannot be read: %s", prompt.text[:80], error)
                self.sentences = []
                return []
            spoken.append(SpokenSentence(prompt.id, prompt.kind, prompt.text, samples, self.config.data.sampling_rate,
                                         prompt.speaker))
        return spoken

    def _say(self, model: SynthesizerTrn, prompt: Prompt) -> np.ndarray:
        """Samples [S], sentence by sentence as `Voice.speak` says them."""
        rate, parts = self.config.data.sampling_rate, []
        for item in self._reader.read(prompt.text):
            parts.append(np.zeros(round(item.seconds * rate), np.float32) if isinstance(item, Silence)
                         else self._say_ids(model, item.ids, prompt.speaker))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _say_ids(self, model: SynthesizerTrn, ids: Sequence[int], speaker: str | None) -> np.ndarray:
        data, device = self.config.data, next(model.parameters()).device
        text_ids, lengths = torch.tensor([ids], device=device), torch.tensor([len(ids)], device=device)
        speaker_ids = None if speaker is None else torch.tensor(
            [speaker_id(speaker, data.speakers, data.n_speakers)], device=device)
        seed = self.config.train.seed
        prior = model.enc_p(text_ids, lengths)
        noise = 0.8 * latents.duration_noise([seed], [len(ids)]).to(device)
        durations = model.predict_durations(prior, model.speaker_embedding(speaker_ids), noise).ceil()  # [1, L]
        limit = LONGEST_SECONDS * data.sampling_rate / data.hop_length
        durations = durations * (durations.cumsum(dim=1) <= limit)
        wav = model.infer(text_ids, lengths, speaker_ids, durations=durations, seed=seed).wav
        return wav[0, 0].float().cpu().numpy()

    def measure(self, samples: Sequence[SpokenSample], sentences: Sequence[SpokenSentence],
                is_full: bool) -> dict[str, float]:
        """Means over what all processes spoke, each of which must call this; without what nobody could measure."""
        wanted = (*self._always, *self._costly) if is_full else self._always
        names = _names_of(wanted)
        sums, counts = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        heard = [*self._heard_samples(samples), *self._heard_sentences(sentences)]
        meters = self._open(wanted) if heard else []
        for each in heard:
            for name, value in measure_one(meters, each)[0].items():
                if np.isfinite(value):
                    sums[f"valid/{name}"] += value
                    counts[f"valid/{name}"] += 1
        total = distributed.sum_over_processes([*sums.values(), *counts.values()])
        return {name: value / count for name, value, count in zip(names, total, total[len(names):]) if count}

    def _heard_samples(self, samples: Sequence[SpokenSample]) -> Iterator[Heard]:
        """Of held-out utterances the batch has no written text, so no words are counted."""
        for sample in samples:
            yield Heard(sample.spoken, sample.sampling_rate, "", self.config.data.language, sample.recorded,
                        speaker=sample.speaker)

    def _heard_sentences(self, sentences: Sequence[SpokenSentence]) -> Iterator[Heard]:
        for sentence in sentences:
            yield Heard(sentence.samples, sentence.sampling_rate, sentence.text, self.config.data.language,
                        speaker=sentence.speaker)

    def _open(self, names: tuple[str, ...]) -> list[Meter]:
        """The meters of those names that can be had; made at the first call, which tells what is absent."""
        if names not in self._meters:
            rivals = [prompt.text for prompt in self.sentences if prompt.kind != "paragraph"]
            recordings = {} if names == self._always else others_of(self.config, self.sentences)
            self._meters[names], absent = open_meters(names, self.config.data.language, rivals, recordings)
            if absent:
                logger.warning("validation goes without %s", "; ".join(
                    f"{measure} ({reason})" for measure, reason in absent.items()))
        return self._meters[names]


def _names_of(meters: Iterable[str]) -> tuple[str, ...]:
    """Numbers that meters may give, whether they are installed or not: the same in every process."""
    return tuple(dict.fromkeys(f"valid/{measure.name}" for name in meters for measure in METERS.get(name).measures))


def _sentences_of(config: Config) -> list[Prompt]:
    """The test sentences that the settings name."""
    wanted, data = config.train.test_sentences, config.data
    path = find_sentences(data.language) if wanted == AUTO else wanted
    if not path:
        return []
    speakers = data.speakers or [str(i) for i in range(data.n_speakers)]
    return read_sentences(path, speakers if config.multispeaker else ())
