"""The notebook runs from its first cell to its last, for one voice and for several."""

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from tests.conftest import ROOT, with_corpus, write_corpus
from training import trainer

ONE = ()
SEVERAL = ("data.n_speakers=2", "model.gin_channels=8")


@pytest.mark.parametrize(("overrides", "speakers"), [(ONE, None), (SEVERAL, ("bob", "alice"))])
def test_the_notebook_speaks_plays_and_draws(tmp_path, monkeypatch, overrides, speakers):
    lists = write_corpus(tmp_path, speakers)
    trainer.fit(with_corpus(lists, ("train.total_steps=1", *overrides)), tmp_path / "run", torch.device("cpu"))
    monkeypatch.setenv("VITS_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("VITS_TEXT", "abc def")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "inference.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert ("as bob would say it" in printed) if speakers else ("this run has one voice" in printed)
    players = sum("audio" in output.get("data", {}).get("text/html", "")
                  for cell in notebook.cells for output in cell.get("outputs", []))
    assert players == (8 if speakers else 5)


def test_the_notebook_is_committed_without_outputs():
    notebook = nbformat.read(ROOT / "inference.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
