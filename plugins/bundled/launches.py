"""Steps that wait for the host: kernels are launched one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import mansard as ms
from mansard.backends import roofline
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import Phase
from mansard.backends.schedule import Stretch
from mansard.core.units import format_time
from mansard.ir.program import Program

UNKNOWN = -1.0


@dataclass(frozen=True)
class Launches:
    """A phase takes ``max(Σ time of its kernels, kernels·launch)`` [Vellaisamy 2025].

    The host runs ahead of the device until it falls behind; a step with many short kernels is
    then as long as their launches. Graphs captured once and replayed have fewer launches.
    """

    name: ClassVar[str] = "launches"
    source: ClassVar[str] = "[Vellaisamy 2025]"
    example: ClassVar[str] = "launch=5us"
    launch: float = ms.option(UNKNOWN, "time between two launches; it must be given: it depends on"
                              " host, driver and framework", least=0, unit="time")  # fmt: skip

    def estimate(
        self, program: Program, on: Cluster, scenario: Mapping[str, int]
    ) -> roofline.Answer:
        """Return the roofline's answer with every phase at least as long as its launches.

        Raises:
            MansardError: nobody said how long a launch takes.
        """
        if self.launch == UNKNOWN:
            raise ms.MansardError("launches: how long a launch takes is not known of any chip",
                                  hint="measure yours and write launches:launch=5us")  # fmt: skip
        work = _Launched(program, on, self.launch)
        answer = roofline.answer(program, scenario, (), work)
        each = {f"launches_of_a_{name}_step_s": phase.kernels * self.launch
                for name, phase in answer.phases.items()}  # fmt: skip
        bound = {f"{name}_host_bound_share": share for name, share in work.waited.items()}
        assumes = (
            f"{format_time(self.launch)} from one launch to the next, as given, and a launch for"
            " each kernel; graphs that are captured and replayed have fewer",
            "kernels themselves take the roofline's time, which is a bound",
        )
        return replace(answer, figures={**each, **bound}, assumes=assumes)


class _Launched(roofline.Work):
    """The roofline's work, each phase stretched where its launches take longer."""

    def __init__(self, program: Program, cluster: Cluster, launch_s: float):
        super().__init__(program, cluster)
        self._launch_s = launch_s
        self.waited: dict[str, float] = {}

    def phase(self, name: str, stretches: list[Stretch], tokens: float | None) -> Phase:
        """Sum the stretches of a phase, and lengthen it."""
        before = len(self.times)
        phase = super().phase(name, stretches, tokens)
        launching_s = float(phase.kernels) * self._launch_s
        self.waited[name] = 0.0
        if launching_s <= phase.time_s:
            return phase
        longer = launching_s / phase.time_s if phase.time_s else 1.0
        self.times[before:] = [(branch, t * longer) for branch, t in self.times[before:]]
        idle = launching_s - phase.time_s
        self.waited[name] = idle / launching_s
        by = {**phase.time_by_resource_s}
        by["overhead"] = by.get("overhead", 0.0) + idle
        ends = {k: getattr(phase, k) * longer for k in ("first_step_s", "last_step_s")}
        return replace(phase, time_s=launching_s, bound="overhead", time_by_resource_s=by, **ends)
