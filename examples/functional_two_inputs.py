"""Two inputs, joined, and two outputs: the functional API.

Run:  python examples/functional_two_inputs.py
"""

import numpy as np

from keras_compat.layers import Concatenate, Dense, Input
from keras_compat.models import Model

np.random.seed(0)

# The output to learn depends on both inputs together.
left, right = np.random.random((2000, 4)), np.random.random((2000, 3))
product = left.sum(axis=1, keepdims=True) * right.sum(axis=1, keepdims=True)
large = (product > np.median(product)).astype("float32")

a = Input(shape=(4,), name="left")
b = Input(shape=(3,), name="right")
joined = Concatenate(name="joined")([Dense(32, activation="relu")(a), Dense(32, activation="relu")(b)])
hidden = Dense(32, activation="relu")(joined)
product_out = Dense(1, name="product")(hidden)
large_out = Dense(1, activation="sigmoid", name="large")(hidden)

model = Model(inputs=[a, b], outputs=[product_out, large_out])
model.compile(
    optimizer="adam",
    loss={"product": "mse", "large": "binary_crossentropy"},
    loss_weights={"product": 1.0, "large": 0.5},
    metrics={"large": "accuracy"},
)
model.summary()
history = model.fit([left, right], [product, large], epochs=20, batch_size=32, validation_split=0.2, verbose=0)
for name in model.metrics_names:
    print(f"{name}: {history.history[name][0]:.4f} -> {history.history[name][-1]:.4f}")

predicted, _ = model.predict([left, right])
print(f"explained: {1 - np.var(predicted - product) / np.var(product):.3f} of the variance of the product")
