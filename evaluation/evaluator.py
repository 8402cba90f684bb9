"""Evaluate a voice: it says held-out utterances and test sentences, in up to four conditions, and all is measured.

    voice = Voice.load("runs/demo")
    card = evaluate(voice, Source("demo", 700), prompts, Path("out"), Plan(seed=1))     # out/scorecard.json, out/*.wav

Held-out utterances sound as they were recorded, as the model copies them (posterior to waveform), by Griffin-Lim from
their mels, and as the voice says them; test sentences only as the voice says them. The same seed gives the same sound.
Copies and voices have a picture of their alignment beside them. What takes long says how far it is on standard error.
"""

from __future__ import annotations

import datetime
import logging
import multiprocessing
import platform
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

import checkpoint
import utils
from audio.io import Wav, read_wav, write_wav
from audio.resampling import resample
from config import Config
from corpora.filelists import filelist_rows, speaker_id
from data_utils import Collate, Utterance
from evaluation import alignment, listeners
from evaluation.metrics import ALL, METERS, Heard, Meter, open_meters
from evaluation.plots import alignment_png
from evaluation.prompts import HELD_OUT, Prompt, others_of, rivals_of
from evaluation.scorecard import (
    COPY,
    GRIFFIN_LIM,
    MEMORY,
    REAL_TIME,
    RECORDING,
    VOICE,
    Interval,
    Item,
    Measure,
    Scorecard,
)
from evaluation.statistics import bootstrap
from mel_processing import griffin_lim, spectrogram
from synthesis import Voice
from synthesis.base import Audio, BaseVoice
from synthesis.controls import timings_of
from synthesis.noise import prior_noise
from synthesis.timings import TimedLabel
from text.utterances import tokens_of_ids
from utils import peak_of, write_bytes_atomic

# Shapes: B batch, L text tokens, T frames, S samples, C latent channels.

logger = logging.getLogger("vits")
Thing = TypeVar("Thing")

HEALTH_BATCH = 8  # utterances that are each other's wrong texts
PATIENCE = 30  # seconds between two reports of progress where no terminal shows a bar


@dataclass(frozen=True)
class Plan:
    """How to evaluate."""

    seed: int = 1234
    meters: tuple[str, ...] = ALL  # names in METERS
    jobs: int = 1  # processes that measure

    def seed_of(self, prompt: Prompt) -> int:
        """The seed of one prompt, whatever else is said."""
        return zlib.crc32(f"{self.seed} {prompt.id}".encode())

    def __str__(self) -> str:
        return f"seed {self.seed}, {', '.join(self.meters)}"


class Source(NamedTuple):
    """Which voice it is, for people."""

    run: str
    step: int | None = None
    facts: Mapping[str, str] = {}  # to be shown with those that the evaluation knows itself


class Sound(NamedTuple):
    """How one prompt sounds in one condition."""

    place: int  # of its prompt
    condition: str
    samples: np.ndarray  # [S] float32
    symbols: Sequence[TimedLabel] = ()  # when each sounds, where that is known


class MeterSettings(NamedTuple):
    """With what `open_meters` is called; it travels to other processes."""

    names: tuple[str, ...]
    language: str
    rivals: tuple[str, ...]
    recordings: Mapping[str | None, Sequence[Wav]]


class Measured(NamedTuple):
    """What was found of some sounds."""

    measures: tuple[Measure, ...]
    values: list[dict[str, float]]  # one a sound
    notes: list[str]
    absent: dict[str, str]


class Said(NamedTuple):
    """What the voice made of the prompts."""

    audios: list[Audio]
    seconds: list[float]  # that each took
    peak: int | None  # bytes


