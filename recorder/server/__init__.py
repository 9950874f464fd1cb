"""One HTTP application: the record proxy, the replay server, and the journal of both.

Both sides stand on h11, fed from asyncio's protocols: a chunk goes from one socket to the other in the callback
that read it, with no task in between, with its boundaries, and with trailers, which the larger stacks drop.
"""
