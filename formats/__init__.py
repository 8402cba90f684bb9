"""Other people's layouts, in and out: one small module a format, and the table of what each can carry.

    imported = read(Path("vits-ljs.pth"), config=Path("ljs_base.json"))      # the format is recognised by its content
    written = write("huggingface", checkpoint.read_weights(run), Path("folder"))

A module of a format has `recognises(path) -> bool` and `read(path, config) -> ImportedVoice` if it can be read, and
`write(weights, folder) -> ExportResult` if it can be written. Its heavy imports stand inside these functions.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import config as settings
from config import Config
from utils import staged

if TYPE_CHECKING:  # a voice that speaks without torch is in this package too
    from torch import Tensor

    from checkpoint import Weights


class FormatError(ValueError):
    """A file or folder of a voice is not what it should be."""


class FormatInfo(NamedTuple):
    """What a format can hold."""

    module: str  # below `formats`
    reads: bool
    writes: bool
    speakers: bool  # several, with their names
    discriminators: bool
    optimizers: bool
    symbols: str  # what of the text front-end goes along


FORMATS: dict[str, FormatInfo] = {
    "published": FormatInfo("published", True, True, True, True, True, "cleaners by name; the published table"),
    "mms": FormatInfo("mms", True, False, False, True, True, "vocab.txt: characters"),
    "huggingface": FormatInfo("huggingface", True, True, True, False, False, "vocab.json and tokenizer_config.json"),
    "coqui": FormatInfo("coqui", True, False, True, True, False, "config.json: characters or phonemes"),
    "piper-checkpoint": FormatInfo("piper_checkpoint", True, False, True, True, False, "config.json: phoneme_id_map"),
    "piper-onnx": FormatInfo("piper_onnx", True, False, True, False, False, "voice.onnx.json: phoneme_id_map"),
    "onnx": FormatInfo("onnx_voice", False, True, True, False, False, "voice.json: symbols, cleaners, language"),
    "onnx-streaming": FormatInfo("onnx_voice", False, True, True, False, False, "voice.json, as onnx"),
    "piper": FormatInfo("piper_voice", False, True, True, False, False, "voice.onnx.json: phoneme_id_map"),
    "torchscript": FormatInfo("torchscript", False, True, True, False, False, "voice.json, as onnx"),
    "sherpa-onnx": FormatInfo("sherpa", False, True, True, False, False, "tokens.txt; characters, or a lexicon"),
}
"""What is told apart when reading is tried in this order."""


# What a reader meets where a file of somebody else's has another type, shape or size than its format says.
_ODD = (ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError)


class ImportedVoice(NamedTuple):
    """A voice of somebody else, in our layout."""

    config: Config  # all that our own training and speaking need
    generator: dict[str, Tensor]  # our keys, which are the published ones
    discriminators: dict[str, Tensor] | None = None
    optimizers: dict[str, Any] | None = None  # {"generator": ..., "discriminators": ...}: torch's state dicts, in
    # which a number stands for the parameter that is at this place among ours
    step: int = 0
    notes: tuple[str, ...] = ()  # what the user should know, such as that a text must be romanised first
    data: str = ""  # what its makers say that it was trained on
    licence: str = ""  # and of the licence


class ExportResult(NamedTuple):
    """What was written, and what was checked of it."""

    files: list[Path]
    checks: tuple[str, ...] = ()  # such as "differs by 3e-07 at most from this project's sound"


def module_of(name: str) -> ModuleType:
    """The module of a format.

    Raises:
        FormatError: there is no such format.
    """
    if name not in FORMATS:
        raise FormatError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    return importlib.import_module(f"formats.{FORMATS[name].module}")


def recognise(path: Path) -> str:
    """The name of the format of a file or folder, by its content.

    Raises:
        FileNotFoundError: there is nothing.
        FormatError: it is none of those that can be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; expected a file or folder of somebody's voice")
    readable = [name for name, carries in FORMATS.items() if carries.reads]
    for name in readable:
        with contextlib.suppress(*_ODD):
            if module_of(name).recognises(path):
                return name
    if _is_ours(path):
        raise FormatError(f"{path} is a run or a release of this project already: use it as it is, such as python "
                          f"synthesize.py -m {path}")
    raise FormatError(f"{path} is of no format that is known here (found: {_contents(path)}); expected one of "
                      f"{', '.join(readable)}; say which with --from if you know")


