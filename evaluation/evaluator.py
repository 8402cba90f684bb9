"""Evaluation of a voice: synthesise held-out utterances and test sentences, measure them, write a scorecard.

    voice = Voice.load("runs/demo")
    options = EvaluationOptions(seed=1)
    card = evaluate(voice, VoiceInfo("demo", 700), texts, Path("out"), options)    # out/scorecard.json, out/audio/

Held-out utterances are measured in four conditions: as recorded, by copy synthesis (posterior encoder and generator),
by Griffin-Lim from their mels, and as the voice speaks them; test sentences only as the voice speaks them. The same
seed gives the same sound. Progress is shown on standard error.
"""

from __future__ import annotations

import datetime
import logging
import multiprocessing
import platform
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import checkpoint
from corpora.filelists import filelist_rows
from evaluation import alignment, listeners
from evaluation.conditions import (
    ConditionSound,
    SpokenTexts,
    as_utterance,
    collate_of,
    has_posterior_encoder,
    load_recording,
    sounds_of,
    speak_texts,
    write_sound,
)
from evaluation.eval_texts import HELD_OUT, EvalText, candidate_texts, reference_recordings
from evaluation.measurement import MeasuredSounds, choose_meters, measure_sounds
from evaluation.metrics import METERS, AnalysedAudio, MeterContext
from evaluation.scorecard import (
    COPY,
    GRIFFIN_LIM,
    LISTENER,
    MEMORY,
    REAL_TIME,
    RECORDING,
    VOICE,
    Interval,
    Item,
    Scorecard,
)
from evaluation.statistics import bootstrap
from synthesis import Voice
from synthesis.base import BaseVoice

# Shapes: S samples.

logger = logging.getLogger("vits")

HEALTH_BATCH = 8  # utterances; each is compared with the texts of the others


@dataclass(frozen=True)
class EvaluationOptions:
    """Seed, meters and processes of an evaluation."""

    seed: int = 1234
    meters: tuple[str, ...] = field(default_factory=lambda: choose_meters(None))  # names in METERS
    jobs: int = 1  # processes that measure
    whisper_model: str | None = None  # folder; None: see `listeners.find_whisper`

    def seed_of(self, text: EvalText) -> int:
        """The seed of one text, independent of the other texts."""
        return zlib.crc32(f"{self.seed} {text.id}".encode())

    def __str__(self) -> str:
        whisper = f", Whisper in {self.whisper_model}" if self.whisper_model else ""
        return f"seed {self.seed}, {', '.join(self.meters)}{whisper}"


class VoiceInfo(NamedTuple):
    """Name, step and further facts of the evaluated voice."""

    run: str
    step: int | None = None
    facts: Mapping[str, str] = {}  # title -> text, shown with those that the evaluation collects


def evaluate(voice: BaseVoice, info: VoiceInfo, texts: Sequence[EvalText], folder: Path,
             options: EvaluationOptions) -> Scorecard:
    """Synthesise, measure, and write the scorecard and all sounds into a folder.

    Raises:
        ValueError: no texts, an unknown meter, or a text that the voice cannot read.
        AudioError: a recording cannot be read.
    """
    if not texts:
        raise ValueError("there are no texts: give a filelist of held-out utterances or a file of test sentences")
    spoken = speak_texts(voice, texts, options.seed_of)  # before recordings are read, which would count as its memory
    recordings = [None if text.recording is None else load_recording(text.recording, voice.sample_rate)
                  for text in texts]
    sounds = list(sounds_of(voice, texts, recordings, spoken, options.seed_of))
    paths = [write_sound(folder, texts[sound.text_index], sound, voice.sample_rate) for sound in sounds]
    candidates = candidate_texts(voice.config, texts)
    needs_recordings = any(METERS.get(name).needs_recordings for name in options.meters)
    references = reference_recordings(voice.config, (text.speaker for text in texts)) if needs_recordings else {}
    context = MeterContext(voice.config.data.language, candidates, references, options.whisper_model)
    analysed = [_analysed(sound, texts[sound.text_index], recordings[sound.text_index], voice) for sound in sounds]
    found = measure_sounds(options.meters, context, analysed, options.jobs)
    items = _items(texts, sounds, paths, found, spoken)
    logger.info("measuring the alignment")
    health, absent = _health(voice, texts, recordings)
    card = Scorecard(
        info.run, info.step, {**info.facts, **facts_of(voice, texts, options), **_listener_facts(found, candidates)},
        (*found.measures, REAL_TIME, MEMORY), _summary(items, spoken.peak), tuple(items),
        {**found.absent, **absent}, health, sentences=_by_kind(items))
    card.save(folder)
    return card


def _analysed(sound: ConditionSound, text: EvalText, recording: np.ndarray | None, voice: BaseVoice) -> AnalysedAudio:
    return AnalysedAudio(sound.samples, voice.sample_rate, text.text if text.is_written else "",
                         voice.config.data.language, None if sound.condition == RECORDING else recording,
                         sound.condition in (COPY, GRIFFIN_LIM), text.speaker,
                         hop_length=voice.config.data.hop_length)


def _items(texts: Sequence[EvalText], sounds: Sequence[ConditionSound], paths: Sequence[str], found: MeasuredSounds,
           spoken: SpokenTexts) -> list[Item]:
    items = [Item(text.id, text.text, text.kind, text.speaker) for text in texts]
    for sound, path, values, note in zip(sounds, paths, found.values, found.notes):
        item = items[sound.text_index]
        item.audio[sound.condition] = path
        item.values[sound.condition] = {name: float(value) for name, value in values.items()}
        if note:
            item.notes[sound.condition] = note
    for item, audio, seconds in zip(items, spoken.audios, spoken.seconds):
        item.values[VOICE][REAL_TIME.name] = seconds / max(audio.seconds, 1e-9)
    return items


