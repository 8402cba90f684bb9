"""Speak with a trained voice.

    python synthesize.py -m runs/demo --text "Good morning." -o good_morning.wav
    python synthesize.py -m runs/demo --file lines.txt -o folder     # one wav a line: folder/0001.wav ...
    echo "Good morning." | python synthesize.py -m runs/demo -o folder
    python synthesize.py -m runs/digits --speaker george --text "seven" -o seven.wav --picture seven.png
    python synthesize.py -m runs/digits --convert me.wav --from george --speaker lucas -o converted.wav
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import config as settings
from utils import user_errors

if TYPE_CHECKING:
    from synthesis import Audio, Voice


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--run", type=Path, required=True, help="a run, a checkpoint or a release folder")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--text", help="what to say")
    source.add_argument("--file", type=Path, help="a text file, one wav for each line; without it, standard input")
    source.add_argument("--convert", type=Path, metavar="WAV", help="a recording to say in another voice")
    parser.add_argument("--from", dest="source_speaker", help="who speaks in the recording of --convert")
    parser.add_argument("-o", "--out", type=Path, default=Path("out.wav"), help="a wav; for several lines a folder")
    parser.add_argument("--speaker", help="name or number, for a voice of several speakers")
    parser.add_argument("--speed", type=float, default=1.0, help="2 is twice as fast (default 1)")
    parser.add_argument("--noise-scale", type=float, default=0.667, help="variation of the sound (default 0.667)")
    parser.add_argument("--noise-scale-duration", type=float, default=0.8, help="variation of rhythm (default 0.8)")
    parser.add_argument("--seed", type=int, help="the same seed, the same sound")
    parser.add_argument("--picture", type=Path, help="also draw mel and alignment of a single text, as png")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps")
    settings.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Load the voice, say everything, say where it went."""
    args = parse_arguments()
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    with user_errors():
        from synthesis import Voice  # seconds of imports, once the arguments are right

        if args.convert and not (args.source_speaker and args.speaker):
            raise ValueError("--convert needs --from (who is heard) and --speaker (who shall be heard)")
        texts = [] if args.convert else read_texts(args)
        paths = output_paths(args.out, len(texts)) if texts else []
        voice = Voice.load(args.run, args.device, args.overrides)
        if args.convert:
            report(voice.convert(args.convert, args.source_speaker, args.speaker, args.seed), args.out)
        for text, path in zip(texts, paths):
            audio = voice.speak(text, args.speaker, args.speed, args.noise_scale, args.noise_scale_duration, args.seed)
            report(audio, path)
            if args.picture:
                draw(voice, audio, text, args.picture)


def report(audio: Audio, path: Path) -> None:
    """Save and say so."""
    audio.save(path)
    print(f"{path}: {audio.seconds:.2f} s")


def read_texts(args: argparse.Namespace) -> list[str]:
    """The texts to say, empty lines left out.

    Raises:
        ValueError: there is none.
    """
    if args.text is not None:
        return [args.text]
    if args.file is None and sys.stdin.isatty():
        raise ValueError("nothing to say: give --text, --file or standard input")
    content = args.file.read_text(encoding="utf-8") if args.file else sys.stdin.read()
    texts = [line.strip() for line in content.splitlines() if line.strip()]
    if not texts:
        raise ValueError(f"{args.file or 'standard input'} holds no line of text")
    return texts


def output_paths(out: Path, count: int) -> list[Path]:
    """`out` itself for one text; numbered wavs in the folder `out` for several, or if it is a folder.

    Raises:
        ValueError: several texts would go into one wav.
    """
    if count == 1 and not out.is_dir() and out.suffix:
        return [out]
    if out.suffix == ".wav":
        raise ValueError(f"{count} lines make {count} wavs; let -o name a folder instead of {out}")
    return [out / f"{number:04d}.wav" for number in range(1, count + 1)]


def draw(voice: Voice, audio: Audio, text: str, path: Path) -> None:
    """Mel and alignment of what was said, in one picture."""
    from trackers import plot_speech

    labels = [voice.text.symbols.symbols[i] for i in audio.text_ids]
    hop = voice.config.data.hop_length
    path.parent.mkdir(parents=True, exist_ok=True)
    plot_speech(voice.mel(audio), audio.durations // hop, labels, text).savefig(path, dpi=120)
    print(f"{path}: mel and alignment")


if __name__ == "__main__":
    main()
