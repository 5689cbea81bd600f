"""What people and services do to others through the hub's REST API and its pages, for the audit.

JupyterHub tells nobody. Each change is one event, whether it was allowed, refused (403, or the 404 that the hub
gives to those who may see other people) or failed; what people do to their own servers and tokens is not. Visits
are `server_visits`, servers that were stopped `stop_notes`.
"""

import re
from collections.abc import Callable
from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers import groups, hub, services, shares, users
from jupyterhub.handlers.pages import AcceptShareHandler, SpawnHandler

from .noted_request import NotedRequest, short, some

_TOKEN_ID = re.compile(r"a\d{1,18}")
_READING = ("HEAD", "OPTIONS")


def note_change(handler: Any) -> None:
    """Write to the audit what this answered request changed for somebody else, or would have."""
    note = next((_NOTES[cls] for cls in type(handler).__mro__ if cls in _NOTES), None)
    method = handler.request.method
    if note is None or method in _READING or (method == "GET" and note is not _spawn_page):
        return
    request = NotedRequest.of(handler)
    if request is not None and request.outcome:
        note(request)


def _people(request: NotedRequest) -> None:
    names, said = request.texts("usernames"), _admin(request)
    if request.outcome != "allowed":
        request.report("person.add", some(names), said)
        return
    for name in dict.fromkeys(request.handler.authenticator.normalize_username(name) for name in names):
        user = request.handler.find_user(name)
        if user is not None and request.happened_since(user.created):  # others were there already
            request.report("person.add", name, said)


def _person(request: NotedRequest) -> None:
    name = request.arguments[0]
    if request.method == "POST":
        request.report("person.add", name, _admin(request))
    elif request.method == "DELETE":
        request.report("person.remove", name)
    else:
        # A state may hold tokens of the provider.
        said = [f"{key}={short(value)}" for key, value in request.body.items() if key in ("admin", "name")]
        request.report("person.edit", name, *said, *(["auth_state"] if "auth_state" in request.body else []))


def _admin(request: NotedRequest) -> str:
    return "admin=true" if request.body.get("admin") else ""


def _tokens(request: NotedRequest) -> None:
    name = request.arguments[0]
    said = [f"{key}: {some(request.texts(key))}" for key in ("roles", "scopes") if request.texts(key)]
    seconds = request.body.get("expires_in")
    said += [f"for {seconds} s"] if isinstance(seconds, int) else []
    request.report("token.make", name, *said, owner=name)


def _token(request: NotedRequest) -> None:
    name, token = request.arguments[:2]
    # Whatever stands there: somebody may have put the token itself.
    request.report("token.delete", name, token if _TOKEN_ID.fullmatch(token) else "", owner=name)


def _server(request: NotedRequest) -> None:
    owner, server = request.arguments[:2]
    target = f"{owner}/{server}"
    if request.method == "POST":
        chosen = request.body.get("user_options")
        profile = (chosen if isinstance(chosen, dict) else request.body).get("profile")
        request.report("server.start-for", target, f"profile={short(profile)}" if profile else "", owner=owner)
    elif request.method in ("PUT", "PATCH"):
        request.report("server.edit", target, some(request.body), owner=owner)
    elif request.outcome != "allowed":
        request.report("server.stop", target, owner=owner)


def _spawn_page(request: NotedRequest) -> None:
    owner, server = request.arguments[:2]
    if not owner or request.is_by(owner):
        return
    if request.outcome == "allowed":
        user = request.handler.find_user(owner)
        row = user.orm_spawners.get(server) if user else None
        if request.handler.get_status() != 302 or row is None or not request.happened_since(row.started):
            return  # the form, or a server that was there already
    request.report("server.start-for", f"{owner}/{server}", owner=owner)


def _groups(request: NotedRequest) -> None:
    names, members = request.texts("groups"), some(request.texts("users"))
    said = f"made with {members}" if members else "made"
    for name in names if request.outcome == "allowed" else [some(names)]:
        request.report("group.change", name, said)


def _group(request: NotedRequest) -> None:
    members = some(request.texts("users"))
    said = "deleted" if request.method == "DELETE" else f"made with {members}" if members else "made"
    request.report("group.change", request.arguments[0], said)


def _members(request: NotedRequest) -> None:
    verb = "removed" if request.method == "DELETE" else "added"
    request.report("group.change", request.arguments[0], f"{verb} {some(request.texts('users'))}")


def _properties(request: NotedRequest) -> None:
    request.report("group.change", request.arguments[0], f"properties {some(request.body)}")


def _share(request: NotedRequest) -> None:
    owner, server = request.arguments[:2]
    target = f"{owner}/{server}"
    whom = [f"{kind} {short(request.body[kind])}" for kind in ("user", "group") if request.body.get(kind)]
    scopes = some(request.texts("scopes"))
    if request.method == "POST":
        request.report("server.share", target, *whom, scopes)
    else:
        request.report("server.unshare", target, *(whom or ["everybody"]), scopes)


def _share_code(request: NotedRequest) -> None:
    target = "/".join(request.arguments[:2])
    if request.method == "POST":
        request.report("server.share", target, "whoever has the code", some(request.texts("scopes")))
    else:
        request.report("server.unshare", target, "a code, or all of them")


def _accepted_share(request: NotedRequest) -> None:
    code = orm.ShareCode.find(request.handler.db, code=request.handler.get_argument("code", ""))
    if code is not None:
        request.report("server.share", f"{code.owner.name}/{code.spawner.name}", "took a code")


def _one_share(kind: str) -> Callable[[NotedRequest], None]:
    def note(request: NotedRequest) -> None:
        whom, owner, server = request.arguments[:3]
        request.report("server.unshare", f"{owner}/{server}", f"{kind} {short(whom)}")

    return note


def _service(request: NotedRequest) -> None:
    said = "removed" if request.method == "DELETE" else "added"
    request.report("service.change", request.arguments[0], said, _admin(request))


def _shutdown(request: NotedRequest) -> None:
    request.report("hub.stop", "hub", "with servers" if request.body.get("servers") else "")


_NOTES: dict[type, Callable[[NotedRequest], None]] = {
    users.UserListAPIHandler: _people,
    users.UserAPIHandler: _person,
    users.UserTokenListAPIHandler: _tokens,
    users.UserTokenAPIHandler: _token,
    users.UserServerAPIHandler: _server,
    SpawnHandler: _spawn_page,
    groups.GroupListAPIHandler: _groups,
    groups.GroupAPIHandler: _group,
    groups.GroupUsersAPIHandler: _members,
    groups.GroupPropertiesAPIHandler: _properties,
    shares.ServerShareAPIHandler: _share,
    shares.ServerShareCodeAPIHandler: _share_code,
    shares.UserShareAPIHandler: _one_share("user"),
    shares.GroupShareAPIHandler: _one_share("group"),
    AcceptShareHandler: _accepted_share,
    services.ServiceAPIHandler: _service,
    hub.ShutdownAPIHandler: _shutdown,
}
