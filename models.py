"""VITS (Kim, Kong, Son 2021): text encoder, posterior encoder, flow, duration predictors, and the model of them all.

    p(x | text) with x the linear spectrogram's waveform: z ~ posterior(x), flow(z) is compared with the text's prior,
    which a monotonic alignment search stretches over the frames; a generator turns segments of z into sound.

Attribute names below are public checkpoint keys of the 2021 release and stay as they are.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import record_function

import monotonic_align
from attentions import Encoder
from commons import expand_tokens, random_segment_starts, sequence_mask, slice_segments
from config import Config, ModelConfig
from generators import GENERATORS, HifiGanStack, IstftGenerator
from mel_processing import spec_to_mel
from modules import (
    ConvFlow,
    DilatedDepthSeparableConv,
    ElementwiseAffine,
    Flip,
    LayerNorm,
    Log,
    ResidualCouplingLayer,
    WaveNet,
    in_float32,
    same_padding,
)
from pitch import Pitch, PitchPredictor, pitch_loss, with_contour
from utils import Registry, require_plugins

# Shapes: B batch, L text tokens, T frames, S samples, C latent channels, H hidden channels, G speaker channels,
# F FFT bins. Masks are [B, 1, L] or [B, 1, T].

DURATION_PREDICTORS: Registry[nn.Module] = Registry("duration predictor")
"""Builders `(model: ModelConfig) -> module` with `.loss(hidden, mask, durations, g) -> [B]` (summed over tokens) and
`.predict(hidden, mask, g, noise [B, 2, L]) -> log-durations [B, 1, L]`."""

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
TRAINING_PARTS = ("enc_q", "dp.flows.1", "dp.post_flows", "dp.post_pre", "dp.post_convs", "dp.post_proj")
"""Submodules that synthesis does not use; a voice that was read from an inference graph lacks them."""

MAX_LOG_DURATION = math.log(1000)  # frames of one token; an untrained predictor may give e^20


def draw_normal(like: Tensor) -> Tensor:
    """Standard normal noise of `like`'s shape, type and device."""
    return torch.randn_like(like)


NO_POSTERIOR = ("this voice has no posterior encoder (enc_q), which encodes recordings: it was read from a file for "
                "inference only. Expected a voice with one: read it again by python convert.py VOICE.onnx -o RUN "
                "--teach-posterior TEXTS, or train it further (--init-from)")


class Prior(NamedTuple):
    """Text encoder's output: hidden [B, H, L], mean and log standard deviation [B, C, L], mask [B, 1, L]."""

    hidden: Tensor
    mean: Tensor
    logstd: Tensor
    mask: Tensor


class Posterior(NamedTuple):
    """Posterior encoder's output: a sample z, mean and log standard deviation, all [B, C, T], mask [B, 1, T]."""

    z: Tensor
    mean: Tensor
    logstd: Tensor
    mask: Tensor


class TextEncoder(nn.Module):
    """Token ids -> hidden sequence and the prior's parameters for each token."""

    def __init__(self, n_vocab: int, model: ModelConfig):
        super().__init__()
        self.scale = math.sqrt(model.hidden_channels)
        self.emb = nn.Embedding(n_vocab, model.hidden_channels)
        nn.init.normal_(self.emb.weight, 0.0, model.hidden_channels**-0.5)
        self.encoder = Encoder(
            model.hidden_channels, model.filter_channels, model.n_heads, model.n_layers, model.kernel_size,
            model.p_dropout, window=model.attention_window,
            gin_channels=model.gin_channels if model.speaker_in_text_encoder else 0)
        self.proj = nn.Conv1d(model.hidden_channels, 2 * model.inter_channels, 1)

    def forward(self, text_ids: Tensor, text_lengths: Tensor, g: Tensor | None = None) -> Prior:
        """text_ids [B, L], text_lengths [B], g [B, G, 1] or [B, G, L], which only `speaker_in_text_encoder` uses."""
        embedded = (self.emb(text_ids) * self.scale).mT  # [B, L, H] -> [B, H, L]
        mask = sequence_mask(text_lengths, text_ids.shape[1])[:, None].to(embedded.dtype)
        hidden = self.encoder(embedded, mask, g)
        mean, logstd = (self.proj(hidden) * mask).chunk(2, dim=1)
        return Prior(hidden, mean, logstd, mask)


class PosteriorEncoder(nn.Module):
    """Linear spectrogram, or log-mel (VITS2) -> latent frames, by a WaveNet."""

    def __init__(self, spec_channels: int, model: ModelConfig):
        super().__init__()
        self.pre = nn.Conv1d(spec_channels, model.hidden_channels, 1)
        self.enc = WaveNet(model.hidden_channels, model.wavenet_kernel_size, model.posterior_layers,
                           model.gin_channels)
        self.proj = nn.Conv1d(model.hidden_channels, 2 * model.inter_channels, 1)

    def forward(self, spec: Tensor, spec_lengths: Tensor, g: Tensor | None = None,
                noise: Tensor | None = None) -> Posterior:
        """spec [B, F, T] or log-mel [B, M, T], spec_lengths [B], g [B, G, 1], noise [B, C, T] or drawn here."""
        mask = sequence_mask(spec_lengths, spec.shape[2])[:, None].to(spec.dtype)
        hidden = self.enc(self.pre(spec) * mask, mask, g)
        mean, logstd = (self.proj(hidden) * mask).chunk(2, dim=1)
        noise = draw_normal(mean) if noise is None else noise
        z = (mean + noise * torch.exp(logstd)) * mask
        return Posterior(z, mean, logstd, mask)


