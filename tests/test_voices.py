"""The voices that come with the project: small, whole, documented, and they speak."""

import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors
import torch

import checkpoint
import config as settings
from audio.io import read_wav
from discriminators import Discriminators
from models import TRAINING_PARTS
from synthesis import Voice
from synthesis.base import DEFAULT_VOICE, VOICES
from tests.conftest import ROOT
from text import SymbolTable
from training.finetuning import start_from
from training.step import new_networks

FOLDERS = sorted(folder for folder in VOICES.iterdir() if folder.is_dir())
SENTENCES = {"en": "The river runs quietly past the old stone bridge.", "de": "Der Fluss fließt unter der Brücke."}
LARGEST = {"en_joe": 20_000_000}  # bytes of a folder, where they are not
SMALL = 12_000_000
CONVERTED = ("en_joe",)  # trained by others, and read from a file that only speaks

pytestmark = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@pytest.fixture(scope="module")
def loaded():
    return {folder: Voice.load(folder) for folder in FOLDERS}


def said(voice):
    language = voice.config.data.language[:2]
    return SENTENCES[language], voice.speak(SENTENCES[language], seed=1)


def test_a_voice_is_small_and_whole(folder):
    files = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    assert {"config.json", "model.safetensors", "symbols.txt", "voice.onnx", "voice.json", "README.md"} <= set(files)
    assert sum(files.values()) <= LARGEST.get(folder.name, SMALL)


def test_it_can_be_trained_further_with_its_own_discriminators(folder):
    """They lie beside the folder, which is to stay small; an older release's would be a start from two places."""
    if folder.name in CONVERTED:
        pytest.skip("nobody here trained it: it has none")
    beside = folder.with_name(f"{folder.name}.discriminators.safetensors")
    steps = []
    for file in (folder / "model.safetensors", beside):
        with safetensors.safe_open(file, framework="pt") as opened:
            steps.append(opened.metadata()["step"])
    assert steps[0] == steps[1] and beside.stat().st_size < 2_000_000
    config = settings.load(folder / "config.json")
    weights = checkpoint.read_weights(folder)
    Discriminators(config.discriminator).load_state_dict(weights.discriminators)
    assert weights.step > config.train.adversarial_start


def test_a_converted_voice_has_what_speaks_and_its_makers_symbols(folder, loaded):
    if folder.name not in CONVERTED:
        pytest.skip("it was trained here")
    weights = checkpoint.read_weights(folder)
    assert weights.step == 0 and weights.discriminators is None and loaded[folder].model.enc_q is None
    assert not [name for name in weights.generator if name.startswith(tuple(f"{part}." for part in TRAINING_PARTS))]
    assert loaded[folder].text.begin_end == ("^", "$")
    with pytest.raises(ValueError, match="has no posterior encoder"):
        loaded[folder].speak("Yes.", candidates=2)


def test_its_card_says_what_it_is_made_of_and_how_good_it_is(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for heading in ("Data and licence", "How it was made", "Measures", "What it is bad at"):
        section = card.partition(f"## {heading}\n")[2].partition("\n## ")[0].strip()
        assert len(section) > 60 and not section.startswith("Not "), heading
    assert re.search(r"\d \[\d[\d.]*, \d", card), "its measures have no intervals"


@pytest.mark.parametrize("overrides, fates", [((), {"loaded"}), (
    ("data.language=de", "data.symbols=ipa", 'data.text_cleaners=["espeak"]'), {"loaded", "resized"})],
    ids=["one language", "another"])
def test_the_configuration_for_little_data_starts_from_it_with_nothing_left_over(folder, overrides, fates):
    config = settings.load(ROOT / "configs" / "finetune.json", overrides)
    if ROOT / config.train.init_from != folder:
        pytest.skip("another voice is where it starts")
    networks = new_networks(config, len(SymbolTable.load(config.data.symbols).symbols), torch.device("cpu"))
    start = start_from(*networks, checkpoint.read_weights(folder), config)
    assert {tensor.fate for tensor in start.tensors} == fates and start.has_discriminators
    assert config.train.adversarial_start == 0


def test_nothing_in_it_names_a_place_outside_the_repository(folder):
    for name in ("config.json", "README.md", "voice.json"):
        text = (folder / name).read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.:/])/(tmp|home|root|work|mnt|data)/", text), name


