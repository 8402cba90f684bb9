"""The alignment search: its backends agree with each other, with every path there is, and with the published one."""
# Shapes: B batch, L text tokens, T frames.

import importlib
import itertools
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import monotonic_align
from tests.monotonic_align import oracle

GOLDEN = Path(__file__).parents[1] / "golden" / "ljs_base.npz"
BACKENDS = ["core", "numba_kernel", "numba_kernel without numba"]


def backend_named(name):
    name, _, without = name.partition(" without ")
    if not without:
        return pytest.importorskip(f"monotonic_align.{name}", exc_type=ImportError)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, without, None)
        patch.delitem(sys.modules, f"monotonic_align.{name}", raising=False)
        return importlib.import_module(f"monotonic_align.{name}")


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Each backend in turn, chosen for the whole package."""
    module = backend_named(request.param)
    monkeypatch.setattr(monotonic_align, "_host_backend", lambda: module)
    return module


@pytest.fixture
def fresh_choice():
    """Clear the choice of the backend, before the test and after it."""
    monotonic_align._host_backend.cache_clear()
    yield
    monotonic_align._host_backend.cache_clear()


def fill(backend, scores, text_lengths, spec_lengths, num_threads=1):
    """Call a backend as the package does: arrays in, durations [B, L] out."""
    scores = np.asarray(scores, np.float32)
    durations = np.zeros((scores.shape[0], scores.shape[2]), np.int64)
    backend.fill_durations(scores, np.asarray(text_lengths), np.asarray(spec_lengths), durations, num_threads)
    return durations


def random_batch(batch, frames, tokens, seed=0):
    """Scores with ragged lengths; the first item has the full size, the second as many frames as tokens."""
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.normal(size=(batch, frames, tokens)).astype(np.float32))
    text_lengths = torch.from_numpy(rng.integers(1, tokens + 1, batch))
    spec_lengths = torch.from_numpy(rng.integers(text_lengths.numpy(), frames + 1))
    text_lengths[0], spec_lengths[0] = tokens, frames
    if batch > 1:
        spec_lengths[1] = text_lengths[1]
    return scores, text_lengths, spec_lengths


def best_of_all_paths(scores):
    """Look at every monotonic path through [T, L]; of equal sums take the one that, from the end, is last to leave."""
    frames, tokens = scores.shape
    best = None
    for advances in itertools.combinations(range(1, frames), tokens - 1):
        steps = np.zeros(frames, np.int64)
        steps[list(advances)] = 1
        token = steps.cumsum()
        key = (scores[np.arange(frames), token].sum(), *token[::-1])
        best = key if best is None or key > best else best
    return np.bincount(np.array(best[:0:-1]), minlength=tokens)


def assert_valid(alignment, text_lengths, spec_lengths):
    """Every path runs from corner to corner, by steps of 0 or 1, with one token per frame."""
    assert torch.equal(alignment.path.sum(dim=1).long(), alignment.durations)
    assert torch.equal(alignment.durations.sum(dim=1), spec_lengths)
    for path, tokens, frames in zip(alignment.path, text_lengths.tolist(), spec_lengths.tolist(), strict=True):
        assert path[frames:].sum() == 0 and path[:, tokens:].sum() == 0
        assert torch.equal(path[:frames].sum(dim=1), torch.ones(frames, dtype=path.dtype))
        token = path[:frames].argmax(dim=1)
        assert token[0] == 0 and token[-1] == tokens - 1
        assert set(token.diff().tolist()) <= {0, 1}


# -- which path ----------------------------------------------------------------------------------------------------


@st.composite
def small_scores(draw):
    """Small whole numbers: sums are exact and ties are many."""
    frames = draw(st.integers(1, 8))
    tokens = draw(st.integers(1, frames))
    values = draw(st.lists(st.integers(-2, 2), min_size=frames * tokens, max_size=frames * tokens))
    return np.array(values, np.float32).reshape(frames, tokens)


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=120, deadline=None)
@given(scores=small_scores())
def test_the_path_is_the_best_of_all_paths_and_ties_stay_on_the_token(name, scores):
    found = fill(backend_named(name), scores[None], [scores.shape[1]], [scores.shape[0]])
    assert found[0].tolist() == best_of_all_paths(scores).tolist()


@pytest.mark.parametrize("shape", [(1, 1), (9, 1), (9, 9), (10, 9), (33, 17), (70, 64), (130, 65)])
def test_degenerate_and_odd_shapes_give_valid_paths_like_the_oracle(backend, shape):
    frames, tokens = shape
    scores = torch.randn(2, frames, tokens, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([tokens, tokens]), torch.tensor([frames, frames])
    alignment = monotonic_align.search(scores, *lengths)
    assert_valid(alignment, *lengths)
    assert alignment.durations.tolist() == fill(oracle, scores, *lengths).tolist()


def test_ragged_batches_give_valid_paths_like_the_oracle(backend):
    scores, text_lengths, spec_lengths = random_batch(12, 90, 40)
    alignment = monotonic_align.search(scores, text_lengths, spec_lengths)
    assert_valid(alignment, text_lengths, spec_lengths)
    assert alignment.durations.tolist() == fill(oracle, scores, text_lengths, spec_lengths).tolist()


def test_what_lies_beyond_the_lengths_is_not_read(backend):
    scores, text_lengths, spec_lengths = random_batch(8, 50, 20)
    expected = monotonic_align.durations(scores, text_lengths, spec_lengths)
    for item, (frames, tokens) in enumerate(zip(spec_lengths, text_lengths, strict=True)):
        scores[item, frames:] = torch.nan
        scores[item, :, tokens:] = torch.inf
    assert torch.equal(monotonic_align.durations(scores, text_lengths, spec_lengths), expected)


def test_long_inputs_agree(backend):
    scores, text_lengths, spec_lengths = random_batch(2, 3000, 700, seed=2)
    scores = scores.cumsum(dim=1)  # sums beyond float32's whole numbers: rounding is the same in all backends, too
    text_lengths[1], spec_lengths[1] = 650, 2999
    found = monotonic_align.durations(scores, text_lengths, spec_lengths)
    assert found.tolist() == fill(oracle, scores, text_lengths, spec_lengths).tolist()


def test_the_path_equals_the_published_one(backend):
    golden = np.load(GOLDEN)
    scores, mask = (torch.from_numpy(golden[f"in/{name}"]) for name in ("neg_cent", "neg_cent_mask"))
    path = monotonic_align.maximum_path(scores * mask, mask)
    flat = path.numpy().reshape(-1)
    stride = -(-flat.size // 2048)  # the file holds an even sample
    assert list(path.shape) == golden["mas.path/shape"].tolist()
    assert np.array_equal(flat[::stride], golden["mas.path/sample"])
    assert flat.mean(dtype=np.float64) == pytest.approx(float(golden["mas.path/mean"]), rel=1e-12)


# -- difficult numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1e9, -1e30, 3e38, -torch.inf, torch.inf, torch.nan, 0.0])
def test_extreme_values_give_the_same_valid_path_in_every_backend(backend, value):
    scores, text_lengths, spec_lengths = random_batch(6, 40, 15, seed=3)
    scores[torch.rand(scores.shape, generator=torch.Generator().manual_seed(4)) < 0.3] = value
    alignment = monotonic_align.search(scores, text_lengths, spec_lengths)
    assert_valid(alignment, text_lengths, spec_lengths)
    assert alignment.durations.tolist() == fill(oracle, scores, text_lengths, spec_lengths).tolist()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 0.0, -1e9])
def test_scores_all_alike_stay_on_the_last_token(backend, value):
    found = monotonic_align.durations(torch.full((1, 9, 4), value), torch.tensor([4]), torch.tensor([9]))
    assert found.tolist() == [[1, 1, 1, 6]]


def test_scores_far_below_minus_1e9_still_choose_the_best_path(backend):
    scores = torch.full((1, 6, 3), -4e9)
    scores[0, [0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 1, 2]] = -2e9
    found = monotonic_align.durations(scores, torch.tensor([3]), torch.tensor([6]))
    assert found.tolist() == [[4, 1, 1]]


# -- tensors of every kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_are_searched_in_float32_and_give_a_path_of_their_own(backend, dtype):
    scores, text_lengths, spec_lengths = random_batch(4, 30, 12)
    scores = scores.to(dtype)
    alignment = monotonic_align.search(scores, text_lengths, spec_lengths)
    assert alignment.path.dtype == dtype and alignment.durations.dtype == torch.int64
    assert torch.equal(alignment.durations, monotonic_align.durations(scores.float(), text_lengths, spec_lengths))


def test_strided_scores_give_the_same_path(backend):
    scores, text_lengths, spec_lengths = random_batch(4, 30, 12)
    expected = monotonic_align.search(scores, text_lengths, spec_lengths).path
    wide = torch.full((8, 35, 26), torch.nan)
    wide[::2, 2:32, 1:25:2] = scores
    corner = torch.full((4, 40, 20), torch.nan)
    corner[:, :30, :12] = scores
    for strided in (scores.mT.contiguous().mT, wide[::2, 2:32, 1:25:2], corner[:, :30, :12]):
        assert not strided.is_contiguous()
        assert torch.equal(monotonic_align.search(strided, text_lengths, spec_lengths).path, expected)


def test_expanded_scores_and_lengths_are_accepted(backend):
    scores = torch.randn(1, 20, 1, generator=torch.Generator().manual_seed(5)).expand(3, 20, 5)
    lengths = torch.tensor([5]).expand(3), torch.tensor([20], dtype=torch.int32).expand(3)
    assert_valid(monotonic_align.search(scores, *lengths), lengths[0], lengths[1].long())


def test_the_scores_keep_their_values_and_the_result_has_no_gradient(backend):
    scores, text_lengths, spec_lengths = random_batch(3, 30, 12)
    before = scores.clone()
    scores.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        alignment = monotonic_align.search(scores, text_lengths, spec_lengths)
    assert torch.equal(scores, before)
    assert not alignment.path.requires_grad and alignment.path.dtype == torch.float32


def test_an_empty_batch_gives_an_empty_alignment(backend):
    nothing = torch.zeros(0, dtype=torch.int64)
    alignment = monotonic_align.search(torch.zeros(0, 7, 3), nothing, nothing)
    assert alignment.path.shape == (0, 7, 3) and alignment.durations.shape == (0, 3)


@pytest.mark.parametrize("name", BACKENDS)
def test_the_number_of_threads_changes_nothing(name):
    scores, text_lengths, spec_lengths = random_batch(13, 60, 25)
    results = [fill(backend_named(name), scores, text_lengths, spec_lengths, threads) for threads in (1, 2, 5, 13)]
    assert all(np.array_equal(result, results[0]) for result in results)


@pytest.mark.parametrize("threads", [1, 3, 13])
def test_the_compiled_path_is_that_of_the_durations_whatever_was_there_before(threads):
    scores, text_lengths, spec_lengths = random_batch(13, 60, 25)
    durations = monotonic_align.durations(scores, text_lengths, spec_lengths)
    path = torch.full((13, 60, 25), torch.nan)
    backend_named("core").fill_path(durations.numpy(), path.numpy(), threads)
    assert torch.equal(path, monotonic_align._path_of(durations, 60, torch.float64).float())


def test_no_more_threads_than_items_are_asked_for(monkeypatch):
    asked = []

    class Spy:
        def fill_durations(self, scores, text_lengths, spec_lengths, durations, num_threads):
            asked.append(num_threads)

    monkeypatch.setattr(monotonic_align, "_host_backend", Spy)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    for batch in (1, 3, 9):
        monotonic_align.durations(*random_batch(batch, 10, 4))
    assert asked == [1, 3, 4]


# -- the published signature ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask_dtype", [torch.float32, torch.float16, torch.bool])
def test_maximum_path_reads_the_lengths_from_the_mask(mask_dtype):
    scores, text_lengths, spec_lengths = random_batch(5, 2500, 6)
    frame_mask = torch.arange(2500) < spec_lengths[:, None]
    token_mask = torch.arange(6) < text_lengths[:, None]
    mask = (frame_mask[:, :, None] & token_mask[:, None, :]).to(mask_dtype)
    expected = monotonic_align.search(scores, text_lengths, spec_lengths).path
    assert torch.equal(monotonic_align.maximum_path(scores, mask), expected)


def test_maximum_path_refuses_a_mask_of_another_shape():
    with pytest.raises(ValueError, match=r"mask is \[2, 4, 9\], neg_cent is \[2, 9, 4\].*frames before tokens"):
        monotonic_align.maximum_path(torch.zeros(2, 9, 4), torch.ones(2, 4, 9))


# -- errors --------------------------------------------------------------------------------------------------------


def test_items_with_fewer_frames_than_tokens_are_all_named():
    scores = torch.zeros(4, 9, 6)
    with pytest.raises(ValueError) as error:
        monotonic_align.search(scores, torch.tensor([6, 6, 2, 5]), torch.tensor([9, 5, 9, 4]))
    message = str(error.value)
    assert "2 of 4 items cannot be aligned: item 1 has 5 frames for 6 tokens; item 3 has 4 frames" in message
    assert "leave clips that are too short for their text out of the filelist" in message


@pytest.mark.parametrize(("tokens", "frames"), [(0, 9), (0, 0), (-1, 9), (3, 0)])
def test_an_empty_item_is_an_error(tokens, frames):
    with pytest.raises(ValueError, match=f"item 0 has {frames} frames for {tokens} tokens"):
        monotonic_align.durations(torch.zeros(1, 9, 6), torch.tensor([tokens]), torch.tensor([frames]))


@pytest.mark.parametrize(("tokens", "frames"), [(7, 9), (6, 10)])
def test_lengths_beyond_the_scores_are_an_error(tokens, frames):
    with pytest.raises(ValueError, match=rf"{frames} frames for {tokens} tokens, beyond its scores \[9, 6\]"):
        monotonic_align.durations(torch.zeros(1, 9, 6), torch.tensor([tokens]), torch.tensor([frames]))


def test_a_long_list_of_faults_is_cut():
    lengths = torch.full((30,), 4), torch.full((30,), 3)
    with pytest.raises(ValueError, match=r"30 of 30 items.*item 9 has 3 frames for 4 tokens; and 20 more\."):
        monotonic_align.durations(torch.zeros(30, 9, 6), *lengths)


def test_wrong_shapes_are_an_error():
    one, two = torch.tensor([1]), torch.tensor([1, 1])
    with pytest.raises(ValueError, match=r"scores are \[9, 6\]; expected \[B, T, L\]"):
        monotonic_align.search(torch.zeros(9, 6), one, one)
    with pytest.raises(ValueError, match=r"text_lengths is \[2\], scores are \[1, 9, 6\]; expected one length"):
        monotonic_align.search(torch.zeros(1, 9, 6), two, one)
    with pytest.raises(ValueError, match=r"spec_lengths is \[2\]"):
        monotonic_align.search(torch.zeros(1, 9, 6), one, two)


def test_the_compiled_search_refuses_scores_that_are_not_dense_along_the_tokens():
    with pytest.raises(ValueError, match="stride of 36 bytes along the tokens; expected 4"):
        fill(backend_named("core"), np.zeros((1, 6, 9), np.float32).transpose(0, 2, 1), [6], [9])


# -- which backend ----------------------------------------------------------------------------------------------------


def test_the_compiled_search_is_chosen_without_a_warning_where_it_is(fresh_choice):
    core = backend_named("core")
    assert core.__name__ == "monotonic_align.core"
    assert Path(core.__file__).parent == Path(monotonic_align.__file__).parent
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert monotonic_align._host_backend() is core


def test_without_the_extension_numba_is_used_and_one_warning_is_given(fresh_choice, monkeypatch):
    numba_kernel = backend_named("numba_kernel")
    monkeypatch.setitem(sys.modules, "monotonic_align.core", None)
    with pytest.warns(RuntimeWarning, match="compiled search is not available.*numba takes its place") as caught:
        for _ in range(3):
            monotonic_align.search(*random_batch(2, 9, 4))
    assert len(caught) == 1
    assert monotonic_align._host_backend() is numba_kernel


def test_without_extension_and_numba_the_search_runs_in_python_and_one_warning_is_given(fresh_choice, monkeypatch):
    expected = monotonic_align.durations(*random_batch(2, 9, 4))
    monotonic_align._host_backend.cache_clear()
    monkeypatch.setitem(sys.modules, "monotonic_align.core", None)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "monotonic_align.numba_kernel", raising=False)
    with pytest.warns(RuntimeWarning, match="nor is numba; Python takes its place.*pip install numba") as caught:
        found = [monotonic_align.durations(*random_batch(2, 9, 4)) for _ in range(3)]
    assert len(caught) == 1
    assert monotonic_align._host_backend() .njit is None
    assert all(torch.equal(each, expected) for each in found)


def test_the_package_imports_without_numba_and_without_the_extension(monkeypatch):
    for name in ("numba", "monotonic_align.core"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "monotonic_align")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = importlib.import_module("monotonic_align")
    assert again is not monotonic_align and callable(again.search)
