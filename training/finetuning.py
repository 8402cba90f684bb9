"""Start a run from other weights: symbols and speakers by name, one voice to several and back.

    start = start_from(generator, discriminators, checkpoint.read_weights(path), config)
    logger.info(start.table())
    row_mask = trainable.select_trainable(generator, config.train.trainable, config.train.frozen, start.new_rows)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import checkpoint
import config as settings
from checkpoint import Weights
from config import Config, ConfigError, DataConfig
from discriminators import Discriminators
from models import TRAINING_PARTS, SynthesizerTrn, bake_speaker
from text import SymbolTable
from training.trainable import CONDITION, SPEAKER_ROWS, SYMBOL_ROWS, FinetuningError

# Shapes: N rows of a table (symbols or speakers), C its columns.

FATES = ("loaded", "resized", "new", "dropped")
# New rows are drawn from a Gaussian of the old rows' mean and covariance, that is, within the directions that the
# layers above have learned to use; freshly initialised rows would mostly point into others. Symbols differ as much
# from each other as the old ones do, so that they are told apart at once. A speaker starts near the average voice,
# which is clear speech from the first step, and only so far off it that several new speakers do not stay one.
SYMBOL_SPREAD, SPEAKER_SPREAD = 1.0, 0.1  # standard deviations

# Setting -> what no weight shows if it differs.
UNSEEN_DIFFERENCES = {
    "sampling_rate": "the bins that the posterior encoder is given are other frequencies, and frames last another time",
    "hop_length": "frames last another time, so durations and the generator's rhythm have to be learned anew",
    "filter_length": "the bins that the posterior encoder is given are other frequencies",
    "win_length": "the frames that the posterior encoder is given are sharper or more blurred",
    "n_mel_channels": "the mel loss has another size, against which the discriminators were balanced",
    "mel_fmin": "the mel loss compares other bands",
    "mel_fmax": "the mel loss compares other bands",
    "add_blank": "text has blanks in one of them alone, so the text encoder and durations have to be learned anew",
    "begin_end": "text begins and ends otherwise, so the first and the last sounds have to be learned anew",
    "text_cleaners": "the same symbols may stand for other sounds",
    "language": "the same symbols may stand for other sounds",
}


class TensorFate(NamedTuple):
    """What became of one tensor of the state dicts."""

    name: str
    fate: str  # one of FATES
    n_values: int
    note: str = ""  # why it was not simply loaded


class Start(NamedTuple):
    """How a run starts from other weights."""

    source: Path
    step: int  # of the source; the new run counts from 0
    tensors: tuple[TensorFate, ...]
    new_rows: dict[str, list[int]]  # parameter -> its rows that the source did not have; JSON types
    has_discriminators: bool  # all of them came from the source; False asks for a warm-up
    warnings: tuple[str, ...]  # what the weights cannot show

    def table(self) -> str:
        """How much was loaded, resized, new and dropped in each part, then what was not simply loaded."""
        parts = dict.fromkeys(tensor.name.partition(".")[0] for tensor in self.tensors)
        rows = [["tensors (values)", *FATES]]
        for part in [*parts, ""]:  # "" begins every name: the sum
            inside = [tensor for tensor in self.tensors if f"{tensor.name}.".startswith(f"{part}." if part else "")]
            sizes = [[tensor.n_values for tensor in inside if tensor.fate == fate] for fate in FATES]
            rows.append([part or "all", *(f"{len(size)} ({sum(size):,})" if size else "-" for size in sizes)])
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [f"{row[0]:<{widths[0]}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:]))
                 for row in rows]
        return "\n".join([f"Start from {self.source}, step {self.step}:", *lines, *self._remarks()])

    def _remarks(self) -> list[str]:
        """One line for all tensors of a part that share their fate and its reason."""
        alike: dict[tuple[str, str, str], list[str]] = {}
        for tensor in self.tensors:
            if tensor.fate != "loaded":
                alike.setdefault((tensor.name.partition(".")[0], tensor.fate, tensor.note), []).append(tensor.name)
        return [f"{_some(names, 3)}: {note if fate == 'resized' else f'{fate}, {note}'}"
                for (_, fate, note), names in alike.items()]


class RowMatch(NamedTuple):
    """Where the rows of a table come from."""

    origins: list[int | None]  # of each row here, the row there
    added: list[str]  # names of the rows here that have none
    dropped: list[str]  # names of the rows there without a counterpart here

    @property
    def new_rows(self) -> list[int]:
        """Rows here that have no source row."""
        return [row for row, origin in enumerate(self.origins) if origin is None]


class AdaptedTensor(NamedTuple):
    """A tensor that does not come from the source as it is, for a good reason."""

    value: Tensor
    fate: str
    note: str


class Fit(NamedTuple):
    """One network's tensors, and all that is unexpected about them."""

    values: dict[str, Tensor]
    tensors: list[TensorFate]
    faults: list[str]


