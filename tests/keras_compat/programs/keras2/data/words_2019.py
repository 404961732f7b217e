"""Texts as of 2019: tokenizers kept in pickles and JSON, characters, hashing, windows over series, HDF5 data."""

import json
import pickle

import h5py
import numpy as np
from keras.layers import LSTM, Bidirectional, Dense, Embedding, GlobalMaxPooling1D, SpatialDropout1D, TimeDistributed
from keras.models import Sequential
from keras.preprocessing.sequence import TimeseriesGenerator, pad_sequences
from keras.preprocessing.text import Tokenizer, hashing_trick, one_hot, text_to_word_sequence, tokenizer_from_json
from keras.utils import HDF5Matrix, to_categorical

np.random.seed(9)
comments = ["You are great", "this is toxic!!", "great work, thanks", "toxic and rude", "thanks a lot"] * 8
y = np.array([[0, 0], [1, 0], [0, 0], [1, 1], [0, 0]] * 8)
tokenizer = Tokenizer(num_words=12, oov_token="<OOV>", lower=True, filters='!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n')
tokenizer.fit_on_texts(comments)
assert tokenizer.word_index["<OOV>"] == 1
sequences = tokenizer.texts_to_sequences(["never seen is great"])
assert sequences[0][0] == 1 and sequences[0][-1] == tokenizer.word_index["great"]
assert tokenizer.sequences_to_texts([[2, 1]])[0].split()[1] == "<OOV>"
with open("tokenizer.pickle", "wb") as handle:
    pickle.dump(tokenizer, handle, protocol=pickle.HIGHEST_PROTOCOL)
with open("tokenizer.pickle", "rb") as handle:
    loaded = pickle.load(handle)
assert loaded.texts_to_sequences(comments) == tokenizer.texts_to_sequences(comments)
with open("tokenizer.json", "w") as f:
    f.write(json.dumps(tokenizer.to_json()))
again = tokenizer_from_json(json.load(open("tokenizer.json")))
assert again.texts_to_sequences(comments) == tokenizer.texts_to_sequences(comments)
X = pad_sequences(tokenizer.texts_to_sequences(comments), maxlen=6, padding="post")
assert X.dtype == np.int32 and (X[:, -1] == 0).all()

model = Sequential()
model.add(Embedding(12, 8, input_length=6))
model.add(SpatialDropout1D(0.1))
model.add(Bidirectional(LSTM(6, return_sequences=True)))
model.add(GlobalMaxPooling1D())
model.add(Dense(2, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(X, y, batch_size=8, epochs=6, validation_split=0.1, verbose=0)
assert history.history["loss"][-1] < history.history["loss"][0]

characters = Tokenizer(char_level=True)
characters.fit_on_texts(["hello", "help"])
assert characters.texts_to_sequences(["hel"]) == [[characters.word_index[c] for c in "hel"]]
onehot = to_categorical(pad_sequences(characters.texts_to_sequences(["hello", "help"]), maxlen=5), 6)
assert onehot.shape == (2, 5, 6)
tags = Sequential([LSTM(5, return_sequences=True, input_shape=(5, 6)), TimeDistributed(Dense(6, activation="softmax"))])
tags.compile("rmsprop", "categorical_crossentropy", metrics=["categorical_accuracy"], sample_weight_mode="temporal")
tags.fit(onehot, onehot, sample_weight=np.ones((2, 5)), epochs=2, verbose=0)

assert len(one_hot("one two three", 50)) == 3
assert hashing_trick("a b a", 100, hash_function="md5")[0] == hashing_trick("a", 100, hash_function="md5")[0]
assert text_to_word_sequence("A.B.C", lower=False, split=".", filters="") == ["A", "B", "C"]
for mode, expected in (("binary", 1), ("count", 2), ("freq", 2 / 3.)):
    assert abs(again.sequences_to_matrix([[3, 3, 2]], mode=mode)[0, 3] - expected) < 1e-12

data = np.array([[i, i * 10] for i in range(50)], dtype=float)
targets = np.arange(50.)
generator = TimeseriesGenerator(data, targets, length=10, sampling_rate=2, batch_size=8, stride=1)
x0, y0 = generator[0]
assert x0.shape == (8, 5, 2) and y0.tolist() == list(np.arange(10., 18.)) and len(generator) == 5
forecaster = Sequential([LSTM(4, input_shape=(5, 2)), Dense(1)])
forecaster.compile("adam", "mse")
forecaster.fit_generator(generator, epochs=2, verbose=0)
assert forecaster.predict_generator(generator).shape == (40, 1)
backwards = TimeseriesGenerator(data, targets, length=4, reverse=True, shuffle=False, start_index=5, end_index=20, batch_size=3)
assert backwards[0][0][0, :, 0].tolist() == [8, 7, 6, 5]

with h5py.File("data.h5", "w") as f:
    f["x"], f["y"] = np.random.rand(60, 4), np.random.rand(60, 1)
x_train = HDF5Matrix("data.h5", "x", start=0, end=40)
y_train = HDF5Matrix("data.h5", "y", start=0, end=40)
x_test = HDF5Matrix("data.h5", "x", start=40, end=60, normalizer=lambda a: a * 1.0)
y_test = HDF5Matrix("data.h5", "y", start=40)
assert len(x_test) == 20 and x_test.shape == (20, 4)
dense = Sequential([Dense(3, input_shape=(4,)), Dense(1)])
dense.compile("sgd", "mse")
history = dense.fit(x_train, y_train, epochs=3, batch_size=8, shuffle="batch", verbose=0)
assert history.history["loss"][-1] < history.history["loss"][0]
assert abs(dense.evaluate(x_test, y_test, verbose=0) - np.mean((dense.predict(x_test) - y_test[:]) ** 2)) < 1e-6
