"""Hooks of mkdocs: pages that lie outside docs/, and what GitHub's Markdown has that mkdocs lacks.

README.md becomes the first page, CONTRIBUTING.md and the voices' cards pages of their own. Links to other files of the
project, which the site does not hold, become their paths.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
# Path in the project -> path in the site.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"} | {
    card.relative_to(ROOT).as_posix(): f"voices/{card.parent.name}.md" for card in ROOT.glob("voices/*/README.md")}
PLACES = {site: project for project, site in PAGES.items()}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files, config):
    """Add the pages that lie outside docs/, and the pictures beside voice cards."""
    for project, site in PAGES.items():
        files.append(File.generated(config, site, content=(ROOT / project).read_text(encoding="utf-8")))
    for picture in ROOT.glob("voices/*/*.png"):
        files.append(File.generated(config, _in_site(picture), abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrite links for the site, and take the backslash from bars within code in tables, where mkdocs shows it."""
    place = ROOT / PLACES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    markdown = LINK.sub(lambda link: _rewritten(link, place, page.file.src_uri, files), markdown)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("\\|", "|"), markdown)


def _rewritten(link: re.Match, place: Path, site: str, files) -> str:
    bang, text, target = link.groups()
    path, mark, anchor = target.partition("#")
    if "://" in target or not path:
        return link[0]
    there = (place.parent / path).resolve()
    if files.get_file_from_path(_in_site(there)) is None:
        return f"`{path}`" if text.strip("`") == path else f"{text} (`{there.relative_to(ROOT).as_posix()}`)"
    return f"{bang}[{text}]({os.path.relpath(_in_site(there), Path(site).parent)}{mark}{anchor})"


def _in_site(path: Path) -> str:
    """Where a file of the project lies in the site; itself if it is nowhere."""
    inside = path.relative_to(ROOT).as_posix()
    if path.suffix == ".png" and inside.startswith("voices/"):
        return f"voices/{path.parent.name}-{path.name}"
    if inside == "voices/README.md":
        return "voices.md"
    return PAGES.get(inside, inside.removeprefix("docs/"))
