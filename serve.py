"""Speech for other programs: a server that speaks as OpenAI's does, as Home Assistant asks (Wyoming), and on a page.

    python serve.py                                  # all voices of voices/, on http://127.0.0.1:8080
    python serve.py -m en_rms -m runs/vctk --port 9000
    VITS_API_KEY=secret python serve.py --host 0.0.0.0
    curl -s http://127.0.0.1:8080/v1/audio/speech -d '{"input": "Hello.", "response_format": "wav"}' | aplay

Wyoming is on port 10200, MaryTTS on 59125, the page at /. Voices with an ONNX graph do without torch. The packages of
the server: pip install aiohttp prometheus-client
"""

from __future__ import annotations

import utils

if __name__ == "__main__":
    utils.leave_on_interrupt()  # while what is below is imported

import argparse
import asyncio
import contextlib
import dataclasses
import os
import signal
import warnings
from typing import TYPE_CHECKING, Any

import config as settings
from utils import import_package, set_up_logging, user_errors

if TYPE_CHECKING:
    from serving.engine import Engine
    from serving.web import WebOptions

KEY_VARIABLE = "VITS_API_KEY"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = settings.CommandParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--run", action="append", default=[], metavar="VOICE", help="a voice, as of "
                        "synthesize.py; may come several times, the first is the default (default: all of voices/)")
    parser.add_argument("--alias", action="append", default=[], metavar="NAME=VOICE", help="another name of a voice, "
                        "or of a speaker, as in alloy=vctk/p225; OpenAI's names stand for the default voice")
    parser.add_argument("--device", default="auto", help="auto (default): a voice's ONNX graph if it has one; cpu, "
                        "cuda, mps: torch")
    network = parser.add_argument_group("network")
    network.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for other machines "
                         "(default 127.0.0.1, this machine only)")
    network.add_argument("--port", type=int, default=8080, help="of HTTP (default 8080)")
    network.add_argument("--key", help=f"that requests need, as 'Authorization: Bearer KEY' (default: {KEY_VARIABLE})")
    network.add_argument("--cors", metavar="ORIGIN", help="pages of this origin may use the server; * for all")
    network.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="another name of this "
                         "server, e.g. behind a proxy, while it listens on this machine only")
    network.add_argument("--wyoming-port", type=int, metavar="PORT", help="of Wyoming, for Home Assistant (default "
                         "10200, and none with a key, as it has none; 0: none)")
    network.add_argument("--mary-port", type=int, metavar="PORT", help="of MaryTTS (default 59125, and none with a "
                         "key; 0: none)")
    network.add_argument("--zeroconf", action="store_true", help="announce Wyoming in the local network (pip install "
                         "zeroconf)")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--workers", type=int, help="threads that compute (default: one a core)")
    limits.add_argument("--requests", type=int, default=64, help="open at once; more get 503 (default 64)")
    limits.add_argument("--characters", type=int, default=10_000, help="of a text (default 10000)")
    limits.add_argument("--seconds", type=float, default=1800.0, help="of sound of an answer (default 1800)")
    limits.add_argument("--rate", type=int, metavar="N", help="requests of one address in a minute; more get 429")
    limits.add_argument("--stall", type=float, default=30.0, metavar="S", help="seconds that a client may take "
                        "nothing (default 30)")
    limits.add_argument("--grace", type=float, default=30.0, metavar="S", help="seconds for open requests at the end "
                        "(default 30)")
    settings.add_trust_argument(parser)
    return parser.parse_args()


def main() -> None:
    """Load the voices, listen, and end gracefully on SIGTERM or Ctrl-C."""
    args = parse_arguments()
    with user_errors():
        check(args)
        for package in ("aiohttp", "prometheus_client"):
            import_package(package, install="aiohttp prometheus-client", otherwise="speak by synthesize.py")
        warnings.simplefilter("ignore")  # they quote texts
        set_up_logging(None, is_main=True)
        asyncio.run(serve(make_engine(args), args))


