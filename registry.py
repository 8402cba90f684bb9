"""Parts by name: the table that a configuration's choices are looked up in, and the files that add to it.

    GENERATORS = Registry("generator")
    GENERATORS.get("hifigan")(config.model, config.data)
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """Builders of one kind of part, by name.

        GENERATORS = Registry("generator")

        @GENERATORS.register("mine")
        def build_mine(model: ModelConfig, data: DataConfig) -> nn.Module: ...
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._builders: dict[str, Callable[..., Part]] = {}

    def register(self, name: str) -> Callable[[Callable[..., Part]], Callable[..., Part]]:
        """Decorator that enters a builder (or class) under `name`; a later one of the same name replaces it."""
        def enter(builder: Callable[..., Part]) -> Callable[..., Part]:
            self._builders[name] = builder
            return builder
        return enter

    def get(self, name: str) -> Callable[..., Part]:
        """The builder of that name.

        Raises:
            ValueError: nobody registered the name; the message lists the known ones.
        """
        if name not in self._builders:
            near = difflib.get_close_matches(name, self._builders, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"unknown {self.kind} {name!r}{hint} Known: {', '.join(sorted(self._builders))}. "
                             "A part of your own joins through model.plugins.")
        return self._builders[name]


def load_plugins(paths: Sequence[str]) -> None:
    """Run users' Python files, which register their parts as they are imported.

    Raises:
        FileNotFoundError: a file of model.plugins is not there.
    """
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(f"model.plugins names {path}, which is not a file")
        spec = importlib.util.spec_from_file_location(f"plugin_{Path(path).stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickle look modules up there
        spec.loader.exec_module(module)
