"""Between two trials the merge stays in the model if nobody waits for it: only what is new is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lib_optim.hosts.live import TableSession
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.merging.merger import Merger, MergeReport
from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Value
from lib_optim.plan.run_plan import Budget
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.search.study import Search, Suggestion
from tests.rig import Rig

FIRST: Mapping[str, Value] = {"BASE_alpha": 0.3, "in_alpha": 0.2, "out_alpha": 0.7}


class Watch:
    """What is merged, and how often the model is taken."""

    def __init__(self, patch: pytest.MonkeyPatch, points: list[Mapping[str, Value]]) -> None:
        self.reports: list[MergeReport] = []
        self.opened = 0
        write, opened = Merger.write, TableSession.live_weights

        def recorded(merger: Merger, *arguments: Any) -> MergeReport:
            self.reports.append(write(merger, *arguments))
            return self.reports[-1]

        def counted(session: TableSession) -> Any:
            self.opened += 1
            return opened(session)

        patch.setattr(Merger, "write", recorded)
        patch.setattr(TableSession, "live_weights", counted)
        patch.setattr(Search, "suggest", lambda _, number: Suggestion(points[min(number, len(points) - 1)], "test"))


def test_only_the_block_that_changed_is_merged_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    second = {**FIRST, "in_alpha": 0.9}
    watch = Watch(monkeypatch, [FIRST, second])
    rig.run()
    assert watch.opened == 1
    first, again = watch.reports
    changed = set(again.written)
    assert changed
    assert {str(block_map("sd1").block_of(key))[:2] for key in changed} == {"IN", "TI"}, "TIME follows"
    assert set(first.written) - changed <= set(again.kept)
    assert rig.has_originals()
    (rig.folder / "alone").mkdir()
    alone = Rig(rig.folder / "alone", rig.models)
    watch = Watch(monkeypatch, [second])
    alone.run(alone.plan(budget=Budget(1)))
    ours, theirs = rig.stored().pixels(), alone.stored().pixels()
    assert [ours[1, image] for image in (0, 1)] == [theirs[0, image] for image in (0, 1)]


def test_whoever_waits_gets_the_model_between_two_trials(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(monkeypatch, [FIRST])
    monkeypatch.setattr(StandaloneHost, "others_waiting", lambda _: True)
    rig.manager.start(rig.plan())
    rig.until(lambda: rig.states() == ["complete"] * 2 and not rig.manager.active)
    assert watch.opened == 2
    monkeypatch.undo()
    assert rig.has_originals()


def test_a_person_who_scores_leaves_the_model_to_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(monkeypatch, [FIRST])
    rig.manager.start(rig.plan(scorers=(ScorerSpec("manual"),)))
    rig.until_state("waiting")
    assert watch.opened == 1
    assert rig.has_originals()
    rig.manager.stop()
    rig.end()


def test_a_tensor_altered_between_two_trials_fails_the_second(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(monkeypatch, [FIRST, {**FIRST, "in_alpha": 0.9}])
    suggest, altered = Search.suggest, []

    def alter(search: Search, number: int) -> Suggestion:
        if number == 1 and not altered:
            (key,) = [key for key in watch.reports[0].written if key.endswith("out.2.weight")]
            altered.append(key)
            rig.host.model().tensor(rig.host.model().table.sources[key].targets[0].name).data.mul_(1.01)
        return suggest(search, number)

    monkeypatch.setattr(Search, "suggest", alter)
    rig.manager.start(rig.plan())
    rig.end(errors=1)
    assert rig.states() == ["complete", "failed", "complete"]
    assert "1 tensors" in rig.trials()[1]["reason"]
    assert rig.has_originals()
