"""Check a corpus (`check`), or prepare it for training: wavs of one rate, filelists, and a report of what was left out.

    python preprocess.py check mine.txt -c configs/ljs.json
    python preprocess.py check recordings --repair trim,dc,loudness --out repaired
    python preprocess.py ljspeech LJSpeech-1.1 --out data/ljs -c configs/ljs.json
    python preprocess.py vctk VCTK-Corpus --out data/vctk --text_cleaners english_cleaners2
    python preprocess.py folder recordings --out data/mine -c configs/finetune.json
    python preprocess.py filelist mine.txt --out data/mine --rate 44100
    python preprocess.py espeak sentences.txt --out data/robot --voice en-us,en-gb --rate 16000
    python preprocess.py flite sentences.txt --out data/rms --voice rms --rate 16000
    python preprocess.py voice texts.txt --out data/joe --voice en_joe

Run it again after adding or repairing files: only new and changed files are converted. As published, it also cleans
the text of filelists, writing a.txt.cleaned beside a.txt:

    python preprocess.py --text_index 1 --filelists a.txt b.txt --text_cleaners english_cleaners2
"""

from __future__ import annotations

import utils

if __name__ == "__main__":
    utils.leave_on_interrupt()  # while what is below is imported

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

import config as settings
from config import Config, DataConfig
from corpora.checks import (
    KINDS,
    Finding,
    Limits,
    by_severity,
    check_corpus,
    encode_texts,
    limits_of,
    measure_all,
    places_to_drop,
    summary,
    unlisted_audio,
    usual_rate,
    write_findings,
    write_list,
)
from corpora.filelists import Line
from corpora.layouts import read_vctk, scan_corpus, scan_ljspeech
from corpora.parallel import ENGINES
from corpora.preparation import AudioRules, PreparationPlan, clean_filelists, prepare, text_processor
from corpora.repairs import NAMES, Repairs, check_names, repair_all
from corpora.scan import CorpusScan, check_overwriting, counted, read_sentences, require_valid
from corpora.tables import ROLES, parse_columns
from evaluation.report.findings import LIMIT, write_findings_page
from text.symbols import check_inside
from utils import printable, user_errors, write_text_atomic

if TYPE_CHECKING:
    from synthesis import Voice


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = settings.CommandParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filelists", nargs="+", default=[], help="filelists whose text is cleaned")
    parser.add_argument("--text_index", type=int, default=1, help="column of the text; the first is 0")
    parser.add_argument("--text_cleaners", nargs="+", default=["english_cleaners2"])
    parser.add_argument("--language", default=DataConfig().language, help="espeak-ng's name of it")
    parser.add_argument("--out_extension", default="cleaned")
    commands = parser.add_subparsers(dest="command", metavar="{check,ljspeech,vctk,folder,filelist,espeak,flite,voice}")
    _add_check(commands)
    _add_voice(commands)
    shared = _shared_parser()
    for name, what in (("ljspeech", "folder with metadata.csv and wavs/"), ("vctk", "folder with txt/ and wav48/"),
                       ("folder", "folder of any known layout, or of audio with a transcript beside each"),
                       ("filelist", "path|text or path|speaker|text lines"), ("espeak", "file of one sentence a line"),
                       ("flite", "file of one sentence a line")):
        command = commands.add_parser(name, parents=[shared], help=what)
        command.add_argument("source", type=Path, help=what)
        if name == "espeak":
            command.add_argument("--voice", default="en-us", help="espeak-ng's name; of several, separated by commas, "
                                 "each speaks every sentence")
            command.add_argument("--wpm", type=int, default=175, help="words per minute")
        elif name in ("ljspeech", "folder", "filelist"):
            _add_columns(command)
        elif name == "flite":
            command.add_argument("--voice", default="rms", help="flite's name of the voice; several, with commas")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; 2 for a user's mistake."""
    parser = build_parser()
    args = parser.parse_args(arguments)
    with user_errors():
        if args.command is None:
            if not args.filelists:
                parser.error("no command; expected check, to examine a corpus, or ljspeech, vctk, folder, filelist, "
                             "espeak, flite or voice, to prepare one, or --filelists, to clean texts")
            processor = text_processor(args.text_cleaners, args.language)
            clean_filelists(args.filelists, args.text_index, processor, args.out_extension)
            return 0
        if args.command == "check":
            return check(args)
        if args.command == "voice":
            return read(args)
        plan = _plan(args)
        if args.command == "espeak":
            return prepare(read_sentences(args.source, args.voice.split(","), args.wpm), plan)
        if args.command == "flite":
            return prepare(read_sentences(args.source, args.voice.split(","), engine="flite"), plan)
        if args.command == "vctk":
            return prepare(read_vctk(args.source), plan)
        scan = (scan_ljspeech if args.command == "ljspeech" else scan_corpus)(
            args.source, parse_columns(args.columns), args.speakers_by_folder)
        for note in (*scan.notes, *(what for _, _, what in unlisted_audio(scan))):
            print(printable(note))
        return prepare(require_valid(scan), plan)


