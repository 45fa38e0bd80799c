"""What each check of the doctor means and what to do about it, by its id."""

from __future__ import annotations

from collections.abc import Mapping

Advice = tuple[str, str]
"""What a check means, and what to do."""

SCRIPT: Mapping[str, Advice] = {
    "plan-broken": ("cloudtune could not plan the study", "report the file with the traceback"),
    "refused": ("the provider cannot run the study", "change the field that it names"),
    "script-fails": ("the script ends with an error", "correct the line that it names"),
    "script-not-started": ("the program cannot be started", "correct `trial.script` or `command`"),
    "script-not-run": (
        "how a service runs the script cannot be checked here",
        "on SageMaker and Vertex AI, run it in its image: `providers.NAME.rehearse.images: true`; "
        "elsewhere, name a Python as in the image: `rehearse.python`",
    ),
    "emulator-missing": (
        "the provider has no emulator, or it is not installed",
        "`pip install 'cloudtune[emulators]'`",
    ),
    "option-unknown": (
        "the script has no option for a parameter",
        "rename the parameter as the option, or add the option",
    ),
    "option-missing": ("the script requires an option that it does not get", "set `trial.args`"),
    "option-type": (
        "an option has another type than its parameter, or reads `False` as a text",
        "give the option a type, or use a switch",
    ),
    "arguments-unread": (
        "no file of the source reads parameters",
        "read them by `params()` of `cloudtune.trial`, or a parser",
    ),
    "parameter-ignored": (
        "a parameter, varied alone, changes no measurement",
        "make the script use it, or remove it",
    ),
    "objective-fixed": (
        "trials with different parameters measure the same",
        "check that the script reads its parameters",
    ),
    "module-missing": (
        "a module is not installed where trials run, or not on the path of the script",
        "run the command that it prints",
    ),
    "import-unlisted": (
        "a module is neither in the requirements nor in the image",
        "add it to `trial.requirements`",
    ),
    "file-missing": (
        "a file is not where trials run",
        "put it into the source, or give it as an input (`trial.inputs`)",
    ),
    "path-of-machine": (
        "the script names a path that only this machine has",
        "give the data as an input (`trial.inputs`)",
    ),
    "variable-missing": ("the script needs a variable", "set it in `trial.env`"),
    "reads-terminal": ("the script reads from a terminal", "take the value from an argument"),
    "no-display": ("the script needs a screen", "`trial.env: {MPLBACKEND: Agg}`"),
    "metric-missing": (
        "the metric is not found in what the script prints or reports",
        "take the expression that it suggests, or `report()` it",
    ),
    "metric-not-yet": ("no metric within the time", "give it more by `--seconds`"),
    "metric-cut": (
        "an expression reads only a part of a number",
        r"capture it whole, for example by `(\S+)`",
    ),
    "metric-missed": (
        "an expression does not match some numbers",
        r"capture sign and exponent, for example by `(\S+)`",
    ),
    "metric-ambiguous": (
        "an expression matches several metrics, or two numbers of a line",
        "let it also match the name of the metric",
    ),
    "metric-counter": (
        "the value is a counter, such as the epoch",
        "name the groups: `(?P<value>...)`, `(?P<step>...)`",
    ),
    "metric-not-number": ("what an expression captures is not a number", "capture only the number"),
    "metric-not-finite": (
        "the metric is NaN or infinite; such a trial has no result",
        "narrow the bounds, or correct the script",
    ),
    "metric-constant": (
        "the metric does not change while the script trains",
        "check what the script reports",
    ),
    "metric-late": (
        "the metric comes only at the end, but early stopping or hyperband needs it earlier",
        "report it after each epoch",
    ),
    "metric-buffered": (
        "all measurements arrive at the end",
        "flush the output: `print(..., flush=True)`",
    ),
    "steps": ("the steps of a metric do not rise", "report each step once, in order"),
    "goal": ("the goal does not fit the name, as in `maximize loss`", "change `objective.goal`"),
    "stop-ignored": (
        "the script does not stop within 10 s of SIGTERM, or runs to its end",
        "save the state and exit if `should_stop()`; in a shell script, `exec` the last program",
    ),
    "checkpoint-missing": (
        "a trial that is started again starts over",
        "save the state in `checkpoint_dir()`",
    ),
    "checkpoint-elsewhere": (
        "checkpoints are saved where they are lost",
        "save them in `checkpoint_dir()`",
    ),
    "checkpoint-unread": ("a second start does not load the checkpoint", "load it if it exists"),
}
"""Checks of the study and the script."""

