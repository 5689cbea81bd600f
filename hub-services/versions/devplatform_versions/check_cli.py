"""`devplatform check storage`: whether the bucket keeps what the policy promises.

Exit status: 0 nothing that is needed is missing, 3 something is.
"""

import asyncio
import json

import click

from devplatform_hub.core.findings import Finding, lines_of

from .bucket_check import Wanted
from .lifecycle import bucket_lifecycle

_MISSING = 3


@click.command(epilog="Exit status: 0 nothing that is needed is missing, 3 something is.")
@click.option("--bucket", required=True, metavar="NAME", help="The bucket of GCSVersionStore.")
@click.option("--location", default="", metavar="REGION", help="Where it has to be, such as europe-west4.")
@click.option("--kms-key", default="", metavar="KEY", help="projects/.../cryptoKeys/...: by which it has to encrypt.")
@click.option("--signer", default="", metavar="EMAIL", help="The service account that signs upload addresses.")
@click.option("--api-root", default="https://storage.googleapis.com", show_default=True, help="Where Cloud Storage is.")
@click.option("--iam-root", default="https://iamcredentials.googleapis.com", help="Where IAM Credentials is.")
@click.option("--lifecycle", is_flag=True, help="Print the rules that the bucket has to have, and ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.pass_context
def storage(
    ctx: click.Context,
    bucket: str,
    location: str,
    kms_key: str,
    signer: str,
    api_root: str,
    iam_root: str,
    lifecycle: bool,
    as_json: bool,
) -> None:
    """Versioning, lifecycle, flat namespace, access, encryption, soft delete, location, and the service's rights."""
    if lifecycle:
        click.echo(json.dumps(bucket_lifecycle(), indent=2))
        return
    from .gcs.store import GCSVersionStore  # Google's client takes a moment

    store = GCSVersionStore(bucket=bucket, signer_email=signer, api_root=api_root, iam_root=iam_root)
    findings = asyncio.run(_checked(store, Wanted(location, kms_key)))
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        click.echo("\n".join(lines_of(findings)))
    ctx.exit(_MISSING if any(finding.needed and not finding.works for finding in findings) else 0)


async def _checked(store: object, wanted: Wanted) -> tuple[Finding, ...]:
    from .gcs.check import check_storage
    from .gcs.store import GCSVersionStore

    assert isinstance(store, GCSVersionStore)  # noqa: S101
    await store.open()
    try:
        return await check_storage(store, wanted)
    finally:
        await store.close()
