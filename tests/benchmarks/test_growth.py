"""`make bench`: the page takes each benchmark's output between its markers; growth is measured and drawn."""

import math
import sys

import pytest

from benchmarks import __main__ as bench
from benchmarks import growth
from benchmarks.timing import plot_growth
from tests.conftest import tiny


def test_output_goes_between_its_markers_and_the_rest_stays():
    page = "A\n<!-- begin data -->\nold\n<!-- end data -->\nB\n<!-- begin other -->x<!-- end other -->"
    changed = bench.replaced(page, "data", "| new \\1 |\n")
    assert changed == ("A\n<!-- begin data -->\n\n| new \\1 |\n\n<!-- end data -->\nB\n"
                       "<!-- begin other -->x<!-- end other -->")
    assert bench.replaced(changed, "data", "| new \\1 |") == changed


def test_a_page_without_the_markers_is_refused():
    with pytest.raises(ValueError, match="must hold <!-- begin data --> and <!-- end data --> once each"):
        bench.replaced("A", "data", "x")


def test_the_page_in_docs_has_a_place_for_every_benchmark_and_every_benchmark_exists():
    page = bench.PAGE.read_text(encoding="utf-8")
    for name in bench.BENCHMARKS:
        bench.replaced(page, name, "x")
        assert (bench.ROOT / "benchmarks" / f"{name}.py").is_file()


def test_an_unknown_benchmark_is_named(capsys):
    with pytest.raises(SystemExit):
        bench.main(["alignmnt"])
    assert "no benchmark alignmnt; there are alignment, training_step" in capsys.readouterr().err


def test_a_benchmark_that_fails_stops_the_command(tmp_path):
    with pytest.raises(Exception, match="returned non-zero exit status"):
        bench.run("nowhere", [])


def test_cost_is_measured_against_each_thing_that_grows():
    config = tiny(("train.ema_decay=0",))
    by_batch = growth.against_batch(config, [1, 2], repeats=2)
    assert len(by_batch["a step"]) == 2 and by_batch["an utterance"][1] == by_batch["a step"][1] / 2
    assert len(growth.against_segment(config, [1024, 2048], repeats=2)["a step"]) == 2
    [memory] = growth.memory_against_length(config, [40])["a step"]
    assert math.isnan(memory) if sys.platform != "linux" else memory >= 0


def test_growth_is_drawn(tmp_path):
    plot_growth(tmp_path / "new" / "x.png", "ms by frames", [1, 2, 4], {"ours": [1, 2, 4], "theirs": [3, 6, 12]})
    assert (tmp_path / "new" / "x.png").read_bytes().startswith(b"\x89PNG")
