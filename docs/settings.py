"""The page of all settings, docs/reference/settings.md, from the fields of config.py.

    python -m docs.settings        # writes the page anew; a test compares the two
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

from config import Setting, describe
from utils import write_text_atomic

PAGE = Path(__file__).parent / "reference" / "settings.md"
HEAD = """# Settings

Every key of a configuration, with its default. `--set section.key=value` changes one on the command line. Values are
JSON: `null` is no value, `[1,2]` a list. A default is used where a configuration leaves a key out; the files in
`configs/` set many of them.

Made from `config.py` by `python -m docs.settings`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for section, settings in groupby(describe(), lambda setting: setting.section):
        parts.append(f"## {section}\n")
        for group, rows in groupby(settings, lambda setting: setting.group):
            parts += [group + "\n", "| key | default | range | meaning |\n|---|---|---|---|", *map(_row, rows), ""]
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    default = json.dumps(setting.default, separators=(",", ":"))
    limits = " ".join(filter(None, (str(setting.bounds), setting.bounds.unit)))
    cells = (f"`{setting.section}.{setting.name}`", f"`{default}`", limits, setting.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    write_text_atomic(PAGE, page())
