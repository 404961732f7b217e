"""Augmented pictures: the CIFAR10 example of Keras 1 on made-up pictures, in both image orders."""

import numpy as np
from keras import backend as K
from keras.layers import Activation, Convolution2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.optimizers import SGD
from keras.preprocessing.image import ImageDataGenerator, NumpyArrayIterator, array_to_img, img_to_array
from keras.utils import np_utils

np.random.seed(1337)
batch_size, nb_classes, nb_epoch, data_augmentation = 8, 3, 2, True
img_rows, img_cols, img_channels = 12, 12, 3


def load_data(n):
    y = np.random.randint(0, nb_classes, (n, 1))
    X = np.random.randint(0, 60, (n, img_channels, img_rows, img_cols)).astype("uint8")
    X[np.arange(n), y[:, 0]] += 150
    return X, y


for ordering in ("th", "tf"):
    K.set_image_dim_ordering(ordering)
    (X_train, y_train), (X_test, y_test) = load_data(48), load_data(20)
    if ordering == "tf":
        X_train, X_test = X_train.transpose(0, 2, 3, 1), X_test.transpose(0, 2, 3, 1)
    Y_train, Y_test = np_utils.to_categorical(y_train, nb_classes), np_utils.to_categorical(y_test, nb_classes)

    model = Sequential()
    model.add(Convolution2D(8, 3, 3, border_mode="same", input_shape=X_train.shape[1:]))
    model.add(Activation("relu"))
    model.add(Convolution2D(8, 3, 3))
    model.add(Activation("relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Dropout(0.25))
    model.add(Flatten())
    model.add(Dense(16))
    model.add(Activation("relu"))
    model.add(Dense(nb_classes))
    model.add(Activation("softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.05, decay=1e-6, momentum=0.9, nesterov=True),
                  metrics=["accuracy"])
    X_train, X_test = X_train.astype("float32") / 255, X_test.astype("float32") / 255

    datagen = ImageDataGenerator(
        featurewise_center=True, samplewise_center=False, featurewise_std_normalization=True,
        samplewise_std_normalization=False, zca_whitening=False, rotation_range=10, width_shift_range=0.1,
        height_shift_range=0.1, horizontal_flip=True, vertical_flip=False)
    datagen.fit(X_train)
    for X_batch, Y_batch in datagen.flow(X_train, Y_train, batch_size=48, shuffle=False, seed=3):
        assert X_batch.shape == X_train.shape and (Y_batch == Y_train).all()
        break
    flow = datagen.flow(X_train, Y_train, batch_size=batch_size)
    assert isinstance(flow, NumpyArrayIterator)
    before = model.evaluate(X_test, Y_test, verbose=0)[0]
    history = model.fit_generator(flow, samples_per_epoch=X_train.shape[0], nb_epoch=nb_epoch, verbose=0,
                                  validation_data=(X_test, Y_test))
    assert sorted(history.history) == ["acc", "loss", "val_acc", "val_loss"] and len(history.epoch) == nb_epoch
    plain = ImageDataGenerator(rescale=0.5)
    batch = next(plain.flow(X_test, Y_test, batch_size=5, shuffle=False))
    np.testing.assert_allclose(batch[0], X_test[:5] * 0.5, rtol=1e-6)
    scores = model.evaluate_generator(plain.flow(X_test, Y_test, batch_size=5, shuffle=False), val_samples=20)
    assert np.isfinite(scores).all() and np.isfinite(before)
    answers = model.predict_generator(plain.flow(X_test, batch_size=6, shuffle=False), val_samples=20)
    np.testing.assert_allclose(answers, model.predict(X_test * 0.5), rtol=1e-4, atol=1e-6)

    picture = array_to_img(X_test[0])
    assert picture.size == (img_cols, img_rows)
    back = img_to_array(picture)
    assert back.shape == X_test[0].shape and back.max() == 255

white = ImageDataGenerator(zca_whitening=True)
white.fit(X_train)
whitened = next(white.flow(X_train, batch_size=48, shuffle=False))
assert whitened.shape == X_train.shape and np.isfinite(whitened).all()
K.set_image_dim_ordering("tf")
