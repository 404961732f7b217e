"""What programs of Keras 2.2.4 lean on: names in the logs, default gates, K's argument order, files."""

import numpy as np
from keras import backend as K
from keras import losses, metrics
from keras.callbacks import EarlyStopping, LearningRateScheduler, ModelCheckpoint
from keras.layers import GRU, LSTM, BatchNormalization, Dense, Input
from keras.models import Model, Sequential, load_model, model_from_json

np.random.seed(3)
assert LSTM(3).recurrent_activation.__name__ == "hard_sigmoid" and GRU(3).reset_after is False
x = np.random.randn(60, 5).astype("float32")
y = (x[:, :1] > 0).astype("float32")
model = Sequential([Dense(8, activation="relu", input_dim=5), BatchNormalization(), Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy", "mae", metrics.mse])
assert model.metrics_names == ["loss", "acc", "mean_absolute_error", "mean_squared_error"], model.metrics_names
history = model.fit(x, y, epochs=4, batch_size=20, verbose=0, validation_split=0.25,
                    callbacks=[LearningRateScheduler(lambda epoch: 0.01 / (epoch + 1)),
                               ModelCheckpoint("best.{epoch:02d}-{val_acc:.2f}.h5", monitor="val_acc"),
                               EarlyStopping(monitor="val_acc", patience=10)]).history
assert {"acc", "val_acc", "lr"} <= set(history) and "accuracy" not in list(history)
np.testing.assert_allclose(history["lr"], [0.01, 0.005, 0.01 / 3, 0.0025], rtol=1e-5)
assert history["acc"] is history.get("acc") and history["accuracy"] == history["acc"]
assert sorted(model.optimizer.get_config()) == ["amsgrad", "beta_1", "beta_2", "decay", "epsilon", "lr"]

# target first, output second
t, p = K.variable([[1.0, 0.0]]), K.variable([[0.9, 0.2]])
np.testing.assert_allclose(K.eval(K.binary_crossentropy(t, p)), [[-np.log(0.9), -np.log(0.8)]], rtol=1e-4)
assert K.int_shape(K.batch_dot(K.placeholder((4, 3)), K.placeholder((4, 3)), axes=0)) is not None

# A loss with sample weights, weights for classes, weights in time
seq = Sequential([LSTM(4, return_sequences=True, input_shape=(6, 2)), Dense(1)])
seq.compile("sgd", "mse", sample_weight_mode="temporal")
steps, out, w = np.random.randn(8, 6, 2), np.random.randn(8, 6, 1), np.ones((8, 6))
w[:, 3:] = 0
first = seq.evaluate(steps, out, verbose=0, sample_weight=w)
err = ((seq.predict(steps) - out) ** 2)[..., 0]
np.testing.assert_allclose(first, err[:, :3].mean(), rtol=1e-4)
seq.fit(steps, out, verbose=0, sample_weight=w)
model.fit(x, y, class_weight={0: 1.0, 1: 3.0}, verbose=0)

a, b = Input((3,), name="a"), Input((2,), name="b")
from keras.layers import concatenate  # noqa: E402

h = Dense(4)(concatenate([a, b]))
two = Model(inputs=[a, b], outputs=[Dense(1, name="left")(h), Dense(2, name="right")(h)])
two.compile("rmsprop", {"left": "mse", "right": losses.mae}, metrics={"left": "mae"}, loss_weights=[1.0, 0.5])
assert two.metrics_names == ["loss", "left_loss", "right_loss", "left_mean_absolute_error"], two.metrics_names
data = {"a": np.ones((9, 3)), "b": np.zeros((9, 2))}
target = {"left": np.ones((9, 1)), "right": np.zeros((9, 2))}
assert len(two.train_on_batch(data, target)) == 4
two.save("two.h5")
np.testing.assert_array_equal(load_model("two.h5").predict([data["a"], data["b"]])[1], two.predict([data["a"], data["b"]])[1])
same = model_from_json(two.to_json())
same.set_weights(two.get_weights())
assert [layer.name for layer in same.layers] == [layer.name for layer in two.layers]
