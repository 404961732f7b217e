"""Fetching a file over http: whole and with the right hash or not at all, and on from where an earlier try ended."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import http.client
import json
import os
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from email.message import Message
from types import TracebackType
from typing import Any

from keras_compat.utils.progbar import Progbar, write_out

# Seconds without a sign of life from the server before a download is given up.
TIMEOUT = 10.0

_CHUNK = 1 << 16


def hash_of(path: str, file_hash: str, algorithm: str = "auto", chunk_size: int = _CHUNK) -> str:
    """Return the hash of a file in hexadecimal, of the kind that ``file_hash`` and ``algorithm`` say."""
    digest = new_hash(file_hash, algorithm)
    with open(path, "rb") as stream:
        while chunk := stream.read(chunk_size):
            digest.update(chunk)
    return digest.hexdigest()


def new_hash(file_hash: str, algorithm: str) -> hashlib._Hash:
    """Return what computes hashes: MD5 or SHA-256, by name or by the length of the one that is expected.

    Raises:
        ValueError: the name is unknown, or the hash is not in hexadecimal.
    """
    if algorithm not in ("auto", "md5", "sha256"):
        raise ValueError(
            f"[get_file] hash_algorithm must be 'auto', 'md5' or 'sha256'; got {algorithm!r}. "
            "'auto' goes by the length of the hash."
        )
    if not re.fullmatch(r"[0-9A-Fa-f]+", file_hash):
        # Keras 1's fifth argument is the folder, Keras 2's the hash.
        raise ValueError(
            f"[get_file] file_hash must be a hash in hexadecimal; got {file_hash!r}. If it is a folder, write "
            "cache_subdir=."
        )
    if algorithm == "sha256" or (algorithm == "auto" and len(file_hash) == 64):
        return hashlib.sha256()
    # MD5 is what Keras published for its files; it guards against accidents, not against malice.
    return hashlib.md5(usedforsecurity=False)


def download(origin: str, path: str, file_hash: str | None, algorithm: str) -> None:
    """Fetch ``origin`` to ``path``: whole and with the right hash, or not at all.

    What a broken connection or Ctrl-C leaves is kept beside as ``.<name>.<8 letters for the origin>.part``, if the
    server says by which mark it knows the file again. The next try asks for the rest of it; if the file has changed
    since, it begins anew.

    Raises:
        OSError: it could not be fetched (ConnectionError: not to its end), or has another hash, or can not be written.
        ValueError: not an http or https address.
    """
    scheme = urllib.parse.urlsplit(origin).scheme
    if scheme not in ("http", "https"):
        raise ValueError(f"[get_file] origin must be an http or https address; got {origin!r}. Is it a local path?")
    folder, name = os.path.split(os.path.abspath(path))
    resumed, found = True, ""
    try:
        while resumed:  # what was put together of two tries and has the wrong hash is fetched once more
            with _Part(folder, name, origin) as part:
                resumed = _fill(part, origin)
                found = "" if file_hash is None else hash_of(part.path, file_hash, algorithm)
                if file_hash is None or found == file_hash.lower():
                    os.replace(part.path, path)
                    _forget_parts(folder, name)
                    return
    except PermissionError as error:
        raise PermissionError(
            f"[get_file] {folder} must be writable to keep {name}: {error}. Set KERAS_HOME or pass cache_dir=."
        ) from error
    raise OSError(
        f"[get_file] {origin} should have the hash {file_hash}; what came has {found}. "
        "Nothing was kept. Has the file changed at its source?"
    )


def _fill(part: _Part, origin: str) -> bool:
    """Fetch into a part what it lacks; tell whether there was something in it."""
    response, start = _opened(origin, part)
    with contextlib.closing(response):
        os.makedirs(os.path.dirname(part.path), exist_ok=True)
        part.mark = _mark(response.headers) or (part.mark if start else None)
        with open(part.path, "r+b" if start else "wb") as stream:
            stream.seek(start)
            for chunk in _body(response, origin, start):
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
    return start > 0


# -- what has come so far ---------------------------------------------------------------------------------------------

# At the end of a kept part: the mark of what it is part of (JSON), the length of that, and this.
_END = b"keras_compat part 1"


class _Part:
    """A file under a name of its own beside its place, so that two processes never write to one.

    On leaving a ``with``, one that is not done is kept under the name that the next try looks for, if the connection
    broke or the user did not want to wait, and thrown away else.
    """

    def __init__(self, folder: str, name: str, origin: str):
        digest = hashlib.sha256(origin.encode()).hexdigest()
        self._kept = os.path.join(folder, f".{name}.{digest[:8]}.part")
        self.path = os.path.join(folder, f".{name}.{secrets.token_hex(6)}.part")
        self.size = 0
        self.mark: str | None = None

    def __enter__(self) -> _Part:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.rename(self._kept, self.path)
            if not self._open_kept():
                os.unlink(self.path)
        return self

    def _open_kept(self) -> bool:
        """Cut what a kept part ends with off it; tell whether it can be gone on with."""
        with open(self.path, "r+b") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - len(_END) - 4))
            end = stream.read()
            length = int.from_bytes(end[:4], "little")
            if end[4:] != _END or length + len(end) >= size:
                return False
            stream.seek(size - len(end) - length)
            try:
                said = json.loads(stream.read(length))
            except ValueError:
                return False
            if not isinstance(said, dict) or not said.get("mark"):
                return False
            stream.truncate(size - len(end) - length)
        self.size, self.mark = size - len(end) - length, str(said["mark"])
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            broken = isinstance(error, (ConnectionError, KeyboardInterrupt))
            if broken and self.mark is not None and os.path.getsize(self.path):
                said = json.dumps({"mark": self.mark}).encode()
                with open(self.path, "ab") as stream:
                    stream.write(said + len(said).to_bytes(4, "little") + _END)
                os.replace(self.path, self._kept)
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def _forget_parts(folder: str, name: str) -> None:
    """Remove what was kept of a file, from other origins too, when it is whole."""
    for path in glob.glob(os.path.join(glob.escape(folder), f".{glob.escape(name)}.{'?' * 8}.part")):
        with contextlib.suppress(OSError):
            os.unlink(path)


def _mark(headers: Message) -> str | None:
    """What a server knows this very content again by: a strong entity tag or a date; None if it gives no parts."""
    if headers.get("Accept-Ranges", "bytes").lower() == "none" or headers.get("Content-Encoding"):
        return None
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


# -- the connection ---------------------------------------------------------------------------------------------------


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, but never from https to a connection anybody can change."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        old, new = urllib.parse.urlsplit(req.full_url).scheme, urllib.parse.urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            raise urllib.error.URLError(f"refused a redirect from {old} to {new}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opened(origin: str, part: _Part) -> tuple[http.client.HTTPResponse, int]:
    """The answer with the rest of a part, or with all of the file; and how much of the part it goes on from."""
    if part.size and part.mark is not None:
        response = _ask(origin, {"Range": f"bytes={part.size}-", "If-Range": part.mark})
        if response is not None and response.status == 200:
            return response, 0
        if response is not None and _goes_on(response.headers, part):
            write_out(f"Going on from {part.size:,} bytes that came before.\n")
            return response, part.size
        if response is not None:
            response.close()
    response = _ask(origin, {})
    assert response is not None
    return response, 0


def _goes_on(headers: Message, part: _Part) -> bool:
    return headers.get("Content-Range", "").startswith(f"bytes {part.size}-") and _mark(headers) in (None, part.mark)


def _ask(origin: str, headers: dict[str, str]) -> Any:
    """The answer of a server; None where it does not give the part that the headers ask for."""
    opener = urllib.request.build_opener(_HttpOnly)
    request = urllib.request.Request(origin, headers={"User-Agent": "keras_compat", **headers})
    try:
        return opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:  # it holds the open connection
            if headers and error.code in (412, 416):
                return None
            raise OSError(_could_not(origin, f"the server answered {error.code} {error.reason}")) from None
    except (OSError, http.client.HTTPException) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise ConnectionError(_could_not(origin, reason)) from error


def _body(response: http.client.HTTPResponse, origin: str, start: int) -> Iterable[bytes]:
    """Yield the body in pieces; a body shorter than announced is an error (``read(n)`` alone hides it)."""
    announced = response.headers.get("Content-Length")
    total = start + int(announced) if announced is not None and announced.isdigit() else None
    bar = Progbar(total)
    received = start
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            reason = f"{error or type(error).__name__} after {received} bytes"
            raise ConnectionError(_could_not(origin, reason)) from error
        if not chunk:
            break
        received += len(chunk)
        yield chunk
        bar.update(received)
    if total is None:
        write_out("\n")
    elif received != total:
        raise ConnectionError(_could_not(origin, f"the connection ended after {received} of {total} bytes"))


def _could_not(origin: str, reason: str) -> str:
    return f"[get_file] could not fetch {origin}: {reason}. Is this machine online?"
