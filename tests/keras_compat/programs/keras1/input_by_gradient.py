"""Climb the gradient of a filter's mean activation by the input, as filter pictures were made (Keras 1)."""

import numpy as np
from keras import backend as K
from keras.layers import Convolution2D, Input, MaxPooling2D
from keras.models import Model

np.random.seed(7)
if K.image_dim_ordering() == "th":
    shape = (3, 12, 12)
else:
    shape = (12, 12, 3)
img_input = Input(shape=shape)
out = Convolution2D(6, 3, 3, activation="relu", border_mode="same", name="conv1")(img_input)
out = MaxPooling2D((2, 2), strides=(2, 2))(out)
out = Convolution2D(5, 3, 3, activation="relu", border_mode="same", name="conv2")(out)
model = Model(img_input, out)
layer_dict = dict([(layer.name, layer) for layer in model.layers])


def normalize(t):
    return t / (K.sqrt(K.mean(K.square(t))) + 1e-5)


layer_output = layer_dict["conv2"].output
loss = K.mean(layer_output[:, 1, :, :]) if K.image_dim_ordering() == "th" else K.mean(layer_output[:, :, :, 1])
grads = normalize(K.gradients(loss, img_input)[0])
iterate = K.function([img_input, K.learning_phase()], [loss, grads])
picture = np.random.random((1,) + shape) * 0.2
values = []
for _ in range(12):
    loss_value, grads_value = iterate([picture, 0])
    picture = picture + grads_value * 0.1
    values.append(float(loss_value))
assert values[-1] > values[0] * 1.5 and np.all(np.diff(values) > 0), values

# The gradient of an intermediate tensor, too.
inner = K.gradients(loss, layer_dict["conv1"].output)[0]
assert K.int_shape(inner) == K.int_shape(layer_dict["conv1"].output)
assert np.abs(K.function([img_input], [inner])([picture])[0]).sum() > 0
