"""Shared by the readers of other projects' checkpoints: sizes from tensors, published names, and checks.

    generator = published_names(tensors)                # weight norm as weight_g and weight_v, in fp32
    sizes = model_sizes(generator, "voice.ckpt")        # {"hidden_channels": 192, "resblock": "2", ...}
    check_fits(imported, "voice.ckpt")                  # FormatError if tensors and configuration differ
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import config as settings
from checkpoint import kind_fault, tensor_fault
from discriminators import Discriminators
from formats import FormatError, ImportedVoice
from models import SynthesizerTrn
from modules import fold_weight_norm
from text import TextProcessor

# Dilations of residual blocks are not in any shape; these are the customary ones.
DILATIONS = {"1": lambda n_kernels: ((1, 3, 5),) * n_kernels,
             "2": lambda n_kernels: ((1, 2), (2, 6), (3, 12))[:n_kernels]}
_WEIGHT_NORMED = re.compile(r"dec\.(ups|resblocks)\..*|.*\.enc\.((in|res_skip)_layers\.\d+|cond_layer)")
_SHOWN = 6  # keys, in a message
_NUMBERS = ("1 2 3 4 5.", "11 12 13 14 15.", "100, 200, 300.")  # of some seconds of speech
_SILENT = 1e-3  # a peak below is no speech
_MOST_GAIN = 24.0  # dB, of speaking.gain_db
_PLACEHOLDERS = 0xE000  # where Unicode's private characters begin
_NEW_WEIGHT_NORM = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def read_json(path: Path) -> dict[str, Any]:
    """Read an object from a JSON file.

    Raises:
        FormatError: it is not JSON, or no object.
    """
    try:
        content = settings.read_json(path)
    except ValueError as error:
        raise FormatError(str(error)) from None
    if not isinstance(content, dict):
        raise FormatError(f"{path} holds a {type(content).__name__}, expected an object with the voice's settings")
    return content


def check_tensors(tensors: Mapping[Any, Any], source: str | Path) -> None:
    """Check that a state dict has names and numeric tensors only.

    Raises:
        FormatError: a name is no string, or a value is no numeric tensor.
    """
    if fault := tensor_fault(tensors):
        raise FormatError(f"{source} {fault}")


def published_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in fp32, with weight norm under the published names weight_g and weight_v."""
    named = {}
    for name, tensor in tensors.items():
        for new, published in _NEW_WEIGHT_NORM.items():
            name = name.replace(new, published)
        named[name] = tensor.float() if tensor.is_floating_point() else tensor
    return named


def weight_normed(tensors: Mapping[str, Tensor], network: nn.Module | None = None) -> dict[str, Tensor]:
    """The tensors with folded weights split into direction and norm, for layers with weight norm in training.

    Those are the network's that has it; without a network, those of a published one.
    """
    layers = None if network is None else {
        name.rpartition(".")[0] for name in network.state_dict() if name.endswith(".weight_g")}
    normed = {}
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        if leaf == "weight" and (_WEIGHT_NORMED.fullmatch(module) if layers is None else module in layers):
            normed[f"{module}.weight_v"] = tensor
            normed[f"{module}.weight_g"] = tensor.flatten(1).norm(dim=1).reshape(-1, *[1] * (tensor.dim() - 1))
        else:
            normed[name] = tensor
    return normed


def placeholder(row: int) -> str:
    """A private-use character for a row of a symbol table that is no single character; it is in no text."""
    return chr(_PLACEHOLDERS + row)


def complete_names(ids: Mapping[str, int], n_speakers: int) -> tuple[str, ...]:
    """Speakers' names by id; empty unless each id from 0 to n_speakers - 1 has exactly one."""
    by_id = {number: name for name, number in ids.items()}
    is_complete = sorted(by_id) == list(range(n_speakers)) and len(ids) == n_speakers
    return tuple(by_id[number] for number in range(n_speakers)) if is_complete else ()


