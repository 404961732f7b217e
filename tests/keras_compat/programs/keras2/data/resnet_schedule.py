"""The residual network example with its schedule of rates, subtract-mean pictures and a checkpoint, on few pictures."""

from __future__ import print_function

import os

import keras
import numpy as np
from keras import backend as K
from keras.callbacks import LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau
from keras.layers import Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, Flatten, Input
from keras.models import Model
from keras.optimizers import Adam
from keras.preprocessing.image import ImageDataGenerator
from keras.regularizers import l2

np.random.seed(0)
batch_size, epochs, num_classes, depth, subtract_pixel_mean = 8, 2, 3, 8, True
y = np.random.randint(0, num_classes, (40, 1))
x = np.random.rand(40, 16, 16, 3) * 0.5 + y[:, :, None, None] / 4.
x_train, y_train, x_test, y_test = x[:32], y[:32], x[32:], y[32:]
if subtract_pixel_mean:
    x_train_mean = np.mean(x_train, axis=0)
    x_train -= x_train_mean
    x_test -= x_train_mean
y_train = keras.utils.to_categorical(y_train, num_classes)
y_test = keras.utils.to_categorical(y_test, num_classes)


def lr_schedule(epoch):
    lr = 1e-3
    if epoch > 180:
        lr *= 0.5e-3
    elif epoch > 0:
        lr *= 1e-1
    print('Learning rate: ', lr)
    return lr


def resnet_layer(inputs, num_filters=16, kernel_size=3, strides=1, activation='relu', batch_normalization=True,
                 conv_first=True):
    conv = Conv2D(num_filters, kernel_size=kernel_size, strides=strides, padding='same', kernel_initializer='he_normal',
                  kernel_regularizer=l2(1e-4))
    x = inputs
    if conv_first:
        x = conv(x)
        if batch_normalization:
            x = BatchNormalization()(x)
        if activation is not None:
            x = Activation(activation)(x)
    return x


def resnet_v1(input_shape, depth, num_classes=10):
    num_filters = 4
    num_res_blocks = int((depth - 2) / 6)
    inputs = Input(shape=input_shape)
    x = resnet_layer(inputs=inputs, num_filters=num_filters)
    for stack in range(3):
        for res_block in range(num_res_blocks):
            strides = 1
            if stack > 0 and res_block == 0:
                strides = 2
            y = resnet_layer(inputs=x, num_filters=num_filters, strides=strides)
            y = resnet_layer(inputs=y, num_filters=num_filters, activation=None)
            if stack > 0 and res_block == 0:
                x = resnet_layer(inputs=x, num_filters=num_filters, kernel_size=1, strides=strides, activation=None,
                                 batch_normalization=False)
            x = keras.layers.add([x, y])
            x = Activation('relu')(x)
        num_filters *= 2
    x = AveragePooling2D(pool_size=4)(x)
    y = Flatten()(x)
    outputs = Dense(num_classes, activation='softmax', kernel_initializer='he_normal')(y)
    return Model(inputs=inputs, outputs=outputs)


model = resnet_v1(input_shape=x_train.shape[1:], depth=depth, num_classes=num_classes)
model.compile(loss='categorical_crossentropy', optimizer=Adam(learning_rate=lr_schedule(0)), metrics=['accuracy'])
save_dir = os.path.join(os.getcwd(), 'saved_models')
model_name = 'cifar10_%s_model.{epoch:03d}.h5' % 'ResNet8v1'
if not os.path.isdir(save_dir):
    os.makedirs(save_dir)
checkpoint = ModelCheckpoint(filepath=os.path.join(save_dir, model_name), monitor='val_acc', verbose=1, save_best_only=True)
lr_reducer = ReduceLROnPlateau(factor=np.sqrt(0.1), cooldown=0, patience=5, min_lr=0.5e-6)
callbacks = [ModelCheckpoint(filepath=os.path.join(save_dir, model_name), monitor='val_accuracy', save_best_only=True),
             lr_reducer, LearningRateScheduler(lr_schedule)]
datagen = ImageDataGenerator(width_shift_range=0.1, height_shift_range=0.1, fill_mode='nearest', cval=0., horizontal_flip=True)
datagen.fit(x_train)
history = model.fit_generator(datagen.flow(x_train, y_train, batch_size=batch_size), validation_data=(x_test, y_test),
                              epochs=epochs, verbose=0, workers=4, callbacks=callbacks)
np.testing.assert_allclose(history.history['lr'], [1e-3, 1e-4], rtol=1e-5)
assert 'cifar10_ResNet8v1_model.001.h5' in os.listdir(save_dir)
scores = model.evaluate(x_test, y_test, verbose=0)
restored = keras.models.load_model(os.path.join(save_dir, 'cifar10_ResNet8v1_model.001.h5'))
assert K.int_shape(restored.output) == (None, 3) and len(scores) == 2
