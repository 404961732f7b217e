"""Networks and courses of training, drawn from seeds and written as Keras code in the words of a release.

A :class:`Program` is text that one can paste: it builds a network of random layers and compiles it. The same text runs
here and in genuine Keras. The layers themselves are in :mod:`drawn_layers`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from tests.reliability.drawn_layers import Layers

LEVELS = ("0.3", "1.2", "1.2", "1.2", "2.2", "2.3", "2.3", "2.3", "2.3")
HEAD = (
    "from keras.layers import *",
    "from keras.models import *",
    "from keras.optimizers import *",
    "from keras import backend as K",
)
# Layers of models, of classes to be derived from, and those of Keras 0.x that stand for a Merge written out.
NOT_DRAWN = {
    *("Model", "Sequential", "Graph", "Wrapper", "Recurrent", "ConvRecurrent2D", "InputLayer", "AutoEncoder"),
    *("Siamese", "SiameseHead", "LambdaMerge", "MaskedLambda"),
}


class Program(NamedTuple):
    """A network and its training.

    Attributes:
        seed: it was drawn from.
        level: of the API: whose words it is written in.
        lines: what builds ``model``, one statement each.
        compiling: the arguments of ``compile``, as text.
        shapes: of the inputs, without the samples; whole numbers below 9 where the shape begins with 'whole'.
        targets: kind of the targets of each output, see ``targets_of``.
        samples, batch_size: of the training.
        weighted: what weighs samples: '', 'sample', 'class' or 'temporal'.
        random: there is something in it that draws numbers.
    """

    seed: int
    level: str
    lines: tuple[str, ...]
    compiling: str
    shapes: tuple[tuple[Any, ...], ...]
    targets: tuple[str, ...]
    samples: int
    batch_size: int
    weighted: str
    random: bool

    @property
    def text(self) -> str:
        """Keras code that one can paste."""
        fit = f"model.fit({{}}, batch_size={self.batch_size}, {self.epochs}=2, shuffle=False)"
        listed = ", ".join(("x" + str(i)) for i in range(len(self.shapes)))
        head = [f"# level {self.level}, seed {self.seed}", *HEAD, *self.lines, f"model.compile({self.compiling})"]
        made = [
            f"# inputs {self.shapes}, {self.samples} samples; targets {self.targets}; weights: {self.weighted or 'no'}"
        ]
        return "\n".join([*head, *made, fit.format(f"[{listed}], y")])

    @property
    def old(self) -> bool:
        """Whether it is written in the words of Keras 0 and 1."""
        return self.level < "2"

    @property
    def epochs(self) -> str:
        """What this release calls the number of epochs."""
        return "nb_epoch" if self.old else "epochs"


def space_of(level: str) -> dict[str, Any]:
    """What a program of a level finds by the imports in ``HEAD``."""
    import keras_compat.layers
    import keras_compat.models
    import keras_compat.optimizers

    space: dict[str, Any] = {}
    for module in (keras_compat.layers, keras_compat.models, keras_compat.optimizers):
        # A level's own names come by getattr, as with "from keras.layers import Merge".
        space.update({name: getattr(module, name) for name in dir(module) if not name.startswith("_")})
    for name in LEGACY if level < "2" else ():
        space[name] = _legacy(name)
    space["K"] = K
    return space


LEGACY = (
    *("Merge", "merge", "MaxoutDense", "Highway", "SReLU", "ParametricSoftplus", "ThresholdedLinear", "Convolution1D"),
    *("Convolution2D", "Convolution3D", "AtrousConvolution1D", "AtrousConvolution2D", "Deconvolution2D"),
    *("SeparableConvolution2D", "TimeDistributedDense", "TimeDistributedMerge"),
)


def _legacy(name: str) -> Any:
    import keras_compat.layers
    from keras_compat.engine.registry import LAYERS

    found = getattr(keras_compat.layers, name, None)
    for module in ("core", "advanced_activations", "convolutional"):
        found = found or getattr(getattr(keras_compat.layers, module), name, None)
    return found or LAYERS[name]


class Maker(Layers):
    """Draws one program. ``plain`` leaves out what draws random numbers, and what only this package has."""

    def __init__(self, seed: int, level: str | None = None, plain: bool = False):
        r = random.Random(f"network {seed}")
        drawn = r.choice(LEVELS)
        super().__init__(r, level or drawn, plain)
        self.seed = seed
        self.lines: list[str] = []
        self.shapes: list[tuple[Any, ...]] = []
        self.masked: set[str] = set()
        self.ends: tuple[list[str], list[str]] = ([], [])
        self.count = 0
        self.space: dict[str, Any] = {}

    # -- the network

    def layer(self, shape: tuple[int, ...], masked: bool, film: bool) -> str:
        """Code of a layer that takes a tensor of a shape."""
        if masked:
            return self.call("Dropout", self.rate()) if self.chance(0.2) else self.sequence(shape, True)
        if film and len(shape) == 4:
            return self.film(shape)
        if self.chance(0.3):
            return self.plain_layer(shape)
        return {1: self.vector, 2: lambda s: self.sequence(s, False), 3: self.picture, 4: self.volume}[len(shape)](
            shape
        )

    def begin(self) -> tuple[tuple[Any, ...], bool]:
        """Shape of an input, and whether it is a film."""
        channels = self.r.randint(1, 3)

        def image(*sides: int) -> tuple[int, ...]:
            return (channels, *sides) if self.order == "channels_first" else (*sides, channels)

        kind = self.r.choices(["vector", "words", "sequence", "picture", "volume", "film"], [4, 2, 4, 4, 1, 1])[0]
        if self.level == "0.3" and kind in ("volume", "film"):
            kind = "picture"
        if kind == "vector":
            return (self.r.randint(2, 6),), False
        if kind == "words":
            return ("whole", self.r.randint(2, 5)), False
        if kind == "sequence":
            return (self.r.randint(3, 7), self.r.randint(1, 4)), False
        if kind == "picture":
            return image(self.r.randint(4, 8), self.r.randint(4, 8)), False
        if kind == "volume":
            return image(*[self.r.randint(3, 5) for _ in range(3)]), False
        return (self.r.randint(2, 3), *image(self.r.randint(3, 5), self.r.randint(3, 5))), True

    def embedding(self, length: int) -> tuple[str, bool]:
        """Code of an Embedding, and whether it makes a mask."""
        masked = self.chance(0.4) and self.level != "0.3"
        new: dict[str, Any] = {"input_length": length, "mask_zero": masked or None}
        new |= {"embeddings_regularizer": self.rule(), "embeddings_constraint": self.bound() if not self.old else None}
        return self.call("Embedding", 9, self.r.randint(1, 4), **new), masked

    def run(self, line: str) -> None:
        """Run a line here, for the shapes that follow; and keep it."""
        with warnings_off():
            exec(line, self.space)
        self.lines.append(line)

    def make(self) -> Program:
        """Draw it."""
        K.clear_session()
        with api_level(self.level), at.config.use(numba=False):
            self.space = space_of(self.level)
            # Functions of the program's own have names, so that files can say them.
            self.run("def double(x): return 2 * x")
            self.lines.clear()
            if self.level == "0.3" or self.chance(0.35):
                ends = [self.chain()]
            else:
                ends = self.graph()
            program = self.finish(ends)
        K.clear_session()
        return program

    def depth(self) -> int:
        return self.r.choice([1, 2, 2, 3, 3, 4, 5])

    def chain(self) -> tuple[int, ...]:
        """A Sequential model; the shape of its output."""
        branches = self.chance(0.12) and self.old
        self.run("model = Sequential()")
        masked = film = False
        if branches:
            sizes = [self.r.randint(2, 4) for _ in range(2)]
            width = self.r.randint(2, 4)
            parts = []
            for size in sizes:
                self.shapes.append((size,))
                parts.append(f"Sequential([Dense({width}, input_shape=({size},))])")
            modes = ["sum", "mul", "concat", "ave"]
            merge = self.call("Merge", f"[{', '.join(parts)}]", mode=self.r.choice(modes))
            self.drawn.append("Dense")
            self.run(f"model.add({merge})")
            shape: tuple[Any, ...] = self.shape("model.output")
        else:
            shape, film = self.begin()
            self.shapes.append(shape)
            if shape[0] == "whole":
                code, masked = self.embedding(shape[1])
                self.run(f"model.add({code})")
            else:
                code = self.layer(shape, False, film)
                self.run(f"model.add({code[:-1]}{', ' if code[-2] != '(' else ''}input_shape={shape!r}))")
                masked = "Masking(" in code
            shape = self.shape("model.output")
        for _ in range(self.depth()):
            if film and (len(shape) != 4 or self.lost_film(self.lines[-1])):
                film = False
            code = self.layer(shape, masked, film)
            self.run(f"model.add({code})")
            masked = self.masks(code, masked)
            shape = self.shape("model.output")
        if len(shape) > 1 and masked:
            self.run(f"model.add({self.recurrent(shape, False)})")
        elif len(shape) > 1:
            self.run("model.add(Flatten())")
            self.drawn.append("Flatten")
        self.masked.clear()
        return self.shape("model.output")

    def lost_film(self, line: str) -> bool:
        return not ("TimeDistributed(" in line or "return_sequences=True" in line) and "ConvLSTM" in line

    def masks(self, code: str, masked: bool) -> bool:
        """Whether there is a mask behind a layer."""
        if code.startswith("Masking("):
            return True
        if not masked or code.startswith(("Dropout(", "TimeDistributed(")):
            return masked
        return "return_sequences=True" in code

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor, without the samples."""
        return tuple(K.int_shape(eval(name, self.space))[1:])

    def name(self, prefix: str = "t") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def graph(self) -> list[tuple[int, ...]]:
        """A functional model; the shapes of its outputs."""
        tensors: list[str] = []
        films: set[str] = set()
        used: set[str] = set()
        for _ in range(self.r.choice([1, 1, 2])):
            name = self.name("x")
            shape, film = self.begin()
            self.shapes.append(shape)
            if shape[0] == "whole":
                self.run(f"{name} = Input(shape={shape[1:]!r}, dtype='int32')")
                code, masked = self.embedding(shape[1])
                made = self.name()
                self.run(f"{made} = {code}({name})")
                self.masked |= {made} if masked else set()
                tensors.append(made)
            else:
                self.run(f"{name} = Input(shape={shape!r})")
                tensors.append(name)
                films |= {name} if film else set()
        inputs = [line.split(" ")[0] for line in self.lines if " = Input(" in line]
        for _ in range(self.depth() + 1):
            source = self.r.choice(tensors[-3:])
            shape = self.shape(source)
            film, masked = source in films and len(shape) == 4, source in self.masked
            way = self.r.random()
            made = self.name()
            mates = [
                t for t in tensors if t != source and self.shape(t) == shape and not masked and t not in self.masked
            ]
            if way < 0.2 and mates:
                other = self.r.choice(mates)
                self.run(f"{made} = {self.merge(source, other, shape)}")
                used |= {source, other}
            elif way < 0.3 and mates:
                shared = self.name("shared")
                other, again = self.r.choice(mates), self.name()
                self.run(f"{shared} = {self.unshared(lambda s=shape, f=film: self.layer(s, False, f))}")
                self.run(f"{made} = {shared}({source})")
                self.run(f"{again} = {shared}({other})")
                used |= {source, other}
                tensors.append(again)
            elif way < 0.42 and len(shape) == 1:
                inner = self.name("inner")
                first = f"Dense({self.r.randint(2, 4)}, {self.words(activation='tanh')}, input_shape={shape!r})"
                rest = [self.unshared(lambda: self.plain_layer((3,))), f"Dense({self.r.randint(2, 4)})"]
                self.drawn += ["Dense", "Dense"]
                self.run(f"{inner} = Sequential([{', '.join([first, *rest])}])")
                self.run(f"{made} = {inner}({source})")
                used.add(source)
            else:
                code = self.layer(shape, masked, film)
                self.run(f"{made} = {code}({source})")
                used.add(source)
                if self.masks(code, masked):
                    self.masked.add(made)
                if film and not self.lost_film(code) and len(self.shape(made)) == 4:
                    films.add(made)
            tensors.append(made)
        loose = [t for t in tensors if t not in used]
        flat = [self.flattened(t) for t in loose]
        ends = self.joined(flat)
        outputs = ", ".join(ends)
        new = f"inputs=[{', '.join(inputs)}], outputs=[{outputs}]"
        old = f"input=[{', '.join(inputs)}], output=[{outputs}]"
        self.ends = (inputs, ends)
        self.run(f"model = Model({old if self.old else new})")
        return [self.shape(t) for t in ends]

    def unshared(self, draw: Callable[[], str]) -> str:
        """Code of a layer for two places: none of those whose updates or penalties would depend on order."""
        code = draw()
        while (
            "BatchNormalization" in code
            or "Regularization" in code
            or "activity_regularizer" in code
            or "Masking" in code
        ):
            code = draw()
        return code

    def merge(self, a: str, b: str, shape: tuple[int, ...]) -> str:
        """Code that merges two tensors of one shape."""
        both = f"[{a}, {b}]"
        if self.old:
            # 'cos' gives another shape than it says, there and here.
            modes = ["sum", "mul", "concat", "ave", "max", *(["dot"] if len(shape) == 1 else [])]
            mode = self.r.choice(modes)
            if self.chance(0.5):
                self.drawn.append("Merge")
                return f"merge({both}, mode={mode!r})"
            return f"{self.call('Merge', mode=mode)}({both})"
        names = ["Add", "Multiply", "Average", "Maximum", "Concatenate", "Subtract", "Minimum"]
        names += ["Dot"] * 2 if len(shape) <= 2 else []
        name = self.r.choice(names)
        more: dict[str, Any] = {}
        if name == "Dot":
            more = {"axes": 1 if len(shape) == 1 else self.r.choice([1, 2])}
            more["normalize"] = True if self.chance(0.3) else None
        if name == "Concatenate":
            more = {"axis": self.r.choice([-1, 1, len(shape)])}
        if self.chance(0.4):
            self.drawn.append(name)
            return f"{name.lower()}({both}{', ' if self.words(**more) else ''}{self.words(**more)})"
        return f"{self.call(name, **more)}({both})"

    def flattened(self, name: str) -> str:
        """The name of a tensor made one of vectors."""
        shape = self.shape(name)
        if len(shape) == 1:
            return name
        made = self.name()
        code = self.recurrent(shape, False) if name in self.masked else self.flat()
        self.run(f"{made} = {code}({name})")
        return made

    def joined(self, flat: list[str]) -> list[str]:
        """Names of the outputs, some joined to one."""
        if len(flat) > 1 and self.chance(0.6):
            made = self.name()
            joins = f"merge([{', '.join(flat)}], mode='concat')" if self.old else f"concatenate([{', '.join(flat)}])"
            self.drawn.append("Merge" if self.old else "Concatenate")
            self.run(f"{made} = {joins}")
            flat = [made]
        return flat

    def finish(self, ends: list[tuple[int, ...]]) -> Program:
        """The last layers, and how it is trained."""
        targets, losses = [], []
        tops = []
        for _ in ends:
            loss, kind, act, units = self.objective()
            losses.append(loss)
            targets.append(kind)
            self.drawn.append("Dense")
            tops.append(f"Dense({units}, activation={act!r})")
        if self.lines and self.lines[-1].startswith("model = Model("):
            self.lines.pop()
            inputs, names = self.ends
            outputs = []
            for name, top in zip(names, tops):
                made = self.name("y")
                self.run(f"{made} = {top}({name})")
                outputs.append(made)
            word = ("input", "output") if self.old else ("inputs", "outputs")
            # A single one goes without its list, as people write it.
            given = [names[0] if len(names) == 1 else f"[{', '.join(names)}]" for names in (inputs, outputs)]
            self.run(f"model = Model({word[0]}={given[0]}, {word[1]}={given[1]})")
        else:
            self.run(f"model.add({tops[0]})")
        weighted = self.r.choice(["", "", "", "sample"])
        if len(ends) == 1 and targets[0] in ("one-hot", "label") and self.chance(0.2):
            weighted = "class"
        compiling = (
            f"optimizer={self.optimizer()}, loss={losses[0] if len(losses) == 1 else '[' + ', '.join(losses) + ']'}"
        )
        if self.chance(0.4):
            metrics = ["mae", "mse"] if self.chance(0.5) or targets[0] not in ("one-hot", "label") else ["acc"]
            compiling += f", metrics={metrics!r}"
        if len(losses) > 1 and self.chance(0.4):
            compiling += f", loss_weights={[self.r.choice([0.5, 1.0, 2.0]) for _ in losses]}"
        lines = list(self.lines)
        if any("double" in line for line in lines):
            lines.insert(0, "def double(x): return 2 * x")
        return Program(
            seed=self.seed,
            level=self.level,
            lines=tuple(lines),
            compiling=compiling,
            shapes=tuple(self.shapes),
            targets=tuple(targets),
            samples=self.r.randint(5, 11),
            batch_size=self.r.choice([2, 3, 4, 5, 16]),
            weighted=weighted,
            random=self.random,
        )

    def objective(self) -> tuple[str, str, str, int]:
        """A loss, the kind of its targets, the activation before it, and the number of units."""
        n = self.r.randint(2, 4)
        known = [
            ("mse", "real", "linear", n),
            ("mse", "real", "tanh", 1),
            ("mae", "real", "linear", n),
            ("msle", "positive", "softplus", n),
            ("mape", "positive", "linear", n),
            ("hinge", "signs", "tanh", n),
            ("squared_hinge", "signs", "linear", n),
            ("binary_crossentropy", "bits", "sigmoid", n),
            ("categorical_crossentropy", "one-hot", "softmax", n),
            ("sparse_categorical_crossentropy", "label", "softmax", n),
            ("kullback_leibler_divergence", "shares", "softmax", n),
            ("poisson", "positive", "softplus", n),
            ("cosine_proximity", "real", "linear", n),
        ]
        if self.level == "0.3":
            known = [
                k
                for k in known
                if k[0] not in ("sparse_categorical_crossentropy", "kullback_leibler_divergence", "cosine_proximity")
            ]
        if not self.old:
            known += [("logcosh", "real", "linear", n), ("categorical_hinge", "one-hot", "linear", n)]
        loss, kind, act, units = self.r.choice(known)
        return repr(loss), f"{kind} {units}" if kind == "label" else kind, act, units

    def optimizer(self) -> str:
        known: list[tuple[str, dict[str, Any]]] = [
            ("SGD", {"lr": 0.05}),
            ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": self.chance(0.5)}),
            ("RMSprop", {"lr": 0.005, "rho": 0.8}),
            ("Adagrad", {"lr": 0.02}),
            ("Adadelta", {"lr": 1.0, "rho": 0.9}),
            ("Adam", {"lr": 0.01, "beta_1": 0.8}),
        ]
        if self.level != "0.3":
            known += [("Adamax", {"lr": 0.01}), ("Nadam", {"lr": 0.005})]
        if not self.old:
            known += [("Adam", {"lr": 0.01, "amsgrad": True})]
        name, given = self.r.choice(known)
        if self.level != "0.3" and name != "Nadam" and self.chance(0.2):
            given["decay"] = 0.05
        if self.chance(0.2):
            given[self.r.choice(["clipnorm", "clipvalue"])] = 0.1
        return f"{name}({', '.join(f'{k}={v!r}' for k, v in given.items())})"


