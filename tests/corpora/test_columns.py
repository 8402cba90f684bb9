"""Columns of texts, and the index of audio lengths beside a filelist."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.columns import AudioIndex, Ragged, index_path, read_index, write_index
from corpora.filelists import FilelistError
from tests.test_data_utils import write_list


@given(st.lists(st.lists(st.text(alphabet="aäあ𝄞", max_size=5), max_size=4), max_size=5))
def test_rows_of_unequal_length_come_back_as_they_were_appended(blocks):
    rows = Ragged(np.uint8)
    for block in blocks:
        rows.extend_texts(block)
    texts = [text for block in blocks for text in block]
    assert len(rows) == len(texts) and [rows.text(row) for row in range(len(rows))] == texts
    assert rows.row_lengths.tolist() == [len(text.encode()) for text in texts]


def test_an_index_comes_back_until_the_filelist_changes(tmp_path):
    path = write_list(tmp_path, "a.wav|x", "b.wav|y")
    assert read_index(path, 2) is None
    write_index(path, AudioIndex(np.array([7, 2**40]), np.array([8000, 8000])))
    index = read_index(path, 2)
    assert index.samples.tolist() == [7, 2**40] and index.sampling_rates.tolist() == [8000, 8000]
    write_list(tmp_path, "a.wav|x", "b.wav|z")
    assert read_index(path, 2) is None


def test_a_damaged_index_is_an_error_that_says_what_to_do(tmp_path):
    path = write_list(tmp_path, "a.wav|x")
    write_index(path, AudioIndex(np.array([1, 2]), np.array([8000, 8000])))
    with pytest.raises(FilelistError, match="list.txt.index has 2 lengths and 2 rates for 1 lines; remove it"):
        read_index(path, 1)
    for content in (b"", index_path(path).read_bytes()[:200], b"no zip at all"):
        index_path(path).write_bytes(content)
        with pytest.raises(FilelistError, match="list.txt.index is damaged .*; remove it, or run preprocess.py again"):
            read_index(path, 1)
