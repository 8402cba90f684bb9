"""Metadata tables and JSON manifests: which file of a folder is one, and the utterances in it.

    found = read_listed(Path("LJSpeech-1.1/metadata.csv"), Path("LJSpeech-1.1"))
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from corpora.audio_files import AudioFiles
from corpora.filelists import FilelistError
from corpora.scan import ENDINGS, BadRow, LayoutContent, SourceUtterance, counted, utterance_id
from corpora.tables import Table, notes_of, read_json_rows, read_table, roles_of, value_of

USUAL_LISTS = ("metadata.csv", "metadata.txt", "metadata.tsv", "metadata.jsonl", "metadata.json", "validated.tsv")
MOST_LISTS = 200  # text files of a folder that are searched
_LIST_ENDINGS = (".csv", ".tsv", ".txt", ".list", ".lst", ".psv", ".json", ".jsonl")
_PREVIEWED = 30  # lines of each


def read_listed(path: Path, folder: Path, columns: Sequence[str], is_whole: bool = True) -> LayoutContent:
    """Read a table or manifest whose audio lies in `folder`; `columns` are its roles, none to infer them."""
    files = AudioFiles(folder, is_whole)
    if path.suffix.lower() in (".json", ".jsonl"):
        if columns:
            raise ValueError(f"--columns: {path} is JSON and has no columns; leave the option out")
        found = _of_objects(read_json_rows(path), files)
    else:
        found = _of_table(read_table(path), files, columns)
    return found._replace(sources=_without_common_folder(found.sources))


def _of_table(table: Table, files: AudioFiles, columns: Sequence[str]) -> LayoutContent:
    roles = roles_of(table, files.has, columns)
    order = "|".join("audio" if role == "id" else role for role in roles)
    needed = 1 + max([roles.index(role) for role in ("id", "text", "speaker", "start", "end") if role in roles])
    advice = "the columns are separated by tabs" if table.separator == "\t" else \
        f"a {table.separator!r} inside a text counts as a separator"
    advice += ", but not in double quotes" if table.separator in ",;" else ""
    expected = f"{table.width} ({order}); {advice}" if table.width > 1 else \
        "audio|text; the columns are separated by |, tabs, commas or semicolons"
    sources, bad_rows = [], []
    for place, row in table.rows:
        cells = dict(zip(roles, row))
        empty = [role for role in ("id", "speaker") if role in roles and not cells.get(role)]
        if len(row) > table.width or len(row) < min(needed, table.width) or empty or table.width < 2:
            named = f", the {' and the '.join(empty)} empty" if empty and len(row) == table.width else ""
            bad_rows.append(BadRow(place, f"{counted(len(row), 'column')}{named}", expected))
            continue
        text, times = cells.get("normalised") or cells.get("text", ""), (cells.get("start"), cells.get("end"))
        sources += _source(cells["id"], cells.get("speaker"), text, times, place, files, bad_rows)
    return LayoutContent(sources, bad_rows, notes_of(table, roles))


def _of_objects(rows: Iterable[tuple[str, dict]], files: AudioFiles) -> LayoutContent:
    """Utterances of a manifest (NeMo, Hugging Face or similar): an audio file and a text in each object."""
    sources, bad_rows = [], []
    for place, row in rows:
        name, text = value_of(row, "id"), value_of(row, "normalised") or value_of(row, "text")
        if not name:
            bad_rows.append(BadRow(place, f"the keys {', '.join(row)}", "audio_filepath or file_name, and text"))
            continue
        start, end, length = (value_of(row, role) for role in ("start", "end", "seconds"))
        sources += _source(name, value_of(row, "speaker") or None, text, (start, end or length and f"+{length}"), place,
                           files, bad_rows)
    return LayoutContent(sources, bad_rows)


def _without_common_folder(sources: list[SourceUtterance]) -> list[SourceUtterance]:
    """Shorten ids of absolute paths by the folder that they have in common, if the ids stay unique."""
    far = [os.path.isabs(source.origin) and source.id.startswith(utterance_id(source.origin)) for source in sources]
    folders = [os.path.dirname(source.id) for source, is_far in zip(sources, far) if is_far]
    common = os.path.commonpath(folders) if folders else ""
    ids = [source.id[len(common):].lstrip("/") if is_far else source.id for source, is_far in zip(sources, far)]
    if not common or len(set(ids)) < len({source.id for source in sources}):
        return sources
    return [source._replace(id=name) for source, name in zip(sources, ids)]


def _source(name: str, speaker: str | None, text: str, times: tuple[str | None, str | None], place: str,
            files: AudioFiles, bad_rows: list[BadRow]) -> list[SourceUtterance]:
    """The utterance of a line; one with invalid times goes to `bad_rows`. An end of "+2.5" is a length."""
    audio = files.find(name)
    utterance = utterance_id(files.relative(name, audio))
    if not all(times):
        return [SourceUtterance(utterance, audio, speaker, text, place)]
    try:
        start, end = (float(time.replace(",", ".")) for time in times)
        end += start if times[1].startswith("+") else 0
        if not 0 <= start < end:
            raise ValueError
    except ValueError:
        bad_rows.append(BadRow(place, f"times {times[0]} to {times[1]}", "a start and a later end in seconds"))
        return []
    return [SourceUtterance(f"{utterance}_{round(1000 * start):07d}", audio, speaker, text, place, (start, end))]


def lists_in(folder: Path) -> list[Path]:
    """The text files of a folder that list its audio."""
    if not folder.is_dir():
        return []
    entries = sorted(folder.iterdir())
    audio = {path.stem for path in entries if path.suffix.lower() in ENDINGS}
    files = AudioFiles(folder)
    texts = [path for path in entries if path.suffix.lower() in _LIST_ENDINGS and path.is_file()
             and path.stem not in audio and Path(path.stem).stem not in audio]
    return [path for path in texts[:MOST_LISTS] if names_audio(path, files)]


def names_audio(path: Path, files: AudioFiles, within: Path | None = None) -> bool:
    """Whether a file lists audio that exists (below `within` if given), with texts; decided by its first lines."""
    try:
        if path.suffix.lower() in (".json", ".jsonl"):
            rows = [row for _, row in read_json_rows(path)[:_PREVIEWED]
                    if value_of(row, "text") or value_of(row, "normalised")]
            columns, width = [[value_of(row, "id") for row in rows]], 2
        else:
            table = read_table(path, most_rows=_PREVIEWED)
            columns, width = list(zip(*table.full)), table.width
    except FilelistError:
        return False
    counts = [sum(_is_within(name, files, within) for name in column) for column in columns]
    return width > 1 and bool(columns) and 2 * max(counts) >= len(columns[0]) > 0


def _is_within(name: str, files: AudioFiles, within: Path | None) -> bool:
    """Whether a name means an existing file, below `within` if given."""
    return files.has(name) and (within is None or Path(files.find(name)).resolve().is_relative_to(within.resolve()))


def list_in(folder: Path) -> Path | None:
    """The list of a folder's utterances: one of a usual name, or the only one."""
    usual = next((folder / name for name in USUAL_LISTS if (folder / name).is_file()), None)
    if usual is not None:
        return usual
    lists = [path for path in lists_in(folder) if not why_undecided(path)]
    return lists[0] if len(lists) == 1 else None


def why_undecided(path: Path) -> str:
    """Why the roles of a list's columns cannot be determined; empty if they can."""
    if path.suffix.lower() not in (".json", ".jsonl"):
        try:
            roles_of(read_table(path, most_rows=MOST_LISTS), AudioFiles(path.parent).has)
        except FilelistError as error:
            return str(error)
    return ""
