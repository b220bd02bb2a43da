"""Statistics of findings: how partitions differ from each other, with controlled error rates.

``sums`` and ``clustered`` work within one partition, ``pooling``, ``bootstrap`` and ``shrinkage``
over the partitions of one family of estimates, and ``multiplicity`` over families. No module reads
or writes files.
"""
