"""Resources that the service keeps by their names, in the JSON of its API."""

from __future__ import annotations

from typing import ClassVar

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.errors import not_found
from cloudtune_vertex.emulator.state import Parent, full_name


class NamedResources:
    """The resources of one kind. Changed only under the emulator's lock."""

    KIND: ClassVar[str]
    """The name of Google's type."""
    COLLECTION: ClassVar[str]
    """The part of resource names for them."""

    def __init__(self) -> None:
        self._resources: dict[str, Json] = {}

    def get(self, name: str) -> Json:
        """Return a resource by its name, which has the project's number or its id.

        Raises:
            ServiceError: If it does not exist.
        """
        resource = self._resources.get(full_name(name))
        if resource is None:
            raise not_found(f"The {self.KIND} does not exist.")
        return resource

    def list(self, parent: Parent) -> list[Json]:
        """Return the resources of a parent, oldest first."""
        start = f"{parent.name}/"
        return [each for name, each in self._resources.items() if name.startswith(start)]

    def delete(self, name: str) -> None:
        """Remove a resource.

        Raises:
            ServiceError: If it does not exist.
        """
        del self._resources[self.get(name)["name"]]
