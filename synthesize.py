"""Text to speech with a trained voice.

    python synthesize.py "Hello world."                              # the voice that comes with the project, out.wav
    python synthesize.py -m de_kerstin "Guten Morgen." -o morgen.wav # another of the folder voices/
    python synthesize.py --list-voices
    python synthesize.py -m runs/demo --text "Good morning." -o good_morning.wav
    python synthesize.py -m runs/demo --text "Played while it is synthesized." -o - | aplay
    python synthesize.py -m runs/demo --text "The same as MP3." -o - --ending mp3 | mpg123 -
    python synthesize.py -m runs/demo --text "The same without a header." --raw | aplay -t raw -f S16_LE -r 16000
    python synthesize.py -m runs/demo --file lines.txt -o folder     # one sound a line: folder/0001.wav ...
    python synthesize.py -m runs/demo --file book.txt --whole -o book.flac --timings srt
    echo "Good morning." | python synthesize.py -m runs/demo -o folder
    python synthesize.py -m runs/digits --speaker george --text "seven" -o seven.wav --picture seven.png
    python synthesize.py -m runs/digits --convert me.wav --from george --speaker lucas -o converted.wav
    python synthesize.py -m demo_onnx/voice.onnx --text "Hello."     # without torch, which takes seconds to import
"""

from __future__ import annotations

import utils

if __name__ == "__main__":
    utils.leave_on_interrupt()  # while what is below is imported

import argparse
import io
import itertools
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import config as settings
from synthesis.timings import CUES
from utils import errors_named, printable, user_errors, write_atomic

if TYPE_CHECKING:
    import numpy as np

    from audio.output import OutputFormat
    from synthesis.base import Audio, BaseVoice, SynthesisOptions
    from synthesis.timings import Timings

ENDINGS = ("wav", "flac", "ogg", "opus", "mp3", "aac", "raw")
TIMINGS = ("json", "srt", "vtt", "TextGrid")


class Item(NamedTuple):
    """A text to synthesize into a file of its own."""

    text: str
    place: str = ""  # file and line, as messages name it


