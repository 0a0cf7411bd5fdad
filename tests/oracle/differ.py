#!/usr/bin/env python3
"""Draws random programs, runs them on CPython and on the crate, and counts the differences.

  cargo build --release --example replay
  differ.py --cases 20000 --seed 1 [--jobs 2] [--replay target/release/examples/replay]

Python 3.13 is the reference. Every case that differs is printed with both traces, ready to become a fixture
(tests/fixtures/*.jsonl) once it is understood. Exit code: 0 if nothing differs, 1 if something does.
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


def chunk(job):
    """(cases, differing fixtures) of one chunk."""
    n, seed, without, replay = job
    gc.disable()
    drawn = list(oracle.cases(n, seed, without))
    gc.enable()
    text = "".join(compact(case) + "\n" for case, _ in drawn)
    run = subprocess.run([replay, "generators"], input=text, capture_output=True, text=True)
    answers = run.stdout.splitlines()
    if run.returncode or len(answers) != n:
        return n, ["replay ended with %s after %d of %d cases of seed %r: %s"
                   % (run.returncode, len(answers), n, seed, run.stderr.strip())]
    return n, ["%s\n  the crate: %s" % (compact({"case": case, "trace": trace}), answer)
               for (case, trace), answer in zip(drawn, answers) if compact(trace) != answer]


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
    total = differ = 0
    with multiprocessing.Pool(args.jobs) as pool:
        for n, differing in pool.imap_unordered(chunk, jobs):
            total += n
            differ += len(differing)
            for text in differing:
                print(text)
    print("oracle: %d cases against Python %s, %d differences"
          % (total, sys.version.split()[0], differ))
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
