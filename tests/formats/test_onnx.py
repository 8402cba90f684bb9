"""Our ONNX graphs say what torch says; Piper and sherpa-onnx, as others wrote them, speak with them."""

import functools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import config as settings
import convert
import formats
from checkpoint import Weights
from commons import token_of_frame
from formats import FormatError, onnx_network, onnx_voice, piper_voice, sherpa
from generators import GENERATORS
from models import DURATION_PREDICTORS, TRAINING_PARTS, SynthesizerTrn
from synthesis import Voice
from synthesis.onnx import OnnxVoice
from synthesis.streaming import ChunkSizes, plan_chunks
from tests.conftest import ISTFT_HIFIGAN, MULTIBAND, MULTISTREAM, VITS2, VITS2_STANDARD, tiny
from tests.golden import golden
from text import TextProcessor
from transforms import inverse_spline
from utils import PackageError

onnx = pytest.importorskip("onnx", reason="pip install onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")

from formats import quantisation  # noqa: E402
from formats.graph import Graph, open_session  # noqa: E402
from formats.quantisation import quantised  # noqa: E402

SPEAKERS = ("data.n_speakers=3", "model.gin_channels=8", 'data.speakers=["anna","ben","cleo"]')
KINDS = {
    "hifigan and stochastic durations": (),
    "residual blocks of type 2": ('model.resblock="2"',),
    "deterministic durations": ("model.duration_predictor=deterministic",),
    "istft": ("model.generator=istft", "model.duration_predictor=deterministic"),
    "istft_hifigan": (*ISTFT_HIFIGAN, "model.duration_predictor=deterministic"),
    "several speakers, multiband": (*SPEAKERS, *MULTIBAND, "model.duration_predictor=deterministic"),
    "multistream": (*MULTISTREAM, "model.duration_predictor=deterministic"),
    "VITS2": (*VITS2, "model.flow_couplings=3"),
    "several speakers, VITS2 standard": (*SPEAKERS, *VITS2_STANDARD, "model.n_layers=3", "model.flow_couplings=3"),
    "an odd number of couplings": ("model.flow_couplings=3",),
    "an even kernel of the feed-forward layers": ("model.kernel_size=4",),
    "several speakers": SPEAKERS,
    "harmonic": ("model.generator=harmonic", "model.duration_predictor=deterministic"),
    "several speakers, harmonic": (*SPEAKERS, "model.generator=harmonic", "model.duration_predictor=deterministic"),
    "several speakers, istft, deterministic": (
        *SPEAKERS, "model.generator=istft", "model.duration_predictor=deterministic"),
}


def untrained(*overrides: str) -> Weights:
    """A tiny voice whose every weight counts: also those that training starts at zero."""
    return weights_of(tiny(overrides))


def weights_of(config: settings.Config) -> Weights:
    torch.manual_seed(1)
    model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
    with torch.no_grad():
        for parameter in model.parameters():
            if bool((parameter == parameter.flatten()[0]).all()):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return Weights(settings.to_dict(config), model.state_dict(), None, 0, Path("untrained"))


def run(file: Path, feeds: dict) -> dict[str, np.ndarray]:
    session = open_session(file, threads=1)
    feeds = {name: np.asarray(value) for name, value in feeds.items()}
    return dict(zip((output.name for output in session.get_outputs()), session.run(None, feeds)))


@pytest.fixture
def voice_file(tmp_path):
    """A stochastic voice of one speaker."""
    onnx_voice.write(untrained(), tmp_path)
    return tmp_path / "voice.onnx"


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_says_what_torch_says_of_the_same_noise(tmp_path, kind):
    weights = untrained(*KINDS[kind])
    written = onnx_voice.write(weights, tmp_path)
    assert [file.name for file in written.files] == ["voice.onnx", "voice.json"]
    wanted = onnx_voice.probe(onnx_voice.load_voice(weights))
    said = run(tmp_path / "voice.onnx", wanted.feeds)
    np.testing.assert_array_equal(said["durations"], wanted.durations)
    assert np.abs(wanted.wav).max() > 1e-3
    np.testing.assert_allclose(said["wav"], wanted.wav, atol=1e-5)


@pytest.mark.parametrize("kind", ["hifigan and stochastic durations", "several speakers, istft, deterministic",
                                  "several speakers, multiband",
                                  "harmonic"])
