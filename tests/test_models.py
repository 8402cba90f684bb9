"""The synthesizer: shapes, gradients, independence of the items of a batch, seeds, durations and voices."""
# Shapes: B batch, L text tokens, T frames, S samples, C latent channels.

import itertools

import pytest
import torch

import losses
from commons import path_from_durations, sequence_mask, slice_segments
from data_utils import Collate, Utterance
from discriminators import Discriminators, set_trainable, split_outputs
from generators import GENERATORS
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import Prior, SynthesizerTrn, alignment_scores, bake_speaker, diagonal_prior
from pitch import N_CONTOUR, Pitch
from synthesis.noise import SeededNoise
from synthesis.streaming import decode_batch
from tests.conftest import MULTIBAND, VITS2, VITS2_STANDARD, tiny

N_VOCAB = 40
VOICES = {"one voice": (), "three voices": ("data.n_speakers=3", "model.gin_channels=6")}
KINDS = [(f"model.generator={generator}", f"model.duration_predictor={predictor}") for generator, predictor in
         (*itertools.product(("hifigan", "istft"), ("stochastic", "deterministic")), ("harmonic", "deterministic"))]
KINDS += [(*MULTIBAND, "model.duration_predictor=stochastic"),
          (*VITS2, "model.duration_predictor=deterministic"), (*VITS2_STANDARD, "model.duration_predictor=stochastic")]
QUIET = {"noise_scale": 0.0, "noise_scale_duration": 0.0}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(params=KINDS, ids=lambda kind: " ".join(value.partition("=")[2] for value in kind))
def kind(request):
    return request.param


@pytest.fixture(params=VOICES)
def voices(request):
    return VOICES[request.param]


def build(overrides=(), seed=0):
    """A model whose every parameter has moved, so that no layer is the identity or zero that it starts as."""
    settings = tiny(overrides)
    torch.manual_seed(seed)
    net = SynthesizerTrn(N_VOCAB, settings).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return net, settings


def speakers_of(net, batch):
    return batch.speaker_ids if net.n_speakers > 1 else None


def train_forward(net, settings, batch):
    spec = spectrogram(batch.wav, settings.data, batch.wav_lengths)
    spec_lengths = batch.wav_lengths // settings.data.hop_length
    return spec, net(batch.text_ids, batch.text_lengths, spec, spec_lengths, speakers_of(net, batch),
                     pitch=Pitch(*torch.ones(2, len(spec), spec.shape[2])))


def infer(net, batch, seed=None, **options):
    if seed is not None:
        options["noise"] = SeededNoise(range(seed, seed + len(batch.text_ids)))
    return net.infer(batch.text_ids, batch.text_lengths, speakers_of(net, batch), **options)


# Training


