"""The words of a tool for what a study says: one table, from which both directions are derived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.study.schema import EarlyStopping, StoppingRule, Strategy, StrategyName

StrategyWords = Mapping[str, Mapping[str, str]]
"""By word of the tool, the name and the method of a study's strategy."""


@dataclass(frozen=True)
class Words:
    """The words of a tool."""

    strategies: StrategyWords
    """The words for a strategy that a study can name; of equal ones, the first is written."""
    similar: StrategyWords = field(default_factory=dict[str, Mapping[str, str]])
    """The other words, with the strategy that is most like each."""
    instead: Mapping[str, str] = field(default_factory=dict[str, str])
    """By strategy without a word, the word that is written for it."""
    plain: Mapping[str, str] = field(default_factory=dict[str, str])
    """By strategy, the method that its word without a method stands for."""
    by_setting: frozenset[str] = frozenset()
    """The methods that a setting next to the word names."""
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
        return frozenset([*(each["name"] for each in self.known.values()), *self.instead])

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
        return self.instead.get(strategy.name)

    def written(self, strategy: Strategy) -> Strategy:
        """Return the strategy that the word for a strategy stands for."""
        known = self.known.get(self.strategy(strategy) or "")
        if known is None or known["name"] != strategy.name or strategy.method is None:
            return strategy
        if self._is_exact(strategy, known):
            return strategy
        return strategy.model_copy(update={"method": known.get("method")})

    def means(self, word: Any, strategy: Strategy) -> bool:
        """Return whether a word of an imported document still stands for a strategy."""
        known = self.known.get(str(word))
        if known is None or known["name"] != strategy.name:
            return False
        return strategy.method is None or self._is_exact(strategy, known)

    def findings(self, strategy: Strategy, title: str) -> Iterator[Finding | Note]:
        """Yield what is different about the strategy for which a word stands."""
        word = self.strategy(strategy)
        if word is None:
            return
        if word in self.similar or strategy.name in self.instead:
            yield Finding(
                "approximated", "strategy", f"{title} runs {word} instead of {strategy.name}"
            )
            return
        method = self.strategies[word].get("method")
        if method is None and strategy.name == "bayesian":
            method = self.plain.get(strategy.name)
        if strategy.method is None and method is not None:
            yield Note("strategy.method", f"absent: {title} runs {word}, which is {method}")
        elif strategy.method is not None and not self._is_exact(strategy, self.strategies[word]):
            reason = f"{title} runs {word}, not {strategy.method}"
            yield Finding("approximated", "strategy.method", reason)

    def automatic_note(self, stopping: EarlyStopping | None, title: str) -> Note | None:
        """Return which rule ``auto`` stands for, if the tool has none of this name."""
        if stopping is None or stopping.rule != "auto" or self.automatic is None:
            return None
        return Note("early_stopping.rule", f"auto is the rule {self.automatic} of {title}")

    def _is_exact(self, strategy: Strategy, known: Mapping[str, str]) -> bool:
        exact = {known.get("method"), self.plain.get(strategy.name), *self.by_setting}
        return strategy.method in exact


def inverse(words: Mapping[str, str], value: str) -> str:
    """Return the first word for a value of a study.

    >>> inverse({"MIN": "minimize", "MAX": "maximize"}, "maximize")
    'MAX'
    """
    return next(word for word, each in words.items() if each == value)
