"""A voice without a network for the tests of the server: tones, as long as the text; and the engine of several."""

import asyncio
import json
import threading

import numpy as np
import pytest

from serving.voices import Voices
from synthesis.base import BaseVoice, SentenceLatent
from synthesis.chunking import plan_chunks
from tests.conftest import tiny
from text import TextProcessor

FRAMES_A_TOKEN = 4


class ToneVoice(BaseVoice):
    """Every token is four frames of a tone whose pitch is the token's id; the seed sets its phase."""

    def __init__(self, speakers=()):
        several = (f"data.speakers={json.dumps(speakers)}", f"data.n_speakers={len(speakers)}", "model.gin_channels=4")
        self.config = tiny(several if speakers else ())
        self.text = TextProcessor.from_config(self.config.data)
        self.gate = threading.Event()  # what it decodes waits for it
        self.gate.set()
        self.decoded = []  # text of the sentence of each chunk, in the order of decoding

    def _latent(self, sentence, seed, options, durations):
        frames = np.full(len(sentence.ids), FRAMES_A_TOKEN, np.int64)
        latent = SentenceLatent(sentence, np.ceil(frames / np.array(sentence.rates)).astype(np.int64))
        object.__setattr__(latent, "seed", seed)
        return latent

    def _decode(self, latent, chunks):
        hop = self.config.data.hop_length
        pitch = np.repeat(np.array(latent.sentence.ids), latent.frames * hop)
        wav = (0.3 * np.sin(np.arange(len(pitch)) * (0.01 + 0.002 * pitch) + latent.seed % 100)).astype(np.float32)
        for chunk in plan_chunks(int(latent.frames.sum()), 0, chunks):
            assert self.gate.wait(20)
            self.decoded.append(latent.sentence.text)
            yield wav[chunk.start * hop : chunk.end * hop]


@pytest.fixture
def tones() -> ToneVoice:
    """A voice of one speaker."""
    return ToneVoice()


@pytest.fixture
def voices(tones) -> Voices:
    """That voice as "one", the default, and "two" with the speakers ann and bob."""
    return Voices({"one": tones, "two": ToneVoice(("ann", "bob"))}, {"alloy": "two/bob"})


def run(work):
    """The result of a coroutine, in a loop of its own, within 20 seconds."""
    async def limited():
        return await asyncio.wait_for(work, 20)

    return asyncio.run(limited())
