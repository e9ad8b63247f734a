# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a row of the table is: measures, taken in turn in each round, and what their medians must show."""
import dataclasses


WARM_UP = 5  # seconds


@dataclasses.dataclass
class Check:
    """One figure against its target."""
    what: str
    value: float
    target: str  # as printed: ">= 0.85"; "" is only reported
    unit: str = ""

    def holds(self):
        """None: there is no target."""
        if not self.target:
            return None
        sign, number = self.target.split()[:2]
        return self.value >= float(number) if sign == ">=" else self.value <= float(number)


class Row:
    """A line of the table. `measures` may be asked for only after `prepare`, and then belongs to the stage's own server."""

    name = ""
    rounds_quick, rounds_whole = 3, 5

    def __init__(self, stage):
        self.stage = stage

    def asks(self):
        """The requests to learn."""
        return []

    def prepare(self):
        """Once, with the server running."""

    def measures(self):
        """{name: function of (seconds, round)}, each returning the figures of a sample."""
        raise NotImplementedError

    def judge(self, medians):
        """Checks over {name: figures}."""
        raise NotImplementedError


def rate(medians, name):
    return medians[name]["per_second"]


def bound(medians):
    """Both limits one after the other, the database's by whichever of driver and pgbench did better."""
    database = max(rate(medians, name) for name in ("driver", "pgbench") if name in medians)
    return 1 / (1 / rate(medians, "http") + 1 / database)


def of_bound(medians, least, name="wardmote"):
    return Check("of the bound", rate(medians, name) / bound(medians), f">= {least}")


class Plain(Row):
    """One kind of request on Wardmote, and the two limits of just that request."""

    least = 0.8
    least_of_fastify = None  # rows that the peers serve, too
    ask = None

    def make(self):
        """The request."""
        raise NotImplementedError

    def asks(self):
        self.ask = self.make()
        return [self.ask]

    def measures(self):
        stage, ask = self.stage, self.ask
        first = {"wardmote": 0, "http": 0, "driver": 0}

        def numbered(name, measure):
            def run(seconds, turn):
                number = (turn + 1) * 1_000_000 + first[name]
                return measure(ask, seconds, first=number)
            return run
        found = {"wardmote": numbered("wardmote", stage.wardmote), "http": numbered("http", stage.bare), "driver": numbered("driver", stage.driven)}
        for name in self.peers():
            found[name] = lambda seconds, turn, name=name: stage.peer(name, ask, seconds)
        return found

    def prepare(self):
        """V8 compiles for some seconds."""
        for name in self.peers():
            self.stage.peer(name, self.ask, WARM_UP)

    def peers(self):
        return [] if self.least_of_fastify is None else list(self.stage.peers)

    def judge(self, medians):
        checks = [of_bound(medians, self.least)]
        for name in self.peers():
            target = f">= {self.least_of_fastify}" if name.startswith("fastify") else ""
            checks.append(Check(f"of {name.replace('_', ', ')}", rate(medians, "wardmote") / rate(medians, name), target))
        return checks
