"""Near duplicates by fingerprints: the fast search finds what comparing all pairs finds."""

import networkx
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from stages.core.errors import StageError
from stages.ingest.fingerprint import FINGERPRINT_BYTES, alike, fingerprint, near_duplicates


def print_of(bits: int, gray: int = 100, odd: int | None = None) -> bytes:
    """A fingerprint with one bit set in each of the first ``bits`` bytes, on a thumbnail of one gray."""
    thumbnail = [gray] * 192
    if odd is not None:
        thumbnail[0] = odd
    return bytes([1] * bits + [0] * (32 - bits) + thumbnail)


def brute_force(prints: list[bytes], hamming: int, color: float) -> list[int]:
    """All pairs, on an independent implementation of connected components."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(prints)))
    for one in range(len(prints)):
        for other in range(one):
            bits = (int.from_bytes(prints[one][:32], "big") ^ int.from_bytes(prints[other][:32], "big")).bit_count()
            gray = sum(abs(a - b) for a, b in zip(prints[one][32:], prints[other][32:], strict=True)) / 192
            if bits <= hamming and gray <= color:
                graph.add_edge(one, other)
    firsts = {node: min(part) for part in networkx.connected_components(graph) for node in part}
    return [firsts[node] for node in range(len(prints))]


def families(seed: int, count: int) -> list[bytes]:
    """Fingerprints in families: each a base with some bits flipped and some grays moved, near the limits on both sides."""
    rng = np.random.default_rng(seed)
    bases = [rng.integers(0, 256, FINGERPRINT_BYTES, dtype=np.uint8) for _ in range(max(1, count // 6))]
    prints = []
    for _ in range(count):
        copy = bases[rng.integers(len(bases))].copy()
        bits = np.unpackbits(copy[:32])
        bits[rng.choice(256, rng.integers(0, 10), replace=False)] ^= 1
        moved = copy[32:].astype(int) + rng.integers(-12, 13) + rng.integers(-4, 5, 192)
        prints.append(np.packbits(bits).tobytes() + moved.clip(0, 255).astype(np.uint8).tobytes())
    return prints


def test_fingerprint_is_the_hash_and_the_thumbnail():
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 30, 3), dtype=np.uint8))
    data = fingerprint(image)
    assert len(data) == FINGERPRINT_BYTES == 224
    small = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.LANCZOS)).astype(int)
    expected = [small[y, x + 1] - small[y, x] > 2 for y in range(16) for x in range(16)]
    assert np.unpackbits(np.frombuffer(data[:32], np.uint8)).tolist() == expected
    assert data[32:] == image.resize((8, 8)).tobytes()


def test_fingerprint_of_one_color_has_no_edges():
    assert fingerprint(Image.new("RGB", (50, 20), (1, 2, 3))) == bytes(32) + bytes([1, 2, 3]) * 64


def test_noise_on_a_plain_background_sets_no_bits():
    noise = np.random.default_rng(3).integers(-3, 4, (190, 140, 3))
    assert fingerprint(Image.fromarray((240 + noise).astype(np.uint8)))[:32] == bytes(32)


def test_alike_are_those_within_both_limits_themselves():
    assert alike(print_of(0), print_of(12), 12, 0)
    assert not alike(print_of(0), print_of(13), 12, 0)
    assert alike(print_of(0, 100), print_of(0, 104), 0, 4)
    assert not alike(print_of(0, 104), print_of(0, 100, odd=99), 0, 4)  # one value of 192 is 5 away


def test_clusters_are_transitive_and_named_by_the_smallest_index():
    # 0-1 and 1-2 differ in 4 bits, 0-2 in 8: one cluster all the same, through 1.
    prints = [print_of(0), print_of(4), print_of(8), print_of(20)]
    assert near_duplicates(prints, 4, 0) == [0, 0, 0, 3]
    assert near_duplicates(prints, 3, 0) == [0, 1, 2, 3]


def test_smallest_index_counts_not_the_darkest():
    assert near_duplicates([print_of(0, 108), print_of(0, 104), print_of(0, 100)], 0, 4) == [0, 0, 0]


def test_both_limits_must_hold():
    prints = [print_of(0, 100), print_of(0, 109)]
    assert near_duplicates(prints, 0, 9) == [0, 0]
    assert near_duplicates(prints, 0, 8.9) == [0, 1]
    # One of 192 values is 96 higher: half a gray level on average.
    assert near_duplicates([print_of(0), print_of(0, odd=196)], 0, 0.5) == [0, 0]
    assert near_duplicates([print_of(0), print_of(0, odd=197)], 0, 0.5) == [0, 1]


def test_equal_fingerprints_share_a_cluster_even_with_limits_of_zero():
    assert near_duplicates([print_of(3), print_of(2), print_of(3), print_of(2)], 0, 0) == [0, 1, 0, 1]


def test_nothing_and_a_single_picture():
    assert near_duplicates([], 4, 4) == []
    assert near_duplicates([print_of(1)], 4, 4) == [0]


@pytest.mark.parametrize(("hamming", "color"), [(12, 8), (0, 0), (3, 2.5), (64, 255), (256, 3), (256, 255)])
@pytest.mark.parametrize("seed", [1, 2])
def test_search_finds_what_comparing_all_pairs_finds(seed, hamming, color):
    prints = families(seed, 90)
    assert near_duplicates(prints, hamming, color) == brute_force(prints, hamming, color)


def test_reencoded_and_brighter_pictures():
    blocks = np.random.default_rng(5).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    base = Image.fromarray(blocks).resize((120, 90), Image.Resampling.BICUBIC)
    prints = [fingerprint(image) for image in (base, base.resize((60, 45)), ImageEnhance.Brightness(base).enhance(0.6))]
    assert near_duplicates(prints, 12, 8) == [0, 0, 2]


def test_fingerprint_of_another_length_is_one_message():
    with pytest.raises(StageError, match="fingerprint 1 has 3 bytes, expected 224"):
        near_duplicates([print_of(0), b"abc"], 1, 1)
