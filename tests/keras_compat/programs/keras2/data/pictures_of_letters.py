"""A data source that is a callback too, weights saved in the middle, prediction as it goes; as in the OCR example."""

import itertools
import os

import keras
import keras.callbacks
import numpy as np
from keras import backend as K
from keras.layers import GRU, Activation, Dense, Input, Lambda, Reshape
from keras.layers.merge import add, concatenate
from keras.models import Model
from keras.optimizers import SGD
from keras.preprocessing import image

np.random.seed(55)
alphabet = 'ab '


def ctc_lambda_func(args):
    y_pred, labels, input_length, label_length = args
    y_pred = y_pred[:, 2:, :]
    return K.ctc_batch_cost(labels, y_pred, input_length, label_length)


class TextImageGenerator(keras.callbacks.Callback):
    def __init__(self, minibatch_size, img_w, img_h, val_split, absolute_max_string_len=4):
        self.minibatch_size, self.img_w, self.img_h, self.val_split = minibatch_size, img_w, img_h, val_split
        self.cur_val_index, self.cur_train_index, self.max_len = val_split, 0, absolute_max_string_len

    def build_word_list(self, num_words):
        self.num_words = num_words
        self.Y_data = np.random.randint(0, 2, (num_words, self.max_len))
        self.begun = 0

    def get_batch(self, index, size, train):
        X_data = np.random.rand(size, self.img_w, self.img_h, 1)
        labels = self.Y_data[index:index + size].astype(float)
        X_data[:, :16, :, 0] += np.repeat(labels, 4, axis=1)[:, :, None]
        inputs = {'the_input': X_data, 'the_labels': labels, 'input_length': np.ones((size, 1)) * (self.img_w - 2),
                  'label_length': np.ones((size, 1)) * self.max_len}
        return (inputs, {'ctc': np.zeros([size])})

    def next_train(self):
        while 1:
            ret = self.get_batch(self.cur_train_index, self.minibatch_size, train=True)
            self.cur_train_index += self.minibatch_size
            if self.cur_train_index >= self.val_split:
                self.cur_train_index = self.cur_train_index % 8
            yield ret

    def next_val(self):
        while 1:
            ret = self.get_batch(self.cur_val_index, self.minibatch_size, train=False)
            self.cur_val_index += self.minibatch_size
            if self.cur_val_index >= self.num_words:
                self.cur_val_index = self.val_split + self.cur_val_index % 8
            yield ret

    def on_train_begin(self, logs={}):
        self.build_word_list(40)

    def on_epoch_begin(self, epoch, logs={}):
        self.begun += 1


class VizCallback(keras.callbacks.Callback):
    def __init__(self, run_name, test_func, text_img_gen):
        self.test_func = test_func
        self.output_dir = os.path.join('out', run_name)
        self.text_img_gen = text_img_gen
        if not os.path.exists(self.output_dir):
            os.makedirs(self.output_dir)

    def on_epoch_end(self, epoch, logs={}):
        self.model.save_weights(os.path.join(self.output_dir, 'weights%02d.h5' % (epoch)))
        word_batch = next(self.text_img_gen)[0]
        out = self.test_func([word_batch['the_input'][0:4]])[0]
        for j in range(out.shape[0]):
            out_best = list(np.argmax(out[j, 2:], 1))
            out_best = [k for k, g in itertools.groupby(out_best)]
            assert all(0 <= k < 4 for k in out_best)


def train(run_name, start_epoch, stop_epoch, img_w):
    img_gen = TextImageGenerator(minibatch_size=8, img_w=img_w, img_h=6, val_split=24)
    input_data = Input(name='the_input', shape=(img_w, 6, 1), dtype='float32')
    inner = Reshape(target_shape=(img_w, 6), name='reshape')(input_data)
    inner = Dense(8, activation='relu', name='dense1')(inner)
    gru_1 = GRU(8, return_sequences=True, kernel_initializer='he_normal', name='gru1')(inner)
    gru_1b = GRU(8, return_sequences=True, go_backwards=True, kernel_initializer='he_normal', name='gru1_b')(inner)
    gru1_merged = add([gru_1, gru_1b])
    inner = Dense(4, kernel_initializer='he_normal', name='dense2')(concatenate([gru1_merged, inner]))
    y_pred = Activation('softmax', name='softmax')(inner)
    labels = Input(name='the_labels', shape=[4], dtype='float32')
    input_length = Input(name='input_length', shape=[1], dtype='int64')
    label_length = Input(name='label_length', shape=[1], dtype='int64')
    loss_out = Lambda(ctc_lambda_func, output_shape=(1,), name='ctc')([y_pred, labels, input_length, label_length])
    sgd = SGD(learning_rate=0.02, decay=1e-6, momentum=0.9, nesterov=True)
    model = Model(inputs=[input_data, labels, input_length, label_length], outputs=loss_out)
    model.compile(loss={'ctc': lambda y_true, y_pred: y_pred}, optimizer=sgd)
    if start_epoch > 0:
        model.load_weights(os.path.join('out', run_name, 'weights%02d.h5' % (start_epoch - 1)))
    test_func = K.function([input_data], [y_pred])
    viz_cb = VizCallback(run_name, test_func, img_gen.next_val())
    history = model.fit_generator(generator=img_gen.next_train(), steps_per_epoch=3, epochs=stop_epoch,
                                  validation_data=img_gen.next_val(), validation_steps=1, callbacks=[viz_cb, img_gen],
                                  initial_epoch=start_epoch, verbose=0)
    assert img_gen.begun == stop_epoch - start_epoch and np.isfinite(history.history['val_loss']).all()
    return history


first = train('run', 0, 2, 20)
second = train('run', 2, 4, 20)
assert second.epoch == [2, 3] and sorted(os.listdir('out/run')) == ['weights%02d.h5' % i for i in range(4)]
