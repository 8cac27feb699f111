"""Names that suggest a credential: ``db_password``, ``apiKey``, ``HF_TOKEN``, but not ``pad_token`` or ``max_tokens``.

A name is split into words. A word such as *password* or *secret* marks a credential, unless the last word names a
property of one (its length, its file, its policy). *token*, *key*, and *auth* have other meanings too, in language
models more often than not, so they count only together with certain other words. A last group of names, such as *key*,
*session* or *webhook*, marks a credential only if the value looks random.
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import Literal

SecretKind = Literal["password", "secret", "token", "auth", "key"]

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PASSWORDS = _set("password passwords passwd passwds pwd passphrase passcode")
_SECRETS = _set(
    "secret secrets credential credentials creds apikey apikeys authorization bearer cookie cookies"
    " privatekey accesskey secretkey authtoken accesstoken clientsecret jwt mnemonic"
)
# Pairs of adjacent words that mean the same as one of these.
_SECRET_PAIRS = frozenset(
    {("seed", "phrase"), ("recovery", "phrase"), ("pass", "word"), ("auth", "header")}
)
# Last words, or last two, that mark a credential only if the value looks random.
_PERHAPS = _set("key keys pat oauth sas otp csrf signing webhook session sessionid conn dsn")
_PERHAPS_PAIRS = frozenset(
    {("session", "id"), ("connection", "string"), ("conn", "str")}
    | {
        (store, address)
        for store in ("mongo", "mongodb", "database", "db", "redis", "postgres")
        for address in ("uri", "url")
    }
)
# Letters and digits of all kinds, in no word-like order.
_RANDOM = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9_+/=.~-]{16,4096}")
_RANDOM_CHANGES = 0.48
_HEX = re.compile(r"[0-9a-f]{32,}", re.IGNORECASE)
# A single word, or a short number, which is a part of too many other texts.
_PLAIN = re.compile(r"[a-z]+|[A-Z]+|[A-Z][a-z]+|\d{1,9}")
_PLAIN_CHARACTERS = 20
_COMPOUND = (
    "password", "passwd", "passphrase", "apikey", "secretkey", "privatekey", "accesskey", "authtoken", "accesstoken",
)  # fmt: skip
# Last words that name a property of a credential.
_ABOUT = _set(
    "length len size count file files filename path paths dir folder name names id ids type kind mode method policy"
    " field column col index idx dim prob probability rate ratio weight loss metric score accuracy format style url"
    " uri host port user username email enabled required reset expiry expires ttl timeout min max limit minimum"
    " maximum version location source provider manager class cls fn func function template regex pattern prompt label"
    " strategy strength entropy score present env var variable prefix"
    " suffix scheme algorithm alg model dataset domain task vocab embedding"
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
    pairs = list(itertools.pairwise(words))
    if pairs and pairs[-1] in _PERHAPS_PAIRS:
        return "key"
    if not words or words[-1] in _ABOUT:
        return None
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if not _PASSWORDS.isdisjoint(words) or (last in ("pass", "pw") and before in _PASS_OF):
        return "password"
    if words == ["pw"] or not _SECRET_PAIRS.isdisjoint(pairs):
        return "secret"
    if not _SECRETS.isdisjoint(words) or any(word.endswith(_COMPOUND) for word in words):
        return "secret"
    if any(b in ("key", "keys") and a in _KEY_OF for a, b in pairs):
        return "secret"
    if last in ("token", "tokens") and before in _TOKENS_OF:
        return "secret"
    if last == "token" and before not in _TOKEN_OF_TEXT:
        return "token"
    if last == "auth":
        return "auth"
    return "key" if last in _PERHAPS else None


@functools.lru_cache(maxsize=4096)
def is_about(name: str) -> bool:
    """Return True if the name is of something harmless that accompanies a credential: its user, host, or type."""
    words = _WORDS.findall(name)
    return bool(words) and words[-1].lower() in _ABOUT


def promises_secret(kind: SecretKind | None, value: str) -> bool:
    """Return True if a string under a name of that kind is a credential, not empty, a placeholder, or a scheme."""
    if kind is None or not value.strip() or _PLACEHOLDER.fullmatch(value):
        return False
    if kind == "key":
        return is_random(value)
    if kind == "token":
        return not _SPECIAL_TOKEN.fullmatch(value)
    return kind != "auth" or value.lower() not in _SCHEMES


def is_random(value: str) -> bool:
    """Return True if the string looks as if it was drawn at random from letters and digits."""
    if not _RANDOM.fullmatch(value):
        return False
    kinds = [
        "0" if c.isdigit() else "a" if c.islower() else "A" if c.isupper() else "-" for c in value
    ]
    changes = sum(a != b for a, b in itertools.pairwise(kinds))
    return changes >= _RANDOM_CHANGES * len(value)


def is_plain(value: str) -> bool:
    """Return True if the string is a single word or a short number, so that it is a part of many other texts."""
    return len(value) <= _PLAIN_CHARACTERS and _PLAIN.fullmatch(value) is not None


def is_secret_result(kind: SecretKind | None, value: str) -> bool:
    """Return True if a string under a name of that kind in a result is a credential.

    Results hold tokens of texts and keys of tables far more often than credentials, so these must look random.
    """
    if kind in ("token", "auth", "key"):
        return is_random(value) or _HEX.fullmatch(value) is not None
    return promises_secret(kind, value)