def _summary(items: Sequence[Item], peak: int | None) -> dict[str, dict[str, Interval]]:
    """Means by condition, over the held-out utterances if there are any, so that all conditions have the same texts."""
    held = [item for item in items if item.kind == HELD_OUT] or list(items)
    conditions = [name for name in (RECORDING, COPY, GRIFFIN_LIM, VOICE) if any(name in item.values for item in held)]
    summary = {condition: _means([item.values.get(condition, {}) for item in held]) for condition in conditions}
    if peak is not None:
        summary[VOICE][MEMORY.name] = Interval(peak / 1e6, peak / 1e6, peak / 1e6, 1)
    return summary


def _by_kind(items: Sequence[Item]) -> dict[str, dict[str, Interval]]:
    """Means of the voice over the test sentences, of each kind and of all."""
    sentences = [item for item in items if item.kind != HELD_OUT]
    groups = {kind: [item for item in sentences if item.kind == kind]
              for kind in dict.fromkeys(item.kind for item in sentences)}
    return {name: _means([item.values[VOICE] for item in group])
            for name, group in ({**groups, "all": sentences} if sentences else {}).items()}


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, Interval]:
    """Means of finite values, with their intervals."""
    names = dict.fromkeys(name for each in values for name in each)
    found = {name: [each[name] for each in values if np.isfinite(each.get(name, np.nan))] for name in names}
    return {name: bootstrap(numbers) for name, numbers in found.items() if numbers}


def _health(voice: BaseVoice, texts: Sequence[EvalText],
            recordings: Sequence[np.ndarray | None]) -> tuple[dict[str, object], dict[str, str]]:
    """Alignment health of the recordings, and reasons of absence."""
    if not has_posterior_encoder(voice):
        why = "this voice has no posterior encoder; evaluate the run that it was made from"
        return {}, {COPY: why, "alignment health": why}
    data = voice.config.data
    found = (as_utterance(voice, text, recording) for text, recording in zip(texts, recordings)
             if recording is not None)
    utterances = [each for each in found if each is not None]
    if not utterances:
        return {}, {"alignment health": "there is no held-out recording with a frame for each symbol"}
    collate = collate_of(voice.config)
    batches = [collate(utterances[start : start + HEALTH_BATCH]) for start in range(0, len(utterances), HEALTH_BATCH)]
    with torch.inference_mode():
        health = alignment.health_of(voice.model, batches, voice.text, data)
    numbers = {name.removeprefix("health/"): value for name, value in health.as_dict().items()}
    return {"verdict": str(health.verdict), "state": health.verdict.state, "reasons": list(health.verdict.reasons),
            **numbers, "longest": health.describe_longest(voice.text, data)}, {}


def _listener_facts(found: MeasuredSounds, candidates: Sequence[str]) -> dict[str, str]:
    """The recogniser of words, and the number of candidate sentences if sentences were identified."""
    facts = {LISTENER: found.listener} if found.listener else {}
    if any(measure.name == "sentence_id" for measure in found.measures):
        count = len(listeners.recognisable_sentences(candidates))
        facts["Sentences to choose among"] = f"{count}; chance is {100 / count:.1f} %"
    return facts


def facts_of(voice: BaseVoice, texts: Sequence[EvalText], options: EvaluationOptions) -> dict[str, str]:
    """Facts about voice, data, machine and versions for the readers of the numbers: title -> text."""
    config = voice.config
    data, model, train = config.data, config.model, config.train
    held = sum(text.kind == HELD_OUT for text in texts)
    facts = {
        "Evaluated": f"{held} held-out utterances, {len(texts) - held} test sentences",
        "Plan": str(options),
        "Voice": f"{len(voice.speakers) or 1} speaker{'s' * (len(voice.speakers) > 1)}, {data.sampling_rate} Hz, "
                 f"{data.language}, frames of {data.hop_length} samples",
        "Model": f"{model.generator} generator, {model.duration_predictor} durations, {model.hidden_channels} hidden "
                 f"and {model.inter_channels} latent channels",
        "Training": f"batches of {train.batch_size}, learning rate {train.learning_rate:g}, discriminators from step "
                    f"{train.adversarial_start}",
        "Trained on": _size_of(data.training_files, config.multispeaker),
        "Date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        "Machine": f"{platform.machine()}, {multiprocessing.cpu_count()} cores, {platform.system()}; spoken on "
                   f"{getattr(voice, 'device', 'cpu')} with {torch.get_num_threads()} threads",
        "Versions": f"Python {platform.python_version()}, torch {torch.__version__}, project {project_version()}",
    }
    if isinstance(voice, Voice):
        facts["Model"] += f", {sum(p.numel() for p in voice.model.parameters()) / 1e6:.1f} M parameters"
    return facts


def _size_of(filelist: str, multispeaker: bool) -> str:
    if not filelist or not Path(filelist).is_file():
        return f"{filelist or 'an unknown corpus'}, which is not on this machine"
    return f"{filelist}, {sum(len(rows.texts) for rows in filelist_rows(filelist, multispeaker))} utterances"


def step_of(file: Path) -> int:
    """The step of a checkpoint's or a release's file."""
    named = checkpoint.PATTERN.fullmatch(file.name)
    return int(named[1]) if named else checkpoint.read_weights(file).step


def project_version() -> str:
    """The commit of this code, where it is a clone and git is installed."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():  # an installed copy may lie in somebody's repository
        return "unknown"
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, text=True,
                              capture_output=True, timeout=10)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
