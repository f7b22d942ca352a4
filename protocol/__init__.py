"""Bytes to values and back: RESP requests, replies, Redis's grammar of numbers and patterns.

Nothing here does I/O, reads a clock, starts a thread or knows a command, so all of it runs alone in a test.
"""
