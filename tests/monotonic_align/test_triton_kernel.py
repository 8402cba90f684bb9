"""The backend for GPUs of the alignment search: run by Triton's interpreter on the CPU, and compiled for GPUs."""
# Shapes: B batch, L text tokens, T frames.

import contextlib
import importlib
import sys

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import monotonic_align
from tests.monotonic_align import oracle
from tests.monotonic_align.test_monotonic_align import fill, random_batch

# -- by Triton's interpreter ---------------------------------------------------------------------------------------


def import_kernel():
    """Import the Triton backend anew: whether the interpreter runs it is settled while it is imported."""
    pytest.importorskip("triton", reason="Triton is published for Linux alone")
    sys.modules.pop("monotonic_align.triton_kernel", None)
    return importlib.import_module("monotonic_align.triton_kernel")


@pytest.fixture
def kernel(monkeypatch):
    """The Triton backend, run by Triton's interpreter on the CPU."""
    interpreter = pytest.importorskip("triton.runtime.interpreter", reason="Triton is published for Linux alone")
    patch_tensor = interpreter._patch_lang_tensor

    def patch_tensor_and_index(tensor, scope):
        patch_tensor(tensor, scope)
        # Triton 3.6 takes int() of an array of one number, which NumPy refuses since 2.4.
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patch_tensor_and_index)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    yield import_kernel()
    sys.modules.pop("monotonic_align.triton_kernel")


def assert_like_oracle(kernel, scores, text_lengths, spec_lengths):
    found = kernel.durations(scores, text_lengths, spec_lengths)
    assert found.dtype == torch.int64
    assert found.tolist() == fill(oracle, scores.float(), text_lengths, spec_lengths).tolist()


@pytest.mark.parametrize("shape", [(1, 1), (9, 1), (9, 9), (31, 30), (32, 5), (33, 17), (40, 33), (130, 65)])
def test_the_gpu_backend_finds_the_path_of_the_oracle_ties_and_all(kernel, shape):
    scores, text_lengths, spec_lengths = random_batch(3, *shape, seed=6)
    assert_like_oracle(kernel, scores, text_lengths, spec_lengths)
    assert_like_oracle(kernel, scores.round(), text_lengths, spec_lengths)


@pytest.mark.slow
def test_the_gpu_backend_takes_long_texts(kernel):
    scores, text_lengths, spec_lengths = random_batch(1, 2500, 2048, seed=6)
    assert_like_oracle(kernel, scores.cumsum(dim=1), text_lengths, spec_lengths)


@pytest.mark.parametrize("value", [-1e30, 3e38, -torch.inf, torch.inf, torch.nan])
def test_the_gpu_backend_gives_the_same_path_for_extreme_values(kernel, value):
    scores, text_lengths, spec_lengths = random_batch(4, 40, 15, seed=3)
    scores[torch.rand(scores.shape, generator=torch.Generator().manual_seed(4)) < 0.3] = value
    assert_like_oracle(kernel, scores, text_lengths, spec_lengths)


def test_the_gpu_backend_reads_scores_and_lengths_of_every_kind(kernel):
    scores, text_lengths, spec_lengths = random_batch(3, 40, 12)
    wide = torch.full((6, 45, 26), torch.nan)
    wide[::2, 2:42, 1:25:2] = scores
    for each in (scores.half(), scores.bfloat16(), scores.mT.contiguous().mT, wide[::2, 2:42, 1:25:2]):
        assert_like_oracle(kernel, each, text_lengths, spec_lengths)
    assert_like_oracle(kernel, scores, text_lengths.int(), spec_lengths.int())
    assert_like_oracle(kernel, scores, torch.tensor([5]).expand(3), torch.tensor([40]).expand(3))
    nothing = torch.zeros(0, dtype=torch.int64)
    assert kernel.durations(torch.zeros(0, 7, 3), nothing, nothing).shape == (0, 3)


def test_the_gpu_backend_gives_items_without_a_path_zeros_and_the_others_theirs(kernel):
    text_lengths, spec_lengths = torch.tensor([4, 0, 6, 9, 6, -3]), torch.tensor([9, 9, 5, 9, 10, 9])
    found = kernel.durations(torch.randn(6, 9, 8), text_lengths, spec_lengths)
    assert found.sum(dim=1).tolist() == [9, 0, 0, 0, 0, 0]


# -- compiled ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capability", [75, 80, 90, 120])
def test_the_gpu_backend_compiles_for_every_generation_and_rounds_like_the_others(capability, monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    search = import_kernel()._search
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile
    types = {"scores": "*fp32", "text_lengths": "*i64", "spec_lengths": "*i64", "advances": "*i32", "durations": "*i64"}
    constants = {"token_stride": 1, "WORD_BITS": 32, "BLOCK": 4096, "STAGES": 3}
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in search.arg_names}
    compiled = compile(ASTSource(search, signature, constants), GPUTarget("cuda", capability, 32), {"num_warps": 16})
    assert compiled.metadata.shared <= 48 * 1024  # bytes that every GPU has
    assert "ftz" not in compiled.asm["ptx"] and "fma" not in compiled.asm["ptx"]
    assert ("cp.async" in compiled.asm["ptx"]) == (capability >= 80)  # frames on their way before they are needed


