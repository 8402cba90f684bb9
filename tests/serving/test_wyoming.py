"""Wyoming as its own client package drives it, and what no client should send."""

import asyncio
import json
import sys

import numpy as np
import pytest

from serving import wyoming
from serving.engine import Engine, Limits
from synthesis.base import SynthesisOptions
from synthesis.chunking import DEFAULT_CHUNKS
from tests.serving.conftest import ToneVoice, run, tone_voices


def with_server(talk, limits=None, tones=None, **options):
    """What a coroutine function returns of a reader, a writer and the engine, connected to a server of its own."""
    async def whole():
        engine = Engine(tone_voices(tones or ToneVoice()), limits, 2, DEFAULT_CHUNKS)
        await engine.start()
        listener = await wyoming.start(engine, wyoming.WyomingOptions(port=0, **options))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        try:
            return await talk(reader, writer, engine, listener.port)
        finally:
            writer.close()
            await listener.close()
            await engine.stop(1)

    return run(whole())


def line(kind, data=None, **more):
    return json.dumps({"type": kind, "data": data or {}, **more}).encode() + b"\n"


async def event(reader):
    """Type, data and payload of the next event; None at the end."""
    head = await reader.readline()
    if not head:
        return None
    head = json.loads(head)
    data = json.loads(await reader.readexactly(head.get("data_length", 0)) or b"{}")
    return head["type"], data, await reader.readexactly(head.get("payload_length", 0))


async def until(reader, kind):
    """Events up to the next one of a kind."""
    found = []
    while (each := await event(reader)) is not None:
        found.append(each)
        if each[0] == kind:
            return found
    raise AssertionError([each[:2] for each in found])


def sound(events):
    return np.frombuffer(b"".join(payload for kind, _, payload in events if kind == "audio-chunk"), "<i2") / 32768


def spoken(text, **options):
    return ToneVoice().speak(text, SynthesisOptions(**options)).samples


def test_it_describes_its_voices():
    async def talk(reader, writer, engine, port):
        writer.write(line("describe"))
        return await event(reader)

    kind, data, _ = with_server(talk)
    [program] = data["tts"]
    assert kind == "info" and program["supports_synthesize_streaming"] is True and program["installed"] is True
    one, two = program["voices"]
    assert one["name"] == "one" and one["languages"] == ["en_US"] and one["speakers"] is None
    assert two["speakers"] == [{"name": "ann"}, {"name": "bob"}]


def test_it_speaks_a_text_with_one_start_and_one_stop():
    async def talk(reader, writer, engine, port):
        writer.write(line("synthesize", {"text": "Abc def. Ghi jkl!", "voice": {"name": "one"}}))
        return await until(reader, "audio-stop")

    events = with_server(talk)
    kinds = [kind for kind, *_ in events]
    assert kinds[0] == "audio-start" and kinds.count("audio-start") == kinds.count("audio-stop") == 1
    assert events[0][1] == {"rate": 8000, "width": 2, "channels": 1, "timestamp": 0}
    assert len(sound(events)) == len(spoken("Abc def. Ghi jkl!"))
    assert all(len(payload) <= 2048 for _, _, payload in events)


@pytest.mark.parametrize("text", ["", "   ", "\U0001f600"])
def test_a_text_of_nothing_ends_as_others_do(text):
    async def talk(reader, writer, engine, port):
        writer.write(line("synthesize", {"text": text}))
        return await until(reader, "audio-stop")

    assert [kind for kind, *_ in with_server(talk)] == ["audio-start", "audio-stop"]


def test_a_text_in_parts_is_spoken_sentence_by_sentence_and_a_plain_one_after_it():
    async def talk(reader, writer, engine, port):
        writer.write(line("synthesize-start", {"voice": {"name": "two", "speaker": "bob"}}))
        for part in ("Abc d", "ef. Gh", "i jkl. "):
            writer.write(line("synthesize-chunk", {"text": part}))
        first = await until(reader, "audio-chunk")  # before the text has ended
        writer.write(line("synthesize", {"text": "Abc def. Ghi jkl."}) + line("synthesize-stop"))
        events = first + await until(reader, "synthesize-stopped")
        writer.write(line("synthesize", {"text": "Abc."}))
        return events, await until(reader, "audio-stop")

    streamed, plain = with_server(talk)
    kinds = [kind for kind, *_ in streamed]
    assert kinds.count("audio-start") == kinds.count("audio-stop") == 1 and kinds[-2:] == ["audio-stop",
                                                                                        "synthesize-stopped"]
    assert len(sound(streamed)) == len(spoken("Abc def. Ghi jkl."))
    assert len(sound(plain)) == len(spoken("Abc."))


