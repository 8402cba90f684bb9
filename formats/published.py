"""Import and export of the published VITS (2021) and forks with its files: G_*.pth, D_*.pth, config.json.

    imported = read(Path("logs/ljs_base"), config=None)     # the newest pair in a folder, with its config.json
    write(checkpoint.read_weights(run), Path("folder"))     # the published code resumes from it

A file is a dict of `model`, `iteration` (which counts epochs, from 1), `optimizer` and `learning_rate`. AdamW numbers
its parameters in the order of the published modules, which is that of the file's `model`. This project's stochastic
duration predictor has another order, so moments are matched by name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import checkpoint
import config as settings
from checkpoint import CheckpointError, Weights
from config import Config
from discriminators import Discriminators
from formats import ExportResult, FormatError, ImportedVoice
from formats.import_helpers import check_fits, check_tensors, published_names, read_json
from models import SynthesizerTrn
from text import TextProcessor
from text.symbols import PUBLISHED, check_inside
from utils import write_text_atomic

FILE = re.compile(r"([GD])_(\d+)\.pth")
CLEANERS = ("basic_cleaners", "transliteration_cleaners", "english_cleaners", "english_cleaners2")
# In the order of the published file; settings without a key there must have their defaults.
KEYS = {
    "train": ("log_interval", "eval_interval", "seed", "epochs", "learning_rate", "betas", "eps", "batch_size",
              "lr_decay", "segment_size", "c_mel", "c_kl"),
    "data": ("training_files", "validation_files", "text_cleaners", "sampling_rate", "filter_length", "hop_length",
             "win_length", "n_mel_channels", "mel_fmin", "mel_fmax", "add_blank", "n_speakers", "cleaned_text"),
    "model": ("inter_channels", "hidden_channels", "filter_channels", "n_heads", "n_layers", "kernel_size", "p_dropout",
              "resblock", "resblock_kernel_sizes", "resblock_dilation_sizes", "upsample_rates",
              "upsample_initial_channel", "upsample_kernel_sizes", "gin_channels"),
}
# Constants of the published code.
FIXED = {"data": ("symbols", "begin_end"),
         "model": ("attention_window", "posterior_layers", "flow_couplings", "flow_layers", "wavenet_kernel_size",
                   "duration_channels", "duration_flows", "p_dropout_duration", "generator", "posterior_input",
                   "speaker_in_text_encoder", "flow_transformer"),
         "discriminator": ("kinds", "n_scales", "scale_channels", "scale_kernel_sizes", "scale_strides",
                           "scale_groups", "periods", "period_channels")}
# Parts of the stochastic duration predictor in the published order.
# Weights that published code stores and never uses.
UNUSED = re.compile(r"flow\.flows\.\d+\.post_transformer\.")
DURATION_PARTS = ("flows", "post_pre", "post_proj", "post_convs", "post_flows", "pre", "proj", "convs", "cond")


# Settings that are never imported: they run or read other files, or send data away.
OUTSIDE = ("model.plugins", "train.callbacks", "train.init_from", "train.test_sentences", "train.trackers")


class Files(NamedTuple):
    """The files of a voice."""

    generator: Path
    discriminators: Path | None
    config: Path


def recognises(path: Path) -> bool:
    """Whether a file is a generator, or a folder has one, and it is no MMS voice."""
    file = newest(path)
    if file is None or file.with_name("vocab.txt").is_file():
        return False
    try:
        return is_generator(checkpoint.load_foreign(file))
    except CheckpointError:
        return False


def read(path: Path, config: Path | None) -> ImportedVoice:
    """Read the voice and the state of its training.

    Args:
        path: a generator's file, or a folder with at least one (the newest is taken); discriminators may be beside it.
        config: the JSON that it was trained with; None takes config.json beside the file.

    Raises:
        FileNotFoundError: a file is missing.
        FormatError: the weights are not what the configuration describes.
    """
    files = find(path, config)
    return read_files(files, read_json(files.config))


def read_files(files: Files, tree: dict[str, Any]) -> ImportedVoice:
    """Read the voice with a configuration that has been read already."""
    config, notes = read_config(tree, files.config)
    content = _load(files.generator)
    if not is_generator(content):
        raise FormatError(f"{files.generator} holds a model of {', '.join(list(content['model'])[:4]) or 'nothing'}; "
                          "expected a generator, with enc_p.emb.weight and dec.conv_pre.weight or weight_v")
    _check_parts(content["model"], config, files)
    networks = {"generator": content}
    if files.discriminators is not None:
        networks["discriminators"] = _load(files.discriminators)
    else:
        numbered = FILE.fullmatch(files.generator.name)
        notes.append(f"no discriminators ({f'D_{numbered[2]}.pth' if numbered else 'D_*.pth'}) beside it: it speaks, "
                     "and can be trained further with new ones")
    table = TextProcessor.from_config(config.data).symbols
    weights = {part: {name: tensor for name, tensor in published_names(each["model"]).items()
                      if not UNUSED.match(name)} for part, each in networks.items()}
    if n_unused := len(content["model"]) - len(weights["generator"]):
        notes.append(f"left out: {n_unused} tensors of its flow's post_transformer, which nothing uses")
    imported = ImportedVoice(config, weights["generator"], weights.get("discriminators"))
    check_fits(imported._replace(config=settings.replace(config, "data", {"symbols": table.symbols})),
               f"{files.generator} with {files.config}")
    optimizers = {part: moments(each, _parameter_names(part, config), files.generator)
                  for part, each in networks.items() if each.get("optimizer")}
    if "discriminators" in networks and len(optimizers) < len(networks):
        notes.append("there is no state of the optimizers in it: training goes on with new ones")
    numbered = FILE.fullmatch(files.generator.name)
    step = int(numbered[2]) if numbered else max(
        (int(each["step"]) for each in optimizers.get("generator", {"state": {}})["state"].values()), default=0)
    if isinstance(content.get("iteration"), int):
        notes.append(f"it is of epoch {content['iteration']}, step {step}"
                     f"{'' if step else ' (the file does not have the step)'}")
    return imported._replace(optimizers=optimizers or None, step=step, notes=tuple(notes))


def newest(path: Path) -> Path | None:
    """The file itself, or the generator of a folder with the highest number; None without one."""
    if not path.is_dir():
        return path
    numbered = [(int(match[2]), each) for each in path.iterdir()
                if (match := FILE.fullmatch(each.name)) and match[1] == "G"]
    return max(numbered)[1] if numbered else None


def find(path: Path, config: Path | None) -> Files:
    """Find the files of a voice.

    Raises:
        FileNotFoundError: there is no generator, or no configuration.
    """
    file = newest(path)
    if file is None or not file.is_file():
        raise FileNotFoundError(f"{path} holds no generator; expected a file named like G_100000.pth")
    config = config or file.with_name("config.json")
    if not config.is_file():
        raise FileNotFoundError(f"no {config}; give the JSON that the voice was trained with by --config")
    partner = file.with_name(re.sub(r"^G_", "D_", file.name))
    return Files(file, partner if partner != file and partner.is_file() else None, config)


def is_generator(content: Any) -> bool:
    """Whether the content of a file is that of a published generator."""
    model = content.get("model") if isinstance(content, dict) else None
    return (isinstance(model, dict) and "enc_p.emb.weight" in model
            and any(f"dec.conv_pre.{name}" in model for name in ("weight", "weight_v")))


def read_config(tree: dict[str, Any], source: Path) -> tuple[Config, list[str]]:
    """This project's configuration from a published JSON, and notes on what was left out.

    Raises:
        ConfigError: a value is wrong.
        FormatError: a section is missing, or a cleaner or symbol table is unknown.
    """
    if not all(isinstance(tree.get(section), dict) for section in KEYS):
        raise FormatError(f"{source} has {', '.join(map(str, tree)) or 'nothing'}; expected the sections train, data "
                          "and model of a published configuration")
    known = settings.to_dict(Config())
    kept, unknown, outside = {}, [], []
    for section, values in tree.items():
        # Some forks have symbols and speakers' names at the top level.
        if section in ("symbols", "speakers") and isinstance(values, list):
            kept.setdefault("data", {}).setdefault(section, values)
        elif section in known and isinstance(values, dict):
            outside += [f"{section}.{key}" for key in values if f"{section}.{key}" in OUTSIDE]
            names = {key: value for key, value in values.items()
                     if f"{section}.{key}" not in (*settings.RETIRED, *OUTSIDE)}
            fine = {key for key in names if key in known[section] or f"{section}.{key}" in settings.RENAMED}
            kept.setdefault(section, {}).update({key: names[key] for key in names if key in fine})
            unknown += [f"{section}.{key}" for key in names if key not in fine]
        else:
            unknown.append(section)
    _as_published(kept)
    config = settings.from_dict(kept)
    try:
        check_inside(config.data.symbols, source)
        TextProcessor.from_config(config.data)
    except ValueError as error:
        raise FormatError(f"{source}: {error}; give a copy of it with cleaners and a table that exist here, by "
                          "--config") from None
    notes = [f"left out of {source.name}, because they would run or read other files: {', '.join(outside)}; "
             "set your own by --set"] * bool(outside)
    notes += [f"left out of {source.name}, because this project does not have it: {', '.join(unknown)}"] * bool(unknown)
    return config, notes


def _as_published(tree: dict[str, dict[str, Any]]) -> None:
    """Add the settings of what the forks do otherwise than this project, where a configuration is one of theirs."""
    model, train = tree.setdefault("model", {}), tree.setdefault("train", {})
    if model.get("mb_istft_vits") is True:
        model["pqmf"] = "published"
    if model.get("use_noise_scaled_mas") is True:
        train["mas_noise_over"] = "padded"
    if model.get("use_transformer_flows") is True:
        kind = model.setdefault("transformer_flow_type", "mono_layer_post_residual")  # as that code has it
        model["p_dropout_flow"] = 0.1 if kind == "pre_conv" else 0.0


def moments(content: Mapping[str, Any], wanted: Sequence[str], source: Path) -> dict[str, Any]:
    """A published optimizer's state dict, with parameters in this project's order.

    Args:
        content: of the file; the order of its `model` is the optimizer's.
        wanted: published names of the parameters in this project's order.
        source: the file, for messages.

    Raises:
        FormatError: the optimizer is no AdamW of these parameters.
    """
    every, optimizer = published_names(content["model"]), content["optimizer"]
    model = {name: tensor for name, tensor in every.items() if not UNUSED.match(name)}
    if not isinstance(optimizer, dict) or any({"step", "exp_avg", "exp_avg_sq"} - set(each)
                                              for each in optimizer.get("state", {}).values()):
        raise FormatError(f"{source}: its optimizer is not AdamW, as of the published code; remove the optimizer's "
                          "state from the file to go on with a new one")
    theirs = list(every)
    groups = optimizer.get("param_groups") or [{}]
    places = {name: index for name, index in zip(theirs, groups[0].get("params", ()))}
    if len(groups) != 1 or len(groups[0].get("params", ())) != len(theirs) or set(model) != set(wanted):
        raise FormatError(f"{source}: its optimizer has {sum(len(each.get('params', ())) for each in groups)} "
                          f"parameters in {len(groups)} groups, its model has {len(theirs)}; expected one group of all")
    state = {}
    for place, name in enumerate(wanted):
        if (of_parameter := optimizer["state"].get(places[name])) is None:
            continue  # it had no gradient yet
        shape = of_parameter["exp_avg"].shape
        if shape != model[name].shape:
            raise FormatError(f"{source}: its optimizer has {list(shape)} for {name}, which is "
                              f"{list(model[name].shape)}; the order of its parameters is unknown")
        state[place] = {"step": torch.as_tensor(of_parameter["step"], dtype=torch.float32),
                        "exp_avg": of_parameter["exp_avg"].float(), "exp_avg_sq": of_parameter["exp_avg_sq"].float()}
    return {"state": state, "param_groups": [{**groups[0], "params": list(range(len(wanted)))}]}


def write(weights: Weights, folder: Path) -> ExportResult:
    """Write G_<step>.pth, D_<step>.pth if there are discriminators, and config.json; with a checkpoint's optimizers.

    Raises:
        FormatError: the published code cannot build the voice; with each setting.
    """
    config = settings.from_dict(weights.config)
    _check_writable(config, weights.discriminators is not None)
    payload = checkpoint.load(weights.source) if weights.source.suffix == ".pt" else {}
    folder.mkdir(parents=True, exist_ok=True)
    files, counts = [], []
    for part, tensors in (("generator", weights.generator), ("discriminator", weights.discriminators)):
        if tensors is None:
            continue
        model = {name: tensors[name].float() for name in published_order(tensors)}
        letter, optimizer = part[0].upper(), _published_optimizer(payload.get(f"{part}_updater"), list(model), config)
        learning_rate = config.train.learning_rate
        epoch = _epoch(optimizer["param_groups"][0]["lr"] / learning_rate, config.train.lr_decay)
        files.append(checkpoint.save_foreign(folder / f"{letter}_{weights.step}.pth", {
            "model": model, "iteration": epoch, "optimizer": optimizer, "learning_rate": learning_rate}))
        counts.append(f"{letter} has {len(model)} tensors, {sum(each.numel() for each in model.values()):,} numbers, "
                      f"{len(optimizer['state'])} moments")
    path = folder / "config.json"
    write_text_atomic(path, json.dumps(_published_config(config), indent=2, ensure_ascii=False) + "\n")
    return ExportResult([*files, path], tuple(counts))


def published_order(names: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Names of tensors in the published order."""
    def place(name: str) -> int:
        part = name.split(".")[1]
        return DURATION_PARTS.index(part) if part in DURATION_PARTS else -1

    names = list(names)
    own = [name for name in names if name.startswith("dp.")]
    ordered = iter(sorted(own, key=place))
    return [next(ordered) if name.startswith("dp.") else name for name in names]


