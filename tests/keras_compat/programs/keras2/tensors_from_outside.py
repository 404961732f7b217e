"""Input on a variable, target tensors, models on placeholders, functions of one's own (Keras 2)."""

import numpy as np
from keras import backend as K
from keras.layers import Dense, Dropout, Input, Lambda
from keras.models import Model, Sequential, clone_model
from keras.optimizers import SGD, Adam

np.random.seed(14)
x = np.random.randn(40, 3).astype("float32")
y = (x @ np.array([[1.0], [-2.0], [0.5]])).astype("float32")

inputs = Input(tensor=K.variable(x))
outputs = Dense(1)(inputs)
model = Model(inputs, outputs)
model.compile(SGD(lr=0.1), "mse", target_tensors=[K.variable(y)])
losses = model.fit(None, None, epochs=3, steps_per_epoch=10, verbose=0).history["loss"]
assert losses[-1] < 0.05 * losses[0]
np.testing.assert_allclose(model.get_weights()[0].ravel(), [1, -2, 0.5], atol=0.2)

# A training loop of one's own: an optimizer's updates in a K.function
net = Sequential([Dense(8, activation="tanh", input_dim=3), Dropout(0.2), Dense(1)])
target = K.placeholder(shape=(None, 1))
loss = K.mean(K.square(net.output - target))
updates = Adam(lr=0.05).get_updates(params=net.trainable_weights, loss=loss)
train = K.function(net.inputs + [target, K.learning_phase()], [loss], updates=updates)
history = [train([x, y, 1])[0] for _ in range(80)]
assert history[-1] < 0.3 * history[0]
test = K.function(net.inputs + [K.learning_phase()], [net.output])
np.testing.assert_array_equal(test([x, 0])[0], net.predict(x))
assert not np.array_equal(test([x, 1])[0], test([x, 1])[0])

# Models called on placeholders, and copied
ph = K.placeholder((None, 3))
value = net(ph * 2.0)
assert K.int_shape(value) == (None, 1) and value._uses_learning_phase
np.testing.assert_allclose(K.function([ph, K.learning_phase()], [value])([x, 0])[0], net.predict(x * 2), rtol=1e-5)
copy = clone_model(net)
copy.set_weights(net.get_weights())
np.testing.assert_array_equal(copy.predict(x), net.predict(x))
assert copy.layers[0].kernel is not net.layers[0].kernel

# Updates use the values from before the call.
a, b = K.variable(1.0), K.variable(2.0)
swap = K.function([], [a + b], updates=[K.update(a, b), K.update(b, a)])
assert float(swap([])[0]) == 3.0 and (K.get_value(a), K.get_value(b)) == (2.0, 1.0)
assert K.eval(K.update_add(a, 5.0)) == 7.0 and K.get_value(a) == 7.0
try:
    Model(inputs, Lambda(lambda t: K.stop_gradient(t))(outputs)).compile("sgd", "mse")
    grads = K.gradients(K.sum(K.stop_gradient(net.outputs[0])), net.trainable_weights)
    assert all(g is None for g in grads)
    SGD().get_updates(K.sum(K.stop_gradient(net.outputs[0])), net.trainable_weights)
except ValueError as error:
    assert "None" in str(error)
else:
    raise AssertionError("a gradient of None passed unseen")
