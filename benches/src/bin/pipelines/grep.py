"""Counts the lines of a file that match: a reader drives, two primed coroutines wait to be sent lines."""

import re
import sys


def coroutine(function):
    def start(*arguments):
        generator = function(*arguments)
        next(generator)
        return generator

    return start


def cat(lines, target):
    for line in lines:
        target.send(line)
    target.close()


@coroutine
def grep(pattern, target):
    while True:
        line = yield
        if pattern in line:
            target.send(line)


@coroutine
def grep_regex(regex, target):
    search = regex.search
    while True:
        line = yield
        if search(line):
            target.send(line)


@coroutine
def count():
    n = 0
    try:
        while True:
            yield
            n += 1
    finally:
        print(n)


syntax, pattern, path = sys.argv[1:]
pattern = pattern.encode()
if syntax == "literal":
    target = grep(pattern, count())
elif syntax == "ignore-case":
    target = grep_regex(re.compile(re.escape(pattern), re.IGNORECASE), count())
else:
    target = grep_regex(re.compile(pattern), count())
with open(path, "rb") as lines:
    cat(lines, target)
