"""Runs inside a genuine Keras (Python 3.7) and writes what its callbacks do in the cases of ``callback_cases.py``.

    python write_callbacks.py folder

The file is named after the release. What RemoteMonitor sends is left out where ``requests`` is not installed.
"""

import http.server
import json
import os
import sys
import threading
from importlib.util import find_spec

import callback_cases as cases
import keras
import numpy
from keras import backend, callbacks
from keras.utils.generic_utils import Progbar

LEVEL = keras.__version__[:3]


class Server(http.server.BaseHTTPRequestHandler):
    """Takes what a RemoteMonitor sends."""

    got = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        self.got.append({"path": self.path, "type": self.headers["Content-Type"], "body": body})
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


def sent():
    """Return what RemoteMonitors send."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    root = f"http://127.0.0.1:{server.server_port}"
    monitors = [callbacks.RemoteMonitor(root), callbacks.RemoteMonitor(root, path="/x/", field="f")]
    if LEVEL != "1.2":
        monitors.append(callbacks.RemoteMonitor(root, send_as_json=True))
    for monitor in monitors:
        monitor.on_epoch_end(3, {"loss": 0.5, "acc": 0.25, "name": "a&b c"})
    server.shutdown()
    thread.join()
    server.server_close()
    return Server.got


def main():
    found = {
        "courses": {
            name: cases.play(callbacks, backend, kind, dict(arguments), logs)
            for name, kind, arguments, logs in cases.cases(LEVEL)
        },
        "csv": {
            name: cases.csv_bytes(callbacks, arguments, trainings)
            for name, arguments, trainings in cases.csv_cases(numpy)
            if not (LEVEL == "1.2" and name == "texts")  # 1.2.2 writes a text as a list of its letters
        },
        "told": cases.told(keras, numpy, LEVEL),
        "averages": cases.averages(callbacks, {}),
        "sent": sent() if find_spec("requests") else [],
    }
    if LEVEL != "1.2":
        found["running averages"] = cases.averages(callbacks, {"stateful_metrics": ["acc"]})
        found["nan"] = cases.until_nan(callbacks)
        found["bars"] = cases.bars(Progbar)
    with open(os.path.join(sys.argv[1], f"keras-{keras.__version__}.json"), "w") as file:
        json.dump(found, file, separators=(",", ":"), sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
