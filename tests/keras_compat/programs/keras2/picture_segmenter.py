"""Down and up again with skips: transposed, dilated, separable convolutions, batch normalization (Keras 2)."""

import numpy as np
from keras import backend as K
from keras.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    DepthwiseConv2D,
    Dropout,
    Input,
    MaxPooling2D,
    SeparableConv2D,
    UpSampling2D,
    ZeroPadding2D,
)
from keras.models import Model
from keras.optimizers import Adam

np.random.seed(12)


def dice_coef(y_true, y_pred, smooth=1.0):
    y_true_f, y_pred_f = K.flatten(y_true), K.flatten(y_pred)
    intersection = K.sum(y_true_f * y_pred_f)
    return (2.0 * intersection + smooth) / (K.sum(y_true_f) + K.sum(y_pred_f) + smooth)


def dice_coef_loss(y_true, y_pred):
    return -dice_coef(y_true, y_pred)


inputs = Input((None, None, 1))
c1 = Conv2D(4, 3, padding="same")(inputs)
c1 = Activation("relu")(BatchNormalization()(c1))
p1 = MaxPooling2D(2)(c1)
c2 = SeparableConv2D(6, 3, padding="same", activation="relu")(p1)
c2 = Dropout(0.1)(c2)
c2 = Add()([c2, Conv2D(6, 3, dilation_rate=2, padding="same", activation="relu")(c2)])
c2 = DepthwiseConv2D(3, padding="same")(c2)
u1 = Conv2DTranspose(4, 2, strides=2, padding="same")(c2)
merged = Concatenate(axis=3)([u1, c1])
side = UpSampling2D(2)(AveragePooling2D(2)(merged))
side = Cropping2D(1)(ZeroPadding2D(1)(side))
outputs = Conv2D(1, 1, activation="sigmoid")(Concatenate()([merged, side]))
model = Model(inputs=[inputs], outputs=[outputs])
model.compile(optimizer=Adam(lr=0.02), loss=dice_coef_loss, metrics=[dice_coef])
assert model.output_shape == (None, None, None, 1)
x = np.random.rand(16, 8, 8, 1)
y = (x > 0.5).astype("float32")
first = model.evaluate(x, y, verbose=0)
np.testing.assert_allclose(first[0], -first[1], rtol=1e-5)
history = model.fit(x, y, batch_size=8, epochs=15, verbose=0)
assert history.history["dice_coef"][-1] > history.history["dice_coef"][0] + 0.05
# Another picture size through the same model
assert model.predict(np.random.rand(2, 12, 20, 1)).shape == (2, 12, 20, 1)
