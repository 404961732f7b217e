"""A convolutional net with max pooling on small pictures; weights live in one vector."""
import autograd.numpy as np
import autograd.numpy.random as npr
import autograd.scipy.signal
from autograd import grad
from autograd.scipy.special import logsumexp

convolve = autograd.scipy.signal.convolve


class WeightsParser(object):
    def __init__(self):
        self.idxs_and_shapes = {}
        self.N = 0

    def add_weights(self, name, shape):
        start = self.N
        self.N += np.prod(shape)
        self.idxs_and_shapes[name] = (slice(start, self.N), shape)

    def get(self, vect, name):
        idxs, shape = self.idxs_and_shapes[name]
        return np.reshape(vect[idxs], shape)


parser = WeightsParser()
parser.add_weights('filters', (1, 3, 3, 3))
parser.add_weights('conv bias', (1, 3, 1, 1))
parser.add_weights('full', (27, 2))
parser.add_weights('full bias', (1, 2))


def predict(W_vect, images):
    conv = convolve(images, parser.get(W_vect, 'filters'), axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode='valid')
    hidden = np.maximum(conv + parser.get(W_vect, 'conv bias'), 0.0)
    n, k, h, w = hidden.shape
    pooled = np.max(np.max(np.reshape(hidden, (n, k, h // 2, 2, w // 2, 2)), axis=5), axis=3)
    out = np.dot(np.reshape(pooled, (n, -1)), parser.get(W_vect, 'full')) + parser.get(W_vect, 'full bias')
    return out - logsumexp(out, axis=1, keepdims=True)


rs = npr.RandomState(9)
labels = rs.randint(0, 2, 12)
images = rs.randn(12, 1, 8, 8)
images[labels == 1, :, 2:6, 2:6] += 1.0
targets = np.eye(2)[labels]


def loss(W_vect):
    return -np.mean(np.sum(predict(W_vect, images) * targets, axis=1)) + 0.01 * np.dot(W_vect, W_vect)


W = 0.2 * rs.randn(parser.N)
loss_grad = grad(loss)
values = []
cur_dir = np.zeros(parser.N)
for epoch in range(6):
    cur_dir = 0.9 * cur_dir + 0.1 * loss_grad(W)
    W -= 0.5 * cur_dir
    values.append(loss(W))

results = {"values": values, "W": W}
