"""Removes from a recording all that could name somebody: only known words of the services stay.

``words.json``, which ``scripts/service_words.py`` writes, has them: the names of fields, the words
that fields such as a state can have, and the words of messages. Any other key and text becomes a
numbered one; equal texts stay equal. Times and numbers stay, and addresses keep their form. In a
message, a word that is not known becomes ``#``, and so does one that is a name elsewhere in the
recording, in the settings or on this machine.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map

WORDS_FILE = Path(__file__).with_name("words.json")
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
"""The fields with words of the services; see `has_words`."""
MESSAGES = frozenset(["message", "Message", "StatusMessage", "FailureReason", "text"])
_PARAMETERS = frozenset(
    ["HyperParameters", "StaticHyperParameters", "TunedHyperParameters", "ml_metrics"]
)
_PRIVATE_MAPS = frozenset(["Environment", "labels", "environment_variables", "custom"])
USER_NAMED = _PARAMETERS | _PRIVATE_MAPS
"""Maps whose keys are names."""
_PRIVATE = _PRIVATE_MAPS | {"Tags", "tags", "env"}
"""Fields with values of the user's own, in which numbers and times may be names, too.

So may the texts of parameters be.
"""
_NUMERIC = frozenset(
    [
        *("MinValue", "MaxValue", "minValue", "maxValue", "stepCount", "replicaCount"),
        *("elapsedDuration", "timeout", "maxDuration", "maxWaitDuration", "bootDiskSizeGb"),
        "status",
    ]
)
"""Fields whose texts are numbers, where more than two digits stay."""
_COUNTED = frozenset(
    ["id", "limit", "modelVersionId", "instance_count", "incompleteCount", *_PARAMETERS]
)
"""Fields whose texts may be numbers of one or two digits; in any other one they may be names."""
_SERVICE_KEYS = frozenset(
    [
        *("_tuning_objective_metric", "sagemaker_program", "sagemaker_submit_directory"),
        *("sagemaker_container_log_level", "sagemaker_job_name", "sagemaker_region"),
    ]
)
"""Keys of such maps that the services or their SDKs add."""
_MACHINES = re.compile(
    r"ml\.[a-z]{1,4}\d[a-z]{0,3}(-[a-z\d]{1,6})?\.(\d{1,3}x)?(large|medium|xlarge)"
    r"|[a-z]\d[a-z]?-(standard|highmem|highcpu|highgpu|megagpu|ultragpu|edgegpu)-\d{1,3}g?"
)
"""The types of machines, of which there are new ones each month."""
_NUMBER = re.compile(r"-?\d{0,6}(\.\d{0,8})?([eE]-?\d{1,3}|s)?", re.ASCII)
"""A number, or a duration in seconds."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_TIME_FIELD = re.compile(r"(time|.*(Time|Timestamp|_at))(After|Before)?")
"""The fields with times; in any other one, such a text may be a name."""
_DECIMAL = re.compile(r"\d{1,6}\.\d{1,20}", re.ASCII)
_PART = re.compile(r"([/:])")
_KEPT_PARTS = frozenset(
    [
        *("", "v1", "v2", "ml", "v4", "projects", "locations", "operations", "cancel"),
        *("hyperparameterTuningJobs", "customJobs", "arn", "aws", "iam", "role"),
        *("deployments", "deployment_jobs", "trainings"),
        *("training-job", "hyper-parameter-tuning-job", "s3", "gs", "https", "assets"),
        *("output", "model.tar.gz", "gcr.io", "cloud-aiplatform", "vertex-ai", "training"),
        *("us-docker.pkg.dev", "europe-docker.pkg.dev", "asia-docker.pkg.dev"),
    ]
)
_REGION = re.compile(
    r"(us|eu|ap|ca|sa|me|af|il|mx|cn|us-gov|europe|asia|australia|africa|northamerica|southamerica)"
    r"-(north|south|east|west|central|northeast|northwest|southeast|southwest)-?\d{1,2}"
)
_MIN_UNKNOWN = 100
"""The least number that is masked in a field which is not known."""
_MAX_DIGITS = 8
"""Of a number that stays; an account has more."""
HIDDEN = re.compile(
    r"\S*(?:[@/:\\=%&;,|~^$*+]\S|\d{3,}|[^\x00-\x7f])\S*|\d+(?:[^A-Za-z\d]+\d+)+"
    r"|\"[^\"]*\"|'[^']*'"
)
"""In a message: quoted texts, addresses, encoded words, numbers and what is not ASCII."""
PLAIN = re.compile(r"(?<![\w.-])[A-Za-z]+(?=[\s,.;:()]*(?:\s|$))")
"""In a message of a service: words that are no part of a name."""
_TOKEN = re.compile(r"\w+(?:[-.]\w+)*")
_BEGIN = re.compile(r"(^|[.!?])\W*$")
"""What is before the first word of a sentence."""
_SMALL = re.compile(r"-?\d{1,2}", re.ASCII)
_MAX_SHOWN = 4
"""Digits in a message; a code in pieces has more, and then none stays."""
_MIN_NAME = 3
_COMMON = frozenset(
    [
        *("amazon", "google", "ibm", "training", "tuning", "job", "jobs", "trial"),
        *("verify", "complete", "early", "stop", "fail", "timeout", "the", "role"),
    ]
)
"""Words of names, also of those that a verification gives, that messages of services have, too."""


