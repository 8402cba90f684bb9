"""The benchmark of the alignment search runs, and compares only ways that find the same path."""

import pytest
import torch

from benchmarks import alignment


def test_ways_that_find_another_path_are_not_compared():
    path = torch.eye(3)[None]
    ways = {alignment.PUBLISHED: lambda: path, alignment.DURATIONS: lambda: torch.ones(1, 3, dtype=torch.int64)}
    alignment.check_equal(ways)
    with pytest.raises(ValueError, match="'ours, path out' finds another path than 'published call', expected"):
        alignment.check_equal({**ways, alignment.PATH: lambda: path.flip(1)})


@pytest.mark.slow
def test_the_tables_and_the_picture_are_made(tmp_path, capsys):
    """Compiles the published search, which it also finds equal to ours."""
    alignment.main(["--sizes", "3x8x20", "--frames", "10", "20", "--repeats", "2", "--device", "cpu",
                    "--plot", str(tmp_path / "alignment.png")])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("| 3x8x20 | ours, durations out |") for line in lines)
    assert any(line.startswith("| published call |") for line in lines)
    assert (tmp_path / "alignment.png").stat().st_size > 1000
