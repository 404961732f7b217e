"""What a library has to offer to be compared: a :class:`Trainer`."""

from __future__ import annotations

from typing import Protocol


class Trainer(Protocol):
    """A network of one library with its data, ready to train. Methods end when the result is there."""

    def step(self) -> object:
        """One training step on one batch: arrays in, loss and accuracy as numbers out."""

    def fit(self, epochs: int) -> object:
        """Train on the whole data set in shuffled batches, the last of them as large as the rest of the rows."""

    def predict_row(self) -> object:
        """The result for one row, by the shortest way the library has (``predict_on_batch``)."""

    def predict_call(self) -> object:
        """The result for one row, by the general way (``predict``)."""

    def predict_rows(self) -> object:
        """The results for all rows of the data set, in batches (``predict``)."""
