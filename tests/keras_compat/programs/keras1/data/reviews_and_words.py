"""Texts from lists and files to numbers and through networks: sentiment, pretrained vectors, word pairs."""

import os

import numpy as np
from keras.layers import LSTM, Activation, Conv1D, Dense, Dropout, Embedding, Flatten, Input, MaxPooling1D, Merge, Reshape
from keras.models import Model, Sequential
from keras.preprocessing import sequence
from keras.preprocessing.sequence import make_sampling_table, pad_sequences, skipgrams
from keras.preprocessing.text import Tokenizer, one_hot, text_to_word_sequence
from keras.utils.np_utils import to_categorical

np.random.seed(11)
good = "I loved this film, it was great and the actors were wonderful!"
bad = "I hated this film; it was boring and the actors were terrible."
texts = [good, bad, "great, great actors", "boring. terrible!", "wonderful film", "hated it"] * 6
labels = np.array([1, 0, 1, 0, 1, 0] * 6)

assert text_to_word_sequence("Don't stop -- me NOW, please!") == ["don't", "stop", "me", "now", "please"]
MAX_NB_WORDS, MAX_SEQUENCE_LENGTH, EMBEDDING_DIM = 30, 12, 6
tokenizer = Tokenizer(nb_words=MAX_NB_WORDS)
tokenizer.fit_on_texts(texts)
sequences = tokenizer.texts_to_sequences(texts)
word_index = tokenizer.word_index
assert tokenizer.word_counts["great"] == 18 and word_index["film"] in (1, 2, 3, 4, 5, 6) and 0 not in word_index.values()
data = pad_sequences(sequences, maxlen=MAX_SEQUENCE_LENGTH)
assert data.shape == (36, 12) and data[2, :9].tolist() == [0] * 9
assert pad_sequences([[1, 2, 3]], 2, padding="post", truncating="post").tolist() == [[1, 2]]
matrix = tokenizer.texts_to_matrix(texts, mode="tfidf")
assert matrix.shape == (36, 30) and (matrix[:, 0] == 0).all()
counts = tokenizer.sequences_to_matrix(sequences, mode="count")
assert counts[2, word_index["great"]] == 2

lstm = Sequential()
lstm.add(Embedding(MAX_NB_WORDS, 8, dropout=0.1, input_length=MAX_SEQUENCE_LENGTH))
lstm.add(LSTM(8, dropout_W=0.1, dropout_U=0.1))
lstm.add(Dense(1))
lstm.add(Activation("sigmoid"))
lstm.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
lstm.fit(data, labels, batch_size=12, nb_epoch=8, validation_data=(data, labels), verbose=0)
score, acc = lstm.evaluate(data, labels, batch_size=12, verbose=0)
assert acc > 0.6

with open("glove.6B.100d.txt", "w") as f:
    for word in ["film", "great", "boring", "actors", "unknown"]:
        f.write(word + " " + " ".join("%.3f" % v for v in np.random.normal(size=EMBEDDING_DIM)) + "\n")
embeddings_index = {}
for line in open(os.path.join("glove.6B.100d.txt")):
    values = line.split()
    embeddings_index[values[0]] = np.asarray(values[1:], dtype="float32")
nb_words = min(MAX_NB_WORDS, len(word_index))
embedding_matrix = np.zeros((nb_words + 1, EMBEDDING_DIM))
for word, i in word_index.items():
    if i > MAX_NB_WORDS:
        continue
    if embeddings_index.get(word) is not None:
        embedding_matrix[i] = embeddings_index[word]
embedding_layer = Embedding(nb_words + 1, EMBEDDING_DIM, weights=[embedding_matrix], input_length=MAX_SEQUENCE_LENGTH,
                            trainable=False)
sequence_input = Input(shape=(MAX_SEQUENCE_LENGTH,), dtype="int32")
x = Conv1D(8, 3, activation="relu")(embedding_layer(sequence_input))
x = MaxPooling1D(2)(x)
x = Conv1D(8, 3, activation="relu")(x)
x = MaxPooling1D(3)(x)
x = Flatten()(x)
preds = Dense(2, activation="softmax")(Dropout(0.2)(x))
model = Model(sequence_input, preds)
model.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["acc"])
history = model.fit(data, to_categorical(labels), validation_split=0.2, nb_epoch=3, batch_size=12, verbose=0)
assert "val_acc" in history.history
np.testing.assert_array_equal(embedding_layer.get_weights()[0], embedding_matrix.astype("float32"))

table = make_sampling_table(MAX_NB_WORDS)
assert table.shape == (30,) and (np.diff(table) >= 0).all()
word_model, context_model = Sequential(), Sequential()
for branch in (word_model, context_model):
    branch.add(Embedding(MAX_NB_WORDS, 4, input_length=1))
    branch.add(Reshape((4,)))
pairs = Sequential()
pairs.add(Merge([word_model, context_model], mode="dot"))
pairs.add(Dense(1, activation="sigmoid"))
pairs.compile(loss="mse", optimizer="rmsprop")
for seq in sequences[:3]:
    couples, near = skipgrams(seq, MAX_NB_WORDS, window_size=2, negative_samples=1.)
    assert len(couples) == len(near) and set(near) <= {0, 1}
    if couples:
        words, contexts = [np.array(side, dtype="int32") for side in zip(*couples)]
        assert np.isfinite(pairs.train_on_batch([words, contexts], np.array(near, dtype="int32")))
assert all(1 <= n < 20 for n in one_hot("the cat sat on the mat", 20))
assert sequence.pad_sequences([[1], [1, 2]]).tolist() == [[0, 1], [1, 2]]
