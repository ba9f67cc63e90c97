"""Autoencoders and principal component analysis (lines 270 to 273).

A linear autoencoder finds the subspace of PCA, but not its axes. Where the data lies on a curve,
one number of a non-linear autoencoder does what no number of PCA can.

    python examples/autoencoder_and_pca.py [BUDGET]
"""

import sys

import numpy as np

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "800steps"

settings = {"recipe.learning_rate": 0.02, "recipe.schedule": "cosine", "recipe.clip": "none"}


def compare(data, model):
    how = {"models": [model], "settings": settings, "budget": budget, "seeds": 1}
    for row in ensuite.compare("reduce", data, **how).rows:
        print(f"  {row.name:40s} MSE {row.score:.6f}")


print("iris, two numbers for four lengths:")
compare("iris", "autoencoder:code=2,layers=0")

angles = np.random.default_rng(0).uniform(-np.pi, np.pi, 1000)
circle = [{"x": float(np.cos(a)), "y": float(np.sin(a))} for a in angles]
print("a circle, one number for two coordinates:")
compare(circle, "autoencoder:code=1,layers=2,width=64,activation=tanh")
