"""The doctor's checks of a Ray cluster: read-only calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import account_error, account_ok, account_unknown, account_warning
from cloudtune_ray.client import RayClient
from cloudtune_ray.errors import RayError
from cloudtune_ray.rules.settings import SETTINGS
from cloudtune_ray.settings import NAME, RaySettings

_RESOURCES = {
    "entrypoint_num_cpus": "CPU",
    "entrypoint_num_gpus": "GPU",
    "entrypoint_memory": "memory",
}


def check_account(client: RayClient, plan: Plan) -> Iterator[Check]:
    """Yield whether the cluster responds, takes the token, and has a node for a trial.

    Raises, also while the checks are read:
        RayError: If the cluster cannot be reached.
    """
    if plan.facts.lookup.missing_settings and not client.emulated:
        return
    assert isinstance(plan.settings, RaySettings)
    try:
        version = client.version()
    except RayError as error:
        if error.code not in {401, 403}:
            raise
        yield account_error(
            id="token",
            path=f"{SETTINGS}.token_variable",
            message=f"the cluster refuses the token in {plan.settings.token_variable}"
            if plan.facts.data["token_is_set"]
            else f"the cluster wants a token, and {plan.settings.token_variable} is not set",
            fix="set it to the cluster's token; this prints it on the head node",
            command="ray get-auth-token",
        )
        return
    number = str(version.get("ray_version", "unknown"))
    yield account_ok(id="version", message=f"Ray {number} responds")
    try:
        nodes = client.nodes()
    except RayError as error:
        yield account_unknown(
            id="nodes",
            message=f"which nodes the cluster has is unknown: {error}",
            fix="cloudtune reads measurements by the same API; ray[default] on the head has it",
        )
        return
    yield from _check_nodes(nodes, plan)


def _check_nodes(nodes: Sequence[Json], plan: Plan) -> Iterator[Check]:
    request = plan.request
    wanted = {
        label: float(request[field]) for field, label in _RESOURCES.items() if request.get(field)
    } | {name: float(n) for name, n in request.get("entrypoint_resources", {}).items()}
    labels: dict[str, str] = request.get("entrypoint_label_selector", {})
    fitting = [_count(node, wanted) for node in nodes if _has_labels(node, labels)]
    slots = sum(fitting)
    words = ", ".join(f"{amount:g} {name}" for name, amount in wanted.items())
    total = sum(float(node.get("resources_total", {}).get("CPU", 0)) for node in nodes)
    if not slots:
        yield account_warning(
            id="nodes",
            path="trial.resources",
            message=f"none of the {len(nodes)} nodes has {words or 'room'} for a trial",
            fix="ask for less, or start nodes; jobs wait 15 minutes for an autoscaler's node",
            command="ray status",
        )
        return
    yield account_ok(
        id="nodes", message=f"{len(nodes)} nodes with {total:g} CPUs have room for {slots} trials"
    )
    parallel = plan.fitted.study.limits_for(NAME).parallel_trials or 1
    if parallel > slots:
        yield account_warning(
            id="room",
            path="limits.parallel_trials",
            message=f"the cluster has room for {slots} trials at a time, and {parallel} are wanted",
            fix="lower it: Ray fails jobs that wait longer than 15 minutes; cloudtune repeats them",
        )


def _count(node: Json, wanted: dict[str, float]) -> int:
    """Return how many trials fit on an empty node."""
    total: Json = node.get("resources_total", {})
    counts = [int(float(total.get(name, 0)) // amount) for name, amount in wanted.items()]
    return min(counts, default=1)


def _has_labels(node: Json, selectors: Mapping[str, str]) -> bool:
    own: Json = node.get("labels") or {}
    return all(_matches(own.get(name), selector) for name, selector in selectors.items())


def _matches(value: str | None, selector: str) -> bool:
    """Return whether a label has a value that a selector, such as ``!in(a, b)``, selects.

    A node without the label matches what is negated (autoscaler/v2/scheduler.py).
    """
    values = selector.removeprefix("!").removeprefix("in(").strip("()").replace(" ", "").split(",")
    return (value in values) is not selector.startswith("!")
