"""A convolutional network and a GRU that put pictures into words, as Keras's first guide had it (Keras 1's words).

A picture holds two handwritten digits, beside or above each other; it is said so: "a seven left of a two". The
network sees a picture and the caption so far and tells the next word; asked again and again, it writes the caption.

Run:  python examples/image_captioning.py [--small]
"""

import sys

import numpy as np
from data_at_hand import digits

from keras_compat.layers import (
    GRU,
    Convolution2D,
    Dense,
    Embedding,
    Flatten,
    MaxPooling2D,
    Merge,
    RepeatVector,
    TimeDistributedDense,
)
from keras_compat.models import Sequential
from keras_compat.preprocessing.sequence import pad_sequences
from keras_compat.utils.np_utils import to_categorical

SMALL = "--small" in sys.argv
np.random.seed(1337)

WORDS = "<begin> <end> a left of above zero one two three four five six seven eight nine".split()
vocab_size = len(WORDS) + 1  # 0 is padding
max_caption_len = 7

(x_train, y_train), (x_test, y_test), source = digits(SMALL)
print("Data:", source)


def scenes(x, y, count):
    """Return pictures of shape (count, 1, 40, 40) with two digits each, and what they show as lists of word numbers."""
    pictures, captions = np.zeros((count, 1, 40, 40), "float32"), []
    for picture in pictures:
        first, second = np.random.randint(len(x), size=2)
        beside, shift = np.random.rand() < 0.5, np.random.randint(21)
        # The digits of MNIST lie within the middle 20 x 20 pixels.
        for k, digit in enumerate((first, second)):
            row, column = (shift, 20 * k) if beside else (20 * k, shift)
            picture[0, row : row + 20, column : column + 20] = x[digit, 4:24, 4:24] / 255.0
        where = "left of" if beside else "above"
        words = f"<begin> a {WORDS[6 + y[first]]} {where} a {WORDS[6 + y[second]]} <end>"
        captions.append([1 + WORDS.index(word) for word in words.split()])
    return pictures, captions


def one_word_each(captions):
    """Return the number of a picture, the caption so far and the next word, for each word of each caption."""
    steps = [(n, caption[:k], caption[k]) for n, caption in enumerate(captions) for k in range(1, len(caption))]
    numbers, partial, following = zip(*steps)
    return list(numbers), pad_sequences(partial, maxlen=max_caption_len), to_categorical(following, vocab_size)


image_model = Sequential()
image_model.add(Convolution2D(16, 3, 3, activation="relu", dim_ordering="th", input_shape=(1, 40, 40)))
image_model.add(MaxPooling2D(pool_size=(2, 2), dim_ordering="th"))
image_model.add(Convolution2D(32, 3, 3, activation="relu", dim_ordering="th"))
image_model.add(MaxPooling2D(pool_size=(2, 2), dim_ordering="th"))
image_model.add(Flatten())
image_model.add(Dense(128))

language_model = Sequential()
language_model.add(Embedding(vocab_size, 32, input_length=max_caption_len))
language_model.add(GRU(output_dim=64, return_sequences=True))
language_model.add(TimeDistributedDense(64))

# The picture's vector at every word; then the two sequences of vectors as one.
image_model.add(RepeatVector(max_caption_len))
model = Sequential()
model.add(Merge([image_model, language_model], mode="concat", concat_axis=-1))
model.add(GRU(128, return_sequences=False))
model.add(Dense(vocab_size, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])

images, captions = scenes(x_train, y_train, 100 if SMALL else 8000)
numbers, partial_captions, next_words = one_word_each(captions)
history = model.fit([images[numbers], partial_captions], next_words, batch_size=32, nb_epoch=3 if SMALL else 10)

images, captions = scenes(x_test, y_test, 20 if SMALL else 1000)
written = [[1] for _ in captions]
for _ in range(max_caption_len):
    likeliest = model.predict([images, pad_sequences(written, maxlen=max_caption_len)]).argmax(axis=-1)
    written = [caption + [word] for caption, word in zip(written, likeliest)]
for caption in written[:5]:
    print(" ".join(WORDS[word - 1] for word in caption[1:]).partition(" <end>")[0])
right = [caption[1 : len(true)] == true[1:] for caption, true in zip(written, captions)]
print(f"Captions without a fault: {np.mean(right):.3f} of {len(right)} new pictures")
numbers, partial_captions, next_words = one_word_each(captions)
_, accuracy = model.evaluate([images[numbers], partial_captions], next_words, verbose=0)
print(f"Right next words: {accuracy:.4f}")
