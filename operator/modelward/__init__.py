"""modelward: the life of machine-learning models on Kubernetes."""
