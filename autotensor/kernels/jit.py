"""The house compiler: the only module that imports Numba.

`jit` compiles a kernel (arrays in, arrays out), `scalar` a helper that is inlined into kernels. Both keep the
disk cache honest and quiet, see `CACHE_EVENTS`. No kernel lives here.

With `NUMBA_DISABLE_JIT=1` both leave plain Python functions, which ignore NumPy's floating-point and overflow
warnings as compiled code does.
"""

import contextlib
import functools
import hashlib
import inspect
import os
import pkgutil
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any

import llvmlite.binding
import llvmlite.ir
import numba
import numba.extending
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler

prange = numba.prange
"""Loop over `range(n)` by threads, in a function compiled with `parallel=True`."""

DISABLED: bool = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]
"""True when Numba was told not to compile (`NUMBA_DISABLE_JIT=1`)."""

# Reductions vectorise only with reassoc. Never nnan or ninf: they let LLVM drop NaNs and infinities.
KERNEL_FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp"})
# Helpers reduce arguments in two steps, (x - n*hi) - n*lo; reassoc would fold the steps into one. The flags
# belong to the helper's instructions and stay with them when the helper is inlined into a kernel.
SCALAR_FASTMATH = frozenset({"contract"})

CACHE_EVENTS: Counter[str] = Counter()
"""How often the disk cache did what: "loaded", "missed", "saved", "unwritable", "load failed", "save failed".

"unwritable" counts functions without any place for a cache; they are compiled anew in each process.
"""


class _NoAliasCompiler(Compiler):
    """The compiler, promising LLVM that the array arguments do not overlap.

    Numba has the flag but no decorator option for it. Without it LLVM guards each loop with overlap tests and
    gives up vectorising when a kernel has many arrays.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.state.flags.noalias = True


class _Cache(FunctionCache):
    """Numba's disk cache, keyed by options and called helpers too; a broken disk is counted, not raised."""

    def __init__(self, py_func: FunctionType, options: str) -> None:
        super().__init__(py_func)
        self._options = options

    def _index_key(self, sig: Any, codegen: Any) -> tuple:
        return (*super()._index_key(sig, codegen), self._options, fingerprint(self._py_func))

    def has(self, sig: Any, target_context: Any) -> bool:
        """Is there an entry for these types? It may still turn out to be broken."""
        try:
            return self._index_key(sig, target_context.codegen()) in self._cache_file._load_index()
        except Exception:  # as in load_overload
            return False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            data = super().load_overload(sig, target_context)
        except Exception:  # a truncated file can raise anything; the answer is always to compile again
            CACHE_EVENTS["load failed"] += 1
            with contextlib.suppress(Exception):
                self.flush()  # an index that can not be read can not be added to either
            return None
        CACHE_EVENTS["missed" if data is None else "loaded"] += 1
        return data

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:
            CACHE_EVENTS["save failed"] += 1
        else:
            CACHE_EVENTS["saved"] += 1


def jit(
    fn: Callable | None = None,
    *,
    parallel: bool = False,
    fastmath: Iterable[str] = KERNEL_FASTMATH,
    inline: bool = False,
    noalias: bool = True,
    cached: bool = True,
) -> Any:
    """Compile a kernel at its first call, per argument types; later processes load it from the disk cache.

    The result releases the GIL and divides by zero as NumPy does (inf and NaN, no exception).

    parallel: run its `prange` loops on threads; the result's ``serial`` is the same kernel without.
    fastmath: LLVM's flags; NaN and infinity survive the default ones, the order of a sum does not.
    inline:   always inline into the calling kernel, and keep no cache of its own; for helpers, see `scalar`.
    noalias:  a promise that no array argument which is written overlaps another argument. Set it False for a
              kernel that may be given the same buffer twice.
    cached:   False for a helper that only kernels and tasks call: their own caches hold it.

    Usable bare (`@jit`) or with options (`@jit(parallel=True)`).
    """
    if fn is None:
        return functools.partial(
            jit, parallel=parallel, fastmath=fastmath, inline=inline, noalias=noalias, cached=cached
        )
    if DISABLED:
        plain = _plain(fn)
        plain.serial = plain  # type: ignore[attr-defined]
        return plain
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
    if parallel:
        options["parallel"] = True
    if inline:
        options["forceinline"] = True
    elif noalias:
        options["pipeline_class"] = _NoAliasCompiler
    dispatcher = numba.njit(**options)(fn)
    if cached and not inline:
        checked = bool(numba.config.BOUNDSCHECK)  # type: ignore[attr-defined]
        _enable_cache(dispatcher, f"{parallel} {sorted(fastmath)} {noalias} {checked}")
    if parallel:
        dispatcher.serial = jit(fn, fastmath=fastmath, noalias=noalias)
    return dispatcher


