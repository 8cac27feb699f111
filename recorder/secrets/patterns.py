"""Credentials recognized by their format: URLs with a password, and the keys of well-known services.

Sources: the rules of gitleaks (https://github.com/gitleaks/gitleaks) and detect-secrets
(https://github.com/Yelp/detect-secrets). Only formats with a distinctive prefix are included: 40 hex digits are far
more often a commit than a key.

The module works on bytes and imports nothing else of recorder, because the tee process uses it too. A single regular
expression for all formats would process 6 MB of console output per second. So most of a text is ruled out first, at
some 100 MB per second: a key contains a run of 16 letters, digits, ``_``, and ``-``, and the other formats contain one
of a few words.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

# Placeholders are not credentials: ${VARIABLE}, {{ template }}, <password>, ***, None.
_NO_PLACEHOLDER = r"(?![*{<$%]|None\b|null\b|[Tt]rue\b|[Ff]alse\b|\[redacted\])"
_TOKEN = r"[A-Za-z0-9_-]"
_VALUE = r"""[^\s"'`,;&<>{}()\[\]\\]{4,400}"""
_ASSIGNED = r"""(?:=["']?|["']\s?:\s?["'])"""
_RUN = 16
# A shorter text without = and : cannot have the format of a credential.
SHORTEST = _RUN

# Each contains a run of `_RUN`, after at most five characters, and begins with one of `_HEADS`.
KEYS: dict[str, str] = {
    "an AWS key": (
        r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"
        r"(?:[\s\"':,/]{1,4}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+]))?"
    ),
    "a GitHub token": r"gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_[0-9A-Za-z_]{36,255}",
    "a GitLab token": (
        rf"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|agent|imt|oas|wt)-{_TOKEN}{{20,300}}(?:\.[0-9a-z.]{{9,20}})?"
    ),
    "a Slack token": r"xox[abeoprs](?:\.xox[ps])?-[0-9A-Za-z-]{12,300}|xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]+",
    "a language model's key": (
        rf"(?<![A-Za-z0-9_])sk-(?:(?:ant|proj|svcacct|admin|or|lf)-{_TOKEN}{{20,300}}|[A-Za-z0-9]{{32,200}})"
        rf"|gsk_[A-Za-z0-9]{{40,60}}|xai-[A-Za-z0-9]{{70,90}}|pplx-[A-Za-z0-9]{{40,60}}|nvapi-{_TOKEN}{{50,80}}"
        r"|(?<![A-Za-z0-9])r8_[A-Za-z0-9]{37,40}|lsv2_[ps][tk]_[0-9a-f]{32}_[0-9a-f]{10}"
    ),
    "a Hugging Face token": r"(?<![A-Za-z0-9_])hf_[A-Za-z0-9]{30,60}|api_org_[A-Za-z]{34}",
    "a Google key": rf"AIza{_TOKEN}{{35}}|ya29\.{_TOKEN}{{20,400}}|GOCSPX-{_TOKEN}{{28}}",
    "a Stripe key": r"[sr]k_(?:live|test|prod)_[0-9A-Za-z]{10,200}|whsec_[0-9A-Za-z]{32,60}",
    "a registry's token": (
        rf"(?<![A-Za-z0-9_])npm_[0-9A-Za-z]{{36}}|pypi-AgE{_TOKEN}{{50,1000}}|dckr_[op]at_{_TOKEN}{{27,60}}"
    ),
    "a service's token": (
        r"(?<![A-Za-z0-9])SG\.[\w-]{16,32}\.[\w-]{16,64}|dapi[a-f0-9]{32}|do[opr]_v1_[a-f0-9]{64}"
        rf"|hvs\.{_TOKEN}{{24,300}}|glsa_[A-Za-z0-9]{{32}}_[A-Fa-f0-9]{{8}}|ATATT3[\w=-]{{100,300}}"
        r"|AGE-SECRET-KEY-1[A-Z0-9]{58}|ops_eyJ[a-zA-Z0-9+/]{100,2000}|wandb_v1_[\w-]{20,200}"
    ),
    "a JSON web token": r"eyJ[\w-]{13,4000}\.eyJ[\w-]{10,8000}\.[\w-]*",
}  # fmt: skip
_HEADS = (
    "AKIA ASIA ABIA ACCA ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- gldt- glrt- glrtr- glcbt- glptt- glft- glsoat-"
    " glagent- glimt- gloas- glwt- xox xapp- sk- gsk_ xai- pplx- nvapi- r8_ lsv2_ hf_ api_org_ AIza ya29. GOCSPX- sk_"
    " rk_ whsec_ npm_ pypi-AgE dckr_ SG. dapi doo_v1 dop_v1 dor_v1 hvs. glsa_ ATATT3 AGE-SECRET ops_eyJ wandb_v1_ eyJ"
)
# Each contains one of its words in lowercase.
OTHERS: dict[str, tuple[str, tuple[bytes, ...]]] = {
    "a URL with a password": (
        rf"""://[^\s/:@"'<>]{{0,100}}:{_NO_PLACEHOLDER}([^\s/"'<>]{{1,200}})@(?=[\w\[.-])""",
        (b"://",),
    ),
    "a private key": (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----END)[\s\S]){0,20000}(?:-----END[A-Z0-9 ]{0,60}-----)?",
        (b"-----begin ",),
    ),
    "a webhook": (
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{20,100})",
        (b"hooks.slack",),
    ),
    "a signed URL": (
        r"(?:sig|X-Amz-Signature|X-Goog-Signature)=([A-Za-z0-9%+/=_-]{20,2000})",
        (b"sig=", b"signature="),
    ),
    "an authorization": (
        r"""[Aa]uthorization["']?\s{0,2}[:=]\s{0,2}["']?(?:[Bb]earer|[Bb]asic|[Tt]oken)\s+"""
        rf"{_NO_PLACEHOLDER}([A-Za-z0-9._~+/=-]{{6,4000}})",
        (b"authorization",),
    ),
    "a bearer's token": (
        r"Bearer (?=[A-Za-z._~+/-]*[0-9])([A-Za-z0-9._~+/=-]{20,4000})", (b"bearer ",),
    ),
    "a password in a text": (
        r"(?:[Pp]assword|PASSWORD|[Pp]asswd|PASSWD|[Pp]assphrase|PASSPHRASE)"
        rf"{_ASSIGNED}{_NO_PLACEHOLDER}({_VALUE})"
        rf"|(?:pwd|Pwd|PWD){_ASSIGNED}(?!/){_NO_PLACEHOLDER}({_VALUE})",
        (b"passw", b"passphrase", b"pwd"),
    ),
    "a key in a text": (
        r"(?:[Aa]pi[_-]?[Kk]ey|API_?KEY|[Aa]ccess[_-]?[Tt]oken|ACCESS_TOKEN|[Aa]uth[_-]?[Tt]oken|AUTH_TOKEN"
        r"|[Cc]lient[_-]?[Ss]ecret|CLIENT_SECRET|[Ss]ecret[_-]?(?:[Aa]ccess[_-]?)?[Kk]ey|SECRET_(?:ACCESS_)?KEY"
        rf"|AccountKey|SharedAccessKey){_ASSIGNED}{_NO_PLACEHOLDER}({_VALUE})",
        (b"key=", b"key'", b'key"', b"token=", b"token'", b'token"', b"secret=", b"secret'", b'secret"'),
    ),
}  # fmt: skip


