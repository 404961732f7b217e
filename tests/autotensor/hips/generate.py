"""Writes numbers.json: what the programs of this folder compute with HIPS autograd itself.

    pip install autograd scipy
    python tests/autotensor/hips/generate.py
"""

import json
import runpy
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def plain(x):
    return np.asarray(x).tolist()


def main():
    import autograd

    found = {}
    for path in sorted((HERE / "programs").glob("*.py")):
        made = runpy.run_path(str(path))["results"]
        found[path.stem] = {key: plain(value) for key, value in made.items()}
        print(path.stem, {key: np.shape(value) for key, value in found[path.stem].items()})
    (HERE / "numbers.json").write_text(json.dumps(found, indent=0), encoding="utf-8")
    print(autograd.__name__, "done")


if __name__ == "__main__":
    main()
