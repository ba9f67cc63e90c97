"""A convolutional autoencoder (line 251) beside a dense one: deconvolution or upsampling.

python examples/convolutional_autoencoder.py [BUDGET]
"""

import sys

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "4s"

models = ["autoencoder", "conv-autoencoder", "conv-autoencoder:upsampling=nearest"]
print(ensuite.compare("reduce", "digits", models=models, budget=budget, seeds=1))
