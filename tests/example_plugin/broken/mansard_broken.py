"""Plugins that are broken on purpose, each in its own way; ``MANSARD_PLUGINS`` names one."""

from dataclasses import dataclass, replace

import mansard as ms


class Hook:
    """A hook that returns a dict."""

    @staticmethod
    @ms.hookimpl
    def mansard_passes():
        """Return what no hook should."""
        return {"forgets": Forgets}


class Misspelt:
    """A hook that does not exist."""

    @staticmethod
    @ms.hookimpl
    def mansard_pases():
        """Return techniques to nobody."""
        return []


class Later:
    """A plugin for hooks of another version."""

    MANSARD_API = 99


@dataclass(frozen=True)
class Forgets(ms.Pass):
    """Leave out the first op, whose result others read."""

    name = "forgets"
    source = "[Nobody 1999]"

    crash: bool = ms.option(False, "raise what no pass should raise")

    def run(self, program):
        """Make a graph that breaks a rule, or raise."""
        if self.crash:
            raise KeyError("nobody tried this")
        graph = program.graph()
        return ms.Outcome(program.with_graph("target", replace(graph, ops=graph.ops[1:])), 1)


class Graph:
    """A technique that makes an invalid graph."""

    @staticmethod
    @ms.hookimpl
    def mansard_passes():
        """Return the technique."""
        return [Forgets]


def command():
    """Fail as a command."""
    raise RuntimeError("nobody tried this")