def read(args: argparse.Namespace) -> int:
    """Let a trained voice read texts into a corpus."""
    from synthesis.reading import ReadingPlan, read_corpus  # only who names a voice waits for it

    faults = [f"{name} must be {claim}" for name, is_fine, claim in _limits(args) if not is_fine]
    if args.noise_scale is not None and args.noise_scale < 0:
        faults.append("--noise_scale must be 0 or more")
    if faults:
        raise ValueError("\n".join(faults))
    speakers = tuple(args.speaker.split(",")) if args.speaker else (None,)
    return read_corpus(args.source, ReadingPlan(args.voice, args.out, speakers, args.noise_scale, args.validation,
                                                args.test, args.jobs, args.engine))


def check(args: argparse.Namespace) -> int:
    """Write findings, summary and page of a corpus; returns 1 if there are errors in it, else 0."""
    repairs = check_names(args.repair.split(",")) if args.repair else ()
    places_to_drop((), args.drop)  # unknown names raise now, not after hours
    if repairs and args.out is None:
        raise ValueError("--repair writes a copy of the corpus: give its folder by --out")
    if args.jobs < 1 or args.limit < 0:
        raise ValueError(f"--jobs {args.jobs} --limit {args.limit}: expected --jobs of 1 or more, and --limit of 0 or "
                         "more")
    named = args.source.resolve() if args.source.name in ("", "..") else args.source  # "." and its parents have no name
    out = args.out or Path(f"{named}.check")
    config = _config_to_check(args)
    data = config and config.data
    limits = limits_of(data, config.train.segment_size if config else 0, rate=args.rate, min_seconds=args.min_seconds,
                       max_seconds=args.max_seconds, edge_seconds=args.edge_seconds, snr_db=args.snr_db)
    if not 0 < limits.min_seconds < limits.max_seconds:
        raise ValueError(f"--min_seconds {limits.min_seconds:g} and --max_seconds {limits.max_seconds:g}: expected "
                         "them above 0 and in order")
    if args.rate is not None and args.rate < 1000:
        raise ValueError(f"--rate {args.rate}: expected at least 1000 Hz")
    voice = _voice(args.model, args.trust_plugins)  # so does a wrong path
    scan = scan_corpus(args.source, parse_columns(args.columns), args.speakers_by_folder)
    check_overwriting(scan.sources, out / "wavs" if repairs else None, [out / "cleaned.txt", out / "filelist.txt"])
    workers = (args.engine, args.jobs, out / "journal")
    sounds = list(_with_bar(measure_all(scan, limits, *workers), len(scan.sources), "audio"))
    findings = check_corpus(scan, sounds, limits, encode_texts(scan, data, *workers) if data and scan.has_texts else ())
    if voice is not None:
        findings = by_severity([*findings, *_unlike_texts(scan, findings, voice)])
    overview = summary(scan, sounds, findings)
    unwanted = places_to_drop(findings, args.drop)
    is_usable = scan.has_texts or not {"errors", "no_text"} & set(args.drop)
    kept = [source for source in scan.sources if is_usable and source.place not in unwanted and source.span is None]
    parts = sum(source.span is not None for source in scan.sources)
    write_findings(out, findings)
    write_text_atomic(out / "summary.txt", overview + "\n")
    write_list(out / "cleaned.txt", kept)
    count = write_findings_page(out / "suspects.html", args.source.name, findings, overview, args.limit)
    print(f"{printable(overview)}\n\n{out / 'cleaned.txt'}: {len(kept)} of {counted(len(scan.sources), 'line')}\n"
          + (f"{parts} of them are parts of recordings, which no filelist can name; `preprocess.py folder` cuts them\n"
             if parts else "") +
          f"{out / 'findings.jsonl'}: {counted(len(findings), 'finding')}\n"
          f"{out / 'suspects.html'}: {min(count, args.limit)} of {counted(count, 'utterance')} with errors or warnings")
    if repairs:
        rate = limits.rate or usual_rate(sounds)
        _repair(scan, findings, Repairs(repairs, rate, out, longest=limits.longest), args)
    return 1 if any(finding.severity == "error" for finding in findings) else 0


