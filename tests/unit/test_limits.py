"""What a person may have at once: rules and groups in, limits out; and what is said where there is no room."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devplatform_hub.core.access import Access, AccessRules, decide_access
from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import GroupName, parse_group
from devplatform_hub.core.limit_refusal import refusal
from devplatform_hub.core.limited_offers import use_of, within
from devplatform_hub.core.limits import Limit, LimitRule, PersonLimits, Quantity, Use, left_of, limits_of
from devplatform_hub.core.profiles import Capabilities, Catalog, Choice, Gpu, Offer, Profile, ProfileOption, offers
from devplatform_hub.core.session import SessionRequest, plan_session

GIB = 2**30
USERS, ADMINS, TEAM, LAB = (parse_group(name) for name in ("users", "admins", "team", "lab@example.com"))
CLUSTER = Capabilities()
STANDARD, TRAIN = Use("", "Standard", 2, 8 * GIB), Use("train", "High memory", 4, 16 * GIB)
GPU = Use("gpu", "GPU", 8, 32 * GIB, 1)


def access(*groups: GroupName) -> Access:
    return decide_access(groups, AccessRules(USERS, ADMINS))


def to(*groups: GroupName, **amounts: float) -> LimitRule:
    """A rule for members of these groups."""
    return LimitRule(frozenset(groups), **amounts)  # type: ignore[arg-type]


def limited(**amounts: float) -> PersonLimits:
    """What somebody has of whom only the rules for everybody are."""
    return limits_of(access(USERS), [to(**amounts)])


@pytest.mark.parametrize(
    ("rules", "person", "sentences"),
    [
        pytest.param([], access(USERS), [], id="no rules"),
        pytest.param([to(TEAM, servers=1)], access(USERS), [], id="no rule about them"),
        pytest.param(
            [to(servers=2, cpu=8, memory=24 * GIB, gpu=1)],
            access(USERS),
            [
                "At most 2 servers at once: the limit for everybody.",
                "At most 8 CPU in all servers together: the limit for everybody.",
                "At most 24 GB of memory in all servers together: the limit for everybody.",
                "At most 1 GPU in all servers together: the limit for everybody.",
            ],
            id="for everybody",
        ),
        pytest.param(
            [to(servers=1, cpu=4, gpu=0), to(TEAM, servers=3), to(LAB, cpu=8, servers=2)],
            access(USERS, TEAM, LAB),
            [
                "At most 3 servers at once: the limit for members of team.",
                "At most 8 CPU in all servers together: the limit for members of lab@example.com.",
                "No GPU at all: the limit for everybody.",
            ],
            id="each quantity on its own, the most generous",
        ),
        pytest.param(
            [to(TEAM, LAB, servers=3), to(LAB, servers=3), to(USERS, servers=2)],
            access(USERS, TEAM, LAB),
            ["At most 3 servers at once: the limit for members of lab@example.com or team."],
            id="several groups give the same",
        ),
        pytest.param(
            [to(TEAM, LAB, servers=3), to(servers=3)],
            access(USERS, TEAM),
            ["At most 3 servers at once: the limit for everybody."],
            id="no group is named for what everybody has",
        ),
        pytest.param(
            [to(servers=0), to(TEAM, servers=1)],
            access(USERS),
            ["No server at all: the limit for everybody."],
            id="none at all",
        ),
        pytest.param(
            [to(servers=2), to(TEAM, servers=4, gpu=1), to(ADMINS, servers=9)],
            access(ADMINS),
            ["At most 9 servers at once: the limit for members of admins."],
            id="administrators have the limits of their own groups",
        ),
        pytest.param(
            [to(TEAM, gpu=1)], access(ADMINS), [], id="a limit of another group's is none of an administrator's"
        ),
    ],
)
def test_each_quantity_has_the_most_generous_rule(rules: list[LimitRule], person: Access, sentences: list[str]) -> None:
    """With the group that gave it; without a rule about somebody there is no limit."""
    assert list(limits_of(person, rules).sentences) == sentences


AMOUNTS = st.one_of(st.none(), st.integers(0, 5))
RULES = st.lists(
    st.builds(LimitRule, st.frozensets(st.sampled_from([USERS, TEAM, LAB])), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
)


@given(RULES, st.frozensets(st.sampled_from([TEAM, LAB])), st.sampled_from([TEAM, LAB]))
def test_a_group_more_never_takes_anything_that_a_rule_gave(
    rules: list[LimitRule], groups: frozenset[GroupName], more: GroupName
) -> None:
    """Only what nobody limited can be limited by joining a group; and every limit is some rule's about the person."""
    before = {limit.quantity: limit.amount for limit in limits_of(access(USERS, *groups), rules).limits}
    person = access(USERS, *groups, more)
    after = limits_of(person, rules).limits
    assert all(limit.amount >= before.get(limit.quantity, 0) for limit in after)
    assert before.keys() <= {limit.quantity for limit in after}
    for limit in after:
        assert any(
            rule.amount(limit.quantity) == limit.amount
            and (rule.allowed_groups & person.groups or not rule.allowed_groups)
            for rule in rules
        )


