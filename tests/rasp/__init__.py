"""Tests of the language and its interpreters."""
