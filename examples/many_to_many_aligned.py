"""Many to many, aligned: a tag for every word (the course, line 25).

Florence, Paris and Sydney are names of people and of cities. Only the context tells which one is
meant, and often the words that follow. A bidirectional network can use them; a network that reads
from left to right cannot, nor can the baseline, the most frequent tag of each word.

    python examples/many_to_many_aligned.py [BUDGET]
"""

import sys

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "40epochs"

NAMES = ("Florence", "Paris", "Sydney", "Victoria", "Georgia", "Charlotte", "Adelaide", "Austin")
PEOPLE = (
    "{} is singing in the kitchen", "{} is asleep", "{} has many friends and no car",
    "{} was born in March", "I met {} at school", "Is {} singing",
)  # fmt: skip
CITIES = (
    "{} is on the coast", "{} is a large town", "{} has many museums and no airport",
    "{} was founded in March", "I met them in {} by train", "Is {} far from here",
)  # fmt: skip

sentences = []
for templates, tag in ((PEOPLE, "B-PER"), (CITIES, "B-LOC")):
    for template in templates:
        for name in NAMES:
            tokens = template.format(name).split()
            tags = [tag if token == name else "O" for token in tokens]
            sentences.append({"tokens": tokens, "tags": tags})

models = ["lstm", "lstm:bidirectional=true"]
how = {"budget": budget, "settings": {"recipe.batch_size": 8}}
print(ensuite.compare("tag", sentences, models=models, seeds=1, **how), "\n")

network = ensuite.train("tag", sentences, model=models[1], **how)
for sentence in ("Paris is asleep", "Paris is on the coast"):
    found = network.predict([sentence])[0]
    print(" ".join(f"{token}/{tag}" for token, tag in zip(found.tokens, found.tags, strict=True)))
