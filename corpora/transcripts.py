"""Folders of recordings with a transcript file beside each: NAME.txt, NAME.lab, or time-stamped (see cues.py).

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
from corpora.cues import fit_cues, read_cues
from corpora.filelists import numbered_rows
from corpora.scan import BadRow, LayoutContent, SourceUtterance, counted, utterance_id

OFFICE_ENDINGS = (".docx", ".doc", ".odt", ".rtf", ".pdf", ".xlsx", ".xls", ".ods", ".numbers", ".pages")
_TRANSCRIPTS = (".txt", ".lab", ".normalized.txt", ".original.txt")  # beside the audio
_UNREAD = (".ctm", ".smi", ".sub", ".ttml", ".dfxp", ".idx", ".xml", *OFFICE_ENDINGS)


def read_folder(folder: Path) -> LayoutContent:
    """Utterances of all audio below a folder, with the transcripts beside: NAME.txt, NAME.lab, or time-stamped."""
    sources, bad_rows, unread = [], [], []
    names_in = cache(_names_in)
    for audio in audio_in(folder):
        name = utterance_id(str(audio.relative_to(folder).with_suffix("")))
        names = names_in(audio.parent)
        fit = cache(partial(_parts_of, audio, name))
        beside = _beside(audio, CUE_ENDINGS, names)
        plain = [file for file in _beside(audio, _TRANSCRIPTS, names) if file not in beside or fit(file) is None]
        text = next((text_of(file) for file in plain), "")
        parts, faults, _ = next((found for found in map(fit, beside) if found and any(found)), LayoutContent([], []))
        if len(parts) > bool(text) or faults and not text:  # a single cue beside a plain text repeats it
            sources += parts
            bad_rows += faults
            continue
        sources.append(SourceUtterance(name, str(audio), None, text, str(audio)))
        if not text:
            unread += [(file, audio) for file in _beside(audio, (*CUE_ENDINGS, *_UNREAD), names)]
    return LayoutContent(sources, bad_rows, _of_unread(unread))


def text_of(transcript: Path) -> str:
    """The lines of a text file joined by spaces; empty if there is no such file."""
    return " ".join(row for _, row in numbered_rows(transcript)) if transcript.is_file() else ""


def _names_in(folder: Path) -> dict[str, str]:
    """File names of a folder by the same name with its ending in lower case."""
    return {Path(name).stem + Path(name).suffix.lower(): name for name in sorted(os.listdir(folder))}


def _beside(audio: Path, endings: Sequence[str], names: Mapping[str, str]) -> list[Path]:
    """Files named like an audio file but with these endings, in the order of the endings."""
    wanted = [stem + ending for stem in (audio.stem, audio.name) for ending in endings]
    return [audio.with_name(names[name]) for name in wanted if name in names]


def _of_unread(unread: Sequence[tuple[Path, Path]]) -> tuple[str, ...]:
    """A note about unreadable files beside audio that has no text."""
    if not unread:
        return ()
    file, audio = unread[0]
    advice = f"save its text as {audio.stem}.txt, UTF-8" if file.suffix.lower() in OFFICE_ENDINGS else \
        f"if it is the transcript, convert it to SRT, or save the text as {audio.stem}.txt"
    more = f" (and {counted(len(unread) - 1, 'file')} like it)" if unread[1:] else ""
    return (f"{file} lies beside {audio.name}{more}, and no text is found in it; {advice}",)


def _parts_of(audio: Path, name: str, file: Path) -> LayoutContent | None:
    """The utterances of a recording with a time-stamped transcript; None if the file has no times."""
    cues = read_cues(file)
    if not cues:
        return None if cues is None else LayoutContent([], [])
    try:
        with io.opened(audio) as opened:
            rate = opened.samplerate
            seconds = opened.frames / rate
    except AudioError:
        return LayoutContent([], [])  # reported when the audio itself is read
    cues, faults = fit_cues(cues, seconds, rate)
    if not cues and not faults:
        return None
    if len(cues) == 1 and not cues[0].is_sure:  # of the whole recording
        return LayoutContent([SourceUtterance(name, str(audio), cues[0].speaker, cues[0].text, str(audio))], [])
    sources = [SourceUtterance(f"{name}_{number:04d}", str(audio), cue.speaker, cue.text, cue.place,
                               (cue.start, cue.end)) for number, cue in enumerate(cues, start=1)]
    return LayoutContent(sources, [BadRow(place, what, "the start, the end and the text of utterances in order")
                                   for place, what in faults])
