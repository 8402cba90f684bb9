"""Alignment health: sums with known answers, posteriors against all paths one by one, verdicts on both sides."""

import itertools
import math
from dataclasses import asdict, replace

import pytest
import torch

from data_utils import Batch
from evaluation import alignment
from evaluation.alignment import (
    Aligned,
    AlignmentHealth,
    Longest,
    align,
    health_of,
    measure,
    other_likelihoods,
    path_posteriors,
)
from models import HALF_LOG_2PI, Prior, SynthesizerTrn
from tests.conftest import tiny
from text import TextProcessor
from training.validation import over_processes

CONFIG = tiny()
DATA = CONFIG.data
TEXT = TextProcessor.from_config(DATA)
A, B, C = TEXT.encode("abc")[1::2]
LEARNED = AlignmentHealth(utterances=10, frames=1000, symbols=200, short_symbols=80, blank_frames=500,
                          likelihood_sum=-9000, sharpness_sum=800, distance_sum=30, longest_share_sum=0.6, pairs=40,
                          won_pairs=40, margin_sum=30, longest=Longest(25, A))


def batch_of(texts, frames):
    """A batch of these rows of ids and so many frames of silence."""
    lengths = torch.tensor([len(ids) for ids in texts])
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(each) for each in texts], batch_first=True)
    wav_lengths = torch.tensor(frames) * DATA.hop_length
    names = [str(i) for i in range(len(texts))]
    return Batch(names, ids, lengths, torch.zeros(len(texts), int(wav_lengths.max())), wav_lengths, None)


def said_as_written(texts, durations, apart=20.0):
    """A batch whose frames lie exactly at the means of their tokens, and what the alignment search finds there.

    Token n of the table has its mean at `apart` on axis n, with deviation 1.
    """
    batch = batch_of(texts, [sum(each) for each in durations])
    means = apart * torch.eye(8)[batch.text_ids % 8].mT  # [B, C, L]
    mask = torch.ones_like(means[:, :1])
    z_p = torch.zeros(len(texts), 8, max(map(sum, durations)))
    for row, each in enumerate(durations):
        z_p[row, :, : sum(each)] = means[row, :, : len(each)].repeat_interleave(torch.tensor(each), dim=1)
    found = torch.nn.utils.rnn.pad_sequence([torch.tensor(each) for each in durations], batch_first=True)
    return Aligned(z_p, Prior(means, means, torch.zeros_like(means), mask), found), batch


def test_what_is_said_as_written_has_the_health_that_its_durations_say():
    aligned, batch = said_as_written([[0, A, 0, B, 0], [0, C, 0]], [[1, 1, 3, 4, 1], [1, 2, 1]])
    health = measure(aligned, batch, TEXT, DATA)
    assert (health.utterances, health.frames, health.symbols) == (2, 14, 3)
    assert health.short_share == pytest.approx(1 / 3)
    assert health.blank_share == pytest.approx(7 / 14)
    assert health.longest == (4, B)
    assert health.longest_token_share == pytest.approx((4 / 10 + 2 / 4) / 2)
    assert health.likelihood == pytest.approx(-8 * HALF_LOG_2PI, rel=1e-4)  # nothing but the density at the mean
    assert health.sharpness == pytest.approx(1, abs=1e-3)
    assert health.win_share == 1 and health.margin > 1
    assert health.describe_longest(TEXT, DATA) == f"'b', 4 frames, {4 * 64 / 8000:.2f} s"


def test_the_distance_from_the_diagonal_is_that_of_the_token_that_each_frame_speaks():
    aligned, batch = said_as_written([[A, B]], [[1, 3]])
    positions = zip([0.25, 0.75, 0.75, 0.75], [0.125, 0.375, 0.625, 0.875])  # in the text, in the sound
    expected = sum(abs(text - sound) for text, sound in positions) / 4
    assert measure(aligned, batch, TEXT, DATA).distance == pytest.approx(expected)


