"""A variational autoencoder (lines 255 to 259): its loss in nats, and digits that nobody wrote.

The course's loss is ||x - g(z)||² + KL, with which the codes of these small images collapse: the
squared error of pixels from 0 to 1 is small beside the divergence. With a variance that is learned,
the error is weighed as the data asks for.

    python examples/variational_autoencoder.py [BUDGET]
"""

import sys

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "6s"

LOSSES = {
    "the course's loss": "vae:code=8,learn_variance=false",
    "a learned variance": "vae:code=8",
}

for name, model in LOSSES.items():
    vae = ensuite.train("reduce", "digits", model=model, budget=budget)
    found = vae.evaluate("digits")
    print(
        f"{name:18s} ELBO {found['elbo']:6.1f} nats = {found['reconstruction']:6.1f} of the "
        f"reconstruction - {found['kl']:4.1f} of the code; {found['active_units']:.0f} of 8 units "
        f"active, MSE {found['mse']:.4f}"
    )

for picture in vae.sample(3, seed=1):
    print()
    for row in picture[:, :, 0]:
        print("".join(" .:-=+*#%@"[min(9, int(shade / 1.7))] * 2 for shade in row))
