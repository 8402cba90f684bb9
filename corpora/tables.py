"""Tables of utterances: separators, quotes, header rows, comments, and the roles of the columns.

    table = read_table(Path("metadata.csv"))
    roles = roles_of(table, names_audio)      # ("id", "text", "speaker"), decided over all rows

Roles are inferred from all rows: a column of numbers is a length or a speaker's number, one of few repeated values a
speaker or a language, one similar to the text the normalised text. If that fails, the error describes the columns.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from corpora.filelists import FilelistError, numbered_rows

ROLES = ("id", "text", "normalised", "speaker", "language", "seconds", "start", "end", "-")
# Names of each role in header rows and manifests, most usual first.
NAMES = {
    "id": ("file_name", "filename", "audio_file", "audio_filepath", "audio_path", "audio", "wav_path", "wav_file",
           "wav_filename", "wav", "path", "file_path", "filepath", "file", "clip", "file_id", "utterance_id", "utt_id",
           "utt", "utterance", "key", "id", "name", "datei"),
    "text": ("text", "sentence", "transcript", "transcription", "raw_text", "original_text", "raw_transcription",
             "content", "prompt", "satz", "inhalt", "transkript", "texte", "texto", "testo", "utterance_text"),
    "normalised": ("normalised", "normalized", "normalized_text", "normalised_text", "text_normalized",
                   "text_normalised", "normalized_transcript", "norm_text", "clean_text", "cleaned_text"),
    "speaker": ("speaker", "speaker_id", "speaker_name", "client_id", "spk", "spk_id", "reader", "reader_id", "voice",
                "speaker_label", "participant", "sprecher"),
    "language": ("language", "lang", "locale", "lang_id", "language_id"),
    "seconds": ("duration", "seconds", "length", "duration_ms", "audio_duration", "n_chars", "char_count",
                "dauer", "länge"),
    "start": ("start", "start_time", "begin", "begin_time", "start_ms", "begin_ms", "starttime", "offset", "anfang",
              "beginn", "startzeit", "von", "debut", "début", "inicio", "inizio"),
    "end": ("end", "end_time", "stop", "stop_time", "end_ms", "endtime", "ende", "endzeit", "bis", "fin",
            "fine"),
}
ROLE_OF = {name: role for role, names in NAMES.items() for name in names}
_LANGUAGES = frozenset("af ar be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy id is it "
                       "ja ka kk kn ko la lb lt lv mk ml mr ms mt nb ne nl nn no pa pl ps pt ro ru sk sl sq sr sv sw "
                       "ta te th tr uk ur uz vi yo zh".split())
# Values of columns that are repeated labels but no speakers.
_LABELS = {
    "gender": frozenset("m f male female man woman männlich weiblich w mann frau masculine feminine other divers "
                        "male_masculine female_feminine".split()),
    "split": frozenset("train training dev val valid validation test eval".split()),
    "emotion": frozenset("neutral happy happiness sad sadness angry anger fear fearful afraid disgust disgusted "
                         "surprise surprised calm bored boredom amused sleepy sleepiness excited excitement contempt "
                         "joy whisper whispering shouting fröhlich glücklich traurig wütend ängstlich freude trauer "
                         "wut ärger angst ekel überraschung gelangweilt langeweile ruhig begeistert".split()),
    "quality": frozenset("true false yes no ok good bad clean noisy nein gut schlecht wahr falsch".split()),
    "age": frozenset("teens twenties thirties fourties forties fifties sixties seventies eighties nineties child "
                     "adult young old".split()),
}
_SHOWN_VALUES = 5
_FEW_ROWS = 4  # with fewer, repetition of values says nothing
_SAMPLED = 200  # rows that are compared
_LONGEST_FIELD = 20  # lines of a quoted field that breaks lines


class Table(NamedTuple):
    """Rows of columns with their places."""

    path: Path
    separator: str
    rows: list[tuple[str, list[str]]]  # ("file:number", columns)
    header: list[str]  # lower-case names; empty where there are none
    width: int  # columns that most rows have

    @property
    def full(self) -> list[list[str]]:
        """The rows that have no column too many, filled up with empty ones."""
        return [row + [""] * (self.width - len(row)) for _, row in self.rows if len(row) <= self.width]


def read_table(path: Path, most_rows: int | None = None) -> Table:
    """Read a table; separator, quotes and header are recognised, comments are left out.

    Args:
        path: UTF-8 text.
        most_rows: read at most this many rows.

    Raises:
        FilelistError: it is not UTF-8.
    """
    lines = [line for line, _ in zip(numbered_rows(path), range(most_rows or 1 << 62))]
    hashed = sum(row.startswith("#") for _, row in lines)
    separator = _separator([row for _, row in lines])
    rows = _quoted_rows(lines, separator) if separator in ",;" else _split_rows(lines, separator)
    header = _header(rows[0][1]) if rows else []
    rows = [(place, row) for place, row in rows[bool(header):] if 2 * hashed > len(lines) or not row[0].startswith("#")]
    counts = Counter(len(row) for _, row in rows)
    width = len(header) or max(counts, key=lambda count: (counts[count], count > 1, -count), default=0)
    return Table(path, separator, rows, header, width)


def parse_columns(columns: str | None) -> tuple[str, ...]:
    """Parse the roles of `--columns id,speaker,text`.

    Raises:
        ValueError: an unknown role, or id or text is missing.
    """
    if not columns:
        return ()
    others = {"path": "id", "file": "id", "audio": "id", "normalized": "normalised"}
    roles = tuple(others.get(name, name) for name in map(str.strip, columns.split(",")))
    unknown = [role for role in roles if role not in ROLES]
    twice = [role for role in ROLES[:-1] if roles.count(role) > 1]
    if unknown or twice or "id" not in roles or not {"text", "normalised"} & set(roles):
        raise ValueError(f"--columns {columns}: expected a name for each column, once each, of {', '.join(ROLES)}, "
                         "with id (the audio file) and text among them; - is left out")
    return roles


def roles_of(table: Table, names_audio: Callable[[str], bool], given: Sequence[str] = ()) -> tuple[str, ...]:
    """The role of each column: as given, or by the header, or inferred from the values.

    Args:
        table: all rows of a list.
        names_audio: whether a value is the name of an existing audio file.
        given: roles by the user, none to infer them.

    Raises:
        FilelistError: the roles are ambiguous; the message describes the columns.
    """
    if given and len(given) != table.width:
        raise FilelistError([f"{table.path}: --columns names {len(given)} columns, most lines have {table.width}"])
    if given or table.width < 2:
        return tuple(given) or ("id",)
    columns = [_Column(list(values)) for values in zip(*table.full)] or [_Column([])] * table.width
    roles = _roles_by_header(table.header, columns, names_audio) if table.header else \
        _roles_by_values(columns, names_audio)
    if "id" not in roles or not {"text", "normalised"} & set(roles):
        raise FilelistError([_undecided(table, columns, names_audio)])
    return roles


def notes_of(table: Table, roles: Sequence[str]) -> tuple[str, ...]:
    """Notes on the inferred roles, with the values of columns of speakers and of unused columns."""
    columns = [_Column(list(values)) for values in zip(*table.full)]
    if len(columns) != len(roles):
        return ()
    shown = [("audio" if role == "id" else role) + (f" ({column.few_values})" if role in ("speaker", "language", "-")
                                                    and column.filled else "") for role, column in zip(roles, columns)]
    notes = [f"columns: {', '.join(shown)}"]
    for place, (role, column) in enumerate(zip(roles, columns)):
        label = _label_of(column)
        if role == "-" and label and "speaker" not in roles:
            named = ",".join([*roles[:place], "speaker", *roles[place + 1:]])
            notes.append(f"column {place + 1} ({column.few_values}) is taken for the {label} and left out; if "
                         f"these are speakers, add --columns {named}")
    return tuple(notes)


def _label_of(column: _Column) -> str:
    """The kind of label of a column (gender, split, ...) if all its values are of one kind; else empty."""
    values = {value.casefold() for value in column.filled}
    return next((label for label, known in _LABELS.items() if values and values <= known), "")


class _Column:
    """The values of a column with their statistics."""

    def __init__(self, values: list[str]):
        self.values = values
        filled = [value for value in values if value]
        self.filled = filled
        self.distinct = len(set(filled))
        self.repeats = bool(filled) and 2 * self.distinct <= len(filled)
        self.is_number = bool(filled) and all(map(is_number, filled))
        self.is_whole = bool(filled) and all(value.isascii() and value.isdecimal() for value in filled)
        self.words = sum(len(value.split()) for value in filled) / max(1, len(filled))
        self.characters = sum(map(len, filled)) / max(1, len(filled))

    @property
    def is_label(self) -> bool:
        """Whether the values are labels: each in several rows, or single words if there are few rows."""
        return self.repeats or (len(self.filled) < _FEW_ROWS and self.words == 1)

    @property
    def few_values(self) -> str:
        """The number of different values, and the first of them."""
        values = list(dict.fromkeys(self.filled))
        return f"{len(values)}: {', '.join(values[:_SHOWN_VALUES])}{', ...' if len(values) > _SHOWN_VALUES else ''}"

    def resembles(self, other: _Column) -> bool:
        """Whether the rows of two columns share words or, in scripts without spaces, pairs of characters."""
        pairs = [(one, two) for one, two in zip(self.values, other.values) if one and two][:_SAMPLED]
        parts = str.split if max(self.words, other.words) >= 1.5 else _pairs
        shares = [_overlap(parts(_plain(one)), parts(_plain(two))) for one, two in pairs]
        return bool(shares) and sum(shares) / len(shares) >= 0.4

    def describe(self) -> str:
        """A description of the values, with an example."""
        if not self.filled:
            return "empty"
        what = "numbers" if self.is_number else "sentences" if self.words >= 2 else "single words"
        return f"{self.distinct} different {what}, such as {self.filled[0][:40]!r}"


def _roles_by_header(header: Sequence[str], columns: Sequence[_Column], names_audio: Callable[[str], bool],
                     ) -> tuple[str, ...]:
    """Roles by header: of several columns with one role the most usual name wins; for audio, existing files do."""
    roles = [ROLE_OF.get(name, "-") for name in header]
    for role in set(roles) - {"-"}:
        places = [place for place, each in enumerate(roles) if each == role]
        best = min(places, key=lambda place: (
            -_share(columns[place].values, names_audio) if role == "id" else 0, NAMES[role].index(header[place])))
        for place in places:
            roles[place] = role if place == best else "-"
    return tuple(roles)


def _roles_by_values(columns: Sequence[_Column], names_audio: Callable[[str], bool]) -> tuple[str, ...]:
    """Roles of columns without a header; "?" if ambiguous."""
    shares = [_share(column.values, names_audio) for column in columns]
    audio = 0 if shares[0] >= 0.5 or max(shares) == 0 else shares.index(max(shares))
    roles = ["-" if not column.filled else "?" for column in columns]
    roles[audio] = "id"
    others = [place for place, role in enumerate(roles) if role == "?"]
    texts = [place for place in others if not columns[place].is_number] or others
    for place in [place for place in texts[1:] if columns[place].values == columns[texts[0]].values]:
        texts.remove(place)  # the same text again
        others.remove(place)
        roles[place] = "-"
    if len(texts) > 1 and all(columns[place].is_label and columns[place].words < 2 for place in texts):
        # Repeated single words beside names: only the order of filelists tells which is which.
        is_filelist = len(columns) == 3 and _share(columns[audio].values, _has_ending) >= 0.5
        return ("id", "speaker", "text") if is_filelist and audio == 0 else tuple(roles)
    new = [place for place in texts if not columns[place].repeats] or texts
    text = max(new, key=lambda place: (columns[place].words >= 2, columns[place].characters), default=None)
    if text is None:
        return tuple(roles)
    roles[text] = "text"
    alike = [place for place in texts if place == text or columns[place].resembles(columns[text])]
    for place, role in zip(sorted(alike), ("text", "normalised", *("-",) * len(alike))):
        roles[place] = role
    for place in others:
        if roles[place] == "?":
            roles[place] = _minor_role(columns[place], columns[text], is_before=place < text)
    if len(columns) == 3 and roles[1:] in (["text", "?"], ["?", "text"]) and len(columns[1].filled) < _FEW_ROWS:
        roles[1:] = ["text", "normalised"]  # as LJSpeech: so few rows need not resemble each other
    if "?" in roles or roles.count("speaker") > 1:
        roles = ["?" if role in ("speaker", "text") else role for role in roles]
    return tuple(roles)


def _minor_role(column: _Column, text: _Column, is_before: bool) -> str:
    """The role of a column that is neither audio nor text."""
    if column.is_number:
        return "speaker" if _are_speakers(column, text, is_before) else "seconds"
    are_sentences = 2 * sum(value.endswith((".", "?", "!", "…", "。")) for value in column.filled) > len(column.filled)
    # A column with empty cells, or of sentences, is part of a text.
    if not column.is_label or len(column.filled) < len(column.values) or are_sentences:
        return "?"
    if _label_of(column):
        return "-"
    codes = {value.lower().replace("_", "-").split("-")[0] for value in column.filled}
    return "language" if codes <= _LANGUAGES and column.words == 1 else "speaker"


def _are_speakers(column: _Column, text: _Column, is_before: bool) -> bool:
    """Whether a column of numbers has speakers, not lengths, which correlate with the text's length."""
    if not column.is_whole:
        return False
    if column.distinct == 1 or len(column.filled) < _FEW_ROWS:
        return is_before
    lengths = [len(value) for value in text.values]
    numbers = [float(value or 0) for value in column.values]
    grows = len(set(lengths)) > 1 and abs(np.corrcoef(numbers, lengths)[0, 1]) > 0.7
    return column.repeats and not grows


