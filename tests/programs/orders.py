"""A pandas pipeline that joins, cleans, groups, and resamples two tables, and writes CSV, parquet, and JSON."""

import numpy as np
import pandas as pd

from recorder import log, record


def gather(rows: int):
    """Write the tables that the pipeline reads."""
    made = np.random.default_rng(7)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(made.integers(0, 90 * 24, rows), unit="h")
    amounts = np.where(made.random(rows) < 0.05, np.nan, made.gamma(2, 30, rows))
    shops = made.integers(0, 12, rows)
    orders = pd.DataFrame({"order": range(rows), "shop": shops, "time": days, "amount": amounts})
    orders.to_parquet("orders.parquet")
    names = pd.DataFrame({"shop": range(12), "town": [f"town {i % 5}" for i in range(12)]})
    names.to_csv("shops.csv", index=False)


@record
def report(smallest: float = 5.0):
    orders = pd.read_parquet("orders.parquet")
    shops = pd.read_csv("shops.csv")
    joined = orders.merge(shops, on="shop", how="left", validate="m:1")
    log(missing=int(joined["amount"].isna().sum()))
    clean = joined.dropna(subset=["amount"]).query("amount >= @smallest")
    clean = clean.assign(week=clean["time"].dt.to_period("W").dt.start_time)
    towns = clean.groupby("town", observed=True)["amount"].agg(["count", "sum", "mean", "median"])
    towns.to_csv("towns.csv")
    weeks = clean.pivot_table(index="week", columns="town", values="amount", aggfunc="sum")
    weeks.rolling(3, min_periods=1).mean().to_parquet("weeks.parquet")
    sample = clean.sample(50)
    sample.to_json("sample.jsonl", orient="records", lines=True, date_format="iso")
    return towns


if __name__ == "__main__":
    gather(20_000)
    report()
    report(smallest=20.0)
