"""Cut of the ONNX graph of a whole voice into encoder and decoder, without the package onnx.

    parts = encoder_and_decoder(Path("voice.onnx").read_bytes())
    onnxruntime.InferenceSession(parts.encoder)      # text ids to z and durations
    onnxruntime.InferenceSession(parts.decoder)      # z, and the speaker if there are several, to wav

An ONNX file is a protocol buffer: fields of a number, a kind and a value, one after the other. Nodes and weights are
moved into the part that needs them, as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

# Numbers of fields, in order of the messages ModelProto, GraphProto, NodeProto, TensorProto, ValueInfoProto.
_GRAPH = 7
_NODE, _WEIGHT, _INPUT, _OUTPUT, _SHAPE = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND = 1, 2, 4
_WEIGHT_NAME, _VALUE_NAME, _VALUE_TYPE = 8, 1, 2
_BYTES = 2  # kind of a field: a length and as many bytes

_LAST_OF_ENCODER = "Sigmoid"  # flow and pitch end with one, generators have none
_ENDS_OF_ENCODER = ("Concat", "Gather")  # the nodes that can give z


class Parts(NamedTuple):
    """Two ONNX files."""

    encoder: bytes
    decoder: bytes


class _Node(NamedTuple):
    content: bytes
    kind: str
    inputs: list[str]
    outputs: list[str]


def encoder_and_decoder(model: bytes) -> Parts | None:
    """Cut a voice's graph where its latent z is complete; None if it has no place where only z goes on.

    Names are those of `export.py --to onnx-streaming`: the encoder's outputs are those of the whole but for wav, and z;
    the decoder's inputs are z and speaker.

    Args:
        model: content of a file that `export.py --to onnx` wrote, of any version.
    """
    try:
        fields = list(_fields(model))
        [graph] = [list(_fields(content)) for number, _, content in fields if number == _GRAPH]
        return _cut(fields, graph)
    except (ValueError, IndexError):  # no protocol buffer, or one of another kind, which the runtime will name
        return None


def _cut(fields: list[tuple[int, int, bytes]], graph: list[tuple[int, int, bytes]]) -> Parts | None:
    nodes = [_node(content) for number, _, content in graph if number == _NODE]
    outputs = {_name(content, _VALUE_NAME): content for number, _, content in graph if number == _OUTPUT}
    inputs = {_name(content, _VALUE_NAME) for number, _, content in graph if number == _INPUT}
    if "wav" not in outputs or "prior_noise" not in inputs:
        return None
    speaker = next((node.inputs[0] for node in nodes if node.outputs == ["speaker"]), None)
    needed = _needed(nodes, ["wav"], [])
    z = _latent(needed, inputs, speaker)
    if z is None:
        return None
    renamed = {z: "z"} | ({speaker: "speaker"} if speaker is not None else {})
    outputs["z"] = _value("z", 3)
    decoder = _needed(nodes, ["wav"], renamed)
    passed = {name: short for name, short in renamed.items() if any(name in node.inputs for node in decoder)}
    decoder = [*(_identity(short, name) for name, short in passed.items()), *decoder]
    others = [name for name in outputs if name not in ("wav", "z")]
    encoder = [*_needed(nodes, [z, *others], []), _identity(z, "z")]
    return Parts(_model(fields, graph, encoder, inputs, [outputs[name] for name in (*others, "z")]),
                 _model(fields, graph, decoder, {}, [outputs["wav"]], [_value(name, 3) for name in passed.values()]))


def _latent(nodes: list[_Node], inputs: Iterable[str], speaker: str | None) -> str | None:
    """Name of the first value behind the flow that, but for the speaker, all that follows depends on."""
    computed = set(inputs)  # what depends on an input; the rest are constants
    last_use = {name: place for place, node in enumerate(nodes) for name in node.inputs}
    last_gate = max((place for place, node in enumerate(nodes) if node.kind == _LAST_OF_ENCODER), default=None)
    if last_gate is None:
        return None
    open_values: set[str] = set()
    for place, node in enumerate(nodes):
        if computed.intersection(node.inputs):
            computed.update(node.outputs)
            open_values.update(node.outputs)
        open_values = {name for name in open_values if last_use.get(name, -1) > place}
        passing = open_values | {name for name in inputs if last_use.get(name, -1) > place}
        if place > last_gate and node.kind in _ENDS_OF_ENCODER and passing - {speaker} == set(node.outputs):
            return node.outputs[0]
    return None


def _needed(nodes: list[_Node], outputs: Iterable[str], given: Iterable[str]) -> list[_Node]:
    """The nodes that compute `outputs` from `given` values and the graph's inputs, in their order."""
    wanted, found = set(outputs), []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.outputs):
            wanted.update(name for name in node.inputs if name not in given)
            found.append(node)
    return found[::-1]


