"""Model definitions and files, as IBM's clients store, find and read them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cloudtune_watson.emulator.conftest import Cluster

KIND = "wml_model_definition"
ATTACHED = {"asset_type": KIND, "name": "model_definition_attachment"}


def store(cluster: Cluster, name: str, *tags: str) -> str:
    metadata = {"name": name, "asset_type": KIND, "tags": list(tags)}
    status, asset = cluster.ask("POST", "/v2/assets", json={"metadata": metadata, "entity": {}})
    assert status == 201, asset
    found: str = asset["metadata"]["asset_id"]
    return found


def shown(cluster: Cluster, address: str, method: str = "GET") -> str | None:
    """Return the key that a request without credentials shows."""
    return cluster.watson.key_of(EnvironBuilder(address, method=method).get_environ())


def test_content_is_put_and_got_without_credentials(cluster: Cluster) -> None:
    path = f"/v2/assets/{store(cluster, 'mine')}/attachments"
    status, attachment = cluster.ask("POST", path, json=ATTACHED)
    assert status == 201
    address, own = attachment["url1"], f"{path}/{attachment['attachment_id']}"
    assert shown(cluster, address, "PUT") == cluster.key
    assert cluster.ask("POST", f"{own}/complete")[0] == 400
    form = {"file": (io.BytesIO(b"content"), "/some/where/code.zip")}
    assert cluster.client.put(address, data=form).status_code == 201
    status, body = cluster.ask("POST", f"{own}/complete")
    assert (status, body["transfer_complete"]) == (200, True)
    status, body = cluster.ask("GET", own)
    assert status == 200
    assert shown(cluster, body["url"]) == cluster.key
    assert cluster.client.get(body["url"]).get_data() == b"content"


@pytest.mark.parametrize(
    ("old", "new"),
    [("signature=", "signature=x"), ("space-1", "space-2"), (KIND, "other"), ("signature", "s")],
)
def test_a_signature_is_good_for_its_file_alone(cluster: Cluster, old: str, new: str) -> None:
    path = f"/v2/assets/{store(cluster, 'mine')}/attachments"
    address: str = cluster.ask("POST", path, json=ATTACHED)[1]["url1"]
    assert shown(cluster, address.replace(old, new, 1)) is None


def test_definitions_are_found(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    first = store(cluster, "first", "cloudtune", "run:1")
    second = store(cluster, "second", "cloudtune")

    def found(query: str, **more: Any) -> list[str]:
        path = f"/v2/asset_types/{KIND}/search"
        status, body = cluster.ask("POST", path, json={"query": query, **more})
        assert status == 200, body
        assert all("entity" in row or "include" not in more for row in body["results"])
        return [row["metadata"]["asset_id"] for row in body["results"]]

    assert found("*:*") == [second, first]
    assert found("*:*", include="entity") == [second, first]
    assert found("asset.name:first") == [first]
    assert found('asset.tags:cloudtune AND asset.tags:"run:1"') == [first]
    assert found("asset.tags:nobody") == []
    path = f"/v2/asset_types/{KIND}/search"
    status, page = cluster.ask("POST", path, json={"query": "*:*", "limit": 1})
    assert (status, page["total_rows"]) == (200, 2)
    status, page = cluster.ask("POST", path, json=page["next"])
    assert [row["metadata"]["asset_id"] for row in page["results"]] == [first]
    assert "next" not in page
    assert cluster.ask("POST", path, json={"query": "asset.size:>3"})[0] == 501
    assert cluster.ask("POST", path, json={"query": "*:*", "limit": 0})[0] == 400
    assert cluster.ask("DELETE", f"/v2/assets/{first}")[0] == 204
    assert cluster.ask("GET", f"/v2/assets/{first}")[0] == 404
    assert cluster.ask("GET", f"/v2/assets/{second}", {"space_id": "other"})[0] == 404


def test_other_assets_are_not_here(cluster: Cluster) -> None:
    metadata = {"name": "x", "asset_type": "notebook"}
    assert cluster.ask("POST", "/v2/assets", json={"metadata": metadata})[0] == 501
    assert cluster.ask("POST", "/v2/asset_types/notebook/search", json={"query": "x"})[0] == 501
    metadata = {"name": " ", "asset_type": KIND}
    assert cluster.ask("POST", "/v2/assets", json={"metadata": metadata})[0] == 400


def test_files_are_listed_read_and_deleted(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    files = "/v2/asset_files"
    assert cluster.ask("GET", f"{files}/") == (200, {"resources": []})
    assert cluster.ask("PUT", f"{files}/a%2Fb.txt", data=b"one")[0] == 201
    assert cluster.ask("PUT", f"{files}/a/c/d.txt", data=b"four")[0] == 201
    flat = {"space_id": "space-1", "flat": "true"}
    assert cluster.ask("GET", f"{files}/", flat)[1]["resources"] == [
        {"path": "a/b.txt", "type": "file", "size": 3},
        {"path": "a/c/d.txt", "type": "file", "size": 4},
    ]
    assert cluster.ask("GET", f"{files}/a")[1]["resources"] == [
        {"path": "a/b.txt", "type": "file", "size": 3},
        {"path": "a/c", "type": "folder"},
    ]
    assert cluster.ask("GET", f"{files}/", {"project_id": "space-1"})[1] == {"resources": []}
    assert cluster.ask("GET", f"{files}/a/b.txt") == (200, b"one")
    head = cluster.client.head(f"{files}/a/b.txt?space_id=space-1")
    assert head.headers["X-Asset-Files-Type"] == "file"
    assert head.headers["X-Asset-Files-Size"] == "3"
    assert cluster.client.head(f"{files}/a/x?space_id=space-1").status_code == 404
    assert cluster.ask("PUT", f"{files}/a/b.txt/under", data=b"")[0] == 400
    assert cluster.ask("PUT", f"{files}/a", data=b"")[0] == 400
    assert cluster.ask("DELETE", f"{files}/a/b.txt")[0] == 204
    assert cluster.ask("GET", f"{files}/a/b.txt")[0] == 404
    assert cluster.ask("DELETE", f"{files}/a")[0] == 204
    assert cluster.ask("DELETE", f"{files}/")[0] == 404


def test_no_path_leads_out_of_a_space(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    assets = cluster.folder / "volume" / "spaces" / "space-1" / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    (assets / "link").symlink_to(tmp_path)
    for path in ("../x", "a/%2e%2e/%2e%2e/x", "link/secret", "x" * 300, "%00"):
        assert cluster.ask("GET", f"/v2/asset_files/{path}")[0] in (400, 404), path
        assert cluster.ask("PUT", f"/v2/asset_files/{path}", data=b"x")[0] == 400, path
    (assets / "link").unlink()


def test_links_of_scripts_break_nothing(cluster: Cluster) -> None:
    assets = cluster.folder / "volume" / "projects" / "linked" / "assets"
    assets.mkdir(parents=True)
    (assets / "circle").symlink_to("circle")
    (assets / "nowhere").symlink_to("gone")
    (assets / "folder").symlink_to(assets)
    for query in ({"project_id": "linked"}, {"project_id": "linked", "flat": "true"}):
        assert cluster.ask("GET", "/v2/asset_files/", query)[0] == 200
    for path in ("circle", "circle/x", "nowhere", "folder/folder/circle"):
        status = cluster.ask("GET", f"/v2/asset_files/{path}", {"project_id": "linked"})[0]
        assert status == 404, path
