"""Writes `golden/differences.json`: what every Keras answers to the questions of `differences.py`.

    python -m tests.keras_compat.genuine.write_differences [PYTHON]

PYTHON has TensorFlow 2.15. Without it the answers of tf.keras stay as they are in the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.keras_compat.genuine.environments import run

HERE = Path(__file__).resolve().parent
FILE = HERE.parent / "golden" / "differences.json"
RELEASES = ("1.2.2", "2.2.4", "2.3.1")


def main() -> None:
    answers = json.loads(FILE.read_text()) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for release in RELEASES:
            answers[release] = json.loads(run(release, "tensorflow", "differences.py", "keras", home=Path(folder)))
    if len(sys.argv) > 1:
        command = [sys.argv[1], "-W", "ignore", str(HERE / "differences.py"), "tensorflow.keras"]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        answers["tf.keras"] = json.loads(subprocess.check_output(command, env=environment, timeout=1800))
    FILE.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
