"""A denoising autoencoder (lines 264, 277-280): noisy digits in, clean digits out.

Salt and pepper, then Gaussian noise. Beside the quality of the pictures it says how far codes move
when the noise comes, relative to their spread ("code shift"): the course claims that the code
ignores the noise. A plain autoencoder, trained without noise, is given the same noisy digits.

    python examples/denoising_autoencoder.py [BUDGET]
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "40epochs"
images = load_digits().images
MODEL = "autoencoder:code=16"


def show(name: str, image: np.ndarray) -> None:
    print(f"\n{name}")
    for row in np.asarray(image).reshape(8, 8):
        print("".join(" .:-=+*#%@"[min(9, int(shade / 1.7))] * 2 for shade in row.clip(0)))


for noise, strength in (("salt-and-pepper", 0.2), ("gaussian", 0.3)):
    for noisy in (True, False):
        settings = {"noise": noise, "strength": strength, "noisy_training": noisy}
        run = ensuite.train(
            "denoise", {"image": images}, model=MODEL, settings=settings, budget=budget
        )
        found = run.evaluate({"image": images[:300]})
        trained = "trained on noise" if noisy else "trained without"
        print(
            f"{noise:15s} {trained:16s} PSNR {found['psnr']:.2f} dB, code shift "
            f"{found['code_shift']:.2f}"
        )

spots = np.random.default_rng(0).random((8, 8))
dirty = np.where(spots < 0.1, 0.0, np.where(spots > 0.9, 16.0, images[0]))
settings = {"noise": "salt-and-pepper", "strength": 0.2}
cleaner = ensuite.train(
    "denoise", {"image": images[1:]}, model=MODEL, settings=settings, budget=budget
)
show("before", images[0])
show("noisy", dirty)
show("cleaned", cleaner.predict([dirty])[0].values)
