"""The published training step as GPUs ran it in 2021: half precision, and an alignment search on the host.

    step = PublishedHalfStep(new_networks(config, n_vocab, device), config)    # train.precision=fp16
    step(batch, spec)
"""
# Shapes: B batch, L text tokens, T frames, F FFT bins.

from __future__ import annotations

import contextlib
from functools import lru_cache
from unittest.mock import patch

import torch
from torch import Tensor

import monotonic_align
from benchmarks import alignment
from benchmarks.training_step import Losses, PublishedStep, norm_by_parameter, published_pass
from commons import slice_segments
from config import Config
from data_utils import Batch
from losses import GeneratorLosses, adversarial_loss, discriminator_losses, feature_loss, kl_loss, mel_loss
from mel_processing import mel_spectrogram, spec_to_mel
from training.step import Networks, autocast
from utils import set_seed

search_where_it_is = monotonic_align.maximum_path


@lru_cache(maxsize=1)
def has_published_search() -> bool:
    """Whether the published search can be compiled here; otherwise ours is used, also on the host."""
    with contextlib.suppress(Exception, SystemExit):  # distutils ends the process for some of its faults
        alignment.published_call(alignment.new_work(1, 2, 3, "cpu"))
        return True
    return False


def search_over_host(scores: Tensor, mask: Tensor) -> Tensor:
    """Search on the host as the published model does: copies of scores and path [B, T, L] included."""
    if has_published_search():
        return alignment.published_call(alignment.Work(scores, None, None, mask, mask.new_ones(())))
    path = search_where_it_is(scores.float().cpu(), mask.cpu())
    return path.to(scores)


class PublishedHalfStep(PublishedStep):
    """The published step in fp16 as `train.py` of 2021 has it: one loss scale for both networks; fp32 on the CPU.

    As there, cuDNN searches for its fastest algorithms, and the alignment is searched on the host.
    """

    def __init__(self, networks: Networks, config: Config):
        super().__init__(networks, config)
        device = next(networks.generator.parameters()).device
        self.scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")

    def __call__(self, batch: Batch, spec: Tensor) -> Losses:
        """Move both networks; spec [B, F, T] is what the published loader reads from its cache."""
        searches, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
        try:
            with patch.object(monotonic_align, "maximum_path", search_over_host):
                return self._step(batch, spec)
        finally:
            torch.backends.cudnn.benchmark = searches

    def _step(self, batch: Batch, spec: Tensor) -> Losses:
        config, (generator, discriminators) = self.config, self.networks
        set_seed(config.train.seed, self.step, 0, 0, 0)
        self.step += 1
        with autocast(config.train, batch.wav.device):
            out = published_pass(generator, batch, spec, batch.wav_lengths // config.data.hop_length)
        mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
        mel_fake = mel_spectrogram(out.wav_fake[:, 0].float(), config.data)
        wav_real = slice_segments(batch.wav[:, None], out.segment_starts * config.data.hop_length,
                                  config.train.segment_size)
        with autocast(config.train, batch.wav.device):
            judgements = discriminators(wav_real), discriminators(out.wav_fake.detach())
        judged = discriminator_losses(*judgements)
        self._move(1, judged.total())

        with autocast(config.train, batch.wav.device):
            real, fake = discriminators(wav_real), discriminators(out.wav_fake)
        losses = GeneratorLosses(
            mel=mel_loss(mel_real, mel_fake),
            kl=kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask),
            duration=out.duration_loss.sum(), adversarial=adversarial_loss(fake), features=feature_loss(real, fake),
            stft=torch.zeros((), device=spec.device), pitch=torch.zeros((), device=spec.device))
        self._move(0, losses.total(config.train))
        self.scaler.update()
        return Losses(losses, judged)

    def _move(self, side: int, loss: Tensor) -> None:
        """One network by one loss."""
        self.optimizers[side].zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizers[side])
        norm_by_parameter(self.networks[side])
        self.scaler.step(self.optimizers[side])