def test_the_training_pass_has_the_shapes_that_it_promises(kind, voices, tiny_batch):
    net, settings = build((*kind, *voices))
    spec, out = train_forward(net, settings, tiny_batch)
    frames, tokens, channels = spec.shape[2], 12, settings.model.inter_channels
    assert out.wav_fake.shape == (3, 1, settings.train.segment_size)
    assert out.segment_starts.shape == (3,)
    assert out.durations.shape == (3, tokens)
    assert torch.equal(out.durations.sum(dim=1), tiny_batch.wav_lengths // settings.data.hop_length)
    assert ((out.durations > 0) == sequence_mask(tiny_batch.text_lengths, tokens)).all()
    assert out.text_mask.shape == (3, 1, tokens) and out.spec_mask.shape == (3, 1, frames)
    for value in (out.z, out.z_p, out.prior_mean, out.prior_logstd, out.posterior_mean, out.posterior_logstd):
        assert value.shape == (3, channels, frames)
        assert not (value * (1 - out.spec_mask)).any()
    *values, teacher_prior, teacher_flow, bands = out
    assert all(torch.isfinite(value).all() for value in values)
    assert (bands is not None) == ("model.generator=multiband" in kind)
    assert teacher_prior is None and teacher_flow is None  # there is no teacher


def test_every_parameter_receives_a_gradient(kind, voices, tiny_batch):
    net, settings = build((*kind, *voices, "train.c_stft=1", "train.stft_sizes=[128]"))
    net.train()
    judges = Discriminators(settings.discriminator)
    spec, out = train_forward(net, settings, tiny_batch)
    starts = out.segment_starts
    wav_real = slice_segments(tiny_batch.wav[:, None], starts * settings.data.hop_length, settings.train.segment_size)

    real, fake = split_outputs(judges(torch.cat([wav_real, out.wav_fake.detach()])))
    losses.discriminator_losses(real, fake).total().backward()
    assert not [name for name, p in judges.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]

    set_trainable(judges, False)
    real, fake = split_outputs(judges(torch.cat([wav_real, out.wav_fake])))
    mel_real = slice_segments(spec_to_mel(spec, settings.data), starts, settings.segment_frames)
    terms = losses.GeneratorLosses(
        mel=losses.mel_loss(mel_real, mel_spectrogram(out.wav_fake[:, 0], settings.data)),
        kl=losses.kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask),
        duration=out.duration_loss.sum(), adversarial=losses.adversarial_loss(fake),
        features=losses.feature_loss(real, fake),
        stft=losses.stft_loss(wav_real[:, 0], out.wav_fake[:, 0], settings.train.stft_sizes), pitch=out.pitch_loss)
    terms.total(settings.train).backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    # A key's bias adds the same to all scores of a query, which softmax ignores: rounding is all that it learns from.
    assert not [name for name, p in net.named_parameters() if not p.grad.abs().sum() > 0 and "conv_k.bias" not in name]


