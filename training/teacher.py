"""Learn from another voice that read the corpus: its durations, its prior of each token, and its latent of each frame.

    teacher = Teacher("en_joe", device)
    batch, targets = teacher.batch_with_targets(batch, generator)  # of a corpus of `preprocess.py voice`

Neither posterior encoder nor alignment search is needed, and each part of a smaller model can be learned alone, beside
the teacher's others: `train.trainable` chooses. What the teacher computed for NAME.wav is kept beside it, as
NAME.TEACHER.npz in half precision, so that it is computed once.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import config as settings
from audio.io import read_wav
from commons import expand_tokens
from config import Config
from corpora.filelists import speaker_id
from data_utils import Batch
from models import SynthesizerTrn, TeacherTargets
from pitch import Pitch, measure_pitch
from synthesis import Voice
from synthesis.noise import prior_noise
from synthesis.reading import read_record
from utils import write_bytes_atomic

# Shapes: B batch, L text tokens, T frames, C latent channels, S samples.

MARGIN = 8  # frames on either side of a segment, where only a generator learns
OWN_DATA = ("training_files", "validation_files", "cleaned_text", "max_wav_seconds", "min_text_len")
"""Settings of the data section that a student does not take from its teacher."""


KEPT = ("prior_mean", "prior_logstd", "z_p", "z", "octaves", "voicing")
"""What is kept of an utterance, float16: two of [C, L], two of [C, T], and the pitch in its sound, two of [T]."""


class Teacher:
    """A trained voice, on the CPU, whose numbers of its own corpus are targets.

    Args:
        path: as `Voice.load` takes it; not an ONNX voice, which gives sound only.
        device: where the targets go.
    """

    def __init__(self, path: str, device: torch.device):
        self.voice = Voice.load(path, "cpu")
        self.name = Path(path).stem
        self.device = device

    def with_its_data(self, config: Config) -> Config:
        """The configuration with the teacher's text and audio settings, since ids and frames must be the same."""
        taken = {field.name: getattr(self.voice.config.data, field.name)
                 for field in dataclasses.fields(config.data) if field.name not in OWN_DATA}
        return settings.replace(config, "data", taken)

    def check_and_leave_out(self, generator: SynthesizerTrn, config: Config) -> None:
        """Remove the parts of a student that nothing teaches: the posterior encoder, and what the teacher lacks.

        Raises:
            ValueError: the latents have other sizes.
        """
        own, wanted = config.model.inter_channels, self.voice.config.model.inter_channels
        if own != wanted:
            raise ValueError(f"model.inter_channels is {own}, the latent of train.teacher {self.name} has {wanted} "
                             f"channels; set model.inter_channels={wanted}")
        generator.leave_out([name for name in self.voice.model.state_dict() if not name.startswith("enc_q.")])

    def batch_with_targets(self, batch: Batch, generator: SynthesizerTrn) -> tuple[Batch, TeacherTargets]:
        """The batch with its targets; cut to what the segments need where nothing but the generator of sound trains."""
        others = (generator.enc_p, generator.dp, generator.flow)
        if generator.own_latent or any(p.requires_grad for part in others for p in part.parameters()):
            return batch, self.targets(batch)
        hop = generator.hop_length
        frames = min(generator.segment_frames + 2 * MARGIN, batch.wav.shape[1] // hop)
        lengths = (batch.wav_lengths // hop).tolist()
        starts = [int(torch.randint(max(0, n - frames) + 1, ())) for n in lengths]
        targets = self.targets(batch, KEPT[3:], starts, frames)
        wav = torch.stack([row[start * hop : (start + frames) * hop] for row, start in zip(batch.wav, starts)])
        kept = batch.wav_lengths.new_tensor([hop * min(n - start, frames) for n, start in zip(lengths, starts)])
        return batch._replace(wav=wav, wav_lengths=kept), targets

    def targets(self, batch: Batch, names: Sequence[str] = KEPT, starts: Sequence[int] | None = None,
                frames: int | None = None) -> TeacherTargets:
        """What the teacher computed for a batch.

        Args:
            batch: of a corpus that it read.
            names: which of KEPT; the latent and the pitch are always needed.
            starts: [B], the frames that z and pitch begin at; None: at the first.
            frames: of z and pitch; None: as many as the batch has.

        Raises:
            ValueError: an utterance is not one that it read.
        """
        frames = frames or batch.wav.shape[1] // self.voice.config.data.hop_length
        columns: dict[str, list[Tensor]] = {name: [] for name in ("durations", *names)}
        for item, (name, ids, n_ids, samples) in enumerate(zip(
                batch.names, batch.text_ids.tolist(), batch.text_lengths.tolist(), batch.wav_lengths.tolist())):
            durations, kept = self._spoken(Path(name), ids[:n_ids], samples, names)
            columns["durations"].append(torch.tensor(durations))
            for each, values in kept.items():
                start = starts[item] if starts and not each.startswith("prior") else 0
                values = values[..., start : start + frames]
                columns[each].append(torch.from_numpy(values.astype(np.float32)))
        n_tokens = batch.text_ids.shape[1]
        found = {name: _padded(values, n_tokens if name in ("durations", *KEPT[:2]) else frames).to(self.device)
                 for name, values in columns.items()}
        return TeacherTargets(pitch=Pitch(found.pop("octaves"), found.pop("voicing")), **found)

    def _spoken(self, wav: Path, ids: Sequence[int], samples: int,
                names: Sequence[str]) -> tuple[list[int], dict[str, np.ndarray]]:
        """Durations, and those of KEPT by name, of one utterance."""
        record, hop = read_record(wav), self.voice.config.data.hop_length
        if record is None:
            raise ValueError(f"{wav.with_suffix('.json')} is missing or damaged; with train.teacher the corpus is one "
                             "that python preprocess.py voice made")
        if record["text_ids"] != list(ids) or sum(record["durations"]) != samples // hop:
            raise ValueError(f"{wav} was spoken from other ids or for another time than its filelist and its audio "
                             "have; set data.cleaned_text=true, or let python preprocess.py voice read the texts again")
        kept = wav.with_suffix(f".{self.name}.npz")
        if not kept.is_file():
            content = io.BytesIO()
            np.savez(content, **{name: value.numpy().astype(np.float16)
                                 for name, value in zip(KEPT, self._computed(record, wav))})
            write_bytes_atomic(kept, content.getvalue())
        with np.load(kept) as arrays:
            return record["durations"], {name: arrays[name] for name in names}

    @torch.inference_mode()
    def _computed(self, record: dict, wav: Path) -> tuple[Tensor, ...]:
        """Each of KEPT, from the ids, durations and seed of an utterance, and from its sound."""
        model, data = self.voice.model, self.voice.config.data
        ids, durations = torch.tensor([record["text_ids"]]), torch.tensor([record["durations"]])
        speaker = record["speaker"]
        g = None if speaker is None else model.speaker_embedding(
            torch.tensor([speaker_id(speaker, data.speakers, data.n_speakers)]))
        prior = model.enc_p(ids, torch.tensor([ids.shape[1]]), g)
        n_frames = int(durations.sum())
        noise = record["noise_scale"] * prior_noise("prior", [record["seed"]], prior.mean.shape[1], [n_frames])
        mean, logstd = (expand_tokens(values, durations, n_frames) for values in (prior.mean, prior.logstd))
        z_p = mean + noise * torch.exp(logstd)
        z = model.flow.inverse(z_p, torch.ones(1, 1, n_frames), g)
        pitch = measure_pitch(torch.from_numpy(read_wav(wav).samples)[None], data)
        return tuple(values[0] for values in (prior.mean, prior.logstd, z_p, z, *pitch))


def _padded(values: Sequence[Tensor], size: int) -> Tensor:
    """Items of [..., n] as one batch, zeros behind each: [B, ..., size]."""
    return torch.stack([F.pad(each, (0, size - each.shape[-1])) for each in values])
