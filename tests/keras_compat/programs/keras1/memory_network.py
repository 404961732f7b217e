"""Question answering over a story: embeddings, dot and concat merges, a softmax over time (Keras 1)."""

import numpy as np
from keras.layers import LSTM, Activation, Dense, Dropout, Input, Merge, Permute, merge
from keras.layers.embeddings import Embedding
from keras.models import Model, Sequential

np.random.seed(11)
vocab_size, story_maxlen, query_maxlen, n = 14, 9, 4, 96
stories = np.random.randint(1, vocab_size, size=(n, story_maxlen))
queries = np.random.randint(1, vocab_size, size=(n, query_maxlen))
answers = np.eye(vocab_size)[stories[:, 0]]

# Sequential models and the Merge layer, as the line up to 1.1 wrote it
input_encoder_m = Sequential()
input_encoder_m.add(Embedding(input_dim=vocab_size, output_dim=8, input_length=story_maxlen))
input_encoder_m.add(Dropout(0.1))
question_encoder = Sequential()
question_encoder.add(Embedding(input_dim=vocab_size, output_dim=8, input_length=query_maxlen))
question_encoder.add(Dropout(0.1))
match = Sequential()
match.add(Merge([input_encoder_m, question_encoder], mode="dot", dot_axes=[2, 2]))
match.add(Activation("softmax"))
assert match.output_shape == (None, story_maxlen, query_maxlen)
input_encoder_c = Sequential()
input_encoder_c.add(Embedding(input_dim=vocab_size, output_dim=query_maxlen, input_length=story_maxlen))
response = Sequential()
response.add(Merge([match, input_encoder_c], mode="sum"))
response.add(Permute((2, 1)))
assert response.output_shape == (None, query_maxlen, story_maxlen)
answer = Sequential()
answer.add(Merge([response, question_encoder], mode="concat", concat_axis=-1))
answer.add(LSTM(8))
answer.add(Dense(vocab_size))
answer.add(Activation("softmax"))
answer.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
feed = [stories, queries, stories]
assert len(answer.inputs) == 3
before = answer.evaluate(feed, answers, verbose=0)[0]
answer.fit(feed, answers, batch_size=32, nb_epoch=6, verbose=0)
assert answer.evaluate(feed, answers, verbose=0)[0] < before
assert answer.predict(feed).shape == (n, vocab_size)

# The same with merge() on tensors
story, question = Input((story_maxlen,), dtype="int32"), Input((query_maxlen,), dtype="int32")
s = Embedding(vocab_size, 8)(story)
q = Embedding(vocab_size, 8)(question)
dot = merge([s, q], mode="dot", dot_axes=(2, 2))
ave = merge([dot, dot], mode="ave")
cat = merge([ave, s], mode="concat")
both = merge([cat, cat], mode=lambda ts: ts[0] * ts[1], output_shape=lambda shapes: shapes[0])
model = Model([story, question], both)
assert model.output_shape == (None, story_maxlen, query_maxlen + 8)
assert model.predict([stories, queries]).min() >= 0
