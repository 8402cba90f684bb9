"""A builder of ONNX graphs from formulas, without a tracer, for full control over the nodes.

    graph = Graph()
    x = graph.input("x", np.float32, [1, "tokens", 192])
    graph.output("y", graph.linear(x, weight, bias) * 2.0, np.float32, [1, "tokens", 192])
    graph.save(Path("y.onnx"), {"sample_rate": "22050"})
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from torch import Tensor, nn

if TYPE_CHECKING:
    import onnx
    import onnxruntime

from utils import import_package, write_bytes_atomic

# Shapes: C channels, T time (frames or tokens).

OPSET = 17  # the first with LayerNormalization; runtimes of 2022 and later support it
IR_VERSION = 8  # of the same release
SHARED_BYTES = 1024  # constants up to this size are stored once

Operand = Union["Value", Tensor, np.ndarray, float, int, Sequence[int]]


class Value:
    """The output of a node, an input, or a weight of a graph; operations on it add nodes."""

    def __init__(self, graph: Graph, name: str):
        self.graph = graph
        self.name = name

    def __add__(self, other: Operand) -> Value:
        return self.graph.op("Add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return self.graph.op("Sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.graph.op("Sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.graph.op("Mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph.op("Div", self, other)

    def __matmul__(self, other: Operand) -> Value:
        return self.graph.op("MatMul", self, other)

    def transposed(self, *axes: int) -> Value:
        """Permute the axes."""
        return self.graph.op("Transpose", self, perm=list(axes))

    def reshaped(self, *shape: int) -> Value:
        """Reshape; -1 once for the remaining size, 0 for an unchanged one."""
        return self.graph.op("Reshape", self, np.asarray(shape, np.int64))

    def split(self, sizes: Sequence[int], axis: int) -> list[Value]:
        """Split into parts of these sizes along an axis."""
        return self.graph.ops("Split", len(sizes), self, list(sizes), axis=axis)

    def part(self, start: Operand, end: Operand, axis: int) -> Value:
        """Slice from `start` up to, not including, `end`, each a list of one number."""
        return self.graph.op("Slice", self, start, end, [axis])


class Graph:
    """Nodes, weights, inputs and outputs of an ONNX graph, and their file.

    With a model whose parameters require gradients, a weight that is computed from parameters is named by their names
    in the state dict, joined by +, and its node by their module: `/dec/ups.0/ConvTranspose`.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        self.n_nodes = 0
        self.named: dict[str, Tensor] = {}  # weights computed from parameters, by name
        self._parameters = {} if model is None else {id(each): name for name, each in model.named_parameters()}
        self._nodes: list[onnx.NodeProto] = []
        self._node_names: set[str] = set()
        self._weights: list[onnx.TensorProto] = []
        self._shared: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: type, shape: Sequence[int | str], default: Any = None) -> Value:
        """Add an input, optional if it has a default; a name in `shape` is a dynamic size."""
        self._inputs.append(_described(name, kind, shape))
        if default is not None:
            self._weights.append(_tensor(name, np.asarray(default, kind)))
        return Value(self, name)

    def output(self, name: str, value: Value, kind: type, shape: Sequence[int | str]) -> None:
        """Add an output."""
        self._add("Identity", [value.name], [name], {})
        self._outputs.append(_described(name, kind, shape))

    def op(self, kind: str, *operands: Operand, **attributes: Any) -> Value:
        """Add a node with one output."""
        return self.ops(kind, 1, *operands, **attributes)[0]

    def ops(self, kind: str, n_outputs: int, *operands: Operand, **attributes: Any) -> list[Value]:
        """Add a node with several outputs."""
        inputs = [self.value(operand).name for operand in operands]
        names = [f"{kind}_{self.n_nodes}" if n_outputs == 1 else f"{kind}_{self.n_nodes}_{i}" for i in range(n_outputs)]
        self._add(kind, inputs, names, attributes, self._node_name(kind, inputs))
        return [Value(self, name) for name in names]

    def value(self, operand: Operand) -> Value:
        """An operand as a Value: numbers and tensors become float32 or int64 weights."""
        if isinstance(operand, Value):
            return operand
        name = self._weight_name(operand) if isinstance(operand, Tensor) else ""
        array = operand.detach().numpy() if isinstance(operand, Tensor) else np.asarray(operand)
        array = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int64).reshape(array.shape)
        if name:
            self.named[name] = operand
            self._weights.append(_tensor(name, array))
            return Value(self, name)
        content = array.tobytes() if array.nbytes <= SHARED_BYTES else b""
        key = (array.dtype.str, array.shape, content)
        if content and key in self._shared:
            return self._shared[key]
        made = Value(self, f"weight_{len(self._weights)}")
        self._weights.append(_tensor(made.name, array))
        if content:
            self._shared[key] = made
        return made

    def linear(self, x: Value, weight: Tensor, bias: Tensor | None) -> Value:
        """Linear layer: x [1, T, C], weight [C', C] or [C', C, 1] of a convolution -> [1, T, C']."""
        product = x @ weight.reshape(weight.shape[:2]).T
        return product if bias is None else product + bias

    def conv(self, x: Value, layer: nn.Conv1d | nn.ConvTranspose1d, weight: Tensor | None = None,
             bias: Tensor | None = None, padding: tuple[int, int] | None = None, rows: int = 0) -> Value:
        """Convolution or transposed convolution.

        Args:
            x: [1, C, T], or with `rows` axes of size 1 between C and T.
            layer: with the shapes.
            weight: replaces the layer's.
            bias: replaces the layer's.
            padding: replaces the layer's, before and after.
            rows: 1 for [1, C, 1, T]: onnxruntime has faster convolutions of images.
        """
        weight, bias = layer.weight if weight is None else weight, layer.bias if bias is None else bias
        before, after = (layer.padding[0], layer.padding[0]) if padding is None else padding
        zeros, ones = [0] * rows, [1] * rows
        shape = {"kernel_shape": [*ones, *layer.kernel_size], "dilations": [*ones, *layer.dilation],
                 "strides": [*ones, *layer.stride], "pads": [*zeros, before, *zeros, after], "group": layer.groups}
        kind = "ConvTranspose" if isinstance(layer, nn.ConvTranspose1d) else "Conv"
        weight = weight.reshape(*weight.shape[:2], *ones, weight.shape[2])
        return self.op(kind, x, *([weight] if bias is None else [weight, bias]), **shape)

    def layer_norm(self, x: Value, scale: Tensor, shift: Tensor, epsilon: float) -> Value:
        """Layer norm over the last axis."""
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)

    def gelu(self, x: Value) -> Value:
        """Exact GELU, as the five nodes that runtimes fuse into one."""
        return x * (self.op("Erf", x / float(np.sqrt(2))) + 1.0) * 0.5

    def cast(self, x: Value, kind: type) -> Value:
        """Cast to another type."""
        return self.op("Cast", x, to=_element_type(kind))

    def size(self, x: Value, axis: int) -> Value:
        """The size of an axis, as a list of one number."""
        return self.op("Shape", x, start=axis, end=axis + 1)

    def save(self, path: Path, metadata: Mapping[str, str]) -> Path:
        """Write the file; its folder is made as needed.

        Raises:
            PackageError: onnx is not installed, or does not load.
        """
        helper = _onnx().helper
        graph = helper.make_graph(self._nodes, path.stem, self._inputs, self._outputs, self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, dict(metadata))
        write_bytes_atomic(path, model.SerializeToString())
        return path

    def _add(self, kind: str, inputs: list[str], outputs: list[str], attributes: Mapping[str, Any],
             name: str = "") -> None:
        self._nodes.append(_onnx().helper.make_node(kind, inputs, outputs, name=name or None, **attributes))
        self.n_nodes += 1

    def _weight_name(self, tensor: Tensor) -> str:
        """The names of the parameters that a tensor is computed from; "" if there are none."""
        found, waiting, seen = [], [tensor.grad_fn], set()
        if tensor.grad_fn is None:
            found = [tensor]
        while waiting:
            if (function := waiting.pop()) is None or function in seen:
                continue
            seen.add(function)
            found += [function.variable] if hasattr(function, "variable") else []
            waiting += [each for each, _ in reversed(function.next_functions)]
        name = "+".join(self._parameters[id(each)] for each in found if id(each) in self._parameters)
        return name if name not in self.named else f"{name}#{len(self.named)}"

    def _node_name(self, kind: str, inputs: Sequence[str]) -> str:
        """`/module/kind` of a node that takes a named weight; "" for others."""
        weight = next((name for name in inputs if name in self.named), "")
        module = weight.partition("+")[0].rpartition(".")[0]
        path = re.sub(r"\.(?=\D)", "/", module)
        name = f"/{path}/{kind}" if module else ""
        if name in self._node_names and name:
            name += f"_{self.n_nodes}"
        self._node_names.add(name)
        return name


