"""``autograd.test_util``: ``check_grads`` over ``autotensor.testing``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from autotensor.testing import check_grad

__all__ = ["check_grads", "combo_check"]


def check_grads(
    f: Callable[..., Any], argnum: int | Sequence[int] = 0, modes: Sequence[str] = ("fwd", "rev"), order: int = 2
) -> Callable[..., None]:
    """A function that compares the derivatives of f at its arguments with differences, and raises where they differ.

    ``check_grads(f)(x)`` by the first argument, ``check_grads(f, (0, 1))(x, y)`` by both; up to ``order``. Both modes
    rest on the same rules here, so that one check serves them.

    Raises ValueError for another mode.
    """
    if not set(modes) <= {"fwd", "rev"}:
        raise ValueError(f"[check_grads] expected modes of 'fwd' and 'rev'; got {list(modes)}.")
    chosen = [argnum] if isinstance(argnum, int) else list(argnum)

    def check(*args: Any, **kwargs: Any) -> None:
        def of_chosen(*values: Any) -> Any:
            call = list(args)
            for i, value in zip(chosen, values, strict=True):
                call[i] = value
            return f(*call, **kwargs)

        check_grad(of_chosen, *[args[i] for i in chosen], order=order)

    return check


def combo_check(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., None]:
    """``check_grads`` for all combinations of the given arguments and keywords."""

    def check(*choices: Any, **named: Any) -> None:
        for values in product(*choices):
            for chosen in product(*[[(key, x) for x in xs] for key, xs in named.items()]):
                check_grads(fun, *args, **kwargs)(*values, **dict(chosen))

    return check
