"""Stops servers that nobody uses or that have run for too long: a pure policy, a sweep, a process."""
