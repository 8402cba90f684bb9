"""The page of a corpus's suspects: one file that opens without a network, with a player for each of them.

    write_suspects(Path("suspects.html"), "train.txt", findings, summary_text)
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from audio.io import AudioError, read_wav
from corpora.checks import SEVERITIES, Finding
from corpora.recordings import quiet_decoder
from evaluation.report.html import Markup, join, section, tag, write_page
from evaluation.report.media import Clip, sound_uri, spectrogram_uri

LIMIT = 200  # suspects on a page, each with its sound inside: about 150 kB
_SECONDS = 12  # of a sound that are on the page
_LONGEST = 200  # seconds; longer files have no player


def write_suspects(out: Path, name: str, findings: Sequence[Finding], told: str, limit: int = LIMIT) -> int:
    """Write the page; gives back how many suspects there are, of which it shows the first `limit`.

    Args:
        out: the file.
        name: of the corpus.
        findings: errors first; utterances with notes only are no suspects.
        told: the summary.
        limit: how many are shown.
    """
    groups = suspects(findings)
    more = f"The first {limit} of {len(groups)} suspects; the others are in findings.jsonl." \
        if len(groups) > limit else f"All {len(groups)} suspects."
    body = join([
        tag("h1", f"Suspects of {name}"),
        section("summary", "Summary", tag("div", tag("pre", told), class_="wide", tabindex="0", role="region",
                                          aria_label="Summary")),
        section("suspects", "Suspects", tag("p", more, " What is only worth a note has no entry of its own."),
                *(_suspect(group) for group in groups[:limit]))])
    write_page(out, f"Suspects of {name}", body)
    return len(groups)


def suspects(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings of each utterance that has an error or a warning, the gravest first."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.place, []).append(finding)
    worth = [group for group in groups.values() if group[0].severity != SEVERITIES[-1]]
    return sorted(worth, key=lambda group: (SEVERITIES.index(group[0].severity), -len(group)))


def _suspect(group: Sequence[Finding]) -> Markup:
    """One utterance: where, what is wrong, what it should say, and how it sounds."""
    first = group[0]
    faults = tag("ul", *(tag("li", tag("strong", f"{finding.severity}: {finding.kind}"),
                             f": {finding.found}; expected {finding.expected}; {finding.advice}") for finding in group))
    text = tag("p", f"“{first.text}”") if first.text else None
    return tag("article", tag("h3", first.place), text, faults, _player(first.audio, first.span), class_="sentence")


def _player(audio: str, span: tuple[float, float] | None) -> Markup | None:
    """The sound and its picture; None where there is nothing to hear, which the findings say."""
    if not audio:
        return None
    try:
        with quiet_decoder(audio):
            wav = read_wav(audio, clip=False, max_seconds=_LONGEST, span=span)
    except AudioError:
        return None
    clip = Clip(wav.samples[:_SECONDS * wav.sampling_rate].clip(-1, 1), wav.sampling_rate)
    try:
        sound = sound_uri(clip)
    except OSError:  # FLAC does not have every rate
        return None
    cut = f", of which the first {_SECONDS} are here" if clip.seconds < len(wav.samples) / wav.sampling_rate else ""
    picture = None
    if importlib.util.find_spec("PIL"):  # one may look at a corpus without it
        picture = tag("div", tag("img", src=spectrogram_uri(clip), style="width:100%",
                                 alt=f"Mel spectrogram of {audio}"),
                      class_="picture")
    return tag("figure", tag("figcaption", f"{audio}, {len(wav.samples) / wav.sampling_rate:.1f} seconds{cut}"),
               tag("audio", controls=True, preload="none", src=sound, aria_label=audio), picture,
               class_="player")
