# What docs/old_scripts.md promises, one small program for each message that it lists: the message stands behind two
# equals signs.
# They run one after another under `python -m keras_compat run`; fails(f, *words) asks that f() ends in an error with
# these words.

# == cannot import name 'merge'
from keras.engine import merge as engine_merge
from keras.engine.topology import Merge
from keras.layers import Dense, Input, merge
from keras.layers.core import Merge as core_merge
from keras.models import Model, Sequential

a, b = Input((3,)), Input((3,))
assert Model([a, b], merge([a, b], mode='concat')).output_shape == (None, 6)
left, right = Sequential([Dense(2, input_dim=4)]), Sequential([Dense(2, input_dim=5)])
both = Sequential([Merge([left, right], mode='sum')])
assert both.output_shape == (None, 2)
assert core_merge is Merge and engine_merge([a, b], mode='sum') is not None

# == 'module' object is not callable
from keras.layers import Input, merge
from keras.layers.merge import Concatenate, concatenate

assert merge([Input((3,)), Input((4,))], mode='concat') is not None
assert merge.concatenate is concatenate

# == cannot import name 'TimeDistributedDense'
from keras.layers import AtrousConvolution2D, Highway, LSTM, MaxoutDense
from keras.layers.core import TimeDistributedDense, TimeDistributedMerge
from keras.models import Sequential

model = Sequential([LSTM(4, return_sequences=True, input_shape=(5, 3)), TimeDistributedDense(2), TimeDistributedMerge()])
assert model.output_shape == (None, 2)

# == No module named 'keras.utils.np_utils'
from keras.utils import np_utils, to_categorical
from keras.utils.np_utils import to_categorical as same

assert same is to_categorical and np_utils.to_categorical([0, 2]).shape == (2, 3)

# == No module named 'keras.utils.visualize_util'
from keras.utils.vis_utils import plot_model
from keras.utils.visualize_util import plot

assert callable(plot) and callable(plot_model)

# == No module named 'keras.objectives'
from keras import initializations, objectives
from keras.engine.topology import Layer
from keras.layers.advanced_activations import LeakyReLU
from keras.layers.containers import Sequential
from keras.layers.convolutional import Convolution2D
from keras.layers.normalization import BatchNormalization
from keras.layers.recurrent import LSTM

assert objectives.mse is objectives.mean_squared_error and initializations.get('uniform') is not None

# == No module named 'keras.wrappers'
from keras.wrappers.scikit_learn import KerasClassifier, KerasRegressor
from tensorflow.keras.wrappers.scikit_learn import KerasClassifier as same

assert same is KerasClassifier and issubclass(KerasRegressor, object)

# == cannot import name 'img_to_array'
import numpy as np
from keras.preprocessing.image import array_to_img, img_to_array, load_img, save_img

assert img_to_array(array_to_img(np.zeros((4, 4, 3)))).shape == (4, 4, 3)

# == cannot import name 'multi_gpu_model'
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import multi_gpu_model

model = Sequential([Dense(2, input_dim=3)])
assert multi_gpu_model(model, gpus=2).count_params() == model.count_params()

# == No module named 'tensorflow'
import tensorflow as tf
from keras import backend as K

tf.set_random_seed(1)
K.set_session(tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1)))
fails(lambda: tf.reduce_mean, 'write K.mean')

# == module 'tensorflow' has no attribute 'get_default_graph'
import tensorflow as tf

with tf.get_default_graph().as_default():
    tf.set_random_seed(1)

# == module 'keras.backend' has no attribute 'set_image_dim_ordering'
from keras import backend as K

K.set_image_dim_ordering('th')
assert K.image_dim_ordering() == 'th' and K.image_data_format() == 'channels_first'
K.set_image_dim_ordering('tf')

# == No module named 'keras.backend.tensorflow_backend'
import keras.backend.tensorflow_backend as KTF
from keras import backend as K

KTF.set_session(K.get_session())

# == fit() got an unexpected keyword argument 'nb_epoch'
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

