"""Habits of the digit examples of Keras 1: identity recurrences, rows then columns, frozen features, grown layers."""

import numpy as np
from keras import backend as K
from keras.initializations import identity, normal
from keras.layers import LSTM, Dense, Input, TimeDistributed
from keras.layers.core import Activation, Dropout, Flatten
from keras.layers.convolutional import Convolution2D, MaxPooling2D
from keras.layers.recurrent import SimpleRNN
from keras.models import Model, Sequential
from keras.optimizers import SGD, RMSprop
from keras.utils import np_utils

np.random.seed(1337)
X = np.random.rand(60, 6, 6, 1).astype("float32")
kinds = np.argmax(X[:, 0, :3, 0], axis=1)
Y = np_utils.to_categorical(kinds, 3)

# A recurrence that starts as the identity, read pixel by pixel
irnn = Sequential()
irnn.add(SimpleRNN(output_dim=8, init=lambda shape, name: normal(shape, scale=0.001, name=name),
                   inner_init=lambda shape, name: identity(shape, scale=1.0, name=name),
                   activation="relu", input_shape=(36, 1)))
irnn.add(Dense(3))
irnn.add(Activation("softmax"))
irnn.compile(loss="categorical_crossentropy", optimizer=RMSprop(lr=1e-3), metrics=["accuracy"])
W, U, b = irnn.layers[0].get_weights()
np.testing.assert_array_equal(U, np.eye(8))
assert abs(W).max() < 0.006 and (b == 0).all()
h = np.zeros((60, 8))
for t in range(36):
    h = np.maximum(X.reshape(-1, 36, 1)[:, t] @ W + h @ U + b, 0)
logits = h @ irnn.layers[1].get_weights()[0]
soft = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
np.testing.assert_allclose(irnn.predict(X.reshape(-1, 36, 1)), soft, rtol=1e-4, atol=1e-6)

# Each row to a vector, the vectors to a class
x = Input(shape=(6, 6, 1))
encoded_rows = TimeDistributed(LSTM(output_dim=5))(x)
assert K.int_shape(encoded_rows) == (None, 6, 5) == encoded_rows._keras_shape
prediction = Dense(3, activation="softmax")(LSTM(5)(encoded_rows))
rows = Model(input=x, output=prediction)
rows.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
rows.fit(X, Y, batch_size=20, nb_epoch=1, verbose=0, validation_data=(X, Y))
assert len(rows.evaluate(X, Y, verbose=0)) == 2

# Features and classification as lists of layers; the features are frozen, then the rest learns more classes
feature_layers = [
    Convolution2D(4, 3, 3, border_mode="valid", input_shape=(6, 6, 1)), Activation("relu"),
    Convolution2D(4, 3, 3), Activation("relu"), MaxPooling2D(pool_size=(2, 2)), Dropout(0.25), Flatten()]
classification_layers = [Dense(12), Activation("relu"), Dropout(0.1), Dense(3), Activation("softmax")]
net = Sequential(feature_layers + classification_layers)


def train_model(model, epochs):
    model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.2, decay=1e-6, momentum=0.9, nesterov=True),
                  metrics=["accuracy"])
    return model.fit(X, Y, batch_size=20, nb_epoch=epochs, verbose=0, validation_data=(X, Y))


train_model(net, 2)
for layer in feature_layers:
    layer.trainable = False
assert len(net.trainable_weights) == 4 and len(net.non_trainable_weights) == 4
kept = [layer.get_weights() for layer in feature_layers]
moved = classification_layers[0].get_weights()[0]
train_model(net, 4)
for layer, before in zip(feature_layers, kept):
    for p, q in zip(layer.get_weights(), before):
        np.testing.assert_array_equal(p, q)
assert abs(classification_layers[0].get_weights()[0] - moved).max() > 0

# A teacher's weights handed to a wider student: the same function
teacher = Sequential()
teacher.add(Convolution2D(3, 3, 3, input_shape=(6, 6, 1), border_mode="same", name="conv1"))
teacher.add(MaxPooling2D(name="pool1"))
teacher.add(Flatten(name="flatten"))
teacher.add(Dense(5, activation="relu", name="fc1"))
teacher.add(Dense(3, activation="softmax", name="fc2"))
w1, b1 = teacher.get_layer("fc1").get_weights()
w2, b2 = teacher.get_layer("fc2").get_weights()
index = np.random.randint(5, size=3)
factor = np.bincount(index, minlength=5) + 1.0
wide_w2 = np.concatenate([w2 / factor[:, None], (w2 / factor[:, None])[index]], axis=0)
student = Sequential()
student.add(Convolution2D(3, 3, 3, input_shape=(6, 6, 1), border_mode="same", name="conv1",
                          weights=teacher.get_layer("conv1").get_weights()))
student.add(MaxPooling2D(name="pool1"))
student.add(Flatten(name="flatten"))
student.add(Dense(8, activation="relu", name="fc1-wider",
                  weights=[np.concatenate([w1, w1[:, index]], axis=1), np.concatenate([b1, b1[index]])]))
student.add(Dense(3, activation="softmax", name="fc2", weights=[wide_w2, b2]))
np.testing.assert_allclose(student.predict(X), teacher.predict(X), rtol=1e-4, atol=1e-6)
deeper = Dense(5, init="identity", activation="relu", name="fc1-deeper")
grown = Sequential(teacher.layers[:4] + [deeper] + teacher.layers[4:])
np.testing.assert_allclose(grown.predict(X), teacher.predict(X), rtol=1e-5)
