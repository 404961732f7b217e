"""Abuse tests 11 and 19: archives that reach outside their folder or fill the disk, downloads that go wrong.

The server stands on the loopback. Where a name carries a number, it is that of the list of abuse tests; the counts are
printed at the end (``-s``).
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from keras_compat.utils import archives, downloads
from keras_compat.utils.archives import UnsafeArchiveError, extract_archive
from keras_compat.utils.data_utils import get_file

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
COUNTS: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    yield
    for name, count in sorted(COUNTS.items()):
        print(f"\nabuse test {name}: {count} cases")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file with its content, every folder (None) and every link, below a folder."""
    found: dict[str, bytes | None] = {}
    for top, folders, names in os.walk(folder):
        for name in folders:
            found[os.path.relpath(os.path.join(top, name), folder)] = None
        for name in names:
            place = os.path.join(top, name)
            found[os.path.relpath(place, folder)] = b"-> link" if os.path.islink(place) else Path(place).read_bytes()
    return found


# -- archives ---------------------------------------------------------------------------------------------------------


def tar_of(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def plain(name: str, content: bytes = b"content") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def special(name: str, kind: bytes, to: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info, b""


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names given twice
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def zip_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def encrypted_zip() -> bytes:
    """A zip whose member says that it is encrypted, in both places."""
    data = bytearray(zip_of(("a.txt", b"content")))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(magic) + offset
        data[at] |= 1
    return bytes(data)


def lying_zip() -> bytes:
    """A zip whose member is longer than it says."""
    data = bytearray(zip_of(("a.txt", b"x" * 1000)))
    for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(magic) + offset
        data[at : at + 4] = struct.pack("<I", 10)
    return bytes(data)


class Zeros(io.RawIOBase):
    """So many zero bytes."""

    def __init__(self, size: int):
        self.left = size

    def read(self, size: int = -1) -> bytes:
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return bytes(size)


def tar_bomb(opener: Callable[..., Any], size: int) -> bytes:
    out = io.BytesIO()
    with opener(out, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = size
        tar.addfile(info, Zeros(size))
    return out.getvalue()


def header_bomb(size: int) -> bytes:
    """A tar whose extended header claims (and has, packed) so many bytes."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, size
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(size), 9)


def empties_bomb(count: int) -> bytes:
    """So many folders of no size."""
    one = io.BytesIO()
    for i in range(count):
        info = tarfile.TarInfo(f"d{i}")
        info.type = tarfile.DIRTYPE
        one.write(info.tobuf(tarfile.USTAR_FORMAT))
    return gzip.compress(one.getvalue() + bytes(1024), 1)


LONG = "/".join(["d" * 200] * 30) + "/file"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "tar: symbolic link out": lambda: tar_of(special("a", tarfile.SYMTYPE, "/etc"), plain("a/passwd")),
    "tar: symbolic link inside": lambda: tar_of(plain("x"), special("a", tarfile.SYMTYPE, "x")),
    "tar: symbolic link to above": lambda: tar_of(special("a", tarfile.SYMTYPE, "../.."), plain("a/victim")),
    "tar: hard link": lambda: tar_of(special("a", tarfile.LNKTYPE, "../victim"), plain("a", b"overwritten")),
    "tar: character device": lambda: tar_of(special("a", tarfile.CHRTYPE)),
    "tar: block device": lambda: tar_of(special("a", tarfile.BLKTYPE)),
    "tar: pipe": lambda: tar_of(special("a", tarfile.FIFOTYPE)),
    "tar: unknown kind": lambda: tar_of(special("a", b"Z")),
    "tar: to above": lambda: tar_of(plain("fine"), plain("../victim")),
    "tar: to above, further in": lambda: tar_of(plain("a/../../victim")),
    "tar: to above, in Windows' way": lambda: tar_of(plain("a\\..\\..\\victim")),
    "tar: absolute": lambda: tar_of(plain("/tmp/keras_compat_victim")),
    "tar: absolute, in Windows' way": lambda: tar_of(plain("C:\\victim")),
    "tar: folder above": lambda: tar_of(special("../folder", tarfile.DIRTYPE)),
    "tar: path longer than PATH_MAX": lambda: tar_of(plain("fine"), plain(LONG)),
    "tar: name longer than NAME_MAX": lambda: tar_of(plain("n" * 300)),
    "tar: a file that is a folder": lambda: tar_of(plain("a"), plain("a/b")),
    "tar: a folder that is a file": lambda: tar_of(plain("a/b"), plain("a")),
    "tar.gz: to above": lambda: gzip.compress(tar_of(plain("../victim"))),
    "tar.bz2: link": lambda: bz2.compress(tar_of(special("a", tarfile.SYMTYPE, "/"))),
    "zip: to above": lambda: zip_of(("fine", b"x"), ("../victim", b"overwritten")),
    "zip: to above, in Windows' way": lambda: zip_of(("..\\victim", b"overwritten")),
    "zip: absolute": lambda: zip_of(("/tmp/keras_compat_victim", b"x")),
    "zip: drive": lambda: zip_of(("C:/victim", b"x")),
    "zip: symbolic link": lambda: zip_of((zip_mode("a", 0o120777), b"/etc")),
    "zip: device": lambda: zip_of((zip_mode("a", 0o020666), b"")),
    "zip: path longer than PATH_MAX": lambda: zip_of((LONG, b"x")),
    "zip: encrypted": encrypted_zip,
    "zip: a file and a folder": lambda: zip_of(("a", b"x"), ("a/b", b"x")),
    "zip: bomb": lambda: zip_of(("zeros", bytes(110 << 20))),
    "small zip: bomb of many": lambda: zip_of(*[(f"f{i}", bytes(5000)) for i in range(500)]),
    "small tar.gz: bomb": lambda: tar_bomb(gzip.open, 4 << 20),
    "small tar.bz2: bomb": lambda: tar_bomb(bz2.open, 4 << 20),
    "small tar.gz: bomb of empty folders": lambda: empties_bomb(3000),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_11_hostile_archives_write_nothing(tmp_path, monkeypatch, case):
    if case.startswith("small"):  # 100 MB take long to pack
        monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1 << 20)
        monkeypatch.setattr(archives, "MAX_RATIO", 2)
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "archive").write_bytes(HOSTILE[case]())
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "kept").write_bytes(b"kept")
    before = tree(tmp_path)
    with pytest.raises(UnsafeArchiveError, match=r"^\[extract\] .*Nothing was extracted"):
        extract_archive(str(tmp_path / "archive"), str(tmp_path / "target"))
    assert tree(tmp_path) == before
    assert not os.path.exists("/tmp/keras_compat_victim")
    COUNTS["11, hostile archives"] += 1


def test_11_a_header_without_end(tmp_path):
    """A packed header of 30 MB is not read into memory; the file counts as damaged, or as no tar at all."""
    (tmp_path / "archive").write_bytes(header_bomb(30 << 20))
    assert not extract_archive(str(tmp_path / "archive"), str(tmp_path / "target"))
    (tmp_path / "archive").write_bytes(gzip.compress(tar_of(plain("a"))[:1024]) + header_bomb(30 << 20))
    with pytest.raises(OSError, match="longer than"):
        extract_archive(str(tmp_path / "archive"), str(tmp_path / "target"))
    assert not (tmp_path / "target").exists()
    COUNTS["11, hostile archives"] += 2


def test_11_links_that_stand_in_the_folder_from_before(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "sub").symlink_to(tmp_path / "secret")
    (tmp_path / "target" / "file").symlink_to(tmp_path / "secret" / "precious")
    (tmp_path / "secret" / "precious").write_bytes(b"precious")
    (tmp_path / "archive").write_bytes(tar_of(plain("other"), plain("sub/precious")))
    with pytest.raises(UnsafeArchiveError, match="leads out of"):
        extract_archive(str(tmp_path / "archive"), str(tmp_path / "target"))
    assert not (tmp_path / "target" / "other").exists()
    # A link in the place of a file is replaced, not written through.
    (tmp_path / "archive").write_bytes(tar_of(plain("file")))
    assert extract_archive(str(tmp_path / "archive"), str(tmp_path / "target"))
    assert (tmp_path / "target" / "file").read_bytes() == b"content"
    assert not (tmp_path / "target" / "file").is_symlink()
    assert (tmp_path / "secret" / "precious").read_bytes() == b"precious"
    COUNTS["11, hostile archives"] += 2


CONTENT = {"set/train/a.txt": b"a" * 5000, "set/b.bin": BODY, "set/empty": b"", "set/none": None, "./top": b"top"}


def tar_of_content(mode: str) -> bytes:
    return tar_of(
        *[special(n, tarfile.DIRTYPE) if c is None else plain(n, c) for n, c in CONTENT.items()],
        mode=mode,
    )


HONEST = {
    "tar": lambda: tar_of_content("w"),
    "tar.gz": lambda: tar_of_content("w:gz"),
    "tar.bz2": lambda: tar_of_content("w:bz2"),
    "tar.xz": lambda: tar_of_content("w:xz"),
    "zip": lambda: zip_of(*[(f"{n}/" if c is None else n, c or b"") for n, c in CONTENT.items()]),
    "zip, stored": lambda: zip_of(
        *[(f"{n}/" if c is None else n, c or b"") for n, c in CONTENT.items()], method=zipfile.ZIP_STORED
    ),
}
EXTRACTED = {os.path.normpath(name): content for name, content in CONTENT.items()} | {"set": None, "set/train": None}


@pytest.mark.parametrize("case", HONEST)
def test_honest_archives(tmp_path, case):
    (tmp_path / "archive").write_bytes(HONEST[case]())
    target = tmp_path / "new" / "target"
    for archive_format in ("auto", ["zip", "tar"], case[:3]):
        assert extract_archive(str(tmp_path / "archive"), str(target), archive_format)
        assert tree(target) == EXTRACTED
    (target / "set" / "b.bin").write_bytes(b"changed")
    (target / "set" / "own").write_bytes(b"mine")
    assert extract_archive(str(tmp_path / "archive"), str(target))
    assert tree(target) == EXTRACTED | {"set/own": b"mine"}
    other = "zip" if case.startswith("tar") else "tar"
    for archive_format in (other, None, []):
        assert not extract_archive(str(tmp_path / "archive"), str(tmp_path / "nothing"), archive_format)
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(ValueError, match="'rar'"):
        extract_archive(str(tmp_path / "archive"), str(tmp_path / "nothing"), "rar")


@pytest.mark.parametrize("case", HONEST)
def test_11_damaged_archives_leave_the_folder_as_it_was(tmp_path, case):
    """Cut off at many places and with bytes changed: extracted whole, refused, or taken for no archive."""
    data = HONEST[case]()
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept").write_bytes(b"kept")
    rng = random.Random(0)
    damaged = [data[: int(len(data) * share)] for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.95, 0.999)]
    for _ in range(40):
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 3, 20])):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        damaged.append(bytes(changed))
    for content in damaged:
        (tmp_path / "archive").write_bytes(content)
        try:
            done = extract_archive(str(tmp_path / "archive"), str(target))
        except (OSError, UnsafeArchiveError) as error:
            assert str(error).startswith("[extract] ")
            done = False
        if not done:
            assert tree(target) == {"kept": b"kept"}
        for name in os.listdir(target):
            if name != "kept":
                (shutil.rmtree if (target / name).is_dir() else os.unlink)(target / name)
        COUNTS["11, damaged archives"] += 1


def test_11_a_zip_that_is_longer_than_it_says(tmp_path):
    (tmp_path / "archive").write_bytes(lying_zip())
    with pytest.raises(OSError, match="damaged"):
        extract_archive(str(tmp_path / "archive"), str(tmp_path / "target"))
    assert tree(tmp_path / "target") == {}
    COUNTS["11, damaged archives"] += 1


def test_a_file_where_a_folder_is(tmp_path):
    (tmp_path / "target" / "top").mkdir(parents=True)
    (tmp_path / "archive").write_bytes(HONEST["tar"]())
    with pytest.raises(IsADirectoryError, match="top is a folder"):
        extract_archive(str(tmp_path / "archive"), str(tmp_path / "target"))
    assert tree(tmp_path / "target") == {"top": None}


def test_no_room(tmp_path, monkeypatch):
    usage = archives.shutil.disk_usage(str(tmp_path))
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    (tmp_path / "archive").write_bytes(HONEST["zip"]())
    with pytest.raises(OSError, match="1,000 are free"):
        extract_archive(str(tmp_path / "archive"), str(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


# -- downloads --------------------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server: Any = self.server
        server.paths.append(self.path)
        if self.path in server.pages:
            body = server.pages[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif self.path == "/truncated":
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:5000])
        elif self.path.startswith("/parts"):
            self.in_parts(server)
        elif self.path == "/chunks-cut":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"1000\r\n" + bytes(0x900))
        elif self.path == "/silent":
            server.release.wait(60)
        elif self.path == "/stalls":
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:5000])
            self.wfile.flush()
            server.release.wait(60)
        elif self.path == "/circle":
            self.redirect("/circle")
        elif self.path == "/to-file":
            self.redirect("file:///etc/hostname")
        elif self.path == "/no-http":
            self.wfile.write(b"\x00\xff nothing known\r\n\r\n")
        else:
            self.send_error(404)

    def in_parts(self, server: Any) -> None:
        """A server that gives parts and breaks off `server.cuts` times, each time after so many bytes."""
        body, asked = server.parts, self.headers.get("Range")
        server.asked.append((asked, self.headers.get("If-Range")))
        start = 0
        if asked and server.ranges and self.headers.get("If-Range") in (server.tag, server.date):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        for name, value in (("ETag", server.tag), ("Last-Modified", server.date)):
            if value and (not start or server.marked_parts):
                self.send_header(name, value)
        if start:
            start += server.wrong_start
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else len(body)
        self.wfile.write(body[start:end])

    def redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.paths, server.release = [], threading.Event()
    server.pages = {"/good": BODY}
    server.parts, server.asked, server.cuts, server.ranges = BODY, [], [], True
    server.tag, server.date, server.wrong_start, server.marked_parts = '"one"', None, 0, True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "wrong hash": ("/good", {"file_hash": "0" * 64}, "should have the hash 000"),
    "wrong MD5": ("/good", {"md5_hash": "0" * 32}, "should have the hash 000"),
    "truncated body": ("/truncated", {}, "ended after 5000 of 256000 bytes"),
    "truncated chunks": ("/chunks-cut", {}, "could not fetch"),
    "404": ("/missing", {}, "answered 404"),
    "timeout before the answer": ("/silent", {}, "timed out"),
    "timeout within the body": ("/stalls", {}, "timed out after"),
    "redirects in a circle": ("/circle", {}, "redirect"),
    "redirect to a file": ("/to-file", {}, "refused a redirect|answered 302"),
    "no HTTP": ("/no-http", {}, "could not fetch"),
}


@pytest.mark.parametrize("there", [False, True], ids=["empty", "older"])
@pytest.mark.parametrize("case", WRONG)
def test_19_a_download_that_goes_wrong_leaves_nothing(server, tmp_path, monkeypatch, case, there):
    page, expected, message = WRONG[case]
    if case.startswith("timeout"):
        monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    folder = tmp_path / "datasets"
    if there:
        folder.mkdir()
        (folder / "data.bin").write_bytes(b"old")
        expected = {"file_hash": "0" * 64, **expected}
    before = tree(folder)
    with pytest.raises(OSError, match=message) as caught:
        get_file("data.bin", server.url + page, cache_dir=str(tmp_path), **expected)
    assert server.url + page in str(caught.value)
    assert tree(folder) == before
    COUNTS["19, downloads"] += 1


def test_19_proxy_errors(server, tmp_path, monkeypatch):
    for proxy, message in ((f"http://127.0.0.1:{closed_port()}", "could not fetch"), (server.url, "answered 404")):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(OSError, match=message):
            get_file("data.bin", "http://example.invalid/data.bin", cache_dir=str(tmp_path))
        assert tree(tmp_path) == {}
        COUNTS["19, downloads"] += 1


def test_19_https_is_not_left(tmp_path):
    handler = downloads._HttpOnly()
    request = downloads.urllib.request.Request("https://example.org/x")
    for to in ("http://example.org/x", "ftp://example.org/x", "file:///etc/passwd"):
        with pytest.raises(OSError, match="refused a redirect from https"):
            handler.redirect_request(request, None, 302, "Found", {}, to)
        COUNTS["19, downloads"] += 1


def test_19_interrupted(server, tmp_path, monkeypatch):
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads.Progbar, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        get_file("data.bin", server.url + "/good", cache_dir=str(tmp_path))
    assert tree(tmp_path / "datasets") == {}
    COUNTS["19, downloads"] += 1


def test_19_two_processes_get_the_same_archive(server, tmp_path):
    """Each ends with the whole file and its content, and nothing else is left."""
    server.pages["/set.tar.gz"] = HONEST["tar.gz"]()
    program = (
        "import sys; from keras_compat.utils import get_file\n"
        "url, folder, file_hash = sys.argv[1:]\n"
        "for i in range(4):\n"
        "    get_file('data.bin', url + '/good', cache_dir=folder, file_hash=file_hash)\n"
        "    get_file('set.tgz', url + '/set.tar.gz', extract=True, cache_dir=folder)\n"
    )
    command = [sys.executable, "-c", program, server.url, str(tmp_path), SHA256]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    for process in both:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out.decode()
    assert tree(tmp_path / "datasets") == EXTRACTED | {"data.bin": BODY, "set.tgz": server.pages["/set.tar.gz"]}
    COUNTS["19, downloads"] += 1


def test_what_it_says(server, tmp_path, capsys):
    path = get_file("data.bin", server.url + "/good", cache_dir=str(tmp_path))
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"Downloading data from {server.url}/good"
    assert out[-1].startswith("256000/256000 [==============================] - ")
    assert get_file("data.bin", server.url + "/good", cache_dir=str(tmp_path)) == path
    assert capsys.readouterr().out == ""


def test_extract(server, tmp_path):
    """As in Keras 2: beside the archive, whose path comes back; a file that is no archive stays one."""
    for name in ("tar.gz", "zip"):
        server.pages["/x"] = HONEST[name]()
        got = get_file(
            "x.bin", server.url + "/x", extract=True, cache_dir=str(tmp_path / name), cache_subdir="sub/deep"
        )
        assert got == str(tmp_path / name / "sub/deep/x.bin")
        assert tree(tmp_path / name / "sub/deep") == EXTRACTED | {"x.bin": server.pages["/x"]}
    got = get_file("zip.tar", server.url + "/x", extract=True, archive_format="tar", cache_dir=str(tmp_path))
    assert tree(tmp_path / "datasets") == {"zip.tar": server.pages["/x"]}
    got = get_file(
        "data.bin", server.url + "/good", extract=True, cache_dir=str(tmp_path), cache_subdir=str(tmp_path / "c")
    )
    assert got == str(tmp_path / "c" / "data.bin") and Path(got).read_bytes() == BODY


def test_untar(server, tmp_path, monkeypatch):
    """As in Keras 1: kept as fname.tar.gz, extracted once, and the path of what is in it comes back."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    server.pages["/set.tar.gz"] = HONEST["tar.gz"]()
    for _ in range(2):
        assert get_file("set", server.url + "/set.tar.gz", True) == str(tmp_path / "datasets" / "set")
    assert tree(tmp_path / "datasets") == EXTRACTED | {"set.tar.gz": server.pages["/set.tar.gz"]}
    assert server.paths == ["/set.tar.gz"]
    with pytest.raises(OSError, match="expected a tar archive"):
        get_file("other", server.url + "/good", untar=True)


def test_19_a_hostile_archive_from_a_server(server, tmp_path):
    server.pages["/x"] = tar_of(plain("../victim"))
    with pytest.raises(UnsafeArchiveError, match="path to outside"):
        get_file("x.tar", server.url + "/x", extract=True, cache_dir=str(tmp_path))
    assert tree(tmp_path) == {"datasets": None, "datasets/x.tar": server.pages["/x"]}
    COUNTS["19, downloads"] += 1


def test_words_of_both_lines(server, tmp_path):
    """Positional arguments stand as in Keras 2; Keras 1's fifth, a folder, is no hash."""
    path = get_file("a", server.url + "/good", False, None, SHA256, "sub", "sha256", False, "auto", str(tmp_path))
    assert path == str(tmp_path / "sub" / "a")
    with pytest.raises(ValueError, match="write cache_subdir="):
        get_file("a", server.url + "/good", False, None, "models")


# -- downloads in parts -----------------------------------------------------------------------------------------------


def kept_for(server: Any) -> str:
    """The name of what is kept of `/parts`."""
    return f".data.bin.{hashlib.sha256(f'{server.url}/parts'.encode()).hexdigest()[:8]}.part"


def interrupted(server: Any, folder: Path, *cuts: int) -> list[str]:
    """Try to fetch `/parts` from a server that breaks off; return what is in the folder then."""
    for cut in cuts:
        server.cuts = [cut]
        with pytest.raises(ConnectionError, match="the connection ended after"):
            get_file("data.bin", server.url + "/parts", cache_dir=str(folder))
    return sorted(tree(folder / "datasets"))


def fetched(server: Any, folder: Path, **words: Any) -> bytes:
    """Fetch `/parts` to its end; nothing is left beside it."""
    path = get_file("data.bin", server.url + "/parts", cache_dir=str(folder), **words)
    assert sorted(tree(folder / "datasets")) == ["data.bin"]
    return Path(path).read_bytes()


@pytest.mark.parametrize("by", ["tag", "date", "both"])
def test_an_interrupted_download_goes_on_where_it_ended(server, tmp_path, capsys, by):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.tag, server.date = {"tag": ('"one"', None), "date": (None, date), "both": ('"one"', date)}[by]
    assert interrupted(server, tmp_path, 5000, 70000, 1) == [kept_for(server)]
    assert fetched(server, tmp_path, file_hash=SHA256) == BODY
    mark = server.tag or date
    starts = [None, "bytes=5000-", "bytes=75000-", "bytes=75001-"]
    assert server.asked == [(start, mark if start else None) for start in starts]
    out = capsys.readouterr().out
    assert "Going on from 75,001 bytes that came before." in out
    assert "256000/256000 [==============================]" in out


def test_a_rest_without_a_mark_keeps_that_of_the_beginning(server, tmp_path):
    server.marked_parts = False
    assert interrupted(server, tmp_path, 5000, 70000) == [kept_for(server)]
    assert fetched(server, tmp_path) == BODY
    assert [start for start, _ in server.asked] == [None, "bytes=5000-", "bytes=75000-"]


def test_ctrl_c_keeps_what_came(server, tmp_path, monkeypatch):
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloads.Progbar, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            get_file("data.bin", server.url + "/parts", cache_dir=str(tmp_path))
    assert sorted(tree(tmp_path / "datasets")) == [kept_for(server)]
    assert fetched(server, tmp_path) == BODY
    assert len(server.asked) == 2 and int(server.asked[1][0].removeprefix("bytes=").removesuffix("-")) > 0


def test_without_a_mark_nothing_is_kept(server, tmp_path):
    for server.tag in ('W/"weak"', None):
        assert interrupted(server, tmp_path, 5000) == []
    assert fetched(server, tmp_path) == BODY
    assert server.asked == [(None, None)] * 3


def test_a_server_that_is_away_costs_nothing(server, tmp_path):
    interrupted(server, tmp_path, 5000)
    kept = tree(tmp_path / "datasets")
    server.shutdown()
    server.server_close()
    with pytest.raises(ConnectionError, match="could not fetch"):
        get_file("data.bin", server.url + "/parts", cache_dir=str(tmp_path))
    assert tree(tmp_path / "datasets") == kept


@pytest.mark.parametrize("case", ["changed", "no ranges", "wrong place", "shorter", "other origin"])
def test_another_file_is_fetched_from_the_start(server, tmp_path, case):
    """The server says that the file is another one, gives no parts, or a wrong part; or it is another place."""
    interrupted(server, tmp_path, 5000)
    if case == "changed":
        server.parts, server.tag = BODY[::-1], '"two"'
    elif case == "no ranges":
        server.ranges = False
    elif case == "wrong place":
        server.wrong_start = 1
    elif case == "shorter":
        server.parts = BODY[:300]
    elif case == "other origin":  # the same mark there means nothing
        server.url += "/parts"
        server.parts = BODY[::-1]
        # What came from the first stays until the file is there.
        server.cuts = [0]
        before = tree(tmp_path / "datasets")
        with pytest.raises(ConnectionError):
            get_file("data.bin", server.url + "/parts", cache_dir=str(tmp_path))
        assert tree(tmp_path / "datasets") == before
    assert fetched(server, tmp_path) == server.parts
    assert server.asked[-1][0] is None or server.asked[-1][0] == "bytes=5000-"


def test_a_rest_that_does_not_fit_is_seen_by_the_hash(server, tmp_path):
    """The server says it is the same file, and it is not: fetched anew once, and an error if that is wrong as well."""
    server.parts = bytes(len(BODY))
    interrupted(server, tmp_path, 5000)
    server.parts = BODY
    assert fetched(server, tmp_path, file_hash=SHA256) == BODY
    assert [start for start, _ in server.asked] == [None, "bytes=5000-", None]
    os.unlink(tmp_path / "datasets" / "data.bin")
    interrupted(server, tmp_path, 5000)
    with pytest.raises(OSError, match="should have the hash 000"):
        get_file("data.bin", server.url + "/parts", cache_dir=str(tmp_path), file_hash="0" * 64)
    assert tree(tmp_path / "datasets") == {}


def test_a_damaged_part_is_thrown_away(server, tmp_path):
    interrupted(server, tmp_path, 5000)
    place = tmp_path / "datasets" / kept_for(server)
    whole = place.read_bytes()
    assert whole.startswith(BODY[:5000])
    rng = random.Random(0)
    damaged = [b"", whole[:5000], whole[:-1], whole[1:5001], whole[5000:], b"x" * 5000 + b"\xff" * 4 + whole[-19:]]
    for _ in range(40):
        changed = bytearray(whole)
        changed[rng.randrange(5000, len(whole))] ^= 1 << rng.randrange(8)
        damaged.append(bytes(changed))
    for content in damaged:
        (tmp_path / "datasets" / "data.bin").unlink(missing_ok=True)
        place.write_bytes(content)
        assert fetched(server, tmp_path, file_hash=SHA256) == BODY


def test_two_at_once_take_up_one_part(server, tmp_path):
    interrupted(server, tmp_path, 5000)
    errors: list[Exception] = []

    def fetch() -> None:
        try:
            get_file("data.bin", server.url + "/parts", cache_dir=str(tmp_path), file_hash=SHA256)
        except Exception as error:
            errors.append(error)

    both = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert not errors
    assert tree(tmp_path / "datasets") == {"data.bin": BODY}
    assert [start for start, _ in server.asked].count("bytes=5000-") == 1