def check(args: argparse.Namespace) -> None:
    """Raise ValueError for numbers out of range, and for aliases of another form."""
    for name in ("workers", "requests", "characters", "seconds", "rate", "stall"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name} is {value:g}; expected more than 0")
    for name in ("port", "wyoming_port", "mary_port"):
        if not 0 <= (getattr(args, name) or 0) < 65536:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(args, name)}; expected 0 to 65535")
    if args.zeroconf and args.wyoming_port == 0:
        raise ValueError("--zeroconf announces Wyoming, and --wyoming-port is 0; give it a port")
    for alias in args.alias:
        if not all(alias.partition("=")):
            raise ValueError(f"--alias is {alias!r}; expected NAME=VOICE, such as alloy=en_joe")


def make_engine(args: argparse.Namespace) -> Engine:
    """The engine of all voices, which are loaded here, as opening one holds up everything else."""
    from serving.engine import Engine, Limits
    from serving.voices import Voices

    aliases = dict(alias.split("=", 1) for alias in args.alias)
    voices = Voices.load(args.run, aliases, args.device, trust_plugins=args.trust_plugins)
    return Engine(voices, Limits(args.requests, args.characters, args.seconds), args.workers)


def web_options(args: argparse.Namespace) -> WebOptions:
    """Options of the web application from the command line."""
    from serving.web import WebOptions

    return WebOptions(host=args.host, port=args.port, key=args.key or os.environ.get(KEY_VARIABLE) or None,
                      cors=args.cors, hosts=tuple(args.allow_host), rate=args.rate, stall_seconds=args.stall)


async def serve(engine: Engine, args: argparse.Namespace) -> None:
    """Listen until a signal, let open requests end, and close."""
    from serving import app

    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # on Windows, where Ctrl-C ends at once
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
    options = web_options(args)
    listeners = [await app.start(engine, options)]
    try:
        lines = await start_others(engine, options, args, listeners)
        await engine.start()
        print("\n".join([greeting(engine, options, listeners[0].port), *lines]), flush=True)
        await ended.wait()
        print(f"stopping; open requests have {args.grace:g} s to end", flush=True)
        await engine.stop(args.grace)
    finally:
        for listener in listeners:
            await listener.close()


async def start_others(engine: Engine, options: WebOptions, args: argparse.Namespace,
                       listeners: list) -> list[str]:
    """Listen for Wyoming and MaryTTS; returns a line on each. A default port that is taken is no error."""
    from serving import app, mary, wyoming

    async def start_mary(port: int) -> Any:
        of_mary = dataclasses.replace(options, port=port)
        return await app.listen(mary.make_app(engine, of_mary), of_mary)

    async def start_wyoming(port: int) -> Any:
        return await wyoming.start(engine, wyoming.WyomingOptions(
            options.host, port, stall_seconds=options.stall_seconds, announce=args.zeroconf))

    lines = []
    for name, given, port, start in (("Wyoming", args.wyoming_port, wyoming.PORT, start_wyoming),
                                     ("MaryTTS", args.mary_port, mary.PORT, start_mary)):
        if given == 0 or given is None and options.key is not None:
            continue
        try:
            listeners.append(await start(given or port))
            lines.append(f"{name} on {options.host}:{listeners[-1].port}")
        except OSError as error:
            if given is not None or args.zeroconf and name == "Wyoming":
                raise
            lines.append(f"no {name}: port {port} cannot be opened ({error.strerror or error}); choose one by "
                         f"--{'mary' if name == 'MaryTTS' else 'wyoming'}-port")
    return lines


def greeting(engine: Engine, options: WebOptions, port: int) -> str:
    """What is served where, and how to listen more widely."""
    from serving.web import is_loopback

    lines = [f"ready on http://{options.host}:{port}, with {', '.join(engine.voices.voices)}"]
    if is_loopback(options.host):
        lines.append("this machine only; for others: --host 0.0.0.0, best with a key in the environment variable "
                     f"{KEY_VARIABLE}")
    elif options.key is None:
        lines.append(f"anyone who reaches this port may use it; a key in the environment variable {KEY_VARIABLE}, or "
                     "--key, admits only who has it")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
