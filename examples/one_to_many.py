"""One to many: a picture goes in once, words come out (the course, line 23).

Convolutions read a picture of one to four handwritten digits side by side; a recurrent network
starts from what they found, and writes the name of each digit. The second model may also look back
at the regions of the picture before each word (attention). The test is of digits that no training
picture shows. At first both learn no more than how many digits there are; then the one with
attention finds where to look, long before the other knows every digit at every place.

    python examples/one_to_many.py [BUDGET]
"""

import sys

import numpy as np

import ensuite
from ensuite.data import sets

SHADES = " .:+*#"

budget = sys.argv[1] if len(sys.argv) > 1 else "40epochs"
test = sets.load("digit-captions")["test"].columns
picture, caption = test["image"][3], test["text"][3]

for line in picture:
    print("".join(SHADES[int(pixel) * 5 // 255] for pixel in line))
print("it shows:", caption, "\n")

small = "width=128,embedding=64"
for model in (f"seq2seq:{small},attention=none", f"seq2seq:{small}"):
    how = {"budget": budget, "settings": {"recipe.learning_rate": 5e-3}}
    writer = ensuite.train("caption", "digit-captions", model=model, **how)
    score = writer.evaluate("digit-captions")["exact_match"]
    print(f"{model}: {score:.1%} of {len(test['text']):,} captions are right to the letter")
    print("  of this picture it says:", writer.predict([picture])[0].text)

# Where the last one looked at each word: the columns of the picture that its regions stand for.
found = writer.with_settings({"return_attention": "true"}).predict([picture])[0]
for word, looked in zip([*found.text.split(), "(end)"], found.attention.weights, strict=True):
    columns = np.reshape(looked, (2, -1)).sum(0)
    print("".join(SHADES[int(share * 5)] * 4 for share in columns), word)
