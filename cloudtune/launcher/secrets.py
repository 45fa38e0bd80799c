"""Secrets in the output of a script."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_SECRET_LENGTH = 4
"""Characters of the shortest secret that is masked."""
MIN_SECRET_DIGITS = 6
"""Digits of the shortest number that is masked as a secret, as long as one-time codes and PINs."""
_MIN_PART = 6
"""Bytes of the shortest part of a secret that is masked where a text was cut."""
_MIN_LINE = 16
"""Bytes of the shortest line of a secret that is masked by itself."""


class SecretFilter:
    """Replaces secrets in output, also in JSON, Python's repr, URLs, HTML, base64 and hex."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """Set the secrets.

        Values of less than `MIN_SECRET_LENGTH` characters and numbers of less than
        `MIN_SECRET_DIGITS` digits are in too much output, so they stay. Numbers of up to nine
        digits also stay where they are part of a longer number.

        Args:
            names: The name that replaces each value.
        """
        self._rest = b""
        self._names: dict[bytes, bytes] = {}
        for value, name in names.items():
            for text in (value, value.strip()):  # programs strip what they read
                min_length = MIN_SECRET_DIGITS if text.isdigit() else MIN_SECRET_LENGTH
                if len(text) >= min_length:
                    for form in _secret_forms(text):
                        self._names.setdefault(form, "${{{}}}".format(name).encode())
        if self._names:
            import re

            longest_first = sorted(self._names, key=len, reverse=True)
            self._longest = len(longest_first[0])
            self._pattern = re.compile(b"|".join(map(_secret_regex, longest_first)))
            starts = {form[:1] for form in self._names}
            self._start = re.compile(b"|".join(map(re.escape, starts)))

    def __bool__(self) -> bool:
        """Return whether there is anything to replace."""
        return bool(self._names)

    def feed(self, data: bytes) -> bytes:
        """Return the next output without secrets; a possible start of one is held back."""
        if not self._names:
            return data
        pending = self._rest + data
        end, start = self._find_incomplete(pending), 0
        parts: list[bytes] = []
        for match in self._pattern.finditer(pending):
            if match.start() >= end:
                break
            parts += [pending[start : match.start()], self._names[match.group()]]
            start = match.end()
        end = max(start, end)
        self._rest = pending[end:]
        return b"".join([*parts, pending[start:end]])

    def finish(self) -> bytes:
        """Return what was held back."""
        rest, self._rest = self._rest, b""
        return self.hide(rest)

    def hide(self, data: bytes) -> bytes:
        """Return complete output without secrets."""
        if not self._names:
            return data
        return self._pattern.sub(lambda match: self._names[match.group()], data)

    def hide_text(self, text: str) -> str:
        """Return a complete text without secrets."""
        if not self._names:
            return text
        data = text.encode("utf-8", "surrogatepass")
        return self.hide(data).decode("utf-8", "surrogatepass")

    def hide_cut_text(self, text: str) -> str:
        """Return a text without secrets, and without a part of one at its ends.

        A service cuts long texts.
        """
        if not self._names:
            return text
        data = self.hide(text.encode("utf-8", "surrogatepass"))
        for form, name in self._names.items():
            for size in range(min(len(form) - 1, len(data)), _MIN_PART - 1, -1):
                if data.endswith(form[:size]):
                    data = data[:-size] + name
                    break
            for size in range(min(len(form) - 1, len(data)), _MIN_PART - 1, -1):
                if data.startswith(form[-size:]):
                    data = name + data[size:]
                    break
        return data.decode("utf-8", "replace")

    def _find_incomplete(self, pending: bytes) -> int:
        """Return where the first incomplete secret at the end begins, or the length."""
        for match in self._start.finditer(pending, max(0, len(pending) - self._longest + 1)):
            rest = pending[match.start() :]
            if any(len(rest) < len(f) and f.startswith(rest) for f in self._names):
                return match.start()
        return len(pending)


def _secret_regex(form: bytes) -> bytes:
    import re

    is_short_number = form.isdigit() and len(form) < 10
    return b"(?<![0-9.])%b(?![0-9])" % form if is_short_number else re.escape(form)


def _secret_forms(value: str) -> set[bytes]:
    """Return a value as it is, and as it is usually encoded."""
    import base64
    import html
    from urllib.parse import quote, quote_plus

    data = value.encode("utf-8", "surrogateescape")
    text = data.decode("utf-8", "replace")
    escaped = [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]
    escaped += [json.dumps(each)[1:-1] for each in escaped]  # JSON within JSON
    escaped += [each.replace("/", "\\/") for each in escaped]
    texts = [*escaped, repr(text)[1:-1], repr(data)[2:-1]]
    for quoted in (quote(data), quote(data, safe=""), quote_plus(data)):
        texts += [quoted, _lower_escapes(quoted)]
    escaped_html = html.escape(text)
    texts += [html.escape(text, quote=False), escaped_html]
    texts += [escaped_html.replace("&#x27;", apostrophe) for apostrophe in ("&#39;", "&apos;", "'")]
    texts.append(escaped_html.replace("&quot;", "&#34;").replace("&#x27;", "&#39;"))
    texts += [data.hex(), data.hex().upper()]
    forms = {data, base64.b64encode(data), base64.urlsafe_b64encode(data)}
    forms |= {each.encode("utf-8", "surrogatepass") for each in texts}
    for offset, first in ((0, 0), (1, 2), (2, 3)):  # within a longer text, as user:password is
        last = (offset + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(b"\0" * offset + data)[first:last])
    # Each line of a key, which programs print with a prefix.
    lines = [line.strip() for line in data.splitlines()] if b"\n" in data else []
    forms |= {line for line in lines if len(line) >= _MIN_LINE}
    return {form for form in forms if len(form) >= MIN_SECRET_LENGTH}


def _lower_escapes(quoted: str) -> str:
    import re

    return re.sub("%..", lambda match: match.group().lower(), quoted)
