"""The normal form of operations that are too deep to be put into one."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from graphql import OperationDefinitionNode, parse

from graph.endpoint.live.form import form_of


def test_operations_of_a_document_that_is_too_deep_differ() -> None:
    """They are told apart by their names, though the text stands for the form: they share no answer."""
    nested = "[" * 400 + "]" * 400
    text = f"query A @live {{ thing(of: {nested}) {{ key }} }} query B @live {{ other(of: {nested}) {{ key }} }}"
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    try:
        document = parse(text)
    finally:
        sys.setrecursionlimit(usual)
    prepared: Any = SimpleNamespace(document=document, text=text)
    forms = set[str]()
    for node in document.definitions:
        assert isinstance(node, OperationDefinitionNode)
        assert node.name is not None
        operation: Any = SimpleNamespace(form=None, node=node, name=node.name.value)
        forms.add(form_of(prepared, operation).digest)
    assert len(forms) == 2
