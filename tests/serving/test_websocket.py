"""The WebSocket: text in parts, sound sentence by sentence, flush, cancel, wrong messages, clients that leave."""

import json

import aiohttp
import numpy as np
import pytest

from tests.serving.conftest import ToneVoice, run

TEXT = "Abc def. Ghi, jkl mno! Is that so?"


class Client:
    """One end of the WebSocket."""

    def __init__(self, link):
        self.link = link
        self.sound = b""

    async def send(self, **message):
        await self.link.send_str(json.dumps(message))

    async def until(self, kind):
        """Messages up to the first of a type; sound is kept."""
        messages = []
        while not messages or messages[-1]["type"] != kind:
            message = await self.link.receive(10)
            if message.type == aiohttp.WSMsgType.BINARY:
                self.sound += message.data
                continue
            messages.append(json.loads(message.data))
        return messages

    @property
    def samples(self):
        return np.frombuffer(self.sound, "<i2") / 32768


def talk(server, work, **options):
    async def talking():
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f"{server.url}/v1/audio/speech/stream", **options) as link:
                return await work(Client(link))

    return run(talking())


def test_text_in_parts_sounds_as_the_whole_with_the_words_times(server):
    async def work(client):
        await client.send(type="start", voice="one", seed=3, response_format="pcm", sample_rate=8000)
        await client.send(type="text", text="Abc d")
        await client.send(type="text", text="ef. Ghi, jkl ")
        [started, timings] = await client.until("timings")
        assert started == {"type": "started", "sample_rate": 8000, "format": "pcm"}
        assert [word["text"] for word in timings["words"]] == ["Abc", "def"]
        await client.send(type="text", text="mno! Is that so?")
        await client.send(type="flush")
        await client.until("done")
        return client.samples

    expected = ToneVoice().speak(TEXT, seed=3).samples
    samples = talk(server, work)
    assert len(samples) == len(expected)
    np.testing.assert_allclose(samples, expected, atol=1e-4)


def test_cancel_drops_what_is_not_spoken_and_the_next_text_is_spoken(server):
    async def work(client):
        await client.send(type="text", text="Abc def ghi. " * 300)
        await client.until("timings")
        await client.send(type="cancel")
        await client.until("cancelled")
        assert not server.engine.open_requests
        client.sound = b""
        await client.send(type="text", text="Abc.")
        await client.send(type="flush")
        await client.until("done")
        return client.samples

    assert len(talk(server, work)) == 3 * len(ToneVoice().speak("Abc.").samples)  # 24 kHz is the default of pcm


def test_texts_that_follow_each_other_are_spoken_in_order(server):
    async def work(client):
        for text in ("Abc.", "Def ghi.", "Jkl."):
            await client.send(type="text", text=text)
            await client.send(type="flush")
        return [message for _ in range(3) for message in await client.until("done")]

    messages = talk(server, work)
    assert [message["type"] for message in messages] == ["started", "timings", "done"] * 3
    assert [word["text"] for message in messages for word in message.get("words", ())] == ["Abc", "Def", "ghi", "Jkl"]


@pytest.mark.parametrize(("message", "param", "found"), [
    ("{", None, "no JSON"), ("[]", None, "expected an object"), (b"sound", None, "binary"),
    ({"type": "stop"}, "type", "one of start, text, flush, cancel"), ({"type": "text"}, "text", "text is missing"),
    ({"type": "text", "text": 5}, "text", "text is 5"), ({"type": "start", "voice": "nobody"}, "voice", "no voice"),
    ({"type": "start", "speed": 9}, "speed", "from 0.25 to 4"),
    ({"type": "text", "text": "a" * 10_001}, "text", "more than 10000 characters")])
def test_a_wrong_message_is_answered_and_the_client_may_go_on(server, message, param, found):
    async def work(client):
        if isinstance(message, bytes):
            await client.link.send_bytes(message)
        else:
            await client.link.send_str(message if isinstance(message, str) else json.dumps(message))
        [error] = await client.until("error")
        await client.send(type="text", text="Abc.")
        await client.send(type="flush")
        await client.until("done")
        return error["error"]

    error = talk(server, work)
    assert error["param"] == param and found in error["message"] and error.keys() == {"message", "type", "param",
                                                                                      "code"}


def test_a_message_without_end_and_half_a_frame_end_the_connection_only(server):
    async def too_long(client):
        await client.link.send_str("a" * 100_000)
        message = await client.link.receive(10)
        return message.type, client.link.close_code

    kind, code = talk(server, too_long)
    assert kind == aiohttp.WSMsgType.CLOSE and code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    link = server.connect()
    link.sendall(b"GET /v1/audio/speech/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                 b"\r\n")
    assert link.recv(4096).startswith(b"HTTP/1.1 101")
    link.sendall(b"\x81\xfe\x10")  # a header that is cut
    assert server.speak(input="Abc.")[0] == 200
    link.close()
    link = server.connect()
    link.sendall(b"GET /v1/audio/speech/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert link.recv(4096).startswith(b"HTTP/1.1 400")
    link.close()


def test_work_stops_when_the_client_leaves(server):
    tones = server.voices.voices["one"]

    async def work(client):
        await client.send(type="text", text="Abc def ghi. " * 300)
        await client.until("timings")

    count = len(tones.decoded)
    talk(server, work)
    server.until(lambda: not server.engine.open_requests and not server.engine.busy_workers)
    assert len(tones.decoded) - count < 1500


def test_pages_of_other_origins_cannot_open_it(server):
    async def work(client):
        return client

    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        talk(server, work, headers={"Origin": "https://evil.example"})
    assert error.value.status == 403


def test_a_text_that_no_more_comes_for_is_ended(server, monkeypatch):
    monkeypatch.setattr("serving.websocket.IDLE_SECONDS", 0.05)

    async def work(client):
        await client.send(type="text", text="Abc def")
        return await client.until("done")

    assert [message["type"] for message in talk(server, work)] == ["started", "timings", "done"]
