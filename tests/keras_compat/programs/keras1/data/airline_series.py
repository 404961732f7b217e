"""A series from a table: windows, scaling, memory between batches, forecasts; the tutorial of 2016 on passengers."""

import math

import numpy
import pandas
from keras.layers import LSTM, Dense
from keras.models import Sequential

numpy.random.seed(7)
months = numpy.arange(72)
with open("international-airline-passengers.csv", "w") as f:
    f.write('"Month","Passengers"\n')
    for m in months:
        f.write('"%d-%02d",%d\n' % (1949 + m // 12, 1 + m % 12, 110 + 2 * m + 30 * math.sin(m * math.pi / 6)))

dataframe = pandas.read_csv("international-airline-passengers.csv", usecols=[1], engine="python")
dataset = dataframe.values.astype("float32")
low, high = dataset.min(), dataset.max()
dataset = (dataset - low) / (high - low)
train_size = int(len(dataset) * 0.67)
train, test = dataset[0:train_size, :], dataset[train_size:len(dataset), :]


def create_dataset(dataset, look_back=1):
    dataX, dataY = [], []
    for i in range(len(dataset) - look_back - 1):
        dataX.append(dataset[i:(i + look_back), 0])
        dataY.append(dataset[i + look_back, 0])
    return numpy.array(dataX), numpy.array(dataY)


look_back = 3
trainX, trainY = create_dataset(train, look_back)
testX, testY = create_dataset(test, look_back)
trainX = numpy.reshape(trainX, (trainX.shape[0], trainX.shape[1], 1))
testX = numpy.reshape(testX, (testX.shape[0], testX.shape[1], 1))

model = Sequential()
model.add(LSTM(6, input_dim=1, input_length=look_back))
model.add(Dense(1))
model.compile(loss="mean_squared_error", optimizer="adam")
history = model.fit(trainX, trainY, nb_epoch=10, batch_size=4, verbose=0)
assert history.history["loss"][-1] < history.history["loss"][0]
trainPredict = model.predict(trainX) * (high - low) + low
trainScore = math.sqrt(numpy.mean((trainY * (high - low) + low - trainPredict[:, 0]) ** 2))
print("Train Score: %.2f RMSE" % trainScore)

batch_size = 1
model = Sequential()
model.add(LSTM(4, batch_input_shape=(batch_size, look_back, 1), stateful=True, return_sequences=True))
model.add(LSTM(4, batch_input_shape=(batch_size, look_back, 1), stateful=True))
model.add(Dense(1))
model.compile(loss="mean_squared_error", optimizer="adam")
losses = []
for i in range(2):
    losses.append(model.fit(trainX, trainY, nb_epoch=1, batch_size=batch_size, verbose=0, shuffle=False).history["loss"][0])
    model.reset_states()
model.predict(trainX, batch_size=batch_size)
remembered = model.predict(testX, batch_size=batch_size)
model.reset_states()
fresh = model.predict(testX, batch_size=batch_size)
assert remembered.shape == fresh.shape == testY.shape + (1,) and (remembered[0] != fresh[0]).all()
testPredictPlot = numpy.empty_like(dataset)
testPredictPlot[:, :] = numpy.nan
testPredictPlot[len(trainPredict) + (look_back * 2) + 1:len(dataset) - 1, :] = remembered
assert numpy.isnan(testPredictPlot).sum() == len(dataset) - len(remembered)
