"""Widened networks, a network moved to other digits, a hierarchy of memories, words of a corpus as bags."""

import numpy as np
from keras import backend as K
from keras.layers import (LSTM, Activation, Convolution2D, Dense, Dropout, Flatten, Input, MaxPooling2D, TimeDistributed)
from keras.models import Model, Sequential
from keras.optimizers import SGD, RMSprop
from keras.preprocessing.text import Tokenizer
from keras.utils import np_utils

np.random.seed(1337)
input_shape, nb_class = (8, 8, 1), 4
y = np.random.randint(0, nb_class, 60)
X = np.random.rand(60, 8, 8, 1) * 0.3 + y[:, None, None, None] / 4.
train_data, validation_data = (X[:40], np_utils.to_categorical(y[:40], nb_class)), (X[40:], np_utils.to_categorical(y[40:], nb_class))


def wider2net_fc(teacher_w1, teacher_b1, teacher_w2, new_width, init):
    n = new_width - teacher_w1.shape[1]
    index = np.random.randint(teacher_w1.shape[1], size=n)
    factors = np.bincount(index)[index] + 1.
    new_w1, new_b1 = teacher_w1[:, index], teacher_b1[index]
    new_w2 = teacher_w2[index, :] / factors[:, np.newaxis]
    student_w1 = np.concatenate((teacher_w1, new_w1), axis=1)
    student_w2 = np.concatenate((teacher_w2, new_w2), axis=0)
    student_w2[index, :] = new_w2
    return student_w1, np.concatenate((teacher_b1, new_b1), axis=0), student_w2


def make(width):
    model = Sequential()
    model.add(Convolution2D(4, 3, 3, input_shape=input_shape, border_mode='same', name='conv1'))
    model.add(MaxPooling2D(name='pool1'))
    model.add(Flatten(name='flatten'))
    model.add(Dense(width, activation='relu', name='fc1'))
    model.add(Dense(nb_class, activation='softmax', name='fc2'))
    model.compile(loss='categorical_crossentropy', optimizer=SGD(lr=0.01, momentum=0.9), metrics=['accuracy'])
    return model


teacher = make(8)
teacher.fit(train_data[0], train_data[1], nb_epoch=2, validation_data=validation_data, verbose=0)
student = make(12)
for name in ('conv1',):
    student.get_layer(name).set_weights(teacher.get_layer(name).get_weights())
w1, b1 = teacher.get_layer('fc1').get_weights()
w2, b2 = teacher.get_layer('fc2').get_weights()
nw1, nb1, nw2 = wider2net_fc(w1, b1, w2, 12, 'net2wider')
student.get_layer('fc1').set_weights([nw1, nb1])
student.get_layer('fc2').set_weights([nw2, b2])
np.testing.assert_allclose(student.predict(X), teacher.predict(X), rtol=1e-3, atol=1e-5)

feature_layers = [Convolution2D(4, 3, 3, border_mode='valid', input_shape=input_shape), Activation('relu'),
                  MaxPooling2D(pool_size=(2, 2)), Dropout(0.25), Flatten()]
classification_layers = [Dense(8), Activation('relu'), Dropout(0.5), Dense(nb_class), Activation('softmax')]
model = Sequential(feature_layers + classification_layers)
model.compile(loss='categorical_crossentropy', optimizer='adadelta', metrics=['accuracy'])
model.fit(train_data[0], train_data[1], batch_size=10, nb_epoch=1, verbose=0, validation_data=validation_data)
for l in feature_layers:
    l.trainable = False
model.compile(loss='categorical_crossentropy', optimizer='adadelta', metrics=['accuracy'])
before = [K.get_value(w) for w in feature_layers[0].trainable_weights or feature_layers[0].non_trainable_weights]
model.fit(train_data[0], train_data[1], batch_size=10, nb_epoch=1, verbose=0)
after = [K.get_value(w) for w in feature_layers[0].non_trainable_weights]
assert len(before) == 2 and all((a == b).all() for a, b in zip(before, after))
score = model.evaluate(validation_data[0], validation_data[1], verbose=0)
print('Test score:', score[0], 'Test accuracy:', score[1])

x = Input(shape=(8, 8, 1))
encoded_rows = TimeDistributed(LSTM(output_dim=5))(x)
encoded_columns = LSTM(6)(encoded_rows)
hierarchical = Model(input=x, output=Dense(nb_class, activation='softmax')(encoded_columns))
hierarchical.compile(loss='categorical_crossentropy', optimizer='rmsprop', metrics=['accuracy'])
hierarchical.fit(train_data[0], train_data[1], batch_size=10, nb_epoch=1, verbose=0, validation_data=validation_data)

max_words = 30
tokenizer = Tokenizer(nb_words=max_words)
X_train = [list(np.random.randint(1, 40, 12)) for _ in range(40)]
Xm = tokenizer.sequences_to_matrix(X_train, mode='binary')
assert Xm.shape == (40, max_words) and set(np.unique(Xm)) == {0, 1}
Y_train = np_utils.to_categorical(np.random.randint(0, 3, 40), 3)
model = Sequential()
model.add(Dense(16, input_shape=(max_words,)))
model.add(Activation('relu'))
model.add(Dropout(0.5))
model.add(Dense(3))
model.add(Activation('softmax'))
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
history = model.fit(Xm, Y_train, nb_epoch=2, batch_size=8, verbose=1, validation_split=0.1)
score = model.evaluate(Xm, Y_train, batch_size=8, verbose=1)
assert len(score) == 2
