"""Measure how good a voice is, beside its recordings, and compare voices.

    python evaluate.py -m runs/demo                          # runs/demo/evaluation/step_00000700/report.html
    python evaluate.py -m runs/demo --cheap --count 10       # without what takes long
    python evaluate.py -m en_rms --filelist val.txt          # a voice of the folder voices/; or VOICE.onnx
    python evaluate.py -m runs/demo --filelist data/other/val.txt --sentences my_sentences.txt -o evaluation
    python evaluate.py --compare runs/a runs/b               # both on the same texts, with significance
    python evaluate.py --progress runs/demo                  # one sentence from every checkpoint that is kept
    python evaluate.py --listening-test abx runs/a runs/b    # a page for people's ears
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
    from evaluation.evaluator import Plan, Source
    from evaluation.prompts import Prompt
    from evaluation.scorecard import Interval, Measure, Scorecard
    from synthesis.base import Speaking

COUNT = 20  # held-out utterances; with the test sentences 120 sounds, about 2 s of listening each on one core
TESTS = ("abx", "mos", "mushra")
OVERRIDES = "Settings changed"  # the fact that names them


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = settings.CommandParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-m", "--run", type=Path, help="a run, a checkpoint, a release folder, an .onnx "
                      "file or its folder, or the name of a voice in voices/")
    what.add_argument("--compare", nargs=2, type=Path, metavar=("RUN_A", "RUN_B"),
                      help="two such voices, or folders of evaluations; what is not evaluated yet is evaluated first")
    what.add_argument("--progress", type=Path, metavar="RUN", help="one sentence from every checkpoint, as one page")
    what.add_argument("--listening-test", nargs="+", metavar=("KIND", "RUN"),
                      help=f"{', '.join(TESTS)}, then the voices to be heard: a page that people answer")
    what.add_argument("--score", nargs="+", type=Path, metavar="ANSWERS", help="the answers' files of such a page")
    parser.add_argument("--key", type=Path, metavar="FILE", help="with --score: the key that lay beside the page")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER",
                        help="where all goes; default: RUN/evaluation/step_...")
    texts = parser.add_argument_group("what is said")
    texts.add_argument("--filelist", type=Path, help="held-out utterances; default: the run's data.validation_files")
    texts.add_argument("--count", type=int, default=COUNT, metavar="N",
                       help=f"at most so many of them, spread over the list; 0 for none (default {COUNT})")
    texts.add_argument("--sentences", type=Path, metavar="FILE",
                       help="test sentences, lines of kind|text; default: this project's for the voice's language")
    texts.add_argument("--text", help="the sentence of --progress; default: the first held-out utterance")
    how = parser.add_argument_group("how it is measured")
    how.add_argument("--cheap", action="store_true",
                     help="leave out what takes long: sentences, words, DNSMOS, speaker, Whisper")
    how.add_argument("--measures", nargs="+", metavar="NAME", help="only these meters or measures, e.g. world wer")
    how.add_argument("--seed", type=int, default=1234, help="the same seed, the same sound (default 1234)")
    how.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that measure (default 1)")
    how.add_argument("--device", default="auto", help="where the voice speaks: auto (default), cpu, cuda, mps")
    settings.add_arguments(parser)
    settings.add_trust_argument(parser)
    return parser.parse_args()


def main() -> None:
    """Do what was asked, and say where it is."""
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
            make_listening_test(args)
        elif args.score:
            score(args)
        else:
            folder = evaluate(args.run, args, args.out)
            print(f"{folder / 'scorecard.json'}: the numbers; {folder / 'audio'}: the sounds")
            write_page(folder)


def check(args: argparse.Namespace) -> None:
    """Refuse what makes no sense.

    Raises:
        ValueError: naming it.
    """
    if args.count < 0 or args.jobs < 1:
        raise ValueError(f"--count is {args.count} and --jobs {args.jobs}; expected 0 or more, and 1 or more")
    if args.text is not None and not args.progress:
        raise ValueError("--text is the sentence of --progress; sentences of your own go into a file for --sentences")
    if bool(args.score) != (args.key is not None):
        raise ValueError("--score takes the listeners' answers and --key the test's ....key.json: give both")
    if args.listening_test and (args.listening_test[0] not in TESTS or len(args.listening_test) < 2):
        raise ValueError(f"--listening-test takes one of {', '.join(TESTS)}, then one voice or more; found "
                         f"{' '.join(args.listening_test)}")


def name_voices(args: argparse.Namespace) -> None:
    """Let names of voices that come with the project stand for their folders."""
    from synthesis.base import find_voice

    if args.run:
        args.run = find_voice(args.run)
    if args.compare:
        args.compare = [find_voice(path) for path in args.compare]
    if args.listening_test:
        args.listening_test[1:] = [find_voice(Path(path)) for path in args.listening_test[1:]]


def plan_of(args: argparse.Namespace) -> Plan:
    """How the arguments want it measured."""
    from evaluation.evaluator import Plan, choose_meters

    return Plan(args.seed, choose_meters(args.measures, args.cheap), args.jobs)


def load_voice(path: Path, args: argparse.Namespace) -> tuple[Speaking, Source]:
    """A voice, and which it is."""
    import checkpoint
    from evaluation.evaluator import Source, step_of
    from synthesis.onnx import OnnxVoice, find_graph

    if find_graph(path):
        return OnnxVoice.load(path, args.device, args.overrides), Source(name_of(path), None, overrides_of(args))
    from synthesis import Voice

    file = checkpoint.find(path)
    return (Voice.load(path, args.device, args.overrides, trust_plugins=args.trust_plugins),
            Source(name_of(path), step_of(file), {"File": str(file), **best_of(file), **overrides_of(args)}))


def overrides_of(args: argparse.Namespace) -> dict[str, str]:
    """What --set changed of the voice's settings, as a fact."""
    return {OVERRIDES: ", ".join(args.overrides)} if args.overrides else {}