def evaluate(voice: BaseVoice, source: Source, prompts: Sequence[Prompt], folder: Path, plan: Plan) -> Scorecard:
    """Speak, measure, and write the scorecard and all sounds into a folder.

    Raises:
        ValueError: there is nothing to say, an unknown meter, or a text that the voice cannot read.
        AudioError: a recording cannot be read.
    """
    if not prompts:
        raise ValueError("there is nothing to say: give a filelist of held-out utterances or a file of test sentences")
    said = say(voice, prompts, plan)  # before the recordings are read, which are no part of its peak memory
    recordings = [None if prompt.recording is None else recording_of(prompt.recording, voice.sample_rate)
                  for prompt in prompts]
    sounds = list(_sounds(voice, prompts, recordings, said, plan))
    paths = [write_sound(folder, prompts[sound.place], sound, voice.sample_rate) for sound in sounds]
    rivals = rivals_of(voice.config, prompts)
    is_asked = any(METERS.get(name).needs_recordings for name in plan.meters)
    others = others_of(voice.config, (prompt.speaker for prompt in prompts)) if is_asked else {}
    settings = MeterSettings(plan.meters, voice.config.data.language, rivals, others)
    heard = [_heard(sound, prompts[sound.place], recordings[sound.place], voice) for sound in sounds]
    measured = measure_all(settings, heard, plan.jobs)
    items = _items(prompts, sounds, paths, measured, said)
    logger.info("judging the alignment")
    health, absent = _health(voice, prompts, recordings)
    card = Scorecard(
        source.run, source.step, {**source.facts, **facts_of(voice, prompts, plan), **_choice(measured, rivals)},
        (*measured.measures, REAL_TIME, MEMORY), _summary(items, said.peak), tuple(items),
        {**measured.absent, **absent}, health, sentences=_by_kind(items))
    card.save(folder)
    return card


def say(voice: BaseVoice, prompts: Sequence[Prompt], plan: Plan) -> Said:
    """Let the voice say all prompts, one at a time, and note what it takes."""
    audios, seconds = [], []

    def work() -> None:
        for prompt in watched(prompts, f"voice: saying {len(prompts)} texts", "text"):
            start = time.perf_counter()
            audios.append(_say(voice, prompt, plan.seed_of(prompt)))
            seconds.append(time.perf_counter() - start)

    _say(voice, prompts[0], plan.seed)  # what is done once only, at the first sentence, shall not count
    peak = peak_of(work, getattr(voice, "device", torch.device("cpu")))
    if not audios:  # nobody can tell the peak here, so nothing was done
        work()
    return Said(audios, seconds, peak)


def _say(voice: BaseVoice, prompt: Prompt, seed: int) -> Audio:
    """Held-out utterances as one sentence, for so they were recorded; test sentences as users would have them said."""
    if prompt.kind == HELD_OUT:
        return voice.speak_ids(prompt.text_ids(voice.text), seed=seed, speaker=prompt.speaker)
    return voice.speak(prompt.text, seed=seed, speaker=prompt.speaker)


def recording_of(path: str, sampling_rate: int) -> np.ndarray:
    """The samples [S] of a recording at the voice's rate."""
    wav = read_wav(path)
    return np.asarray(resample(wav.samples, wav.sampling_rate, sampling_rate), np.float32)


def _sounds(voice: BaseVoice, prompts: Sequence[Prompt], recordings: Sequence[np.ndarray | None], said: Said,
            plan: Plan) -> Iterator[Sound]:
    """All that is to be measured, prompt by prompt."""
    held = sum(recording is not None for recording in recordings)
    copies = reads_recordings(voice)
    doing = f"{COPY}, {GRIFFIN_LIM}: of {held} recordings" if copies else f"{GRIFFIN_LIM}: of {held}"
    for place in watched(range(len(prompts)), doing, "text"):
        prompt, recording, audio = prompts[place], recordings[place], said.audios[place]
        if recording is not None:
            yield Sound(place, RECORDING, recording)
            copied = copy_of(voice, prompt, recording, plan.seed_of(prompt)) if copies else None
            if copied is not None:
                yield Sound(place, COPY, copied, symbols_of(voice, prompt, recording))
            yield Sound(place, GRIFFIN_LIM, griffin_lim(recording, voice.config.data))
        yield Sound(place, VOICE, audio.samples, audio.timings.symbols if audio.timings else ())


