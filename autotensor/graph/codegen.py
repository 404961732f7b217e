"""Source of fused kernels: loops over a group's domain, written for Numba and readable by people.

A generated file has a ``kernel`` of arrays, sizes and a range ``first`` to ``last`` of its outermost loop; ``entry``
makes a task of it (see `kernels.tasks`). Each of its parts has a range of its own, and adds up in memory of its own
what is summed over all of the range; ``finish`` adds up the parts in order.

A kernel's text depends on the structure of its group only (operations, dtypes, which axes an operand varies along),
never on sizes: those are arguments. So a hundred layers of one kind share a kernel, and the disk cache finds it again.
Their sources lie in ``config.cache_dir``, named by the hash of their text, with the graph as comments.
"""

from __future__ import annotations

import ast
import hashlib
import math
import re
import sys
import types
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from autotensor import config
from autotensor.core.tensor import Node, Tensor
from autotensor.errors import GraphError
from autotensor.kernels import counter_rng, scalar
from autotensor.kernels.cache import keep_source
from autotensor.kernels.tasks import Task
from autotensor.kernels.threads import parts

if TYPE_CHECKING:
    from autotensor.graph.fuse import Group

FULL, ROW, TERMINAL = "full", "row", "terminal"

# Beyond this many elements a row or a column is summed in float64: long sums of float32 lose digits.
_LONG = 4096
# Rows of up to this many elements are computed in blocks of so many rows, one for each lane of a vector.
_SHORT, _LANES = 32, 16

# Functions of the expression language, by dtype: float32 has vectorisable helpers, float64 follows libm.
_F32 = {name: f"{name}_f32" for name in "exp expm1 log log1p tanh sigmoid softplus erf sin cos pow sqrt rsqrt".split()}
_F64 = {name: f"np.{name}" for name in "exp expm1 log log1p tanh sin cos sqrt".split()} | {
    "sigmoid": "sigmoid_f64",
    "softplus": "softplus_f64",
    "erf": "math.erf",
    "pow": "np.power",
}
_ANY = {
    **{name: f"np.{name}" for name in "tan sinh cosh arcsin arccos arctan arcsinh arccosh arctanh arctan2".split()},
    **{name: f"np.{name}" for name in "floor ceil trunc hypot".split()},
    "round": "np.rint",
    "abs": "abs",
    "isnan": "np.isnan",
    "isinf": "np.isinf",
    "isfinite": "np.isfinite",
}
# Written out as expressions: branch-free, NaN-propagating where NumPy is.
_MACROS = {
    "select": "({1} if {0} else {2})",
    "maximum": "({0} if ({0} >= {1}) | ({0} != {0}) else {1})",
    "minimum": "({0} if ({0} <= {1}) | ({0} != {0}) else {1})",
    "sign": "(ZERO if {0} == ZERO else (ONE if {0} > ZERO else (-ONE if {0} < ZERO else {0})))",
    "logical_and": "(({0} != 0) & ({1} != 0))",
    "logical_or": "(({0} != 0) | ({1} != 0))",
    "logical_not": "({0} == 0)",
}
_ORDER = {"f4": ("order_f32", "ordered_f32", "np.int32"), "f8": ("order_f64", "ordered_f64", "np.int64")}
_HELPERS = {*_F32.values(), "sigmoid_f64", "softplus_f64", *[name for names in _ORDER.values() for name in names[:2]]}
# A kernel keeps the rounding of each operation, as NumPy does: reordered, (x + 1e8) - 1e8 would be x; as products with
# reciprocals, floor(49 / 49) would be 0; fused to multiply-adds, sqrt(x * x - x * x) would be NaN. Only the order in
# which a reduction adds up is free, which is what makes it a vector loop.
_HEAD = "@jit(fastmath=(), cached=False)"
_REASSOCIATED = {
    "plus": '@jit(inline=True, fastmath=("reassoc", "nsz"))\ndef plus(total, x):\n    return total + x\n',
    "times": '@jit(inline=True, fastmath=("reassoc", "nsz"))\ndef times(total, x):\n    return total * x\n',
}
# Nanoseconds on one thread: an operation on an element, with what some of them cost more, and a byte of memory.
_ARITHMETIC, _BYTE, _CALL = 0.03, 0.03, 0.2
_COSTS = [("/", 0.1), ("sqrt(", 0.1), ("uniform(", 0.4), ("pow(", 1.4)]
_COSTS += [(f"{name}(", 0.3) for name in "exp expm1 log log1p tanh sigmoid softplus erf sin cos".split()]
_RANDOM = {"f4": "uniform_f32", "f8": "uniform_f64"}


class Member:
    """An operation inside a group, with the level of its value."""

    __slots__ = ("level", "node", "stored")

    def __init__(self, node: Node, level: str):
        self.node = node
        self.level = level
        self.stored = False


def reduced_axes(node: Node) -> tuple[int, ...]:
    """Axes over which a reduction goes; its ``axis`` is a tuple, one number, or None for all."""
    axis = node.params["axis"]
    if axis is None:
        return tuple(range(len(node.inputs[0].shape)))
    return axis if isinstance(axis, tuple) else (axis,)


def compute_dtype(node: Node) -> np.dtype:
    """Dtype in which an elementwise operation computes: the promoted one of its inputs."""
    assert node.avals is not None
    out = node.avals[0].dtype
    operands = [x.dtype if isinstance(x, Tensor) else x for x in node.inputs]
    if out.kind == "b" and operands:
        return np.result_type(*operands)
    return out


def expression(node: Node) -> str | None:
    """The operation's scalar expression for its dtypes, or None if it has none for them."""
    expr = node.op.expr
    if isinstance(expr, dict):
        kind = np.result_type(*[x.dtype if isinstance(x, Tensor) else x for x in node.inputs]).kind
        expr = expr.get("i" if kind == "u" and "u" not in expr else kind)
    if expr is None:
        return None
    assert node.avals is not None
    if "{index}" in expr:
        return expr if node.avals[0].dtype.str[1:] in _RANDOM else None
    dtype = compute_dtype(node)
    if not all(_fits(x, dtype) for x in node.inputs):
        return None  # NumPy compares with such a number exactly, and refuses it elsewhere
    compares = node.avals[0].dtype.kind == "b" and dtype.kind == "f"
    if compares and all(isinstance(x, Tensor) and x.dtype.kind in "iu" for x in node.inputs):
        return None  # int64 and uint64, which NumPy compares exactly
    casts = dtype.kind == "u" and "cast(" in expr
    if casts and any(isinstance(x, Tensor) and x.dtype.kind == "f" for x in node.inputs):
        return None  # of a negative number each machine instruction makes another unsigned one
    if dtype.kind in "iub" and any(name + "(" in expr for name in (*_F32, *_F64)):
        return None  # integer operands of a function that gives floats: NumPy's own rules apply
    return expr