def name_of(path: Path) -> str:
    """What people call a voice: its folder."""
    path = path.resolve()
    return path.name if path.is_dir() else path.parent.name


def best_of(file: Path) -> dict[str, str]:
    """What the run's validation said of a checkpoint."""
    import checkpoint

    ranking = checkpoint.read_ranking(file.parent)
    for rank, best in enumerate(ranking.best if ranking else (), start=1):
        if checkpoint.path_of(file.parent, best.step) == file:
            return {"Validation": f"{ranking.measure} {best.value:.4g}, rank {rank} of those kept"}
    return {}


def folder_of(path: Path, step: int | None) -> Path:
    """Where an evaluation goes unless told otherwise: beside the voice."""
    folder = path if path.is_dir() else path.parent
    return folder / "evaluation" / (f"step_{step:08d}" if step is not None else "voice")


def prompts_of(voice: Speaking, args: argparse.Namespace) -> tuple[list[Prompt], dict[str, str]]:
    """What is to be said, and what is not, with reasons.

    Raises:
        ValueError: there is nothing to say at all.
    """
    from evaluation.prompts import find_sentences, held_out, read_sentences

    prompts, absent = [], {}
    data = voice.config.data
    filelist = args.filelist or (Path(data.validation_files) if data.validation_files else None)
    if args.count and filelist is not None and (args.filelist or filelist.is_file()):
        prompts += held_out(voice.config, filelist, args.count)
    elif args.count:
        absent["held-out utterances"] = (f"there is no {filelist} here; run in the folder that the voice was trained "
                                         "in, or name a list with --filelist" if filelist else
                                         "the voice names no filelist; name one with --filelist")
    sentences = args.sentences or find_sentences(data.language)
    if sentences is not None:
        prompts += read_sentences(sentences, voice.speakers)
    else:
        absent["test sentences"] = f"there are none for {data.language}; name a file with --sentences"
    if not prompts:
        raise ValueError("; ".join(["there is nothing to say", *absent.values()]))
    return prompts, absent


