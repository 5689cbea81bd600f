"""Versions on one machine: metadata in SQLite, content kept once by its SHA-256, one process at a time.

What lies in the store's folder:

| name | what |
|---|---|
| `store.sqlite` | every file, version and tombstone; content of up to 32 KiB too |
| `blobs/ab/ab12…` | content of more than 32 KiB, named by its SHA-256 |
| `incoming/` | uploads under way; emptied at start |
| `key` | signs upload addresses; only the owner of the folder reads it |
| `lock` | held by the process that has the store open |

Everything that changes goes through one writer thread, which puts many changes into one transaction and answers
after it is durable. Content is durable before the row that names it, so a crash leaves orphans and never gaps.
"""
