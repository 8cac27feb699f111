"""File names that are used for credentials."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache

_SECRETS = (
    ".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "*.pkcs12", "*.p8", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_*_sk", "*_rsa", "*_ed25519",
    ".netrc", "_netrc", ".pgpass", ".my.cnf", ".pypirc", ".npmrc", ".dockercfg", ".htpasswd", ".git-credentials",
    ".vault-token", ".s3cfg", ".boto", "credentials", "credentials.json", "client_secret*.json",
    "service_account*.json", "service-account*.json", "secrets.json", "secrets.toml", "secrets.yaml", "secrets.yml",
    "kaggle.json", "terraform.tfvars", "*.tfstate", "*.ovpn", "kubeconfig",
)  # fmt: skip
# Templates that match the patterns above, but hold no credentials.
_TEMPLATES = (
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    "example.env",
    "sample.env",
)


@lru_cache(maxsize=1 << 16)
def is_secret_file(path: str) -> bool:
    """Return True if a file with this name usually holds credentials, such as ``.env``, ``*.pem``, or ``id_rsa``."""
    name = path.rpartition("/")[2].lower()
    return _secret_names().match(name) is not None and name not in _TEMPLATES


@lru_cache(maxsize=1)
def _secret_names() -> re.Pattern[str]:
    # Compiled on first use, because a process with a cached tree does not need it.
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in _SECRETS))