def test_encoder_and_decoder_in_pieces_say_what_the_whole_says(tmp_path, kind):
    weights = untrained(*KINDS[kind])
    onnx_voice.write(weights, tmp_path, streaming=True)
    wanted = onnx_voice.probe(onnx_voice.load_voice(weights))
    latent = run(tmp_path / "encoder.onnx", wanted.feeds)
    durations, predicted = latent.pop("durations"), latent.pop("predicted_durations")
    np.testing.assert_array_equal(predicted, durations)  # none were given
    decoder = open_session(tmp_path / "decoder.onnx")
    metadata = decoder.get_modelmeta().custom_metadata_map
    context, hop = int(metadata["context_frames"]), int(metadata["hop_length"])
    parts = []
    for chunk in plan_chunks(latent["z"].shape[2], context, ChunkSizes(first=5, most=20)):
        feeds = {**latent, "z": latent["z"][:, :, chunk.low : chunk.high]}
        [wav] = decoder.run(["wav"], feeds)
        parts.append(wav[:, :, (chunk.start - chunk.low) * hop : (chunk.end - chunk.low) * hop])
    assert len(parts) > 3
    np.testing.assert_array_equal(durations, wanted.durations)
    np.testing.assert_allclose(np.concatenate(parts, axis=2), wanted.wav, atol=1e-5)


def test_texts_of_any_length_are_said_as_torch_says_them(tmp_path):
    weights = untrained("model.duration_predictor=deterministic")
    onnx_voice.write(weights, tmp_path)
    session, model = open_session(tmp_path / "voice.onnx", threads=1), onnx_voice.load_voice(weights).model
    for length in (1, 2, 3, 4, 5, 9, 64, 300):
        ids = torch.arange(length)[None] % 40
        wanted = model.infer(ids, torch.tensor([length]), noise_scale=0.0)
        wav, durations = session.run(["wav", "durations"], {"text_ids": ids.numpy(), "scales": np.float32([0, 1, 0])})
        np.testing.assert_array_equal(durations, wanted.durations)
        np.testing.assert_allclose(wav, wanted.wav, atol=1e-5)


def test_noise_that_is_not_given_is_drawn_and_scaled(voice_file):
    session = open_session(voice_file)
    ids, still = np.arange(20)[None], np.float32([0, 1, 0])
    quiet = [session.run(None, {"text_ids": ids, "scales": still})[0] for _ in range(2)]
    np.testing.assert_array_equal(*quiet)
    fixed = np.full((1, 20), 3)
    drawn = [session.run(None, {"text_ids": ids, "given_durations": fixed})[0] for _ in range(2)]
    assert drawn[0].shape == drawn[1].shape == (1, 1, 60 * 64)
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-4
    rhythms = [session.run(None, {"text_ids": ids, "scales": np.float32([0, 9, 1])})[1] for _ in range(2)]
    assert (rhythms[0] != rhythms[1]).any()


def test_durations_are_taken_as_far_as_they_are_given(voice_file):
    still = np.float32([0, 1, 0])
    ids = np.arange(6)[None]
    predicted = run(voice_file, {"text_ids": ids, "scales": still})["durations"]
    said = run(voice_file, {"text_ids": ids, "scales": still, "given_durations": [[0, 5, 0, 2]]})
    np.testing.assert_array_equal(said["durations"], [[0, 5, 0, 2, *predicted[0, 4:]]])
    assert said["wav"].shape[2] == said["durations"].sum() * 64
    assert run(voice_file, {"text_ids": ids, "given_durations": np.zeros((1, 6), int)})["wav"].shape == (1, 1, 64)


def test_a_speaker_is_an_id_or_an_embedding(tmp_path):
    weights = untrained(*SPEAKERS)
    onnx_voice.write(weights, tmp_path)
    ids, fixed, still = np.arange(8)[None], np.full((1, 8), 2), np.float32([0, 1, 0])

    def say(**who) -> np.ndarray:
        return run(tmp_path / "voice.onnx", {"text_ids": ids, "given_durations": fixed, "scales": still, **who})["wav"]

    np.testing.assert_array_equal(say(), say(speaker_id=[0]))
    assert np.abs(say() - say(speaker_id=[1])).max() > 1e-4
    embedding = weights.generator["emb_g.weight"][1:2].numpy()
    np.testing.assert_array_equal(say(speaker_embedding=embedding), say(speaker_id=[1]))


