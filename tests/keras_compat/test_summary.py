"""`summary()` letter by letter as genuine Keras 1.2.2 and 2.3.1 print it, for what the golden cases do not hold.

Those are chains; here are nested models, shared layers, several inputs and outputs, long names and other widths.
``summaries/program.py`` was run by both releases, and what they printed lies beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import keras_compat as keras
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.models import Model, Sequential
from keras_compat.utils.layer_utils import print_summary

HERE = Path(__file__).parent / "summaries"


def sections(text: str) -> dict[str, str]:
    """The summaries in a text by their titles; trailing blanks of lines are part of them."""
    parts = re.split(r"^### (.*)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def run_program(level: str, show: Callable[..., None]) -> None:
    """Run ``summaries/program.py`` at an API level; it shows each model that it makes, with a title."""
    program = (HERE / "program.py").read_text().replace("from keras.", "from keras_compat.")
    with api_level(level):
        exec(compile(program, "program.py", "exec"), {"one": level == "1.2", "show": show, "clear": K.clear_session})
        K.clear_session()


@pytest.mark.parametrize(("level", "release"), [("1.2", "1.2.2"), ("2.3", "2.3.1"), ("2.2", "2.3.1")])
def test_as_genuine_keras(level, release, capsys):
    def show(title, model, **arguments):
        print(f"### {title}")
        model.summary(**arguments)

    wanted = sections((HERE / f"keras-{release}.txt").read_text())
    if level == "2.2":  # 2.2.4's golden cases lack this line, and have all else
        wanted = {title: re.sub(r'^Model: ".*"\n', "", text) for title, text in wanted.items()}
    run_program(level, show)
    ours = sections(capsys.readouterr().out)
    assert list(ours) == list(wanted) and len(wanted) == (12 if level == "1.2" else 10)
    for title, text in wanted.items():
        assert ours[title] == text, title


def test_a_list_of_layers_and_print_fn():
    """Keras 1's `print_summary(layers)`, and lines to a function."""
    model = Sequential([L.Dense(3, input_shape=(2,), name="a"), L.Dense(1, name="b")])
    lines: list[str] = []
    print_summary(model.layers, print_fn=lines.append)
    assert all(len(line) == 100 for line in lines if line[0] in "_=") and lines[1].split()[-2:] == ["Connected", "to"]
    assert [line.split()[-1] for line in lines[3:7:2]] == ["a_input[0][0]", "a[0][0]"]
    assert "Total params: 13" in lines
    printed: list[str] = []
    model.summary(print_fn=printed.append, line_length=40)
    assert printed[0] == f'Model: "{model.name}"' and printed[1] == "_" * 40


def test_subclassed_models_are_listed_as_chains():
    class Own(Model):
        def __init__(self):
            super().__init__(name="own")
            self.one = L.Dense(3, name="one")
            self.two = L.Dense(2, name="two")

        def call(self, inputs):
            return self.two(self.one(inputs))

    model = Own()
    with pytest.raises(ValueError, match="not yet been built"):
        model.summary()
    model.build((None, 4))
    for level in ("1.2", "2.3"):
        lines: list[str] = []
        with api_level(level):
            model.summary(print_fn=lines.append)
        assert any(line.startswith("one (Dense)") and " 15 " in line + " " for line in lines)
        assert "Total params: 23" in lines


def test_names_of_inputs_in_keras_1():
    """Golden cases have `dense_input_1`: counted by themselves, from the class's old name."""
    with api_level("1.2"):
        model = Sequential()
        model.add(keras.layers.Convolution2D(2, 3, 3, input_shape=(5, 5, 1), dim_ordering="tf"))
        other = Sequential([L.Dense(2, input_dim=3, name="own")])
        assert model.input_names == ["convolution2d_input_1"] and other.input_names == ["dense_input_1"]
    with api_level("2.3"):
        assert Sequential([L.Dense(2, input_dim=3, name="own")]).input_names == ["own_input"]
