"""A real Kubernetes on one bare machine, for the demo and the end-to-end tests.

Everything that runs lives in namespaces of its own (network, processes, mounts), so that taking the cluster down is one
kill, and so that nothing in it can reach a network outside. `python -m cluster --help` lists the commands.
"""
