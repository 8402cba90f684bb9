"""The page of a corpus check: utterances with an error or a warning (suspects), with a player for each.

    write_findings_page(Path("suspects.html"), "train.txt", findings, summary)
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from audio.io import AudioError, read_wav
from corpora.checks import SEVERITIES, Finding
from corpora.recordings import quiet_decoder
from evaluation.report.html import render, write_page
from evaluation.report.media import Clip, sound_uri, spectrogram_uri

LIMIT = 200  # suspects on a page, each with its sound inside: about 150 kB
_SECONDS = 12  # of a sound on the page
_LONGEST = 200  # seconds; longer files have no player


class FindingSound(NamedTuple):
    """The sound of an utterance for the page."""

    path: str
    seconds: float
    cut: int | None  # seconds on the page, if it is longer
    uri: str
    spectrogram: str | None  # URI; None without Pillow


def write_findings_page(out: Path, name: str, findings: Sequence[Finding], summary: str, limit: int = LIMIT) -> int:
    """Write the page, with at most `limit` suspects; return how many there are.

    Args:
        out: the file.
        name: of the corpus.
        findings: errors first; utterances with notes only are left out.
        summary: text above the suspects.
        limit: how many are shown.
    """
    groups = suspects(findings)
    shown = [(group, _sound(group[0].audio, group[0].span)) for group in groups[:limit]]
    body = render("findings.html", name=name, summary=summary, count=len(groups), shown=shown)
    write_page(out, f"Suspects of {name}", body)
    return len(groups)


def suspects(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Group the findings of each utterance that has an error or a warning, the worst first."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.place, []).append(finding)
    worth = [group for group in groups.values() if group[0].severity != SEVERITIES[-1]]
    return sorted(worth, key=lambda group: (SEVERITIES.index(group[0].severity), -len(group)))


def _sound(audio: str, span: tuple[float, float] | None) -> FindingSound | None:
    """Read the sound; None without a readable file, which the findings report."""
    if not audio:
        return None
    try:
        with quiet_decoder(audio):
            wav = read_wav(audio, clip=False, max_seconds=_LONGEST, span=span)
        clip = Clip(wav.samples[:_SECONDS * wav.sampling_rate].clip(-1, 1), wav.sampling_rate)
        uri = sound_uri(clip)
    except (AudioError, OSError):  # the latter for a rate that FLAC does not have
        return None
    seconds = len(wav.samples) / wav.sampling_rate
    has_pillow = importlib.util.find_spec("PIL") is not None
    return FindingSound(audio, seconds, _SECONDS if clip.seconds < seconds else None, uri,
                 spectrogram_uri(clip) if has_pillow else None)
