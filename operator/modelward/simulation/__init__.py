"""Policies tried on what was recorded: a month of evidence in seconds, decided by the code that decides in production."""
