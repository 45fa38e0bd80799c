"""Removes from a recording all that names somebody: only words of the services stay.

The text of a field stays if the field has words of the service, such as a state, or if it is a
time. Of messages, only words stay that nothing else in the recording, the settings or this machine
has as a name. All other texts become numbered ones; equal texts stay equal. Addresses keep their
form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map

WORDS = frozenset(
    [
        *("state", "code", "status", "@type", "Code", "Type", "Strategy", "ScalingType", "goal"),
        *("scaleType", "measurementSelectionType", "acceleratorType", "strategy"),
        *("TrainingInputMode", "InstanceType", "machineType", "bootDiskType", "algorithm"),
        *("S3DataType", "S3DataDistributionType", "CompressionType", "RecordWrapperType"),
        *("TrainingJobEarlyStoppingType", "type", "Relation", "method", "level", "operation"),
        *("MetricStat", "Period", "XAxisType", "Resource", "SortBy", "SortOrder", "Operator"),
    ]
)
"""The fields with words of the services; also those whose names end in ``Status``."""
MESSAGES = frozenset(["message", "Message", "StatusMessage", "FailureReason", "text"])
USER_NAMED = frozenset(
    [
        *("HyperParameters", "StaticHyperParameters", "TunedHyperParameters", "Environment"),
        *("labels", "environment_variables", "custom"),
    ]
)
"""Maps whose keys are names."""
_SERVICE_KEYS = frozenset(
    [
        *("_tuning_objective_metric", "sagemaker_program", "sagemaker_submit_directory"),
        *("sagemaker_container_log_level", "sagemaker_job_name", "sagemaker_region"),
    ]
)
"""Keys of such maps that the services or their SDKs add."""
_WORD = re.compile(r"(?!.*\d{4})(?!.*(?=[A-Za-z]*\d)[A-Za-z0-9]{12})[A-Za-z_./0-9-]{1,80}")
"""Without long numbers and keys."""
_NUMBER = re.compile(r"-?\d{0,6}(\.\d{0,8})?([eE]-?\d{1,3}|s)?")
"""A number, or a duration in seconds."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?|")
_PART = re.compile(r"([/:])")
_KEPT_PARTS = frozenset(
    [
        *("", "v1", "v2", "ml", "v4", "projects", "locations", "operations", "cancel"),
        *("hyperparameterTuningJobs", "customJobs", "arn", "aws", "iam", "role"),
        *("training-job", "hyper-parameter-tuning-job", "s3", "gs", "https", "assets"),
        *("output", "model.tar.gz", "gcr.io", "cloud-aiplatform", "vertex-ai", "training"),
        *("us-docker.pkg.dev", "europe-docker.pkg.dev", "asia-docker.pkg.dev"),
    ]
)
_REGION = re.compile(
    r"(us|eu|ap|ca|sa|me|af|il|mx|cn|us-gov|europe|asia|australia|africa|northamerica|southamerica)"
    r"-(north|south|east|west|central|northeast|northwest|southeast|southwest)-?\d{1,2}"
)
_MAX_DIGITS = 8
"""Of an integer that stays; an account has more."""
_SECRET = re.compile(r"\S*(?:[@/:\\=]|\d{3,}|\d+(?:\.\d+){3}|[^\x00-\x7f])\S*|\"[^\"]*\"|'[^']*'")
"""In a message: quoted texts, addresses, numbers and what is not ASCII."""
_MIN_NAME = 3
_COMMON = frozenset(["amazon", "google", "ibm", "training", "tuning", "job", "jobs"])
"""Words of names that messages of the services have, too."""


class Masking:
    """The texts of one recording, and what stands for them."""

    def __init__(self, names: Iterable[str], provider: str) -> None:
        """Create it with names that messages must not have, such as the user's.

        Args:
            names: The names.
            provider: The provider, whose name stays.
        """
        self._texts: dict[str, str] = {}
        self._kept_parts = _KEPT_PARTS | {provider}
        self._common = _COMMON | {provider}
        self._names = {each.lower() for each in names if len(each) >= _MIN_NAME}

    def mask(self, recording: Any) -> Any:
        """Return a recording without names. All names are collected before a message is masked."""
        return self._messages(self._names_masked(recording, ""))

    def _names_masked(self, value: Any, field: str) -> Any:
        if is_map(value):
            users = field in USER_NAMED
            return {
                self._key(key) if users else key: self._names_masked(each, "" if users else key)
                for key, each in value.items()
            }
        if is_list(value):
            return [self._names_masked(each, field) for each in value]
        if isinstance(value, int) and len(str(abs(value))) > _MAX_DIGITS:
            return int(self._text(str(abs(value))))
        if not isinstance(value, str) or field in MESSAGES or _TIME.fullmatch(value):
            return value
        if _NUMBER.fullmatch(value):
            return value
        if (field in WORDS or field.endswith("Status")) and _WORD.fullmatch(value):
            return value
        return "".join(self._part(part) for part in _PART.split(value))

    def _key(self, key: str) -> str:
        return key if key in _SERVICE_KEYS else self._text(key)

    def _part(self, part: str) -> str:
        if part in self._kept_parts or part in "/:" or _REGION.fullmatch(part):
            return part
        return self._text(part)

    def _text(self, text: str) -> str:
        if text not in self._texts:
            number = len(self._texts) + 1
            self._texts[text] = str(10**11 + number) if text.isdecimal() else f"text{number}"
            words = set(re.split(r"\W+", text.lower())) - self._common
            self._names.update(each for each in words if len(each) >= _MIN_NAME)
        return self._texts[text]

    def _messages(self, value: Any, field: str = "") -> Any:
        if is_map(value):
            return {key: self._messages(each, key) for key, each in value.items()}
        if is_list(value):
            return [self._messages(each, field) for each in value]
        if field not in MESSAGES or not isinstance(value, str):
            return value
        shown = _SECRET.sub("#", value.partition("\n")[0][:500])
        return re.sub(r"\w+", lambda m: "#" if m[0].lower() in self._names else m[0], shown)
