"""What the tests of every runtime share: a sidecar's end of the protocol, and the suites that each of them passes.

A suite is a mixin: a runtime's own tests name the process to start and inherit the rest.
"""
