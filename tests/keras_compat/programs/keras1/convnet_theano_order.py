"""A convolutional classifier as written for Keras 1 with Theano's image order."""

import numpy as np
from keras import backend as K
from keras.layers.convolutional import Convolution2D, MaxPooling2D, ZeroPadding2D
from keras.layers.core import Activation, Dense, Dropout, Flatten
from keras.models import Sequential
from keras.optimizers import SGD
from keras.utils import np_utils

np.random.seed(1337)
K.set_image_dim_ordering("th")
nb_classes, img_rows, img_cols = 2, 8, 8

# Vertical bars against horizontal bars.
X_train = np.zeros((64, 1, img_rows, img_cols), dtype="float32")
y_train = np.arange(64) % 2
for i, label in enumerate(y_train):
    at = np.random.randint(img_rows)
    if label:
        X_train[i, 0, :, at] = 1
    else:
        X_train[i, 0, at, :] = 1
Y_train = np_utils.to_categorical(y_train, nb_classes)

model = Sequential()
model.add(ZeroPadding2D((1, 1), input_shape=(1, img_rows, img_cols)))
model.add(Convolution2D(4, 3, 3, border_mode="valid", init="glorot_uniform"))
model.add(Activation("relu"))
model.add(Convolution2D(4, 3, 3, border_mode="same", subsample=(1, 1)))
convout = Activation("relu")
model.add(convout)
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.1))
model.add(Flatten())
model.add(Dense(16))
model.add(Activation("tanh"))
model.add(Dense(nb_classes))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, momentum=0.9), metrics=["accuracy"])

assert model.layers[1].W_shape == (4, 1, 3, 3)
assert model.layers[1].get_weights()[0].shape == (4, 1, 3, 3)
assert model.layers[1].output_shape == (None, 4, 8, 8)
history = model.fit(X_train, Y_train, batch_size=16, nb_epoch=12, verbose=0, validation_data=(X_train, Y_train))
assert sorted(history.history) == ["acc", "loss", "val_acc", "val_loss"]
score = model.evaluate(X_train, Y_train, verbose=0)
assert model.metrics_names == ["loss", "acc"]
assert score[1] > 0.9, score

# The first filter's answer, as people looked at it: a function of the input and the learning phase.
look = K.function([model.layers[0].input, K.learning_phase()], [convout.output])
maps = look([X_train[:3], 0])[0]
assert maps.shape == (3, 4, 8, 8) and maps.min() >= 0

# Theano's convolution turns kernels round; K.conv2d here correlates, as on TensorFlow.
kernel, bias = model.layers[1].get_weights()
padded = np.pad(X_train[0, 0], 1)
here = sum(kernel[2, 0, r, c] * padded[4 + r, 3 + c] for r in range(3) for c in range(3)) + bias[2]
first = K.function([model.layers[0].input], [model.layers[1].output])([X_train[:1]])[0]
np.testing.assert_allclose(first[0, 2, 4, 3], here, rtol=1e-4, atol=1e-6)
assert (model.predict_classes(X_train, verbose=0) == y_train).mean() == score[1]
