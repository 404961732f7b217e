"""Boxes from maps and their losses in backend ops; priors; losses that pull classes apart (Keras 2)."""

import numpy as np
from keras import backend as K
from keras.engine.topology import InputSpec, Layer
from keras.layers import Activation, Conv2D, Dense, Embedding, Input, Lambda, Reshape, concatenate
from keras.models import Model
from keras.optimizers import Adam

np.random.seed(55)
anchors = np.array([[1.0, 2.0], [3.0, 1.5]])
num_classes, grid = 3, 4


def yolo_head(feats, anchors, num_classes, input_shape, calc_loss=False):
    num_anchors = len(anchors)
    anchors_tensor = K.reshape(K.constant(anchors), [1, 1, 1, num_anchors, 2])
    grid_shape = K.shape(feats)[1:3]
    grid_y = K.tile(K.reshape(K.arange(0, stop=grid_shape[0]), [-1, 1, 1, 1]), [1, grid_shape[1], 1, 1])
    grid_x = K.tile(K.reshape(K.arange(0, stop=grid_shape[1]), [1, -1, 1, 1]), [grid_shape[0], 1, 1, 1])
    grid = K.concatenate([grid_x, grid_y])
    grid = K.cast(grid, K.dtype(feats))
    feats = K.reshape(feats, [-1, grid_shape[0], grid_shape[1], num_anchors, num_classes + 5])
    box_xy = (K.sigmoid(feats[..., :2]) + grid) / K.cast(grid_shape[::-1], K.dtype(feats))
    box_wh = K.exp(feats[..., 2:4]) * anchors_tensor / K.cast(input_shape[::-1], K.dtype(feats))
    box_confidence = K.sigmoid(feats[..., 4:5])
    box_class_probs = K.sigmoid(feats[..., 5:])
    if calc_loss:
        return grid, feats, box_xy, box_wh
    return box_xy, box_wh, box_confidence, box_class_probs


def box_iou(b1, b2):
    b1, b2 = K.expand_dims(b1, -2), K.expand_dims(b2, 0)
    b1_mins, b1_maxes = b1[..., :2] - b1[..., 2:4] / 2.0, b1[..., :2] + b1[..., 2:4] / 2.0
    b2_mins, b2_maxes = b2[..., :2] - b2[..., 2:4] / 2.0, b2[..., :2] + b2[..., 2:4] / 2.0
    intersect_wh = K.maximum(K.minimum(b1_maxes, b2_maxes) - K.maximum(b1_mins, b2_mins), 0.0)
    intersect_area = intersect_wh[..., 0] * intersect_wh[..., 1]
    return intersect_area / (b1[..., 2] * b1[..., 3] + b2[..., 2] * b2[..., 3] - intersect_area)


def yolo_loss(args, anchors, num_classes, ignore_thresh=0.5):
    feats, y_true = args
    m = K.shape(feats)[0]
    mf = K.cast(m, K.dtype(feats))
    input_shape = K.cast(K.shape(feats)[1:3] * 8, K.dtype(y_true))
    grid, raw, xy, wh = yolo_head(feats, anchors, num_classes, input_shape, calc_loss=True)
    object_mask, true_class_probs = y_true[..., 4:5], y_true[..., 5:]
    grid_shape = K.cast(K.shape(feats)[1:3], K.dtype(y_true))
    raw_true_xy = y_true[..., :2] * grid_shape[::-1] - grid
    raw_true_wh = K.log(y_true[..., 2:4] / anchors * input_shape[::-1])
    raw_true_wh = K.switch(object_mask, raw_true_wh, K.zeros_like(raw_true_wh))
    box_loss_scale = 2 - y_true[..., 2:3] * y_true[..., 3:4]
    xy_loss = object_mask * box_loss_scale * K.binary_crossentropy(raw_true_xy, raw[..., 0:2], from_logits=True)
    wh_loss = object_mask * box_loss_scale * 0.5 * K.square(raw_true_wh - raw[..., 2:4])
    confidence = K.binary_crossentropy(object_mask, raw[..., 4:5], from_logits=True)
    class_loss = object_mask * K.binary_crossentropy(true_class_probs, raw[..., 5:], from_logits=True)
    return (K.sum(xy_loss) + K.sum(wh_loss) + K.sum(confidence) + K.sum(class_loss)) / mf