def test_the_configuration_beside_the_graph_holds_symbols_and_names_but_no_paths(tmp_path):
    onnx_voice.write(untrained(*SPEAKERS, "data.training_files=/home/me/train.txt"), tmp_path)
    config = settings.load(tmp_path / "voice.json")
    assert config.data.speakers == ("anna", "ben", "cleo")
    assert "".join(config.data.symbols).startswith("_;:,.!?")
    assert config.data.training_files == ""
    metadata = open_session(tmp_path / "voice.onnx").get_modelmeta().custom_metadata_map
    assert (metadata["sample_rate"], metadata["hop_length"], metadata["n_speakers"]) == ("8000", "64", "3")


def test_a_published_voice_is_a_graph_of_few_nodes_that_says_the_same(tmp_path):
    parameters = {key: torch.from_numpy(value) for key, value in golden.fill(golden.manifest("ljs_base")).items()}
    config = settings.load(Path(__file__).parents[2] / "configs" / "ljs.json")
    weights = Weights(settings.to_dict(config), parameters, None, 0, Path("ljs_base"))
    written = onnx_voice.write(weights, tmp_path)
    said = re.search(r"voice.onnx: (\d+) nodes, ([\d.]+) MB", written.checks[-1])
    assert int(said[1]) < 1100
    used = sum(value.numel() for key, value in parameters.items()
               if not key.startswith(("enc_q.", "dp.post_", "dp.flows.1.")) and not key.endswith("weight_g"))
    assert float(said[2]) == pytest.approx(used * 4 / 1e6, abs=1.0)
    assert written.checks[0] == "0 of 31 durations differ from this project's"
    deviation = float(re.search(r"differs by (\S+) at most", written.checks[1])[1])
    assert deviation < 1e-4


def test_the_spline_without_a_search_is_the_spline(tmp_path):
    random = torch.Generator().manual_seed(0)
    inputs = torch.cat([torch.linspace(-7, 7, 400), torch.tensor([-5.0, 5.0, 0.0])])
    widths, heights, slopes = (4 * torch.randn(403, n, generator=random) for n in (10, 10, 9))
    one = torch.full((403, 1), float(np.log(np.expm1(1 - 1e-3))))
    graph = Graph()
    x = graph.input("x", np.float32, [1, "tokens", 1])
    parameters = graph.input("parameters", np.float32, ["tokens", 4, 10])
    graph.output("y", onnx_network.inverse_spline(graph, x, parameters, 5.0), np.float32, [1, "tokens", 1])
    graph.save(tmp_path / "spline.onnx", {})
    stacked = torch.stack([widths, heights, torch.cat([one, slopes], 1), torch.cat([slopes, one], 1)], dim=1)
    said = run(tmp_path / "spline.onnx", {"x": inputs.reshape(1, -1, 1), "parameters": stacked})["y"]
    wanted = inverse_spline(inputs, widths, heights, slopes, 5.0).values
    np.testing.assert_allclose(said[0, :, 0], wanted, atol=2e-5)


@pytest.mark.parametrize("durations", [[3, 1, 2], [0, 0, 4, 0, 1, 0], [1]])
def test_tokens_are_stretched_over_frames_as_torch_does_it(tmp_path, durations):
    graph = Graph()
    tokens = onnx_network.token_of_frame(graph, graph.input("durations", np.int64, [1, "tokens"]))
    graph.output("tokens", tokens, np.int64, ["frames"])
    graph.save(tmp_path / "tokens.onnx", {})
    said = run(tmp_path / "tokens.onnx", {"durations": [durations]})["tokens"]
    np.testing.assert_array_equal(said, token_of_frame(torch.tensor([durations]), sum(durations))[0])


@pytest.mark.parametrize("registry, setting", [
    (GENERATORS, "model.generator"), (DURATION_PREDICTORS, "model.duration_predictor")])
