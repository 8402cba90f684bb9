"""Measure the quality of a voice against its recordings, and compare voices.

    python evaluate.py -m runs/demo                          # runs/demo/evaluation/step_00000700/report.html
    python evaluate.py -m runs/demo --cheap --count 10       # without what takes long
    python evaluate.py -m en_rms --filelist val.txt          # a voice of the folder voices/; or VOICE.onnx
    python evaluate.py -m runs/demo --filelist data/other/val.txt --sentences my_sentences.txt -o evaluation
    python evaluate.py --compare runs/a runs/b               # both on the same texts, with significance
    python evaluate.py --progress runs/demo                  # one sentence from every checkpoint that is kept
    python evaluate.py --listening-test abx runs/a runs/b    # a page for human listeners
    python evaluate.py --score answers_anna.json answers_ben.json --key listening_abx.key.json

What each number means, and which to watch: docs/reference/measures.md.
"""

from __future__ import annotations

import utils

if __name__ == "__main__":
    utils.leave_on_interrupt()  # while what is below is imported

import argparse
import logging
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import config as settings
from utils import printable, set_up_logging, user_errors

if TYPE_CHECKING:  # seconds of imports, once the arguments are right
    from evaluation.eval_texts import EvalText
    from evaluation.evaluator import EvaluationOptions, VoiceInfo
    from evaluation.scorecard import Interval, Scorecard
    from synthesis.base import BaseVoice

COUNT = 20  # held-out utterances; with the test sentences 120 sounds, about 2 s of measuring each on one core
TESTS = ("abx", "mos", "mushra")
OVERRIDES = "Settings changed"  # title of the fact


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = settings.CommandParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-m", "--run", type=Path, help="a run, a checkpoint, a release folder, an .onnx "
                      "file or its folder, or the name of a voice in voices/")
    what.add_argument("--compare", nargs=2, type=Path, metavar=("RUN_A", "RUN_B"),
                      help="two such voices, or folders of evaluations; missing evaluations are made first")
    what.add_argument("--progress", type=Path, metavar="RUN", help="one sentence from every checkpoint, as one page")
    what.add_argument("--listening-test", nargs="+", metavar=("KIND", "RUN"),
                      help=f"{', '.join(TESTS)}, then the voices: a page for human listeners")
    what.add_argument("--score", nargs="+", type=Path, metavar="ANSWERS", help="files of answers from such a page")
    parser.add_argument("--key", type=Path, metavar="FILE", help="with --score: the key written beside the page")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER",
                        help="output folder; default: RUN/evaluation/step_...")
    texts = parser.add_argument_group("texts")
    texts.add_argument("--filelist", type=Path, help="held-out utterances; default: the run's data.validation_files")
    texts.add_argument("--count", type=int, default=COUNT, metavar="N",
                       help=f"at most this many of them, spread over the list; 0 for none (default {COUNT})")
    texts.add_argument("--sentences", type=Path, metavar="FILE",
                       help="test sentences, lines of kind|text; default: this project's for the voice's language")
    texts.add_argument("--text", help="the sentence of --progress; default: the first held-out utterance")
    how = parser.add_argument_group("measurement")
    how.add_argument("--cheap", action="store_true",
                     help="without slow meters: sentence, words, quality (DNSMOS), speaker, whisper")
    how.add_argument("--measures", nargs="+", metavar="NAME", help="only these meters or measures, e.g. world wer")
    how.add_argument("--listener", default="auto", metavar="NAME",
                     help="what transcribes: whisper, pocketsphinx, the folder of a Whisper model converted for "
                          "faster-whisper, or auto (default): Whisper where it is installed")
    how.add_argument("--seed", type=int, default=1234, help="the same seed, the same sound (default 1234)")
    how.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that measure (default 1)")
    how.add_argument("--device", default="auto", help="of the voice: auto (default), cpu, cuda, mps")
    settings.add_arguments(parser)
    settings.add_trust_argument(parser)
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_arguments()
    set_up_logging(None, is_main=True)
    with user_errors():
        check(args)
        name_voices(args)
        if args.compare:
            compare(args)
        elif args.progress:
            show_progress(args)
        elif args.listening_test:
            write_listening_test(args)
        elif args.score:
            score(args)
        else:
            folder = evaluate(args.run, args, args.out)
            print(f"{folder / 'scorecard.json'}: the numbers; {folder / 'audio'}: the sounds")
            write_report(folder)


