"""Counts the steps that a backtracking matcher takes, so that a test can bound work without a clock.

    with counted(english) as work:             # every pattern that the module uses, compiled or not
        english.normalise("1,1,1," * 100)
    assert max(work.steps.values()) < 1e5      # of each pattern
"""

import re
import sys
from collections import Counter
from contextlib import contextmanager

try:
    from re import _compiler as compiler
    from re import _constants as op
    from re import _parser as parser
except ImportError:  # Python 3.10
    import sre_compile as compiler
    import sre_constants as op
    import sre_parse as parser

SINGLE = {op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY, op.CATEGORY, op.RANGE}


class TooMuchWork(Exception):
    """The count has passed its limit."""


class Work:
    """Counts of steps, by pattern."""

    def __init__(self, limit=300_000):
        self.steps = Counter()
        self.limit = limit

    def add(self, pattern):
        self.steps[pattern] += 1
        if self.steps[pattern] > self.limit:
            raise TooMuchWork(f"more than {self.limit} steps by {pattern}")


class Matcher:
    """One pattern, matched by backtracking as `re` does, without its shortcuts."""

    def __init__(self, pattern, flags, work):
        parsed = parser.parse(pattern, flags)
        self.tree, self.state = list(parsed), parsed.state
        self.real = re.compile(pattern, flags)
        self.flags = self.real.flags & (re.IGNORECASE | re.DOTALL | re.MULTILINE | re.ASCII)
        self.work, self.name = work, pattern
        self.singles = {}
        self.groups = {}

    def count(self, text, position=0, anchored=False, whole=False):
        """Take the steps of looking for the first match from a position on; returns its span or None."""
        found = []

        def done(end):
            if whole and end != len(text):
                return False
            found.append(end)
            return True

        for start in range(position, len(text) + 1):
            self.groups = {}
            self.work.add(self.name)
            first = self.tree[0] if self.tree and self.tree[0][0] in SINGLE else None
            if first and not (start < len(text) and self._single(first, text[start])):
                if anchored:
                    return None
                continue
            if self._sequence(self.tree, 0, text, start, done):
                return start, found[0]
            if anchored:
                return None
        return None

    def count_all(self, text):
        position = 0
        while position <= len(text) and (span := self.count(text, position)):
            position = span[1] if span[1] > span[0] else span[1] + 1

    def _sequence(self, nodes, place, text, i, then):
        if place == len(nodes):
            return then(i)
        return self._node(nodes[place], text, i, lambda j: self._sequence(nodes, place + 1, text, j, then))

    def _node(self, node, text, i, then):
        self.work.add(self.name)
        kind, value = node
        if kind in SINGLE:
            return i < len(text) and self._single(node, text[i]) and then(i + 1)
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            return self._repeat(kind, value, text, i, then)
        if kind is op.SUBPATTERN:
            number, nodes = value[0], list(value[-1])

            def close(j):
                self.groups[number] = text[i:j]
                return then(j)

            return self._sequence(nodes, 0, text, i, close)
        if kind is op.BRANCH:
            return any(self._sequence(list(branch), 0, text, i, then) for branch in value[1])
        if kind is op.AT:
            return self._at(value, text, i) and then(i)
        if kind in (op.ASSERT, op.ASSERT_NOT):
            return self._look(value, text, i) == (kind is op.ASSERT) and then(i)
        if kind is op.GROUPREF:
            said = self.groups.get(value, "")
            return text.startswith(said, i) and then(i + len(said))
        raise NotImplementedError(f"{kind} in {self.real.pattern!r}")

    def _repeat(self, kind, value, text, i, then):
        low, high, nodes = value[0], value[1], list(value[2])
        if len(nodes) == 1 and nodes[0][0] in SINGLE:
            ends = [i]
            while len(ends) <= high and ends[-1] < len(text) and self._single(nodes[0], text[ends[-1]]):
                self.work.add(self.name)
                ends.append(ends[-1] + 1)
            ends = ends[low:]
            return any(self._tried(then, end) for end in (reversed(ends) if kind is op.MAX_REPEAT else ends))

        def again(count, start):
            def more():
                return count < high and self._sequence(nodes, 0, text, start,
                                                       lambda j: j > start and again(count + 1, j))

            def enough():
                return count >= low and then(start)

            return (more() or enough()) if kind is op.MAX_REPEAT else (enough() or more())

        return again(0, i)

    def _tried(self, then, end):
        self.work.add(self.name)
        return then(end)

    def _single(self, node, character):
        known = self.singles.setdefault(id(node), {})
        if character not in known:
            tree = parser.SubPattern(self.state, [node])
            known[character] = compiler.compile(tree, self.flags).fullmatch(character) is not None
        return known[character]

    def _at(self, where, text, i):
        if where in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            return i == 0
        if where is op.AT_END:
            return i == len(text) or (i == len(text) - 1 and text[i] == "\n")
        if where is op.AT_END_STRING:
            return i == len(text)
        before = i > 0 and re.match(r"\w", text[i - 1]) is not None
        after = i < len(text) and re.match(r"\w", text[i]) is not None
        return (before != after) == (where is op.AT_BOUNDARY)

    def _look(self, value, text, i):
        direction, nodes = value[0], list(value[1])
        if direction > 0:
            return self._sequence(nodes, 0, text, i, lambda j: True)
        low, high = value[1].getwidth()
        return any(self._sequence(nodes, 0, text, i - width, lambda j: j == i)
                   for width in range(low, high + 1) if width <= i)