image = Input((None, None, 3))
feats = Conv2D(len(anchors) * (num_classes + 5), 3, strides=8, padding="same")(image)
y_true = Input(shape=(grid, grid, len(anchors), num_classes + 5))
loss = Lambda(yolo_loss, output_shape=(1,), name="yolo_loss",
              arguments={"anchors": anchors, "num_classes": num_classes, "ignore_thresh": 0.5})([feats, y_true])
model = Model([image, y_true], loss)
model.compile(optimizer=Adam(lr=1e-2), loss={"yolo_loss": lambda y_true, y_pred: y_pred})
pictures = np.random.rand(4, 8 * grid, 8 * grid, 3)
truth = np.zeros((4, grid, grid, 2, num_classes + 5))
truth[:, 1, 2, 1] = [0.6, 0.4, 0.3, 0.2, 1, 0, 1, 0]
log = [model.train_on_batch([pictures, truth], np.zeros(4)) for _ in range(15)]
assert np.isfinite(log).all() and log[-1] < log[0]
raw = Model(image, feats).predict(pictures).reshape(4, grid, grid, 2, num_classes + 5)


def logistic_loss(t, z):
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-abs(z)))


at = raw[:, 1, 2, 1]
want = (2 - 0.06) * logistic_loss(np.array([0.6 * grid - 2, 0.4 * grid - 1]), at[:, :2]).sum()
want += (2 - 0.06) * 0.5 * ((np.log(np.array([0.3, 0.2]) / anchors[1] * 8 * grid) - at[:, 2:4]) ** 2).sum()
want += logistic_loss(truth[..., 4], raw[..., 4]).sum() + logistic_loss(np.array([0, 1, 0]), at[:, 5:]).sum()
np.testing.assert_allclose(model.evaluate([pictures, truth], np.zeros(4), verbose=0), want / 4, rtol=1e-3)
boxes = yolo_head(feats, anchors, num_classes, K.constant([8.0 * grid, 8.0 * grid]))
xy, wh, confidence, probs = K.function([image], list(boxes))([pictures])
np.testing.assert_allclose(xy[:, 1, 2, 1], (1 / (1 + np.exp(-at[:, :2])) + [2, 1]) / grid, rtol=1e-4)
iou = K.eval(box_iou(K.constant([[0.5, 0.5, 0.2, 0.2]]), K.constant([[0.5, 0.5, 0.2, 0.2], [0.6, 0.5, 0.2, 0.2]])))
np.testing.assert_allclose(iou, [[1, 1 / 3]], rtol=1e-4)


class PriorBox(Layer):
    def __init__(self, sizes, variances=(0.1, 0.2), **kwargs):
        self.sizes, self.variances = sizes, np.array(variances)
        super(PriorBox, self).__init__(**kwargs)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[1] * input_shape[2] * len(self.sizes), 6)

    def call(self, x, mask=None):
        rows, cols = K.int_shape(x)[1:3]
        centers = np.stack(np.meshgrid((np.arange(cols) + 0.5) / cols, (np.arange(rows) + 0.5) / rows), -1).reshape(-1, 1, 2)
        wide = np.array(self.sizes).reshape(1, -1, 1)
        corner = np.concatenate([centers - wide / 2, centers + wide / 2], axis=2).reshape(-1, 4)
        boxes = np.concatenate([corner, np.tile(self.variances, (len(corner), 1))], axis=1)
        prior_boxes = K.expand_dims(K.variable(boxes), 0)
        return K.tile(prior_boxes, [K.shape(x)[0], 1, 1])


class Normalize(Layer):
    def __init__(self, scale, **kwargs):
        self.axis = 3
        self.scale = scale
        super(Normalize, self).__init__(**kwargs)

    def build(self, input_shape):
        self.input_spec = [InputSpec(shape=input_shape)]
        shape = (input_shape[self.axis],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer=lambda s, dtype=None: self.scale * np.ones(s))

    def call(self, x, mask=None):
        return K.l2_normalize(x, self.axis) * self.gamma


maps = Input((4, 4, 5))
normed = Normalize(20)(maps)
mbox_conf = Reshape((-1, num_classes))(Conv2D(2 * num_classes, 3, padding="same")(normed))
mbox_loc = Reshape((-1, 4))(Conv2D(2 * 4, 3, padding="same")(normed))
predictions = concatenate([mbox_loc, Activation("softmax")(mbox_conf), PriorBox([0.2, 0.4])(normed)], axis=2)
assert K.int_shape(predictions) == (None, 32, 4 + num_classes + 6)


