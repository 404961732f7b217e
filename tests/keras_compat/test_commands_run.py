"""``run``: unmodified programs, with keras_compat under Keras's names and all else as under plain Python."""

from __future__ import annotations

import ast
import os
import random
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_compat import __main__ as cli
from keras_compat.commands import run, start

ROOT = Path(run.__file__).resolve().parents[2]
# Generous: a process that hangs is what it ends.
LIMIT = 300


def process(line: list[str], folder: Path, env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=folder, env=env, input=stdin, capture_output=True, text=True, timeout=LIMIT)


def environment(**changes: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHASHSEED", "KERAS_COMPAT_API")}
    return {**kept, "AUTOTENSOR_NUMBA": "0", **changes}


def launch(program: list[str], folder: Path, stdin: str = "", env: dict[str, str] | None = None, **options: Any) -> Any:
    """Run a program as the command does, but for the command's own start, which takes longer than most programs."""
    line, env = run.command(program, env or environment(), **options)
    return process(line, folder, env, stdin)


def script(folder: Path, text: str, name: str = "program.py") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return name


def good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# --- as under plain Python -------------------------------------------------------------------------------------------

FILES = {
    "facts.py": """
        '''A documented program.'''
        import sys, os, warnings, __main__
        print(__name__, __file__, __doc__, __package__, __spec__, type(__loader__).__name__, __builtins__)
        print(sys.argv, sys.path, os.getcwd(), sys.flags, __main__.__dict__ is globals())
        # what the hook itself needs, and Python has built in
        print(sorted(set(sys.modules) - {'atexit', '__future__'}))
        warnings.warn('old', DeprecationWarning)
        import helper
        print(helper.WHERE, sys.stdin.read(), sys.gettrace(), repr(sys.excepthook))
    """,
    "helper.py": "WHERE = __file__, __name__\n",
    # names that our own code imports as well
    "shadow/random.py": "print('the random.py beside the program')\n",
    "shadow/json.py": "print('the json.py beside the program')\n",
    "shadow/shadows.py": "import random, json\n",
    "package/__init__.py": "print('package', __name__)\n",
    "package/module.py": "import sys; from . import other; print(__name__, __package__, __spec__.name, sys.argv)\n",
    "package/other.py": "print(__name__)\n",
    "package/__main__.py": "print('main of', __name__, __spec__.name)\n",
    "folder/__main__.py": "import sys, beside; print(__name__, sys.argv, sys.path[0])\n",
    "folder/beside.py": "print('beside')\n",
    "exit_number.py": "import sys; sys.exit(7)\n",
    "exit_text.py": "import sys; sys.exit('that is all')\n",
    "exit_none.py": "raise SystemExit\n",
    "exit_hard.py": "import os; print('x', flush=True); os._exit(9)\n",
    "error.py": """
        def inner(x):
            return 1 / x
        try:
            inner(0)
        except ZeroDivisionError as error:
            raise ValueError('wrong') from error
    """,
    "error_in_sibling.py": "import broken\n",
    "broken.py": "def f(:\n",
    "syntax.py": "print('never')\nif True print(1)\n",
    "missing_module.py": "import no_such_module\n",
    "interrupted.py": "raise KeyboardInterrupt\n",
    "killed.py": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)\n",
    "own_hook.py": """
        import sys, traceback
        def hook(kind, value, tb):
            print('hook', kind.__name__, len(traceback.extract_tb(tb)))
        sys.excepthook = hook
        raise RuntimeError('x')
    """,
    "at_the_end.py": """
        import atexit, threading, time
        atexit.register(print, 'first in, last out')
        atexit.register(print, 'last in, first out')
        class Late:
            def __del__(self): print('deleted')
        late = Late()
        threading.Thread(target=lambda: (time.sleep(0.05), print('thread done'))).start()
        print('main done')
    """,
    "pickles.py": """
        import pickle
        class Point:
            def __init__(self, x): self.x = x
        data = pickle.dumps(Point(3))
        print(data, pickle.loads(data).x)
    """,
    "spawns.py": """
        import multiprocessing as mp, sys
        print('imported as', __name__)
        def work(x): return x * 2, __name__, sys.argv
        if __name__ == '__main__':
            for method in ('fork', 'spawn'):
                with mp.get_context(method).Pool(1) as pool:
                    print(method, pool.map(work, [1, 2]))
    """,
}  # fmt: skip
PROGRAMS: list[tuple[list[str], str]] = [
    (["facts.py"], ""),
    (["./facts.py", "-m", "--seed", "3", "--", "--report", "ü"], "typed in"),
    (["shadow/shadows.py"], ""),
    (["-m", "package.module", "-c", "--seed"], ""),
    (["-m", "package"], ""),
    (["-m", "no_such_module"], ""),
    (["folder", "a"], ""),
    (["-c", "import sys; print(sys.argv, __name__, sys.path[0] == '')", "-m", "x"], ""),
    (["-", "a"], "import sys; print(sys.argv, __name__)"),
    *[([f"{name}.py"], "") for name in "exit_number exit_text exit_none exit_hard error error_in_sibling".split()],
    *[([f"{name}.py"], "") for name in "syntax missing_module interrupted killed own_hook at_the_end".split()],
    (["pickles.py"], ""),
    (["spawns.py"], ""),
    (["absent.py"], ""),
]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name, text in FILES.items():
        script(folder, text, name)
    return folder


