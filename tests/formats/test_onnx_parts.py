"""A voice's graph, cut without the package onnx, computes in two parts what the whole computes."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="pip install onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")

from formats import onnx_voice  # noqa: E402
from formats.graph import Graph, open_session  # noqa: E402
from formats.onnx_parts import encoder_and_decoder  # noqa: E402
from formats.quantisation import quantised  # noqa: E402
from synthesis.base import VOICES  # noqa: E402
from synthesis.onnx import OnnxVoice  # noqa: E402
from tests.formats.test_onnx import KINDS, untrained  # noqa: E402


def outputs_of(session, feeds):
    return dict(zip((each.name for each in session.get_outputs()), session.run(None, feeds)))


def in_parts(parts, feeds):
    """Outputs of the encoder, and wav by the decoder from nothing else."""
    found = outputs_of(onnxruntime.InferenceSession(parts.encoder), feeds)
    decoder = onnxruntime.InferenceSession(parts.decoder)
    [found["wav"]] = decoder.run(["wav"], {each.name: found[each.name] for each in decoder.get_inputs()})
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_compute_the_whole(tmp_path, kind):
    weights = untrained(*KINDS[kind])
    onnx_voice.write(weights, tmp_path)
    feeds = onnx_voice.probe(onnx_voice.load_voice(weights)).feeds
    parts = encoder_and_decoder((tmp_path / "voice.onnx").read_bytes())
    for part in parts:
        onnx.checker.check_model(onnx.load_from_string(part), full_check=True)
    found, wanted = in_parts(parts, feeds), outputs_of(open_session(tmp_path / "voice.onnx", 1), feeds)
    assert found.keys() == wanted.keys() | {"z"}
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)
    whole = sum(len(each.raw_data) for each in onnx.load(tmp_path / "voice.onnx").graph.initializer)
    assert sum(map(len, parts)) < 1.2 * whole + 100_000  # a weight is in one part, but for small numbers
    assert onnx.load_from_string(parts.decoder).metadata_props == onnx.load(tmp_path / "voice.onnx").metadata_props


@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_narrow_weights_are_cut_as_well(tmp_path, kind):
    weights = untrained()
    onnx_voice.write(weights, tmp_path)
    [file] = quantised(tmp_path / "voice.onnx", kind).files
    feeds = onnx_voice.probe(onnx_voice.load_voice(weights)).feeds
    wav = in_parts(encoder_and_decoder(file.read_bytes()), feeds)["wav"]
    np.testing.assert_allclose(wav, outputs_of(open_session(file, 1), feeds)["wav"], atol=1e-6)


@pytest.mark.parametrize("name", sorted(file.parent.name for file in VOICES.glob("*/voice.onnx")))
def test_every_voice_that_comes_along_streams_within_a_sentence(name):
    voice = OnnxVoice.load(VOICES / name / "voice.onnx", threads=1)
    assert voice.decoder is not None
    pieces = list(voice.stream("eins two tres quattro", seed=1))
    whole = voice.speak("eins two tres quattro", seed=1).samples
    assert len(pieces) > 2
    np.testing.assert_allclose(np.concatenate([each.samples for each in pieces]), whole, atol=1e-4)


def test_what_is_no_such_graph_is_left_whole(tmp_path):
    graph = Graph()
    x = graph.input("prior_noise", np.float32, [1, 2, "frames"])
    graph.output("wav", graph.op("Sigmoid", x) + x, np.float32, [1, 2, "frames"])
    content = graph.save(tmp_path / "other.onnx", {}).read_bytes()
    for each in (content, content[: len(content) // 2], b"", b"no graph at all", bytes(100), b"\xff" * 100):
        assert encoder_and_decoder(each) is None
