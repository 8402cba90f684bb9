"""Reading of text files: UTF-8 with or without a byte order mark, or UTF-16 with one.

    text = read_text("book.txt")
"""

from __future__ import annotations

import codecs
from pathlib import Path


def read_text(path: str | Path) -> str:
    """Read a text file; see `decoded`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is in another encoding, with the line.
    """
    return decoded(Path(path).read_bytes(), str(path))


def decoded(content: bytes, name: str) -> str:
    """Bytes of a text file as text, without the byte order mark.

    Args:
        content: of the whole file.
        name: of the file, for messages.

    Raises:
        ValueError: it is in another encoding; with the file, the line and the byte.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding, shown = "utf-16", "UTF-16, as its first bytes say"
    else:
        encoding, shown = "utf-8-sig", "UTF-8"
        if b"\0" in content:
            line = content.count(b"\n", 0, content.index(b"\0")) + 1
            raise ValueError(f"{name}:{line}: this is not UTF-8 text, for it has a byte 0x00; save the file as UTF-8 "
                             "(it may be in UTF-16 without a byte order mark)")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name}:{line}: this is not {shown}; save the file in that encoding (byte "
                         f"{content[error.start]:#04x} cannot be read; text in Latin-1 is converted by iconv -f LATIN1 "
                         "-t UTF-8)") from None
