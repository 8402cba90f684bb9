"""Which parameters of the generator train: patterns of names, and single rows of tables.

    row_mask = select_trainable(generator, config.train.trainable, config.train.frozen, start.new_rows)

and in each step: backward, `row_mask.mask_gradients()`, clip, step, `row_mask.restore()`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from models import SynthesizerTrn

SYMBOL_ROWS, SPEAKER_ROWS = "enc_p.emb.weight", "emb_g.weight"
NEW_ROWS = "new_rows"  # the word in train.trainable that is no pattern
# Layers that are conditioned on the speaker, in both spellings of weight norm.
CONDITION = re.compile(r"\.cond(_layer)?\.(weight|bias|weight_[gv]|parametrizations\.weight\.original[01])$")


class FinetuningError(ValueError):
    """Weights that a run cannot start from, or a choice of parameters that cannot train, and what to do."""


class RowMask:
    """Keeps rows of tables as they are, to the bit, whatever clipping, momentum and weight decay do around them."""

    def __init__(self, generator: nn.Module, new_rows: Mapping[str, Sequence[int]]):
        """Remember the other rows.

        Args:
            generator: on the device that it trains on, its old rows as they are to stay.
            new_rows: parameter -> rows that may move.
        """
        self._kept: list[tuple[nn.Parameter, Tensor, Tensor]] = []  # parameter, its old rows' indices and values
        for name, rows in new_rows.items():
            parameter = generator.get_parameter(name)
            old = [row for row in range(len(parameter)) if row not in set(rows)]
            indices = torch.tensor(old, dtype=torch.int64, device=parameter.device)
            self._kept.append((parameter, indices, parameter.detach()[indices].clone()))

    def mask_gradients(self) -> None:
        """Old rows have no gradient, so that its norm counts only what is updated; before clipping."""
        for parameter, indices, _ in self._kept:
            if parameter.grad is not None:
                parameter.grad.index_fill_(0, indices, 0.0)

    @torch.no_grad()
    def restore(self) -> None:
        """Undo what weight decay did to the old rows; after the optimizer's step."""
        for parameter, indices, values in self._kept:
            parameter.index_copy_(0, indices, values)


def select_trainable(generator: SynthesizerTrn, trainable: Sequence[str], frozen: Sequence[str],
                     new_rows: Mapping[str, Sequence[int]]) -> RowMask:
    """Let the parameters train that match a pattern of `trainable` and none of `frozen`; before DDP wraps them.

    Args:
        generator: its `requires_grad` is set.
        trainable: patterns such as "dec.*" over names as in the state dict ("dec.ups.0.weight_g"), or as in
            `named_parameters()` ("dec.ups.0.parametrizations.weight.original0"); "new_rows" means those alone.
        frozen: likewise, without "new_rows".
        new_rows: of `Start`; empty where nothing is new.

    Returns:
        What keeps the other rows of tables that train only in their new ones.

    Raises:
        FinetuningError: patterns that match nothing, with names near them, or nothing that would learn.
    """
    spellings = {name: {name, _state_name(name)} for name, _ in generator.named_parameters()}
    whole = [pattern for pattern in trainable if pattern != NEW_ROWS]
    faults = [f"train.{key}: {pattern!r} matches no parameter{_near(pattern, spellings)}"
              for key, patterns in (("trainable", whole), ("frozen", frozen)) for pattern in patterns
              if not any(_matches(names, [pattern]) for names in spellings.values())]
    if NEW_ROWS in trainable and not new_rows:
        faults.append(f"train.trainable: {NEW_ROWS!r} says that new rows train, but no symbol and no speaker is new; "
                      "it needs train.init_from, and a name that the source lacks")
    if faults:
        raise FinetuningError("\n".join(faults))
    by_row = new_rows if NEW_ROWS in trainable else {}
    chosen = {name for name, names in spellings.items()
              if (_matches(names, whole) or name in by_row) and not _matches(names, frozen)}
    _require_learning(generator, chosen)
    for name, parameter in generator.named_parameters():
        parameter.requires_grad_(name in chosen)
    return RowMask(generator, {name: rows for name, rows in by_row.items()
                               if name in chosen and not _matches(spellings[name], whole)})


def _require_learning(generator: SynthesizerTrn, chosen: set[str]) -> None:
    """Refuse a choice that can change nothing."""
    if not chosen:
        raise FinetuningError("train.trainable and train.frozen leave no parameter to train")
    conditions = {name: parameter for name, parameter in generator.named_parameters() if CONDITION.search(name)}
    directions = ("weight_v", "parametrizations.weight.original1")
    is_silent = not any(p.any() for name, p in conditions.items() if not name.endswith(directions))
    if SPEAKER_ROWS in chosen and is_silent and not chosen & set(conditions):
        raise FinetuningError(f"{SPEAKER_ROWS} would train, but no layer uses it: since one voice became several, "
                              "the conditioning layers add zero until they train; add \"*.cond*\" to train.trainable")


def _state_name(name: str) -> str:
    """A parameter's name in its state dict."""
    for inner, published in (("original0", "weight_g"), ("original1", "weight_v")):
        name = name.replace(f"parametrizations.weight.{inner}", published)
    return name


def _matches(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _near(pattern: str, spellings: Mapping[str, set[str]]) -> str:
    """Names and parts that a pattern might have meant, as the end of a sentence."""
    names = sorted(_state_name(name) for name in spellings)
    parts = {".".join(name.split(".")[:depth]) + ".*" for name in names for depth in range(1, name.count(".") + 1)}
    near = difflib.get_close_matches(pattern, [*sorted(parts), *names], n=3, cutoff=0.5)
    if near:
        return f"; near it are {', '.join(near)}"
    return f"; there are {', '.join(dict.fromkeys(name.partition('.')[0] + '.*' for name in names))}"
