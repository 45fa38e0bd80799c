"""The words of a tool for what a study says: one table, from which both directions are derived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.capabilities import MethodName
from cloudtune.study.schema import StoppingRule, Strategy, StrategyName

StrategyWords = Mapping[str, Mapping[str, str]]
"""By word of the tool, the name and the method of a study's strategy."""


@dataclass(frozen=True)
class Words:
    """The words of a tool."""

    strategies: StrategyWords
    """The words for a strategy that a study can name; of equal ones, the first is written."""
    similar: StrategyWords = field(default_factory=dict[str, Mapping[str, str]])
    """The other words, with the strategy that is most like each."""
    plain: Mapping[str, str] = field(default_factory=dict[str, str])
    """By strategy, the method that its word without a method stands for."""
    goals: Mapping[str, str] = field(default_factory=dict[str, str])
    scales: Mapping[str, str] = field(default_factory=dict[str, str])
    rules: Mapping[str, str] = field(default_factory=dict[str, str])
    selects: Mapping[str, str] = field(default_factory=dict[str, str])
    automatic: StoppingRule | None = None
    """The rule for ``auto``; None if the tool has a rule of this name."""

    @property
    def known(self) -> StrategyWords:
        """All words for strategies."""
        return {**self.strategies, **self.similar}

    @property
    def names(self) -> frozenset[StrategyName]:
        """The strategies that have a word."""
        found = frozenset(each["name"] for each in self.known.values())
        return cast("frozenset[StrategyName]", found)

    @property
    def methods(self) -> frozenset[MethodName]:
        """The methods that have a word."""
        methods = [each["method"] for each in self.known.values() if "method" in each]
        found = frozenset([*methods, *self.plain.values(), "uniform"])
        return cast("frozenset[MethodName]", found)

    def strategy(self, strategy: Strategy) -> str | None:
        """Return the word for a strategy: an exact one, else that of the most similar one."""
        method = strategy.method or self.plain.get(strategy.name)
        wanted = {"name": strategy.name, **({"method": method} if method else {})}
        plain = {"name": strategy.name}
        for table in (self.strategies, self.similar):
            for like in (wanted, plain):
                for word, each in table.items():
                    if each == like:
                        return word
            for word, each in table.items():
                if each["name"] == strategy.name:
                    return word
        return None

    def means(self, word: Any, strategy: Strategy) -> bool:
        """Return whether a word of an imported document still stands for a strategy."""
        known = self.known.get(str(word))
        if known is None or known["name"] != strategy.name:
            return False
        return strategy.method in {known.get("method"), None, self.plain.get(strategy.name)}

    def findings(self, strategy: Strategy, title: str) -> Iterator[Finding | Note]:
        """Yield what is different about the strategy for which a word stands."""
        word = self.strategy(strategy)
        if word is None:
            return
        if word in self.similar:
            yield Finding("approximated", "strategy.name", f"{title} runs {word}, which is similar")
            return
        method = self.strategies[word].get("method")
        if method is None and strategy.name == "bayesian":
            method = self.plain.get(strategy.name)
        if strategy.method is None and method is not None:
            yield Note("strategy.method", f"absent: {title} runs {word}, which is {method}")
        elif strategy.method not in {None, method, self.plain.get(strategy.name), "uniform"}:
            reason = f"{title} runs {word}, not {strategy.method}"
            yield Finding("approximated", "strategy.method", reason)


def inverse(words: Mapping[str, str], value: str) -> str:
    """Return the first word for a value of a study.

    >>> inverse({"MIN": "minimize", "MAX": "maximize"}, "maximize")
    'MAX'
    """
    return next(word for word, each in words.items() if each == value)
