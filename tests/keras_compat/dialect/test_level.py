"""The API level: where it comes from, who sees it, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from keras_compat.dialect import level as levels
from keras_compat.dialect.level import api_level, checked_level, get_api_level, set_api_level


@pytest.fixture(autouse=True)
def restored():
    before = get_api_level()
    yield
    set_api_level(before)


def test_set_and_get():
    for level in ("1.2", "2.2", "2.3"):
        set_api_level(level)
        assert get_api_level() == level


def test_releases_count_as_their_level():
    assert [checked_level(r) for r in ("1.2.2", "2.2.4", "2.3.1", 1.2, 2.3)] == [
        "1.2",
        "2.2",
        "2.3",
        "1.2",
        "2.3",
    ]


@pytest.mark.parametrize("bad", ["3", "", "1", None, 2, "tf", ("1.2",)])
def test_anything_else_is_refused_and_changes_nothing(bad):
    before = get_api_level()
    with pytest.raises(ValueError, match="set_api_level.*'1.2', '2.2', '2.3'"):
        set_api_level(bad)
    assert get_api_level() == before


def test_a_block_nests_and_ends_with_an_error_too():
    set_api_level("2.3")
    with api_level("1.2") as inside:
        assert inside == get_api_level() == "1.2"
        with api_level("2.2"):
            assert get_api_level() == "2.2"
        assert get_api_level() == "1.2"
    with pytest.raises(KeyError), api_level("1.2"):
        raise KeyError
    assert get_api_level() == "2.3"
    with pytest.raises(ValueError, match="api_level"), api_level("9"):
        pass


@pytest.mark.promise("threads")
def test_threads_see_what_is_set_but_not_a_block_elsewhere():
    set_api_level("2.2")
    seen = []
    with api_level("1.2"):
        thread = threading.Thread(target=lambda: seen.append(get_api_level()))
        thread.start()
        thread.join()
    assert seen == ["2.2"]


def level_of_a_fresh_process(api: str | None) -> subprocess.CompletedProcess:
    """Ask a process with `KERAS_COMPAT_API` set; the file runs by itself and needs nothing of the package."""
    environment = {k: v for k, v in os.environ.items() if k != levels.ENVIRONMENT}
    if api is not None:
        environment[levels.ENVIRONMENT] = api
    code = f"import runpy; print(runpy.run_path({levels.__file__!r})['get_api_level']())"
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(("api", "expected"), [(None, "2.3"), ("", "2.3"), ("1.2", "1.2"), ("2.2.4", "2.2")])
def test_environment(api, expected):
    assert level_of_a_fresh_process(api).stdout.strip() == expected


def test_a_wrong_environment_names_the_variable():
    done = level_of_a_fresh_process("1.9")
    assert done.returncode != 0
    assert "KERAS_COMPAT_API" in done.stderr and "'1.9'" in done.stderr
