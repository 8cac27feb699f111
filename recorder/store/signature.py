"""Signatures of records: whether a run was written by this user, and as it stands.

A record is signed with a key that lies outside the store (see `recorder.secrets.key`): BLAKE3's keyed hash of its
canonical
JSON. The record names everything that belongs to it by digest, its pickles too, so that who has only the store can
change none of it unnoticed. Left out are the number, which an import gives anew, and where the run came from.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from ..digest import canonical_json, keyed_digest
from ..records import JSON, Record
from ..secrets import key

Standing: TypeAlias = Literal["own", "changed", "foreign", "unsigned"]

_PURPOSE = "recorder signature of records 1"
_UNSIGNED = ("number", "origin", "signature")


def sign(document: Mapping[str, JSON]) -> dict[str, JSON]:
    """The record's document with its signature, ``key id:hash``; without one where this user has no lasting key."""
    return {**document, "signature": _signature(document) if _has_key() else None}


def standing(record: Record) -> Standing:
    """What the record's signature says.

    own: this user wrote it, or has trusted it, as it stands; changed: so, but it was changed afterwards; foreign:
    somebody else wrote it; unsigned: nobody signed it (an earlier version of recorder, a user without a key).
    """
    if record.signature is None:
        return "unsigned" if record.origin is None else "foreign"
    if not _has_key():
        return "foreign"
    from hmac import compare_digest  # with hashlib's, which are slow to load

    expected = _signature(record.to_document())
    if compare_digest(expected, record.signature):
        return "own"
    return "changed" if signer(record) == expected.partition(":")[0] else "foreign"


def is_trusted(record: Record) -> bool:
    """Whether its code may be run and its pickles loaded without asking.

    Without a lasting key nothing can be told, and what was recorded here is taken for one's own.
    """
    now = standing(record)
    return now == "own" or (now == "unsigned" and not _has_key())


def signer(record: Record) -> str | None:
    """The id of the key that signed the record, which says nothing about the key."""
    return None if record.signature is None else record.signature.partition(":")[0]


def _signature(document: Mapping[str, JSON]) -> str:
    # (As it will be when it is read: what is left out as a default depends on an empty tuple's being the empty tuple,
    # which before Python 3.11 it need not be.)
    said = {
        name: value
        for name, value in Record.from_document(document).to_document().items()
        # What holds nothing is left out, so that a later version's new field does not change what was signed.
        if name not in _UNSIGNED and value not in (None, "", [], (), {})
    }
    try:
        text = msgspec.json.encode(said, order="deterministic")
    except (msgspec.MsgspecError, ValueError, OverflowError):
        text = canonical_json(said)  # an argument of the command line that is not UTF-8
    secret = key.derive(_PURPOSE)
    return f"{keyed_digest(b'id', key=secret)[:4].hex()}:{keyed_digest(text, key=secret).hex()}"


@functools.lru_cache(maxsize=4)
def _is_lasting(file: str) -> bool:
    key.key()  # made if there is none yet
    return key.is_lasting()


def _has_key() -> bool:
    try:
        return _is_lasting(str(key.key_file()))
    except OSError:
        return False
