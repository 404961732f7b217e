"""What a network has learnt of some digits helps with others: 0 to 4 first, then 5 to 9 with the filters frozen.

Keras's documentation: 99.2 % of MNIST's test digits 5 to 9 after 5 epochs of the dense layers alone.

Run:  python examples/transfer_learning.py [--small]
"""

import sys

import numpy as np
from data_at_hand import digits

from keras_compat.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras_compat.models import Sequential

SMALL = "--small" in sys.argv
np.random.seed(1337)

(x_train, y_train), (x_test, y_test), source = digits(SMALL)
print("Data:", source)
x_train, x_test = (x[..., None].astype("float32") / 255 for x in (x_train, x_test))
if SMALL:
    x_train, y_train = x_train[:1500], y_train[:1500]

feature_layers = [
    Conv2D(16, (3, 3), activation="relu", input_shape=(28, 28, 1)),
    MaxPooling2D((2, 2)),
    Conv2D(32, (3, 3), activation="relu"),
    MaxPooling2D((2, 2)),
    Dropout(0.25),
    Flatten(),
]
classification_layers = [Dense(128, activation="relu"), Dropout(0.5), Dense(5, activation="softmax")]
model = Sequential(feature_layers + classification_layers)


def learn(first, epochs, n_samples=None):
    """Learn the five digits from ``first`` on; return the History and the accuracy on test digits."""
    train, test = (np.flatnonzero((y >= first) & (y < first + 5)) for y in (y_train, y_test))
    train = train[:n_samples]
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(
        x_train[train],
        y_train[train] - first,
        batch_size=32,
        epochs=epochs,
        validation_data=(x_test[test], y_test[test] - first),
    )
    return history, model.evaluate(x_test[test], y_test[test] - first, verbose=0)[1]


epochs = 3 if SMALL else 10
history, accuracy = learn(0, epochs)
print(f"Digits 0 to 4: {accuracy:.4f}")

filters = [weight for layer in feature_layers for weight in layer.get_weights()]
for layer in feature_layers:
    layer.trainable = False
print("weights left to learn:", len(model.trainable_weights))

_, accuracy = learn(5, epochs, n_samples=500)
now = [weight for layer in feature_layers for weight in layer.get_weights()]
print("the filters are as they were:", all(np.array_equal(a, b) for a, b in zip(filters, now)))
print(f"Digits 5 to 9 from 500 examples: {accuracy:.4f}")
