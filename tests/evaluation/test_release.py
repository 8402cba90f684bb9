"""A release is small where that is asked for, says what it is, and opens with and without torch."""

import importlib.util
import json
import math
import shlex
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import checkpoint
from discriminators import Discriminators
from evaluation import card, curves, release
from evaluation.card import Card
from evaluation.release import Form
from evaluation.scorecard import Interval, Measure, Scorecard
from formats import publishing
from formats.onnx_voice import load_voice, probe
from models import SynthesizerTrn
from synthesis import Voice
from synthesis.onnx import OnnxVoice, find_graph
from tests.conftest import tiny
from tests.formats.test_torchscript import SPEAKERS, untrained
from training import finetuning

PLAIN, NOBODY = Form(), Card()


def written(folder, *overrides, card=NOBODY, form=PLAIN):
    release.write(untrained(*overrides), folder, card, form)
    return folder


def test_symbols_and_speakers_are_listed_by_id_for_people(tmp_path):
    folder = written(tmp_path / "voice", *SPEAKERS)
    lines = (folder / "symbols.txt").read_text(encoding="utf-8").splitlines()
    symbols = Voice.load(folder, "cpu").text.symbols.symbols
    assert [line.split("\t")[:2] for line in lines] == [[str(row), symbol] for row, symbol in enumerate(symbols)]
    assert lines[0] == "0\t_\tU+005F\tLOW LINE"
    speakers = json.loads((folder / "speakers.json").read_text(encoding="utf-8"))
    assert speakers == {"anna": 0, "ben": 1, "cleo": 2}
    assert not (written(tmp_path / "one") / "speakers.json").exists()


def test_a_card_says_what_people_said_and_what_the_weights_are(tmp_path):
    card = Card("Anna & Co.", "twelve tones", "CC BY 4.0", "everything but vowels")
    text = (written(tmp_path / "voice", *SPEAKERS, card=card) / "README.md").read_text(encoding="utf-8")
    assert text.startswith('---\nlanguage: en\n') and 'license_name: "CC BY 4.0"' in text
    for said in ("# Anna & Co.\n", "Trained on: twelve tones", "Licence: CC BY 4.0", "everything but vowels",
                 "3 speakers (anna, ben, cleo)", "8000 Hz", "none by this project", "Not measured.",
                 '-m voice --speaker anna --text', "python train_ms.py -c CONFIG.json --init-from voice"):
        assert said in text
    assert "voice.onnx" not in text


def test_a_card_without_a_licence_says_so(tmp_path):
    text = (written(tmp_path / "voice") / "README.md").read_text(encoding="utf-8")
    assert "No licence is stated: ask" in text and "license" not in text.partition("# voice")[0]
    assert "Trained on: not stated." in text and "nobody wrote down what goes wrong" in text


