"""Events in, history out; pure."""