def _load(file: Path) -> dict[str, Any]:
    content = checkpoint.load_foreign(file)
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        found = f"a dict of {', '.join(map(str, list(content)[:6]))}" if isinstance(content, dict) else (
            f"a {type(content).__name__}")
        raise FormatError(f"{file} holds {found}; expected a dict of model, iteration, optimizer and learning_rate")
    check_tensors(content["model"], file)
    # A constant of MS-iSTFT-VITS, which is no parameter: zeros between the samples of each stream.
    content["model"].pop("dec.updown_filter", None)
    return content


def _check_parts(model: Mapping[str, Tensor], config: Config, files: Files) -> None:
    """Raise FormatError unless the weights have the parts that the configuration chooses."""
    is_stochastic, has_speakers = "dp.flows.0.m" in model, "emb_g.weight" in model
    faults = []
    if is_stochastic != (config.model.duration_predictor == "stochastic"):
        faults.append(f"it has {'dp.flows.0.m' if is_stochastic else 'dp.conv_1.weight'}, of a "
                      f"{'stochastic' if is_stochastic else 'deterministic'} duration predictor, and model.use_sdp is "
                      f"{'false' if is_stochastic else 'true'} there")
    if has_speakers != config.multispeaker:
        faults.append(f"it has {'an' if has_speakers else 'no'} emb_g.weight and data.n_speakers is "
                      f"{config.data.n_speakers}")
    rows, table = len(model["enc_p.emb.weight"]), TextProcessor.from_config(config.data).symbols
    if rows != len(table):
        faults.append(f"enc_p.emb.weight has {rows} rows and the table {table.name!r} {len(table)} symbols (name the "
                      "voice's own in data.symbols, one after the other)")
    if faults:
        raise FormatError(f"{files.generator} does not match {files.config}: {'; '.join(faults)}; give the "
                          "configuration that it was trained with, by --config")


