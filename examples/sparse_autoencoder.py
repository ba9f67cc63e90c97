"""Sparse autoencoders (line 250): a code twice as large as an image, most of it near zero.

python examples/sparse_autoencoder.py [BUDGET]
"""

import sys

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "3s"

VARIANTS = {
    "no penalty": "autoencoder:code=128,code_activation=relu",
    "absolute values (L1)": "autoencoder:code=128,code_activation=relu,sparsity=l1,penalty=0.02",
    "a rate of 5 % (KL)": "autoencoder:code=128,sparsity=kl,rate=0.05,penalty=0.05",
    "the 10 largest alone": "autoencoder:code=128,sparsity=top-k,active=10",
}

for name, model in VARIANTS.items():
    autoencoder = ensuite.train("reduce", "digits", model=model, budget=budget)
    found = autoencoder.evaluate("digits")
    print(f"{name:22s} near zero {found['near_zero']:6.1%}   MSE {found['mse']:.4f}")
