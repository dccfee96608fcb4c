"""Personal data encrypted at rest, with a key for each deal that forgetting a person destroys.

A sealed store stands around another one and is used like it: what says something of a person is
encrypted on its way in and opened on its way out. The keys are in a ring outside of the database.
"""
