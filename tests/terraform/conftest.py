"""One copy of terraform/, and the plans of the example environment, once for all tests."""

from __future__ import annotations

import pytest

from tests.terraform.plans import EXAMPLE_VARIABLES, FULL_VARIABLES, Plan
from tests.terraform.tools import Workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Where terraform runs; nothing is written into the repository."""
    return Workspace.copied(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def example(workspace: Workspace) -> Plan:
    """The plan of the variables that a user begins with."""
    return Plan.of(workspace, EXAMPLE_VARIABLES)


@pytest.fixture(scope="session")
def full(workspace: Workspace) -> Plan:
    """The plan with everything that gives somebody a role."""
    return Plan.of(workspace, str(FULL_VARIABLES))
