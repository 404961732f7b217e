"""Text models of the Keras 1 examples: generation, convolutions over words, both directions, stories and questions."""

import numpy as np
from keras import backend as K
from keras.layers import (GRU, LSTM, Activation, Bidirectional, Dense, Dropout, Embedding, Flatten,
                          GlobalAveragePooling1D, GlobalMaxPooling1D, Input, Lambda, RepeatVector)
from keras.layers import merge, recurrent
from keras.layers.convolutional import Convolution1D, MaxPooling1D
from keras.layers.core import Masking
from keras.layers.wrappers import TimeDistributed
from keras.models import Model, Sequential
from keras.optimizers import RMSprop

np.random.seed(5)
max_features, maxlen = 20, 10
X = np.random.randint(1, max_features, (64, maxlen))
X[::2, :4] = 0
y = (X[:, -1] > 10).astype("int32")


def learns(model, data, target, loss="binary_crossentropy", epochs=3, **how):
    model.compile(loss=loss, optimizer=how.pop("optimizer", "adam"), metrics=["accuracy"])
    before = model.evaluate(data, target, verbose=0)[0]
    hist = model.fit(data, target, batch_size=16, nb_epoch=epochs, verbose=0, **how)
    assert model.evaluate(data, target, verbose=0)[0] < before
    return hist


cnn = Sequential()
cnn.add(Embedding(max_features, 6, input_length=maxlen, dropout=0.2))
cnn.add(Convolution1D(nb_filter=8, filter_length=3, border_mode="valid", activation="relu", subsample_length=1))
assert cnn.output_shape == (None, 8, 8)


def max_1d(X):
    return K.max(X, axis=1)


cnn.add(Lambda(max_1d, output_shape=(8,)))
cnn.add(Dense(6))
cnn.add(Dropout(0.2))
cnn.add(Activation("relu"))
cnn.add(Dense(1))
cnn.add(Activation("sigmoid"))
learns(cnn, X, y, validation_data=(X, y))
assert cnn.predict_classes(X, verbose=0).shape == (64, 1) and cnn.predict_proba(X, verbose=0).shape == (64, 1)

both = Sequential()
both.add(Embedding(max_features, 6, input_length=maxlen, mask_zero=True))
both.add(Bidirectional(LSTM(5, dropout_W=0.2, dropout_U=0.2)))
both.add(Dropout(0.5))
both.add(Dense(1, activation="sigmoid"))
learns(both, X, y, validation_split=0.25)
assert both.layers[1].output_shape == (None, 10)

mixed = Sequential()
mixed.add(Embedding(max_features, 6, input_length=maxlen))
mixed.add(Convolution1D(8, 3, border_mode="same", activation="relu"))
mixed.add(MaxPooling1D(pool_length=2, stride=2))
mixed.add(GRU(5, consume_less="mem", unroll=False))
mixed.add(Dense(1, activation="sigmoid"))
learns(mixed, X, y)
fast = Sequential([Embedding(max_features, 8, input_length=maxlen), GlobalAveragePooling1D(), Dense(1, activation="sigmoid")])
learns(fast, X, y, epochs=8)
table, w, b = fast.get_weights()
np.testing.assert_allclose(fast.predict(X), 1 / (1 + np.exp(-(table[X].mean(1) @ w + b))), rtol=1e-4)

# A table of word vectors made elsewhere, kept fixed
embedding_matrix = np.random.randn(max_features, 7).astype("float32")
sequence_input = Input(shape=(maxlen,), dtype="int32")
embedded = Embedding(max_features, 7, weights=[embedding_matrix], input_length=maxlen, trainable=False)(sequence_input)
h = Convolution1D(6, 3, activation="relu")(embedded)
h = MaxPooling1D(2)(h)
h = merge([Flatten()(h), GlobalMaxPooling1D()(embedded)], mode="concat", concat_axis=1)
preds = Dense(2, activation="softmax")(h)
vectors = Model(sequence_input, preds)
learns(vectors, X, np.eye(2)[y], "categorical_crossentropy", optimizer="rmsprop")
np.testing.assert_array_equal(vectors.layers[1].get_weights()[0], embedding_matrix)

# Story and question, the question repeated along the story
RNN = recurrent.LSTM
sentence = Input(shape=(maxlen,), dtype="int32")
encoded_sentence = Dropout(0.3)(Embedding(max_features, 6)(sentence))
question = Input(shape=(4,), dtype="int32")
encoded_question = RNN(6)(Dropout(0.3)(Embedding(max_features, 6)(question)))
encoded_question = RepeatVector(maxlen)(encoded_question)
merged = RNN(6)(merge([encoded_sentence, encoded_question], mode="sum"))
merged = Dropout(0.3)(merged)
qa = Model([sentence, question], Dense(max_features, activation="softmax")(merged))
learns(qa, [X, X[:, -4:]], np.eye(max_features)[X[:, -1]], "categorical_crossentropy", validation_split=0.05)

# Characters, one after another, by temperature
text = "the quick brown fox jumps over the lazy dog " * 4
chars = sorted(set(text))
at = dict((c, i) for i, c in enumerate(chars))
starts = range(0, len(text) - 8, 3)
Xc = np.zeros((len(starts), 8, len(chars)), dtype=bool)
yc = np.zeros((len(starts), len(chars)), dtype=bool)
for i, start in enumerate(starts):
    for t, c in enumerate(text[start:start + 8]):
        Xc[i, t, at[c]] = 1
    yc[i, at[text[start + 8]]] = 1
writer = Sequential()
writer.add(LSTM(16, input_shape=(8, len(chars))))
writer.add(Dense(len(chars)))
writer.add(Activation("softmax"))
learns(writer, Xc, yc, "categorical_crossentropy", optimizer=RMSprop(lr=0.01))
preds = np.log(writer.predict(Xc[:1], verbose=0)[0].astype("float64")) / 0.5
preds = np.exp(preds) / np.sum(np.exp(preds))
assert np.argmax(np.random.multinomial(1, preds, 1)) in range(len(chars))

# Masked steps in front change nothing.
tagger = Sequential()
tagger.add(Masking(mask_value=-1.0, input_shape=(None, 3)))
tagger.add(GRU(4, return_sequences=True))
tagger.add(TimeDistributed(Dense(2, activation="softmax")))
steps = np.random.rand(2, 5, 3)
padded = np.concatenate([-np.ones((2, 3, 3)), steps], axis=1)
np.testing.assert_allclose(tagger.predict(padded)[:, 3:], tagger.predict(steps), rtol=1e-5)