@torch.no_grad()
def start_from(generator: SynthesizerTrn, discriminators: Discriminators, weights: Weights, config: Config) -> Start:
    """Copy weights into freshly initialised networks, on whatever device these are; nothing changes before all fits.

    Args:
        generator: initialised for `config`.
        discriminators: likewise.
        weights: of any checkpoint.
        config: of the new run, with the names of its speakers filled in.

    Raises:
        ConfigError: the source's own configuration cannot be read.
        FinetuningError: naming all tensors that do not fit, unless train.allow_partial; or the speakers to choose from.
    """
    old = _source_config(weights)
    given = weights.generator
    if old.multispeaker and not config.multispeaker:
        given = _baked(weights, old, config)
    wanted = generator.state_dict()
    matches = _match_rows(weights, old, config)
    random = torch.Generator().manual_seed(config.train.seed)
    adapted = _moved_rows(matches, wanted, given, random)
    if config.multispeaker and not old.multispeaker:
        adapted |= _neutral_conditions(wanted, given)
    adapted |= _absent_parts(wanted, given)
    generator_fit = _fit(wanted, given, adapted)
    tensors = generator_fit.tensors + [
        TensorFate(name, "dropped", value.numel(), "the chosen speaker is in the biases now")
        for name, value in weights.generator.items() if name not in given]
    discriminator_fit = _fit_discriminators(discriminators, weights)
    faults = generator_fit.faults + discriminator_fit.faults
    if faults and not config.train.allow_partial:
        raise FinetuningError(_explain_faults(faults, weights.source, old, config))
    generator.load_state_dict(generator_fit.values)
    discriminators.load_state_dict(discriminator_fit.values)
    new = {tensor.name for tensor in tensors if tensor.fate == "new"}
    new_rows = {name: match.new_rows for name, match in matches.items()}
    new_rows |= {name: list(range(len(wanted[name]))) for name in (SYMBOL_ROWS, SPEAKER_ROWS) if name in new}
    return Start(weights.source, weights.step, tuple(tensors + discriminator_fit.tensors),
                 {name: rows for name, rows in new_rows.items() if rows},
                 all(tensor.fate == "loaded" for tensor in discriminator_fit.tensors),
                 tuple(_warn(old, config, matches)))


def speakers_by_id(data: DataConfig) -> tuple[str, ...]:
    """Names by id; numbers for those that have none."""
    return (*data.speakers, *(str(i) for i in range(len(data.speakers), data.n_speakers)))


def match_symbols(old: SymbolTable, new: SymbolTable) -> RowMatch:
    """Rows by symbol; the pad by its role, since row 0 is the blank between all others whatever it is called."""
    origins: list[int | None] = [0]
    for row, symbol in enumerate(new.symbols[1:], start=1):
        is_unused = new.ids[symbol] != row  # the published apostrophe's first row: nothing speaks it, so it stays
        stays = is_unused and old.symbols[row : row + 1] == (symbol,)
        origins.append(row if stays else old.ids.get(symbol))
    return _row_match(origins, old.symbols, new.symbols)


def match_speakers(old: Sequence[str], new: Sequence[str]) -> RowMatch:
    """Rows by name."""
    return _row_match([old.index(name) if name in old else None for name in new], old, new)


def _row_match(origins: list[int | None], old: Sequence[str], new: Sequence[str]) -> RowMatch:
    return RowMatch(origins, [name for name, origin in zip(new, origins) if origin is None],
                    [name for row, name in enumerate(old) if row not in origins])


def _source_config(weights: Weights) -> Config:
    """The source's configuration; what is wrong with it names the source."""
    try:
        return settings.from_dict(weights.config)
    except ConfigError as error:
        raise ConfigError("\n".join(f"{weights.source}: its configuration: {line}"
                                    for line in str(error).splitlines())) from None