def warnings_off() -> Any:
    """A block without warnings."""
    import warnings

    return warnings.catch_warnings(action="ignore")


def draw(seed: int, level: str | None = None, plain: bool = False) -> tuple[Program, list[str]]:
    """The program of a seed, and the names of the layers that were drawn for it."""
    maker = Maker(seed, level, plain)
    program = maker.make()
    text = "\n".join(program.lines)
    return program, [name for name in maker.drawn if re.search(rf"\b{name}\b|\b{name.lower()}\(", text)]


# -- data -------------------------------------------------------------------------------------------------------------


def inputs_of(program: Program) -> list[np.ndarray]:
    """The inputs, from the program's seed."""
    rng = np.random.RandomState(program.seed % 2**32)
    found = []
    for shape in program.shapes:
        if shape[0] == "whole":
            found.append(rng.randint(0, 9, size=(program.samples, *shape[1:])).astype("int32"))
            continue
        values = rng.normal(size=(program.samples, *shape))
        if len(shape) == 2 and rng.rand() < 0.5:  # for masks: samples of other lengths
            for i, n in enumerate(rng.randint(1, shape[0] + 1, size=program.samples)):
                values[i, n:] = 0.0
        found.append(values)
    return found


def targets_of(program: Program, units: list[int]) -> list[np.ndarray]:
    """The targets of outputs with so many units."""
    rng = np.random.RandomState((program.seed + 1) % 2**32)
    found = []
    for kind, n in zip(program.targets, units):
        size = (program.samples, n)
        if kind == "real":
            found.append(rng.normal(size=size))
        elif kind == "positive":
            found.append(rng.uniform(0.5, 2.0, size=size))
        elif kind == "signs":
            found.append(rng.choice([-1.0, 1.0], size=size))
        elif kind == "bits":
            found.append(rng.choice([0.0, 1.0], size=size))
        elif kind == "one-hot":
            found.append(np.eye(n)[rng.randint(0, n, size=program.samples)])
        elif kind == "shares":
            values = rng.uniform(0.1, 1.0, size=size)
            found.append(values / values.sum(1, keepdims=True))
        else:
            found.append(rng.randint(0, n, size=(program.samples, 1)).astype("float64"))
    return found


def weights_of(program: Program, start: list[np.ndarray]) -> list[np.ndarray]:
    """Weights in the shapes of those that a network began with; positive where all were, as variances are."""
    rng = np.random.RandomState((program.seed + 2) % 2**32)
    found = []
    for w in start:
        fan = max(1, int(np.prod(w.shape[:-1]))) if w.ndim > 1 else 4
        values = rng.uniform(0.2, 1.0, size=w.shape) * rng.choice([-1.0, 1.0], size=w.shape) / np.sqrt(fan)
        found.append(np.abs(values) + 0.3 if w.size and (w > 0.5).all() else values)
    return found


def weighing(program: Program) -> dict[str, Any]:
    """Weights of the samples or classes, as ``fit`` takes them."""
    rng = np.random.RandomState((program.seed + 3) % 2**32)
    if program.weighted == "class":
        return {"class_weight": {i: float(rng.uniform(0.5, 2.0)) for i in range(4)}}
    if program.weighted == "sample":
        each = [rng.uniform(0.0, 2.0, size=program.samples) for _ in program.targets]
        return {"sample_weight": each[0] if len(each) == 1 else each}
    return {}