def _repair(scan: CorpusScan, findings: Sequence[Finding], repairs: Repairs, args: argparse.Namespace) -> None:
    """Write repaired copies, their filelist, and a log of what was done to each file."""
    unrepairable = places_to_drop(findings, ("missing", "unreadable", "silent", "name"))
    sources = [source for source in scan.sources if source.place not in unrepairable]
    journal = repairs.folder / "journal" / "repairs"
    results = list(_with_bar(repair_all(sources, repairs, args.engine, args.jobs, journal), len(sources), "repair"))
    shutil.rmtree(journal, ignore_errors=True)  # the copy may be changed or removed from now on
    log = repairs.folder / "repairs.txt"
    write_text_atomic(log, "".join(f"{result.origin} -> {result.written or 'not written'}: "
                                   f"{'; '.join(result.done) or 'nothing to do'}\n" for result in results))
    written = [source._replace(origin=result.written) for source, result in zip(sources, results) if result.written]
    write_list(repairs.folder / "filelist.txt", written)
    print(f"{repairs.folder / 'filelist.txt'}: {counted(len(written), 'repaired utterance')}; {log} has what was done "
          "to each")


def _voice(run: Path | None, trust_plugins: bool) -> Voice | None:
    """The trained voice of `--model`; None without one."""
    if run is None:
        return None
    from synthesis import Voice  # torch and a model take seconds to load

    return Voice.load(run, trust_plugins=trust_plugins)


def _unlike_texts(scan: CorpusScan, findings: Sequence[Finding], voice: Voice) -> list[Finding]:
    """Findings of recordings that do not match their text, by a trained voice; empty for too few utterances."""
    from evaluation.mismatch import rank_lines

    bad = places_to_drop(findings, ("errors",))
    lines = [Line(source.origin, source.speaker, source.text, source.place) for source in scan.sources
             if source.place not in bad and source.span is None]
    # Only a filelist may be cleaned already.
    config = voice.config if scan.layout == "filelist" else settings.replace(voice.config, "data",
                                                                             {"cleaned_text": False})
    try:
        fits = rank_lines(voice.model, config, lines, voice.text,
                          lambda batches, total: _with_bar(batches, total, "voice"))
    except ValueError as error:  # the other findings must not be lost
        print(f"warning: texts were not compared with the voice: {printable(error)}", file=sys.stderr)
        return []
    return [Finding("unlike_text", fit.source, fit.wav_path, fit.text, f"{fit.reason} (suspicion {fit.suspicion:.1f})",
                    KINDS["unlike_text"].expected) for fit in fits if fit.reason]


def _with_bar(work: Iterable, total: int, name: str) -> Iterable:
    return tqdm(work, total=total, desc=name, disable=None)  # None: no bar where there is no terminal


def _config_to_check(args: argparse.Namespace) -> Config | None:
    """The configuration of -c, --model or --set; None without any."""
    if args.config is not None:
        return settings.load(args.config, args.overrides)
    if args.model is not None:
        config = settings.load(args.model / "config.json", args.overrides)
        if "data.symbols" not in settings.overridden(args.overrides):
            check_inside(config.data.symbols, args.model)
        return config
    return settings.from_dict({}, args.overrides) if args.overrides else None


def _shared_parser() -> argparse.ArgumentParser:
    rules, plan = AudioRules(), PreparationPlan(Path(), AudioRules())
    parser = settings.CommandParser(add_help=False)
    parser.add_argument("--out", type=Path, required=True, help="folder for wavs/, train.txt, val.txt")
    parser.add_argument("-c", "--config", type=Path, help="configuration to prepare for: sets rate, longest audio, "
                        "cleaners and language unless options do, and checks texts against its symbol table")
    settings.add_arguments(parser)
    parser.add_argument("--rate", type=int, help=f"Hz (default: the configuration's, else {rules.rate})")
    _add_shares(parser)
    parser.add_argument("--trim_db", type=float, default=rules.trim_db,
                        help="cut silence this far below the loudest part from both ends (default %(default)s)")
    parser.add_argument("--no_trim", "--no-trim", dest="trim_db", action="store_const", const=None)
    parser.add_argument("--min_seconds", type=float, default=rules.min_seconds, help="default %(default)s")
    parser.add_argument("--max_seconds", type=float,
                        help=f"default: the configuration's, else {rules.max_seconds}")
    parser.add_argument("--text_cleaners", nargs="+", default=[], help="write cleaned text (default: as it is)")
    parser.add_argument("--language", help="espeak-ng's name of it (default: the configuration's, "
                        f"else {plan.language})")
    _add_workers(parser)
    parser.add_argument("--strict", action="store_true", help="write nothing if any utterance is bad")
    return parser


def _add_shares(parser: argparse.ArgumentParser) -> None:
    for name in ("validation", "test"):
        parser.add_argument(f"--{name}", type=float, default=getattr(PreparationPlan, name),
                            help="share (default %(default)s)")


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default %(default)s)")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="where they run: on this machine, or on "
                        "Ray, whose cluster RAY_ADDRESS names (default %(default)s)")


