"""Preflight checks: findings about the study and this machine, the same for every provider."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from cloudtune.bundle.ignore_file import IGNORE_FILE
from cloudtune.bundle.python_version import find_misfit
from cloudtune.diagnostics import Finding, Note
from cloudtune.planning.warm_start import is_results_file
from cloudtune.provider.facts import Facts, Parent, SourceFiles
from cloudtune.provider.lookup import has_code, input_address, uses_launcher
from cloudtune.provider.rehearsal import Rehearsal, find_engine
from cloudtune.provider.settings import CloudSettings, ProviderSettings
from cloudtune.provider.source_size import format_folders
from cloudtune.study.expected_trials import strategy_trials
from cloudtune.study.own_metrics import own_metric_path, own_metrics
from cloudtune.study.quantities import format_bytes, format_count, format_list
from cloudtune.study.schema import FromEnvironment, Limits, Mode
from cloudtune.study.search_space import Space
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

_SHOWN_CREDENTIALS = 5
"""Files that look like credentials and are named."""
_MAX_FLOATING = 8
"""Packages that are listed."""


def check_completeness(study: Study, limits: Limits) -> Iterator[Finding]:
    """Yield what a partial study must still define before it can run on any provider.

    Args:
        study: The study as written. What a provider cannot tune has a finding of its own.
        limits: The limits that the provider supports.
    """
    if not study.objective:
        yield Finding(
            "refused", "objective", "the study has none: add objective: {metric: …, goal: …}"
        )
    if not study.parameters and not study.initial_trials:
        yield Finding("refused", "parameters", "the study has no parameters to tune")
    bounded = (
        limits.ending()
        or STRATEGIES[study.strategy.name].ends_itself
        or any(objective.target is not None for objective in study.objectives)
    )
    if not bounded:
        reason = "nothing would end this run: give max_trials or timeout"
        yield Finding("refused", "limits", reason)


def check_engine(study: Study) -> Iterator[Finding]:
    """Yield what cloudtune's own search cannot do with the study; for driven mode."""
    strategy, warm_start = study.strategy, study.warm_start
    method = strategy.method or strategy.name
    traits = STRATEGIES[strategy.name]
    package = traits.packages.get(method)
    if package and not find_spec(package):
        reason = f"{method} needs {package}: pip install 'cloudtune[samplers]'"
        yield Finding("refused", "strategy.method", reason)
    if warm_start and not traits.can_warm_start(strategy.method, warm_start.kind):
        if warm_start.kind == "transfer":
            reason = f"a {method} keeps its own order and does not begin with earlier trials"
        else:
            reason = f"{method} does not learn from earlier trials"
        yield Finding("dropped", "warm_start", reason)


def check_warm_start(
    study: Study, provider: str, mode: Mode, parents: Sequence[Parent]
) -> Iterator[Finding]:
    """Yield the sources of a warm start from which the job cannot learn."""
    sources = study.warm_start.from_ if study.warm_start else []
    runs = [name for name in sources if ":" not in name]
    if runs and not parents and mode == "driven":
        metrics = " and ".join(objective.metric for objective in study.objectives)
        reason = f"no finished trial of {', '.join(runs)} measured {metrics} and fits the study"
        yield Finding("dropped", "warm_start.from", reason)
    for name in sources:
        service, colon, _ = name.partition(":")
        if mode == "managed" and is_results_file(name):
            reason = f"{name}: the service learns only from its own jobs; use mode: driven"
            yield Finding("dropped", "warm_start.from", reason)
        elif colon and mode == "driven":
            reason = f"{name}: a driven job learns only from runs; {_attach_hint(name)}"
            yield Finding("dropped", "warm_start.from", reason)
        elif colon and service != provider:
            reason = f"{name} is not a job of {provider}; {_attach_hint(name)}"
            yield Finding("dropped", "warm_start.from", reason)


def _attach_hint(name: str) -> str:
    return f"`cloudtune attach {name}` makes it a run; name that instead"


