"""Values that trials get from the environment stay out of what cloudtune keeps and shows."""

from __future__ import annotations

import base64
import copy
import html
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cloudtune
from cloudtune.errors import UsageError
from cloudtune.launcher.secrets import SecretFilter
from cloudtune.provider.secrets import Mask, resolve_secrets
from cloudtune.results.events import Ended, Measured
from cloudtune.study.study import Study

STUDY = Study.model_validate(
    {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "int", "min": 1, "max": 3}},
        "strategy": "random",
        "limits": {"max_trials": 1},
        "trial": {
            "script": "train.py",
            "env": {"TOKEN": {"from_env": "HF_TOKEN"}, "PIN": {"from_env": "PIN"}, "PLAIN": "1"},
        },
    }
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    monkeypatch.setenv("PIN", "123")


def test_values_are_replaced_by_their_names() -> None:
    end = Ended(1, 0.0, "failed", "bad token hf_verysecret", log_tail="hf_verysecret\nhf_very\n")
    masked = Mask(STUDY).end(end)
    assert masked.reason == "bad token ${HF_TOKEN}"
    assert masked.log_tail == "${HF_TOKEN}\nhf_very\n"


@pytest.mark.parametrize(("value", "hidden"), [("12345", False), ("123456", True), ("1" * 9, True)])
def test_numbers_are_masked_from_six_digits(value: str, hidden: bool) -> None:
    assert (SecretFilter({value: "PIN"}).hide_text(f"code {value}") == "code ${PIN}") is hidden


def test_a_number_within_a_longer_one_is_no_secret() -> None:
    text = "loss=0.1234567 at 3.123456, 123456, [123456]: 0123456"
    masked = "loss=0.1234567 at 3.123456, ${PIN}, [${PIN}]: 0123456"
    assert SecretFilter({"123456": "PIN"}).hide_text(text) == masked


def test_short_values_occur_in_every_text_and_stay() -> None:
    assert Mask(STUDY)("line 123") == "line 123"


def test_a_value_across_the_bound_leaves_no_part_of_it() -> None:
    told = Mask(STUDY)("x" * 1_490 + "hf_verysecret" + "y" * 9_000)
    assert "hf_" not in told
    assert len(told) < 1_600


def test_what_is_not_set_is_named_with_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIN")
    with pytest.raises(UsageError, match=r"PIN \(trial\.env\.PIN\)"):
        resolve_secrets({}, STUDY)


@pytest.mark.parametrize("key", ["Environment", "env"])
def test_only_variables_are_resolved(key: str) -> None:
    request: dict[str, Any] = {
        "job": {key: {"TOKEN": "${HF_TOKEN}", "OTHER": "${HF_TOKEN}", "PLAIN": "1"}},
        "pools": [
            {key: [{"name": "TOKEN", "value": "${HF_TOKEN}"}, {"name": "PIN", "valueFrom": {}}]}
        ],
        "TOKEN": "${HF_TOKEN}",
        "args": ["${HF_TOKEN}"],
        "labels": {key: "${HF_TOKEN}"},
    }
    before = copy.deepcopy(request)
    assert resolve_secrets(request, STUDY, key=key, escape=str.upper) == before | {
        "job": {key: {"TOKEN": "HF_VERYSECRET", "OTHER": "${HF_TOKEN}", "PLAIN": "1"}},
        "pools": [
            {key: [{"name": "TOKEN", "value": "HF_VERYSECRET"}, {"name": "PIN", "valueFrom": {}}]}
        ],
    }
    assert request == before


def test_an_empty_value_is_refused_where_the_service_rejects_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIN", "")
    assert resolve_secrets({"env": {"PIN": "${PIN}"}}, STUDY) == {"env": {"PIN": ""}}
    with pytest.raises(UsageError, match=r"rejects: PIN \(trial\.env\.PIN\)"):
        resolve_secrets({}, STUDY, allow_empty=False)


SECRETS = [
    "hf_verysecret",
    'quote"back\\slash/and space&more?=%',
    "a-value-of-more-than-forty-characters-0123456789-0123456789",
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END KEY-----",
    "pässwörd-ünïcode",
    'it\'s <here> & "there"',
]


