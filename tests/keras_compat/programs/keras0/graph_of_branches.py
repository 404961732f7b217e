"""A Graph with two inputs, a shared node, merges and two outputs (Keras 0.3)."""

import numpy as np
from keras.layers.core import Activation, Dense, Dropout, MaxoutDense, TimeDistributedDense
from keras.layers.recurrent import GRU, LSTM
from keras.models import Graph, Sequential

np.random.seed(1)
graph = Graph()
graph.add_input(name="input1", input_shape=(6,))
graph.add_input(name="input2", input_shape=(6,))
graph.add_node(Dense(8), name="dense1", input="input1")
graph.add_node(Dense(8, activation="tanh"), name="dense2", input="input2")
graph.add_node(Dropout(0.1), name="drop", input="dense1")
graph.add_node(MaxoutDense(5, nb_feature=3), name="maxout", inputs=["drop", "dense2"], merge_mode="sum")
graph.add_node(Dense(4), name="dense3", inputs=["maxout", "dense1"], merge_mode="concat", concat_axis=-1)
graph.add_output(name="output1", input="dense3")
graph.add_node(Dense(1, activation="sigmoid"), name="tail", input="dense3", create_output=True)
graph.compile(optimizer="rmsprop", loss={"output1": "mse", "tail": "binary_crossentropy"})

x1, x2 = np.random.randn(60, 6), np.random.randn(60, 6)
y1, y2 = x1[:, :4] + x2[:, :4], (x1[:, :1] > 0).astype(float)
data = {"input1": x1, "input2": x2, "output1": y1, "tail": y2}
first = graph.evaluate(data, verbose=0)
history = graph.fit(data, nb_epoch=10, batch_size=15, verbose=0, validation_split=0.2)
assert graph.evaluate(data, verbose=0) < first
assert history.history["loss"][-1] < history.history["loss"][0] and "val_loss" in history.history
out = graph.predict({"input1": x1[:7], "input2": x2[:7]})
assert sorted(out) == ["output1", "tail"] and out["output1"].shape == (7, 4) and out["tail"].shape == (7, 1)
loss = graph.train_on_batch(data)
assert np.isfinite(loss).all()

# A sequence tagger of the same line
tagger = Sequential()
tagger.add(LSTM(8, input_dim=3, return_sequences=True, inner_activation="sigmoid", forget_bias_init="one"))
tagger.add(TimeDistributedDense(2))
tagger.add(Activation("softmax"))
tagger.compile(loss="categorical_crossentropy", optimizer="adam", class_mode="categorical")
steps = np.random.randn(20, 5, 3)
tags = np.eye(2)[(steps[..., 0] > 0).astype(int)]
tagger.fit(steps, tags, nb_epoch=3, batch_size=10, show_accuracy=True, verbose=0)
score = tagger.evaluate(steps, tags, show_accuracy=True, verbose=0)
assert len(score) == 2 and 0 <= score[1] <= 1
assert tagger.predict_classes(steps, verbose=0).shape == (20, 5)
assert GRU(4, input_dim=3).output_dim == 4
