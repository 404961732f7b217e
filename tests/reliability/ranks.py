"""What tests of distributed training run on ranks: ``mpiexec -n 2 python -m tests.reliability.ranks FOLDER NAME``.

Each check is a function that raises where something is wrong. Rank 0 writes what came out of each into
``FOLDER/NAME.json``: "ok", or the tracebacks. After the first that fails the rest is left out, as ranks may be out of
step then.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import autotensor as at
import keras_compat.distributed as hvd
from keras_compat import backend as K
from keras_compat import callbacks as cbks
from keras_compat import layers as L
from keras_compat import models, optimizers
from keras_compat.distributed import state
from keras_compat.distributed.communicator import Alone
from keras_compat.models import Sequential

BATCH = 32


@contextmanager
def alone() -> Iterator[None]:
    """This process as the only rank."""
    before, state._job = state._job, Alone()
    try:
        yield
    finally:
        state._job = before


def everywhere(value: Any) -> list[Any]:
    """What each rank has, not by the functions that are tested."""
    return state.job().gather(value)


def digest(model: Any) -> str:
    """Of the weights and of the state of the optimizer."""
    arrays = [*model.get_weights(), *model.optimizer.get_weights()]
    return hashlib.sha256(b"".join([np.ascontiguousarray(a).tobytes() for a in arrays])).hexdigest()


def raised(kind: type[BaseException], call: Callable[[], Any], *texts: str) -> None:
    """See that every rank gets this error, with these words in it."""
    try:
        call()
    except kind as error:
        found = str(error)
    else:
        found = "no error"
    for of_rank in everywhere(found):
        assert all(text in of_rank for text in texts), of_rank


# -- networks ---------------------------------------------------------------------------------------------------------


def mlp() -> Any:
    return Sequential([L.Dense(12, activation="tanh", input_shape=(10,)), L.Dense(3, activation="softmax")])


def frozen() -> Any:
    model = Sequential([L.Dense(8, activation="relu", input_shape=(10,)), L.Dense(6), L.Dense(3, activation="softmax")])
    model.layers[1].trainable = False
    return model


def functional() -> Any:
    x = L.Input((10,))
    a, b = L.Dense(5, activation="tanh")(x), L.Dense(5)(x)
    return models.Model(x, L.Dense(3, activation="softmax")(L.concatenate([L.add([a, b]), b])))


def cnn() -> Any:
    return Sequential(
        [
            L.Conv2D(3, 3, activation="relu", input_shape=(6, 6, 2)),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(3, activation="softmax"),
        ]
    )


def lstm() -> Any:
    return Sequential([L.LSTM(5, input_shape=(4, 3)), L.Dense(3, activation="softmax")])


def embedding() -> Any:
    return Sequential(
        [L.Embedding(20, 4, input_length=5), L.GlobalAveragePooling1D(), L.Dense(3, activation="softmax")]
    )


SHAPES = {"cnn": (6, 6, 2), "lstm": (4, 3), "embedding": (5,)}
CASES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "mlp": (mlp, lambda: optimizers.SGD(lr=0.1, momentum=0.9, nesterov=True, decay=0.01, clipnorm=0.2)),
    "frozen": (frozen, lambda: optimizers.Nadam(clipvalue=0.01)),
    "functional": (functional, lambda: optimizers.Adamax()),
    "cnn": (cnn, lambda: optimizers.SGD(lr=0.1)),
    "lstm": (lstm, lambda: optimizers.Adadelta()),
    "embedding": (embedding, lambda: optimizers.Adagrad()),
}


def data(name: str, batches: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(7)
    shape = (batches * BATCH, *SHAPES.get(name, (10,)))
    x = rng.randint(0, 20, shape) if name == "embedding" else rng.randn(*shape).astype("float32")
    return x, np.eye(3, dtype="float32")[rng.randint(0, 3, len(x))]


def trained(name: str, passes: int = 0, steps: int = 3, same: bool = True, **options: Any) -> Any:
    """A network after some steps: on whole batches with a plain optimizer, or on shares of them with that of all ranks.

    A batch is cut into as many parts as all ranks have passes; rank 0 has the first of them.
    """
    np.random.seed(3)
    network, optimizer = CASES[name]
    model, chosen = network(), optimizer()
    if passes:
        options = {"backward_passes_per_step": passes, "average_aggregated_gradients": True, **options}
        chosen = hvd.DistributedOptimizer(chosen, **options)
    model.compile(chosen, "categorical_crossentropy")
    x, y = data(name, steps)
    n = BATCH // (hvd.size() * passes) if passes else BATCH
    for step in range(steps):
        for k in range(max(passes, 1)):
            start = step * BATCH + (hvd.rank() * passes + k) * n
            model.train_on_batch(x[start : start + n], y[start : start + n])
        if passes and same:
            assert len(set(everywhere(digest(model)))) == 1, f"ranks differ after step {step}"
    return model


def distance(a: Any, b: Any) -> float:
    return max([float(np.abs(v - w).max()) for v, w in zip(a.get_weights(), b.get_weights(), strict=True)])


# -- checks -----------------------------------------------------------------------------------------------------------


def check_two_half_batches_are_one(folder: Path) -> None:
    for name in CASES:
        away = distance(trained(name, 1), trained(name))
        assert away < 1e-6, f"{name}: {away}"


def check_the_same_bits_for_any_number_of_ranks(folder: Path) -> None:
    with at.config.use(deterministic=True):
        for name, passes in (("mlp", 1), ("mlp", 2), ("lstm", 1), ("embedding", 1)):
            together = digest(trained(name, passes))
            with alone():
                assert digest(trained(name, 2 * passes, same=False)) == together, name


def check_kinds_of_sums(folder: Path) -> None:
    plain = trained("mlp", 1)
    assert distance(trained("mlp", 1, compression=hvd.Compression.fp16), plain) < 2e-3
    assert distance(trained("mlp", 1, compression=hvd.Compression.fp16), plain) > 0
    assert distance(trained("mlp", 1, gradient_predivide_factor=4.0), plain) < 1e-6
    assert distance(trained("mlp", 1, groups=3), plain) < 1e-6
    # The sum over ranks is as many times the average: a learning rate of half as much makes the same step.
    np.random.seed(1)
    x, y = data("mlp", 1)
    found = []
    for rate, op in ((0.1, hvd.Average), (0.05, hvd.Sum)):
        model = models.model_from_json(plain.to_json())
        model.set_weights(plain.get_weights())
        model.compile(hvd.DistributedOptimizer(optimizers.SGD(lr=rate), op=op), "categorical_crossentropy")
        model.train_on_batch(x[hvd.rank() :: 2], y[hvd.rank() :: 2])
        found.append(model)
    assert distance(*found) < 1e-6


def check_buffers_begin_while_backward_runs(folder: Path) -> None:
    os.environ["HOROVOD_FUSION_THRESHOLD"] = "600"
    try:
        model = trained("mlp", 1)
    finally:
        del os.environ["HOROVOD_FUSION_THRESHOLD"]
    assert distance(model, trained("mlp", 1)) < 1e-6
    (plan,) = model._steps.get(True, False, True).plans
    labels = [call.label for call in plan.calls]
    starts = [i for i, label in enumerate(labels) if label == "reduce_start"]
    finishes = [i for i, label in enumerate(labels) if label == "reduce_finish"]
    products = [i for i, label in enumerate(labels) if "matmul" in label]
    assert len(starts) == len(finishes) == 2
    assert starts[0] < products[-1] < starts[-1] < finishes[0], labels


def check_bound_calls(folder: Path) -> None:
    """The form of plans with kernels, on operations that need none."""
    w = [K.variable(np.full(5, 2.0 + i), name=f"w{i}") for i in range(2)]
    x = K.placeholder((5,))
    loss = K.sum(x * w[0] * w[0] + w[1] * x)
    optimizer = hvd.DistributedOptimizer(optimizers.SGD(lr=1.0))
    with at.config.use(fuse=False, numba=True):
        step = K.function([x], [loss], optimizer.get_updates(loss, w))
        step([np.arange(5, dtype="float32") * (1 + hvd.rank())])
    assert np.allclose(K.get_value(w[0]), 2 - 2 * 2 * np.arange(5) * 1.5)
    assert np.allclose(K.get_value(w[1]), 3 - np.arange(5) * 1.5)


def check_fit_and_its_callbacks(folder: Path) -> None:
    rank, size = hvd.rank(), hvd.size()
    x, y = data("mlp", 4)
    mine = x[rank::size], y[rank::size]
    np.random.seed(rank)  # each rank begins elsewhere
    model = mlp()
    model.compile(hvd.DistributedOptimizer(optimizers.SGD(lr=0.1, momentum=0.5)), "categorical_crossentropy", ["acc"])
    assert len(set(everywhere(digest(model)))) == size
    first = everywhere([w.copy() for w in model.get_weights()])[0]
    seen: list[list[np.ndarray]] = []
    hashes = cbks.LambdaCallback(
        on_train_begin=lambda logs: seen.append(model.get_weights()),
        on_batch_end=lambda batch, logs: seen.append(everywhere(digest(model))),
        on_epoch_end=lambda epoch, logs: seen.append(dict(logs)),
    )
    broadcast, average = hvd.callbacks.BroadcastGlobalVariablesCallback(0), hvd.callbacks.MetricAverageCallback()
    before = cbks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    history = model.fit(
        *mine,
        batch_size=16,
        epochs=1,
        verbose=0,
        validation_data=mine,
        callbacks=[broadcast, before, average, hashes],
    )
    assert all((a == b).all() for a, b in zip(seen[0], first)), "rank 0's weights"
    assert len(seen) == 1 + 4 + 2 and all(len(set(of_all)) == 1 for of_all in seen[1:5])
    own, averaged = everywhere(seen[-2]), seen[-1]
    for name in ("loss", "acc", "val_loss", "val_acc"):
        assert np.isclose(averaged[name], np.mean([logs[name] for logs in own])), name
        assert history.history[name] == [averaged[name]]
    assert len({logs["loss"] for logs in own}) == size
    # Generators and sequences of batches take the same way.
    model.fit_generator(((*mine,) for _ in range(3)), steps_per_epoch=2, verbose=0)
    assert len(set(everywhere(digest(model)))) == 1


def check_learning_rates(folder: Path) -> None:
    size, rates = hvd.size(), []
    x, y = data("mlp", 4)
    model = mlp()
    optimizer = optimizers.SGD(lr=0.1 * size, momentum=0.9)
    model.compile(hvd.DistributedOptimizer(optimizer), "categorical_crossentropy")
    look = cbks.LambdaCallback(
        on_batch_begin=lambda batch, logs: rates.append(
            [K.get_value(model.optimizer.lr), K.get_value(optimizer.momentum)]
        )
    )
    warmup = hvd.callbacks.LearningRateWarmupCallback(0.1 * size, warmup_epochs=2)
    later = hvd.callbacks.LearningRateScheduleCallback(
        0.1 * size, multiplier=0.1, start_epoch=2, momentum_correction=False
    )
    history = model.fit(x, y, batch_size=64, epochs=4, verbose=0, callbacks=[warmup, later, look])
    want = [0.1 * size * (((e + b / 2 + 0.5) * (size - 1) / 2 + 1) / size) for e in range(2) for b in range(2)]
    want += [0.1 * size * 0.1**e for e in (2, 2, 3, 3)]
    assert np.allclose([rate for rate, _ in rates], want, rtol=1e-6)
    assert np.allclose(history.history["lr"], want[1::2], rtol=1e-6)
    scaled = [0.9 * now / before for before, now in zip([0.1 * size, *want], want[:4])]
    assert np.allclose([momentum for _, momentum in rates], scaled + [0.9] * 4, rtol=1e-6)
    assert np.isclose(K.get_value(optimizer.momentum), 0.9)


def check_values(folder: Path) -> None:
    rank, size = hvd.rank(), hvd.size()
    assert (rank, size) in [(0, 2), (1, 2)] and hvd.local_size() == 2 and hvd.local_rank() == rank
    assert hvd.cross_size() == 1 and hvd.cross_rank() == 0 and hvd.is_homogeneous()
    array = np.arange(6.0, dtype="float32").reshape(2, 3) + rank
    assert np.array_equal(hvd.allreduce(array), np.arange(6).reshape(2, 3) + 0.5)
    assert hvd.allreduce(array).dtype == np.float32
    assert np.array_equal(hvd.allreduce(array, average=False), 2 * np.arange(6).reshape(2, 3) + 1)
    assert hvd.allreduce(rank + 1, op=hvd.Max) == 2 and hvd.allreduce(rank + 1, op=hvd.Min) == 1
    assert hvd.allreduce(rank + 2, op=hvd.Product) == 6 and hvd.allreduce(rank) == 0.5
    assert hvd.allreduce(np.float16(rank)).dtype == np.float16 and hvd.allreduce(rank == 0, op=hvd.Sum) == 1
    assert hvd.allreduce(1.0, op=hvd.Sum, prescale_factor=3.0, postscale_factor=0.5) == 3
    assert hvd.allreduce(np.float32(1 / 3), compression=hvd.Compression.fp16) == np.float16(1 / 3)
    gathered = hvd.allgather(np.full((1 + rank, 2), rank))
    assert np.array_equal(gathered, [[0, 0], [1, 1], [1, 1]]) and np.array_equal(hvd.allgather(rank), [0, 1])
    assert np.array_equal(hvd.broadcast(array, 1), np.arange(6).reshape(2, 3) + 1) and hvd.broadcast(rank, 0) == 0
    hvd.barrier()
    raised(hvd.DistributedError, lambda: hvd.allreduce(np.zeros(3 + rank)), "rank 0 has float64(3,)", "float64(4,)")
    raised(hvd.DistributedError, lambda: hvd.broadcast(np.zeros(3, ["f4", "f8"][rank]), 0), "same shape and dtype")
    raised(hvd.DistributedError, lambda: hvd.allgather(np.zeros((2, 3 + rank))), "first axis")
    raised(ValueError, lambda: hvd.broadcast(1, 2), "one of 2 ranks")
    raised(ValueError, lambda: hvd.allreduce(1.0, op=hvd.Adasum), "Adasum")


def check_broadcast_of_all_models(folder: Path) -> None:
    np.random.seed(hvd.rank())
    kept = [mlp(), cnn()]
    kept[0].compile(hvd.DistributedOptimizer("adam"), "categorical_crossentropy")
    kept[0].train_on_batch(*[a[:8] for a in data("mlp", 1)])
    hvd.broadcast_global_variables(1)
    for model in kept:
        of_all = everywhere([w.tobytes() for w in model.get_weights()])
        assert of_all[0] == of_all[1]
    assert len(set(everywhere(digest(kept[0])))) == 1
    other = kept[hvd.rank()].weights
    raised(hvd.DistributedError, lambda: hvd.broadcast_variables(other, 0), "rank 0 has 4", "rank 1 has 4")


def check_different_ranks_are_told(folder: Path) -> None:
    rank = hvd.rank()
    x, y = data("mlp", 2)
    model = mlp()
    model.compile(hvd.DistributedOptimizer("sgd"), "categorical_crossentropy")
    one, two = "rank 0 has epoch 1 with 4, rank 1 has epoch 1 with 3", "rank 0 has epoch 1 with 2, rank 1 has epoch 2"
    raised(ValueError, lambda: model.fit(x[: 64 - 16 * rank], y[: 64 - 16 * rank], 16, verbose=0), one)
    raised(ValueError, lambda: model.fit(x, y, 32, epochs=3, initial_epoch=rank, verbose=0), two)
    raised(ValueError, lambda: model.fit_generator(((x, y) for _ in range(9)), 2 + rank, verbose=0), "same number")
    other = Sequential([L.Dense(3 + rank, input_shape=(10,))])
    other.compile(hvd.DistributedOptimizer("sgd"), "mse")
    texts = "expected the same gradients on all ranks", "(3,), float32 where rank 1 has a gradient of shape (4,)"
    raised(hvd.DistributedError, lambda: other.train_on_batch(x, np.zeros((64, 3 + rank))), *texts)
    average = hvd.callbacks.MetricAverageCallback()
    logs = {"loss": 1.0, "val_loss": 2.0} if rank else {"loss": 1.0}
    raised(hvd.DistributedError, lambda: average.on_epoch_end(0, logs), "validation data")


def check_files(folder: Path) -> None:
    rank = hvd.rank()
    x, y = data("mlp", 1)
    model = trained("mlp", 1)
    own, shared = folder / "own.h5", folder / "shared.h5"
    if rank == 0:
        model.save(own)
    hvd.barrier()
    plain = models.load_model(own)
    assert type(plain.optimizer) is optimizers.SGD and distance(plain, model) == 0
    again = hvd.load_model(own, compression=hvd.Compression.none)
    assert isinstance(again.optimizer, optimizers.SGD) and type(again.optimizer) is not optimizers.SGD
    assert again.optimizer.get_config() == model.optimizer.get_config() == plain.optimizer.get_config()
    assert digest(again) == digest(model)
    for one in (model, again):
        one.train_on_batch(x[rank::2], y[rank::2])
    assert digest(again) == digest(model) and len(set(everywhere(digest(again)))) == 1
    # All ranks write one file: it is whole, whoever was last.
    save = cbks.ModelCheckpoint(shared)
    best = hvd.callbacks.BestModelCheckpoint("loss", filepath=folder / f"best{rank}.h5")
    model.fit(x, y, 32, epochs=3, verbose=0, callbacks=[save, best])
    hvd.barrier()
    assert distance(models.load_model(shared), model) == 0
    assert sorted(path.name for path in folder.glob("*.h5")) == ["best0.h5", "own.h5", "shared.h5"]


def training(epochs: int, initial_epoch: int, model: Any) -> None:
    """Part of a training with a warm-up and a schedule; each rank has its share."""
    size, rank = hvd.size(), hvd.rank()
    x, y = data("mlp", 4)
    callbacks = [
        hvd.callbacks.BroadcastGlobalVariablesCallback(0),
        hvd.callbacks.MetricAverageCallback(),
        hvd.callbacks.LearningRateWarmupCallback(0.1 * size, warmup_epochs=1),
        hvd.callbacks.LearningRateScheduleCallback(0.1 * size, lambda epoch: 0.5**epoch, start_epoch=1),
    ]
    model.fit(
        x[rank::size], y[rank::size], 16, epochs, 0, callbacks=callbacks, shuffle=False, initial_epoch=initial_epoch
    )


def check_three_epochs(folder: Path) -> None:
    """The whole of a training, and two thirds of it; ``check_resume`` does the last third in another process."""
    for epochs in (3, 2):
        np.random.seed(5)
        model = mlp()
        model.compile(hvd.DistributedOptimizer(optimizers.SGD(0.2, momentum=0.9)), "categorical_crossentropy")
        training(epochs, 0, model)
        if hvd.rank() == 0:
            model.save(folder / f"after{epochs}.model")


def check_resume(folder: Path) -> None:
    """As Horovod's examples do it: rank 0 looks for a file and reads it, the others are told the epoch and get all."""
    epoch = hvd.broadcast(2 if (folder / "after2.model").exists() and hvd.rank() == 0 else 0, 0, name="epoch")
    assert epoch == 2
    if hvd.rank() == 0:
        model = hvd.load_model(folder / "after2.model")
    else:
        np.random.seed(99)
        model = mlp()
        model.compile(hvd.DistributedOptimizer(optimizers.SGD(0.2, momentum=0.9)), "categorical_crossentropy")
    training(3, int(epoch), model)
    assert set(everywhere(digest(model))) == {digest(models.load_model(folder / "after3.model"))}