def _undecided(table: Table, columns: Sequence[_Column], names_audio: Callable[[str], bool]) -> str:
    looks = [f"{place} has {column.describe()}" for place, column in enumerate(columns, start=1)]
    named = f" (its header: {', '.join(table.header)})" if table.header else ""
    quotes = " that has one, in double quotes" if table.separator in ",;" else " that has one, without it"
    message = (f"{table.path}: what its {len(columns)} columns are cannot be determined{named}: column "
               f"{'; '.join(looks)}; a {table.separator!r} inside a text counts as a separator: write each "
               f"text{quotes}")
    if _separates_words(table):
        return message
    audio = max(range(len(columns)), key=lambda place: (_share(columns[place].values, names_audio), -place))
    text = max((place for place in range(len(columns)) if place != audio), key=lambda place: columns[place].characters)
    example = ",".join({audio: "id", text: "text"}.get(place, "-") for place in range(len(columns)))
    return (f"{message}; or name each of them with --columns, for example --columns {example}; the names are "
            f"{', '.join(ROLES)}")


def _separates_words(table: Table) -> bool:
    """Whether the separator seems to occur within texts, so that the columns are wrong.

    Rows have different numbers of it, or a space follows it wherever it is not the first.
    """
    if table.separator == "\t":
        return False
    behind = [cell for _, row in numbered_rows(table.path) for cell in row.split(table.separator)[2:]]
    is_spaced = bool(behind) and 2 * sum(cell.startswith(" ") for cell in behind) > len(behind)
    return is_spaced or len({len(row) for _, row in table.rows}) > 1


