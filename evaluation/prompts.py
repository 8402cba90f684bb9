"""What a voice is asked to say when it is evaluated: held-out utterances, and test sentences that never change.

    prompts = held_out(config, "data/demo/val.txt", count=40)
    prompts += read_sentences(find_sentences("en-us"))

A file of test sentences has lines "kind|text"; the kinds are in KINDS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audio.io import Wav, read_wav
from config import Config
from corpora.filelists import (
    FilelistError,
    Line,
    filelist_rows,
    found_path,
    numbered_rows,
    read_filelist,
)
from text import TextProcessor

HELD_OUT = "held-out"
KINDS = ("word", "number", "question", "sentence", "paragraph")
FOLDER = Path(__file__).parents[1] / "filelists"
RIVALS = 100  # sentences that the listener chooses among, where there are so many
RECORDINGS = 5  # others of a speaker that the voice is compared with


class Prompt(NamedTuple):
    """A text to be said."""

    id: str  # the same in each evaluation of the same lists
    text: str  # as people write it, or the symbols where that is not known
    kind: str  # HELD_OUT or one of KINDS
    speaker: str | None = None
    recording: str | None = None  # audio file
    symbols: str | None = None  # of a filelist that was cleaned already; None: the text goes through the cleaners
    is_written: bool = True  # False: the text is symbols, which no listener can compare with words

    def text_ids(self, processor: TextProcessor) -> list[int]:
        """What the model reads, as it would in training.

        Raises:
            ValueError: the symbol table lacks something.
        """
        return processor.encode(processor.clean([self.text])[0] if self.symbols is None else self.symbols)


def held_out(config: Config, filelist: str | Path, count: int) -> list[Prompt]:
    """Utterances of a filelist, at most `count`, spread evenly over it.

    Raises:
        FileNotFoundError, FilelistError: as `read_filelist`.
    """
    lines = read_filelist(filelist, config.multispeaker)
    written = _written_lines(Path(filelist), config.multispeaker) if config.data.cleaned_text else None
    if written is not None and [line.wav_path for line in written] != [line.wav_path for line in lines]:
        written = None  # edited since it was cleaned: nobody knows which text is whose
    prompts = []
    for place in np.unique(np.linspace(0, len(lines) - 1, min(count, len(lines))).round().astype(int)):
        line = lines[place]
        prompts.append(Prompt(
            f"{place + 1:04d}-{Path(line.wav_path).stem}", written[place].text if written else line.text, HELD_OUT,
            line.speaker, line.wav_path, line.text if config.data.cleaned_text else None,
            not config.data.cleaned_text or written is not None))
    return prompts


def _written_lines(filelist: Path, multispeaker: bool) -> list[Line] | None:
    """The lines that `preprocess.py` cleaned into list.txt.cleaned, if list.txt is still beside it."""
    source = filelist.with_suffix("")
    if filelist.suffix != ".cleaned" or not source.is_file():
        return None
    return read_filelist(source, multispeaker)


def find_sentences(language: str) -> Path | None:
    """The test sentences of a language, as espeak calls it; None where this project has none."""
    path = FOLDER / f"test_sentences_{language.split('-')[0]}.txt"
    return path if path.is_file() else None


def read_sentences(path: str | Path, speakers: Sequence[str] = ()) -> list[Prompt]:
    """The sentences of a file; with speakers, each says the next one in turn.

    Raises:
        FileNotFoundError: there is no such file.
        FilelistError: a line that is not "kind|text", naming each, or none at all.
    """
    prompts: list[Prompt] = []
    faults = []
    for place, row in numbered_rows(path):
        kind, bar, text = (part.strip() for part in row.partition("|"))
        if not bar or kind not in KINDS or not text:
            faults.append(f"{place}: {row!r} is not a test sentence; expected kind|text, with a kind of "
                          f"{', '.join(KINDS)}")
            continue
        number = 1 + sum(prompt.kind == kind for prompt in prompts)
        speaker = speakers[len(prompts) % len(speakers)] if speakers else None
        prompts.append(Prompt(f"{kind}-{number:02d}", text, kind, speaker))
    if not prompts and not faults:
        faults.append(f"{path} holds no lines; expected kind|text")
    if faults:
        raise FilelistError(faults)
    return prompts


def one_of_each(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The first of each kind, in the order of KINDS."""
    return [next(prompt for prompt in prompts if prompt.kind == kind)
            for kind in KINDS if any(prompt.kind == kind for prompt in prompts)]


def rivals_of(config: Config, prompts: Sequence[Prompt]) -> tuple[str, ...]:
    """Sentences among which a listener shall find the one that was said: the prompts', and more of the same list."""
    texts = [prompt.text for prompt in prompts if prompt.is_written and prompt.kind != "paragraph"]
    path = config.data.training_files
    if not config.data.cleaned_text and Path(path).is_file():
        for rows in filelist_rows(path, config.multispeaker):
            texts += rows.texts[: max(0, RIVALS - len(texts))]
            break
    return tuple(dict.fromkeys(texts))


def others_of(config: Config, speakers: Iterable[str | None]) -> dict[str | None, list[Wav]]:
    """A few recordings of each speaker that were trained on, to know the voice by; unreadable ones are passed over."""
    path = config.data.training_files
    found: dict[str | None, list[Wav]] = {speaker: [] for speaker in speakers}
    if not found or not Path(path).is_file():
        return {}
    for rows in filelist_rows(path, config.multispeaker):
        for wav_path, speaker in zip(rows.wav_paths, rows.speakers or [None] * len(rows.texts)):
            if speaker in found and len(found[speaker]) < RECORDINGS:
                try:
                    found[speaker].append(read_wav(found_path(wav_path, str(Path(path).parent))))
                except (OSError, ValueError):  # training leaves it out, too
                    continue
        if all(len(wavs) == RECORDINGS for wavs in found.values()):
            break
    return {speaker: wavs for speaker, wavs in found.items() if wavs}
