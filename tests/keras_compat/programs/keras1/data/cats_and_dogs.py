"""Little data: pictures in folders, bottleneck features of a network, fine-tuning; the famous blog post of 2016."""

import os

import numpy as np
from keras import optimizers
from keras.applications.vgg16 import VGG16
from keras.layers import Activation, Convolution2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from keras.models import Model, Sequential
from keras.preprocessing.image import ImageDataGenerator, img_to_array, load_img
from PIL import Image

np.random.seed(2)
img_width, img_height = 32, 32
train_data_dir, validation_data_dir = "data/train", "data/validation"
nb_train_samples, nb_validation_samples, nb_epoch = 16, 8, 2
for folder, count in ((train_data_dir, 8), (validation_data_dir, 4)):
    for kind, colour in (("cats", 60), ("dogs", 190)):
        os.makedirs(os.path.join(folder, kind))
        for i in range(count):
            pixels = np.clip(np.random.normal(colour, 30, (40, 36, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(os.path.join(folder, kind, "%s.%03d.png" % (kind[:-1], i)))

img = load_img("data/train/cats/cat.000.png")
x = img_to_array(img)
assert x.shape == (40, 36, 3)
x = x.reshape((1,) + x.shape)
os.mkdir("preview")
datagen = ImageDataGenerator(rotation_range=40, width_shift_range=0.2, height_shift_range=0.2, shear_range=0.2,
                             zoom_range=0.2, horizontal_flip=True, fill_mode="nearest")
i = 0
for batch in datagen.flow(x, batch_size=1, save_to_dir="preview", save_prefix="cat", save_format="jpeg"):
    i += 1
    if i > 3:
        break
previews = os.listdir("preview")
assert 1 <= len(previews) <= 4 and all(name.startswith("cat_") and name.endswith(".jpeg") for name in previews)

model = Sequential()
model.add(Convolution2D(4, 3, 3, input_shape=(img_width, img_height, 3)))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dense(8))
model.add(Activation("relu"))
model.add(Dropout(0.5))
model.add(Dense(1))
model.add(Activation("sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
train_datagen = ImageDataGenerator(rescale=1. / 255, shear_range=0.2, zoom_range=0.2, horizontal_flip=True)
test_datagen = ImageDataGenerator(rescale=1. / 255)
train_generator = train_datagen.flow_from_directory(train_data_dir, target_size=(img_width, img_height), batch_size=4,
                                                    class_mode="binary")
validation_generator = test_datagen.flow_from_directory(validation_data_dir, target_size=(img_width, img_height),
                                                        batch_size=4, class_mode="binary")
assert train_generator.nb_sample == nb_train_samples and train_generator.class_indices == {"cats": 0, "dogs": 1}
assert sorted(train_generator.filenames)[0].replace("\\", "/") == "cats/cat.000.png"
model.fit_generator(train_generator, samples_per_epoch=nb_train_samples, nb_epoch=nb_epoch, verbose=0,
                    validation_data=validation_generator, nb_val_samples=nb_validation_samples)
model.save_weights("first_try.h5")

vgg = VGG16(include_top=False, weights=None, input_tensor=Input((img_width, img_height, 3)))
assert vgg.output_shape == (None, 1, 1, 512)
base = Model(input=vgg.input, output=vgg.get_layer("block2_pool").output)
for split, count in ((train_data_dir, nb_train_samples), (validation_data_dir, nb_validation_samples)):
    generator = test_datagen.flow_from_directory(split, target_size=(img_width, img_height), batch_size=4,
                                                 class_mode=None, shuffle=False)
    features = base.predict_generator(generator, count)
    np.save(open("bottleneck_%s.npy" % os.path.basename(split), "wb"), features)
train_data = np.load(open("bottleneck_train.npy", "rb"))
train_labels = np.array([0] * (nb_train_samples // 2) + [1] * (nb_train_samples // 2))
validation_data = np.load(open("bottleneck_validation.npy", "rb"))
validation_labels = np.array([0] * (nb_validation_samples // 2) + [1] * (nb_validation_samples // 2))
assert train_data.shape == (16, 8, 8, 128)

top_model = Sequential()
top_model.add(Flatten(input_shape=base.output_shape[1:]))
top_model.add(Dense(8, activation="relu"))
top_model.add(Dropout(0.5))
top_model.add(Dense(1, activation="sigmoid"))
top_model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
top_model.fit(train_data, train_labels, nb_epoch=3, batch_size=4, verbose=0,
              validation_data=(validation_data, validation_labels))
top_model.save_weights("bottleneck_fc_model.h5")

for layer in base.layers[:4]:
    layer.trainable = False
head = Sequential()
head.add(Flatten(input_shape=base.output_shape[1:]))
head.add(Dense(8, activation="relu"))
head.add(Dropout(0.5))
head.add(Dense(1, activation="sigmoid"))
head.load_weights("bottleneck_fc_model.h5")
whole = Model(input=base.input, output=head(base.output))
whole.compile(loss="binary_crossentropy", optimizer=optimizers.SGD(lr=1e-4, momentum=0.9), metrics=["accuracy"])
kept = base.layers[1].get_weights()[0]
moving = base.get_layer("block2_conv2").get_weights()[0]
whole.fit_generator(train_generator, samples_per_epoch=8, nb_epoch=1, verbose=0)
assert (base.layers[1].get_weights()[0] == kept).all()
assert (base.get_layer("block2_conv2").get_weights()[0] != moving).any()
