"""The benchmark of graphs runs from end to end in toy sizes, and compares only what sounds the same."""

import shutil

import pytest

from benchmarks import graph, voices
from formats import onnx_voice
from formats.graph import open_session, optimization
from tests.benchmarks.test_benchmarks import MEDIUM_SMALL
from tests.formats.test_torchscript import untrained

pytest.importorskip("onnx", reason="pip install onnx onnxruntime")
pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")


def test_the_table_has_every_graph_and_says_who_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(voices, "is_installed", lambda *_: False)
    once = {}

    def opened_once(file, tokens, threads, runs):  # a process of its own takes a second
        if file not in once:
            once[file] = real(file, tokens, threads, runs)
        return once[file]

    real = graph.opened
    monkeypatch.setattr(graph, "opened", opened_once)
    graph.main(["--seconds", "0.3", "--threads", "1", "--repeats", "2"], MEDIUM_SMALL)
    printed = capsys.readouterr().out
    assert [line.split(" | ")[0] for line in printed.splitlines()[2:4]] == ["| ours", "| ours, in Piper's form"]
    assert "left out: piper-tts" in printed
    assert len({found.samples for found in once.values()}) == 1
    assert all(found.opened > 0 and found.spoken > 0 for found in once.values())


def test_one_round_has_no_range(capsys):
    with pytest.raises(SystemExit):
        graph.main(["--repeats", "1"])
    assert "--repeats 1: a range takes 2 or more" in capsys.readouterr().err


def test_graphs_that_say_other_sounds_are_not_compared(tmp_path):
    onnx_voice.write(untrained(), tmp_path)
    shutil.copy(tmp_path / "voice.onnx", tmp_path / "first.onnx")
    onnx_voice.write(untrained('model.resblock="2"'), tmp_path)
    with pytest.raises(ValueError, match="'a' and 'b' give different sounds for the same ids"):
        graph.check_same({"a": tmp_path / "first.onnx", "b": tmp_path / "voice.onnx"})


def test_a_file_that_cannot_be_spoken_is_named(tmp_path):
    (tmp_path / "voice.onnx").write_bytes(b"no graph")
    with pytest.raises(RuntimeError, match=r"voice.onnx was not spoken: (.|\n)*[Ee]rror"):
        graph.opened(tmp_path / "voice.onnx", 5, 1, 1)


@pytest.mark.slow
def test_pipers_graph_and_ours_are_of_the_same_weights(tmp_path):
    if not voices.is_installed("piper", "onnxscript"):
        pytest.skip("needs piper-tts and onnxscript: pip install -e .[bench]")
    files = graph.write_graphs(tmp_path)  # which compares their sounds
    assert list(files) == [graph.PIPER, graph.OURS, graph.OURS_FOR_PIPER]
    assert graph.n_nodes(files[graph.PIPER]) > 4 * graph.n_nodes(files[graph.OURS])


@pytest.mark.parametrize(("threads", "level"), [(1, "ORT_ENABLE_ALL"), (2, "ORT_ENABLE_EXTENDED")])
def test_channels_are_put_into_blocks_for_one_thread_only(tmp_path, threads, level):
    import onnxruntime

    assert optimization(threads) == level and hasattr(onnxruntime.GraphOptimizationLevel, level)
    onnx_voice.write(untrained(), tmp_path)
    session = open_session(tmp_path / "voice.onnx", threads)
    assert session.get_session_options().graph_optimization_level == getattr(onnxruntime.GraphOptimizationLevel, level)
