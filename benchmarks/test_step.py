"""Whole training steps of our own: ``pytest benchmarks --benchmark-enable``; side by side with peers: ``compare``."""

import pytest

from benchmarks.worker import MLPS, data, ours


@pytest.mark.parametrize("name", sorted(MLPS))
def test_train_on_batch(benchmark, name):
    step = ours(name)
    for _ in range(5):
        step()
    benchmark(step)


def test_predict_one_row(benchmark):
    from keras_compat.layers import Dense
    from keras_compat.models import Sequential

    model = Sequential([Dense(64, activation="relu", input_dim=20), Dense(10, activation="softmax")])
    row = data("mlp-16")[0][:1]
    model.predict_on_batch(row)
    benchmark(model.predict_on_batch, row)


def test_growth_over_many_steps(benchmark):
    """Time per 1,000 steps after 10,000: compare with the first rounds for creeping cost."""
    step = ours("mlp-16")
    for _ in range(10_000):
        step()
    benchmark.pedantic(lambda: [step() for _ in range(1000)], rounds=3)
