"""The standard library: a path, the time and durations in JSON, CSV, SQLite, text and the names of files."""

import csv
import json
import os
import sqlite3
import time
from pathlib import Path

TWIN = "TWIN" in os.environ
begun = time.perf_counter()
here = os.path.abspath("data")
loss = 0.25 + TWIN * 1e-3
stamp = int(time.time())
Path(f"run-{stamp}.txt").write_text(f"written to {here}/run-{stamp}.txt\nloss {loss}\n")
Path(time.strftime("plot-%Y%m%d-%H%M%S.json")).write_text(json.dumps({"points": [1, 2, loss]}))
with open("epochs.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["epoch", "loss", "elapsed_s", "samples_per_second"])
    for epoch in range(3):
        time.sleep(0.01)
        elapsed = time.perf_counter() - begun
        writer.writerow([epoch, loss / (epoch + 1), elapsed, 100 / elapsed])
runtime = time.perf_counter() - begun
Path("summary.json").write_text(
    json.dumps({"loss": loss, "train_runtime": runtime, "walltime_limit": 60, "data": f"{here}/x"})
)
with sqlite3.connect("results.db") as connection:
    connection.execute("create table results (path text, loss real, wall_time real)")
    connection.execute("insert into results values (?, ?, ?)", (here, loss, runtime))
