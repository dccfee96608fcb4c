"""A migration of Django's for each version of our tables, and for what the models say."""
