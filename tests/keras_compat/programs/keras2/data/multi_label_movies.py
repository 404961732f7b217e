"""A table of pictures with several labels, a generator of two inputs, weights by class, RemoteMonitor and odd options."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import keras
import numpy as np
import pandas as pd
from keras import callbacks, models
from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D, concatenate
from keras.models import Model
from keras.preprocessing.image import ImageDataGenerator, save_img
from keras.utils import Sequence

np.random.seed(2)
os.mkdir('posters')
rows = []
for i in range(12):
    name = 'm%02d.jpg' % i
    save_img('posters/' + name, np.random.rand(20, 16, 3) * 255)
    rows.append({'file': name, 'genres': ['Drama'] if i % 2 else ['Drama', 'War'], 'drama': 1, 'war': i % 2, 'year': 1950 + i})
df = pd.DataFrame(rows)
gen = ImageDataGenerator(rescale=1 / 255.)
listed = gen.flow_from_dataframe(df, 'posters', x_col='file', y_col='genres', class_mode='categorical', batch_size=4,
                                 target_size=(16, 16), shuffle=False)
x, y = next(listed)
assert y.tolist() == [[1, 1], [1, 0], [1, 1], [1, 0]] and listed.class_indices == {'Drama': 0, 'War': 1}
columns = gen.flow_from_dataframe(df, 'posters', x_col='file', y_col=['drama', 'war'], class_mode='raw', batch_size=4,
                                  target_size=(16, 16), shuffle=False)
assert next(columns)[1].tolist() == [[1, 0], [1, 1], [1, 0], [1, 1]]
many = gen.flow_from_dataframe(df, 'posters', x_col='file', y_col=['war', 'year'], class_mode='multi_output', batch_size=4,
                               target_size=(16, 16), shuffle=False)
assert [part.shape for part in next(many)[1]] == [(4,), (4,)]


class Both(Sequence):
    def __init__(self, pictures, table, batch):
        self.pictures, self.table, self.batch, self.ends = pictures, table, batch, 0

    def __len__(self):
        return len(self.table) // self.batch

    def __getitem__(self, i):
        rows = self.table.iloc[i * self.batch:(i + 1) * self.batch]
        return ({'picture': self.pictures[i][0], 'year': (rows[['year']].values - 1950) / 12.},
                {'war': rows['war'].values, 'drama': rows['drama'].values})

    def on_epoch_end(self):
        self.ends += 1


picture, year = Input((16, 16, 3), name='picture'), Input((1,), name='year')
h = concatenate([Flatten()(MaxPooling2D(4)(Conv2D(4, 3, padding='same')(picture))), year])
model = Model([picture, year], [Dense(1, activation='sigmoid', name='war')(h), Dense(1, activation='sigmoid', name='drama')(h)])
model.compile('adam', loss={'war': 'binary_crossentropy', 'drama': 'mse'}, loss_weights={'war': 1., 'drama': .5},
              metrics={'war': ['accuracy'], 'drama': 'mae'})
got = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        got.append(json.loads(self.rfile.read(int(self.headers['Content-Length']))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


server = HTTPServer(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
data = Both(columns, df, 4)
monitors = [callbacks.CSVLogger('log.csv', append=True), callbacks.EarlyStopping('val_war_loss', mode='min', patience=3, baseline=9.)]
try:
    import requests
    monitors.append(callbacks.RemoteMonitor('http://127.0.0.1:%d' % server.server_port, send_as_json=True))
except ImportError:
    requests = None
history = model.fit_generator(data, epochs=2, validation_data=data, verbose=0, shuffle=False, callbacks=monitors)
server.shutdown()
assert data.ends >= 2
expected = {'loss', 'war_loss', 'drama_loss', 'war_accuracy', 'drama_mae'}
assert set(history.history) == expected | {'val_' + name for name in expected}
assert requests is None or len(got) == 2 and 'val_war_accuracy' in got[0]
log = pd.read_csv('log.csv')
assert log.shape == (2, 11) and log['epoch'].tolist() == [0, 1]
model.fit_generator(data, epochs=1, verbose=0, callbacks=[callbacks.CSVLogger('log.csv', append=True)])
assert len(open('log.csv').readlines()) == 4

answers = model.predict_generator(data)
assert len(answers) == 2 and answers[0].shape == (12, 1)
counts = model.evaluate_generator(data, verbose=0)
assert len(counts) == len(model.metrics_names) == 5
enq = keras.utils.OrderedEnqueuer(data, use_multiprocessing=False, shuffle=False)
enq.start(workers=2, max_queue_size=4)
stream = enq.get()
for i in range(len(data)):
    x, y = next(stream)
    np.testing.assert_array_equal(y['war'], data[i][1]['war'])
enq.stop()
single = models.Sequential([Dense(1, input_shape=(3,), activation='sigmoid')])
single.compile('sgd', 'binary_crossentropy', metrics=['accuracy'])
x, y = np.random.rand(30, 3), np.random.randint(0, 2, 30)
single.fit(pd.DataFrame(x), pd.Series(y), epochs=1, verbose=0, class_weight={0: 1, 1: 3}, validation_split=0.2)
single.fit(x.tolist() if False else x, y, validation_freq=2, validation_data=(x, y), epochs=4, verbose=0)
assert len(single.history.history['val_loss']) == 2
