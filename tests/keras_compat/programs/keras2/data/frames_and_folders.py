"""Pictures named in a table, several augmentations side by side, pairs of picture and mask, transfer learning."""

import os

import numpy as np
import pandas as pd
from keras.applications import MobileNet
from keras.applications.mobilenet import preprocess_input
from keras.callbacks import TensorBoard
from keras.layers import Conv2D, Dense, Dropout, GlobalAveragePooling2D, Input
from keras.models import Model
from keras.optimizers import Adam
from keras.preprocessing import image
from keras.preprocessing.image import ImageDataGenerator, array_to_img, img_to_array, load_img, save_img

np.random.seed(1)
os.makedirs("images")
rows = []
for i in range(18):
    kind = ["daisy", "rose", "tulip"][i % 3]
    pixels = np.clip(np.random.normal(50 + 70 * (i % 3), 20, (40, 44, 3)), 0, 255)
    save_img("images/%02d.png" % i, pixels)
    rows.append(("%02d.png" % i, kind, i / 18.0))
df = pd.DataFrame(rows, columns=["id", "label", "size"])

datagen = ImageDataGenerator(rescale=1. / 255, rotation_range=10, brightness_range=[0.8, 1.2], channel_shift_range=5.,
                             zoom_range=[0.9, 1.1], fill_mode="reflect", validation_split=0.25)
train_generator = datagen.flow_from_dataframe(dataframe=df, directory="images", x_col="id", y_col="label", subset="training",
                                              batch_size=4, seed=42, shuffle=True, class_mode="categorical",
                                              target_size=(32, 32))
valid_generator = datagen.flow_from_dataframe(dataframe=df, directory="images", x_col="id", y_col="label",
                                              subset="validation", batch_size=4, seed=42, shuffle=False,
                                              class_mode="categorical", target_size=(32, 32))
assert train_generator.n == 14 and valid_generator.n == 4
assert train_generator.class_indices == {"daisy": 0, "rose": 1, "tulip": 2}
x, y = train_generator[0]
assert x.shape == (4, 32, 32, 3) and x.max() <= 1.0 and (y.sum(axis=1) == 1).all()
plain = ImageDataGenerator(preprocessing_function=preprocess_input)
sizes = plain.flow_from_dataframe(df, "images", x_col="id", y_col="size", class_mode="raw", batch_size=6, shuffle=False,
                                  target_size=(32, 32))
np.testing.assert_allclose(sizes[1][1], df["size"][6:12])
test_generator = plain.flow_from_dataframe(df, "images", x_col="id", y_col=None, class_mode=None, batch_size=1, shuffle=False,
                                           target_size=(32, 32))

base_model = MobileNet(weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.25)
out = Dense(3, activation="softmax")(Dropout(0.2)(GlobalAveragePooling2D()(base_model.output)))
model = Model(inputs=base_model.input, outputs=out)
for layer in base_model.layers:
    layer.trainable = False
model.compile(optimizer=Adam(lr=0.01), loss="categorical_crossentropy", metrics=["accuracy"])
STEP_SIZE_TRAIN = train_generator.n // train_generator.batch_size
STEP_SIZE_VALID = valid_generator.n // valid_generator.batch_size
history = model.fit_generator(generator=train_generator, steps_per_epoch=STEP_SIZE_TRAIN, validation_data=valid_generator,
                              validation_steps=STEP_SIZE_VALID, epochs=1, verbose=0, callbacks=[TensorBoard("logs")])
assert {"val_loss", "val_accuracy", "loss", "accuracy"} == set(history.history)
assert any("tfevents" in name for _, _, names in os.walk("logs") for name in names)
test_generator.reset()
pred = model.predict_generator(test_generator, steps=test_generator.n, verbose=0)
labels = dict((v, k) for k, v in train_generator.class_indices.items())
predictions = [labels[k] for k in np.argmax(pred, axis=1)]
results = pd.DataFrame({"Filename": test_generator.filenames, "Predictions": predictions})
results.to_csv("results.csv", index=False)
assert len(results) == 18 and results["Filename"][0] == "00.png"

img = image.load_img("images/00.png", target_size=(32, 32))
one = image.img_to_array(img)
one = np.expand_dims(one, axis=0)
assert one.shape == (1, 32, 32, 3)
one = preprocess_input(one)
assert -1 <= one.min() and one.max() <= 1
np.testing.assert_allclose(model.predict(one)[0], pred[0], rtol=1e-4, atol=1e-6)
grey = img_to_array(load_img("images/01.png", color_mode="grayscale"))
assert grey.shape == (40, 44, 1)
assert array_to_img(grey).mode == "L"

data_gen_args = dict(featurewise_center=True, featurewise_std_normalization=True, rotation_range=90, width_shift_range=0.1,
                     height_shift_range=0.1, zoom_range=0.2)
image_datagen, mask_datagen = ImageDataGenerator(**data_gen_args), ImageDataGenerator(**data_gen_args)
images = np.random.rand(8, 16, 16, 1)
masks = (images > 0.5).astype(float)
seed = 1
image_datagen.fit(images, augment=True, seed=seed)
mask_datagen.fit(masks, augment=True, seed=seed)
image_generator = image_datagen.flow(images, batch_size=4, seed=seed)
mask_generator = mask_datagen.flow(images, batch_size=4, seed=seed)
for _ in range(3):
    np.testing.assert_array_equal(next(image_generator).shape, next(mask_generator).shape)
same = ImageDataGenerator(rotation_range=90, horizontal_flip=True)
a, b = same.flow(images, batch_size=4, seed=3), same.flow(images, batch_size=4, seed=3)
np.testing.assert_array_equal(next(a), next(b))
segmenter_in = Input((16, 16, 1))
segmenter = Model(segmenter_in, Conv2D(1, 3, padding="same", activation="sigmoid")(segmenter_in))
segmenter.compile("adam", "binary_crossentropy")
pairs = zip(same.flow(images, batch_size=4, seed=5), same.flow(masks, batch_size=4, seed=5))
segmenter.fit_generator(pairs, steps_per_epoch=2, epochs=2, verbose=0)
