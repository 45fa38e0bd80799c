"""Plans a run that repeats the best trials of an earlier one with new seeds."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.confirmation.choice import taken_so_far
from cloudtune.confirmation.overfitting import is_same_measure
from cloudtune.errors import UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_results
from cloudtune.ledger.records import RunRecord
from cloudtune.planning.bundle import Bundle, read_bundle
from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.results.aggregate import best_of_jobs
from cloudtune.results.model import StudyResult, Trial, is_candidate
from cloudtune.results.selection import top_trials
from cloudtune.runs.confirmations import (
    broken_settings,
    confirmations_of,
    confirmed_run,
    describe_broken,
    known_spread,
    mark_broken,
)
from cloudtune.runs.confirmed_best import with_decisions
from cloudtune.runs.confirming_study import confirming_study
from cloudtune.runs.reference_settings import changes, with_baseline, with_model_choice
from cloudtune.search.sampling import trial_seed
from cloudtune.study.confirmation import Candidate, Confirmation
from cloudtune.study.constraints import outcome_constraints
from cloudtune.study.limits import LIMITS
from cloudtune.study.loader import apply_overrides
from cloudtune.study.own_metrics import OWN_METRICS
from cloudtune.study.search_space import AssignmentKey, assignment_key
from cloudtune.study.study import Study

_CHANGEABLE = ("confirm=", "confirm.", "trial.metrics=", "trial.metrics.")
_CLEAR_LEAD = 4.0
"""The lead of a winner, in standard deviations of a difference, that seeds do not explain."""
_MAX_SEED = 1_000_000
_MAX_SEEDS = 1_000
"""More than one confirmation uses."""


@dataclass(frozen=True)
class ConfirmOptions:
    """What to repeat, and how often."""

    top: int = 5
    seeds: int = 10
    """The largest number of seeds of a candidate."""
    fixed: bool = False
    baseline: bool = False
    ablate: bool = False
    max_cost: str | None = None
    overrides: tuple[str, ...] = ()
    """Other values of ``confirm`` or ``trial.metrics`` than in the study, as ``PATH=VALUE``."""


def plan_confirmation(
    run: str | None, options: ConfirmOptions, *, on: Sequence[str] = (), emulate: bool = False
) -> list[Plan]:
    """Return the plans of a run that confirms another, one for each provider.

    Args:
        run: The run's ID or a prefix of it; the latest by default. Of a run that is a confirmation
            itself, the run that it confirms.
        options: What to repeat.
        on: The providers; by default that of the best trial.
        emulate: Whether to use emulators; as in the run if no provider is given.

    Raises:
        UsageError: If the run has nothing to confirm, or an override changes another block.
        StudyError: If the study does not fit, such as its settings of another provider.
    """
    for override in options.overrides:
        if not override.startswith(_CHANGEABLE):
            raise UsageError(
                f"only confirm and trial.metrics can be set for a confirmation, not {override}"
            )
    with Ledger() as ledger:
        record = ledger.run(confirmed_run(run))
        read = [(job, list(trials)) for job, trials in read_results(record.id)]
        decided = (job for job, _ in with_decisions(read))
        jobs = [(job, trials) for job, (_, trials) in zip(decided, read, strict=True)]
        job, completed = _best_job(record, jobs)
        facts = next(each.plan["facts"] for each in record.jobs if each.provider == job.provider)
        source = ledger.job_folder(record.id, job.provider) / "source"
        taken = set(ledger.run_ids())
    found = confirmations_of([record.id])
    inherited, notes = _inherited_metric(job, found, options)
    job = replace(job, study=apply_overrides(job.study, [*inherited, *options.overrides]))
    name = f"{record.id}-{'ablate' if options.ablate else 'confirm'}"
    earlier = sum(each == name or each.startswith(f"{name}-") for each in taken)
    run_id = f"{name}-{earlier + 1}" if earlier else name
    while run_id in taken:  # an earlier one was removed
        earlier += 1
        run_id = f"{name}-{earlier + 1}"
    series = 2 * earlier + options.ablate  # an ablation has no seeds of what chose its winner
    earlier_taken = None if options.ablate else taken_so_far(found, job.study)
    emulate = emulate or (job.emulated and not on)
    counted = [each for each in found if emulate or not each.emulated]
    confirmation = _confirmation(
        job,
        completed,
        options,
        source,
        series,
        taken=earlier_taken,
        broken=broken_settings(counted),
    )
    confirmation = replace(confirmation, notes=(*notes, *confirmation.notes))
    confirmation = mark_broken(confirmation, counted)
    providers = list(dict.fromkeys(on)) or [job.provider]
    trials = [trial for trial in completed if is_candidate(trial)]
    data = confirming_study(
        job.study,
        trials,
        confirmation,
        providers,
        seeds=options.seeds,
        max_cost=options.max_cost,
    )
    bundles: dict[Path, Bundle] = {}
    if source.is_dir():
        data.setdefault("trial", {})["source"] = dict.fromkeys(providers, str(source))
        copy = source.resolve()
        bundle = read_bundle(copy, (), None, facts.get("unhashed", ()))
        bundles[copy] = replace(bundle, locked=facts.get("locked", ""))

    def plan_all(confirmation: Confirmation) -> list[Plan]:
        study = Study.model_validate(data)
        study.set_source(record.file, {})
        return [
            plan(
                study,
                provider,
                base=Path(record.base),
                run_id=run_id,
                seed=job.seed or 0,
                emulated=emulate,
                bundles=bundles,
                confirmation=confirmation,
            )
            for provider in providers
        ]

    plans = plan_all(confirmation)
    where = " and ".join(p.provider for p in plans if not (p.facts.price or p.facts.emulated))
    own = {"max_cost"} if options.max_cost else set[str]()
    unpriced = [n for n in data["limits"] if LIMITS[n].needs_price and n not in own]
    if not (where and unpriced):
        return plans
    notes = [
        f"The study's {name} of {data['limits'].pop(name)} does not limit this run: no price on "
        f"{where}."
        for name in unpriced
    ]
    return plan_all(replace(confirmation, notes=(*confirmation.notes, *notes)))


def why_needless(plan: Plan) -> str:
    """Return why the winner of a search needs no confirmation; empty if it does.

    That is the case if its lead is large against the noise that an earlier confirmation of the same
    code has measured. It is not if there is a metric that the search has not seen, or if another
    seed may break a constraint.
    """
    confirmation = plan.facts.confirmation
    metric = plan.study.objectives[0].metric
    if confirmation is None or metric != confirmation.search_metric or confirmation.is_ablation:
        return ""
    if outcome_constraints(plan.study):
        return ""
    known = known_spread(plan)
    values = [each.value for each in confirmation.candidates if each.role == "candidate"]
    if known is None or len(values) < 2 or values[0] is None or values[1] is None:
        return ""
    (spread, measured_by), lead = known, abs(values[0] - values[1])
    if lead <= _CLEAR_LEAD * spread:
        return ""
    return (
        f"confirming run {confirmation.run} is not needed: its winner leads by {lead:.4g}, and "
        f"seeds move such differences by {spread:.2g} (standard deviation, measured by run "
        f"{measured_by})"
    )


def _best_job(
    record: RunRecord, jobs: Sequence[tuple[StudyResult, list[Trial]]]
) -> tuple[StudyResult, list[Trial]]:
    """Return the job with the best trial, and its completed trials with a value.

    That is the trial to take by a confirmation, if there is one. Emulated jobs count only if all
    are emulated.
    """
    if jobs and len(jobs[0][0].study.objectives) != 1:
        raise UsageError(
            f"run {record.id} has several objectives, so no single best trial to confirm; run a "
            "study with one of them as its objective, and constraints on the others"
        )
    all_emulated = all(job.emulated for job, _ in jobs)
    eligible = [
        (job, completed)
        for job, trials in jobs
        if (all_emulated or not job.emulated)
        and (completed := [t for t in trials if t.state == "completed" and t.objective])
        and any(is_candidate(trial) for trial in completed)
    ]
    if not eligible:
        keeping = " and keeps the constraints" if jobs and jobs[0][0].study.constraints else ""
        raise UsageError(
            f"run {record.id} has no completed trial that measured the objective{keeping}"
        )
    if any(job.attached for job, _ in eligible):
        raise UsageError(
            f"run {record.id} was started elsewhere, so its script is unknown; run its best "
            "parameters in a study of your own with `strategy: list`, and confirm that run"
        )
    leading = [each for each in eligible if not each[0].is_outranked] or eligible
    best = best_of_jobs(leading)
    return next(each for each in leading if not best or each[0] is best[0][0])


def _inherited_metric(
    job: StudyResult, found: Sequence[ConfirmationResult], options: ConfirmOptions
) -> tuple[list[str], list[str]]:
    """Return the overrides with which an ablation is decided as the confirmation that it is for.

    The second list says so. Both are empty if the study says the same, or the options say another.
    """
    by = job.decision and job.decision.by
    chosen = next((each for each in found if (each.run, each.provider) == by), None)
    is_named = any(each.startswith("confirm") for each in options.overrides)
    if not options.ablate or chosen is None or chosen.is_ablation or is_named:
        return [], []
    objective, confirm = job.study.objectives[0], job.study.confirm
    metric = (confirm and confirm.metric) or objective.metric
    goal = (confirm and confirm.metric and confirm.goal) or objective.goal
    if (metric, goal) == (chosen.metric, chosen.goal):
        return [], []
    is_search = chosen.metric == chosen.search_metric
    named = ("null", "null") if is_search else (json.dumps(chosen.metric), chosen.goal)
    overrides = [
        f"confirm.{key}={text}" for key, text in zip(("metric", "goal"), named, strict=True)
    ]
    study = next(each.study for each, _ in read_results(chosen.run))
    if chosen.metric in study.trial.metrics:
        metrics = study.to_json()["trial"]["metrics"]
        expressions = {chosen.metric: metrics[chosen.metric]}
        known = job.study.to_json().get("trial", {}).get("metrics", {})
        overrides.append(f"trial.metrics={json.dumps({**known, **expressions})}")
    return overrides, [
        f"The metric is {chosen.metric} ({chosen.goal}), as in run {chosen.run}; --set "
        "confirm.metric=NAME takes another."
    ]


def _key(trial: Trial) -> AssignmentKey:
    return assignment_key(trial.parameters)


def _value(trial: Trial) -> float:
    return trial.objective[0] if trial.objective else float("nan")


def _confirmation(
    job: StudyResult,
    completed: Sequence[Trial],
    options: ConfirmOptions,
    source: Path,
    series: int,
    *,
    taken: ConfirmationResult | None,
    broken: Mapping[AssignmentKey, str],
) -> Confirmation:
    study = job.study
    trials = [trial for trial in completed if is_candidate(trial)]
    resource = max((trial.resource or 0 for trial in trials), default=0)
    full = [trial for trial in trials if (trial.resource or 0) == resource]
    every = _distinct(top_trials(job, full, len(full)))
    ranked = [trial for trial in every if _key(trial) not in broken]
    if not ranked:
        raise UsageError(
            f"each trial of run {job.run} that measured the objective breaks a constraint when it "
            "is repeated"
        )
    number = job.decision.trial if options.ablate and job.decision else None
    ranked.sort(key=lambda trial: trial.number != number)
    top = ranked[: 1 if options.ablate else options.top]
    outranked = every[: max(map(every.index, top))] if number is None else []
    skipped = [trial for trial in outranked if _key(trial) in broken]
    notes: list[str] = []
    if not options.ablate:
        unbroken = [trial for trial in completed if _key(trial) not in broken]
        top = with_model_choice(study, top, unbroken, notes)
    known = set(map(_key, top))
    if taken and taken.taken and (key := assignment_key(taken.taken.parameters)) not in known:
        same = [trial for trial in ranked if _key(trial) == key]
        what = f"{taken.taken.label} on {taken.searched_on}, which run {taken.run} takes,"
        notes.append(
            f"{what} is repeated, too." if same else f"{what} did not run on {job.provider}."
        )
        top += same
    candidates = [
        Candidate(f"trial {t.number}", dict(t.parameters), "candidate", t.number, _value(t))
        for t in top
    ]
    if options.ablate:
        candidates += changes(study, top[0].parameters, completed, source, notes)
    elif options.baseline:
        candidates = with_baseline(study, candidates, completed, source, notes, eligible=every)
    repeated = {assignment_key(each.parameters) for each in candidates}
    if left_out := {t.number: broken[_key(t)] for t in skipped if _key(t) not in repeated}:
        text = describe_broken(left_out, "repeated")
        notes.insert(0, f"{text[0].upper()}{text[1:]}.")
    if len(candidates) < 2 and not options.baseline and (options.ablate or taken or not skipped):
        hint = "; no parameter has another default" if options.ablate else "; add --baseline"
        rest = "".join(f". {note[:-1]}" for note in notes)
        raise UsageError(f"run {job.run} has only one setting to repeat{hint}{rest}")
    objective, confirm = study.objectives[0], study.confirm
    holdout = confirm.metric if confirm else None
    is_own = holdout in OWN_METRICS and holdout not in study.trial.metrics
    if holdout and not is_own and any(holdout in trial.metrics for trial in trials):
        notes.append(
            f"The trials of the search have reported {holdout}, too, so it may be no unseen data: "
            "the script is to measure it only if CLOUDTUNE_CONFIRM is 1."
        )
    expressions = study.trial.metrics
    if holdout and not is_own and expressions.get(objective.metric) and holdout not in expressions:
        notes.append(
            f"trial.metrics has no expression for {holdout}, so the script must report() it."
        )
    if holdout and confirm and not confirm.goal and not is_same_measure(objective.metric, holdout):
        better = "higher" if objective.goal == "maximize" else "lower"
        notes.append(
            f"confirm.goal is not set, so a {better} {holdout} counts as better, as for "
            f"{objective.metric}."
        )
    return Confirmation(
        run=job.run,
        provider=job.provider,
        search_metric=objective.metric,
        search_goal=objective.goal,
        goal=(confirm.goal if confirm and holdout else None) or objective.goal,
        candidates=tuple(candidates),
        seeds=_new_seeds(study, job.seed or 0, options.seeds, series),
        fixed=options.fixed,
        train_metric=confirm.train_metric if confirm else None,
        notes=tuple(notes),
        is_next_best=bool(skipped),
    )


def _new_seeds(study: Study, seed: int, count: int, series: int) -> tuple[int, ...]:
    """Return distinct seeds that neither the search nor earlier confirmations used."""
    start = series * _MAX_SEEDS
    numbers = (trial_seed(seed, index) % _MAX_SEED for index in itertools.count(start))
    seeds: dict[int, None] = {}
    while len(seeds) < count:
        if (number := next(numbers)) != study.trial_seed:
            seeds[number] = None
    return tuple(seeds)


def _distinct(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials without those that repeat the parameters of an earlier one."""
    kept: dict[AssignmentKey, Trial] = {}
    for trial in trials:
        kept.setdefault(_key(trial), trial)
    return list(kept.values())
