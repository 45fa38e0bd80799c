"""Which of several confirmations of one run decides."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.confirmation.analysis import ConfirmationResult


def decisive(found: Sequence[ConfirmationResult]) -> ConfirmationResult | None:
    """Return the confirmation that decides which trial of a job to take, None if none does.

    Those compete that measured the metric of the latest one: the one decides that repeated its
    trial with the most seeds, then the latest. Confirmations at real services are preferred to
    those at emulators, and those that have compared at least two trials to others. If none
    has a trial to take, one decides in which each trial breaks a constraint; this may be an
    ablation, of its only trial. Incomplete confirmations, other ablations, and those of a search
    that has found a better trial since do not decide.

    Args:
        found: Confirmations of one job, the oldest first.
    """
    current = [each for each in found if each.complete and each.newer is None]
    taking = [each for each in current if each.taken and not each.is_ablation]
    eligible = taking or [each for each in current if each.none_keeps]
    most = max(map(_weight, eligible), default=None)
    preferred = [each for each in eligible if _weight(each) == most]
    same = [each for each in preferred if is_decided_alike(each, preferred[-1])]
    return max(reversed(same), key=_seeds, default=None)


def _weight(result: ConfirmationResult) -> tuple[bool, bool]:
    return not result.emulated, result.compares


def _seeds(result: ConfirmationResult) -> int:
    return result.taken.seeds if result.taken else 0


def is_decided_alike(one: ConfirmationResult, other: ConfirmationResult) -> bool:
    """Return whether the same metric decides, with the same goal."""
    return (one.metric, one.goal) == (other.metric, other.goal)
