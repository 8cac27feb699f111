"""Keras 3 models: a zip of the architecture, metadata and weights, compared without dates and ids of objects.

Source: https://keras.io/api/models/model_saving_apis/model_saving_and_loading
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ...codec import Difference
from .archives import compare_zips
from .pair import Pair
from .values import compare_loaded


def compare_keras(pair: Pair) -> Iterator[Difference]:
    """Compare two .keras files member by member."""
    yield from compare_zips(
        pair, readers={"metadata.json": _compare_metadata, "config.json": _compare_config}
    )


def _compare_metadata(pair: Pair) -> Iterable[Difference]:
    return compare_loaded(pair, lambda side: _without_date(json.loads(side.text())))


def _without_date(metadata: Any) -> Any:
    if isinstance(metadata, dict):
        metadata.pop("date_saved", None)
    return metadata


def _compare_config(pair: Pair) -> Iterable[Difference]:
    return compare_loaded(pair, lambda side: number_ids(json.loads(side.text()), {}))


def number_ids(config: Any, numbers: dict[Any, int]) -> Any:
    """Return a config with each ``shared_object_id``, an address in memory, numbered by its first occurrence.

    The numbers keep the information which objects are shared.
    """
    if isinstance(config, list):
        return [number_ids(item, numbers) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: numbers.setdefault(item, len(numbers))
        if key == "shared_object_id" and isinstance(item, int)
        else number_ids(item, numbers)
        for key, item in config.items()
    }
