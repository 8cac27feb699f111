"""Names that suggest a credential: ``db_password``, ``apiKey``, ``HF_TOKEN``, but not ``pad_token`` or ``max_tokens``.

A name is split into words. A word such as *password* or *secret* marks a credential, unless the last word names a
property of one (its length, its file, its policy). *token*, *key*, and *auth* have other meanings too, in language
models more often than not, so they count only together with certain other words.
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import Literal

SecretKind = Literal["password", "secret", "token", "auth"]

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PASSWORDS = _set("password passwords passwd passwds pwd passphrase passcode")
_SECRETS = _set(
    "secret secrets credential credentials creds apikey apikeys authorization bearer cookie cookies"
    " privatekey accesskey secretkey authtoken accesstoken clientsecret"
)
_COMPOUND = (
    "password", "passwd", "passphrase", "apikey", "secretkey", "privatekey", "accesskey", "authtoken", "accesstoken",
)  # fmt: skip
# Last words that name a property of a credential.
_ABOUT = _set(
    "length len size count file files filename path paths dir folder name names id ids type kind mode method policy"
    " field column col index idx dim prob probability rate ratio weight loss metric score accuracy format style url"
    " uri host port user username email enabled required reset expiry expires ttl timeout min max limit minimum"
    " maximum version location source provider manager class cls fn func function template regex pattern prompt label"
    " strategy env var variable prefix suffix scheme algorithm alg model dataset domain task vocab embedding"
)
# Words before "key" that make it a credential.
_KEY_OF = _set(
    "api access private secret account auth signing sign encryption encrypt decryption master deploy ssh gpg service"
    " subscription storage consumer app application license wandb openai anthropic hf huggingface aws azure gcp shared"
    " session client webhook hmac jwt fernet aes rsa admin"
)
_PASS_OF = _set(
    "db database user smtp mysql postgres pg ftp mail email root admin login imap ssh redis mongo sudo"
)
# Words before "token" that make it a piece of text, or a number of them.
_TOKEN_OF_TEXT = _set(
    "pad padding eos bos unk unknown mask masked sep cls special start end stop begin image img video audio vision"
    " class prompt trigger placeholder delimiter separator max min num n per first last next prev previous vocab word"
    " sub subword text bot eot eod dist distill register reg ctx context decoder encoder query target source think"
    " tool system assistant human newline space blank oov boundary lang language domain task modality patch extra"
    " additional fim infill middle seq sequence visual speech control split answer question response"
)
_TOKENS_OF = _set(
    "api access auth refresh bearer secret session hf github gitlab slack private personal oauth"
)
_SPECIAL_TOKEN = re.compile(r"<.*>|\[.*\]|\{.*\}|##.*|.{0,3}", re.DOTALL)
_SCHEMES = _set(
    "none basic digest bearer oauth oauth2 kerberos ntlm token jwt ldap saml iam anonymous default auto tls mtls ssl"
    " plain scram api_key apikey password x509 sigv4 aws gcp azure"
)
_PLACEHOLDER = re.compile(r"\$\{?\w+\}?|\{\{.*\}\}|<[^<>]*>|\*+|%\w+%|\[redacted\]", re.DOTALL)


@functools.lru_cache(maxsize=4096)
def kind_of(name: str) -> SecretKind | None:
    """Return the kind of credential that the name suggests, or None."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _ABOUT:
        return None
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if not _PASSWORDS.isdisjoint(words) or (last in ("pass", "pw") and before in _PASS_OF):
        return "password"
    if not _SECRETS.isdisjoint(words) or any(word.endswith(_COMPOUND) for word in words):
        return "secret"
    if any(b in ("key", "keys") and a in _KEY_OF for a, b in itertools.pairwise(words)):
        return "secret"
    if last in ("token", "tokens") and before in _TOKENS_OF:
        return "secret"
    if last == "token" and before not in _TOKEN_OF_TEXT:
        return "token"
    return "auth" if last == "auth" else None


@functools.lru_cache(maxsize=4096)
def is_about(name: str) -> bool:
    """Return True if the name is of something harmless that accompanies a credential: its user, host, or type."""
    words = _WORDS.findall(name)
    return bool(words) and words[-1].lower() in _ABOUT


def promises_secret(kind: SecretKind | None, value: str) -> bool:
    """Return True if a string under a name of that kind is a credential, not empty, a placeholder, or a scheme."""
    if kind is None or not value.strip() or _PLACEHOLDER.fullmatch(value):
        return False
    if kind == "token":
        return not _SPECIAL_TOKEN.fullmatch(value)
    return kind != "auth" or value.lower() not in _SCHEMES