def reads_recordings(voice: BaseVoice) -> bool:
    """Whether a voice has a posterior encoder, without which there are no copies and no alignment."""
    return isinstance(voice, Voice) and voice.model.enc_q is not None


def watched(things: Sequence[Thing], doing: str, unit: str) -> Iterator[Thing]:
    """One by one, with a bar on standard error: in steps on a terminal, a line now and then elsewhere."""
    from tqdm import tqdm

    every = 0.1 if sys.stderr.isatty() else PATIENCE
    yield from tqdm(things, desc=doing, unit=unit, dynamic_ncols=True, mininterval=every, maxinterval=max(10, every))


@torch.inference_mode()
def copy_of(voice: Voice, prompt: Prompt, recording: np.ndarray, seed: int) -> np.ndarray | None:
    """The recording [S] through posterior and generator; None where it is shorter than a frame."""
    data, model = voice.config.data, voice.model
    if len(recording) < data.hop_length:
        return None
    spec = spectrogram(torch.from_numpy(recording)[None].to(voice.device), data)  # [1, F, T]
    n_frames = spec.shape[2]
    noise = prior_noise("prior", [seed], voice.config.model.inter_channels, [n_frames]).to(voice.device)
    g = model.speaker_embedding(_speaker_ids(voice.config, [prompt], voice.device))
    posterior = model.encode_posterior(spec, torch.tensor([n_frames], device=voice.device), g, noise)
    return model.dec(model.with_pitch(posterior.z, posterior.mask), g)[0, 0].float().clamp(-1, 1).cpu().numpy()


def _speaker_ids(config: Config, prompts: Sequence[Prompt], device: torch.device) -> Tensor | None:
    """[B], None for one voice."""
    if not config.multispeaker:
        return None
    return torch.tensor([speaker_id(prompt.speaker or "", config.data.speakers, config.data.n_speakers)
                         for prompt in prompts], device=device)


def symbols_of(voice: Voice, prompt: Prompt, recording: np.ndarray) -> tuple[TimedLabel, ...]:
    """When each symbol sounds in a recording [S], as the model's alignment search says; none where it is too short."""
    utterance = _utterance(voice, prompt, recording)
    if utterance is None:
        return ()
    batch = _collate(voice.config)([utterance]).to(voice.device)
    frames = alignment.align(voice.model, batch, voice.config.data).durations[0].long().tolist()
    ids = tokens_of_ids(utterance.text_ids.tolist(), voice.text)
    return timings_of(ids, frames, voice.config.data.hop_length, voice.sample_rate).symbols


def _utterance(voice: Voice, prompt: Prompt, recording: np.ndarray) -> Utterance | None:
    """A recording [S] and its text as training hears them; None with less than a frame for each symbol."""
    ids = torch.tensor(prompt.text_ids(voice.text))
    speaker = _speaker_ids(voice.config, [prompt], torch.device("cpu"))
    if len(ids) > len(recording) // voice.config.data.hop_length:
        return None
    return Utterance(prompt.id, ids, torch.from_numpy(recording), None if speaker is None else int(speaker))


def _collate(config: Config) -> Collate:
    return Collate(config.train.segment_size, config.data.hop_length)


def write_sound(folder: Path, prompt: Prompt, sound: Sound, sampling_rate: int) -> str:
    """Write a sound as 16-bit wav, and a picture of its alignment of the same name.

    Returns:
        its path within the folder. What is not finite becomes silence.
    """
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in prompt.id)
    path = Path("audio") / f"{name}_{sound.condition}.wav"
    write_wav(folder / path, np.nan_to_num(sound.samples, nan=0.0, posinf=0.0, neginf=0.0), sampling_rate)
    picture = (folder / path).with_suffix(".png")
    picture.unlink(missing_ok=True)  # of an evaluation before
    if sound.symbols:
        write_bytes_atomic(picture, alignment_png(sound.symbols, sampling_rate))
    return path.as_posix()


