"""CTC inside a Lambda layer, the loss a function that hands on the model's output (Keras 1)."""

import numpy as np
from keras import backend as K
from keras.layers import GRU, Activation, Dense, Input, Lambda, TimeDistributed, merge
from keras.models import Model
from keras.optimizers import SGD

np.random.seed(17)
time, letters, n, longest = 10, 4, 32, 3


def ctc_lambda_func(args):
    y_pred, labels, input_length, label_length = args
    y_pred = y_pred[:, 1:, :]  # the first output of the network tends to be garbage
    return K.ctc_batch_cost(labels, y_pred, input_length, label_length)


words = np.random.randint(letters, size=(n, longest))
pictures = np.zeros((n, time, letters), dtype="float32")
for i, word in enumerate(words):
    for j, letter in enumerate(word):
        pictures[i, 1 + 3 * j : 3 + 3 * j, letter] = 1

input_data = Input(name="the_input", shape=(time, letters), dtype="float32")
inner = TimeDistributed(Dense(12, activation="relu"))(input_data)
gru_1 = GRU(12, return_sequences=True, init="he_normal", name="gru1")(inner)
gru_1b = GRU(12, return_sequences=True, go_backwards=True, init="he_normal", name="gru1_b")(inner)
both = merge([gru_1, gru_1b], mode="sum")
inner = TimeDistributed(Dense(letters + 1, name="dense2"))(both)
y_pred = Activation("softmax", name="softmax")(inner)
labels = Input(name="the_labels", shape=[longest], dtype="float32")
input_length = Input(name="input_length", shape=[1], dtype="int64")
label_length = Input(name="label_length", shape=[1], dtype="int64")
loss_out = Lambda(ctc_lambda_func, output_shape=(1,), name="ctc")([y_pred, labels, input_length, label_length])
model = Model(input=[input_data, labels, input_length, label_length], output=[loss_out])
model.compile(loss={"ctc": lambda y_true, y_pred: y_pred}, optimizer=SGD(lr=0.05, nesterov=True, momentum=0.9, clipnorm=5))
test_func = K.function([input_data], [y_pred])

inputs = {"the_input": pictures, "the_labels": words.astype("float32"),
          "input_length": np.full((n, 1), time - 1), "label_length": np.full((n, 1), longest)}
outputs = {"ctc": np.zeros([n])}
losses = [model.train_on_batch(inputs, outputs) for _ in range(60)]
assert losses[-1] < 0.5 * losses[0], (losses[0], losses[-1])
out = test_func([pictures])[0]
assert out.shape == (n, time, letters + 1)
best, log_prob = K.ctc_decode(K.variable(out[:, 1:]), K.variable(np.full(n, time - 1), dtype="int32"), greedy=True)
found = K.get_value(best[0])
assert found.shape[0] == n and K.get_value(log_prob).shape == (n, 1)