def test_the_sound_alone_teaches_the_posterior_encoder(kind, voices, tiny_batch):
    net, settings = build((*kind, *voices))
    _, out = train_forward(net, settings, tiny_batch)
    out.wav_fake.square().sum().backward()
    learning = [name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert {name.split(".")[0] for name in learning} - {"emb_g"} == {"enc_q", "dec"}


def test_durations_do_not_shape_the_text_encoder_or_the_speakers(kind, voices, tiny_batch):
    net, settings = build((*kind, *voices))
    _, out = train_forward(net, settings, tiny_batch)
    out.duration_loss.sum().backward()
    learning = [name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert {name.split(".")[0] for name in learning} == {"dp"}


def test_a_batch_shorter_than_a_segment_trains(kind):
    net, settings = build(kind)
    collate = Collate(settings.train.segment_size, settings.data.hop_length)
    short = Utterance("short", torch.tensor([1, 2, 3]), torch.randn(300) * 0.1, None)
    batch = collate([short, short._replace(wav=torch.randn(64 * 3) * 0.1)])
    assert batch.wav_lengths.max() < settings.train.segment_size
    spec, out = train_forward(net, settings, batch)
    assert out.wav_fake.shape == (2, 1, settings.train.segment_size)
    assert not out.segment_starts.any()
    mel_real = slice_segments(spec_to_mel(spec, settings.data), out.segment_starts, settings.segment_frames)
    loss = losses.mel_loss(mel_real, mel_spectrogram(out.wav_fake[:, 0], settings.data)) + out.duration_loss.sum()
    loss.backward()
    assert torch.isfinite(loss)


def test_what_pads_a_training_batch_does_not_matter(tiny_batch):
    net, settings = build()
    spec = spectrogram(tiny_batch.wav, settings.data, tiny_batch.wav_lengths)
    spec_lengths = tiny_batch.wav_lengths // settings.data.hop_length
    is_text = sequence_mask(tiny_batch.text_lengths, 12)
    other_ids = torch.where(is_text, tiny_batch.text_ids, 7)
    other_spec = torch.where(sequence_mask(spec_lengths, spec.shape[2])[:, None], spec, 9.0)
    outs = []
    for ids, values in ((tiny_batch.text_ids, spec), (other_ids, other_spec)):
        torch.manual_seed(0)
        outs.append(net(ids, tiny_batch.text_lengths, values, spec_lengths))
    for one, other in zip(*outs):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_prior_for_even_reading_evens_durations(tiny_batch):
    net, settings = build()
    spec = spectrogram(tiny_batch.wav, settings.data, tiny_batch.wav_lengths)
    spec_lengths = tiny_batch.wav_lengths // settings.data.hop_length
    out = net(tiny_batch.text_ids, tiny_batch.text_lengths, spec, spec_lengths, alignment_prior=1e4)
    for durations, tokens, frames in zip(out.durations, tiny_batch.text_lengths, spec_lengths):
        assert (durations[:tokens] - frames / tokens).abs().max() <= 1.5


# Inference


def test_inference_has_the_shapes_that_it_promises(kind, voices, tiny_batch):
    net, settings = build((*kind, *voices))
    out = infer(net, tiny_batch)
    hop = settings.data.hop_length
    assert torch.equal(out.wav_lengths, out.durations.sum(dim=1) * hop)
    assert out.wav.shape == (3, 1, out.wav_lengths.max())
    channels = settings.model.inter_channels + (N_CONTOUR if net.pitch is not None else 0)
    assert out.z.shape == (3, channels, out.wav_lengths.max() // hop)
    assert not out.wav.requires_grad


def test_items_of_a_batch_do_not_influence_each_other(kind, voices, tiny_batch):
    net, settings = build((*kind, *voices))
    hop = settings.data.hop_length
    together = infer(net, tiny_batch, **QUIET)
    assert len(set(together.wav_lengths.tolist())) > 1
    for i, (tokens, samples) in enumerate(zip(tiny_batch.text_lengths.tolist(), together.wav_lengths.tolist())):
        ids = None if net.n_speakers < 2 else tiny_batch.speaker_ids[i : i + 1]
        alone = net.infer(tiny_batch.text_ids[i : i + 1, :tokens], torch.tensor([tokens]), ids, **QUIET)
        assert torch.equal(alone.durations[0], together.durations[i, :tokens])
        assert alone.wav_lengths[0] == samples
        z = together.z[i : i + 1, :, : samples // hop]
        torch.testing.assert_close(z, alone.z, rtol=0, atol=1e-4)
        torch.testing.assert_close(net.dec(z, net.speaker_embedding(ids)), alone.wav, rtol=0, atol=1e-4)
        whole = decode_batch(net.dec, together.z, (together.wav_lengths // hop).tolist(), net.speaker_embedding(
            None if net.n_speakers < 2 else tiny_batch.speaker_ids))
        torch.testing.assert_close(whole[i, :, :samples], alone.wav[0], rtol=0, atol=1e-4)
        assert not whole[i, :, samples:].any()


def test_items_of_equal_length_sound_the_same_together_and_alone(kind, tiny_batch):
    net, _ = build(kind)
    durations = torch.full((3, 12), 4)
    lengths = torch.full((3,), 12)
    together = net.infer(tiny_batch.text_ids, lengths, durations=durations, **QUIET)
    for i in range(3):
        alone = net.infer(tiny_batch.text_ids[i : i + 1], lengths[:1], durations=durations[:1], **QUIET)
        torch.testing.assert_close(together.wav[i], alone.wav[0], rtol=0, atol=1e-4)


def test_padding_of_the_text_changes_nothing(kind, tiny_batch):
    net, _ = build(kind)
    padded = torch.nn.functional.pad(tiny_batch.text_ids, (0, 9), value=3)
    plain = infer(net, tiny_batch, **QUIET)
    longer = net.infer(padded, tiny_batch.text_lengths, **QUIET)
    assert torch.equal(longer.durations[:, :12], plain.durations) and not longer.durations[:, 12:].any()
    torch.testing.assert_close(longer.wav, plain.wav, rtol=0, atol=1e-4)


def test_a_seed_fixes_the_sound_and_another_changes_it(kind, tiny_batch):
    net, _ = build(kind)
    torch.manual_seed(1)
    first = infer(net, tiny_batch, seed=5)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    again = infer(net, tiny_batch, seed=5)
    other = infer(net, tiny_batch, seed=6)
    assert torch.equal(first.wav, again.wav)
    assert first.wav.shape != other.wav.shape or not torch.allclose(first.wav, other.wav)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)  # nothing was taken from the common noise


def test_without_a_seed_the_common_noise_decides(tiny_batch):
    net, _ = build()
    sounds = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        sounds.append(infer(net, tiny_batch).wav)
    assert torch.equal(sounds[0], sounds[1])
    assert sounds[0].shape != sounds[2].shape or not torch.equal(sounds[0], sounds[2])


def test_without_noise_the_seed_does_not_matter(kind, tiny_batch):
    net, _ = build(kind)
    assert torch.equal(infer(net, tiny_batch, seed=1, **QUIET).wav, infer(net, tiny_batch, seed=2, **QUIET).wav)


def test_given_durations_are_obeyed_exactly(kind, tiny_batch):
    net, settings = build(kind)
    wanted = torch.arange(36).view(3, 12) % 5
    out = infer(net, tiny_batch, durations=wanted, **QUIET)
    expected = wanted * sequence_mask(tiny_batch.text_lengths, 12)
    assert torch.equal(out.durations, expected)
    assert torch.equal(out.wav_lengths, expected.sum(dim=1) * settings.data.hop_length)
    prior = net.enc_p(tiny_batch.text_ids, tiny_batch.text_lengths)
    mean = prior.mean @ path_from_durations(expected, out.z.shape[2]).mT
    mask = sequence_mask(expected.sum(dim=1), out.z.shape[2])[:, None].float()
    z = out.z[:, : settings.model.inter_channels]
    torch.testing.assert_close(z, net.flow.inverse(mean, mask), rtol=0, atol=1e-5)


def test_durations_of_zero_everywhere_still_make_a_sound(tiny_batch):
    net, settings = build()
    out = infer(net, tiny_batch, durations=torch.zeros(3, 12, dtype=torch.int64))
    assert out.wav.shape == (3, 1, settings.data.hop_length) and torch.isfinite(out.wav).all()


def test_a_length_scale_of_two_takes_twice_as_long(kind, tiny_batch):
    net, _ = build(kind)
    with torch.no_grad():  # tokens of some 10 frames, so that rounding up weighs little
        if "model.duration_predictor=deterministic" in kind:
            net.dp.proj.bias.add_(2.0)
        else:
            net.dp.flows[0].m.fill_(-2.0)
    once, twice = (infer(net, tiny_batch, length_scale=scale, **QUIET).durations.sum(dim=1) for scale in (1.0, 2.0))
    assert ((twice / once - 2).abs() < 0.15).all()


def test_max_frames_cuts(kind, tiny_batch):
    net, settings = build(kind)
    hop = settings.data.hop_length
    durations = torch.full((3, 12), 2)
    whole = infer(net, tiny_batch, durations=durations, **QUIET)
    cut = infer(net, tiny_batch, durations=durations, max_frames=15, **QUIET)
    assert cut.wav.shape == (3, 1, 15 * hop) and cut.wav_lengths.tolist() == [15 * hop, 15 * hop, 10 * hop]
    assert torch.equal(cut.z, whole.z[:, :, :15])
    assert torch.equal(infer(net, tiny_batch, durations=durations, max_frames=99, **QUIET).wav, whole.wav)


def test_an_untrained_predictor_cannot_ask_for_endless_speech(tiny_batch):
    net, _ = build(KINDS[1])
    with torch.no_grad():
        net.dp.proj.bias.fill_(100.0)
        prior = net.enc_p(tiny_batch.text_ids, tiny_batch.text_lengths)
        durations = net.predict_durations(prior, None, torch.zeros_like(prior.hidden[:, :2]))
    assert 999 < durations.max() < 1001


# Voices


def test_no_speaker_and_one_speaker_are_the_same_model(kind, tiny_batch):
    settings = [(f"data.n_speakers={n}", f"model.gin_channels={gin}") for n, gin in ((0, 0), (1, 6), (0, 6))]
    nets = [build((*kind, *overrides))[0] for overrides in settings]
    assert all(list(net.state_dict()) == list(nets[0].state_dict()) for net in nets)
    sounds = [net.infer(tiny_batch.text_ids, tiny_batch.text_lengths, speaker_ids, **QUIET).wav
              for net, speaker_ids in zip(nets, (None, torch.zeros(3, dtype=torch.int64), None))]
    assert torch.equal(sounds[0], sounds[1]) and torch.equal(sounds[0], sounds[2])


def test_several_voices_sound_different_and_need_to_be_named(kind, tiny_batch):
    net, settings = build((*kind, *VOICES["three voices"]))
    ids, lengths = tiny_batch.text_ids[:1].expand(2, -1), tiny_batch.text_lengths[:1].expand(2)
    out = net.infer(ids, lengths, torch.tensor([0, 2]), durations=torch.full((2, 12), 2), **QUIET)
    assert not torch.allclose(out.wav[0], out.wav[1])
    message = "this model has 3 voices; choose by speaker_ids"
    with pytest.raises(ValueError, match=message):
        net.infer(ids, lengths)
    with pytest.raises(ValueError, match=message):
        net(ids, lengths, torch.zeros(2, settings.spec_channels, 20), torch.tensor([20, 20]))


def test_converting_to_the_same_voice_is_plain_decoding(tiny_batch):
    net, settings = build(VOICES["three voices"])
    spec = spectrogram(tiny_batch.wav, settings.data, tiny_batch.wav_lengths)
    spec_lengths = tiny_batch.wav_lengths // settings.data.hop_length
    who, other = torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
    drawn = SeededNoise([3, 4, 5])
    with torch.no_grad():
        g = net.speaker_embedding(who)
        noise = drawn.prior(settings.model.inter_channels, spec_lengths.tolist())
        posterior = net.enc_q(spec, spec_lengths, g, noise)
        plain = net.dec(posterior.z, g)
    torch.testing.assert_close(net.voice_conversion(spec, spec_lengths, who, who, drawn), plain, rtol=0, atol=1e-4)
    converted = net.voice_conversion(spec, spec_lengths, who, other, drawn)
    assert converted.shape == plain.shape and not torch.allclose(converted, plain, atol=1e-3)
    assert torch.equal(converted, net.voice_conversion(spec, spec_lengths, who, other, drawn))


def test_one_voice_cannot_be_converted():
    net, settings = build()
    who = torch.tensor([0])
    with pytest.raises(ValueError, match="voice conversion needs a model of several speakers; this one has one voice"):
        net.voice_conversion(torch.zeros(1, settings.spec_channels, 8), torch.tensor([8]), who, who)


# The parts


def test_the_posterior_of_each_item_is_as_if_it_had_been_alone(tiny_batch):
    net, settings = build()
    lengths = tiny_batch.wav_lengths // settings.data.hop_length
    spec = spectrogram(tiny_batch.wav, settings.data, tiny_batch.wav_lengths)
    with torch.no_grad():
        together = net.enc_q(spec, lengths)
        z_p = net.flow(together.z, together.mask)
        for i, frames in enumerate(lengths.tolist()):
            alone = net.enc_q(spec[i : i + 1, :, :frames], lengths[i : i + 1])
            torch.testing.assert_close(together.mean[i, :, :frames], alone.mean[0], rtol=0, atol=1e-4)
            torch.testing.assert_close(together.logstd[i, :, :frames], alone.logstd[0], rtol=0, atol=1e-4)
            z = together.z[i : i + 1, :, :frames]
            torch.testing.assert_close(net.flow(z, torch.ones(1, 1, frames))[0], z_p[i, :, :frames], rtol=0, atol=1e-4)


def test_the_flow_inverts(voices, tiny_batch):
    net, _ = build(voices)
    mask = sequence_mask(torch.tensor([9, 4, 1]), 9)[:, None].float()
    z = torch.randn(3, 16, 9) * mask
    g = net.speaker_embedding(torch.tensor([0, 1, 2]))
    with torch.no_grad():
        z_p = net.flow(z, mask, g)
        assert not torch.allclose(z_p.flip(1), z, atol=0.1)
        torch.testing.assert_close(net.flow.inverse(z_p, mask, g), z, rtol=0, atol=1e-4)


@pytest.mark.parametrize("predictor", ["stochastic", "deterministic"])
def test_the_duration_loss_of_each_item_is_as_if_it_had_been_alone(monkeypatch, predictor):
    net, settings = build((f"model.duration_predictor={predictor}",))
    monkeypatch.setattr("models.draw_normal", lambda like: torch.arange(like.shape[-1]).sin().expand(like.shape))
    hidden, durations = torch.rand(3, 16, 9), (torch.rand(3, 1, 9) * 5).ceil()
    lengths = torch.tensor([9, 4, 1])
    mask = sequence_mask(lengths, 9)[:, None].float()
    with torch.no_grad():
        together = net.dp.loss(hidden * mask, mask, durations * mask)
        assert together.shape == (3,)
        for i, n in enumerate(lengths.tolist()):
            ones = torch.ones(1, 1, n)
            alone = net.dp.loss(hidden[i : i + 1, :, :n], ones, durations[i : i + 1, :, :n])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("predictor", ["stochastic", "deterministic"])
def test_a_duration_predictor_learns_the_durations_it_is_shown(predictor):
    settings = tiny((f"model.duration_predictor={predictor}", "model.p_dropout_duration=0"))
    torch.manual_seed(0)
    predictor = SynthesizerTrn(N_VOCAB, settings).dp
    hidden, mask, durations = torch.randn(4, 16, 5), torch.ones(4, 1, 5), torch.tensor([[[2.0, 9, 4, 6, 3]]] * 4)
    hidden[:] = torch.randn(1, 16, 5)
    optimizer = torch.optim.Adam(predictor.parameters(), 1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        predictor.loss(hidden, mask, durations).mean().backward()
        optimizer.step()
    with torch.no_grad():
        said = predictor.predict(hidden, mask, None, 0.3 * torch.randn(4, 2, 5)).exp().ceil()
    assert (said - durations).abs().mean() <= 1


def test_alignment_scores_are_log_densities():
    z_p, mean, logstd = torch.randn(2, 6, 7), torch.randn(2, 6, 4), torch.randn(2, 6, 4) * 0.5
    scores = alignment_scores(z_p, Prior(None, mean, logstd, None))
    normal = torch.distributions.Normal(mean[:, :, None, :], logstd.exp()[:, :, None, :])
    torch.testing.assert_close(scores, normal.log_prob(z_p[:, :, :, None]).sum(dim=1), rtol=1e-4, atol=1e-4)


def test_alignment_scores_are_float32_under_autocast():
    z_p, mean, logstd = torch.randn(2, 6, 7), torch.randn(2, 6, 4), torch.randn(2, 6, 4) * 0.5
    exact = alignment_scores(z_p, Prior(None, mean, logstd, None))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(alignment_scores(z_p, Prior(None, mean, logstd, None)), exact)


def test_even_reading_is_zero_on_the_diagonal_and_falls_off_it():
    text_lengths, spec_lengths = torch.tensor([4, 3]), torch.tensor([12, 9])
    prior = diagonal_prior(text_lengths, spec_lengths, 12, 4)
    assert prior.shape == (2, 12, 4)
    for i, (tokens, frames) in enumerate(((4, 12), (3, 9))):
        for t, token in itertools.product(range(frames), range(tokens)):
            if (2 * t + 1) * tokens == (2 * token + 1) * frames:  # the middle of the frame is that of the token
                assert prior[i, t, token].abs() < 1e-9
            else:
                assert prior[i, t, token] < 0
        assert (prior[i, :frames, :tokens].argmax(dim=1).diff() >= 0).all()


# One of several voices in the biases


def test_a_baked_speaker_says_what_the_speaker_says(kind, tiny_batch):
    net, settings = build((*kind, *VOICES["three voices"]))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    baked = bake_speaker(net, 2)
    speaker_ids = torch.full((3,), 2)
    for options in (QUIET, {"noise": SeededNoise([3, 4, 5])}):
        wanted = net.infer(tiny_batch.text_ids, tiny_batch.text_lengths, speaker_ids, **options)
        said = baked.infer(tiny_batch.text_ids, tiny_batch.text_lengths, **options)
        assert torch.equal(said.durations, wanted.durations)
        rounding = 1e-4 if net.pitch is not None else 1e-5  # of the pitch, it adds up to a phase
        torch.testing.assert_close(said.wav, wanted.wav, rtol=0, atol=rounding)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_baked_speaker_hears_and_times_what_the_speaker_does(kind, tiny_batch):
    net, settings = build((*kind, *VOICES["three voices"]))
    baked = bake_speaker(net, 1)
    spec = spectrogram(tiny_batch.wav, settings.data, tiny_batch.wav_lengths)
    spec_lengths = tiny_batch.wav_lengths // settings.data.hop_length
    outs = []
    for model, speaker_ids in ((net, torch.ones(3, dtype=torch.int64)), (baked, None)):
        torch.manual_seed(0)
        with torch.no_grad():
            outs.append(model(tiny_batch.text_ids, tiny_batch.text_lengths, spec, spec_lengths, speaker_ids))
            g = model.speaker_embedding(speaker_ids)
            prior = model.enc_p(tiny_batch.text_ids, tiny_batch.text_lengths, g)
            log_durations = model.dp.predict(prior.hidden, prior.mask, g, 0 * prior.hidden[:, :2])
            outs[-1] = (*outs[-1], log_durations)  # before they are rounded
    rounding = 1e-4 if net.pitch is not None else 1e-5  # of the pitch, it adds up to a phase
    for one, other in zip(*outs):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=rounding)


def test_a_baked_model_has_the_parameters_of_one_voice(kind):
    net, _ = build((*kind, *VOICES["three voices"]))
    plain, _ = build(kind)
    baked = bake_speaker(net, 0).state_dict()
    assert {name: value.shape for name, value in baked.items()} == {
        name: value.shape for name, value in plain.state_dict().items()}


@pytest.mark.parametrize(("voices_of_model", "speaker_id"), [("one voice", 0), ("three voices", 3)])
def test_a_speaker_that_is_not_there_cannot_be_baked(voices_of_model, speaker_id):
    net, _ = build(VOICES[voices_of_model])
    with pytest.raises(ValueError, match=f"no speaker {speaker_id} to bake into the biases of a model of"):
        bake_speaker(net, speaker_id)


def test_a_generator_of_ones_own_cannot_be_baked(monkeypatch):
    class Own(torch.nn.Module):
        def __init__(self, model, data):
            super().__init__()
            self.cond = torch.nn.Conv1d(model.gin_channels, 1, 1)

    monkeypatch.setattr(GENERATORS, "get", lambda name: Own)
    net = SynthesizerTrn(N_VOCAB, tiny(VOICES["three voices"]))
    with pytest.raises(ValueError, match="biases: dec.cond.weight, dec.cond.bias of a part that is not built in"):
        bake_speaker(net, 0)
