"""Groups of items for one request each."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.groups import in_groups


@given(st.lists(st.integers(0, 12)), st.integers(1, 5), st.integers(1, 10))
def test_groups_keep_all_items_in_order_within_the_limits(
    sizes: list[int], number_limit: int, size_limit: int
) -> None:
    groups = list(in_groups(sizes, int, size_limit=size_limit, number_limit=number_limit))
    assert [size for group in groups for size in group] == sizes
    assert all(group and len(group) <= number_limit for group in groups)
    assert all(sum(group) <= size_limit or len(group) == 1 for group in groups)


@given(st.lists(st.integers(1, 12)), st.integers(1, 10))
def test_no_group_is_smaller_than_it_must_be(sizes: list[int], size_limit: int) -> None:
    groups = list(in_groups(sizes, int, size_limit=size_limit))
    for group, after in pairwise(groups):
        assert sum(group) + after[0] > size_limit
