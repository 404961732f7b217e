"""The models whose summaries genuine Keras 1.2.2 (Theano) and 2.3.1 (TensorFlow) printed into the files beside.

Run with `keras` replaced in the imports; `one` tells whether Keras 1's words are meant, `show(title, model, ...)` prints.
"""
from keras.layers import *
from keras.models import Model, Sequential


def model(inputs, outputs):
    return Model(input=inputs, output=outputs) if one else Model(inputs=inputs, outputs=outputs)


def two_branches():
    left = Sequential()
    left.add(Dense(3, input_dim=2))
    left.add(Activation('tanh'))
    right = Sequential()
    right.add(Dense(3, input_dim=5))
    return [left, right]


clear()
inner = Sequential()
inner.add(Dense(4, input_dim=3))
inner.add(Activation('relu'))
inner.add(Dense(2))
x = Input(shape=(3,))
show('nested sequential in functional', model(x, Dense(1)(inner(x))))

clear()
inner = Sequential()
inner.add(Dense(4, input_dim=3))
inner.add(BatchNormalization())
outer = Sequential()
outer.add(inner)
outer.add(Dense(2))
outer.add(Dropout(0.5))
show('sequential in sequential', outer)

clear()
a, b = Input(shape=(3,), name='left'), Input(shape=(3,), name='right')
d = Dense(4, name='shared')
m = merge([d(a), d(b)], mode='concat') if one else concatenate([d(a), d(b)])
show('shared', model([a, b], Dense(1)(m)))
show('shared narrow', model([a, b], Dense(1)(m)), line_length=72, positions=[.3, .5, .7, 1.])
show('absolute', model([a, b], Dense(1)(m)), line_length=72, positions=[20, 40, 50, 72])

clear()
if one:
    branches = two_branches()
    whole = Sequential()
    whole.add(Merge(branches, mode='sum'))
    whole.add(Dense(2))
    show('merge', whole)
    clear()
    branches = two_branches()
    joined = Sequential()
    joined.add(Merge(branches, mode='concat'))
    joined.add(Dense(2))
    third = Sequential()
    third.add(Dense(2, input_dim=5))
    whole = Sequential()
    whole.add(Merge([joined, third], mode='concat'))
    whole.add(Dense(2))
    show('merge of merge', whole)

clear()
x = Input(shape=(4, 5))
h = LSTM(3, return_sequences=True)(x)
h = TimeDistributed(Dense(2))(h)
h = Bidirectional(GRU(3))(h)
show('two outputs', model(x, [Dense(2)(h), Dense(3, name='second')(h)]))

clear()
s = Sequential()
s.add(Embedding(10, 4, input_length=3))
s.add(BatchNormalization())
s.add(Dense(2))
s.layers[-1].trainable = False
s.add(Flatten())
s.add(Dense(3))
show('frozen', s, line_length=80)

clear()
s = Sequential()
s.add(TimeDistributed(Dense(2), input_shape=(3, 4)))
s.add(LSTM(2))
s.add(Dense(5, name='a_very_long_name_that_does_not_fit_into_its_column_at_all'))
show('long', s)

clear()
x = Input(shape=(4,))
inner = model(x, [Dense(2)(x), Dense(3)(x)])
z = Input(shape=(4,))
show('several outputs of a model', model(z, inner(z)))

clear()
x = Input(shape=(4,))
inner = model(x, Dense(4)(x))
z = Input(shape=(4,))
show('used twice', model(z, inner(inner(z))))