def test_a_part_of_a_plugin_is_refused(tmp_path, monkeypatch, registry, setting):
    class Mine(torch.nn.Module):
        def __init__(self, *_):
            super().__init__()
            self.context_frames = 1

    monkeypatch.setitem(registry._builders, "mine", Mine)
    weights = untrained()
    config = settings.from_dict(weights.config, [f"{setting}=mine"])
    model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
    monkeypatch.setattr(onnx_voice, "probe", None)
    with pytest.raises(FormatError, match="Mine cannot be written as ONNX; expected"):
        onnx_voice.write(Weights(settings.to_dict(config), model.state_dict(), None, 0, Path("mine")), tmp_path)


def test_a_comparison_tells_of_other_durations_and_compares_the_sound_with_torchs():
    wanted = onnx_voice.Probe({"text_ids": np.zeros((1, 3))}, np.zeros((1, 1, 8)), np.array([[1, 2, 1]]))

    def say(feeds):
        durations = feeds.get("given_durations", np.array([[1, 3, 1]]))
        return np.full((1, 1, 2 * durations.sum()), 0.5), durations

    of_durations, of_sound = onnx_voice.compare(wanted, say)
    assert of_durations == "1 of 3 durations differ from this project's"
    assert of_sound.startswith("differs by 5e-01 at most")
    [told] = onnx_voice.compare(wanted, lambda feeds: (np.zeros((1, 1, 10)), np.array([[1, 3, 1]])))
    assert told == "1 of 3 durations differ from this project's, so the sound was not compared"


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(PackageError, match=f"{library} is not installed; pip install onnx onnxruntime"):
        onnx_voice.write(untrained(), tmp_path)


@pytest.mark.newest
def test_piper_speaks_with_our_ids_and_our_durations(tmp_path):
    piper = pytest.importorskip("piper", reason="pip install piper-tts")
    weights = untrained()
    written = piper_voice.write(weights, tmp_path)
    assert written.checks[0] == "0 of 31 durations differ from this project's"
    assert float(re.search(r"differs by (\S+) at most", written.checks[1])[1]) < 1e-4
    voice = piper.PiperVoice.load(tmp_path / "voice.onnx")
    [audio] = voice.synthesize("Hello.", include_alignments=True)
    ours = onnx_voice.load_voice(weights).text
    assert audio.phoneme_ids == ours.encode("Hello.")
    assert len(audio.phoneme_id_samples) == len(audio.phoneme_ids)
    assert len(audio.audio_float_array) == sum(audio.phoneme_id_samples) > 0


@pytest.mark.newest
def test_piper_speaks_with_phonemes_and_finds_every_speaker(tmp_path):
    piper = pytest.importorskip("piper", reason="pip install piper-tts")
    piper_voice.write(untrained(*SPEAKERS, 'data.text_cleaners=["espeak"]', "data.symbols=published"), tmp_path)
    content = json.loads((tmp_path / "voice.onnx.json").read_text(encoding="utf-8"))
    assert content["speaker_id_map"] == {"anna": 0, "ben": 1, "cleo": 2}
    voice = piper.PiperVoice.load(tmp_path / "voice.onnx", include_alignments=True)
    still = {"noise_scale": 0.0, "noise_w_scale": 0.0, "normalize_audio": False}
    spoken = [next(iter(voice.synthesize("Good morning.", piper.SynthesisConfig(speaker_id=i, **still))))
              for i in (0, 1)]
    assert "ˈ" in spoken[0].phonemes
    lengths = [len(audio.audio_float_array) for audio in spoken]
    assert min(lengths) > 0
    shorter = min(lengths)
    assert np.abs(spoken[0].audio_float_array[:shorter] - spoken[1].audio_float_array[:shorter]).max() > 1e-4


def test_piper_says_the_begin_and_end_that_a_voice_knows(tmp_path):
    piper = pytest.importorskip("piper", reason="pip install piper-tts")
    symbols = json.dumps(list("_^$ .abcdefghijklmnopqrstuvwxyz"))
    weights = untrained(f"data.symbols={symbols}", 'data.begin_end=["^", "$"]')
    piper_voice.write(weights, tmp_path)
    voice = piper.PiperVoice.load(tmp_path / "voice.onnx")
    [audio] = voice.synthesize("hello.")
    ours = onnx_voice.load_voice(weights).text
    assert audio.phoneme_ids == ours.encode("hello.") and audio.phoneme_ids[0] == 1 and audio.phoneme_ids[-1] == 2


