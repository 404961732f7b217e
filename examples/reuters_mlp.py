"""A multilayer perceptron that tells the topic of a newswire from the words in it.

Run:  python examples/reuters_mlp.py [--small]
"""

import sys

import numpy as np
from data_at_hand import newswires

from keras_compat.layers import Activation, Dense, Dropout
from keras_compat.models import Sequential
from keras_compat.preprocessing.text import Tokenizer
from keras_compat.utils import to_categorical

SMALL = "--small" in sys.argv
np.random.seed(1337)

max_words = 1000
batch_size = 32
epochs = 5

(x_train, y_train), (x_test, y_test), source = newswires(num_words=max_words, small=SMALL)
print("Data:", source)
print(len(x_train), "train sequences")
print(len(x_test), "test sequences")
num_classes = np.max(y_train) + 1
print(num_classes, "classes")

# For each text one row, with a 1 for each of the 1,000 words that is in it.
tokenizer = Tokenizer(num_words=max_words)
x_train = tokenizer.sequences_to_matrix(x_train, mode="binary")
x_test = tokenizer.sequences_to_matrix(x_test, mode="binary")
y_train = to_categorical(y_train, num_classes)
y_test = to_categorical(y_test, num_classes)

model = Sequential()
model.add(Dense(512, input_shape=(max_words,)))
model.add(Activation("relu"))
model.add(Dropout(0.5))
model.add(Dense(num_classes))
model.add(Activation("softmax"))

model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=batch_size, epochs=epochs, verbose=1, validation_split=0.1)

score = model.evaluate(x_test, y_test, batch_size=batch_size, verbose=0)
print(f"Test score: {score[0]:.4f}")
print(f"Test accuracy: {score[1]:.4f}")
