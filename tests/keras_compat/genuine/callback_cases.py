"""Scripted courses of training for callbacks: what a callback does is told by what it does to a model that is none.

Runs in a genuine Keras (Python 3.7, see ``write_callbacks.py``) and in ours; both give ``play`` their own modules.
"""

import contextlib
import io
import os
import re
import tempfile
import warnings

NAN = float("nan")

# Losses that fall, rest, rise, and fall again; accuracies that do the like.
FALLING = [1.0, 0.8, 0.8, 0.79, 0.85, 0.9, 0.7, 0.7, 0.7, 0.7, 0.69, 0.95]
RISING = [0.1, 0.3, 0.3, 0.31, 0.2, 0.1, 0.5, 0.5, 0.5, 0.5, 0.51, 0.2]
BROKEN = [1.0, NAN, 0.9, NAN, NAN, 0.8, 0.85, 0.7]


def logs_of(name, values, **more):
    """Return logs of as many epochs."""
    return [{"loss": 2.0 - 0.1 * i, name: value, **more} for i, value in enumerate(values)]


def cases(level):
    """Yield (name, class, arguments, logs of epochs); arguments in the words of the level."""
    old = level == "1.2"
    delta = "epsilon" if old else "min_delta"
    fall, rise = logs_of("val_loss", FALLING), logs_of("val_acc", RISING)
    for patience in (0, 1, 2, 3, 5):
        yield f"stop-patience-{patience}", "EarlyStopping", {"patience": patience, "verbose": 1}, fall
        yield f"plateau-patience-{patience}", "ReduceLROnPlateau", {"patience": patience, "verbose": 1}, fall
    for wanted in (0.005, 0.02, 0.2):
        yield f"stop-delta-{wanted}", "EarlyStopping", {"min_delta": wanted, "patience": 2}, fall
        yield f"stop-delta-up-{wanted}", "EarlyStopping", {"monitor": "val_acc", "min_delta": wanted}, rise
        yield f"plateau-delta-{wanted}", "ReduceLROnPlateau", {delta: wanted, "patience": 1, "factor": 0.5}, fall
    for mode in ("min", "max", "auto"):
        for monitor, logs in (("val_loss", fall), ("val_acc", rise)):
            tail = f"-{mode}-{monitor}"
            yield "stop" + tail, "EarlyStopping", {"monitor": monitor, "mode": mode, "patience": 2}, logs
            settings = {"monitor": monitor, "mode": mode, "patience": 1, "factor": 0.5}
            yield "plateau" + tail, "ReduceLROnPlateau", settings, logs
            settings = {"filepath": "best.h5", "monitor": monitor, "mode": mode, "save_best_only": True, "verbose": 1}
            yield "save" + tail, "ModelCheckpoint", settings, logs
    yield "stop-fmeasure", "EarlyStopping", {"monitor": "fmeasure_val", "patience": 2}, logs_of("fmeasure_val", RISING)
    settings = {"filepath": "a.h5", "monitor": "fmeasure_val", "save_best_only": True}
    yield "save-fmeasure", "ModelCheckpoint", settings, logs_of("fmeasure_val", RISING)
    yield "stop-nan", "EarlyStopping", {"patience": 2}, logs_of("val_loss", BROKEN)
    yield "plateau-nan", "ReduceLROnPlateau", {"patience": 1}, logs_of("val_loss", BROKEN)
    settings = {"filepath": "a.h5", "save_best_only": True, "verbose": 1}
    yield "save-nan", "ModelCheckpoint", settings, logs_of("val_loss", BROKEN)
    for cooldown in (1, 2, 4):
        settings = {"patience": 1, "cooldown": cooldown, "factor": 0.5, "verbose": 1}
        yield f"plateau-cooldown-{cooldown}", "ReduceLROnPlateau", settings, fall
    for least in (0.001, 0.03, 0.1):
        settings = {"patience": 0, "factor": 0.5, "min_lr": least, "verbose": 1}
        yield f"plateau-least-{least}", "ReduceLROnPlateau", settings, fall
    for period in (1, 2, 3, 5):
        settings = {"filepath": "w.{epoch:02d}-{val_loss:.2f}.h5", "period": period, "verbose": 1}
        yield f"save-period-{period}", "ModelCheckpoint", settings, fall
        settings = {"filepath": "w.{epoch:03d}.h5", "period": period, "save_best_only": True, "save_weights_only": True}
        yield f"save-best-period-{period}", "ModelCheckpoint", settings, fall
    if not old:
        for baseline in (0.5, 0.75, 0.9):
            settings = {"baseline": baseline, "patience": 2, "verbose": 1}
            yield f"stop-baseline-{baseline}", "EarlyStopping", settings, fall
        for patience in (1, 2, 4):
            settings = {"restore_best_weights": True, "patience": patience, "verbose": 1}
            yield f"stop-restore-{patience}", "EarlyStopping", settings, fall
        settings = {"restore_best_weights": True, "monitor": "val_acc", "patience": 2}
        yield "stop-restore-up", "EarlyStopping", settings, rise
        for name in ("halve", "by_rate", "as_float32"):
            yield "rate-" + name, "LearningRateScheduler", {"schedule": SCHEDULES[name], "verbose": 1}, fall[:4]
    yield "rate", "LearningRateScheduler", {"schedule": SCHEDULES["halve"]}, fall[:4]
    yield "rate-no-float", "LearningRateScheduler", {"schedule": SCHEDULES["whole"]}, fall[:2]