def test_it_describes_itself_while_it_speaks():
    tones = ToneVoice()
    tones.gate.clear()

    async def talk(reader, writer, engine, port):
        writer.write(line("synthesize", {"text": "Abc def."}) + line("describe"))
        first = await event(reader)
        tones.gate.set()
        return first[0], [kind for kind, *_ in await until(reader, "audio-stop")]

    assert with_server(talk, tones=tones)[0] == "info"


@pytest.mark.parametrize(("sent", "code"), [
    (b"hello\n", "invalid_event"), (b"[]\n", "invalid_event"), (b'{"type": 3}\n', "invalid_event"),
    (b'{"type": "describe", "data_length": -1}\n', "too_long"), (b"[" * 50_000 + b"\n", "invalid_event"),
    (b'{"type": "describe", "data_length": 99999999}\n', "too_long"),
    (b'{"type": "describe", "payload_length": "x"}\n', "too_long"),
    (b'{"type": "describe", "data_length": 3}\nabc', "invalid_event"),
    (b'{"type": "describe", "data_length": 9}\nabc', "timeout"), (b"x" * 70_000, "too_long"),
    (line("synthesize", {"text": 3}), "invalid_request"), (line("synthesize", {"text": "a", "voice": 3}),
                                                           "invalid_request"),
    (line("synthesize", {"text": "a", "voice": {"name": "nobody"}}), "voice_not_found"),
    (line("synthesize", {"text": "a", "voice": {"name": "../x"}}), "voice_not_found"),
    (line("synthesize", {"text": "a", "voice": {"name": "two", "speaker": "eve"}}), "voice_not_found"),
    (line("synthesize", {"text": "a" * 60}), "too_long"),
    (line("synthesize", {"text": "<speak>", "text_format": "ssml"}), "invalid_request")])
def test_what_is_no_event_and_no_text_gets_an_error_and_the_connection_ends(sent, code):
    async def talk(reader, writer, engine, port):
        writer.write(sent)
        events = [await event(reader), await event(reader)]
        other, writing = await asyncio.open_connection("127.0.0.1", port)  # others are served on
        writing.write(line("synthesize", {"text": "Abc."}))
        events.append((await until(other, "audio-stop"))[-1])
        writing.close()
        return events

    error, end, other = with_server(talk, Limits(characters=50), stall_seconds=0.3)
    assert error[0] == "error" and error[1]["code"] == code and error[1]["text"] and end is None
    assert other[0] == "audio-stop"


def in_parts(*parts, **how):
    """Events of a text in parts."""
    return b"".join([line("synthesize-start", how), *(line("synthesize-chunk", {"text": each}) for each in parts),
                     line("synthesize-stop")])


def test_ssml_in_parts_is_spoken_whole_unless_it_is_to_be_text():
    parts = ("<speak>Abc <break time='", "500ms'/> def.</speak>")

    async def talk(reader, writer, engine, port):
        lengths = []
        for how in ({}, {"text_format": "ssml"}, {"text_format": "text"}):
            writer.write(in_parts(*parts, **how))
            lengths.append(len(sound(await until(reader, "synthesize-stopped"))))
        return lengths

    whole = len(spoken("".join(parts)))
    lengths = with_server(talk)
    assert lengths[:2] == [whole, whole] and lengths[2] != whole


@pytest.mark.parametrize("text", ["", " ", "<speak></speak>"])
def test_nothing_in_parts_ends_as_others_do(text):
    async def talk(reader, writer, engine, port):
        writer.write(in_parts(text))
        return [kind for kind, *_ in await until(reader, "synthesize-stopped")]

    assert with_server(talk) == ["audio-start", "audio-stop", "synthesize-stopped"]


def test_a_text_that_never_ended_does_not_keep_the_next_one():
    async def talk(reader, writer, engine, port):
        writer.write(line("synthesize-start") + line("synthesize-chunk", {"text": "Abc"}) + in_parts("Def."))
        await until(reader, "synthesize-stopped")
        return await until(reader, "synthesize-stopped")

    assert len(sound(with_server(talk)))


@pytest.mark.parametrize("sent", [b'{"type": "descr', b"", in_parts("Abc ")[: -len(line("synthesize-stop"))]])
def test_who_sends_half_a_line_or_no_end_is_cut_off(sent):
    async def talk(reader, writer, engine, port):
        writer.write(sent)
        assert await reader.read() == b""
        while engine.open_requests:
            await asyncio.sleep(0.005)

    with_server(talk, stall_seconds=0.1, idle_seconds=0.2)