@pytest.mark.promise(42)
@pytest.mark.parametrize(("program", "stdin"), PROGRAMS, ids=lambda value: " ".join(value)[:40] or "_")
def test_all_else_is_as_under_python(program: list[str], stdin: str, programs: Path) -> None:
    plain = process([sys.executable, *program], programs, environment(), stdin)
    ours = launch(program, programs, stdin)
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert plain.stdout or plain.stderr or plain.returncode or program == ["exit_none.py"]


@pytest.mark.promise(42)
@pytest.mark.skipif(os.name == "nt", reason="there the command waits for a process of the program's own")
def test_the_whole_command_hands_over_to_python(programs: Path) -> None:
    """Options of Python itself, a terminating signal, standard input: nothing stands between."""
    line = [sys.executable, "-X", "utf8", "-W", "error", "-u", "-m", "keras_compat", "run"]
    env = environment(PYTHONPATH=str(ROOT))
    flags = "import sys; print(sys.flags.utf8_mode, sys.warnoptions, sys.stdin.read(), sys.flags.safe_path)"
    assert good(process([*line, "-c", flags], programs, env, "typed")) == "1 ['error'] typed False\n"
    interrupted = process([*line, "interrupted.py"], programs, env)
    assert interrupted.returncode == -2
    assert interrupted.stderr.startswith('Traceback (most recent call last):\n  File "') and "keras_compat" not in (
        interrupted.stderr
    )


def test_the_sitecustomize_of_the_machine_is_read_too(tmp_path: Path) -> None:
    script(tmp_path, "import builtins; builtins.MARK = __file__\n", "site/sitecustomize.py")
    env = environment(PYTHONPATH=str(tmp_path / "site"))
    for options in ({}, {"seed": 1}):
        done = launch(
            ["-c", "import sys; print(MARK, sys.modules['sitecustomize'].__file__)"], tmp_path, "", env, **options
        )
        assert good(done).split() == [str(tmp_path / "site" / "sitecustomize.py")] * 2
    assert "MARK" in launch(["-c", "MARK"], tmp_path).stderr  # a NameError: there is none


def test_another_python_is_left_alone(tmp_path: Path) -> None:
    """A program may start a tool that has a Keras of its own."""
    line, env = run.command(
        ["-c", "import sys; print([f for f in sys.meta_path if hasattr(f, 'asked')])"], environment()
    )
    assert "Finder" in good(process(line, tmp_path, env))
    assert good(process(line, tmp_path, {**env, run.PREFIX: "/elsewhere"})) == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-m", "keras_compat", "run"], []),
        (["-u", "-W", "error", "-Xdev", "-Wignore", "-m", "keras_compat"], ["-u", "-W", "error", "-Xdev", "-Wignore"]),
        (["-umkeras_compat", "run"], ["-u"]),
        (["-mkeras_compat", "run"], []),
        (["-X", "importtime", "-Ximporttime", "--check-hash-based-pycs", "never", "tool.py", "-m"],
         ["-X", "importtime", "-Ximporttime", "--check-hash-based-pycs", "never"]),
        (["-c", "-u"], []),
    ],
)  # fmt: skip
def test_options_of_python_itself(arguments: list[str], expected: list[str]) -> None:
    assert run._interpreter_options(arguments) == expected


