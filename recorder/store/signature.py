"""Signatures of records: prove that this user wrote a record, and that it is unchanged.

A record is signed with a key outside the store (see `recorder.secrets.key`): the BLAKE3 keyed hash of its canonical
JSON. A record refers to everything that belongs to it by digest, including pickles, so that nobody who has only the
store can change any of it unnoticed. The number, which an import assigns anew, and the origin are not signed.
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
    """Return the document with its signature, ``key id:hash``, or without one if this user has no lasting key."""
    return {**document, "signature": _signature(document) if _has_key() else None}


def standing(record: Record) -> Standing:
    """Verify the signature of the record.

    own: this user wrote or trusted the record, and it is unchanged; changed: it was changed after that; foreign:
    another user wrote it; unsigned: it has no signature (an earlier version of recorder, or a user without a key).
    """
    if record.signature is None:
        return "unsigned" if record.origin is None else "foreign"
    if not _has_key():
        return "foreign"
    from hmac import compare_digest  # slow to import

    expected = _signature(record.to_document())
    # Bytes: `compare_digest` refuses strings that are not ASCII, which a foreign record may contain.
    if compare_digest(expected.encode(), record.signature.encode("utf-8", "surrogatepass")):
        return "own"
    return "changed" if signer(record) == expected.partition(":")[0] else "foreign"


def is_trusted(record: Record) -> bool:
    """Return whether the code of the run may be executed, and its pickles loaded, without asking.

    Without a lasting key, unsigned records that were recorded in this store are trusted.
    """
    current = standing(record)
    return current == "own" or (current == "unsigned" and not _has_key())


def signer(record: Record) -> str | None:
    """Return the id of the key that signed the record, which reveals nothing about the key."""
    return None if record.signature is None else record.signature.partition(":")[0]


def _signature(document: Mapping[str, JSON]) -> str:
    # Normalized as it will be when it is read: msgspec omits a default only if it is identical to the default, and
    # before Python 3.11 an empty tuple need not be identical to ().
    content = {
        name: value
        for name, value in Record.from_document(document).to_document().items()
        # Empty fields are not signed, so that a field added by a later version does not change the signature.
        if name not in _UNSIGNED and value not in (None, "", [], (), {})
    }
    try:
        text = msgspec.json.encode(content, order="deterministic")
    except (msgspec.MsgspecError, ValueError, OverflowError):
        text = canonical_json(content)  # a command line argument that is not UTF-8
    secret = key.derive(_PURPOSE)
    return f"{keyed_digest(b'id', key=secret)[:4].hex()}:{keyed_digest(text, key=secret).hex()}"


@functools.lru_cache(maxsize=4)
def _is_lasting(file: str) -> bool:
    key.key()  # creates the key if there is none yet
    return key.is_lasting()


def _has_key() -> bool:
    try:
        return _is_lasting(str(key.key_file()))
    except OSError:
        return False
