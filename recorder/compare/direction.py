"""Which way a metric gets better, as far as its name says: a loss the lower, an accuracy the higher."""

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
# scikit-learn's neg_mean_squared_error and its like.
_TURNED = frozenset(("neg", "negative"))


class Directions(NamedTuple):
    """What somebody has said of metrics by their names, against which the words in a name do not count."""

    maximize: Collection[str] = ()
    minimize: Collection[str] = ()

    def of(self, name: str) -> Literal["up", "down"] | None:
        """Which way the metric gets better; None where that is not known."""
        if name in self.maximize or name in self.minimize:
            return "up" if name in self.maximize else "down"
        words = set(re.findall(r"[a-z]+[0-9]*", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))
        if words & _DOWN:  # first: a brier_score is a score that is to be low
            return "up" if words & _TURNED else "down"
        return "up" if words & _UP else None

    def is_better(self, name: str, old: object, new: object) -> bool | None:
        """Whether `new` is better than `old`; None where no direction is known, or either is no number."""
        direction = self.of(name)
        if direction is None or not (isinstance(old, int | float) and isinstance(new, int | float)):
            return None
        return None if old == new else (new > old) == (direction == "up")
