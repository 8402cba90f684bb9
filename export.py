"""Export a trained voice as a release or in another project's format.

    python export.py -m runs/demo -o demo_voice --data "LJ Speech" --licence "public domain"     # a release
    python export.py -m runs/demo -o demo_voice --with-discriminators        # for further training
    python export.py -m runs/student_text --generator-from runs/student_sound -o student   # one voice of two runs
    python export.py -m runs/demo -o demo_voice --half --with onnx --quantise int8     # small, runs without torch
    python export.py -m runs/demo --to huggingface -o demo_hf --zip                    # and demo_hf.zip
    python export.py -m runs/demo --to onnx -o demo_onnx --quantise fp16 int8          # and quantised copies
    python export.py -m runs/demo --to torchscript -o demo_cpp                         # for C++: examples/cpp
    python export.py -m runs/demo --to sherpa-onnx -o demo_sherpa --words words.txt    # words of its lexicon
"""

from __future__ import annotations

import utils

if __name__ == "__main__":
    utils.leave_on_interrupt()  # while what is below is imported

import argparse
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import config as settings
import formats
from utils import atomic_path, set_up_logging, user_errors

if TYPE_CHECKING:
    from checkpoint import Weights
    from formats import ExportResult

RELEASE = "release"
CARD_OPTIONS = ("title", "data", "licence", "limits", "scorecard")  # fields of CardInfo


def export(args: argparse.Namespace) -> ExportResult:
    """Write the files that the arguments ask for.

    Raises:
        ValueError: the format cannot hold this voice, or the discriminators.
    """
    import checkpoint  # seconds of imports, once the arguments are right
    from formats.publishing import averaged, joined
    from synthesis.base import find_voice

    if args.words is not None and args.to != "sherpa-onnx":
        raise ValueError(f"--words fills the lexicon of sherpa-onnx; {args.to} has none: leave it out")
    check_release(args)
    info = formats.FORMATS.get(args.to)
    if args.with_discriminators and info is not None and not info.discriminators:
        raise ValueError(f"--with-discriminators: {args.to} has no place for them; leave it out, or take --to release")
    if args.average is not None:
        weights = averaged(args.run, args.average, args.raw)
    else:
        weights = formats.read_weights(find_voice(args.run), args.raw)
    if args.generator_from is not None:
        weights = joined(weights, formats.read_weights(find_voice(args.generator_from), args.raw))
    checkpoint.config_of(weights, (), args.trust_plugins)  # also loads, or refuses, its plugins
    if args.with_discriminators and weights.discriminators is None:
        raise ValueError(f"{weights.source} has no discriminators; take the run, or leave --with-discriminators out")
    if checkpoint.newest(args.out) is not None:
        what = "a release" if args.to == RELEASE else args.to
        raise ValueError(f"{args.out} holds checkpoints; {what} goes to a folder of its own")
    if args.out.resolve() == weights.source.resolve().parent:
        raise ValueError(f"{args.out} holds the voice that is read; name another folder, or it would be overwritten")
    if not args.with_discriminators:
        weights = weights._replace(discriminators=None)
    if args.to == RELEASE:
        return write_release(weights, args)
    words = None if args.words is None else args.words.read_text(encoding="utf-8").split()
    return formats.write(args.to, weights, args.out, words, args.quantise)


def check_release(args: argparse.Namespace) -> None:
    """Check that options of a release are given for one, and do not exclude each other.

    Raises:
        ValueError: with the options at fault.
    """
    given = [f"--{name}" for name in CARD_OPTIONS if getattr(args, name)]
    given += ["--half"] * args.half + ["--int8"] * args.int8 + ["--with"] * bool(args.extras)
    if given and args.to != RELEASE:
        raise ValueError(f"{', '.join(given)}: of --to release only, {args.to} has no place for it; leave it out")
    if args.quantise and args.to != "onnx" and not (args.to == RELEASE and args.extras):
        raise ValueError("--quantise narrows the graph of --to onnx, or of a release's --with onnx; "
                         f"{args.to} is left as it is: leave it out")
    if args.int8 and (args.half or args.quantise):
        raise ValueError("--int8 is given with --half or --quantise; it narrows weights and graph alike: leave those "
                         "out")
    if args.to == RELEASE and len(args.quantise) > 1:
        raise ValueError(f"--quantise {' '.join(args.quantise)}: a release holds one graph; name one of them")


def write_release(weights: Weights, args: argparse.Namespace) -> ExportResult:
    """Write a release folder with its card."""
    from evaluation import release
    from evaluation.card import CardInfo

    info = CardInfo(**{name: getattr(args, name) for name in CARD_OPTIONS})
    return release.write(weights, args.out, info, release.ReleaseFormat(
        half=args.half, int8=args.int8, onnx=bool(args.extras), quantise=args.quantise[0] if args.quantise else None))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    forms = [RELEASE, *(name for name, info in formats.FORMATS.items() if info.writes)]
    parser = settings.CommandParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--run", type=Path, required=True, help="a run folder, a checkpoint, a release "
                        "folder, or the name of a voice in voices/")
    parser.add_argument("--to", choices=forms, default=RELEASE, help="format (default release)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write; made if needed")
    parser.add_argument("--with-discriminators", action="store_true",
                        help="also write the discriminators, for further training")
    parser.add_argument("--average", type=int, metavar="N", help="the mean of the weights of the run's newest N "
                        "checkpoints; evaluate it before you prefer it")
    parser.add_argument("--generator-from", type=Path, metavar="RUN", help="the generator and the discriminators of "
                        "another voice that decodes the same latent; see docs/guide/student.md")
    parser.add_argument("--raw", action="store_true",
                        help="weights of the last step, not their moving average; with --to published they match the "
                             "moments, for further training there")
    parser.add_argument("--words", type=Path,
                        help="file of all words that a voice of phonemes needs in sherpa-onnx")
    parser.add_argument("--quantise", nargs="+", choices=("fp16", "int8", "int8-static"), default=[],
                        help="with --to onnx: also write quantised copies (int8-static also computes in 8 bits) and "
                             "measure them; in a release: write only the quantised graph")
    parser.add_argument("--zip", action="store_true", help="also write the folder as OUT.zip")
    settings.add_trust_argument(parser)
    release = parser.add_argument_group("a release and its card, README.md")
    release.add_argument("--half", action="store_true", help="weights in 16 bits: half the size")
    release.add_argument("--int8", action="store_true",
                         help="large weights in 8 bits, a quarter of the size, shared by a graph")
    release.add_argument("--with", dest="extras", nargs="+", choices=("onnx",), default=[],
                         help="onnx: also write voice.onnx, for synthesis without torch")
    release.add_argument("--title", help="title of the card (default: the folder's name)")
    release.add_argument("--data", help="training data of the voice")
    release.add_argument("--licence", help="licence of the data and of the voice")
    release.add_argument("--limits", help="known weaknesses of the voice")
    release.add_argument("--scorecard", type=Path, metavar="FOLDER", help="of evaluate.py: scores for the card")
    return parser.parse_args()


def main() -> None:
    """Export a voice and print what was written."""
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
    """Write the folder as a zip file beside it, with all entries below the folder's name.

    The file is written atomically and reproducible: sorted, without times.
    """
    folder = folder.resolve()
    target = folder.with_name(folder.name + ".zip")
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix())
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with file.open("rb") as source, archive.open(entry, "w") as written:
                shutil.copyfileobj(source, written)
    return target


if __name__ == "__main__":
    main()
