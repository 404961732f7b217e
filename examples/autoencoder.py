"""Autoencoders: digits through a bottleneck of 32 numbers, and digits freed of noise.

The first network is dense; principal components, the best that is linear, are its measure. The second is
convolutional and gets digits with noise, to give them back without.

Run:  python examples/autoencoder.py [--small]
"""

import sys

import numpy as np
from data_at_hand import digits

from keras_compat.layers import Conv2D, Dense, Input, MaxPooling2D, UpSampling2D
from keras_compat.models import Model

SMALL = "--small" in sys.argv
np.random.seed(1337)

(x_train, _), (x_test, _), source = digits(SMALL)
print("Data:", source)
x_train, x_test = (x.astype("float32") / 255 for x in (x_train, x_test))

# 784 pixels -> 32 numbers -> 784 pixels
code_size = 32
flat_train, flat_test = x_train.reshape(-1, 784), x_test.reshape(-1, 784)
pixels = Input(shape=(784,))
hidden = Dense(256, activation="relu")(pixels)
code = Dense(code_size, name="code")(hidden)
hidden = Dense(256, activation="relu")(code)
decoded = Dense(784, activation="sigmoid")(hidden)
dense = Model(pixels, decoded)
dense.compile(optimizer="adam", loss="binary_crossentropy")
dense.fit(
    flat_train,
    flat_train,
    epochs=4 if SMALL else 100,
    batch_size=64,
    validation_data=(flat_test, flat_test),
)

mean = flat_train.mean(axis=0)
components = np.linalg.svd(flat_train - mean, full_matrices=False)[2][:code_size]
linear = mean + (flat_test - mean) @ components.T @ components
dense_error, linear_error = (np.mean((flat_test - x) ** 2) for x in (dense.predict(flat_test), linear))
print(f"Mean squared error by {code_size} numbers: {dense_error:.5f} (principal components: {linear_error:.5f})")

encoder = Model(dense.input, dense.get_layer("code").output)
print("the first digit in numbers:", np.round(encoder.predict(flat_test[:1])[0, :8], 1), "...")

# Noise away: (28, 28, 1) -> (7, 7, 16) -> (28, 28, 1)
clean_train, clean_test = x_train[..., None], x_test[..., None]
if SMALL:
    clean_train, clean_test = clean_train[:480], clean_test[:50]
noisy_train, noisy_test = (
    np.clip(x + np.random.normal(scale=0.5, size=x.shape), 0, 1).astype("float32") for x in (clean_train, clean_test)
)
image = Input(shape=(28, 28, 1))
x = Conv2D(16, (3, 3), activation="relu", padding="same")(image)
x = MaxPooling2D((2, 2), padding="same")(x)
x = Conv2D(16, (3, 3), activation="relu", padding="same")(x)
x = MaxPooling2D((2, 2), padding="same")(x)
x = Conv2D(16, (3, 3), activation="relu", padding="same")(x)
x = UpSampling2D((2, 2))(x)
x = Conv2D(16, (3, 3), activation="relu", padding="same")(x)
x = UpSampling2D((2, 2))(x)
restored = Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x)
denoiser = Model(image, restored)
denoiser.compile(optimizer="adam", loss="binary_crossentropy")
history = denoiser.fit(
    noisy_train,
    clean_train,
    epochs=2 if SMALL else 20,
    batch_size=8 if SMALL else 32,
    validation_data=(noisy_test, clean_test),
)

for line in np.concatenate([noisy_test[0, ::2, :, 0], denoiser.predict(noisy_test[:1])[0, ::2, :, 0]], axis=1):
    print("".join(" .:-=+*#%@"[int(9 * pixel)] for pixel in line))
before, after = (np.mean((clean_test - x) ** 2) for x in (noisy_test, denoiser.predict(noisy_test)))
print(f"Mean squared error of noisy digits: {before:.4f} -> {after:.4f}")
