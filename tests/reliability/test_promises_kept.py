"""The list of promises, the marks on the tests and the page say the same."""

from __future__ import annotations

import ast
import re
from collections import Counter
from types import SimpleNamespace

import pytest

from tests import promises

pytest_plugins = ["pytester"]


def test_every_promise_has_a_test() -> None:
    found = promises.tests_by_promise()
    assert not [name for name in promises.PROMISES if not found.get(name)]
    assert set(found) <= set(promises.PROMISES)
    assert list(range(20, 46)) == [name for name in promises.PROMISES if isinstance(name, int)]


def test_the_page_lists_every_promise_with_the_files_of_its_tests() -> None:
    """`python -m tests.promises` writes the table anew."""
    page = promises.PAGE.read_text(encoding="utf-8")
    table = promises.TABLE.search(page)
    assert table is not None and table[0] == promises.table_of_files(promises.tests_by_promise())


def test_marks_are_found_in_the_source() -> None:
    source = "@pytest.mark.promise(30, 'forks')\ndef test_a(): pass\npytestmark = [pytest.mark.promise(20)]"
    assert sorted(map(str, promises.marks_in(ast.parse(source)))) == ["20", "30", "forks"]
    assert list(promises.marks_in(ast.parse("@pytest.mark.slow\ndef test_a(): pass"))) == []


TESTS = """
import pytest

@pytest.mark.promise(30, "forks")
def test_kept(): pass

@pytest.mark.promise(30)
def test_broken(): assert 0

@pytest.mark.promise(20)
def test_left_out(): pytest.skip("x")

def test_of_no_promise(): pass
"""


@pytest.fixture
def own(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nmarkers = promise\naddopts = -p no:randomly -p no:cacheprovider -p no:benchmark")
    return pytester


def test_a_run_by_the_mark_ends_with_the_counts(own: pytest.Pytester) -> None:
    own.makepyfile(TESTS)
    done = own.inline_run("-m", "promise", plugins=[promises])
    passed, skipped, failed = done.listoutcomes()
    assert (len(passed), len(skipped), len(failed)) == (1, 1, 1)
    reports = [SimpleNamespace(user_properties=[("promises", [30, "forks"])])]
    counts = promises.count([(reports[0], "passed"), (reports[0], "error"), (reports[0], "skipped")])
    assert counts[30] == counts["forks"] == Counter(passed=1, failed=1, skipped=1)
    lines = promises.table_of_counts(counts)
    assert next(line.split() for line in lines if re.match(r" +30 ", line))[:4] == ["30", "1", "1", "1"]
    assert any(line.split()[:6] == ["45", "0", "0", "0", "NO", "TEST:"] for line in lines)


def test_an_unknown_promise_is_refused(own: pytest.Pytester) -> None:
    own.makepyfile("import pytest\n@pytest.mark.promise('honour')\ndef test_a(): pass")
    assert own.inline_run(plugins=[promises]).ret != 0
