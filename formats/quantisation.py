"""Quantised copies of the ONNX voice in 16 or 8 bits, with measured size, speed and deviation.

    quantised(Path("folder/voice.onnx"), "int8").checks     # "voice.int8.onnx: 29.2 MB, ...; mel differs by 0.021 nats"

onnxruntime converts the weights of "fp16" and "int8" to fp32 when it opens the file: smaller files, the same speed and
memory afterwards. With "int8-static" it computes flow and the first half of the generator in 8 bits: faster on
processors with instructions for that, and less exact, because activations are rounded too, in ranges that sentences
give. Text encoder, durations and the last stages stay wide: 8 bits there change the timing and make the sound rough.
"""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import config as settings
from config import DataConfig
from formats import ExportResult, FormatError, publishing
from formats.graph import open_session
from mel_processing import mel_spectrogram
from text import TextProcessor
from text.utterances import ScriptReader, SentenceTokens
from utils import atomic_path, write_bytes_atomic

if TYPE_CHECKING:
    import onnx
    import onnxruntime

KINDS = ("fp16", "int8", "int8-static")
N_CALIBRATING, N_MEASURED = 16, 6  # sentences: for the ranges of activations, and for the deviation
MAX_STATIC_NATS = 0.4  # log-mel difference up to which int8-static is written; docs/reference/formats.md
WIDE_STAGES = 1  # last upsampling stages of a generator that stay wide
SENTENCES = Path(__file__).parents[1] / "filelists"  # test_sentences_LANGUAGE.txt, lines of kind|text
LEAST_NUMBERS = 1024  # of a weight that is worth it
OUTPUT_AXIS = {"Conv": 0, "MatMul": 1}  # of the weights that become int8: each output has a scale of its own


def quantised(path: Path, kind: str) -> ExportResult:
    """Write voice.KIND.onnx beside a voice.onnx of `onnx_voice.write`.

    Args:
        path: of voice.onnx, with voice.json beside it.
        kind: "fp16"; "int8" for convolutions and products of matrices, and fp16 for the rest; "int8-static" to compute
            these in 8 bits.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: an unknown kind, a file of another format, or a voice that 8 bits change by more than
            MAX_STATIC_NATS.
    """
    if kind not in KINDS:
        raise FormatError(f"unknown kind of quantisation {kind!r}; expected {', '.join(KINDS)}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}; python export.py --to onnx writes it")
    import onnx

    model = onnx.load(path)
    if not any(given.name == "text_ids" for given in model.graph.input):
        raise FormatError(f"{path} takes {', '.join(given.name for given in model.graph.input)}; expected a voice.onnx "
                          "that python export.py --to onnx wrote")
    file = path.with_suffix(f".{kind}.onnx")
    data = settings.load(path.with_name("voice.json")).data
    texts = _sentence_feeds(open_session(path), data, N_MEASURED + N_CALIBRATING * (kind == "int8-static"))
    measuring = texts[:N_MEASURED]
    if kind == "int8-static":
        with atomic_path(file) as temporary:
            _write_static(path, temporary, texts[N_MEASURED:])
            _check_deviation(_mel_distance(path, temporary, measuring, data), file)
    else:
        _narrow(model.graph, kind)
        write_bytes_atomic(file, model.SerializeToString())
    return ExportResult([file], _measured(path, file, measuring, data))


def _check_deviation(distance: float, file: Path) -> None:
    """Check the log-mel difference of a graph that computes in 8 bits.

    Raises:
        FormatError: it is above MAX_STATIC_NATS.
    """
    if distance > MAX_STATIC_NATS:
        raise FormatError(f"{file.name} is not written: computing this voice in 8 bits changes its log-mel by "
                          f"{distance:.2f} nats, and more than {MAX_STATIC_NATS} is rough to the ear; take --quantise "
                          "int8, a quarter of the size with the sound of fp32, or fp16")


def _narrow(graph: onnx.GraphProto, kind: str) -> None:
    """Store large weights in fewer bits, with nodes that convert them back, which the runtime runs once."""
    from onnx import numpy_helper

    consumers = {node.input[1]: node.op_type for node in graph.node if len(node.input) > 1}
    given = {each.name for each in graph.input}
    kept, widening = [], []
    for tensor in graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if (weight.dtype != np.float32 or weight.size < LEAST_NUMBERS or tensor.name in given
                or np.abs(weight).max() > np.finfo(np.float16).max):  # too large for 16 bits
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
    """Quantised weights by name, and the nodes that convert them back; int8 with a scale along an axis, else fp16."""
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
    """Replace weights of an int8 graph by references to the release's file beside it, where the bytes are equal.

    Args:
        path: of the graph, which is rewritten.
        model_file: with weights in 8 bits, in the same folder.

    Returns:
        a sentence for the user.
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


def _write_static(path: Path, file: Path, texts: Sequence[dict[str, np.ndarray]]) -> None:
    """Write a graph that computes flow and first half of the generator in 8 bits, calibrated on inputs of the graph."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Texts(CalibrationDataReader):
        """Inputs of the calibration, one text after the other, then None."""

        def __init__(self) -> None:
            self.left = list(texts)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    model = onnx.load(path)
    narrow = _narrow_nodes(model.graph)
    with _quiet():
        quantize_static(model, file, Texts(), quant_format=QuantFormat.QDQ, op_types_to_quantize=list(OUTPUT_AXIS),
                        nodes_to_quantize=narrow, per_channel=True, activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QInt8)


