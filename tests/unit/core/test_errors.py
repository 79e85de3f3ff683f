"""What a message shows of many values."""

from stages.core.errors import shown


def test_long_lists_in_messages_are_cut_with_the_count_of_the_rest():
    assert shown(["b", "a", "b"]) == "a, b"
    assert shown([]) == "nothing"
    assert shown(range(10, 25), limit=3) == "10, 11, 12 and 12 more"
