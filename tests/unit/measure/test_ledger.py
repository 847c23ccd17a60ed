"""Which cases a call measures, and whose earlier blocks it replaces."""

from bench.interfaces.backend import Target
from bench.interfaces.block import Block
from bench.interfaces.case import Case
from bench.interfaces.tensors import IOSpec
from bench.measure.ledger import Ledger
from bench.plan.refusals import PREPARE
from bench.prepare.prepare import Prepared

ONE, OTHER = (Case("resnet50", "c", 1, None, name, Target()) for name in ("b0", "b1"))
READY = Prepared(None, IOSpec((), ()))
PREPARED = {ONE.id: READY, OTHER.id: READY}
CRASHED = Block(ONE.id, 0, 0, "crashed")


def test_what_failed_is_tried_again_unless_it_is_to_be_left() -> None:
    assert Ledger.of([CRASHED], PREPARED, retry=True).runnable([ONE, OTHER]) == [ONE, OTHER]
    left = Ledger.of([CRASHED], PREPARED, retry=False)
    assert left.runnable([ONE, OTHER]) == [OTHER]
    assert left.replaced([ONE, OTHER]) == set()


def test_what_has_no_model_file_now_is_out_and_keeps_its_row() -> None:
    row = Block(ONE.id, 0, 0, "failed", reason=f"{PREPARE}no memory")
    ledger = Ledger.of([row], {ONE.id: Prepared(None, IOSpec((), ()), error="no memory")}, retry=True)
    assert ledger.runnable([ONE]) == []
    assert ledger.replaced([ONE]) == set()


def test_unsupported_stays_out_but_for_a_model_file_that_is_there_now() -> None:
    by_worker = Block(ONE.id, 0, 0, "unsupported", reason="no such device")
    by_converter = Block(OTHER.id, 0, 0, "unsupported", reason=f"{PREPARE}no such operation")
    assert Ledger.of([by_worker, by_converter], PREPARED, retry=True).runnable([ONE, OTHER]) == [OTHER]


def test_new_blocks_replace_those_without_figures_once() -> None:
    measured, other = Block(ONE.id, 0, 0, "ok"), Block(OTHER.id, 0, 0, "ok")
    ledger = Ledger.of([measured, other, CRASHED], PREPARED, retry=True)
    assert ledger.replaced([ONE, OTHER]) == {ONE.id}
    found = [Block(ONE.id, 1, 1, "crashed"), Block(OTHER.id, 1, 1, "ok", actual={"device": "cpu"})]
    ledger.enter(found, {ONE.id})
    assert ledger.blocks == [measured, other, *found]
    assert ledger.replaced([ONE, OTHER]) == set()
    assert ledger.runnable([ONE, OTHER]) == [OTHER]
    assert ledger.proven == {OTHER.id}
