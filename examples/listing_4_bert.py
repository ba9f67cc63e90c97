"""The course's fourth listing: a BERT as it is gives a vector for each token (lines 408-419).

The listing loads `bert-base-uncased` with TensorFlow classes that transformers no longer has. With
the folder of a checkpoint of BERT, two lines do the same here:

    model = ensuite.load("bert-base-uncased")
    embeddings = model.embed("Le deep learning est fascinant.")  # (1, length, 768)

    python examples/listing_4_bert.py [BUDGET] [FOLDER]

Without a folder, one layer of BERT-base's width learns for a moment to fill in words of its own
docstring, so that there is something to load.
"""

import sys

import ensuite

TEXT = "Le deep learning est fascinant."

budget = sys.argv[1] if len(sys.argv) > 1 else "20steps"
folder = sys.argv[2] if len(sys.argv) > 2 else ""
if not folder:
    sentences = [{"text": line} for line in (__doc__ or "").splitlines() if line] * 4
    model = "bert:width=768,layers=1,heads=12"
    trained = ensuite.train("fill", sentences, model=model, budget=budget, settings={"window": 32})
    folder = str(trained.folder)

model = ensuite.load(folder)
embeddings = model.embed(TEXT)
print(f"last hidden state  {tuple(embeddings.shape)}")
print(f"mean of the tokens {tuple(model.embed(TEXT, pool=True).shape)}")
