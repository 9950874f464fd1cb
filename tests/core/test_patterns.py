"""What a secret looks like, and what only looks like one. The examples are made up, and put together here."""

from __future__ import annotations

import pytest

from recorder.core.patterns import PATTERNS, find, masked

A20, A40 = "Ab3" * 6 + "Zz", "aB3/" * 10
SECRETS = {
    "anthropic-key": "sk-ant-" + "api03-" + "Ab3_" * 10,
    "aws-access-key": "AKIA" + "QWERTYUIOP234567",
    "aws-secret-key": 'aws_secret_access_key\\": \\"' + A40,
    "github-token": "ghp_" + "a1B2" * 9,
    "google-api-key": "AIza" + "Sy" + "a1B2_" * 6 + "abc",
    "google-access-token": "ya29." + "a0Af_" * 8,
    "slack-token": "xoxb-" + "123456789012-" + "a1B2" * 6,
    "slack-webhook": "https://hooks.slack.com/services/" + "T00000000/B00000000/" + "a1B2" * 6,
    "openai-key": "sk-proj-" + "a1B2_" * 10,
    "azure-key": "a1B2" * 13 + "JQQJ99" + "a1" * 13,
    "private-key": "-----BEGIN " + "RSA PRIVATE KEY-----\\nMIIE",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0." + "a1B2_" * 8,
    "bearer-token": "Authorization: Bearer " + "a1B2c3" * 5,
    "basic-login": 'authorization\\": \\"Basic ' + "dXNlcjpwYXNzd29yZA==",
    "url-login": "postgres://user:" + "pass-word@db.example.com/x",
}
HARMLESS = [
    "msg_01XFDUDYJgAACzvnptvVoYEL toolu_01A09q90qw90lq917835lq9 req_011CSHoEeqs5C35K2UUqR7Fy",
    "keys begin with sk-ant- and sk-; AKIA is a prefix; see AKIAIOSFODNN7EXAMPLEandmore",
    "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds" * 4 + "==",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+AIzaSyAAKIAghpAKIA" * 3,
    "the bearer of this letter; Bearer authentication_is_described_there; bearer token",
    "https://example.com:8080/a@b https://user@example.com/ mailto:a@b.c http://[::1]:80/x@y",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0 is the head of a token; a.eyJ.b",
    "-----BEGIN PUBLIC KEY----- -----BEGIN CERTIFICATE-----",
    "api_key: [redacted], authorization: Basic auth, https://[redacted]@host/, AccountKey=...",
    "sk-learn sk-estimator-with-a-very-long-name-that-goes-on ghp_short xoxb-no AIza",
]


def test_every_pattern_has_a_secret_that_it_finds() -> None:
    assert SECRETS.keys() == PATTERNS.keys()


@pytest.mark.parametrize("rule", SECRETS)
def test_a_secret_is_found_by_its_rule_and_shown_to_nobody(rule: str) -> None:
    text = f'before {SECRETS[rule]}" after'
    found = [match for match in find(text) if match.rule == rule]

    assert len(found) == 1
    secret = text[found[0].start : found[0].stop]
    shown = masked(secret, rule)
    assert f"({len(secret)} characters)" in shown
    assert not any(secret[n : n + 9] in shown for n in range(3, len(secret) - 8) if rule != "private-key")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_recordings_are_full_of_is_no_secret(text: str) -> None:
    assert list(find(text)) == []


def test_known_values_are_found_as_they_are() -> None:
    (found,) = find("it is hunter2-hunter2, really", ["hunter2-hunter2", "short"])

    assert (found.rule, masked("hunter2-hunter2", found.rule)) == ("environment", "… (15 characters)")