def _separator(rows: Sequence[str]) -> str:
    """The separator of a table: a bar or tab if most rows have one, else the comma or semicolon that comes first."""
    for mark in "|\t":
        if 2 * sum(mark in row for row in rows) > len(rows):
            return mark
    named = next((mark for mark in ",;" if rows and _header(rows[0].split(mark))), None)
    if named is not None:
        return named
    firsts = Counter(";" if re.match(r"\d+,\d+;", row) else  # 0,5;1,25;Text
                     min((row.find(mark), mark) for mark in ",;" if mark in row)[1]
                     for row in rows if "," in row or ";" in row)
    mark = max(firsts, key=firsts.get, default="|")
    return mark if 2 * firsts[mark] > len(rows) else "|"


def _split_rows(lines: Sequence[tuple[str, str]], separator: str) -> list[tuple[str, list[str]]]:
    """Rows without CSV quoting, as LJSpeech's; quotes are removed only if a program has written them."""
    rows = [(place, [cell.strip() for cell in row.split(separator)]) for place, row in lines]
    quoted = sum(len(row) > 1 and all(_is_quoted(cell) for cell in row if cell) for _, row in rows)
    everywhere = separator == "\t" or 2 * quoted > len(rows)
    return [(place, [_unquoted(cell, everywhere) for cell in row]) for place, row in rows]


