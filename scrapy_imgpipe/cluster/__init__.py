"""A list on a cluster: cut into shards by host, each a task of a scheduler that is there.

Imports nothing: a worker needs little of what a client needs.
"""
