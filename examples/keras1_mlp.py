"""A multilayer perceptron as Keras 1 programs write it: output_dim, init, nb_epoch, p.

Run:  python examples/keras1_mlp.py
"""

import numpy as np

import keras_compat.dialect
from keras_compat.layers.core import Activation, Dense, Dropout
from keras_compat.models import Sequential
from keras_compat.optimizers import SGD
from keras_compat.regularizers import l2
from keras_compat.utils import np_utils

np.random.seed(1337)

# Three noisy clouds of points in 20 dimensions.
nb_classes = 3
labels = np.random.randint(nb_classes, size=1200)
centres = np.random.normal(size=(nb_classes, 20))
X = (centres[labels] + np.random.normal(size=(1200, 20))).astype("float32")
Y = np_utils.to_categorical(labels, nb_classes)

model = Sequential()
model.add(Dense(output_dim=64, input_dim=20, init="uniform", W_regularizer=l2(0.001)))
model.add(Activation("relu"))
model.add(Dropout(p=0.5))
model.add(Dense(output_dim=nb_classes, init="uniform"))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, momentum=0.9, nesterov=True), metrics=["accuracy"])
model.fit(X[:1000], Y[:1000], nb_epoch=5, batch_size=100, validation_split=0.1, verbose=2)

loss, accuracy = model.evaluate(X[1000:], Y[1000:], verbose=0)
print(f"test accuracy: {accuracy:.3f}")

# What to write if the program is ever to be modernised.
print("old spellings:")
for line in keras_compat.dialect.report():
    print(" ", line)