def _model(fields: list[tuple[int, int, bytes]], graph: list[tuple[int, int, bytes]], nodes: list[_Node],
           inputs: Iterable[str], outputs: list[bytes], more_inputs: Iterable[bytes] = ()) -> bytes:
    """A model of some nodes, with the weights that they use and all else as in the whole."""
    used = {name for node in nodes for name in node.inputs}
    parts = [_field(_NODE, node.content) for node in nodes]
    for number, kind, content in graph:
        if number == _WEIGHT:
            name = _name(content, _WEIGHT_NAME)
            parts += [_field(_WEIGHT, content)] if name in used or name in inputs else []
        elif number == _INPUT:
            parts += [_field(_INPUT, content)] if _name(content, _VALUE_NAME) in inputs else []
        elif number not in (_NODE, _OUTPUT, _SHAPE):
            parts.append(_field(number, content) if kind == _BYTES else b"")
    parts += [_field(_INPUT, content) for content in more_inputs]
    parts += [_field(_OUTPUT, content) for content in outputs]
    whole = [_field(number, b"".join(parts) if number == _GRAPH else content, kind) for number, kind, content in fields]
    return b"".join(whole)


def _node(content: bytes) -> _Node:
    inputs, outputs, kind = [], [], ""
    for number, _, value in _fields(content):
        if number == _NODE_INPUT:
            inputs.append(value.decode())
        elif number == _NODE_OUTPUT:
            outputs.append(value.decode())
        elif number == _NODE_KIND:
            kind = value.decode()
    return _Node(content, kind, inputs, outputs)


def _identity(source: str, name: str) -> _Node:
    """A node that gives a value another name."""
    return _node(_field(_NODE_INPUT, source.encode()) + _field(_NODE_OUTPUT, name.encode())
                 + _field(_NODE_KIND, b"Identity"))


def _value(name: str, rank: int) -> bytes:
    """ValueInfoProto of a float32 tensor whose sizes are open."""
    sizes = b"".join(_field(1, _field(2, f"{name}_{axis}".encode())) for axis in range(rank))
    tensor = _varint(1 << 3) + _varint(1) + _field(2, sizes)  # elem_type 1 is float32
    return _field(_VALUE_NAME, name.encode()) + _field(_VALUE_TYPE, _field(1, tensor))


def _name(content: bytes, field: int) -> str:
    return next(value.decode() for number, _, value in _fields(content) if number == field)


def _fields(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, kind and bytes of each field of a message; a number's bytes are its varint."""
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        kind, start = key & 7, place
        if kind == 0:
            _, place = _read_varint(content, place)
        elif kind == _BYTES:
            size, start = _read_varint(content, place)
            place = start + size
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if place > len(content):
            raise ValueError("a field that ends beyond its message")
        yield key >> 3, kind, content[start:place]


def _field(number: int, content: bytes, kind: int = _BYTES) -> bytes:
    return _varint(number << 3 | kind) + (_varint(len(content)) if kind == _BYTES else b"") + content


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _varint(value: int) -> bytes:
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes([*content, value])
