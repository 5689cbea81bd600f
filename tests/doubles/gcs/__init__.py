"""A double of Google Cloud Storage for all that needs a bucket: no public emulator is faithful for versions.

In a test:

    async with GcsServer() as gcs:       # or: with thread.serving(GcsServer()) as gcs, beside synchronous code
        gcs.make_bucket("workspaces")    # versioned, uniform access
        client = storage.Client(..., client_options={"api_endpoint": gcs.url})

as a process for gcsfuse and browsers: `python -m tests.doubles.gcs --bucket workspaces`, which prints its address and
is told what to do at `/-/...` (control.py). `tests.lab.gcsfuse.mounted` mounts it.

For tests: `clock.move(days=31)`, `apply_lifecycle(bucket)`, `fill(bucket, Fill(...))` (a million generations: 2.5 s and
260 MB), `delay`, `faults` (`GcsFault`), `log` (every call: who, what it was after, its answer), `ledger` (operations by
class, early deletion), `iam.enforced`, `iam.bind`, `accounts.token`, `desk.page_limit`, `desk.rewrite_chunk`,
`store.limits_rate`, `store.move_keeps_source`.

Faithful, and judged by google-cloud-storage, gcsfuse and a model (tests/contracts/test_gcs_double*.py):

* generations (microseconds, always rising), metagenerations, noncurrent versions and their times, tombstones by plain
  deletion, final deletion by generation, holds, custom times, storage classes, CMEK's name, soft deletion and restore;
* all preconditions on all methods, on sources, on parts of a composition, at both ends of a resumable upload: 412, 304;
* listings: bytes' order, then generation; prefix, delimiter, trailing delimiter, offsets, globs, versions, soft
  deletion, field masks that refuse what there is not, page tokens that survive changes and names with many versions;
* uploads by media, multipart and resumable (status, chunks, broken chunks, cancelling, a week's life, Go's 308), sums;
* copy, rewrite with tokens, compose, move, patch, update, batch; names that Cloud Storage refuses;
* the XML API's objects and multipart uploads (those of Google's transfer manager), cross-origin rules, V4 signed URLs
  with real RSA keys, signBlob, JWT grants;
* IAM policies with conditions on prefixes, of names and of listings; public access prevention;
* lifecycle: every condition, AND within a rule, Delete before classes, the coldest class, holds, minimum durations.

Simplified:

* no gRPC, XML listings, ACLs, HMAC keys, customer-supplied encryption keys, Autoclass, retention policies and locks,
  object contexts, decompression of gzip; folders and managed folders are only kept, without policies; notifications
  are never delivered; deleted buckets are gone; buckets, folders and notifications are listed in one page;
* one location: rewrites are done at once unless `rewrite_chunk` is set; everything is strongly consistent, in memory;
* lifecycle is applied when asked, at one moment; soft-deleted versions cost no minimum duration after their removal;
* rights are those of the roles in iam.py; legacy roles grant nothing but what is named there.

Our reading, where documentation is silent, to be checked on a real bucket: deletion with `generation=0` archives; a
move leaves a noncurrent source; a held live object refuses to be replaced; NotMatch gives 304 for writes, too (as
Google's own test server has it); pages of 5,000 also with `versions=true`; a copy does not take holds along.
"""

from .bulk import Fill
from .clock import Clock
from .faults import GcsFault, busy
from .server import GcsServer

__all__ = ["Clock", "Fill", "GcsFault", "GcsServer", "busy"]
