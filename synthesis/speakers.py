"""Who speaks: a speaker by name, a mix of several, one turning into another, or somebody new, as embeddings.

    spec = parse_speaker("alice:0.7+bob:0.3->new:7", voice.speakers)
    timbre = find_timbre(spec, voice.speakers, model.emb_g.weight)    # timbre.over(n_frames): [1, G, T]
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from synthesis.noise import SPEAKERS, random_stream

if TYPE_CHECKING:  # a voice that speaks without torch reads wishes here too; what makes tensors imports it
    from torch import Tensor

# Shapes: N speakers, K components of a mixture, G speaker channels, T steps in time (frames or tokens).

FORMS = "'NAME', 'NAME:WEIGHT+NAME:WEIGHT', 'new:SEED', or two of these with '->' between"

_MIXED = re.compile(r"(?P<name>.+?):(?P<weight>\s*[-+]?(?:\d|\.\d|nan|inf)[^+:]*)(?:\+|$)", re.IGNORECASE)


@dataclass(frozen=True)
class SpeakerSpec:
    """A wish for a speaker, as it was written."""

    kind: Literal["name", "mix", "new", "path"]
    weights: Mapping[str, float] = field(default_factory=dict)  # of a name and of a mix, not normalised
    seed: int = 0  # of somebody new
    ends: tuple[SpeakerSpec, ...] = ()  # of a path: first and last


def parse_speaker(spec: str, names: Sequence[str] = ()) -> SpeakerSpec:
    """Read "alice", "alice:0.7+bob:0.3", "new:7", or a path such as "alice->bob" between two of these.

    Args:
        spec: as a user writes it.
        names: of the trained speakers; what is one of them is that speaker, whatever signs are in it.

    Raises:
        ValueError: it is none of these.
    """
    if spec in names:
        return SpeakerSpec("name", {spec: 1.0})
    if "->" in spec:
        ends = [end.strip() for end in spec.split("->")]
        if len(ends) != 2 or not all(ends):
            raise ValueError(f"speaker {spec!r}: a path leads from one voice to one other, as in 'alice->bob'")
        return SpeakerSpec("path", ends=tuple(parse_speaker(end, names) for end in ends))
    head, colon, rest = spec.strip().partition(":")
    if head == "new" and colon and "+" not in rest:
        if not (rest.isascii() and rest.isdigit()):
            raise ValueError(f"speaker {spec!r}: expected a whole number after 'new:', the seed, as in 'new:7'")
        return SpeakerSpec("new", seed=int(rest))
    if colon:
        return SpeakerSpec("mix", parse_mix(spec))
    if not head:
        raise ValueError(f"speaker {spec!r} is empty; expected {FORMS}")
    return SpeakerSpec("name", {head: 1.0})


def parse_mix(text: str) -> dict[str, float]:
    """Read "alice:0.7+bob:0.3"; a name may have "+" in it, since every name is followed by its weight.

    Raises:
        ValueError: a weight is missing or no number, or a name comes twice.
    """
    weights, rest = {}, text.strip()
    while rest:
        part = _MIXED.match(rest)
        if part is None:
            raise ValueError(f"mix of speakers {text!r}: {rest!r} is not a name and a weight; write it as in "
                             "'alice:0.7+bob:0.3'")
        name = part["name"].strip()
        if name in weights:
            raise ValueError(f"mix of speakers {text!r}: {name!r} comes twice; add its weights up")
        try:
            weights[name] = float(part["weight"])
        except ValueError:
            raise ValueError(f"mix of speakers {text!r}: the weight of {name!r} is {part['weight'].strip()!r}; "
                             "expected a number") from None
        rest = rest[part.end():]
    if not weights or text.strip().endswith("+"):
        raise ValueError(f"mix of speakers {text!r} ends too early; write it as in 'alice:0.7+bob:0.3'")
    return weights


def shares(names: Sequence[str], spec: SpeakerSpec) -> np.ndarray:
    """The weights of a name or a mix over the speakers in their order: float64 [N], of sum 1.

    Raises:
        ValueError: an unknown name, with the nearest known ones, or weights that nothing can be made of.
    """
    weights = np.zeros(len(names))
    for name, weight in spec.weights.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3) or names[:10]
            more = ", ..." if len(near) < len(names) else ""
            raise ValueError(f"unknown speaker {name!r}; this voice has {len(names)}: {', '.join(near)}{more}")
        weights[list(names).index(name)] = weight
    return _normalised(weights)


def resolve(names: Sequence[str], spec: SpeakerSpec) -> Tensor:
    """`shares` as a tensor, float32 [N]."""
    import torch

    return torch.from_numpy(shares(names, spec)).float()


def _normalised(weights: np.ndarray) -> np.ndarray:
    """Weights divided by their sum."""
    total = float(weights.sum())
    if not math.isfinite(total) or total <= 0:
        raise ValueError(f"the weights of a mix of speakers add up to {total:g}; expected finite numbers with a sum "
                         "above 0 (they are divided by it; single ones may be negative)")
    return weights / total


def mix(embeddings: Tensor, weights: Sequence[float] | Tensor) -> Tensor:
    """A voice between others: embeddings [N, G] -> [G], their mean by weights that are divided by their sum.

    A negative weight leads away from its speaker.

    Raises:
        ValueError: not one weight for each, or their sum is not above 0, or not finite.
    """
    import torch

    weights = torch.as_tensor(weights).detach().cpu().double()
    if weights.shape != embeddings.shape[:1]:
        raise ValueError(f"found weights of shape {list(weights.shape)} for {len(embeddings)} speakers; expected one "
                         "for each")
    return (torch.from_numpy(_normalised(weights.numpy())) @ embeddings.detach().cpu().double()).to(embeddings)


def slerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """Go from a to b by equal angles, while the norm changes evenly (Shoemake 1985).

    Between opposite vectors, where every way is as short, it goes by the axis that is most nearly at right angles to
    them; a zero vector has no angle, and the way from or to it is straight.

    Args:
        a: [G].
        b: [G].
        t: 0 to 1, one or many, [...].

    Returns:
        [..., G]; a and b themselves for t 0 and 1, up to rounding.
    """
    import torch

    start, end = (each.detach().cpu().double() for each in (a, b))  # not every device has float64
    t = torch.as_tensor(t).cpu().double()[..., None]
    norm_a, norm_b = start.norm(), end.norm()
    if norm_a == 0 or norm_b == 0:
        return ((1 - t) * start + t * end).to(a)
    from_a, to_b = start / norm_a, end / norm_b
    aside = to_b - (from_a @ to_b) * from_a  # the part of b at right angles to a
    angle = torch.atan2(aside.norm(), from_a @ to_b)
    if aside.norm() < 1e-9 and from_a @ to_b < 0:
        axis = torch.zeros_like(from_a)
        axis[from_a.abs().argmin()] = 1
        aside = axis - (from_a @ axis) * from_a
    direction = aside / aside.norm().clamp(min=1e-300)
    norm = (1 - t) * norm_a + t * norm_b
    return (norm * (torch.cos(t * angle) * from_a + torch.sin(t * angle) * direction)).to(a)


def over_time(a: Tensor, b: Tensor, n_steps: int) -> Tensor:
    """One voice turning into another: embeddings [G] -> [1, G, T], a at the first step and b at the last.

    Raises:
        ValueError: there is no step.
    """
    import torch

    if n_steps < 1:
        raise ValueError(f"a voice over {n_steps} steps; expected 1 or more")
    return slerp(a, b, torch.linspace(0, 1, n_steps, dtype=torch.float64)).T[None].contiguous()


@dataclass(frozen=True)
class Timbre:
    """A voice as the model takes it, g, with an end of its own where it changes on the way.

    What conditions on g adds a 1x1 convolution of it, so all parts take [1, G, T] with their own T where they take
    [1, G, 1]: flow, posterior encoder and generator over frames, duration predictors over tokens.
    """

    start: Tensor  # [G]
    end: Tensor | None = None  # [G]

    def over(self, n_steps: int) -> Tensor:
        """g for that many frames or tokens: [1, G, T] on a path, else [1, G, 1], which holds for any number."""
        if self.end is None:
            return self.start[None, :, None]
        return over_time(self.start, self.end, n_steps)


def find_timbre(spec: SpeakerSpec, names: Sequence[str], table: Tensor) -> Timbre:
    """The voice that a user asked for.

    Args:
        spec: of `parse_speaker`.
        names: of the trained speakers, in the order of the table.
        table: [N, G], the trained embeddings.

    Raises:
        ValueError: an unknown name, bad weights, or too few speakers to draw a new one.
    """
    if spec.kind == "path":
        start, end = (find_timbre(each, names, table).start for each in spec.ends)
        return Timbre(start, end)
    if spec.kind == "new":
        return Timbre(VoiceDistribution.fit(table).sample(spec.seed).to(table))
    return Timbre(mix(table, resolve(names, spec)))


@dataclass(frozen=True)
class VoiceDistribution:
    """A Gaussian mixture over speaker embeddings, of diagonal covariances: where new voices come from."""

    weights: np.ndarray  # float64 [K], of sum 1
    means: np.ndarray  # float64 [K, G]
    variances: np.ndarray  # float64 [K, G]

    SPEAKERS_A_COMPONENT = 8  # with fewer, a component would say one speaker again instead of something new
    PSEUDO_SPEAKERS = 4  # how many speakers' worth of "all channels vary alike" each variance hears
    VARIANCE_FLOOR = 0.01  # of the variance over all speakers

    @classmethod
    def fit(cls, embeddings: Tensor, n_components: int = 4, seed: int = 0) -> VoiceDistribution:
        """Fit the mixture by expectation maximisation, and shrink its variances.

        Each variance is moved towards the mean over its component's channels, as if `PSEUDO_SPEAKERS` more speakers
        had shown that: a component of few speakers keeps room around them. Fewer than 8 speakers for each component
        make fewer components; below 16 speakers there is one, for which nothing has to be searched.

        Args:
            embeddings: [N, G], e.g. `model.emb_g.weight`.
            n_components: at most.
            seed: of the search's start.

        Raises:
            ValueError: there are not two different speakers, no component, or an embedding that is not finite.
        """
        points = embeddings.detach().double().cpu().numpy()
        if n_components < 1:
            raise ValueError(f"a mixture of {n_components} components; expected 1 or more")
        if not np.isfinite(points).all():
            raise ValueError("a speaker embedding is not finite; the checkpoint is damaged")
        if len(points) < 2 or not np.ptp(points, axis=0).any():
            raise ValueError(f"new voices are drawn from between trained ones, and this voice has {len(points)} "
                             "speaker(s) to draw from; it needs two different ones or more")
        n_components = max(1, min(n_components, len(points) // cls.SPEAKERS_A_COMPONENT))
        shares = _shares(points, n_components, seed)  # [N, K]
        shares = shares[:, shares.sum(axis=0) >= 1]  # without components that lost their speakers
        counts = shares.sum(axis=0)  # [K], speakers
        means = shares.T @ points / counts[:, None]
        scatter = np.stack([share @ np.square(points - mean) for share, mean in zip(shares.T, means)])  # [K, G]
        freedom = np.maximum(counts - 1, 1)[:, None]  # [K, 1]; one speaker's worth went into the mean
        alike = scatter.mean(axis=1, keepdims=True) / freedom
        alike = np.maximum(alike, cls.VARIANCE_FLOOR * points.var(axis=0).mean())
        variances = (scatter + cls.PSEUDO_SPEAKERS * alike) / (freedom + cls.PSEUDO_SPEAKERS)
        return cls(counts / counts.sum(), means, variances)

    def sample(self, seed: int) -> Tensor:
        """A voice that nobody has, [G] float32; the same seed, the same voice."""
        import torch

        random = random_stream(seed, SPEAKERS)
        component = random.choice(len(self.weights), p=self.weights)
        deviation = np.sqrt(self.variances[component])
        drawn = self.means[component] + deviation * random.standard_normal(len(deviation))
        return torch.from_numpy(drawn).float()


def _shares(points: np.ndarray, n_components: int, seed: int) -> np.ndarray:
    """How much each speaker belongs to each component: points [N, G] -> [N, K], rows of sum 1."""
    if n_components == 1:
        return np.ones((len(points), 1))
    from sklearn.mixture import GaussianMixture  # slow to import, and wanted by few

    mixture = GaussianMixture(n_components, covariance_type="diag", random_state=seed % 2**32, max_iter=500,
                              reg_covar=VoiceDistribution.VARIANCE_FLOOR * points.var(axis=0).mean())
    return mixture.fit(points).predict_proba(points)