def _is_ours(path: Path) -> bool:
    """Whether a file or folder is a run, a checkpoint or a release of this project."""
    import checkpoint

    try:
        checkpoint.read_weights(path)
    except (OSError, ValueError):
        return False
    return True


def _contents(path: Path) -> str:
    """What is in a folder or file, in a few words."""
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir())
        return ", ".join(names[:8] + ["..."] * bool(names[8:])) or "nothing"
    import checkpoint

    if path.suffix == ".onnx":
        taken = module_of("piper-onnx").inputs_of(path)
        ours = ", as python synthesize.py -m and OnnxVoice.load speak it" if "text_ids" in taken else ""
        return f"an ONNX graph that takes {', '.join(taken)}{ours}"
    try:
        content = checkpoint.load_foreign(path)
    except checkpoint.CheckpointError as error:
        return str(error)
    keys = ", ".join(map(str, list(content)[:8])) if isinstance(content, dict) else ""
    return f"a {type(content).__name__}{f' of {keys}' if keys else ''}"


def read(path: Path, config: Path | None = None, name: str | None = None) -> ImportedVoice:
    """A voice from a file or folder.

    Args:
        path: the file or the folder.
        config: its JSON, where it lies elsewhere than the format has it.
        name: of the format; None recognises it.

    Raises:
        FileNotFoundError: something is missing.
        FormatError: it is not what it should be.
    """
    name = name or recognise(path)
    try:
        return module_of(name).read(path, config)
    except _ODD as error:
        raise FormatError(f"{path} is not what {name} writes: {type(error).__name__}: {str(error)[:200]}") from error


def read_weights(path: Path, raw: bool = False) -> Weights:
    """The weights of a run, a checkpoint or a release of this project, or of an ONNX file that `read` reads.

    Args:
        path: of any of these.
        raw: see `checkpoint.read_weights`.

    Raises:
        FileNotFoundError: something is missing.
        ValueError: it cannot be read; FormatError of somebody else's file, CheckpointError of one of ours.
    """
    import checkpoint

    if path.suffix != ".onnx" or not path.is_file():
        return checkpoint.read_weights(path, raw)
    imported = read(path)
    return checkpoint.Weights(settings.to_dict(imported.config), imported.generator, None, imported.step, path)


def write(name: str, weights: Weights, folder: Path, words: Iterable[str] | None = None,
          quantise: Sequence[str] = ()) -> ExportResult:
    """A voice into a folder, which is made as needed and stays as it was until all of it is written.

    Args:
        name: of the format.
        weights: of the voice.
        folder: other files in it stay.
        words: what a lexicon shall hold; of sherpa-onnx only.
        quantise: kinds of narrower copies of voice.onnx; of onnx only.

    Raises:
        FormatError: the format cannot be written, or cannot carry this voice.
    """
    if name in FORMATS and not FORMATS[name].writes:
        raise FormatError(f"{name} can be read, not written; can be written: "
                          f"{', '.join(each for each, info in FORMATS.items() if info.writes)}")
    module = module_of(name)
    with staged(folder) as made:
        options = {} if words is None else {"words": words}
        if name == "onnx-streaming":
            options["streaming"] = True
        written = module.write(weights, made, **options)
        for kind in quantise:
            narrow = quantised(made / "voice.onnx", kind)
            written = ExportResult(written.files + narrow.files, written.checks + narrow.checks)
    return written._replace(files=[folder / file.name for file in written.files])


def quantised(file: Path, kind: str) -> ExportResult:
    """A copy of an ONNX voice with narrower weights; `formats.quantisation` has the kinds."""
    return importlib.import_module("formats.quantisation").quantised(file, kind)
