"""The API reference: every name once, each with a text, and nothing in it that leads nowhere."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest

import autotensor as at
from docs.reference import pages as reference
from docs.reference.pages import (
    Page,
    as_function,
    broken_references,
    in_markdown,
    keras1_call,
    named,
    source_of,
    unnamed_errors,
    without_text,
)

PAGES = {page.name: page for page in reference.pages()}


def test_every_module_that_programs_import_has_a_page() -> None:
    assert {"autotensor", "keras_compat.models", "keras_compat.layers", "keras_compat.backend"} <= PAGES.keys()
    assert {"Model", "Sequential", "load_model"} <= PAGES["keras_compat.models"].names.keys()
    assert "Dense" in PAGES["keras_compat.layers"].names


@pytest.mark.parametrize("name", sorted(PAGES))
def test_what_is_public_has_a_text(name: str) -> None:
    assert without_text(PAGES[name]) == []


@pytest.mark.parametrize("name", sorted(name for name in PAGES if name.startswith("autotensor")))
def test_errors_that_are_raised_on_purpose_are_named(name: str) -> None:
    assert unnamed_errors(PAGES[name]) == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_references_lead_somewhere(name: str) -> None:
    assert broken_references(PAGES[name]) == []


def test_an_object_stands_once_and_its_other_names_lead_there() -> None:
    shown = [id(value) for page in PAGES.values() for value in page.names.values()]
    assert len(shown) == len(set(shown))
    for page in PAGES.values():
        for alias, target in page.aliases.items():
            module, _, name = target.rpartition(".")
            assert PAGES[module].names[name] is getattr(page.module, alias)
    assert PAGES["keras_compat.layers"].aliases["Convolution2D"] == "keras_compat.layers.Conv2D"


def test_operations_are_shown_as_functions() -> None:
    shown = as_function(at.arctan2)
    assert inspect.isfunction(shown) and shown.__doc__ == at.arctan2.doc and shown.__module__ == at.arctan2.__module__
    assert str(inspect.signature(shown)) == str(inspect.signature(at.arctan2)) == "(y, x)"
    assert source_of(at.arctan2).startswith("@defop(")
    assert str(inspect.signature(at.isnan)) == "(x, /)" and source_of(at.isnan) == ""
    assert as_function(at.reshape) is at.reshape


def test_the_words_of_keras_1_stand_beside_those_of_keras_2() -> None:
    layers = PAGES["keras_compat.layers"]
    said = keras1_call(layers.names["Dense"], layers)
    assert "``Dense(output_dim, init=, activation=, weights=, W_regularizer=" in said
    assert "``output_dim`` is ``units``" in said
    assert "``nb_filter`` is ``filters``" in keras1_call(layers.names["Conv2D"], layers)
    assert keras1_call(layers.names["Layer"], layers) == ""


def test_what_texts_refer_to_has_the_name_that_it_has_in_the_reference() -> None:
    homes = {id(PAGES["keras_compat.layers"].names["Dense"]): "keras_compat.layers.Dense"}
    text = ":class:`~keras_compat.layers.core.Dense`, :func:`shape`, ``keras_compat.layers.core.Dense``, `autotensor.e`"
    assert (
        in_markdown(text, homes)
        == "`keras_compat.layers.Dense`, `shape`, ``keras_compat.layers.Dense``, `autotensor.e`"
    )


PLANTED = '''
"""A module for the test; see `keras_compat.layers.Dense` and `keras_compat.layers.Dens`."""


class A:
    """Has a text."""

    def with_text(self):
        """Like :func:`~autotensor.no_such_thing`."""

    def without(self):
        pass

    def _private(self):
        pass


def bare():
    pass
'''


def planted() -> Page:
    module = ModuleType("keras_compat.planted")
    exec(PLANTED, vars(module))
    return Page(module.__name__, module, {name: getattr(module, name) for name in reference.public(module)})


def test_what_is_missing_is_noticed() -> None:
    page = planted()
    assert list(page.names) == ["A", "bare"]
    assert without_text(page) == ["keras_compat.planted.A.without", "keras_compat.planted.bare"]
    assert broken_references(page) == [
        "keras_compat.planted: keras_compat.layers.Dens",
        "keras_compat.planted.A.with_text: autotensor.no_such_thing",
    ]
    assert named("autotensor.Tensor.numpy") is not None and named("keras_compat.no_module.at_all") is None


def test_an_error_without_a_name_is_noticed() -> None:
    page = Page("autotensor", at, {"tidy": tidy, "careless": careless, "Late": Late})
    assert unnamed_errors(page) == ["autotensor.careless: DTypeError", "autotensor.Late.now: ShapeError"]


def tidy(x: object) -> None:
    """Raises ValueError for an x of None, and at.ShapeError."""
    if x is None:
        raise ValueError("none")
    raise at.ShapeError("other")


def careless(x: object) -> None:
    """Raises ShapeError at times."""
    if x is None:
        raise at.DTypeError("none")
    raise at.ShapeError("other")


class Late:
    """Has a property."""

    @property
    def now(self) -> None:
        """Nothing."""
        raise at.ShapeError("never")


def test_the_pages_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("pdoc", reason="the extra docs makes the reference")
    from docs.reference import __main__ as build

    listed = ["keras_compat.constraints", "keras_compat.saving"]
    monkeypatch.setattr(build, "pages", lambda: [PAGES[name] for name in listed])
    monkeypatch.setattr(sys, "argv", ["reference", str(tmp_path)])
    assert build.main() == 0, capsys.readouterr().out
    text = (tmp_path / "keras_compat" / "constraints.html").read_text()
    assert 'id="MaxNorm"' in text and 'href="#MaxNorm"' in text and "maxnorm" in text
    assert "UnsafeModelError" in (tmp_path / "search.js").read_text()

    monkeypatch.setattr(build, "pages", lambda: [planted()])
    assert build.main() == 1
    assert "no text: keras_compat.planted.bare" in capsys.readouterr().out
    page = tmp_path / "a.html"
    text = '<p id="here"><a href="#here"></a><a href="#gone"></a><a href="b.html"></a><a href="https://x.org"></a>'
    assert build.broken_links({page: text}) == ["a.html: #gone", "a.html: b.html"]