def evaluate(path: Path, args: argparse.Namespace, out: Path | None = None) -> Path:
    """Evaluate a voice and print what was found; returns the folder of the evaluation."""
    import dataclasses

    from evaluation import evaluator

    plan = plan_of(args)
    logging.getLogger("vits").info("loading %s", path)
    voice, source = load_voice(path, args)
    folder = out or folder_of(path, source.step)
    prompts, absent = prompts_of(voice, args)
    with warnings.catch_warnings():
        warnings.simplefilter("once")  # of unknown symbols and the like, not for each sentence
        card = evaluator.evaluate(voice, source, prompts, folder, plan)
    if absent:
        card = dataclasses.replace(card, absent={**card.absent, **absent})
        card.save(folder)
    print(printable(describe(card)))
    return folder


def describe(card: Scorecard) -> str:
    """A scorecard as text: measures by conditions, then the test sentences."""
    lines = [f"{card.title}: {card.facts.get('Evaluated', '')}", "",
             *rows_of(card, card.summary, "mean [95 % interval]")]
    if card.sentences and any(item.kind == "held-out" for item in card.items):
        lines += ["", "test sentences, as the voice says them:", "", *rows_of(card, card.sentences, "mean")]
    if card.health:
        lines += ["", f"alignment: {card.health['verdict']}"]
    lines += [f"absent: {name}: {reason}" for name, reason in card.absent.items()]
    return "\n".join(lines)


def rows_of(card: Scorecard, groups: dict[str, dict[str, Interval]], title: str) -> list[str]:
    """A table: a line a measure, a column a group."""
    names = list(groups)
    cells = [[title, *names, "better"]]
    for measure in card.measures:
        if any(measure.name in groups[name] for name in names):
            found = [shown(groups[name].get(measure.name), with_bounds="interval" in title) for name in names]
            cells.append([title_of(measure), *found, measure.better])
    return aligned(cells)


def title_of(measure: Measure) -> str:
    """What is measured, with its unit."""
    return f"{measure.title}, {measure.unit}" if measure.unit else measure.title


def aligned(cells: list[list[str]]) -> list[str]:
    """Rows of a table, the first and the last column to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1])),
                       row[-1]]) for row in cells]


def shown(interval: Interval | None, with_bounds: bool) -> str:
    """A mean with its bounds, in three digits."""
    if interval is None:
        return "-"
    if not with_bounds or not math.isfinite(interval.low) or interval.count < 2:
        return f"{interval.value:.3g}"
    return f"{interval.value:.3g} [{interval.low:.3g}, {interval.high:.3g}]"


def write_page(folder: Path) -> None:
    """The report, beside the scorecard."""
    from evaluation.report import report

    report.write_report([folder], folder / "report.html")
    print(f"{folder / 'report.html'}: the same with players, for a browser")


def evaluated(path: Path, args: argparse.Namespace) -> Path:
    """The folder of a voice's evaluation by the same plan: the one that is there, else a new one."""
    from evaluation.scorecard import FILE, Scorecard

    if (path / FILE).is_file():
        return path
    voice, source = load_voice(path, args)
    folder = folder_of(path, source.step)
    if (folder / FILE).is_file():
        card = Scorecard.load(folder)
        wanted = [(prompt.id, prompt.text) for prompt in prompts_of(voice, args)[0]]
        how = {"Plan": str(plan_of(args)), **overrides_of(args)}
        found = {title: card.facts[title] for title in ("Plan", OVERRIDES) if title in card.facts}
        if [(item.id, item.text) for item in card.items] == wanted and found == how:
            return folder
    return evaluate(path, args)