def test_begin_and_end_and_blanks_are_no_symbols():
    text = replace(TEXT, begin_end=("a", "b"))
    ids = text.encode("c")  # begin, blank, c, blank, end
    aligned, batch = said_as_written([ids], [[1, 1, 2, 1, 1]])
    health = measure(aligned, batch, text, DATA)
    assert (health.symbols, health.blank_frames, health.longest) == (1, 4, (2, C))


def test_a_path_among_many_like_it_is_not_sharp():
    aligned, batch = said_as_written([[0, A, 0, B, 0]], [[3, 3, 4, 4, 6]], apart=0.0)
    assert measure(aligned, batch, TEXT, DATA).sharpness < 0.6


def all_paths(n_frames, n_tokens):
    """Every way of giving each token at least one frame, as the token of each frame."""
    for cuts in itertools.combinations(range(1, n_frames), n_tokens - 1):
        ends = [*cuts, n_frames]
        yield [next(token for token, end in enumerate(ends) if frame < end) for frame in range(n_frames)]


@pytest.mark.parametrize("scale", [0.3, 3.0, 300.0])
def test_path_posteriors_are_those_of_all_paths_one_by_one(scale):
    sizes = [(7, 4), (5, 5), (6, 1), (4, 2)]
    scores = scale * torch.randn(4, 7, 5, generator=torch.Generator().manual_seed(1)) - 100
    found = path_posteriors(scores, torch.tensor([n for _, n in sizes]), torch.tensor([n for n, _ in sizes]))
    for row, (n_frames, n_tokens) in enumerate(sizes):
        paths = list(all_paths(n_frames, n_tokens))
        sums = torch.tensor([sum(float(scores[row, t, token]) for t, token in enumerate(path)) for path in paths],
                            dtype=torch.float64)
        expected = torch.zeros(n_frames, n_tokens, dtype=torch.float64)
        for weight, path in zip(sums.softmax(0).tolist(), paths):
            expected[range(n_frames), path] += weight
        torch.testing.assert_close(found[row, :n_frames, :n_tokens].double(), expected, atol=2e-4, rtol=0)


def test_in_a_long_utterance_no_token_comes_back():
    scores = 5 * torch.randn(1, 1500, 200, generator=torch.Generator().manual_seed(0)) - 140
    found = path_posteriors(scores, torch.tensor([200]), torch.tensor([1500]))[0]
    beyond = found.flip(1).cumsum(dim=1).flip(1)  # [T, L], p(this token or a later one)
    assert float((beyond[1:] - beyond[:-1]).min()) > -1e-3
    assert float(found[0, 0]) == float(found[-1, -1]) == 1


def test_the_health_of_batches_adds_up_to_that_of_all():
    texts, durations = [[0, A, 0], [0, B, 0, C, 0], [0, C, 0]], [[1, 5, 2], [2, 2, 2, 9, 1], [1, 1, 1]]
    whole = measure(*said_as_written(texts, durations), TEXT, DATA)
    parts = AlignmentHealth()
    for ids, each in zip(texts, durations):
        parts += measure(*said_as_written([ids], [each]), TEXT, DATA)
    for name, value in asdict(parts).items():
        if name not in ("pairs", "won_pairs", "margin_sum"):  # of one utterance there are none
            assert value == pytest.approx(asdict(whole)[name], rel=1e-5), name
    assert parts.pairs == 0 and whole.pairs == 5  # the last sound has too few frames for the second text


def test_alone_a_process_has_the_sums_of_all():
    assert over_processes(LEARNED) == LEARNED


def test_a_text_is_compared_with_others_only_where_they_differ_and_fit():
    aligned, batch = said_as_written([[0, A, 0], [0, A, 0], [0, B, 0, C, 0, B, 0]], [[1, 2, 1], [2, 2, 2], [1] * 7])
    frames = batch.wav_lengths // DATA.hop_length
    found = other_likelihoods(aligned, batch, frames, 4)
    # Item 0: of item 2, longer than its sound, and of item 1, the same; item 1: the same, and longer again.
    assert found.isfinite().tolist() == [[False] * 4, [False] * 4, [True, True, False, False]]
    assert (found[2, :2] < -8 * HALF_LOG_2PI - 1).all()


