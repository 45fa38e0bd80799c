"""The resources of trials: of one start, and of all of them."""

from __future__ import annotations

from cloudtune.results.events import Started
from cloudtune.study.schema import Resources
from cloudtune.study.study import Study


def trial_resources(study: Study, started: Started) -> Resources:  # noqa: ARG001
    """Return the resources of one start of a trial."""
    return study.trial.resources


def largest_resources(study: Study) -> Resources:
    """Return the most of each resource that a trial of the study may have, for plans and rules."""
    return study.trial.resources
