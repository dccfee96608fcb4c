"""Old closed deals: out of the store into a file that can be checked, and back again."""
