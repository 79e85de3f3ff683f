"""What takes time waits in a bounded line."""

import asyncio
import threading

import pytest

from stages.web.work import Busy, Cache, WorkQueue


def test_functions_of_one_thread_never_run_at_once_and_come_in_order():
    running, most, order, lock = [0], [0], [], threading.Lock()

    def work(number):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        order.append(number)
        with lock:
            running[0] -= 1
        return number * 2

    async def ask():
        queue = WorkQueue(1, 20)
        answers = await asyncio.gather(*(queue.run(lambda number=number: work(number)) for number in range(20)))
        queue.close()
        return answers, queue.pending

    answers, held = asyncio.run(ask())
    assert answers == [2 * number for number in range(20)] and order == list(range(20))
    assert most == [1] and held == 0


def test_one_more_than_may_wait_is_refused_and_a_visitor_who_leaves_holds_the_place_until_the_work_ends():
    go_on = threading.Event()

    async def ask():
        queue = WorkQueue(1, 2)
        tasks = [asyncio.ensure_future(queue.run(go_on.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await queue.run(go_on.wait)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        pending = queue.pending
        go_on.set()
        await tasks[1]
        await asyncio.sleep(0.01)
        queue.close()
        return pending, queue.pending

    assert asyncio.run(ask()) == (2, 0)


def test_an_error_of_the_work_is_the_callers_and_frees_the_place():
    async def ask():
        queue = WorkQueue(1, 1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await queue.run(lambda: 1 // 0)
            await asyncio.sleep(0)
        queue.close()

    asyncio.run(ask())


def test_cache_is_bounded_by_bytes_and_forgets_what_was_used_longest_ago():
    cache = Cache(10)
    cache.put(("a",), b"1234")
    cache.put(("b",), b"1234")
    assert cache.get(("a",)) == b"1234"
    cache.put(("c",), b"1234")
    assert (cache.get(("b",)), cache.get(("a",)), cache.get(("c",))) == (None, b"1234", b"1234")
    cache.put(("a",), b"12")
    assert cache.bytes_held == 6
    cache.put(("large",), b"x" * 11)
    assert cache.get(("large",)) is None and cache.bytes_held <= 10