x, y = np.zeros((8, 3)), np.zeros((8, 1))
model = Sequential([Dense(1, input_dim=3)])
model.compile('sgd', 'mse')
assert model.fit(x, y, nb_epoch=2, verbose=0).epoch == model.fit(x, y, epochs=2, verbose=0).epoch == [0, 1]
fails(lambda: model.fit(x, y, nb_epoch=2, epochs=3), 'nb_epoch=2 and epochs=3')

# == fit_generator() got an unexpected keyword argument 'samples_per_epoch'
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

seen = []


def batches():
    while True:
        seen.append(1)
        yield np.zeros((4, 3)), np.zeros((4, 1))


model = Sequential([Dense(1, input_dim=3)])
model.compile('sgd', 'mse')
model.fit_generator(batches(), samples_per_epoch=12, nb_epoch=2, verbose=0, max_q_size=1, nb_worker=1, pickle_safe=False)
assert 6 <= len(seen) <= 9
model.fit_generator(batches(), steps_per_epoch=3, epochs=1, verbose=0)

# == __init__() missing 1 required positional argument: 'units'
from keras.layers import Dense
from keras.regularizers import l2

layer = Dense(output_dim=5, W_regularizer=l2(0.1), b_constraint='nonneg', input_dtype='float32', input_dim=3)
assert layer.units == 5 and layer.get_config()['kernel_regularizer']

# == Update your `Conv2D` call to the Keras 2 API
import warnings
import keras_compat.dialect as dialect
from keras.layers import Convolution2D

dialect.clear_report()
with warnings.catch_warnings():
    warnings.simplefilter('error')
    Convolution2D(8, 3, 3, border_mode='same', input_shape=(32, 32, 3))
assert any('border_mode' in str(line) for line in dialect.report())

# == ('Keyword argument not understood:', 'nb_epochs')
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(1, input_dim=3)])
model.compile('sgd', 'mse')
fails(lambda: model.fit(np.zeros((8, 3)), np.zeros((8, 1)), nb_epochs=2), 'nb_epochs', "nb_epoch")

# == The added layer must be an instance of class Layer
from keras.layers import Dropout
from keras.models import Sequential
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential as same

assert same is Sequential
Sequential([Dense(2, input_dim=3)])
fails(lambda: Sequential().add(Dropout), 'The added layer must be an instance of class Layer', 'Dropout')

# == Unknown activation function
from keras.layers import Activation
from keras.models import Sequential

fails(lambda: Activation('rellu'), 'rellu', "'relu'")

# == KeyError: 'acc'
import numpy as np
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.layers import Dense
from keras.models import Sequential

x, y = np.random.random((20, 3)), np.random.randint(2, size=(20, 1))
model = Sequential([Dense(1, activation='sigmoid', input_dim=3)])
model.compile('sgd', 'binary_crossentropy', metrics=['acc'])
watched = [ModelCheckpoint('w{epoch:02d}-{val_accuracy:.2f}.h5', monitor='val_accuracy'), EarlyStopping('val_acc')]
history = model.fit(x, y, validation_split=0.5, epochs=2, verbose=0, callbacks=watched).history
assert history['acc'] == history['accuracy'] and history['val_acc'] == history['val_accuracy']

# == Early stopping conditioned on metric `val_loss` which is not available
import warnings
import numpy as np
from keras.callbacks import EarlyStopping
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(1, input_dim=3)])
model.compile('sgd', 'mse')
with warnings.catch_warnings(record=True) as met:
    warnings.simplefilter('always')
    model.fit(np.zeros((8, 3)), np.zeros((8, 1)), verbose=0, callbacks=[EarlyStopping('val_loss')])
assert any('val_loss' in str(w.message) and 'Available metrics are: loss' in str(w.message) for w in met), [str(w.message) for w in met]

# == The output of the "schedule" function should be float.
import numpy as np
from keras.callbacks import LearningRateScheduler
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(1, input_dim=3)])
model.compile('sgd', 'mse')
for schedule in (lambda epoch: 0.1 / (epoch + 1), lambda epoch, rate: rate * 0.5):
    model.fit(np.zeros((8, 3)), np.zeros((8, 1)), verbose=0, callbacks=[LearningRateScheduler(schedule)])
