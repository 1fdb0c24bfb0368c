"""The tables of the documentation say what the code says."""

import pytest

from tools.write_docs import BLOCKS, DOCS, rendered


@pytest.mark.parametrize("name", BLOCKS)
def test_the_tables_are_those_of_the_code(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert page == rendered(name), "run: python -m tools.write_docs"