BUNDLE: Mapping[str, Advice] = {
    "environment": ("files of an environment are sent", "exclude them in `.cloudtuneignore`"),
    "results": ("files of earlier experiments are sent", "exclude them in `.cloudtuneignore`"),
    "data": (
        "data or models are sent with the code",
        "exclude them in `.cloudtuneignore`, and give them as an input (`trial.inputs`)",
    ),
    "size": ("more than 50 MB or 2,000 files are sent", "exclude what trials do not need"),
    "outside-link": (
        "a link leads out of the source",
        "copy the file, or give it as an input (`trial.inputs`)",
    ),
    "credentials": (
        "a file looks like a credential; a run on a service refuses it",
        "exclude it in `.cloudtuneignore`",
    ),
}
"""Checks of what is sent."""

ACCOUNT: Mapping[str, Advice] = {
    "account-unreachable": ("the service does not respond", "check the network, and try again"),
    "account-unchecked": ("nothing of the account was checked", "see why in the message"),
    "sdk-missing": ("a package of the service is not installed", "run the command that it prints"),
    "sdk-version": ("a package of the service is too old", "upgrade it"),
    "clock": ("the clock of this machine is wrong; services refuse requests", "synchronize it"),
    "credentials": ("there are no credentials, or the service refuses them", "sign in again"),
    "credentials-root": ("the credentials are those of the root user", "use a role or a user"),
    "algorithms": (
        "the cluster has no such search algorithm, or none can be listed",
        "choose another strategy",
    ),
    "apis": ("APIs of the project are not enabled", "run the command that it prints"),
    "bucket": ("the bucket does not exist, or you have no access", "create or choose another one"),
    "bucket-location": ("the bucket is in another location", "use one in the location of the job"),
    "bucket-region": ("the bucket is in another region", "use one in the region of the job"),
    "caller-rights": ("your user or role lacks rights", "allow them; `doctor --policy` lists all"),
    "role-rights": ("the role of the jobs lacks rights", "run the command that it prints"),
    "certificate": ("the cluster has a certificate of its own", "set `certificate` to its file"),
    "compute": ("the compute cluster does not exist, or is not ready", "create it, or wait"),
    "datastore": ("the datastore does not exist", "check its name"),
    "image": ("the image is not found", "run its command, which lists those that exist"),
    "job-name": ("a job has the name already", "plan the study again"),
    "nodes": (
        "the nodes cannot be asked, or have no room for a trial",
        "ask for less, or start nodes",
    ),
    "permissions": ("your account lacks permissions", "grant the role that it prints"),
    "persistent-resource": (
        "the resource does not exist, is not running, or has no such machine",
        "create it, wait, or choose another one",
    ),
    "project": ("the project does not exist, or you have no access", "check its id"),
    "quota": (
        "the quota is smaller than the run needs",
        "lower `parallel_trials`, or ask for more",
    ),
    "quota-in-use": ("other jobs use a part of the quota", "wait, or lower `parallel_trials`"),
    "quota-warm-pool": ("the quota for warm pools is too small", "ask for more"),
    "role": ("the role does not exist, or cannot be checked", "check its name"),
    "role-account": ("the role belongs to another account", "use one of this account"),
    "role-trust": ("the service may not use the role", "run the command that it prints"),
    "room": ("fewer trials fit at a time than `parallel_trials`", "lower it, or add nodes"),
    "scope": ("the space or project is not found, or not ready", "set its id"),
    "service-account": (
        "you may not use the service account",
        "ask for the role Service Account User on it",
    ),
    "slurm-folder": ("the folder cannot be written, or may not be shared", "choose a shared one"),
    "slurm-partition": ("there is no such partition, or it is down", "choose one that it lists"),
    "slurm-path": ("an input does not exist on the cluster", "correct the path"),
    "slurm-python": (
        "the Python of the trials does not answer, or the code requires another version",
        "set `python`, or load one in `setup`",
    ),
    "slurm-request": ("Slurm would refuse the job", "correct the settings or `trial.resources`"),
    "slurm-time": (
        "`trial_timeout` exceeds the limit of the partition",
        "lower it, or choose another partition",
    ),
    "task-credentials": ("you have no task credentials", "create them in the web page"),
    "token": ("the cluster refuses the token", "set the variable that it names"),
    "trainings": ("the address has no service for trainings", "check it, or the `backend`"),
    "url": ("the address does not respond as the service", "check the address"),
    "version": ("the version differs from the setting", "set the one that it names"),
    "workspace": ("the workspace is not found", "check its name, resource group and subscription"),
    "KIND-spec": (
        "there is no such hardware or software specification",
        "choose one that it lists",
    ),
}
"""Checks of the account, which the page of each service explains."""
