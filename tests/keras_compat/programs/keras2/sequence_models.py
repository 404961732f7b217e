"""Text classifiers of the Keras 2 examples: bidirectional, stacked, convolution and LSTM, ConvLSTM, attention."""

import numpy as np
from keras.layers import (
    GRU,
    LSTM,
    Activation,
    Bidirectional,
    Conv1D,
    ConvLSTM2D,
    Dense,
    Dot,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    Masking,
    MaxPooling1D,
    Permute,
    RepeatVector,
    SpatialDropout1D,
    TimeDistributed,
    add,
    concatenate,
    multiply,
)
from keras.layers.normalization import BatchNormalization
from keras.models import Model, Sequential

np.random.seed(16)
words = np.random.randint(1, 20, size=(48, 10))
words[::3, 6:] = 0
label = (words[:, 0] > 9).astype(int)


def trains(model, x, y, loss="binary_crossentropy", steps=12):
    model.compile(loss=loss, optimizer="adam", metrics=["accuracy"])
    history = [model.train_on_batch(x, y) for _ in range(steps)]
    assert model.metrics_names == ["loss", "accuracy"]
    assert history[-1][0] < history[0][0], (model.name, history[0], history[-1])
    return model


trains(Sequential([Embedding(20, 6, mask_zero=True), Bidirectional(LSTM(5)), Dropout(0.1),
                   Dense(1, activation="sigmoid")]), words, label)
trains(Sequential([Embedding(20, 6, input_length=10), SpatialDropout1D(0.1), Conv1D(8, 3, padding="valid", activation="relu"),
                   MaxPooling1D(2), LSTM(5), Dense(1, activation="sigmoid")]), words, label)
trains(Sequential([Embedding(20, 6), Conv1D(8, 2, padding="causal", dilation_rate=2), BatchNormalization(),
                   GlobalMaxPooling1D(), Dense(1), Activation("sigmoid")]), words, label)
stack = trains(Sequential([Masking(0.0, input_shape=(10, 1)), GRU(6, return_sequences=True, dropout=0.1,
                           recurrent_dropout=0.1), GRU(6, reset_after=True), Dense(2, activation="softmax")]),
               words[..., None] / 20.0, label, "sparse_categorical_crossentropy")

# Steps after the mask change nothing.
padded = np.concatenate([words[..., None] / 20.0, np.zeros((48, 4, 1))], axis=1)
free = Sequential([Masking(0.0, input_shape=(None, 1)), GRU(6, return_sequences=True), GRU(6, reset_after=True),
                   Dense(2, activation="softmax")])
free.set_weights(stack.get_weights())
np.testing.assert_allclose(free.predict(padded), stack.predict(words[..., None] / 20.0), rtol=1e-4, atol=1e-6)

movies = np.random.rand(6, 4, 8, 8, 1)
film = Sequential([ConvLSTM2D(3, (3, 3), padding="same", return_sequences=True, input_shape=(None, 8, 8, 1)),
                   BatchNormalization(), ConvLSTM2D(2, (3, 3), padding="same"), ])
assert film.output_shape == (None, 8, 8, 2)
trains(film, movies, np.zeros((6, 8, 8, 2)), "mse")

# Rows by one LSTM, columns by another
rows = Input((6, 5, 1))
encoded_rows = TimeDistributed(LSTM(4))(rows)
columns = LSTM(4)(encoded_rows)
hierarchy = Model(rows, Dense(1, activation="sigmoid")(columns))
trains(hierarchy, np.random.rand(20, 6, 5, 1), np.random.randint(2, size=20))

# Attention by hand
text = Input((10,), dtype="int32")
hidden = Bidirectional(LSTM(4, return_sequences=True))(Embedding(20, 6)(text))
score = TimeDistributed(Dense(1, activation="tanh"))(hidden)
weights = Activation("softmax")(Permute((2, 1))(score))
context = Dot(axes=(2, 1))([weights, hidden])
flat = GlobalAveragePooling1D()(context)
extra = multiply([flat, flat])
joined = concatenate([add([flat, extra]), GlobalAveragePooling1D()(hidden)])
attention = Model(text, Dense(1, activation="sigmoid")(joined))
trains(attention, words, label)
image = Input((3,))
caption = LSTM(4, return_sequences=True)(concatenate([RepeatVector(10)(image), Embedding(20, 6)(text)]))
captioner = Model([image, text], TimeDistributed(Dense(20, activation="softmax"))(caption))
trains(captioner, [np.random.rand(48, 3), words], words[..., None], "sparse_categorical_crossentropy")
