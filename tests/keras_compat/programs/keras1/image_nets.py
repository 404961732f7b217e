"""Image networks of the Keras 1 time: residual blocks, dilated stacks, deconvolutions, pooling switches."""

import numpy as np
from keras import backend as K
from keras.layers import (Activation, AtrousConvolution2D, AveragePooling2D, BatchNormalization, Convolution2D, Cropping2D,
                          Deconvolution2D, Dense, Flatten, GlobalAveragePooling2D, Input, Lambda, MaxPooling2D,
                          SpatialDropout2D, UpSampling2D, ZeroPadding2D, merge)
from keras.layers.convolutional import AtrousConvolution1D, Convolution1D
from keras.models import Model
from keras.regularizers import l2

np.random.seed(21)
axis = 1 if K.image_dim_ordering() == "th" else 3
assert axis == 3


def conv_bn_relu(nb_filter, nb_row, nb_col, subsample=(1, 1)):
    def f(input):
        conv = Convolution2D(nb_filter=nb_filter, nb_row=nb_row, nb_col=nb_col, subsample=subsample, init="he_normal",
                             border_mode="same", W_regularizer=l2(1e-4), bias=False)(input)
        return Activation("relu")(BatchNormalization(mode=0, axis=axis)(conv))
    return f


def shortcut(input, residual):
    stride_width = input._keras_shape[1] // residual._keras_shape[1]
    equal = residual._keras_shape[axis] == input._keras_shape[axis]
    short = input
    if stride_width > 1 or not equal:
        short = Convolution2D(nb_filter=residual._keras_shape[axis], nb_row=1, nb_col=1,
                              subsample=(stride_width, stride_width), init="he_normal", border_mode="valid")(input)
    return merge([short, residual], mode="sum")


x = Input(shape=(8, 8, 3))
h = conv_bn_relu(4, 3, 3)(x)
h = shortcut(h, conv_bn_relu(4, 3, 3)(conv_bn_relu(4, 1, 1)(h)))
h = shortcut(h, conv_bn_relu(6, 3, 3, subsample=(2, 2))(h))
h = AveragePooling2D(pool_size=(4, 4), strides=(1, 1), border_mode="valid")(h)
resnet = Model(x, Dense(2, activation="softmax")(Flatten()(h)))
assert [layer.__class__.__name__ for layer in resnet.layers].count("Merge") == 2
resnet.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
pictures, kinds = np.random.rand(24, 8, 8, 3), np.eye(2)[np.arange(24) % 2]
pictures[::2] *= 0.3
log = [resnet.train_on_batch(pictures, kinds)[0] for _ in range(12)]
assert log[-1] < log[0]
running = resnet.layers[2]
assert isinstance(running, BatchNormalization) and len(running.updates) == 2
assert abs(K.get_value(running.running_mean)).max() > 0 and K.get_value(running.running_std).min() > 0
penalty = sum(1e-4 * (layer.get_weights()[0] ** 2).sum() for layer in resnet.layers
              if isinstance(layer, Convolution2D) and layer.W_regularizer)
p = resnet.predict(pictures)
np.testing.assert_allclose(resnet.evaluate(pictures, kinds, verbose=0)[0], penalty - np.log((p * kinds).sum(1)).mean(), rtol=1e-3)

# Wave network: dilations doubled, a gate, skips summed
wave = Input(shape=(16, 4))
out, skips = Convolution1D(6, 1, border_mode="same")(wave), []
for i in range(3):
    original = out
    tanh_out = AtrousConvolution1D(6, 2, atrous_rate=2 ** i, border_mode="same", activation="tanh")(out)
    sigm_out = AtrousConvolution1D(6, 2, atrous_rate=2 ** i, border_mode="same", activation="sigmoid")(out)
    out = merge([tanh_out, sigm_out], mode="mul")
    skip = Convolution1D(6, 1, border_mode="same")(out)
    out = merge([original, skip], mode="sum")
    skips.append(skip)
out = Activation("relu")(merge(skips, mode="sum"))
out = Convolution1D(4, 1, activation="softmax")(out)
wavenet = Model(wave, out)
assert wavenet.output_shape == (None, 16, 4)
wavenet.compile("sgd", "categorical_crossentropy")
seq = np.eye(4)[np.random.randint(4, size=(8, 16))]
first = wavenet.train_on_batch(seq, np.roll(seq, -1, 1))
assert np.isfinite(first)

# Where the maxima were, by a gradient; unpooled with those switches
def getwhere(x):
    y_prepool, y_postpool = x
    return K.gradients(K.sum(y_postpool), y_prepool)[0]


pre = Input(shape=(4, 4, 2))
post = MaxPooling2D((2, 2))(pre)
where = merge([pre, post], mode=getwhere, output_shape=lambda s: s[0])
up = merge([UpSampling2D(size=(2, 2))(post), where], mode="mul")
unpool = Model(pre, [post, where, up])
data = np.random.permutation(64).reshape(2, 4, 4, 2) / 64.0
pooled, mask, up_value = unpool.predict(data)
blocks = data.reshape(2, 2, 2, 2, 2, 2).max(axis=(2, 4))
np.testing.assert_allclose(pooled, blocks, rtol=1e-6)
big = blocks.repeat(2, 1).repeat(2, 2)
np.testing.assert_array_equal(mask, (np.abs(data - big) < 1e-6).astype(float))
np.testing.assert_allclose(up_value, np.where(mask > 0, data, 0), rtol=1e-6)

# Down, dilated, up by deconvolution with its output shape written out, cropped to fit
inputs = Input(batch_shape=(4, 9, 9, 1))
down = Convolution2D(4, 3, 3, activation="relu", subsample=(2, 2))(ZeroPadding2D((1, 1))(inputs))
wide = AtrousConvolution2D(4, 3, 3, atrous_rate=(2, 2), border_mode="same")(SpatialDropout2D(0.1)(down))
big = Deconvolution2D(2, 3, 3, output_shape=(4, 11, 11, 2), subsample=(2, 2), border_mode="valid")(wide)
crop = Cropping2D(cropping=((1, 1), (1, 1)))(big)
joined = merge([crop, inputs], mode="concat", concat_axis=3)
segment = Model(inputs, Convolution2D(1, 1, 1, activation="sigmoid")(joined))
assert segment.output_shape == (4, 9, 9, 1)
segment.compile("adadelta", "binary_crossentropy")
segment.fit(np.random.rand(8, 9, 9, 1), np.ones((8, 9, 9, 1)), nb_epoch=1, batch_size=4, verbose=0)

# The average of the last maps weighted by the class: an activation map
feature = Convolution2D(5, 3, 3, activation="relu", border_mode="same", name="last_conv")(x)
scores = Dense(2, activation="softmax", name="scores")(GlobalAveragePooling2D()(feature))
cam = Model(x, scores)
get_output = K.function([cam.layers[0].input], [cam.get_layer("last_conv").output, cam.layers[-1].output])
maps, prob = get_output([pictures[:1]])
class_weights, bias = cam.layers[-1].get_weights()
heat = np.tensordot(maps[0], class_weights, axes=(2, 0)).mean(axis=(0, 1)) + bias
np.testing.assert_allclose(np.exp(heat) / np.exp(heat).sum(), prob[0], rtol=1e-4)
th = Lambda(lambda t: K.permute_dimensions(t, (0, 3, 1, 2)), output_shape=lambda s: (s[0], s[3], s[1], s[2]))(x)
assert Model(x, th).predict(pictures[:2]).shape == (2, 3, 8, 8)
