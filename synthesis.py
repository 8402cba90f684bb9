"""The only road from text to sound: a loaded voice that speaks.

    voice = Voice.load("runs/demo")
    voice.speak("Good morning.", seed=1).save("good_morning.wav")
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import checkpoint
import config as settings
from commons import choose_device
from config import Config
from corpus import speaker_id
from mel_processing import mel_spectrogram, spectrogram
from models import SynthesizerTrn
from modules import fold_weight_norm
from text import TextProcessor
from utils import read_wav, resample, write_wav

# Shapes: L text tokens, S samples.


@dataclass(frozen=True)
class Audio:
    """Speech, and what was said for how long."""

    samples: np.ndarray  # float32 [S], in [-1, 1]
    sample_rate: int  # Hz
    durations: np.ndarray  # int64 [L], samples for each of `text_ids`
    text_ids: tuple[int, ...] = ()

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.sample_rate

    def save(self, path: str | Path) -> None:
        """Write a 16-bit wav; folders are made."""
        write_wav(path, self.samples, self.sample_rate)


class Voice:
    """A trained model with the text code that it was trained with, ready to speak."""

    def __init__(self, config: Config, model: SynthesizerTrn, device: torch.device):
        self.config = config
        self.device = device
        self.text = TextProcessor.from_config(config.data)
        self.model = model.to(device).eval()
        fold_weight_norm(self.model)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", overrides: Sequence[str] = ()) -> Voice:
        """Load a run folder (its best checkpoint, else its newest), one checkpoint file, or a release folder.

        Args:
            path: of a run, a checkpoint or a release.
            device: "auto", "cpu", "cuda", "mps".
            overrides: changes to the configuration that it was trained with, as `section.key=value`.

        Raises:
            FileNotFoundError: there is nothing to load.
            CheckpointError: the file is damaged or not ours.
            ConfigError: an override does not fit.
        """
        weights = checkpoint.read_weights(Path(path))
        config = settings.from_dict(weights.config, overrides)
        model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
        checkpoint.load_state(model, weights.generator, weights.source, "generator")
        return cls(config, model, choose_device(device))

    @property
    def sample_rate(self) -> int:
        """Hz of all that this voice says."""
        return self.config.data.sampling_rate

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names by id; numbers where training had no names; empty for one voice."""
        if not self.config.multispeaker:
            return ()
        return self.config.data.speakers or tuple(str(i) for i in range(self.config.data.n_speakers))

    def speak(self, text: str, speaker: str | int | None = None, speed: float = 1.0, noise_scale: float = 0.667,
              noise_scale_duration: float = 0.8, seed: int | None = None) -> Audio:
        """Say a text.

        Args:
            text: as people write it; the voice's own cleaners see to the rest.
            speaker: name or id, for a voice of several speakers.
            speed: 2 is twice as fast.
            noise_scale: how much the sound varies, 0 to about 1.
            noise_scale_duration: how much the rhythm varies (stochastic duration predictor).
            seed: the same seed, the same sound.

        Raises:
            ValueError: there is nothing to say, no such speaker, or a number out of range.
        """
        [cleaned] = self.text.clean([text])
        encoded = self.text.encode_lenient(cleaned)
        if encoded.unknown:
            names = ", ".join(f"{symbol!r} (U+{ord(symbol):04X})" for symbol in dict.fromkeys(encoded.unknown))
            warnings.warn(f"not in the voice's symbol table {self.text.symbols.name!r}, spoken as what comes nearest: "
                          f"{names}", stacklevel=2)
        if not encoded.ids:
            raise ValueError(f"nothing to say in {text[:80]!r}: the text is empty, or no symbol of it is in the "
                             f"voice's table {self.text.symbols.name!r}")
        return self.speak_ids(encoded.ids, speaker, speed, noise_scale, noise_scale_duration, seed=seed)

    @torch.inference_mode()
    def speak_ids(self, ids: Sequence[int], speaker: str | int | None = None, speed: float = 1.0,
                  noise_scale: float = 0.667, noise_scale_duration: float = 0.8, *,
                  durations: Sequence[int] | None = None, seed: int | None = None) -> Audio:
        """Say token ids (blanks included); `durations` gives whole frames for each instead of predicting them.

        Raises:
            ValueError: as in `speak`, or durations of another length.
        """
        _check_controls({"speed": speed, "noise_scale": noise_scale, "noise_scale_duration": noise_scale_duration})
        if durations is not None and (len(durations) != len(ids) or min(durations) < 0):
            raise ValueError(f"durations must be {len(ids)} numbers of frames, 0 or more, one for each id; "
                             f"found {len(durations)}")
        rows = len(self.text.symbols)
        if not ids or not all(0 <= i < rows for i in ids):
            raise ValueError(f"ids must be one or more numbers from 0 to {rows - 1}, the rows of the symbol table")
        out = self.model.infer(
            torch.tensor([list(ids)], device=self.device), torch.tensor([len(ids)], device=self.device),
            self._speaker_ids(speaker), noise_scale=noise_scale, length_scale=1 / speed,
            noise_scale_duration=noise_scale_duration, seed=seed,
            durations=None if durations is None else torch.tensor([list(durations)]))
        return Audio(out.wav[0, 0].float().clamp(-1, 1).cpu().numpy(), self.sample_rate,
                     out.durations[0].cpu().numpy() * self.config.data.hop_length, tuple(ids))

    @torch.inference_mode()
    def convert(self, path: str | Path, speaker: str | int, target: str | int, seed: int | None = None) -> Audio:
        """Say a recording of one trained speaker in the voice of another.

        Args:
            path: a recording in any format and rate.
            speaker: who is heard in it.
            target: who shall be heard.
            seed: the same seed, the same sound.
        """
        if not self.config.multispeaker:
            raise ValueError("voice conversion needs a voice of several speakers; this one has one")
        wav = read_wav(path)
        samples = torch.as_tensor(resample(wav.samples, wav.sampling_rate, self.sample_rate), device=self.device)[None]
        hop = self.config.data.hop_length
        if samples.shape[1] < hop:
            raise ValueError(f"{path} has {samples.shape[1]} samples at {self.sample_rate} Hz; {hop} is the least")
        spec = spectrogram(samples, self.config.data)
        lengths = torch.tensor([spec.shape[2]], device=self.device)
        out = self.model.voice_conversion(spec, lengths, self._speaker_ids(speaker), self._speaker_ids(target), seed)
        return Audio(out[0, 0].float().clamp(-1, 1).cpu().numpy(), self.sample_rate, np.empty(0, np.int64))

    def mel(self, audio: Audio) -> np.ndarray:
        """Log-mel of speech in this voice's own settings, [M, T], for pictures."""
        return mel_spectrogram(torch.from_numpy(audio.samples)[None], self.config.data)[0].numpy()

    def _speaker_ids(self, speaker: str | int | None) -> torch.Tensor | None:
        """A batch of one id, None for one voice."""
        if not self.config.multispeaker:
            if speaker is not None:
                raise ValueError(f"this voice has one speaker; leave speaker={speaker!r} out")
            return None
        data = self.config.data
        if speaker is None:
            raise ValueError(f"this voice has {data.n_speakers} speakers; choose one of {', '.join(self.speakers)}")
        names = () if isinstance(speaker, int) else data.speakers  # a number is an id, names or not
        return torch.tensor([speaker_id(str(speaker), names, data.n_speakers)], device=self.device)


def _check_controls(controls: Mapping[str, float]) -> None:
    """Speed above 0, noise scales 0 or more, all finite."""
    for name, value in controls.items():
        lowest_is_open = name == "speed"
        if not math.isfinite(value) or value < 0 or (lowest_is_open and value == 0):
            raise ValueError(f"{name} is {value}; it must be {'above 0' if lowest_is_open else '0 or more'}")
