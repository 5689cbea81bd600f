"""Who may do what in MLflow: every route of the tracking server, and pure decisions about requests to it.

An experiment belongs to the person who made it (tag `devplatform.owner`, which only this proxy writes); runs, traces,
logged models and artifacts belong to whoever owns their experiment; a registered model to the person who made it.
Owners and administrators write. Everybody on the platform reads, unless the operator makes reading the owner's too.
What nobody owns, such as MLflow's experiment "Default", only administrators write.
"""

from .decisions import Requester, Visibility, decide
from .matching import match
from .model import Access, Answer, Body, Kind, Listing, Match, Rule, Target
from .naming import OWNER_TAG, home_experiments
from .requests import canonical_body, targets_of
from .rewrites import rewrite

__all__ = [
    "OWNER_TAG",
    "Access",
    "Answer",
    "Body",
    "Kind",
    "Listing",
    "Match",
    "Requester",
    "Rule",
    "Target",
    "Visibility",
    "canonical_body",
    "decide",
    "home_experiments",
    "match",
    "rewrite",
    "targets_of",
]
