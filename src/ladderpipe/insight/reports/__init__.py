"""One module a report, and what they share."""
