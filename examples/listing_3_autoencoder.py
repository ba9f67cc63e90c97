"""The course's third listing (lines 291 to 305), line for line: Keras's autoencoder, and ours.

X holds images of 28 x 28 pixels, flattened, with values from 0 to 1. The course does not define the
data; here they are scikit-learn's digits, enlarged from 8 x 8.

    python examples/listing_3_autoencoder.py [EPOCHS]
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

import ensuite

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20

small = load_digits().images / 16
X = np.pad(small.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
X = X.reshape(len(X), 784)
X_train, X_test = X[:1500], X[1500:]

# input_img = keras.Input(shape=(784,))
# encoded = layers.Dense(64, activation='relu')(input_img)
# decoded = layers.Dense(784, activation='sigmoid')(encoded)
# autoencoder = keras.Model(input_img, decoded)
model = "autoencoder:code=64,layers=0,code_activation=relu"
# autoencoder.compile(optimizer='adam', loss='binary_crossentropy')
settings = {
    "criterion": "binary", "scale": "none",
    "recipe.learning_rate": 1e-3, "recipe.schedule": "constant", "recipe.clip": "none",
    "recipe.batch_size": 256,  # autoencoder.fit(X_train, X_train, epochs=20, batch_size=256,
}  # fmt: skip
budget = f"{epochs}epochs"
test = {"X": X_test}  # validation_data=(X_test, X_test))
autoencoder = ensuite.train(
    "reduce", {"X": X_train}, model=model, settings=settings, budget=budget, test=test
)

codes = autoencoder.transform(X_test)  # keras.Model(input_img, encoded).predict(X_test)
decoded = autoencoder.inverse_transform(codes)  # autoencoder.predict(X_test)
print(f"codes {codes.shape}, reconstructions {decoded.shape}")
print(f"mean squared error of the test images: {np.square(decoded - X_test).mean():.4f}")
print(f"of always answering their mean: {X_test.var(0).mean():.4f}")
