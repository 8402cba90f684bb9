"""Releases: a voice for others, as safetensors of the weights that speak, and its configuration.

    publish(Path("runs/ljs"), Path("voices/ljs"))     # model.safetensors, config.json[, discriminators.safetensors]

`checkpoint.read_weights` reads them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

import checkpoint
import config as settings
from checkpoint import INT8_SCALE, MODEL_FILE, Weights
from utils import staged

logger = logging.getLogger("vits")

LEAST_INT8 = 1024  # numbers of a weight that is worth a scale
GENERATOR_PARTS = ("dec.", "pitch.")  # beginnings of the names of what turns a latent into sound
GENERATOR_SETTINGS = ("generator", "resblock", "upsample_", "istft_", "gen_istft_", "subbands", "pqmf",
                      "plugins")  # beginnings, in the model section


def publish(source: Path, folder: Path, with_discriminators: bool = False) -> list[Path]:
    """Write a release: the weights that speak as fp32 safetensors, and the configuration without private paths.

    Args:
        source: run folder, checkpoint or release.
        folder: made as needed; a release in it is replaced.
        with_discriminators: so that others can fine-tune where the training left off.

    Raises:
        ValueError: the folder is a run's or somebody else's, or discriminators are wanted and there are none.
    """
    weights = checkpoint.read_weights(source)
    if with_discriminators and weights.discriminators is None:
        raise ValueError(f"{weights.source} has no discriminators to publish; take the run, or leave them out")
    return publish_weights(weights if with_discriminators else weights._replace(discriminators=None), folder)


def publish_weights(weights: Weights, folder: Path, kind: torch.dtype = torch.float32) -> list[Path]:
    """Write a release of weights, with their discriminators if there are any; see `publish`.

    float16 halves it; int8 quarters it, with a scale for each output of a weight, and leaves discriminators in float16.
    The folder stays as it was until all of it is written.
    """
    check_release_folder(folder)
    config = settings.from_dict(weights.config)
    # Synthesis needs none of these, and paths of the training machine are private.
    config = settings.replace(config, "data", {"training_files": "", "validation_files": ""})
    config = settings.replace(config, "train", {"init_from": None, "teacher": None, "own_latent": False,
                                                "callbacks": ()})
    if config.model.plugins:
        logger.warning("the voice needs %s to load; distribute these files with %s", ", ".join(config.model.plugins),
                       folder)
    names = [MODEL_FILE, "config.json"]
    with staged(folder, stale=(checkpoint.DISCRIMINATORS_FILE,)) as made:  # another release's would not fit
        _write_tensors(made / MODEL_FILE, weights.generator, weights.step, kind)
        settings.save(config, made / "config.json")
        if weights.discriminators is not None:
            names.append(checkpoint.DISCRIMINATORS_FILE)
            _write_tensors(made / checkpoint.DISCRIMINATORS_FILE, weights.discriminators, weights.step,
                           torch.float16 if kind == torch.int8 else kind)
    return [folder / name for name in names]


def joined(text_side: Weights, sound: Weights) -> Weights:
    """One voice of two that decode the same latent: text encoder, flow and durations of one, generator of the other.

    Step, training settings and discriminators are those of the generator's.

    Raises:
        ValueError: their latents, frames, symbols or speakers differ.
    """
    configs = [settings.from_dict(weights.config) for weights in (text_side, sound)]
    for section, name in (("model", "inter_channels"), ("model", "gin_channels"), ("data", "sampling_rate"),
                          ("data", "hop_length"), ("data", "filter_length"), ("data", "n_speakers")):
        values = [getattr(getattr(config, section), name) for config in configs]
        if values[0] != values[1]:
            raise ValueError(f"{section}.{name} is {values[0]} in {text_side.source} and {values[1]} in "
                             f"{sound.source}; only voices that learned from one teacher can be joined")
    tensors, generator = ({name: tensor for name, tensor in weights.generator.items()
                           if name.startswith(GENERATOR_PARTS) == is_sound}
                          for weights, is_sound in ((text_side, False), (sound, True)))
    model = {name: value for name, value in sound.config["model"].items() if name.startswith(GENERATOR_SETTINGS)}
    config = {**sound.config, "data": text_side.config["data"], "model": {**text_side.config["model"], **model}}
    return sound._replace(config=config, generator=tensors | generator)


def averaged(run: Path, count: int, raw: bool = False) -> Weights:
    """The mean of the weights of a run's newest checkpoints; all else is of the newest.

    Args:
        run: a run folder.
        count: how many checkpoints, 2 or more.
        raw: as of `checkpoint.read_weights`.

    Raises:
        ValueError: there are not so many, or their weights differ in shape.
    """
    steps = checkpoint.list_steps(run) if run.is_dir() else []
    if not 2 <= count <= len(steps):
        raise ValueError(f"--average is {count}, and {run} has {len(steps)} checkpoints; expected 2 to as many as "
                         "there are; train.keep_last sets how many a run keeps")
    total, newest = {}, None
    for step in steps[-count:]:  # one at a time in memory
        newest = checkpoint.read_weights(checkpoint.path_of(run, step), raw)
        shapes = {name: tensor.shape for name, tensor in newest.generator.items()}
        if total and shapes != {name: tensor.shape for name, tensor in total.items()}:
            raise ValueError(f"{newest.source} has other tensors than the checkpoints before it; average fewer")
        total = {name: tensor.double() + total.get(name, 0) if tensor.is_floating_point() else tensor
                 for name, tensor in newest.generator.items()}
    return newest._replace(generator={
        name: (total[name] / count).to(tensor.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in newest.generator.items()})


def check_release_folder(folder: Path) -> None:
    """Refuse to write a release over a run or another configuration.

    Raises:
        ValueError: naming it.
    """
    if checkpoint.newest(folder) is not None:
        raise ValueError(f"{folder} holds checkpoints; a release goes to a folder of its own")
    if (folder / "config.json").exists() and not checkpoint.is_release(folder / MODEL_FILE):
        raise ValueError(f"{folder} holds a config.json of something else; a release goes to a folder of its own")


def _write_tensors(path: Path, tensors: Mapping[str, Tensor], step: int, kind: torch.dtype) -> Path:
    """Write a safetensors file in one dtype, with format, version, step and checksum as metadata."""
    if kind == torch.int8:
        narrow = [_in_int8(name, tensor) for name, tensor in tensors.items()]
        tensors = {name: tensor for each in narrow for name, tensor in each.items()}
    else:
        tensors = {name: tensor.to(kind) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    checksum = checkpoint.checksum(tensors, str(step))
    version = checkpoint.INT8_VERSION if kind == torch.int8 else checkpoint.RELEASE_VERSION
    metadata = {"format": checkpoint.RELEASE_FORMAT, "version": version, "step": str(step), "checksum": checksum}
    return checkpoint.write_safetensors(path, tensors, metadata)


def _in_int8(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A large weight as whole numbers and a scale for each of its first index; others as they are."""
    if not tensor.is_floating_point() or tensor.dim() < 2 or tensor.numel() < LEAST_INT8:
        return {name: tensor}
    scale = tensor.flatten(1).abs().amax(dim=1).clamp(min=1e-12) / 127
    scale = scale.reshape(-1, *[1] * (tensor.dim() - 1)).float()
    return {name: (tensor / scale).round().to(torch.int8), f"{name}{INT8_SCALE}": scale}


def int8_places(path: Path) -> dict[bytes, tuple[int, int]]:
    """Where the weights in 8 bits lie in a release's file: their bytes -> offset and length, for others to refer to."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")  # the format: length of the header, JSON, numbers
    header = json.loads(content[8:begin])
    spans = [entry["data_offsets"] for name, entry in header.items() if entry.get("dtype") == "I8"]
    return {content[begin + low : begin + high]: (begin + low, high - low) for low, high in spans}
