"""The profile of a step: its parts, forward and backward, and what is written."""

import json
import logging

import pytest
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from tests.conftest import with_corpus
from training import trainer
from training.profiling import REST, StepProfiler, table, time_by_part

CPU = torch.device("cpu")


def profiled(work):
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as seen:
        work()
    return time_by_part(seen.events())


def test_backward_time_belongs_to_the_part_whose_forward_pass_it_undoes():
    small, large = torch.randn(8, 8, requires_grad=True), torch.randn(600, 600, requires_grad=True)

    def work():
        with record_function("flow"):
            a = small @ small
        with torch.no_grad(), record_function("alignment"):
            large @ large
        with record_function("generator"):
            b = large @ large @ large
        (a.sum() + b.sum()).backward()

    times = profiled(work)
    assert times["alignment"].forward > 0 and times["alignment"].backward == 0
    assert times["generator"].backward > 20 * times["flow"].backward > 0
    assert times[REST].backward > 0  # of the sums


def test_the_innermost_part_is_the_one_that_counts():
    def work():
        with record_function("losses"), record_function("spectrograms"):
            torch.randn(300, 300) @ torch.randn(300, 300)

    times = profiled(work)
    assert times["spectrograms"].forward > times["losses"].forward


def test_a_table_has_times_of_one_step_and_shares_of_the_whole():
    times = profiled(lambda: torch.randn(300, 300) @ torch.randn(300, 300))
    lines = table(times, steps=2).splitlines()
    assert lines[1].startswith(REST) and lines[1].endswith("100.0%")
    assert float(lines[-1].split()[-2]) == pytest.approx(sum(times[REST]) / 2, abs=0.06)


@pytest.mark.slow
def test_a_profiled_run_writes_a_trace_and_logs_every_part(tiny_corpus, tmp_path, caplog):
    caplog.set_level(logging.INFO, "vits")
    config = with_corpus(tiny_corpus, ("train.total_steps=6", "train.memory_probe=false"))
    state = trainer.fit(config, tmp_path / "run", CPU, [StepProfiler(2)])
    assert state.step == 6
    names = {event.get("name") for event in json.loads((tmp_path / "run" / "profile.json").read_text())["traceEvents"]}
    told = next(record.getMessage() for record in caplog.records if "mean of 2" in record.getMessage())
    for part in ("data", "spectrograms", "text encoder", "posterior encoder", "flow", "alignment",
                 "duration predictor", "generator", "discriminators", "losses", "optimizer", "average"):
        assert part in names and part in told


def test_a_run_that_ends_within_the_warm_up_says_that_nothing_was_profiled(tiny_corpus, tmp_path, caplog):
    config = with_corpus(tiny_corpus, ("train.total_steps=2", "train.memory_probe=false"))
    trainer.fit(config, tmp_path / "run", CPU, [StepProfiler(2)])
    assert "within the warm-up of 3; nothing was profiled" in caplog.text
    assert not (tmp_path / "run" / "profile.json").exists()


def test_a_negative_number_of_steps_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["train.py", "-m", str(tmp_path), "--profile", "-2"])
    with pytest.raises(SystemExit):
        trainer.main("", multispeaker=False)
    assert "--profile is -2; expected how many steps to profile" in capsys.readouterr().err