def _heard(sound: Sound, prompt: Prompt, recording: np.ndarray | None, voice: BaseVoice) -> Heard:
    return Heard(sound.samples, voice.sample_rate, prompt.text if prompt.is_written else "",
                 voice.config.data.language, None if sound.condition == RECORDING else recording,
                 sound.condition in (COPY, GRIFFIN_LIM), prompt.speaker, hop_length=voice.config.data.hop_length)


def choose_meters(wanted: Sequence[str] | None, is_cheap: bool = False) -> tuple[str, ...]:
    """Names of meters, from their own names or those of what they measure; all unless some are named.

    Raises:
        ValueError: a name that is neither.
    """
    measures = {name: [measure.name for measure in METERS.get(name).measures] for name in ALL}
    unknown = [name for name in wanted or () if name not in ALL and not any(name in own for own in measures.values())]
    if unknown:
        known = "; ".join(f"{name}: {', '.join(own)}" for name, own in measures.items())
        raise ValueError(f"nothing measures {', '.join(map(repr, unknown))}; the meters and their measures are {known}")
    return tuple(name for name in ALL
                 if (not wanted or name in wanted or not set(measures[name]).isdisjoint(wanted))
                 and not (is_cheap and is_costly(name)))


def is_costly(meter: str) -> bool:
    """Whether a meter is too slow for every validation of a training run."""
    return any(measure.is_costly for measure in METERS.get(meter).measures)


def measure_all(settings: MeterSettings, heard: Sequence[Heard], jobs: int = 1) -> Measured:
    """Measure sounds, in several processes if wanted, of which this is one; the result is the same."""
    logger.info("measuring %s", ", ".join(settings.names))
    jobs = max(1, min(jobs, len(heard)))
    if jobs == 1:
        return _measure(settings, heard, f"all conditions: measuring {len(heard)} sounds")
    doing = f"all conditions: the share of one process of {jobs}"
    known = multiprocessing.active_children()
    with ProcessPoolExecutor(jobs - 1, multiprocessing.get_context("spawn")) as pool:
        try:
            with utils.interrupts_ignored():
                others = [pool.submit(_measure, settings, heard[job::jobs]) for job in range(1, jobs)]
            parts = [_measure(settings, heard[::jobs], doing), *(other.result() for other in others)]
        except BaseException:  # or the pool would wait until they are done
            for worker in set(multiprocessing.active_children()).difference(known):
                worker.terminate()
            raise
    values: list[dict[str, float]] = [{}] * len(heard)
    notes = [""] * len(heard)
    for job, part in enumerate(parts):
        values[job::jobs], notes[job::jobs] = part.values, part.notes
    absent = {name: reason for part in parts for name, reason in part.absent.items()}
    return _without(absent, Measured(parts[0].measures, values, notes, absent))


def _measure(settings: MeterSettings, heard: Sequence[Heard], doing: str = "") -> Measured:
    """Measure in this process, and say how far it is if it has a name for that."""
    meters, absent = open_meters(*settings)
    values, notes = [], []
    for each in watched(heard, doing, "sound") if doing else heard:
        found, note = measure_one(meters, each, absent)
        values.append(found)
        notes.append(note)
    measures = tuple(measure for meter in meters for measure in meter.measures)
    return _without(absent, Measured(measures, values, notes, absent))


def measure_one(meters: Sequence[Meter], heard: Heard, absent: dict[str, str]) -> tuple[dict[str, float], str]:
    """All that the meters find, and what they heard; one that fails is entered as absent and not asked again."""
    values: dict[str, float] = {}
    notes = []
    for meter in meters:
        if any(measure.name in absent for measure in meter.measures):
            continue
        try:
            values.update(meter.measure(heard))
            notes.append(meter.notes(heard))
        except Exception as error:  # whatever it is, the other meters' numbers shall not be lost
            logger.warning("%s fails and is left out: %s: %s", type(meter).__name__, type(error).__name__, error)
            absent |= {measure.name: f"failed: {type(error).__name__}: {error}" for measure in meter.measures}
    return values, "; ".join(note for note in notes if note)


