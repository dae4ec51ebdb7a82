"""Plugins that are installed for one test: an entry point without a distribution on disk."""

from __future__ import annotations

import pytest

from mansard.testing.fixtures import Install
from mansard.testing.fixtures import install_plugin as install_plugin


@pytest.fixture
def install(install_plugin: Install) -> Install:
    """The fixture authors have, under a shorter name."""
    return install_plugin