def open_session(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Open an ONNX file for the CPU with `threads` threads, else OMP_NUM_THREADS, else the runtime's default.

    Raises:
        PackageError: onnxruntime is not installed, or does not load.
    """
    onnxruntime = import_package("onnxruntime", install="onnx onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0")) if threads is None else threads
    options.log_severity_level = 3  # errors only
    level = optimization(options.intra_op_num_threads)
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def optimization(threads: int) -> str:
    """Name of onnxruntime's best optimization level for a number of threads; 0 is one for each core.

    Its last level puts channels into blocks, which makes a voice a tenth faster on one thread; but threads then share
    the work by blocks, of which a decoder's last layers have one or two, so that two threads take a quarter longer than
    without (benchmarks/graph.py).
    """
    return "ORT_ENABLE_ALL" if (threads or os.cpu_count()) == 1 else "ORT_ENABLE_EXTENDED"


def _described(name: str, kind: type, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return _onnx().helper.make_tensor_value_info(name, _element_type(kind), list(shape))


def _element_type(kind: type) -> int:
    return _onnx().helper.np_dtype_to_tensor_dtype(np.dtype(kind))


def _tensor(name: str, array: np.ndarray) -> onnx.TensorProto:
    return _onnx().numpy_helper.from_array(array, name)


def _onnx() -> Any:
    """The library, imported on first use."""
    onnx, *_ = [import_package(name, beside="protobuf", install="onnx onnxruntime")
                for name in ("onnx", "onnx.helper", "onnx.numpy_helper")]
    return onnx