def task(entry: Callable) -> Any:
    """Compile ``entry(row, first, last, part)`` to native code without arguments of its own: see `kernels.tasks`.

    ``row`` points at int64 numbers, from which it takes addresses (as `pointer`) and sizes; the others are int64. The
    result's ``address`` is that of the code, compiled or loaded from the disk cache when it is first asked for.
    """
    return entry if DISABLED else _Task(entry)


class _Task:
    def __init__(self, entry: Callable):
        self.py_func = entry
        self._compiled: Any = None

    @property
    def address(self) -> int:
        if self._compiled is None:
            types = numba.types
            kinds = (types.CPointer(types.int64), types.int64, types.int64, types.int64)
            options = {"nogil": True, "error_model": "numpy", "fastmath": set()}
            made = CFunc(self.py_func, (kinds, types.void), {}, options)
            _enable_cache(made, "task")
            made.compile()
            self._compiled = made
        return self._compiled.address


def pointer(address: Any, dtype: Any) -> Any:
    """The memory at an address as numbers of ``dtype``, to be indexed in a kernel; nothing is tested."""


def call_task(code: Any, row: Any, first: Any, last: Any, part: Any) -> None:
    """Call the code of a `task` in a kernel; ``code`` and ``row`` are addresses."""


if not DISABLED:

    @numba.extending.intrinsic
    def pointer(context, address, dtype):
        kind = numba.types.CPointer(dtype.instance_type)

        def code(context, builder, signature, args):
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return kind(numba.types.int64, dtype), code

    @numba.extending.intrinsic
    def call_task(context, code, row, first, last, part):
        def emit(context, builder, signature, args):
            number = llvmlite.ir.IntType(64)
            numbers = llvmlite.ir.PointerType(number)
            kind = llvmlite.ir.FunctionType(llvmlite.ir.VoidType(), [numbers, number, number, number])
            function = builder.inttoptr(args[0], llvmlite.ir.PointerType(kind))
            builder.call(function, [builder.inttoptr(args[1], numbers), *args[2:]])
            return context.get_dummy_value()

        return numba.types.void(*[numba.types.int64] * 5), emit


@functools.cache
def reentrant() -> bool:
    """May two Python threads start Numba's threads at once? Its own pool, `workqueue`, would end the process."""
    layer = str(numba.config.THREADING_LAYER)  # type: ignore[attr-defined]
    if layer == "omp":
        return _loaded("omppool")
    if layer in ("tbb", "threadsafe", "safe"):
        return True
    if layer != "default":
        return False
    return _loaded("tbbpool") or _loaded("omppool")


# How often a waiting thread of GNU's OpenMP looks for work before it sleeps: some 30 us, which is longer than what lies
# between two kernels of a step. Its own default, some milliseconds, takes the cores from whatever else runs: beside one
# busy process a step of the MNIST CNN took 96 ms, now 65; alone it takes as long as before.
_SPIN = {"GOMP_SPINCOUNT": "2000"}


