"""Making pages out of people's bytes, in a process apart: `worker` runs there, `client` asks for it.

A hostile file can make a parser slow or hungry. So nothing here runs in the service: each job is a short-lived
process without credentials, with limits on memory, processor time and output, that the service can kill.
"""
