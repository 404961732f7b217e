"""Generators of a program's own in Keras 1: samples are counted, queues and workers have their old names."""

import random
import threading

import numpy as np
from keras.callbacks import Callback, ModelCheckpoint
from keras.layers import Dense, Flatten, Input, Lambda, merge
from keras.layers.convolutional import Convolution2D
from keras.layers.pooling import MaxPooling2D
from keras.models import Model, Sequential
from keras.utils.generic_utils import Progbar

random.seed(1)
np.random.seed(1)
images = np.random.randint(0, 255, (40, 16, 20, 3)).astype("uint8")
angles = images[:, :, :10].mean(axis=(1, 2, 3)) / 255 - 0.5
lines = list(range(40))
train_samples, validation_samples = lines[:30], lines[30:]


def generator(samples, batch_size=10):
    num_samples = len(samples)
    while 1:
        random.shuffle(samples)
        for offset in range(0, num_samples, batch_size):
            batch = samples[offset:offset + batch_size]
            flipped = [images[i][:, ::-1] if random.random() < 0.5 else images[i] for i in batch]
            yield np.array(flipped), np.array([angles[i] for i in batch])


class ThreadSafe(object):
    def __init__(self, it):
        self.it, self.lock = it, threading.Lock()

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            return next(self.it)

    next = __next__


model = Sequential()
model.add(Lambda(lambda x: x / 127.5 - 1., input_shape=(16, 20, 3), output_shape=(16, 20, 3)))
model.add(Convolution2D(4, 5, 5, subsample=(2, 2), border_mode="same", activation="elu"))
model.add(MaxPooling2D((2, 2)))
model.add(Flatten())
model.add(Dense(8, activation="relu"))
model.add(Dense(1))
model.compile(optimizer="adam", loss="mse")


class Seen(Callback):
    sizes = []

    def on_batch_end(self, batch, logs={}):
        self.sizes.append(logs["size"])


seen = Seen()
history = model.fit_generator(generator(train_samples), samples_per_epoch=len(train_samples), nb_epoch=3, verbose=0,
                              validation_data=generator(validation_samples), nb_val_samples=len(validation_samples),
                              callbacks=[ModelCheckpoint("model.h5"), seen], max_q_size=4)
assert seen.sizes == [10] * 9 and len(history.history["val_loss"]) == 3
history = model.fit_generator(ThreadSafe(generator(train_samples)), samples_per_epoch=30, nb_epoch=1, verbose=0,
                              nb_worker=2, pickle_safe=False)
assert np.isfinite(history.history["loss"]).all()
whole = model.evaluate_generator(generator(validation_samples), val_samples=10)
assert np.isfinite(whole)


def in_order():
    while True:
        for i in range(0, 40, 8):
            yield images[i:i + 8]


np.testing.assert_allclose(model.predict_generator(in_order(), val_samples=40), model.predict(images), rtol=1e-4, atol=1e-6)

left, right = Input(shape=(4,), name="left"), Input(shape=(4,), name="right")
both = Dense(1, name="out")(merge([left, right], mode="mul"))
two = Model(input=[left, right], output=both)
two.compile("sgd", {"out": "mse"})


def named(n=12):
    while True:
        a, b = np.random.rand(n, 4), np.random.rand(n, 4)
        yield {"left": a, "right": b}, {"out": (a * b).sum(1)}, np.ones(n)


history = two.fit_generator(named(), 36, 2, verbose=0)
assert len(history.epoch) == 2

progbar = Progbar(target=30, verbose=0)
for i in range(0, 30, 10):
    loss = model.train_on_batch(images[i:i + 10], angles[i:i + 10])
    progbar.add(10, values=[("train loss", float(loss))])
assert progbar.seen_so_far == 30
