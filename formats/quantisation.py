"""Smaller files of our ONNX voice: its weights in 16 or 8 bits, and what that costs, measured.

    quantised(Path("folder/voice.onnx"), "int8").checks     # "voice.int8.onnx: 29.2 MB, ...; mel differs by 0.021 nats"

onnxruntime widens the weights when it opens the file: less to store and to send, the same speed and memory after that.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import config as settings
from config import DataConfig
from formats import FormatError, Written
from formats.graph import open_session
from mel_processing import mel_spectrogram

if TYPE_CHECKING:
    import onnx
    import onnxruntime

KINDS = ("fp16", "int8")
LEAST_NUMBERS = 1024  # of a weight that is worth it
OUTPUT_AXIS = {"Conv": 0, "MatMul": 1}  # of the weights that become int8: each output has a scale of its own


def quantised(path: Path, kind: str) -> Written:
    """Write voice.KIND.onnx beside a voice.onnx of `onnx_voice.write`.

    Args:
        path: of voice.onnx, beside which voice.json lies.
        kind: "fp16", or "int8" for convolutions and products of matrices, and fp16 for the rest.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: an unknown kind, or another's file.
    """
    if kind not in KINDS:
        raise FormatError(f"weights cannot be {kind!r}; expected {' or '.join(KINDS)}")
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; python export.py --to onnx writes it")
    import onnx

    model = onnx.load(path)
    if not any(given.name == "text_ids" for given in model.graph.input):
        raise FormatError(f"{path} takes {', '.join(given.name for given in model.graph.input)}; expected a voice.onnx "
                          "that python export.py --to onnx wrote")
    _narrow(model.graph, kind)
    file = path.with_suffix(f".{kind}.onnx")
    file.write_bytes(model.SerializeToString())
    return Written([file], _measured(path, file, settings.load(path.with_name("voice.json")).data))


def _narrow(graph: onnx.GraphProto, kind: str) -> None:
    """Store large weights narrowly, with nodes before all others that widen them; the runtime runs them once."""
    from onnx import numpy_helper

    consumers = {node.input[1]: node.op_type for node in graph.node if len(node.input) > 1}
    given = {each.name for each in graph.input}
    kept, widening = [], []
    for tensor in graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if weight.dtype != np.float32 or weight.size < LEAST_NUMBERS or tensor.name in given:
            kept.append(tensor)
            continue
        axis = OUTPUT_AXIS.get(consumers.get(tensor.name, "")) if kind == "int8" else None
        stored, nodes = _stored(tensor.name, weight, axis)
        kept.extend(numpy_helper.from_array(array, name) for name, array in stored.items())
        widening.extend(nodes)
    nodes = [*widening, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def _stored(name: str, weight: np.ndarray, axis: int | None) -> tuple[dict[str, np.ndarray], list[onnx.NodeProto]]:
    """Narrow weights by name, and the nodes that widen them to `name`; int8 with a scale along an axis, else fp16."""
    from onnx import TensorProto, helper

    if axis is None:
        half = f"{name}_half"
        return {half: weight.astype(np.float16)}, [helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT)]
    others = tuple(each for each in range(weight.ndim) if each != axis)
    scale = np.maximum(np.abs(weight).max(axis=others, keepdims=True), 1e-12) / 127
    whole, wide, factor = f"{name}_int8", f"{name}_wide", f"{name}_scale"
    nodes = [helper.make_node("Cast", [whole], [wide], to=TensorProto.FLOAT),
             helper.make_node("Mul", [wide, factor], [name])]
    return {whole: np.round(weight / scale).astype(np.int8), factor: scale.astype(np.float32)}, nodes


def _measured(path: Path, file: Path, data: DataConfig) -> tuple[str, ...]:
    """Size, time to open, real-time factor and mel distance of both."""
    lines, mels = [], []
    for each in (path, file):
        begin = time.perf_counter()
        session = open_session(each)
        opened = time.perf_counter()
        feeds = _feeds(session)
        session.run(["wav"], feeds)  # the first run finds its memory
        begun = time.perf_counter()
        [wav] = session.run(["wav"], feeds)
        factor = (time.perf_counter() - begun) / (wav.shape[2] / data.sampling_rate)
        mels.append(mel_spectrogram(torch.from_numpy(wav[:, 0]), data))
        lines.append(f"{each.name}: {each.stat().st_size / 1e6:.1f} MB, opens in {opened - begin:.2f} s, real-time "
                     f"factor {factor:.3f}")
    return (*lines, f"log-mel differs by {float((mels[0] - mels[1]).abs().mean()):.3f} nats on average")


def _feeds(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """The same text, noise and durations for every graph: 50 symbols of 4 frames."""
    optional = {each.name: each for each in session.get_overridable_initializers()}
    random = np.random.default_rng(0)
    channels = optional["prior_noise"].shape[1]
    return {"text_ids": np.arange(50)[None] % 8, "given_durations": np.full((1, 50), 4),
            "prior_noise": random.standard_normal((1, channels, 200), dtype=np.float32)}
