"""CuDNNGRU and CuDNNLSTM: the recurrent layers of cuDNN by their names, weights and configs, on any processor.

The numbers are those of ``GRU(reset_after=True, recurrent_activation='sigmoid')`` and of
``LSTM(recurrent_activation='sigmoid')``. The weights are kept as cuDNN has them: each gate's part of the kernel holds
its matrix transposed, row by row, each part of the recurrent kernel is transposed, and there are two biases.
"""

from __future__ import annotations

from typing import Any

from keras_compat import backend as K
from keras_compat import constraints, initializers, regularizers
from keras_compat.engine.registry import register
from keras_compat.layers.recurrent import CellLayer, DenseCell, GRUCell, LSTMCell, forget_bias

_CONFIG = (
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
)


def _transposed_parts(weight: Any, units: int, count: int, rows: int) -> Any:
    """Parts side by side, each holding a (units, rows) matrix row by row, as parts (rows, units)."""
    parts = [weight[:, i * units : (i + 1) * units] for i in range(count)]
    return K.concatenate([K.transpose(K.reshape(part, (units, rows))) for part in parts])


class _CuDNNCell(DenseCell):
    """A cell that keeps the weights of cuDNN beside the ones it computes with."""

    def _keep_own(self, kernel: Any, recurrent: Any, bias: Any) -> None:
        self._own = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}
        self.derive()

    def derive(self) -> None:
        """Make the tensors that the cell computes with, for one call: values where the layer is called on values."""
        count, units = len(self.gates), self.units
        kernel, recurrent = self._own["kernel"], self._own["recurrent_kernel"]
        self.kernel = _transposed_parts(kernel, units, count, kernel.shape[0])
        self.recurrent_kernel = _transposed_parts(recurrent, units, count, units)
        self.bias = self._derived_bias(self._own["bias"])

    def _derived_bias(self, bias: Any) -> Any:
        raise NotImplementedError

    def part(self, name: str) -> Any:
        """A weight of cuDNN's: kernel, recurrent_kernel, bias, or a gate's part of it, such as kernel_i, bias_i.

        The first half of the bias, added to the inputs' product, is bias_i_i, bias_f_i and so on.
        """
        own, units, gates = self._own, self.units, self.gates
        if name in own:
            return own[name]
        of_inputs = name.startswith("bias_") and name.endswith("_i") and name.count("_") == 2
        stem, _, gate = (name.removesuffix("_i") if of_inputs else name).rpartition("_")
        start = gates.index(gate) * units
        if stem == "bias":
            start += 0 if of_inputs else len(gates) * units
            return own["bias"][start : start + units]
        return own[stem][:, start : start + units]

    def has_part(self, name: str) -> bool:
        """Whether :meth:`part` knows the name."""
        names = [f"{w}_{g}" for w in ("kernel", "recurrent_kernel", "bias") for g in self.gates]
        return "_own" in self.__dict__ and name in {*self._own, *names, *[f"bias_{g}_i" for g in self.gates]}


class CuDNNGRUCell(GRUCell, _CuDNNCell):
    """GRU cell with cuDNN's weights: kernel (n, 3 * units), recurrent_kernel (units, 3 * units), bias (6 * units,)."""

    def build(self, input_shape: Any = None) -> None:
        n, u = input_shape[-1], self.units
        kernel = self._weight("kernel", "kernel", (n, 3 * u), self.kernel_initializer)
        recurrent = self._weight("recurrent", "recurrent_kernel", (u, 3 * u), self.recurrent_initializer)
        bias = self._weight("bias", "bias", (6 * u,), self.bias_initializer)
        self._keep_own(kernel, recurrent, bias)
        self.built = True

    def _derived_bias(self, bias: Any) -> Any:
        return K.reshape(bias, (2, 3 * self.units))


class CuDNNLSTMCell(LSTMCell, _CuDNNCell):
    """LSTM cell with cuDNN's weights: kernel (n, 4 * units), recurrent_kernel (units, 4 * units), bias (8 * units,)."""

    def build(self, input_shape: Any = None) -> None:
        n, u = input_shape[-1], self.units
        kernel = self._weight("kernel", "kernel", (n, 4 * u), self.kernel_initializer)
        recurrent = self._weight("recurrent", "recurrent_kernel", (u, 4 * u), self.recurrent_initializer)
        start = forget_bias(self.bias_initializer, u, 5) if self.unit_forget_bias else self.bias_initializer
        bias = self._weight("bias", "bias", (8 * u,), start)
        self._keep_own(kernel, recurrent, bias)
        self.built = True

    def _derived_bias(self, bias: Any) -> Any:
        return bias[: 4 * self.units] + bias[4 * self.units :]


class _CuDNNRNN(CellLayer):
    """What the two share: no masks, no dropout, no choice of activations."""

    def _init_cudnn(self, cell: Any, arguments: dict[str, Any]) -> None:
        self._init_layer(cell, arguments)
        self.supports_masking = False

    def __getattr__(self, name: str) -> Any:
        cell = self.__dict__.get("cell")
        if cell is not None and cell.has_part(name):
            return cell.part(name)
        return super().__getattr__(name)

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        mask = mask[0] if isinstance(mask, list) else mask
        if mask is not None:
            raise ValueError(
                f"[{self.name}] Masking is not supported for CuDNN RNNs; a mask came with the inputs. Use "
                f"{type(self).__name__.removeprefix('CuDNN')} instead."
            )
        self.cell.derive()
        return super().call(inputs, None, training, initial_state, constants)

    def get_config(self) -> dict[str, Any]:
        config = self._sequence_config() | {"units": self.units}
        del config["unroll"]
        for name in _CONFIG:
            family = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
            config[name] = family[name.rpartition("_")[2]].serialize(getattr(self, name))
        return config | {"activity_regularizer": regularizers.serialize(self.activity_regularizer)}


@register
class CuDNNGRU(_CuDNNRNN):
    """``GRU(units, reset_after=True)`` with cuDNN's weights; see :class:`GRU` and :class:`RNN` for the arguments."""

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        arguments["go_backwards"] = kwargs.pop("go_backwards", False)
        cell = CuDNNGRUCell(
            units,
            recurrent_activation="sigmoid",
            reset_after=True,
            dtype=kwargs.get("dtype"),
            **{name: arguments[name] for name in _CONFIG},
        )
        self._init_cudnn(cell, arguments)


@register
class CuDNNLSTM(_CuDNNRNN):
    """``LSTM(units)`` with cuDNN's weights; see :class:`LSTM` and :class:`RNN` for the arguments."""

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        arguments["go_backwards"] = kwargs.pop("go_backwards", False)
        cell = CuDNNLSTMCell(
            units,
            recurrent_activation="sigmoid",
            unit_forget_bias=unit_forget_bias,
            dtype=kwargs.get("dtype"),
            **{name: arguments[name] for name in _CONFIG},
        )
        self._init_cudnn(cell, arguments)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"unit_forget_bias": self.cell.unit_forget_bias}
