from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ensuite.report.labels import CHARACTER, LINE, NARROWEST, place

shares = st.floats(0, 1)
drawn = st.lists(
    st.tuples(st.tuples(shares, shares), st.text("abc", min_size=1, max_size=24)),
    min_size=1,
    max_size=12,
)


@given(drawn=drawn, wider=st.floats(1, 4), higher=st.floats(1, 2))
def test_no_two_labels_overlap_in_a_plot_of_any_width(drawn, wider, higher):
    points, texts = [point for point, _ in drawn], [text for _, text in drawn]
    boxes = [
        (x * NARROWEST * wider + offset.right, y * 300 * higher + offset.up, len(text) * CHARACTER)
        for (x, y), text, offset in zip(points, texts, place(points, texts, 300), strict=True)
        if offset is not None
    ]
    for (x, y, width), (u, v, length) in combinations(boxes, 2):
        assert abs(x - u) >= (width + length) / 2 - 1e-6 or abs(y - v) >= LINE - 1e-6


@given(drawn=drawn)
def test_every_label_is_in_the_narrowest_plot(drawn):
    points, texts = [point for point, _ in drawn], [text for _, text in drawn]
    for (x, y), text, offset in zip(points, texts, place(points, texts, 300), strict=True):
        if offset is not None:
            half = len(text) * CHARACTER / 2
            assert half - 1e-6 <= x * NARROWEST + offset.right <= NARROWEST - half + 1e-6
            assert 0 <= y * 300 + offset.up <= 300


def test_a_single_label_stands_over_its_point():
    ((right, up),) = place([(0.5, 0.5)], ["lstm"], 300)
    assert (right, up > 0) == (0, True)


def test_where_there_is_no_room_there_is_no_label():
    found = place([(0.5, 0.5)] * 60, ["a" * 30] * 60, 300)
    assert found[0] is not None
    assert None in found