def test_a_learned_alignment_is_called_so():
    assert LEARNED.verdict == ("learned", ())
    assert str(LEARNED.verdict) == "learned"


@pytest.mark.parametrize(("change", "state", "reason"), [
    ({"longest_share_sum": 6.0}, "collapsed", "one token takes 60% of an utterance"),
    ({"short_symbols": 195}, "collapsed", "98% of the symbols have one frame or none"),
    ({"won_pairs": 22}, "not learned yet", "the right one wins 55% of the comparisons"),
    ({"sharpness_sum": 200}, "not learned yet", "sharpness 0.20"),
    ({"pairs": 0, "won_pairs": 0}, "not learned yet", "no other text to compare with"),
])
def test_the_verdict_says_what_is_wrong(change, state, reason):
    verdict = replace(LEARNED, **change).verdict
    assert verdict.state == state and len(verdict.reasons) == 1
    assert reason in str(verdict)


def test_of_nothing_nothing_is_said():
    health = AlignmentHealth()
    assert str(health.verdict) == "not learned yet: no utterance was measured"
    assert health.as_dict() == {"health/longest_symbol": 0.0}
    assert math.isnan(health.likelihood)


def test_trackers_get_each_measure_by_name():
    names = LEARNED.as_dict()
    assert names["health/short_share"] == pytest.approx(0.4)
    assert names["health/likelihood"] == -9 and names["health/longest_symbol"] == 25
    assert len(names) == 9


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return SynthesizerTrn(len(TEXT.symbols), CONFIG).eval()


@pytest.fixture
def noise_batches(tiny_batch):
    """The tiny batch, one voice, and the same utterances one by one."""
    whole = tiny_batch._replace(speaker_ids=None)
    alone = []
    for i, name in enumerate(whole.names):
        ids, samples = int(whole.text_lengths[i]), int(whole.wav_lengths[i]) // 64 * 64
        alone.append(Batch([name], whole.text_ids[i : i + 1, :ids], whole.text_lengths[i : i + 1],
                           whole.wav[i : i + 1, :samples], torch.tensor([samples]), None))
    return whole._replace(wav_lengths=whole.wav_lengths // 64 * 64), alone


def test_health_is_the_same_in_whatever_batches(untrained, noise_batches):
    whole, alone = noise_batches
    together, apart = (health_of(untrained, each, TEXT, DATA) for each in ([whole], alone))
    assert together == health_of(untrained, [whole], TEXT, DATA)
    assert (together.frames, together.symbols) == (apart.frames, apart.symbols)
    assert together.likelihood == pytest.approx(apart.likelihood, rel=1e-3)
    assert together.verdict.state != "learned"


def test_what_a_validation_has_already_gives_the_health_of_its_own_path(untrained, noise_batches):
    whole, _ = noise_batches
    spec = alignment.spectrogram(whole.wav, DATA, whole.wav_lengths)
    with torch.no_grad():
        out = untrained(whole.text_ids, whole.text_lengths, spec, whole.wav_lengths // 64)
        prior = untrained.enc_p(whole.text_ids, whole.text_lengths)
    health = measure(Aligned(out.z_p, prior, out.durations), whole, TEXT, DATA)
    assert health.frames == float(out.durations.sum())
    expected = torch.distributions.Normal(out.prior_mean, out.prior_logstd.exp()).log_prob(out.z_p) * out.spec_mask
    assert health.likelihood == pytest.approx(float(expected.sum() / out.spec_mask.sum()), rel=1e-4)


def test_without_noise_the_posterior_is_read_by_its_mean(untrained, noise_batches):
    whole, _ = noise_batches
    found, nothing, noise = (align(untrained, whole, DATA, each).z_p for each in (
        None, torch.zeros(3, 16, 64), torch.randn(3, 16, 64, generator=torch.Generator().manual_seed(0))))
    torch.testing.assert_close(found, nothing)
    assert not torch.allclose(found, noise)
    assert int(align(untrained, whole, DATA).durations.sum()) == int((whole.wav_lengths // 64).sum())
