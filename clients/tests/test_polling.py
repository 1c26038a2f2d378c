"""`jetway pull` against an HTTP server that behaves, changes, fails, hangs and breaks off."""

import http.server
import json
import pathlib
import threading
from collections.abc import Iterator

import pytest
from jetway_node import run

MANIFEST = """\
kind: DatasetSnapshot
version: 1
content:
  name: stations
  kind: Root
  metadata:
    - kind: SetPollingSource
      fetch:
        kind: Url
        url: "{url}/stations.csv?key=${{{{ env.STATIONS_KEY || 'none' }}}}"
      read:
        kind: Csv
        header: true
        ddlSchema: [id BIGINT NOT NULL, name STRING]
      merge:
        kind: Snapshot
        primaryKey: [id]
"""


class Publisher:
    """An HTTP server whose next answers can be chosen; without a choice it serves its text with an ETag."""

    def __init__(self) -> None:
        self.text = ""
        self.misbehave: list[str] = []
        self.requests: list[tuple[str, int]] = []
        self.stopping = threading.Event()
        publisher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.answer(self)

            def log_message(self, *_arguments) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body, tag = self.text.encode(), f'"{hash(self.text)}"'
        behaviour = self.misbehave.pop(0) if self.misbehave else "serve"
        status = 200
        if behaviour == "fail":
            status = 503
        elif behaviour == "serve" and request.headers.get("If-None-Match") == tag:
            status = 304
        self.requests.append((request.path, status))
        if behaviour == "hang":
            self.stopping.wait(60)
            return
        request.send_response(status)
        request.send_header("ETag", tag)
        request.send_header("Content-Length", str(len(body) if status == 200 else 0))
        request.end_headers()
        if status == 200:
            request.wfile.write(body[: len(body) // 2] if behaviour == "half" else body)

    def stop(self) -> None:
        self.stopping.set()
        self.server.shutdown()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher()
    yield publisher
    publisher.stop()


@pytest.fixture
def place(publisher: Publisher, tmp_path: pathlib.Path) -> "Place":
    place = Place(tmp_path)
    (tmp_path / "stations.yaml").write_text(MANIFEST.format(url=publisher.url))
    place.succeed("add", str(tmp_path / "stations.yaml"))
    return place


class Place:
    """Datasets in a folder of the test's own."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.repository = str(folder / "datasets")

    def command(self, *arguments: str):
        return run(*arguments, "--repository", self.repository, environment={})

    def succeed(self, *arguments: str) -> str:
        done = self.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pull(self, *arguments: str) -> dict:
        return json.loads(self.succeed("pull", "stations", "--output", "json", *arguments))[0]

    def blocks(self) -> int:
        return json.loads(self.succeed("list", "--output", "json"))[0]["blocks"]


def test_only_what_is_new_is_taken_in(publisher: Publisher, place: Place):
    publisher.text = "id,name\n1,North\n2,South\n3,East\n"
    first = place.pull()
    assert (first["outcome"], first["rows"]) == ("updated", 3)

    blocks = place.blocks()
    assert place.pull()["outcome"] == "upToDate"
    assert publisher.requests[-1][1] == 304 and len(publisher.requests) == 2
    assert place.blocks() == blocks

    publisher.text = "id,name\n1,North\n2,Harbour\n4,West\n"
    changed = place.pull()
    # One correction from and to, one retraction, one new row; the unchanged row adds nothing.
    assert (changed["outcome"], changed["events"]) == ("updated", 4)
    place.succeed("verify", "stations")


def test_failures_that_pass_are_not_seen(publisher: Publisher, place: Place):
    publisher.text = "id,name\n1,North\n"
    publisher.misbehave = ["fail", "half", "fail"]
    assert place.pull()["rows"] == 1
    assert [status for _, status in publisher.requests].count(503) == 2


@pytest.mark.parametrize(
    ("misbehaviour", "message"),
    [("fail", "503"), ("hang", "stations.csv"), ("half", "stations.csv")],
)
def test_failures_that_stay_are_told_and_leave_nothing(publisher: Publisher, place: Place, misbehaviour, message):
    publisher.text = "id,name\n1,North\n2,South\n"
    publisher.misbehave = [misbehaviour] * 10
    blocks = place.blocks()
    failed = place.command("pull", "stations", "--retries", "1", "--idle-timeout", "1s")
    assert failed.returncode == 1
    assert message in failed.stdout + failed.stderr
    assert len(publisher.requests) == 2
    assert place.blocks() == blocks
    publisher.misbehave = []
    assert place.pull()["rows"] == 2


def test_a_bad_row_is_told_with_its_place(publisher: Publisher, place: Place):
    publisher.text = "id,name\n1,North\nsecond,South\n"
    blocks = place.blocks()
    failed = place.command("pull", "stations")
    told = failed.stdout + failed.stderr
    assert failed.returncode == 1
    assert "stations.csv" in told and "line: 3" in told and "column: id" in told and "second" in told
    assert place.blocks() == blocks


def test_sources_see_the_variables_that_they_are_given(publisher: Publisher, place: Place):
    publisher.text = "id,name\n1,North\n"
    place.pull("--env", "STATIONS_KEY=s3cret value")
    assert publisher.requests == [("/stations.csv?key=s3cret%20value", 200)]
    publisher.misbehave = ["fail"] * 2
    failed = place.command("pull", "stations", "--retries", "1", "--env", "STATIONS_KEY=s3cret")
    assert failed.returncode == 1 and "s3cret" not in failed.stdout + failed.stderr
    # Without being given, it is not there, whatever the environment has.
    done = run("pull", "stations", "--repository", place.repository, environment={"STATIONS_KEY": "s3cret"})
    assert done.returncode == 0, done.stderr
    assert publisher.requests[-1][0] == "/stations.csv?key=none"