def test_it_says_an_unknown_sentence_sanely(folder, loaded):
    text, audio = said(loaded[folder])
    assert np.isfinite(audio.samples).all() and 0.05 < np.abs(audio.samples).max() < 1
    assert 20 * np.log10(np.sqrt(np.mean(audio.samples**2))) > -40  # dBFS
    assert 8 < len(text) * audio.sample_rate / len(audio.samples) < 25  # characters a second


def test_its_graph_says_the_same_at_the_same_pace(folder, loaded):
    runtime = pytest.importorskip("formats.runtime")
    pytest.importorskip("onnxruntime")
    _, audio = said(loaded[folder])
    graph = runtime.OnnxVoice.load(folder / "voice.onnx")
    hop = graph.config.data.hop_length
    assert np.abs(said(graph)[1].durations - audio.durations).max() <= hop  # rounding may move an end by a frame
    other = graph.speak_ids(audio.text_ids, durations=(audio.durations // hop).tolist(), seed=1)
    # Its weights are rounded to 8 bits, and a rounded pitch adds up to another phase: of the waveform nothing is asked.
    voice = loaded[folder]
    another = voice.speak_ids(audio.text_ids, durations=(audio.durations // hop).tolist(), seed=2)
    by_rounding, by_chance = (np.abs(voice.mel(each) - voice.mel(audio)).mean() for each in (other, another))
    assert by_rounding < 0.1 and by_rounding < 0.3 * by_chance  # nats; another place of the sentence differs by 1.5


def test_the_command_speaks_without_being_told_how(folder, tmp_path):
    name = [] if folder.name == DEFAULT_VOICE else ["-m", folder.name]
    done = subprocess.run([sys.executable, ROOT / "synthesize.py", "Hello world.", *name], cwd=tmp_path, check=True,
                          capture_output=True, text=True)
    wav = read_wav(tmp_path / "out.wav")
    assert "out.wav" in done.stdout and 0.4 < len(wav.samples) / wav.sampling_rate < 3


@pytest.mark.slow
def test_the_english_voice_is_understood(folder, loaded):
    listeners = pytest.importorskip("listeners")
    pytest.importorskip("pocketsphinx")
    if not loaded[folder].config.data.language.startswith("en"):
        pytest.skip("there is no listener for its language")
    sentences = (ROOT / "filelists" / "demo_test_sentences.txt").read_text(encoding="utf-8").splitlines()
    listener = listeners.SentenceListener(sentences)
    heard = []
    for i in range(0, 100, 2):
        audio = loaded[folder].speak(sentences[i], seed=1)
        heard.append(listener.identify(audio.samples, audio.sample_rate) == i)
    assert np.mean(heard) >= 0.9


WORDS = {"en": "and the old man walked down to the river", "de": "und der alte Mann ging hinunter an den breiten Fluss"}


@pytest.mark.parametrize("between, longest_ms", [(" ", 120), (", ", 200)])
def test_pieces_of_a_long_sentence_are_joined_as_words_are(folder, between, longest_ms):
    from synthesis.onnx import OnnxVoice

    def longest_gap_ms(audio):
        window = audio.sample_rate // 200  # 5 ms
        windows = audio.samples[: len(audio.samples) // window * window].reshape(-1, window)
        levels = np.sqrt(np.square(windows).mean(axis=1))
        loud = np.flatnonzero(levels > 0.01 * np.abs(audio.samples).max())  # 40 dB below the peak
        return np.diff(loud).max() * 5

    voice = OnnxVoice.load(folder / "voice.onnx")
    words, limit = WORDS[voice.config.data.language[:2]], voice.config.data.max_text_len
    audio = voice.speak(between.join([words] * (limit // len(words) + 3)), seed=1)  # longer than a piece may be
    own = longest_gap_ms(voice.speak(between.join([words] * 4), seed=1))  # in a sentence that is not cut
    assert longest_gap_ms(audio) <= max(longest_ms, 1.25 * own)
    assert audio.durations.sum() == len(audio.samples) == audio.timings.n_samples
