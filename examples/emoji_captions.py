"""Write images with captions as a folder that `ensuite compare caption` reads.

Data for `caption` is a folder of images with a table that names each file and gives its caption. If
the environment variable ENSUITE_DATA names a folder with the emoji (emoji_captions/images48.npz and
captions.tsv), the images are emoji, with their names in English and French; otherwise, they are
handwritten digits side by side.

    python examples/emoji_captions.py [FOLDER]
"""

import csv
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from ensuite.data import sets

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/captioned-pictures")
emoji = Path(os.environ.get("ENSUITE_DATA", "")) / "emoji_captions"

if emoji.is_dir():
    pictures = np.load(emoji / "images48.npz")["images"]
    with (emoji / "captions.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    captions = [(row["caption_en"], row["caption_fr"]) for row in rows]
else:
    english, french = (sets.load(f"digit-captions:french={n},rows=400")["train"] for n in (0, 1))
    pictures = english.columns["image"]
    captions = list(zip(english.columns["text"], french.columns["text"], strict=True))

folder.mkdir(parents=True, exist_ok=True)
names = [f"{number:04d}.png" for number in range(len(pictures))]
for name, pixels in zip(names, pictures, strict=True):
    Image.fromarray(pixels).save(folder / name)
with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["image", "caption_en", "caption_fr"])
    writer.writerows([name, *both] for name, both in zip(names, captions, strict=True))

print(f"{len(names):,} images and captions.csv are in {folder}; the last is: {captions[-1][0]}")
print(f"ensuite compare caption {folder} --column text=caption_en --models seq2seq --seeds 1")
