from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cloudtune.emulation import process

SERVICE = """
    import errno, json, sys, threading
    from pathlib import Path
    from cloudtune.emulator_kit.app import ConnectionLost, Response
    from werkzeug.wsgi import get_input_stream
    from cloudtune.emulator_kit import server, threaded_server
    from cloudtune.emulator_kit.server import serve

    class Service:
        def __init__(self, folder):
            self.folder = folder
            self.rounds = 3

        def __call__(self, environ, start_response):
            if environ["PATH_INFO"] == "/lost":
                raise ConnectionLost("gone")
            if environ["PATH_INFO"] == "/read" and not get_input_stream(environ).read():
                raise RuntimeError("no body")
            if environ["PATH_INFO"] == "/json":
                json.loads(get_input_stream(environ).read())
            if environ["PATH_INFO"] == "/broken":
                raise RuntimeError("a bug")
            if environ["PATH_INFO"] == "/full":
                raise OSError(errno.ENOSPC, "No space left on device")
            start_response("200 OK", [("Content-Length", "5")])
            return [b"hello"]

        def key_of(self, environ):
            return environ.get("HTTP_X_KEY")

        def refuse(self, environ, why):
            return Response(401, why.encode(), "text/plain")

        def refuse_as_unable(self, environ, why):
            return Response(507, why.encode(), "text/plain")

        def environment(self, url, key):
            return {"SERVICE_URL": url}

        def busy(self):
            self.rounds -= 1
            return self.rounds > 0

        def close(self):
            (self.folder / "closed").write_text(f"{self.rounds} left")

    if "limited" in sys.argv:
        server.MAX_DOCUMENT, server.MAX_FILE = 10, 10_000
        sys.argv.remove("limited")
    folder = Path(sys.argv[1])
    start_thread = threading.Thread.start

    def start_if_possible(thread):
        if (folder / "crowded").exists():
            (folder / "tried").touch()
            raise RuntimeError("can't start new thread")
        start_thread(thread)

    threading.Thread.start = start_if_possible
    threaded_server.PATIENCE = 600 if "patient" in sys.argv else 0
    if "patient" in sys.argv:
        sys.argv.remove("patient")
    secure = "secure" in sys.argv
    idle = float(sys.argv[2]) if len(sys.argv) > 2 and not secure else None
    serve(lambda url, key: Service(folder), folder, idle=idle, secure=secure)
"""