def _without(absent: Mapping[str, str], measured: Measured) -> Measured:
    """What is left without meters that failed: a mean over a part of the sounds would not say over which."""
    return measured._replace(
        measures=tuple(measure for measure in measured.measures if measure.name not in absent),
        values=[{name: value for name, value in found.items() if name not in absent} for found in measured.values])


def _items(prompts: Sequence[Prompt], sounds: Sequence[Sound], paths: Sequence[str], measured: Measured,
           said: Said) -> list[Item]:
    items = [Item(prompt.id, prompt.text, prompt.kind, prompt.speaker) for prompt in prompts]
    for sound, path, values, note in zip(sounds, paths, measured.values, measured.notes):
        item = items[sound.place]
        item.audio[sound.condition] = path
        item.values[sound.condition] = {name: float(value) for name, value in values.items()}
        if note:
            item.notes[sound.condition] = note
    for item, audio, seconds in zip(items, said.audios, said.seconds):
        item.values[VOICE][REAL_TIME.name] = seconds / max(audio.seconds, 1e-9)
    return items


def _summary(items: Sequence[Item], peak: int | None) -> dict[str, dict[str, Interval]]:
    """Means by condition, over the held-out utterances if there are any, so that all conditions say the same texts."""
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
    """Means of what is finite, with their intervals."""
    names = dict.fromkeys(name for each in values for name in each)
    found = {name: [each[name] for each in values if np.isfinite(each.get(name, np.nan))] for name in names}
    return {name: bootstrap(numbers) for name, numbers in found.items() if numbers}


def _health(voice: BaseVoice, prompts: Sequence[Prompt],
            recordings: Sequence[np.ndarray | None]) -> tuple[dict[str, object], dict[str, str]]:
    """Alignment health of the recordings, and what is absent and why."""
    if not reads_recordings(voice):
        why = "this voice has no posterior encoder; evaluate the run that it was made from"
        return {}, {COPY: why, "alignment health": why}
    data = voice.config.data
    found = (_utterance(voice, prompt, recording) for prompt, recording in zip(prompts, recordings)
             if recording is not None)
    utterances = [each for each in found if each is not None]
    if not utterances:
        return {}, {"alignment health": "there is no held-out recording with a frame for each symbol"}
    collate = _collate(voice.config)
    batches = [collate(utterances[start : start + HEALTH_BATCH]) for start in range(0, len(utterances), HEALTH_BATCH)]
    with torch.inference_mode():
        health = alignment.health_of(voice.model, batches, voice.text, data)
    numbers = {name.removeprefix("health/"): value for name, value in health.as_dict().items()}
    return {"verdict": str(health.verdict), "state": health.verdict.state, "reasons": list(health.verdict.reasons),
            **numbers, "longest": health.describe_longest(voice.text, data)}, {}


def _choice(measured: Measured, rivals: Sequence[str]) -> dict[str, str]:
    """Among how many sentences a listener chose, if it did, as a fact."""
    if not any(measure.name == "sentence_id" for measure in measured.measures):
        return {}
    count = len(listeners.recognisable(rivals))
    return {"Sentences to choose among": f"{count}; chance is {100 / count:.1f} %"}


def facts_of(voice: BaseVoice, prompts: Sequence[Prompt], plan: Plan) -> dict[str, str]:
    """What a reader has to know of the numbers: title -> text."""
    config = voice.config
    data, model, train = config.data, config.model, config.train
    held = sum(prompt.kind == HELD_OUT for prompt in prompts)
    facts = {
        "Evaluated": f"{held} held-out utterances, {len(prompts) - held} test sentences",
        "Plan": str(plan),
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
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parents[1], text=True,
                              capture_output=True, timeout=10)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
