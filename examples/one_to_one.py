"""One to one: from one fixed input to one fixed output (the course, line 21).

There is no sequence and no memory: a multilayer perceptron reads the four lengths of a flower at
once and classifies its species. As always, it is compared with baselines.

    python examples/one_to_one.py [BUDGET]
"""

import sys

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "60epochs"

print(ensuite.compare("classify", "iris", models=["mlp"], seeds=1, budget=budget), "\n")

mlp = ensuite.train("classify", "iris", model="mlp", budget=budget)
for lengths in ([5.0, 3.4, 1.5, 0.2], [6.6, 3.0, 5.6, 2.1]):  # sepal, then petal; centimetres
    found = mlp.predict([lengths])[0]
    print(f"{lengths} is {found.label}, {found.probability:.0%} sure")
