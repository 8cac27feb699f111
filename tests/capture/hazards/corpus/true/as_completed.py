from concurrent.futures import ThreadPoolExecutor, as_completed

from recorder import record


@record
def main():
    done = []
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(abs, -i) for i in range(8)]
        for future in as_completed(futures):  # hazard: completion order
            done.append(future.result())
    return done
