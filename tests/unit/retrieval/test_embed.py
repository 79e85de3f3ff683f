"""From a benchmark's tables to vectors, with encoders whose vectors are known; both ways round where flip is on."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mean_color import GALLERY, GREEN, QUERIES, RED, detailed, row, run_embed, run_evaluate

from stages.contracts import images as images_module
from stages.contracts.images import open_rgb
from stages.contracts.tables import BENCHMARK, write_rows
from stages.core.errors import StageError
from stages.networks.backbones.features import Pixels, square
from stages.retrieval import embed, embedding
from stages.retrieval.index import SearchParams, read_card
from stages.retrieval.vectors import read_vectors


def test_embedding_keeps_order_skips_missed_queries_and_names_the_metric(colors_project):
    folder, encoder = colors_project
    run_embed(folder)
    table = pq.read_table(folder / "vectors/mean.v1/colors-queries.parquet")
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 3)
    ids, vectors, metric = read_vectors(folder / "vectors/mean.v1/colors-queries.parquet")
    assert (ids, metric) == (["q1", "q2", "q4"], "euclidean")
    assert np.allclose(vectors, [RED, GREEN, RED], atol=3)  # JPEG's rounding
    assert encoder.calls == [["top", "top"], ["top"], ["", "top"], ["top"]]


def test_benchmark_of_missed_queries_only_has_an_empty_vector_file(colors_project):
    folder, _ = colors_project
    write_rows(folder / "benchmarks/colors/queries.parquet", BENCHMARK, [row("q3", "red", None)])
    run_embed(folder)
    ids, vectors, _ = read_vectors(folder / "vectors/mean.v1/colors-queries.parquet")
    assert ids == [] and vectors.shape == (0, 3)
    run_evaluate(folder)
    result = detailed(folder)
    assert result["whole_gallery"]["hit_at_1"] == 0 and result["n_missed"] == 1
    assert not (folder / "report/mean.v1/colors.jpg").exists()


def test_encoder_that_diverged_is_refused_with_the_row(colors_project):
    folder, encoder = colors_project
    encoder.embed = lambda rows, classes: np.full((len(rows), 3), np.nan)
    with pytest.raises(StageError, match="NaN or infinity for: q1, q2"):
        run_embed(folder)


def test_a_new_benchmark_and_a_retrained_encoder_cost_their_own_vectors_alone(colors_project):
    folder, encoder = colors_project
    assert run_embed(folder, encoders=("a", "b")).metrics["from_work_folder"] == 0
    decoded = len(encoder.calls)
    first = {path.name: path.read_bytes() for path in (folder / "vectors/b").iterdir()}
    shutil.copytree(folder / "benchmarks/colors", folder / "benchmarks/more")
    again = ("colors", "more")
    write_rows(folder / "benchmarks/more/gallery.parquet", BENCHMARK, GALLERY[:2])
    assert run_embed(folder, encoders=("a", "b"), benchmarks=again).metrics["from_work_folder"] == 2
    assert len(encoder.calls) > decoded
    (folder / "models/a").mkdir(parents=True)
    (folder / "models/a/weights.safetensors").write_bytes(b"trained anew")
    assert run_embed(folder, encoders=("a", "b"), benchmarks=again).metrics["from_work_folder"] == 2
    assert {name: (folder / "vectors/b" / name).read_bytes() for name in first} == first
    assert len(list((folder / ".work/embed").glob("*/*/*"))) == 4  # what nothing needs any more is gone


def test_encoders_of_one_input_size_share_the_decoded_pictures(colors_project, monkeypatch):
    folder, _ = colors_project
    decode, decoded = Pixels.decode, []

    def counted(pixels, data):
        decoded.append(len(data))
        return decode(pixels, data)

    monkeypatch.setattr(Pixels, "decode", counted)
    run_embed(folder, encoders=("a", "b", "c"))
    assert sum(decoded) == len([row for row in QUERIES + GALLERY if row["bytes"]])
    names = sorted(path.name for path in (folder / "vectors/a").iterdir())
    assert all(
        (folder / "vectors/a" / name).read_bytes() == (folder / "vectors/c" / name).read_bytes() for name in names
    )


def test_encoders_pass_one_by_one_where_their_vectors_would_fill_the_memory(colors_project, monkeypatch):
    folder, _ = colors_project
    monkeypatch.setattr(embed, "VECTOR_BYTES", 10)
    assert embed.together(folder / "benchmarks", ["colors"]) == 1
    run_embed(folder, encoders=("a", "b"))
    assert sorted(path.name for path in (folder / "vectors").iterdir()) == ["a", "b"]


class LeftAndRight:
    """Embeds a picture as the mean gray of its left and right half: a mirror image is another vector."""

    metric = "euclidean"
    pixels = square(32)

    def embed(self, images, detected_classes):
        return np.stack([images[..., :16].float().mean((1, 2, 3)), images[..., 16:].float().mean((1, 2, 3))], axis=1)


@pytest.fixture
def flipped(sides):
    """A query that shows its item from the other side: only flip finds it."""
    queries = [("q1", "coat", (200, 0)), ("q2", "coat", None)]
    gallery = [("g1", "coat", (0, 200)), ("g2", "vest", (160, 120))]
    return lambda flip: sides(LeftAndRight(), queries, gallery, flip)


def test_flip_writes_means_and_the_plain_vectors_beside_them(flipped):
    vectors, _ = flipped(flip=True)
    ids, means, metric = read_vectors(vectors / "sides-gallery.parquet")
    plain_ids, plain, plain_metric = read_vectors(vectors / "plain/sides-gallery.parquet")
    assert ids == plain_ids == ["g1", "g2"] and metric == plain_metric == "euclidean"
    assert np.allclose(plain, [[0, 200], [160, 120]], atol=3)
    assert np.allclose(means, [[100, 100], [140, 140]], atol=3)
    assert read_vectors(vectors / "plain/sides-queries.parquet")[0] == ["q1"]  # q2 has no picture


def test_each_picture_is_decoded_once_for_both(flipped, monkeypatch):
    decoded = []
    monkeypatch.setattr(images_module, "open_rgb", lambda data: decoded.append(data) or open_rgb(data))
    flipped(flip=True)
    assert len([data for data in decoded if data]) == 3 + 3  # one for each vector; the report shows the three again


def test_both_are_reported_side_by_side(flipped):
    _, result = flipped(flip=True)
    # Of two scored queries one is missed. Plain, the coat's other side is nearer to the vest; flipped, it is itself.
    assert result["whole_gallery"]["hit_at_1"] == result["flip"]["on"]["whole_gallery"]["hit_at_1"] == 0.5
    assert result["flip"]["off"]["whole_gallery"]["hit_at_1"] == 0
    assert result["flip"]["off"]["whole_gallery"]["map"] == pytest.approx(0.25)


def test_off_there_are_the_plain_vectors_alone(flipped):
    vectors, _ = flipped(flip=True)
    plain = (vectors / "plain/sides-queries.parquet").read_bytes()
    vectors, result = flipped(flip=False)
    assert not (vectors / "plain").exists() and "flip" not in result
    assert (vectors / "sides-queries.parquet").read_bytes() == plain
    assert result["whole_gallery"]["hit_at_1"] == 0


class Predicting(LeftAndRight):
    """By its own softmax a picture is a coat as far as its left half is light, else a vest."""

    has_categories = True

    def embed_categories(self, images):
        vectors = self.embed(images, [])
        light = vectors[:, :1] / 255
        return vectors, np.concatenate([light, 1 - light], axis=1)


@pytest.mark.parametrize("flip", [True, False])
def test_softmax_is_written_from_the_pass_that_embeds_and_scored_with_the_same_flip(sides, tmp_path, flip):
    """q1 is light on the left: a coat. q2 is light on the right alone: by the mean of both ways it is a coat, too."""
    (tmp_path / "models/e").mkdir(parents=True)
    (tmp_path / "models/e/encoder.json").write_text('{"categories": ["coat", "vest"]}')
    queries = [("q1", "coat", (250, 10)), ("q2", "coat", (40, 240)), ("q3", "coat", None), ("q4", "hat", (9, 9))]
    gallery = [("g1", "coat", (0, 200)), ("g2", "vest", (160, 120)), ("g3", "hat", (0, 0))]
    vectors, result = sides(Predicting(), queries, gallery, flip, "image_category")
    ids, shares, _ = read_vectors(vectors / "softmax/sides-queries.parquet")
    assert ids == ["q1", "q2", "q4"] and np.allclose(shares.sum(1), 1)
    assert np.allclose(shares[:2, 0], [130 / 255, 140 / 255] if flip else [250 / 255, 40 / 255], atol=0.02)
    softmax = result["softmax"]
    assert (softmax["n_scored"], softmax["n_unknown"], softmax["known"]) == (3, 1, 2)  # q3 is a miss, a hat unknown
    assert softmax["top_1"] == pytest.approx(2 / 3 if flip else 1 / 3, abs=1e-6)
    assert ("without_flip" in softmax) == flip
    if flip:
        assert softmax["without_flip"]["top_1"] == pytest.approx(1 / 3, abs=1e-6)
    table = (tmp_path / "report/softmax.csv").read_text().splitlines()
    assert [line.split(",")[:4] for line in table[1:]] == [
        ["sides", "e", view, "3"] for view in ("published", "without_flip") if flip or view == "published"
    ]


def test_encoder_without_a_category_path_has_no_softmax(sides):
    rows = [("q1", "coat", (250, 10))], [("g1", "coat", (0, 200)), ("g2", "vest", (160, 120))]
    vectors, result = sides(LeftAndRight(), *rows, True, "image_category")
    assert "softmax" not in result and not (vectors / "softmax").exists()


def test_index_lies_beside_the_vectors_of_a_gallery_above_the_size_and_changes_no_vector(colors_project):
    pytest.importorskip("faiss")
    folder, _ = colors_project
    run_embed(folder)
    exact = {path.name: path.read_bytes() for path in (folder / "vectors/mean.v1").iterdir()}
    assert sorted(exact) == ["colors-gallery.parquet", "colors-queries.parquet"]
    at_size, above = (SearchParams(index="ivf", ivf_above=rows, recall=0.95) for rows in (3, 2))
    assert run_embed(folder, search=at_size).metrics["indexes"] == 0
    assert run_embed(folder, search=above).metrics["indexes"] == 1
    found = {path.name: path.read_bytes() for path in (folder / "vectors/mean.v1").iterdir()}
    index = found.pop("colors-gallery.ivf")
    assert found == exact
    card = read_card(folder / "vectors/mean.v1/colors-gallery.ivf")
    assert (card["rows"], card["width"], card["metric"]) == (3, 3, "euclidean")
    assert run_embed(folder, search=above).metrics["from_work_folder"] == 1  # the same vectors, read from there
    assert (folder / "vectors/mean.v1/colors-gallery.ivf").read_bytes() == index


def test_vectors_do_not_depend_on_the_chunks(colors_project, monkeypatch):
    folder, _ = colors_project
    run_embed(folder)
    whole = {path.name: path.read_bytes() for path in (folder / "vectors/mean.v1").iterdir()}
    monkeypatch.setattr(embedding, "CHUNK", 2)
    shutil.rmtree(folder / ".work")
    assert run_embed(folder).metrics["from_work_folder"] == 0
    assert {path.name: path.read_bytes() for path in (folder / "vectors/mean.v1").iterdir()} == whole