@pytest.mark.parametrize(
    ("limits", "held", "asked"),
    [
        pytest.param({}, [STANDARD] * 50, GPU, id="no limits"),
        pytest.param({"servers": 1}, [], STANDARD, id="the first"),
        pytest.param({"servers": 2, "cpu": 6, "memory": 24 * GIB, "gpu": 0}, [TRAIN], STANDARD, id="exactly all"),
        pytest.param(
            {"cpu": 0.3}, [replace(STANDARD, cpu=0.1), replace(TRAIN, cpu=0.1)], Use("c", "", 0.1), id="tenths"
        ),
        pytest.param({"gpu": 1}, [GPU], STANDARD, id="a limit that is reached, of what is not asked for"),
    ],
)
def test_what_fits_is_not_refused(limits: dict[str, float], held: list[Use], asked: Use) -> None:
    """Up to the limit itself."""
    assert refusal(limited(**limits), held, asked) is None


@pytest.mark.parametrize(
    ("limits", "held", "asked", "status", "message", "hint"),
    [
        pytest.param(
            {"servers": 1},
            [STANDARD],
            TRAIN,
            409,
            "High memory cannot be started now. The limit for everybody is 1 server at once; you have 1."
            " You have the default server (Standard: 2 CPU, 8 GB of memory).",
            "Stop the default server on the page Home, then try again.",
            id="servers",
        ),
        pytest.param(
            {"memory": 40 * GIB, "cpu": 8},
            [STANDARD, TRAIN],
            replace(GPU, cpu=2),
            409,
            "GPU cannot be started now. The limit for everybody is 40 GB of memory in all servers together;"
            " this server needs 32 GB and 16 GB are left. You have the default server (Standard: 2 CPU, 8 GB of memory)"
            " and 'train' (High memory: 4 CPU, 16 GB of memory).",
            "Stop 'train' on the page Home, then try again.",
            id="one that is large enough",
        ),
        pytest.param(
            {"cpu": 7, "gpu": 1},
            [STANDARD, replace(TRAIN, gpu=1)],
            Use("x", "Big", 3, GIB, 1),
            409,
            "Big cannot be started now. The limit for everybody is 7 CPU in all servers together;"
            " this server needs 3 and 1 is left. The limit for everybody is 1 GPU in all servers together;"
            " this server needs 1 and none is left. You have the default server (Standard: 2 CPU, 8 GB of memory)"
            " and 'train' (High memory: 4 CPU, 16 GB of memory, 1 GPU).",
            "Stop 'train' on the page Home, then try again.",
            id="two limits at once",
        ),
        pytest.param(
            {"servers": 2},
            [STANDARD, TRAIN],
            GPU,
            409,
            "GPU cannot be started now. The limit for everybody is 2 servers at once; you have 2."
            " You have the default server (Standard: 2 CPU, 8 GB of memory)"
            " and 'train' (High memory: 4 CPU, 16 GB of memory).",
            "Stop the default server or 'train' on the page Home, then try again.",
            id="any of them",
        ),
        pytest.param(
            {"servers": 1},
            [STANDARD, replace(TRAIN, stopping=True), replace(GPU, server="")],
            GPU,
            409,
            "GPU cannot be started now. The limit for everybody is 1 server at once; you have 3."
            " You have the default server (Standard: 2 CPU, 8 GB of memory), 'train' (High memory: 4 CPU,"
            " 16 GB of memory, stopping) and the default server (GPU: 8 CPU, 32 GB of memory, 1 GPU).",
            "Stop the default server and the default server on the page Home, then try again.",
            id="all of them, after a limit was lowered",
        ),
        pytest.param(
            {"servers": 1},
            [replace(TRAIN, stopping=True)],
            STANDARD,
            409,
            "Standard cannot be started now. The limit for everybody is 1 server at once; you have 1."
            " You have 'train' (High memory: 4 CPU, 16 GB of memory, stopping).",
            "Wait until 'train' has stopped, then try again.",
            id="one that stops already",
        ),
        pytest.param(
            {"servers": 1},
            [Use("<b>\n", "")],
            STANDARD,
            409,
            "Standard cannot be started now. The limit for everybody is 1 server at once; you have 1."
            r" You have '<b>\n'.",
            r"Stop '<b>\n' on the page Home, then try again.",
            id="one of which nothing is known, on one line",
        ),
        pytest.param(
            {"memory": 8 * GIB, "servers": 1, "gpu": 0},
            [STANDARD],
            GPU,
            403,
            "GPU cannot be started. The limit for everybody is 8 GB of memory in all servers together; this server"
            " needs 32 GB. The limit for everybody is no GPU; this server needs 1.",
            "Choose something smaller, or ask an administrator which group gives more.",
            id="too much for ever",
        ),
    ],
)
def test_a_refusal_says_which_limit_what_there_is_and_what_to_stop(
    limits: dict[str, float], held: list[Use], asked: Use, status: int, message: str, hint: str
) -> None:
    """With a code that stays, and a status that tells what helps from what does not."""
    refused = refusal(limited(**limits), held, asked)
    assert isinstance(refused, PublicError)
    assert (refused.code, refused.status, refused.message, refused.hint) == ("limit-reached", status, message, hint)


