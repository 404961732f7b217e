"""What an operation is, the registry of all of them, and ``apply``, the one door through which each of them passes.

Recording, tracing, error context and the NaN guard live here and nowhere else. An operation is one block in its
family's file under ``autotensor.ops``: implementation, shape rule, gradient and, if elementwise, scalar expression.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autotensor.core.state import state
from autotensor.core.tensor import NUMBER_TYPES, TENSOR_TYPES, Node, Tensor, Variable, _new, symbol
from autotensor.core.watch import here
from autotensor.errors import AutotensorError, DTypeError, RangeError, ShapeError

Vjp = Callable[..., Sequence[Any]]

_State = type(state)  # `watch` stands on the class, where a look costs half
_ndarray = np.ndarray


class Op:
    """One operation. Calling it is ``apply(op, *tensors, **params)``.

    impl(*arrays, **params): NumPy arrays (and Python numbers) in, array or tuple of them out. Never writes its inputs.
    infer(*operands, **params): Aval or tuple of Avals from Avals and Python numbers; raises ShapeError, DTypeError.
    vjp(needs, g, out, *inputs, **params): gradients of the inputs, written with operations; None where there is none.
        For several outputs ``g`` and ``out`` are tuples, and entries of ``g`` may be None.
    vjp_takes_arrays: True for a rule of one output that is written with operators, ``either`` and ``unbroadcast`` only,
        so that it takes arrays as well as tensors. A walk that records nothing then makes no tensors.
    vjp_into(buffer, g, *arrays, **params): adds the gradient of the first input to an array, beside a rule that takes
        arrays; for gradients that are 0 nearly everywhere, such as those of parts.
    expr: scalar expression of an elementwise operation with ``{0}``, ``{1}``... for its operands, for the code
        generator; ``{name}`` stands for a parameter. A dictionary by dtype kind where kinds differ.
    into(out, *arrays, **params): writes the result into ``out``; for steps with planned buffers.
    bind(outs, arrays, scratch, **params): called once by a plan, when all arrays are known and before they hold values;
        returns ``(function, arguments)``, the call that writes the arrays ``outs`` each time, without allocating,
        looking up or checking anything; or None, and the plan takes ``into`` or ``impl``. ``scratch(shape, dtype)``
        gives an array for use during the call; the plan lends its memory to others in between. `run_bound` does it
        eagerly.
    saves: how many of the last outputs are kept for gradients only. ``bind`` gets None for those that nothing reads.
    kernel(*arrays, **params): faster twin of ``impl`` (Numba); must agree with it.
    fallback(*tensors, **params): the same said with ordinary operations: meaning, oracle and, where ``vjp`` is None,
        the source of derivatives.
    lower(out_avals, inputs, params): called by the compiler when shapes are known; returns a simpler equivalent made
        with other operations, or None.
    reduces: name of the scalar accumulation ("sum", "max", "min", "prod") of a reduction with ``axis`` and
        ``keepdims``, for the code generator.
    pure: False for operations that give another result at each evaluation; never merged or folded.
    view: True when the result may share memory with the first input.
    reshapes: True for a view that keeps the elements in their C order (reshape, squeeze, expand_dims).
    repeats: for an operation whose parameter ``body`` (a ``core.loop.Body``) is run once per step: a function from
        another body to the operation that runs it. The compiler makes plans of bodies.
    """

    __slots__ = (
        "__dict__", "bind", "doc", "expr", "fallback", "impl", "infer", "into", "kernel", "lower", "n_out", "name",
        "pure", "reduces", "repeats", "reshapes", "saves", "view", "vjp", "vjp_into", "vjp_takes_arrays",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        *,
        impl: Callable[..., Any],
        infer: Callable[..., Any],
        vjp: Vjp | None = None,
        vjp_takes_arrays: bool = False,
        vjp_into: Callable[..., None] | None = None,
        expr: str | dict[str, str] | None = None,
        into: Callable[..., Any] | None = None,
        bind: Callable[..., Any] | None = None,
        kernel: Callable[..., Any] | None = None,
        fallback: Callable[..., Any] | None = None,
        lower: Callable[..., Any] | None = None,
        reduces: str | None = None,
        pure: bool = True,
        view: bool = False,
        reshapes: bool = False,
        repeats: Callable[[Any], Op] | None = None,
        n_out: int = 1,
        saves: int = 0,
        doc: str | None = None,
    ):
        self.name = name
        self.impl = impl
        self.infer = infer
        self.vjp = vjp
        self.vjp_takes_arrays = vjp_takes_arrays
        self.vjp_into = vjp_into
        self.expr = expr
        self.into = into
        self.bind = bind
        self.kernel = kernel
        self.fallback = fallback
        self.lower = lower
        self.reduces = reduces
        self.pure = pure
        self.view = view or reshapes
        self.reshapes = reshapes
        self.repeats = repeats
        self.n_out = n_out
        self.saves = saves
        self.doc = doc
        # What help() and documentation tools look for in a function.
        self.__doc__ = doc
        self.__name__ = self.__qualname__ = name
        self.__module__ = (vjp or infer).__module__

    @property
    def elementwise(self) -> bool:
        """True when it has a scalar expression, so that kernels can be generated for it."""
        return self.expr is not None

    if TYPE_CHECKING:

        def __call__(self, *inputs: Any, **params: Any) -> Any: ...

    def __getattr__(self, name: str) -> Any:
        if name != "__signature__":
            raise AttributeError(f"'Op' object has no attribute {name!r}")
        # The operands and parameters that the rule is called with, after (needs, g, out).
        if self.vjp is None and isinstance(self.impl, np.ufunc):
            names = ("x", "y", "z")[: self.impl.nin]
            return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names])
        said = inspect.signature(self.vjp or self.impl)
        parameters = list(said.parameters.values())[3 if self.vjp else 0 :]
        return inspect.Signature([p.replace(annotation=p.empty) for p in parameters])

    def __repr__(self) -> str:
        return f"<Op {self.name}>"

    def __reduce__(self) -> Any:
        return lookup, (self.name,)


def run_bound(bind: Callable[..., Any], outs: Sequence[np.ndarray], arrays: Sequence[Any], **params: Any) -> None:
    """Write ``outs`` by the call that ``bind`` makes, with scratch memory of its own; for an eager ``impl``."""
    call, arguments = bind(outs, arrays, np.empty, **params)
    call(*arguments)


OPS: dict[str, Op] = {}


def lookup(name: str) -> Op:
    """The registered operation of that name."""
    return OPS[name]


def register(op: Op) -> Op:
    if op.name in OPS:
        raise ValueError(f"[register] an operation named {op.name!r} exists already. Choose another name.")
    OPS[op.name] = op
    return op


def defop(name: str, **parts: Any) -> Callable[[Vjp], Op]:
    """Register an operation; decorates its VJP::

    @defop("tanh", impl=np.tanh, infer=same_shape, expr="tanh({0})")
    def tanh(needs, g, out, x):
        return (g * (1 - out * out),)
    """

    def decorate(vjp: Vjp) -> Op:
        return register(Op(name, vjp=vjp, doc=vjp.__doc__, **parts))

    return decorate


def defop_no_grad(name: str, **parts: Any) -> Op:
    """Register an operation without a gradient rule: integer-valued, or differentiated through its fallback."""
    return register(Op(name, **parts))


def apply(op: Op, *inputs: Any, **params: Any) -> Any:
    """Run ``op``: compute where there is data, record where gradients or graphs may need it.

    Inputs are tensors, Python numbers (weak: they take the dtype of their partners) or anything NumPy can make an
    array of; parameters are static and hashable. Returns a Tensor, or a tuple of them.
    """
    mode = state.mode
    if not mode and state.trace is not None:
        inputs = state.trace.resolve(inputs)
    arrays: list[Any] = []
    tracked = symbolic = written = False
    for x in inputs:
        kind = type(x)
        if kind is Tensor or kind in TENSOR_TYPES:
            data = x.data
            if data is None:
                symbolic = True
            arrays.append(data)
            if x.tracked:
                tracked = True
                if kind is not Tensor and x.deferred and not state.immediate:
                    symbolic = True
            if x.version:
                written = True
        elif kind in NUMBER_TYPES:
            arrays.append(x)
        else:
            return apply(op, *_operands(op, inputs), **params)
    if not mode and state.deferred and not symbolic:
        symbolic = state.replaying or not op.pure or any([isinstance(x, Variable) for x in inputs])
    if symbolic:
        return _apply_symbolic(op, inputs, params)
    watch = _State.watch
    try:
        result = op.impl(*arrays, **params) if watch is None else watch.run(op, inputs, arrays, params)
    except AutotensorError:
        raise
    except Exception as error:
        raise explained(op, inputs, params, error) from error
    node = None
    if tracked and (mode == 2 or (not mode and state.tracking)):
        node = _new(Node)
        node.op = op
        node.inputs = inputs
        node.params = params
        node.versions = None
        if written:
            node.inputs = inputs = tuple([_frozen(x) for x in inputs])
            node.versions = tuple([x.version if type(x) in TENSOR_TYPES else 0 for x in inputs])
        if watch is not None:
            watch.recorded(node)
    if op.n_out == 1:
        if type(result) is not _ndarray:
            result = np.asarray(result)
        if op.view and type(inputs[0]) is not Tensor:
            result = _apart(inputs[0], arrays[0], result)
        out = _new(Tensor)
        out.data = result
        out.node = node
        out.tracked = node is not None
        out.version = 0
        return out
    if op.view and isinstance(inputs[0], Variable):
        result = [r.copy() for r in result]
    values = tuple([np.asarray(r) for r in result])
    outs = []
    for i, value in enumerate(values):
        out = _new(Tensor)
        out.data = value
        out.node = node
        out.tracked = node is not None
        out.version = 0
        out.index = i
        outs.append(out)
    if node is not None:
        node.values = values
    return tuple(outs)


def either(op: Op, *inputs: Any, **params: Any) -> Any:
    """``op`` in a gradient rule that takes tensors or arrays: gives what it was given."""
    for x in inputs:
        if type(x) in TENSOR_TYPES:
            return apply(op, *inputs, **params)
    return op.impl(*inputs, **params)


def _apart(x: Any, data: Any, result: np.ndarray) -> np.ndarray:
    """A copy of a view of a Variable, whose buffer is rewritten in place."""
    return result.copy() if isinstance(x, Variable) and np.may_share_memory(result, data) else result


# Calling an operation costs no frame of its own.
Op.__call__ = apply  # type: ignore[assignment]


def _operands(op: Op, inputs: tuple[Any, ...]) -> list[Any]:
    """The inputs as tensors and Python numbers.

    A float array beside a float tensor that is part of a deferred graph takes its dtype (in an elementwise operation
    an integer array, too): what NumPy makes float64 without being asked must not turn a float32 network into float64.
    A trace stands for the eager step, where arrays promote; ``immediate()`` computes what the graph would.
    """
    made = [_operand(op, x) for x in inputs]
    if state.trace is not None:
        return made
    graph = [x.dtype for x in inputs if isinstance(x, Tensor) and (x.data is None or x.deferred or state.immediate)]
    dtype = next((d for d in graph if d.kind == "f"), None)
    if dtype is None:
        return made
    kinds = "iuf" if op.expr is not None else "f"
    for i, (x, y) in enumerate(zip(inputs, made)):
        if y is not x and isinstance(y, Tensor) and y.dtype.kind in kinds:
            made[i] = Tensor(y.data, dtype)
    return made


def _operand(op: Op, x: Any) -> Any:
    kind = type(x)
    if kind in TENSOR_TYPES or kind in NUMBER_TYPES:
        return x
    if isinstance(x, Tensor):
        TENSOR_TYPES.add(kind)  # a subclass, met for the first time
        return x
    if isinstance(x, np.generic):
        return x.item()  # NumPy scalars are weak like Python's: `x * np.sqrt(2)` keeps float32
    tensor = getattr(x, "__autotensor__", None)
    if tensor is not None:
        return tensor()
    try:
        return Tensor(x)
    except AutotensorError as error:
        raise type(error)(f"[{op.name}] operand of type {type(x).__name__} is no tensor: {error}") from None
    except (TypeError, ValueError) as error:
        raise DTypeError(
            f"[{op.name}] expected tensors, arrays or numbers; got {type(x).__name__}. Convert it with at.asarray()?"
        ) from error


def operand_aval(x: Any) -> Any:
    """What a shape rule sees of an input: its Aval, or the Python number itself."""
    return x.aval if isinstance(x, Tensor) else x


def _apply_symbolic(op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    try:
        avals = op.infer(*[operand_aval(x) for x in inputs], **params)
    except AutotensorError:
        raise
    except Exception as error:
        raise _in_our_words(op, inputs, params, error) from error
    node = Node(op, tuple([_frozen(x) for x in inputs]), params)
    if any([x.version for x in node.inputs if isinstance(x, Tensor)]):
        node.versions = tuple([x.version if isinstance(x, Tensor) else 0 for x in node.inputs])
    node.where = here()  # building a graph is not the hot path, and its errors surface far from here
    if state.made is not None:
        state.made.append(node)
    if op.n_out == 1:
        node.avals = (avals,)
        return symbol(avals, node)
    node.avals = tuple(avals)
    return tuple([symbol(aval, node, i) for i, aval in enumerate(node.avals)])


def _frozen(x: Any) -> Any:
    """What ``x`` is now, which later in-place writes do not reach. Tracked leaves keep their identity."""
    if not isinstance(x, Tensor) or isinstance(x, Variable) or x.data is None:
        return x
    if x.tracked and x.node is None:
        return x
    out = _new(Tensor)
    out.data = x.data
    out.node, out.index, out.tracked = x.node, x.index, x.tracked
    return out


def explained(op: Op, inputs: tuple[Any, ...], params: dict[str, Any], error: Exception) -> Exception:
    """The error of an operation in the house's words: the shape rule's if it objects, else NumPy's with context."""
    try:
        op.infer(*[operand_aval(x) for x in inputs], **params)
    except AutotensorError as better:
        return better
    except Exception:  # the rule met the same bad argument: NumPy's own message says more
        pass
    return _in_our_words(op, inputs, params, error)


def _in_our_words(op: Op, inputs: tuple[Any, ...], params: dict[str, Any], error: Exception) -> Exception:
    """An error that an implementation or a shape rule did not raise on purpose, with its operation and operands."""
    shown = [repr(operand_aval(x)) for x in inputs] + [f"{name}={value!r}" for name, value in params.items()]
    kind: type[Exception] = _OURS.get(type(error), type(error))
    try:
        return kind(f"[{op.name}] {error}; got ({', '.join(shown)}). Check shapes, dtypes and arguments.")
    except TypeError:
        return error


# What implementations raise of themselves, by what it means here. Others (LinAlgError) say more by their own class.
_OURS: dict[type[Exception], type[Exception]] = {
    ValueError: ShapeError,
    IndexError: RangeError,
    np.exceptions.AxisError: RangeError,
    TypeError: DTypeError,
}