def check(args: argparse.Namespace) -> None:
    """Check the arguments.

    Raises:
        ValueError: a value out of range, or options that do not go together.
    """
    if args.count < 0 or args.jobs < 1:
        raise ValueError(f"--count is {args.count} and --jobs {args.jobs}; expected 0 or more, and 1 or more")
    if args.text is not None and not args.progress:
        raise ValueError("--text is the sentence of --progress; put sentences of your own into a file for --sentences")
    if bool(args.score) != (args.key is not None):
        raise ValueError("--score takes the listeners' answers and --key the test's NAME.key.json: give both")
    if args.listening_test and (args.listening_test[0] not in TESTS or len(args.listening_test) < 2):
        raise ValueError(f"--listening-test takes one of {', '.join(TESTS)}, then one voice or more; found "
                         f"{' '.join(args.listening_test)}")


def name_voices(args: argparse.Namespace) -> None:
    """Replace names of voices that come with the project by their folders."""
    from synthesis.base import find_voice

    if args.run:
        args.run = find_voice(args.run)
    if args.compare:
        args.compare = [find_voice(path) for path in args.compare]
    if args.listening_test:
        args.listening_test[1:] = [find_voice(Path(path)) for path in args.listening_test[1:]]


def options_of(args: argparse.Namespace) -> EvaluationOptions:
    """The arguments as options of the evaluation."""
    from evaluation.evaluator import EvaluationOptions
    from evaluation.listeners import LISTENERS
    from evaluation.measurement import choose_meters

    model = args.listener if Path(args.listener).is_dir() and args.listener not in LISTENERS else None
    return EvaluationOptions(args.seed, choose_meters(args.measures, args.cheap, args.listener), args.jobs, model)


def load_voice(path: Path, args: argparse.Namespace) -> tuple[BaseVoice, VoiceInfo]:
    """Load a voice, with its name, step and facts."""
    import checkpoint
    from evaluation.evaluator import VoiceInfo, step_of
    from synthesis.onnx import OnnxVoice, find_graph

    if find_graph(path):
        return OnnxVoice.load(path, args.device, args.overrides), VoiceInfo(name_of(path), None, overrides_of(args))
    from synthesis import Voice

    file = checkpoint.find(path)
    return (Voice.load(path, args.device, args.overrides, trust_plugins=args.trust_plugins),
            VoiceInfo(name_of(path), step_of(file), {"File": str(file), **best_of(file), **overrides_of(args)}))


def overrides_of(args: argparse.Namespace) -> dict[str, str]:
    """The settings changed by --set, as a fact."""
    return {OVERRIDES: ", ".join(args.overrides)} if args.overrides else {}


def name_of(path: Path) -> str:
    """The name of a voice: that of its folder."""
    path = path.resolve()
    return path.name if path.is_dir() else path.parent.name


def best_of(file: Path) -> dict[str, str]:
    """The validation result of a checkpoint, as a fact."""
    import checkpoint

    ranking = checkpoint.read_ranking(file.parent)
    for rank, best in enumerate(ranking.best if ranking else (), start=1):
        if checkpoint.path_of(file.parent, best.step) == file:
            return {"Validation": f"{ranking.measure} {best.value:.4g}, rank {rank} of those kept"}
    return {}


def folder_of(path: Path, step: int | None) -> Path:
    """The default folder of an evaluation, beside the voice."""
    folder = path if path.is_dir() else path.parent
    return folder / "evaluation" / (f"step_{step:08d}" if step is not None else "voice")