def check_ranks_that_never_meet(folder: Path) -> None:
    model = mlp()
    model.compile(hvd.DistributedOptimizer("sgd"), "categorical_crossentropy")
    x, y = data("mlp", 1)
    try:
        if hvd.rank():
            hvd.allreduce(1.0)
        else:
            model.train_on_batch(x, y)
    except hvd.DistributedError as error:
        assert "never meet" in str(error) and "the gradients of a step" in str(error) and "a value" in str(error)
    else:
        raise AssertionError("they met")
    (folder / f"told{hvd.rank()}").touch()
    while not (folder / f"told{1 - hvd.rank()}").exists():  # what comes next would be what the other waits for
        time.sleep(0.05)


CHECKS = {name.removeprefix("check_"): f for name, f in list(globals().items()) if name.startswith("check_")}


# Run in another process, and last.
APART = ("resume", "ranks_that_never_meet")


def run(folder: Path, wanted: str) -> None:
    """Run a group of checks."""
    names = [name for name in CHECKS if name not in APART] if wanted == "all" else [wanted]
    results: dict[str, str] = {}
    for name in names:
        K.clear_session()
        try:
            CHECKS[name](folder)
        except BaseException:
            results[name] = f"rank {hvd.rank()}: {traceback.format_exc()}"
            (folder / f"{wanted}.{hvd.rank()}.json").write_text(json.dumps(results))
            raise
        if hvd.rank() == 0:
            results[name] = "ok"
            (folder / f"{wanted}.json").write_text(json.dumps(results))


def main() -> None:
    folder, wanted = Path(sys.argv[1]), sys.argv[2]
    hvd.init()
    rank = hvd.rank()
    if wanted in ("all", "resume"):
        run(folder, wanted)
    if wanted == "all":
        # Last, as the ranks are out of step then; and one of them leaves.
        check_ranks_that_never_meet(folder)
        if rank == 1:
            return
        try:
            hvd.allreduce(1.0)
        except hvd.DistributedError as error:
            assert "rank 1 has ended" in str(error)
            (folder / "left.txt").write_text("ok")
        return
    model = mlp()
    model.compile(hvd.DistributedOptimizer("sgd"), "categorical_crossentropy")
    x, y = data("mlp", 1)
    model.train_on_batch(x, y)
    print(f"ready {rank} {os.getpid()}", flush=True)
    if wanted == "resume" and rank == 1:
        raise ValueError("rank 1 has had enough")
    if wanted == "resume":
        time.sleep(600)  # without asking for the other rank: it is ended all the same
    while True:  # until another rank, or the test, ends it
        model.fit(x, y, 4, verbose=0)


if __name__ == "__main__":
    main()
