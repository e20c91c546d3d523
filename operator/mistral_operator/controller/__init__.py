"""The running operator: watches, a queue of keys, one level-triggered reconcile, and what keeps it safe.

``informer`` lists and watches, ``watches`` puts the owner's key of whatever changed into ``queue``; while ``lease``
says that this process leads, workers take keys out and ``reconcile`` does the rest, readable from top to bottom in one
function.
"""