# -- scores on a GPU, without one ----------------------------------------------------------------------------------


class FakeKernel:
    """Stands where the Triton backend would be."""

    is_supported = True

    def supports(self, scores):
        return self.is_supported

    def durations(self, scores, text_lengths, spec_lengths):
        assert scores.is_cuda and text_lengths.is_cuda and spec_lengths.is_cuda
        return torch.ones(scores.shape[0], scores.shape[2], dtype=torch.int64, device=scores.device)


class RecordsOperators(TorchDispatchMode):
    """Notes what torch is asked to do; copies to the host under the name of "to_cpu"."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        goes_home = kwargs.get("device") == torch.device("cpu")
        self.names.add("to_cpu" if goes_home else function.overloadpacket.__name__)
        return function(*args, **kwargs)


@pytest.fixture
def fake_kernel(monkeypatch):
    kernel = FakeKernel()
    monkeypatch.setattr(monotonic_align, "_gpu_backend", lambda: kernel)
    return kernel


@pytest.fixture
def fake_scores():
    """Scores [2, 9, 4] on a GPU that is not there; they have no values."""
    with FakeTensorMode():
        return torch.empty(2, 9, 4, device="cuda", dtype=torch.float16)


def test_scores_on_a_gpu_are_aligned_there_and_nothing_waits_for_them(fake_kernel, fake_scores):
    with fake_scores.fake_mode, RecordsOperators() as operators:
        alignment = monotonic_align.search(fake_scores, *torch.empty(2, 2, device="cuda", dtype=torch.int64))
        path = monotonic_align.maximum_path(fake_scores, torch.empty_like(fake_scores))
    assert alignment.path.is_cuda and alignment.durations.is_cuda and path.is_cuda
    assert alignment.path.dtype == torch.float16
    assert operators.names and not operators.names & {"_local_scalar_dense", "nonzero", "to_cpu"}


def test_the_kernel_is_started_without_waiting(fake_scores, monkeypatch):
    started = []

    class FakeSearch:
        def __getitem__(self, grid):
            return lambda *arguments, **constants: started.append((grid, arguments, constants))

    kernel = import_kernel()
    monkeypatch.setattr(kernel, "_search", FakeSearch())
    monkeypatch.setattr(torch.cuda, "device_of", contextlib.nullcontext)
    with fake_scores.fake_mode, RecordsOperators() as operators:
        found = kernel.durations(fake_scores, *torch.empty(2, 2, device="cuda", dtype=torch.int64))
    assert found.is_cuda and found.shape == (2, 4)
    assert [grid for grid, _, _ in started] == [(2,)]
    assert not operators.names & {"_local_scalar_dense", "nonzero", "to_cpu"}


@pytest.mark.parametrize(("capability", "tokens", "is_supported"), [
    ((8, 0), 4096, True), ((7, 5), 9, True), ((7, 0), 9, False), ((9, 0), 4097, False)])
def test_old_gpus_and_very_long_texts_are_left_to_the_host(capability, tokens, is_supported, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert import_kernel().supports(torch.empty(1, 1, tokens)) == is_supported


def test_the_recorder_sees_who_waits(fake_scores):
    with fake_scores.fake_mode, RecordsOperators() as operators:
        fake_scores.cpu()
        with pytest.raises(DataDependentOutputException):
            fake_scores.sum().item()
    assert {"to_cpu", "_local_scalar_dense"} <= operators.names


def test_lengths_on_the_host_are_checked_even_if_the_scores_are_on_a_gpu(fake_kernel, fake_scores):
    with pytest.raises(ValueError, match="item 1 has 3 frames for 4 tokens"):
        monotonic_align.durations(fake_scores, torch.tensor([4, 4]), torch.tensor([9, 3]))


def test_scores_on_a_gpu_that_the_kernel_does_not_take_are_searched_on_the_host(fake_kernel, fake_scores, monkeypatch):
    monkeypatch.setattr(monotonic_align, "_durations_on_host", lambda *work: work)
    lengths = torch.tensor([4, 4]), torch.tensor([9, 9])
    fake_kernel.is_supported = False
    assert monotonic_align.durations(fake_scores, *lengths) == (fake_scores, *lengths)
    monkeypatch.setattr(monotonic_align, "_gpu_backend", lambda: None)
    assert monotonic_align.durations(fake_scores, *lengths) == (fake_scores, *lengths)


def test_without_triton_one_warning_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "monotonic_align.triton_kernel", raising=False)
    monotonic_align._gpu_backend.cache_clear()
    with pytest.warns(RuntimeWarning, match="no Triton .*; scores travel from the GPU to the host") as caught:
        assert [monotonic_align._gpu_backend() for _ in range(3)] == [None] * 3
    assert len(caught) == 1
    monotonic_align._gpu_backend.cache_clear()
