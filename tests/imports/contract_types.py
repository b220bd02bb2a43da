"""Two kinds of import contract that cover new modules without being edited.

import-linter's own ``forbidden`` needs a list of everything that must not import a library, which a
new module is not on. These name the few modules that may, and everything else may not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def is_in(module: str, package: str) -> bool:
    """Return whether ``module`` is ``package`` or lies inside it."""
    return module == package or module.startswith(f"{package}.")


class _DirectImportsContract(Contract):
    """A contract about single imports, each of which is allowed or not."""

    def violations(self, graph: ImportGraph) -> Iterator[tuple[str, str]]:
        """Yield importer and imported module of each import that the contract does not allow."""
        raise NotImplementedError

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - its API
        """Check all imports."""
        found = sorted(
            (importer, imported, graph.get_import_details(importer=importer, imported=imported))
            for importer, imported in set(self.violations(graph))
        )
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line per import that is not allowed."""
        for importer, imported, details in check.metadata["found"]:
            lines = ", ".join(str(each["line_number"]) for each in details)
            output.print_error(f"- {importer} imports {imported} (l. {lines})")


class HomeContract(_DirectImportsContract):
    """Only its homes import a package, and the package itself.

    Options:
        packages: of ours or installed ones.
        homes: modules or packages that may import them; none where they are loaded by name only.
    """

    type_name = "home"
    packages: Any = fields.SetField(subfield=fields.StringField())
    homes: Any = fields.SetField(subfield=fields.StringField(), required=False, default=set())

    def violations(self, graph: ImportGraph) -> Iterator[tuple[str, str]]:
        """Yield imports of the packages from elsewhere."""
        for module in graph.modules:
            package = next((name for name in self.packages if is_in(module, name)), None)
            if package is None:
                continue
            for importer in graph.find_modules_that_directly_import(module):
                if not any(is_in(importer, home) for home in {package, *self.homes}):
                    yield importer, module


class OnlyContract(_DirectImportsContract):
    """Some modules import nothing but themselves, the standard library and what is named.

    Options:
        modules: modules or packages that the contract is about.
        allowed: modules or packages that they may import as well.
    """

    type_name = "only"
    modules: Any = fields.SetField(subfield=fields.StringField())
    allowed: Any = fields.SetField(subfield=fields.StringField(), required=False, default=set())

    def violations(self, graph: ImportGraph) -> Iterator[tuple[str, str]]:
        """Yield imports of anything else."""
        allowed: set[str] = {*self.modules, *self.allowed, *sys.stdlib_module_names}
        for module in graph.modules:
            if any(is_in(module, name) for name in self.modules):
                for imported in graph.find_modules_directly_imported_by(module):
                    if not any(is_in(imported, name) for name in allowed):
                        yield module, imported