def _loaded(name: str) -> bool:
    """Load one of Numba's pools, if it and its library are there. The library reads its settings at that moment."""
    ours = {} if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ) else _SPIN
    os.environ.update(ours)
    try:
        pkgutil.resolve_name(f"numba.np.ufunc.{name}:")
    except ImportError:
        return False
    finally:
        for key in ours:
            del os.environ[key]
    return True


def pool() -> str | None:
    """Name of Numba's pool of threads ("omp", "tbb", "workqueue"), or None while no kernel has started it."""
    try:
        return None if DISABLED else str(numba.threading_layer())
    except ValueError:
        return None


def missing(kernel: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The types of ``arguments`` if ``kernel`` is not compiled for them, here or on disk, but could be cached there."""
    cache = getattr(kernel, "_cache", None)
    if not isinstance(cache, _Cache):
        return None
    if len(arguments) != kernel.py_func.__code__.co_argcount:
        return None  # of another kernel
    types = tuple([kernel.typeof_pyval(a) for a in arguments])
    if types in kernel.overloads or cache.has(types, kernel.targetctx):
        return None
    return types


def overload(function: Callable) -> Callable:
    """Decorator: what kernels run in place of the Python function; nothing where Numba does not compile."""
    if DISABLED:
        return lambda implementation: implementation
    return numba.extending.overload(function, inline="never")


def copy_block(target: Any, at: int, source: Any, start: int) -> None:
    """target[at : at + 16] = source[start : start + 16], in a kernel; flat arrays of one dtype, nothing is tested.

    The size is fixed so that it is one or two instructions; a loop over so few elements is not made into vectors.
    """
    target[at : at + 16] = source[start : start + 16]


if not DISABLED:

    @numba.extending.intrinsic
    def copy_block(context, target, at, source, start):
        def code(context, builder, signature, args):
            array = numba.core.cgutils.create_struct_proxy
            whole = [array(signature.args[i])(context, builder, args[i]).data for i in (0, 2)]
            to, since = [builder.gep(data, [args[i]]) for data, i in zip(whole, (1, 3))]
            itemsize = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
            numba.core.cgutils.raw_memcpy(builder, to, since, numba.core.cgutils.intp_t(16), itemsize)
            return context.get_dummy_value()

        return numba.types.void(target, at, source, start), code


def higher(a: Any, b: Any) -> Any:
    """The larger of two numbers in a kernel, NaN if one is. As a reduction it is made into vectors, unlike a comparison
    that lets NaN through: 34 times faster over rows of 1024 float32."""
    return a if (a >= b) | (a != a) else b


def lower(a: Any, b: Any) -> Any:
    """The smaller of two numbers in a kernel, NaN if one is, see `higher`."""
    return a if (a <= b) | (a != a) else b


if not DISABLED:

    def _extreme(name: str, sign: str, either: str) -> Any:
        def typed(context, a, b):
            kind = context.unify_types(a, b)

            def code(context, builder, signature, args):
                x, y = [context.cast(builder, v, t, kind) for v, t in zip(args, signature.args)]
                if isinstance(kind, numba.types.Float):
                    number = context.get_value_type(kind)
                    of_two = llvmlite.ir.FunctionType(number, [number, number])
                    function = builder.module.declare_intrinsic(name, [number], of_two)
                    return builder.call(function, [x, y], fastmath=("nsz",))
                if isinstance(kind, numba.types.Boolean):
                    return getattr(builder, either)(x, y)
                compare = builder.icmp_signed if kind.signed else builder.icmp_unsigned
                return builder.select(compare(sign, x, y), x, y)

            return kind(a, b), code

        return numba.extending.intrinsic(typed)

    higher = _extreme("llvm.maximum", ">=", "or_")
    lower = _extreme("llvm.minimum", "<=", "and_")


def external(name: str, address: int | None, signature: str) -> Any:
    """A C function for kernels, known to the linker by ``name`` from now on: cached kernels find it by that.

    signature: result and arguments in Numba's words, with ``float32*`` for a pointer; "void" for no result.
    """
    if DISABLED:
        return None
    if address is not None:
        llvmlite.binding.add_symbol(name, address)
    result, arguments = signature.rstrip(")").split("(")
    kinds = [_c_type(part.strip()) for part in arguments.split(",") if part.strip()]
    return numba.types.ExternalFunction(name, _c_type(result)(*kinds))


def _c_type(name: str) -> Any:
    if name.endswith("*"):
        return numba.types.CPointer(_c_type(name[:-1]))
    return getattr(numba.types, name)


scalar = jit(inline=True, fastmath=SCALAR_FASTMATH)
"""Decorator for a helper of kernels: scalars in, a scalar out, inlined, operations in the order written."""


def source_of(names: Iterable[str], namespace: Mapping[str, Any]) -> str:
    """Source text of the named helpers of `namespace` and of all helpers they call, callees first.

    The text includes the decorators; it needs `math`, `numpy as np` and the decorators' names. Helpers appear
    in the order of their definition, so equal sets of names give equal text.
    """
    wanted: dict[str, FunctionType] = {}
    stack = list(names)
    while stack:
        name = stack.pop()
        if name in wanted:
            continue
        fn = _python_function(namespace.get(name))
        if fn is None:
            known = ", ".join(sorted(n for n, v in namespace.items() if _is_helper(v)))
            raise ValueError(f"[source_of] expected the name of a helper; got {name!r}. Known: {known}.")
        wanted[name] = fn
        stack += [n for n in fn.__code__.co_names if _is_helper(namespace.get(n))]
    in_order = sorted(wanted.values(), key=lambda fn: fn.__code__.co_firstlineno)
    return "\n\n".join(textwrap.dedent(inspect.getsource(fn)) for fn in in_order)


def fingerprint(fn: Callable) -> str:
    """Hash of a function's bytecode, its constants, and those of all functions it reaches by global names.

    It changes when a called helper changes, in whatever file, so it tells a stale cache entry from a good
    one. Functions reached as attributes of a module are not seen.
    """
    digest = hashlib.sha256()
    seen: set[CodeType] = set()
    root = _python_function(fn)
    stack: list[tuple[CodeType, dict[str, Any]]] = [(root.__code__, root.__globals__)] if root else []
    while stack:
        code, scope = stack.pop()
        if code in seen:
            continue
        seen.add(code)
        digest.update(code.co_code)
        for const in code.co_consts:
            if isinstance(const, CodeType):
                stack.append((const, scope))
            else:
                digest.update(repr(const).encode())
        for name in code.co_names:
            digest.update(name.encode())
            value = scope.get(name)
            callee = _python_function(value)
            if callee is not None:
                stack.append((callee.__code__, callee.__globals__))
            elif isinstance(value, (bool, int, float, complex, str, tuple, np.generic)):
                digest.update(repr(value).encode())
    return digest.hexdigest()


def _enable_cache(dispatcher: Any, options: str) -> None:
    try:
        dispatcher._cache = _Cache(getattr(dispatcher, "py_func", None) or dispatcher.__wrapped__, options)
    except RuntimeError:  # Numba found no writable directory, or no file behind the function
        CACHE_EVENTS["unwritable"] += 1


def _plain(fn: Callable) -> Callable:
    @functools.wraps(fn)
    def quiet(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return fn(*args)

    return quiet


def _python_function(value: Any) -> FunctionType | None:
    """The Python function behind a compiled, wrapped or plain function; None for anything else."""
    value = getattr(value, "py_func", value)
    value = inspect.unwrap(value) if isinstance(value, FunctionType) else value
    return value if isinstance(value, FunctionType) else None


def _is_helper(value: Any) -> bool:
    """Is it a function that `jit` or `scalar` has decorated?"""
    return hasattr(value, "py_func") or (DISABLED and hasattr(value, "__wrapped__"))