def with_peak_gain(imported: ImportedVoice) -> ImportedVoice:
    """The voice with a gain by which the peaks of its sentences are 1 on average, as Piper scales each.

    Measured on three sentences of numbers, which espeak-ng reads in every language, without noise; of several speakers
    on three of them. A voice that cannot read digits keeps its level, which a note states.
    """
    config, decibels = imported.config, []
    text = TextProcessor.from_config(config.data)
    model = SynthesizerTrn(len(text.symbols), config).eval()
    model.leave_out(imported.generator)
    model.load_state_dict(imported.generator)
    fold_weight_norm(model)
    for number, cleaned in enumerate(text.clean(list(_NUMBERS))):
        encoded = text.encode_lenient(cleaned)
        if any(symbol.isalnum() for symbol in encoded.unknown) or not encoded.ids:
            continue
        speaker = torch.tensor([number * config.data.n_speakers // len(_NUMBERS)]) if config.multispeaker else None
        out = model.infer(torch.tensor([encoded.ids]), torch.tensor([len(encoded.ids)]), speaker, noise_scale=0,
                          noise_scale_duration=0)
        if (peak := float(out.wav.abs().max())) > _SILENT:
            decibels.append(-20 * math.log10(peak))
    if not decibels:
        note = "its level was not measured, as it reads no digits; set speaking.gain_db if it is too quiet"
        return imported._replace(notes=(*imported.notes, note))
    gain = round(min(_MOST_GAIN, max(-_MOST_GAIN, sum(decibels) / len(decibels))), 1)
    return imported._replace(config=settings.replace(config, "speaking", {"gain_db": gain}))


def speaking_notes(noise_scale: float, noise_scale_duration: float, length_scale: float) -> tuple[str, ...]:
    """A note with the voice's settings for synthesis, if they are not this project's defaults."""
    if (noise_scale, noise_scale_duration, length_scale) == (0.667, 0.8, 1.0):
        return ()
    return (f"it is meant to speak with noise_scale={noise_scale:g}, noise_scale_duration={noise_scale_duration:g}, "
            f"speed={1 / length_scale:.3g}; give these when you speak",)


def model_sizes(tensors: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    """Fields of ModelConfig from the shapes of a generator.

    Absent parts, such as those of training in an exported graph, keep their defaults. Upsampling rates are half their
    kernels and dilations are the customary ones, because shapes do not have them.

    Args:
        tensors: of a generator, weight norm as weight_g and weight_v.
        source: the file, for messages.

    Raises:
        FormatError: a required tensor is missing.
    """
    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise FormatError(f"{source} has no tensor {name}; expected a VITS generator of the published layout, with "
                              f"its weight norm; found {', '.join(list(tensors)[:_SHOWN]) or 'nothing'}")
        return tuple(tensors[name].shape)

    def count(pattern: str) -> int:
        return len({match[0] for name in tensors if (match := re.match(pattern, name))})

    def last(pattern: str) -> int:
        return max((int(match[1]) for name in tensors if (match := re.match(pattern, name))), default=0)

    hidden = shape("enc_p.emb.weight")[1]
    relative = shape("enc_p.encoder.attn_layers.0.emb_rel_k")  # [1, 2 * window + 1, channels of a head]
    feed_forward = shape("enc_p.encoder.ffn_layers.0.conv_1.weight")
    resblock = "1" if "dec.resblocks.0.convs1.0.weight_v" in tensors else "2"
    first_conv = "convs1.0" if resblock == "1" else "convs.0"
    n_ups = count(r"dec\.ups\.\d+\.")
    shape("dec.ups.0.weight_v")
    n_kernels = count(r"dec\.resblocks\.\d+\.") // n_ups
    upsample_kernels = tuple(shape(f"dec.ups.{i}.weight_v")[2] for i in range(n_ups))
    n_posterior = count(r"enc_q\.enc\.in_layers\.\d+\.")  # a graph that only speaks has none
    is_deterministic = "dp.conv_1.weight" in tensors
    return {
        "inter_channels": shape("enc_p.proj.weight")[0] // 2, "hidden_channels": hidden,
        "filter_channels": feed_forward[0], "kernel_size": feed_forward[2], "n_heads": hidden // relative[2],
        "attention_window": (relative[1] - 1) // 2, "n_layers": count(r"enc_p\.encoder\.attn_layers\.\d+\."),
        **({"posterior_layers": n_posterior} if n_posterior else {}),
        "wavenet_kernel_size": shape("flow.flows.0.enc.in_layers.0.weight_v")[2],
        "flow_couplings": count(r"flow\.flows\.\d+\."), "flow_layers": count(r"flow\.flows\.0\.enc\.in_layers\.\d+\."),
        **({"duration_predictor": "deterministic", "duration_channels": shape("dp.conv_1.weight")[0]}
           if is_deterministic else
           {"duration_predictor": "stochastic", "duration_flows": (last(r"dp\.flows\.(\d+)\.pre\.weight") + 1) // 2}),
        "resblock": resblock,
        "resblock_kernel_sizes": tuple(shape(f"dec.resblocks.{i}.{first_conv}.weight_v")[2] for i in range(n_kernels)),
        "resblock_dilation_sizes": DILATIONS[resblock](n_kernels),
        "upsample_initial_channel": shape("dec.conv_pre.weight")[0], "upsample_kernel_sizes": upsample_kernels,
        "upsample_rates": tuple(kernel // 2 for kernel in upsample_kernels),
        "gin_channels": shape("emb_g.weight")[1] if "emb_g.weight" in tensors else 0}


def check_fits(imported: ImportedVoice, source: str) -> None:
    """Check names and shapes of all tensors against the networks of the configuration.

    Raises:
        FormatError: with missing and unknown names, and differing shapes.
    """
    n_symbols = len(imported.config.data.symbols)
    with torch.device("meta"):  # shapes, without memory
        network = SynthesizerTrn(n_symbols, imported.config)
        network.leave_out(imported.generator)
        faults = _misfits(imported.generator, network)
        if imported.discriminators is not None:
            faults += _misfits(imported.discriminators, Discriminators(imported.config.discriminator))
    if faults:
        rest = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise FormatError(f"{source} is no VITS of a known form: {'; '.join(faults[:_SHOWN])}{rest}")


def _misfits(tensors: Mapping[str, Tensor], network: nn.Module) -> list[str]:
    expected = network.state_dict()
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    faults += [f"{name} is unknown" for name in tensors if name not in expected]
    fault = kind_fault(expected, tensors)
    faults += [f"it {fault}"] if fault else []
    return faults + [f"{name} is {list(tensors[name].shape)}, expected {list(expected[name].shape)}"
                     for name in expected if name in tensors and tensors[name].shape != expected[name].shape]