def eval_texts_of(voice: BaseVoice, args: argparse.Namespace) -> tuple[list[EvalText], dict[str, str]]:
    """Read the texts to evaluate; return them with what is absent and why.

    Raises:
        ValueError: there are no texts at all.
    """
    from evaluation.eval_texts import find_sentences, held_out, read_sentences

    texts, absent = [], {}
    data = voice.config.data
    filelist = args.filelist or (Path(data.validation_files) if data.validation_files else None)
    if args.count and filelist is not None and (args.filelist or filelist.is_file()):
        texts += held_out(voice.config, filelist, args.count)
    elif args.count:
        absent["held-out utterances"] = (f"{filelist} does not exist here; run in the folder that the voice was "
                                         "trained in, or name a list with --filelist" if filelist else
                                         "the voice names no filelist; name one with --filelist")
    sentences = args.sentences or find_sentences(data.language)
    if sentences is not None:
        texts += read_sentences(sentences, voice.speakers)
    else:
        absent["test sentences"] = f"this project has none for {data.language}; name a file with --sentences"
    if not texts:
        raise ValueError("; ".join(["there are no texts", *absent.values()]))
    return texts, absent


def evaluate(path: Path, args: argparse.Namespace, out: Path | None = None) -> Path:
    """Evaluate a voice and print its scorecard; return the folder of the evaluation."""
    import dataclasses

    from evaluation import evaluator

    options = options_of(args)
    logging.getLogger("vits").info("loading %s", path)
    voice, info = load_voice(path, args)
    folder = out or folder_of(path, info.step)
    texts, absent = eval_texts_of(voice, args)
    with warnings.catch_warnings():
        warnings.simplefilter("once")  # of unknown symbols and the like, not for each sentence
        card = evaluator.evaluate(voice, info, texts, folder, options)
    if absent:
        card = dataclasses.replace(card, absent={**card.absent, **absent})
        card.save(folder)
    print(printable(describe(card)))
    return folder


def describe(card: Scorecard) -> str:
    """Format a scorecard as text: measures by conditions, then the test sentences."""
    lines = [f"{card.title}: {card.facts.get('Evaluated', '')}", "",
             *rows_of(card, card.summary, "mean [95 % interval]")]
    if card.sentences and any(item.kind == "held-out" for item in card.items):
        lines += ["", "test sentences, spoken by the voice:", "", *rows_of(card, card.sentences, "mean")]
    if card.health:
        lines += ["", f"alignment: {card.health['verdict']}"]
    lines += [f"absent: {name}: {reason}" for name, reason in card.absent.items()]
    return "\n".join(lines)


def rows_of(card: Scorecard, groups: dict[str, dict[str, Interval]], title: str) -> list[str]:
    """Format a table of means: a line a measure, a column a group."""
    names = list(groups)
    cells = [[title, *names, "better"]]
    for measure in card.measures:
        if any(measure.name in groups[name] for name in names):
            found = [format_interval(groups[name].get(measure.name), "interval" in title) for name in names]
            cells.append([measure.heading, *found, measure.better])
    return format_table(cells)


def format_table(cells: list[list[str]]) -> list[str]:
    """Align the cells of a table: first and last column to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1])),
                       row[-1]]) for row in cells]


def format_interval(interval: Interval | None, with_bounds: bool) -> str:
    """Format a mean, with or without its bounds, in three digits."""
    if interval is None:
        return "-"
    if not with_bounds or not math.isfinite(interval.low) or interval.count < 2:
        return f"{interval.value:.3g}"
    return f"{interval.value:.3g} [{interval.low:.3g}, {interval.high:.3g}]"


def write_report(folder: Path) -> None:
    """Write the report beside the scorecard."""
    from evaluation.report import report

    report.write_report([folder], folder / "report.html")
    print(f"{folder / 'report.html'}: the same with players, for a browser")


def evaluation_of(path: Path, args: argparse.Namespace) -> Path:
    """Find the folder of a voice's evaluation with the same texts and options; evaluate the voice if there is none."""
    from evaluation.scorecard import FILE, Scorecard

    if (path / FILE).is_file():
        return path
    voice, info = load_voice(path, args)
    folder = folder_of(path, info.step)
    if (folder / FILE).is_file():
        card = Scorecard.load(folder)
        wanted = [(text.id, text.text) for text in eval_texts_of(voice, args)[0]]
        facts = {"Plan": str(options_of(args)), **overrides_of(args)}
        found = {title: card.facts[title] for title in ("Plan", OVERRIDES) if title in card.facts}
        if [(item.id, item.text) for item in card.items] == wanted and found == facts:
            return folder
    return evaluate(path, args)


