"""Chunks of a benchmark's tables; test_embed.py has what the stage writes."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.retrieval import embedding


@pytest.mark.parametrize("batch", [1, 3, 4, 7, 600])
def test_chunks_have_the_batches_of_the_whole_table_without_rows_that_have_no_image(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(embedding, "CHUNK", 8)
    path = tmp_path / "gallery.parquet"
    ids = [f"r{number:02}" for number in range(30)]
    images = [None if number in (0, 5, 11, 12, 13) else b"x" for number in range(30)]
    table = pa.table({"row_id": ids, "detected_class": ids, "bytes": pa.array(images, pa.binary())})
    pq.write_table(table, path, row_group_size=10)  # of which neither chunks nor batches are multiples
    whole = [[ids[at] for at in range(start, min(start + batch, 30)) if images[at]] for start in range(0, 30, batch)]
    work = embedding.chunks(path, batch, ["e"])
    assert [chunk.start for chunk in work[1:]] == [chunk.end for chunk in work[:-1]]
    assert (work[0].start, work[-1].end) == (0, 30) and all(chunk.start % batch == 0 for chunk in work)
    batches = [rows["row_id"].to_pylist() for chunk in work for rows in embedding.batches(chunk, batch)]
    assert batches == [own for own in whole if own]