SCHEDULES = {
    "halve": lambda epoch: 0.1 * 0.5**epoch,
    "by_rate": lambda epoch, rate: rate * 0.9,
    "as_float32": lambda epoch, rate=0.0: __import__("numpy").float32(0.25),
    "whole": lambda epoch: 1,
}


class Model:
    """What callbacks ask of a model; ``done`` tells what they did."""

    def __init__(self, rate, log):
        self.optimizer = type("Optimizer", (), {"lr": rate})()
        self.stop_training = False
        self.weights = None
        self.done = []
        self.log = log

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.done.append(["weights", weights])

    def save(self, path, overwrite=True):
        self.done.append(["save", path])

    def save_weights(self, path, overwrite=True):
        self.done.append(["save_weights", path])


def play(callbacks, backend, name, arguments, epochs):
    """Return what a callback does in the course of epochs; it is followed until it stops the training, and no further.

    Args:
        callbacks: the module of that name.
        backend: Keras's backend.
        name: of the class.
        arguments: of its constructor.
        epochs: logs of each.
    """
    model = Model(backend.variable(0.1), [])
    rates, done, names, printed, error = [], {}, [], io.StringIO(), ""
    with warnings.catch_warnings(record=True) as told, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            callback = getattr(callbacks, name)(**arguments)
            callback.set_model(model)
            callback.set_params({"metrics": sorted(epochs[0]), "epochs": len(epochs), "verbose": 1})
            callback.on_train_begin({})
            for epoch, logs in enumerate(epochs):
                model.weights, model.done = epoch, []
                logs = dict(logs)
                callback.on_epoch_begin(epoch, {})
                callback.on_epoch_end(epoch, logs)
                rates.append(float(backend.get_value(model.optimizer.lr)))
                names = sorted(logs)
                if model.done:
                    done[str(epoch)] = model.done
                if model.stop_training:
                    break
            callback.on_train_end({})
        except ValueError as raised:
            error = type(raised).__name__
    warned = [str(w.message) for w in told if issubclass(w.category, (UserWarning, RuntimeWarning))]
    ended = len(rates) if model.stop_training else None
    found = {"rates": rates if len(set(rates)) > 1 else rates[:1], "done": done, "ended after": ended}
    return dict(found, names=names, printed=printed.getvalue(), warned=warned, error=error)


# -- rows of CSVLogger ------------------------------------------------------------------------------------------------


