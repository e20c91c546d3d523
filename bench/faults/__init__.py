"""Every small fault, everywhere: the operator is killed at each request, shown old views, and kept from each event.

After Sieve (Sun et al., OSDI 22), which names the three patterns: intermediate states, stale states, unobserved states.
"""
