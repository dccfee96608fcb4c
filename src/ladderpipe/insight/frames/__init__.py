"""Tables of deals, visits and moves, from boards and from exports, as of any instant."""
