"""Import of Piper's released voices: VOICE.onnx with VOICE.onnx.json.

    imported = read(Path("en_US-joe-medium.onnx"), config=None)      # with its JSON beside it
    imported.generator.keys()                                        # no posterior encoder

The graph was traced by torch from the published modules, so a weight keeps its name in the state dict unless the
exporter computed with it; then the node that takes it has its module's name: `/flow/flows.6/enc/in_layers.0/Conv`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import config as settings
from formats import FormatError, ImportedVoice
from formats import piper_checkpoint as piper
from formats.import_helpers import (
    check_fits,
    model_sizes,
    placeholder,
    published_names,
    read_json,
    weight_normed,
    with_peak_gain,
)
from formats.onnx_voice import find_graph, load_graph
from utils import import_package

if TYPE_CHECKING:
    import onnx

PARTS = ("enc_p", "flow", "dp", "dec", "emb_g")
NORM = re.compile(r".*\.norm(s|_layers)?_\d(\.\d+)?")  # modules of the published layer norm
TRAINED = 1.2  # an embedding row is untrained if its norm is at most this many times that of rows without symbols

_SHOWN = 12  # symbols, in a note


class Convolution(NamedTuple):
    """Settings of a convolution that its shape does not have."""

    stride: int
    dilation: int


def recognises(path: Path) -> bool:
    """Whether an ONNX file, or the only .onnx of a folder, has the inputs of Piper's graphs."""
    file = find_graph(path)
    if file is None or file.suffix != ".onnx":
        return False
    try:
        return _is_piper(load_graph(file))
    except FormatError:
        return False


def read(path: Path, config: Path | None) -> ImportedVoice:
    """Read the voice, without the parts of training, which are not in the file.

    Args:
        path: the .onnx, or a folder with one.
        config: the voice's JSON; None takes VOICE.onnx.json beside the .onnx, or else config.json.

    Raises:
        FileNotFoundError: a file is missing.
        FormatError: it is no graph of Piper, or its weights cannot be found in it.
        PackageError: onnx is not installed, or does not load.
    """
    file = find_graph(path)
    if file is None:
        raise FileNotFoundError(f"no single .onnx in {path}; expected a Piper voice: VOICE.onnx with VOICE.onnx.json")
    model = load_graph(file)
    if not _is_piper(model):
        taken = ", ".join(given.name for given in model.graph.input)
        raise FormatError(f"{file} takes {taken}; expected a graph of Piper, which takes input, input_lengths, scales "
                          "and, with several speakers, sid")
    described_at = config or _find_config(file)
    described = read_json(described_at)
    weights = _Weights(model.graph)
    tensors = weights.found()
    if "enc_p.emb.weight" not in tensors:
        raise FormatError(f"{file} has no weights that are named as in a VITS state dict; expected a graph that Piper "
                          "exported from its training")
    generator = weight_normed(tensors)
    sizes = _sizes(generator, weights.convolutions, str(file))
    rows = generator["enc_p.emb.weight"]
    symbols, notes = piper.symbols_of(described, len(rows), described_at)
    symbols, untrained = _without_untrained(symbols, rows)
    if untrained:
        shown = " ".join(untrained[:_SHOWN]) + f" and {len(untrained) - _SHOWN} more" * (len(untrained) > _SHOWN)
        notes.append(f"it was not trained on {shown}: these are left out of the symbol table, and replaced in texts "
                     "by the nearest symbols")
    data = piper.data_of(described, {"hop_length": math.prod(sizes["upsample_rates"])}, generator, described_at)
    tree = {"data": data | {"symbols": symbols}, "model": sizes,
            "speaking": piper.speaking_of(described)}
    notes += piper.notes_of(tree["data"], described)
    notes.append("the file only speaks: it has no posterior encoder and no discriminators, which further training "
                 "creates; until then there are no --candidates, no conversion and no alignment")
    imported = ImportedVoice(settings.from_dict(tree), generator, None, notes=tuple(notes), **_model_card(file))
    check_fits(imported, str(file))
    return with_peak_gain(imported)