def _fits(x: Any, dtype: np.dtype) -> bool:
    """Is a Python number within the range of the dtype that it takes on?"""
    if isinstance(x, (Tensor, bool, float)):
        return True
    if isinstance(x, complex):
        return False
    if dtype.kind == "f":
        return abs(x) < 2**63
    return dtype.kind == "b" or bool(np.iinfo(dtype).min <= x <= np.iinfo(dtype).max)


def _in_memory(dtype: np.dtype) -> np.dtype:
    """Booleans lie in memory as bytes."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def _type_name(dtype: np.dtype) -> str:
    return "np.bool_" if dtype.kind == "b" else f"np.{dtype.name}"


def _number(value: Any, dtype: np.dtype) -> str:
    if dtype.kind == "f":
        value = float(value)
        if value != value or value in (float("inf"), float("-inf")):
            return f"{_type_name(dtype)}({'np.nan' if value != value else ('np.inf' if value > 0 else '-np.inf')})"
        return f"{_type_name(dtype)}({value!r})"
    if dtype.kind == "b":
        return repr(bool(value))
    return f"{_type_name(dtype)}({int(value)!r})"


class _Typed(ast.NodeTransformer):
    """Give constants a dtype and functions their names; a bare literal would promote float32 to float64."""

    def __init__(self, dtype: np.dtype, out: np.dtype, raw: dict[str, str], used: set[str]):
        self.dtype = dtype
        self.out = out
        self.raw = raw  # operand name -> its text without a cast, for conditions
        self.used = used

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.parse(_number(node.value, self.dtype), mode="eval").body

    def visit_Call(self, node: ast.Call) -> ast.AST:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        if name == "c":
            return self.visit(node.args[0])
        if name == "cast":
            inner = node.args[0]
            text = self.raw.get(inner.id) if isinstance(inner, ast.Name) else None
            value = ast.unparse(self.visit(inner)) if text is None else text
            return _parse(f"({value} != 0)" if self.out.kind == "b" else f"{_type_name(self.out)}({value})")
        if name == "uniform":
            helper = _RANDOM[self.out.str[1:]]
            self.used.add(helper)
            return _parse(f"{helper}({ast.unparse(node.args[0])}, {self.raw['_0']})")
        conditions = 1 if name == "select" else 2 if name.startswith("logical") else 0
        parts = []
        for k, arg in enumerate(node.args):
            if k < conditions and isinstance(arg, ast.Name) and arg.id in self.raw:
                parts.append(self.raw[arg.id])
            else:
                parts.append(ast.unparse(self.visit(arg)))
        if name in _MACROS:
            text = _MACROS[name].format(*[f"({p})" for p in parts])
            text = text.replace("ZERO", _number(0, self.dtype)).replace("ONE", _number(1, self.dtype))
            return _parse(text)
        table = _F32 if self.dtype == np.float32 else _F64
        function = table.get(name) or _ANY.get(name)
        if function is None:
            raise GraphError(f"[fuse] unknown function {name!r} in a scalar expression. Add it to graph.codegen.")
        if function in _HELPERS:
            self.used.add(function)
        return _parse(f"{function}({', '.join(parts)})")


@cache
def _helpers_source(names: tuple[str, ...]) -> str:
    return scalar.source_of(names)


@cache
def _random_source(names: tuple[str, ...]) -> str:
    return counter_rng.source_of(names)


def _parse(text: str) -> ast.AST:
    return ast.parse(text, mode="eval").body


def _scalar_code(node: Node, operands: list[str], index: str, used: set[str]) -> str:
    """Source of one elementwise operation on scalars named ``operands``."""
    assert node.avals is not None
    expr = expression(node)
    assert expr is not None
    dtype, out = compute_dtype(node), node.avals[0].dtype
    kinds = tuple([x.dtype if isinstance(x, Tensor) else _number(x, dtype) for x in node.inputs])
    body = expr.format(*[f"_{k}" for k in range(len(operands))], index="_index", **node.params)
    code, helpers = _template(body, kinds, dtype, out)
    used |= helpers
    return _OPERAND.sub(lambda found: index if found[1] == "index" else operands[int(found[1])], code)


_OPERAND = re.compile(r"\b_+(\d+|index)\b")


@cache
def _template(
    body: str, kinds: tuple[np.dtype | str, ...], dtype: np.dtype, out: np.dtype
) -> tuple[str, frozenset[str]]:
    """Typed source of an expression in ``_0``, ``_1``..., and the helpers it calls.

    ``kinds`` has the dtype of each tensor, and each number as a literal already.
    """
    raw: dict[str, str] = {}
    typed: dict[str, str] = {}
    used: set[str] = set()
    for k, kind in enumerate(kinds):
        name = f"_{k}"
        if isinstance(kind, str):
            raw[name] = typed[name] = kind
        else:
            raw[name] = f"_{name}"
            typed[name] = name if kind == dtype else f"{_type_name(dtype)}({name})"
    tree = _Typed(dtype, out, raw, used).visit(ast.parse(body, mode="eval").body)
    code = ast.unparse(_Names(typed).visit(tree))
    # Integers widen to int64 in Numba, and booleans to integers: cast back after each operation.
    if out.kind in "iu" or (out.kind == "f" and dtype != out):
        code = f"{_type_name(out)}({code})"
    return code, frozenset(used)


class _Names(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]):
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        text = self.names.get(node.id)
        return _parse(text) if text is not None else node


_IDENTITY = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf}


def _identity(kind: str, dtype: np.dtype) -> str:
    if kind in ("max", "min") and dtype.kind in "iu":
        info = np.iinfo(dtype)
        return _number(info.min if kind == "max" else info.max, dtype)
    if kind in ("max", "min") and dtype.kind == "b":
        return repr(kind == "min")
    return _number(_IDENTITY[kind], dtype)


def _combine(kind: str, acc: str, value: str, used: set[str]) -> str:
    if kind in ("sum", "prod"):
        helper = "plus" if kind == "sum" else "times"
        used.add(helper)
        return f"{helper}({acc}, {value})"
    sign = ">=" if kind == "max" else "<="
    return f"{acc} if ({acc} {sign} {value}) | ({acc} != {acc}) else {value}"


def _is_ordered(kind: str, dtype: np.dtype) -> bool:
    """Is this extreme of an inner loop found among integers, which makes a vector loop of it?"""
    return kind in ("max", "min") and dtype.str[1:] in _ORDER


def _last_integer(kind: str, dtype: np.dtype, first: bool = False) -> str:
    """The integer that wins over all others in a search for the extreme, which stands for NaN; or that loses to all."""
    info = np.iinfo(f"i{dtype.itemsize}")
    return f"{_ORDER[dtype.str[1:]][2]}({info.max if (kind == 'max') != first else info.min})"


def _step(kind: str, acc: str, value: str, dtype: np.dtype, used: set[str]) -> list[str]:
    """Lines of one step of an inner loop: the accumulator together with the next value."""
    if not _is_ordered(kind, dtype):
        return [f"{acc} = {_combine(kind, acc, value, used)}"]
    order = _ORDER[dtype.str[1:]][0]
    used.add(order)
    return _integer_step(kind, acc, f"{order}({value}, {_last_integer(kind, dtype)})")


def _integer_step(kind: str, acc: str, key: str) -> list[str]:
    """Of integers; not written as ``max(acc, key)``, which LLVM does not always see to be a reduction."""
    return [f"k{acc} = {key}", f"{acc} = {acc} if {acc} {'>' if kind == 'max' else '<'} k{acc} else k{acc}"]


def _start(kind: str, dtype: np.dtype) -> str:
    return _last_integer(kind, dtype, True) if _is_ordered(kind, dtype) else _identity(kind, dtype)


def _end(kind: str, acc: str, dtype: np.dtype, used: set[str]) -> str:
    if not _is_ordered(kind, dtype):
        return acc
    used.add(_ORDER[dtype.str[1:]][1])
    return f"{_ORDER[dtype.str[1:]][1]}({acc})"


class _Emitter:
    """Writes the kernel of one group."""

    def __init__(self, group: Group, same: dict[int, int]):
        self.group = group
        self.same = same
        self.members = list(group.members.values())
        self.used: set[str] = set()
        self.lines: list[str] = []
        self.rows = group.has_rows
        self.rank = len(group.domain)
        self.names: dict[Any, str] = {}
        self.scratch: list[tuple[np.dtype, int, str]] = []  # dtype and elements of a part, these as text too
        self._axes()

    # -- axes: which ones each array varies along, collapsed ----------------------------------------------------------

    def _vary(self, shape: Sequence[Any], level: str) -> tuple[bool, ...]:
        """For each axis of the domain, does an operand of this shape vary along it?"""
        domain = self.group.domain
        if level == ROW and len(shape) < self.rank and tuple(shape) == domain[:-1]:
            shape = (*shape, 1)
        padded = (1,) * (self.rank - len(shape)) + tuple(shape)
        return tuple([n != 1 for n in padded])

    def _operand_vary(self, x: Tensor, member: Member) -> tuple[bool, ...]:
        """Axes of an outside operand, as the member reads it."""
        node = member.node
        assert node.avals is not None
        if member.level == ROW and node.op.reduces is None and len(node.avals[0].shape) < self.rank:
            padded = (1,) * (self.rank - 1 - len(x.shape)) + tuple(x.shape) + (1,)
            return tuple([n != 1 for n in padded])
        return self._vary(x.shape, FULL)

    def _kept(self, member: Member) -> tuple[bool, ...]:
        """Axes along which a terminal reduction's result varies."""
        node = member.node
        axes = reduced_axes(node)
        source = node.inputs[0]
        if self.group.level_of(source) == ROW:
            return (False,) * self.rank
        return tuple([k not in axes and n != 1 for k, n in enumerate(source.shape)])

    def _axes(self) -> None:
        group = self.group
        self.reads: dict[Any, dict[tuple[bool, ...], None]] = {}  # per input: the axes it is read along
        vectors: set[tuple[bool, ...]] = set()
        for member in self.members:
            for x in member.node.inputs:
                if isinstance(x, Tensor) and group.level_of(x) is None:
                    vary = self._operand_vary(x, member)
                    self.reads.setdefault(_name_key(x), {})[vary] = None
                    vectors.add(vary)
            if member.level == TERMINAL:
                vectors.add(self._kept(member))
            elif member.stored or member.level == FULL:
                full = tuple([n != 1 for n in group.domain])
                vectors.add((*full[:-1], False) if member.level == ROW else full)
        keep = [k for k, n in enumerate(group.domain) if n != 1 or (self.rows and k == self.rank - 1)]
        merged: list[list[int]] = []
        for k in keep:
            last = self.rows and k == self.rank - 1
            if merged and not last and all(v[k] == v[merged[-1][0]] for v in vectors):
                merged[-1].append(k)
            else:
                merged.append([k])
        if not merged:
            merged = [[]]
        self.merged = merged
        self.sizes = tuple([int(np.prod([group.domain[k] for k in axes])) for axes in merged])
        self.depth = len(merged)
        # One row has no loop around it that parts could share.
        self.split = merged != [[]] and not (self.rows and self.depth == 1)
        self.extent = self.sizes[0] if self.split else 1

    def _collapse(self, vary: tuple[bool, ...]) -> tuple[bool, ...]:
        return tuple([bool(axes) and any(vary[k] for k in axes) for axes in self.merged])

    # -- text

    def put(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def _strides(self, vary: tuple[bool, ...]) -> list[str]:
        """Stride of each collapsed axis as text, for an array that is contiguous over the axes it varies along."""
        strides = []
        for k in range(self.depth):
            later = [f"n{j}" for j in range(k + 1, self.depth) if vary[j]]
            strides.append(" * ".join(later) if later else "1")
        return strides

    def _offset_name(self, vary: tuple[bool, ...], level: int) -> str:
        return "o" + "".join("ab"[v] for v in vary) + str(level)

    def _offsets(self, indent: int, level: int) -> None:
        """Offsets of all axis patterns after the loop variable of ``level`` is known."""
        for vary in sorted(self.patterns):
            if not vary[level]:
                continue
            before = self._base(vary, level)
            term = f"i{level}" if self._strides(vary)[level] == "1" else f"i{level} * ({self._strides(vary)[level]})"
            text = f"{before} + {term}" if before != "0" else term
            self.put(indent, f"{self._offset_name(vary, level)} = {text}")

    def _base(self, vary: tuple[bool, ...], level: int) -> str:
        """Offset accumulated by the loops outside ``level``."""
        for k in range(level - 1, -1, -1):
            if vary[k]:
                return self._offset_name(vary, k)
        return "0"

    def _at(self, array: str, vary: tuple[bool, ...], level: int) -> str:
        """Element of a flat array at the present loop variables up to ``level``."""
        return f"{array}[{self._position(vary, level)}]"

    def _position(self, vary: tuple[bool, ...], level: int) -> str:
        base = self._base(vary, level + 1)
        return "i0" if self.depth == 1 and base != "0" else base

    def _sum_at(self, member: Member, level: int) -> str:
        """Element of a reduction's result, or of the memory that this part adds up in."""
        kept = self._collapse(self._kept(member))
        if self._place(member) == "own":
            return self._at(self.output_name[id(member.node)], kept, level)
        name = self.names[id(member.node)]
        return f"a{name}[q{name} + {self._position(kept, level)}]"

    def _place(self, member: Member) -> str:
        """Where a terminal reduction adds up: a "scalar", memory "shared" by no two parts, or its "own" place."""
        kept = self._collapse(self._kept(member))
        if self._last(kept) == -1:
            return "scalar"
        return "own" if kept[0] and self.split and not self._is_wide(member) else "shared"

    def _is_wide(self, member: Member) -> bool:
        """Are so many float32 numbers added to one place in memory that it has to be float64?"""
        if member.node.op.reduces not in ("sum", "prod") or self._acc_dtype(member) != np.float32:
            return False
        kept = self._collapse(self._kept(member))
        outer = [n for k, n in enumerate(self.sizes) if not kept[k] and (k < self.depth - 1 or kept[-1])]
        return self._last(kept) != -1 and math.prod(outer) > _LONG

    def _size(self, member: Member, since: int = 0) -> str:
        """Number of elements of a terminal reduction's result, from an axis on."""
        kept = self._collapse(self._kept(member))
        return " * ".join([f"n{k}" for k in range(since, self.depth) if kept[k]]) or "1"

    def _last(self, vary: tuple[bool, ...]) -> int:
        """Innermost loop that the pattern depends on; -1 for none."""
        return max([k for k, v in enumerate(vary) if v], default=-1)

    # -- the kernel ---------------------------------------------------------------------------------------------------

    def source(self) -> str:
        group = self.group
        self.arguments = [f"x{k}" for k in range(len(group.inputs))]
        self.input_name = {_name_key(x): f"x{k}" for k, x in enumerate(group.inputs)}
        self.dtypes = {_name_key(x): x.dtype for x in group.inputs}
        self.output_name: dict[int, str] = {}
        for k, out in enumerate(group.outputs):
            name = self.arguments[self.same[k]] if k in self.same else f"y{k}"
            self.output_name[id(out.node)] = name
            if k not in self.same:
                self.arguments.append(name)
        self.patterns: set[tuple[bool, ...]] = set()
        self.full = tuple([bool(axes) for axes in self.merged])
        self.row = (*self.full[:-1], False)
        for reads in self.reads.values():
            self.patterns |= {self._collapse(v) for v in reads}
        for member in self.members:
            if member.level == TERMINAL:
                self.patterns.add(self._collapse(self._kept(member)))
        self.patterns |= {self.full, self.row}
        for k, member in enumerate(self.members):
            self.names[id(member.node)] = f"v{k}"
        self.terminals = [m for m in self.members if m.level == TERMINAL]
        if self.rows:
            self._stages()
        self._before_loops()
        if self.rows and self._short_rows():
            self._lane_kernel()
        elif self.rows:
            self._row_kernel()
        else:
            self._nest(0, 1)
        self._after_loops()
        self.lines[:0] = [f"    u{k} = part * ({size})" for k, (_, _, size) in enumerate(self.scratch)]
        return self._text()

    def _text(self) -> str:
        helpers = sorted(self.used & _HELPERS)
        random = sorted(self.used & set(_RANDOM.values()))
        parts = [scalar.PRELUDE, *[_REASSOCIATED[name] for name in sorted(self.used & set(_REASSOCIATED))]]
        if helpers:
            parts.append(_helpers_source(tuple(helpers)))
        if random:
            parts.append(_random_source(tuple(random)))
        arrays = self._arrays()
        sizes = [*[f"n{k}" for k in range(self.depth)], "parts"]
        arguments = ", ".join([*[name for name, _ in arrays], *sizes])
        passed = [f"pointer(row[{k}], np.{_in_memory(dtype).name})" for k, (_, dtype) in enumerate(arrays)]
        passed += [f"row[{k}]" for k in range(len(arrays), len(arrays) + len(sizes))]
        call = "(\n        " + ",\n        ".join(passed)
        body = [_HEAD, f"def kernel({arguments}, first, last, part):", *self._comments(), *self.lines]
        head = ["", "", "@task"]
        body += [*head, "def entry(row, first, last, part):", f"    kernel{call},\n        first, last, part)"]
        ends = self._ends()
        if ends:
            body += ["", "", _HEAD, f"def combine({arguments}):", *ends]
            body += [*head, "def finish(row, first, last, part):", f"    combine{call})"]
        return "\n\n".join(parts) + "\n\n" + "\n".join(body) + "\n"

    def _arrays(self) -> list[tuple[str, np.dtype]]:
        """Arguments that are arrays, in order."""
        group = self.group
        arrays = [(f"x{k}", x.dtype) for k, x in enumerate(group.inputs)]
        arrays += [(f"y{k}", aval.dtype) for k, aval in enumerate(group.out_avals) if k not in self.same]
        arrays += [(f"a{self.names[id(m.node)]}", self.sum_dtype(m)) for m in self.partials()]
        return arrays + [(f"t{k}", dtype) for k, (dtype, _, _) in enumerate(self.scratch)]

    def partials(self) -> list[Member]:
        """Reductions that each part adds up in memory of its own."""
        return [m for m in self.terminals if self._place(m) != "own"]

    def sum_dtype(self, member: Member) -> np.dtype:
        dtype = self._acc_dtype(member)
        scalar_sum = member.node.op.reduces in ("sum", "prod") and self._place(member) == "scalar"
        long = self._is_wide(member) or (scalar_sum and dtype == np.float32)
        return np.dtype(np.float64) if long else dtype

    def _ends(self) -> list[str]:
        """Body of ``combine``: what the parts have accumulated, put together in order."""
        lines: list[str] = []
        for member in self.partials():
            kind, name = member.node.op.reduces, self.names[id(member.node)]
            assert kind is not None
            size = self._size(member)
            lines += [
                f"    for i in range({size}):",
                f"        total = {_identity(kind, self.sum_dtype(member))}",
                "        for p in range(parts):",
                f"            total = {_combine(kind, 'total', f'a{name}[p * ({size}) + i]', self.used)}",
                f"        {self.output_name[id(member.node)]}[i] = total",
            ]
        return lines

    def _comments(self) -> list[str]:
        lines = []
        for member in self.members:
            shown = []
            for x in member.node.inputs:
                if not isinstance(x, Tensor):
                    shown.append(repr(x))
                else:
                    inside = self.names.get(id(x.node)) if self.group.level_of(x) else None
                    shown.append(inside or f"{self.input_name[_name_key(x)]}:{x.dtype}")
            name = self.names[id(member.node)]
            lines.append(f"    # {name} = {member.node.op.name}({', '.join(shown)})  {member.level}")
        return lines

    def _acc_dtype(self, member: Member) -> np.dtype:
        assert member.node.avals is not None
        dtype = member.node.avals[0].dtype
        # Memory that is added up in holds a boolean as a byte.
        return _in_memory(dtype) if member.level == TERMINAL else dtype

    def cost(self) -> float:
        """Nanoseconds that the kernel takes on one thread, roughly."""
        points = math.prod(self.group.domain)
        row = self.group.domain[-1] if self.rows else 1
        total = 0.0
        for member in self.members:
            node = member.node
            assert node.avals is not None
            dtype = compute_dtype(node)
            text = expression(node) if node.op.expr is not None else ""
            assert text is not None
            each = _ARITHMETIC + sum([nanoseconds for name, nanoseconds in _COSTS if name in text])
            if dtype == np.float64:
                each *= 2.0 if each < _CALL else 16.0
            total += each * (points / row if member.level == ROW and node.op.reduces is None else points)
        avals = [*[x.aval for x in self.group.inputs], *self.group.out_avals]
        touched = sum([math.prod([n or 0 for n in aval.shape]) * aval.dtype.itemsize for aval in avals])
        return total + touched * _BYTE

    def _before_loops(self) -> None:
        """Scalars are read once; accumulators start at their identity."""
        for key, reads in self.reads.items():
            for vary in reads:
                if self._last(self._collapse(vary)) == -1:
                    self.put(1, f"{self._loaded(key, vary)} = {self._read(key, self.input_name[key] + '[0]')}")
        for member in self.terminals:
            dtype, kind = self._acc_dtype(member), member.node.op.reduces
            assert kind is not None
            name = self.names[id(member.node)]
            place = self._place(member)
            if place == "scalar":
                self.put(1, f"{name} = {_identity(kind, self.sum_dtype(member))}")
            elif place == "own":
                inner = self._size(member, 1)
                self.put(1, f"for i in range(first * ({inner}), last * ({inner})):")
                self.put(2, f"{self.output_name[id(member.node)]}[i] = {_identity(kind, dtype)}")
            else:
                self.put(1, f"q{name} = part * ({self._size(member)})")
                self.put(1, f"for i in range({self._size(member)}):")
                self.put(2, f"a{name}[q{name} + i] = {_identity(kind, dtype)}")

    def _loaded(self, key: Any, vary: tuple[bool, ...]) -> str:
        """Name of the scalar holding the current element of an input."""
        many = len(self.reads[key]) > 1
        mark = "_" + "".join("ab"[v] for v in self._collapse(vary)) if many else ""
        return f"e{self.input_name[key][1:]}{mark}"

    def _read(self, key: Any, element: str) -> str:
        """Booleans lie in memory as bytes."""
        return f"{element} != 0" if self.dtypes[key].kind == "b" else element

    def _store(self, indent: int, element: str, member: Member) -> None:
        name = self.names[id(member.node)]
        self.put(indent, f"{element} = {f'np.uint8({name})' if self._acc_dtype(member).kind == 'b' else name}")

    def _after_loops(self) -> None:
        for member in self.terminals:
            if self._place(member) == "scalar":
                name = self.names[id(member.node)]
                self.put(1, "if parts == 1:")
                self.put(2, f"{self.output_name[id(member.node)]}[0] = {name}")
                self.put(1, "else:")
                self.put(2, f"a{name}[part] = {name}")
            elif self._is_wide(member):
                name = self.names[id(member.node)]
                self.put(1, "if parts == 1:")
                self.put(2, f"for i in range({self._size(member)}):")
                self.put(3, f"{self.output_name[id(member.node)]}[i] = a{name}[i]")

    def _loads(self, indent: int, level: int, wanted: set[Any] | None = None) -> None:
        for key, reads in self.reads.items():
            if wanted is not None and key not in wanted:
                continue
            for vary in reads:
                collapsed = self._collapse(vary)
                if self._last(collapsed) == level:
                    self.put(
                        indent,
                        f"{self._loaded(key, vary)} = "
                        f"{self._read(key, self._at(self.input_name[key], collapsed, level))}",
                    )

    def _operand(self, x: Any, member: Member) -> str:
        if not isinstance(x, Tensor):
            return ""
        if self.group.level_of(x) is not None:
            return self.names[id(x.node)]
        return self._loaded(_name_key(x), self._operand_vary(x, member))

    def _compute(self, indent: int, member: Member, index: str) -> None:
        node = member.node
        name = self.names[id(node)]
        if node.op.reshapes:
            self.put(indent, f"{name} = {self._operand(node.inputs[0], member)}")
            return
        operands = [self._operand(x, member) for x in node.inputs]
        self.put(indent, f"{name} = {_scalar_code(node, operands, f'np.uint64({index})', self.used)}")

    def _nest(self, level: int, indent: int) -> None:
        """Loops of a group without rows."""
        inner = level == self.depth - 1
        partial = [m for m in self.terminals if inner and self._is_partial(m)]
        for member in partial:
            kind = member.node.op.reduces
            assert kind is not None
            self.put(indent, f"s{self.names[id(member.node)]} = {_start(kind, self._partial_dtype(member))}")
        if self.merged == [[]]:
            body = indent
            self.put(indent, "i0 = 0")
        else:
            self.put(indent, f"for i{level} in {self._range(level)}:")
            body = indent + 1
        if self.depth > 1:
            self._offsets(body, level)
        self._loads(body, level) if self.merged != [[]] else None
        if not inner:
            self._nest(level + 1, body)
            return
        index = self._base(self.full, level + 1) if self.depth > 1 else "i0"
        for member in self.members:
            if member.level == FULL:
                self._compute(body, member, index)
                if member.stored:
                    self._store(body, self._at(self.output_name[id(member.node)], self.full, level), member)
            else:
                self._accumulate(body, member, level)
        for member in partial:
            self._fold(indent, member, level - 1)

    def _range(self, level: int) -> str:
        return "range(first, last)" if level == 0 and self.split else f"range(n{level})"

    def _is_partial(self, member: Member) -> bool:
        """Accumulate the inner loop in a scalar: its result does not vary along the innermost axis."""
        return not self._collapse(self._kept(member))[-1] and self.merged != [[]]

    def _partial_dtype(self, member: Member) -> np.dtype:
        dtype = self._acc_dtype(member)
        long = member.node.op.reduces in ("sum", "prod") and self.sizes[-1] > _LONG
        return np.dtype(np.float64) if dtype == np.float32 and long else dtype

    def _accumulate(self, indent: int, member: Member, level: int) -> None:
        kind = member.node.op.reduces
        assert kind is not None
        value = self._cast_operand(member)
        name = self.names[id(member.node)]
        if self._is_partial(member):
            for line in _step(kind, f"s{name}", value, self._partial_dtype(member), self.used):
                self.put(indent, line)
            return
        if self._place(member) == "scalar":
            target = name
        else:
            target = self._sum_at(member, level)
        self.put(indent, f"{target} = {_combine(kind, target, value, self.used)}")

    def _cast_operand(self, member: Member) -> str:
        """The reduced value in the dtype of the result (a sum of booleans counts, of int8 widens)."""
        x = member.node.inputs[0]
        text = self._operand(x, member)
        dtype = self._acc_dtype(member)
        return text if x.dtype == dtype else f"{_type_name(dtype)}({text})"

    def _fold(self, indent: int, member: Member, level: int) -> None:
        """Add an inner loop's scalar to the result."""
        kind = member.node.op.reduces
        assert kind is not None
        name = self.names[id(member.node)]
        target = name if self._place(member) == "scalar" else self._sum_at(member, level)
        found = _end(kind, f"s{name}", self._partial_dtype(member), self.used)
        if found != f"s{name}":
            self.put(indent, f"f{name} = {found}")
            found = f"f{name}"
        self.put(indent, f"{target} = {_combine(kind, target, found, self.used)}")

    # -- kernels with row values: stages of loops over one row

    def _stages(self) -> None:
        """Stage of each value: FULL values are computed in the loop of their stage, ROW values before it."""
        self.stage: dict[int, int] = {}
        for member in self.members:
            inputs = [x for x in member.node.inputs if self.group.level_of(x) is not None]
            stage = max([self.stage[id(x.node)] for x in inputs], default=0)
            if member.node.op.reduces is not None and member.level == ROW:
                stage += 1
            self.stage[id(member.node)] = stage
        self.last_stage = max(self.stage.values())

    def _row_kernel(self) -> None:
        inner = self.depth - 1
        indent = 1
        for level in range(inner):
            self.put(indent, f"for i{level} in {self._range(level)}:")
            indent += 1
            self._offsets(indent, level)
            self._loads(indent, level)
        self.spilled: dict[int, str] = {}
        for stage in range(self.last_stage + 1):
            for member in self.members:
                is_reduction = member.node.op.reduces is not None
                if member.level == ROW and self.stage[id(member.node)] == stage and not is_reduction:
                    self._compute(indent, member, self._base(self.row, inner))
            self._row_loop(indent, stage, inner)
        for member in self.members:
            if member.level == ROW and member.stored:
                self._store(indent, self._at(self.output_name[id(member.node)], self.row, inner - 1), member)
            elif member.level == TERMINAL and self.group.level_of(member.node.inputs[0]) == ROW:
                kind = member.node.op.reduces
                assert kind is not None
                name = self.names[id(member.node)]
                self.put(indent, f"{name} = {_combine(kind, name, self._cast_operand(member), self.used)}")

    def _row_loop(self, indent: int, stage: int, inner: int) -> None:
        group = self.group
        computed = [m for m in self.members if m.level == FULL and self.stage[id(m.node)] == stage]
        reduced = [m for m in self.members if m.node.op.reduces is not None and self._reduced_stage(m) == stage]
        if not computed and not reduced:
            return
        for member in reduced:
            self._start_row(indent, member)
        body = indent + 1
        self.put(indent, f"for i{inner} in range(n{inner}):")
        self._offsets(body, inner)
        readers = [*computed, *reduced]
        keys = {
            _name_key(x) for m in readers for x in m.node.inputs if isinstance(x, Tensor) and group.level_of(x) is None
        }
        self._loads(body, inner, keys)
        here = {id(m.node) for m in computed}
        for member in readers:
            for x in member.node.inputs:
                if group.level_of(x) == FULL and id(x.node) not in here:
                    self._reload(body, x)
                    here.add(id(x.node))
        index = self._base(self.full, inner + 1)
        for member in computed:
            self._compute(body, member, index)
            if member.stored:
                self._store(body, self._at(self.output_name[id(member.node)], self.full, inner), member)
            elif self._needed_later(member, stage):
                self._spill(body, member)
        for member in reduced:
            if member.level == ROW:
                self._row_step(body, member)
            else:
                self._accumulate(body, member, inner)
        for member in reduced:
            if member.level == TERMINAL and self._is_partial(member):
                self._fold(indent, member, inner - 1)
            elif member.level == ROW and member.node.op.reduces is not None:
                name, kind = self.names[id(member.node)], member.node.op.reduces
                if kind in _IDENTITY:
                    # A name of its own: a long row is summed in float64, and one name has one type in Numba.
                    found = _end(kind, f"r{name}", self._partial_dtype(member), self.used)
                    self.put(indent, f"{name} = {_type_name(self._acc_dtype(member))}({found})")
                elif self._is_packed(member):
                    place = f"(b{name} & np.int64(0xFFFFFFFF))"
                    self.put(indent, f"{name} = {f'np.int64(0xFFFFFFFF) - {place}' if kind == 'argmax' else place}")

    # -- the same for short rows: a block of rows at a time, all in step, so that vectors go across rows

    def _short_rows(self) -> bool:
        if self.depth < 2 or self.sizes[-1] > _SHORT or self.sizes[-2] < _LANES // 2:
            return False
        values = [x.dtype for m in self.members for x in m.node.inputs if isinstance(x, Tensor)]
        if any(dtype == np.float64 for dtype in values):
            return False  # its functions are calls, and those do not become vectors
        whole = (False,) * (self.depth - 1) + (True,)
        return all(self._place(m) == "scalar" or self._collapse(self._kept(m)) == whole for m in self.terminals)

    def _block(self, dtype: np.dtype, tile: bool) -> str:
        """Memory for a block of rows, (elements of a row, lanes), or for one number of each of them."""
        k = len(self.scratch)
        inner = self.depth - 1
        size = _LANES * (self.sizes[-1] if tile else 1)
        self.scratch.append((dtype, size, f"{_LANES} * n{inner}" if tile else f"{_LANES}"))
        return f"t{k}[u{k} + i{inner} * {_LANES} + r]" if tile else f"t{k}[u{k} + r]"

    def _row_at(self, array: str, vary: tuple[bool, ...], row: str, element: bool) -> str:
        """Element of an outside array at a row of the innermost loop over rows."""
        rows = self.depth - 2
        terms = [f"{row} * ({self._strides(vary)[rows]})"] if vary[rows] else []
        before = self._base(vary, rows)
        terms += [before] if before != "0" else []
        terms += [f"i{rows + 1}"] if element and vary[rows + 1] else []
        return f"{array}[{' + '.join(terms) or '0'}]"

    def _lane_kernel(self) -> None:
        rows, inner = self.depth - 2, self.depth - 1
        indent = 1
        for level in range(rows):
            self.put(indent, f"for i{level} in {self._range(level)}:")
            indent += 1
            self._offsets(indent, level)
            self._loads(indent, level)
        start, end = ("first", "last") if rows == 0 else ("0", f"n{rows}")
        self.put(indent, f"for k in range({start}, {end}, {_LANES}):")
        indent += 1
        self.put(indent, f"m = {end} - k if {end} - k < {_LANES} else {_LANES}")
        self.held: dict[Any, str] = {}  # where a value of the block lies
        for key, reads in self.reads.items():
            for vary in reads:
                axes = self._collapse(vary)
                if not axes[rows]:
                    continue
                block = self._block(_in_memory(self.dtypes[key]), axes[inner])
                self.held[key, vary] = self._read(key, block)
                self.put(indent, f"for r in range({_LANES}):")
                self.put(indent + 1, "row = k + (r if r < m else m - 1)")  # lanes beyond the end repeat the last row
                if axes[inner]:
                    self.put(indent + 1, f"for i{inner} in range(n{inner}):")
                source = self._row_at(self.input_name[key], axes, "row", True)
                self.put(indent + 1 + axes[inner], f"{block} = {source}")
        for stage in range(self.last_stage + 1):
            ready = [m for m in self.members if m.level == ROW and self.stage[id(m.node)] == stage]
            self._lane_loop(indent, [m for m in ready if m.node.op.reduces is None])
            self._tile_loop(indent, stage)
        for member in self.members:
            name, key = self.names[id(member.node)], id(member.node)
            if member.level == TERMINAL:
                self._lanes_end(indent, member)
            elif member.stored:
                self.put(indent, "for r in range(m):")
                full = member.level == FULL
                if full:
                    self.put(indent + 1, f"for i{inner} in range(n{inner}):")
                target = self._row_at(self.output_name[key], self.full if full else self.row, "(k + r)", full)
                self.put(indent + 1 + full, f"{name} = {self.held[key]}")
                self._store(indent + 1 + full, target, member)

    def _lane_values(self, indent: int, members: list[Member], here: set[Any]) -> None:
        """Load what ``members`` read of the block; ``here`` has what is at hand."""
        for member in members:
            for x in member.node.inputs:
                if not isinstance(x, Tensor):
                    continue
                inside = self.group.level_of(x) is not None
                key: Any = id(x.node) if inside else (_name_key(x), self._operand_vary(x, member))
                if key not in here and key in self.held:
                    name = self.names[key] if inside else self._loaded(*key)
                    self.put(indent, f"{name} = {self.held[key]}")
                here.add(key)

    def _lane_store(self, indent: int, member: Member, tile: bool) -> None:
        dtype = self._acc_dtype(member)
        block = self._block(_in_memory(dtype), tile)
        self._store(indent, block, member)
        self.held[id(member.node)] = f"{block} != 0" if dtype.kind == "b" else block

    def _lane_loop(self, indent: int, members: list[Member]) -> None:
        if not members:
            return
        self.put(indent, f"for r in range({_LANES}):")
        here: set[Any] = set()
        for member in members:
            self._lane_values(indent + 1, [member], here)
            self._compute(indent + 1, member, "0")
            here.add(id(member.node))
            self._lane_store(indent + 1, member, False)

    def _tile_loop(self, indent: int, stage: int) -> None:
        rows, inner = self.depth - 2, self.depth - 1
        computed = [m for m in self.members if m.level == FULL and self.stage[id(m.node)] == stage]
        reduced = [m for m in self.members if m.node.op.reduces is not None and self._reduced_stage(m) == stage]
        reduced = [m for m in reduced if m.level == ROW]
        ends = [m for m in self.terminals if self._reduced_stage(m) == stage]
        if not computed and not reduced and not ends:
            return
        best: dict[int, str] = {}
        if reduced:
            self.put(indent, f"for r in range({_LANES}):")
        for member in reduced:
            kind, key = member.node.op.reduces, id(member.node)
            assert kind is not None
            if kind in ("argmax", "argmin"):
                source = _in_memory(member.node.inputs[0].dtype)
                best[key] = self._block(source, False)
                self.put(indent + 1, f"{best[key]} = {_identity(kind[3:], source)}")
                self.held[key] = self._block(np.dtype(np.int32), False)
                self.put(indent + 1, f"{self.held[key]} = 0")
            else:
                self.held[key] = self._block(_in_memory(self._acc_dtype(member)), False)
                self.put(indent + 1, f"{self.held[key]} = {_identity(kind, _in_memory(self._acc_dtype(member)))}")
        self.put(indent, f"for i{inner} in range(n{inner}):")
        for key, reads in self.reads.items():
            for vary in reads:
                axes = self._collapse(vary)
                if axes[inner] and not axes[rows]:
                    element = self._row_at(self.input_name[key], axes, "0", True)
                    self.put(indent + 1, f"{self._loaded(key, vary)} = {self._read(key, element)}")
        self.put(indent + 1, f"for r in range({_LANES}):")
        body = indent + 2
        here: set[Any] = set()
        for member in computed:
            self._lane_values(body, [member], here)
            index = self._row_at("", self.full, "(k + r)", True)[1:-1]
            self._compute(body, member, index)
            here.add(id(member.node))
            ended = any(m.node.inputs[0].node is member.node for m in ends)
            if member.stored or ended or self._needed_later(member, stage):
                self._lane_store(body, member, True)
        for member in reduced:
            kind, key = member.node.op.reduces, id(member.node)
            assert kind is not None
            self._lane_values(body, [member], here)
            place = self.held[key]
            if kind not in ("argmax", "argmin"):
                value = self._cast_operand(member)
                self.put(body, f"{place} = {_combine(kind, place, value, self.used)}")
                continue
            value, top = self._operand(member.node.inputs[0], member), best[key]
            sign = ">" if kind == "argmax" else "<"
            name = self.names[key]
            self.put(body, f"b{name} = {top}")
            better = f"({value} {sign} b{name}) | (({value} != {value}) & (b{name} == b{name})) | (i{inner} == 0)"
            self.put(body, f"z{name} = {better}")
            self.put(body, f"{top} = {value} if z{name} else b{name}")
            self.put(body, f"{place} = np.int32(i{inner}) if z{name} else {place}")
        for member in reduced:
            key = id(member.node)
            if member.node.op.reduces in ("argmax", "argmin"):
                self.held[key] = f"np.int64({self.held[key]})"
            elif self._acc_dtype(member).kind == "b":
                self.held[key] += " != 0"

    def _lanes_end(self, indent: int, member: Member) -> None:
        """Add the rows of a block to a terminal reduction."""
        inner = self.depth - 1
        kind, x = member.node.op.reduces, member.node.inputs[0]
        assert kind is not None
        scalar_sum = self._place(member) == "scalar"
        if self.group.level_of(x) == ROW:
            self.put(indent, "for r in range(m):")
            self._lane_values(indent + 1, [member], set())
            name = self.names[id(member.node)]
            self.put(indent + 1, f"{name} = {_combine(kind, name, self._cast_operand(member), self.used)}")
            return
        name = self.names[id(member.node)]
        dtype = self._acc_dtype(member)
        self.put(indent, f"for i{inner} in range(n{inner}):")
        self.put(indent + 1, f"s{name} = {_identity(kind, dtype)}")
        self.put(indent + 1, f"for r in range({_LANES}):")
        here: set[Any] = set()
        vary = self._operand_vary(x, member)
        if self.group.level_of(x) is None and not self._collapse(vary)[self.depth - 2]:
            source = self._row_at(self.input_name[_name_key(x)], self._collapse(vary), "0", True)
            self.put(indent + 2, f"{self._loaded(_name_key(x), vary)} = {self._read(_name_key(x), source)}")
        self._lane_values(indent + 2, [member], here)
        self.put(indent + 2, f"x{name} = {self._cast_operand(member)} if r < m else {_identity(kind, dtype)}")
        self.put(indent + 2, f"s{name} = {_combine(kind, f's{name}', f'x{name}', self.used)}")
        target = name if scalar_sum else f"a{name}[q{name} + i{inner}]"
        self.put(indent + 1, f"{target} = {_combine(kind, target, f's{name}', self.used)}")

    def _reduced_stage(self, member: Member) -> int:
        """Stage in whose loop a reduction of FULL or outside values accumulates; -1 for totals of row values."""
        x = member.node.inputs[0]
        level = self.group.level_of(x)
        if level == ROW:
            return -1
        return self.stage[id(x.node)] if level == FULL else 0

    def _start_row(self, indent: int, member: Member) -> None:
        kind = member.node.op.reduces
        assert kind is not None
        name = self.names[id(member.node)]
        if self._is_packed(member):
            self.put(indent, f"b{name} = np.int64({-(2**63) if kind == 'argmax' else 2**63 - 1})")
        elif kind in ("argmax", "argmin"):
            self.put(indent, f"{name} = np.int64(0)")
            self.put(indent, f"b{name} = {_identity(kind[3:], member.node.inputs[0].dtype)}")
        elif member.level == ROW:
            self.put(indent, f"r{name} = {_start(kind, self._partial_dtype(member))}")
        elif self._is_partial(member):
            self.put(indent, f"s{name} = {_start(kind, self._partial_dtype(member))}")

    def _is_packed(self, member: Member) -> bool:
        """Is the place of an extreme found as the extreme of numbers that hold value and place?"""
        source = member.node.inputs[0].dtype
        return member.node.op.reduces in ("argmax", "argmin") and source == np.float32

    def _row_step(self, indent: int, member: Member) -> None:
        kind = member.node.op.reduces
        assert kind is not None
        name = self.names[id(member.node)]
        if kind not in ("argmax", "argmin"):
            for line in _step(kind, f"r{name}", self._cast_operand(member), self._partial_dtype(member), self.used):
                self.put(indent, line)
            return
        value = self._operand(member.node.inputs[0], member)
        if self._is_packed(member):
            # The value above, the place below: of equal values the first place wins.
            self.used.add("order_f32")
            key = f"np.int64(order_f32({value}, {_last_integer(kind[3:], np.dtype(np.float32))}))"
            i = f"np.int64(i{self.depth - 1})"
            place = f"(np.int64(0xFFFFFFFF) - {i})" if kind == "argmax" else i
            for line in _integer_step(kind[3:], f"b{name}", f"np.int64({key} << np.int64(32)) | {place}"):
                self.put(indent, line)
            return
        sign = ">" if kind == "argmax" else "<"
        i = f"i{self.depth - 1}"
        # The first element is taken as it is; NaN wins over all, and the first NaN over later ones.
        self.put(indent, f"if ({value} {sign} b{name}) | (({value} != {value}) & (b{name} == b{name})) | ({i} == 0):")
        self.put(indent + 1, f"b{name} = {value}")
        self.put(indent + 1, f"{name} = np.int64({i})")

    def _needed_later(self, member: Member, stage: int) -> bool:
        for other in self.members:
            if any(isinstance(x, Tensor) and x.node is member.node for x in other.node.inputs):
                when = self._reduced_stage(other) if other.node.op.reduces is not None else self.stage[id(other.node)]
                if when > stage:
                    return True
        return False

    def _spill(self, indent: int, member: Member) -> None:
        name = f"t{len(self.scratch)}"
        self.scratch.append((self._acc_dtype(member), self.sizes[-1], f"n{self.depth - 1}"))
        self.spilled[id(member.node)] = name
        self._store(indent, f"{name}[u{name[1:]} + i{self.depth - 1}]", member)

    def _reload(self, indent: int, x: Tensor) -> None:
        key = id(x.node)
        inner = self.depth - 1
        if key in self.spilled:
            name = self.spilled[key]
            source = f"{name}[u{name[1:]} + i{inner}]"
        else:
            source = self._at(self.output_name[key], self.full, inner)
        self.put(indent, f"{self.names[key]} = {source}{' != 0' if x.dtype.kind == 'b' else ''}")


def _name_key(x: Tensor) -> Any:
    return (id(x.node), x.index) if x.node is not None else id(x)


def emit(
    group: Group,
    arrays: Sequence[np.ndarray],
    outs: Sequence[np.ndarray],
    same: dict[int, int],
    scratch: Callable[..., np.ndarray],
) -> Task:
    """The kernel of a group, bound to flat arrays. ``same`` maps outputs to the inputs they overwrite."""
    emitter = _Emitter(group, same)
    text = emitter.source()
    if config.debug >= 3:
        print(text[text.index(f"{_HEAD}\ndef kernel") :])
    module = load(text)
    cost = emitter.cost()
    # Half the cost: what another thread has made has to come from its cache.
    n = parts(emitter.extent, 0.5 * cost / emitter.extent)
    bound = [*arrays, *[out for k, out in enumerate(outs) if k not in same]]
    for member in emitter.partials():
        out = next(out for x, out in zip(group.outputs, outs, strict=True) if x.node is member.node)
        wide = emitter.sum_dtype(member)
        bound.append(scratch(n * out.size, wide) if n > 1 or (out.size > 1 and wide != out.dtype) else out)
    bound += [scratch(n * size, dtype) for dtype, size, _ in emitter.scratch]
    writes = [*bound[len(arrays) :], *[arrays[j] for j in same.values()]]
    return Task(module, bound, emitter.sizes, emitter.extent, n, writes, cost)


@cache
def load(text: str) -> types.ModuleType:
    """Compile kernel source. It is kept in the cache folder, for whoever wants to read it."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    name = f"autotensor_kernel_{digest}"
    path = keep_source(name, text)
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module  # where compiled code that is loaded looks for it
    # The text at hand is run, not the file: no byte code is left beside it that could be damaged.
    exec(compile(text, path or f"<{name}>", "exec"), module.__dict__)
    return module
