"""Real servers for tests and benchmarks: child processes, waited for, that show their log when they fail."""
