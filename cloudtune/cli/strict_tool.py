"""Tools of the Model Context Protocol that refuse what is not an argument of theirs.

By default the SDK ignores unknown arguments and converts types: a misspelled ``run`` would act on
the latest run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations
from pydantic import PrivateAttr, ValidationError

from cloudtune.cli.propose import RepeatedNameError, require_unique
from cloudtune.study.messages import Mistake, collect_mistakes, describe_mistakes


class StrictTool(Tool):
    """A tool that answers all mistakes in its arguments at once, as those of a study are."""

    _answer_mistakes: Callable[[str], Any] = PrivateAttr()

    @classmethod
    def create(
        cls,
        function: Callable[..., Any],
        answer_mistakes: Callable[[str], Any],
        annotations: ToolAnnotations,
    ) -> StrictTool:
        """Return a tool that calls a function.

        Args:
            function: Its parameters are the arguments.
            answer_mistakes: Returns the answer for mistakes; each is a line of its argument.
            annotations: What the tool tells about itself.
        """
        tool = cls.from_function(function, annotations=annotations)
        assert isinstance(tool, cls)
        tool._answer_mistakes = answer_mistakes
        model = tool.fn_metadata.arg_model
        model.model_config["extra"], model.model_config["strict"] = "forbid", True
        model.model_rebuild(force=True)
        tool.parameters = model.model_json_schema()
        return tool

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> Any:
        """Call the function, or answer the mistakes."""
        known = self.fn_metadata
        try:
            self._require_unique_names(arguments)
            known.validate_arguments(arguments)
        except RepeatedNameError as error:
            answer = self._answer_mistakes(str(error))
            return known.convert_result(answer) if convert_result else answer
        except ValidationError as error:
            given = known.pre_parse_json(arguments)
            answer = self._answer_mistakes(self._describe(collect_mistakes(error, given)))
            return known.convert_result(answer) if convert_result else answer
        return await super().run(arguments, context, convert_result)

    def _require_unique_names(self, arguments: Mapping[str, Any]) -> None:
        """Check the maps that are passed as JSON in a text, which the SDK parses."""
        fields = self.fn_metadata.arg_model.model_fields
        for name, value in arguments.items():
            if isinstance(value, str) and name in fields and fields[name].annotation is not str:
                try:
                    json.loads(value, object_pairs_hook=require_unique)
                except RepeatedNameError as error:
                    raise RepeatedNameError(f"{name}: {error}") from error
                except (ValueError, RecursionError):
                    continue  # validation tells of it

    def _describe(self, mistakes: Sequence[Mistake]) -> str:
        model = self.fn_metadata.arg_model
        lines = [
            f"{mistake.path}: unknown argument"
            if mistake.is_unknown_key
            else f"{mistake.path}: {problem.message}"
            for mistake, problem in describe_mistakes(mistakes, model)
        ]
        return "\n".join([*lines, f"the arguments of {self.name}: {', '.join(model.model_fields)}"])
