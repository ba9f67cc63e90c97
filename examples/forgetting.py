"""What a recurrent network forgets (the course, lines 70 to 73, 92 and 174 to 178).

How much does the last hidden state depend on the input k steps earlier? This is measured by the
norm of the gradient of h_T with respect to x_{T-k}; where it vanishes, nothing can be learned from
that input. Untrained layers already show the effect; an LSTM whose gates start open (chrono
initialisation) does not. The second part trains on the course's sentence, « Je suis né en France
... Je parle couramment le [français] », with about 50 words in between.

    python examples/forgetting.py [BUDGET]
"""

import sys

import torch

import ensuite
from ensuite.nn import GRU, LSTM, RNN
from ensuite.nn.initial import chrono_

budget = sys.argv[1] if len(sys.argv) > 1 else "12epochs"

torch.manual_seed(0)
remembering = LSTM(8, 64)
chrono_(remembering, span=100)
layers = {"rnn": RNN(8, 64), "gru": GRU(8, 64), "lstm": LSTM(8, 64), "lstm, span 100": remembering}

back = [0, 10, 20, 40, 80]
print("gradient of the last state, steps back:" + "".join(f"{k:10d}" for k in back))
for name, layer in layers.items():
    series = torch.randn(16, 100, 8, requires_grad=True)
    _, last = layer(series)
    (gradient,) = torch.autograd.grad(last.hidden.sum(), series)
    sizes = gradient.norm(dim=-1).mean(0).flip(0)
    print(f"{name:39s}" + "".join(f"{sizes[k]:10.1e}" for k in back))

print()
models = ["rnn", "lstm:span=80"]
print(ensuite.compare("classify", "memory:words=30", models=models, seeds=1, budget=budget))
