"""A procedural test track: six painted cameras, no renderer, no data to download.

It makes pictures whose geometry is exactly known, so that anybody can try the road from cameras to plan,
and tests need no recorded data. It is no training ground: nothing in it is varied enough to learn from.
"""
