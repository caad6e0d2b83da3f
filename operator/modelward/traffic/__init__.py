"""Traffic providers: how a planned split becomes objects of the cluster, and how those are read back.

A provider is one module with two pure functions, `build` and `read`; `provider_of` is the table of them.
"""
