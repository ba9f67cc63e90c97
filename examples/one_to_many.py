"""One to many: from one image to a sequence of words (the course, line 23).

A convolutional encoder reads an image of one to four handwritten digits side by side. A recurrent
decoder is initialised from its features and writes the name of each digit. The second model also
attends to the regions of the image before each word. The digit images of the test do not occur in
training. At first, both models learn only the number of digits; then the one with attention learns
where to look, long before the other has learned every digit at every position.

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
    print(f"{model}: {score:.1%} of {len(test['text']):,} captions match exactly")
    print("  caption of this image:", writer.predict([picture])[0].text)

# The attention weights of the last model at each word, summed over the columns of the image.
found = writer.with_settings({"return_attention": "true"}).predict([picture])[0]
for word, looked in zip([*found.text.split(), "(end)"], found.attention.weights, strict=True):
    columns = np.reshape(looked, (2, -1)).sum(0)
    print("".join(SHADES[int(share * 5)] * 4 for share in columns), word)
