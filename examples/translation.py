"""Many to many, of different lengths: sequence to sequence (the course, lines 17, 26, 525).

An encoder reads a text; a decoder writes another one token by token and attends to the encoder's
states. If the environment variable ENSUITE_DATA names a folder with Tatoeba's sentences
(tatoeba_en_fr/fra-eng.tsv.gz), the task is English to French; otherwise, dates as people write them
in English and French are converted to ISO format, character by character.

Without attention, the whole source must pass through one vector, which costs more the longer the
text is (Bahdanau, Cho & Bengio 2015, figure 2). The last table shows this.

    python examples/translation.py [BUDGET]
"""

import os
import sys
from pathlib import Path

import ensuite
from ensuite.problem import open_problem

budget = sys.argv[1] if len(sys.argv) > 1 else "60s"
sentences = Path(os.environ.get("ENSUITE_DATA", "")) / "tatoeba_en_fr" / "fra-eng.tsv.gz"
real = sentences.is_file()
data = str(sentences) if real else "dates"
how = {"given": {"source": "en", "target": "fr"}, "how": "group:en"} if real else {}
asked = ["I am very happy to see you.", "Where is the station?"] if real else ["1 mars 2024"]
test = open_problem("translate", data, **how).parts["test"][-2000:]

for model in ("seq2seq", "seq2seq:attention=none"):
    writer = ensuite.train("translate", data, model=model, budget=budget, **how)
    print(model)
    for text, found in zip(asked, writer.predict(asked), strict=True):
        print(f"  {text} -> {found.text}")
    for part in writer.evaluate_by_length(test, 4):
        length = f"{part.shortest} to {part.longest} words"
        print(f"  {length:14s} {part.rows:5d} texts   chrF {part.metrics['chrf']:5.1f}")
    looking = writer.with_settings({"return_attention": "true"}).predict(asked[:1])[0].attention
    if looking:
        print("  attention weights, one column for each source token:", "|".join(looking.read))
        for token, row in zip([*looking.written, "(end)"], looking.weights, strict=True):
            print("    " + "".join(" .:+*#"[min(5, int(weight * 6))] for weight in row), token)
