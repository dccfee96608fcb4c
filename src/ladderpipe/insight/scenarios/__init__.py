"""What the same events would have done on another ladder."""