def encode(secret: str) -> dict[str, str]:
    """Return a secret in the forms in which programs print it."""
    data = secret.encode()
    return {
        "plain": secret,
        "JSON": json.dumps({"token": secret}),
        "JSON in UTF-8": json.dumps([secret], ensure_ascii=False),
        "JSON in JSON": json.dumps({"body": json.dumps({"token": secret})}),
        "repr": repr({"token": secret}),
        "repr of bytes": repr(data),
        "URL": "https://example.org/?token=" + quote(secret),
        "URL, all": quote(secret, safe=""),
        "form": urlencode({"token": secret}),
        "HTML": html.escape(secret),
        "HTML, text": html.escape(secret, quote=False),
        "HTML, decimal": html.escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        "hex": data.hex(),
        "HEX": f"user:{secret}".encode().hex().upper(),
        "base64": base64.b64encode(data).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(data).decode(),
        "basic": base64.b64encode(b"user:" + data).decode(),
        "basic, 1 more": base64.b64encode(b"users:" + data + b"\n").decode(),
        "basic, 2 more": base64.b64encode(b"users1:" + data + b"..").decode(),
        "lines": "\n".join(f"INFO {line}" for line in secret.splitlines()),
    }


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", encode(""))
def test_encoded_secrets_are_masked(
    secret: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", secret)
    text = encode(secret)[form]
    masked = Mask(STUDY).hide(f"before {text} after")
    assert "${HF_TOKEN}" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    for size in range(0, len(text) - 11, 4):  # no part of it is left, but ends of base64
        part = text[size : size + 12]
        if part not in encode("".ljust(len(secret), "_"))[form] and "KEY" not in part:
            assert part not in masked


@given(st.lists(st.sampled_from(["hf_", "very", "secret", "hf_verysecret", "\n", "x"])), st.data())
def test_pieces_of_output_hide_no_secret(words: list[str], data: st.DataObject) -> None:
    output = "".join(words).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=4)))
    secrets = SecretFilter({"hf_verysecret": "A", "secrethf": "B", "hf_verysecretx": "C"})
    ends = [*cuts, len(output)]
    pieces = [output[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
    masked = b"".join(map(secrets.feed, pieces)) + secrets.finish()
    assert b"hf_verysecret" not in masked
    assert masked.count(b"x") <= output.count(b"x")
    assert masked.count(b"\n") == output.count(b"\n")
    if b"secrethf" not in output:
        assert masked == secrets.hide(output)


def test_a_value_that_a_service_cut_leaves_no_part_of_it() -> None:
    end = Ended(1, 0.0, "failed", "cannot use hf_verysec", log_tail="erysecret\nthe end")
    masked = Mask(STUDY).end(end)
    assert masked.reason == "cannot use ${HF_TOKEN}"
    assert masked.log_tail == "${HF_TOKEN}\nthe end"


def test_a_secret_in_the_name_of_a_metric_is_masked() -> None:
    event = Measured(1, 0.0, 1, {"loss of hf_verysecret": 1.0, "score": 2.0})
    assert Mask(STUDY).measure(event).metrics == {"loss of ${HF_TOKEN}": 1.0, "score": 2.0}


def test_a_secret_is_masked_without_its_blanks() -> None:
    secrets = SecretFilter({"\t very secret \n": "TOKEN", " 123 ": "SHORT"})
    assert secrets.hide_text("[very secret] 123") == "[${TOKEN}] 123"
    assert secrets.hide_text("a\t very secret \nb") == "a${TOKEN}b"


SECRET = 'hf_very"secret' + "0123456789" * 5
PRINTING_SCRIPT = """
import json, os, sys, time
from cloudtune.trial import report
token = os.environ["TOKEN"]
print("score:", 1)
print(token)
print(json.dumps({"token": token}), repr(token), flush=True)
sys.stdout.write("in two parts: " + token[:9])
sys.stdout.flush()
time.sleep(0.2)
sys.stdout.write(token[9:])
print("\\nx" * 3, "score: " + token)
"""
ENDINGS = {
    "completed": "",
    "failed": "sys.exit('no such user: ' + token)",
    "bad report": "open(json.load(open(os.environ['CLOUDTUNE_TRIAL']))['reports'], 'a')"
    ".write('x' * 60 + token + chr(10))\nreport(score=1)",
    "bad metric": "print('loss=' + json.dumps(token))",
    "bad objective": "print('score: ' + json.dumps(token))",
    "misread": "print('loss=1' + token)",
    "metric name": "report({token: 1.0})",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_script_that_prints_its_secret_leaves_it_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HF_TOKEN", SECRET)
    (tmp_path / "train.py").write_text(PRINTING_SCRIPT + ending, "utf-8")
    study = STUDY.to_json()
    study["trial"]["metrics"] = {"score": r"^score: (\S+)", "loss": r"loss=(\S+)"}
    message = ""
    try:
        results = cloudtune.run(Study.model_validate(study)).results()
    except cloudtune.RunFailedError as error:
        message, results = str(error), cloudtune.Run(error.run).results()
    assert SECRET not in message
    (trial,) = results.jobs[0].trials
    assert trial.log is not None
    log = Path(trial.log).read_text("utf-8")
    assert log.splitlines()[:2] == ["score: 1", "${HF_TOKEN}"]
    assert "in two parts: ${HF_TOKEN}" in log
    cloudtune.report(results, tmp_path / "state" / "report.md")
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file() and path.name != "reports.jsonl":  # which the script writes
            content = path.read_bytes()
            assert b"hf_very" not in content, path
            assert b"0123456789" not in content, path
