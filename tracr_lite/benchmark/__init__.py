"""Measures compiling and running, as `tracr-lite benchmark` prints it.

`cases` says what is measured, `measure` how, `machine` on what; `table` and `plots` show it.
"""
