"""Two inputs through one shared network, a distance as a Lambda, a loss of one's own (Keras 1)."""

import numpy as np
from keras import backend as K
from keras.layers import Dense, Dropout, Input, Lambda
from keras.models import Model, Sequential
from keras.optimizers import RMSprop

np.random.seed(3)


def euclidean_distance(vects):
    x, y = vects
    return K.sqrt(K.maximum(K.sum(K.square(x - y), axis=1, keepdims=True), K.epsilon()))


def distance_shape(shapes):
    shape1, shape2 = shapes
    return (shape1[0], 1)


def contrastive_loss(y_true, y_pred):
    margin = 1
    return K.mean(y_true * K.square(y_pred) + (1 - y_true) * K.square(K.maximum(margin - y_pred, 0)))


def base_network(input_dim):
    seq = Sequential()
    seq.add(Dense(16, input_shape=(input_dim,), activation="relu"))
    seq.add(Dropout(0.1))
    seq.add(Dense(8, activation="relu"))
    return seq


kinds = np.random.randint(3, size=200)
centres = np.eye(3, 6) * 2
points = centres[kinds] + 0.2 * np.random.randn(200, 6)
left, right = points[:100], points[100:]
same = (kinds[:100] == kinds[100:]).astype(float)

base = base_network(6)
input_a, input_b = Input(shape=(6,)), Input(shape=(6,))
processed_a, processed_b = base(input_a), base(input_b)
distance = Lambda(euclidean_distance, output_shape=distance_shape)([processed_a, processed_b])
model = Model(input=[input_a, input_b], output=distance)
model.compile(loss=contrastive_loss, optimizer=RMSprop(lr=0.01))

assert model.output_shape == (None, 1)
assert len(model.trainable_weights) == 4
assert base.get_output_at(1) is processed_a and base.get_output_at(2) is processed_b
assert base.get_input_shape_at(2) == (None, 6)
before = model.evaluate([left, right], same, verbose=0)
history = model.fit([left, right], same, validation_data=([left, right], same), batch_size=20, nb_epoch=15, verbose=0)
assert list(history.history) == ["val_loss", "loss"] or set(history.history) == {"loss", "val_loss"}
assert model.evaluate([left, right], same, verbose=0) < 0.5 * before
pred = model.predict([left, right])
assert ((pred.ravel() < 0.5) == same).mean() > 0.9
assert np.allclose(model.predict([left, left]), np.sqrt(1e-7), atol=1e-4)
