"""`get_file` against a server on the loopback: what is right is kept, what is wrong leaves nothing behind."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import hashlib
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from keras_compat.utils import downloads
from keras_compat.utils.data_utils import get_file, validate_file

BODY = bytes(range(256)) * 1000
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        if self.path == "/good":
            self.answer(BODY, len(BODY))
        elif self.path == "/no-length":
            self.answer(BODY, None)
        elif self.path == "/truncated":
            self.answer(BODY[:5000], len(BODY))
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
        elif self.path == "/to-file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
        elif self.path == "/stalls":
            self.answer(BODY[:5000], len(BODY))
            self.server.release.wait(5)
        else:
            self.send_error(404)

    def answer(self, body, length):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.paths = []
    server.release = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def files(folder):
    return sorted(os.path.join(top, name) for top, _, names in os.walk(folder) for name in names)


@pytest.mark.parametrize("page", ["good", "no-length", "moved"])
@pytest.mark.parametrize("expected", [{}, {"file_hash": MD5}, {"file_hash": SHA256}, {"md5_hash": MD5.upper()}])
def test_download_lands_in_the_cache(url, tmp_path, page, expected):
    path = get_file("data.bin", f"{url}/{page}", cache_dir=str(tmp_path), **expected)
    assert path == str(tmp_path / "datasets" / "data.bin")
    with open(path, "rb") as stream:
        assert stream.read() == BODY
    assert files(tmp_path) == [path]


def test_second_call_stays_off_the_network(server, url, tmp_path):
    for _ in range(2):
        get_file("data.bin", f"{url}/good", file_hash=SHA256, cache_dir=str(tmp_path), cache_subdir="models")
    assert server.paths == ["/good"]
    assert files(tmp_path) == [str(tmp_path / "models" / "data.bin")]


def test_keras_home_moves_the_cache(url, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    assert get_file("data.bin", f"{url}/good") == str(tmp_path / "home" / "datasets" / "data.bin")


def test_absolute_name_is_taken_as_it_is(url, tmp_path):
    target = str(tmp_path / "new" / "data.bin")
    assert get_file(target, f"{url}/good", cache_dir=str(tmp_path / "cache")) == target
    assert files(tmp_path) == [target]


def test_a_stale_file_is_replaced(url, tmp_path, capsys):
    old = tmp_path / "datasets" / "data.bin"
    old.parent.mkdir()
    old.write_bytes(b"old")
    get_file("data.bin", f"{url}/good", file_hash=MD5, cache_dir=str(tmp_path))
    assert old.read_bytes() == BODY
    assert "fetching it again" in capsys.readouterr().out


FAILURES = {
    "wrong hash": ("good", {"file_hash": "0" * 32}, "should have the hash 000"),
    "wrong sha256": ("good", {"file_hash": "0" * 64}, "should have the hash 000"),
    "not found": ("missing", {}, "answered 404"),
    "truncated": ("truncated", {}, "ended after 5000 of 256000 bytes"),
    "redirect to a file": ("to-file", {}, "refused a redirect|answered 302"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_leaves_nothing(url, tmp_path, case):
    page, expected, message = FAILURES[case]
    with pytest.raises(OSError, match=message):
        get_file("data.bin", f"{url}/{page}", cache_dir=str(tmp_path), **expected)
    assert files(tmp_path) == []


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_leaves_the_older_file(url, tmp_path, case):
    page, expected, message = FAILURES[case]
    old = tmp_path / "datasets" / "data.bin"
    old.parent.mkdir()
    old.write_bytes(b"old")
    with pytest.raises(OSError, match=message):
        get_file("data.bin", f"{url}/{page}", cache_dir=str(tmp_path), **{"file_hash": "0" * 32, **expected})
    assert files(tmp_path) == [str(old)]
    assert old.read_bytes() == b"old"


def test_a_silent_server_is_given_up(url, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    with pytest.raises(OSError, match="timed out after"):
        get_file("data.bin", f"{url}/stalls", cache_dir=str(tmp_path))
    assert files(tmp_path) == []


def test_nobody_listens(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match="could not fetch .* online"):
        get_file("data.bin", f"http://127.0.0.1:{port}/x", cache_dir=str(tmp_path))
    assert files(tmp_path) == []


@pytest.mark.parametrize("origin", ["file:///etc/hostname", "ftp://127.0.0.1/x", "/etc/hostname"])
def test_only_web_addresses(tmp_path, origin):
    with pytest.raises(ValueError, match="http or https"):
        get_file("data.bin", origin, cache_dir=str(tmp_path))
    assert files(tmp_path) == []


def test_https_is_not_left_for_http():
    handler = downloads._HttpOnly()
    request = downloads.urllib.request.Request("https://example.org/x")
    with pytest.raises(OSError, match="https to http"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://example.org/x")
    assert handler.redirect_request(request, None, 302, "Found", {}, "https://example.org/y") is not None


def test_cache_that_can_not_be_made_is_named(url, tmp_path):
    (tmp_path / "datasets").write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match="datasets"):
        get_file("data.bin", f"{url}/good", cache_dir=str(tmp_path))


def test_validate_file(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(BODY)
    assert validate_file(str(path), MD5)
    assert validate_file(str(path), SHA256, chunk_size=7)
    assert validate_file(str(path), SHA256, "sha256")
    assert not validate_file(str(path), "0" * 32)
    with pytest.raises(ValueError, match="crc32"):
        validate_file(str(path), MD5, "crc32")
