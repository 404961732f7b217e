"""TensorBoard's files, layers taken off and put on, weights by name, outputs in between, two optimizers in turn."""

import os

import numpy as np
from keras import backend as K
from keras.callbacks import ModelCheckpoint, TensorBoard
from keras.layers import Activation, Convolution2D, Dense, Flatten, Input, MaxPooling2D, ZeroPadding2D
from keras.models import Model, Sequential
from keras.optimizers import SGD, Adam

np.random.seed(6)
X, Y = np.random.rand(30, 12, 12, 3), np.eye(5)[np.random.randint(0, 5, 30)]


def VGG_small(weights_path=None):
    model = Sequential()
    model.add(ZeroPadding2D((1, 1), input_shape=(12, 12, 3)))
    model.add(Convolution2D(4, 3, 3, activation="relu", name="conv1_1"))
    model.add(MaxPooling2D((2, 2), strides=(2, 2)))
    model.add(ZeroPadding2D((1, 1)))
    model.add(Convolution2D(8, 3, 3, activation="relu", name="conv2_1"))
    model.add(MaxPooling2D((2, 2), strides=(2, 2)))
    model.add(Flatten())
    model.add(Dense(16, activation="relu", name="fc6"))
    model.add(Dense(10, activation="softmax", name="fc8"))
    if weights_path:
        model.load_weights(weights_path)
    return model


VGG_small().save_weights("vgg.h5")
model = VGG_small("vgg.h5")
first = model.layers[1].get_weights()[0]

model.layers.pop()
model.outputs = [model.layers[-1].output]
model.layers[-1].outbound_nodes = []
model.add(Dense(5, activation="softmax", name="new"))
assert model.output_shape == (None, 5) and [layer.name for layer in model.layers][-2:] == ["fc6", "new"]
for layer in model.layers[:5]:
    layer.trainable = False
model.compile(SGD(lr=0.1), "categorical_crossentropy", metrics=["accuracy"])
os.mkdir("logs")
model.fit(X, Y, nb_epoch=2, batch_size=10, validation_data=(X[:10], Y[:10]), verbose=0,
          callbacks=[TensorBoard(log_dir="./logs", histogram_freq=1, write_graph=False, write_images=False)])
events = [name for name in os.listdir("logs") if "tfevents" in name]
assert len(events) == 1 and os.path.getsize(os.path.join("logs", events[0])) > 500
assert (model.layers[1].get_weights()[0] == first).all()

wide = Sequential()
wide.add(ZeroPadding2D((1, 1), input_shape=(12, 12, 3)))
wide.add(Convolution2D(4, 3, 3, activation="relu", name="conv1_1"))
wide.add(Flatten())
wide.add(Dense(2, name="other"))
wide.load_weights("vgg.h5", by_name=True)
np.testing.assert_array_equal(wide.layers[1].get_weights()[0], first)

get_features = K.function([model.layers[0].input, K.learning_phase()], [model.get_layer("conv2_1").output])
features = get_features([X, 0])[0]
inner = Model(input=model.input, output=model.get_layer("conv2_1").output)
np.testing.assert_allclose(inner.predict(X), features, rtol=1e-4, atol=1e-6)
assert inner.output_shape == (None, 6, 6, 8)

x = Input(shape=(12, 12, 3))
body = Flatten()(inner(x))
whole = Model(input=x, output=[Dense(5, activation="softmax", name="kind")(body), Dense(1, name="size")(body)])
for rate in (1e-2, 1e-3):
    whole.compile(Adam(lr=rate), {"kind": "categorical_crossentropy", "size": "mse"},
                  metrics={"kind": "accuracy"}, loss_weights={"kind": 1., "size": 0.2})
    history = whole.fit(X, {"kind": Y, "size": X.mean(axis=(1, 2, 3))}, nb_epoch=1, verbose=0,
                        callbacks=[ModelCheckpoint("best.h5", monitor="loss", save_best_only=True)])
    assert {"loss", "kind_loss", "size_loss", "kind_acc"} == set(history.history)
assert os.path.exists("best.h5")