fails(lambda: model.fit(np.zeros((8, 3)), np.zeros((8, 1)), verbose=0, callbacks=[LearningRateScheduler(lambda epoch: None)]),
      'The output of the "schedule" function should be float')

# == module 'tensorflow' has no attribute 'summary'
import os
import numpy as np
from keras.callbacks import TensorBoard
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(1, input_dim=3)])
model.compile('sgd', 'mse')
model.fit(np.zeros((8, 3)), np.zeros((8, 1)), verbose=0, callbacks=[TensorBoard('logs')])
assert any('tfevents' in name for name in os.listdir('logs'))

# == Negative dimension size caused by subtracting 3 from 1
import warnings
from keras import backend as K
from keras.layers import Conv2D, Convolution2D, MaxPooling2D
from keras.models import Sequential

with warnings.catch_warnings(record=True):
    warnings.simplefilter('always')
    model = Sequential([Convolution2D(32, 3, 3, input_shape=(1, 28, 28)), MaxPooling2D((2, 2))])
assert model.output_shape == (None, 32, 13, 13)
model = Sequential([Conv2D(32, (3, 3), data_format='channels_first', input_shape=(1, 28, 28))])
assert model.output_shape == (None, 32, 26, 26)
fails(lambda: Sequential([Conv2D(32, (3, 3), input_shape=(1, 28, 28))]), 'size 3', "padding='same'")

# == expected dense_2 to have shape (None, 10) but got array with shape (60000, 1)
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import to_categorical

x, labels = np.zeros((8, 3)), np.arange(8).reshape(8, 1)
model = Sequential([Dense(10, activation='softmax', input_dim=3)])
model.compile('sgd', 'categorical_crossentropy')
fails(lambda: model.fit(x, labels, verbose=0), 'target array of shape (8, 1)', 'to_categorical', 'sparse_categorical')
model.fit(x, to_categorical(labels, 10), verbose=0)
model.compile('sgd', 'sparse_categorical_crossentropy')
model.fit(x, labels, verbose=0)

# == expected dense_1_input to have 2 dimensions, but got array with shape (784,)
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(2, input_shape=(784,))])
sample = np.zeros(784)
fails(lambda: model.predict(sample), '784')
assert model.predict(sample[None]).shape == (1, 2)

# == the list of Numpy arrays that you are passing to your model is not the size the model expected
import numpy as np
from keras.layers import Dense, Input, add
from keras.models import Model, Sequential

samples = [np.zeros(4), np.ones(4), np.ones(4)]
assert Sequential([Dense(2, input_shape=(4,))]).predict(samples).shape == (3, 2)
a, b = Input((4,)), Input((4,))
fails(lambda: Model([a, b], add([a, b])).predict(samples), '2', '3')

# == Input 0 is incompatible with layer lstm_2: expected ndim=3, found ndim=2
from keras.layers import LSTM
from keras.models import Sequential

fails(lambda: Sequential([LSTM(4, input_shape=(5, 3)), LSTM(4)]), 'expected ndim=3, found ndim=2')
assert Sequential([LSTM(4, input_shape=(5, 3), return_sequences=True), LSTM(4)]).output_shape == (None, 4)

# == If a RNN is stateful, it needs to know its batch size
from keras.layers import LSTM
from keras.models import Sequential

fails(lambda: Sequential([LSTM(4, stateful=True, input_shape=(5, 3))]), 'batch size')
Sequential([LSTM(4, stateful=True, batch_input_shape=(32, 5, 3))])

# == In a stateful network, you should only pass inputs with a number of samples that can be divided by the batch size
import numpy as np
from keras.layers import LSTM
from keras.models import Sequential

model = Sequential([LSTM(1, stateful=True, batch_input_shape=(100, 5, 3))])
model.compile('sgd', 'mse')
x, y = np.zeros((320, 5, 3)), np.zeros((320, 1))
fails(lambda: model.fit(x, y, batch_size=100, verbose=0), 'batch size of 100', '320')
n = len(x) // 100 * 100
model.fit(x[:n], y[:n], batch_size=100, shuffle=False, verbose=0)

