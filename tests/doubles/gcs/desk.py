"""What every handler has at hand: the store, who may do what, open uploads and copies under way."""

from dataclasses import dataclass, field

from .accounts import Accounts
from .bucket import Bucket
from .calls import Call
from .iam import Iam, denied
from .sessions import Rewrite, Upload
from .store import Store


@dataclass
class Desk:
    """`page_limit` is the largest page of a listing. `rewrite_chunk`, when set, makes a rewrite of more bytes than
    that take several calls, as large ones between locations do."""

    store: Store
    iam: Iam = field(default_factory=Iam)
    accounts: Accounts = field(default_factory=Accounts)
    uploads: dict[str, Upload] = field(default_factory=dict)
    rewrites: dict[str, Rewrite] = field(default_factory=dict)
    page_limit: int = 5000
    rewrite_chunk: int | None = None

    def allow(
        self, call: Call, permission: str, bucket: Bucket | None, name: str | None = None, listed: str | None = None
    ) -> None:
        """Note what the call is after. Raises ApiError: 401 or 403 when the caller may not."""
        if bucket is not None and name is not None:
            call.touched.append(f"{bucket.name}/{name}")
        elif bucket is not None and listed is not None:
            call.touched.append(f"{bucket.name}/{listed}*")
        if not self.iam.allows(call.member, permission, bucket, name, listed):
            raise denied(call.member, permission, "bucket." if name is None else "object.")
