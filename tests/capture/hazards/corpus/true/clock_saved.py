import json
import time

from recorder import record


@record
def main():
    with open("out.json", "w") as file:
        json.dump({"at": time.time()}, file)  # hazard: clock
    return 1
