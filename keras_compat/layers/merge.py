"""Layers that make one tensor of several: sums, products, extremes, concatenation, dot products.

``add([x, y])`` is ``Add()([x, y])``, and so on. Keras 1's ``Merge`` and ``merge()`` are apart, among the legacy layers;
the module itself can be called as that function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat import backend as K
from keras_compat.engine.layer import Layer
from keras_compat.engine.registry import register

Shape = tuple[int | None, ...]


class _Merge(Layer):
    """Base of the elementwise merge layers: tensors of shapes that broadcast, the batch axis set apart.

    A tensor of lower rank gets axes of length 1 behind its batch axis. Subclasses define ``_merge_function``.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def _merge_function(self, inputs: list[Any]) -> Any:
        raise NotImplementedError(
            f"[{type(self).__name__}] expected a _merge_function(inputs) in the subclass; there is none. Define it."
        )

    def build(self, input_shape: Any) -> None:
        shapes = self._checked_shapes(input_shape)
        self._common_rest(shapes)
        self.built = True

    def _checked_shapes(self, input_shape: Any) -> list[Shape]:
        if not _is_list_of_shapes(input_shape):
            raise ValueError(
                f"[{self.name}] A merge layer should be called on a list of inputs; got one input of shape "
                f"{input_shape}. Write {type(self).__name__}()([x, y])."
            )
        shapes = [tuple(s) for s in input_shape]
        if len(shapes) < 2:
            raise ValueError(
                f"[{self.name}] A merge layer should be called on a list of at least 2 inputs. Got "
                f"{len(shapes)} inputs. Leave the layer out for a single one?"
            )
        batches = {s[0] for s in shapes if s and s[0] is not None}
        if len(batches) > 1:
            raise ValueError(
                f"[{self.name}] Can not merge tensors with different batch sizes. Got tensors with shapes: {shapes}. "
                "Use None for the batch axis?"
            )
        return shapes

    def _common_rest(self, shapes: list[Shape]) -> Shape:
        """The shape that the tensors broadcast to, without batch."""
        rest = shapes[0][1:]
        for shape in shapes[1:]:
            other = shape[1:]
            rank = max(len(rest), len(other))
            pairs = zip((1,) * (rank - len(rest)) + rest, (1,) * (rank - len(other)) + other)
            rest = tuple([self._common_length(a, b, shapes) for a, b in pairs])
        return rest

    def _common_length(self, a: int | None, b: int | None, shapes: list[Shape]) -> int | None:
        if a == 1 or a == b:
            return b
        if b == 1:
            return a
        if a is None or b is None:
            return None
        raise ValueError(
            f"[{self.name}] Operands could not be broadcast together with shapes {' '.join(map(str, shapes))}: "
            f"lengths {a} and {b} meet. Lengths must be equal or 1."
        )

    def _check_several(self, inputs: Any) -> None:
        if not isinstance(inputs, list) or len(inputs) < 2:
            got = "one" if isinstance(inputs, list) else type(inputs).__name__
            raise ValueError(
                f"[{self.name}] A merge layer should be called on a list of at least 2 inputs; got {got}. Write "
                f"{type(self).__name__}()([x, y])."
            )

    def call(self, inputs: Any) -> Any:
        self._check_several(inputs)
        rank = max(K.ndim(x) for x in inputs)
        return self._merge_function([_with_rank(x, rank) for x in inputs])

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = [tuple(s) for s in input_shape]
        batches = [s[0] for s in shapes if s[0] is not None]
        return (batches[0] if batches else None, *self._common_rest(shapes))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """A step is kept where every input that has a mask keeps it."""
        masks = self._listed_masks(inputs, mask)
        if masks is None:
            return None
        kept = None
        for m in masks:
            if m is not None:
                kept = m if kept is None else K.all(K.stack([kept, m], axis=0), axis=0)
        return kept

    def _listed_masks(self, inputs: Any, mask: Any) -> list[Any] | None:
        if mask is None:
            return None
        for what, value in (("mask", mask), ("inputs", inputs)):
            if not isinstance(value, list):
                raise ValueError(f"[{self.name}] `{what}` should be a list; got {type(value).__name__}. Write [x, y].")
        if len(mask) != len(inputs):
            raise ValueError(
                f"[{self.name}] The lists `inputs` and `mask` should have the same length; got {len(inputs)} and "
                f"{len(mask)}. Use None for an input without mask."
            )
        return None if all(m is None for m in mask) else mask


