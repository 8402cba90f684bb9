"""Import and export of other projects' voices: a module for each format, and the table of what each supports.

    imported = read(Path("vits-ljs.pth"), config=Path("ljs_base.json"))      # the content decides the format
    written = write("huggingface", checkpoint.read_weights(run), Path("folder"))

A module has `recognises(path) -> bool` and `read(path, config) -> ImportedVoice` if it can be read, and
`write(weights, folder) -> ExportResult` if it can be written. Heavy imports are inside these functions.
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

if TYPE_CHECKING:  # the table is also read without torch
    from torch import Tensor

    from checkpoint import Weights


class FormatError(ValueError):
    """A file or folder of a voice does not have the expected format, or a format cannot hold a voice."""


class FormatInfo(NamedTuple):
    """What a format supports."""

    module: str  # below `formats`
    reads: bool
    writes: bool
    speakers: bool  # several, with their names
    discriminators: bool
    optimizers: bool
    symbols: str  # what of the text front-end is stored, and where


FORMATS: dict[str, FormatInfo] = {
    "published": FormatInfo("published", True, True, True, True, True, "cleaners by name; the published table"),
    "mms": FormatInfo("mms", True, False, False, True, True, "vocab.txt: characters"),
    "huggingface": FormatInfo("huggingface", True, True, True, False, False, "vocab.json and tokenizer_config.json"),
    "coqui": FormatInfo("coqui", True, False, True, True, False, "config.json: characters or phonemes"),
    "piper-checkpoint": FormatInfo("piper_checkpoint", True, False, True, True, False, "config.json: phoneme_id_map"),
    "onnx": FormatInfo("onnx_voice", True, True, True, False, False, "inside: the whole configuration"),
    "piper-onnx": FormatInfo("piper_onnx", True, False, True, False, False, "voice.onnx.json: phoneme_id_map"),
    "onnx-streaming": FormatInfo("onnx_voice", False, True, True, False, False, "voice.json, as onnx"),
    "piper": FormatInfo("piper_voice", False, True, True, False, False, "voice.onnx.json: phoneme_id_map"),
    "torchscript": FormatInfo("torchscript", False, True, True, False, False, "voice.json, as onnx"),
    "sherpa-onnx": FormatInfo("sherpa", False, True, True, False, False, "tokens.txt; characters, or a lexicon"),
}
"""All formats, in the order in which `recognise` tries them."""

# Errors of a reader for a file whose types, shapes or sizes are not those of its format.
_MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError)


class ImportedVoice(NamedTuple):
    """A voice of another project, converted to this one's configuration and tensor names."""

    config: Config
    generator: dict[str, Tensor]  # the published keys
    discriminators: dict[str, Tensor] | None = None
    optimizers: dict[str, Any] | None = None  # {"generator": ..., "discriminators": ...}: torch's state dicts,
    # which number the parameters in the order of this project's networks
    step: int = 0
    notes: tuple[str, ...] = ()  # for the user, such as that texts must be romanised first
    data: str = ""  # training data, as its authors state
    licence: str = ""  # as its authors state


class ExportResult(NamedTuple):
    """The files of an export, and the results of its checks."""

    files: list[Path]
    checks: tuple[str, ...] = ()  # such as "differs by 3e-07 at most from this project's sound"


def module_of(name: str) -> ModuleType:
    """The module of a format.

    Raises:
        FormatError: an unknown format.
    """
    if name not in FORMATS:
        raise FormatError(f"unknown format {name!r}; expected one of {', '.join(FORMATS)}")
    return importlib.import_module(f"formats.{FORMATS[name].module}")


def recognise(path: Path) -> str:
    """The name of the format of a file or folder, by its content.

    Raises:
        FileNotFoundError: there is no such file or folder.
        FormatError: it is of no format that can be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; expected a file or folder of a voice")
    readable = [name for name, info in FORMATS.items() if info.reads]
    for name in readable:
        with contextlib.suppress(*_MALFORMED):
            if module_of(name).recognises(path):
                return name
    if _is_ours(path):
        raise FormatError(f"{path} is a run or a release of this project already: use it as it is, such as python "
                          f"synthesize.py -m {path}")
    raise FormatError(f"{path} has an unknown format (found: {_contents(path)}); expected one of "
                      f"{', '.join(readable)}; give it with --from if you know it")


def _is_ours(path: Path) -> bool:
    """Whether a file or folder is a run, a checkpoint or a release of this project."""
    import checkpoint

    try:
        checkpoint.read_weights(path)
    except (OSError, ValueError):
        return False
    return True


def _contents(path: Path) -> str:
    """A short description of a folder's or file's content."""
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
    """Read a voice of another project.

    Args:
        path: the file or the folder.
        config: its JSON, if that is not at the usual place.
        name: of the format; None recognises it.

    Raises:
        FileNotFoundError: a file is missing.
        FormatError: the content does not have the format.
    """
    name = name or recognise(path)
    try:
        return module_of(name).read(path, config)
    except _MALFORMED as error:
        raise FormatError(f"{path} is not what {name} writes: {type(error).__name__}: {str(error)[:200]}") from error


def read_weights(path: Path, raw: bool = False) -> Weights:
    """The weights of a run, a checkpoint or a release of this project, or of an ONNX file that `read` reads.

    Args:
        path: of any of these.
        raw: see `checkpoint.read_weights`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: it cannot be read: FormatError or, for this project's files, CheckpointError.
    """
    import checkpoint

    if path.suffix != ".onnx" or not path.is_file():
        return checkpoint.read_weights(path, raw)
    imported = read(path)
    return checkpoint.Weights(settings.to_dict(imported.config), imported.generator, None, imported.step, path)


def write(name: str, weights: Weights, folder: Path, words: Iterable[str] | None = None,
          quantise: Sequence[str] = ()) -> ExportResult:
    """Write a voice in another format; `folder` changes only once all files are complete.

    Args:
        name: of the format.
        weights: of the voice.
        folder: made if needed; other files in it stay.
        words: for the lexicon; sherpa-onnx only.
        quantise: kinds of quantised copies of voice.onnx; onnx only.

    Raises:
        FormatError: the format cannot be written, or cannot hold this voice.
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
    """Write a copy of an ONNX voice with quantised weights; see `formats.quantisation` for the kinds."""
    return importlib.import_module("formats.quantisation").quantised(file, kind)
