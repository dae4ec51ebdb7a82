"""Where a peer is checked out, and whether it is the commit that was compared."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkout:
    """A repository at a commit.

    Args:
        name: of the peer.
        url: to clone.
        commit: that was compared.
        variable: of the environment, which may name the folder.
        holds: a file that a checkout of it has.
    """

    name: str
    url: str
    commit: str
    variable: str
    holds: str

    @property
    def how(self) -> str:
        """The commands that make a checkout."""
        return (f"git clone {self.url} {self.name}\n"
                f"git -C {self.name} checkout {self.commit}")  # fmt: skip

    def folder(self, given: str | None) -> Path | None:
        """Return the folder that was given, or that the environment names; None without one."""
        text = given or os.environ.get(self.variable)
        return Path(text).resolve() if text else None

    def missing(self, folder: Path | None) -> str:
        """Return why there is nothing to measure in a folder; "" where there is."""
        if folder is None:
            return f"no checkout of {self.name} was named ({self.variable}=FOLDER)"
        if not (folder / self.holds).is_file():
            return f"{folder} is no checkout of {self.name}: it has no {self.holds}"
        return ""

    def differs(self, folder: Path) -> str:
        """Return how a checkout differs from what was compared; "" where it does not."""
        found = _git(folder, "rev-parse", "HEAD")
        if not found:
            return f"{self.name} is not under git: its version is unknown, not {self.commit[:7]}"
        if found != self.commit:
            return f"{self.name} is at {found[:7]}, not at {self.commit[:7]}, which was compared"
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
        return f"{self.name} has local changes" if changed else ""


def _git(folder: Path, *arguments: str) -> str:
    """Return what git says of a folder that is itself a work tree; "" where it says nothing."""
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-c", f"safe.directory={folder}", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
