"""The course's first listing (lines 104 to 118), line for line: Keras's SimpleRNN, and ours.

X has the shape (N, 10, 1) and y the shape (N,). The course does not define their values; here, y
says whether a random walk of ten steps ends above its start.

    python examples/listing_1_simple_rnn.py [EPOCHS]
"""

import sys

import numpy as np
import torch
from torch import nn

import ensuite
from ensuite.nn import RNN

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 5

X = np.random.default_rng(0).normal(size=(2000, 10, 1)).cumsum(axis=1).astype("float32")
y = (X[:, -1, 0] > X[:, 0, 0]).astype("float32")

# With ensuite.train.
# model = keras.Sequential([SimpleRNN(50, activation='tanh'), Dense(1, activation='sigmoid')])
model = "rnn:width=50,dropout=0"
# model.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy'])
adam = {"recipe.learning_rate": 1e-3, "recipe.schedule": "constant", "recipe.batch_size": 32}
# model.fit(X_train, y_train, epochs=5, batch_size=32)
data, budget = {"X": X, "y": y.astype(int)}, f"{epochs}epochs"
rnn = ensuite.train("classify", data, model=model, settings=adam, budget=budget)
print(f"ensuite.train: accuracy {rnn.evaluate(data)['accuracy']:.3f}")


# With the same layer in a training loop of your own.
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = RNN(1, 50, activation="tanh")  # layers.SimpleRNN(50, activation='tanh')
        self.dense = nn.Linear(50, 1)  # layers.Dense(1, activation='sigmoid')

    def forward(self, series):
        _, last = self.rnn(series)
        return self.dense(last.hidden)[:, 0].sigmoid()


torch.manual_seed(0)
classifier = Classifier()
optimizer = torch.optim.Adam(classifier.parameters())  # model.compile(optimizer='adam',
loss_of = nn.BCELoss()  # loss='binary_crossentropy', metrics=['accuracy'])
inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
for _ in range(epochs):  # model.fit(X_train, y_train, epochs=5,
    for rows in torch.randperm(len(inputs)).split(32):  # batch_size=32)
        optimizer.zero_grad()
        loss_of(classifier(inputs[rows]), targets[rows]).backward()
        optimizer.step()
with torch.inference_mode():
    accuracy = ((classifier(inputs) > 0.5) == targets.bool()).float().mean()
print(f"our layer in a loop: accuracy {accuracy:.3f}")
