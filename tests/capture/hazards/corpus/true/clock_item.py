import time

from recorder import record


@record
def main():
    row = {"loss": 0.5}
    row["at"] = time.time()
    return row  # hazard: clock
