"""Numbered steps from an empty database to the present schema.

A step is a module with `STATEMENTS`, DDL and data changes that may run twice and at the same time in several processes
(IF NOT EXISTS, OR REPLACE, INSERT IGNORE): databases commit DDL by themselves, so no lock and no transaction could
hold a step together.  The version is raised after the step; whoever finds it too low runs the step again, harmlessly.
"""

from __future__ import annotations

from storage.migrations import m0001_core, m0002_collections, m0003_scripts, m0004_functions

#: In order; step n brings the schema to version n, counted from 1.
STEPS: tuple[tuple[str, ...], ...] = (
    m0001_core.STATEMENTS,
    m0002_collections.STATEMENTS,
    m0003_scripts.STATEMENTS,
    m0004_functions.STATEMENTS,
)
