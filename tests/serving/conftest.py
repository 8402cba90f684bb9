"""A voice without a network for the tests of the server: tones, as long as the text; and the engine of several."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time

import numpy as np
import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("prometheus_client")

from serving import app
from serving.engine import Engine
from serving.voices import Voices
from serving.web import WebOptions
from synthesis.base import BaseVoice, SentenceLatent
from synthesis.chunking import DEFAULT_CHUNKS, plan_chunks
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
    return tone_voices(tones)


def tone_voices(tones) -> Voices:
    """That voice as "one", and "two"."""
    return Voices({"one": tones, "two": ToneVoice(("ann", "bob"))}, {"alloy": "two/bob"})


@pytest.fixture(scope="module")
def server():
    """A server of these voices for the tests of a module."""
    running = RunningServer(tone_voices(ToneVoice()))
    yield running
    running.close()


class RunningServer:
    """The web application on a port of its own, in a thread of its own."""

    def __init__(self, voices, options=None, limits=None, workers=2):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.voices = voices

        async def begin():
            self.engine = Engine(voices, limits, workers, DEFAULT_CHUNKS)
            await self.engine.start()
            return await app.start(self.engine, options or WebOptions(port=0))

        self.listener = self.wait(begin())
        self.port = self.listener.port
        self.url = f"http://127.0.0.1:{self.port}"

    def wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and body of the answer."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = json.dumps(body) if isinstance(body, dict) else body
        link.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        answer = link.getresponse()
        with contextlib.closing(link):
            return answer.status, answer.headers, answer.read()

    def speak(self, **fields):
        """Answer to a request for speech."""
        return self.ask("POST", "/v1/audio/speech", fields)

    def connect(self, receive_buffer=None):
        """A socket to it."""
        link = socket.socket()
        if receive_buffer:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        link.settimeout(20)
        link.connect(("127.0.0.1", self.port))
        return link

    def until(self, condition):
        for _ in range(5000):
            if condition():
                return
            time.sleep(0.002)
        raise AssertionError("it did not come about in 10 seconds")

    def close(self):
        self.wait(self.engine.stop(1))
        self.wait(self.listener.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


def run(work):
    """The result of a coroutine, in a loop of its own, within 20 seconds."""
    async def limited():
        return await asyncio.wait_for(work, 20)

    return asyncio.run(limited())
