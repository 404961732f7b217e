"""The house compiler: the only module that imports Numba.

`jit` compiles a kernel (arrays in, arrays out), `scalar` a helper that is inlined into kernels. `kernels.cache` keeps
on disk what is compiled. No kernel lives here.

With `NUMBA_DISABLE_JIT=1` both leave plain Python functions, which ignore NumPy's floating-point and overflow
warnings as compiled code does. With `NUMBA_BOUNDSCHECK=1` beside it these get arrays that refuse every index outside,
also a negative one: see `kernels.bounds`.
"""

import functools
import hashlib
import inspect
import os
import pickle
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any

import llvmlite.binding
import llvmlite.ir
import numba
import numba.extending
import numpy as np
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps

from autotensor import config, locks
from autotensor.kernels import cache, tbb
from autotensor.kernels.bounds import check_block, guarding

prange = numba.prange
"""Loop over `range(n)` by threads, in a function compiled with `parallel=True`."""

DISABLED: bool = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]
"""True when Numba was told not to compile (`NUMBA_DISABLE_JIT=1`)."""

CHECKED: bool = bool(numba.config.BOUNDSCHECK)  # type: ignore[attr-defined]
"""True when Numba was told to look at each index (`NUMBA_BOUNDSCHECK=1`)."""

# Reductions vectorise only with reassoc. Never nnan or ninf: they let LLVM drop NaNs and infinities.
KERNEL_FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp"})
# Helpers reduce arguments in two steps, (x - n*hi) - n*lo; reassoc would fold the steps into one. The flags
# belong to the helper's instructions and stay with them when the helper is inlined into a kernel.
SCALAR_FASTMATH = frozenset({"contract"})


class _Library(JITCodeLibrary):
    """Compiled code that calls the helpers in itself.

    Numba links a copy of each called function into its caller, by a name that all copies have. Whichever was loaded
    first would serve everyone, and they are optimised differently: a kernel that was compiled here would add up in
    another order than the same kernel from the disk cache, where only the copy in it exists.
    """

    def _finalize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage.name in ("linkonce_odr", "weak_odr"):
                function.linkage = "internal"
        super()._finalize_final_module()


class _Compiler(Compiler):
    def compile_extra(self, func: Callable) -> Any:
        library = _Library(self.state.targetctx.codegen(), func.__qualname__)
        library.enable_object_caching()
        self.state.library = library
        return super().compile_extra(func)


class _NoAliasCompiler(_Compiler):
    """The compiler, promising LLVM that the array arguments do not overlap.

    Numba has the flag but no decorator option for it. Without it LLVM guards each loop with overlap tests and
    gives up vectorising when a kernel has many arrays.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.state.flags.noalias = True


# Numba's settings that change the code which comes out.
_CODE_SETTINGS = "OPT LOOP_VECTORIZE SLP_VECTORIZE BOUNDSCHECK DEBUGINFO_DEFAULT ENABLE_PROFILING USING_SVML".split()


@functools.cache
def _versions() -> str:
    """All that the code of every kernel depends on but for the processor, which is the target's."""
    settings = [f"{name}={getattr(numba.config, name, None)}" for name in _CODE_SETTINGS]
    return " ".join(
        [f"numba {numba.__version__}", f"llvmlite {llvmlite.__version__}", f"numpy {np.__version__}"]
        + [f"python {sys.implementation.cache_tag}", f"kernels {cache.sources()}", *settings]
    )


