"""Counts in shared memory: a row for each endpoint, pool and worker, a column for each worker.

Invariant: a column is written by one worker alone, and rows are given out and taken back by the control process alone,
so that nobody needs a lock.
"""
