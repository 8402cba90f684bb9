"""Voices of a server: loaded once, found by name, by `voice/speaker` or by another name.

    voices = Voices.load(["en_joe", "runs/vctk"], threads=1)
    voices.find("vctk/p225:0.7+p226:0.3")       # Found(name="vctk", voice, speaker="p225:0.7+p226:0.3")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from serving.errors import UnknownVoiceError
from synthesis.base import DEFAULT_VOICE, VOICES, BaseVoice, find_voice
from synthesis.onnx import VOICE_FILE, OnnxVoice, find_graph
from synthesis.speakers import find_speaker

# Names of OpenAI's voices, which many clients can send only.
OPENAI_NAMES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer",
                "verse")


class Found(NamedTuple):
    """A voice of the server, and its speaker where it has several."""

    name: str
    voice: BaseVoice
    speaker: str | int | None


@dataclass(frozen=True)
class Voices:
    """Voices by name, the default one first, and other names for them or for their speakers."""

    voices: Mapping[str, BaseVoice]
    aliases: Mapping[str, str] = field(default_factory=dict)  # another name -> as `find` takes it

    def __post_init__(self) -> None:
        if not self.voices:
            raise ValueError("there is no voice to serve; name one by -m")
        if slashed := [name for name in self.voices if "/" in name or not name]:
            raise ValueError(f"voices are named {slashed}; expected names without '/', which parts voice and speaker")
        for target in self.aliases.values():
            self._named(target)

    @classmethod
    def load(cls, runs: Sequence[str | Path] = (), aliases: Mapping[str, str] | None = None, device: str = "auto",
             threads: int = 1, trust_plugins: bool = False) -> Voices:
        """Open voices; each is named as its folder, or its file without the ending.

        Args:
            runs: as `-m` of synthesize.py; none: all of voices/.
            aliases: further names, as `name: "voice/speaker"`; OpenAI's names are there by themselves.
            device: "auto" takes a voice's ONNX graph where there is one; others, such as "cuda", its network by torch.
            threads: of each synthesis.
            trust_plugins: run the plugins that a voice's configuration names.

        Raises:
            ValueError: no voice, two of one name, or an alias of none.
            FileNotFoundError: there is no such voice.
        """
        paths = [find_voice(run) for run in runs] or shipped_voices()
        voices: dict[str, BaseVoice] = {}
        for path in paths:
            name = voice_name(path)
            if name in voices:
                raise ValueError(f"{path}: there is a voice {name!r} already; give folders of different names")
            voices[name] = load_voice(path, device, threads, trust_plugins)
        return cls(voices, {**openai_aliases(voices), **(aliases or {})})

    @property
    def default(self) -> str:
        """Name of the voice that speaks where a request names none."""
        return next(iter(self.voices))

    def find(self, voice: str | None = None, speaker: str | int | None = None) -> Found:
        """A voice by name, `voice/speaker` or alias; the first speaker where several are there and none is named.

        Raises:
            UnknownVoiceError: there is no such voice, or no such speaker of it.
        """
        found = self._named(self.aliases.get(voice, voice) if voice and voice not in self.voices else voice)
        speaker = found.speaker if speaker is None or speaker == "" else speaker
        if speaker is None and found.voice.speakers:
            speaker = found.voice.speakers[0]
        try:
            find_speaker(speaker, found.voice.speakers)
        except ValueError as error:
            raise UnknownVoiceError(f"voice {found.name!r}: {error}", "speaker") from None
        return found._replace(speaker=speaker)

    def _named(self, wanted: str | None) -> Found:
        name, slash, speaker = (wanted or self.default).partition("/")
        if name not in self.voices:
            raise UnknownVoiceError(f"no voice {wanted[:80]!r}; there are {', '.join(self.voices)}")
        return Found(name, self.voices[name], speaker if slash else None)

    def of_language(self, language: str | None) -> str | None:
        """The first voice of a language such as en, en-US or en_US, of that country if there is one; None without."""
        wanted = (language or "").replace("-", "_").lower()
        locales = {name: locale_of(voice.text.language).lower() for name, voice in self.voices.items()}
        same = [name for name, locale in locales.items() if locale.partition("_")[0] == wanted.partition("_")[0]]
        return next((name for name in same if locales[name] == wanted), next(iter(same), None))

    def listed(self) -> Iterator[str]:
        """All names that `find` takes, mixes and aliases apart: each voice, and each speaker as `voice/speaker`."""
        for name, voice in self.voices.items():
            yield from [f"{name}/{speaker}" for speaker in voice.speakers] or [name]


def shipped_voices() -> list[Path]:
    """Folders of voices/, the default one first."""
    return sorted(VOICES.glob("*/"), key=lambda each: (each.name != DEFAULT_VOICE, each.name))


def voice_name(path: Path) -> str:
    """Name of the voice at a path: that of its folder, or of its file unless that is voice.onnx."""
    path = path.resolve()
    return path.parent.name if path.name == VOICE_FILE else path.stem if path.is_file() else path.name


def load_voice(path: Path, device: str = "auto", threads: int = 1, trust_plugins: bool = False) -> BaseVoice:
    """The voice at a path: by onnxruntime where it has a graph and the device is "auto", else by torch."""
    graph = find_graph(path)
    if graph is None and device == "auto" and (path / VOICE_FILE).is_file():
        graph = path / VOICE_FILE
    if graph is not None:
        return OnnxVoice.load(graph, device, threads=threads)
    from synthesis import Voice
    import_threads(threads)
    return Voice.load(path, device, trust_plugins=trust_plugins)


def import_threads(threads: int) -> None:
    """Let torch compute each operation with so many threads, as several sentences are computed at once."""
    import torch

    torch.set_num_threads(threads)


def openai_aliases(voices: Mapping[str, BaseVoice]) -> dict[str, str]:
    """OpenAI's names for the default voice; where it has several speakers, for these in turn."""
    name, voice = next(iter(voices.items()), ("", None))
    speakers = voice.speakers if voice else ()
    return {alias: f"{name}/{speakers[number % len(speakers)]}" if speakers else name
            for number, alias in enumerate(OPENAI_NAMES) if alias not in voices}


def locale_of(language: str) -> str:
    """Language and country as Piper and Home Assistant write them: en-us -> en_US, de -> de_DE."""
    from babel.core import get_global

    language, _, rest = language.replace("_", "-").partition("-")
    country = next((part.upper() for part in rest.split("-") if len(part) == 2), "")
    language = get_global("language_aliases").get(language, language)
    likely = get_global("likely_subtags").get(language, "")
    return f"{language}_{country or (likely.split('_')[-1] if '_' in likely else language.upper())}"
