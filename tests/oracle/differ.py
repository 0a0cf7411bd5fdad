#!/usr/bin/env python3
"""Draws random programs, runs them on CPython and on the crate, and counts the differences.

  cargo build --release --example replay
  differ.py [generators|tasks] --cases 20000 --seed 1 [--jobs 2] [--replay target/release/examples/replay]

Python 3.13 is the reference. Every case that differs is printed with both traces, ready to become a fixture
(tests/fixtures/*.jsonl) once it is understood. Exit code: 0 if nothing differs, 1 if something does.

Of generators, about two cases in a million differ only because CPython keeps an exception that one generator has caught alive in
another, and with it, through its __context__ and traceback, the frame of a third, whose temporaries are then finalised later than
by counting references. They are run once more with the contexts and tracebacks of caught exceptions cleared; if CPython then
agrees with the crate they are counted apart.

Of tasks, it is told how much differs: how they end and when (L0), what each has logged and when (L1), or only the order in which
different tasks did so (L2).
"""
import argparse
import gc
import json
import multiprocessing
import random
import subprocess
import sys

CHUNK = 2000


def compact(x):
    return json.dumps(x, separators=(",", ":"))


class Generators:
    without = "stop,chain"

    def __init__(self):
        import oracle
        self.oracle = oracle

    def draw(self, n, seed, without):
        gc.disable()
        drawn = list(self.oracle.cases(n, seed, without))
        gc.enable()
        return drawn

    def without_tracebacks(self, case):
        """The trace of a case in which a caught exception keeps nothing alive."""
        def show(e, show=self.oracle.show):
            text = show(e)
            e.__context__ = e.__traceback__ = None
            return text
        before, self.oracle.show = self.oracle.show, show
        gc.disable()
        try:
            return self.oracle.run(case)
        except self.oracle.Discard:
            return None
        finally:
            self.oracle.show = before
            gc.enable()

    def verdict(self, case, trace, answer):
        return "delayed" if compact(self.without_tracebacks(case)) == answer else "differ"

    verdicts = {"differ": "differences", "delayed": "delayed by a kept traceback"}


class Tasks:
    without = ""

    def __init__(self):
        import aio_oracle
        sys.unraisablehook = lambda _: None
        self.oracle = aio_oracle

    def draw(self, n, seed, without):
        gc.disable()
        drawn = []
        for k in range(n):
            case = self.oracle.Gen(random.Random("%s/%s" % (seed, k)), without).case(k)
            drawn.append((case, self.oracle.run(case)))
            if k % 50 == 0:
                gc.collect()
        gc.enable()
        return drawn

    def verdict(self, case, trace, answer):
        answer = json.loads(answer)
        if (trace["tasks"], trace["end"]) != (answer["tasks"], answer["end"]):
            return "L0"
        # A stable sort: the order of each one's own entries stays.
        own = [sorted(t["log"], key=lambda entry: entry[1]) for t in (trace, answer)]
        return "L1" if own[0] != own[1] else "L2"

    verdicts = {"L0": "of L0", "L1": "of L1", "L2": "of L2"}


KINDS = {"generators": Generators, "tasks": Tasks}


def chunk(job):
    """(cases, {verdict: how many}, what to print) of one chunk."""
    what, n, seed, without, replay = job
    kind = KINDS[what]()
    drawn = kind.draw(n, seed, without)
    text = "".join(compact(case) + "\n" for case, _ in drawn)
    run = subprocess.run([replay, what], input=text, capture_output=True, text=True)
    answers = run.stdout.splitlines()
    if run.returncode or len(answers) != n:
        return n, {"failed": 1}, ["replay ended with %s after %d of %d cases of seed %r: %s"
                                  % (run.returncode, len(answers), n, seed, run.stderr.strip())]
    counts, texts = {}, []
    for (case, trace), answer in zip(drawn, answers):
        if compact(trace) != answer:
            verdict = kind.verdict(case, trace, answer)
            counts[verdict] = counts.get(verdict, 0) + 1
            if verdict != "delayed":
                texts.append("%s\n  the crate: %s" % (compact({"case": case, "trace": trace}), answer))
    return n, counts, texts


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("what", nargs="?", choices=KINDS, default="generators")
    ap.add_argument("--cases", type=int, default=20000)
    ap.add_argument("--seed", default="1")
    ap.add_argument("--without", help="features to leave out, see oracle.py and aio_oracle.py")
    ap.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    ap.add_argument("--replay", default="target/release/examples/replay")
    args = ap.parse_args()
    if sys.version_info[:2] != (3, 13):
        print("note: the reference is Python 3.13, this is %d.%d" % sys.version_info[:2], file=sys.stderr)
    kind = KINDS[args.what]
    without = (kind.without if args.without is None else args.without).split(",")
    jobs = [(args.what, min(CHUNK, args.cases - k), "%s-%d" % (args.seed, k), without, args.replay)
            for k in range(0, args.cases, CHUNK)]
    total, counts = 0, {verdict: 0 for verdict in kind.verdicts}
    with multiprocessing.Pool(args.jobs) as pool:
        for n, some, texts in pool.imap_unordered(chunk, jobs):
            total += n
            for verdict, count in some.items():
                counts[verdict] = counts.get(verdict, 0) + count
            for text in texts:
                print(text)
    differences = ", ".join("%d %s" % (count, kind.verdicts.get(verdict, verdict)) for verdict, count in counts.items())
    print("oracle: %d programs of %s against Python %s: %s"
          % (total, args.what, sys.version.split()[0], differences))
    sys.exit(any(count for verdict, count in counts.items() if verdict != "delayed"))


if __name__ == "__main__":
    main()
