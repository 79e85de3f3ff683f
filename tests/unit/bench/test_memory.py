"""The peak of memory that a bench sees."""

import mmap

import pytest

from bench.memory import Peak, allocated


def mapped(data):
    """Memory from the system itself: what an allocator gives out may be what it had kept of something freed."""
    memory = mmap.mmap(-1, len(data), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(data)
    return memory


@pytest.mark.parametrize("held_by", [None, allocated])
def test_peak_sees_what_was_held(held_by):
    with Peak(0.005, held_by) as small:
        pass
    with Peak(0.005, held_by) as large:
        held = mapped(b"x" * 100_000_000)
    assert large.megabytes > small.megabytes + 80
    assert large.megabytes - large.start > 80
    assert len(held) == 100_000_000


def test_peak_sees_what_is_held_at_the_end_though_its_thread_had_no_turn():
    held = iter([10_000_000, 110_000_000])
    with Peak(3600, lambda: next(held)) as peak:
        pass
    assert (peak.start, peak.megabytes) == (10, 110)