class _Weights:
    """The tensors of a graph by their names in the state dict."""

    def __init__(self, graph: onnx.GraphProto):
        self._numpy = import_package("onnx.numpy_helper", beside="protobuf", install="onnx").to_array
        self._nodes = list(graph.node)
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        for node in self._nodes:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._stored[node.output[0]] = node.attribute[0].t
        # Outputs of Identity, and of casts from 16 bits, are stored tensors.
        self._source = {node.output[0]: node.input[0] for node in self._nodes if node.op_type in ("Identity", "Cast")}
        self.convolutions: dict[str, Convolution] = {}

    def found(self) -> dict[str, Tensor]:
        """All tensors as float32; also fills `convolutions`."""
        named = {name: self._numpy(tensor) for name, tensor in self._stored.items()
                 if name.partition(".")[0] in PARTS and "." in name}
        for name, array in self._by_nodes():
            named.setdefault(name, array)
        return published_names({name: torch.from_numpy(np.array(array, np.float32)) for name, array in named.items()})

    def _value(self, name: str) -> np.ndarray | None:
        while name not in self._stored and name in self._source:
            name = self._source[name]
        return self._numpy(self._stored[name]) if name in self._stored else None

    def _by_nodes(self) -> Iterator[tuple[str, np.ndarray]]:
        """Names from the nodes that take a tensor, as torch renames tensors that it computed with, and stores equal
        ones once under the first name."""
        for node in self._nodes:
            module, kind = _module_of(node), node.op_type
            if kind in ("Conv", "ConvTranspose"):
                yield from self._of_convolution(node, module)
            elif kind == "Gather" and (table := self._value(node.input[0])) is not None and table.ndim == 2:
                for given, embedding in (("input", "enc_p.emb"), ("sid", "emb_g")):
                    if node.input[1] == given or module == embedding:
                        yield f"{embedding}.weight", table
            elif kind in ("Mul", "Add") and NORM.fullmatch(module):
                leaf = {"Mul": "gamma", "Add": "beta"}[kind]
                yield from ((f"{module}.{leaf}", value) for value in self._constants(node) if value.ndim == 1)
            elif module == "dp.flows.0":
                yield from self._of_affine(node)

    def _of_convolution(self, node: onnx.NodeProto, module: str) -> Iterator[tuple[str, np.ndarray]]:
        for name in node.input[1:]:  # a graph whose nodes have no names
            path, _, leaf = name.rpartition(".")
            if not module and leaf in ("weight", "bias") and path.partition(".")[0] in PARTS:
                module = path
        if not module:
            raise FormatError(f"the weights {', '.join(node.input[1:])} of a convolution have no name with their "
                              "module; expected a graph as torch exports it, with the names of its modules")
        given = {each.name: each.ints[0] for each in node.attribute if each.name in ("strides", "dilations")}
        self.convolutions[module] = Convolution(given.get("strides", 1), given.get("dilations", 1))
        for leaf, name in zip(("weight", "bias"), node.input[1:]):
            if (value := self._value(name)) is not None:
                yield f"{module}.{leaf}", value

    def _of_affine(self, node: onnx.NodeProto) -> Iterator[tuple[str, np.ndarray]]:
        """The first step of the durations' flow, (x - m) exp(-logs): its constant may be -logs or exp(-logs)."""
        for value in self._constants(node):
            if value.shape == (2, 1):
                if node.op_type == "Exp":
                    yield "dp.flows.0.logs", -value
                elif node.op_type == "Mul":
                    yield "dp.flows.0.logs", -np.log(value)
                elif node.op_type == "Sub":
                    yield "dp.flows.0.m", value

    def _constants(self, node: onnx.NodeProto) -> Iterator[np.ndarray]:
        values = (self._value(name) for name in node.input)
        return (value for value in values if value is not None)


def _module_of(node: onnx.NodeProto) -> str:
    """`/flow/flows.6/enc/in_layers.0/Conv` -> flow.flows.6.enc.in_layers.0; "" for a node without such a name."""
    return ".".join(node.name.strip("/").split("/")[:-1]) if node.name.startswith("/") else ""


def _sizes(generator: Mapping[str, Tensor], convolutions: Mapping[str, Convolution], source: str) -> dict[str, Any]:
    """The model section: sizes from the tensors, rates and dilations from the graph."""
    sizes = model_sizes(generator, source)
    convs = "convs1" if sizes["resblock"] == "1" else "convs"
    n_ups, n_kernels = len(sizes["upsample_kernel_sizes"]), len(sizes["resblock_kernel_sizes"])

    def dilations(block: int) -> tuple[int, ...]:
        inside = re.compile(rf"dec\.resblocks\.{block}\.{convs}\.(\d+)")
        found = {int(match[1]): each.dilation for name, each in convolutions.items()
                 if (match := inside.fullmatch(name))}
        return tuple(found[i] for i in sorted(found))

    return sizes | {"upsample_rates": tuple(convolutions[f"dec.ups.{i}"].stride for i in range(n_ups)),
                    "resblock_dilation_sizes": tuple(dilations(block) for block in range(n_kernels))}


def _without_untrained(symbols: list[str], rows: Tensor) -> tuple[list[str], list[str]]:
    """The table with placeholders for symbols with untrained rows, and these symbols.

    The norm of rows without a symbol is that of untrained rows; with too few of them, all symbols stay.
    """
    norms = rows.norm(dim=1)
    private = [row for row, symbol in enumerate(symbols) if symbol == placeholder(row)]
    if len(private) < 8:
        return symbols, []
    longest = float(norms[private].mean()) * TRAINED
    kept = {piper.PAD, piper.BEGIN, piper.END}
    untrained = [row for row, symbol in enumerate(symbols)
                 if row not in private and symbol not in kept and norms[row] <= longest]
    if len(untrained) > len(symbols) // 2:  # the voice was hardly trained
        return symbols, []
    return ([placeholder(row) if row in untrained else symbol for row, symbol in enumerate(symbols)],
            [symbols[row] for row in untrained])


def _model_card(file: Path) -> dict[str, str]:
    """Data and licence from the file MODEL_CARD beside the voice; empty without one."""
    card = file.with_name("MODEL_CARD")
    if not card.is_file():
        return {}
    text = card.read_text(encoding="utf-8", errors="replace")
    fields = dict(re.findall(r"^\* *(URL|Licen[cs]e): *(.+?) *$", text, re.MULTILINE))
    training = " ".join(text.partition("## Training")[2].split("##")[0].split())
    licence = fields.get("License", fields.get("Licence", ""))
    if licence and "tuned from" in training:
        licence += " (of its own data, as its authors state); the voice that it was fine-tuned from has its own terms"
    return {"data": ". ".join(filter(None, (fields.get("URL"), training))), "licence": licence}


def inputs_of(file: Path) -> list[str]:
    """Names of the inputs of an ONNX graph.

    Raises:
        FormatError: it is no ONNX file, or a damaged one.
    """
    return [given.name for given in load_graph(file).graph.input]


def _is_piper(model: onnx.ModelProto) -> bool:
    return {"input", "input_lengths", "scales"} <= {given.name for given in model.graph.input}


def _find_config(file: Path) -> Path:
    for beside in (file.with_name(file.name + ".json"), file.with_name("config.json")):
        if beside.is_file():
            return beside
    raise FileNotFoundError(f"no {file.name}.json beside {file}; it comes with every Piper voice and has the symbols "
                            "of the ids: fetch it too, or give it by --config")
