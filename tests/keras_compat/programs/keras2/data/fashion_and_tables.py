"""A notebook of 2019: a pandas table, scikit-learn's scaling and folds, class weights, several inputs."""

import numpy as np
import pandas as pd
from keras import regularizers
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.layers import BatchNormalization, Concatenate, Dense, Dropout, Embedding, Flatten, Input, concatenate
from keras.models import Model, Sequential, load_model
from keras.utils import plot_model
from keras.wrappers.scikit_learn import KerasRegressor
from sklearn.compose import ColumnTransformer
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import KFold, RandomizedSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

np.random.seed(42)
n = 120
df = pd.DataFrame({
    "age": np.random.randint(18, 70, n), "fare": np.random.gamma(2, 20, n), "port": np.random.choice(list("CQS"), n),
    "cabin": np.random.randint(0, 9, n)})
df["survived"] = ((df["fare"] > 35) | (df["port"] == "C")).astype(int)
X_train, X_test, y_train, y_test = train_test_split(df.drop("survived", axis=1), df["survived"], test_size=0.25,
                                                    random_state=0)
prepare = ColumnTransformer([("num", StandardScaler(), ["age", "fare"]), ("cat", OneHotEncoder(), ["port"])])
a_train, a_test = np.asarray(prepare.fit_transform(X_train)), np.asarray(prepare.transform(X_test))

model = Sequential()
model.add(Dense(16, activation="relu", kernel_regularizer=regularizers.l2(0.001), input_shape=(a_train.shape[1],)))
model.add(BatchNormalization())
model.add(Dropout(0.2))
model.add(Dense(1, activation="sigmoid"))
model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["acc"])
weights = {0: 1., 1: float((y_train == 0).sum()) / (y_train == 1).sum()}
history = model.fit(a_train, y_train, epochs=30, batch_size=16, validation_data=(a_test, y_test), class_weight=weights,
                    callbacks=[EarlyStopping(patience=10), ModelCheckpoint("best.h5", monitor="val_acc", save_best_only=True)],
                    verbose=0)
acc, val_acc, loss, val_loss = [history.history[name] for name in ("acc", "val_acc", "loss", "val_loss")]
assert len(acc) == len(val_loss) and max(val_acc) > 0.5
y_pred = model.predict_classes(a_test)
assert confusion_matrix(y_test, y_pred).sum() == len(y_test)
assert "precision" in classification_report(y_test, y_pred, zero_division=0)
assert load_model("best.h5").evaluate(a_test, y_test, verbose=0)[1] >= max(val_acc) - 1e-6

numbers = Input(shape=(2,), name="numbers")
cabin = Input(shape=(1,), name="cabin")
merged = concatenate([numbers, Flatten()(Embedding(9, 3)(cabin))])
out = Dense(1, activation="sigmoid", name="out")(Dense(8, activation="relu")(merged))
deep = Model(inputs=[numbers, cabin], outputs=[out])
deep.compile("adam", "binary_crossentropy", metrics=["accuracy"])
deep.fit([X_train[["age", "fare"]].values / 100., X_train["cabin"].values], y_train.values, epochs=2, verbose=0)
deep.fit({"numbers": X_train[["age", "fare"]].values / 100., "cabin": X_train["cabin"].values}, {"out": y_train.values},
         epochs=1, verbose=0)
assert deep.predict([X_test[["age", "fare"]].values / 100., X_test["cabin"].values]).shape == (30, 1)
deep.summary()
try:
    plot_model(deep, to_file="model.png", show_shapes=True)
except (ImportError, OSError):
    print("no graphviz here")


def build_model(units=8, optimizer="adam"):
    model = Sequential([Dense(units, activation="relu", input_shape=(2,)), Dense(1)])
    model.compile(loss="mse", optimizer=optimizer, metrics=["mae"])
    return model


pipeline = Pipeline([("standardize", StandardScaler()), ("mlp", KerasRegressor(build_fn=build_model, epochs=5, verbose=0))])
table, target = df[["age", "cabin"]].astype(float), df["age"] / 10.
results = cross_val_score(pipeline, table, target, cv=KFold(n_splits=3))
print("Standardized: %.2f (%.2f) MSE" % (results.mean(), results.std()))
assert (results < 0).all()
search = RandomizedSearchCV(KerasRegressor(build_model, verbose=0), {"units": [4, 8], "epochs": [2, 3]}, n_iter=3, cv=2,
                            random_state=0)
search.fit(table.values / 50, target.values)
assert set(search.best_params_) == {"units", "epochs"}
