"""The code blocks of five public documents about Keras, as data, and what it takes to run them.

Each ``<name>.txt`` beside this file holds the blocks of one document, letter by letter, after lines ``----- number``.
Two of the documents were typed from memory and have slips that no Python accepts, most of them HTML line breaks in
the code; ``REPAIRS`` lists every one. The other three run as they stand, but for the name of the package.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent

# name here -> beginning of the file's name in the folder of the documents
DOCUMENTS = {
    "korean_keras1": "000_",
    "korean_keras2": "001_",
    "japanese_keras1": "002_",
    "chinese_keras2": "003_",
    "korean_pipeline": "004_",
}

# document -> (as printed, as meant); each is used at least once, which a test holds.
REPAIRS: dict[str, list[tuple[str, str]]] = {
    "korean_keras1": [
        ("<br>", ""),
        ("<p>", ""),
        ("form keras.layers", "from keras.layers"),
        ("Activations(", "Activation("),
        ("model = Sequentia\n", "model = Sequential()\n"),
        ("Dense(32,input_shape(784,))", "Dense(32,input_shape=(784,))"),
        ("Dense(32,batch_input_shape(None,784))", "Dense(32,batch_input_shape=(None,784))"),
        ("Desse(", "Dense("),
        ("'# generate", "# generate"),
        # comments that lost their sign
        ("for a multi-class", "# for a multi-class"),
        ("for a binary", "# for a binary"),
        ("for a mean squared", "# for a mean squared"),
        ("for a single-input", "# for a single-input"),
        ("\ngenerate dummy data", "\n# generate dummy data"),
        ("\ntrain the model", "\n# train the model"),
        ("\nof 32 samples", "\n# of 32 samples"),
    ],
    "korean_pipeline": [
        ("\\_", "_"),
        ("\\(", "("),
        ("\\)", ")"),
        ("import model_grom_json", "import model_from_json, model_from_yaml"),
        ("(yaml)string)", "(yaml_string)"),
    ],
}


def code_blocks(text: str) -> list[str]:
    """Every piece of code in a document: fenced, between single back-ticks, quoted, or set as a paragraph."""
    found: list[str] = []
    block: list[str] | None = None
    end = ""
    for line in text.splitlines():
        if block is not None:
            if line.startswith(end) if end else not line.strip():
                found.append("\n".join(block))
                block = None
            else:
                block.append(line)
        elif line.startswith("```"):
            block, end = [], "```"
        elif line.strip() == "`":
            block, end = [], "`"
        elif line.startswith("keras.layers."):
            block, end = [line], ""
        elif line.startswith(">merged = "):
            found.append(line[1:])
    if block is not None:  # the first document ends within a block
        found.append("\n".join(block))
    return found


def stored_blocks(document: str) -> list[str]:
    """The blocks of a document, letter by letter."""
    text = (HERE / f"{document}.txt").read_text(encoding="utf-8")
    parts = re.split(r"^----- (\d+)\n", text, flags=re.MULTILINE)
    assert parts[0] == "" and [int(n) for n in parts[1::2]] == list(range(len(parts) // 2))
    return [part.removesuffix("\n") for part in parts[2::2]]


def runnable(document: str, number: int) -> str:
    """A block with its slips repaired and ``keras`` replaced by ``keras_compat``; nothing else is changed."""
    code = stored_blocks(document)[number]
    for printed, meant in REPAIRS.get(document, []):
        code = code.replace(printed, meant)
    return re.sub(r"\bkeras\b(?=[.\s])", "keras_compat", code)
