"""What `make demo` leaves: a voice that says recognisable words. CI runs it first; elsewhere this is skipped."""

import numpy as np
import pytest
import soundfile

import checkpoint
from evaluation.listeners import SentenceListener
from synthesis import Voice
from tests.conftest import ROOT
from text import espeak

RUN = ROOT / "runs" / "demo"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not checkpoint.list_steps(RUN), reason="no demo voice in runs/demo; `make demo` trains it")]


def test_the_demo_voice_is_recognised_at_least_half_as_often_as_its_teacher():
    pytest.importorskip("pocketsphinx")
    sentences = (ROOT / "filelists" / "demo_test_sentences.txt").read_text().splitlines()
    taught = (ROOT / "filelists" / "demo_sentences.txt").read_text().splitlines()
    assert len(sentences) == 100 and not set(sentences) & set(taught)
    listener = SentenceListener(sentences)
    voice = Voice.load(RUN, "cpu")
    spoken = [voice.speak(sentence, seed=1).samples for sentence in sentences]
    teacher = [wav.astype(np.float32) / 32768 for wav in espeak.speak(sentences, words_per_minute=150)]
    heard = sum(listener.identify(wav, voice.sample_rate) == i for i, wav in enumerate(spoken))
    bound = sum(listener.identify(wav, espeak.SAMPLING_RATE) == i for i, wav in enumerate(teacher))
    print(f"of 100 unseen sentences the demo voice is identified in {heard}, espeak-ng in {bound}")
    assert bound >= 40  # else the listener hears nothing, and the next line says nothing
    assert heard >= bound / 2


def test_the_demo_leaves_a_wav_and_a_picture():
    samples, rate = soundfile.read(ROOT / "demo" / "demo.wav", dtype="float32")
    assert rate == 16000 and 2 < len(samples) / rate < 8
    assert 0.05 < np.abs(samples).max() <= 1 and 20 * np.log10(np.sqrt((samples**2).mean())) > -40
    assert (ROOT / "demo" / "demo.png").stat().st_size > 10_000
