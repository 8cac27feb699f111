import math
import time

from recorder import record


@record
def main():
    start = time.perf_counter()
    elapsed = time.perf_counter() - start
    print(math.log(elapsed + 1))
    return 1
