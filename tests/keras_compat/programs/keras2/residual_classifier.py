"""Residual network of both versions with schedules, checkpoints and plateaus, then a rate that goes in cycles (Keras 2)."""

from __future__ import print_function

import os

import keras
import numpy as np
from keras import backend as K
from keras.callbacks import Callback, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau
from keras.layers import Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, Flatten, Input
from keras.models import Model, load_model
from keras.optimizers import SGD, Adam
from keras.regularizers import l2

np.random.seed(42)
num_classes, n = 3, 1
x_train = np.random.rand(48, 8, 8, 3).astype("float32")
y_train = x_train.mean(axis=(1, 2)).argmax(axis=1).reshape(-1, 1)
x_train -= np.mean(x_train, axis=0)
y_train = keras.utils.to_categorical(y_train, num_classes)


def lr_schedule(epoch):
    lr = 1e-2
    if epoch > 2:
        lr *= 1e-1
    return lr


def resnet_layer(inputs, num_filters=4, kernel_size=3, strides=1, activation="relu", batch_normalization=True,
                 conv_first=True):
    conv = Conv2D(num_filters, kernel_size=kernel_size, strides=strides, padding="same",
                  kernel_initializer="he_normal", kernel_regularizer=l2(1e-4))
    x = inputs
    if conv_first:
        x = conv(x)
        if batch_normalization:
            x = BatchNormalization()(x)
        if activation is not None:
            x = Activation(activation)(x)
    else:
        if batch_normalization:
            x = BatchNormalization()(x)
        if activation is not None:
            x = Activation(activation)(x)
        x = conv(x)
    return x


def resnet(input_shape, conv_first):
    num_filters = 4
    inputs = Input(shape=input_shape)
    x = resnet_layer(inputs=inputs, conv_first=conv_first)
    for stack in range(2):
        strides = 2 if stack > 0 else 1
        y = resnet_layer(inputs=x, num_filters=num_filters, strides=strides, conv_first=conv_first)
        y = resnet_layer(inputs=y, num_filters=num_filters, activation=None, conv_first=conv_first)
        if stack > 0:
            x = resnet_layer(inputs=x, num_filters=num_filters, kernel_size=1, strides=strides, activation=None,
                             batch_normalization=False)
        x = keras.layers.add([x, y])
        x = Activation("relu")(x)
        num_filters *= 2
    x = AveragePooling2D(pool_size=4)(x)
    outputs = Dense(num_classes, activation="softmax", kernel_initializer="he_normal")(Flatten()(x))
    return Model(inputs=inputs, outputs=outputs)


for first in (True, False):
    model = resnet(x_train.shape[1:], first)
    model.compile(loss="categorical_crossentropy", optimizer=Adam(learning_rate=lr_schedule(0)), metrics=["accuracy"])
    lines = []
    model.summary(print_fn=lines.append)
    assert "Total params: {:,}".format(model.count_params()) in lines and len(model.layers) > 15
save_dir = os.path.join(os.getcwd(), "saved_models")
if not os.path.isdir(save_dir):
    os.makedirs(save_dir)
filepath = os.path.join(save_dir, "cifar_%s_model.{epoch:03d}.h5" % "v2")
checkpoint = ModelCheckpoint(filepath=filepath, monitor="val_accuracy", verbose=0, save_best_only=False)
lr_reducer = ReduceLROnPlateau(factor=np.sqrt(0.1), cooldown=0, patience=5, min_lr=0.5e-6)
rates = []


class Rates(Callback):
    def on_epoch_begin(self, epoch, logs=None):
        rates.append(float(K.get_value(self.model.optimizer.lr)))


history = model.fit(x_train, y_train, batch_size=16, epochs=4, validation_data=(x_train, y_train), shuffle=True, verbose=0,
                    callbacks=[checkpoint, lr_reducer, LearningRateScheduler(lr_schedule), Rates()])
np.testing.assert_allclose(rates, [0.01, 0.01, 0.01, 0.001], rtol=1e-5)
np.testing.assert_allclose(history.history["lr"], rates, rtol=1e-6)
assert history.history["loss"][-1] < history.history["loss"][0] and len(os.listdir(save_dir)) == 4
scores = model.evaluate(x_train, y_train, verbose=0)
kept = load_model(os.path.join(save_dir, "cifar_v2_model.004.h5"))
np.testing.assert_allclose(kept.evaluate(x_train, y_train, verbose=0), scores, rtol=1e-4)
np.testing.assert_allclose(history.history["val_accuracy"][-1], scores[1], rtol=1e-5)


class CyclicLR(Callback):
    def __init__(self, base_lr=0.001, max_lr=0.006, step_size=2000.0):
        super(CyclicLR, self).__init__()
        self.base_lr, self.max_lr, self.step_size = base_lr, max_lr, step_size
        self.trn_iterations = 0.0
        self.history = {}

    def clr(self):
        cycle = np.floor(1 + self.trn_iterations / (2 * self.step_size))
        x = np.abs(self.trn_iterations / self.step_size - 2 * cycle + 1)
        return self.base_lr + (self.max_lr - self.base_lr) * np.maximum(0, (1 - x))

    def on_train_begin(self, logs={}):
        logs = logs or {}
        K.set_value(self.model.optimizer.lr, self.base_lr)

    def on_batch_end(self, epoch, logs=None):
        logs = logs or {}
        self.trn_iterations += 1
        self.history.setdefault("lr", []).append(K.get_value(self.model.optimizer.lr))
        for k, v in logs.items():
            self.history.setdefault(k, []).append(v)
        K.set_value(self.model.optimizer.lr, self.clr())


class RangeTest(Callback):
    def on_train_begin(self, logs=None):
        self.weights, self.tried = self.model.get_weights(), []

    def on_batch_end(self, batch, logs=None):
        self.tried.append((float(K.get_value(self.model.optimizer.lr)), logs["loss"]))
        K.set_value(self.model.optimizer.lr, 2.0 * self.tried[-1][0])
        if len(self.tried) == 5:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


model.compile(SGD(momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=["acc"])
clr = CyclicLR(0.001, 0.003, step_size=3.0)
model.fit(x_train, y_train, batch_size=16, epochs=3, callbacks=[clr], verbose=0)
np.testing.assert_allclose(clr.history["lr"][:7], [0.001, 0.001 + 0.002 / 3, 0.001 + 0.004 / 3, 0.003,
                                                   0.001 + 0.004 / 3, 0.001 + 0.002 / 3, 0.001], rtol=1e-5)
assert len(clr.history["loss"]) == 9 and "acc" in clr.history and clr.history["size"] == [16] * 9
before = model.get_weights()
finder = RangeTest()
model.fit(x_train, y_train, batch_size=16, epochs=5, callbacks=[finder], verbose=0)
assert [round(a / finder.tried[0][0]) for a, _ in finder.tried[:5]] == [1, 2, 4, 8, 16]
for p, q in zip(model.get_weights(), before):
    np.testing.assert_array_equal(p, q)