def test_a_refusal_stays_short_and_names_enough_to_stop() -> None:
    """Of a hundred servers the largest are named first."""
    held = [Use(f"s{number}", "Small", 1, GIB) for number in range(98)] + [TRAIN, GPU]
    refused = refusal(limited(memory=(98 + 16 + 32) * GIB), held, Use("x", "Huge", 1, 50 * GIB))
    assert refused is not None
    assert refused.hint == "Stop 'gpu', 'train', 's0' and 's1' on the page Home, then try again."
    assert refused.message.endswith("'s4' (Small: 1 CPU, 1 GB of memory) and 95 more.")
    many = refusal(limited(servers=100), held, STANDARD)
    assert many is not None
    assert many.hint == "Stop 's0', 's1', 's2', 's3', 's4' or 's5' on the page Home, then try again."


USES = st.builds(Use, st.text(max_size=3), st.just("P"), *[st.integers(0, 9)] * 3, st.booleans())
LIMITS = st.fixed_dictionaries(
    {}, optional={"servers": st.integers(0, 9), "cpu": st.integers(0, 20), "gpu": st.integers(0, 20)}
)


@given(LIMITS, st.lists(USES, max_size=9), USES)
def test_nothing_passes_that_is_too_much_and_every_refusal_is_told(
    limits: dict[str, float], held: list[Use], asked: Use
) -> None:
    """Whatever there is: a start is refused exactly when a sum is above its limit."""
    found = limited(**limits)
    sums = {
        "servers": len(held) + 1,
        "cpu": sum(use.cpu for use in held) + asked.cpu,
        "gpu": sum(use.gpu for use in held) + asked.gpu,
    }
    refused = refusal(found, held, asked)
    assert (refused is not None) == any(sums[name] > limits[name] for name in limits)
    assert refused is None or (refused.hint and refused.message.count("The limit for") >= 1)


def test_what_a_server_holds_survives_as_json() -> None:
    """Its name is that of its row, which may be another by then."""
    assert Use.from_state("other", GPU.as_state()) == replace(GPU, server="other")
    assert Use.from_state("other", {}) == Use("other", "")


def test_what_is_left_is_never_less_than_nothing() -> None:
    """Who lost a group may have more than they may have."""
    assert left_of(Limit(Quantity.CPU, 3), [STANDARD, TRAIN]) == 0
    assert left_of(Limit(Quantity.CPU, 6.5), [STANDARD, TRAIN]) == 0.5


SIZE = ProfileOption(
    "size",
    "Size",
    (
        Choice("small", "Small", default=True),
        Choice("large", "Large", memory=32 * GIB),
        Choice("closed", "Closed", memory=GIB, allowed_groups=frozenset({TEAM})),
    ),
)
PROFILES = Catalog(
    (
        Profile("standard", "Standard", "", 2, 8 * GIB, default=True, options=(SIZE,)),
        Profile("gpu", "GPU", "", 8, 32 * GIB, gpu=Gpu(2)),
        Profile("team", "Team", "", 64, GIB, allowed_groups=frozenset({TEAM})),
    )
)


def judged(held: list[Use], place: Capabilities = CLUSTER, **amounts: float) -> list[tuple[str, tuple[str, ...], bool]]:
    shown = within(offers(PROFILES, access(USERS), place), limited(**amounts), held, place)
    return [(offer.profile.slug, offer.reasons, offer.limited) for offer in shown]


CLOSED = ("team", ("Only for members of team.",), False)