def _is_quoted(cell: str) -> bool:
    """Whether a cell has quotes around it, and only doubled quotes inside."""
    return len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")


def _unquoted(cell: str, everywhere: bool) -> str:
    is_written = _is_quoted(cell) and (everywhere or '""' in cell[1:-1])
    return cell[1:-1].replace('""', '"').strip() if is_written else cell


def _quoted_rows(lines: Sequence[tuple[str, str]], separator: str) -> list[tuple[str, list[str]]]:
    """Rows by CSV quoting; a field with a line break continues on the next line."""
    rows, number = [], 0
    while number < len(lines):
        place, text = lines[number]
        following = number + 1
        while text.count('"') % 2 and following < min(len(lines), number + _LONGEST_FIELD):
            text = f"{text} {lines[following][1]}"
            following += 1
        if text.count('"') % 2:  # an unclosed quote is an inch sign or a mistake
            text, following = lines[number][1], number + 1
            cells = text.split(separator)
        else:
            cells = next(csv.reader([text], delimiter=separator, skipinitialspace=True))
        rows.append((place, [cell.strip() for cell in cells]))
        number = following
    return rows


def _header(row: Sequence[str]) -> list[str]:
    """Column names in lower case if the row is a header; else empty."""
    names = [cell.lower().lstrip("#").strip().replace(" ", "_").replace("-", "_") for cell in row]
    roles = [ROLE_OF.get(name) for name in names]
    is_header = "id" in roles and len(set(roles) - {None}) > 1 or (
        {"start", "text"} <= set(roles) and bool({"end", "seconds"} & set(roles)))
    return names if is_header else []


