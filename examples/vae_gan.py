"""A VAE-GAN (line 266) beside a VAE: a discriminator learns what a digit looks like.

python examples/vae_gan.py [BUDGET]
"""

import sys

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "8s"

for model in ("vae:code=8", "vae-gan:code=8"):
    predictor = ensuite.train("reduce", "digits", model=model, budget=budget)
    print(f"\n{model}: MSE {predictor.evaluate('digits')['mse']:.4f}; three drawn digits:\n")
    drawn = predictor.sample(3, seed=0)[..., 0]
    for rows in zip(*drawn, strict=True):
        line = "   ".join(
            "".join(" .:-=+*#%@"[min(9, int(shade / 1.7))] * 2 for shade in row) for row in rows
        )
        print(line)
