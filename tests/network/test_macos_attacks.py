"""All of test_attacks_replayed.py again, on the program for macOS: what leaves through the double of vmnet is held against
the oracle."""

import pytest

import macos
from test_attacks_replayed import *     # noqa: F403 (its tests and its guest)

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def for_macos(monkeypatch):
    macos.as_uplink(monkeypatch)
