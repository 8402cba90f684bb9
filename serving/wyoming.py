"""Wyoming, the protocol of Home Assistant: one connection a request, events of JSON lines, sound as 16-bit samples.

    listener = await start(engine, WyomingOptions(port=10200))

An event is a line of JSON with its type, and behind it as many bytes of further data (JSON) and of payload as it says.
A text comes whole (`synthesize`) or as a language model writes it (`synthesize-start`, `-chunk`, `-stop`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from serving.engine import Engine, Piece, SpeechRequest, TextFeed
from serving.errors import BusyError, RequestError, UnknownVoiceError
from serving.fields import Fields
from serving.voices import locale_of
from serving.web import SEND_BUFFER
from synthesis.base import SynthesisOptions
from utils import import_package, logger

PORT = 10200
VERSION = "1.7.2"  # of the protocol's events
LONGEST_LINE, LONGEST_DATA, LONGEST_PAYLOAD = 1 << 16, 1 << 18, 1 << 20  # bytes
SERVICE = "_wyoming._tcp.local."


@dataclass(frozen=True)
class WyomingOptions:
    """Where to listen, and for how long a client may stall."""

    host: str = "127.0.0.1"
    port: int = PORT
    samples_per_chunk: int = 1024
    stall_seconds: float = 30.0  # within which a client has to take a chunk, and to send the rest of an event
    idle_seconds: float = 600.0  # between events; a text that comes in has a tenth of it
    connections: int = 256  # open at once
    announce: bool = False  # by zeroconf


class Listener:
    """The protocol on a port."""

    def __init__(self, server: asyncio.Server, connections: set[asyncio.Task], service: Any) -> None:
        self._server = server
        self._connections = connections
        self._service = service

    @property
    def port(self) -> int:
        """The port, which the system chose if the options' is 0."""
        return self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close the port and all connections."""
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._service is not None:
            await self._service.async_unregister_all_services()
            await self._service.async_close()


async def start(engine: Engine, options: WyomingOptions) -> Listener:
    """Listen, and announce the service if the options want it.

    Raises:
        OSError: the port is taken, or the host is none of this machine's.
        ValueError: the service is to be announced, and only this machine can reach it.
        PackageError: it is to be announced without the package zeroconf.
    """
    connections: set[asyncio.Task] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(task := asyncio.current_task())
        try:
            connection = _Connection(engine, options, reader, writer)
            if len(connections) > options.connections:
                await connection.refuse(BusyError(f"{options.connections} connections are open, as many as the server "
                                                  "takes; try again later"))
            else:
                await connection.run()
        finally:
            connections.discard(task)

    server = await asyncio.start_server(connected, options.host, options.port, limit=LONGEST_LINE)
    try:
        service = await _announced(options, server.sockets[0].getsockname()[1]) if options.announce else None
    except BaseException:
        server.close()
        raise
    return Listener(server, connections, service)


async def _announced(options: WyomingOptions, port: int) -> Any:
    """The service, announced in the local network at an address of this machine."""
    aio = import_package("zeroconf.asyncio", install="zeroconf")
    address = options.host
    if address in ("0.0.0.0", "::", ""):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # chooses an address, and sends nothing
            probe.connect(("10.254.254.254", 1))
            address = probe.getsockname()[0]
    if address.startswith("127.") or address in ("localhost", "::1"):
        raise ValueError(f"--zeroconf would announce {address}, which only this machine reaches; listen with "
                         "--host 0.0.0.0")
    name = f"vits-{socket.gethostname().partition('.')[0]}"
    service = aio.AsyncZeroconf()
    await service.async_register_service(aio.AsyncServiceInfo(
        SERVICE, f"{name}.{SERVICE}", port=port, parsed_addresses=[address], server=f"{name}.local."))
    return service


class _Connection:
    """Events of one client; texts are spoken one after the other, and other events are answered meanwhile."""

    def __init__(self, engine: Engine, options: WyomingOptions, reader: asyncio.StreamReader,
                 writer: asyncio.StreamWriter) -> None:
        self.engine = engine
        self.options = options
        self.reader = reader
        self.writer = writer
        self._stream: SpeechRequest | None = None  # the request whose text comes in parts
        self._begun = ""  # of that text, as long as it may be SSML, which is read whole
        self._feed: TextFeed | None = None  # that text, once it is none
        self._requests: asyncio.Queue[tuple[SpeechRequest, bool]] = asyncio.Queue(16)
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Take events until the client leaves, or sends what is no event."""
        writer = self.writer
        writer.transport.set_write_buffer_limits(high=SEND_BUFFER)
        if (link := writer.transport.get_extra_info("socket")) is not None and link.family != socket.AF_UNIX:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        speaking = asyncio.create_task(self._speak_all())
        reading = asyncio.create_task(self._read_all())
        try:
            await asyncio.wait((speaking, reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (speaking, reading):
                task.cancel()
            await asyncio.gather(speaking, reading, return_exceptions=True)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)
            writer.transport.abort()

    async def _read_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                async for kind, data in self._events():
                    await self._take(kind, data)
            except RequestError as error:
                await self.refuse(error)
            except ConnectionError:
                raise
            except Exception:
                logger.exception("an event of Wyoming failed")
                raise

    async def _events(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Type and data of each event.

        Raises:
            RequestError: what came is no event, or a longer one than is taken, or the rest of it did not come.
        """
        while line := await self._line():
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                event = None
            if not isinstance(event, dict) or not isinstance(event.get("type"), str):
                raise RequestError("the line is no event; expected a JSON object with a type, such as "
                                   '{"type": "describe"}', code="invalid_event")
            data, more = event.get("data") or {}, await self._bytes(event, "data_length", LONGEST_DATA)
            await self._bytes(event, "payload_length", LONGEST_PAYLOAD)
            try:
                data = {**data, **(json.loads(more) if more else {})}
            except (ValueError, TypeError, RecursionError):
                raise RequestError("the data of the event is no JSON object", code="invalid_event") from None
            yield event["type"], data

    async def _line(self) -> bytes:
        """The next line; empty at the end, which also comes to a client that takes too long."""
        try:
            with self._within(self.options.idle_seconds / (1 if self._stream is None else 10)):
                first = await self.reader.readexactly(1)
            with self._within(self.options.stall_seconds):
                return first + await self.reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return b""
        except asyncio.LimitOverrunError:
            raise RequestError(f"the line has more than {LONGEST_LINE} bytes; expected an event", code="too_long"
                               ) from None

    async def _bytes(self, event: dict[str, Any], name: str, most: int) -> bytes:
        n_bytes = event.get(name) or 0
        if not isinstance(n_bytes, int) or isinstance(n_bytes, bool) or not 0 <= n_bytes <= most:
            raise RequestError(f"{name} is {json.dumps(n_bytes)[:40]}; expected 0 to {most}", name, "too_long")
        try:
            return await asyncio.wait_for(self.reader.readexactly(n_bytes), self.options.stall_seconds)
        except asyncio.TimeoutError:
            raise RequestError(f"of {n_bytes} bytes of {name} not all came within {self.options.stall_seconds:g} "
                               "seconds", name, "timeout") from None
        except asyncio.IncompleteReadError:
            raise ConnectionResetError from None

    async def _take(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "describe":
            await self._write("info", description(self.engine))
        elif kind == "ping":
            await self._write("pong", data)
        elif kind == "synthesize-start":
            self._end_stream()
            self._stream = self._request(data, "")
        elif kind == "synthesize-chunk" and self._stream is not None:
            self._add_to_stream(_text(data))
        elif kind == "synthesize-stop":
            self._end_stream()
        elif kind == "synthesize" and self._stream is None:  # within a stream it is for servers that cannot stream
            self._queue(self._request(data, _text(data)), is_streamed=False)

    def _add_to_stream(self, text: str) -> None:
        """Add a part of the text: to the feed, unless the text may be SSML."""
        if self._feed is not None:
            self._feed.add(text)
            return
        self._begun += text
        beginning, is_ssml = self._begun.lstrip(), self._stream.is_ssml
        may_be_ssml = not beginning or is_ssml or is_ssml is None and beginning.startswith("<")
        if not may_be_ssml or len(self._begun) > self.engine.limits.characters:
            self._feed = TextFeed(self.engine.limits.characters)
            self._feed.add(self._begun)
            self._queue(replace(self._stream, text=self._feed, is_ssml=None), is_streamed=True)

    def _end_stream(self) -> None:
        if self._feed is not None:
            self._feed.end()
        elif self._stream is not None:
            self._queue(replace(self._stream, text=self._begun), is_streamed=True)
        self._stream, self._feed, self._begun = None, None, ""

    def _queue(self, request: SpeechRequest, is_streamed: bool) -> None:
        if self._requests.full():
            raise RequestError("16 texts wait to be spoken; send more when one is done", "text", "busy")
        self._requests.put_nowait((request, is_streamed))

    def _request(self, data: dict[str, Any], text: str) -> SpeechRequest:
        wanted = data.get("voice") or {}
        if not isinstance(wanted, dict) or any(not isinstance(value, str | int | None) for value in wanted.values()):
            raise RequestError(f"voice is {json.dumps(wanted)[:80]}; expected an object of name, language and speaker",
                               "voice")
        name, language = wanted.get("name"), wanted.get("language")
        if not name and isinstance(language, str) and language:
            name = self.engine.voices.of_language(language)
            if name is None:
                raise UnknownVoiceError(f"no voice speaks {language[:80]!r}; there are "
                                        f"{', '.join(self.engine.voices.voices)}")
        found = self.engine.voices.find(None if name is None else str(name), wanted.get("speaker"))
        kind = data.get("text_format")
        is_ssml = True if kind == "ssml" else False if kind == "text" else None  # None: where it begins with <speak>
        return SpeechRequest(text, found.name, SynthesisOptions(speaker=found.speaker), is_ssml, format="pcm")

    async def _speak_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                request, is_streamed = await self._requests.get()
                try:
                    await self._speak(request)
                except RequestError as error:
                    await self.refuse(error)
                    return
                except Exception as error:
                    logger.exception("a text of Wyoming failed")
                    await self.refuse(RequestError(f"the server failed ({type(error).__name__}); see its log",
                                                   code="server_error"))
                    return
                if is_streamed:
                    await self._write("synthesize-stopped", {})

    async def _speak(self, request: SpeechRequest) -> None:
        """Sound of one text: one start and one stop, also where there is nothing to speak."""
        rate = self.engine.voices.find(request.voice).voice.sample_rate
        form = {"rate": rate, "width": 2, "channels": 1}
        has_started, sent = False, 0
        async with contextlib.aclosing(self.engine.speak(request)) as pieces:
            try:
                async for piece in pieces:
                    if not has_started:
                        await self._write("audio-start", {**form, "timestamp": 0})
                        has_started = True
                    sent = await self._send(piece, form, sent)
            except RequestError as error:
                if has_started or error.code != "nothing_to_say":
                    raise
                await self._write("audio-start", {**form, "timestamp": 0})
        await self._write("audio-stop", {"timestamp": 1000 * sent // rate})

    async def _send(self, piece: Piece, form: dict[str, int], sent: int) -> int:
        """Write a piece as chunks of equal size; returns the samples that were sent in all."""
        step = 2 * self.options.samples_per_chunk
        for place in range(0, len(piece.data), step):
            payload = piece.data[place : place + step]
            await self._write("audio-chunk", {**form, "timestamp": 1000 * sent // form["rate"]}, payload)
            sent += len(payload) // 2
        return sent

    async def refuse(self, error: RequestError) -> None:
        """Send an error and end the connection; what the client still sends is dropped, or it could not read it."""
        with contextlib.suppress(ConnectionError):
            await self._write("error", {"text": str(error), "code": error.code or "invalid_request"})
            with self._within(1.0):
                self.writer.write_eof()
                while await self._dropped():
                    pass
        self.writer.close()

    async def _dropped(self) -> bytes:
        """The next bytes, for nothing; none where the other task of the connection still waits for some."""
        try:
            return await self.reader.read(LONGEST_LINE)
        except RuntimeError:
            return b""

    @contextlib.contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Cut the connection off unless the block ends in time."""
        timer = asyncio.get_running_loop().call_later(seconds, self.writer.transport.abort)
        try:
            yield
        finally:
            timer.cancel()

    async def _write(self, kind: str, data: dict[str, Any], payload: bytes = b"") -> None:
        """One event, whole; a client that does not take it in time loses its connection."""
        body = json.dumps(data).encode()
        head = {"type": kind, "version": VERSION, "data_length": len(body)}
        if payload:
            head["payload_length"] = len(payload)
        with self._within(self.options.stall_seconds):
            async with self._writing:
                self.writer.write(json.dumps(head).encode() + b"\n" + body + payload)
                await self.writer.drain()


def _text(data: dict[str, Any]) -> str:
    return Fields(data).text("text")


def description(engine: Engine) -> dict[str, Any]:
    """What the server offers, as Home Assistant asks for every half minute: nothing is loaded for it."""
    attribution = {"name": "VITS", "url": ""}
    voices = []
    for name, voice in engine.voices.voices.items():
        locale = locale_of(voice.text.language)
        voices.append({"name": name, "languages": [locale], "description": f"{name} ({locale})", "version": None,
                       "speakers": [{"name": each} for each in voice.speakers] or None, "installed": True,
                       "attribution": attribution})
    return {"tts": [{"name": "vits", "description": "VITS voices", "version": "0.1.0", "installed": True,
                     "attribution": attribution, "supports_synthesize_streaming": True, "voices": voices}]}
