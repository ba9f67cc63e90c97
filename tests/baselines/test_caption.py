"""What a caption writer must beat."""

import numpy as np

from ensuite.baselines.caption import MostFrequentCaption
from ensuite.tasks.caption import Caption
from ensuite.tasks.classify import Classify
from ensuite.tasks.writer import Example

PICTURE = np.zeros((4, 4), np.uint8)
EXAMPLES = [Example(PICTURE, text) for text in ("a cat", "a dog", "a dog", "a cat", "a cow")]


def test_the_caption_most_pictures_have_is_the_answer_to_all_of_equals_the_first() -> None:
    task = Caption().prepare(EXAMPLES)
    fitted = MostFrequentCaption.fit(task, [*EXAMPLES, Example(PICTURE)], [], 0)
    again = MostFrequentCaption.restore(fitted.arrays(), fitted.settings())
    for baseline in (fitted, again):
        found = baseline.predict(task, EXAMPLES[:2])
        assert [(each.text, each.probability) for each in found] == [("a cat", 0.4)] * 2
    assert fitted.parameters == 0


def test_it_answers_captions_alone() -> None:
    assert MostFrequentCaption.fits(Caption())
    assert not MostFrequentCaption.fits(Classify())