@functools.cache
def _keys() -> re.Pattern[bytes]:
    """Compile all of `KEYS` on first use. It takes 9 ms, which most processes need not spend."""
    return re.compile("|".join(KEYS.values()).encode())


_heads = re.compile("|".join(re.escape(head) for head in _HEADS.split()).encode())
_others = [(re.compile(pattern.encode()), words) for pattern, words in OTHERS.values()]
_ALPHABET = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_AS_RUNS = bytes(97 if byte in _ALPHABET else 32 for byte in range(256))
_LONG = b"a" * _RUN
# A shorter text without = and : cannot match any of `OTHERS`.
_SHORT = 24

Span = tuple[int, int]


def find(data: bytes, values: Iterable[bytes] = ()) -> list[Span]:
    """Return the spans of credentials in `data`, sorted and disjoint: known formats, and each of `values`."""
    found = list(_find_keys(data))
    if b"://" in data:
        found += _spans(_others[0][0], data)
    if b"=" in data or b":" in data or len(data) >= _SHORT:
        lower = data.lower()
        for pattern, words in _others[1:]:
            for word in words:
                if word in lower:
                    found += _spans(pattern, data)
                    break
    for value in values:
        at = data.find(value)
        while at >= 0:
            found.append((at, at + len(value)))
            at = data.find(value, at + len(value))
    return _merge(found) if len(found) > 1 else found


def _spans(pattern: re.Pattern[bytes], data: bytes) -> list[Span]:
    return [match.span(match.lastindex or 0) for match in pattern.finditer(data)]


def _find_keys(data: bytes) -> Iterator[Span]:
    if len(data) < _RUN:
        return
    runs = data.translate(_AS_RUNS)
    end = 0
    while (at := runs.find(_LONG, end)) >= 0:
        end = runs.find(b" ", at)
        end = len(data) if end < 0 else end
        last = 0
        for head in _heads.finditer(data, max(at - 5, 0), end):
            if head.start() >= last:
                match = _keys().match(data, head.start())
                if match is not None:
                    last = match.end()
                    yield match.span()


def _merge(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def name_of(data: bytes) -> str:
    """Return the name of the format of the first credential in `data`, or ""."""
    for name, pattern in [*KEYS.items(), *((name, other) for name, (other, _) in OTHERS.items())]:
        if re.search(pattern.encode(), data):
            return name
    return ""
