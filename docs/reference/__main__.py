"""Makes the API reference from the docstrings: ``python -m docs.reference [FOLDER]``.

Needs the extra ``docs`` (pdoc) and no network. Whatever a reader would stumble over ends it with status 1: a module
that does not import, a name without a text, a reference or a link that leads nowhere, any warning of pdoc.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import pdoc
from pdoc import render
from pdoc.doc import Class, Doc, Module

from autotensor.core.op import Op
from docs.reference.pages import (
    Page,
    as_function,
    broken_references,
    describes_itself,
    in_markdown,
    is_ours,
    keras1_call,
    members,
    pages,
    source_of,
    without_text,
)

HERE = Path(__file__).resolve().parent
TITLE = "autotensor and keras_compat"


class Reference(Module):
    """A module as the reference shows it: the names of its page, wherever they were defined."""

    def __init__(self, page: Page, homes: dict[Any, tuple[str, str]]) -> None:
        super().__init__(page.module)
        self.modulename = self.fullname = page.name
        self.taken_from = (page.name, "")
        self.page = page
        self.homes = homes
        self.by_identity = {id(value): ".".join(home) for value, home in homes.items()}

    @property
    def first_line(self) -> str:
        return (inspect.getdoc(self.page.module) or "").partition("\n")[0]

    @cached_property
    def docstring(self) -> str:
        """The module's text, and the names that stand on this page or another under a different one."""
        text = in_markdown(inspect.getdoc(self.page.module) or "", self.by_identity)
        if self.page.aliases:
            listed = (f"| `{name}` | `{target}` |" for name, target in sorted(self.page.aliases.items()))
            text += "\n\nOther names:\n\n| name | is |\n| --- | --- |\n" + "\n".join(listed)
        return text

    @cached_property
    def source(self) -> str:
        return ""  # each name has its own; a module's imports say nothing

    @cached_property
    def _member_objects(self) -> dict[str, Any]:
        return {name: as_function(value) for name, value in self.page.names.items()}

    @cached_property
    def submodules(self) -> list[Module]:
        return []

    @cached_property
    def members(self) -> dict[str, Doc]:
        made = super().members
        for name, value in self.page.names.items():
            note = keras1_call(value, self.page)
            if note:
                made[name].docstring = f"{made[name].docstring}\n\n{note}"
            shown = made[name]
            shown.docstring = in_markdown(shown.docstring, self.by_identity)
            if isinstance(value, Op):
                shown.source = source_of(value)
            if isinstance(shown, Class):
                self.show_bases(shown)
                for member in shown.members.values():
                    member.docstring = in_markdown(member.docstring, self.by_identity)
        return made

    def show_bases(self, shown: Class) -> None:
        """Name the base by where the reference has it, and keep the members that the class itself describes."""
        mro = inspect.getmro(shown.obj)
        base = next((cls for cls in mro[1:] if cls in self.homes), None)
        shown.bases = [(*self.homes[base], ".".join(self.homes[base]))] if base else []
        # What an unnamed base describes counts as the class's own.
        own = [cls for cls in mro if is_ours(cls) and (cls is shown.obj or cls not in self.homes)]
        kept = {name for cls in own for name, _ in members(cls) if describes_itself(vars(cls)[name])} | {"__init__"}
        shown.members = {name: member for name, member in shown.members.items() if name in kept}
        for name, member in shown.members.items():
            if name in vars(shown.obj):
                member.source = ""  # it stands in that of the class
        shown.own_members = list(shown.members.values())
        shown.inherited_members = {}


def write(folder: Path, listed: list[Page]) -> dict[Path, str]:
    """Write every page, the index and the words to search; gives the text of each HTML file."""
    render.configure(
        docformat="google", template_directory=HERE / "templates", footer_text="autotensor and keras_compat"
    )
    homes = {
        value: (page.name, name) for page in listed for name, value in page.names.items() if inspect.isclass(value)
    }
    modules = {page.name: Reference(page, homes) for page in listed}
    files = {}
    for name, module in modules.items():
        files[folder / f"{name.replace('.', '/')}.html"] = render.html_module(module, modules)
    files[folder / "index.html"] = render.html_index(modules)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "search.js").write_text(render.search_index(modules), encoding="utf-8")
    return files


def broken_links(files: dict[Path, str]) -> list[str]:
    """Links within the reference to a file or a place in it that does not exist."""
    marks = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in files.items()}
    found = []
    for path, text in files.items():
        for target in set(re.findall(r'\bhref="([^"]+)"', re.sub(r"<script.*?</script>", "", text, flags=re.S))):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, mark = target.partition("#")
            there = (path.parent / name).resolve() if name else path
            if there not in files or (mark and mark not in marks[there]):
                found.append(f"{path.name}: {target}")
    return sorted(found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.reference", description="Make the API reference.")
    parser.add_argument("folder", nargs="?", default="site", help="where it goes (site)")
    folder = Path(parser.parse_args().folder).resolve()
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        listed = pages()
        files = write(folder, listed)
    problems = [f"warning: {warning.message}" for warning in met]
    for page in listed:
        problems += [f"no text: {name}" for name in without_text(page)]
        problems += [f"leads nowhere: {reference}" for reference in broken_references(page)]
    problems += [f"broken link: {link}" for link in broken_links(files)]
    print("\n".join(problems) or f"{len(files)} pages with {sum(len(page.names) for page in listed)} names in {folder}")
    print(f"pdoc {pdoc.__version__}, {len(problems)} problems", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
