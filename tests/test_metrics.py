"""The machine listener: it recognises sentences that espeak-ng speaks, and nothing in silence."""

import sys

import numpy as np
import pytest

from text import espeak

SENTENCES = [
    "My sister and I share a room upstairs.",
    "Can you show me the way to the station?",
    "She put the letter in her coat pocket.",
    "He had never been on a plane before.",
    "Our train was delayed by heavy snow, again.",
    "They sold the house and moved to the coast.",
]


@pytest.fixture(scope="module")
def listener():
    pytest.importorskip("pocketsphinx")
    from metrics import SentenceListener

    return SentenceListener(SENTENCES)


@pytest.fixture(scope="module")
def spoken():
    return [samples.astype(np.float32) / 32768 for samples in espeak.speak(SENTENCES, words_per_minute=140)]


def test_the_listener_recognises_most_of_what_a_robot_says(listener, spoken):
    heard = [listener.identify(samples, espeak.SAMPLING_RATE) for samples in spoken]
    correct = sum(index == i for i, index in enumerate(heard))
    assert correct >= 4, heard  # one would be chance


def test_the_listener_says_the_same_again_and_at_other_rates(listener, spoken):
    first = listener.identify(spoken[1], espeak.SAMPLING_RATE)
    assert listener.identify(spoken[1], espeak.SAMPLING_RATE) == first
    halved = spoken[1][: len(spoken[1]) // 2 * 2].reshape(-1, 2).mean(axis=1)
    assert listener.identify(halved, espeak.SAMPLING_RATE // 2) in (first, None)


@pytest.mark.parametrize("sound", [np.zeros(16000), np.zeros(100), np.zeros(0),
                                   np.random.default_rng(0).standard_normal(16000) * 0.01],
                         ids=["silence", "little silence", "nothing", "hiss"])
def test_the_listener_hears_no_sentence_where_there_is_none(listener, sound):
    assert listener.identify(sound, 16000) is None


def test_the_order_of_what_is_heard_does_not_matter_after_silence(listener, spoken):
    before = listener.identify(spoken[2], espeak.SAMPLING_RATE)
    listener.identify(np.zeros(8000), 16000)
    assert listener.identify(spoken[2], espeak.SAMPLING_RATE) == before


@pytest.mark.parametrize("sentences", [[], ["Hello there.", "hello, THERE!"], ["hello", "hello"], ["...", "!"]])
def test_sentences_that_cannot_be_told_apart_are_refused(sentences):
    pytest.importorskip("pocketsphinx")
    from metrics import SentenceListener

    with pytest.raises(ValueError, match=rf"expected different sentences, found {len(sentences)}"):
        SentenceListener(sentences)


def test_sentences_without_a_word_or_with_unknown_ones_are_named():
    pytest.importorskip("pocketsphinx")
    from metrics import SentenceListener

    with pytest.raises(ValueError, match="sentence 2 has no word in it"):
        SentenceListener(["one two", "?!"])
    with pytest.raises(ValueError, match="the listener's dictionary lacks brillig, zzyzxq; choose other sentences"):
        SentenceListener(["hello zzyzxq", "it was brillig"])


def test_a_call_with_no_sound_does_not_spoil_the_next(listener, spoken):
    before = listener.identify(spoken[0], espeak.SAMPLING_RATE)
    listener.identify(np.zeros(0), 16000)
    assert listener.identify(spoken[0], espeak.SAMPLING_RATE) == before


def test_without_pocketsphinx_the_import_fails_only_when_a_listener_is_made(monkeypatch):
    import metrics

    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(ImportError):
        metrics.SentenceListener(SENTENCES)