# == setting an array element with a sequence
import numpy as np
from keras.layers import LSTM, Embedding
from keras.models import Sequential
from keras.preprocessing.sequence import pad_sequences

model = Sequential([Embedding(10, 4), LSTM(2)])
rows = [[1, 2, 3], [4]]
assert model.predict(pad_sequences(rows)).shape == (2, 2)

# == could not convert string to float
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(2, input_dim=2)])
fails(lambda: model.predict(np.array([['a', 'b']])), 'input')

# == index 10 is out of bounds for axis 1 with size 10
import numpy as np
from keras.utils import to_categorical

labels = np.array([1, 5, 10])
fails(lambda: to_categorical(labels, 10), '10')
assert to_categorical(labels - 1, 10).shape == (3, 10) and to_categorical(labels).shape == (3, 11)

# == indices[0,7] = 20000 is not in [0, 20000)
import numpy as np
from keras.layers import Embedding
from keras.models import Sequential

model = Sequential([Embedding(20, 4, input_length=3)])
fails(lambda: model.predict(np.array([[1, 2, 20]])), '20')
assert Sequential([Embedding(20 + 1, 4, input_length=3)]).predict(np.array([[1, 2, 20]])).shape == (1, 3, 4)

# == Graph disconnected: cannot obtain value for tensor
from keras.layers import Dense, Input, concatenate
from keras.models import Model

a, b = Input((2,)), Input((3,))
y = Dense(1)(concatenate([a, b]))
fails(lambda: Model(a, y), 'Graph disconnected')
Model([a, b], y)

# == Output tensors to a Model must be the output of a Keras `Layer`
from keras import backend as K
from keras.layers import Dense, Input, Lambda
from keras.models import Model

a = Input((2,))
fails(lambda: Model(a, K.sqrt(Dense(3)(a))), 'Output tensors to a Model must be the output of a Keras `Layer`', 'Lambda')
Model(a, Lambda(lambda t: K.sqrt(t))(Dense(3)(a)))

# == 'Sequential' object has no attribute 'predict_classes'
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(3, activation='softmax', input_dim=2)])
x = np.random.random((4, 2))
assert (model.predict_classes(x) == model.predict(x).argmax(-1)).all()
assert np.array_equal(model.predict_proba(x), model.predict(x))

# == 'Model' object has no attribute 'predict_classes'
import numpy as np
from keras.layers import Dense, Input
from keras.models import Model

a = Input((2,))
model = Model(a, Dense(3)(a))
assert not hasattr(model, 'predict_classes')
assert model.predict(np.zeros((4, 2))).argmax(-1).shape == (4,)

# == 'str' object has no attribute 'decode'
from keras.layers import Dense
from keras.models import Sequential, load_model

model = Sequential([Dense(3, input_dim=2)])
model.save('m.h5')
model.save_weights('w.h5')
model.load_weights('w.h5')
assert load_model('m.h5').count_params() == 9

# == Unknown layer
from keras.layers import Dense
from keras.models import Sequential, load_model


class Doubled(Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


Sequential([Doubled(3, input_dim=2)]).save('own.h5')
fails(lambda: load_model('own.h5'), 'Doubled')
load_model('own.h5', custom_objects={'Doubled': Doubled})

# == bad marshal data (unknown type code)
import numpy as np
from keras.layers import Lambda
from keras.models import Sequential, load_model, model_from_json

text = Sequential([Lambda(lambda t: t + 1, input_shape=(2,), name='plus_one')]).to_json()
model = model_from_json(text, custom_objects={'plus_one': lambda t: t + 1})
assert (model.predict(np.zeros((1, 2))) == 1).all()

# == You are trying to load a weight file containing 2 layers into a model with 0 layers
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

Sequential([Dense(3, input_dim=2), Dense(1)]).save_weights('two.h5')
model = Sequential([Dense(3), Dense(1)])
fails(lambda: model.load_weights('two.h5'), 'build')
model.build((None, 2))
model.load_weights('two.h5')

# == Unable to open file (file signature not found)
from keras.models import load_model

with open('pointer.h5', 'w') as f:
    f.write('version https://git-lfs.github.com/spec/v1\n')
fails(lambda: load_model('pointer.h5'), 'pointer.h5')

# == can't pickle _thread.RLock objects
import copy
import pickle
import numpy as np
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(3, input_dim=2)])
x = np.ones((1, 2))
for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
    assert np.array_equal(other.predict(x), model.predict(x))

