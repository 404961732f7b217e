"""One evaluator for loss and gradient by the picture, over a fixed network fed by a concatenated tensor (Keras 2)."""

import numpy as np
from keras import backend as K
from keras.layers import Conv2D, Input, MaxPooling2D
from keras.models import Model
from scipy.optimize import fmin_l_bfgs_b

np.random.seed(10)
rows = cols = 8
base_image = K.variable(np.random.rand(1, rows, cols, 3))
style_image = K.variable(np.random.rand(1, rows, cols, 3))
combination_image = K.placeholder((1, rows, cols, 3))
input_tensor = K.concatenate([base_image, style_image, combination_image], axis=0)
image_input = Input(tensor=input_tensor, shape=(rows, cols, 3))
t = Conv2D(6, (3, 3), activation="relu", padding="same", name="block1_conv1")(image_input)
t = MaxPooling2D((2, 2))(t)
t = Conv2D(8, (3, 3), activation="tanh", padding="same", name="block2_conv1")(t)
model = Model(image_input, t)
outputs_dict = dict([(layer.name, layer.output) for layer in model.layers])


def gram_matrix(x):
    assert K.ndim(x) == 3
    features = K.batch_flatten(K.permute_dimensions(x, (2, 0, 1)))
    return K.dot(features, K.transpose(features))


def style_loss(style, combination):
    return K.sum(K.square(gram_matrix(style) - gram_matrix(combination))) / (4.0 * (3**2) * (rows * cols) ** 2)


def total_variation_loss(x):
    a = K.square(x[:, : rows - 1, : cols - 1, :] - x[:, 1:, : cols - 1, :])
    b = K.square(x[:, : rows - 1, : cols - 1, :] - x[:, : rows - 1, 1:, :])
    return K.sum(K.pow(a + b, 1.25))


loss = K.variable(0.0)
features = outputs_dict["block2_conv1"]
loss = loss + 0.1 * K.sum(K.square(features[2] - features[0]))
for name in ["block1_conv1", "block2_conv1"]:
    layer_features = outputs_dict[name]
    loss = loss + 5.0 * style_loss(layer_features[1, :, :, :], layer_features[2, :, :, :])
loss = loss + 1e-3 * total_variation_loss(combination_image)
grads = K.gradients(loss, combination_image)
f_outputs = K.function([combination_image], [loss] + grads)


def both(x):
    loss_value, grad_value = f_outputs([x.reshape((1, rows, cols, 3))])
    return float(loss_value), grad_value.flatten().astype("float64")


x = np.random.rand(1, rows, cols, 3).flatten()
start, g = both(x)
step = 1e-2 * np.random.randn(x.size)
np.testing.assert_allclose((both(x + step)[0] - both(x - step)[0]) / 2, g @ step, rtol=0.05, atol=1e-4)
x, min_val, info = fmin_l_bfgs_b(lambda v: both(v)[0], x, fprime=lambda v: both(v)[1], maxfun=20)
assert min_val < 0.5 * start
