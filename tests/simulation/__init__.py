"""Deterministic simulation: many workers over one store, on schedules that a seed chooses.

A worker is a greenlet that runs the real board on a real store. It stops before and after every
statement, hook and handler; a schedule says who goes on, who crashes, whose statement fails and
whose answer gets lost, and when the clock moves. The same seed makes the same schedule.
"""
