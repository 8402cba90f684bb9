"""The audio files of a folder, and their lookup by the names in a list.

    files = AudioFiles(Path("LJSpeech-1.1"))
    files.find("LJ001-0001")                # "LJSpeech-1.1/wavs/LJ001-0001.wav"
"""

from __future__ import annotations

import os
import unicodedata
from functools import cached_property
from pathlib import Path, PureWindowsPath

from audio.io import UNREADABLE_ENDINGS
from corpora.filelists import found_path
from corpora.scan import ENDINGS

_FOLDERS = ("wavs", "", "wav", "clips", "audio")  # usual folders of the audio of a list


def audio_in(folder: Path, is_deep: bool = True) -> list[Path]:
    """All audio files below a folder, sorted; an unreadable format is left out if a readable copy is beside it."""
    found = sorted(path for path in (folder.rglob("*") if is_deep else folder.iterdir())
                   if path.suffix.lower() in (*ENDINGS, *UNREADABLE_ENDINGS))
    readable = {path.with_suffix("") for path in found if path.suffix.lower() in ENDINGS}
    return [path for path in found if path.suffix.lower() in ENDINGS or path.with_suffix("") not in readable]


class AudioFiles:
    """Lookup of audio files by name: with or without folder and ending, in any case and Unicode form.

    Args:
        folder: of the list.
        is_whole: the whole folder belongs to the corpus; else only its usual folders of audio are searched.
    """

    def __init__(self, folder: Path, is_whole: bool = True):
        self._folder = folder
        self._root = os.path.abspath(folder)
        self._is_whole = is_whole

    def find(self, name: str) -> str:
        """The path of an audio file; if there is none, the path where it was expected first."""
        return self._found(name) or str(self._expected(name))

    def relative(self, name: str, audio: str) -> str:
        """The name of an audio file within the corpus: relative to the list's folder if below it, else as written."""
        path = os.path.abspath(audio)
        is_far = os.path.isabs(name) or PureWindowsPath(name).is_absolute()
        is_within = (not self._is_whole or is_far) and path.startswith(self._root + os.sep)
        return path[len(self._root) + 1:] if is_within else name.replace("\\", "/")

    def has(self, name: str) -> bool:
        """Whether there is an audio file of that name."""
        found = self._found(name) if name else None
        return found is not None and os.path.isfile(found)

    def _expected(self, name: str) -> Path:
        if self._is_whole:
            return self._folder / "wavs" / (name if _has_ending(name) else f"{name}.wav")
        return Path(found_path(name, str(self._folder)))

    def _found(self, name: str) -> str | None:
        if "\0" in name:
            return None
        if not self._is_whole:
            path = found_path(name, str(self._folder))
            if os.path.lexists(path):
                return path
        endings = ("",) if _has_ending(name) else (".wav", ".flac", ".ogg", ".mp3")
        for folder in _FOLDERS:
            for ending in endings:
                path = os.path.join(self._folder, folder, name + ending)
                if os.path.lexists(path) and not (ending == "" and os.path.isdir(path)):
                    return path
        parts = _key(name).split("/")
        for first in range(max(1, len(parts) - 1)):  # the whole path, then its ends with at least a folder
            found = self._by_ending.get("/".join(parts[first:]))
            if found is not None:
                return str(found)
        return None

    @cached_property
    def _by_ending(self) -> dict[str, Path | None]:
        """Every end of a file's path, without the file's ending, to the file; None if several files match."""
        found = audio_in(self._folder) if self._is_whole else [
            path for name in _FOLDERS if (self._folder / name).is_dir()
            for path in audio_in(self._folder / name, is_deep=bool(name))]
        known: dict[str, Path | None] = {}
        for path in sorted(found, key=lambda path: (path.suffix.lower() != ".wav", path)):
            parts = _key(str(path.relative_to(self._folder))).split("/")
            for first in range(len(parts)):
                end = "/".join(parts[first:])
                other = known.setdefault(end, path)
                if other is not None and other.with_suffix("") != path.with_suffix(""):
                    known[end] = None
        return known


def _has_ending(name: str) -> bool:
    return Path(name).suffix.lower() in (*ENDINGS, *UNREADABLE_ENDINGS)


def _key(name: str) -> str:
    """A path normalised in case, Unicode form and slashes, without the file's ending."""
    path = unicodedata.normalize("NFC", name.replace("\\", "/")).casefold().removeprefix("./")
    return path[:-len(Path(path).suffix)] if _has_ending(path) else path
