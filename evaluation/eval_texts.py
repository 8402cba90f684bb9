"""Texts of an evaluation: held-out utterances, and fixed test sentences.

    texts = held_out(config, "data/demo/val.txt", count=40)
    texts += read_sentences(find_sentences("en-us"))

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
CANDIDATES = 100  # sentences of closed-set recognition, if there are so many
RECORDINGS = 5  # of each speaker, for the speaker similarity


class EvalText(NamedTuple):
    """A text to be synthesised."""

    id: str  # the same in each evaluation of the same lists
    text: str  # as written, or the symbols if that is not known
    kind: str  # HELD_OUT or one of KINDS
    speaker: str | None = None
    recording: str | None = None  # audio file
    symbols: str | None = None  # of a filelist that was cleaned already; None: the text goes through the cleaners
    is_written: bool = True  # False: the text is symbols, which cannot be compared with recognised words

    def text_ids(self, processor: TextProcessor) -> list[int]:
        """Encode the text as in training.

        Raises:
            ValueError: a symbol that is not in the table.
        """
        return processor.encode(processor.clean([self.text])[0] if self.symbols is None else self.symbols)


def held_out(config: Config, filelist: str | Path, count: int) -> list[EvalText]:
    """Read utterances of a filelist, at most `count`, spread evenly over it.

    Raises:
        FileNotFoundError, FilelistError: as `read_filelist`.
    """
    lines = read_filelist(filelist, config.multispeaker)
    written = _written_lines(Path(filelist), config.multispeaker) if config.data.cleaned_text else None
    if written is not None and [line.wav_path for line in written] != [line.wav_path for line in lines]:
        written = None  # edited since it was cleaned: the texts cannot be matched
    texts = []
    for i in np.unique(np.linspace(0, len(lines) - 1, min(count, len(lines))).round().astype(int)):
        line = lines[i]
        texts.append(EvalText(
            f"{i + 1:04d}-{Path(line.wav_path).stem}", written[i].text if written else line.text, HELD_OUT,
            line.speaker, line.wav_path, line.text if config.data.cleaned_text else None,
            not config.data.cleaned_text or written is not None))
    return texts


def _written_lines(filelist: Path, multispeaker: bool) -> list[Line] | None:
    """The lines of list.txt from which `preprocess.py` made list.txt.cleaned; None if that file is gone."""
    source = filelist.with_suffix("")
    if filelist.suffix != ".cleaned" or not source.is_file():
        return None
    return read_filelist(source, multispeaker)


def find_sentences(language: str) -> Path | None:
    """Find the file of test sentences of an espeak language; None where this project has none."""
    path = FOLDER / f"test_sentences_{language.split('-')[0]}.txt"
    return path if path.is_file() else None


def read_sentences(path: str | Path, speakers: Sequence[str] = ()) -> list[EvalText]:
    """Read test sentences from a file; speakers take turns.

    Raises:
        FileNotFoundError: there is no such file.
        FilelistError: a line that is not "kind|text", naming each, or none at all.
    """
    texts: list[EvalText] = []
    faults = []
    for place, row in numbered_rows(path):
        kind, bar, text = (part.strip() for part in row.partition("|"))
        if not bar or kind not in KINDS or not text:
            faults.append(f"{place}: {row!r} is not a test sentence; expected kind|text, with a kind of "
                          f"{', '.join(KINDS)}")
            continue
        number = 1 + sum(other.kind == kind for other in texts)
        speaker = speakers[len(texts) % len(speakers)] if speakers else None
        texts.append(EvalText(f"{kind}-{number:02d}", text, kind, speaker))
    if not texts and not faults:
        faults.append(f"{path} holds no lines; expected kind|text")
    if faults:
        raise FilelistError(faults)
    return texts


def one_of_each_kind(texts: Sequence[EvalText]) -> list[EvalText]:
    """Return the first text of each kind, in the order of KINDS."""
    return [next(text for text in texts if text.kind == kind)
            for kind in KINDS if any(text.kind == kind for text in texts)]


def candidate_texts(config: Config, texts: Sequence[EvalText]) -> tuple[str, ...]:
    """Sentences for closed-set recognition: the texts without paragraphs, and more of the training list."""
    found = [text.text for text in texts if text.is_written and text.kind != "paragraph"]
    path = config.data.training_files
    if not config.data.cleaned_text and Path(path).is_file():
        for rows in filelist_rows(path, config.multispeaker):
            found += rows.texts[: max(0, CANDIDATES - len(found))]
            break
    return tuple(dict.fromkeys(found))


def reference_recordings(config: Config, speakers: Iterable[str | None]) -> dict[str | None, list[Wav]]:
    """Read a few training recordings of each speaker, for the speaker similarity; unreadable ones are skipped."""
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
