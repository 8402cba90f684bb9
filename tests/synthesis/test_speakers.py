"""Voices by name, between others, on the way from one to another, and new ones; and what the model makes of them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from models import SynthesizerTrn
from synthesis.speakers import (
    SpeakerCondition,
    SpeakerSpec,
    VoiceDistribution,
    condition_of,
    find_speaker,
    mix,
    over_time,
    parse_mix,
    parse_speaker,
    slerp,
    speaker_weights,
)
from tests.conftest import MULTIBAND, tiny

NAMES = ("alice", "bob", "en-us+f3", "odd: name->x")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=["hifigan", "istft", "harmonic", "multiband"])
def model(request):
    model = shaken(request.param)
    if request.param == "harmonic":  # the parts of the one before, and its own
        model.load_state_dict(shaken("istft").state_dict(), strict=False)
    return model


def shaken(generator):
    """A model of three speakers whose every part hears them: flows that start as the identity are shaken."""
    predictor = "stochastic" if generator == "hifigan" else "deterministic"
    config = tiny(("data.n_speakers=3", "model.gin_channels=8", f"model.generator={generator}",
                   *(MULTIBAND if generator == "multiband" else ()),
                   f"model.duration_predictor={predictor}"))
    torch.manual_seed(0)
    model = SynthesizerTrn(30, config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


# Reading what a user wrote.


@pytest.mark.parametrize(("text", "spec"), [
    ("alice", SpeakerSpec("name", {"alice": 1.0})),
    (" alice ", SpeakerSpec("name", {"alice": 1.0})),
    ("3", SpeakerSpec("name", {"3": 1.0})),
    ("en-us+f3", SpeakerSpec("name", {"en-us+f3": 1.0})),
    ("odd: name->x", SpeakerSpec("name", {"odd: name->x": 1.0})),
    ("alice:0.7+bob:0.3", SpeakerSpec("mix", {"alice": 0.7, "bob": 0.3})),
    ("alice: 2 + bob: -.5", SpeakerSpec("mix", {"alice": 2, "bob": -0.5})),
    ("en-us+f3:0.5+en-us+m7:0.5", SpeakerSpec("mix", {"en-us+f3": 0.5, "en-us+m7": 0.5})),
    ("a:b:1", SpeakerSpec("mix", {"a:b": 1})),
    ("new:7", SpeakerSpec("new", seed=7)),
    ("alice->bob", SpeakerSpec("path", ends=(SpeakerSpec("name", {"alice": 1}), SpeakerSpec("name", {"bob": 1})))),
    ("alice:1+bob:1 -> new:2",
     SpeakerSpec("path", ends=(SpeakerSpec("mix", {"alice": 1, "bob": 1}), SpeakerSpec("new", seed=2)))),
])
def test_a_wish_for_a_speaker_is_read_as_it_is_meant(text, spec):
    assert parse_speaker(text, NAMES) == spec


@pytest.mark.parametrize(("text", "message"), [
    ("", "speaker '' is empty; expected 'NAME'"),
    ("  ", "is empty"),
    ("alice->bob->alice", "a path has two ends"),
    ("->bob", "a path has two ends"),
    ("new:", "expected a whole number after 'new:', the seed"),
    ("new:-1", "expected a whole number after 'new:'"),
    ("new:x", "expected a whole number after 'new:'"),
    ("alice:", "'alice:' is not a name and a weight"),
    ("alice:0.5+bob", "'bob' is not a name and a weight; write it as in 'alice:0.7"),
    (":0.5", "':0.5' is not a name and a weight"),
    ("alice:0.5+", "ends too early"),
    ("alice:0.5x+bob:1", "the weight of 'alice' is '0.5x'; expected a number"),
    ("alice:0.5+alice:1", "'alice' comes twice; add its weights up"),
])
def test_what_is_no_speaker_is_an_error_that_says_why(text, message):
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        parse_speaker(text, NAMES)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:+->.05ne w", max_size=12) | st.text(max_size=12))
def test_any_text_is_read_or_refused_with_a_message(text):
    try:
        assert parse_speaker(text, NAMES).kind in ("name", "mix", "new", "path")
    except ValueError as error:
        assert "speaker" in str(error)


def test_a_mix_is_read_into_weights():
    assert parse_mix("alice:0.7+bob:0.3") == {"alice": 0.7, "bob": 0.3}
    with pytest.raises(ValueError, match="ends too early"):
        parse_mix("")


def test_names_become_weights_in_the_order_of_the_speakers():
    assert speaker_weights(NAMES, parse_speaker("bob")).tolist() == [0, 1, 0, 0]
    assert speaker_weights(NAMES, parse_speaker("bob:3+alice:1")).tolist() == [0.25, 0.75, 0, 0]


def test_an_unknown_speaker_is_an_error_that_offers_the_nearest_names():
    with pytest.raises(ValueError, match=r"unknown speaker 'alicia'; this voice has 4: alice, \.\.\."):
        speaker_weights(NAMES, parse_speaker("alicia"))
    with pytest.raises(ValueError, match="unknown speaker 'xyz'; this voice has 2: alice, bob$"):
        speaker_weights(NAMES[:2], parse_speaker("alice:1+xyz:1"))


# Mixes.


def test_a_mix_is_the_mean_by_normalised_weights():
    table = normal(3, 5)
    assert torch.allclose(mix(table, [2, 1, 1]), 0.5 * table[0] + 0.25 * table[1] + 0.25 * table[2], atol=1e-6)
    assert torch.allclose(mix(table, torch.tensor([2, -1, 0])), 2 * table[0] - table[1], atol=1e-6)
    assert torch.equal(mix(table, [0, 7, 0]), table[1])


@pytest.mark.parametrize(("weights", "total"), [
    ([0, 0], "0"), ([1, -1], "0"), ([1, -2], "-1"), ([math.nan, 1], "nan"), ([math.inf, 1], "inf")])
def test_weights_that_nothing_can_be_made_of_are_an_error(weights, total):
    message = f"the weights of a mix of speakers add up to {total}; expected finite numbers with a sum above 0"
    with pytest.raises(ValueError, match=message):
        mix(normal(2, 4), weights)
    with pytest.raises(ValueError, match=message):
        speaker_weights(["a", "b"], SpeakerSpec("mix", dict(zip("ab", weights))))


def test_weights_must_be_one_for_each_speaker():
    with pytest.raises(ValueError, match=r"found weights of shape \[3\] for 2 speakers"):
        mix(normal(2, 4), [1, 1, 1])


# Ways from one to another.


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_the_way_starts_and_ends_at_its_ends_with_even_angles_and_norms(seed, scale):
    a, b = normal(2, 6, seed=seed)
    b = b * scale
    way = slerp(a, b, torch.linspace(0, 1, 9))
    assert torch.allclose(way[0], a, rtol=1e-5, atol=1e-6) and torch.allclose(way[-1], b, rtol=1e-5, atol=1e-5)
    steps = way.double()
    assert torch.allclose(steps.norm(dim=1), torch.linspace(float(a.norm()), float(b.norm()), 9).double(), rtol=1e-5)
    unit = steps / steps.norm(dim=1, keepdim=True)
    angles = torch.atan2((unit[1:] - unit[:-1]).norm(dim=1), (unit[1:] + unit[:-1]).norm(dim=1))
    assert torch.allclose(angles, angles.mean().expand(8), atol=1e-5)


def test_the_way_between_parallel_opposite_and_zero_vectors_is_finite_and_ends_where_it_should():
    a = torch.tensor([0.0, 3.0, 4.0])
    for b, middle_norm in ((a, 5), (2 * a, 7.5), (-a, 5), (-3 * a, 10), (torch.zeros(3), 2.5)):
        for start, end in ((a, b), (b, a)):
            way = slerp(start, end, torch.tensor([0.0, 0.5, 1.0]))
            assert torch.allclose(way[0], start, atol=1e-5) and torch.allclose(way[2], end, atol=1e-5)
            assert float(way[1].norm()) == pytest.approx(middle_norm)
    assert not slerp(torch.zeros(3), torch.zeros(3), 0.5).any()
    assert torch.allclose(slerp(a, a, 0.3), a)


def test_a_voice_over_time_has_a_column_for_each_step():
    a, b = normal(2, 6)
    way = over_time(a, b, 11)
    assert way.shape == (1, 6, 11)
    assert torch.allclose(way[0, :, 0], a, atol=1e-6) and torch.allclose(way[0, :, 10], b, atol=1e-6)
    assert torch.allclose(way[0, :, 5], slerp(a, b, 0.5))
    assert torch.allclose(over_time(a, b, 1)[0, :, 0], a, atol=1e-6)
    with pytest.raises(ValueError, match="an interpolation of speakers over 0 steps; expected 1 or more"):
        over_time(a, b, 0)


def test_a_speaker_is_found_by_name_id_or_digits():
    assert find_speaker(None, ()) is None
    for one in ("bob", 1, "1"):
        assert find_speaker(one, NAMES) == SpeakerSpec("name", {"bob": 1.0})
    assert find_speaker("1", ("1", "0")).weights == {"1": 1.0}  # a name before an id
    assert find_speaker(1, ("1", "0")).weights == {"0": 1.0}
    assert find_speaker("alice->new:7", NAMES) == parse_speaker("alice->new:7")


@pytest.mark.parametrize("speaker, names, message", [
    ("bob", (), "this voice has one speaker; leave speaker='bob' out"),
    (None, NAMES, "this voice has 4 speakers; choose one of alice, bob"),
    (4, NAMES, "speaker id 4 is not from 0 to 3"), ("-1", NAMES, "unknown speaker '-1'"),
    ("alicia", NAMES, "unknown speaker 'alicia'; this voice has 4: alice"),
    ("bob->alicia", NAMES, "unknown speaker 'alicia'"), ("alice:1+xyz:1", NAMES, "unknown speaker 'xyz'")])
def test_a_speaker_that_is_not_there_is_named(speaker, names, message):
    with pytest.raises(ValueError, match=message):
        find_speaker(speaker, names)


# What the model makes of them.


@torch.no_grad()
def every_part(model, g_frames, g_tokens):
    """Output of all parts of a model that hear a speaker."""
    lengths = torch.tensor([24])
    z, mask, hidden, spec = normal(1, 16, 24), torch.ones(1, 1, 24), normal(1, 16, 7), normal(1, 129, 24).abs()
    return {"flow": model.flow(z, mask, g_frames), "inverse flow": model.flow.inverse(z, mask, g_frames),
            "generator": model.dec(model.with_pitch(z, mask), g_frames),
            "posterior": model.enc_q(spec, lengths, g_frames).mean,
            "durations": model.dp.predict(hidden, mask[:, :, :7], g_tokens, normal(1, 2, 7))}


def test_a_voice_over_time_that_does_not_change_sounds_like_one_without_time(model):
    g = normal(1, 8, 1)
    at_rest = every_part(model, g, g)
    over = every_part(model, g.expand(1, 8, 24).contiguous(), g.expand(1, 8, 7).contiguous())
    for part, value in at_rest.items():
        assert torch.allclose(over[part], value, atol=1e-5), part


def test_a_voice_over_time_moves_every_part_from_one_speaker_to_the_other(model):
    condition = SpeakerCondition(*model.emb_g.weight[:2].detach() * 3)
    ways = every_part(model, condition.over(24), condition.over(7))
    starts, ends = (every_part(model, each[None, :, None], each[None, :, None])
                    for each in (condition.start, condition.end))
    for part, way in ways.items():
        edge = max(1, way.shape[2] // 7)
        assert not torch.allclose(starts[part], ends[part], atol=1e-3), f"{part} does not hear the speaker"
        for near, far, steps in ((starts, ends, slice(None, edge)), (ends, starts, slice(-edge, None))):
            distance_near = (way - near[part])[:, :, steps].abs().mean()
            assert distance_near < 0.6 * (way - far[part])[:, :, steps].abs().mean(), part


def test_a_trained_speaker_is_found_exactly_as_the_model_has_it(model):
    names = ["x", "y", "z"]
    condition = condition_of(parse_speaker("y", names), names, model.emb_g.weight)
    assert torch.equal(condition.over(10), model.speaker_embedding(torch.tensor([1])))
    assert not condition.start.requires_grad


def test_wishes_become_embeddings():
    table = normal(4, 6)
    half = condition_of(parse_speaker("alice:1+bob:1"), NAMES, table)
    assert torch.allclose(half.over(3), table[:2].mean(dim=0)[None, :, None], atol=1e-6)
    new = condition_of(parse_speaker("new:7"), NAMES, table)
    assert torch.equal(new.start, VoiceDistribution.fit(table).sample(7))
    way = condition_of(parse_speaker("alice:1+bob:1->new:7"), NAMES, table)
    assert torch.equal(way.start, half.start) and torch.equal(way.end, new.start)
    assert torch.equal(way.over(5), over_time(half.start, new.start, 5))


# New voices.


def clusters(n_speakers, channels=32):
    """Embeddings around two centres, with channels of unequal spread."""
    centres = normal(2, channels, seed=1) * 4
    spread = 0.2 + torch.rand(channels, generator=torch.Generator().manual_seed(2))
    return centres[torch.arange(n_speakers) % 2] + normal(n_speakers, channels, seed=3) * spread


@pytest.mark.parametrize("n_speakers", [2, 5, 7, 40])
def test_new_voices_are_likely_and_yet_far_from_all_trained_ones(n_speakers):
    table = clusters(n_speakers) if n_speakers > 7 else normal(n_speakers, 32)
    voices = VoiceDistribution.fit(table)
    new = torch.stack([voices.sample(seed) for seed in range(200)])
    # Mahalanobis: squared distances from the nearest centre are chi-squared of 32 degrees of freedom.
    squares = torch.stack([((new - torch.from_numpy(mean)).square() / torch.from_numpy(variance)).sum(dim=1)
                           for mean, variance in zip(voices.means, voices.variances)]).min(dim=0).values
    assert 27 < float(squares.mean()) < 36 and float(squares.max()) < 80
    among_trained = torch.cdist(table, table)[~torch.eye(n_speakers, dtype=torch.bool)].min()
    assert torch.cdist(new, table).min() > 0.5 * among_trained
    assert torch.pdist(new).min() > 0.5 * among_trained


def test_the_mixture_finds_the_clusters_and_stays_within_them():
    table = clusters(40)
    voices = VoiceDistribution.fit(table, n_components=2)
    assert voices.weights.tolist() == pytest.approx([0.5, 0.5])
    centres = torch.stack([table[::2].mean(dim=0), table[1::2].mean(dim=0)]).double()
    found = torch.from_numpy(voices.means)
    assert torch.cdist(found, centres).min(dim=1).values.max() < 0.01
    between = centres.mean(dim=0)
    likely = [log_likelihood(voices, voices.sample(seed)) for seed in range(50)]
    assert log_likelihood(voices, between) < min(likely) - 100
    assert log_likelihood(VoiceDistribution.fit(table, n_components=1), between) > log_likelihood(voices, between)


def log_likelihood(voices, point):
    """Of a point [G] under a distribution's mixture, by torch's own."""
    mixture = MixtureSameFamily(
        Categorical(torch.from_numpy(voices.weights)),
        Independent(Normal(torch.from_numpy(voices.means), torch.from_numpy(voices.variances).sqrt()), 1))
    return float(mixture.log_prob(point.double()))


def test_a_seed_is_one_voice():
    table = clusters(40)
    voices = VoiceDistribution.fit(table)
    assert torch.equal(voices.sample(3), VoiceDistribution.fit(table).sample(3))
    assert not torch.equal(voices.sample(3), voices.sample(4))


def test_few_speakers_make_few_components():
    assert [len(VoiceDistribution.fit(normal(n, 8)).weights) for n in (2, 7, 15)] == [1, 1, 1]
    assert 2 <= len(VoiceDistribution.fit(clusters(40)).weights) <= 4


def test_variances_of_few_speakers_are_shrunk_towards_each_other_and_never_vanish():
    table = torch.tensor([[0.0, 0.0, 5.0], [2.0, 0.0, 5.0]])  # two speakers who differ in one channel
    [variances] = VoiceDistribution.fit(table).variances
    assert variances[0] == pytest.approx((2 + 4 * 2 / 3) / 5)  # one degree of freedom, and four speakers of 2 / 3
    assert variances[1] == variances[2] == pytest.approx(4 * 2 / 3 / 5)
    repeated = clusters(4)[:2].repeat(20, 1)  # as after training was extended by copies
    assert VoiceDistribution.fit(repeated, n_components=2).variances.min() > 0


@pytest.mark.parametrize("table", [normal(1, 8), normal(1, 8).repeat(5, 1), torch.zeros(0, 8)])
def test_a_single_speaker_has_no_voices_beside_it(table):
    with pytest.raises(ValueError, match=rf"this voice has {len(table)} speaker\(s\) to draw from; it needs two"):
        VoiceDistribution.fit(table)


def test_bad_wishes_for_a_distribution_are_errors():
    with pytest.raises(ValueError, match="a mixture of 0 components"):
        VoiceDistribution.fit(normal(4, 8), n_components=0)
    with pytest.raises(ValueError, match="a speaker embedding is not finite"):
        VoiceDistribution.fit(torch.full((4, 8), math.nan))
    with pytest.raises(ValueError, match="seed is -1"):
        VoiceDistribution.fit(normal(4, 8)).sample(-1)
