"""Write a trained voice as files for others.

    python export.py -m runs/demo --to release -o demo_voice     # safetensors and config.json: what Voice.load opens
    python export.py -m runs/demo --to release -o demo_voice --with-discriminators     # others can train it further
"""

from __future__ import annotations

import argparse
from pathlib import Path

from utils import set_up_logging, user_errors


def release(args: argparse.Namespace) -> list[Path]:
    """A release folder of this project."""
    import checkpoint  # seconds of imports, once the arguments are right

    return checkpoint.publish(args.run, args.out, args.with_discriminators)


FORMATS = {"release": release}  # name -> what writes it; takes the arguments, returns the files


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--run", type=Path, required=True, help="a run folder, a checkpoint or a release folder")
    parser.add_argument("--to", choices=FORMATS, default="release", help="the form (default release)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to write; made as needed")
    parser.add_argument("--with-discriminators", action="store_true",
                        help="also what others need to train the voice further where this training left off")
    return parser.parse_args()


def main() -> None:
    """Write, and say what."""
    args = parse_arguments()
    set_up_logging(None, is_main=True)
    with user_errors():
        for file in FORMATS[args.to](args):
            print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