def compare(args: argparse.Namespace) -> None:
    """Two voices on the same texts: differences with their significance, and a page."""
    from evaluation.report import report
    from evaluation.scorecard import Scorecard

    first, second = (evaluated(path, args) for path in args.compare)
    folder = args.out or second
    page = report.write_comparison(first, second, folder / "comparison.html")
    print(printable(describe_comparison(Scorecard.load(first), Scorecard.load(second))))
    print(f"{page}: the same with players, for a browser")


def describe_comparison(a: Scorecard, b: Scorecard) -> str:
    """Two scorecards as text: a line a measure."""
    from evaluation.report.comparison import compare_voices, p_told, signed
    from evaluation.report.html import number

    rows = [["", "A", "B", "B better by", "95 % interval", "p after Holm", "texts", "in words"]]
    for row in compare_voices(a, b):
        gain = row.difference
        found = ["-"] * 4 if gain is None else [signed(gain.mean), f"{signed(gain.low)} to {signed(gain.high)}",
                                                p_told(row.p_value), str(gain.count)]
        rows.append([title_of(row.measure), number(row.a), number(row.b), *found, row.wording])
    return "\n".join([f"A is {a.title}, B is {b.title}", "", *aligned(rows)])


def show_progress(args: argparse.Namespace) -> None:
    """One sentence from every checkpoint kept, as one page."""
    import checkpoint
    from evaluation import evaluator
    from evaluation.prompts import Prompt
    from evaluation.report import report

    steps = checkpoint.list_steps(args.progress)
    if not steps:
        raise ValueError(f"{args.progress} is no run with checkpoints; --progress needs one")
    folder = args.out or args.progress / "evaluation" / "progress"
    plan = plan_of(args)
    moments, measures = [], ()
    for step in steps:
        voice, source = load_voice(checkpoint.path_of(args.progress, step), args)
        prompts = [Prompt("sentence-01", args.text, "sentence", (voice.speakers or (None,))[0])] if args.text else (
            prompts_of(voice, args)[0][:1])
        card = evaluator.evaluate(voice, source, prompts, folder / f"step_{step:08d}", plan)
        [item], measures = card.items, card.measures
        moments.append(report.Moment(step, folder / f"step_{step:08d}" / item.audio["voice"], item.values["voice"]))
        print(f"step {step}: {item.text}")
    page = report.write_progress(name_of(args.progress), item.text, moments, measures, folder / "progress.html")
    print(f"{page}: all of them, for a browser")


def make_listening_test(args: argparse.Namespace) -> None:
    """A page that people answer: the voices beside each other, and their recordings unless it is ABX."""
    from evaluation.report import listening_test
    from evaluation.scorecard import RECORDING, VOICE, Scorecard

    kind, *paths = args.listening_test
    folders = [evaluated(path, args) for path in paths]
    cards = [Scorecard.load(folder) for folder in folders]
    names = [card.title for card in cards]
    if len(set(names)) < len(names):
        raise ValueError(f"--listening-test names the same voice twice: {', '.join(names)}")
    conditions = {name: sounds_of(card, folder, VOICE) for name, card, folder in zip(names, cards, folders)}
    recordings = sounds_of(cards[0], folders[0], RECORDING)
    if recordings and kind != "abx":
        conditions = {RECORDING: recordings, **conditions}
    page = (args.out or folders[0]) / f"listening_{kind}.html"
    listening_test.write_test(kind, conditions, page, RECORDING if kind == "mushra" else None,
                         {item.id: item.text for item in cards[0].items}, args.seed)
    key = listening_test.key_path(page)
    print(f"{page}: for the listeners, who send back a file of answers\n{key}: for you alone; then "
          f"python evaluate.py --score ANSWERS --key {key}")


def sounds_of(card: Scorecard, folder: Path, condition: str) -> dict[str, Path]:
    """Item -> wav of an evaluation in one condition."""
    return {item.id: folder / item.audio[condition] for item in card.items if condition in item.audio}


def score(args: argparse.Namespace) -> None:
    """What the answers say."""
    from evaluation.report import listening_test

    print(listening_test.score_answers(args.score, args.key).table())


if __name__ == "__main__":
    main()
