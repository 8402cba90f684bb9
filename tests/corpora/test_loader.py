"""Batches of a run that lasts: files that fail in the middle of it, workers that die, and the order that stays."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

import data_utils
from audio import io
from audio.io import AudioError
from corpora import loader
from corpora.batching import Batching, LengthBatchSampler, StepSampler
from corpora.loader import RestartingLoader
from data_utils import Collate, report_faults
from tests.test_data_utils import config_of, opened, write_list, write_sound

# --- faults in the middle of a run


@pytest.fixture
def corpus(tmp_path):
    """Eight recordings, 0.wav to 7.wav, the longer the later."""
    for place in range(8):
        write_sound(tmp_path / f"{place}.wav", 0.5 + 0.05 * place)
    return opened(write_list(tmp_path, *[f"{place}.wav|hello" for place in range(8)]), config_of())


def stems(batch):
    return [int(Path(name).stem) for name in batch.names]


def damage(dataset, *places):
    for place in places:
        Path(dataset.entries[place].wav_path).write_bytes(b"no sound")


def test_files_that_fail_in_the_middle_of_a_run_are_left_out_and_named(corpus):
    damage(corpus, 1)
    Path(corpus.entries[3].wav_path).unlink()
    write_sound(corpus.entries[4].wav_path, rate=16000)
    batch = Collate(8192, 256)(corpus.__getitems__([0, 1, 2, 3, 4]))
    assert stems(batch) == [0, 2] and len(batch.wav) == len(batch.text_ids) == len(batch.wav_lengths) == 2
    assert [Path(fault.name).name for fault in batch.faults] == ["1.wav", "3.wav", "4.wav"]
    reasons = [fault.reason for fault in batch.faults]
    assert reasons[0].startswith("is not readable as audio") and reasons[1].startswith("does not exist")
    assert reasons[2].startswith("is 16000 Hz, it was 22050 Hz")
    with pytest.raises(AudioError, match="1.wav is not readable"):  # one that is asked for by itself still raises
        corpus[1]


def test_a_disk_that_fails_for_a_moment_costs_one_utterance(corpus, monkeypatch):
    def fails_for_2(path):
        if path.endswith("2.wav"):
            raise OSError(5, "Input/output error")
        return io.read_wav(path)

    monkeypatch.setattr(data_utils, "read_wav", fails_for_2)
    batch = Collate(8192, 256)(corpus.__getitems__([1, 2]))
    assert stems(batch) == [1] and batch.faults[0].reason == "[Errno 5] Input/output error"


def test_an_error_that_is_no_files_fault_comes_out(corpus, monkeypatch):
    monkeypatch.setattr(data_utils, "read_wav", lambda path: {}[path])
    with pytest.raises(KeyError):
        corpus.__getitems__([1, 2])


def test_where_a_whole_batch_fails_the_next_that_can_be_read_stands_in(corpus):
    damage(corpus, 5, 6, 7, 0)
    batch = Collate(8192, 256)(corpus.__getitems__([5, 6]))
    assert stems(batch) == [1] and [Path(fault.name).stem for fault in batch.faults] == ["5", "6", "7", "0"]


def test_where_nothing_can_be_read_the_run_ends_with_the_first_file(corpus):
    damage(corpus, *range(8))
    with pytest.raises(AudioError, match=r"102 utterances in a row cannot be read; the first: .*3.wav: is not readable "
                                         r"as audio .*; check that the disk is mounted"):
        corpus.__getitems__([3, 1])


@pytest.mark.parametrize("workers", [0, 1])
def test_where_nothing_can_be_read_any_more_the_error_is_one_message_with_workers_too(corpus, workers):
    damage(corpus, *range(8))
    with pytest.raises(AudioError) as error:
        sequence(loader_of(corpus, workers, Batching(4)), 0, 1)
    message = str(error.value)
    assert "utterances in a row cannot be read; the first: " in message and message.endswith("is mounted")
    assert len(message.splitlines()) == 1 and "Traceback" not in message and "Caught" not in message


def test_a_loader_passes_faults_on_and_each_file_is_reported_once(corpus, caplog):
    damage(corpus, 2, 3)
    seen = set()
    for workers in (0, 1):
        for batch in DataLoader(corpus, batch_size=4, collate_fn=Collate(8192, 256), num_workers=workers):
            report_faults(batch, seen)
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 2 and len(seen) == 2
    assert warned[0].startswith(f"{corpus.entries[2].wav_path}: is not readable as audio")
    assert warned[0].endswith("left out, training goes on")


# --- workers


@pytest.fixture
def quick_to_see_the_dead(monkeypatch):
    """A DataLoader that waits looks every 5 seconds whether its workers live; here more often."""
    monkeypatch.setattr(_MultiProcessingDataLoaderIter._try_get_data, "__defaults__", (0.1,))


def loader_of(dataset, workers, batching, world=(0, 1), speakers=None):
    batches = LengthBatchSampler(dataset.lengths, batching, *world, speakers)
    return lambda step: DataLoader(dataset, batch_sampler=StepSampler(batches, step), num_workers=workers,
                                   collate_fn=Collate(8192, 256))


def sequence(make_loader, first_step, count):
    with contextlib.closing(iter(RestartingLoader(make_loader, first_step))) as batches:
        return [stems(batch) for batch in itertools.islice(batches, count)]


WAYS = {"by count": Batching(3, seed=1), "by seconds": Batching(8, max_frames=150, seed=1),
        "speakers evened out": Batching(3, temperature=5.0, seed=1)}


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")  # on a machine of 2 cores
@pytest.mark.parametrize("way", WAYS)
def test_any_number_of_workers_and_any_first_step_give_the_same_batches(corpus, way):
    ids = [0, 0, 0, 0, 0, 0, 1, 2]
    plain = sequence(loader_of(corpus, 0, WAYS[way], speakers=ids), 0, 14)
    assert len({tuple(batch) for batch in plain}) > 4
    for workers in (1, 3):
        assert sequence(loader_of(corpus, workers, WAYS[way], speakers=ids), 0, 14) == plain
    for workers, step in itertools.product((0, 2), (1, 5, 9)):
        assert sequence(loader_of(corpus, workers, WAYS[way], speakers=ids), step, 5) == plain[step:step + 5]


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_go_on_unchanged_when_workers_are_killed(corpus, caplog, workers):
    undisturbed = sequence(loader_of(corpus, 0, Batching(2, seed=1)), 3, 14)
    batches = iter(RestartingLoader(loader_of(corpus, workers, Batching(2, seed=1)), 3))
    others, found = set(multiprocessing.active_children()), []
    for place in range(14):
        found.append(stems(next(batches)))
        crew = [child for child in multiprocessing.active_children() if child not in others]
        assert len(crew) == workers  # those who died are gone
        if place in (0, 4, 5, 9):
            os.kill(crew[-1].pid, signal.SIGKILL)
            crew[-1].join()
    batches.close()
    assert found == undisturbed
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 4 and "signal SIGKILL; restarting workers at batch 4, nothing is lost" in warned[0]
    assert set(multiprocessing.active_children()) == others


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_go_on_unchanged_even_if_they_are_asked_for_while_a_worker_dies(corpus, workers, quick_to_see_the_dead):
    make_loader = loader_of(corpus, workers, Batching(2, seed=1))
    undisturbed = sequence(loader_of(corpus, 0, Batching(2, seed=1)), 0, 40)
    others, found = set(multiprocessing.active_children()), []
    with contextlib.closing(iter(RestartingLoader(make_loader, 0))) as batches:
        for place in range(40):
            found.append(stems(next(batches)))
            if place % 2:  # so that a batch lies between two deaths
                os.kill(next(child.pid for child in multiprocessing.active_children() if child not in others),
                        signal.SIGKILL)
    assert found == undisturbed


def test_a_worker_killed_while_it_asks_whether_to_end_blocks_nothing(corpus, quick_to_see_the_dead, monkeypatch):
    """Killed within that question, a worker would leave an Event's lock closed for ever."""
    main, asked, has_died = os.getpid(), loader._Flag.is_set, loader._Flag()

    def is_set(flag):
        if os.getpid() != main and not asked(has_died):
            has_died.set()
            os.kill(os.getpid(), signal.SIGKILL)
        return asked(flag)

    monkeypatch.setattr(loader._Flag, "is_set", is_set)
    undisturbed = sequence(loader_of(corpus, 0, Batching(2, seed=1)), 0, 8)
    assert sequence(loader_of(corpus, 2, Batching(2, seed=1)), 0, 8) == undisturbed
    assert asked(has_died)


