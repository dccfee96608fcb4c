"""Changing a ladder one thing at a time, to see which change no test notices."""
