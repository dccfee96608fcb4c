"""The shell around the fold: a pipeline bound to a store and a clock."""
