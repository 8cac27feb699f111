import time

from recorder import log


class Timer:
    def __init__(self):
        self.start = time.perf_counter()

    def stop(self):
        self.took = time.perf_counter() - self.start


from recorder import record


@record
def main():
    timer = Timer()
    timer.stop()
    log(took=timer.took)  # hazard: clock
    return 1
