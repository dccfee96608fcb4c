"""The files for operators in ``examples/deploy``, each with the tool that reads it."""
