"""What stands beside Cloud Storage: IAM Credentials' signBlob, the token endpoint, the project's own account."""

from base64 import b64decode, b64encode

from .accounts import token_answer
from .calls import Answer, Call, Route, json_answer
from .desk import Desk
from .errors import ApiError

_OWN = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"


def sign_blob(desk: Desk, call: Call, name: str) -> Answer:
    """projects.serviceAccounts.signBlob, for who may sign as that account."""
    email = name.removesuffix(":signBlob")
    account = desk.accounts.known.get(email)
    if call.member is None:
        raise ApiError(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
    if account is None or not desk.accounts.may_sign(call.member, email):
        text = "Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist)."
        raise ApiError(403, "IAM_PERMISSION_DENIED", text)
    signed = account.sign(b64decode(call.json()["payload"]))
    return json_answer({"keyId": "k", "signedBlob": b64encode(signed).decode()})


def token(desk: Desk, call: Call) -> Answer:
    """An access token for a JWT that a service account's key signed."""
    try:
        made = desk.accounts.exchanged(call.form.get("assertion", ""), f"{call.base}/token")
    except ApiError as error:
        return json_answer({"error": "invalid_grant", "error_description": error.message}, status=error.status)
    return json_answer(token_answer(made))


def own_account(desk: Desk, call: Call, project: str) -> Answer:
    """projects.serviceAccount.get: who needs the right to use a bucket's key."""
    return json_answer({"kind": "storage#serviceAccount", "email_address": _OWN}, call.mask)


ROUTES = [
    Route("POST", "v1/projects/-/serviceAccounts/{}", "iam.signBlob", "free", sign_blob),
    Route("POST", "token", "oauth2.token", "free", token),
    Route("GET", "storage/v1/projects/{}/serviceAccount", "storage.serviceAccount.get", "B", own_account),
]