def test_a_death_while_the_loop_waits_for_the_batch_is_survived_too(corpus, tmp_path, quick_to_see_the_dead):
    class DiesOnce(type(corpus)):
        """Its worker dies over utterance 4, unless it did before."""

        def __getitem__(self, index):
            if index == 4 and not (tmp_path / "died").exists():
                (tmp_path / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__getitem__(index)

    fatal = DiesOnce(corpus.entries, config_of().data, {})
    assert sequence(loader_of(fatal, 1, Batching(2, seed=1)), 0, 8) == sequence(
        loader_of(corpus, 0, Batching(2, seed=1)), 0, 8)
    assert (tmp_path / "died").exists()


class Hopeless(torch.utils.data.Dataset):
    """Leaves or raises when it is asked for anything."""

    def __init__(self, status=None):
        self.status = status
        self.lengths = np.array([10, 10, 10])

    def __getitem__(self, index):
        if self.status is None:
            raise RuntimeError("DataLoader worker (pid 1) is what I say")
        os._exit(self.status)


def test_workers_that_die_again_and_again_end_the_run(caplog, quick_to_see_the_dead):
    with pytest.raises(RuntimeError, match=r"3 loader workers in a row died before batch 7 was ready; the last: "
                                           r"process \d+, exit status 9. SIGKILL means .* lower train.num_workers"):
        sequence(loader_of(Hopeless(9), 1, Batching(1)), 7, 1)
    assert len(caplog.records) == 2


def test_what_the_dataset_raises_in_a_worker_comes_out(caplog):
    with pytest.raises(RuntimeError, match="Caught RuntimeError in DataLoader worker process 0"):
        sequence(loader_of(Hopeless(), 1, Batching(1)), 0, 1)
    assert not caplog.records


def test_no_process_stays_behind_and_deaths_interrupt_nothing(corpus):
    others = set(multiprocessing.active_children())
    loader = RestartingLoader(loader_of(corpus, 2, Batching(2, seed=1)), 0)
    first = []
    for _ in range(2):
        for batch in loader:  # ends by `break`, as a training loop does, and begins anew
            first.append(stems(batch))
            assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
            break
        del batch
        assert set(multiprocessing.active_children()) == others
    assert first[0] == first[1]


def test_a_handler_of_the_users_own_for_dead_children_stays(corpus):
    def own(_number, _frame):
        pass

    before = signal.signal(signal.SIGCHLD, own)
    try:
        sequence(loader_of(corpus, 1, Batching(2)), 0, 1)
        assert signal.getsignal(signal.SIGCHLD) is own
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_loader_that_does_not_end_holds_up_nobody(corpus, monkeypatch):
    """As where a worker was killed in the middle of a message, or with a queue's lock."""
    monkeypatch.setattr(loader, "_PATIENCE", 0.5)
    monkeypatch.setattr(loader._Flag, "set", lambda flag: threading.Event().wait(60))
    others = set(multiprocessing.active_children())
    crew = loader._WorkerPool(loader_of(corpus, 1, Batching(2, seed=1))(0))
    assert crew.next_batch() is not None
    crew.close()
    assert set(multiprocessing.active_children()) == others