# == 'super' object has no attribute '__sklearn_tags__'
import pickle
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.wrappers.scikit_learn import KerasClassifier
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV


def build(units=4):
    model = Sequential([Dense(units, activation='relu', input_dim=2), Dense(1, activation='sigmoid')])
    model.compile('adam', 'binary_crossentropy', metrics=['accuracy'])
    return model


x, y = np.random.random((20, 2)), np.arange(20) % 2
search = GridSearchCV(KerasClassifier(build_fn=build, nb_epoch=1, verbose=0), {'units': [2, 3]}, cv=2).fit(x, y)
assert search.best_params_['units'] in (2, 3)
assert len(pickle.loads(pickle.dumps(search.best_estimator_)).predict(x)) == 20
assert clone(search.best_estimator_).sk_params['units'] in (2, 3)

# == nb_neurons is not a legal parameter
from keras.layers import Dense
from keras.models import Sequential
from keras.wrappers.scikit_learn import KerasClassifier

fails(lambda: KerasClassifier(build_fn=lambda units=4: Sequential([Dense(units, input_dim=2)]), nb_neurons=4),
      'nb_neurons is not a legal parameter')

# == The model is not configured to compute accuracy
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.wrappers.scikit_learn import KerasClassifier


def build(metrics=None):
    model = Sequential([Dense(1, activation='sigmoid', input_dim=2)])
    model.compile('adam', 'binary_crossentropy', metrics=metrics)
    return model


x, y = np.random.random((20, 2)), np.arange(20) % 2
one = KerasClassifier(build, verbose=0)
one.fit(x, y)
fails(lambda: one.score(x, y), 'metrics=["accuracy"]')
one = KerasClassifier(build, metrics=['accuracy'], verbose=0)
one.fit(x, y)
assert 0 <= one.score(x, y) <= 1

# == The `lr` argument is deprecated
from keras.optimizers import SGD, Adam

assert float(SGD(lr=0.5, decay=1e-6, momentum=0.9, nesterov=True).get_config()['learning_rate']) == 0.5
assert Adam(learning_rate=0.5).lr is not None

# == cannot import name 'Adam' from 'keras.optimizers'
from keras.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, Nadam, RMSprop, adam, sgd

assert adam is Adam and sgd is SGD

# == module 'keras.engine' has no attribute 'Layer'
import keras.engine as KE
import keras.layers as KL
import keras.models as KM
from keras.engine.topology import Layer as topology_layer

assert KE.Layer is KL.Layer is topology_layer and issubclass(KM.Sequential, KM.Model)

# == Layer.add_weight() got multiple values for argument 'shape'
from keras.engine.topology import Layer
from keras.models import Sequential


class Old(Layer):
    def build(self, input_shape):
        self.W = self.add_weight((input_shape[1], 2), initializer='uniform', name='W')
        self.b = self.add_weight('b', (2,), initializer='zero')


model = Sequential([Old(input_shape=(3,))])
assert [w.shape for w in model.get_weights()] == [(3, 2), (2,)]

# == module 'keras.backend' has no attribute 'gradients'
import numpy as np
from keras import backend as K
from keras.layers import Dense
from keras.models import Sequential

model = Sequential([Dense(4, activation='tanh', input_dim=3), Dense(1)])
slopes = K.function([model.input, K.learning_phase()], K.gradients(K.sum(model.output), [model.input]))
assert slopes([np.zeros((2, 3)), 0])[0].shape == (2, 3)

# == Unrecognized keyword arguments passed to Embedding: {'weights': [...]}
import numpy as np
from keras.layers import LSTM, Embedding
from keras.models import Sequential

