"""`devplatform check storage`: whether the bucket keeps what the policy promises.

Exit status: 0 nothing that is needed is missing, 3 something is.
"""

import asyncio
import json
from collections.abc import Mapping

import click

from devplatform_hub.core.findings import Finding, exit_status, told

from .bucket_check import Wanted
from .lifecycle import bucket_lifecycle


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
    settings = {"bucket": bucket, "signer_email": signer, "api_root": api_root, "iam_root": iam_root}
    findings = asyncio.run(_checked(settings, Wanted(location, kms_key)))
    click.echo(told(findings, as_json=as_json))
    ctx.exit(exit_status(findings))


async def _checked(settings: Mapping[str, str], wanted: Wanted) -> tuple[Finding, ...]:
    from .gcs.check import check_storage
    from .gcs.store import GCSVersionStore  # Google's client takes a moment, which `--help` need not wait

    store = GCSVersionStore(**settings)
    await store.open()
    try:
        return await check_storage(store, wanted)
    finally:
        await store.close()
