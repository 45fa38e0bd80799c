"""Parses the text of a constraint.

The text is short, so a hostile one costs no more than any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cloudtune.study.expressions import COMPARISONS, FUNCTIONS, Expression, ExpressionError

_MAX_LENGTH, _MAX_TOKENS, _MAX_DEPTH = 500, 200, 30
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d][\w.]*)"
    r"|`(?P<quoted>[^`]+)`|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\""
    r"|(?P<symbol><=|>=|==|!=|\*\*|//|[-+*/%()<>,]))"
)
_WORDS = {"true": True, "True": True, "false": False, "False": False}


def parse(text: str) -> Expression:
    """Return the expression in a text.

    Raises:
        ExpressionError: If the text is not one.
    """
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(_MAX_LENGTH, f"has more than {_MAX_LENGTH} characters")
    return _Parser(text).parse()


@dataclass(frozen=True)
class _Token:
    kind: str
    """number, name, quoted, text, symbol or end."""
    text: str
    column: int


class _Parser:
    """A recursive descent parser with Python's precedence."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokenize(text))
        self._next = 0
        self._depth = 0
        if len(self._tokens) > _MAX_TOKENS:
            column = self._tokens[_MAX_TOKENS].column
            raise ExpressionError(column, f"has more than {_MAX_TOKENS} parts")

    def parse(self) -> Expression:
        expression = self._or()
        if self._token.kind != "end":
            raise ExpressionError(self._token.column, f"unexpected {self._token.text}")
        return expression

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> _Token | None:
        """Return the next token and go on if it is one of these operators or words."""
        token = self._token
        if token.kind not in {"symbol", "name"} or token.text not in texts:
            return None
        self._next += 1
        return token

    def _expect(self, text: str) -> None:
        if not self._take(text):
            found = self._token.text or "the end"
            raise ExpressionError(self._token.column, f"expected {text} instead of {found}")

    def _binary(self, operand: Callable[[], Expression], *texts: str) -> Expression:
        left = operand()
        while token := self._take(*texts):
            left = Expression(token.text, token.column, (left, operand()))
        return left

    def _or(self) -> Expression:
        return self._binary(self._and, "or")

    def _and(self) -> Expression:
        return self._binary(self._not, "and")

    def _not(self) -> Expression:
        if token := self._take("not"):
            return Expression("not", token.column, (self._nested(self._not),))
        return self._comparison()

    def _comparison(self) -> Expression:
        """Return a comparison; `a < b < c` is `a < b and b < c`."""
        left = self._sum()
        parts: list[Expression] = []
        while token := self._take(*COMPARISONS):
            right = self._sum()
            parts.append(Expression(token.text, token.column, (left, right)))
            left = right
        if len(parts) > 1:
            return Expression("and", parts[0].column, tuple(parts))
        return parts[0] if parts else left

    def _sum(self) -> Expression:
        return self._binary(self._product, "+", "-")

    def _product(self) -> Expression:
        return self._binary(self._factor, "*", "/", "//", "%")

    def _factor(self) -> Expression:
        token = self._take("-", "+")
        if token is None:
            return self._power()
        zero = Expression("value", token.column)
        return Expression(token.text, token.column, (zero, self._nested(self._factor)))

    def _power(self) -> Expression:
        base = self._atom()
        if token := self._take("**"):
            return Expression("**", token.column, (base, self._nested(self._factor)))
        return base

    def _nested(self, part: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError(self._token.column, f"is nested more than {_MAX_DEPTH} deep")
        expression = part()
        self._depth -= 1
        return expression

    def _atom(self) -> Expression:
        token = self._token
        if self._take("("):
            expression = self._nested(self._or)
            self._expect(")")
            return expression
        if token.kind in {"end", "symbol"} or token.text in {"and", "or", "not"}:
            found = token.text or "the end"
            raise ExpressionError(token.column, f"expected a name or a number instead of {found}")
        self._next += 1
        if token.kind == "number":
            number = int(token.text) if token.text.isdigit() else float(token.text)
            return Expression("value", token.column, value=number)
        if token.kind == "text":
            return Expression("value", token.column, value=token.text)
        if token.kind == "name" and token.text in _WORDS:
            return Expression("value", token.column, value=_WORDS[token.text])
        if token.kind == "name" and self._take("("):
            return self._call(token)
        return Expression("name", token.column, value=token.text)

    def _call(self, name: _Token) -> Expression:
        if name.text not in FUNCTIONS:
            message = f"there is no function {name.text}; use {', '.join(FUNCTIONS)}"
            raise ExpressionError(name.column, message)
        args = [self._nested(self._or)]
        while self._take(","):
            args.append(self._nested(self._or))
        self._expect(")")
        if (len(args) == 1) != (name.text == "abs"):
            needs = "one value" if name.text == "abs" else "several values"
            raise ExpressionError(name.column, f"{name.text} needs {needs}")
        return Expression(name.text, name.column, tuple(args))


def _tokenize(text: str) -> Iterator[_Token]:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            rest = text[position:].lstrip()
            column = len(text) - len(rest) + 1
            hint = "; write == to compare" if rest[0] == "=" else ""
            raise ExpressionError(column, f"unexpected {rest[0]}{hint}")
        found: Any = match.lastgroup
        kind = "text" if found in {"single", "double"} else found
        yield _Token(kind, match.group(found), match.end() - len(match.group().lstrip()) + 1)
        position = match.end()
    yield _Token("end", "", len(text) + 1)