@pytest.mark.parametrize(
    ("held", "amounts", "standard", "gpu"),
    [
        pytest.param([TRAIN], {}, (), (), id="no limits"),
        pytest.param([TRAIN], {"servers": 2, "memory": 48 * GIB, "gpu": 2}, (), (), id="all fit"),
        pytest.param(
            [TRAIN],
            {"servers": 1},
            ("Your limit of 1 server at once is reached.",),
            ("Your limit of 1 server at once is reached.",),
            id="no server more",
        ),
        pytest.param([], {"servers": 0}, ("You may have no server.",), ("You may have no server.",), id="no server"),
        pytest.param(
            [TRAIN],
            {"memory": 32 * GIB, "cpu": 5},
            ("Needs 2 CPU; 1 of your 5 is left.",),
            (
                "Needs 8 CPU; you may have 5 in all your servers together.",
                "Needs 32 GB of memory; 16 GB of your 32 GB are left.",
            ),
            id="too much now, and too much for ever",
        ),
        pytest.param([GPU], {"gpu": 2}, (), ("Needs 2 GPUs; 1 of your 2 is left.",), id="GPUs"),
        pytest.param([GPU, GPU], {"gpu": 2}, (), ("Needs 2 GPUs; none of your 2 is left.",), id="no GPU is left"),
        pytest.param([], {"gpu": 0}, (), ("Needs 2 GPUs; you may have none.",), id="no GPU ever"),
    ],
)
def test_what_does_not_fit_any_more_is_not_available(
    held: list[Use], amounts: dict[str, float], standard: tuple[str, ...], gpu: tuple[str, ...]
) -> None:
    """With the reason; what is closed anyway keeps its own."""
    shown = [("standard", standard, bool(standard)), ("gpu", gpu, bool(gpu)), CLOSED]
    assert judged(held, **amounts) == shown


def test_a_machine_that_gives_less_than_the_profile_asks_for_less_of_a_limit() -> None:
    """The default profile gets what there is, so that counts."""
    laptop = Capabilities(cpu=1, memory=4 * GIB)
    assert judged([], laptop, cpu=1, memory=4 * GIB)[0] == ("standard", (), False)
    assert judged([], cpu=1)[0] == ("standard", ("Needs 2 CPU; you may have 1 in all your servers together.",), True)


def choices(offer: Offer) -> list[tuple[str, str, bool]]:
    return [(one.choice.slug, one.reason, one.limited) for option in offer.options for one in option.choices]


def test_choices_are_judged_one_by_one() -> None:
    """A profile is there as long as one of its open choices fits; what is closed anyway keeps its reason."""
    shown = within(offers(PROFILES, access(USERS), CLUSTER), limited(memory=30 * GIB), [TRAIN], CLUSTER)
    assert shown[0].available
    assert choices(shown[0]) == [
        ("small", "", False),
        ("large", "Needs 32 GB of memory; you may have 30 GB in all your servers together.", True),
        ("closed", "Only for members of team.", False),
    ]
    # The smallest choice is not open to them, so it does not keep the profile available.
    shown = within(offers(PROFILES, access(USERS), CLUSTER), limited(memory=20 * GIB), [TRAIN], CLUSTER)
    assert shown[0].reasons == ("Needs 8 GB of memory; 4 GB of your 20 GB are left.",)
    shown = within(offers(PROFILES, access(USERS, TEAM), CLUSTER), limited(memory=20 * GIB), [TRAIN], CLUSTER)
    assert choices(shown[0]) == [
        ("small", "Needs 8 GB of memory; 4 GB of your 20 GB are left.", True),
        ("large", "Needs 32 GB of memory; you may have 20 GB in all your servers together.", True),
        ("closed", "", False),
    ]


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([None, 1, 4]), st.sampled_from([None, GIB, 4 * GIB])), min_size=1, max_size=3
        ),
        max_size=3,
    ),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_whatever_can_be_chosen_and_fits_is_offered(
    asked: list[list[tuple[float | None, int | None]]], cpu: int, memory: int
) -> None:
    """Nothing that a start would let through is shown as not available, however options and choices meet."""
    options = tuple(
        ProfileOption(
            f"o{n}",
            f"O{n}",
            tuple(Choice(f"c{m}", "", default=m == 0, cpu=c, memory=g) for m, (c, g) in enumerate(pairs)),
        )
        for n, pairs in enumerate(asked)
    )
    catalog = Catalog((Profile("p", "P", "", 2, 2 * GIB, default=True, options=options),))
    limits, person = limited(cpu=cpu, memory=memory * GIB), access(USERS)
    (shown,) = within(offers(catalog, person, CLUSTER), limits, [], CLUSTER)
    picks: list[dict[str, str]] = [{}]
    for option in options:
        picks = [pick | {option.slug: choice.slug} for pick in picks for choice in option.choices]
    for pick in picks:
        plan = plan_session(SessionRequest("p", None, pick), catalog, person, CLUSTER)
        if refusal(limits, [], use_of(plan, "")) is None:
            assert shown.available
            for option in shown.options:
                assert not next(one for one in option.choices if one.choice.slug == pick[option.option.slug]).reason
