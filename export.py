"""Write a trained voice as files for others.

    python export.py -m runs/demo --to release -o demo_voice     # safetensors and config.json: what Voice.load opens
    python export.py -m runs/demo --to release -o demo_voice --with-discriminators     # others can train it further
    python export.py -m runs/demo --to huggingface -o demo_hf --zip                    # and demo_hf.zip
    python export.py -m runs/demo --to onnx -o demo_onnx --quantise fp16 int8          # narrower copies too
    python export.py -m runs/demo --to sherpa-onnx -o demo_sherpa --words words.txt    # what a lexicon shall hold
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import formats
from utils import set_up_logging, user_errors

if TYPE_CHECKING:
    from formats import Written

RELEASE = "release"


def export(args: argparse.Namespace) -> Written:
    """Write what the arguments ask for.

    Raises:
        ValueError: the form cannot carry this voice, or the discriminators.
    """
    import checkpoint  # seconds of imports, once the arguments are right

    if args.words is not None and args.to != "sherpa-onnx":
        raise ValueError(f"--words fills the lexicon of sherpa-onnx; {args.to} has none: leave it out")
    if args.quantise and args.to != "onnx":
        raise ValueError(f"--quantise narrows the graph of --to onnx; {args.to} is left as it is: leave it out")
    if args.to == RELEASE:
        return formats.Written(checkpoint.publish(args.run, args.out, args.with_discriminators))
    carries = formats.FORMATS[args.to]
    if args.with_discriminators and not carries.discriminators:
        raise ValueError(f"--with-discriminators: {args.to} has no place for them; leave it out, or take --to release")
    weights = checkpoint.read_weights(args.run)
    if args.with_discriminators and weights.discriminators is None:
        raise ValueError(f"{weights.source} has no discriminators; take the run, or leave --with-discriminators out")
    if checkpoint.newest(args.out) is not None:
        raise ValueError(f"{args.out} holds checkpoints; {args.to} goes to a folder of its own")
    if not args.with_discriminators:
        weights = weights._replace(discriminators=None)
    if args.words is not None:
        words = args.words.read_text(encoding="utf-8").split()
        return formats.module_of(args.to).write(weights, args.out, words)
    written = formats.write(args.to, weights, args.out)
    for kind in args.quantise:
        narrow = formats.quantised(args.out / "voice.onnx", kind)
        written = formats.Written(written.files + narrow.files, written.checks + narrow.checks)
    return written


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    forms = [RELEASE, *(name for name, carries in formats.FORMATS.items() if carries.writes)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--run", type=Path, required=True, help="a run folder, a checkpoint or a release folder")
    parser.add_argument("--to", choices=forms, default=RELEASE, help="the form (default release)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to write; made as needed")
    parser.add_argument("--with-discriminators", action="store_true",
                        help="also what others need to train the voice further where this training left off")
    parser.add_argument("--words", type=Path,
                        help="a file of all words that a voice of phonemes shall say in sherpa-onnx")
    parser.add_argument("--quantise", nargs="+", choices=("fp16", "int8"), default=[],
                        help="with --to onnx: also files of narrower weights, with what they change")
    parser.add_argument("--zip", action="store_true", help="also put the folder into OUT.zip")
    return parser.parse_args()


def main() -> None:
    """Write, and say what."""
    args = parse_arguments()
    set_up_logging(None, is_main=True)
    with user_errors():
        written = export(args)
        files = [*written.files, zipped(args.out)] if args.zip else written.files
        for file in files:
            print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
        for check in written.checks:
            print(f"checked: {check}")


def zipped(folder: Path) -> Path:
    """The folder as a zip file beside it, in which everything lies below the folder's name."""
    folder = folder.resolve()
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


if __name__ == "__main__":
    main()