class Outcome:
    """Counts texts: of several, one that has no sound or wrong markup is left out with a warning."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.n_spoken = 0

    @contextmanager
    def speaking(self, item: Item) -> Iterator[None]:
        """Context in which an item is synthesized; ValueError if it is the only one and fails."""
        from synthesis.base import TEXT_ERRORS, NothingToSayError

        try:
            yield
        except TEXT_ERRORS as error:
            if len(self.items) == 1:
                raise ValueError(f"{item.place}: {error}" if item.place else str(error)) from None
            reason = error.summary if isinstance(error, NothingToSayError) else error
            print(f"warning: {item.place}: {reason}; left out", file=sys.stderr)
        else:
            self.n_spoken += 1

    def check(self) -> None:
        """Raise ValueError if all items were left out."""
        if self.items and not self.n_spoken:
            raise ValueError(f"no audio was written: all {len(self.items)} lines were left out, see the warnings")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = settings.CommandParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="?", metavar="TEXT", help="text to speak, as --text")
    parser.add_argument("-m", "--run", type=Path, help="a run, a checkpoint, a release folder, an .onnx file of "
                        "export.py or of Piper, or the name of a voice in voices/ (default: en_joe)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps")
    parser.add_argument("--onnx", action="store_true", help="use the voice.onnx of a release, without torch")
    parser.add_argument("--list-voices", action="store_true", help="list voices/: name, language, rate, size, licence")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--text", help="text to speak; SSML if it begins with <speak>, and [[these]] are phonemes")
    source.add_argument("--file", type=Path, help="a text file, one sound for each line; without it, standard input")
    source.add_argument("--convert", type=Path, metavar="WAV", help="recording to convert to another speaker")
    parser.add_argument("--from", dest="source_speaker", help="the speaker in the recording of --convert")
    parser.add_argument("--whole", action="store_true", help="the file is one text with paragraphs, not lines")
    how = parser.add_argument_group("speech")
    how.add_argument("--speaker", help='for several speakers: name or number, "a:0.7+b:0.3", "a->b", or "new:SEED"')
    how.add_argument("--speed", type=float, help="2 is twice as fast (default: the voice's, mostly 1)")
    how.add_argument("--noise-scale", type=float, help="variation of the sound (default: the voice's, mostly 0.667)")
    how.add_argument("--noise-scale-duration", type=float, help="of rhythm (default: the voice's, mostly 0.8)")
    how.add_argument("--seed", type=int, help="the same seed, the same sound")
    how.add_argument("--strategy", default="prior", help="of noise: prior (default), mode, truncated, antithetic")
    how.add_argument("--candidates", type=int, default=1, metavar="N", help="make each sentence N times, keep the best")
    how.add_argument("--volume", type=float, default=0.0, metavar="DB", help="decibels more or less")
    how.add_argument("--pitch", type=float, default=0.0, metavar="ST", help="semitones; the duration stays")
    how.add_argument("--sentence-pause", type=float, default=0.2, metavar="S", help="seconds (default 0.2)")
    how.add_argument("--paragraph-pause", type=float, default=0.6, metavar="S", help="seconds (default 0.6)")
    how.add_argument("--lexicon", type=Path, help="pronunciations: WORD, tab, respelling or /phonemes/")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--out", type=Path, default=Path("out.wav"),
                     help='a file: .wav .flac .ogg .opus .mp3 .aac .raw; for several lines a folder; "-" for stdout')
    out.add_argument("--raw", action="store_true", help="samples to standard output as they are synthesized, no header")
    out.add_argument("--ending", choices=ENDINGS, default="wav", help="format of files in a folder, and of -o -")
    out.add_argument("--bits", choices=("16", "24", "32", "float"), default="16", help="of a sample")
    out.add_argument("--rate", type=int, metavar="HZ", help="sampling rate, if not the voice's")
    out.add_argument("--loudness", type=float, metavar="LUFS", help="-23 as in broadcasting, -16 as in podcasts")
    out.add_argument("--batch", type=int, default=1, metavar="N", help="sentences of several lines in a batch")
    out.add_argument("--timings", nargs="+", choices=TIMINGS, default=[],
                     help="files of the times of symbols, words and sentences, beside each sound")
    out.add_argument("--cues", choices=CUES, help="unit of a subtitle of srt and vtt; lines are "
                     "at most two of 42 characters (default sentences)")
    out.add_argument("--json", action="store_true", help="a line of JSON for each sound on standard output")
    out.add_argument("--picture", type=Path, help="also draw mel and alignment of a single text, as png")
    settings.add_arguments(parser)
    settings.add_trust_argument(parser)
    return parser.parse_args()


def main() -> None:
    """Load the voice, synthesize every text, and print where each was written."""
    args = parse_arguments()
    args.text = args.words if args.text is None else args.text
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {printable(message)}", file=sys.stderr)
    with user_errors():
        if args.list_voices:
            print("\n".join(listed_voices()))
            return
        check(args)
        from audio.output import OutputFormat  # imports that take their time, once the arguments are right
        from synthesis.base import find_voice

        args.run = find_voice(args.run)
        items = [] if args.convert else read_items(args)
        paths = [] if is_piped(args) or not items else output_paths(args.out, len(items), args.ending)
        form = OutputFormat(args.bits if args.bits == "float" else int(args.bits), args.rate, args.loudness)
        voice = load_voice(args)
        if is_piped(args):
            write_stream(stream_all(voice, args, items), form, "raw" if args.raw else args.ending)
        elif args.convert:
            save(stream_all(voice, args, items), args.out, form, args)
        else:
            speak_each(voice, items, paths, form, args)


def listed_voices() -> list[str]:
    """A line for each voice of voices/, the default first: name, language, rate, size, licence."""
    from synthesis.base import DEFAULT_VOICE, VOICES

    lines = []
    for folder in sorted(VOICES.glob("*/"), key=lambda each: (each.name != DEFAULT_VOICE, each.name)):
        data = json.loads((folder / "config.json").read_text(encoding="utf-8"))["data"]
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        card = (folder / "README.md").read_text(encoding="utf-8")
        licence = card.partition("license_name: ")[2].partition("\n")[0].strip('"') or "not stated"
        lines.append(f"{folder.name:<14} {data['language']:<8} {data['sampling_rate']} Hz  {size:4.1f} MB  {licence}")
    return lines


def check(args: argparse.Namespace) -> None:
    """Raise ValueError for options that exclude each other."""
    if args.words is not None and (args.text != args.words or args.file or args.convert):
        raise ValueError(f"found {args.words!r} beside --text, --file or --convert; give one of them")
    if args.convert and not (args.source_speaker and args.speaker):
        raise ValueError("--convert needs --from (the speaker of the recording) and --speaker (the target speaker)")
    if is_piped(args) and (args.loudness is not None or args.timings or args.json or args.picture):
        raise ValueError("--raw and -o - send samples as they are synthesized; --loudness, --timings, --json and "
                         "--picture need a file: let -o name one")
    if args.picture and (args.text is None or args.whole):
        raise ValueError("--picture draws a single text: give --text")
    if args.cues and not {"srt", "vtt"} & set(args.timings):
        raise ValueError(f"--cues {args.cues} is the unit of subtitles; add --timings srt or --timings vtt to write "
                         "them")
    if args.batch < 1:
        raise ValueError(f"--batch is {args.batch}; expected 1 or more")


def load_voice(args: argparse.Namespace) -> BaseVoice:
    """The voice, by onnxruntime if it is an ONNX file, else by torch.

    Raises:
        ValueError: options that an ONNX voice does not support.
    """
    from synthesis.onnx import OnnxVoice, find_graph

    if args.onnx and args.run.is_dir():
        args.run = args.run / "voice.onnx"
    elif args.onnx and args.run.suffix != ".onnx":
        raise ValueError(f"--onnx needs a folder that holds a voice.onnx, or an .onnx file; found {args.run}")
    if find_graph(args.run):
        if args.convert or args.picture:
            raise ValueError(f"{args.run} is an ONNX voice, for text only; --convert and --picture need -m to name "
                             "a run, a checkpoint or a release")
        return OnnxVoice.load(args.run, args.device, args.overrides)
    # OpenMP reads it when torch is loaded: waiting threads sleep instead of spinning, which on a busy machine
    # takes seven times the CPU seconds and ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from synthesis import Voice
    from utils import keep_freed_memory

    keep_freed_memory()
    return Voice.load(args.run, args.device, args.overrides, trust_plugins=args.trust_plugins)


def is_piped(args: argparse.Namespace) -> bool:
    """Whether the sound goes to standard output."""
    return args.raw or str(args.out) == "-"


def options_of(args: argparse.Namespace) -> SynthesisOptions:
    """Options of synthesis from the command line."""
    from synthesis.base import SynthesisOptions
    from text.lexicon import Lexicon

    return SynthesisOptions(
        speaker=args.speaker, speed=args.speed, noise_scale=args.noise_scale,
        noise_scale_duration=args.noise_scale_duration, seed=args.seed, strategy=args.strategy,
        candidates=args.candidates, volume_db=args.volume, pitch_semitones=args.pitch,
        sentence_pause=args.sentence_pause, paragraph_pause=args.paragraph_pause,
        lexicon=None if args.lexicon is None else Lexicon.load(args.lexicon))


def stream_all(voice: BaseVoice, args: argparse.Namespace, items: Sequence[Item]) -> Iterator[Audio]:
    """Audio of all texts, or of the conversion, in chunks as they are decoded."""
    if args.convert:
        yield from voice.stream_conversion(args.convert, args.source_speaker, args.speaker, args.seed)
    options, outcome = options_of(args), Outcome(items)
    for item in items:
        with outcome.speaking(item):
            yield from stream_item(voice, item, options)
    outcome.check()


def stream_item(voice: BaseVoice, item: Item, options: SynthesisOptions) -> Iterator[Audio]:
    """Audio of one text in chunks as they are decoded; NothingToSayError if it has no sound."""
    from synthesis.base import NothingToSayError

    chunks = voice.stream(item.text, options)
    begin: list[Audio] = []
    while not (begin and begin[-1].text_ids):  # pauses may come first
        if (chunk := next(chunks, None)) is None:
            raise NothingToSayError(item.text)
        begin.append(chunk)
    yield from begin
    yield from chunks


def speak_each(voice: BaseVoice, items: Sequence[Item], paths: Sequence[Path], form: OutputFormat,
               args: argparse.Namespace) -> None:
    """One file for each text; a long one is written as it is synthesized, with constant memory."""
    options, outcome = options_of(args), Outcome(items)
    together = args.batch > 1 and len(items) > 1
    spoken = voice.try_all([item.text for item in items], options, batch_size=args.batch) if together else []
    for item, path, made in itertools.zip_longest(with_progress(items), paths, spoken):
        with outcome.speaking(item):
            if isinstance(made, ValueError):
                raise made
            if args.picture:
                made = voice.speak(item.text, options)
            save(stream_item(voice, item, options) if made is None else [made], path, form, args)
            if args.picture:
                draw(voice, made, item.text, args.picture)
    outcome.check()


def with_progress(items: Sequence[Item]) -> Iterable[Item]:
    """The texts, with a progress bar on standard error if there are several and it is a terminal."""
    if len(items) == 1:
        return items
    from tqdm import tqdm

    return tqdm(items, unit="line", disable=None)


def save(chunks: Iterable[Audio], path: Path, form: OutputFormat, args: argparse.Namespace) -> None:
    """Write chunks of audio as they come, and their timings, and print the path; loudness needs all chunks first."""
    from audio.output import writing
    from synthesis.base import Audio
    from synthesis.timings import Timings

    chunks = iter(chunks)
    first = next(chunks)
    timings: list[Timings] = []
    n_samples, rate = 0, form.sample_rate or first.sample_rate
    if form.loudness is not None:
        whole = Audio.joined([first, *chunks])
        n_samples = len(form.save(path, whole.samples, whole.sample_rate).samples)
        timings = [] if whole.timings is None else [whole.timings]
    else:
        def samples() -> Iterator[np.ndarray]:
            for chunk in itertools.chain([first], chunks):
                timings.extend([] if chunk.timings is None else [chunk.timings])
                yield chunk.samples

        with writing(path, rate, form.bits) as write:
            for part in at_rate(samples(), first.sample_rate, rate):
                write(part)
                n_samples += len(part)
    report(path, n_samples / rate, Timings.joined(timings).scaled(rate) if timings else None, args)


def at_rate(samples: Iterable[np.ndarray], from_hz: int, to_hz: int) -> Iterator[np.ndarray]:
    """A stream of samples at another sampling rate."""
    from audio.resampling import StreamResampler

    if from_hz == to_hz:
        yield from samples
        return
    changer = StreamResampler(from_hz, to_hz)
    for each in samples:
        yield changer.push(each)
    yield changer.finish()


def report(path: Path, seconds: float, timings: Timings | None, args: argparse.Namespace) -> None:
    """Write the timings, and print a line about a file."""
    written = [] if timings is None else [path.with_suffix(f".{ending}") for ending in args.timings]
    for each in written:
        timings.write(each, args.cues or CUES[0])
    line = f"{path}: {seconds:.2f} s" + "".join(f", {each}" for each in written)
    if args.json:
        line = json.dumps({"path": str(path), "seconds": round(seconds, 6), **(timings.as_dict() if timings else {})},
                          ensure_ascii=False)
    with errors_named("standard output"):
        print(line, flush=True)


def write_stream(chunks: Iterator[Audio], form: OutputFormat, ending: str) -> None:
    """Send sound to standard output as it is decoded; stop when the reader has closed it."""
    from audio.encoders import StreamEncoder
    from audio.output import PipeWriter

    first = next(chunks)
    rate = form.sample_rate or first.sample_rate
    writer = PipeWriter(sys.stdout.buffer, StreamEncoder(ending, rate, form.bits))
    samples = (chunk.samples for chunk in itertools.chain([first], chunks))
    for part in at_rate(samples, first.sample_rate, rate):
        with errors_named("standard output"):
            if not writer.write(part):
                return
    with errors_named("standard output"):
        writer.finish()


def read_items(args: argparse.Namespace) -> list[Item]:
    """The texts to synthesize, without empty lines.

    Raises:
        ValueError: there is none, or the file is no UTF-8.
    """
    from text.io import decoded

    if args.text is not None:
        return [Item(args.text)]
    if args.file is None and sys.stdin.isatty():
        raise ValueError("nothing to say: give a text, --file or standard input")
    source = str(args.file or "standard input")
    if args.file:
        content = decoded(args.file.read_bytes(), source)
    elif isinstance(sys.stdin, io.TextIOWrapper):
        content = decoded(sys.stdin.buffer.read(), source)
    else:  # another stream in its place, as in tests
        content = sys.stdin.read()
    lines = [content] if args.whole else [line.strip() for line in re.split(r"\r\n|\r|\n", content)]
    items = [Item(line, source if args.whole else f"{source}:{number}")
             for number, line in enumerate(lines, start=1) if line.strip()]
    if not items:
        raise ValueError(f"{source} holds no line of text")
    return items


def output_paths(out: Path, count: int, ending: str = "wav") -> list[Path]:
    """`out` itself for one text; numbered files in the folder `out` for several, or if it is a folder.

    Raises:
        ValueError: several texts would go into one file.
    """
    if count == 1 and not out.is_dir() and out.suffix:
        return [out]
    if out.suffix[1:] in ENDINGS:
        raise ValueError(f"{count} lines make {count} files; let -o name a folder instead of {out}, or add --whole to "
                         "read them as one text")
    if out.exists() and not out.is_dir():
        raise ValueError(f"-o {out} is a file, and its ending names no format to write; name a file that ends in "
                         f"{' '.join(f'.{each}' for each in ENDINGS)}, or a folder")
    return [out / f"{number:04d}.{ending}" for number in range(1, count + 1)]


def draw(voice: BaseVoice, audio: Audio, text: str, path: Path) -> None:
    """Draw mel spectrogram and alignment of a text's audio in one picture."""
    from evaluation.plots import plot_speech

    hop = voice.config.data.hop_length
    marks = audio.timings.symbols
    picture = plot_speech(voice.mel(audio), [(mark.end - mark.start) // hop for mark in marks],
                          [mark.text for mark in marks], text)
    write_atomic(path, lambda temporary: picture.savefig(temporary, dpi=120, format=path.suffix[1:] or "png"))
    print(f"{path}: mel and alignment")


if __name__ == "__main__":
    main()
