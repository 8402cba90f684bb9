"""Memory: what is there, what work takes, and what the largest batch of a run would."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import utils
from data_utils import Collate, Fault, Utterance
from tests.conftest import tiny
from training import memory
from training.memory import Memory, MemoryShortage, check_fit, memory_of
from training.step import new_networks, new_state
from utils import peak_of

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
MEGABYTE = 10**6

COUNT_FAULTS = """
import resource, sys, torch, utils
if sys.argv[1] == "keep":
    assert utils.keep_freed_memory()
for _ in range(8):  # until the heap has gaps for it that are large enough
    torch.ones(20_000_000)  # 80 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(20_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

needs_linux = pytest.mark.skipif(memory_of(CPU) is None, reason="this system does not tell how much memory is free")


@pytest.fixture
def largest():
    """Eight utterances of at most half a second."""
    random = torch.Generator().manual_seed(0)
    return [Utterance(f"{i}.wav", torch.randint(1, 40, (9,), generator=random),
                      0.1 * torch.randn(4000 - 100 * i, generator=random), None) for i in range(8)]


@pytest.fixture
def state():
    config = tiny()
    return new_state(config, new_networks(config, 71, CPU))


def check(state, utterances):
    config = tiny()
    check_fit(state, utterances, Collate(config.train.segment_size, config.data.hop_length), config)


@needs_linux
def test_the_machine_tells_what_is_used_and_free():
    found = memory_of(CPU)
    assert 50 * MEGABYTE < found.used < 10**12 and 0 <= found.free < 10**14


@needs_linux
def test_the_peak_of_work_is_seen_though_all_is_given_back():
    small = peak_of(lambda: torch.ones(1), CPU)
    large = peak_of(lambda: torch.ones(50 * MEGABYTE), CPU)  # 200 MB
    again = peak_of(lambda: torch.ones(1), CPU)
    assert 150 * MEGABYTE < large - small < 260 * MEGABYTE
    assert again < small + 50 * MEGABYTE


def test_a_container_is_told_its_own_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 400000\n")
    if memory_of(CPU) is None:
        pytest.skip("this system does not tell how much memory is free")
    assert memory_of(CPU).free == 900_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_of(CPU).free > 900_000


def pretend(monkeypatch, limit, per_row=10 * MEGABYTE, fixed=100 * MEGABYTE):
    """A machine of that much memory, on which each utterance takes 10 MB more."""
    rows = []
    monkeypatch.setattr(memory, "dry_run", lambda state, batch, config: rows.append(len(batch.names)))
    monkeypatch.setattr(memory, "memory_of", lambda device: Memory(used=fixed, free=limit - fixed))

    def peak(work, device):
        work()
        return fixed + per_row * rows[-1]

    monkeypatch.setattr(memory, "peak_of", peak)
    monkeypatch.setattr(memory, "_bytes_to_come", lambda state: 20 * MEGABYTE)
    return rows


def test_the_need_is_foreseen_from_one_and_two_utterances(state, largest, monkeypatch, caplog):
    rows = pretend(monkeypatch, limit=201 * MEGABYTE)
    with caplog.at_level("INFO", logger="vits"):
        check(state, [Fault("broken.wav", "gone"), *largest])
    assert rows == [1, 2]
    assert "the largest batch, 8 utterances padded to 0.5 s, takes about 0.2 GB of 0.2 GB" in caplog.text


def test_a_batch_that_does_not_fit_is_named_with_a_size_that_would(state, largest, monkeypatch):
    pretend(monkeypatch, limit=175 * MEGABYTE)  # 100 + 20 + 5 * 10 would fit
    with pytest.raises(MemoryShortage, match=r"8 utterances padded to 0\.5 s \(0\.wav, 1\.wav, 2\.wav, \.\.\.\) need "
                                             r"about 0\.2 GB of 0\.2 GB; train\.batch_size=5 or "
                                             r"train\.batch_seconds=3 would fit, and train\.accumulate"):
        check(state, largest)


def test_where_not_one_utterance_fits_other_remedies_are_named(state, largest, monkeypatch):
    pretend(monkeypatch, limit=125 * MEGABYTE)
    with pytest.raises(MemoryShortage, match="not one utterance would; lower data.max_wav_seconds or the model's"):
        check(state, largest)


def test_where_nobody_can_tell_nothing_is_claimed(state, largest, monkeypatch, caplog):
    pretend(monkeypatch, limit=1)
    monkeypatch.setattr(memory, "memory_of", lambda device: None)
    check(state, largest)
    assert "largest batch" not in caplog.text


@needs_linux
def test_on_this_machine_a_tiny_batch_fits_and_nothing_moves(state, largest):
    before = [parameter.clone() for parameter in state.generator.parameters()]
    check(state, largest)
    assert all(torch.equal(a, b) for a, b in zip(before, state.generator.parameters()))
    assert not state.generator_updater.optimizer.state


def test_what_is_to_come_counts_moments_once_and_the_copy_that_is_saved(state):
    generator, discriminators = (sum(p.numel() for p in side.parameters())
                                 for side in (state.generator, state.discriminators))
    both = generator + discriminators
    assert memory._bytes_to_come(state) == 8 * both + 4 * (3 * both + generator)


@needs_linux
def test_memory_that_is_kept_need_not_be_found_again():
    """Counts page faults; a process of its own, for the setting stays."""
    if "glibc" not in platform.libc_ver()[0]:
        pytest.skip("this C library has no such setting")

    def faults(way):
        return int(subprocess.run([sys.executable, "-c", COUNT_FAULTS, way], cwd=ROOT, check=True, capture_output=True,
                                  text=True).stdout)

    # A machine in need takes pages back from everybody, which adds faults to some runs: the least of a few counts.
    assert any(faults("keep") < 200 for _ in range(5))
    assert faults("leave") > 5000


@needs_linux
def test_a_peak_is_seen_though_memory_is_kept():
    """A process of its own, for the setting stays."""
    program = ("import torch, utils; utils.keep_freed_memory(); torch.ones(50_000_000); cpu = torch.device('cpu');"
               "small, large = (utils.peak_of(lambda n=n: torch.ones(n), cpu) for n in (1, 50_000_000));"
               "print(large - small)")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert 150 * MEGABYTE < int(done.stdout) < 260 * MEGABYTE


def test_where_the_c_library_is_another_nothing_is_set(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert utils.keep_freed_memory() is False