def check_confirm(study: Study) -> Iterator[Note]:
    """Yield which way the metric of confirmations counts, if that may be another than is meant."""
    confirm, objectives = study.confirm, study.objectives
    if confirm is None or confirm.metric is None or confirm.goal or len(objectives) != 1:
        return
    from cloudtune.confirmation.overfitting import is_same_measure

    metric, goal = objectives[0].metric, objectives[0].goal
    if not is_same_measure(metric, confirm.metric):
        better = "higher" if goal == "maximize" else "lower"
        text = f"a {better} {confirm.metric} counts as better, as for {metric}"
        other = "minimize" if goal == "maximize" else "maximize"
        yield Note("confirm.goal", f"{text}; otherwise set confirm.goal to {other}", "warning")


def check_cost_metric(
    study: Study, provider: str, settings: ProviderSettings, facts: Facts
) -> Iterator[Finding]:
    """Yield the use of the metric ``cost`` at a service whose price is unknown."""
    is_free = facts.emulated or not isinstance(settings, CloudSettings)
    if "cost" in own_metrics(study) and facts.price is None and not is_free:
        reason = f"the price of a trial is unknown: give providers.{provider}.prices.hour"
        yield Finding("refused", own_metric_path(study, "cost"), reason)


def check_lookup(study: Study, provider: str, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the settings, code, inputs and variables that the lookup did not find."""
    lookup, source = facts.lookup, study.trial.source
    missing = lookup.missing_settings
    if facts.emulated and missing:
        text = f"the emulator uses stand-ins for: {', '.join(missing)}"
        yield Note(f"providers.{provider}", text)
    elif missing:
        for name, hint in missing.items():
            yield Finding("refused", f"providers.{provider}.{name}", hint)
    if has_code(study) and source and not {"*", provider} & source.keys():
        place = "folder" if provider == "local" else "folder or an address"
        reason = (
            f"the code is located only for {', '.join(source)}: give its {place} under "
            f"trial.source.{provider}"
        )
        yield Finding("refused", "trial.source", reason)
    if facts.lock_problem:
        yield Finding("refused", "trial.requirements", facts.lock_problem)
    if provider != "local":  # which installs nothing
        yield from _check_locked(study.trial.requirements or "", facts)
    yield from _check_size(lookup.source)
    for name in lookup.source.absent:
        fields = {study.trial.script: "script", study.trial.requirements: "requirements"}
        path = f"trial.{fields.get(name, 'module')}"
        reason = f"no file {name} in the source folder: correct it or trial.source"
        yield Finding("refused", path, reason)
    for name in study.trial.inputs:
        path, upload = f"trial.inputs.{name}", lookup.inputs.uploads.get(name)
        address = lookup.inputs.addresses.get(name)
        if input_address(study, provider, name, emulated=facts.emulated) is None:
            reason = f"no address for {provider}: give one under {path}.{provider}"
            yield Finding("refused", path, reason)
        elif name in lookup.inputs.absent:
            reason = f"nothing found at {upload or address}: create or correct it"
            yield Finding("refused", path, reason)
        elif upload:
            yield Note(path, f"{upload} is uploaded to {address}")
    for name in lookup.variables.unset:
        yield Finding("refused", "trial.env", f"the variable {name} is not set in this shell")


def _check_locked(requirements: str, facts: Facts) -> Iterator[Note]:
    """Yield which packages are not always the same."""
    if facts.lock_unchecked:
        text = f"unknown whether {requirements} is of what its project requires now"
        yield Note("trial.requirements", f"{text}: {facts.lock_unchecked}; `uv lock --check` tells")
    keep = f"uv lock --script {shlex.quote(requirements)}"
    if facts.locked:
        packages = [each for each in facts.locked.splitlines() if not each.startswith("--")]
        count = format_count(len(packages), "package")
        text = f"{count} with exact versions and hashes, which uv has chosen now for this plan"
        yield Note("trial.requirements", f"{text}; to keep them for later plans: {keep}")
    elif facts.floating:
        names = ", ".join(facts.floating[:_MAX_FLOATING])
        more = ", …" if len(facts.floating) > _MAX_FLOATING else ""
        text = f"the environment floats: {names}{more} can have another version in each trial"
        cure = "write exact versions, or name a lock"
        if facts.unlocked:
            text, cure = f"{text}. {facts.unlocked}", f"lock them: {keep}"
        yield Note("trial.requirements", f"{text}; {cure}")


def check_secrets(study: Study, facts: Facts) -> Iterator[Finding]:
    """Yield the secrets that a service gets in the output of a trial; for runs on a service.

    Without cloudtune's launcher, nothing replaces them in what the trial prints.
    """
    if uses_launcher(study, facts):
        return
    reason = (
        f"{_what_runs(study)} without cloudtune's launcher, so the service keeps the value if the "
        "trial prints it: make sure that it does not"
    )
    for name, value in study.trial.env.items():
        if isinstance(value, FromEnvironment):
            yield Finding("approximated", f"trial.env.{name}", reason)


def check_maps(study: Study, facts: Facts) -> Iterator[Finding]:
    """Yield the parameters whose values are maps that nothing replaces by their parts."""
    reason = f"{_what_runs(study)} without cloudtune's launcher, which passes on the parts of a map"
    if not uses_launcher(study, facts):
        yield from (Finding("refused", f"parameters.{name}.values", reason) for name in study.maps)


def _what_runs(study: Study) -> str:
    return "the image runs" if not has_code(study) else "code that is at the service runs"


def emulator_notes(provider: str, facts: Facts) -> Iterator[Note]:
    """Yield a note if the run uses an emulator because the environment leads there."""
    if facts.emulator:
        text = (
            f"emulated: the variables of `cloudtune emulate`, or your settings, lead to the "
            f"emulator at {facts.emulator}; unset them to use the service"
        )
        yield Note(f"providers.{provider}", text, "warning")


def check_rehearsal(
    provider: str, settings: ProviderSettings, facts: Facts, *, emulates_images: bool
) -> Iterator[Finding | Note]:
    """Yield what stands in for images on an emulator that the run starts."""
    if not facts.emulated or facts.emulator or not isinstance(settings, CloudSettings):
        return
    path, rehearsal = f"providers.{provider}.rehearse", settings.rehearse
    if rehearsal.images and not emulates_images:
        reason = (
            f"the emulator of {provider} runs no images: set rehearse.python to a Python that "
            "stands in for them"
        )
        yield Finding("refused", f"{path}.images", reason)
    elif rehearsal.images and find_engine() is None:
        reason = (
            "images need Docker or Podman, and neither is on the PATH: install one, or set "
            "rehearse.python to a Python that stands in for the image"
        )
        yield Finding("refused", f"{path}.images", reason)
    elif rehearsal.images and "image" in facts.lookup.missing_settings:
        reason = f"trials run in their images, and the study names none: set {provider}'s image"
        yield Finding("refused", f"providers.{provider}.image", reason)
    elif not rehearsal.images and (reason := _python_problem(rehearsal, facts)):
        yield Finding("refused", f"{path}.python", reason)
    yield Note(path, f"trials run {rehearsal.describe()}")


def _python_problem(rehearsal: Rehearsal, facts: Facts) -> str:
    """Return why a Python cannot stand in for the image; empty if it can."""
    python = rehearsal.find_python(facts.base.absolute())
    if python is None:
        return (
            f"{rehearsal.python} is not a program: give the path of a Python, which is relative "
            "to the study's folder, or a name on the PATH"
        )
    pythons = facts.data.get("pythons", ())
    declared = [each for each in pythons if each[1].startswith("requires-python")]
    if not declared:
        return ""
    from cloudtune.provider.pythons import installed_version

    version = installed_version(python)
    misfit = find_misfit(declared, version) if version else ""
    advice = "set it to such a Python, or correct requires-python"
    return misfit and f"{python} is Python {version}, and {misfit}: {advice}"


def _check_size(files: SourceFiles) -> Iterator[Finding | Note]:
    advice = f"list files that trials do not need in {IGNORE_FILE}, move data to trial.inputs"
    if files.shortage:
        reason = f"{files.shortage}: {advice}, or set CLOUDTUNE_HOME to a folder on another disk"
        yield Finding("refused", "trial.source", reason)
    if files.largest:
        total = f"{format_count(files.count, 'file')}, {format_bytes(files.size)}"
        text = f"a large source of {total}, most in {format_folders(files.largest)}: {advice}"
        yield Note("trial.source", text, "warning")


def check_source(facts: Facts, *, leaves_machine: bool) -> Iterator[Finding | Note]:
    """Yield which links and files of the source are not sent to a service.

    On this machine, links out of the source folder remain links. Files that look like credentials
    are sent only if the ignore file lists them.
    """
    for name, target in facts.outside_links.items() if leaves_machine else ():
        reason = (
            f"the link {name} points outside the source folder, to {target}: give that as an "
            f"input (trial.inputs), or list the link in {IGNORE_FILE}"
        )
        yield Finding("refused", "trial.source", reason)
    for name, file in facts.input_credentials.items():
        reason = (
            f"{file} looks like a credential, and would be uploaded: move it out of the folder, or "
            "give the file as an input of its own"
        )
        yield Finding("refused", f"trial.inputs.{name}", reason)
    if facts.credentials:
        yield _check_credentials(facts, leaves_machine=leaves_machine)


def _check_credentials(facts: Facts, *, leaves_machine: bool) -> Finding | Note:
    first, *others = facts.credentials
    files = format_list(facts.credentials, _SHOWN_CREDENTIALS)
    look = "look like credentials" if others else "looks like a credential"
    advice = f"exclude {'them' if others else 'it'} in {IGNORE_FILE}, or, if trials need "
    advice += f"{'them, list each' if others else 'it, list it'} there with `!`, as in `!{first}`"
    if leaves_machine:
        return Finding("refused", "trial.source", f"{files} {look}, and would be sent: {advice}")
    text = f"{files} {look}; no service would accept this source: {advice}"
    return Note("trial.source", text)


def _parents_note(study: Study, parents: Sequence[Parent]) -> Note:
    """Return how many trials of earlier runs the search learns from; a warning unless all."""
    from cloudtune.search.sampling import filter_prior_trials

    space = Space.from_study(study)
    known = len(filter_prior_trials(space, len(study.objectives), parents))
    text = f"{known} of {len(parents)} earlier trials fit this space"
    if known == len(parents):
        return Note("warm_start", text)
    own, theirs = {*study.parameters}, {name for each in parents for name in each.parameters}
    reasons = [
        f"{subject} {', '.join(sorted(names))}"
        for subject, names in (("only they have", theirs - own), ("they lack", own - theirs))
        if names
    ]
    reason = "; ".join(reasons) or "the others have values that this study does not have"
    learns = "the search learns only from them" if known else "the search learns from none"
    return Note("warm_start", f"{text}; {learns}: {reason}", "warning")


def engine_notes(study: Study, facts: Facts) -> Iterator[Note]:
    """Yield notes on how cloudtune's own search chooses the trials; for driven mode."""
    limit, size = study.limits.max_trials, strategy_trials(study)
    if limit and size and limit < size:
        text = f"the first {limit} of the {study.strategy.name}'s {size} trials will run"
        yield Note("limits.max_trials", text)
    yield from (Note("warm_start.from", text, "warning") for text in facts.parent_remarks)
    if facts.parents:
        yield _parents_note(study, facts.parents)
    from cloudtune.search.bayesian_turns import describe_models

    if models := describe_models(study):
        yield Note("strategy", models)
    if study.strategy.method == "cost-aware" and study.strategy.seed is not None:
        text = "trials also depend on how long earlier ones ran, so the seed does not repeat them"
        yield Note("strategy.seed", text)
