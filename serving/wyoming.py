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
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from serving.engine import Engine, Piece, SpeechRequest, TextFeed
from serving.errors import RequestError
from serving.voices import locale_of
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
            await _Connection(engine, options, reader, writer).run()
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
        self._feed: TextFeed | None = None  # the text that comes in parts
        self._requests: asyncio.Queue[tuple[SpeechRequest, bool]] = asyncio.Queue(16)
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Take events until the client leaves, or sends what is no event."""
        writer = self.writer
        writer.transport.set_write_buffer_limits(high=1 << 16)
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

    async def _read_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                async for kind, data in self._events():
                    await self._take(kind, data)
            except RequestError as error:
                await self._fail(error)

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
        """The next line; empty at the end."""
        try:
            return await self.reader.readuntil(b"\n")
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
            self._feed = TextFeed(self.engine.limits.characters)
            self._queue(self._request(data, self._feed), is_streamed=True)
        elif kind == "synthesize-chunk" and self._feed is not None:
            self._feed.add(_text(data))
        elif kind == "synthesize-stop" and self._feed is not None:
            self._feed.end()
            self._feed = None
        elif kind == "synthesize" and self._feed is None:  # within a stream it is for servers that cannot stream
            self._queue(self._request(data, _text(data)), is_streamed=False)

    def _queue(self, request: SpeechRequest, is_streamed: bool) -> None:
        if self._requests.full():
            raise RequestError("16 texts wait to be spoken; send more when one is done", "text", "busy")
        self._requests.put_nowait((request, is_streamed))

    def _request(self, data: dict[str, Any], text: str | TextFeed) -> SpeechRequest:
        wanted = data.get("voice") or {}
        if not isinstance(wanted, dict) or any(not isinstance(value, str | int | None) for value in wanted.values()):
            raise RequestError(f"voice is {json.dumps(wanted)[:80]}; expected an object of name, language and speaker",
                               "voice")
        name, language = wanted.get("name"), wanted.get("language")
        if name is None and isinstance(language, str):
            name = next((each for each, voice in self.engine.voices.voices.items()
                         if locale_of(voice.text.language).startswith(language.replace("-", "_"))), None)
        found = self.engine.voices.find(None if name is None else str(name), wanted.get("speaker"))
        is_ssml = data.get("text_format") == "ssml" and isinstance(text, str)
        options = SpeechRequest("").options
        return SpeechRequest(text, found.name, type(options)(speaker=found.speaker), True if is_ssml else None,
                             format="pcm")

    async def _speak_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                request, is_streamed = await self._requests.get()
                try:
                    await self._speak(request)
                except RequestError as error:
                    await self._fail(error)
                    return
                except Exception as error:
                    logger.exception("a text of Wyoming failed")
                    await self._fail(RequestError(f"the server failed ({type(error).__name__}); see its log"))
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

    async def _fail(self, error: RequestError) -> None:
        with contextlib.suppress(ConnectionError):
            await self._write("error", {"text": str(error), "code": error.code or "invalid_request"})

    async def _write(self, kind: str, data: dict[str, Any], payload: bytes = b"") -> None:
        """One event, whole; a client that does not take it in time loses its connection."""
        body = json.dumps(data, ensure_ascii=False).encode()
        head = {"type": kind, "version": VERSION, "data_length": len(body)}
        if payload:
            head["payload_length"] = len(payload)
        timer = asyncio.get_running_loop().call_later(self.options.stall_seconds, self.writer.transport.abort)
        try:
            async with self._writing:
                self.writer.write(json.dumps(head).encode() + b"\n" + body + payload)
                await self.writer.drain()
        finally:
            timer.cancel()


def _text(data: dict[str, Any]) -> str:
    text = data.get("text")
    if not isinstance(text, str):
        raise RequestError(f"text is {json.dumps(text)[:40]}; expected a string", "text")
    return text


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
