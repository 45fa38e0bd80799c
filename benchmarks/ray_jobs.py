"""What many trials cost cloudtune on Ray: its CPU time, memory and calls. Run by hand.

    python benchmarks/ray_jobs.py simulated          1,000 trials of a second, 100 at a time
    python benchmarks/ray_jobs.py real               100 trials of a second, 8 at a time
    python benchmarks/ray_jobs.py real 20 4          other numbers, also for simulated

``simulated`` is a server in a process of its own that answers as Ray's REST API does, and runs
nothing: a job waits for half a second, then runs for one. ``real`` starts a Ray head and two nodes
on this machine; CLOUDTUNE_TEST_RAY names its command line. cloudtune polls as on any cluster.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cloudtune.planning.planner import plan
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from cloudtune_ray.http import HttpClient

SCRIPT = "import time\nfrom cloudtune.trial import report\ntime.sleep(1)\nreport(loss=1.0)\n"
WAITS, RUNS = 0.5, 1.0
"""Seconds of a simulated job."""


class _Simulation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    jobs: Mapping[str, Any] = {}

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/api/jobs/":
            self._answer([self._describe(name) for name in list(self.jobs)])
        elif path.path.startswith("/api/jobs/"):
            self._answer(self._describe(path.path.rpartition("/")[2]))
        elif path.path == "/api/v0/logs/file":
            name = parse_qs(path.query)["filename"][0]
            self._answer(self._record(re.sub(r"^cloudtune-|\.jsonl$", "", name)))
        else:
            self._answer({})

    def do_POST(self) -> None:
        request = self._body()
        name = request["submission_id"]
        type(self).jobs = {**self.jobs, name: (time.time(), request)}
        self._answer({"submission_id": name})

    def _describe(self, name: str) -> dict[str, Any]:
        created, request = self.jobs[name]
        age = time.time() - created
        status = "PENDING" if age < WAITS else "RUNNING" if age < WAITS + RUNS else "SUCCEEDED"
        times = {"start_time": int(created * 1000), "end_time": None}
        if status == "SUCCEEDED":
            times["end_time"] = int((created + WAITS + RUNS) * 1000)
        return {**request, **times, "type": "SUBMISSION", "status": status, "driver_node_id": "n"}

    def _record(self, name: str) -> bytes:
        created, _ = self.jobs[name]
        rows: list[dict[str, Any]] = [{"start": created + WAITS, "host": "n"}]
        if time.time() > created + WAITS + RUNS:
            rows.append({"n": 1, "step": 1, "metrics": {"loss": 1.0}, "time": time.time()})
            rows.append({"end": 0, "time": created + WAITS + RUNS, "stopped": False})
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _serve(pipe: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Simulation)
    pipe.send(server.server_port)
    server.serve_forever()


def measure(address: str, trials: int, parallel: int) -> None:
    """Run a study on a cluster, and print what it cost cloudtune."""
    calls: Counter[str] = Counter()
    send = HttpClient.send

    def count(self: HttpClient, method: str, path: str, *rest: Any, **more: Any) -> bytes:
        calls[f"{method} {re.sub('/[^/]*[0-9a-f]{8}[^/?]*', '/ID', path.partition('?')[0])}"] += 1
        return send(self, method, path, *rest, **more)

    HttpClient.send = count  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CLOUDTUNE_HOME"] = str(folder / "state")
        (folder / "code").mkdir()
        (folder / "code" / "train.py").write_text(SCRIPT)
        study = Study.model_validate(
            {
                "objective": {"metric": "loss", "goal": "minimize"},
                "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
                "strategy": {"name": "random", "seed": 1},
                "limits": {"max_trials": trials, "parallel_trials": parallel},
                "trial": {"script": "train.py", "source": "code"},
                "providers": {"ray": {"address": address}},
            }
        )
        run = lifecycle.create([plan(study, "ray", base=folder)]).id
        wall, cpu = time.monotonic(), time.process_time()
        with redirect_stderr(StringIO()):
            lifecycle.execute(run)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        states = Counter(trial.state for trial in lifecycle.results(run)[0].trials)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = sum(calls.values())
    print(f"{trials} trials, {parallel} at a time: {dict(states)}")
    print(f"  {wall:.0f} s, {wall / trials:.2f} s a trial")
    print(f"  CPU {cpu:.1f} s, {cpu / trials * 1000:.1f} ms a trial; peak memory {memory:.0f} MB")
    print(f"  {total} calls, {total / wall * 60:.0f} a minute: {dict(calls.most_common())}")


def main() -> None:
    """Measure what the arguments name."""
    kind, *numbers = sys.argv[1:] or ["simulated"]
    if kind == "real":
        from tests.cloudtune_ray.cluster import Cluster, find_ray

        ray = find_ray()
        assert ray, "set CLOUDTUNE_TEST_RAY"
        cluster = Cluster(ray)
        try:
            cluster.add_node()
            cluster.add_node()
            os.environ.update(cluster.environment)
            measure(cluster.url, *map(int, numbers or (100, 8)))
        finally:
            cluster.close()
        return
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    measure(f"http://127.0.0.1:{ours.recv()}", *map(int, numbers or (1000, 100)))
    server.terminate()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