@pytest.mark.newest
@pytest.mark.parametrize("overrides", [(), SPEAKERS])
def test_sherpa_speaks_a_voice_with_begin_and_end_when_given_its_phonemes(tmp_path, overrides):
    library = pytest.importorskip("sherpa_onnx", reason="pip install sherpa-onnx")
    symbols = json.dumps(list("_^$ abcə"))
    weights = untrained(f"data.symbols={symbols}", 'data.begin_end=["^", "$"]', 'data.text_cleaners=["espeak"]',
                        *overrides)
    sherpa.write(weights, tmp_path)
    onnx_voice.write(weights, tmp_path)
    vits = library.OfflineTtsVitsModelConfig(model=str(tmp_path / "model.onnx"), tokens=str(tmp_path / "tokens.txt"),
                                             noise_scale=0.0, noise_scale_w=0.0)
    tts = library.OfflineTts(library.OfflineTtsConfig(model=library.OfflineTtsModelConfig(vits=vits, num_threads=1)))
    asked = library.GenerationConfig()
    asked.phoneme_codepoints, asked.sid = [[ord(symbol) for symbol in "abə c"]], 2 if overrides else 0
    audio = tts.generate("x", asked)
    ids = onnx_voice.load_voice(weights).text.encode("abə c")
    feeds = {"text_ids": [ids], "scales": np.float32([0, 1, 0]), **({"speaker_id": [2]} if overrides else {})}
    wanted = run(tmp_path / "voice.onnx", feeds)["wav"][0, 0]
    np.testing.assert_allclose(np.asarray(audio.samples)[:len(wanted)], wanted, atol=1e-4)


def test_piper_is_told_of_capitals_and_of_marks_it_keeps_for_itself(tmp_path):
    symbols = json.dumps(list("_ abc^ä"))
    written = piper_voice.write(untrained(f"data.symbols={symbols}", "data.add_blank=false"), tmp_path)
    ids = json.loads((tmp_path / "voice.onnx.json").read_text(encoding="utf-8"))["phoneme_id_map"]
    assert (ids["_"], ids["^"], ids["$"]) == ([], [], [])
    assert ids["A"] == ids["a"] == [2]
    assert written.checks[-2:] == ("Piper uses ^ itself, so the voice's symbols of that name are not spoken",
                                   "Piper separates letters and accents and will not find ä")


@pytest.mark.newest
@pytest.mark.parametrize("overrides", [(), SPEAKERS])
def test_sherpa_speaks_letters_as_we_do(tmp_path, overrides):
    library = pytest.importorskip("sherpa_onnx", reason="pip install sherpa-onnx")
    weights = untrained(*overrides)
    sherpa.write(weights, tmp_path)
    onnx_voice.write(weights, tmp_path)
    speaker = 2 if overrides else 0
    audio = _speak_with_sherpa(library, tmp_path, "", "hello there", speaker)
    ids = onnx_voice.load_voice(weights).text.encode("hello there")
    feeds = {"text_ids": [ids], "scales": np.float32([0, 1, 0]), **({"speaker_id": [speaker]} if overrides else {})}
    wanted = run(tmp_path / "voice.onnx", feeds)["wav"][0, 0]
    assert audio.sample_rate == 8000
    assert len(audio.samples) == len(wanted)
    np.testing.assert_allclose(audio.samples, wanted, atol=1e-4)