def _is_list_of_shapes(shape: Any) -> bool:
    return isinstance(shape, (list, tuple)) and len(shape) > 0 and isinstance(shape[0], (list, tuple))


def _with_rank(x: Any, rank: int) -> Any:
    for _ in range(rank - K.ndim(x)):
        x = K.expand_dims(x, 1)
    return x


@register
class Add(_Merge):
    """Sum of the inputs."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        output = inputs[0]
        for x in inputs[1:]:
            output = output + x
        return output


@register
class Subtract(_Merge):
    """First input minus second; there must be exactly two."""

    def build(self, input_shape: Any) -> None:
        self._check_two(len(self._checked_shapes(input_shape)))
        super().build(input_shape)

    def _check_two(self, n: int) -> None:
        if n != 2:
            raise ValueError(
                f"[{self.name}] A `Subtract` layer should be called on exactly 2 inputs; got {n}. Add up the ones to "
                "take away first."
            )

    def _merge_function(self, inputs: list[Any]) -> Any:
        self._check_two(len(inputs))
        return inputs[0] - inputs[1]


@register
class Multiply(_Merge):
    """Elementwise product of the inputs."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        output = inputs[0]
        for x in inputs[1:]:
            output = output * x
        return output


@register
class Average(_Merge):
    """Elementwise mean of the inputs."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        output = inputs[0]
        for x in inputs[1:]:
            output = output + x
        return output / len(inputs)


@register
class Maximum(_Merge):
    """The largest of the inputs, element by element."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        output = inputs[0]
        for x in inputs[1:]:
            output = K.maximum(output, x)
        return output


@register
class Minimum(_Merge):
    """The smallest of the inputs, element by element."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        output = inputs[0]
        for x in inputs[1:]:
            output = K.minimum(output, x)
        return output


@register
class Concatenate(_Merge):
    """The inputs one behind another along ``axis`` (batch counted); all other lengths must agree."""

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        if not _is_list_of_shapes(input_shape) or len(input_shape) < 2:
            raise ValueError(
                f"[{self.name}] A `Concatenate` layer should be called on a list of at least 2 inputs; got "
                f"{input_shape}. Write Concatenate()([x, y])."
            )
        self._joined([tuple(s) for s in input_shape])
        self.built = True

    def _joined(self, shapes: list[Shape]) -> Shape:
        rank = len(shapes[0])
        out = list(shapes[0])
        alike = all(len(s) == rank for s in shapes)
        axis = self.axis % rank if alike and -rank <= self.axis < rank else None
        if axis is not None:
            for k in range(rank):
                lengths = [s[k] for s in shapes]
                if k == axis:
                    out[k] = None if None in lengths else sum(n for n in lengths if n is not None)
                    continue
                known = {n for n in lengths if n is not None}
                alike = alike and len(known) <= 1
                out[k] = known.pop() if known else None
        if axis is None or not alike:
            raise ValueError(
                f"[{self.name}] A `Concatenate` layer requires inputs with matching shapes except for the concat "
                f"axis ({self.axis}). Got inputs shapes: {shapes}. Choose another axis, or reshape."
            )
        return tuple(out)

    def _merge_function(self, inputs: list[Any]) -> Any:
        return K.concatenate(inputs, axis=self.axis)

    def call(self, inputs: Any) -> Any:
        self._check_several(inputs)
        return self._merge_function(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not _is_list_of_shapes(input_shape):
            raise ValueError(
                f"[{self.name}] A `Concatenate` layer should be called on a list of inputs; got shape {input_shape}. "
                "Write Concatenate()([x, y])."
            )
        return self._joined([tuple(s) for s in input_shape])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Masks one behind another; an input without one keeps all of its steps."""
        masks = self._listed_masks(inputs, mask)
        return None if masks is None else concatenated_mask(inputs, masks, self.axis)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axis": self.axis}


def concatenated_mask(inputs: Sequence[Any], masks: Sequence[Any], axis: int) -> Any:
    """Mask of the inputs concatenated along ``axis``: a step is kept where all of its features are."""
    rank = K.ndim(inputs[0])
    parts = []
    for x, mask in zip(inputs, masks):
        if mask is None:
            part = K.ones_like(x, dtype="bool")
            if axis % rank != rank - 1:
                part = part[..., :1]  # as long as a mask that has no feature axis
        else:
            part = K.cast(mask, "bool")
            if K.ndim(part) < K.ndim(x):
                part = K.expand_dims(part)
        parts.append(part)
    return K.all(K.concatenate(parts, axis=axis), axis=-1, keepdims=False)


