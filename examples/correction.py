"""Grammar correction: from a sentence with mistakes to one without (the course, line 479).

The mistakes are artificial: words left out, repeated or swapped with their neighbour, letters
missing. The sentences are English ones of Tatoeba if the environment variable ENSUITE_DATA names a
folder with them, else those of Python's manual. Copying the input leaves most words correct, so
overlap metrics overrate it. F0.5 is computed on edits instead: precision (correct edits among those
made) counts twice as much as recall (correct edits among those needed).

    python examples/correction.py [BUDGET]

Source:
    F0.5 of edits: Ng et al. (2014), https://aclanthology.org/W14-1701, section 4
"""

import os
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from pydoc_data.topics import topics

import ensuite
from ensuite.data.readers import read

budget = sys.argv[1] if len(sys.argv) > 1 else "60s"
tatoeba = Path(os.environ.get("ENSUITE_DATA", "")) / "tatoeba_en_fr" / "fra-eng.tsv.gz"


def spoil(sentence: str, draw: random.Random) -> str:
    """Return the sentence with one mistake for every five words, and at least one."""
    words = sentence.split()
    for _ in range(max(1, len(words) // 5)):
        at = draw.randrange(len(words))
        match draw.randrange(4):
            case 0 if len(words) > 1:
                del words[at]
            case 1:
                words.insert(at, words[at])
            case 2 if at:
                words[at - 1 : at + 1] = words[at], words[at - 1]
            case _:
                letter = draw.randrange(len(words[at]))
                words[at] = words[at][:letter] + words[at][letter + 1 :] or words[at]
    return " ".join(words)


def edits(before: str, after: str) -> Counter[tuple[int, int, str]]:
    """Return the edits from ``before`` to ``after``, each as (start, end, replacement words)."""
    old, new = before.split(), after.split()
    changes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return Counter((i, j, " ".join(new[k:m])) for kind, i, j, k, m in changes if kind != "equal")


def f_half(sources: Sequence[str], answers: Sequence[str], truths: Sequence[str]) -> float:
    """Return F0.5 over the edits of all sentences."""
    right = made = needed = 0
    for source, answer, truth in zip(sources, answers, truths, strict=True):
        mine, wanted = edits(source, answer), edits(source, truth)
        right += (mine & wanted).total()
        made, needed = made + mine.total(), needed + wanted.total()
    return 1.25 * right / (0.25 * needed + made) if made else 0.0


if tatoeba.is_file():
    sentences = list(dict.fromkeys(read(str(tatoeba)).columns["en"]))[20_000:60_000]
else:
    manual = " ".join(" ".join(topics.values()).split())
    sentences = sorted({s for s in re.findall(r"(?<=\. )[A-Z][^.]+\.", manual) if len(s) < 80})
draw = random.Random(0)
draw.shuffle(sentences)
pairs = [{"source": spoil(sentence, draw), "target": sentence} for sentence in sentences]
cut = len(pairs) * 9 // 10

writer = ensuite.train("translate", pairs[:cut], model="seq2seq", budget=budget)
sources, truths = ([pair[side] for pair in pairs[cut:]] for side in ("source", "target"))
answers = [found.text for found in writer.predict(sources)]
for source, answer in list(zip(sources, answers, strict=True))[:5]:
    print(f"{source} -> {answer}")
print(f"F0.5 of {len(sources)} sentences: {f_half(sources, answers, truths):.3f}")
print(f"sources as they are:      {f_half(sources, sources, truths):.3f}")
print(f"exact match:              {sum(map(str.__eq__, answers, truths)) / len(truths):.3f}")
