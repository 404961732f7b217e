"""scikit-learn searches the best settings of a network, by cross-validation on small handwritten digits.

Run:  python examples/grid_search.py [--small]
"""

import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential
from keras_compat.wrappers.scikit_learn import KerasClassifier

SMALL = "--small" in sys.argv
np.random.seed(1337)

x, y = load_digits(return_X_y=True)
print("Data:", f"{len(x):,} digits of 8 x 8 pixels (scikit-learn)")
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)


def build(units=32, dropout=0.0):
    model = Sequential()
    model.add(Dense(units, activation="relu", input_shape=(64,)))
    model.add(Dropout(dropout))
    model.add(Dense(10, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


network = KerasClassifier(build, epochs=4 if SMALL else 30, batch_size=32, verbose=0)
pipeline = make_pipeline(MinMaxScaler(), network)
settings = (
    {"kerasclassifier__units": [8, 64]}
    if SMALL
    else {
        "kerasclassifier__units": [16, 64, 256],
        "kerasclassifier__dropout": [0.0, 0.2, 0.5],
    }
)
search = GridSearchCV(pipeline, settings, cv=2 if SMALL else 4)
search.fit(x_train, y_train)
for accuracy, chosen in zip(search.cv_results_["mean_test_score"], search.cv_results_["params"]):
    print(f"{accuracy:.4f}", {name.split("__")[1]: value for name, value in chosen.items()})
print("best:", search.best_params_)
print(f"Test accuracy: {search.score(x_test, y_test):.4f}")
