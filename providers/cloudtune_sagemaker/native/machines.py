"""Reads the machines of a training definition."""

from __future__ import annotations

from cloudtune.formats import Fields, compact, parse_number
from cloudtune.provider import Json, is_list, is_map

_ONE = "ResourceConfig"
_MANY = "HyperParameterTuningResourceConfig"


def read_machines(fields: Fields, settings: Json) -> None:
    """Read either form of resources; what the settings cannot hold stays."""
    for key in (_ONE, _MANY):
        if fields.peek(key) is not None and not is_map(fields.peek(key)):
            fields.mistake(key, "must be a map")
            return
    one, many = fields.peek(_ONE), fields.peek(_MANY)
    if one and many:
        fields.mistake(_MANY, f"{_ONE} and {_MANY} are both set", "keep one of them")
    elif many and many.get("InstanceConfigs"):
        _several(fields, settings)
    elif one or many:
        _single(fields, _ONE if one else _MANY, settings)


def _several(fields: Fields, settings: Json) -> None:
    original: Json = fields.peek(_MANY)
    configs: list[Json] = original["InstanceConfigs"]
    if not is_list(configs) or not all(map(is_map, configs)):
        fields.mistake(f"{_MANY}.InstanceConfigs", "must be a list of maps")
        return
    keys = ("InstanceCount", "VolumeSizeInGB")
    shapes = {tuple(parse_number(each.get(key)) for key in keys) for each in configs}
    settings["instance_type"] = [str(each.get("InstanceType")) for each in configs]
    known = {"InstanceConfigs", "AllocationStrategy", "VolumeKmsKeyId"}
    inner = {"InstanceType", "InstanceCount", "VolumeSizeInGB"}
    is_plain = (
        len(shapes) == 1
        and len(configs) > 1
        and not original.keys() - known
        and not any(each.keys() - inner for each in configs)
        and original.get("AllocationStrategy") == "Prioritized"
    )
    if not is_plain:
        fields.erase(_ONE)
        return
    fields.take(_MANY)
    count, volume = shapes.pop()
    settings |= compact(
        instance_count=count,
        volume_size=volume,
        volume_kms_key=original.get("VolumeKmsKeyId"),
    )


def _single(fields: Fields, key: str, settings: Json) -> None:
    known = {"InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId"}
    original: Json = fields.peek(key)
    if key == _MANY and original.keys() - known:
        settings |= compact(instance_type=original.get("InstanceType"))
        fields.erase(_ONE)
        return
    if key == _MANY:  # with one type, both forms mean the same
        fields.put(_ONE, fields.take(_MANY))
    resources = fields.map(_ONE)
    settings |= compact(
        instance_type=resources.text("InstanceType"),
        volume_kms_key=resources.text("VolumeKmsKeyId"),
    )
    for name, setting in (("InstanceCount", "instance_count"), ("VolumeSizeInGB", "volume_size")):
        value = resources.integer(name)
        if value is None:
            resources.erase(name) if "instance_type" in settings else None
        elif value >= 1:
            settings[setting] = value
        else:
            resources.put(name, value)