def compare(args: argparse.Namespace) -> None:
    """Compare two voices on the same texts: print the differences with their significance, and write a page."""
    from evaluation.report import report
    from evaluation.scorecard import Scorecard

    first, second = (evaluation_of(path, args) for path in args.compare)
    folder = args.out or second
    page = report.write_comparison(first, second, folder / "comparison.html")
    print(printable(describe_comparison(Scorecard.load(first), Scorecard.load(second))))
    print(f"{page}: the same with players, for a browser")


def describe_comparison(a: Scorecard, b: Scorecard) -> str:
    """Format the comparison of two scorecards as text: a line a measure."""
    from evaluation.report.comparison import compare_voices, format_p, listener_note, signed
    from evaluation.report.html import number

    rows = [["", "A", "B", "B better by", "95 % interval", "p after Holm", "texts", "in words"]]
    for row in compare_voices(a, b):
        gain = row.difference
        found = ["-"] * 4 if gain is None else [signed(gain.mean), f"{signed(gain.low)} to {signed(gain.high)}",
                                                format_p(row.p_value), str(gain.count)]
        rows.append([row.measure.heading, number(row.a), number(row.b), *found, row.wording])
    note = listener_note(a, b)
    return "\n".join([f"A is {a.title}, B is {b.title}", "", *format_table(rows), *["", note] * bool(note)])


def show_progress(args: argparse.Namespace) -> None:
    """Write a page with one sentence spoken by every checkpoint of a run."""
    import checkpoint
    from evaluation import evaluator
    from evaluation.eval_texts import EvalText
    from evaluation.report import report

    steps = checkpoint.list_steps(args.progress)
    if not steps:
        raise ValueError(f"{args.progress} is no run with checkpoints, which --progress needs")
    folder = args.out or args.progress / "evaluation" / "progress"
    options = options_of(args)
    samples, measures = [], ()
    for step in steps:
        voice, info = load_voice(checkpoint.path_of(args.progress, step), args)
        texts = [EvalText("sentence-01", args.text, "sentence", (voice.speakers or (None,))[0])] if args.text else (
            eval_texts_of(voice, args)[0][:1])
        card = evaluator.evaluate(voice, info, texts, folder / f"step_{step:08d}", options)
        [item], measures = card.items, card.measures
        samples.append(report.CheckpointSample(step, folder / f"step_{step:08d}" / item.audio["voice"],
                                               item.values["voice"]))
        print(f"step {step}: {item.text}")
    page = report.write_progress(name_of(args.progress), item.text, samples, measures, folder / "progress.html")
    print(f"{page}: all of them, for a browser")


def write_listening_test(args: argparse.Namespace) -> None:
    """Write the page of a listening test of voices, and of their recordings unless it is ABX."""
    from evaluation.report.listening_test import key_path, write_test
    from evaluation.scorecard import RECORDING, VOICE, Scorecard

    kind, *paths = args.listening_test
    folders = [evaluation_of(path, args) for path in paths]
    cards = [Scorecard.load(folder) for folder in folders]
    names = [card.title for card in cards]
    if len(set(names)) < len(names):
        raise ValueError(f"--listening-test names the same voice twice: {', '.join(names)}")
    conditions = {name: sounds_of(card, folder, VOICE) for name, card, folder in zip(names, cards, folders)}
    recordings = sounds_of(cards[0], folders[0], RECORDING)
    if recordings and kind != "abx":
        conditions = {RECORDING: recordings, **conditions}
    page = (args.out or folders[0]) / f"listening_{kind}.html"
    write_test(kind, conditions, page, RECORDING if kind == "mushra" else None,
               {item.id: item.text for item in cards[0].items}, args.seed)
    key = key_path(page)
    print(f"{page}: send it to the listeners, who return a file of answers\n{key}: keep it; then "
          f"python evaluate.py --score ANSWERS --key {key}")


def sounds_of(card: Scorecard, folder: Path, condition: str) -> dict[str, Path]:
    """The wavs of an evaluation in one condition: item id -> path."""
    return {item.id: folder / item.audio[condition] for item in card.items if condition in item.audio}


def score(args: argparse.Namespace) -> None:
    """Print the result of a listening test."""
    from evaluation.report.listening_scores import score_answers

    print(score_answers(args.score, args.key).table())


if __name__ == "__main__":
    main()
