"""Cut, extended and frozen networks; dreams and pictures by gradients; popped layers (Keras 1)."""

import numpy as np
from keras import backend as K
from keras.layers import Convolution2D, Dense, Dropout, Flatten, Input, MaxPooling2D, ZeroPadding2D
from keras.models import Model, Sequential
from keras.optimizers import SGD

np.random.seed(9)


def vgg(top=True):
    model = Sequential()
    model.add(ZeroPadding2D((1, 1), input_shape=(8, 8, 3)))
    model.add(Convolution2D(4, 3, 3, activation="relu", name="conv1_1"))
    model.add(ZeroPadding2D((1, 1)))
    model.add(Convolution2D(4, 3, 3, activation="relu", name="conv1_2"))
    model.add(MaxPooling2D((2, 2), strides=(2, 2)))
    if top:
        model.add(Flatten())
        model.add(Dense(6, activation="relu", name="fc6"))
        model.add(Dropout(0.5))
        model.add(Dense(10, activation="softmax", name="fc8"))
    return model


full = vgg()
x = np.random.rand(10, 8, 8, 3)
before = full.predict(x)
code = Model(full.input, full.get_layer("fc6").output).predict(x)
full.save_weights("vgg.h5")

# Two layers off the end, as recipes of the time did it
cut = vgg()
cut.load_weights("vgg.h5")
cut.layers.pop()
cut.layers.pop()
cut.outputs = [cut.layers[-1].output]
cut.layers[-1].outbound_nodes = []
new = Dense(2, activation="softmax", name="new_head")(cut.layers[-1].output)
tuned = Model(cut.input, new)
assert [layer.name for layer in tuned.layers][-2:] == ["fc6", "new_head"]
for layer in tuned.layers[:-1]:
    layer.trainable = False
tuned.compile(SGD(lr=1e-1, momentum=0.9), "categorical_crossentropy", metrics=["accuracy"])
assert len(tuned.trainable_weights) == 2
tuned.fit(x, np.eye(2)[np.arange(10) % 2], nb_epoch=2, batch_size=5, verbose=0)
np.testing.assert_allclose(K.function([tuned.input, K.learning_phase()], [tuned.layers[-2].output])([x, 0])[0], code, rtol=1e-5)

popped = vgg()
popped.load_weights("vgg.h5")
popped.pop()
popped.pop()
assert popped.output_shape == (None, 6) and len(popped.layers) == 7
np.testing.assert_allclose(popped.predict(x), code, rtol=1e-5)
popped.add(Dense(3, activation="softmax"))
popped.compile("adadelta", "categorical_crossentropy")
assert popped.predict_classes(x, verbose=0).shape == (10,)

# Bottleneck features, a top model on them, then both together
base = vgg(top=False)
base.load_weights("vgg.h5", by_name=True)
np.testing.assert_array_equal(base.layers[1].get_weights()[0], full.layers[1].get_weights()[0])
features = base.predict(x)
top_model = Sequential()
top_model.add(Flatten(input_shape=base.output_shape[1:]))
top_model.add(Dense(4, activation="relu"))
top_model.add(Dropout(0.5))
top_model.add(Dense(1, activation="sigmoid"))
top_model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
top_model.fit(features, np.arange(10) % 2, nb_epoch=2, batch_size=5, verbose=0)
top_model.save_weights("top.h5")
apart = top_model.predict(features)
base.add(top_model)
for layer in base.layers[:4]:
    layer.trainable = False
base.compile(loss="binary_crossentropy", optimizer=SGD(lr=1e-4, momentum=0.9), metrics=["accuracy"])
np.testing.assert_allclose(base.predict(x), apart, rtol=1e-5)
assert len(base.trainable_weights) == 4 and base.layers[-1] is top_model
joined = Model(input=full.input, output=top_model(full.layers[4].output))
joined.compile("sgd", "binary_crossentropy")
np.testing.assert_allclose(joined.predict(x), apart, rtol=1e-5)

# Layers by name, a filter's picture, a dream of several layers
layer_dict = dict([(layer.name, layer) for layer in full.layers])
input_img = full.layers[0].input
layer_output = layer_dict["conv1_2"].output
index = int(Model(full.input, layer_output).predict(x).mean(axis=(0, 1, 2)).argmax())
loss = K.mean(layer_output[:, :, :, index])
grads = K.gradients(loss, input_img)[0]
grads /= K.sqrt(K.mean(K.square(grads))) + 1e-5
iterate = K.function([input_img, K.learning_phase()], [loss, grads])
img = np.random.random((1, 8, 8, 3)) * 0.2 + 0.5
start = iterate([img, 0])[0]
for _ in range(10):
    value, g = iterate([img, 0])
    img += g * 0.1
assert iterate([img, 0])[0] > start
np.testing.assert_allclose(np.sqrt((g ** 2).mean()), 1, rtol=1e-2)

dream = Input(batch_shape=(1,) + (8, 8, 3))
tail = Convolution2D(4, 3, 3, activation="relu", border_mode="same", name="block5",
                     weights=full.layers[1].get_weights())(dream)
loss = K.variable(0.0)
for name, coeff in {"block5": 0.5}.items():
    shape = Model(dream, tail).layers[-1].output_shape
    loss -= coeff * K.sum(K.square(tail[:, 2: shape[1] - 2, 2: shape[2] - 2, :])) / np.prod(shape[1:])
loss += 0.02 * K.sum(K.square(dream)) / np.prod((8, 8, 3))
grads = K.gradients(loss, dream)
outputs = [loss]
if type(grads) in {list, tuple}:
    outputs += grads
else:
    outputs.append(grads)
out = K.function([dream], outputs)([img])
maps = np.maximum(0, Model(dream, tail).predict(img))
want = -0.5 * (maps[:, 2:6, 2:6] ** 2).sum() / (8 * 8 * 4) + 0.02 * (img ** 2).sum() / 192
np.testing.assert_allclose(out[0], want, rtol=1e-4)
assert out[1].shape == img.shape
np.testing.assert_array_equal(full.predict(x), before)

# The same cut on a model of the functional API, then another cut by the name of a layer
inp = Input((8, 8, 3))
y = Convolution2D(4, 3, 3, name="a", activation="relu")(inp)
y = Flatten(name="flat")(y)
y = Dense(5, activation="relu", name="fc")(y)
net = Model(input=inp, output=Dense(10, activation="softmax", name="predictions")(y))
want = Model(input=net.input, output=net.get_layer("fc").output).predict(x)
net.layers.pop()
net.outputs = [net.layers[-1].output]
net.layers[-1].outbound_nodes = []
assert net.layers[-1].name == "fc" and net.get_layer(index=-1) is net.layers[-1]
features = Model(net.input, net.layers[-1].output)
np.testing.assert_allclose(features.predict(x), want, rtol=1e-6)
np.testing.assert_allclose(net.predict(x), want, rtol=1e-6)
seq = vgg()
seq.layers.pop()
seq.outputs = [seq.layers[-1].output]
seq.layers[-1].outbound_nodes = []
seq.add(Dense(3, activation="softmax", name="three"))
seq.compile("sgd", "categorical_crossentropy")
assert seq.predict(x).shape == (10, 3) and seq.layers[-1].name == "three" and seq.output_shape == (None, 3)
