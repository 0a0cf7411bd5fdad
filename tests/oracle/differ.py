#!/usr/bin/env python3
"""Draws random programs, runs them on CPython and on the crate, and counts the differences.

  cargo build --release --example replay
  differ.py --cases 20000 --seed 1 [--jobs 2] [--replay target/release/examples/replay]

Python 3.13 is the reference. Every case that differs is printed with both traces, ready to become a fixture
(tests/fixtures/*.jsonl) once it is understood. Exit code: 0 if nothing differs, 1 if something does.

About two cases in a million differ only because CPython keeps an exception that one generator has caught alive in another,
and with it, through its __context__ and traceback, the frame of a third, whose temporaries are then finalised later than by
counting references. They are run once more with the contexts and tracebacks of caught exceptions cleared; if CPython then
agrees with the crate they are counted apart.
"""
import argparse
import gc
import json
import multiprocessing
import subprocess
import sys

import oracle

CHUNK = 2000


def compact(x):
    return json.dumps(x, separators=(",", ":"))


def without_tracebacks(case):
    """The trace of a case in which a caught exception keeps nothing alive."""
    def show(e, show=oracle.show):
        text = show(e)
        e.__context__ = e.__traceback__ = None
        return text
    before, oracle.show = oracle.show, show
    gc.disable()
    try:
        return oracle.run(case)
    except oracle.Discard:
        return None
    finally:
        oracle.show = before
        gc.enable()


def chunk(job):
    """(cases, differing fixtures, cases that only a traceback delays) of one chunk."""
    n, seed, without, replay = job
    gc.disable()
    drawn = list(oracle.cases(n, seed, without))
    gc.enable()
    text = "".join(compact(case) + "\n" for case, _ in drawn)
    run = subprocess.run([replay, "generators"], input=text, capture_output=True, text=True)
    answers = run.stdout.splitlines()
    if run.returncode or len(answers) != n:
        return n, ["replay ended with %s after %d of %d cases of seed %r: %s"
                   % (run.returncode, len(answers), n, seed, run.stderr.strip())], 0
    differing = [(case, trace, answer) for (case, trace), answer in zip(drawn, answers)
                 if compact(trace) != answer]
    unexplained = ["%s\n  the crate: %s" % (compact({"case": case, "trace": trace}), answer)
                   for case, trace, answer in differing
                   if compact(without_tracebacks(case)) != answer]
    return n, unexplained, len(differing) - len(unexplained)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--cases", type=int, default=20000)
    ap.add_argument("--seed", default="1")
    ap.add_argument("--without", default="stop,chain", help="features to leave out, see oracle.py")
    ap.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    ap.add_argument("--replay", default="target/release/examples/replay")
    args = ap.parse_args()
    if sys.version_info[:2] != (3, 13):
        print("note: the reference is Python 3.13, this is %d.%d" % sys.version_info[:2], file=sys.stderr)
    jobs = [(min(CHUNK, args.cases - k), "%s-%d" % (args.seed, k), args.without.split(","), args.replay)
            for k in range(0, args.cases, CHUNK)]
    total = differ = delayed = 0
    with multiprocessing.Pool(args.jobs) as pool:
        for n, differing, explained in pool.imap_unordered(chunk, jobs):
            total += n
            delayed += explained
            differ += len(differing)
            for text in differing:
                print(text)
    print("oracle: %d cases against Python %s, %d differences, %d delayed by a kept traceback"
          % (total, sys.version.split()[0], differ, delayed))
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