def _parameter_names(part: str, config: Config) -> list[str]:
    """Published names of the parameters in this project's order."""
    with torch.device("meta"):
        n_symbols = len(TextProcessor.from_config(config.data).symbols)
        network: nn.Module = (SynthesizerTrn(n_symbols, config) if part == "generator" else
                              Discriminators(config.discriminator))
    return list(published_names(dict(network.named_parameters())))


def _check_writable(config: Config, has_discriminators: bool) -> None:
    default, faults = Config(), []
    for section, names in FIXED.items():
        if section == "discriminator" and not has_discriminators:
            continue
        for name in names:
            value, fixed = getattr(getattr(config, section), name), getattr(getattr(default, section), name)
            if value != fixed and not (name == "symbols" and TextProcessor.from_config(config.data).symbols.symbols
                                       == TextProcessor.from_config(default.data).symbols.symbols):
                shown = f"{len(value)} of its own" if name == "symbols" and not isinstance(value, str) else value
                faults.append(f"{section}.{name} is {shown}, there it is {fixed}")
    faults += [f"data.text_cleaners has {name}, there are {', '.join(CLEANERS)}" for name in config.data.text_cleaners
               if name not in CLEANERS]
    if faults:
        raise FormatError(f"the published code cannot build this voice: {'; '.join(faults)}; take another format")


