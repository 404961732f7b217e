"""Drawings of graphs in the DOT language of Graphviz, under the names that pydot has for them.

The text is made here, with no further package. Images are made by Graphviz's program ``dot`` where it is installed,
else by the ``graphviz-pure`` of the extra ``plot``, a program of its own that pip installs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from typing import Any

# The program that the extra brings, and the layouts that it takes the place of.
PURE = "graphviz-pure"
_LAYOUTS = ("dot", "neato", "fdp", "sfdp", "circo", "twopi", "osage", "patchwork")
_TEXT = ("dot", "gv", "raw")


class _Attributed:
    """What has attributes: ``get(key)``, ``set(key, value)``; ``get_label()``, ``set_rankdir('LR')`` for any key."""

    attributes: dict[str, Any]

    def get(self, key: str) -> Any:
        """An attribute, or None."""
        return self.attributes.get(key)

    def set(self, key: str, value: Any) -> None:
        """Set an attribute."""
        self.attributes[key] = value

    def get_attributes(self) -> dict[str, Any]:
        """All attributes."""
        return self.attributes

    def __getattr__(self, name: str) -> Any:
        word, _, key = name.partition("_")
        if key and word == "get" and "attributes" in self.__dict__:
            return lambda: self.get(key)
        if key and word == "set" and "attributes" in self.__dict__:
            return lambda value: self.set(key, value)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class Node(_Attributed):
    """A box of a drawing."""

    def __init__(self, name: str = "", **attributes: Any):
        self.name = str(name)
        self.attributes = attributes

    def get_name(self) -> str:
        """Its name."""
        return self.name

    def to_string(self) -> str:
        """Its line in the DOT language."""
        return f"{_identifier(self.name)}{_listed(self.attributes)};"


class Edge(_Attributed):
    """An arrow of a drawing."""

    def __init__(self, src: Any = "", dst: Any = "", **attributes: Any):
        self.source, self.destination = _name_of(src), _name_of(dst)
        self.attributes = attributes

    def get_source(self) -> str:
        """Name of the node that it leaves."""
        return self.source

    def get_destination(self) -> str:
        """Name of the node that it reaches."""
        return self.destination

    def to_string(self) -> str:
        """Its line in the DOT language."""
        return f"{_identifier(self.source)} -> {_identifier(self.destination)}{_listed(self.attributes)};"


class Dot(_Attributed):
    """A drawing: nodes with labels, edges, and drawings within it. ``str()`` or ``to_string()`` is its text.

    In a notebook it shows itself. ``write_png(path)``, ``create_svg()`` and the like exist for every format.

    Args:
        name: of the graph.
        kind: 'digraph', or 'subgraph' for one that goes into another, in a frame.
        attributes: of the whole graph: rankdir, dpi, label...
    """

    def __init__(self, name: str = "G", kind: str = "digraph", **attributes: Any):
        self.name = str(name)
        self.kind = kind
        self.attributes = attributes
        self.node_defaults: dict[str, Any] = {"shape": "record"}
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], Edge] = {}
        self.subgraphs: list[Dot] = []

    # -- parts --------------------------------------------------------------------------------------------------------

    def add_node(self, node: Any, **attributes: Any) -> None:
        """Add a node, or change one: a name with attributes, or a node of ours or of pydot."""
        if not isinstance(node, str):
            node, attributes = node.get_name(), {**node.get_attributes(), **attributes}
        self.nodes[node] = Node(node, **attributes)

    def add_edge(self, source: Any, target: Any = None) -> None:
        """Add an edge between two nodes, once: two names, or an edge of ours or of pydot."""
        edge = Edge(source, target) if target is not None else source
        ends = (edge.get_source(), edge.get_destination())
        if ends not in self.edges:
            self.edges[ends] = Edge(*ends, **edge.get_attributes())

    def add_subgraph(self, inner: Dot) -> None:
        """Put a drawing into this one."""
        self.subgraphs.append(inner)

    def set_node_defaults(self, **attributes: Any) -> None:
        """Set attributes of all nodes."""
        self.node_defaults.update(attributes)

    def get_name(self) -> str:
        """Its name."""
        return self.name

    def get_nodes(self) -> list[Node]:
        """The nodes, without those of drawings within."""
        return list(self.nodes.values())

    def get_node(self, name: str) -> list[Node]:
        """The nodes of that name, none or one."""
        return [self.nodes[name]] if name in self.nodes else []

    def get_edges(self) -> list[Edge]:
        """The edges."""
        return list(self.edges.values())

    def get_edge(self, source: Any, target: Any) -> list[Edge]:
        """The edges between two nodes, none or one."""
        ends = (_name_of(source), _name_of(target))
        return [self.edges[ends]] if ends in self.edges else []

    def get_subgraphs(self) -> list[Dot]:
        """The drawings within."""
        return list(self.subgraphs)

    get_node_list, get_edge_list, get_subgraph_list = get_nodes, get_edges, get_subgraphs

    def __getattr__(self, name: str) -> Any:
        word, _, kind = name.partition("_")
        if kind and word == "write":
            return lambda path, prog=None: self.write(path, prog=prog, format=kind)
        if kind and word == "create":
            return lambda prog=None: self.create(prog=prog, format=kind)
        return super().__getattr__(name)

    # -- as text and as images ----------------------------------------------------------------------------------------

    def to_string(self) -> str:
        """Text in the DOT language."""
        return "\n".join(self._lines("")) + "\n"

    __str__ = to_string

    def _lines(self, indent: str) -> Iterator[str]:
        name = f"cluster_{self.name}" if self.kind == "subgraph" else self.name
        yield f"{indent}{self.kind} {_identifier(name)} {{"
        for key, value in self.attributes.items():
            yield f"{indent}  {key}={_quoted(value)};"
        yield f"{indent}  node{_listed(self.node_defaults)};"
        for inner in self.subgraphs:
            yield from inner._lines(indent + "  ")
        for part in (*self.nodes.values(), *self.edges.values()):
            yield f"{indent}  {part.to_string()}"
        yield f"{indent}}}"

    def create(self, prog: str | Sequence[str] | None = None, format: str = "png") -> bytes:
        """The image that Graphviz makes of it: 'png', 'svg', 'jpg', and with Graphviz's own ``dot`` 'pdf' and others.

        Args:
            prog: program or layout ('dot', 'neato'...), or a list of it and its options.

        Raises:
            ImportError: neither Graphviz nor the extra ``plot`` is installed.
            OSError: the program can not make this format.
        """
        text = self.to_string().encode()
        if format in _TEXT:
            return text
        name, *options = [prog] if isinstance(prog, str) else list(prog or ["dot"])
        command = _program(name)
        if command is None:
            raise ImportError(
                f"[plot_model] Graphviz's program {name!r} is needed to draw a {format} and was not found. "
                f"Run: pip install {PURE} (the extra autotensor[plot]); to_file='model.dot' needs nothing."
            )
        made = subprocess.run([*command, *options, f"-T{format}"], input=text, capture_output=True)
        if made.returncode != 0 or not made.stdout:
            said = made.stderr.decode(errors="replace").strip().splitlines()
            raise OSError(
                f"[plot_model] {os.path.basename(command[0])} made no {format}: {said[0] if said else 'no word why'} "
                "Take png or svg, or install Graphviz itself, which has more formats."
            )
        return made.stdout

    def write(self, path: Any, prog: str | Sequence[str] | None = None, format: str | None = None) -> bool:
        """Write text (.dot, .gv, 'raw') or an image, in the format of the name's ending if none is given."""
        content = self.create(prog, format or os.path.splitext(path)[1].lstrip(".").lower() or "png")
        with open(path, "wb") as stream:
            stream.write(content)
        return True

    def _repr_svg_(self) -> str | None:
        """What notebooks show; None where nothing can draw it."""
        try:
            return self.create(format="svg").decode()
        except (ImportError, OSError):
            return None


def _program(name: str) -> list[str] | None:
    """The command that makes images in a layout: Graphviz's own, else that of the extra."""
    found = shutil.which(name)
    if found is not None:
        return [found]
    if name not in (*_LAYOUTS, PURE):
        return None
    # pip puts programs beside its Python, which need not be on the path.
    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable)]
    pure = shutil.which(PURE) or shutil.which(PURE, path=os.pathsep.join(folders))
    return None if pure is None else [pure, *([] if name == PURE else [f"-K{name}"])]


def _name_of(node: Any) -> str:
    return node.get_name() if hasattr(node, "get_name") else str(node)


def record(text: str) -> str:
    """A text as it stands in the label of a record, where ``{``, ``|`` and others draw lines."""
    return re.sub(r"([\\{}|<>])", r"\\\1", text)


def _identifier(text: str) -> str:
    return _quoted(text.replace("\\", "\\\\"))


def _quoted(value: Any) -> str:
    """A value in quotation marks; backslashes are signs of the label language and stay."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"' + text.replace('"', '\\"') + '"'


def _listed(attributes: dict[str, Any]) -> str:
    return " [" + ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items()) + "]" if attributes else ""