def _symbols_of(weights: Weights, old: Config) -> SymbolTable:
    try:
        return SymbolTable.load(old.data.symbols)
    except ValueError as error:
        raise FinetuningError(f"{weights.source}: its configuration: {error}") from None


def _match_rows(weights: Weights, old: Config, config: Config) -> dict[str, RowMatch]:
    """How the tables' rows correspond, by parameter; only the tables that both have.

    Raises:
        FinetuningError: the source's configuration names another number of rows than it has.
    """
    old_symbols = _symbols_of(weights, old)
    matches = {SYMBOL_ROWS: match_symbols(old_symbols, SymbolTable.load(config.data.symbols))}
    sizes = {SYMBOL_ROWS: len(old_symbols)}
    if old.multispeaker and config.multispeaker:
        matches[SPEAKER_ROWS] = match_speakers(speakers_by_id(old.data), speakers_by_id(config.data))
        sizes[SPEAKER_ROWS] = old.data.n_speakers
    for name, size in sizes.items():
        if name in weights.generator and len(weights.generator[name]) != size:
            raise FinetuningError(f"{weights.source}: {name} has {len(weights.generator[name])} rows, its own "
                                  f"configuration names {size}, so its rows have no names; give it the "
                                  "configuration that it was trained with")
    return matches


def _moved_rows(matches: Mapping[str, RowMatch], wanted: Mapping[str, Tensor], given: Mapping[str, Tensor],
                random: torch.Generator) -> dict[str, AdaptedTensor]:
    """Tables whose rows differ or are permuted; one of another width is left out, and so a fault."""
    spreads = {SYMBOL_ROWS: SYMBOL_SPREAD, SPEAKER_ROWS: SPEAKER_SPREAD}
    moved = {}
    for name, match in matches.items():
        there = given.get(name)
        if there is None or match.origins == list(range(len(there))) or there.shape[1:] != wanted[name].shape[1:]:
            continue
        value = there.new_empty(wanted[name].shape)
        taken = [row for row, origin in enumerate(match.origins) if origin is not None]
        value[taken] = there[[match.origins[row] for row in taken]]
        value[match.new_rows] = _draw_rows(there, len(match.added), spreads[name], random)
        counts = [f"{len(taken)} by name"]
        for names, what in ((match.added, "new"), (match.dropped, "dropped")):
            if names:
                counts.append(f"{len(names)} {what} ({_some([repr(name) for name in names], 10)})")
        moved[name] = AdaptedTensor(value, "resized", f"{len(there)} rows -> {len(value)}: {', '.join(counts)}")
    return moved


def _draw_rows(old: Tensor, n_rows: int, spread: float, random: torch.Generator) -> Tensor:
    """Rows around the mean of `old`, with `spread` squared of its covariance: [N, C] -> [n_rows, C]."""
    deviations = old - old.mean(dim=0)
    shares = torch.randn(n_rows, len(old), generator=random) / max(1, len(old) - 1) ** 0.5
    return old.mean(dim=0) + spread * shares.to(old) @ deviations


def _neutral_conditions(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, AdaptedTensor]:
    """A speaker table as it is, and conditioning layers that add zero: at first every speaker is the one voice.

    A weight-normalised layer is zero by its magnitudes; its directions are as initialised, so that the magnitudes get
    gradients, and no norm of zero is ever divided by.
    """
    neutral = {}
    for name, fresh in wanted.items():
        if name == SPEAKER_ROWS and name not in given:
            neutral[name] = AdaptedTensor(fresh, "new", f"{len(fresh)} rows: one voice becomes several")
        elif CONDITION.search(name) and name not in given:
            value = fresh if name.endswith("weight_v") else torch.zeros_like(fresh)
            neutral[name] = AdaptedTensor(value, "new", "adds zero at first: every speaker begins as the one voice")
    return neutral


def _absent_parts(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, AdaptedTensor]:
    """Parts that a voice without its training lacks as a whole: they start afresh."""
    absent = [f"{part}." for part in TRAINING_PARTS if not any(name.startswith(f"{part}.") for name in given)]
    return {name: AdaptedTensor(fresh, "new", "the source lacks this part, which only training needs")
            for name, fresh in wanted.items() if name.startswith(tuple(absent))}


