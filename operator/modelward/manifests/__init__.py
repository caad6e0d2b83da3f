"""Manifests in files, before any cluster has seen them: where each value stands, and what is wrong with it."""
