"""Recordings with a transcript beside each: NAME.txt, NAME.lab, or the times and texts of a long one.

    found = read_folder(Path("recordings"))
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from audio import io
from audio.io import AudioError
from corpora.audio_files import audio_in
from corpora.cues import ENDINGS as CUE_ENDINGS
from corpora.cues import fitted, read_cues
from corpora.filelists import numbered_rows
from corpora.scan import BadRow, Found, Source, counted, utterance_id

OFFICE_ENDINGS = (".docx", ".doc", ".odt", ".rtf", ".pdf", ".xlsx", ".xls", ".ods", ".numbers", ".pages")
_TRANSCRIPTS = (".txt", ".lab", ".normalized.txt", ".original.txt")  # beside the audio
_UNREAD = (".ctm", ".smi", ".sub", ".ttml", ".dfxp", ".idx", ".xml", *OFFICE_ENDINGS)


def read_folder(folder: Path) -> Found:
    """All audio in a folder and the folders in it, with the transcript beside each: NAME.txt, NAME.lab, or times."""
    sources, bad_rows, unread = [], [], []
    names_in = cache(_names_in)
    for audio in audio_in(folder):
        name = utterance_id(str(audio.relative_to(folder).with_suffix("")))
        names = names_in(audio.parent)
        fit = cache(partial(_parts_of, audio, name))
        beside = _beside(audio, CUE_ENDINGS, names)
        plain = [file for file in _beside(audio, _TRANSCRIPTS, names) if file not in beside or fit(file) is None]
        text = next((text_of(file) for file in plain), "")
        parts, faults, _ = next((found for found in map(fit, beside) if found and any(found)), Found([], []))
        if len(parts) > bool(text) or faults and not text:  # one stretch of what has a text too is the same text
            sources += parts
            bad_rows += faults
            continue
        sources.append(Source(name, str(audio), None, text, str(audio)))
        if not text:
            unread += [(file, audio) for file in _beside(audio, (*CUE_ENDINGS, *_UNREAD), names)]
    return Found(sources, bad_rows, _of_unread(unread))


def text_of(transcript: Path) -> str:
    """The lines of a text file as one; empty where there is none."""
    return " ".join(row for _, row in numbered_rows(transcript)) if transcript.is_file() else ""


def _names_in(folder: Path) -> dict[str, str]:
    """The files of a folder by their names with the ending in lower case."""
    return {Path(name).stem + Path(name).suffix.lower(): name for name in sorted(os.listdir(folder))}


def _beside(audio: Path, endings: Sequence[str], names: Mapping[str, str]) -> list[Path]:
    """The files of an audio file's name with other endings, in the order of the endings."""
    wanted = [stem + ending for stem in (audio.stem, audio.name) for ending in endings]
    return [audio.with_name(names[name]) for name in wanted if name in names]


def _of_unread(unread: Sequence[tuple[Path, Path]]) -> tuple[str, ...]:
    """What is to be said of files beside audio without a text, none of which could be read."""
    if not unread:
        return ()
    file, audio = unread[0]
    advice = f"save its text as {audio.stem}.txt, UTF-8" if file.suffix.lower() in OFFICE_ENDINGS else \
        f"if it holds what is said, convert it to SRT, or save the text as {audio.stem}.txt"
    more = f" (and {counted(len(unread) - 1, 'file')} like it)" if unread[1:] else ""
    return (f"{file} lies beside {audio.name}{more}, and no text is found in it; {advice}",)


def _parts_of(audio: Path, name: str, file: Path) -> Found | None:
    """The stretches of a recording that a transcript with times names, each an utterance; None if it has no times."""
    cues = read_cues(file)
    if not cues:
        return None if cues is None else Found([], [])
    try:
        with io.opened(audio) as opened:
            rate = opened.samplerate
            seconds = opened.frames / rate
    except AudioError:
        return Found([], [])  # an error of the audio, which is reported when it is read
    cues, faults = fitted(cues, seconds, rate)
    if not cues and not faults:
        return None
    if len(cues) == 1 and not cues[0].is_sure:  # of the whole recording
        return Found([Source(name, str(audio), cues[0].speaker, cues[0].text, str(audio))], [])
    return Found([Source(f"{name}_{number:04d}", str(audio), cue.speaker, cue.text, cue.place, (cue.start, cue.end))
                  for number, cue in enumerate(cues, start=1)],
                 [BadRow(place, what, "the start, the end and the text of utterances one after another")
                  for place, what in faults])
