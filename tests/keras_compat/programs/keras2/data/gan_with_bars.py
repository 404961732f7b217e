"""Two networks against each other with a bar by hand, pickled histories, and texts that grow by n-grams."""

import pickle
import sys
from collections import defaultdict

import numpy as np
from keras import layers
from keras.datasets import mnist
from keras.layers import Dense, Dropout, Embedding, Flatten, GlobalAveragePooling1D, Input, LeakyReLU, Reshape
from keras.models import Model, Sequential
from keras.optimizers import Adam
from keras.preprocessing import sequence
from keras.utils.generic_utils import Progbar

np.random.seed(1337)
latent_size, num_classes, epochs, batch_size = 6, 3, 1, 10


def build_generator(latent_size):
    cnn = Sequential()
    cnn.add(Dense(16, input_dim=latent_size, activation='relu'))
    cnn.add(Dense(64, activation='tanh'))
    cnn.add(Reshape((8, 8, 1)))
    latent = Input(shape=(latent_size, ))
    image_class = Input(shape=(1,), dtype='int32')
    cls = Embedding(num_classes, latent_size, embeddings_initializer='glorot_normal')(image_class)
    h = layers.multiply([latent, Flatten()(cls)])
    return Model([latent, image_class], cnn(h))


def build_discriminator():
    cnn = Sequential()
    cnn.add(Flatten(input_shape=(8, 8, 1)))
    cnn.add(Dense(16))
    cnn.add(LeakyReLU(0.2))
    cnn.add(Dropout(0.3))
    image = Input(shape=(8, 8, 1))
    features = cnn(image)
    fake = Dense(1, activation='sigmoid', name='generation')(features)
    aux = Dense(num_classes, activation='softmax', name='auxiliary')(features)
    return Model(image, [fake, aux])


discriminator = build_discriminator()
discriminator.compile(optimizer=Adam(lr=0.0002, beta_1=0.5), loss=['binary_crossentropy', 'sparse_categorical_crossentropy'])
generator = build_generator(latent_size)
latent = Input(shape=(latent_size, ))
image_class = Input(shape=(1,), dtype='int32')
fake = generator([latent, image_class])
discriminator.trainable = False
fake, aux = discriminator(fake)
combined = Model([latent, image_class], [fake, aux])
combined.compile(optimizer=Adam(lr=0.0002, beta_1=0.5), loss=['binary_crossentropy', 'sparse_categorical_crossentropy'])
x_train = np.random.rand(40, 8, 8, 1) * 2 - 1
y_train = np.random.randint(0, num_classes, 40)
train_history, test_history = defaultdict(list), defaultdict(list)
for epoch in range(1, epochs + 1):
    num_batches = int(np.ceil(x_train.shape[0] / float(batch_size)))
    progress_bar = Progbar(target=num_batches)
    epoch_gen_loss, epoch_disc_loss = [], []
    for index in range(num_batches):
        image_batch = x_train[index * batch_size:(index + 1) * batch_size]
        label_batch = y_train[index * batch_size:(index + 1) * batch_size]
        noise = np.random.uniform(-1, 1, (len(image_batch), latent_size))
        sampled_labels = np.random.randint(0, num_classes, len(image_batch))
        generated_images = generator.predict([noise, sampled_labels.reshape((-1, 1))], verbose=0)
        x = np.concatenate((image_batch, generated_images))
        y = np.array([0.95] * len(image_batch) + [0] * len(image_batch))
        aux_y = np.concatenate((label_batch, sampled_labels), axis=0)
        disc_sample_weight = [np.ones(2 * len(image_batch)),
                              np.concatenate((np.ones(len(image_batch)) * 2, np.zeros(len(image_batch))))]
        epoch_disc_loss.append(discriminator.train_on_batch(x, [y, aux_y], sample_weight=disc_sample_weight))
        noise = np.random.uniform(-1, 1, (2 * len(image_batch), latent_size))
        sampled_labels = np.random.randint(0, num_classes, 2 * len(image_batch))
        trick = np.ones(2 * len(image_batch)) * 0.95
        epoch_gen_loss.append(combined.train_on_batch([noise, sampled_labels.reshape((-1, 1))], [trick, sampled_labels]))
        progress_bar.update(index + 1, values=[('loss', epoch_gen_loss[-1][0])])
    discriminator_train_loss = np.mean(np.array(epoch_disc_loss), axis=0)
    assert discriminator_train_loss.shape == (3,)
    train_history['generator'].append(np.mean(np.array(epoch_gen_loss), axis=0))
    train_history['discriminator'].append(discriminator_train_loss)
    row = '{0:<22s} | {1:<4.2f} | {2:<15.4f} | {3:<5.4f}'
    print(row.format('generator (train)', *train_history['generator'][-1]))
    print(row.format('discriminator (train)', *train_history['discriminator'][-1]))
assert discriminator.metrics_names == ['loss', 'generation_loss', 'auxiliary_loss']
with open('acgan-history.pkl', 'wb') as f:
    pickle.dump({'train': train_history, 'test': test_history}, f)


def create_ngram_set(input_list, ngram_value=2):
    return set(zip(*[input_list[i:] for i in range(ngram_value)]))


def add_ngram(sequences, token_indice, ngram_range=2):
    new_sequences = []
    for input_list in sequences:
        new_list = input_list[:]
        for ngram_value in range(2, ngram_range + 1):
            for i in range(len(new_list) - ngram_value + 1):
                ngram = tuple(new_list[i:i + ngram_value])
                if ngram in token_indice:
                    new_list.append(token_indice[ngram])
        new_sequences.append(new_list)
    return new_sequences


max_features, maxlen = 20, 12
x_train = [list(np.random.randint(1, max_features, np.random.randint(4, 9))) for _ in range(30)]
y_train = np.array([max(row) > 16 for row in x_train]).astype(int)
ngram_set = set()
for input_list in x_train:
    ngram_set.update(create_ngram_set(input_list, 2))
token_indice = {v: k + max_features + 1 for k, v in enumerate(ngram_set)}
max_features = np.max(list(token_indice.values())) + 1
x_train = sequence.pad_sequences(add_ngram(x_train, token_indice), maxlen=maxlen)
model = Sequential()
model.add(Embedding(max_features, 8, input_length=maxlen))
model.add(GlobalAveragePooling1D())
model.add(Dense(1, activation='sigmoid'))
model.compile(loss='binary_crossentropy', optimizer='adam', metrics=['accuracy'])
model.fit(x_train, y_train, batch_size=8, epochs=2, validation_data=(x_train, y_train), verbose=2)
