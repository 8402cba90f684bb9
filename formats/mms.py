"""Import of MMS-TTS, Meta's voices of 1,100 languages: published G_100000.pth and config.json, with vocab.txt.

    imported = read(Path("ron"), config=None)       # a language's folder
    imported.notes                                  # such as that texts must be romanised first (uroman)

A line of vocab.txt is a symbol, its number the id. Row 0 is the blank and may also be a letter. Texts are lowercased,
and characters that are not in vocab.txt are dropped. Where it has no digits, numbers are written as words before, in
the languages of text.normalisation (data.text_cleaners begins with normalised).
"""

from __future__ import annotations

from pathlib import Path

import checkpoint
from checkpoint import CheckpointError
from formats import FormatError, ImportedVoice, published
from formats.import_helpers import placeholder, read_json
from text.normalisation import reads_numbers
from text.symbols import SymbolTable

VOCABULARY = "vocab.txt"
ROMANISED = (".uroman", "its texts were romanised before training (data.training_files ends in .uroman): the cleaner "
             "uroman does it with the library of that name, pip install uroman")


def recognises(path: Path) -> bool:
    """Whether a file is a generator with a vocab.txt beside it, or a folder has both."""
    file = published.newest(path)
    if file is None or not file.with_name(VOCABULARY).is_file():
        return False
    try:
        return published.is_generator(checkpoint.load_foreign(file))
    except CheckpointError:
        return False


def read(path: Path, config: Path | None) -> ImportedVoice:
    """Read the voice, with its discriminators if they are beside it.

    Args:
        path: a language's folder, named by its ISO 639-3 code, or the generator's file in it.
        config: its JSON; None takes config.json beside it.

    Raises:
        FileNotFoundError: a file is missing.
        FormatError: the weights are not what configuration and vocab.txt describe.
    """
    files = published.find(path, config)
    vocabulary = files.generator.with_name(VOCABULARY)
    if not vocabulary.is_file():
        raise FileNotFoundError(f"no {vocabulary}; expected the voice's characters, one in each line")
    tree = read_json(files.config)
    data = tree.get("data")
    if not isinstance(data, dict):
        raise FormatError(f"{files.config} has no section data; expected the config.json of an MMS voice")
    language = files.generator.resolve().parent.name
    data.update(symbols=symbols_of(vocabulary), language=language)
    data["text_cleaners"] = [*(["normalised"] if reads_numbers(language, data["symbols"]) else []), "mms_cleaners"]
    is_romanised = str(data.get("training_files", "")).endswith(ROMANISED[0])
    if is_romanised:
        data["text_cleaners"].insert(-1, "uroman")
    imported = published.read_files(files, tree)
    return imported._replace(notes=imported.notes + (ROMANISED[1],) * is_romanised)


def symbols_of(vocabulary: Path) -> list[str]:
    """The symbol of each row; a placeholder for a row that is empty, several characters, or repeated below.

    Raises:
        FormatError: the file is empty.
    """
    rows = vocabulary.read_text(encoding="utf-8").split("\n")
    rows = rows[:-1] if rows[-1] == "" else rows
    if not rows:
        raise FormatError(f"{vocabulary} is empty; expected the voice's characters, one in each line")
    last = {symbol: row for row, symbol in enumerate(rows)}
    symbols = [symbol if len(symbol) == 1 and last[symbol] == row else placeholder(row)
               for row, symbol in enumerate(rows)]
    return list(SymbolTable(str(vocabulary), tuple(symbols)).symbols)
