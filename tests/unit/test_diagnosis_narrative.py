"""The page's story of a start, how long it usually takes, and that no input of a cluster breaks any of it."""

import copy
import json
import math
import random
from typing import Any

import pytest

from devplatform_hub.core.diagnosis.ending import diagnose_end, has_ended
from devplatform_hub.core.diagnosis.model import Finding, Waiting
from devplatform_hub.core.diagnosis.narrative import Narrator
from devplatform_hub.core.diagnosis.refusal import diagnose_refusal
from devplatform_hub.core.diagnosis.start import diagnose_start
from devplatform_hub.core.diagnosis.waits import WaitTimes, as_state, record_state

from .cluster_words import NOW, container, event, pod, scheduler_event, stamp, terminated, unplaced, waiting

SAID = [
    scheduler_event(
        "0/4 nodes are available: 4 Insufficient cpu. preemption: 0/4 nodes are available: 4 x.", 2, first=90
    ),
    event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 Insufficient cpu, 1 max node group size reached"),
    event("FailedScaleUp", "Node scale up in zones a-1 associated with this pod failed: GCE out of resources."),
    event("TriggeredScaleUp", "pod triggered scale-up: [{g 0->1 (max: 3)}]"),
    event("FailedMount", 'MountVolume.SetUp failed for volume "b" : rpc error: code = NotFound desc = x', count=9),
    event("Failed", 'Failed to pull image "r/x:1": 403 Forbidden'),
    event("BrandNewReason", "who knows"),
]
PODS = [
    unplaced(schedulingGates=[{"name": "kueue.x-k8s.io/admission"}]),
    unplaced(),
    pod(
        container(waiting=waiting("ImagePullBackOff", 'Back-off pulling image "r/x:1"')),
        init=(
            container("gke-gcsfuse-sidecar", waiting=waiting("CrashLoopBackOff"), last=terminated(137, "OOMKilled")),
        ),
        spec={"volumes": [{"name": "b", "csi": {"driver": "gcsfuse.csi.storage.gke.io"}}]},
        conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}],
        phase="Failed",
        reason="Evicted",
        message="The node was low on resource: memory. ",
    ),
    pod(container(waiting=waiting("CreateContainerConfigError", 'secret "s" not found')), startTime=stamp(60)),
]
JUNK: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        10**30,
        1.5,
        math.nan,
        "",
        "x" * 5000,
        "<script>\x1b[0m\u202e\x00",
        "2026-13-99",
        "0001-01-01",
    ),
    *([], {}, [None], {"state": None}, "9999-12-31T23:59:59+00:00", [[[]]], {"terminated": []}, "0/0: , 5 , 6"),
]
REFUSALS = [
    'pods "p" is forbidden: exceeded quota: team, requested: limits.memory=8Gi, used: limits.memory=1Gi, limited: a=1',
    "maximum memory usage per Container is 1Gi, but limit is 8Gi",
    'admission webhook "x" denied the request: why',
]


def mutilated(value: Any, dice: random.Random) -> Any:
    """`value` with parts of it left out, changed in kind, or replaced by junk."""
    if dice.random() < 0.04:
        return dice.choice(JUNK)
    if isinstance(value, dict):
        return {key: mutilated(inner, dice) for key, inner in value.items() if dice.random() > 0.03}
    if isinstance(value, list):
        return [mutilated(inner, dice) for inner in value if dice.random() > 0.03]
    if isinstance(value, str) and dice.random() < 0.1:
        place = dice.randrange(len(value) + 1)
        return value[:place] + dice.choice(["", "\x00<b>\u202e\n", ": ", ", 7 ", '"', "(", "z" * 3000]) + value[place:]
    return value


