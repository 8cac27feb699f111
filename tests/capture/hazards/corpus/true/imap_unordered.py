from multiprocessing.pool import ThreadPool

from recorder import record


@record
def main():
    with ThreadPool(4) as pool:
        return list(pool.imap_unordered(abs, range(8)))  # hazard: completion order
