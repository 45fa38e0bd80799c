"""Reads an experiment or a search space of NNI as a study."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cloudtune.errors import StudyError
from cloudtune.formats.documents import parse_documents, read_text, walk
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import DocumentReader, StudyDraft, compact, report_call
from cloudtune.formats.nni.names import (
    ALGORITHM_NAMES,
    BATCH,
    BUDGETS,
    COMBINED,
    CUSTOM,
    DEFAULT_BUDGET,
    GOALS,
    HOME,
    HYPERBAND,
    MEDIAN_STOP,
    METRIC,
    RESOURCE,
    SIMILAR,
    SPELLINGS,
    TPE,
    TUNERS,
    UNITS,
    WITHOUT_GOAL,
    built_in_tuner,
)
from cloudtune.formats.nni.search_space import SpaceReader
from cloudtune.formats.values import parse_number
from cloudtune.study.quantities import format_duration
from cloudtune.study.yaml_reader import is_list, is_map

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*")
_LONGEST = 1e10


class ExperimentReader(DocumentReader):
    """Reads one document."""

    def draft(self) -> StudyDraft:
        """Return the study."""
        document = self._document
        if _is_batch(document.original):
            self._batch(document)
            self._data["strategy"] = {"name": "list"}
            document.warn("", "the trials of a Batch tuner alone: add objective and trial")
        elif all(is_map(value) and "_type" in value for value in document.original.values()):
            self._space(document)
            document.warn("", "a search space alone: add objective, strategy and limits")
        else:
            self._data["name"] = document.text(self._key("name"))
            self._data["description"] = document.text("description")
            batch = self._tuner()
            self._search_space(is_batch=batch)
            self._assessor()
            self._limits()
            self._code()
        return self._finish(HOME)

    def _key(self, name: str, fields: Fields | None = None) -> str:
        """Return the spelling of a key that the document has."""
        given = (fields or self._document).original
        return next((key for key in SPELLINGS[name] if key in given), SPELLINGS[name][0])

    def _search_space(self, *, is_batch: bool) -> None:
        document = self._document
        key, file_key = self._key("space"), self._key("space_file")
        annotation = next(
            (k for k in ("useAnnotation", "use_annotation") if document.peek(k)), None
        )
        present = next((k for k in (key, file_key) if document.peek(k) is not None), None)
        if annotation and present:
            message = f"the search space is in the code, so NNI refuses {present}"
            document.mistake(annotation, message, f"set it to false, or remove {present}")
            return
        if document.peek(key) is not None:
            if document.peek(file_key) is not None:
                document.mistake(file_key, f"{key} is set, too; an experiment has one of them")
            self._read_space(document.map(key), key, is_batch=is_batch)
        elif document.peek(file_key) is not None:
            path = document.text(file_key) or ""
            space = self._second_file(path, file_key)
            if space is not None:
                fields = Fields(space, document.report, document.at(file_key))
                self._read_space(fields, file_key, is_batch=is_batch)
                if rest := fields.rest():
                    document.put("search_space" if "_" in file_key else "searchSpace", rest)
                document.note(file_key, f"an export has the search space of {path} in one file")
        elif annotation:
            reason = f"the search space is in comments of the code; write it as {key}"
            document.refuse(annotation, reason)
        else:
            document.mistake(key, "an experiment needs a search space")

    def _second_file(self, path: str, key: str) -> Json | None:
        """Return the search space in a file next to the experiment."""
        file = self._document.report.file
        document = self._document
        hint = f"put {path} next to the experiment, or import it alone"
        if path.startswith(("/", "~")) or ":" in path[:2]:
            base = re.split(r"[/\\]", path)[-1]
            hint = f"copy it next to the experiment, and set {key} to {base}"
        try:
            second = (file.parent / path).expanduser() if file is not None else None
            if second is None or not second.is_file():
                document.mistake(key, f"the search space {path!r} is not here", hint)
                return None
            (found,) = parse_documents(read_text(second), str(second), "1.1")
        except StudyError as error:
            document.mistake(key, f"the search space cannot be read: {error.problems[0]}")
            return None
        except (OSError, ValueError, RuntimeError):
            document.mistake(key, f"the search space {path[:100]!r} is not here", hint)
            return None
        if not is_map(found.data):
            document.mistake(key, f"the search space {path} must be a map of parameters")
            return None
        data: Json = found.data
        return data

    def _read_space(self, fields: Fields, key: str, *, is_batch: bool) -> None:
        if is_batch:
            self._batch(fields)
        else:
            self._space(fields)
        if not fields.original:
            self._document.mistake(key, "an experiment needs parameters")

    def _space(self, fields: Fields) -> None:
        reader = SpaceReader(self._document.report)
        reader.read(fields)
        if self._data.get("strategy", {}).get("name") == "grid":
            for name in reader.without_values():
                reason = "NNI divides the range ever more finely; a grid of a study lists values"
                self._document.report.refuse(reader.origins[f"parameters.{name}"], reason)
        self._data["parameters"] = reader.parameters
        self._origins |= reader.origins

    def _batch(self, space: Fields) -> None:
        """Read the listed trials of the Batch tuner, whose only parameter may have any name.

        https://github.com/microsoft/nni, nni/algorithms/hpo/batch_tuner.py at 0f6605f, read
        2026-11-30.
        """
        key = next(iter(space.original), COMBINED)
        combined = space.map(key)
        trials = combined.items("_value")
        combined.take("_type")
        if not trials or not all(map(is_map, trials)) or len(space.original) > 1:
            message = (
                f"the Batch tuner needs one choice, such as {COMBINED}, between maps of values"
            )
            space.mistake(key, message)
        elif any(is_map(v) or is_list(v) or v is None for trial in trials for v in trial.values()):
            space.refuse(key, "a study has only strings, numbers and booleans as values")
        else:
            self._data["initial_trials"] = trials
            self._origins["initial_trials"] = combined.path

    def _tuner(self) -> bool:
        """Read the tuner, or the advisor, and return whether it lists its trials."""
        document = self._document
        kind = "advisor" if is_map(document.peek("advisor")) else "tuner"
        if not is_map(document.peek(kind)):
            document.mistake(kind, "an experiment needs a tuner, such as {name: TPE}")
            return False
        tuner = document.map(kind)
        name, key = self._algorithm(kind, tuner)
        if name is None:
            return False
        known = built_in_tuner(name)
        if known is None:
            reason = f"a study has no algorithm {name}; it has {', '.join(TUNERS)}"
            tuner.refuse(key, reason)
            return False
        if known in SIMILAR:
            tuner.put(key, name)
            strategy = dict(SIMILAR[known])
            tuner.approximate(key, f"elsewhere, {strategy['name']} instead of {name}")
        else:
            if kind == "advisor" or name != known:
                tuner.put(key, name)
            strategy = dict(TUNERS[known])
        arguments = tuner.map(self._key("arguments", tuner))
        if (seed := arguments.integer("seed")) is not None:
            strategy["seed"] = seed
        if strategy["name"] == "hyperband":
            strategy |= self._budget(known, arguments)
        self._data["strategy"] = strategy
        self._origins["strategy"] = tuner.path
        self._objective(known, tuner, arguments)
        for key in arguments.rest().keys() - {"optimize_mode"}:
            arguments.note(key, "kept for NNI: no other service has this argument")
        return known == BATCH

    def _algorithm(self, kind: str, fields: Fields) -> tuple[str | None, str]:
        """Return the name of a built-in algorithm, and its key; report code of its own."""
        key = next((k for k in ("name", ALGORITHM_NAMES[kind]) if k in fields.original), "name")
        name = fields.text(key)
        if name is None:
            custom = next((each for each in CUSTOM if each in fields), None)
            if custom is None:
                fields.mistake(key, f"the {kind} needs a name")
            elif kind == "assessor":
                reason = "kept for NNI: code of its own, so elsewhere no trial stops early"
                fields.approximate(custom, reason)
            else:
                fields.refuse(custom, f"the {kind} is code of its own, which a study cannot name")
        return name, key

    @staticmethod
    def _budget(name: str, arguments: Fields) -> Json:
        budget: Json = {"resource": RESOURCE}
        for key, argument in [*BUDGETS[name].items(), ("eta", "eta")]:
            if (number := arguments.integer(argument)) is not None:
                budget[key] = number
        if "max" not in budget:
            if name == HYPERBAND:
                arguments.note("R", f"absent, so NNI's default {DEFAULT_BUDGET}")
                budget["max"] = DEFAULT_BUDGET
            else:
                arguments.mistake("max_budget", "name the largest budget")
        return budget

    def _objective(self, name: str, tuner: Fields, arguments: Fields) -> None:
        document = self._document
        mode, path = arguments.word("optimize_mode"), arguments.at("optimize_mode")
        if mode is not None and name in WITHOUT_GOAL:
            arguments.put("optimize_mode", mode)
        if mode is None:
            assessor: Any = document.peek("assessor")
            inner = assessor.get(SPELLINGS["arguments"][0]) if is_map(assessor) else None
            inner = inner or (assessor.get("class_args") if is_map(assessor) else None)
            mode = inner.get("optimize_mode") if is_map(inner) else None
        if mode is None and (mode := GOALS.get(name.lower())) is not None:
            arguments.erase("optimize_mode")  # an export leaves it out, too
            text = f"absent, so {mode}, the default of {name}"
            if name == TPE and "builtinTunerName" in tuner.original:
                text += "; some documentation of NNI 1 says maximize instead"
            arguments.note("optimize_mode", text)
        if mode is None:
            text = f"absent: add the objective, with metric {METRIC}, before a run"
            arguments.warn("optimize_mode", text)
            return
        if mode not in ("minimize", "maximize"):
            document.report.mistake(path, f"must be minimize or maximize, not {mode!r}")
            return
        self._set_objectives([METRIC], [str(mode)], tuner.path)
        document.report.warn(
            tuner.path,
            "NNI reads the metric from nni.report_final_result(); nothing reads this on other "
            f"services: add {report_call(METRIC)} to the script",
        )

    def _assessor(self) -> None:
        document = self._document
        if not is_map(document.peek("assessor")):
            return
        assessor = document.map("assessor")
        name, key = self._algorithm("assessor", assessor)
        if name is None:
            return
        if name.lower() != MEDIAN_STOP.lower():
            assessor.put(key, name)
            reason = f"kept for NNI: a study has no rule {name}, so elsewhere no trial stops early"
            assessor.approximate(key, reason)
            return
        if name != MEDIAN_STOP:
            assessor.put(key, name)
        arguments = assessor.map(self._key("arguments", assessor))
        step = arguments.integer("start_step")
        stopping = {"rule": "median"} | ({} if step is None else {"min_step": step})
        self._data["early_stopping"] = stopping
        self._origins["early_stopping"] = assessor.path

    def _limits(self) -> None:
        document = self._document
        trials, parallel = self._key("trials"), self._key("parallel")
        duration, trial_duration = self._key("duration"), self._key("trial_duration")
        self._set_limits(
            compact(
                max_trials=document.integer(trials),
                parallel_trials=document.integer(parallel),
                timeout=self._duration(duration),
                trial_timeout=self._duration(trial_duration),
            ),
            max_trials=trials,
            parallel_trials=parallel,
            timeout=duration,
            trial_timeout=trial_duration,
        )

    def _duration(self, key: str) -> str | None:
        value = self._document.text(key)
        if value is None:
            return None
        match = _DURATION.fullmatch(value)
        number = parse_number(match[1]) if match else None
        seconds = number * UNITS[match[2] or "s"] if match and number is not None else 0
        if not 0 < seconds < _LONGEST:
            hint = "write 30s, 10m, 0.5h or 1d"
            self._document.mistake(key, f"must be a time with a unit, not {value[:50]!r}", hint)
            return None
        return format_duration(seconds)

    def _code(self) -> None:
        document = self._document
        trial: Any = document.peek("trial")
        trial = trial if is_map(trial) else {}
        keys = ("trialCommand", "trial_command")
        command: Any = next((document.peek(key) for key in keys if key in document), None)
        parts = (value for where, value in walk(trial) if where.endswith("command"))
        command = command or next(parts, None)
        path = next((key for key in keys if key in document), "trial")
        if not command:
            document.warn(path, "absent: name the command of a trial before NNI runs it")
            return
        folders = ("trialCodeDirectory", "trial_code_directory")
        folder: Any = next((document.peek(key) for key in folders if key in document), ".")
        document.warn(
            path,
            f"the code is in {trial.get('codeDir') or folder}, and gets its parameters from "
            "nni.get_next_parameter(); to run it elsewhere, name it with trial.source and "
            "trial.script, and use params() of cloudtune.trial",
        )


def _is_batch(space: Mapping[str, Any]) -> bool:
    """Return whether a search space lists trials: one choice between maps without names."""
    choices = [value for value in space.values() if is_map(value)]
    if len(space) != 1 or len(choices) != 1 or choices[0].get("_type") != "choice":
        return False
    options = choices[0].get("_value")
    return is_list(options) and all(is_map(each) and "_name" not in each for each in options)
