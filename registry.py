"""Parts by name: the table that a configuration's choices are looked up in, and the files that add to it.

    GENERATORS = Registry("generator")
    GENERATORS.get("hifigan")(config.model, config.data)
"""

from __future__ import annotations

import difflib
import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Part = TypeVar("Part")

logger = logging.getLogger("vits")

_executed: set[Path] = set()  # plugins of this process


class PluginError(ValueError):
    """Python files that a configuration names and that may not be run, or were not."""


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
            name = name[:80]
            near = difflib.get_close_matches(name, self._builders, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"unknown {self.kind} {name!r}{hint} Known: {', '.join(sorted(self._builders))}. "
                             "A part of your own joins through model.plugins.")
        return self._builders[name]


def check_trust(key: str, paths: Sequence[str], source: str | Path, is_trusted: bool) -> None:
    """Refuse Python files that somebody else's configuration names; none is run here.

    Args:
        key: the setting that names them, model.plugins or train.callbacks.
        paths: the files.
        source: where the configuration comes from.
        is_trusted: the user said so, and is shown which files will run.

    Raises:
        PluginError: there are files, and the user did not say so.
    """
    if not paths:
        return
    files = ", ".join(str(Path(path).resolve()) for path in paths)
    if not is_trusted:
        raise PluginError(f"{source}: {key} names {files}, Python that loading it would run. Nothing was run. Read "
                          "it first; then say --trust-plugins (in Python trust_plugins=True), or name it yourself: "
                          f"--set {key}=...")
    logger.warning("running %s, which %s of %s names", files, key, source)


def load_plugins(paths: Sequence[str]) -> None:
    """Run Python files that the user trusts, which register their parts as they are imported.

    Raises:
        FileNotFoundError: a file of model.plugins is not there.
        PluginError: a file is no Python file.
    """
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(f"model.plugins names {path}, which is not a file")
        if Path(path).suffix != ".py":
            raise PluginError(f"model.plugins names {path}; expected a Python file, whose name ends in .py")
        spec = importlib.util.spec_from_file_location(f"plugin_{Path(path).stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickle look modules up there
        spec.loader.exec_module(module)
        _executed.add(Path(path).resolve())


def require_plugins(paths: Sequence[str]) -> None:
    """See that the files of model.plugins were run in this process, before a network is built of their parts.

    Raises:
        PluginError: one was not.
    """
    if missing := [path for path in paths if Path(path).resolve() not in _executed]:
        raise PluginError(f"model.plugins names {', '.join(missing)}, which was not run, so that parts of the network "
                          "may be missing; if you trust it, load it by trust_plugins=True or registry.load_plugins")
