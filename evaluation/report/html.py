"""Makes HTML pages that are one file each: style, scripts, pictures and sound inside, nothing fetched from anywhere.

    body = tag("h1", "5 < 6")                       # strings are escaped, what tag() makes is not escaped again
    write_page(Path("page.html"), "A page", body, scripts=("players.js",))
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from utils import write_text_atomic

HERE = Path(__file__).resolve().parent

_VOID = {"img", "input", "meta", "br", "col"}  # elements that have no end tag


class Markup(str):
    """Text that is HTML already."""


def tag(name: str, *children: str | None, **attributes: Any) -> Markup:
    """One HTML element.

    Args:
        name: of the element.
        children: text, which is escaped, or Markup, which is not; None is left out.
        attributes: `class_` stands for class, an underscore within a name for a hyphen; True gives the bare name,
            None and False leave the attribute out.
    """
    pieces = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            pieces.append(attribute)
        elif value is not None and value is not False:
            pieces.append(f'{attribute}="{html.escape(str(value))}"')
    start = f"<{' '.join(pieces)}>"
    return Markup(start if name in _VOID else f"{start}{join(children)}</{name}>")


def join(children: Iterable[str | None]) -> Markup:
    """Elements and texts one after the other, the texts escaped."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child, quote=False)
                          for child in children if child is not None))


def section(anchor: str, title: str, *children: str | None) -> Markup:
    """A part of a page with a heading; screen readers list it by that."""
    heading = tag("h2", title, id=f"{anchor}-title")
    return tag("section", heading, *children, id=anchor, aria_labelledby=f"{anchor}-title")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table whose first column names the rows; where it is too wide, it scrolls by itself, also by keyboard."""
    top = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    whole = tag("table", tag("caption", caption), tag("thead", top), tag("tbody", *body))
    return tag("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)


def write_page(out: Path, title: str, body: str, scripts: Sequence[str] = (),
               data: Mapping[str, Any] | None = None) -> Path:
    """Write the page whole or not at all.

    Args:
        out: the file.
        title: of the window.
        body: Markup, goes into <main>.
        scripts: files of this folder, in the order in which they shall run.
        data: for the scripts, as JSON in the element "data".
    """
    fields = {
        "title": html.escape(title),
        "style": _file("style.css"),
        "body": body,
        "data": json.dumps(data or {}, ensure_ascii=False).replace("<", "\\u003c"),  # "</script>" would end it
        "script": "\n".join(_file(name) for name in scripts),
    }
    shell = _file("page.html")
    write_text_atomic(out, re.sub(r"\{\{(\w+)\}\}", lambda match: fields[match[1]], shell))
    return out


def number(value: float | None) -> str:
    """A number as people like to read it: three or four digits that say something."""
    if value is None or value != value:
        return "–"
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}" if size >= 0.01 else f"{value:.2g}"


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
