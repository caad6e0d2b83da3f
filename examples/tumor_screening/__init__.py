"""A real model with its server, its load and its manifests: which biopsies a pathologist should read first."""