@pytest.mark.newest
def test_sherpa_speaks_phonemes_of_words_in_a_lexicon(tmp_path):
    library = pytest.importorskip("sherpa_onnx", reason="pip install sherpa-onnx")
    weights = untrained('data.text_cleaners=["espeak"]', "data.symbols=published")
    with pytest.raises(FormatError, match="found no words for it, expected a list"):
        sherpa.write(weights, tmp_path)
    sherpa.write(weights, tmp_path, words=["Hello", "world"])
    lines = (tmp_path / "lexicon.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines] == ["hello", "world"]
    audio = _speak_with_sherpa(library, tmp_path, str(tmp_path / "lexicon.txt"), "Hello, world.", 0)
    assert len(audio.samples) > 0


def _speak_with_sherpa(library, folder: Path, lexicon: str, text: str, speaker: int):
    vits = library.OfflineTtsVitsModelConfig(model=str(folder / "model.onnx"), tokens=str(folder / "tokens.txt"),
                                             lexicon=lexicon, noise_scale=0.0, noise_scale_w=0.0, length_scale=1.0)
    tts = library.OfflineTts(library.OfflineTtsConfig(model=library.OfflineTtsModelConfig(vits=vits, num_threads=1)))
    return tts.generate(text, sid=speaker, speed=1.0)


@pytest.mark.parametrize("kind, least, most", [("fp16", 0.4, 0.75), ("int8", 0.2, 0.6), ("int8-static", 0.2, 0.8)])
def test_narrow_weights_make_a_smaller_file_of_nearly_the_same_sound(tmp_path, kind, least, most):
    weights = untrained("model.filter_channels=512", "model.hidden_channels=64", "model.generator=istft",
                        "model.istft_channels=64")
    onnx_voice.write(weights, tmp_path)
    written = quantised(tmp_path / "voice.onnx", kind)
    [file] = written.files
    assert file == tmp_path / f"voice.{kind}.onnx"
    assert least < file.stat().st_size / (tmp_path / "voice.onnx").stat().st_size < most
    distance = float(re.search(r"log-mel differs by ([\d.]+) nats", written.checks[-1])[1])
    assert distance < {"fp16": 0.01, "int8": 0.2, "int8-static": 0.4}[kind]
    assert "real-time factor" in written.checks[0]
    ids, still = np.arange(20)[None], np.float32([0, 1, 0])
    feeds = {"text_ids": ids, "scales": still, "given_durations": np.full((1, 20), 3)}
    assert np.abs(run(file, feeds)["wav"] - run(tmp_path / "voice.onnx", feeds)["wav"]).max() > 0


def test_8_bits_are_computed_in_flow_and_first_stages_alone(tmp_path):
    import onnx

    onnx_voice.write(untrained("model.filter_channels=512", "model.hidden_channels=64"), tmp_path)
    wide = onnx.load(tmp_path / "voice.onnx")
    chosen = quantisation._narrow_nodes(wide.graph)
    layers = [node for node in wide.graph.node if node.op_type in ("Conv", "MatMul", "ConvTranspose")]
    kinds = {node.name: i for i, node in enumerate(layers)}
    ups = [i for i, node in enumerate(layers) if node.op_type == "ConvTranspose"]
    places = [kinds[name] for name in chosen]
    assert places and max(places) < ups[-quantisation.WIDE_STAGES] and min(places) > 0
    [file] = quantised(tmp_path / "voice.onnx", "int8-static").files
    still = {"text_ids": np.arange(20)[None], "scales": np.float32([0, 1, 0])}
    assert np.array_equal(run(file, still)["durations"], run(tmp_path / "voice.onnx", still)["durations"])


def test_a_voice_that_8_bits_change_too_much_is_refused_with_what_to_take(tmp_path, monkeypatch):
    onnx_voice.write(untrained("model.hidden_channels=64"), tmp_path)
    monkeypatch.setattr(quantisation, "MAX_STATIC_NATS", 1e-6)
    with pytest.raises(FormatError, match=r"voice.int8-static.onnx is not written: .* nats, and more than 1e-06 .*"
                                          r"take --quantise int8, .* or fp16"):
        quantised(tmp_path / "voice.onnx", "int8-static")
    assert not (tmp_path / "voice.int8-static.onnx").exists()


@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_weights_that_16_bits_cannot_hold_stay_wide(tmp_path, kind):
    weights = untrained("model.hidden_channels=64")
    weights.generator["enc_p.emb.weight"][-1] = 1e6
    onnx_voice.write(weights, tmp_path)
    [file] = quantised(tmp_path / "voice.onnx", kind).files
    n_symbols = len(weights.generator["enc_p.emb.weight"])
    assert np.isfinite(run(file, {"text_ids": np.array([[1, n_symbols - 1, 2]])})["wav"]).all()


def test_only_our_own_graphs_are_narrowed(tmp_path):
    with pytest.raises(FormatError, match="unknown kind of quantisation 'int4'; expected fp16, int8, int8-static"):
        quantised(tmp_path / "voice.onnx", "int4")
    with pytest.raises(FileNotFoundError, match="export.py --to onnx writes it"):
        quantised(tmp_path / "voice.onnx", "int8")
    piper_voice.write(untrained(), tmp_path)
    with pytest.raises(FormatError, match="takes input, input_lengths, scales; expected a voice.onnx that python"):
        quantised(tmp_path / "voice.onnx", "int8")


# What was written is read back.

def folded(weights: Weights) -> dict[str, torch.Tensor]:
    """The state that a graph has: without training parts, weight norm folded."""
    state = onnx_voice.load_voice(weights).model.state_dict()
    parts = tuple(f"{part}." for part in TRAINING_PARTS)
    return {name: each for name, each in state.items() if not name.startswith(parts)}


def assert_read_back(file: Path, weights: Weights, tolerance: float = 1e-6) -> formats.ImportedVoice:
    assert formats.recognise(file) == "onnx"
    imported = formats.read(file)
    again = folded(Weights(settings.to_dict(imported.config), imported.generator, None, 0, file))
    wanted = folded(weights)
    assert again.keys() == wanted.keys()
    for name, tensor in again.items():
        torch.testing.assert_close(tensor, wanted[name], rtol=tolerance, atol=tolerance, msg=name)
    assert imported.config.model == settings.from_dict(weights.config).model
    return imported


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_a_graph_are_those_of_the_state_dict(tmp_path, kind):
    weights = untrained(*KINDS[kind])
    onnx_voice.write(weights, tmp_path)
    assert_read_back(tmp_path / "voice.onnx", weights)


@pytest.mark.parametrize("write, name", [
    (functools.partial(onnx_voice.write, streaming=True), "decoder.onnx"), (piper_voice.write, "voice.onnx"),
    (sherpa.write, "model.onnx")], ids=["onnx-streaming", "piper", "sherpa-onnx"])
def test_every_onnx_form_is_read_back(tmp_path, write, name):
    weights = untrained(*SPEAKERS)
    write(weights, tmp_path)
    imported = assert_read_back(tmp_path / name, weights)
    assert imported.config.speaker_names == ("anna", "ben", "cleo")
    assert TextProcessor.from_config(imported.config.data).symbols.symbols == TextProcessor.from_config(
        settings.from_dict(weights.config).data).symbols.symbols


@pytest.mark.parametrize("kind, tolerance", [("fp16", 1e-3), ("int8", 0.02)])
def test_a_graph_in_fewer_bits_is_read_back_rounded(voice_file, kind, tolerance):
    quantised(voice_file, kind)
    assert_read_back(voice_file.with_name(f"voice.{kind}.onnx"), untrained(), tolerance)


def test_a_converted_graph_sounds_as_before(voice_file, tmp_path):
    convert.write_release(formats.read(voice_file), tmp_path / "release")
    first, second = (OnnxVoice.load(voice_file), Voice.load(tmp_path / "release", "cpu"))
    assert np.abs(first.speak("abc", seed=1).samples - second.speak("abc", seed=1).samples).max() < 1e-5
    assert np.abs(Voice.load(voice_file, "cpu").speak("abc", seed=1).samples
                  - second.speak("abc", seed=1).samples).max() < 1e-6


def test_nodes_are_named_by_the_module_of_their_weights(voice_file):
    graph = onnx.load(voice_file).graph
    names = [node.name for node in graph.node if node.name]
    assert {"/dec/ups.0/ConvTranspose", "/flow/flows.0/enc/in_layers.0/Conv", "/enc_p/emb/Gather"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_graph_whose_weights_are_not_those_of_its_configuration_is_refused(voice_file):
    model = onnx.load(voice_file)
    for tensor in model.graph.initializer:
        if tensor.name == "dec.conv_post.weight":
            tensor.name = "something else"
    onnx.save(model, voice_file)
    with pytest.raises(FormatError, match="has no weight dec.conv_post.weight of .* numbers .*export it again"):
        formats.read(voice_file)


def test_a_graph_of_an_earlier_version_has_no_configuration_inside(voice_file):
    model = onnx.load(voice_file)
    del model.metadata_props[:]
    onnx.save(model, voice_file)
    assert not onnx_voice.recognises(voice_file)
    with pytest.raises(FormatError, match="has no configuration inside; expected an ONNX file that python export.py"):
        formats.read(voice_file, name="onnx")
