"""Adapters of a port, imported on first use.

An adapter is named as ``module:attribute``, so that choosing one by URI scheme imports no client
library of the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from steps.errors import Problem, SpecError


def load_object(path: str) -> Any:  # noqa: ANN401 - any object
    """Import ``module:attribute``.

    Raises:
        ModuleNotFoundError: the module, or one that it imports, is not installed.
    """
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def load_adapter(path: str, uri: str, field: str, extra: str) -> Any:  # noqa: ANN401 - any port's
    """Import the adapter for a URI that a spec names.

    Args:
        path: ``module:attribute`` of the adapter.
        uri: the URI that needs the adapter.
        field: the spec field that contains the URI, for the error.
        extra: the extra of the package ``refeed`` that installs what the adapter imports.

    Raises:
        SpecError: a module that the adapter imports is not installed.
    """
    try:
        return load_object(path)
    except ModuleNotFoundError as error:
        scheme = uri.partition("://")[0]
        message = f"{scheme}:// needs the module {error.name}, which is not installed"
        hint = f"Install it with: pip install 'refeed[{extra}]'"
        raise SpecError(uri, [Problem(field, message, hint)]) from error
