import time

START = time.time()


def elapsed():
    return time.time() - START


from recorder import record


@record
def main():
    print(elapsed())
    return 1