def read_json_rows(path: Path) -> list[tuple[str, dict]]:
    """The objects of a JSON manifest with their places: one a line, or all in one list.

    Raises:
        FilelistError: a line is not JSON.
    """
    lines = list(numbered_rows(path))
    if lines and (lines[0][1].startswith("[") or path.suffix.lower() == ".json" and not _is_row(lines[0][1])):
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (json.JSONDecodeError, RecursionError) as error:
            raise FilelistError([f"{path} is not JSON: {error}"]) from None
        return [(f"{path}:{number}", row) for number, row in enumerate(_objects(content), start=1)
                if isinstance(row, dict)]
    rows, faults = [], []
    for place, line in lines:
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            faults.append(f"{place}: is not JSON: {error}")
            continue
        if isinstance(row, dict):
            rows.append((place, row))
        else:
            faults.append(f"{place}: found {type(row).__name__}, expected an object")
    if faults:
        raise FilelistError(faults)
    return rows


def _is_row(line: str) -> bool:
    """Whether a line is an object with an audio file, as in a file of one object a line."""
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return False
    return isinstance(row, dict) and bool(value_of(row, "id"))


def _objects(content: object) -> list:
    """The objects in a manifest: a list, a list in an object, or an object of {audio: text} or {audio: {...}}."""
    if not isinstance(content, dict):
        return content if isinstance(content, list) else []
    if value_of(content, "id"):
        return [content]
    rows = next((value for value in content.values() if isinstance(value, list)), None)
    return rows if rows is not None else [
        {"text": value, "id": name} if isinstance(value, str) else {**value, "id": name}
        for name, value in content.items() if isinstance(value, (str, dict))]


def value_of(row: dict, role: str) -> str:
    """The value of a manifest's object for a role, as text; empty if it has none."""
    lower = {key.lower(): value for key, value in row.items()}
    return next((str(lower[name]).strip() for name in NAMES[role] if lower.get(name) not in (None, "")), "")


def _share(values: Sequence[str], test: Callable[[str], bool]) -> float:
    """Share of a sample of the values that pass a test."""
    step = max(1, len(values) // 50)
    some = values[::step]
    return sum(map(test, some)) / max(1, len(some))


def _has_ending(value: str) -> bool:
    return 2 < len(value.rpartition(".")[2]) < 5 and "." in value and " " not in value.rpartition(".")[2]


def is_number(value: str) -> bool:
    """Whether a cell is a finite number, with a decimal point or comma."""
    try:
        return bool(np.isfinite(float(value.replace(",", "."))))
    except ValueError:
        return False


def _plain(text: str) -> str:
    """The text case-folded, with spaces for all but letters and digits."""
    return "".join(character if character.isalnum() else " " for character
                   in unicodedata.normalize("NFKC", text).casefold())


def _pairs(text: str) -> list[str]:
    text = "".join(text.split())
    return [text[place:place + 2] for place in range(max(1, len(text) - 1))]


def _overlap(one: Sequence[str], two: Sequence[str]) -> float:
    shared = sum((Counter(one) & Counter(two)).values())
    return shared / max(1, min(len(one), len(two)))
