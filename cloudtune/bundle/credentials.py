"""Files that look like credentials, by their names and by what is certain in their content.

The names are those that the tools write (2026-11-27): AWS's command line and console
(docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html), Google's ``gcloud``, IBM's
console (``apikey.json``), OpenSSH, GnuPG, Docker, Kubernetes, netrc(5), PostgreSQL, PyPI, Kaggle,
Hugging Face, Databricks, Streamlit, Terraform and dotenv.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from cloudtune.bundle.ignore_file import IgnorePatterns

_PATHS = (
    *(".aws/credentials", ".aws/config", ".aws/sso/*", ".aws/cli/cache/*", ".ssh/*", ".gnupg/*"),
    *(".azure/accesstokens.json", ".azure/msal_token_cache*", ".azure/service_principal*"),
    *(".config/gcloud/*", ".gcloud/*", ".bluemix/*", ".kube/*", ".docker/config.json", ".oci/*"),
    *(".kaggle/*", ".cache/huggingface/*token*", ".streamlit/secrets.toml"),
)
_PUBLIC = (".ssh/*.pub", ".ssh/known_hosts*", ".ssh/config")
_NAMES = (
    *(".env", ".env.*", ".envrc", ".netrc", "_netrc", ".git-credentials", ".pgpass", ".my.cnf"),
    *(".pypirc", ".boto", ".s3cfg", ".dockercfg", ".vault-token", ".databrickscfg", ".htpasswd"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"),
    *("*.p12", "*.pfx", "*.ppk", "*.jks", "*.keystore", "*.kdbx"),
    *("apikey.json", "kaggle.json", "credentials.json", "client_secret*.json"),
    *("application_default_credentials.json", "service[-_]account*.json"),
    *("rootkey.csv", "*accesskeys.csv", "credentials.csv", "*_credentials.csv"),
    *("secrets.toml", "secrets.yaml", "secrets.yml", "secrets.json", "*.tfstate", "*.tfvars"),
)
_TEMPLATES = (".env.example", ".env.sample", ".env.template", ".env.dist", "*.tfvars.example")
_LITERALS = {
    pattern: max(re.split(r"\*|\[.*\]", pattern), key=len)
    for pattern in (*_PATHS, *_PUBLIC, *_NAMES, *_TEMPLATES)
}
"""The longest part of each pattern without wildcards."""
_MAX_BYTES = 64 * 1024
"""Bytes of the largest file whose content is looked at; keys are smaller."""
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----\s+[A-Za-z0-9+/=:,\- ]+\s")
_KEY_FILES = (".pem", ".key", ".crt", ".cer", ".p8")
_SERVICE_ACCOUNT = re.compile(rb'"type"\s*:\s*"service_account"')


def has_credential_name(name: str) -> bool:
    """Return whether the path of a file looks like that of a credential."""
    path = f"/{name.lower()}"
    last = path[path.rindex("/") :]
    if any(_ends_with(path, each) for each in _PATHS):
        return not any(_ends_with(path, each) for each in _PUBLIC)
    named = any(_ends_with(last, each) for each in _NAMES)
    return named and not any(_ends_with(last, each) for each in _TEMPLATES)


def _ends_with(path: str, pattern: str) -> bool:
    if (literal := _LITERALS[pattern]) == pattern:
        return path.endswith(f"/{pattern}")
    return literal in path and fnmatchcase(path, f"*/{pattern}")  # which compiles the pattern


def has_credential_content(name: str, content: bytes) -> bool:
    """Return whether a file is certainly a private key or the key of a service account.

    Args:
        name: Its path.
        content: Its beginning, at least the first 65 kB.
    """
    if len(content) > _MAX_BYTES:
        return False
    if name.lower().endswith(".json"):
        return b'"private_key"' in content and bool(_SERVICE_ACCOUNT.search(content))
    match = _PRIVATE_KEY.search(content)
    is_key_file = name.lower().endswith(_KEY_FILES)
    return match is not None and (is_key_file or not content[: match.start()].strip())


def find_named_credentials(folder: str) -> Iterator[str]:
    """Yield the relative paths of files below a folder whose names are those of credentials."""
    for parent, _, names in os.walk(folder):
        prefix = os.path.relpath(parent, folder)
        for name in names:
            path = name if prefix == "." else f"{prefix}/{name}"
            if has_credential_name(path):
                yield path


def is_named_explicitly(name: str, patterns: IgnorePatterns) -> bool:
    """Return whether an ignore file includes a credential by a pattern with ``!``.

    It has to name the file, or a folder of credentials such as ``.aws``.
    """
    parents = _parents(name) if has_credential_name(name) else ()
    return patterns.name_explicitly(name) or any(
        patterns.name_explicitly(folder, is_folder=True)
        for folder in parents
        if any(f"/{folder.lower()}".endswith("/" + each.rpartition("/")[0]) for each in _PATHS)
    )


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name
