"""Work on many items: in order, by any engine, and whatever is killed, nothing is lost and nothing comes twice."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from corpora import parallel
from corpora.parallel import run_map
from tests.parallel_worker import always_deadly, both, deadly, logged, refusing, squared

ROOT = Path(__file__).parents[2]


def test_results_come_in_the_order_of_the_items_as_json_has_them():
    for jobs in (1, 2):
        found = list(run_map(squared, range(50), jobs=jobs, shard=3))
        assert found == [squared(item) for item in range(50)]
    assert list(run_map(squared, [], jobs=2)) == []


def test_items_are_taken_only_as_they_are_needed():
    results = run_map(squared, itertools.count(), shard=2)
    assert [result["item"] for result in itertools.islice(results, 5)] == [0, 1, 2, 3, 4]


def test_what_a_journal_knows_is_not_computed_again(tmp_path):
    log = tmp_path / "log"
    work = partial(logged, log=log)
    first = list(run_map(work, range(20), journal=tmp_path / "journal", shard=4))
    assert first == [item * item for item in range(20)]
    assert list(run_map(work, range(20), journal=tmp_path / "journal", shard=4)) == first
    assert len(log.read_text().split()) == 20
    notes = [json.loads(row) for row in (tmp_path / "journal" / "journal.jsonl").read_text().split("\n") if row]
    assert [note["shard"] for note in notes] == [0, 1, 2, 3, 4] and {note["items"] for note in notes} == {4}


def test_only_shards_whose_items_changed_or_whose_results_are_gone_are_computed_again(tmp_path):
    log = tmp_path / "log"
    work = partial(logged, log=log)
    list(run_map(work, range(20), journal=tmp_path / "journal", shard=4))
    log.unlink()
    changed = [item if item != 9 else 90 for item in range(20)]
    (tmp_path / "journal" / "shards" / "00000004.jsonl").unlink()
    assert list(run_map(work, changed, journal=tmp_path / "journal", shard=4)) == [item * item for item in changed]
    assert sorted(map(int, log.read_text().split())) == [8, 10, 11, 16, 17, 18, 19, 90]


def test_results_that_a_disk_has_lost_are_computed_again(tmp_path):
    list(run_map(partial(logged, log=tmp_path / "log"), range(20), journal=tmp_path / "journal", shard=4))
    (tmp_path / "journal" / "shards" / "00000001.jsonl").write_text("")
    again = list(run_map(partial(logged, log=tmp_path / "again"), range(20), journal=tmp_path / "journal", shard=4))
    assert again == [item * item for item in range(20)]
    assert sorted(map(int, (tmp_path / "again").read_text().split())) == [4, 5, 6, 7]


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    script = ("from functools import partial; from pathlib import Path; from corpora.parallel import run_map\n"
              "from tests.parallel_worker import both\n"
              f"work = partial(both, folder=Path({str(tmp_path)!r}))\n"
              f"print(sum(run_map(work, range(40), journal=Path({str(tmp_path / 'journal')!r}), shard=4)))")
    results = [subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
               for _ in range(2)]
    assert results[0].returncode == -signal.SIGKILL
    assert results[1].stdout.split() == [str(sum(item * item for item in range(40)))]
    seen = list(map(int, (tmp_path / "log").read_text().split()))
    assert sorted(set(seen)) == list(range(40))
    again = [item for item in set(seen) if seen.count(item) > 1]
    assert sorted(again) == [20, 21, 22]  # item 22 killed it, and only the shard from 20 on was not finished


def test_a_note_that_a_kill_has_torn_spoils_neither_itself_nor_the_next(tmp_path):
    list(run_map(squared, range(8), journal=tmp_path, shard=4))
    journal = tmp_path / "journal.jsonl"
    journal.write_text(journal.read_text()[:-10])  # within the note of the second shard
    log = tmp_path / "log"
    assert list(run_map(partial(logged, log=log), range(12), journal=tmp_path, shard=4))[4:] == [
        item * item for item in range(4, 12)]
    assert list(map(int, log.read_text().split())) == list(range(4, 12))
    list(run_map(partial(logged, log=log), range(12), journal=tmp_path, shard=4))
    assert len(log.read_text().split()) == 8


def test_a_worker_that_dies_loses_nothing_and_doubles_nothing(tmp_path):
    work = partial(deadly, folder=tmp_path, fatal=13)
    found = list(run_map(work, range(40), jobs=2, journal=tmp_path / "journal", shard=4))
    assert (tmp_path / "died").exists() and found == [item * item for item in range(40)]


def test_workers_that_die_again_and_again_end_the_run_with_the_item_that_is_not_finished():
    with pytest.raises(ChildProcessError, match=r"died 3 times .* from 4 to 7; .*--jobs"):
        list(run_map(always_deadly, range(8), jobs=2, shard=4))


def test_the_items_over_which_workers_die_are_named_by_their_lines():
    with pytest.raises(ChildProcessError, match="from list.txt:5 to list.txt:6; if the memory is full"):
        list(run_map(always_deadly, range(20), jobs=2, shard=2, place_of=lambda number: f"list.txt:{number + 1}"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_process_that_started_it(tmp_path, number):
    script = ("from functools import partial; from pathlib import Path; from corpora.parallel import run_map\n"
              "from tests.parallel_worker import waiting\n"
              f"list(run_map(partial(waiting, folder=Path({str(tmp_path)!r})), range(9), jobs=2, shard=1))")
    main = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    os.kill(main.pid, number)
    assert main.wait() == -number
    workers = [int(file.stem) for file in tmp_path.glob("*.pid")]
    wait_until(lambda: not any(is_alive(pid) for pid in workers))
    assert main.communicate(timeout=60)[1] == ""  # nor does Python's resource tracker complain


def test_ctrl_c_is_for_the_main_process_and_no_worker_prints_a_traceback(tmp_path):
    script = ("from functools import partial; from pathlib import Path; from corpora.parallel import run_map\n"
              "from tests.parallel_worker import waiting\n"
              "try:\n"
              f"    work = partial(waiting, folder=Path({str(tmp_path)!r}), seconds=1)\n"
              "    list(run_map(work, range(9), jobs=2, shard=1))\n"
              "except KeyboardInterrupt:\n    print('stopped')")
    main = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, start_new_session=True)
    wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    os.killpg(main.pid, signal.SIGINT)
    assert main.communicate(timeout=60) == ("stopped\n", "")


def wait_until(is_so, seconds=60):
    """Look again and again; a test that waits for another process has no other way."""
    for _ in range(20 * seconds):
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # one that has ended and waits to be noticed is dead
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_error_of_the_function_ends_the_run():
    for jobs in (1, 2):
        with pytest.raises(ValueError, match="item 7 is refused"):
            list(run_map(refusing, range(12), jobs=jobs, shard=3))


def test_an_unknown_engine_and_a_missing_ray_are_messages(monkeypatch):
    with pytest.raises(ValueError, match="--engine spark: expected local or ray"):
        list(run_map(squared, range(3), "spark"))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="ray is not installed; pip install ray, or leave --engine ray out"):
        list(run_map(squared, range(3), "ray"))


def test_in_a_cluster_relative_paths_start_where_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)  # as if the cluster had been started there
    assert parallel._results_in(str(tmp_path), lambda name: os.path.abspath(name), ["a.wav"]) == [
        json.dumps(str(tmp_path / "a.wav"))]


@pytest.mark.slow
def test_two_workers_of_ray_lose_nothing_and_double_nothing_when_one_is_killed(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    work = partial(both, folder=tmp_path)
    found = list(run_map(work, range(40), "ray", 2, tmp_path / "journal", shard=4))
    assert (tmp_path / "died").exists() and found == [item * item for item in range(40)]
    seen = list(map(int, (tmp_path / "log").read_text().split()))
    assert sorted(set(seen)) == list(range(40)) and seen.count(22) == 2
    notes = (tmp_path / "journal" / "journal.jsonl").read_text().split("\n")
    assert sorted(json.loads(note)["shard"] for note in notes if note) == list(range(10))
