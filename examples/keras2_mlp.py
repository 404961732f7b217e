"""A multilayer perceptron as Keras 2 programs write it, saved and read back.

Run:  python examples/keras2_mlp.py
"""

import numpy as np

from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential, load_model
from keras_compat.optimizers import SGD
from keras_compat.regularizers import l2
from keras_compat.utils import to_categorical

np.random.seed(1337)

# Three noisy clouds of points in 20 dimensions.
num_classes = 3
labels = np.random.randint(num_classes, size=1200)
centres = np.random.normal(size=(num_classes, 20))
x = (centres[labels] + np.random.normal(size=(1200, 20))).astype("float32")
y = to_categorical(labels, num_classes)

model = Sequential(
    [
        Dense(64, activation="relu", input_shape=(20,), kernel_regularizer=l2(0.001)),
        Dropout(0.5),
        Dense(num_classes, activation="softmax"),
    ]
)
model.compile(SGD(learning_rate=0.1, momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=["accuracy"])
model.summary()
history = model.fit(x[:1000], y[:1000], epochs=5, batch_size=100, validation_split=0.1, verbose=2)
print("validation accuracy by epoch:", [round(float(a), 3) for a in history.history["val_accuracy"]])

loss, accuracy = model.evaluate(x[1000:], y[1000:], verbose=0)
print(f"test accuracy: {accuracy:.3f}")

model.save("keras2_mlp.h5")
again = load_model("keras2_mlp.h5")
print("same predictions after reloading:", np.array_equal(model.predict(x), again.predict(x)))