class Served:
    """A process that serves a small service of our own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SERVICE), str(folder), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def address(self) -> dict[str, str]:
        assert self.process.stdout is not None
        found: dict[str, str] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    with ExitStack() as stack:

        def begin(*words: str) -> Served:
            created = Served(tmp_path / "state", *words)
            stack.callback(created.end)
            return created

        yield begin


def connect(address: dict[str, str]) -> http.client.HTTPConnection:
    scheme, _, host = address["url"].partition("://")
    if scheme == "http":
        return http.client.HTTPConnection(host, timeout=200)
    trusted = ssl.create_default_context(cafile=address["certificate"])
    return http.client.HTTPSConnection(host, timeout=200, context=trusted)


def ask(address: dict[str, str], path: str = "/", **headers: str) -> tuple[int, bytes]:
    connection = connect(address)
    try:
        connection.request("GET", path, headers={"X-Key": address["key"]} | headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_lets_in_who_has_the_key(start: Callable[..., Served]) -> None:
    address = start().address()
    assert ask(address) == (200, b"hello")
    status, why = ask(address, **{"X-Key": "wrong"})
    assert status == 401
    assert b"address.json" in why
    assert ask(address, Host="elsewhere.example")[0] == 401
    assert ask(address, Origin="https://page.example")[0] == 401
    assert ask(address, Origin=address["url"])[0] == 200


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("kind", "limit"),
    [("application/json", 10), ("application/x-amz-json-1.1", 10), ("application/x-tar", 10_000)],
)
def test_the_body_of_a_request_is_limited(
    start: Callable[..., Served], kind: str, limit: int, *, chunked: bool
) -> None:
    address = start("limited").address()
    for size in (limit, limit + 1):
        connection = connect(address)
        body = b"x" * size
        connection.request(
            "POST",
            "/read",
            body=iter([body[:5], body[5:]]) if chunked else body,
            headers={"X-Key": address["key"], "Content-Type": kind},
            encode_chunked=chunked,
        )
        if chunked and size > limit:
            with pytest.raises(http.client.RemoteDisconnected):
                connection.getresponse()
        else:
            answer = connection.getresponse()
            text = answer.read().decode()
            assert (answer.status, text[:5]) in {(200, "hello"), (413, "the b")}
            assert (answer.status == 413) == (size > limit)
            assert size == limit or f"more than the {limit:,} bytes" in text
        connection.close()


@pytest.mark.parametrize("length", ["-5", "x", "1e3", "+5", "5, 5", "0x5", "\xb2"])
def test_a_malformed_length_is_refused(start: Callable[..., Served], length: str) -> None:
    address = start().address()
    connection = connect(address)
    connection.putrequest("POST", "/read")
    connection.putheader("X-Key", address["key"])
    connection.putheader("Content-Length", length.encode("latin-1"))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"Content-Length" in answer.read()) == (400, True)
    connection.close()


def test_a_document_that_is_nested_too_deeply_is_refused(start: Callable[..., Served]) -> None:
    address = start().address()
    connection = connect(address)
    connection.request("POST", "/json", body=b"[" * 200_000, headers={"X-Key": address["key"]})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (400, b"the document is nested too deeply")
    connection.close()


def test_it_listens_on_loopback_alone(start: Callable[..., Served]) -> None:
    assert start().address()["url"].startswith("http://127.0.0.1:")


def test_a_connection_may_be_lost(start: Callable[..., Served]) -> None:
    address = start().address()
    with pytest.raises(http.client.RemoteDisconnected):
        ask(address, "/lost")
    assert ask(address, "/broken")[0] == 500
    assert ask(address)[0] == 200


@pytest.mark.parametrize("words", [(), ("secure",)])
def test_requests_without_a_thread_are_refused_with_the_remedy(
    start: Callable[..., Served], tmp_path: Path, words: tuple[str, ...]
) -> None:
    address = start(*words).address()
    crowded = tmp_path / "state" / "crowded"
    crowded.touch()
    for _ in range(2):
        status, reason = ask(address)
        assert status == 507
        assert b"no more threads can be started" in reason
        assert b"ulimit -u" in reason
    assert ask(address, **{"X-Key": "wrong"})[0] == 401
    crowded.unlink()
    assert ask(address) == (200, b"hello")


def test_a_request_waits_for_a_thread(start: Callable[..., Served], tmp_path: Path) -> None:
    address = start("patient").address()
    crowded = tmp_path / "state" / "crowded"
    crowded.touch()
    connection = connect(address)
    connection.request("GET", "/", headers={"X-Key": address["key"]})
    due = time.monotonic() + 200
    while not (tmp_path / "state" / "tried").exists():
        assert time.monotonic() < due
        time.sleep(0.01)
    crowded.unlink()
    assert connection.getresponse().status == 200
    connection.close()


def test_what_the_machine_lacks_is_a_refusal(start: Callable[..., Served]) -> None:
    status, reason = ask(start().address(), "/full")
    assert status == 507
    assert b"No space left on device; free space or inodes" in reason


def test_what_is_no_request_is_told_so(start: Callable[..., Served]) -> None:
    address = start().address()
    host, _, port = address["url"].removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=200) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert b"400" in connection.recv(4096)
    assert ask(address)[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(
    start: Callable[..., Served], tmp_path: Path, number: signal.Signals
) -> None:
    served = start()
    served.address()
    served.process.send_signal(number)
    assert served.process.wait(200) == 0
    assert (tmp_path / "state" / "closed").exists()
    assert not (tmp_path / "state" / "address.json").exists()


def test_it_ends_by_itself_once_nobody_asks_and_nothing_runs(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    served = start("0.05")
    assert served.process.wait(200) == 0
    assert (tmp_path / "state" / "closed").read_text() == "0 left"


def test_a_folder_that_is_in_use_is_refused(start: Callable[..., Served]) -> None:
    first = start()
    first.address()
    second = start()
    assert second.process.wait(200) == 1
    assert first.process.poll() is None


def test_a_process_that_has_its_number_is_not_taken_for_it(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    served = start()
    served.address()
    assert process.find_running(tmp_path / "state") is not None
    file = tmp_path / "state" / process.ADDRESS
    told = json.loads(file.read_text())
    served.end()
    file.write_text(json.dumps({**told, "pid": os.getpid()}))
    assert process.find_running(tmp_path / "state") is None


def test_it_ends_with_who_started_it_if_it_is_tied(tmp_path: Path) -> None:
    code = textwrap.dedent(SERVICE).replace("sys.argv[1]", "sys.argv[2]")
    (tmp_path / "small.py").write_text(code.replace("len(sys.argv) > 2", "False"))
    starts = f"""
        from pathlib import Path
        from cloudtune.emulation import process
        process.start("small", "small", Path({str(tmp_path / "state")!r}), tied=True)
        import os
        os.kill(os.getpid(), 9)
    """
    words = [sys.executable, "-c", textwrap.dedent(starts)]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    subprocess.run(words, cwd=tmp_path, env=env, check=False, timeout=200)
    due = time.monotonic() + 200
    while not (tmp_path / "state" / "closed").exists():
        assert time.monotonic() < due
        time.sleep(0.05)


def test_a_folder_is_free_again_when_its_emulator_was_killed(start: Callable[..., Served]) -> None:
    first = start()
    old = first.address()
    first.process.kill()
    first.process.wait()
    address = start().address()
    assert address["key"] != old["key"]
    assert ask(address)[0] == 200


def test_with_https_it_is_reached_by_who_trusts_its_certificate(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    address = start("secure").address()
    assert address["url"].startswith("https://127.0.0.1:")
    assert ask(address) == (200, b"hello")
    assert ask(address, **{"X-Key": "wrong"})[0] == 401
    assert ask(address, Origin=address["url"])[0] == 200
    assert ask(address, Origin=address["url"].replace("https", "http"))[0] == 401
    found = process.find_running(tmp_path / "state")
    assert found is not None
    assert found.certificate == str(tmp_path / "state" / process.CERTIFICATE)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(address, "/lost")


def test_with_https_it_is_reached_by_nobody_else(start: Callable[..., Served]) -> None:
    address = start("secure").address()
    host = address["url"].removeprefix("https://")
    stranger = http.client.HTTPSConnection(host, timeout=200, context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/", headers={"X-Key": address["key"]})
    stranger.close()
    plain = http.client.HTTPConnection(host, timeout=200)
    plain.request("GET", "/", headers={"X-Key": address["key"]})
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        plain.getresponse()
    plain.close()
    assert ask(address) == (200, b"hello")


def test_who_says_nothing_keeps_nobody_waiting(start: Callable[..., Served]) -> None:
    address = start("secure").address()
    host, _, port = address["url"].removeprefix("https://").partition(":")
    with socket.create_connection((host, int(port)), timeout=200):
        assert ask(address) == (200, b"hello")


def test_each_start_has_a_certificate_of_its_own(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    first = start("secure")
    first.address()
    before = (tmp_path / "state" / process.CERTIFICATE).read_bytes()
    first.process.terminate()
    first.process.wait()
    assert ask(start("secure").address()) == (200, b"hello")
    assert (tmp_path / "state" / process.CERTIFICATE).read_bytes() != before
