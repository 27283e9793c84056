"""Declarations, for type checkers alone, of what the registries make: ``python -m fastnn._base.stubs`` writes them.

Each module that makes functions or classes while it is imported reads its stub under ``if TYPE_CHECKING:``.
"""
