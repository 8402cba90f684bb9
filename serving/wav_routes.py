"""Routes of other servers that answer with a whole WAV file: Piper, Coqui, Mimic 3 and OVOS.

    POST /synthesize, GET /voices, /info     Piper: {"text", "voice", "speaker", "speaker_id", "length_scale", ...}
    GET, POST /api/tts                       Coqui (text, speaker_id), Mimic 3 (text as body, voice, lengthScale, ...)
    GET /api/voices                          Mimic 3
    GET /v2/synthesize, /status              OVOS (utterance, lang, voice)
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web

from audio.encoders import wav_header
from serving.engine import Engine, SpeechRequest
from serving.errors import RequestError
from serving.fields import Fields
from serving.voices import locale_of
from serving.web import ENGINE, bound_buffers, open_to_all, read_body
from synthesis.base import SynthesisOptions

MIMIC_RATE = 22_050  # Hz, which openHAB's client of Mimic 3 takes for granted


def add_routes(app: web.Application) -> None:
    """Add the routes to the application."""
    app.router.add_post("/synthesize", piper)
    app.router.add_get("/voices", piper_voices)
    app.router.add_get("/info", piper_info)
    app.router.add_route("*", "/api/tts", coqui)
    app.router.add_get("/api/voices", mimic_voices)
    app.router.add_get("/v2/synthesize", ovos)
    app.router.add_get("/status", ovos_status)


async def whole_wav(request: web.Request, speech: SpeechRequest) -> web.Response:
    """The answer as one WAV file of known length; of a text without anything to speak one without samples."""
    rate = speech.sample_rate or request.app[ENGINE].voices.find(speech.voice).voice.sample_rate
    data = bytearray()
    async with contextlib.aclosing(request.app[ENGINE].speak(speech)) as pieces:
        try:
            async for piece in pieces:
                rate = piece.sample_rate
                data += piece.data
        except RequestError as error:
            if error.code != "nothing_to_say":
                raise
    bound_buffers(request)
    return web.Response(body=wav_header(rate, n_bytes=len(data)) + data, content_type="audio/wav",
                        headers={"Cache-Control": "no-store"})


async def form_of(request: web.Request) -> dict[str, str]:
    """Fields of the query and of a form in the body, whether its type is declared or not."""
    body = (await read_body(request)).decode("utf-8", "replace") if request.can_read_body else ""
    return dict(request.query) | dict(parse_qsl(body, keep_blank_values=True))


def wanted(engine: Engine, text: str | None, voice: str | None = None, speaker: str | int | None = None,
           **scales: float | None) -> SpeechRequest:
    """A request by what these clients send; numbers that are missing are the voice's own.

    Raises:
        RequestError: there is no text, no such voice, or a number is out of range.
    """
    if text is None:
        raise RequestError("there is no text", "text", "missing_field")
    length_scale = scales.pop("length_scale", None)
    try:
        speed = None if length_scale is None else 1 / length_scale
        options = SynthesisOptions(speaker=speaker, speed=speed,
                                   **{name: value for name, value in scales.items() if value is not None})
    except ZeroDivisionError:
        raise RequestError("length_scale is 0; expected more", "length_scale") from None
    except ValueError as error:
        raise RequestError(str(error)) from None
    return SpeechRequest(text, engine.voices.find(voice or None, speaker).name, options, format="pcm")


def number(values: Mapping[str, str], name: str) -> float | None:
    """A number of a form; None if it is missing."""
    try:
        return float(values[name]) if values.get(name) else None
    except ValueError:
        raise RequestError(f"{name} is {values[name][:40]!r}; expected a number", name) from None


async def piper(request: web.Request) -> web.Response:
    """As Piper's server; a body that is no JSON object is the text itself."""
    body = await read_body(request)
    if not body.lstrip().startswith(b"{"):
        return await whole_wav(request, wanted(request.app[ENGINE], body.decode("utf-8", "replace")))
    fields = Fields.parse(body)
    speaker = fields.speaker()
    return await whole_wav(request, wanted(
        request.app[ENGINE], fields.text("text"), fields.voice(),
        fields.whole("speaker_id") if speaker is None else speaker, length_scale=fields.number("length_scale"),
        noise_scale=fields.number("noise_scale"), noise_scale_duration=fields.number("noise_w_scale")))


@open_to_all
async def piper_voices(request: web.Request) -> web.Response:
    """Voices by name, with what of Piper's descriptions of voices there is."""
    return web.json_response({name: _piper_description(voice) for name, voice in
                              request.app[ENGINE].voices.voices.items()})


@open_to_all
async def piper_info(request: web.Request) -> web.Response:
    """The default voice."""
    voices = request.app[ENGINE].voices
    return web.json_response({"voice": voices.default} | _piper_description(voices.voices[voices.default]))


def _piper_description(voice) -> dict[str, object]:
    return {"audio": {"sample_rate": voice.sample_rate}, "language": {"code": locale_of(voice.text.language)},
            "num_speakers": max(1, len(voice.speakers)),
            "speaker_id_map": {name: i for i, name in enumerate(voice.speakers)}}


async def coqui(request: web.Request) -> web.Response:
    """As Coqui's and Mimic 3's servers: a text in the query or a form, or as the body."""
    values = dict(request.query)
    body = (await read_body(request)).decode("utf-8", "replace") if request.can_read_body else ""
    if "text" not in values and body:
        form = dict(parse_qsl(body, keep_blank_values=True))
        values |= form if "text" in form else {"text": body}
    speaker, voice = values.get("speaker_id") or values.get("speaker-id"), values.get("voice")
    speech = wanted(
        request.app[ENGINE], values.get("text"), voice, speaker or None,
        length_scale=number(values, "lengthScale"), noise_scale=number(values, "noiseScale"),
        noise_scale_duration=number(values, "noiseW"))
    return await whole_wav(request, dataclasses.replace(speech, sample_rate=MIMIC_RATE))


@open_to_all
async def mimic_voices(request: web.Request) -> web.Response:
    """Voices as Mimic 3 lists them."""
    return web.json_response([
        {"key": name, "name": name, "language": locale_of(voice.text.language), "speakers": list(voice.speakers)}
        for name, voice in request.app[ENGINE].voices.voices.items()])


async def ovos(request: web.Request) -> web.Response:
    """As OVOS' server; `lang` chooses a voice where none is named."""
    engine, values = request.app[ENGINE], request.query
    voice = values.get("voice") or engine.voices.of_language(values.get("lang"))
    return await whole_wav(request, wanted(engine, values.get("utterance"), voice))


@open_to_all
async def ovos_status(request: web.Request) -> web.Response:
    """What OVOS asks for at start."""
    return web.json_response({"status": "ok", "plugin": "vits", "default_voice": request.app[ENGINE].voices.default})