def test_no_input_breaks_it_and_all_text_is_bounded_plain_and_on_one_line() -> None:
    """Two thousand mutilated pods with mutilated events, seeded: always an answer, never a control character."""
    dice = random.Random(4)
    for _ in range(2000):
        made = mutilated(copy.deepcopy(dice.choice(PODS)), dice)
        events = [mutilated(copy.deepcopy(one), dice) for one in dice.sample(SAID, dice.randrange(len(SAID)))]
        if not isinstance(made, dict):
            continue
        events = [one for one in events if isinstance(one, dict)]
        before = copy.deepcopy((made, events))
        found = diagnose_start(made, events, now=NOW)
        ended = diagnose_end(dice.choice([made, None]), events)
        has_ended(made, NOW, 60)
        refusal = diagnose_refusal(
            dice.choice([400, 403, 422, 500]), mutilated({"message": dice.choice(REFUSALS)}, dice) or ""
        )
        assert repr((made, events)) == repr(before)
        assert found
        texts = [part for one in (*found, refusal) for part in (one.code, one.message, one.hint, one.detail)]
        for text in (*texts, ended.code, ended.message, ended.hint):
            assert len(text) <= 900
            assert text.isprintable()
        assert ended.message
        assert 0 <= ended.exit_code < 256


def test_the_bar_never_goes_back_nor_passes_95() -> None:
    """Whatever order the cluster tells its story in, and however long it takes."""
    dice = random.Random(5)
    for _ in range(200):
        narrator, shown = Narrator(), [0]
        for _ in range(30):
            finding = Finding("x", f"{dice.random()}.", waiting=dice.choice([None, *Waiting]))
            line = narrator.tell([finding], seconds=dice.randrange(-5, 100000))
            assert line is not None
            shown.append(line.percent)
        assert shown == sorted(shown)
        assert shown[-1] < 95


def test_the_bar_creeps_while_one_stage_goes_on() -> None:
    """Never to the next stage; each wait says how long it has been and how long it usually is."""
    narrator = Narrator()
    finding = Finding("scaling-up", "A machine is being added for your server.", waiting=Waiting.NODE)
    usual = "This usually takes 2 to 4 minutes."
    lines = [narrator.tell([finding], usual, seconds) for seconds in (0, 10, 60, 86400)]
    assert [line and (line.percent, line.message) for line in lines] == [
        (20, f"A machine is being added for your server. {usual}"),
        None,
        (27, f"A machine is being added for your server, for 1 minute now. {usual}"),
        (34, f"A machine is being added for your server, for 1 day now. {usual}"),
    ]


def test_a_place_that_was_given_up_is_told_once_to_each_page() -> None:
    """Also to a page that comes late."""
    moved = [("spot", Finding("no-capacity", "All machines of this kind are in use."))]
    narrator = Narrator()
    told = [[line.message for line in narrator.moved(moved)] for _ in range(2)]
    assert narrator.tell([]) is None
    assert told == [["All machines of this kind are in use. Trying the next place instead of spot."], []]


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"seconds": {"node": "long"}}, id="text"),
        pytest.param({"seconds": {"node": math.nan}}, id="not a number"),
        pytest.param({"seconds": {"node": math.inf}}, id="for ever"),
        pytest.param({"seconds": {"node": -60}}, id="a clock that was set back"),
        pytest.param({"seconds": {"elsewhere": 60}}, id="another release"),
    ],
)
def test_states_that_are_no_durations_are_passed_over(state: object) -> None:
    """They come from a database that other releases wrote."""
    times = WaitTimes()
    record_state(times, state)
    assert times.usual(Waiting.NODE, "") == ""


def test_wait_times_are_bounded() -> None:
    """Keys and durations are few; the oldest key goes first; a long key is cut alike both ways."""
    times = WaitTimes()
    long = "k" * 9999
    for number in range(600):
        record_state(times, json.loads(json.dumps(as_state({Waiting.NODE: 60.0}, f"{number}"))))
    times.record(Waiting.IMAGE, long, 60)
    assert (times.usual(Waiting.NODE, "0"), times.usual(Waiting.NODE, "599"), times.usual(Waiting.IMAGE, long)) == (
        "",
        "This usually takes about 1 minute.",
        "This usually takes about 1 minute.",
    )
