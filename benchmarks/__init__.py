"""Rowdis against redis-server and against one statement per command, measured in one run: `python -m benchmarks`."""