# --- Keras's names ---------------------------------------------------------------------------------------------------

NAMES = """
    import sys
    assert 'numpy' not in sys.modules and 'keras_compat' not in sys.modules
    import keras
    import keras_compat
    import keras.layers.core as core
    import keras.backend.tensorflow_backend as KTF
    import tensorflow as tf, tensorflow.keras as tk1
    import tensorflow.keras.layers as tl
    import tensorflow.python.keras.models, tensorflow.contrib.keras.api.keras.layers
    import tensorflow.compat.v1.keras.backend
    import tensorflow.compat.v1 as tf1
    from keras import *
    from keras import backend as K, objectives
    from keras.layers import *
    from keras.models import Sequential, Model
    from keras.engine.topology import Layer
    from keras.utils.visualize_util import plot
    from keras.utils.np_utils import to_categorical
    from tensorflow import keras as tk2
    from tensorflow.keras import layers as tl2, Sequential as S2
    from tensorflow.keras.models import Sequential as S3
    from tensorflow.python.keras.layers import Dense as D2

    assert keras is keras_compat is tf.keras is tk1 is tk2 is tf1.keras
    assert keras.layers is keras_compat.layers is tl is tl2 is sys.modules['keras.layers']
    assert KTF is K is keras_compat.backend
    assert Sequential is S2 is S3 is keras_compat.models.Sequential and D2 is Dense
    assert keras.backend.backend() == 'autotensor'
    # no second copy of any module, and each is still what it was
    for name, module in list(sys.modules.items()):
        top = name.partition('.')[0]
        if top in ('keras', 'keras_compat') or '.keras' in name:
            assert module.__name__.startswith('keras_compat'), name
            assert sys.modules[module.__name__] is module, name
            assert module.__spec__ is None or module.__spec__.name == module.__name__, name

    import pickle
    class Mine(Layer):
        pass
    assert pickle.loads(pickle.dumps(Mine)) is Mine
    assert pickle.loads(pickle.dumps(Dense)) is Dense

    model = Sequential([tl.Dense(3, input_dim=2), core.Dense(output_dim=1)])
    model.compile('sgd', 'mse')
    print(model.predict(__import__('numpy').ones((2, 2))).shape)
"""


@pytest.mark.promise(42)
def test_every_way_to_import_keras_gives_one_keras(tmp_path: Path) -> None:
    """Also where another Keras is installed: that is hidden for this program alone."""
    for name in ("keras", "tensorflow", "theano"):
        script(tmp_path, f"print('the installed {name}')\n", f"installed/{name}/__init__.py")
        script(tmp_path, "print('the installed layers')\n", f"installed/{name}/layers.py")
    env = environment(PYTHONPATH=str(tmp_path / "installed"))
    script(tmp_path, NAMES)
    assert good(launch(["program.py"], tmp_path, env=env)) == "(2, 1)\n"
    plain = process([sys.executable, "-c", "import keras, keras.layers, tensorflow"], tmp_path, env)
    assert plain.stdout.split("\n")[:3] == ["the installed keras", "the installed layers", "the installed tensorflow"]


CHILDREN = """
    import multiprocessing as mp, subprocess, sys
    from keras.layers import Dense
    from keras.models import Sequential

    class Count:
        def __init__(self, units): self.units = units

    def work(count):
        import keras, keras_compat
        assert keras is keras_compat
        return Sequential([Dense(count.units, input_dim=3)]).count_params(), sys.modules[__name__].__file__

    if __name__ == '__main__':
        for method in ('fork', 'spawn', 'forkserver'):
            with mp.get_context(method).Pool(1) as pool:
                print(method, *pool.map(work, [Count(2)])[0])
        print(subprocess.check_output([sys.executable, '-c', 'import keras; print(keras.__name__)'], text=True))
"""


@pytest.mark.promise(42)
@pytest.mark.skipif(os.name == "nt", reason="fork")
def test_children_of_the_program_have_keras_too(tmp_path: Path) -> None:
    script(tmp_path, CHILDREN)
    lines = good(launch(["program.py"], tmp_path, seed=3, report=True)).split("\n")
    path = str(tmp_path / "program.py")
    assert lines[:4] == [f"fork 8 {path}", f"spawn 8 {path}", f"forkserver 8 {path}", "keras_compat"]


# --- what is not there -----------------------------------------------------------------------------------------------

