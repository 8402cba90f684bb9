"""Checkpoints of Coqui and Piper: read safely, mapped whole, and the same sound as their own code makes."""

import contextlib
import dataclasses
import importlib.util
import json
import re
import warnings
from pathlib import Path

import pytest
import torch

import checkpoint
import config as settings
from benchmarks.voices import MEDIUM, full_config
from checkpoint import CheckpointError
from discriminators import Discriminators
from formats import FormatError, coqui, piper_checkpoint
from formats.import_helpers import placeholder
from models import DurationPredictor, SynthesizerTrn
from synthesis import Voice
from tests.conftest import ROOT, tiny
from tests.golden.golden import fill
from text import TextProcessor

SAME = 1e-4  # of a waveform in [-1, 1], at noise 0
TINY_MODEL = dataclasses.replace(tiny().model, duration_channels=256, istft_channels=512, istft_layers=8)  # unused ones


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


needs_piper = pytest.mark.skipif(not is_installed("piper.train.vits.models"), reason="needs piper-tts, with its "
                                 "training code, to compare with")
needs_coqui = pytest.mark.skipif(not is_installed("TTS"), reason="needs coqui-tts to compare with")


def filled(shapes: dict[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Weights that depend on names and shapes alone and speak for about three frames a token."""
    values = fill({name: list(shape) for name, shape in shapes.items()})
    return {name: torch.from_numpy(value) for name, value in values.items()}


def network(config: settings.Config, n_symbols: int) -> dict[str, torch.Tensor]:
    state = SynthesizerTrn(n_symbols, config).state_dict()
    return filled({name: tensor.shape for name, tensor in state.items()})


def voice_of(imported, tmp_path: Path) -> Voice:
    run = tmp_path / "run"
    run.mkdir()
    checkpoint.save(run, imported.step, {"config": settings.to_dict(imported.config), "generator": imported.generator})
    return Voice.load(run, "cpu")


@torch.no_grad()
def our_sound(imported, ids: list[int], speaker: int | None = None) -> torch.Tensor:
    model = SynthesizerTrn(len(imported.config.data.symbols), imported.config).eval()
    model.load_state_dict(imported.generator)
    return model.infer(torch.tensor([ids]), torch.tensor([len(ids)]), None if speaker is None else
                       torch.tensor([speaker]), noise_scale=0, noise_scale_duration=0).wav[0, 0]


# Piper

PIPER_MAP = {"_": [0], "^": [1], "$": [2], " ": [3], "a": [4], "b": [5], "\u0327": [7], "aɪ": [8]}
PIPER_JSON = {"audio": {"sample_rate": 8000}, "espeak": {"voice": "de"}, "phoneme_type": "text", "num_symbols": 10,
              "num_speakers": 1, "inference": {"noise_scale": 0.333, "length_scale": 1.25, "noise_w": 0.8},
              "phoneme_id_map": PIPER_MAP, "speaker_id_map": {}}
TINY_PIPER = {"hop_length": 64, "win_length": 256, "mel_channels": 20, "segment_size": 1024,
              "upsample_rates": "(8, 8)", "resblock_dilation_sizes": ((1, 3),), "learning_rate_d": 1e-4}


def write_piper(folder: Path, described: dict | None = None, hyper: dict | None = None, extra: dict | None = None,
                overrides: tuple[str, ...] = (), n_symbols: int = 10) -> tuple[Path, dict[str, torch.Tensor]]:
    """A .ckpt as Lightning writes it, with its JSON; and the weights in it."""
    state = network(tiny(overrides), n_symbols)
    content = {"epoch": 3, "global_step": 2468, "pytorch-lightning_version": "2.5.0",
               "state_dict": {f"model_g.{name}": tensor for name, tensor in state.items()} | (extra or {}),
               "hyper_parameters": TINY_PIPER | {"dataset": [Path("/data/set.jsonl")]} | (hyper or {})}
    torch.save(content, folder / "epoch=3-step=2468.ckpt")
    (folder / "config.json").write_text(json.dumps(PIPER_JSON | (described or {})), encoding="utf-8")
    return folder / "epoch=3-step=2468.ckpt", state


def test_a_checkpoint_of_piper_is_read_whole_and_speaks(tmp_path):
    file, state = write_piper(tmp_path)
    assert piper_checkpoint.recognises(file) and piper_checkpoint.recognises(tmp_path)
    imported = piper_checkpoint.read(tmp_path, None)
    assert imported.generator.keys() == state.keys()
    assert all(torch.equal(imported.generator[name], state[name]) for name in state)
    data, model = imported.config.data, imported.config.model
    assert data.symbols == ("_", "^", "$", " ", "a", "b", placeholder(6), "\u0327", placeholder(8), placeholder(9))
    assert data.begin_end == ("^", "$") and data.language == "de" and data.text_cleaners == ("decomposed",)
    assert (data.sampling_rate, data.filter_length, data.hop_length, data.n_speakers) == (8000, 256, 64, 0)
    assert model == TINY_MODEL and imported.step == 1234 and data.max_text_len == 400
    assert imported.config.train.discriminator_learning_rate == 1e-4
    assert any("3 of 10 rows" in note for note in imported.notes)
    assert imported.config.speaking == settings.SpeakingConfig(0.333, 0.8, 1 / 1.25)
    voice = voice_of(imported, tmp_path)
    assert voice.text.encode("ab") == [1, 0, 4, 0, 5, 0, 2]
    spoken = voice.speak("ab a", seed=1)
    assert spoken.text_ids == (1, 0, 4, 0, 5, 0, 3, 0, 4, 0, 2) and len(spoken.samples)
    assert [mark.text for mark in spoken.timings.symbols if mark.text] == list("ab a")


def test_speakers_and_discriminators_of_piper_come_along(tmp_path):
    with torch.device("meta"):
        sizes = Discriminators(settings.DiscriminatorConfig()).state_dict()
    discriminators = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in sizes.items()}  # small on the disk
    file, state = write_piper(tmp_path, {"num_speakers": 2, "speaker_id_map": {"eva": 1, "karl": 0}},
                              extra={f"model_d.{name}": tensor for name, tensor in discriminators.items()}
                              | {"model_mrd.discriminators.0.conv_post.bias": torch.zeros(1)},
                              overrides=("data.n_speakers=2", "model.gin_channels=8"))
    imported = piper_checkpoint.read(file, None)
    assert imported.config.data.speakers == ("karl", "eva") and imported.config.model.gin_channels == 8
    assert torch.equal(imported.generator["emb_g.weight"], state["emb_g.weight"])
    assert imported.discriminators.keys() == discriminators.keys()
    assert any("multi-resolution" in note for note in imported.notes)
    (tmp_path / "config.json").write_text(json.dumps(PIPER_JSON | {"speaker_id_map": {"eva": 1}}))
    imported = piper_checkpoint.read(file, None)
    assert imported.config.data.speakers == () and any("have no names" in note for note in imported.notes)


def test_spectrally_normed_discriminators_of_piper_stay_behind(tmp_path):
    file, _ = write_piper(tmp_path, hyper={"use_spectral_norm": True}, extra={"model_d.x": torch.zeros(1)})
    imported = piper_checkpoint.read(file, None)
    assert imported.discriminators is None and any("spectrally normed" in note for note in imported.notes)


@pytest.mark.parametrize(("described", "message"), [
    ({"phoneme_id_map": {"a": [1]}}, "has no phoneme_id_map with _ . .; expected the JSON of a Piper voice"),
    ({"phoneme_id_map": PIPER_MAP | {"c": [4, 5]}}, r"gives 'c' the ids \[4, 5\]; expected one below 10"),
    ({"phoneme_id_map": PIPER_MAP | {"c": [10]}}, r"gives 'c' the ids \[10\]; expected one below 10"),
    ({"phoneme_id_map": PIPER_MAP | {"_": [9]}}, r"the blank '_' has id \[9\]; expected 0"),
    ({"vowel_clusters": [["a", "ɪ"]]}, "joins vowels to one symbol"),
    ({"audio": {}}, "has no audio.sample_rate or no espeak.voice"),
])
def test_a_json_of_piper_that_cannot_be_followed_is_refused(tmp_path, described, message):
    file, _ = write_piper(tmp_path, described)
    with pytest.raises(FormatError, match=message):
        piper_checkpoint.read(file, None)


def test_what_is_missing_of_a_piper_voice_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds 0 files named \*.ckpt; expected one"):
        piper_checkpoint.read(tmp_path, None)
    file, _ = write_piper(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no config.json and no \*.onnx.json beside"):
        piper_checkpoint.read(file, None)
    torch.save({"state_dict": {"x": torch.zeros(1)}}, file)
    assert not piper_checkpoint.recognises(file)
    with pytest.raises(FormatError, match="is no checkpoint of Piper: found state_dict; expected a state_dict with"):
        piper_checkpoint.read(file, None)


def test_a_network_that_is_not_vits_is_refused_with_what_does_not_fit(tmp_path):
    file, _ = write_piper(tmp_path, extra={"model_g.enc_p.x": torch.zeros(1), "model_g.enc_p.proj.bias": torch.ones(3)})
    with pytest.raises(FormatError, match=r"enc_p.x is unknown; enc_p.proj.bias is \[3\], expected \[32\]"):
        piper_checkpoint.read(file, None)
    content = torch.load(file, weights_only=False)
    del content["state_dict"]["model_g.dec.conv_pre.weight"]
    torch.save(content, file)
    with pytest.raises(FormatError, match="has no tensor dec.conv_pre.weight; expected a VITS generator"):
        piper_checkpoint.read(file, None)


def test_a_front_end_that_is_not_here_is_told(tmp_path):
    file, _ = write_piper(tmp_path, {"phoneme_type": "pinyin"})
    assert any("front-end for pinyin does not exist here" in note for note in piper_checkpoint.read(file, None).notes)


@needs_piper
@pytest.mark.parametrize(("tier", "n_speakers"), [(MEDIUM, 1), (MEDIUM, 3), ((), 1), ((), 2)],
                         ids=["medium", "medium-3", "high", "high-2"])
def test_piper_and_this_project_make_the_same_sound(tmp_path, tier, n_speakers):
    model = full_config(tier).model
    gin_channels = 512 if n_speakers > 1 else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses what torch has newer ways for
        from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP, phonemes_to_ids
        from piper.train.vits.models import SynthesizerTrn as PiperSynthesizer
        theirs = PiperSynthesizer(
            256, 513, 32, 48, 48, 96, 2, 6, 3, 0.1, model.resblock, model.resblock_kernel_sizes,  # narrow, to be quick
            model.resblock_dilation_sizes, model.upsample_rates, model.upsample_initial_channel // 4,
            model.upsample_kernel_sizes, n_speakers, gin_channels).eval()
    theirs.load_state_dict(filled({name: tensor.shape for name, tensor in theirs.state_dict().items()}))
    # With the hyperparameters left out: what the shapes say must do.
    torch.save({"state_dict": {f"model_g.{name}": tensor for name, tensor in theirs.state_dict().items()}},
               tmp_path / "voice.ckpt")
    (tmp_path / "voice.onnx.json").write_text(json.dumps(
        PIPER_JSON | {"audio": {"sample_rate": 22050}, "phoneme_id_map": DEFAULT_PHONEME_ID_MAP}), encoding="utf-8")
    imported = piper_checkpoint.read(tmp_path / "voice.ckpt", None)
    ids = TextProcessor.from_config(imported.config.data).encode("həlˈoʊ wˈɜːld.")
    assert ids == phonemes_to_ids(list("həlˈoʊ wˈɜːld."))
    speaker = n_speakers - 1 if n_speakers > 1 else None
    with torch.no_grad():
        expected = theirs.infer(torch.tensor([ids]), torch.tensor([len(ids)]), None if speaker is None else
                                torch.tensor([speaker]), noise_scale=0, noise_scale_w=0)[0][0, 0]
    found = our_sound(imported, ids, speaker)
    assert found.shape == expected.shape and expected.abs().max() > 0.01
    assert (found - expected).abs().max() < SAME


# Coqui

CHARACTERS = {"characters_class": "TTS.tts.models.vits.VitsCharacters", "pad": "_", "eos": None, "bos": None,
              "blank": "<BLNK>", "characters": "abcü", "punctuations": " .", "phonemes": "ɪb", "is_unique": True,
              "is_sorted": True, "vocab_dict": None}
COQUI_VOCABULARY = ("_", " ", ".", "a", "b", "c", "ü", "ɪ", "b", "<BLNK>")  # by their ids; the later b counts
COQUI_SYMBOLS = (placeholder(9), "_", " ", ".", "a", placeholder(4), "c", "ü", "ɪ", "b")  # by ours
COQUI_JSON = {"model": "vits", "characters": CHARACTERS, "use_phonemes": False, "text_cleaner": "basic_cleaners",
              "add_blank": True, "enable_eos_bos_chars": False, "lr_gen": 1e-4, "lr_disc": 3e-4,
              "audio": {"sample_rate": 8000, "fft_size": 256, "hop_length": 64, "win_length": 256, "num_mels": 20,
                        "mel_fmin": 0, "mel_fmax": None},
              "model_args": {"upsample_rates_decoder": [8, 8], "resblock_dilation_sizes_decoder": [[1, 3]],
                             "spec_segment_size": 16, "periods_multi_period_discriminator": [2, 3],
                             "inference_noise_scale_dp": 0.8}}


def coqui_name(name: str) -> str:
    """Where Coqui keeps what the published layout calls `name`."""
    name = re.sub(r"^(dp\.(?:post_)?flows)\.(\d+)", lambda match: f"{match[1]}.{(int(match[2]) + 1) // 2}", name)
    name = re.sub(r"^flow\.flows\.(\d+)", lambda match: f"flow.flows.{int(match[1]) // 2}", name)
    for ours, theirs in (("dec.cond.", "dec.cond_layer."), ("dec.", "waveform_decoder."), ("enc_p.", "text_encoder."),
                         ("enc_q.", "posterior_encoder."), ("dp.", "duration_predictor.")):
        name = theirs + name.removeprefix(ours) if name.startswith(ours) else name
    name = re.sub(r"(flows\.0)\.logs$", r"\1.log_scale", re.sub(r"(flows\.0)\.m$", r"\1.translation", name))
    return name.replace("weight_g", "parametrizations.weight.original0").replace(
        "weight_v", "parametrizations.weight.original1")


def write_coqui(folder: Path, described: dict | None = None, arguments: dict | None = None,
                overrides: tuple[str, ...] = (), extra: dict | None = None) -> tuple[Path, dict[str, torch.Tensor]]:
    """A best_model.pth as Coqui writes it, with its config.json; and the weights in it, under our names."""
    state = network(tiny(overrides), len(COQUI_VOCABULARY))
    described = COQUI_JSON | (described or {})
    described = described | {"model_args": described["model_args"] | (arguments or {})}
    model = {coqui_name(name): tensor for name, tensor in state.items()} | (extra or {})
    torch.save({"config": described, "model": model, "optimizer": None, "scaler": None, "step": 77, "epoch": 1,
                "date": "today"}, folder / "best_model.pth")
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    return folder / "best_model.pth", state


@pytest.mark.parametrize("beside", [True, False])
def test_a_checkpoint_of_coqui_is_read_whole_with_the_blank_first(tmp_path, beside):
    file, state = write_coqui(tmp_path)
    if not beside:
        (tmp_path / "config.json").unlink()  # then the copy in the checkpoint serves
    assert coqui.recognises(file) and coqui.recognises(tmp_path) and not piper_checkpoint.recognises(file)
    imported = coqui.read(tmp_path, None)
    rows = [9, *range(9)]
    assert imported.generator.keys() == state.keys()
    assert torch.equal(imported.generator["enc_p.emb.weight"], state["enc_p.emb.weight"][rows])
    assert all(torch.equal(imported.generator[name], state[name]) for name in state if name != "enc_p.emb.weight")
    data = imported.config.data
    assert data.symbols == COQUI_SYMBOLS and data.add_blank and data.begin_end is None and data.n_speakers == 0
    assert imported.config.model == TINY_MODEL and imported.step == 77 and imported.notes == ()
    assert imported.config.train.discriminator_learning_rate == 3e-4 and imported.config.train.segment_size == 1024
    voice = voice_of(imported, tmp_path)
    assert voice.speak("Ab c.", seed=1).text_ids == (0, 4, 0, 9, 0, 2, 0, 6, 0, 3, 0)


def test_speakers_and_discriminators_of_coqui_come_along(tmp_path):
    sizes = settings.DiscriminatorConfig(periods=(2, 3))
    judges = filled({name: tensor.shape for name, tensor in Discriminators(sizes).state_dict().items()})
    several = ("data.n_speakers=3", "model.gin_channels=8")
    file, state = write_coqui(tmp_path, overrides=several, extra={
        "disc." + name.replace("discriminators.", "nets.", 1): tensor for name, tensor in judges.items()})
    assert any("names were not found" in note for note in coqui.read(file, None).notes)
    torch.save({"zoe": 1, "amy": 2, "bob": 0}, tmp_path / "speakers.pth")
    imported = coqui.read(tmp_path, None)
    assert imported.config.data.speakers == ("bob", "zoe", "amy") and imported.notes == ()
    assert torch.equal(imported.generator["dp.cond.weight"], state["dp.cond.weight"])
    assert imported.discriminators.keys() == judges.keys()
    silent = write_coqui(tmp_path, arguments={"condition_dp_on_speaker": False}, overrides=several)[0]
    assert not coqui.read(silent, None).generator["dp.cond.weight"].any()


def test_a_single_speaker_of_coqui_becomes_part_of_the_biases(tmp_path):
    two = ("data.n_speakers=2", "model.gin_channels=8")
    file, _ = write_coqui(tmp_path, overrides=two)
    ids = [0, 4, 0, 9, 0]
    expected = our_sound(coqui.read(file, None), ids, speaker=0)
    content = torch.load(file)
    content["model"]["emb_g.weight"] = content["model"]["emb_g.weight"][:1]
    torch.save(content, file)
    imported = coqui.read(file, None)
    assert imported.config.data.n_speakers == imported.config.model.gin_channels == 0
    assert (our_sound(imported, ids) - expected).abs().max() < 1e-5


def test_durations_by_regression_are_normed_as_in_coqui(tmp_path):
    file, _ = write_coqui(tmp_path, overrides=("model.duration_predictor=deterministic",))
    content = torch.load(file)
    for name in content["model"]:
        if name.startswith("duration_predictor.norm_"):
            content["model"][name] = content["model"][name].reshape(1, -1, 1)
        elif name.startswith("duration_predictor.conv_"):
            content["model"][name] *= 0.02  # so that it matters what is added to the variance
    torch.save(content, file)
    theirs, ours = (DurationPredictor(coqui.read(file, None).config.model).eval() for _ in range(2))
    theirs.norm_1.eps = theirs.norm_2.eps = 1e-4
    theirs.load_state_dict({name.removeprefix("duration_predictor."): tensor.reshape(-1) if "norm" in name else tensor
                            for name, tensor in content["model"].items() if name.startswith("duration_predictor.")})
    ours.load_state_dict({name.removeprefix("dp."): tensor for name, tensor in coqui.read(file, None).generator.items()
                          if name.startswith("dp.")})
    hidden, mask = torch.randn(1, 16, 9, generator=torch.Generator().manual_seed(0)), torch.ones(1, 1, 9)
    expected = theirs.predict(hidden, mask, None, None)
    torch.testing.assert_close(ours.predict(hidden, mask, None, None), expected, rtol=0, atol=1e-5)
    theirs.norm_1.eps = theirs.norm_2.eps = 1e-5
    assert (theirs.predict(hidden, mask, None, None) - expected).abs().max() > 1e-2


@pytest.mark.parametrize(("described", "cleaners", "language", "told"), [
    ({"text_cleaner": None}, (), "en-us", None),
    ({"text_cleaner": "french_cleaners"}, ("basic_cleaners",), "en-us",
     "french_cleaners does not exist here; basic_cleaners"),
    ({"use_phonemes": True, "phoneme_language": "de", "phonemizer": "espeak", "text_cleaner": None}, ("espeak",), "de",
     None),
    ({"use_phonemes": True, "phoneme_language": "en", "phonemizer": "gruut", "text_cleaner": "phoneme_cleaners"},
     ("english_espeak",), "en-us", "its phonemes are gruut's"),
])
def test_the_nearest_cleaner_is_chosen_and_told(tmp_path, described, cleaners, language, told):
    file, _ = write_coqui(tmp_path, described)
    imported = coqui.read(file, None)
    assert imported.config.data.text_cleaners == cleaners and imported.config.data.language == language
    assert any(told in note for note in imported.notes) if told else imported.notes == ()


def test_a_begin_and_an_end_of_coqui_stand_around_its_texts(tmp_path):
    characters = {"pad": "<PAD>", "eos": "<EOS>", "bos": "<BOS>", "blank": "<BLNK>", "characters": "bac",
                  "punctuations": " .!", "is_unique": False, "is_sorted": True}
    file, _ = write_coqui(tmp_path, {"characters": characters, "enable_eos_bos_chars": True})
    imported = coqui.read(file, None)  # theirs: PAD EOS BOS BLNK a b c " " . !
    assert TextProcessor.from_config(imported.config.data).encode("b.") == [3, 0, 5, 0, 8, 0, 2]


@pytest.mark.parametrize(("described", "arguments", "message"), [
    ({}, {"use_d_vector_file": True}, "its speakers are vectors of another network .model_args.use_d_vector_file"),
    ({}, {"use_language_embedding": True}, "it has an embedding of languages"),
    ({}, {"encoder_sample_rate": 4000}, "its generator has another rate"),
    ({}, {"dilation_rate_flow": 2}, "its WaveNet is dilated .dilation_rate_flow is 2.; expected 1"),
    ({"characters": CHARACTERS | {"characters": "ab"}}, {}, "has 10 rows of symbols, its config.json names 8"),
    ({"characters": CHARACTERS | {"characters_class": "my.Kana"}}, {}, "characters_class Kana is unknown"),
    ({"characters": None}, {}, "has no characters; expected the config.json that Coqui wrote"),
    ({"characters": CHARACTERS | {"characters_class": "x.Graphemes", "is_sorted": False}}, {},
     "the order of their ids is unknown; expected is_sorted"),
    ({"characters": {"characters_class": "x.BaseVocabulary", "vocab_dict": list("abcdefghij")}}, {},
     "no symbol is the blank"),
    ({"enable_eos_bos_chars": True}, {}, "has enable_eos_bos_chars, but its symbols lack characters.bos None"),
])
def test_a_coqui_voice_that_cannot_be_said_is_refused(tmp_path, described, arguments, message):
    file, _ = write_coqui(tmp_path, described, arguments)
    with pytest.raises(FormatError, match=message):
        coqui.read(file, None)


def test_an_embedding_of_languages_is_refused_even_if_the_settings_hide_it(tmp_path):
    file, _ = write_coqui(tmp_path, extra={"emb_l.weight": torch.zeros(2, 4)})
    with pytest.raises(FormatError, match="it has an embedding of languages"):
        coqui.read(file, None)


def test_spectrally_normed_discriminators_of_coqui_stay_behind(tmp_path):
    file, _ = write_coqui(tmp_path, arguments={"use_spectral_norm_disriminator": True},
                          extra={"disc.nets.0.x": torch.zeros(1)})
    imported = coqui.read(file, None)
    assert imported.discriminators is None and any("spectrally normed" in note for note in imported.notes)


def test_the_checkpoint_of_a_coqui_folder_is_the_best_else_the_last(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds 0 files named \*.pth; expected one"):
        coqui.read(tmp_path, None)
    for name in ("speakers.pth", "checkpoint_900.pth", "checkpoint_1000.pth"):
        (tmp_path / name).touch()
    assert coqui._find_model(tmp_path).name == "checkpoint_1000.pth"
    (tmp_path / "best_model.pth").touch()
    assert coqui._find_model(tmp_path).name == "best_model.pth"


def test_what_is_no_checkpoint_of_coqui_is_refused(tmp_path):
    torch.save({"model": {"x": torch.zeros(1)}}, tmp_path / "x.pth")
    assert not coqui.recognises(tmp_path) and not coqui.recognises(tmp_path / "nothing.pth")
    with pytest.raises(FormatError, match="is no VITS of Coqui: found model; expected model with text_encoder"):
        coqui.read(tmp_path, None)
    file, _ = write_coqui(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(FormatError, match="config.json is not JSON: "):
        coqui.read(file, None)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(FormatError, match="config.json holds a list, expected an object with the voice's settings"):
        coqui.read(file, None)


@needs_coqui
@pytest.mark.parametrize(("n_speakers", "use_sdp"), [(0, True), (0, False), (1, True), (4, True), (4, False)])
def test_coqui_and_this_project_make_the_same_sound(tmp_path, n_speakers, use_sdp):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from TTS.tts.configs.shared_configs import CharactersConfig
        from TTS.tts.configs.vits_config import VitsConfig
        from TTS.tts.models.vits import Vits, VitsArgs, VitsCharacters
        characters = VitsCharacters().to_config()
        characters = CharactersConfig(**characters.to_dict() | {"characters_class": CHARACTERS["characters_class"]})
        theirs = Vits.init_from_config(VitsConfig(
            model_args=VitsArgs(use_sdp=use_sdp, use_speaker_embedding=n_speakers > 0, num_layers_text_encoder=2,
                                num_layers_posterior_encoder=2, upsample_initial_channel_decoder=128,
                                init_discriminator=False), characters=characters,  # small, to be quick
            speakers=[f"speaker {number}" for number in range(n_speakers)], text_cleaner="basic_cleaners")).eval()
        described = theirs.config
    shapes = {coqui._our_name(coqui._PARTS[name.partition(".")[0]], name.partition(".")[2]): (name, tensor.shape)
              for name, tensor in theirs.state_dict().items() if name.partition(".")[0] in coqui._PARTS}
    shapes = {name.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v"): place for name, place in shapes.items()}
    values = filled({name: shape for name, (_, shape) in shapes.items()})
    theirs.load_state_dict({place: values[name] for name, (place, _) in shapes.items()}, strict=False)
    torch.save({"config": described.to_dict(), "model": theirs.state_dict(), "optimizer": None, "scaler": None,
                "step": 3, "epoch": 1, "date": ""}, tmp_path / "model.pth")
    imported = coqui.read(tmp_path, None)
    processor = TextProcessor.from_config(imported.config.data)
    ids = processor.encode(processor.clean(["Hello, world."])[0])
    their_ids = theirs.tokenizer.text_to_ids("Hello, world.")
    assert ids == [(each + 1) % len(processor.symbols) for each in their_ids]
    speaker = n_speakers - 1 if n_speakers > 1 else None
    theirs.inference_noise_scale = theirs.inference_noise_scale_dp = 0.0
    expected = theirs.inference(torch.tensor([their_ids]), {
        "x_lengths": torch.tensor([len(their_ids)]), "d_vectors": None, "language_ids": None, "durations": None,
        "speaker_ids": torch.tensor([max(0, n_speakers - 1)]) if n_speakers else None})["model_outputs"][0, 0]
    found = our_sound(imported, ids, speaker)
    assert found.shape == expected.shape and expected.abs().max() > 0.01
    assert (found - expected).abs().max() < SAME


# Safety


class Malicious:
    """Writes a file when it is unpickled by somebody who executes what a pickle says."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self):
        return open, (str(self.proof), "w")


@pytest.mark.parametrize(("module", "name", "where"), [
    (piper_checkpoint, "voice.ckpt", "hyper_parameters"), (coqui, "model.pth", "config")])
def test_a_malicious_pickle_does_not_run(tmp_path, module, name, where):
    proof = tmp_path / "proof"
    content = {"state_dict": {"model_g.enc_p.emb.weight": torch.zeros(2, 2)},
               "model": {"text_encoder.emb.weight": torch.zeros(2, 2), "waveform_decoder.x": torch.zeros(1)},
               where: {"x": Malicious(proof)}}
    torch.save(content, tmp_path / name)
    assert not module.recognises(tmp_path / name)
    with pytest.raises(CheckpointError, match="asks for _?io.open to be executed, which is not done"):
        module.read(tmp_path / name, None)
    assert not proof.exists()
    with contextlib.suppress(Exception):
        torch.load(tmp_path / name, weights_only=False)
    assert proof.exists()  # so it would have been


# What Piper says of a text

GERMAN = ("Guten Morgen, wie geht es Ihnen?", "Ich möchte bitte ein Stück Käsekuchen.", "Das Mädchen spielt im Garten.",
          "Natürlich nicht!", "Es regnet; wir bleiben zu Hause.", "Er sagte: Komm bald wieder.")
ENGLISH = tuple((ROOT / "filelists/demo_test_sentences.txt").read_text(encoding="utf-8").splitlines()[:50])
GLIDE = "ʲ"  # between two vowels ("the old"): written by the newer espeak-ng that comes with Piper, in 3 of these 50


@pytest.mark.newest
@needs_piper
@pytest.mark.parametrize(("language", "sentences"), [("en-us", ENGLISH), ("de", GERMAN)])
def test_our_cleaners_say_what_pipers_phonemizer_says(language, sentences):
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP, phonemes_to_ids
    from piper.phonemize_espeak import EspeakPhonemizer
    described = PIPER_JSON | {"phoneme_id_map": DEFAULT_PHONEME_ID_MAP}
    symbols, _ = piper_checkpoint.symbols_of(described, 256, Path("config.json"))
    ours = TextProcessor.from_config(settings.DataConfig(
        text_cleaners=("espeak", "decomposed"), language=language, symbols=tuple(symbols), begin_end=("^", "$")))
    theirs = EspeakPhonemizer()
    pairs = [([symbol for part in theirs.phonemize(language, sentence) for symbol in part
               if symbol != GLIDE], cleaned) for sentence, cleaned in zip(sentences, ours.clean(list(sentences)))]
    same = [phonemes_to_ids(phonemes) == ours.encode(cleaned) for phonemes, cleaned in pairs]
    assert all(same), [("".join(pair[0]), pair[1]) for pair, is_same in zip(pairs, same) if not is_same]