vectors = np.random.random((10, 4)).astype('float32')
model = Sequential([Embedding(10, 4, weights=[vectors], input_length=3, trainable=False), LSTM(2)])
assert np.array_equal(model.layers[0].get_weights()[0], vectors) and model.input_shape == (None, 3)

# == 'Sequential' object has no attribute 'fit_generator'
import numpy as np
from keras.layers import Dense
from keras.models import Sequential


def batches():
    while True:
        yield np.zeros((4, 3)), np.zeros((4, 1))


model = Sequential([Dense(1, input_dim=3)])
model.compile('sgd', 'mse')
assert len(model.fit_generator(batches(), steps_per_epoch=2, epochs=2, verbose=0).history['loss']) == 2
assert model.predict_generator(batches(), 2).shape == (8, 1) and model.evaluate_generator(batches(), 2) >= 0

# == Object arrays cannot be loaded when allow_pickle=False
import os
import warnings
import numpy as np
from keras.datasets import imdb

texts = np.array([[1, 14, 22], [1, 9]], dtype=object)
np.savez('mine.npz', x_train=texts, y_train=[1, 0], x_test=texts, y_test=[1, 0])
with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    (x, y), _ = imdb.load_data(path=os.path.abspath('mine.npz'), num_words=20)
assert len(x) == 2

# == URL fetch failure on
import os
from keras.datasets import cifar10

os.environ['http_proxy'] = os.environ['https_proxy'] = 'http://127.0.0.1:9'
fails(cifar10.load_data, 'cifar-10', 'datasets')

# == load_data() got an unexpected keyword argument 'nb_words'
import os
import warnings
import numpy as np
from keras.datasets import imdb

texts = np.array([[1, 14, 22], [1, 9]], dtype=object)
np.savez('mine.npz', x_train=texts, y_train=[1, 0], x_test=texts, y_test=[1, 0])
with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    old = imdb.load_data(path=os.path.abspath('mine.npz'), nb_words=20)[0][0]
    new = imdb.load_data(path=os.path.abspath('mine.npz'), num_words=20)[0][0]
    split = imdb.load_data(path=os.path.abspath('mine.npz'), nb_words=20, test_split=0.5)
assert old.tolist() == new.tolist() and len(split) == 2

# == Found 0 images belonging to 0 classes.
import os
import numpy as np
from keras.preprocessing.image import ImageDataGenerator, save_img

os.makedirs('pictures/cat')
save_img('pictures/cat/1.png', np.zeros((8, 8, 3)))
assert ImageDataGenerator().flow_from_directory('pictures').class_indices == {'cat': 0}
assert ImageDataGenerator().flow_from_directory('pictures/cat').samples == 0
fails(lambda: ImageDataGenerator().flow_from_directory('no_pictures'), 'no_pictures')

# == Asked to retrieve element 7, but the Sequence has length 7
import numpy as np
from keras.preprocessing.image import ImageDataGenerator

batches = ImageDataGenerator().flow(np.zeros((14, 4, 4, 3)), batch_size=2)
fails(lambda: batches[7], 'Asked to retrieve element 7, but the Sequence has length 7')
assert all(next(batches).shape == (2, 4, 4, 3) for _ in range(10))

# == 'float' object has no attribute 'lower'
import pandas
from keras.preprocessing.text import Tokenizer

table = pandas.DataFrame({'text': ['one two', float('nan')]})
fails(lambda: Tokenizer().fit_on_texts(table.text), 'nan')
tokenizer = Tokenizer()
tokenizer.fit_on_texts(table.text.fillna(''))
assert tokenizer.word_index == {'one': 1, 'two': 2}

# == Training and validation subsets have different number of classes after the split
import numpy as np
from keras.preprocessing.image import ImageDataGenerator

x, y = np.zeros((8, 4, 4, 3)), np.arange(8) // 3
halves = ImageDataGenerator(validation_split=0.25)
fails(lambda: halves.flow(x, y, subset='training'),
      'Training and validation subsets have different number of classes after the split')
y = np.array([0, 1, 0, 1, 0, 1, 0, 1])
assert len(halves.flow(x, y, subset='training')) == 1
