"""Smaller and faster files of our ONNX voice: numbers in 16 or 8 bits, and what that costs, measured.

    quantised(Path("folder/voice.onnx"), "int8").checks     # "voice.int8.onnx: 29.2 MB, ...; mel differs by 0.021 nats"

onnxruntime widens the weights of "fp16" and "int8" when it opens the file: less to store and to send, the same speed
and memory after that. With "int8-static" it computes in 8 bits: faster where the processor has instructions for that,
and further from the voice, because what the layers say to each other is rounded too, in ranges that a few texts showed.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import config as settings
from config import DataConfig
from formats import FormatError, Written, publishing
from formats.graph import open_session
from mel_processing import mel_spectrogram
from utils import atomic_path, write_bytes_atomic

if TYPE_CHECKING:
    import onnx
    import onnxruntime

KINDS = ("fp16", "int8", "int8-static")
N_CALIBRATING = 4  # texts that show the ranges
LEAST_NUMBERS = 1024  # of a weight that is worth it
OUTPUT_AXIS = {"Conv": 0, "MatMul": 1}  # of the weights that become int8: each output has a scale of its own


def quantised(path: Path, kind: str) -> Written:
    """Write voice.KIND.onnx beside a voice.onnx of `onnx_voice.write`.

    Args:
        path: of voice.onnx, beside which voice.json lies.
        kind: "fp16"; "int8" for convolutions and products of matrices, and fp16 for the rest; "int8-static" to compute
            these in 8 bits.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: an unknown kind, or another's file.
    """
    if kind not in KINDS:
        raise FormatError(f"weights cannot be {kind!r}; expected {', '.join(KINDS)}")
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; python export.py --to onnx writes it")
    import onnx

    model = onnx.load(path)
    if not any(given.name == "text_ids" for given in model.graph.input):
        raise FormatError(f"{path} takes {', '.join(given.name for given in model.graph.input)}; expected a voice.onnx "
                          "that python export.py --to onnx wrote")
    file = path.with_suffix(f".{kind}.onnx")
    if kind == "int8-static":
        with atomic_path(file) as temporary:
            _write_static(path, temporary)
    else:
        _narrow(model.graph, kind)
        write_bytes_atomic(file, model.SerializeToString())
    return Written([file], _measured(path, file, settings.load(path.with_name("voice.json")).data))


def _narrow(graph: onnx.GraphProto, kind: str) -> None:
    """Store large weights narrowly, with nodes before all others that widen them; the runtime runs them once."""
    from onnx import numpy_helper

    consumers = {node.input[1]: node.op_type for node in graph.node if len(node.input) > 1}
    given = {each.name for each in graph.input}
    kept, widening = [], []
    for tensor in graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if (weight.dtype != np.float32 or weight.size < LEAST_NUMBERS or tensor.name in given
                or np.abs(weight).max() > np.finfo(np.float16).max):  # 16 bits would make it infinite
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


def share_weights(path: Path, model_file: Path) -> str:
    """Let an int8 graph take weights from the release beside it, wherever both store the same bytes.

    Args:
        path: of the graph, which is written anew.
        model_file: with weights in 8 bits, in the same folder.

    Returns:
        what is to be said of it.
    """
    import onnx

    model, places = onnx.load(path), publishing.int8_places(model_file)
    n_shared = 0
    for tensor in model.graph.initializer:
        place = places.get(tensor.raw_data)
        if place is None:
            continue
        n_shared += place[1]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in zip(("location", "offset", "length"), (model_file.name, *place)):
            tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())
    return f"{path.name} takes {n_shared / 1e6:.1f} MB of its weights from {model_file.name} beside it"


def _write_static(path: Path, file: Path) -> None:
    """A graph whose large layers take and say 8 bits, in the ranges that texts of drawn symbols showed."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    session = open_session(path)

    class Texts(CalibrationDataReader):
        """Gives what the graph shall say, one text after the other, then None."""

        def __init__(self) -> None:
            self.left = [_feeds(session, seed) for seed in range(1, N_CALIBRATING + 1)]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    with _quiet():
        quantize_static(path, file, Texts(), quant_format=QuantFormat.QDQ, op_types_to_quantize=list(OUTPUT_AXIS),
                        per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within it onnxruntime does not advise to prepare the graph, which was written as it should be."""
    import onnxruntime

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(3)  # errors only
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)  # what it begins with
        logging.disable(before)


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


def _feeds(session: onnxruntime.InferenceSession, seed: int = 0) -> dict[str, np.ndarray]:
    """The same text, noise and durations for every graph: 50 symbols of 4 frames."""
    optional = {each.name: each for each in session.get_overridable_initializers()}
    random = np.random.default_rng(seed)
    channels = optional["prior_noise"].shape[1]
    n_symbols = int(session.get_modelmeta().custom_metadata_map.get("n_symbols", 8))
    ids = random.integers(0, n_symbols, (1, 50)) if seed else np.arange(50)[None] % 8
    return {"text_ids": ids, "given_durations": np.full((1, 50), 4),
            "prior_noise": random.standard_normal((1, channels, 200), dtype=np.float32)}
