"""Merged Sequential branches, texts, pictures and layers of one's own in the words of Keras 0.3."""

import numpy as np
from keras import backend as K
from keras import activations, constraints, initializations, regularizers
from keras.callbacks import Callback, EarlyStopping, ModelCheckpoint
from keras.layers.advanced_activations import ELU, LeakyReLU, ParametricSoftplus, PReLU, ThresholdedReLU
from keras.layers.convolutional import Convolution1D, Convolution2D, MaxPooling1D, MaxPooling2D, ZeroPadding2D
from keras.layers.core import (Activation, ActivityRegularization, Dense, Dropout, Flatten, Highway, Lambda, LambdaMerge, Layer,
                               Merge, Permute, RepeatVector, Reshape, TimeDistributedDense)
from keras.layers.embeddings import Embedding
from keras.layers.noise import GaussianNoise
from keras.layers.normalization import BatchNormalization
from keras.layers.recurrent import GRU, LSTM, SimpleRNN
from keras.models import Graph, Sequential, model_from_json
from keras.optimizers import SGD, RMSprop
from keras.regularizers import l2
from keras.utils import np_utils

np.random.seed(4)
X = np.random.randn(80, 6).astype("float32")
kinds = (X[:, 0] > 0).astype("int32") + (X[:, 1] > 0.5)
Y = np_utils.to_categorical(kinds, 3)

# Otto's classifier: batch normalization, PReLU, a split for validation
model = Sequential()
model.add(Dense(16, input_shape=(6,), init="glorot_uniform", W_regularizer=l2(1e-4), W_constraint=constraints.maxnorm(3)))
model.add(PReLU())
model.add(BatchNormalization())
model.add(Dropout(0.2))
model.add(Highway(activation="relu"))
model.add(GaussianNoise(0.01))
model.add(Dense(3))
model.add(ActivityRegularization(l2=1e-6))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer="adam")
hist = model.fit(X, Y, nb_epoch=6, batch_size=16, validation_split=0.15, verbose=0, show_accuracy=True,
                 callbacks=[ModelCheckpoint("w.hdf5", save_best_only=True), EarlyStopping(monitor="val_loss", patience=20)])
assert sorted(hist.history) == ["acc", "loss", "val_acc", "val_loss"] and hist.history["loss"][-1] < hist.history["loss"][0]
score = model.evaluate(X, Y, show_accuracy=True, verbose=0)
assert len(score) == 2 and abs(score[1] - (model.predict_classes(X, verbose=0) == kinds).mean()) < 1e-6
loss, acc = model.train_on_batch(X, Y, accuracy=True)
assert 0 <= acc <= 1
np.testing.assert_allclose(model.predict_proba(X, verbose=0).sum(1), 1, rtol=1e-4)
again = model_from_json(model.to_json())
again.set_weights(model.get_weights())
np.testing.assert_allclose(again.predict(X), model.predict(X), rtol=1e-5)
model.save_weights("all.h5", overwrite=True)
again.load_weights("all.h5")

# Two branches into one, the data a list
left, right = Sequential(), Sequential()
left.add(Dense(8, input_shape=(6,), activation="tanh"))
right.add(Dense(8, input_dim=6))
right.add(LeakyReLU(alpha=0.1))
both = Sequential()
both.add(Merge([left, right], mode="concat"))
both.add(Dense(3, activation="softmax"))
both.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, momentum=0.9, nesterov=True))
both.fit([X, X], Y, nb_epoch=2, batch_size=16, verbose=0, validation_data=([X, X], Y))
w = both.get_weights()
code = np.concatenate([np.tanh(X @ w[0] + w[1]), np.where(X @ w[2] + w[3] > 0, 1, 0.1) * (X @ w[2] + w[3])], 1)
logits = code @ w[4] + w[5]
np.testing.assert_allclose(both.predict([X, X]), np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-4)


def difference(tensors):
    a, b = list(tensors.values()) if hasattr(tensors, "values") else tensors
    return a - b


def first_shape(shapes):
    return list(shapes.values())[0] if hasattr(shapes, "values") else shapes[0]


apart = Sequential()
apart.add(LambdaMerge([left, right], difference))
apart.add(Dense(1))
apart.compile("sgd", "mse")
assert apart.predict([X, X]).shape == (80, 1)