class CountedPattern:
    """In the place of a compiled pattern; does what it does, and counts."""

    def __init__(self, pattern, flags, work):
        self.matcher = Matcher(pattern, flags, work)
        self.pattern = pattern
        self.real = self.matcher.real

    def match(self, text, position=0):
        self.matcher.count(text, position, anchored=True)
        return self.real.match(text, position)

    def fullmatch(self, text):
        self.matcher.count(text, anchored=True, whole=True)
        return self.real.fullmatch(text)

    def search(self, text):
        self.matcher.count(text)
        return self.real.search(text)

    def finditer(self, text, *bounds):
        self.matcher.count_all(text[slice(*bounds)] if bounds else text)
        return self.real.finditer(text, *bounds)

    def findall(self, text):
        self.matcher.count_all(text)
        return self.real.findall(text)

    def split(self, text, maxsplit=0):
        self.matcher.count_all(text)
        return self.real.split(text, maxsplit)

    def sub(self, replacement, text):
        self.matcher.count_all(text)
        return self.real.sub(replacement, text)


class CountedModule:
    """In the place of the module `re`."""

    IGNORECASE, DOTALL, Match, Pattern, escape = re.IGNORECASE, re.DOTALL, re.Match, re.Pattern, staticmethod(re.escape)

    def __init__(self, work):
        self.work = work
        self.known = {}

    def compile(self, pattern, flags=0):
        if (pattern, flags) not in self.known:
            self.known[pattern, flags] = CountedPattern(pattern, flags, self.work)
        return self.known[pattern, flags]

    def match(self, pattern, text, flags=0):
        return self.compile(pattern, flags).match(text)

    def fullmatch(self, pattern, text, flags=0):
        return self.compile(pattern, flags).fullmatch(text)

    def search(self, pattern, text, flags=0):
        return self.compile(pattern, flags).search(text)

    def findall(self, pattern, text, flags=0):
        return self.compile(pattern, flags).findall(text)

    def finditer(self, pattern, text, flags=0):
        return self.compile(pattern, flags).finditer(text)

    def split(self, pattern, text, maxsplit=0):
        return self.compile(pattern).split(text, maxsplit)

    def sub(self, pattern, replacement, text, flags=0):
        return self.compile(pattern, flags).sub(replacement, text)


@contextmanager
def counted(*modules):
    """Within it, patterns of these modules count their steps."""
    work = Work()
    counting = CountedModule(work)
    replaced, depth = [], sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        for module in modules:
            for name, value in list(vars(module).items()):
                if value is re:
                    replaced.append((module, name, value))
                    setattr(module, name, counting)
                elif isinstance(value, re.Pattern):
                    replaced.append((module, name, value))
                    setattr(module, name, counting.compile(value.pattern, value.flags & ~re.UNICODE))
        yield work
    finally:
        sys.setrecursionlimit(depth)
        for module, name, value in replaced:
            setattr(module, name, value)
