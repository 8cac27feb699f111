import logging
import time

from recorder import record


@record
def main():
    elapsed = time.time()
    logging.getLogger("x").log(10, "took %s", elapsed)
    return 1
