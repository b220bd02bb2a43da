"""Provide one copy of terraform/ and the plans of the example environment for all tests."""

from __future__ import annotations

import pytest

from tests.terraform.plans import EXAMPLE_VARIABLES, FULL_VARIABLES, Plan
from tests.terraform.tools import Workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a copy of terraform/, so that tests write nothing to the repository."""
    return Workspace.create(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def example(workspace: Workspace) -> Plan:
    """Return the plan of terraform.tfvars.example."""
    return Plan.create(workspace, EXAMPLE_VARIABLES)


@pytest.fixture(scope="session")
def full(workspace: Workspace) -> Plan:
    """Return the plan with all options that grant roles."""
    return Plan.create(workspace, str(FULL_VARIABLES))