def _published_config(config: Config) -> dict[str, Any]:
    """The configuration in the published schema, with speakers' names, which the published code ignores."""
    tree = settings.to_dict(config)
    # Paths are of this machine; they must be set before training goes on.
    tree["data"].update(training_files="", validation_files="", symbols=PUBLISHED)
    published = {section: {name: tree[section][name] for name in names} for section, names in KEYS.items()}
    published["train"].update(fp16_run=config.train.precision == "fp16", init_lr_ratio=1, warmup_epochs=0)
    published["data"]["max_wav_value"] = 32768.0
    published["model"].update(n_layers_q=3, use_spectral_norm=config.discriminator.use_spectral_norm,
                              use_sdp=config.model.duration_predictor == "stochastic")
    if not config.multispeaker:  # there it would make layers for a speaker
        del published["model"]["gin_channels"]
    if config.data.speakers:
        published["data"]["speakers"] = list(config.data.speakers)
    return published


def _published_optimizer(updater: dict[str, Any] | None, names: list[str], config: Config) -> dict[str, Any]:
    """AdamW's state dict in the published order, without moments unless they are of exactly these parameters."""
    train, state, learning_rate = config.train, {}, config.train.learning_rate
    if updater is not None:
        theirs = list(published_names(dict.fromkeys(updater["names"], torch.empty(0))))
        if set(theirs) == set(names):
            places = {name: place for place, name in enumerate(theirs)}
            state = {place: updater["optimizer"]["state"][places[name]] for place, name in enumerate(names)
                     if places[name] in updater["optimizer"]["state"]}
            learning_rate = updater["optimizer"]["param_groups"][0]["lr"]
    return {"state": state, "param_groups": [{
        "lr": learning_rate, "betas": train.betas, "eps": train.eps, "weight_decay": train.weight_decay,
        "amsgrad": False, "initial_lr": train.learning_rate, "params": list(range(len(names)))}]}


def _epoch(factor: float, decay: float) -> int:
    """The epoch, from 1, of a decayed learning rate, as nothing else in the file has it."""
    return 1 + round(math.log(factor) / math.log(decay)) if 0 < factor < 1 and 0 < decay < 1 else 1
