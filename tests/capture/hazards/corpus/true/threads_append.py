import threading

results = []


def work(i):
    results.append(i)  # hazard: completion order


from recorder import record


@record
def main():
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(results)
