"""Networks as scikit-learn estimators: the search over everything of 2016, and validation in folds."""

import numpy
from keras.layers import Dense, Dropout
from keras.models import Sequential
from keras.wrappers.scikit_learn import KerasClassifier, KerasRegressor
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

seed = 7
numpy.random.seed(seed)
X = numpy.random.normal(size=(60, 4))
Y = (X[:, 0] > X[:, 1]).astype(int)


def create_model(optimizer="rmsprop", init="glorot_uniform", dropout_rate=0.0, neurons=6):
    model = Sequential()
    model.add(Dense(neurons, input_dim=4, init=init, activation="relu"))
    model.add(Dropout(dropout_rate))
    model.add(Dense(1, init=init, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model


model = KerasClassifier(build_fn=create_model, nb_epoch=4, batch_size=10, verbose=0)
kfold = StratifiedKFold(n_splits=3, shuffle=True, random_state=seed)
results = cross_val_score(model, X, Y, cv=kfold)
assert results.shape == (3,) and (results >= 0).all() and (results <= 1).all()

model = KerasClassifier(build_fn=create_model, verbose=0)
param_grid = dict(optimizer=["rmsprop", "adam"], nb_epoch=[2, 4], init=["uniform"])
grid = GridSearchCV(estimator=model, param_grid=param_grid, cv=2)
grid_result = grid.fit(X, Y)
print("Best: %f using %s" % (grid_result.best_score_, grid_result.best_params_))
assert set(grid_result.best_params_) == {"optimizer", "nb_epoch", "init"}
assert len(grid_result.cv_results_["mean_test_score"]) == 4
assert grid_result.best_estimator_.model.predict_classes(X, verbose=0).shape == (60, 1)


def baseline():
    model = Sequential()
    model.add(Dense(8, input_dim=4, init="normal", activation="relu"))
    model.add(Dense(3, init="normal", activation="sigmoid"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


flowers = numpy.array(["Iris-setosa", "Iris-versicolor", "Iris-virginica"])[numpy.digitize(X[:, 0], [-0.5, 0.5])]
encoder = LabelEncoder()
encoded_Y = encoder.fit_transform(flowers)
dummy_y = numpy.eye(3)[encoded_Y]
estimator = KerasClassifier(build_fn=baseline, nb_epoch=5, batch_size=5, verbose=0)
results = cross_val_score(estimator, X, dummy_y, cv=KFold(n_splits=3, shuffle=True, random_state=seed))
print("Accuracy: %.2f%% (%.2f%%)" % (results.mean() * 100, results.std() * 100))
estimator.fit(X, dummy_y)
assert set(encoder.inverse_transform(estimator.predict(X, verbose=0))) <= set(flowers)


def larger():
    model = Sequential()
    model.add(Dense(8, input_dim=4, init="normal", activation="relu"))
    model.add(Dense(1, init="normal"))
    model.compile(loss="mean_squared_error", optimizer="adam")
    return model


estimators = [("standardize", StandardScaler()),
              ("mlp", KerasRegressor(build_fn=larger, nb_epoch=5, batch_size=5, verbose=0))]
pipeline = Pipeline(estimators)
results = cross_val_score(pipeline, X, X[:, 0] * 3, cv=KFold(n_splits=3))
print("Larger: %.2f (%.2f) MSE" % (results.mean(), results.std()))
assert (results > 0).all()  # Keras 1's score is the loss itself
