"""Callbacks that write the logs of epochs elsewhere: to a CSV file, to a server."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_compat.callbacks.base import Callback, Logs
from keras_compat.callbacks.log_file import LogFile
from keras_compat.utils.generic_utils import warn


class CSVLogger(Callback):
    """Writes a row of the logs after each epoch to a CSV file, byte for byte as Keras 2.3.1 does.

    The columns are ``epoch`` and the names of the logs in alphabetic order. Lists and arrays are written as
    ``"[0.5, 0.25]"``, what an epoch does not have as ``NA``. Rows that are appended follow the columns of the file. A
    training that goes on from a backup appends by itself, and drops rows of epochs that are trained again.

    Args:
        filename: of the file.
        separator: one character between two values.
        append: go on behind the rows of an earlier training; else the file begins anew.

    Raises:
        OSError: when training begins and the file can not be opened. A disk that is full later is a warning.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename = filename
        self.sep = separator
        self.append = append
        self.append_header = True
        self.keys: list[str] | None = None
        self.csv_file: LogFile | None = None
        self._goes_on = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._goes_on = bool(self.params.get("goes_on"))
        append = self.append or self._goes_on
        self._close()
        self.append_header, self.keys = True, None
        if append and os.path.exists(self.filename):
            with open(self.filename, encoding="utf-8", newline="") as file:
                header = next(csv.reader(file, delimiter=self.sep), [])
            self.append_header = not header
            if header[:1] == ["epoch"]:
                self.keys = header[1:]
        self.csv_file = LogFile(self.filename, "CSVLogger", append)
        if append:
            self._end_the_last_row()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._goes_on:
            self._goes_on = False
            self._drop_rows_from(epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        known: Iterable[str] = self.params.get("metrics", ())
        if self.keys is None:
            self.keys = sorted({*logs, *known})
        left_out = sorted(set(logs) - set(self.keys))
        if left_out:
            warn(
                f"[CSVLogger] the columns of {self.filename!r} are those of its first epoch: {', '.join(self.keys)}. "
                f"Left out: {', '.join(left_out)}. Log to another file."
            )
        if self.append_header:
            self._write_row(["epoch", *self.keys])
            self.append_header = False
        self._write_row([epoch, *(self._shown(name, logs[name]) if name in logs else "NA" for name in self.keys)])

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()

    def _write_row(self, values: list[Any]) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=self.sep).writerow(values)
        if self.csv_file is not None:
            self.csv_file.write(text.getvalue().encode("utf-8"))

    def _shown(self, name: str, value: Any) -> Any:
        if isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "shape", True) != ():
            return f'"[{", ".join(map(str, value))}]"'
        if type(value) is float and name in ("lr", *getattr(self.model, "stateful_metric_names", ())):
            # Keras logs these as they are in float32: with its digits, not those of the double of the same value.
            short = np.float32(value)
            return short if short == np.float64(value) else value
        return value

    def _end_the_last_row(self) -> None:
        with open(self.filename, "rb") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n" and self.csv_file is not None:
                    self.csv_file.write(b"\r\n")

    def _drop_rows_from(self, epoch: int) -> None:
        """Drop the last rows as far as they are of this epoch or a later one: they were written after the backup."""
        with open(self.filename, "rb") as file:
            rows = file.read().splitlines(keepends=True)
        while len(rows) > 1:
            number = rows[-1].partition(self.sep.encode())[0].strip()
            if not number.isdigit() or int(number) < epoch:
                break
            rows.pop()
        if self.csv_file is not None:
            self.csv_file.cut(sum(map(len, rows)))

    def get_state(self) -> dict[str, Any]:
        """Nothing: all there is to know is in the file."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing to set."""


class RemoteMonitor(Callback):
    """Sends the logs of each epoch to a server, as JSON in a POST request.

    A server that does not answer within ten seconds, or not at all, is a warning; whatever it answers is fine.

    Args:
        root: address of the server.
        path: behind it.
        field: name of the field of a form that holds the JSON.
        headers: more headers of the request.
        send_as_json: send the JSON itself instead of a form.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ):
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        text = json.dumps({"epoch": epoch, **{name: _plain(value) for name, value in (logs or {}).items()}})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        if not self.send_as_json:
            text = urllib.parse.urlencode({self.field: text})
        try:
            address = urllib.parse.urlsplit(self.root + self.path)
            if address.scheme not in ("http", "https"):
                raise ValueError(f"no address of a server: {self.root + self.path}")
            headers = {"Content-Type": kind, "Accept": "*/*", **(self.headers or {})}
            request = urllib.request.Request(address.geturl(), text.encode("utf-8"), headers, method="POST")
            with urllib.request.urlopen(request, timeout=_SECONDS_FOR_AN_ANSWER):
                pass
        except urllib.error.HTTPError as answer:
            answer.close()
        except (OSError, ValueError, http.client.HTTPException):  # not to be reached, or no address
            warn(f"Warning: could not reach RemoteMonitor root server at {self.root}")


# A monitor must not hold a training up for long.
_SECONDS_FOR_AN_ANSWER = 10.0


def _plain(value: Any) -> Any:
    """A value of the logs as JSON knows it."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