class _Cache:
    """What Numba asks for compiled code before it compiles; nothing is touched before the first call of a kernel."""

    def __init__(self, function: Callable, options: str) -> None:
        self._function = function
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._options = options

    @property
    def cache_path(self) -> str:
        return config.cache_dir

    def _place(self, sig: Any, target: Any) -> tuple[str, str]:
        """File and key of the code for these types."""
        machine, code = target.codegen().magic_tuple(), fingerprint(self._function)
        key = " | ".join(map(str, (self._name, sig, machine, self._options, _versions(), code)))
        return cache.path_of(self._name, key), key

    def has(self, sig: Any, target: Any) -> bool:
        """Is there an entry for these types? It may still turn out to be broken."""
        return cache.has(self._place(sig, target)[0])

    def load_overload(self, sig: Any, target: Any) -> Any:
        target.refresh()
        path, key = self._place(sig, target)
        kept = cache.read(path, key)
        if kept is not None:
            try:
                made = CompileResult._rebuild(target, *pickle.loads(kept))
            except Exception:  # whatever it is, the answer is to compile again
                cache.EVENTS["load failed"] += 1
            else:
                cache.EVENTS["loaded"] += 1
                return made
        cache.EVENTS["missed"] += 1
        return None

    def save_overload(self, sig: Any, made: Any) -> None:
        if made.lifted or made.library.has_dynamic_globals:
            return  # code that is for this process only
        path, key = self._place(sig, made.target_context)
        try:
            kept = dumps(made._reduce())
        except Exception:
            cache.EVENTS["save failed"] += 1
        else:
            cache.write(path, key, kept)

    def enable(self) -> None:
        """Part of what Numba expects of a cache; there is no way to turn this one off."""

    disable = flush = enable


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
    else:
        options["pipeline_class"] = _NoAliasCompiler if noalias else _Compiler
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
            made = CFunc(self.py_func, (kinds, types.void), {}, options, pipeline_class=_Compiler)
            _enable_cache(made, "task")
            made.compile()
            self._compiled = made
        return self._compiled.address


def pointer(address: Any, dtype: Any) -> Any:
    """The memory at an address as numbers of ``dtype``, to be indexed in a kernel; nothing is tested."""


def call_task(code: Any, row: Any, first: Any, last: Any, part: Any) -> None:
    """Call the code of a `task` in a kernel; ``code`` and ``row`` are addresses."""


def enter(address: Any) -> None:
    """In a kernel: wait until the int64 at this address is 0 and make it 1. For a few instructions until `leave`."""


def leave(address: Any) -> None:
    """In a kernel: make it 0 again, after all that was written since `enter`."""


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

    @numba.extending.intrinsic
    def enter(context, address):
        def code(context, builder, signature, args):
            number = llvmlite.ir.IntType(64)
            word = builder.inttoptr(args[0], llvmlite.ir.PointerType(number))
            again, inside = builder.append_basic_block("wait"), builder.append_basic_block("inside")
            builder.branch(again)
            builder.position_at_end(again)
            before = builder.cmpxchg(word, number(0), number(1), "acquire", "monotonic")
            builder.cbranch(builder.extract_value(before, 1), inside, again)
            builder.position_at_end(inside)
            return context.get_dummy_value()

        return numba.types.void(numba.types.int64), code

    @numba.extending.intrinsic
    def leave(context, address):
        def code(context, builder, signature, args):
            number = llvmlite.ir.IntType(64)
            word = builder.inttoptr(args[0], llvmlite.ir.PointerType(number))
            builder.store_atomic(number(0), word, "release", 8)
            return context.get_dummy_value()

        return numba.types.void(numba.types.int64), code


# How often a waiting thread of GNU's OpenMP looks for work before it sleeps: some 30 us, which is longer than what lies
# between two kernels of a step. Its own default, some milliseconds, takes the cores from whatever else runs: beside one
# busy process a step of the MNIST CNN took 96 ms, now 65; alone it takes as long as before.
_SPIN = {"GOMP_SPINCOUNT": "2000"}


_starting = locks.rlock()
# A child that is forked while another thread compiles could not compile: these two are Numba's and LLVM's own.
locks.wait_before_fork(lambda: getattr(global_compiler_lock, "_lock", None))
locks.wait_before_fork(lambda: getattr(getattr(llvmlite.binding.ffi.lib, "_lock", None), "_lock", None))


