"""A WebSocket for text as a language model writes it: sound goes back sentence by sentence while text still comes in.

    GET /v1/audio/speech/stream    messages are JSON, sound is binary
    -> {"type": "start", "voice": "en_joe", "response_format": "pcm", "sample_rate": 24000}    for what comes after it
    -> {"type": "text", "text": "Good mor"}
    -> {"type": "flush"}                           the text ends here: the rest of it is spoken
    -> {"type": "cancel"}                          nothing more is spoken of what was sent
    <- {"type": "started", "sample_rate": 24000, "format": "pcm"}, {"type": "timings", "words": [...]}, sound,
       {"type": "done"}, {"type": "cancelled"}, {"type": "error", "error": {...}}
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from aiohttp import WSMsgType, web

from serving.engine import SpeechRequest, TextFeed
from serving.errors import RequestError
from serving.fields import Fields, speech_request
from serving.openai import described_timings
from serving.web import ENGINE, bound_buffers, error_body, in_time

LONGEST_MESSAGE = 1 << 16  # bytes
QUEUED_TEXTS = 16  # texts that wait for the one that is being spoken
IDLE_SECONDS = 60.0  # after which a text that was not ended is ended
HEARTBEAT_SECONDS = 20.0


def add_routes(app: web.Application) -> None:
    """Add the route to the application."""
    app.router.add_get("/v1/audio/speech/stream", stream)


async def stream(request: web.Request) -> web.WebSocketResponse:
    """Talk with one client until it leaves."""
    socket = web.WebSocketResponse(max_msg_size=LONGEST_MESSAGE, heartbeat=HEARTBEAT_SECONDS, compress=False)
    bound_buffers(request)
    await socket.prepare(request)
    conversation = _Conversation(request, socket)
    try:
        with contextlib.suppress(ConnectionError):  # the client has left, or takes nothing
            await conversation.run()
    finally:
        await conversation.cancel()
    return socket


class _Conversation:
    """Texts of one client, spoken one after the other."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.request = request
        self.socket = socket
        self.engine = request.app[ENGINE]
        self._fields = Fields({})
        self._feed: TextFeed | None = None  # the text that still comes in
        self._texts: asyncio.Queue[SpeechRequest] = asyncio.Queue(QUEUED_TEXTS)
        self._speaking: asyncio.Task | None = None

    async def run(self) -> None:
        """Take messages until the client leaves."""
        while True:
            try:
                message = await self.socket.receive(IDLE_SECONDS if self._feed else None)
            except asyncio.TimeoutError:
                self._end_text()
                continue
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return
            try:
                if message.type != WSMsgType.TEXT:
                    raise RequestError("the message is binary; expected JSON as text")
                await self._take(Fields.parse(message.data))
            except RequestError as error:
                await self._write({"type": "error", **error_body(error)})

    async def cancel(self) -> None:
        """Drop what was not spoken yet."""
        self._feed = None
        while not self._texts.empty():
            self._texts.get_nowait()
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)
            self._speaking = None

    async def _take(self, fields: Fields) -> None:
        kind = fields.choice("type", ("start", "text", "flush", "cancel"), "text")
        if kind == "start":
            speech_request(fields, "")  # checks them
            self.engine.voices.find(fields.voice(), fields.speaker())
            self._end_text()
            self._fields = fields
        elif kind == "text":
            self._add(fields.text("text"))
        elif kind == "flush":
            self._end_text()
        else:
            await self.cancel()
            await self._write({"type": "cancelled"})

    def _add(self, text: str) -> None:
        if self._feed is None:
            if self._texts.full():
                raise RequestError(f"{QUEUED_TEXTS} texts wait to be spoken; send more when one is done", "text")
            feed = TextFeed(self.engine.limits.characters)
            feed.add(text)
            self._texts.put_nowait(speech_request(self._fields, feed, default_format="pcm"))
            self._feed = feed
            if self._speaking is None:
                self._speaking = asyncio.create_task(self._speak_all())
        else:
            self._feed.add(text)

    def _end_text(self) -> None:
        if self._feed is not None:
            self._feed.end()
            self._feed = None

    async def _speak_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                text = await self._texts.get()
                try:
                    await self._speak(text)
                except RequestError as error:
                    if self._feed is text.text:
                        self._feed = None
                    await self._write({"type": "error", **error_body(error)})

    async def _speak(self, text: SpeechRequest) -> None:
        has_started = False
        async with contextlib.aclosing(self.engine.speak(text)) as pieces:
            async for piece in pieces:
                if not has_started:
                    await self._write({"type": "started", "sample_rate": piece.sample_rate, "format": text.format})
                    has_started = True
                if piece.timings is not None and (piece.timings.words or piece.timings.bookmarks):
                    await self._write({"type": "timings", **described_timings(piece)})
                if piece.data:
                    await in_time(self.request, self.socket.send_bytes(piece.data))
        await self._write({"type": "done"})

    async def _write(self, content: dict[str, object]) -> None:
        await in_time(self.request, self.socket.send_str(json.dumps(content)))
