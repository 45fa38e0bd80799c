"""Which of several confirmations of one run decides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from cloudtune.confirmation.analysis import ConfirmationResult, ConfirmedCandidate
from cloudtune.results.model import StudyResult, Trial
from cloudtune.study.search_space import AssignmentKey, assignment_key
from cloudtune.study.study import Study


def decisive(found: Sequence[ConfirmationResult]) -> ConfirmationResult | None:
    """Return the confirmation that decides which trial of a job to take, None if none does.

    Of those that compete, the one decides whose trial to take no other one has shown to be worse,
    then that with the most seeds of it, then the latest.

    Args:
        found: Confirmations of one run, the oldest first.
    """
    same = competing(found)
    unrefuted = [each for each in same if refuting(each, same) is None]
    return max(reversed(unrefuted or same), key=_seeds, default=None)


def competing(found: Sequence[ConfirmationResult]) -> list[ConfirmationResult]:
    """Return the confirmations of which one decides.

    They measured the metric of the latest one. Confirmations at real services are preferred to
    those at emulators, and those that have compared at least two trials to others. If none
    has a trial to take, those compete in which each trial breaks a constraint; this may be an
    ablation, of its only trial, and need not be complete. Other incomplete confirmations, other
    ablations, and those of a search that has found a better trial since do not compete.
    """
    current = [each for each in found if each.newer is None]
    taking = [each for each in current if each.complete and each.taken and not each.is_ablation]
    eligible = taking or [each for each in current if each.refutes_all]
    most = max(map(_weight, eligible), default=None)
    preferred = [each for each in eligible if _weight(each) == most]
    return [each for each in preferred if is_decided_alike(each, preferred[-1])]


def taken_so_far(found: Sequence[ConfirmationResult], study: Study) -> ConfirmationResult | None:
    """Return the confirmation whose trial to take the next one is to repeat, if there is one.

    It is one with the same metric if there are some, whatever the search has found since.

    Args:
        found: Confirmations of one run, the oldest first.
        study: The study with the metric of the next one.
    """
    metric = (study.confirm and study.confirm.metric) or study.objectives[0].metric
    same = [each for each in found if each.metric == metric] or found
    chosen = decisive([replace(each, newer=None) for each in same])
    return chosen if chosen and chosen.taken else None


def refuting(
    result: ConfirmationResult, others: Sequence[ConfirmationResult]
) -> ConfirmationResult | None:
    """Return another confirmation that shows the trial to take to be worse than its own.

    It does not count if this one has repeated that trial, too, with at least as many seeds.
    """
    return next((each for each in others if _refutes(each, result)), None)


def _refutes(other: ConfirmationResult, result: ConfirmationResult) -> bool:
    if other.taken is None or result.taken is None:
        return False
    setting, better = map(_key, (result.taken, other.taken))
    repeated = next((each for each in other.candidates if _key(each) == setting), None)
    if repeated is None or repeated.worse is None:
        return False
    limit = repeated.worse.mean if other.deterministic else repeated.worse.low or 0.0
    known = (each.seeds for each in result.candidates if _key(each) == better)
    return limit > 0 and other.taken.seeds > max(known, default=0)


def find_newer(
    result: ConfirmationResult,
    search: StudyResult,
    trials: Sequence[Trial],
    broken: Collection[AssignmentKey],
) -> int | None:
    """Return the best trial of a search if it is better than those that were repeated, and new.

    Args:
        result: The confirmation.
        search: The job that was searched.
        trials: Its trials.
        broken: Settings that break a constraint when they are repeated.
    """
    kept = (trial for trial in trials if assignment_key(trial.parameters) not in broken)
    best, winner = next(iter(search.best_trials(kept)), None), result.winner
    if best is None or best.objective is None or winner.value is None:
        return None
    sign = -1 if search.study.objectives[0].goal == "maximize" else 1
    repeated = [t.resource or 0 for t in trials if t.number == winner.number]
    is_new = assignment_key(best.parameters) not in map(_key, result.candidates)
    is_full = (best.resource or 0) >= max(repeated, default=0)
    is_better = sign * best.objective[0] < sign * winner.value
    return best.number if is_new and is_full and is_better else None


def _key(candidate: ConfirmedCandidate) -> AssignmentKey:
    return assignment_key(candidate.parameters)


def _weight(result: ConfirmationResult) -> tuple[bool, bool]:
    return not result.emulated, result.compares


def _seeds(result: ConfirmationResult) -> int:
    return result.taken.seeds if result.taken else 0


def is_decided_alike(one: ConfirmationResult, other: ConfirmationResult) -> bool:
    """Return whether the same metric decides, with the same goal."""
    return (one.metric, one.goal) == (other.metric, other.goal)
