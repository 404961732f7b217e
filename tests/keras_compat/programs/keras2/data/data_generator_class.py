"""Batches from files by a Sequence, as the Stanford page of 2018 taught it, with workers; and generators beside it."""

import os

import keras
import numpy as np
from keras.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from keras.layers import Dense, Flatten
from keras.models import Sequential, load_model


class DataGenerator(keras.utils.Sequence):
    "Generates data for Keras"

    def __init__(self, list_IDs, labels, batch_size=32, dim=(4, 4), n_channels=1, n_classes=10, shuffle=True):
        self.dim = dim
        self.batch_size = batch_size
        self.labels = labels
        self.list_IDs = list_IDs
        self.n_channels = n_channels
        self.n_classes = n_classes
        self.shuffle = shuffle
        self.on_epoch_end()

    def __len__(self):
        return int(np.floor(len(self.list_IDs) / self.batch_size))

    def __getitem__(self, index):
        indexes = self.indexes[index * self.batch_size:(index + 1) * self.batch_size]
        return self.__data_generation([self.list_IDs[k] for k in indexes])

    def on_epoch_end(self):
        self.indexes = np.arange(len(self.list_IDs))
        if self.shuffle == True:
            np.random.shuffle(self.indexes)

    def __data_generation(self, list_IDs_temp):
        X = np.empty((self.batch_size, *self.dim, self.n_channels))
        y = np.empty((self.batch_size), dtype=int)
        for i, ID in enumerate(list_IDs_temp):
            X[i,] = np.load("data/" + ID + ".npy")
            y[i] = self.labels[ID]
        return X, keras.utils.to_categorical(y, num_classes=self.n_classes)


def main():
    np.random.seed(0)
    os.mkdir("data")
    labels = {}
    for i in range(40):
        labels["id-%d" % i] = i % 3
        np.save("data/id-%d.npy" % i, np.random.rand(4, 4, 1) * 0.3 + i % 3)
    names = sorted(labels)
    partition = {"train": names[:32], "validation": names[32:]}
    params = {"dim": (4, 4), "batch_size": 4, "n_classes": 3, "n_channels": 1, "shuffle": True}
    training_generator = DataGenerator(partition["train"], labels, **params)
    validation_generator = DataGenerator(partition["validation"], labels, **params)

    model = Sequential()
    model.add(Flatten(input_shape=(4, 4, 1)))
    model.add(Dense(3, activation="softmax"))
    model.compile(optimizer=keras.optimizers.Adam(lr=0.05), loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit_generator(generator=training_generator, validation_data=validation_generator, epochs=3,
                                  use_multiprocessing=True, workers=2, verbose=0)
    assert len(history.history["val_loss"]) == 3 and history.history["loss"][-1] < history.history["loss"][0]
    history = model.fit_generator(
        training_generator, steps_per_epoch=len(training_generator), epochs=25, verbose=0, workers=2,
        validation_data=validation_generator, validation_steps=len(validation_generator), max_queue_size=3,
        callbacks=[ModelCheckpoint("best-{epoch:02d}-{val_accuracy:.2f}.h5", monitor="val_accuracy", save_best_only=True),
                   EarlyStopping(monitor="val_loss", patience=10, restore_best_weights=True),
                   ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=5, min_lr=0.001),
                   CSVLogger("log.csv")])
    assert history.history["val_accuracy"][-1] >= 0.5
    best = [name for name in os.listdir(".") if name.startswith("best-01-")]
    assert len(best) == 1 and "lr" in history.history
    with open("log.csv") as log:
        assert log.readline().strip() == "epoch,accuracy,loss,lr,val_accuracy,val_loss"
        assert len(log.readlines()) == len(history.epoch)

    ordered = DataGenerator(names, labels, **dict(params, shuffle=False))
    p = model.predict_generator(ordered, workers=2, use_multiprocessing=False)
    assert p.shape == (40, 3)
    truth = np.array([labels[name] for name in names])
    assert (p.argmax(axis=1) == truth).mean() >= 0.5
    loss, accuracy = model.evaluate_generator(ordered)
    assert abs(accuracy - (p.argmax(axis=1) == truth).mean()) < 1e-6
    again = load_model(best[0])
    assert again.predict(ordered[0][0]).shape == (4, 3)

    def endless():
        while True:
            for i in range(len(ordered)):
                x, y = ordered[i]
                yield x, y, np.ones(len(x))

    history = model.fit(endless(), steps_per_epoch=10, epochs=1, verbose=0)
    assert list(history.history) == ["loss", "accuracy"]


if __name__ == "__main__":
    main()
