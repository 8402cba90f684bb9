"""Speech by the program `flite`, for synthetic training corpora; its voices' licence permits that.

    samples, sampling_rate = speak("Hello world.", voice="rms")

Only `preprocess.py flite` needs it; flite comes with the system's packages, not with pip.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from audio.io import AudioError, read_wav


def speak(line: str, voice: str) -> tuple[np.ndarray, int]:
    """Speech of one line by one of flite's voices.

    Returns:
        int16 samples [S] and their rate in Hz, which is the voice's.

    Raises:
        ValueError: flite is not installed, has no such voice, or could not speak the line.
    """
    if shutil.which("flite") is None:
        raise ValueError("the program flite is not installed; on Debian and Ubuntu: apt install flite")
    if voice not in voices():
        raise ValueError(f"flite has no voice {voice!r}; it has {', '.join(voices())}")
    with tempfile.TemporaryDirectory() as folder:  # flite speaks into files only, and takes "-" for one
        text, wav = Path(folder) / "text", Path(folder) / "wav"
        text.write_text(line, encoding="utf-8")
        done = subprocess.run(["flite", "-voice", voice, "-f", text, "-o", wav], capture_output=True)
        if done.returncode or not wav.is_file():
            raise AudioError(f"flite could not speak {line!r} by {voice} (status {done.returncode}); change the text")
        spoken = read_wav(wav)
    return (spoken.samples * 32768).astype(np.int16), spoken.sampling_rate


@cache
def voices() -> tuple[str, ...]:
    """Names of the voices of the installed flite."""
    listing = subprocess.run(["flite", "-lv"], check=True, capture_output=True, text=True).stdout
    return tuple(listing.partition(":")[2].split())
