"""Read texts with a trained voice into a corpus: a wav of each sentence, and beside it how it was spoken.

    status = read_corpus(Path("texts.txt"), ReadingPlan("en_joe", Path("data/joe"), jobs=2))

DATA/wavs/NAME.json lies beside DATA/wavs/NAME.wav:

    {"text": "Good morning.", "voice": "en_joe", "speaker": null, "noise_scale": 0.667, "seed": 240518,
     "text_ids": [1, 0, 66, ...], "durations": [1, 1, 3, ...]}

`text_ids` are rows of the voice's symbol table, blanks included, `durations` the frames of each. With the voice they
give prior, latent and sound again (`training.teacher`). The filelists hold the symbols of the ids, so a model that
learns from them has data.cleaned_text=true.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from audio.io import write_wav
from corpora.columns import AudioIndex, write_index
from corpora.filelists import numbered_rows
from corpora.parallel import run_map
from corpora.preparation import SPLITS, split_ids
from corpora.scan import counted
from synthesis.base import TEXT_ERRORS, BaseVoice, find_voice
from synthesis.speakers import find_speaker
from text.sentences import split_sentences
from utils import printable, write_text_atomic

_SHARD = 32  # sentences that one process takes at a time
_SHOWN = 20  # sentences that could not be spoken, on the console


@dataclass(frozen=True)
class ReadingPlan:
    """Who reads, and where the corpus goes."""

    voice: str  # a path or a name in voices/, as `synthesize.py -m` takes it
    out: Path
    speakers: tuple[str | None, ...] = (None,)  # each reads every sentence; None: the only one
    noise_scale: float | None = None  # of the sound; None: as the voice is meant
    validation: float = 0.02  # share of the sentences
    test: float = 0.0  # share of the sentences
    jobs: int = 1  # processes
    engine: str = "local"  # where they run; or "ray"


class Task(NamedTuple):
    """One sentence to be read by one speaker."""

    id: str  # names its files, and alone decides its split and its seed
    text: str
    speaker: str | None
    place: str  # "file:number", for messages


class Spoken(NamedTuple):
    """What became of a task."""

    fault: str | None  # why there is no sound
    symbols: str = ""  # what was spoken, in symbols of the voice's table
    samples: int = 0


def read_corpus(texts: Path, plan: ReadingPlan) -> int:
    """Read every sentence of a file of texts that is not read yet, and write the filelists; gives the exit status.

    Raises:
        FileNotFoundError: there is no such file or voice.
        ValueError: a setting is out of range, the voice lacks a speaker, or no sentence could be spoken.
    """
    voice = _voice(plan.voice, plan.jobs)  # a wrong name is an error before anything is written
    if voice.config.multispeaker == (None in plan.speakers):
        raise ValueError(f"--speaker: {plan.voice} has " + (f"the speakers {', '.join(voice.speakers)}; name one or "
                         "more, with commas" if voice.config.multispeaker else "one speaker; leave it out"))
    tasks = tasks_of(texts, plan.speakers, voice)
    jobs = plan.jobs if plan.engine != "local" else max(1, min(plan.jobs, len(tasks) // _SHARD))  # slow to start
    work = run_map(partial(read_one, plan=plan), tasks, plan.engine, jobs, shard=_SHARD if jobs > 1 else 1,
                   place_of=lambda number: tasks[number].place)
    spoken = [Spoken(*each) for each in tqdm(work, total=len(tasks), desc="read", unit="sentence", disable=None)]
    bad = [f"{task.place}: {each.fault}" for task, each in zip(tasks, spoken) if each.fault]
    if len(bad) == len(tasks):
        raise ValueError(f"none of {counted(len(tasks), 'sentence')} of {texts} could be spoken; the first: {bad[0]}")
    for line in bad[:_SHOWN]:
        print(printable(line), file=sys.stderr)
    write_text_atomic(plan.out / "report.txt", "".join(line + "\n" for line in bad))
    good = [(task, each) for task, each in zip(tasks, spoken) if not each.fault]
    _write_lists([task for task, _ in good], [each for _, each in good], voice, plan)
    return 0


def tasks_of(texts: Path, speakers: Sequence[str | None], voice: BaseVoice) -> list[Task]:
    """The sentences of a file of one text a line, each once, for every speaker.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a text is empty of sentences, or the voice lacks a speaker.
    """
    for speaker in speakers:
        find_speaker(speaker, voice.speakers)
    tasks: dict[str, Task] = {}
    for place, row in numbered_rows(texts):
        for sentence in split_sentences(row, voice.text.language, voice.config.data.max_text_len):
            for speaker in speakers:
                name = hashlib.blake2b(sentence.text.encode(), digest_size=6).hexdigest()
                name = name if speaker is None or len(speakers) == 1 else f"{speaker}/{name}"
                tasks.setdefault(name, Task(name, sentence.text, speaker, place))
    if not tasks:
        raise ValueError(f"{texts} has no text; expected one a line")
    return list(tasks.values())


def read_one(task: Task, plan: ReadingPlan) -> Spoken:
    """Speak one sentence and write its two files, unless they are there already."""
    wav = plan.out / "wavs" / f"{task.id}.wav"
    seed = int.from_bytes(hashlib.blake2b(task.id.encode(), digest_size=7).digest(), "big")
    wanted = {"text": task.text, "voice": plan.voice, "speaker": task.speaker, "noise_scale": plan.noise_scale,
              "seed": seed}
    voice = _voice(plan.voice, plan.jobs)
    wanted["noise_scale"] = voice._options(None, {"noise_scale": plan.noise_scale}).noise_scale
    record = read_record(wav)
    if record is None or {**record, **wanted} != record or not wav.is_file():
        try:
            audio = voice.speak(task.text, speaker=task.speaker, noise_scale=plan.noise_scale, seed=seed)
        except TEXT_ERRORS as error:
            return Spoken(str(error))
        symbols = voice.text.decode(audio.text_ids)
        if symbols != symbols.strip():  # a filelist keeps no space at its ends
            audio = voice.speak_ids(voice.text.encode(symbols.strip()), speaker=task.speaker,
                                    noise_scale=plan.noise_scale, seed=seed)
        frames = audio.durations // voice.config.data.hop_length
        if int(audio.durations.sum()) != len(audio.samples):
            return Spoken(f"{task.text[:80]!r} is spoken as several sentences; write one a line")
        record = {**wanted, "text_ids": list(map(int, audio.text_ids)), "durations": list(map(int, frames))}
        write_wav(wav, audio.samples, voice.sample_rate)
        write_text_atomic(wav.with_suffix(".json"), json.dumps(record, ensure_ascii=False) + "\n")
    return Spoken(None, voice.text.decode(record["text_ids"]),
                  sum(record["durations"]) * voice.config.data.hop_length)


def read_record(wav: Path) -> dict[str, Any] | None:
    """How a wav of such a corpus was spoken; None if nothing readable lies beside it."""
    try:
        record = json.loads(wav.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and {"text_ids", "durations"} <= record.keys() else None


@lru_cache(maxsize=1)
def _voice(path: str, jobs: int) -> BaseVoice:
    """The voice, of one thread where several processes read."""
    from synthesis.onnx import OnnxVoice, find_graph

    found = find_voice(path)
    if find_graph(found):
        return OnnxVoice.load(found, threads=1 if jobs > 1 else None)
    import torch

    from synthesis.voice import Voice

    if jobs > 1:
        torch.set_num_threads(1)
    return Voice.load(found)


def _write_lists(tasks: Sequence[Task], spoken: Sequence[Spoken], voice: BaseVoice, plan: ReadingPlan) -> None:
    """Filelists with the lengths of their audio, and the settings that a model has to have."""
    several = len(plan.speakers) > 1
    for side, members in split_ids([task.id for task in tasks], plan.validation, plan.test).items():
        rows = ["|".join([(plan.out / "wavs" / f"{tasks[place].id}.wav").as_posix(),
                          *([tasks[place].speaker] if several else []), spoken[place].symbols]) for place in members]
        if rows or side == SPLITS[0]:
            path = plan.out / f"{side}.txt"
            write_text_atomic(path, "".join(row + "\n" for row in rows))
            write_index(path, AudioIndex(np.array([spoken[place].samples for place in members], np.int64),
                                         np.full(len(members), voice.sample_rate, np.int32)))
            print(f"{path}: {counted(len(rows), 'utterance')}")
    seconds = sum(each.samples for each in spoken) / voice.sample_rate
    print(f"{seconds / 60:.1f} minutes of {voice.sample_rate} Hz audio in {plan.out / 'wavs'}")
    print(f"Next: train with --teacher {plan.voice} and these settings:\n"
          f"  data.training_files={(plan.out / 'train.txt').as_posix()}\n"
          f"  data.validation_files={(plan.out / 'val.txt').as_posix()}\n  data.cleaned_text=true")
