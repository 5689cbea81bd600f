"""What the audit is told of decisions about people who are signed in: refreshes, changes, outages and their end."""

from ..servicekit import audit

_OUTAGES_AT_MOST = 10_000
"""People of whom it is remembered what was said of them while the directory does not answer."""


class AccessNotes:
    """Writes the lines; what repeats at every request while the directory is away is written once.

    `refreshes` is whether refreshes that changed nothing are written too.
    """

    def __init__(self, *, refreshes: bool) -> None:
        self._refreshes = refreshes
        self._without_answer: dict[str, bool] = {}

    def signed_in(self, name: str, outcome: str, why: str, remote: str) -> None:
        """Somebody asked to come in."""
        audit.emit("person.sign-in", actor=name, outcome=outcome, why=why, remote=remote)

    def refreshed(self, name: str, why: str) -> None:
        """The whole decision was taken again, and nothing is different."""
        if self._refreshes:
            audit.emit("person.refresh", actor="platform", target=name, outcome="allowed", why=why)

    def changed(self, name: str, what: str) -> None:
        """Groups, roles, or whether they administer are different."""
        audit.emit("person.change", actor="platform", target=name, outcome="allowed", why=what)

    def revoked(self, name: str, why: str) -> None:
        """They may not come in any more."""
        audit.emit("person.revoke", actor="platform", target=name, outcome="allowed", why=why)

    def answered(self, name: str) -> None:
        """The directory has answered about this person: a later outage is a new one."""
        self._without_answer.pop(name, None)

    def unanswered(self, name: str, age: float | None, *, stays: bool) -> None:
        """The directory cannot answer about this person, who stays by the answer of `age` seconds ago, or does not."""
        if self._without_answer.get(name) is stays:
            return
        self._without_answer[name] = stays
        if len(self._without_answer) > _OUTAGES_AT_MOST:
            del self._without_answer[next(iter(self._without_answer))]
        if stays:
            outcome, why = "failed", f"keeps the answer of {age or 0:.0f} s ago"
        else:
            outcome, why = (
                "refused",
                "has no answer yet" if age is None else f"the answer of {age:.0f} s ago is too old",
            )
        why = f"directory-unavailable, {why}"
        audit.emit("person.refresh", actor="platform", target=name, outcome=outcome, why=why)