def has_words(field: str) -> bool:
    """Return whether the values of a field are words of a service."""
    return field in WORDS or field.endswith("Status")


@cache
def known(kind: str) -> frozenset[str]:
    """Return known words: of ``fields``, ``values`` or ``messages``."""
    return frozenset(json.loads(WORDS_FILE.read_text("utf-8"))[kind].split())


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
        self._names: set[str] = set()
        for each in names:
            self._names |= self._words_of(each)

    def mask(self, recording: Any) -> Any:
        """Return a recording without names. All names are collected before a message is masked."""
        return self._messages(self._names_masked(recording, "", private=False))

    def _names_masked(self, value: Any, field: str, *, private: bool) -> Any:
        private = private or field in _PRIVATE
        if is_map(value):
            users = field in USER_NAMED
            return {
                self._key(key, users=users): self._names_masked(
                    each, field if users else key, private=private
                )
                for key, each in value.items()
            }
        if is_list(value):
            return [self._names_masked(each, field, private=private) for each in value]
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return value
        if not isinstance(value, str):
            is_large = abs(value) >= 10**_MAX_DIGITS
            is_large |= field not in known("fields") and not abs(value) < _MIN_UNKNOWN
            return self._number(value, private=private or is_large)
        if not value:
            return value
        if private or (field in _PARAMETERS and not _SMALL.fullmatch(value)):
            return self._text(value)
        if field in MESSAGES or (field in _COUNTED and _SMALL.fullmatch(value)):
            return value
        if self._is_time(field, value):
            return value
        if field in _NUMERIC and _NUMBER.fullmatch(value):
            return value
        if has_words(field) and (value in known("values") or _MACHINES.fullmatch(value)):
            return value
        address, mark, query = value.partition("?")
        parts = [self._part(part) for part in _PART.split(address)]
        return "".join([*parts, mark, self._part(query)])

    def _number(self, value: float, *, private: bool) -> float:
        if not math.isfinite(value):
            return value
        if private:
            return int(self._text(str(abs(int(value)))))
        return float(f"{value:.{_MAX_DIGITS}g}") if isinstance(value, float) else value

    @staticmethod
    def _is_time(field: str, value: str) -> bool:
        is_field = field in known("fields") and _TIME_FIELD.fullmatch(field) is not None
        return is_field and _TIME.fullmatch(value) is not None

    def _key(self, key: str, *, users: bool) -> str:
        return key if key in (_SERVICE_KEYS if users else known("fields")) else self._text(key)

    def _part(self, part: str) -> str:
        if part in self._kept_parts or part in "/:" or _REGION.fullmatch(part):
            return part
        return self._text(part)

    def _text(self, text: str) -> str:
        if text not in self._texts:
            number = len(self._texts) + 1
            self._texts[text] = str(10**11 + number) if text.isdecimal() else f"text{number}"
            if _DECIMAL.fullmatch(text):
                self._texts[text] = f"0.{10**11 + number}"
            self._names |= self._words_of(text)
        return self._texts[text]

    def _words_of(self, name: str) -> set[str]:
        """Return the words of a name that messages must not have."""
        words = {name.lower(), *re.split(r"\W+", name.lower())} - self._common
        return {each for each in words if len(each) >= _MIN_NAME}

    def _messages(self, value: Any, field: str = "") -> Any:
        if is_map(value):
            return {key: self._messages(each, key) for key, each in value.items()}
        if is_list(value):
            return [self._messages(each, field) for each in value]
        if field not in MESSAGES or not isinstance(value, str):
            return value
        shown = HIDDEN.sub("#", value.partition("\n")[0][:500])
        shown = _TOKEN.sub(self._token, shown)
        is_long = sum(each.isdigit() for each in shown) > _MAX_SHOWN
        return re.sub(r"\d+", "#", shown) if is_long else shown

    def _token(self, match: re.Match[str]) -> str:
        """Return a word of a message, or a compound of words; ``#`` if one is not known.

        A capital within a sentence shows a name, such as May.
        """
        token = match[0]
        begins = _BEGIN.search(match.string[: match.start()]) is not None
        is_name = token.istitle() and not begins and token.lower() not in self._common
        if is_name and token not in known("fields") and token not in known("values"):
            return "#"
        words = re.split(r"[-.]", token)
        return token if all(map(self._is_known, words)) else "#"

    def _is_known(self, word: str) -> bool:
        if word.lower() in self._names:
            return False
        is_word = word.lower() in known("messages") or _SMALL.fullmatch(word) is not None
        return is_word or word in known("fields") or word in known("values")
