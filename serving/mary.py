"""MaryTTS' protocol, on a port of its own, as its /voices differs from Piper's.

    GET, POST /process    INPUT_TEXT, INPUT_TYPE TEXT or SSML, OUTPUT_TYPE AUDIO, AUDIO WAVE_FILE, LOCALE, VOICE
    GET /voices           a line each: name locale gender type
    GET /locales          GET /version
"""

from __future__ import annotations

import dataclasses

from aiohttp import web

from serving.engine import Engine
from serving.errors import RequestError
from serving.voices import locale_of
from serving.wav_routes import form_of, wanted, whole_wav
from serving.web import ENGINE, OPTIONS, Access, WebOptions, headers_of, middlewares, open_to_all

PORT = 59125
DEFAULT_NAMES = ("", "cmu-slt-hsmm")  # the second is what clients send where no voice was chosen


def make_app(engine: Engine, options: WebOptions) -> web.Application:
    """The application of this protocol."""
    access = Access(options)
    app = web.Application(middlewares=middlewares(access, lambda route, status: None),
                          client_max_size=options.body_bytes)
    app[ENGINE], app[OPTIONS] = engine, options
    app.on_response_prepare.append(headers_of(access))
    app.router.add_route("*", "/process", process)
    app.router.add_get("/voices", voices)
    app.router.add_get("/locales", locales)
    app.router.add_get("/version", version)
    return app


async def process(request: web.Request) -> web.StreamResponse:
    """Speak INPUT_TEXT; errors are lines of text, as clients show them."""
    values = await form_of(request)
    try:
        for name, expected in (("INPUT_TYPE", ("TEXT", "SSML")), ("OUTPUT_TYPE", ("AUDIO",)),
                               ("AUDIO", ("WAVE", "WAVE_FILE"))):
            if values.get(name, expected[0]) not in expected:
                raise RequestError(f"{name} is {values[name][:40]!r}; expected {' or '.join(expected)}", name)
        engine = request.app[ENGINE]
        name = values.get("VOICE", "")
        if name in DEFAULT_NAMES and name not in engine.voices.voices:
            name = engine.voices.of_language(values.get("LOCALE"))
        speech = wanted(engine, values.get("INPUT_TEXT"), name)
        if values.get("INPUT_TYPE") == "SSML":
            speech = dataclasses.replace(speech, is_ssml=True)
        return await whole_wav(request, speech)
    except RequestError as error:
        return web.Response(text=f"{error}\n", status=error.status)


@open_to_all
async def voices(request: web.Request) -> web.Response:
    """A line for each voice, and for each speaker of those that have several."""
    catalogue = request.app[ENGINE].voices
    lines = [f"{name} {locale_of(catalogue.find(name).voice.text.language)} NA unitselection-general"
             for name in catalogue.listed()]
    return web.Response(text="\n".join(lines) + "\n")


@open_to_all
async def locales(request: web.Request) -> web.Response:
    """A line for each language."""
    found = dict.fromkeys(locale_of(voice.text.language) for voice in request.app[ENGINE].voices.voices.values())
    return web.Response(text="\n".join(found) + "\n")


@open_to_all
async def version(request: web.Request) -> web.Response:
    """What clients ask for to see whether the server is there."""
    return web.Response(text="Mary TTS server 5.2 (VITS)\n")