def test_the_curves_of_the_run_are_drawn_up_to_the_released_step(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    rows = [{"step": step, "train/mel": 9 / step, "valid/mel": 10 / step, "other": 1} for step in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"torn')
    weights = untrained()._replace(source=run / "checkpoint_00000002.pt", step=2)
    folder = tmp_path / "voice"
    release.write(weights, folder, NOBODY, PLAIN)
    assert "![losses over training](curves.png)" in (folder / "README.md").read_text(encoding="utf-8")
    early = plt.imread(folder / "curves.png")
    assert early.shape[:2] == (400, 720) and (folder / "curves.png").stat().st_size < 60_000
    assert curves.draw(run / "metrics.jsonl", 3, tmp_path / "later.png")
    assert not np.array_equal(plt.imread(tmp_path / "later.png"), early)
    assert not curves.draw(run / "metrics.jsonl", 0, tmp_path / "none.png") and not (tmp_path / "none.png").exists()
    release.write(untrained(), folder, NOBODY, PLAIN)
    assert not (folder / "curves.png").exists() and "curves" not in (folder / "README.md").read_text(encoding="utf-8")


def test_measures_of_a_scorecard_stand_on_the_card_with_their_intervals(tmp_path):
    measure = Measure("mcd", "Mel-cepstral distortion", "dB", "lower")
    Scorecard("run", 7, {}, (measure, Measure("wer", "Word errors", "%", "lower")), {
        "recording": {}, "copy": {"mcd": Interval(4.0, 3.5, 4.4, 20), "wer": Interval(math.nan, math.nan, math.nan, 0)},
        "voice": {"mcd": Interval(6.25, 6.0, 6.5, 24), "wer": Interval(math.inf, 0.0, math.inf, 2)}},
        ()).save(tmp_path)
    card = Card(scorecard=tmp_path)
    text = (written(tmp_path / "voice", card=card) / "README.md").read_text(encoding="utf-8")
    assert "| measure | copy | voice |" in text
    assert "| Mel-cepstral distortion, dB (lower is better) | 4 [3.5, 4.4] | 6.25 [6, 6.5] |" in text
    assert "Word errors" not in text
    assert "Of step 7, while these weights are of step 0." in text and "over 20 to 24 texts" in text


def test_half_the_bits_are_half_the_size_and_nearly_the_same_sound(tmp_path):
    weights = untrained("model.filter_channels=512")
    whole, half = (release.write(weights, tmp_path / name, NOBODY, form) for name, form in (
        ("whole", PLAIN), ("half", Form(half=True))))
    sizes = [written.files[0].stat().st_size for written in (whole, half)]
    assert 0.45 < sizes[1] / sizes[0] < 0.6
    assert whole.checks[1].startswith("differs by 0e+00 at most")
    wanted, voice = probe(load_voice(weights)), load_voice(checkpoint.read_weights(tmp_path / "half"))
    assert {parameter.dtype for parameter in voice.model.parameters()} == {torch.float32}
    wav, _ = release.spoken(voice, {**wanted.feeds, "given_durations": wanted.durations})
    assert 0 < np.abs(wav - wanted.wav).max() < 0.02 * np.abs(wanted.wav).max()
    assert len(Voice.load(tmp_path / "half", "cpu").speak("abc", seed=1).samples)


@pytest.mark.parametrize("overrides", [(), SPEAKERS, ("model.generator=istft",)], ids=["one", "several", "istft"])
def test_weights_in_8_bits_are_read_back_within_half_a_step(tmp_path, overrides):
    weights = untrained(*overrides)
    publishing.publish_weights(weights, tmp_path, torch.int8)
    read = checkpoint.read_weights(tmp_path).generator
    assert read.keys() == weights.generator.keys()
    for name, tensor in weights.generator.items():
        is_narrow = tensor.dim() > 1 and tensor.numel() >= publishing.LEAST_INT8
        step = tensor.flatten(1).abs().amax(dim=1) / 127 if is_narrow else torch.zeros(1)
        steps = step.reshape(-1, *[1] * (tensor.dim() - 1)) if is_narrow else 1e-7
        assert ((read[name] - tensor).abs() <= 0.501 * steps).all() or not is_narrow and torch.equal(read[name], tensor)


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs onnxruntime")
@pytest.mark.parametrize("overrides", [(), SPEAKERS], ids=["one", "several"])
def test_a_graph_in_8_bits_takes_its_weights_from_the_release_and_says_the_same(tmp_path, overrides):
    folder = written(tmp_path / "voice", *overrides, form=Form(int8=True, onnx=True))
    alone = written(tmp_path / "alone", *overrides, form=Form(onnx=True, quantise="int8"))
    graph, model = folder / "voice.onnx", folder / "model.safetensors"
    assert b"model.safetensors" in graph.read_bytes()
    assert graph.stat().st_size < (alone / "voice.onnx").stat().st_size
    who = {"speaker": 1} if overrides else {}
    said, voice = Voice.load(folder, "cpu").speak("abc def", seed=1, **who), OnnxVoice.load(graph)
    heard = voice.speak_ids(said.text_ids, seed=1, durations=(said.durations // 64).tolist(), **who)
    assert np.abs(heard.samples - said.samples).max() < 0.1 * np.abs(said.samples).max()  # what else is in 16 bits
    model.unlink()
    with pytest.raises(ValueError, match="is no ONNX graph that onnxruntime .* can open"):
        OnnxVoice.load(graph)


def test_a_damaged_half_release_is_refused(tmp_path):
    file = written(tmp_path / "voice", form=Form(half=True)) / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    with pytest.raises(checkpoint.CheckpointError, match="its checksum is wrong"):
        Voice.load(tmp_path / "voice", "cpu")


def test_training_starts_from_a_half_release_and_draws_rows_for_new_symbols(tmp_path):
    folder = written(tmp_path / "voice", form=Form(half=True))
    config = tiny(("data.symbols=" + json.dumps(list("_ abcdefghijklmnopqrstuvwxyz$")),))
    generator = SynthesizerTrn(29, config)
    start = finetuning.start_from(generator, Discriminators(config.discriminator), checkpoint.read_weights(folder),
                                  config)
    assert len(start.new_rows["enc_p.emb.weight"]) == 1
    assert generator.enc_p.emb.weight.dtype == torch.float32 and bool(generator.enc_p.emb.weight.isfinite().all())


def test_a_weight_that_16_bits_cannot_hold_is_named(tmp_path):
    weights = untrained()
    weights.generator["enc_p.emb.weight"][0, 0] = 1e5
    with pytest.raises(ValueError, match=r"enc_p\.emb\.weight reaches 1e\+05, and 16 bits hold up to 65504"):
        release.write(weights, tmp_path / "voice", NOBODY, Form(half=True))
    assert not (tmp_path / "voice").exists()


def test_somebodys_own_text_and_a_voice_in_onnx_are_not_written_over(tmp_path):
    (tmp_path / "README.md").write_text("My notes.")
    with pytest.raises(ValueError, match="is no voice card that export.py wrote"):
        written(tmp_path)
    assert (tmp_path / "README.md").read_text() == "My notes."
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "voice.onnx").write_text("a graph")
    with pytest.raises(ValueError, match="holds a voice in ONNX"):
        written(tmp_path / "onnx")


def test_a_folder_of_something_else_is_not_written_over(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a config.json of something else; a release goes to a folder of its"):
        written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_check_of_a_narrow_graph_says_which_graph_it_is_of(tmp_path):
    pytest.importorskip("onnx", reason="pip install onnx onnxruntime")
    pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    checks = release.write(untrained(), tmp_path / "voice", NOBODY, Form(onnx=True, quantise="fp16")).checks
    assert any(check.startswith("the graph before fp16: differs by ") for check in checks)
    assert "voice.fp16.onnx became voice.onnx" in checks


def test_another_release_in_the_folder_leaves_nothing_behind(tmp_path):
    folder = written(tmp_path / "voice", *SPEAKERS)
    (folder / "voice.onnx").write_text("of the other one")
    written(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "symbols.txt"]


@pytest.mark.parametrize("quantise", [None, "int8"])
def test_a_release_with_a_graph_speaks_without_torch_as_with_it(tmp_path, monkeypatch, quantise):
    pytest.importorskip("onnx", reason="pip install onnx onnxruntime")
    pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    folder = written(tmp_path / "voice", form=Form(onnx=True, quantise=quantise))
    assert {"voice.onnx", "voice.json"} < {path.name for path in folder.iterdir()}
    assert not (folder / "voice.int8.onnx").exists()
    assert "-m voice/voice.onnx" in (folder / "README.md").read_text(encoding="utf-8")
    assert find_graph(folder) is None and find_graph(folder / "voice.onnx") == folder / "voice.onnx"
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else found(name))
    assert find_graph(folder) == folder / "voice.onnx"
    monkeypatch.undo()
    ours = Voice.load(folder, "cpu").speak("abc def", seed=3)
    theirs = OnnxVoice.load(folder / "voice.onnx").speak("abc def", seed=3)
    if quantise is None:
        np.testing.assert_allclose(theirs.samples, ours.samples, atol=1e-5)
    else:
        assert len(theirs.samples) > 0


def test_a_speakers_name_is_no_command_for_whoever_copies_the_card(tmp_path):
    for name in ("$(touch x)", "a'b", 'a" ; rm -rf x', "two words", "a\nrm x", "```", "\x1b]0;x\x07"):
        voice = SimpleNamespace(speakers=(name, "b"))
        line = card._use(voice, "voice; x", True).splitlines()[1]
        words = shlex.split(line)
        assert words[:4] == ["python", "synthesize.py", "-m", "voice; x"] and words[4] == "--speaker"
        assert words[5] in (name, "0") and words[6:8] == ["--text", "Hello."]
