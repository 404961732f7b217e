"""Layers, losses, metrics and callbacks written for Keras 2."""

import keras
import numpy as np
from keras import backend as K
from keras.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from keras.engine import InputSpec
from keras.layers import Dense, Input, Layer, Multiply
from keras.models import Model, load_model
from keras.utils import CustomObjectScope, get_custom_objects

np.random.seed(8)


class Scale(Layer):
    def __init__(self, output_dim=None, **kwargs):
        self.output_dim = output_dim
        super(Scale, self).__init__(**kwargs)

    def build(self, input_shape):
        self.gain = self.add_weight(name="gain", shape=(input_shape[-1],), initializer="ones", trainable=True)
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})
        self.add_loss(0.01 * K.sum(K.square(self.gain - 1)))
        super(Scale, self).build(input_shape)

    def call(self, x, training=None):
        self.add_update(K.update_add(self.count, 1.0), x)
        noisy = x * self.gain + K.random_normal(K.shape(x), stddev=0.01)
        return K.in_train_phase(noisy, x * self.gain, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super(Scale, self).get_config()
        config["output_dim"] = self.output_dim
        return config


def close_to(threshold):
    def close(y_true, y_pred):
        return K.mean(K.cast(K.abs(y_true - y_pred) < threshold, K.floatx()))

    return close


class Lr(Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        logs["lr_seen"] = K.get_value(self.model.optimizer.lr)
        K.set_value(self.model.optimizer.lr, 0.5 * K.get_value(self.model.optimizer.lr))


def swish(x):
    return x * K.sigmoid(x)


get_custom_objects().update({"swish": swish})
inputs = Input(shape=(4,), name="features")
a = Dense(8, activation="swish")(inputs)
gate = Dense(8, activation="sigmoid")(inputs)
hidden = Scale(name="scale")(Multiply()([a, gate]))
main = Dense(1, name="main")(hidden)
aux = Dense(1, name="aux")(a)
model = Model(inputs=inputs, outputs=[main, aux])
model.compile(optimizer=keras.optimizers.Adam(lr=0.02), loss={"main": "mse", "aux": "mae"},
              loss_weights={"main": 1.0, "aux": 0.2}, metrics={"main": [close_to(0.5), "mae"]})
x = np.random.randn(100, 4)
y = x[:, :1] * x[:, 1:2]
watch = Lr()
stop = EarlyStopping(monitor="val_loss", patience=50)
plateau = ReduceLROnPlateau(monitor="val_loss", patience=40)
history = model.fit({"features": x}, {"main": y, "aux": y}, epochs=4, batch_size=25, verbose=0,
                    validation_data=(x, [y, y]), callbacks=[watch, stop, plateau])
assert K.get_value(model.get_layer("scale").count) == 16
assert "main_close" in history.history and "val_main_close" in history.history and len(history.epoch) == 4
assert abs(K.get_value(model.optimizer.lr) - 0.02 / 16) < 1e-8
assert history.history["loss"][-1] < history.history["loss"][0]
gain = K.get_value(model.get_layer("scale").gain)
total, main_loss, aux_loss = model.evaluate(x, [y, y], batch_size=50, verbose=0)[:3]
np.testing.assert_allclose(total, main_loss + 0.2 * aux_loss + 0.01 * ((gain - 1) ** 2).sum(), rtol=1e-4)
assert len(model.losses) == 1 and len(model.updates) == 1

model.save("own.h5")
with CustomObjectScope({"Scale": Scale, "close": close_to(0.5)}):
    again = load_model("own.h5")
for p, q in zip(model.predict(x), again.predict(x)):
    np.testing.assert_allclose(p, q, rtol=1e-6)