def test_a_connection_too_many_gets_an_error():
    async def talk(reader, writer, engine, port):
        other, writing = await asyncio.open_connection("127.0.0.1", port)
        found = await event(other), await event(other)
        writing.close()
        writer.write(line("describe"))
        return *found, (await event(reader))[0]

    error, end, answer = with_server(talk, connections=1)
    assert error[1]["code"] == "server_busy" and end is None and answer == "info"


@pytest.mark.parametrize(("language", "kind"), [("en_US", "audio-stop"), ("en-GB", "audio-stop"), ("en", "audio-stop"),
                                                ("", "audio-stop"), ("fr_FR", "error"), ("e", "error")])
def test_a_language_has_its_voice_or_an_error(language, kind):
    async def talk(reader, writer, engine, port):
        writer.write(line("synthesize", {"text": "Abc.", "voice": {"language": language}}))
        return (await until(reader, kind))[-1]

    found = with_server(talk)
    assert kind == "audio-stop" or found[1]["code"] == "voice_not_found"


def test_half_of_a_character_is_an_error_and_an_echo_of_it_is_none():
    async def talk(reader, writer, engine, port):
        writer.write(b'{"type": "ping", "data": {"text": "\\ud800"}}\n'
                     b'{"type": "synthesize", "data": {"text": "\\ud800"}}\n')
        return [await event(reader), await event(reader)]

    pong, error = with_server(talk)
    assert pong[0] == "pong" and error[0] == "error" and "half of a character" in error[1]["text"]


def test_the_work_for_a_client_that_leaves_ends():
    tones = ToneVoice()
    tones.gate.clear()

    async def talk(reader, writer, engine, port):
        writer.write(line("synthesize", {"text": "Abc def. " * 20}))
        while not engine.open_requests:
            await asyncio.sleep(0.005)
        writer.close()
        await asyncio.sleep(0.05)
        tones.gate.set()
        while engine.open_requests:
            await asyncio.sleep(0.005)
        return len(tones.decoded)

    assert with_server(talk, tones=tones) < 20


def test_a_service_that_only_this_machine_reaches_is_not_announced():
    pytest.importorskip("zeroconf")

    async def talk():
        engine = Engine(tone_voices(ToneVoice()), None, 1, DEFAULT_CHUNKS)
        with pytest.raises(ValueError, match="only this machine reaches"):
            await wyoming.start(engine, wyoming.WyomingOptions(port=0, announce=True))

    run(talk())


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated")
def test_the_client_of_the_protocols_authors_understands_it():
    client = pytest.importorskip("wyoming.client", reason="needs the package wyoming")
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.info import Describe, Info
    from wyoming.tts import (
        Synthesize,
        SynthesizeChunk,
        SynthesizeStart,
        SynthesizeStop,
        SynthesizeStopped,
        SynthesizeVoice,
    )

    async def talk(reader, writer, engine, port):
        async with client.AsyncTcpClient("127.0.0.1", port) as link:
            await link.write_event(Describe().event())
            info = Info.from_event(await link.read_event())
            await link.write_event(Synthesize("Abc def.", voice=SynthesizeVoice(name="one")).event())
            plain, samples = [], b""
            while not plain or not AudioStop.is_type(plain[-1].type):
                plain.append(await link.read_event())
                if AudioChunk.is_type(plain[-1].type):
                    samples += AudioChunk.from_event(plain[-1]).audio
            await link.write_event(SynthesizeStart().event())
            await link.write_event(SynthesizeChunk("Abc def.").event())
            await link.write_event(SynthesizeStop().event())
            streamed = []
            while not streamed or not SynthesizeStopped.is_type(streamed[-1].type):
                streamed.append(await link.read_event())
        return info, AudioStart.from_event(plain[0]), samples, streamed

    info, began, samples, streamed = with_server(talk)
    assert info.tts[0].voices[1].speakers[0].name == "ann" and info.tts[0].supports_synthesize_streaming
    assert (began.rate, began.width, began.channels) == (8000, 2, 1)
    assert len(samples) == 2 * len(spoken("Abc def."))
    assert sum(AudioChunk.is_type(each.type) for each in streamed) > 0


def test_the_protocols_benchmark_measures_both_modes():
    pytest.importorskip("wyoming_bench")

    async def talk(reader, writer, engine, port):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wyoming_bench.cli", "tts", f"127.0.0.1:{port}", "--rounds", "1",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    status, output = with_server(talk)
    assert status == 0 and "streaming" in output and "error" not in output.lower(), output