STOOD_ON = """
    import tensorflow as tf, tensorflow.compat.v1 as tf1
    import theano, theano.tensor as T
    from keras import backend as K
    from keras.backend.tensorflow_backend import set_session
    from tensorflow.compat.v1 import ConfigProto, InteractiveSession
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf1.disable_v2_behavior()
    import numpy
    tf.random.set_seed(5)
    assert numpy.random.rand() == numpy.random.RandomState(5).rand()
    tf.set_random_seed(6)  # not again: the program has drawn from it
    assert numpy.random.rand() == numpy.random.RandomState(5).random_sample(2)[1]
    config = tf.ConfigProto(allow_soft_placement=True, intra_op_parallelism_threads=1)
    config.gpu_options.allow_growth = True
    config.gpu_options.per_process_gpu_memory_fraction = 0.4
    with tf.Session(graph=tf.get_default_graph(), config=config) as session:
        set_session(session)
        K.set_session(session)
        assert K.get_session() is session
        session.run(tf.global_variables_initializer())
        session.run([tf.local_variables_initializer()])
    import autotensor
    assert autotensor.get_num_threads() == 1
    graph = tf.get_default_graph()
    with graph.as_default(), tf.device('/gpu:0'), tf.name_scope('a') as scope:
        assert scope == 'a'
    assert tf.config.experimental.list_physical_devices('GPU') == [] and not tf.test.is_gpu_available()
    assert theano.config.floatX == 'float32'
    tf.reset_default_graph()
    assert hasattr(tf, 'keras') and not hasattr(tf, 'estimator') and tf.__version__ > '2'

    def error(text):
        try:
            exec(compile(text, 'inner.py', 'exec'), globals())
        except (ImportError, AttributeError, NotImplementedError) as error:
            print(f'{type(error).__name__}: {error}')
        else:
            print('no error from', text)
    error('tf.reduce_mean')
    error('tf.nn.relu(1)')
    error('tf.estimator')
    error('from tensorflow import square')
    error('import tensorflow.estimator.inputs')
    error('from tensorflow.examples.tutorials.mnist import input_data')
    error('session.run(graph)')
    error('T.nnet.sigmoid')
    error('theano.shared')
    error('from theano.ifelse import ifelse')
    error('import keras.nothing')
    error('from keras import Sequentiel')
    error('from keras.layers import Dens')
    error('import tensorflow.keras.nothing')
"""
ERRORS = """
AttributeError: tensorflow.reduce_mean; K.mean
AttributeError: tensorflow.nn.relu; K.relu
AttributeError: tensorflow.estimator; NumPy
ModuleNotFoundError: tensorflow.square; K.square
ModuleNotFoundError: tensorflow.estimator; NumPy
ModuleNotFoundError: tensorflow.examples.tutorials.mnist.input_data; from keras.datasets import mnist
NotImplementedError: Graph; K.function
AttributeError: theano.tensor.nnet.sigmoid; K.sigmoid
AttributeError: theano.shared; K.variable
ModuleNotFoundError: theano.ifelse; NumPy
ModuleNotFoundError: keras.nothing; docs/keras.md
ModuleNotFoundError: keras.Sequentiel; Did you mean Sequential?
ModuleNotFoundError: keras.layers.Dens; Did you mean Dense?
ModuleNotFoundError: keras.nothing; docs/keras.md
"""


@pytest.mark.promise(42)
def test_what_stood_around_keras_is_served_and_all_else_explained(tmp_path: Path) -> None:
    script(tmp_path, STOOD_ON)
    done = launch(["program.py"], tmp_path, report=True)
    lines = good(done).strip().split("\n")
    expected = ERRORS.strip().split("\n")
    assert len(lines) == len(expected), done.stdout
    for line, wanted in zip(lines, expected):
        kind, rest = wanted.split(": ", 1)
        what, instead = rest.split("; ")
        assert line.startswith(f"{kind}: [") and what in line and instead in line and "inner.py:1" in line, line
    assert re.search(r"program\.py:6 +tensorflow\.ConfigProto +settings", done.stderr)


# --- options ---------------------------------------------------------------------------------------------------------

