"""Logs of other systems: readers, maps from their rows to events, replay."""
