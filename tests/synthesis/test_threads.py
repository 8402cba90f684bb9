"""One voice speaks in several threads at once what it speaks in one, to the bit."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from synthesis import Voice
from synthesis.base import VOICES
from synthesis.chunking import ChunkSizes
from synthesis.onnx import OnnxVoice

SENTENCES = [f"{first} {second}." for first in ("Boats", "Old men", "3 dogs", "Rain", "Dr. Lee") for second in
             ("come", "sing at 7", "run by", "stay")]


@pytest.fixture(scope="module", params=["onnx", "torch"])
def voice(request):
    if request.param == "torch":
        return Voice.load("en_rms", "cpu")
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("pip install onnxruntime")
    return OnnxVoice.load(VOICES / "en_rms" / "voice.onnx", threads=1)


def test_four_threads_speak_what_one_speaks(voice):
    def spoken(number):
        if number % 2:
            return voice.speak(SENTENCES[number], seed=number).samples
        chunks = voice.stream(SENTENCES[number], seed=number, chunks=ChunkSizes(20, 20))
        return np.concatenate([chunk.samples for chunk in chunks])

    alone = [spoken(number) for number in range(len(SENTENCES))]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(spoken, range(len(SENTENCES))))
    assert len({len(each) for each in alone}) > 5
    for number, (one, other) in enumerate(zip(alone, together)):
        assert np.array_equal(one, other), SENTENCES[number]