DRAWS = """
    import random
    import tensorflow as tf
    from keras.layers import Dense
    from keras.models import Sequential
    import numpy, autotensor
    tf.set_random_seed(9)  # does not touch NumPy, which was seeded
    print(random.random(), numpy.random.rand(), autotensor.random.get_state())
    print(autotensor.config.deterministic, __import__('keras').get_api_level(), hash('a'))
    print(Sequential([Dense(2, input_dim=2)]).get_weights()[0].tolist())
"""


def test_numpy_has_the_names_it_had(tmp_path: Path) -> None:
    script(
        tmp_path,
        """
        import numpy as np
        a = np.zeros(3, dtype=np.float)
        assert a.dtype == np.float_ and np.int is int and np.object is object and np.str is str
        assert np.isnan(np.NaN) and np.Inf == np.inf and np.product([2, 3]) == 6 and np.alltrue(a == 0)
        assert np.dtype(np.complex) == "c16" and np.unicode_ is np.str_ and np.trapz([1, 1]) == 1
        assert np.bool_(True) and np.bool(1) == True and np.zeros(1, np.long).dtype.kind == "i"
        print("done")
        """,
    )
    assert good(launch(["program.py"], tmp_path)).strip() == "done"


@pytest.mark.promise(33)
def test_seed_level_and_deterministic(tmp_path: Path) -> None:
    script(tmp_path, DRAWS)
    lines = good(launch(["program.py"], tmp_path, seed=3, level="1.2", deterministic=True)).split("\n")
    numpy_draws = np.random.RandomState(3)
    expected = random.Random(3).random(), numpy_draws.rand(), {"seed": 9, "draws": 0}
    assert lines[0] == " ".join(map(str, expected))
    hashed = process([sys.executable, "-c", "print(hash('a'))"], tmp_path, environment(PYTHONHASHSEED="3"))
    assert lines[1] == f"True 1.2 {hashed.stdout.strip()}"
    # weights come from NumPy's generator
    weights = np.random.RandomState(numpy_draws.randint(10_000_000)).uniform(-1, 1, (2, 2)) * np.sqrt(6 / 4)
    np.testing.assert_allclose(ast.literal_eval(lines[2]), weights, rtol=1e-6)


REPORTED = """
    from keras.layers.core import Dense, Dropout
    import keras.objectives
    from keras.models import Sequential
    model = Sequential()
    for _ in range(3):
        model.add(Dense(output_dim=2, input_dim=2, init='uniform'))
    model.add(Dropout(p=0.5))
    import tensorflow as tf
    x = tf.constant(3)
"""


def test_report_after_an_error(tmp_path: Path) -> None:
    script(tmp_path, REPORTED)
    done = launch(["program.py"], tmp_path, report=True, level="1.2")
    assert done.returncode == 1
    # The traceback begins in the program, the report comes last.
    assert done.stderr.startswith(f'Traceback (most recent call last):\n  File "{tmp_path / "program.py"}", line 10')
    assert "\nAttributeError: [run] tensorflow.constant was used at" in done.stderr
    reported = done.stderr[done.stderr.index("[run] translated") :]
    lines = [re.split(r"  +", line.strip()) for line in reported.strip().split("\n")]
    assert lines[0] == ["[run] translated: 4 old spellings, each where it came first"]
    assert ["program.py:7", "Dense", "output_dim= -> units=", "3 times"] in lines
    assert ["program.py:7", "Dense", "init= -> kernel_initializer=", "3 times"] in lines
    assert ["program.py:8", "Dropout", "p= -> rate=", "once"] in lines
    assert ["program.py:3", "import", "keras.objectives -> keras.losses"] in lines
    assert lines[-1][0].startswith("[run] API level 1.2")
    assert launch(["-c", "print(1)"], tmp_path, report=True).stderr == ""


# --- the command itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "a program is expected"), (["--level", "3", "x.py"], "API level"), (["--seed", "x", "x.py"], "invalid int")],
)
def test_bad_use(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", *arguments])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_the_hook_and_the_command_agree() -> None:
    """The hook is read without the package, so it repeats a name; and it must not load much."""
    path = Path(str(start.__file__)).with_name("sitecustomize.py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    values = {
        t.id: n.value for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    assert ast.literal_eval(values["OPTIONS"]) == run.OPTIONS
    assert ast.literal_eval(values["PREFIX"]) == run.PREFIX
    top = {n.names[0].name for n in tree.body if isinstance(n, ast.Import)}
    assert top == {"atexit", "os", "sys"}
