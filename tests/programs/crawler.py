"""An async experiment: workers crawl pages from a slow server, and rank them."""

import asyncio
import random

from recorder import log, record


class Web:
    """Pages that link to each other, with a delay before each answer."""

    def __init__(self, pages: int):
        self.links = {p: random.sample(range(pages), 4) for p in range(pages)}

    async def fetch(self, page: int):
        await asyncio.sleep(0.001 * (page % 3))
        return self.links[page]


async def work(web: Web, queue: asyncio.Queue, seen: dict):
    """Fetch the pages in the queue, and add their new links."""
    while True:
        page = await queue.get()
        for link in await web.fetch(page):
            if link not in seen:
                seen[link] = None
                queue.put_nowait(link)
        seen[page] = web.links[page]
        queue.task_done()


@record
async def crawl(pages: int = 120, workers: int = 5, rounds: int = 20):
    web, queue, seen = Web(pages), asyncio.Queue(), {0: None}
    queue.put_nowait(0)
    tasks = [asyncio.create_task(work(web, queue, seen)) for _ in range(workers)]
    await queue.join()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    ranks = dict.fromkeys(sorted(seen), 1 / len(seen))
    for step in range(rounds):
        new = dict.fromkeys(ranks, 0.15 / len(ranks))
        for page in ranks:
            for link in seen[page]:
                new[link] += 0.85 * ranks[page] / len(seen[page])
        log(step=step, moved=sum(abs(new[p] - ranks[p]) for p in ranks))
        ranks = new
    best = sorted(ranks, key=lambda page: (-ranks[page], page))[:5]
    return {"seen": len(seen), "best": best, "rank": ranks[best[0]]}


if __name__ == "__main__":
    asyncio.run(crawl())