def _add_voice(commands: argparse._SubParsersAction) -> None:
    what = "file of one text a line, for a trained voice to read"
    command = commands.add_parser("voice", help=what)
    command.add_argument("source", type=Path, help=what)
    command.add_argument("--out", type=Path, required=True, help="folder for wavs/, train.txt, val.txt")
    command.add_argument("--voice", required=True, help="run, checkpoint, release, ONNX or Piper voice, or the name of "
                         "a voice in voices/")
    command.add_argument("--speaker", help="of a voice of several: one, or more with commas, who read all texts each")
    command.add_argument("--noise_scale", type=float, help="variation of the sound (default: the voice's own)")
    _add_shares(command)
    _add_workers(command)


def _add_check(commands: argparse._SubParsersAction) -> None:
    limits = Limits()
    command = commands.add_parser("check", help="report problems of a corpus of any kind, and change nothing")
    command.add_argument("source", type=Path, help="filelist, or folder like LJSpeech's, VCTK's or of audio alone")
    command.add_argument("--out", type=Path, help="folder for the results (default: SOURCE.check)")
    command.add_argument("-c", "--config", type=Path, help="sets the expected rate, longest audio and symbol table")
    settings.add_arguments(command)
    settings.add_trust_argument(command)
    command.add_argument("-m", "--model", type=Path, metavar="RUN", help="trained voice, to find recordings unlike "
                         "their text; its configuration replaces -c")
    command.add_argument("--rate", type=int, help="Hz (default: the configuration's, else what most files have)")
    command.add_argument("--min_seconds", type=float, help=f"default {limits.min_seconds}")
    command.add_argument("--max_seconds", type=float, help=f"default: the configuration's, else {limits.max_seconds}")
    command.add_argument("--edge_seconds", type=float, help=f"silence at an end (default {limits.edge_seconds})")
    command.add_argument("--snr_db", type=float, help=f"speech above noise (default {limits.snr_db})")
    command.add_argument("--drop", nargs="+", default=["errors"], metavar="KIND", help="what to leave out of the "
                         "cleaned list: kinds of findings, or errors, warnings, notes (default errors)")
    command.add_argument("--limit", type=int, default=LIMIT, help="utterances on the page (default %(default)s)")
    command.add_argument("--repair", metavar=",".join(NAMES), help="write a repaired copy into --out")
    _add_columns(command)
    _add_workers(command)


def _add_columns(command: argparse.ArgumentParser) -> None:
    command.add_argument("--columns", metavar="id,speaker,text", help="roles of the list's columns, of "
                         f"{', '.join(ROLES)}; id is the audio file, - is ignored (default: inferred from all rows)")
    command.add_argument("--speakers_by_folder", "--speakers-by-folder", action="store_true",
                         help="each folder of audio is a speaker, where nothing else names one")


def _limits(args: argparse.Namespace) -> tuple[tuple[str, bool, str], ...]:
    """Options of every corpus that is made: name, whether its value is valid, and what would be."""
    return (("--jobs", args.jobs >= 1, "1 or more"),
            ("--validation and --test", min(args.validation, args.test) >= 0 and args.validation + args.test < 1,
             "0 or more and below 1 together"),
            ("--out", "|" not in str(args.out), "a path without '|', which separates columns"))


def _plan(args: argparse.Namespace) -> PreparationPlan:
    """A PreparationPlan from options and configuration; ValueError with all faults of the options."""
    is_given = args.config is not None or bool(args.overrides)
    data = (settings.load(args.config, args.overrides) if args.config else settings.from_dict({}, args.overrides)).data
    rate = args.rate or data.sampling_rate
    max_seconds = args.max_seconds if args.max_seconds is not None else data.max_wav_seconds
    limits = (*_limits(args), ("--rate", rate >= 1000, "at least 1000 Hz"),
              ("--trim_db", args.trim_db is None or args.trim_db > 0, "above 0; --no_trim cuts nothing"),
              ("--min_seconds and --max_seconds", 0 < args.min_seconds < max_seconds, "above 0 and in order"))
    faults = [f"{name} must be {claim}" for name, is_fine, claim in limits if not is_fine]
    if faults:
        raise ValueError("\n".join(faults))
    rules = AudioRules(rate=rate, trim_db=args.trim_db, min_seconds=args.min_seconds, max_seconds=max_seconds)
    cleaners = tuple(args.text_cleaners) or (data.text_cleaners if is_given and data.cleaned_text else ())
    checked = replace(data, text_cleaners=cleaners or data.text_cleaners, language=args.language or data.language)
    return PreparationPlan(args.out, rules, args.validation, args.test, cleaners, checked.language, args.jobs,
                           args.strict, checked if is_given else None, args.engine)


if __name__ == "__main__":
    sys.exit(main())