@functools.cache
def reentrant() -> bool:
    """Start Numba's pool of threads; may two Python threads enter it at once?

    Numba takes TBB where it can, else OpenMP, else its own `workqueue`, which would end the process; or what the user's
    setting of it says. OpenMP reads its settings from the environment at that moment.
    """
    with _starting:
        if pool() is None and not DISABLED:
            if numba.config.THREADING_LAYER != "omp":  # type: ignore[attr-defined]
                tbb.load()
            ours = {} if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ) else _SPIN
            os.environ.update(ours)
            try:
                numba.get_num_threads()
            finally:
                for key in ours:
                    del os.environ[key]
    return pool() != "workqueue"


def pool() -> str | None:
    """Name of Numba's pool of threads ("omp", "tbb", "workqueue"), or None while no kernel has started it."""
    try:
        return None if DISABLED else str(numba.threading_layer())
    except ValueError:
        return None


def missing(kernel: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The types of ``arguments`` if ``kernel`` is not compiled for them, here or on disk, but could be cached there."""
    kept = getattr(kernel, "_cache", None)
    if not isinstance(kept, _Cache) or not cache.writable():
        return None
    if len(arguments) != kernel.py_func.__code__.co_argcount:
        return None  # of another kernel
    types = tuple([kernel.typeof_pyval(a) for a in arguments])
    if types in kernel.overloads or kept.has(types, kernel.targetctx):
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
    if CHECKED:
        check_block(target, at, source, start, 16)
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


def shared(name: str, address: int) -> Callable[[], int]:
    """A function of kernels that gives ``address``, known to the linker by ``name``: cached kernels find it by that."""

    def plain() -> int:
        return address

    if DISABLED:
        return plain
    llvmlite.binding.add_symbol(name, address)

    @numba.extending.intrinsic
    def found(context):
        def code(context, builder, signature, args):
            number = llvmlite.ir.IntType(64)
            data = builder.module.globals.get(name) or llvmlite.ir.GlobalVariable(builder.module, number, name)
            return builder.ptrtoint(data, number)

        return numba.types.int64(), code

    return found  # type: ignore[return-value]


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
    """Hash of a function's bytecode, its constants, and those of all functions it reaches by global or outer names.

    It changes when a called helper changes, in whatever file, so it tells a stale cache entry from a good
    one. Functions reached as attributes of a module are not seen.
    """
    digest = hashlib.sha256()
    seen: set[CodeType] = set()
    root = _python_function(fn)
    stack: list[tuple[CodeType, Mapping[str, Any]]] = [(root.__code__, _names_of(root))] if root else []
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
        for name in (*code.co_names, *code.co_freevars):
            digest.update(name.encode())
            value = scope.get(name)
            callee = _python_function(value)
            if callee is not None:
                stack.append((callee.__code__, _names_of(callee)))
            elif isinstance(value, np.ndarray):
                digest.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
            elif isinstance(value, (bool, int, float, complex, str, tuple, np.generic)):
                digest.update(repr(value).encode())
    return digest.hexdigest()


def _names_of(fn: FunctionType) -> Mapping[str, Any]:
    """What the names in a function mean that are not its own."""
    if fn.__closure__ is None:
        return fn.__globals__
    return fn.__globals__ | dict(inspect.getclosurevars(fn).nonlocals)


def _enable_cache(dispatcher: Any, options: str) -> None:
    dispatcher._cache = _Cache(getattr(dispatcher, "py_func", None) or dispatcher.__wrapped__, options)


def _plain(fn: Callable) -> Callable:
    @functools.wraps(fn)
    def quiet(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return fn(*args)

    return guarding(quiet) if CHECKED else quiet


def _python_function(value: Any) -> FunctionType | None:
    """The Python function behind a compiled, wrapped or plain function; None for anything else."""
    value = getattr(value, "py_func", value)
    value = inspect.unwrap(value) if isinstance(value, FunctionType) else value
    return value if isinstance(value, FunctionType) else None


def _is_helper(value: Any) -> bool:
    """Is it a function that `jit` or `scalar` has decorated?"""
    return hasattr(value, "py_func") or (DISABLED and hasattr(value, "__wrapped__"))
