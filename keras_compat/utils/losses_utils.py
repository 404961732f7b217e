"""How losses of samples become one number: reductions, and weights that are fitted to the losses."""

from __future__ import annotations

from typing import Any

from keras_compat import backend as K


class Reduction:
    """Names of the reductions.

    none: the weighted losses as they are. sum: their sum. sum_over_batch_size: their sum divided by their number.
    """

    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Every reduction."""
        return (cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE)

    @classmethod
    def validate(cls, key: str) -> None:
        """Raise ValueError unless ``key`` is a reduction."""
        if key not in cls.all():
            raise ValueError(
                f"[Reduction] Invalid Reduction Key {key!r}: expected one of {', '.join(cls.all())}. Check it."
            )


def squeeze_or_expand_dimensions(y_pred: Any, y_true: Any = None, sample_weight: Any = None) -> Any:
    """Make ranks fit: drop a last axis of length 1 of targets or predictions, and drop or add one of the weights.

    Returns (y_pred, y_true) or (y_pred, y_true, sample_weight).
    """
    if y_true is not None and y_pred.ndim > 0 and y_true.ndim > 0:
        extra = y_pred.ndim - y_true.ndim
        if extra == 1 and y_pred.shape[-1] == 1:
            y_pred = K.squeeze(y_pred, -1)
        elif extra == -1 and y_true.shape[-1] in (1, None):
            y_true = K.squeeze(y_true, -1)
    if sample_weight is None:
        return y_pred, y_true
    extra = sample_weight.ndim - y_pred.ndim
    if sample_weight.ndim and extra == 1 and sample_weight.shape[-1] in (1, None):
        sample_weight = K.squeeze(sample_weight, -1)
    elif sample_weight.ndim and extra == -1:
        sample_weight = K.expand_dims(sample_weight, -1)
    return y_pred, y_true, sample_weight


def broadcast_weights(values: Any, sample_weight: Any) -> Any:
    """Weights in the shape of ``values``: a scalar, or a tensor that broadcasts; missing last axes are added."""
    if not sample_weight.ndim:
        return sample_weight * K.ones_like(values)
    if sample_weight.ndim > values.ndim:
        raise ValueError(
            f"[sample_weight] weights must not have more axes than the values; got {sample_weight.shape} for "
            f"{values.shape}. Give one weight per sample."
        )
    for _ in range(values.ndim - sample_weight.ndim):
        sample_weight = K.expand_dims(sample_weight, -1)
    return sample_weight * K.ones_like(values)


def reduce_weighted_loss(weighted_losses: Any, reduction: str = Reduction.SUM_OVER_BATCH_SIZE) -> Any:
    """Reduce weighted losses by the reduction of that name."""
    if reduction == Reduction.NONE:
        return weighted_losses
    if reduction == Reduction.SUM:
        return K.sum(weighted_losses)
    return K.mean(weighted_losses)


def compute_weighted_loss(
    losses: Any,
    sample_weight: Any = None,
    reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
    name: str | None = None,
) -> Any:
    """Weight losses and reduce them.

    Args:
        losses: one loss per sample (and step), of any shape.
        sample_weight: None, a number, or weights that fit the leading axes of the losses.
        reduction: see :class:`Reduction`.
    """
    Reduction.validate(reduction)
    if sample_weight is not None:
        weight = sample_weight if K.is_tensor(sample_weight) else K.constant(sample_weight)
        weight = K.cast(weight, K.dtype(losses))
        losses, _, weight = squeeze_or_expand_dimensions(losses, None, weight)
        losses = losses * broadcast_weights(losses, weight)
    return reduce_weighted_loss(losses, reduction)
