"""A recogniser: a pattern made for a language, and what a match of it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from text.normalisation.values import Value

if TYPE_CHECKING:
    from text.normalisation.patterns import Patterns


class Recogniser(NamedTuple):
    """Finds values of one semiotic class."""

    kind: str
    pattern: Callable[[Patterns], str | None]  # None: the language has nothing of the kind
    value: Callable[[re.Match, Patterns], Value | None]  # None: it is not what it looked like
    has_digits: bool = True  # a text without digits has none of these
    needs: str = ""  # short pattern, without which a text has none of these, so that the long one need not be made
