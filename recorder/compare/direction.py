"""The direction in which a metric improves, derived from words in its name: loss downwards, accuracy upwards."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

# fmt: off
_DOWN = frozenset((
    "loss", "losses", "logloss", "error", "errors", "err", "mse", "rmse", "mae", "mape", "msle", "nll", "bce",
    "perplexity", "ppl", "brier", "wer", "cer", "fid", "regret", "deviance", "latency",
))
_UP = frozenset((
    "accuracy", "acc", "auc", "auroc", "auprc", "f1", "fbeta", "r2", "precision", "recall", "sensitivity",
    "specificity", "bleu", "rouge", "meteor", "iou", "miou", "dice", "ndcg", "mrr", "psnr", "ssim", "score", "reward",
    "likelihood", "throughput", "top1", "top5", "mcc", "kappa", "silhouette",
))
# fmt: on
# Negated errors such as scikit-learn's neg_mean_squared_error improve upwards.
_TURNED = frozenset(("neg", "negative"))


class Directions(NamedTuple):
    """Names of metrics that improve upwards or downwards; they take precedence over the words in a name."""

    maximize: Collection[str] = ()
    minimize: Collection[str] = ()

    def of(self, name: str) -> Literal["up", "down"] | None:
        """Return the direction in which the metric improves, or None if it is unknown."""
        if name in self.maximize or name in self.minimize:
            return "up" if name in self.maximize else "down"
        words = set(re.findall(r"[a-z]+[0-9]*", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))
        if words & _DOWN:  # before _UP: a brier_score is a score that improves downwards
            return "up" if words & _TURNED else "down"
        return "up" if words & _UP else None

    def is_better(self, name: str, old: object, new: object) -> bool | None:
        """Return True if `new` is better than `old`; None if the direction is unknown or a value is not a number."""
        direction = self.of(name)
        if direction is None or not (isinstance(old, int | float) and isinstance(new, int | float)):
            return None
        return None if old == new else (new > old) == (direction == "up")
