"""Does one work of tasks on the event loop of asyncio or uvloop, once, and prints what that has taken."""

import asyncio
import resource
import sys
from time import perf_counter_ns

# How many times a work that is repeated is done before it is measured.
WARM_UP = 1000


async def spawn(n, _):
    async def answer(i):
        return i

    start = perf_counter_ns()
    for i in range(n):
        await asyncio.create_task(answer(i))
    return perf_counter_ns() - start


async def ping_pong(n, _):
    pings, pongs = asyncio.Queue(1), asyncio.Queue(1)

    async def pong():
        try:
            while True:
                await pongs.put(await pings.get() + 1)
        except asyncio.QueueShutDown:
            pass

    async def ping():
        start = perf_counter_ns()
        for i in range(n):
            await pings.put(i)
            await pongs.get()
        spent = perf_counter_ns() - start
        pings.shutdown()
        return spent

    tasks = [asyncio.create_task(pong()), asyncio.create_task(ping())]
    return (await asyncio.gather(*tasks))[1]


async def sleepers(n, seconds):
    start = perf_counter_ns()
    tasks = [asyncio.create_task(asyncio.sleep(seconds)) for _ in range(n)]
    for task in tasks:
        await task
    return perf_counter_ns() - start


async def waiters(n, _):
    event = asyncio.Event()
    waiting = 0

    async def waiter():
        nonlocal waiting
        waiting += 1
        await event.wait()

    tasks = [asyncio.create_task(waiter()) for _ in range(n)]
    while waiting < n:
        await asyncio.sleep(0)
    start = perf_counter_ns()
    event.set()
    for task in tasks:
        await task
    return perf_counter_ns() - start


def memory(key):
    """How much of this process is in memory, in KiB."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(key):
                return int(line.split()[1])
    sys.exit(f"/proc/self/status does not tell {key!r}")


def forget_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def microseconds(seconds):
    return round(seconds * 1e6)


def main():
    loop, work, n, seconds = sys.argv[1:]
    if loop == "uvloop":
        from uvloop import new_event_loop
    else:
        new_event_loop = asyncio.new_event_loop
    works = {"spawn": spawn, "ping-pong": ping_pong, "sleepers": sleepers, "waiters": waiters}
    with asyncio.Runner(debug=False, loop_factory=new_event_loop) as runner:
        if work in ("spawn", "ping-pong"):
            runner.run(works[work](WARM_UP, 0))
        forget_peak()
        resident = memory("VmRSS:")
        before = resource.getrusage(resource.RUSAGE_SELF)
        nanoseconds = runner.run(works[work](int(n), float(seconds)))
        after = resource.getrusage(resource.RUSAGE_SELF)
        user = microseconds(after.ru_utime - before.ru_utime)
        system = microseconds(after.ru_stime - before.ru_stime)
        print(nanoseconds, user, system, resident, memory("VmHWM:"))


main()