class MultiboxLoss(object):
    def compute_loss(self, y_true, y_pred):
        conf = -K.sum(y_true[:, :, 4:7] * K.log(K.maximum(y_pred[:, :, 4:7], 1e-15)), axis=-1)
        diff = K.abs(y_true[:, :, :4] - y_pred[:, :, :4])
        loc = K.sum(K.switch(K.less(diff, 1.0), 0.5 * K.square(diff), diff - 0.5), axis=-1)
        positive = y_true[:, :, -8]
        num_pos = K.sum(positive, axis=-1)
        return (K.sum(conf, axis=1) + K.sum(loc * positive, axis=1)) / K.maximum(num_pos, 1.0)


ssd = Model(maps, predictions)
ssd.compile("adam", MultiboxLoss().compute_loss)
target = np.zeros((6, 32, 13))
target[..., 4] = 1
target[:, 3, :8] = [0.1, 0.1, 0.2, 0.2, 0, 1, 0, 0]
data = np.random.rand(6, 4, 4, 5)
log = [ssd.train_on_batch(data, target) for _ in range(15)]
assert log[-1] < log[0]
assert np.allclose(ssd.predict(data)[0, 0, 7:], [0.025, 0.025, 0.225, 0.225, 0.1, 0.2])


# Focal, triplet and center losses
def focal_loss(gamma=2.0, alpha=0.25):
    def focal_loss_fixed(y_true, y_pred):
        pt_1 = K.switch(K.equal(y_true, 1), y_pred, K.ones_like(y_pred))
        pt_0 = K.switch(K.equal(y_true, 0), y_pred, K.zeros_like(y_pred))
        pt_1, pt_0 = K.clip(pt_1, 1e-3, 0.999), K.clip(pt_0, 1e-3, 0.999)
        return -K.sum(alpha * K.pow(1.0 - pt_1, gamma) * K.log(pt_1)) - K.sum(
            (1 - alpha) * K.pow(pt_0, gamma) * K.log(1.0 - pt_0))
    return focal_loss_fixed


t, p = np.random.randint(2, size=(5, 2)).astype("float32"), np.random.rand(5, 2).astype("float32")
q = np.where(t == 1, p, 1 - p).clip(1e-3, 0.999)
want = (-np.where(t == 1, 0.25, 0.75) * (1 - q) ** 2 * np.log(q)).sum()
# The other class's clipped term adds next to nothing.
np.testing.assert_allclose(K.eval(focal_loss()(K.variable(t), K.variable(p))), want, rtol=1e-3)

anchor_in, positive_in, negative_in, label_in = Input((4,)), Input((4,)), Input((4,)), Input((1,))
embed = Dense(3, activation="tanh", name="embed")
unit = Lambda(lambda v: K.l2_normalize(v, axis=1))
a, b, c = [unit(embed(v)) for v in (anchor_in, positive_in, negative_in)]


def triplet(vects, alpha=0.2):
    x, y, z = vects
    near, far = K.sum(K.square(x - y), axis=1, keepdims=True), K.sum(K.square(x - z), axis=1, keepdims=True)
    return K.maximum(near - far + alpha, 0.0)


three = Model([anchor_in, positive_in, negative_in], Lambda(triplet, output_shape=(1,))([a, b, c]))
three.compile("adam", lambda y_true, y_pred: K.mean(y_pred - 0 * y_true))
X = np.random.randn(3, 30, 4)
log = [three.train_on_batch(list(X), np.empty((30,)) * 0) for _ in range(60)]
assert log[-1] < log[0] and unit.get_output_shape_at(2) == (None, 3)

centers = Embedding(3, 3)(label_in)
distance = Lambda(lambda x: K.sum(K.square(x[0] - x[1][:, 0]), 1, keepdims=True), name="l2_loss")([embed(anchor_in), centers])
softmaxed = Dense(3, activation="softmax")(embed(anchor_in))
center = Model([anchor_in, label_in], [softmaxed, distance])
center.compile("rmsprop", loss=["sparse_categorical_crossentropy", lambda y_true, y_pred: y_pred], loss_weights=[1, 0.2],
               metrics=["accuracy"])
labels = np.arange(30) % 3
log = [center.train_on_batch([X[0], labels], [labels, np.zeros((30, 1))])[0] for _ in range(30)]
assert log[-1] < log[0]
