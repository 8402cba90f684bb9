"""flite: text to speech by the voices of the program `flite`, as a teacher whose licence lets its sound be kept.

    samples, sampling_rate = speak("Hello world.", voice="rms")

Not needed for anything but to make a corpus; flite comes with the system's packages, not with pip.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def speak(line: str, voice: str) -> tuple[np.ndarray, int]:
    """Speech of one line by one of flite's voices.

    Returns:
        int16 samples [S] and their rate in Hz, which is the voice's.

    Raises:
        ValueError: flite is not installed, or has no such voice.
    """
    from scipy.io import wavfile

    if shutil.which("flite") is None:
        raise ValueError("the program flite is not installed; on Debian and Ubuntu: apt install flite")
    if voice not in voices():
        raise ValueError(f"flite has no voice {voice!r}; it has {', '.join(voices())}")
    with tempfile.TemporaryDirectory() as folder:  # flite speaks into files only, and takes "-" for one
        text, wav = Path(folder) / "text", Path(folder) / "wav"
        text.write_text(line, encoding="utf-8")
        subprocess.run(["flite", "-voice", voice, "-f", text, "-o", wav], check=True, capture_output=True)
        rate, samples = wavfile.read(io.BytesIO(wav.read_bytes()))
    return samples, rate


@cache
def voices() -> tuple[str, ...]:
    """Names of the voices that the installed flite has."""
    listing = subprocess.run(["flite", "-lv"], check=True, capture_output=True, text=True).stdout
    return tuple(listing.partition(":")[2].split())
