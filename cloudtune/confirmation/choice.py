"""Which of several confirmations of one run decides."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.confirmation.analysis import ConfirmationResult


def decisive(found: Sequence[ConfirmationResult]) -> ConfirmationResult | None:
    """Return the confirmation that decides which trial of a job to take, None if none does.

    It is the one that repeated its trial with the most seeds, of those that have compared at least
    two trials if there are any; then the latest. Real services count more than emulators. A trial
    that breaks a constraint in another confirmation is not taken. Incomplete confirmations,
    ablations, and those of a search that has found a better trial since do not decide.

    Args:
        found: Confirmations of one job, the oldest first.
    """
    complete = [each for each in found if each.complete and not each.is_ablation]
    broken = {
        candidate.number
        for each in complete
        for candidate in each.candidates
        if candidate.broken and candidate.number is not None
    }

    def weight(result: ConfirmationResult) -> tuple[bool, bool, int]:
        measured = sum(c.role == "candidate" and c.seeds > 0 for c in result.candidates)
        return not result.emulated, measured > 1, result.taken.seeds if result.taken else 0

    current = [each for each in complete if each.newer is None]
    taking = [each for each in current if each.taken and each.taken.number not in broken]
    refusing = [each for each in current if each.none_keeps]
    return max(reversed(taking or refusing), key=weight, default=None)