def csv_cases(numpy):
    """Yield (name, arguments, logs of epochs of one training or of two)."""
    plain = [{"loss": 0.5 / (i + 1), "acc": numpy.float32(0.1 * i), "val_loss": numpy.float64(1) / 3} for i in range(3)]
    yield "plain", {}, [plain]
    yield "tabs", {"separator": "\t"}, [plain]
    yield "semicolon", {"separator": ";"}, [plain]
    yield "append", {"append": True}, [plain, plain[:2]]
    yield "anew", {}, [plain, plain[:2]]
    kinds = {
        "a": numpy.array([0.5, 0.25, 1.0]),
        "b": [1, 2, 3],
        "c": numpy.array(0.125),
        "d": numpy.float32(0.1),
        "e": 1e-7,
        "f": 3,
        "g": numpy.float32(0.009999999776482582),
        "h": NAN,
        "i": (0.5,),
        "j": numpy.float64(1e30),
    }
    yield "kinds", {}, [[kinds, kinds]]
    yield "texts", {}, [[{"note": 'a, "b"', "loss": 1.0}]]


def csv_bytes(callbacks, arguments, trainings):
    """Return what a CSVLogger has written after trainings, as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log.csv")
        for epochs in trainings:
            logger = callbacks.CSVLogger(path, **arguments)
            logger.set_model(Model(None, []))
            logger.set_params({"metrics": []})
            logger.on_train_begin({})
            for epoch, logs in enumerate(epochs):
                logger.on_epoch_begin(epoch, {})
                logger.on_epoch_end(epoch, dict(logs))
            logger.on_train_end({})
        with open(path, "rb") as file:
            return file.read().decode("utf-8")


# -- averages ---------------------------------------------------------------------------------------------------------

BATCHES = [(32, 0.5, 0.25), (32, 0.25, 0.75), (7, 4.0, 0.5)]


def averages(callbacks, arguments):
    """Return the logs that a BaseLogger makes of batches."""
    logger = callbacks.BaseLogger(**arguments)
    logger.set_params({"metrics": ["loss", "acc", "val_loss"]})
    found = []
    for epoch in range(2):
        logger.on_epoch_begin(epoch, {})
        for i, (size, loss, acc) in enumerate(BATCHES):
            logger.on_batch_end(i, {"batch": i, "size": size, "loss": loss + epoch, "acc": acc})
        logs = {"val_loss": 9.0}
        logger.on_epoch_end(epoch, logs)
        found.append({name: float(value) for name, value in logs.items()})
    return found


def until_nan(callbacks):
    """Return after which batch TerminateOnNaN has stopped, for losses of which one is not finite, and its words."""
    found = []
    for bad in (NAN, float("inf"), -float("inf")):
        model, printed = Model(None, []), io.StringIO()
        callback = callbacks.TerminateOnNaN()
        callback.set_model(model)
        with contextlib.redirect_stdout(printed):
            for batch, loss in enumerate((1.0, 1e30, bad, 1.0)):
                callback.on_batch_end(batch, {"loss": loss})
                if model.stop_training:
                    break
        found.append([batch, printed.getvalue()])
    return found


# -- lines of bars ----------------------------------------------------------------------------------------------------

BARS = [
    {"target": 1, "width": 30, "values": [("loss", 0.5)]},
    {"target": 10, "width": 30, "values": [("loss", 0.5), ("acc", 0.0001)]},
    {"target": 1234, "width": 30, "values": [("loss", 123456.0), ("acc", 1.0)]},
    {"target": 60000, "width": 20, "values": [("loss", -0.5)]},
    {"target": 999, "width": 5, "values": []},
    {"target": None, "width": 30, "values": [("loss", 0.25)]},
]


def bars(Progbar):
    """Return the lines that bars show half-way and at the end, without times."""
    found = []
    for bar in BARS:
        made = Progbar(bar["target"], width=bar["width"], verbose=1, interval=0.0)
        out = io.StringIO()
        half = max((bar["target"] or 6) // 2, 1)
        with contextlib.redirect_stdout(out):
            made._dynamic_display = True
            made.update(half, bar["values"])
            made.update(bar["target"] or 6, bar["values"])
            plain = Progbar(bar["target"], width=bar["width"], verbose=2)
            plain.update(half, bar["values"])
            plain.update(bar["target"] or 6, bar["values"])
        lines = [line.strip("\b \n") for line in out.getvalue().split("\r")[1:]]
        found.append([re.sub(r"- \d+s( \d+[mu]?s/step)?", "- TIME", line) for line in lines])
    return found


# -- what callbacks are told in real trainings ------------------------------------------------------------------------

HOOKS = [f"on_{what}_{when}" for what in ("epoch", "batch", "train") for when in ("begin", "end")]
HOOKS_2 = [f"on_{what}_{when}" for what in ("train_batch", "test", "predict") for when in ("begin", "end")]
HOOKS_2 += [f"on_{what}_batch_{when}" for what in ("test", "predict") for when in ("begin", "end")]


def spy(Callback, hooks, notes):
    """Return a callback that notes all it is told: hook, number, names in the logs, batch and size among them."""

    def noting(hook):
        def note(self, *args):
            number, logs = (args[0], args[1]) if len(args) == 2 else (None, args[0] if args else None)
            logs = logs or {}
            sizes = [int(logs[name]) for name in ("batch", "size") if name in logs]
            notes.append([hook, number, sorted(logs), sizes])

        return note

    made = {hook: noting(hook) for hook in hooks}
    made["on_train_begin"] = lambda self, logs=None: notes.append(["params", told_params(self.params)])
    return type("Spy", (Callback,), made)()


def told_params(params):
    """Return what is told of a run, in the words of Keras 2."""
    renamed = {"nb_epoch": "epochs", "nb_sample": "samples"}
    found = {renamed.get(name, name): value for name, value in params.items()}
    # Generators have val_ names among them without any validation, too.
    found["metrics"] = sorted(name for name in found["metrics"] if not name.startswith("val_"))
    return {
        name: found.get(name)
        for name in ("batch_size", "epochs", "samples", "steps", "verbose", "do_validation", "metrics")
    }


def told(keras, numpy, level):
    """Return what callbacks are told in trainings, evaluations and predictions."""
    old = level == "1.2"
    epochs = "nb_epoch" if old else "epochs"
    x, y = numpy.ones((10, 3), "float32"), numpy.ones((10, 1), "float32")

    def batches():
        while True:
            yield x[:4], y[:4]

    def model():
        made = keras.models.Sequential([keras.layers.Dense(1, input_dim=3)])
        made.compile("sgd", "mse", metrics=["mae"])
        return made

    def generated(made, **more):
        if old:
            more["nb_val_samples"] = more.pop("validation_steps", 0) * 4 or None
            return made.fit_generator(batches(), 12, 2, verbose=0, **more)
        return made.fit_generator(batches(), 3, 2, verbose=0, **more)

    runs = {
        "arrays": lambda made, **more: made.fit(x, y, batch_size=4, verbose=0, **dict(more, **{epochs: 2})),
        "validated": lambda made, **more: made.fit(
            x, y, batch_size=4, verbose=0, validation_data=(x[:5], y[:5]), **dict(more, **{epochs: 1})
        ),
        "split": lambda made, **more: made.fit(
            x, y, batch_size=3, verbose=0, validation_split=0.3, **dict(more, **{epochs: 1})
        ),
        "generator": generated,
        "generator and arrays": lambda made, **more: generated(made, validation_data=(x[:5], y[:5]), **more),
        "generators": lambda made, **more: generated(made, validation_data=batches(), validation_steps=2, **more),
    }
    if not old:
        runs["from epoch 1"] = lambda made, **more: made.fit(x, y, epochs=3, initial_epoch=1, verbose=0, **more)
    if level == "2.3":
        runs["evaluate"] = lambda made, **more: made.evaluate(x, y, batch_size=4, verbose=0, **more)
        runs["predict"] = lambda made, **more: made.predict(x, batch_size=4, **more)
        runs["evaluate_generator"] = lambda made, **more: made.evaluate_generator(batches(), 2, **more)
        runs["predict_generator"] = lambda made, **more: made.predict_generator(batches(), 2, **more)
        runs["not each epoch"] = lambda made, **more: made.fit(
            x, y, epochs=3, verbose=0, validation_split=0.3, validation_freq=2, **more
        )
    found = {}
    for name, run in runs.items():
        notes = []
        run(model(), callbacks=[spy(keras.callbacks.Callback, HOOKS + (HOOKS_2 if level == "2.3" else []), notes)])
        found[name] = notes
    return found