def _baked(weights: Weights, old: Config, config: Config) -> dict[str, Tensor]:
    """The source's state dict with the chosen one of its speakers in the biases."""
    names = speakers_by_id(old.data)
    chosen = config.train.init_speaker
    if chosen not in names:
        found = "is not given" if chosen is None else f"is {chosen!r}"
        raise FinetuningError(f"{weights.source} has {len(names)} speakers, this run one voice, and "
                              f"train.init_speaker {found}; choose one of {_some(names, 50)}")
    model = checkpoint.network_of(weights, old)
    return bake_speaker(model, names.index(chosen)).state_dict()


def _fit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], adapted: Mapping[str, AdaptedTensor]) -> Fit:
    """Choose a value for every wanted tensor; what has no explanation stays fresh, or goes, and is a fault."""
    fit = Fit({}, [], [])
    for name, fresh in wanted.items():
        there, sizes = given.get(name), f"{list(fresh.shape)} here"
        if name in adapted:
            value, fate, note = adapted[name]
        elif there is None:
            value, fate, note = fresh, "new", f"{sizes}, none in the source"
        elif there.shape != fresh.shape:
            value, fate, note = fresh, "new", f"{sizes}, {list(there.shape)} in the source"
        elif not torch.isfinite(there).all():
            value, fate, note = fresh, "new", "not all of it is finite in the source"
        else:
            value, fate, note = there, "loaded", ""
        fit.values[name] = value
        fit.tensors.append(TensorFate(name, fate, fresh.numel(), note))
        if fate != "loaded" and name not in adapted:
            fit.faults.append(f"{name}: {note}")
    for name, there in given.items():
        if name not in wanted:
            note = f"{list(there.shape)} in the source, none here"
            fit.tensors.append(TensorFate(name, "dropped", there.numel(), note))
            fit.faults.append(f"{name}: {note}")
    return fit


def _fit_discriminators(discriminators: Discriminators, weights: Weights) -> Fit:
    """As the generator's tensors, but a source may do without: many are published so."""
    wanted = discriminators.state_dict()
    if weights.discriminators is not None:
        return _fit(wanted, weights.discriminators, {})
    return Fit(wanted, [TensorFate(name, "new", value.numel(), "the source has no discriminators")
                        for name, value in wanted.items()], [])


def _explain_faults(faults: list[str], source: Path, old: Config, config: Config) -> str:
    lines = [f"{source} does not fit the configuration; unexpected tensors: {len(faults)}",
             *(f"  {line}" for line in faults[:20])]
    if len(faults) > 20:
        lines.append(f"  and {len(faults) - 20} more")
    pairs = [("model", old.model, config.model), ("discriminator", old.discriminator, config.discriminator)]
    differing = [f"{section}.{field.name} is {getattr(there, field.name)} there, {getattr(here, field.name)} here"
                 for section, there, here in pairs for field in dataclasses.fields(here)
                 if getattr(there, field.name) != getattr(here, field.name)
                 and (field.name != "gin_channels" or old.multispeaker and config.multispeaker)]
    if old.posterior_channels != config.posterior_channels and old.model.posterior_input == "linear":
        differing.append(f"data.filter_length is {old.data.filter_length} there, {config.data.filter_length} here")
    if differing:
        lines.append(f"Of the settings that shape them, {'; '.join(differing)}.")
    return "\n".join([*lines, "Make the settings those of the source, or let what does not fit start from nothing: "
                              "--allow-partial, or train.allow_partial=true."])


def _warn(old: Config, config: Config, matches: Mapping[str, RowMatch]) -> list[str]:
    """What the weights cannot show, and unmatched names."""
    there, here = (dataclasses.replace(data, mel_fmax=data.mel_fmax or data.sampling_rate / 2)
                   for data in (old.data, config.data))
    warnings = [f"data.{name} is {getattr(there, name)} in the source, {getattr(here, name)} here: {consequence}"
                for name, consequence in UNSEEN_DIFFERENCES.items() if getattr(there, name) != getattr(here, name)]
    speakers = matches.get(SPEAKER_ROWS)
    if speakers and all(origin is None for origin in speakers.origins):
        warnings.append(f"no speaker of the source is one of this run's, so all are new; it has "
                        f"{_some(speakers.dropped, 10)}, here are {_some(speakers.added, 10)}")
    if config.train.init_speaker is not None and (config.multispeaker or not old.multispeaker):
        warnings.append("train.init_speaker is ignored: it chooses one of several voices for a model of one voice")
    return warnings


def _some(names: Sequence[str], limit: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
