"""What genuine Keras's callbacks do is what is written down, and TensorFlow 1.15 reads our files of events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_compat.callbacks import events
from tests.keras_compat.genuine import environments
from tests.keras_compat.test_tensorboard import small

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_kernels")]

GOLDEN = Path(__file__).parent.parent / "golden" / "callbacks"


def ask(release: str, program: str, *arguments: str, home: Path) -> str:
    reason = environments.missing(release)
    if reason:
        pytest.skip(reason)
    return environments.run(release, "tensorflow", program, *arguments, home=home)


@pytest.mark.parametrize("release", ["1.2.2", "2.2.4", "2.3.1"])
def test_courses_of_training_are_as_written_down(release: str, tmp_path: Path) -> None:
    ask(release, "write_callbacks.py", str(tmp_path), home=tmp_path)
    found = json.loads((tmp_path / f"keras-{release}.json").read_text())
    expected = json.loads((GOLDEN / f"keras-{release}.json").read_text())
    if not found["sent"]:  # without requests
        del found["sent"], expected["sent"]
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)  # where NaN is NaN


def test_summaries_are_as_written_down(tmp_path: Path) -> None:
    ask("2.3.1", "write_summaries.py", str(tmp_path / "found.json"), home=tmp_path)
    found, expected = (json.loads(path.read_text()) for path in (tmp_path / "found.json", GOLDEN / "summaries.json"))
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


def test_tensorflow_reads_our_files(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    network, ours = small(folder, 2, histogram_freq=1, write_grads=True, write_images=True)
    (path,) = folder.glob("events*")
    told = json.loads(ask("2.3.1", "read_events.py", str(path), home=tmp_path))
    assert told["version"] == "brain.Event:2"
    assert [[step, tag, kind] for step, tag, kind, *_ in told["values"]] == [[v.step, v.tag, v.kind] for v in ours]
    for (_, _, kind, *content), value in zip(told["values"], ours):
        compare(kind, content, value.content)
    assert ["b/Dense", "Dense", ["a/Dense", "b/kernel", "b/bias"], ["_output_shapes", "dtype"]] in told["graph"]
    keras_model = [content for _, tag, _, *content in told["values"] if tag == "keras"]
    assert keras_model == [["graph_keras_model", network.to_json()]]


def compare(kind: str, theirs: list[Any], ours: Any) -> None:
    if kind == "simple_value":
        assert theirs == [ours]
    elif kind == "histo":
        assert theirs[:2] == list(ours[:2]) and theirs[2:] == ours[2][2:4]
    elif kind == "image":
        assert np.array_equal(theirs[0], ours)


def test_tensorflow_reads_where_a_file_goes_on(tmp_path: Path) -> None:
    writer = events.EventWriter(tmp_path / "logs")
    writer.go_on_from(7)
    writer.add_summary(events.scalar("größe", -1.5), 2**40)
    writer.close()
    told = json.loads(ask("2.3.1", "read_events.py", writer.path, home=tmp_path))
    assert told["begins"] == [[7, True]]
    assert told["values"] == [[2**40, "größe", "simple_value", -1.5]]
