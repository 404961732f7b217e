"""Recurrent cells of one's own, alone, stacked, and with an attention over constants (Keras 2)."""

import numpy as np
from keras import backend as K
from keras import layers
from keras.layers import RNN, Input, Layer
from keras.models import Model

np.random.seed(6)


class MinimalRNNCell(Layer):
    def __init__(self, units, **kwargs):
        self.units = units
        self.state_size = units
        super(MinimalRNNCell, self).__init__(**kwargs)

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, self.units), initializer="uniform",
                                                name="recurrent_kernel")
        self.built = True

    def call(self, inputs, states):
        prev_output = states[0]
        h = K.dot(inputs, self.kernel)
        output = h + K.dot(prev_output, self.recurrent_kernel)
        return output, [output]

    def get_config(self):
        return dict(super(MinimalRNNCell, self).get_config(), units=self.units)


class AttentionCell(MinimalRNNCell):
    def build(self, input_shape):
        if isinstance(input_shape, list):
            main, constant = input_shape
            self.weight = self.add_weight(shape=(constant[-1], self.units), initializer="ones", name="attention")
            input_shape = main
        super(AttentionCell, self).build(input_shape)

    def call(self, inputs, states, constants):
        (context,) = constants
        output, new = super(AttentionCell, self).call(inputs, states)
        output = output + K.dot(context, self.weight)
        return output, [output]


x = Input((None, 5))
y = RNN(MinimalRNNCell(4))(x)
model = Model(x, y)
data = np.random.randn(3, 6, 5)
kernel, recurrent = model.get_weights()
h = np.zeros((3, 4))
for t in range(6):
    h = data[:, t] @ kernel + h @ recurrent
np.testing.assert_allclose(model.predict(data), h, rtol=1e-4, atol=1e-6)
again = Model.from_config(model.get_config(), custom_objects={"MinimalRNNCell": MinimalRNNCell})
again.set_weights(model.get_weights())
np.testing.assert_allclose(again.predict(data), h, rtol=1e-4, atol=1e-6)

stacked = RNN([MinimalRNNCell(4), MinimalRNNCell(3)], return_sequences=True, return_state=True)
outs = stacked(x)
assert [K.int_shape(t) for t in outs] == [(None, None, 3), (None, 4), (None, 3)]
deep = Model(x, outs)
deep.compile("sgd", "mse")
sequences, last4, last3 = deep.predict(data)
np.testing.assert_allclose(sequences[:, -1], last3, rtol=1e-5)

context = Input((2,))
attended = RNN(AttentionCell(4))(x, constants=context)
model = Model([x, context], attended)
model.compile("adam", "mse")
kernel_a = {w.name.split("/")[-1].split(":")[0]: K.get_value(w) for w in model.weights}
c = np.random.randn(3, 2)
h = np.zeros((3, 4))
for t in range(6):
    h = data[:, t] @ kernel_a["kernel"] + h @ kernel_a["recurrent_kernel"] + c @ kernel_a["attention"]
np.testing.assert_allclose(model.predict([data, c]), h, rtol=1e-4, atol=1e-5)
before = model.evaluate([data, c], np.ones((3, 4)), verbose=0)
for _ in range(30):
    model.train_on_batch([data, c], np.ones((3, 4)))
assert model.evaluate([data, c], np.ones((3, 4)), verbose=0) < before
assert isinstance(layers.StackedRNNCells([MinimalRNNCell(2)]).state_size, (tuple, list, int))
