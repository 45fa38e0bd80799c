"""Training jobs that run for real."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

SPACE = "space-1"
VERSION = "2024-01-01"
TELL = """
    for name in ("DATA_DIR", "RESULT_DIR", "LOG_DIR", "SUBID", "TRAINING_ID"):
        print(name, os.environ.get(name, "-"))
    print("words", sys.argv[1:], sorted(os.listdir(".")), os.path.exists("config.json"))
    print("data", sorted(os.listdir(os.environ["DATA_DIR"])))
    log(1, acc=0.5); log(1, loss=2); log(2, acc=0.75)
    open(os.environ["RESULT_DIR"] + "/model.bin", "w").write("weights")
"""


def test_a_training_runs_its_script_under_ibms_contract(cluster: Cluster) -> None:
    put = cluster.ask("PUT", "/v2/asset_files/inputs/train/a.csv", data=b"1,2")
    assert put[0] == 201
    definition = cluster.definition(TELL, **{"pack/other.py": ""})
    data = {"type": "fs", "location": {"path": f"spaces/{SPACE}/assets/inputs/train"}}
    request = cluster.training(
        definition,
        training_data_references=[data],
        model_definition={"command": "train.py --lr 0.1 --note 'two words'"},
        tags=["a", "b"],
    )
    training = cluster.create(request)
    entity = cluster.ended(training)
    status = entity["status"]
    assert status["state"] == "completed"
    assert status["running_at"] <= status["completed_at"]
    assert [(each["iteration"], each["ml_metrics"]) for each in status["metrics"]] == [
        (1, {"acc": 0.5, "loss": 2.0}),
        (2, {"acc": 0.75}),
    ]
    assert status["metrics"][0]["timestamp"] == "2023-11-14T22:13:20.001Z"
    printed = cluster.log(entity)
    assert "words ['--lr', '0.1', '--note', 'two words'] ['pack', 'train.py'] False" in printed
    assert "data ['a.csv']" in printed
    assert "SUBID -" in printed
    assert f"TRAINING_ID {training}" in printed
    model = f"/v2/asset_files/results/{training}/model.bin"
    assert cluster.ask("GET", model) == (200, b"weights")
    body = cluster.get(training)["metadata"]
    assert body["tags"] == ["a", "b"]
    assert body["space_id"] == SPACE


def test_metrics_are_told_while_a_script_runs(cluster: Cluster) -> None:
    code = """
        import time
        log(1, acc=0.5)
        while not os.path.exists(os.environ["RESULT_DIR"] + "/go"): time.sleep(0.02)
    """
    training = cluster.create(cluster.training(cluster.definition(code)))
    body = cluster.until(
        lambda: cluster.get(training)["entity"], lambda body: "metrics" in body["status"]
    )
    assert body["status"]["state"] == "running"
    cluster.ask("PUT", f"/v2/asset_files/results/{training}/go", data=b"")
    assert cluster.ended(training)["status"]["state"] == "completed"


def test_a_list_alone_is_no_metric_of_the_status(cluster: Cluster) -> None:
    entity = cluster.run("listed([{'steps': 1, 'acc': 0.5}])")
    assert entity["status"]["state"] == "completed"
    assert "metrics" not in entity["status"]
    path = entity["results_reference"]["location"]["training"].partition("/assets/")[2]
    status, listed = cluster.ask("GET", f"/v2/asset_files/{path}/val_dict_list.json")
    assert (status, listed) == (200, b'[{"steps": 1, "acc": 0.5}]')


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("print('what a pity'); sys.exit(3)", "status 3.\nwhat a pity"),
        ("os.kill(os.getpid(), 9)", "status 137."),
    ],
)
def test_a_script_that_fails_fails_its_training(cluster: Cluster, code: str, why: str) -> None:
    status = cluster.run(code)["status"]
    assert status["state"] == "failed"
    assert why in status["failure"]["errors"][0]["message"]


def test_what_cannot_be_started_fails(cluster: Cluster) -> None:
    definition = cluster.definition("pass")
    missing = {"type": "fs", "location": {"path": "nowhere"}}
    for changes, why in (
        ({"training_data_references": [missing]}, "not on the volume"),
        ({"model_definition": {"command": "train.py 'x"}}, "cannot split"),
        ({"model_definition": {"command": "no-such-program"}}, "no-such-program"),
    ):
        entity = cluster.ended(cluster.create(cluster.training(definition, **changes)))
        assert entity["status"]["state"] == "failed"
        assert why in entity["status"]["failure"]["errors"][0]["message"]


def test_a_training_can_be_cancelled_once(cluster: Cluster) -> None:
    code = """
        import signal, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("ending", flush=True)))
        log(1, acc=0.5)
        time.sleep(600)
    """
    training = cluster.create(cluster.training(cluster.definition(code)))
    path = f"/ml/v4/trainings/{training}"
    cluster.until(lambda: cluster.get(training)["entity"]["status"], lambda s: "metrics" in s)
    assert cluster.ask("DELETE", path)[0] == 204
    entity = cluster.ended(training)
    assert entity["status"]["state"] == "canceled"
    assert "ending" in cluster.log(entity)
    status, body = cluster.ask("DELETE", path)
    assert status == 400
    assert "Job already completed with state canceled" in body["errors"][0]["message"]
    gone = {"version": VERSION, "space_id": SPACE, "hard_delete": "true"}
    assert cluster.ask("DELETE", path, gone)[0] == 204
    assert cluster.ask("GET", path)[0] == 404


def test_a_training_that_waits_can_be_cancelled(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(speed=0.1)
    training = cluster.create(cluster.training(cluster.definition("print('ran')")))
    assert cluster.get(training)["entity"]["status"]["state"] == "pending"
    assert cluster.watson.busy()
    assert cluster.ask("DELETE", f"/ml/v4/trainings/{training}")[0] == 204
    time.sleep(0.3)  # its end is the service's own time, which is long here


def test_trainings_are_listed_by_their_tags(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    definition = cluster.definition("pass")
    created = [
        cluster.create(cluster.training(definition, tags=["cloudtune", f"n:{number}"]))
        for number in range(5)
    ]
    other = cluster.create(cluster.training(cluster.definition("pass"), tags=["other"]))

    def listed(**query: Any) -> list[str]:
        whole = {"version": VERSION, "space_id": SPACE, **query}
        status, body = cluster.ask("GET", "/ml/v4/trainings", whole)
        assert status == 200, body
        return [each["metadata"]["id"] for each in body["resources"]]

    assert listed() == [other, *created[::-1]]
    assert listed(**{"tag.value": "cloudtune"}) == created[::-1]
    assert listed(**{"tag.value": ["cloudtune", "n:3"]}) == [created[3]]
    assert listed(**{"tag.value": "nobody"}) == []
    assert listed(training_definition_id=definition) == created[::-1]
    assert listed(space_id="other-space") == []
    for each in (*created, other):
        cluster.ended(each)
    assert len(listed(state="completed")) == 6
    assert listed(state="running") == []
    status, page = cluster.ask(
        "GET", "/ml/v4/trainings", {"version": VERSION, "space_id": SPACE, "limit": 4}
    )
    following = page["next"]["href"]
    assert [len(page["resources"]), page["limit"]] == [4, 4]
    answer = cluster.client.get(following).get_json()
    assert [each["metadata"]["id"] for each in answer["resources"]] == created[:2][::-1]
    assert "next" not in answer
    assert status == 200


def test_a_training_is_seen_in_its_own_space_alone(cluster: Cluster) -> None:
    training = cluster.create(cluster.training(cluster.definition("pass")))
    query = {"version": VERSION, "space_id": "other"}
    assert cluster.ask("GET", f"/ml/v4/trainings/{training}", query)[0] == 404
    assert cluster.ask("DELETE", f"/ml/v4/trainings/{training}", query)[0] == 404
    assert cluster.ask("GET", f"/ml/v4/trainings/{training}", {"space_id": SPACE})[0] == 400


@pytest.mark.parametrize(
    ("changes", "status", "why"),
    [
        ({"hyper_parameters_optimization": {}}, 400, "'hyper_parameters_optimization' is not"),
        ({"training_data_references": None}, 400, "'training_data_references' is required"),
        ({"results_reference": None}, 400, "'results_reference' is required"),
        ({"name": 5}, 400, "'name' must be a text"),
        ({"tags": "a"}, 400, "'tags' must be a list"),
        ({"tags": [1]}, 400, "'tags[0]' must be a text"),
        ({"project_id": "p"}, 400, "Exactly one of space_id and project_id"),
        ({"space_id": None}, 400, "Exactly one of space_id and project_id"),
        ({"space_id": "no/space"}, 404, "does not exist"),
        ({"model_definition": {"command": 1}}, 400, "'model_definition.command' must be a text"),
        ({"model_definition": {"hardware_spec": {"nodes": 0}}}, 400, "at least 1"),
        ({"model_definition": {"hardware_spec": {"size": 0}}}, 400, "'model_definition.hardware"),
        ({"model_definition": {"id": "gone"}}, 404, "'gone' is not in the space"),
        ({"experiment": {"id": "e"}}, 501, "not with experiment"),
        ({"results_reference": {"type": "fs", "location": {}}}, 400, "'location.path'"),
        ({"results_reference": {"type": "s3", "location": {}}}, 501, "type fs, not s3"),
        ({"results_reference": {"type": "fs", "location": {"path": "a/../b"}}}, 400, "not a path"),
        ({"note": "a\0b"}, 400, "a character that is not allowed"),
    ],
)
def test_what_is_no_training_is_refused(
    cluster: Cluster, changes: dict[str, Any], status: int, why: str
) -> None:
    request = cluster.training(cluster.definition("pass"), **changes)
    found, body = cluster.ask("POST", "/ml/v4/trainings", {"version": VERSION}, json=request)
    assert found == status
    assert body["status_code"] == status
    assert body["trace"]
    assert any(why in error["message"] for error in body["errors"]), body


def test_all_mistakes_are_told_at_once(cluster: Cluster) -> None:
    request = {"name": 1, "other": 2}
    status, body = cluster.ask("POST", "/ml/v4/trainings", {"version": VERSION}, json=request)
    assert status == 400
    assert {error["code"] for error in body["errors"]} == {
        "json_type_error",
        "json_validation_error",
    }
    assert len(body["errors"]) == 4


def test_a_definition_without_content_cannot_be_run(cluster: Cluster) -> None:
    metadata = {"name": "empty", "asset_type": "wml_model_definition"}
    _, asset = cluster.ask("POST", "/v2/assets", json={"metadata": metadata})
    request = cluster.training(asset["metadata"]["asset_id"])
    status, body = cluster.ask("POST", "/ml/v4/trainings", {"version": VERSION}, json=request)
    assert (status, body["errors"][0]["code"]) == (404, "invalid_request_entity")


@pytest.mark.parametrize(
    "entity", [{}, {"wml_model_definition": "train.py"}, {"x": {"command": 5}}]
)
def test_a_command_is_needed(
    start_cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch, entity: dict[str, Any]
) -> None:
    cluster = start_cluster()
    ask = cluster.ask

    def without(method: str, path: str, query: Any = (), **more: Any) -> tuple[int, Any]:
        if path == "/v2/assets":
            more["json"]["entity"] = entity
        return ask(method, path, query, **more)

    monkeypatch.setattr(cluster, "ask", without)
    request = cluster.training(cluster.definition("pass"))
    status, body = cluster.ask("POST", "/ml/v4/trainings", {"version": VERSION}, json=request)
    assert status == 400
    assert "has a command" in body["errors"][0]["message"]


def test_an_archive_that_is_none_fails_its_training(cluster: Cluster) -> None:
    definition = cluster.definition("pass")
    path = f"/v2/assets/{definition}/attachments"
    kind = {"asset_type": "wml_model_definition"}
    _, attachment = cluster.ask("POST", path, json=kind)
    form = {"file": (io.BytesIO(b"no archive"), "x.zip")}
    assert cluster.client.put(attachment["url1"], data=form).status_code == 201
    assert cluster.ask("POST", f"{path}/{attachment['attachment_id']}/complete")[0] == 200
    status = cluster.ended(cluster.create(cluster.training(definition)))["status"]
    assert status["state"] == "failed"
    assert "cannot be unpacked" in status["failure"]["errors"][0]["message"]


def test_tags_may_be_objects(cluster: Cluster) -> None:
    definition = cluster.definition("pass")
    tags = ["plain", {"value": "object", "description": "as in the older API"}]
    training = cluster.create(cluster.training(definition, tags=tags))
    for tag, count in (("plain", 1), ("object", 1), ("other", 0)):
        query = {"version": cluster.version, "space_id": cluster.space, "tag.value": tag}
        status, listed = cluster.ask("GET", "/ml/v4/trainings", query)
        assert (status, listed["total_count"]) == (200, count)
    assert cluster.get(training)["metadata"]["tags"] == tags


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ml/v4/model_definitions"),
        ("PUT", "/ml/v4/model_definitions/an-id/model"),
        ("POST", "/ml/v4/pipelines"),
        ("GET", "/ml/v1/fine_tunings"),
    ],
)
def test_other_resources_are_refused_in_the_services_form(
    cluster: Cluster, method: str, path: str
) -> None:
    status, answer = cluster.ask(method, path, json={})
    assert status == 501
    assert answer["errors"][0]["code"] == "not_implemented"
    assert f"{method} {path}" in answer["errors"][0]["message"]
    assert answer["status_code"] == 501