def _narrow_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes between the prior's noise and the last stages of the generator; all nodes get a name.

    The noise marks where the text side ends: neither text encoder nor durations depend on it. Stages begin at
    transposed convolutions; a generator without them has one, whose last layer stays wide.
    """
    behind, found, stages = {"prior_noise"}, [], 0
    for i, node in enumerate(graph.node):
        node.name = node.name or f"node_{i}"
        if behind.isdisjoint(node.input):
            continue
        behind.update(node.output)
        stages += node.op_type == "ConvTranspose"
        if node.op_type in OUTPUT_AXIS:
            found.append((node.name, stages))
    if not stages:
        return [name for name, _ in found[:-1]]
    return [name for name, stage in found if stage <= stages - WIDE_STAGES]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Context without onnxruntime's advice to preprocess the graph, which needs none."""
    import onnxruntime

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(3)  # errors only
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)  # the default
        logging.disable(before)


def _measured(path: Path, file: Path, texts: Sequence[dict[str, np.ndarray]], data: DataConfig) -> tuple[str, ...]:
    """Size, time to open, real-time factor and mel distance of both."""
    lines = []
    for each in (path, file):
        begin = time.perf_counter()
        session = open_session(each)
        opened = time.perf_counter()
        session.run(["wav"], texts[0])  # the first run allocates memory
        begun = time.perf_counter()
        [wav] = session.run(["wav"], texts[0])
        factor = (time.perf_counter() - begun) / (wav.shape[2] / data.sampling_rate)
        lines.append(f"{each.name}: {each.stat().st_size / 1e6:.1f} MB, opens in {opened - begin:.2f} s, real-time "
                     f"factor {factor:.3f}")
    return (*lines, f"log-mel differs by {_mel_distance(path, file, texts, data):.3f} nats on average")


def _mel_distance(path: Path, file: Path, texts: Sequence[dict[str, np.ndarray]], data: DataConfig) -> float:
    """Mean difference of the log-mels of two graphs in nats, with the same durations and noise."""
    sessions, distances = (open_session(path), open_session(file)), []
    for feeds in texts:
        mels = [mel_spectrogram(torch.from_numpy(each.run(["wav"], feeds)[0][:, 0]), data) for each in sessions]
        distances.append(float((mels[0] - mels[1]).abs().mean()))
    return float(np.mean(distances))


def _sentence_feeds(session: onnxruntime.InferenceSession, data: DataConfig, count: int) -> list[dict[str, np.ndarray]]:
    """Inputs of the graph for different sentences, at the pace that the graph predicts.

    Texts are the test sentences of the voice's language; random symbols where the project has none, or the voice's
    cleaners are not installed.
    """
    random = np.random.default_rng(0)
    optional = {each.name: each for each in session.get_overridable_initializers()}
    feeds = []
    for ids in _test_ids(data, count):
        given = {"text_ids": np.asarray(ids, np.int64)[None]}  # [1, L]
        if "duration_noise" in optional:
            given["duration_noise"] = random.standard_normal((1, 2, len(ids)), dtype=np.float32)
        [durations] = session.run(["durations"], given)
        shape = (1, optional["prior_noise"].shape[1], int(durations.sum()))
        feeds.append({"text_ids": given["text_ids"], "given_durations": durations,
                      "prior_noise": random.standard_normal(shape, dtype=np.float32)})
    return feeds


def _test_ids(data: DataConfig, count: int) -> list[Sequence[int]]:
    """Token ids of `count` test sentences, or of random symbols."""
    processor = TextProcessor.from_config(data)
    path = SENTENCES / f"test_sentences_{data.language.partition('-')[0]}.txt"
    found: list[Sequence[int]] = []
    if path.is_file():
        lines = (line.partition("|") for line in path.read_text(encoding="utf-8").splitlines())
        reader = ScriptReader(processor, data.max_text_len)
        with warnings.catch_warnings(), contextlib.suppress(ImportError, RuntimeError, ValueError):
            warnings.simplefilter("ignore")  # of symbols that the voice lacks
            found = [item.ids for kind, _, text in lines if kind.strip() in ("question", "number", "sentence")
                     for item in reader.read(text.strip()) if isinstance(item, SentenceTokens)]
    if len(found) < count:
        random = np.random.default_rng(1)
        found += [processor.add_special_ids(random.integers(0, len(processor.symbols), 50).tolist())
                  for _ in range(count - len(found))]
    return found[:count]