def _flow_transformer(model: ModelConfig) -> Encoder | None:
    """The transformer of one coupling (VITS2), as in its two published kinds."""
    if model.flow_transformer == "none":
        return None
    if model.flow_transformer == "pre_conv":
        half = model.inter_channels // 2
        return Encoder(half, half, 2, 2, 3, model.p_dropout_flow, window=None)
    width = model.hidden_channels
    return Encoder(width, width, 2, 1, 5, model.p_dropout_flow, window=4)


class ResidualCouplingBlock(nn.Module):
    """The prior's normalizing flow: couplings with flips between, volume preserving."""

    def __init__(self, model: ModelConfig):
        super().__init__()
        self.flows = nn.ModuleList()
        for _ in range(model.flow_couplings):
            self.flows.append(ResidualCouplingLayer(
                model.inter_channels, model.hidden_channels, model.wavenet_kernel_size, model.flow_layers,
                model.gin_channels, _flow_transformer(model), is_behind=model.flow_transformer == "pre_conv2"))
            self.flows.append(Flip())

    def forward(self, z: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """Latent to prior space, [B, C, T] -> [B, C, T]; the log-determinant is zero."""
        for flow in self.flows:
            z = flow(z, mask, g).z
        return z

    def inverse(self, z_p: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """Prior space to latent."""
        for flow in reversed(self.flows):
            z_p = flow.inverse(z_p, mask, g)
        return z_p


@DURATION_PREDICTORS.register("stochastic")
class StochasticDurationPredictor(nn.Module):
    """Log-durations by a flow with variational dequantization and augmentation (section 2.2.3, appendix B)."""

    def __init__(self, model: ModelConfig):
        super().__init__()
        width, kernel, p_dropout = model.hidden_channels, 3, model.p_dropout_duration
        self.log_flow = Log()
        self.flows = self._flows(width, kernel, model.duration_flows)
        self.post_flows = self._flows(width, kernel, model.duration_flows)
        self.post_pre = nn.Conv1d(1, width, 1)
        self.post_convs = DilatedDepthSeparableConv(width, kernel, 3, p_dropout)
        self.post_proj = nn.Conv1d(width, width, 1)
        self.pre = nn.Conv1d(width, width, 1)
        self.convs = DilatedDepthSeparableConv(width, kernel, 3, p_dropout)
        self.proj = nn.Conv1d(width, width, 1)
        if model.gin_channels:
            self.cond = nn.Conv1d(model.gin_channels, width, 1)

    @staticmethod
    def _flows(width: int, kernel: int, n_flows: int) -> nn.ModuleList:
        flows = nn.ModuleList([ElementwiseAffine(2)])
        for _ in range(n_flows):
            flows.append(ConvFlow(width, kernel))
            flows.append(Flip())
        return flows

    def _condition(self, hidden: Tensor, mask: Tensor, g: Tensor | None) -> Tensor:
        x = self.pre(hidden.detach())  # durations do not shape the text encoder
        if g is not None:
            x = x + self.cond(g.detach())
        return self.proj(self.convs(x, mask)) * mask

    @in_float32
    def loss(self, hidden: Tensor, mask: Tensor, durations: Tensor, g: Tensor | None = None) -> Tensor:
        """Upper bound of the durations' negative log-likelihood (eq. 9), summed over tokens.

        Args:
            hidden: [B, H, L].
            mask: [B, 1, L].
            durations: [B, 1, L] in frames.
            g: [B, G, 1].

        Returns:
            [B], in nats.
        """
        condition = self._condition(hidden, mask, g)
        seen = self.post_proj(self.post_convs(self.post_pre(durations), mask)) * mask
        noise = draw_normal(durations.new_empty(durations.shape[0], 2, durations.shape[2])) * mask  # [B, 2, L]

        # q(u, v | durations): u in (0, 1) dequantizes, v augments.
        z_q, log_det_q = noise, 0.0
        for flow in self.post_flows:
            z_q, log_det = flow(z_q, mask, condition + seen)
            log_det_q = log_det_q + log_det
        z_u, v = z_q.chunk(2, dim=1)
        log_det_q = log_det_q + ((F.logsigmoid(z_u) + F.logsigmoid(-z_u)) * mask).sum(dim=(1, 2))
        log_q = -((HALF_LOG_2PI + 0.5 * noise.square()) * mask).sum(dim=(1, 2)) - log_det_q

        # p(durations - u, v | text).
        log_durations, log_det_p = self.log_flow((durations - torch.sigmoid(z_u) * mask) * mask, mask)
        z = torch.cat([log_durations, v], dim=1)
        for flow in self.flows:
            z, log_det = flow(z, mask, condition)
            log_det_p = log_det_p + log_det
        negative_log_p = ((HALF_LOG_2PI + 0.5 * z.square()) * mask).sum(dim=(1, 2)) - log_det_p
        return negative_log_p + log_q

    def teacher_loss(self, hidden: Tensor, mask: Tensor, durations: Tensor, g: Tensor | None = None) -> Tensor:
        """The same of a teacher's durations; 0 for a predictor without its training parts, which cannot learn."""
        return self.loss(hidden, mask, durations, g) if self.post_pre is not None else durations.sum(dim=(1, 2)) * 0

    def predict(self, hidden: Tensor, mask: Tensor, g: Tensor | None, noise: Tensor) -> Tensor:
        """Log-durations from noise [B, 2, L]: hidden [B, H, L] -> [B, 1, L]."""
        condition = self._condition(hidden, mask, g)
        z = noise.float()
        # The first coupling changes only v, which is not used: it is skipped, as published.
        used = [self.flows[0], *self.flows[2:]]
        for flow in reversed(used):
            z = flow.inverse(z, mask, condition)
        return z[:, :1]


@DURATION_PREDICTORS.register("deterministic")
class DurationPredictor(nn.Module):
    """Log-durations by regression: two convolutions and a projection."""

    def __init__(self, model: ModelConfig):
        super().__init__()
        hidden, width, kernel = model.hidden_channels, model.duration_channels, 3
        self.drop = nn.Dropout(model.p_dropout_duration)
        self.conv_1 = nn.Conv1d(hidden, width, kernel, padding=same_padding(kernel))
        self.norm_1 = LayerNorm(width)
        self.conv_2 = nn.Conv1d(width, width, kernel, padding=same_padding(kernel))
        self.norm_2 = LayerNorm(width)
        self.proj = nn.Conv1d(width, 1, 1)
        if model.gin_channels:
            self.cond = nn.Conv1d(model.gin_channels, hidden, 1)

    def _log_durations(self, hidden: Tensor, mask: Tensor, g: Tensor | None) -> Tensor:
        x = hidden
        if g is not None:
            x = x + self.cond(g.detach())
        x = self.drop(self.norm_1(F.relu(self.conv_1(x * mask))))
        x = self.drop(self.norm_2(F.relu(self.conv_2(x * mask))))
        return self.proj(x * mask).float() * mask

    def loss(self, hidden: Tensor, mask: Tensor, durations: Tensor, g: Tensor | None = None) -> Tensor:
        """Squared error of log-durations, summed over tokens: [B]; arguments as in the stochastic predictor."""
        wanted = torch.log(durations + 1e-6) * mask
        return (self._log_durations(hidden.detach(), mask, g) - wanted).square().sum(dim=(1, 2))

    def teacher_loss(self, hidden: Tensor, mask: Tensor, durations: Tensor, g: Tensor | None = None) -> Tensor:
        """Half the Poisson deviance from a teacher's durations, summed over tokens: [B].

        It is least at the mean of a token's durations, which keeps the pace; the squared error of logarithms is least
        at their geometric mean, which is shorter. The durations shape the text encoder; half a frame is taken off
        them, as `ceil` adds it.
        """
        predicted = self._log_durations(hidden, mask, g).clamp(max=MAX_LOG_DURATION)
        wanted = (durations - 0.5).clamp(min=0.5)
        deviance = predicted.exp() - wanted - wanted * (predicted - wanted.log())
        return (deviance * mask).sum(dim=(1, 2))

    def predict(self, hidden: Tensor, mask: Tensor, g: Tensor | None, noise: Tensor) -> Tensor:
        """Log-durations [B, 1, L]; noise is not used."""
        return self._log_durations(hidden, mask, g)


class TeacherTargets(NamedTuple):
    """What another voice of the same text and latent computed for a batch that it spoke."""

    durations: Tensor  # [B, L] int64, frames
    z: Tensor  # [B, C, T], the latent that its flow made of z_p and its generator decoded
    pitch: Pitch  # [B, T] each, as measured in its speech
    prior_mean: Tensor | None = None  # [B, C, L]; None where only the generator learns, as the next two
    prior_logstd: Tensor | None = None  # [B, C, L]
    z_p: Tensor | None = None  # [B, C, T], a sample of that prior


class SynthesizerOutput(NamedTuple):
    """Output of a training pass."""

    wav_fake: Tensor  # [B, 1, segment samples]
    segment_starts: Tensor  # [B], frames
    durations: Tensor  # [B, L], frames, from the alignment search
    duration_loss: Tensor  # [B], over the number of all valid tokens: its sum is the loss
    text_mask: Tensor  # [B, 1, L]
    spec_mask: Tensor  # [B, 1, T]
    z: Tensor  # [B, C, T], posterior sample, or the teacher's latent; the next five are None with a teacher
    z_p: Tensor | None  # [B, C, T], the same in prior space
    prior_mean: Tensor | None  # [B, C, T], stretched over frames by the alignment
    prior_logstd: Tensor | None  # [B, C, T]
    posterior_mean: Tensor | None  # [B, C, T]
    posterior_logstd: Tensor | None  # [B, C, T]
    pitch_loss: Tensor  # scalar, 0 for a generator that takes no pitch
    teacher_prior: Tensor | None = None  # scalar, see `prior_divergence`; None without a teacher, as the next
    teacher_flow: Tensor | None = None  # scalar, mean squared error of the flow's latent of the teacher's z_p
    bands_fake: Tensor | None = None  # [B, N, segment samples / N], of a generator that has `pqmf`


def prior_divergence(targets: TeacherTargets, prior: Prior) -> Tensor:
    """KL divergence of a prior from a teacher's, channels summed, mean over tokens: a scalar, in float32."""
    mean, logstd = prior.mean.float(), prior.logstd.float()
    kl = logstd - targets.prior_logstd - 0.5 + 0.5 * torch.exp(-2 * logstd) * (
        torch.exp(2 * targets.prior_logstd) + (mean - targets.prior_mean).square())
    return (kl * prior.mask).sum() / prior.mask.sum()


class Latent(NamedTuple):
    """Input of the generator."""

    z: Tensor  # [B, C, T], zeros past an item's end; with more channels where the generator takes pitch
    lengths: Tensor  # [B], frames
    durations: Tensor  # [B, L], frames


class InferenceOutput(NamedTuple):
    """Synthesized speech.

    In a batch of unequal lengths a shorter item is followed by zeros that are not its own padding: its last frames
    differ a little from those of the item alone, as published.
    `synthesis.streaming.decode_batch` decodes such a batch as if each item were alone.
    """

    wav: Tensor  # [B, 1, S]
    wav_lengths: Tensor  # [B], samples
    durations: Tensor  # [B, L], frames
    z: Tensor  # [B, C, T]


class BatchNoise(Protocol):
    """Source of the noise of a batch: `UnseededNoise`, or `synthesis.noise.SeededNoise` with a seed for each item."""

    def durations(self, n_tokens: Sequence[int]) -> Tensor:
        """[B, 2, L] for so many tokens of each item."""

    def prior(self, channels: int, lengths: Sequence[int]) -> Tensor:
        """[B, C, T] for so many frames of each item."""


class UnseededNoise(NamedTuple):
    """Noise of torch's common generator, on the device and of the type of `like`."""

    like: Tensor
    text_shape: torch.Size  # [B, L], padding included

    def durations(self, n_tokens: Sequence[int]) -> Tensor:
        """[B, 2, L] float32."""
        return draw_normal(self.like.new_empty(self.text_shape[0], 2, self.text_shape[1], dtype=torch.float32))

    def prior(self, channels: int, lengths: Sequence[int]) -> Tensor:
        """[B, C, T]."""
        return draw_normal(self.like.new_empty(len(lengths), channels, max(lengths)))


SpeakerEmbeddings = Callable[[Sequence[int]], Tensor | None]
"""Speaker embeddings of a batch over that many tokens or frames of each item: [B, G, 1], or [B, G, longest] where one
of them changes on the way; None for one voice."""


class SynthesizerTrn(nn.Module):
    """The whole generator side of VITS. `n_speakers` 0 and 1 are one voice and have no speaker embedding."""

    def __init__(self, n_vocab: int, config: Config):
        super().__init__()
        model, data = config.model, config.data
        require_plugins(model.plugins)
        if not config.multispeaker and model.gin_channels:
            model = dataclasses.replace(model, gin_channels=0)
        self.segment_frames = config.segment_frames
        self.own_latent = config.train.own_latent
        self.hop_length = data.hop_length
        self.enc_p = TextEncoder(n_vocab, model)
        self.dec = GENERATORS.get(model.generator)(model, data)
        self.enc_q = PosteriorEncoder(config.posterior_channels, model)
        self.posterior_input = model.posterior_input
        self.mas_noise_over = config.train.mas_noise_over
        self.flow = ResidualCouplingBlock(model)
        self.dp = DURATION_PREDICTORS.get(model.duration_predictor)(model)
        takes_pitch = getattr(self.dec, "takes_pitch", False)
        self.pitch = PitchPredictor(model.inter_channels) if takes_pitch else None
        self.data = data
        self.n_speakers = data.n_speakers
        if config.multispeaker:
            self.emb_g = nn.Embedding(data.n_speakers, model.gin_channels)

    def forward(self, text_ids: Tensor, text_lengths: Tensor, spec: Tensor, spec_lengths: Tensor,
                speaker_ids: Tensor | None = None, alignment_prior: float = 0.0,
                pitch: Pitch | None = None, targets: TeacherTargets | None = None,
                alignment_noise: float = 0.0) -> SynthesizerOutput:
        """One training pass.

        Args:
            text_ids: [B, L].
            text_lengths: [B] tokens.
            spec: linear spectrogram [B, F, T].
            spec_lengths: [B] frames, each at least the item's text length.
            speaker_ids: [B], for several voices.
            alignment_prior: weight of a prior for even reading in the alignment search, 0 for none.
            pitch: as measured, for a generator that takes it; without it the pitch loss is 0.
            targets: of a teacher; they replace posterior, alignment search and measured pitch.
            alignment_noise: on the scores of the alignment search, over their standard deviation (VITS2).
        """
        g = self.speaker_embedding(speaker_ids)
        if targets is not None:
            return self._forward_with_teacher(text_ids, text_lengths, spec_lengths, g, targets)
        with record_function("text encoder"):
            prior = self.enc_p(text_ids, text_lengths, g)
        with record_function("posterior encoder"):
            posterior = self.encode_posterior(spec, spec_lengths, g)
        with record_function("flow"):
            z_p = self.flow(posterior.z, posterior.mask, g)
        with torch.no_grad(), record_function("alignment"):
            scores = alignment_scores(z_p, prior)  # [B, T, L]
            if alignment_prior:
                scores = scores + alignment_prior * diagonal_prior(text_lengths, spec_lengths, *scores.shape[1:])
            if alignment_noise:
                over = (None if self.mas_noise_over == "padded" else
                        posterior.mask.mT * prior.mask)  # [B, T, L]
                scores = noisy_scores(scores, alignment_noise, over)
            durations = monotonic_align.durations(scores, text_lengths, spec_lengths)  # [B, L]
        frame_durations = durations[:, None].to(prior.mask.dtype)
        with record_function("duration predictor"):
            duration_loss = self.dp.loss(prior.hidden, prior.mask, frame_durations, g) / prior.mask.sum()
        n_frames = spec.shape[2]
        starts = random_segment_starts(spec_lengths, self.segment_frames)
        with record_function("generator"):
            z, of_pitch = self._with_teacher_pitch(posterior.z, posterior.mask, pitch)
            wav_fake, bands_fake = self._decode_segments(z, starts, g)
        return SynthesizerOutput(
            wav_fake=wav_fake,
            bands_fake=bands_fake,
            segment_starts=starts,
            durations=durations,
            duration_loss=duration_loss,
            text_mask=prior.mask,
            spec_mask=posterior.mask,
            z=posterior.z,
            z_p=z_p,
            prior_mean=expand_tokens(prior.mean, durations, n_frames),
            prior_logstd=expand_tokens(prior.logstd, durations, n_frames),
            posterior_mean=posterior.mean,
            posterior_logstd=posterior.logstd,
            pitch_loss=of_pitch)

    def _decode_segments(self, z: Tensor, starts: Tensor, g: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Waveform of segments of z, and their bands from a generator that has them."""
        segments = slice_segments(z, starts, self.segment_frames)
        if hasattr(self.dec, "pqmf"):
            return self.dec(segments, g, with_bands=True)
        return self.dec(segments, g), None

    def _with_teacher_pitch(self, z: Tensor, mask: Tensor, measured: Pitch | None) -> tuple[Tensor, Tensor]:
        """Generator's input with the recording's pitch, and the loss of the pitch that is predicted from z."""
        if self.pitch is None or measured is None:
            return self.with_pitch(z, mask), z.new_zeros((), dtype=torch.float32)
        predicted = self.pitch(z)
        contour = predicted.teacher_forced(measured)
        return with_contour(z, contour, mask, self.data), pitch_loss(predicted, measured, mask)

    def with_pitch(self, z: Tensor, mask: Tensor) -> Tensor:
        """Generator's input of a latent: z [B, C, T] itself, or with the contour of its pitch (see pitch.py)."""
        return z if self.pitch is None else with_contour(z, self.pitch(z).spoken(), mask, self.data)

    def _forward_with_teacher(self, text_ids: Tensor, text_lengths: Tensor, spec_lengths: Tensor, g: Tensor | None,
                              targets: TeacherTargets) -> SynthesizerOutput:
        """The pass that learns from a teacher's targets; in training, parts that are frozen are left out."""
        def is_learned(*parts: nn.Module) -> bool:
            return not torch.is_grad_enabled() or any(p.requires_grad for part in parts for p in part.parameters())

        text_mask, spec_mask = (sequence_mask(lengths, n)[:, None].to(targets.z.dtype) for lengths, n in (
            (text_lengths, text_ids.shape[1]), (spec_lengths, targets.z.shape[2])))
        of_prior = of_flow = targets.z.new_zeros(())
        of_durations = targets.z.new_zeros(len(text_ids))
        if self.own_latent or is_learned(self.enc_p, self.dp):
            prior = self.enc_p(text_ids, text_lengths, g)
            of_prior = prior_divergence(targets, prior)
            durations = targets.durations[:, None].to(prior.mask.dtype)
            of_durations = self.dp.teacher_loss(prior.hidden, prior.mask, durations, g) / text_mask.sum()
        if is_learned(self.flow):
            error = (self.flow.inverse(targets.z_p, spec_mask, g) - targets.z).float().square()  # [B, C, T]
            of_flow = (error.mean(dim=1, keepdim=True) * spec_mask).sum() / spec_mask.sum()
        z = self._own_latent(prior, targets, spec_mask, g) if self.own_latent else targets.z
        starts = random_segment_starts(spec_lengths, self.segment_frames)
        z, of_pitch = self._with_teacher_pitch(z, spec_mask, targets.pitch)
        wav_fake, bands_fake = self._decode_segments(z, starts, g)
        return SynthesizerOutput(
            wav_fake=wav_fake, bands_fake=bands_fake, segment_starts=starts,
            durations=targets.durations, duration_loss=of_durations, text_mask=text_mask, spec_mask=spec_mask,
            z=targets.z, z_p=None, prior_mean=None, prior_logstd=None, posterior_mean=None, posterior_logstd=None,
            pitch_loss=of_pitch, teacher_prior=of_prior, teacher_flow=of_flow)

    def _own_latent(self, prior: Prior, targets: TeacherTargets, mask: Tensor, g: Tensor | None) -> Tensor:
        """This model's latent of the noise and the durations that the teacher spoke with, [B, C, T]."""
        mean, logstd, teacher_mean, teacher_logstd = (
            expand_tokens(values.float(), targets.durations, mask.shape[2])
            for values in (prior.mean, prior.logstd, targets.prior_mean, targets.prior_logstd))
        noise = (targets.z_p - teacher_mean) * torch.exp(-teacher_logstd)
        return self.flow.inverse((mean + noise * torch.exp(logstd)) * mask, mask, g) * mask

    @torch.no_grad()
    def infer(self, text_ids: Tensor, text_lengths: Tensor, speaker_ids: Tensor | None = None, *,
              noise_scale: float = 0.667, length_scale: float = 1.0, noise_scale_duration: float = 0.8,
              durations: Tensor | Callable[[Tensor], Tensor] | None = None, max_frames: int | None = None,
              noise: BatchNoise | None = None) -> InferenceOutput:
        """Text to speech: all stages in one call, as published.

        Args:
            text_ids: [B, L].
            text_lengths: [B] tokens.
            speaker_ids: [B], for several voices.
            noise_scale: standard deviation of the prior's noise; 0 gives its mode.
            length_scale: 2 speaks half as fast.
            noise_scale_duration: the same for the stochastic duration predictor's noise.
            durations: as of `text_to_latent`, instead of predicted ones times `length_scale`, rounded up.
            max_frames: cuts longer speech off.
            noise: of each item by itself, such as `synthesis.noise.SeededNoise`; torch's common noise without it.
        """
        g = self.speaker_embedding(speaker_ids)
        latent = self.text_to_latent(
            text_ids, text_lengths, lambda lengths: g,
            UnseededNoise(self.enc_p.proj.weight, text_ids.shape) if noise is None else noise,
            durations=(lambda predicted: torch.ceil(predicted * length_scale)) if durations is None else durations,
            noise_scale=noise_scale, noise_scale_duration=noise_scale_duration)
        lengths = latent.lengths.clamp(max=max_frames) if max_frames else latent.lengths
        z = latent.z[:, :, :max_frames]
        return InferenceOutput(self.dec(z, g), lengths * self.hop_length, latent.durations, z)

    def text_to_latent(self, text_ids: Tensor, text_lengths: Tensor, speaker: SpeakerEmbeddings, noise: BatchNoise, *,
                       durations: Tensor | Callable[[Tensor], Tensor] = torch.ceil, noise_scale: float = 0.667,
                       noise_scale_duration: float = 0.8) -> Latent:
        """Text to the generator's input: text encoder, duration predictor and inverse flow.

        Args:
            text_ids: [B, L].
            text_lengths: [B] tokens.
            speaker: embeddings over tokens, then over frames.
            noise: of the duration predictor, then of the prior.
            durations: [B, L] whole frames for each token; or what makes such of those that are predicted, [B, L].
            noise_scale: standard deviation of the prior's noise; 0 gives its mode.
            noise_scale_duration: the same for the stochastic duration predictor's noise.
        """
        n_tokens = text_lengths.tolist()
        of_tokens = speaker(n_tokens)
        prior = self.enc_p(text_ids, text_lengths, of_tokens)
        if callable(durations):
            drawn = noise.durations(n_tokens).to(text_ids.device)
            drawn = F.pad(drawn, (0, text_ids.shape[1] - drawn.shape[2]))
            durations = durations(self.predict_durations(prior, of_tokens, noise_scale_duration * drawn))
        lengths = durations.sum(dim=1).long().clamp(min=1).tolist()
        drawn = noise.prior(prior.mean.shape[1], lengths).to(prior.mean)
        return self.latent(prior, durations, speaker(lengths), noise_scale * drawn)

    def predict_durations(self, prior: Prior, g: Tensor | None, noise: Tensor) -> Tensor:
        """Predicted frames of each token, not rounded: prior of L tokens, g [B, G, 1], noise [B, 2, L] -> [B, L].

        Published synthesis rounds them up (`torch.ceil`).
        """
        log_durations = self.dp.predict(prior.hidden, prior.mask, g, noise)
        return (torch.exp(log_durations.float().clamp(max=MAX_LOG_DURATION)) * prior.mask)[:, 0]

    def latent(self, prior: Prior, durations: Tensor, g: Tensor | None, noise: Tensor) -> Latent:
        """Latent of a text whose durations are known: prior over frames, noise and inverse flow.

        Args:
            prior: of the text, L tokens.
            durations: [B, L] whole frames for each.
            g: [B, G, 1], or [B, G, T] where the speaker changes on the way; None for one voice.
            noise: [B, C, T], T the sum of the longest item's durations, at least 1; 0 gives the prior's mode.
        """
        durations = durations.to(prior.mean.device, torch.int64) * prior.mask[:, 0].to(torch.int64)
        lengths, n_frames = durations.sum(dim=1).clamp(min=1), noise.shape[2]
        mask = sequence_mask(lengths, n_frames)[:, None].to(prior.mean.dtype)
        mean, logstd = (expand_tokens(values, durations, n_frames) for values in (prior.mean, prior.logstd))
        z_p = (mean + noise * torch.exp(logstd)) * mask
        z = self.flow.inverse(z_p, mask, g) * mask
        return Latent(self.with_pitch(z, mask), lengths, durations)

    @torch.no_grad()
    def voice_conversion(self, spec: Tensor, spec_lengths: Tensor, source_ids: Tensor, target_ids: Tensor,
                         noise: BatchNoise | None = None) -> Tensor:
        """Voice conversion of recordings: spectrogram [B, F, T] of the source speakers -> wav [B, 1, S].

        Raises:
            ValueError: the model has one voice.
        """
        if self.n_speakers < 2:
            raise ValueError("voice conversion needs a model of several speakers; this one has one voice")
        source, target = self.speaker_embedding(source_ids), self.speaker_embedding(target_ids)
        drawn = None
        if noise is not None:
            drawn = noise.prior(self.enc_p.proj.out_channels // 2, spec_lengths.tolist())
            drawn = F.pad(drawn, (0, spec.shape[2] - drawn.shape[2])).to(spec)
        z = self.converted(spec, spec_lengths, source, target, drawn)
        return self.dec(z, target)

    def leave_out(self, names: Iterable[str]) -> tuple[str, ...]:
        """Remove each of TRAINING_PARTS of which no parameter is among the names of a state dict.

        Returns:
            what was removed; a part of which some names are there stays, so that a strict load finds the others.
        """
        present = dict(self.named_modules())
        known = {name.rpartition(".")[0] for name in names}
        absent = tuple(part for part in TRAINING_PARTS
                       if part in present and not any(f"{name}.".startswith(f"{part}.") for name in known))
        for part in absent:
            parent, _, name = part.rpartition(".")
            owner = self.get_submodule(parent)
            setattr(owner, name, nn.Identity() if isinstance(owner, nn.ModuleList) else None)
        return absent

    def encode_posterior(self, spec: Tensor, spec_lengths: Tensor, g: Tensor | None = None,
                         noise: Tensor | None = None) -> Posterior:
        """Posterior of a recording's linear spectrogram [B, F, T]; other arguments as of PosteriorEncoder.

        Raises:
            ValueError: this voice has no posterior encoder.
        """
        if self.enc_q is None:
            raise ValueError(NO_POSTERIOR)
        if self.posterior_input == "mel":
            spec = spec_to_mel(spec, self.data) * sequence_mask(spec_lengths, spec.shape[2])[:, None]
        return self.enc_q(spec, spec_lengths, g, noise)

    def converted(self, spec: Tensor, spec_lengths: Tensor, source: Tensor, target: Tensor,
                  noise: Tensor | None = None) -> Tensor:
        """Generator's input in the target's voice: spec [B, F, T], both speakers [B, G, 1] -> z [B, C, T]."""
        posterior = self.encode_posterior(spec, spec_lengths, source, noise)
        z_p = self.flow(posterior.z, posterior.mask, source)
        z = self.flow.inverse(z_p, posterior.mask, target) * posterior.mask
        return self.with_pitch(z, posterior.mask)

    @property
    def conversion_context(self) -> int | None:
        """Frames on either side that a converted frame depends on; None without `context_frames` or posterior encoder.

        The phase of its pitch depends on all frames before it: see `pitch.in_phase`.
        """
        if self.enc_q is None or getattr(self.dec, "context_frames", None) is None:
            return None
        if any(isinstance(part, Encoder) for part in self.flow.modules()):  # attention reaches everywhere
            return None
        flow = sum(part.context_frames for part in self.flow.modules() if isinstance(part, WaveNet))
        pitch = self.pitch.context_frames if self.pitch is not None else 0
        return self.enc_q.enc.context_frames + 2 * flow + pitch + self.dec.context_frames

    def speaker_embedding(self, speaker_ids: Tensor | None) -> Tensor | None:
        """Embeddings of speaker ids: [B] -> [B, G, 1], None for one voice.

        Raises:
            ValueError: ids are missing though the model has several voices.
        """
        if self.n_speakers < 2:
            return None
        if speaker_ids is None:
            raise ValueError(f"this model has {self.n_speakers} voices; choose by speaker_ids")
        return self.emb_g(speaker_ids)[:, :, None]


@torch.no_grad()
def bake_speaker(model: SynthesizerTrn, speaker_id: int) -> SynthesizerTrn:
    """A single-speaker copy for one of several speakers: what its embedding adds to each layer becomes a bias.

    Raises:
        ValueError: the model has one voice, lacks this one, or has a part, not built in, that conditions elsewhere.
    """
    if not 0 <= speaker_id < model.n_speakers or model.n_speakers < 2:
        raise ValueError(f"no speaker {speaker_id} to bake into the biases of a model of {model.n_speakers} speakers")
    baked = copy.deepcopy(model)
    g = model.emb_g.weight[speaker_id][None, :, None]  # [1, G, 1]
    for part in baked.modules():
        if isinstance(part, WaveNet):
            for layer, condition in zip(part.in_layers, part.cond_layer(g)[0, :, 0].chunk(part.n_layers)):
                layer.bias.add_(condition)
            del part.cond_layer
    encoder = baked.enc_p.encoder
    if encoder.is_conditioned:
        shift = encoder.spk_emb_linear(g[:, :, 0])[0]
        if encoder.speaker_layer:
            encoder.norm_layers_2[encoder.speaker_layer - 1].beta.add_(shift)
        else:
            baked.enc_p.emb.weight.add_(shift / baked.enc_p.scale)
        del encoder.spk_emb_linear
    if isinstance(baked.dec, (HifiGanStack, IstftGenerator)):
        first = baked.dec.conv_pre if isinstance(baked.dec, HifiGanStack) else baked.dec.embed
        first.bias.add_(baked.dec.cond(g)[0, :, 0])
        del baked.dec.cond
    if isinstance(baked.dp, StochasticDurationPredictor):
        baked.dp.pre.bias.add_(baked.dp.cond(g)[0, :, 0])
        del baked.dp.cond
    elif isinstance(baked.dp, DurationPredictor):
        # It adds before a convolution that pads with zeros, where a bias would be wrong at both ends of the text. So
        # the text encoder gives a hidden sequence that is shifted already, and its own projection takes that back.
        shift = baked.dp.cond(g)[0, :, 0]
        baked.enc_p.encoder.norm_layers_2[-1].beta.add_(shift)
        baked.enc_p.proj.bias.sub_(baked.enc_p.proj.weight[:, :, 0] @ shift)
        del baked.dp.cond
    left = [name for name, _ in baked.named_parameters() if "cond" in name.partition(".")[2]]
    if left:
        raise ValueError(f"cannot bake a speaker into the biases: {', '.join(left)} of a part that is not built in")
    del baked.emb_g
    baked.n_speakers = 0
    return baked


def alignment_scores(z_p: Tensor, prior: Prior) -> Tensor:
    """Log-likelihood of each frame under each token's prior (eq. 6), in float32: z_p [B, C, T] -> [B, T, L]."""
    with torch.autocast(z_p.device.type, enabled=False):
        z_p, mean, logstd = z_p.float(), prior.mean.float(), prior.logstd.float()
        precision = torch.exp(-2 * logstd)  # [B, C, L]
        of_token = (-HALF_LOG_2PI - logstd - 0.5 * mean.square() * precision).sum(dim=1)[:, None]  # [B, 1, L]
        return of_token + z_p.mT @ (mean * precision) - 0.5 * z_p.square().mT @ precision


def noisy_scores(scores: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    """Scores of the alignment search with Gaussian noise, so that it tries other paths early in training (VITS2).

    Args:
        scores: [B, T, L].
        scale: the noise's standard deviation over that of the scores.
        mask: [B, T, L], what each item's deviation is taken of; None takes one of the whole batch, padding included, as
            published code does.
    """
    if mask is None:
        deviation = scores.std()
    else:
        n = mask.sum(dim=(1, 2), keepdim=True)
        mean = (scores * mask).sum(dim=(1, 2), keepdim=True) / n
        deviation = (((scores - mean) * mask).square().sum(dim=(1, 2), keepdim=True) / (n - 1).clamp(min=1)).sqrt()
    return scores + scale * deviation * draw_normal(scores)


def diagonal_prior(text_lengths: Tensor, spec_lengths: Tensor, n_frames: int, n_tokens: int) -> Tensor:
    """Log of a Gaussian ridge along the diagonal of each item, in nats: [B, T, L], 0 on the diagonal.

    Added to the scores while nothing is aligned yet, it starts the search from "every token lasts equally long"
    instead of from arbitrary scores of untrained encoders.
    """
    # Middles, not starts: by those the first token would get half of its share and the last one as much more.
    frame = (torch.arange(n_frames, device=spec_lengths.device)[None, :] + 0.5) / spec_lengths[:, None]  # [B, T]
    token = (torch.arange(n_tokens, device=text_lengths.device)[None, :] + 0.5) / text_lengths[:, None]  # [B, L]
    width = 0.05  # of the utterance
    return -0.5 * ((frame[:, :, None] - token[:, None, :]) / width).square()
