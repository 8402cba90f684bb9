"""OpenAI's routes: speech as a stream of sound or of events, and the lists of models and voices.

    POST /v1/audio/speech    {"model": "vits", "input": "Hello.", "voice": "en_joe", "response_format": "mp3"}
    GET  /v1/models          GET /v1/audio/voices

Beside OpenAI's fields: seed, speaker, noise_scale, noise_scale_duration, volume_db, pitch_semitones, sentence_pause,
paragraph_pause, sample_rate, and timings for streams of events. Unknown fields are ignored, as clients send many.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator

from aiohttp import web

from audio.encoders import FORMATS as ENCODINGS
from formats import FormatError
from serving import web as shared
from serving.engine import Piece
from serving.errors import RequestError
from serving.fields import Fields, speech_request
from serving.voices import locale_of
from serving.web import ENGINE, break_off, error_body, open_to_all, read_fields, send
from utils import logger

MODEL = {"id": "vits", "object": "model", "created": 1764460800, "owned_by": "vits"}


def add_routes(app: web.Application) -> None:
    """Add the routes to the application."""
    app.router.add_post("/v1/audio/speech", speech)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/v1/models/{name}", model)
    app.router.add_get("/v1/audio/voices", voices)


async def speech(request: web.Request) -> web.StreamResponse:
    """Speak a text, and send the sound while it is made."""
    fields = await read_fields(request)
    text = fields.text("input")
    wanted = speech_request(fields, text)
    has_events = fields.choice("stream_format", ("audio", "sse"), "audio") == "sse"
    if fields.flag("timings") and not has_events:
        raise RequestError('timings is true, and a file of sound has no place for them; add "stream_format": "sse"',
                           "timings")
    async with contextlib.aclosing(request.app[ENGINE].speak(wanted)) as pieces:
        first = await anext(pieces)  # what is wrong with the request shows here
        rate = first.sample_rate
        response = web.StreamResponse(headers={
            "Content-Type": "text/event-stream" if has_events else ENCODINGS[wanted.format].media_type,
            "X-Sample-Rate": str(rate), "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        shared.bound_buffers(request)
        await response.prepare(request)
        try:
            events = _events(first, pieces, fields) if has_events else _data(first, pieces)
            async for data in events:
                await send(request, response, data)
            await response.write_eof()
        except (RequestError, FormatError) as error:
            logger.warning("%s ends early: %s", request[shared.REQUEST_ID], type(error).__name__)
            if has_events and isinstance(error, RequestError):
                await send(request, response, _event({"type": "error", **error_body(error)}))
            break_off(request)
        except ConnectionError:  # the client has left, or takes nothing
            break_off(request)
    return response


async def _data(first: Piece, pieces: AsyncIterator[Piece]) -> AsyncIterator[bytes]:
    """Encoded sound of the first piece, and of the others."""
    yield first.data
    async for piece in pieces:
        if piece.data:
            yield piece.data


async def _events(first: Piece, pieces: AsyncIterator[Piece], fields: Fields) -> AsyncIterator[bytes]:
    """Pieces as events: sound, before it the timings of its sentence if they are wanted, and the end."""
    async def all_pieces() -> AsyncIterator[Piece]:
        yield first
        async for piece in pieces:
            yield piece

    async for piece in all_pieces():
        if fields.flag("timings") and piece.timings is not None:
            yield _event({"type": "speech.timings", **described_timings(piece)})
        if piece.data:
            yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece.data).decode()})
    n_characters = len(fields.text("input"))
    yield _event({"type": "speech.audio.done",
                  "usage": {"input_tokens": n_characters, "output_tokens": 0, "total_tokens": n_characters}})


def described_timings(piece: Piece) -> dict[str, object]:
    """Words, sentences and bookmarks of a sentence, in seconds of the whole answer."""
    def seconds(sample: int) -> float:
        return round((piece.start + sample) / piece.sample_rate, 4)

    def described(tier: str) -> list[dict[str, object]]:
        return [{"text": mark.text, "start": seconds(mark.start), "end": seconds(mark.end)}
                for mark in getattr(piece.timings, tier)]

    return {tier: described(tier) for tier in ("words", "sentences", "bookmarks")}


def _event(content: dict[str, object]) -> bytes:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n".encode()


@open_to_all
async def models(request: web.Request) -> web.Response:
    """The one model; requests may name any."""
    return web.json_response({"object": "list", "data": [MODEL]})


@open_to_all
async def model(request: web.Request) -> web.Response:
    """A model by name."""
    if request.match_info["name"] != MODEL["id"]:
        raise shared.with_status(404, f"no model {request.match_info['name'][:80]!r}; there is {MODEL['id']}",
                                 "model_not_found")
    return web.json_response(MODEL)


@open_to_all
async def voices(request: web.Request) -> web.Response:
    """Voices, and the speakers of those that have several, under both keys that clients look for."""
    catalogue = request.app[ENGINE].voices
    listed = []
    for name in catalogue.listed():
        found = catalogue.find(name)
        listed.append({"id": name, "name": name, "object": "voice", "language": locale_of(found.voice.text.language),
                       "sample_rate": found.voice.sample_rate})
    return web.json_response({"object": "list", "data": listed, "voices": listed})
