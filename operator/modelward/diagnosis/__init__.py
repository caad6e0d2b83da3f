"""What is wrong with an installation: facts about a cluster in, findings with their remedies out. Pure, as `lifecycle` is.

`checks.py` is the list to read first. Whoever gathers the facts (cli/doctor_gathering.py) says of each what was read or why
it could not be, so that a check that lacks one says so instead of judging.
"""
