"""The normal form of operations that are too deep to be put into one."""

from __future__ import annotations

import inspect
import sys
from types import SimpleNamespace
from typing import Any

from graphql import OperationDefinitionNode, parse

from graph.endpoint.live.form import form_of

DEPTH = 150


def test_operations_of_a_document_that_is_too_deep_differ() -> None:
    """They are told apart by their names, though the text stands for the form: they share no answer."""
    nested = "[" * DEPTH + "]" * DEPTH
    text = f"query A @live {{ thing(of: {nested}) {{ key }} }} query B @live {{ other(of: {nested}) {{ key }} }}"
    document = parse(text)
    prepared: Any = SimpleNamespace(document=document, text=text)
    forms = set[str]()
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + DEPTH)
    try:
        for node in document.definitions:
            assert isinstance(node, OperationDefinitionNode)
            assert node.name is not None
            operation: Any = SimpleNamespace(form=None, node=node, name=node.name.value)
            forms.add(form_of(prepared, operation).digest)
    finally:
        sys.setrecursionlimit(usual)
    assert len(forms) == 2
