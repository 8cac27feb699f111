"""Removal of credentials from the URLs of repositories."""

from __future__ import annotations

import re

from ..records import Redacted
from . import patterns
from .register import marker_of
from .scrub import REDACTED

_USER = re.compile(r"^([\w.+-]+://)([^/\s]*)@")


def without_credentials(url: str) -> str:
    """Return the URL without a user, password, or token before the host (``ssh://git@`` is kept) or in its query."""
    found = _USER.match(url)
    if found is not None:
        name, colon, _ = found[2].partition(":")
        by_ssh = found[1].lower() in ("ssh://", "git+ssh://", "git://", "sftp://")
        kept = f"{name}@" if name and (by_ssh or (colon and "http" not in found[1].lower())) else ""
        url = f"{found[1]}{kept}{url[found.end() :]}"
    data = url.encode("utf-8", "surrogateescape")
    for start, end in reversed(patterns.find(data)):
        data = data[:start] + REDACTED + data[end:]
    return data.decode("utf-8", "surrogateescape")


def redact_url(url: str, place: str) -> tuple[Redacted, ...]:
    """Return the list entry for a URL from which `without_credentials` removes something."""
    if without_credentials(url) == url:
        return ()
    return (Redacted(place=place, marker=marker_of(url), reason="a URL with a credential"),)
