"""What the semantics say, as data: small courses of events, and what must come of them."""