@register
class Dot(_Merge):
    """Dot product of the samples of two tensors along one axis of each.

    Args:
        axes: the axis (batch is 0, and not allowed), or a pair, one for each tensor.
        normalize: divide by the Euclidean norms along these axes first: the cosine of the angle.
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        whole = isinstance(axes, int) and not isinstance(axes, bool)
        if not whole:
            listed = axes if isinstance(axes, (list, tuple)) else None
            if listed is None:
                raise TypeError(
                    f"[Dot] Invalid type for `axes`: expected an int or two of them; got {axes!r}. Write Dot(axes=-1)."
                )
            if len(listed) != 2 or not all(isinstance(a, int) for a in listed):
                raise ValueError(
                    f"[Dot] Invalid format for `axes`: expected two ints; got {axes!r}. Write axes=(1, 2)."
                )
        self.axes = axes
        self.normalize = normalize

    def build(self, input_shape: Any) -> None:
        if not _is_list_of_shapes(input_shape) or len(input_shape) != 2:
            raise ValueError(
                f"[{self.name}] A `Dot` layer should be called on a list of 2 inputs; got {input_shape}. Write "
                "Dot(axes=-1)([x, y])."
            )
        left, right = [tuple(s) for s in input_shape]
        a, b = self._positive_axes(len(left), len(right))
        if left[a] is not None and right[b] is not None and left[a] != right[b]:
            raise ValueError(
                f"[{self.name}] Dimension incompatibility {left[a]} != {right[b]}. Layer shapes: {left}, {right}. "
                f"axes is {self.axes}; choose others?"
            )
        self.built = True

    def _positive_axes(self, left: int, right: int) -> tuple[int, int]:
        pair = [self.axes, self.axes] if isinstance(self.axes, int) else list(self.axes)
        for axis, rank in zip(pair, (left, right)):
            if not -rank <= axis < rank:
                raise ValueError(f"[{self.name}] axis {axis} does not exist in an input of rank {rank}. Count from 0.")
        return pair[0] % left, pair[1] % right

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, list) or len(inputs) != 2:
            raise ValueError(f"[{self.name}] A `Dot` layer should be called on exactly 2 inputs. Write Dot(1)([x, y]).")
        x, y = inputs
        axes = self._positive_axes(K.ndim(x), K.ndim(y))
        if self.normalize:
            x, y = K.l2_normalize(x, axis=axes[0]), K.l2_normalize(y, axis=axes[1])
        return K.batch_dot(x, y, axes)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not _is_list_of_shapes(input_shape) or len(input_shape) != 2:
            raise ValueError(
                f"[{self.name}] A `Dot` layer should be called on a list of 2 inputs; got {input_shape}. Write "
                "Dot(axes=-1)([x, y])."
            )
        left, right = [tuple(s) for s in input_shape]
        return dot_shape(left, right, self._positive_axes(len(left), len(right)))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axes": self.axes, "normalize": self.normalize}


def dot_shape(left: Shape, right: Shape, axes: Sequence[int]) -> Shape:
    """Shape of ``K.batch_dot`` of tensors of these shapes along one axis of each; at least of rank 2."""
    a, b = axes
    out = tuple([n for k, n in enumerate(left) if k != a] + [n for k, n in enumerate(right) if k not in (0, b)])
    return (*out, 1) if len(out) == 1 else out


def add(inputs: list[Any], **kwargs: Any) -> Any:
    """Sum of tensors; keyword arguments are those of :class:`Add`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: list[Any], **kwargs: Any) -> Any:
    """First of two tensors minus the second; see :class:`Subtract`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: list[Any], **kwargs: Any) -> Any:
    """Elementwise product of tensors; see :class:`Multiply`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: list[Any], **kwargs: Any) -> Any:
    """Elementwise mean of tensors; see :class:`Average`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: list[Any], **kwargs: Any) -> Any:
    """The largest of the tensors, element by element; see :class:`Maximum`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: list[Any], **kwargs: Any) -> Any:
    """The smallest of the tensors, element by element; see :class:`Minimum`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: list[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Tensors one behind another along ``axis``; see :class:`Concatenate`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: list[Any], axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> Any:
    """Dot product of the samples of two tensors; see :class:`Dot`."""
    return Dot(axes=axes, normalize=normalize, **kwargs)(inputs)
