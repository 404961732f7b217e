"""A convolutional network for small colour pictures, which are turned, moved and flipped while it learns.

Keras's documentation: 75 % of CIFAR-10's test pictures after 25 epochs, 79 % after 50.

Run:  python examples/cifar10_cnn.py [--small]
"""

import sys

import numpy as np
from data_at_hand import colour_pictures

from keras_compat.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras_compat.models import Sequential
from keras_compat.optimizers import RMSprop
from keras_compat.preprocessing.image import ImageDataGenerator
from keras_compat.utils import to_categorical

SMALL = "--small" in sys.argv
np.random.seed(1337)

batch_size = 16 if SMALL else 32
epochs = 1 if SMALL else 25

(x_train, y_train), (x_test, y_test), source = colour_pictures(SMALL)
print("Data:", source)
num_classes = int(y_train.max()) + 1
y_train = to_categorical(y_train, num_classes)
y_test = to_categorical(y_test, num_classes)
x_train = x_train.astype("float32") / 255
x_test = x_test.astype("float32") / 255
print("x_train shape:", x_train.shape)

model = Sequential()
model.add(Conv2D(32, (3, 3), padding="same", input_shape=x_train.shape[1:]))
model.add(Activation("relu"))
model.add(Conv2D(32, (3, 3)))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))

model.add(Conv2D(64, (3, 3), padding="same"))
model.add(Activation("relu"))
model.add(Conv2D(64, (3, 3)))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))

model.add(Flatten())
model.add(Dense(512))
model.add(Activation("relu"))
model.add(Dropout(0.5))
model.add(Dense(num_classes))
model.add(Activation("softmax"))

opt = RMSprop(learning_rate=1e-3 if SMALL else 1e-4, decay=1e-6)
model.compile(loss="categorical_crossentropy", optimizer=opt, metrics=["accuracy"])

datagen = ImageDataGenerator(
    rotation_range=15,  # degrees, at random from -15 to 15
    width_shift_range=0.1,  # part of the width
    height_shift_range=0.1,
    horizontal_flip=True,
    fill_mode="nearest",
)
history = model.fit_generator(
    datagen.flow(x_train, y_train, batch_size=batch_size),
    steps_per_epoch=len(x_train) // batch_size,
    epochs=epochs,
    validation_data=(x_test, y_test),
    workers=2,
)

scores = model.evaluate(x_test, y_test, verbose=0)
print(f"Test loss: {scores[0]:.4f}")
print(f"Test accuracy: {scores[1]:.4f}")
