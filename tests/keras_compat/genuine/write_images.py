"""Runs inside a genuine Keras (Python 3.7): does the cases of ``image_cases.py``, and writes down what came out.

    python write_images.py release out.npz

It makes ``tests/keras_compat/golden/images/<release>.npz`` with 1.2.2 and 2.3.1; 2.2.4 gives what 2.3.1 does, to the
last bit (both with keras_preprocessing 1.1.2; SciPy 1.7, Pillow 8.4, pandas 1.3).
"""

import os
import shutil
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

import image_cases
from keras.preprocessing import image


def main() -> None:
    """Do the cases of a release."""
    release, out = sys.argv[1:]
    found = {}
    for name, releases in image_cases.ASKED.items():
        if release not in releases:
            continue
        folder = tempfile.mkdtemp()
        try:
            found[name] = image_cases.run(name, image, folder)
        except Exception:
            print(name)
            traceback.print_exc()
        shutil.rmtree(folder)
    image_cases.save(out, found)
    print(len(found), "cases", os.path.getsize(out), "bytes")


if __name__ == "__main__":
    main()
