from concurrent.futures import ThreadPoolExecutor, as_completed

from recorder import record


@record
def main():
    with ThreadPoolExecutor(4) as pool:
        futures = {pool.submit(abs, -i): i for i in range(8)}
        results = {}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
    return [results[i] for i in range(8)]