# Words
words = np.random.randint(1, 12, (40, 8))
words[::2, 5:] = 0
label = (words[:, 0] > 6).astype("int32")
texts = Sequential()
texts.add(Embedding(12, 6, mask_zero=True, input_length=8))
texts.add(LSTM(5, activation="sigmoid", inner_activation="hard_sigmoid", return_sequences=True))
texts.add(GRU(5))
texts.add(Dropout(0.5))
texts.add(Dense(1, activation="sigmoid"))
texts.compile(loss="binary_crossentropy", optimizer="rmsprop", class_mode="binary")
texts.fit(words, label, batch_size=10, nb_epoch=2, verbose=0, show_accuracy=True)
short = words[::2]
shorter = Sequential()  # what is masked changes nothing
shorter.add(Embedding(12, 6, mask_zero=True, input_length=5))
shorter.add(LSTM(5, activation="sigmoid", inner_activation="hard_sigmoid", return_sequences=True))
shorter.add(GRU(5))
shorter.add(Dense(1, activation="sigmoid"))
shorter.set_weights(texts.get_weights())
np.testing.assert_allclose(texts.predict(short), shorter.predict(short[:, :5]), rtol=1e-5)
grams = Sequential()
grams.add(Embedding(12, 6, input_length=8))
grams.add(Convolution1D(nb_filter=5, filter_length=3, border_mode="valid", activation="relu", subsample_length=1))
grams.add(MaxPooling1D(pool_length=2))
grams.add(Flatten())
grams.add(Dense(4))
grams.add(ELU())
grams.add(Dense(1, activation="sigmoid"))
grams.compile("adam", "binary_crossentropy", class_mode="binary")
grams.fit(words, label, nb_epoch=1, verbose=0)
adder = Sequential()
adder.add(SimpleRNN(6, input_shape=(8, 1), inner_init="identity"))
adder.add(RepeatVector(3))
adder.add(GRU(6, return_sequences=True))
adder.add(TimeDistributedDense(2))
adder.add(Activation("softmax"))
adder.compile("adam", "categorical_crossentropy")
assert adder.output_shape == (None, 3, 2)

# Pictures with channels first, as Theano's users wrote them
pictures = np.random.rand(12, 1, 8, 8).astype("float32")
cnn = Sequential()
cnn.add(Convolution2D(4, 3, 3, border_mode="full", input_shape=(1, 8, 8), dim_ordering="th"))
cnn.add(ParametricSoftplus())
cnn.add(MaxPooling2D(pool_size=(2, 2), dim_ordering="th"))
cnn.add(Flatten())
cnn.add(Dense(2, activation="softmax"))
assert cnn.layers[0].output_shape == (None, 4, 10, 10) and cnn.layers[2].output_shape == (None, 4, 5, 5)
cnn.compile("adadelta", "categorical_crossentropy")
cnn.fit(pictures, np.eye(2)[np.arange(12) % 2], nb_epoch=1, batch_size=4, verbose=0)


# A layer that fetches its input itself
class Scaled(Layer):
    def __init__(self, factor=1.0, **kwargs):
        self.init = initializations.get("one")
        self.factor = factor
        super(Scaled, self).__init__(**kwargs)

    def build(self):
        self.gain = self.init((self.input_shape[1],))
        self.params = [self.gain]
        self.regularizers = []

    @property
    def output_shape(self):
        return self.input_shape

    def get_output(self, train=False):
        X = self.get_input(train)
        return self.factor * X * self.gain

    def get_config(self):
        return {"name": self.__class__.__name__, "factor": self.factor}


own = Sequential([Dense(3, input_dim=6), Scaled(2.0), Lambda(lambda x: x ** 2, output_shape=lambda s: s)])
own.compile("sgd", "mse")
dense = own.layers[0].get_weights()
np.testing.assert_allclose(own.predict(X), (2 * (X @ dense[0] + dense[1])) ** 2, rtol=1e-3, atol=1e-5)
own.train_on_batch(X, np.zeros((80, 3)))
assert abs(own.layers[1].get_weights()[0] - 1).max() > 0
see = K.function([own.layers[0].input], [own.layers[1].get_output(train=False)])
kernel, bias, gain = own.get_weights()
np.testing.assert_allclose(see([X])[0], 2 * (X @ kernel + bias) * gain, rtol=1e-3, atol=1e-5)
reshaped = Sequential([Reshape((2, 3), input_shape=(6,)), Permute((2, 1)), Flatten(), ThresholdedReLU(0.5)])
want = X.reshape(-1, 2, 3).transpose(0, 2, 1).reshape(-1, 6)
got = reshaped.predict(X)
np.testing.assert_allclose(got, np.where(want > 0.5, want, 0), rtol=1e-6)
assert activations.get("relu") and regularizers.get("l2") and Callback and RMSprop and Graph and ZeroPadding2D
