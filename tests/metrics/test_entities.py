"""Entities, by the rules of conlleval written out, and by cases of known result."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.metrics.entities import (
    Entity,
    count_orphans,
    entities,
    entity_f1,
    entity_precision,
    entity_recall,
    is_bio,
)

KINDS = ["PER", "LOC", "MISC-2"]  # the letter ends at the first hyphen
bio_tags = st.lists(
    st.just("O") | st.builds("{}-{}".format, st.sampled_from("BI"), st.sampled_from(KINDS)),
    max_size=12,
)
any_tags = st.lists(
    st.sampled_from(["O", "", "-", "NOUN", "B", "I", "X-PER"])
    | st.builds("{}-{}".format, st.sampled_from("BIESLU"), st.sampled_from(KINDS)),
    max_size=12,
)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-PER I-PER O B-LOC", ["PER 0 2", "LOC 3 4"]),
        ("B-PER B-PER", ["PER 0 1", "PER 1 2"]),  # two neighbours
        ("O I-PER I-PER", ["PER 1 3"]),  # an I- begins where nothing goes on
        ("I-PER B-PER", ["PER 0 1", "PER 1 2"]),  # IOB1, as CoNLL-2003 was published
        ("B-PER I-LOC", ["PER 0 1", "LOC 1 2"]),  # another kind ends it and begins
        ("B-PER O I-PER", ["PER 0 1", "PER 2 3"]),
        ("I-PER I-LOC I-PER", ["PER 0 1", "LOC 1 2", "PER 2 3"]),
        ("B I O I", [" 0 2", " 3 4"]),  # without kinds
        ("S-PER B-LOC E-LOC O", ["PER 0 1", "LOC 1 3"]),  # BIOES
        ("B-LOC I-LOC E-LOC E-LOC", ["LOC 0 3", "LOC 3 4"]),
        ("S-PER I-PER", ["PER 0 1", "PER 1 2"]),
        ("E-PER I-PER", ["PER 0 1", "PER 1 2"]),
        ("B-LOC E-PER", ["LOC 0 1", "PER 1 2"]),
        ("U-PER B-LOC L-LOC", ["PER 0 1", "LOC 1 3"]),  # BILOU
        ("NOUN _ X-PER B-PER", ["PER 3 4"]),
    ],
)
def test_entities_of_known_tags(tags, expected):
    assert [f"{kind} {start} {end}" for kind, start, end in entities(tags.split())] == expected


def conlleval(tags):
    """Follow the functions endOfChunk and startOfChunk of conlleval.pl, for B, I and O."""
    found, start, before, kind_before = [], 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        now, _, kind = tag.partition("-")
        ends = (before, now) in {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O")}
        begins = (before, now) in {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I")}
        if ends or (before != "O" and kind_before != kind):
            found.append((kind_before, start, place))
        if begins or (now != "O" and kind_before != kind):
            start = place
        before, kind_before = now, kind
    return found


@given(bio_tags)
def test_entities_as_conlleval_reads_them(tags):
    assert entities(tags) == conlleval(tags)


@st.composite
def some_entities(draw):
    """Draw entities that do not overlap, and the length of their sentence."""
    found, place = [], 0
    for gap, length, kind in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(KINDS)))
    ):
        found.append(Entity(kind, place + gap, place + gap + length))
        place += gap + length
    return found, place + draw(st.integers(0, 2))


def write(found, length, *, ends):
    """Write entities as BIO, or with ``ends`` as BIOES."""
    tags = ["O"] * length
    for kind, start, end in found:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
        if ends:
            tags[end - 1] = f"{'S' if end - start == 1 else 'E'}-{kind}"
    return tags


@given(some_entities(), st.booleans())
def test_what_is_written_is_read(drawn, ends):
    found, length = drawn
    tags = write(found, length, ends=ends)
    assert entities(tags) == found
    assert count_orphans(tags) == 0
    assert is_bio(tags) == bool(found)


@given(any_tags)
def test_entities_stand_in_order_and_cover_every_letter(tags):
    found = entities(tags)
    covered = [place for _, start, end in found for place in range(start, end)]
    letters = {"B", "I", "E", "S", "L", "U"}
    assert covered == [i for i, tag in enumerate(tags) if tag.partition("-")[0] in letters]
    assert count_orphans(tags) <= len(found)


@pytest.mark.parametrize(
    ("tags", "orphans"),
    [("B-PER I-PER", 0), ("I-PER I-PER", 1), ("B-PER I-LOC I-LOC", 1), ("O E-PER S-PER", 1)],
)
def test_orphans(tags, orphans):
    assert count_orphans(tags.split()) == orphans


@pytest.mark.parametrize(
    ("tags", "expected"),
    [("O B-PER I-PER", True), ("B-NP I-NP", True), ("O B I", True), ("O", False), ("", False),
     ("NOUN X PUNCT", False), ("B-PER NOUN", False), ("O -LRB- NN", False)],
)  # fmt: skip
def test_which_tags_mark_entities(tags, expected):
    assert is_bio(tags.split()) == expected


TRUE = ["B-PER I-PER O B-LOC", "O O B-ORG", "B-LOC O"]
PREDICTED = ["B-PER I-PER O B-ORG", "O O O", "B-LOC B-LOC"]


def split(sentences):
    return [sentence.split() for sentence in sentences]


def test_scores_of_a_known_case():
    """Two of the 4 predicted entities are among the 4 true ones."""
    predicted, true = split(PREDICTED), split(TRUE)
    assert entity_precision(predicted, true).value == 2 / 4
    assert entity_recall(predicted, true).value == 2 / 4
    assert entity_f1(predicted, true).value == 2 / 4


def test_half_an_entity_is_none():
    assert entity_f1(split(["B-PER O"]), split(["B-PER I-PER"])).value == 0
    assert entity_f1(split(["B-LOC I-LOC"]), split(["B-PER I-PER"])).value == 0


def test_precision_and_recall_differ():
    predicted, true = split(["B-PER O O"]), split(["B-PER B-LOC B-LOC"])
    assert entity_precision(predicted, true).value == 1
    assert entity_recall(predicted, true).value == 1 / 3
    assert entity_f1(predicted, true).value == 1 / 2


METRICS = pytest.mark.parametrize("metric", [entity_f1, entity_precision, entity_recall])


@METRICS
def test_a_sentence_without_true_tags_counts_nowhere(metric):
    predicted, true = split(PREDICTED), split(TRUE)
    score = metric(predicted, [true[0], None, true[2]])
    assert not score.statistics[1].any()
    assert score.value == metric(predicted[::2], true[::2]).value
    assert np.isnan(metric(predicted, [None] * 3).value)
    assert np.isnan(metric([], []).value)


@METRICS
def test_as_many_sentences_must_be_given(metric):
    with pytest.raises(ValueError, match="shorter"):
        metric(split(PREDICTED), split(TRUE)[:1])


@METRICS
@given(st.lists(st.tuples(any_tags, any_tags), min_size=1))
def test_scores_stay_within_their_bounds(metric, pairs):
    predicted, true = map(list, zip(*pairs, strict=True))
    assert metric(true, true).value == 1 or not any(map(entities, true))
    value = metric(predicted, true).value
    assert np.isnan(value) or 0 <= value <= 1


@METRICS
def test_a_draw_of_the_sentences_is_a_matrix_product(metric):
    predicted, true = split(PREDICTED), split(TRUE)
    score = metric(predicted, true)
    draws = np.array([[0, 0, 1], [2, 2, 0], [1, 2, 0]])
    weights = np.stack([np.bincount(draw, minlength=3) for draw in draws])
    redone = [metric([predicted[i] for i in d], [true[i] for i in d]).value for d in draws]
    np.testing.assert_allclose(score.function(weights @ score.statistics), redone, rtol=1e-12)
