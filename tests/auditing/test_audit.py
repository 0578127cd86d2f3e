"""The audit names each cause, alone and combined, and is silent on a correct EM."""

from typing import Any

import numpy as np
import pytest

from mixcompare.auditing import State, audit
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import REGISTRY, candidate
from mixcompare.auditing.traced_problem import (
    build_problem,
    determined,
    difference,
    exact_m_step,
    perform,
)
from mixcompare.backends.em.mixture import maximise
from tests.audit_cases import SPEC, flat, hard, load_program, textbook
from tests.em_cases import STRUCTURES, Case, build, random_parameters
from tests.raw_referee import raw_unit_log_likelihood

# A segment that empties leaves the faulty program's design without full rank.
pytestmark = pytest.mark.filterwarnings(
    "ignore::statsmodels.tools.sm_exceptions.SingularMatrixWarning"
)
program = load_program()

SCALE = "variance from the stacked regression's scale"
MISALIGNED = "weights in observation-major order"
RAW = "E-step without the effects"
ROWS = "counts rows that absorption has used"


def run(shuffle: bool = False, iterations: int = 12, **faults: bool) -> tuple[Any, dict[str, Any]]:
    """Panel and trace of the study's program."""
    panel, *_ = program.simulate(1, artists=18, countries=3, days=12)
    if shuffle:
        panel = panel.sample(frac=1, random_state=0).reset_index(drop=True)
    return panel, program.Program(panel, 3, program.Faults(**faults)).run(iterations, 0)


COMBINATIONS = [
    ({"scale": True}, {SCALE}),
    ({"observation_major": True}, {MISALIGNED}),
    ({"raw": True}, {RAW}),
    ({"raw": True, "scale": True}, {RAW, SCALE}),
    ({"raw": True, "observation_major": True}, {RAW, MISALIGNED}),
    ({"scale": True, "observation_major": True}, {SCALE, MISALIGNED}),
    ({"raw": True, "scale": True, "observation_major": True}, {RAW, SCALE, MISALIGNED}),
    ({"observation_major": True, "rows": True}, {MISALIGNED, ROWS}),
]


@pytest.mark.parametrize(("faults", "causes"), COMBINATIONS)
def test_the_known_causes_are_named_alone_and_together(
    faults: dict[str, bool], causes: set[str]
) -> None:
    panel, trace = run(**faults)
    found = audit(SPEC, panel, trace)
    assert set(found.causes) == causes
    assert not found.passed
    assert found.iterations["falls"].any()
    for cause in causes:
        assert cause in found.finding


def test_sizes_are_those_of_the_causes() -> None:
    panel, trace = run(scale=True, observation_major=True)
    table = audit(SPEC, panel, trace).findings.set_index("cause")
    n, cells, p, k = len(panel), panel.groupby(["artist", "country"]).ngroups, 3, 3
    # The divisor is statsmodels' rows less rank of the threefold stacked design.
    assert table["size"].to_dict()[SCALE] == pytest.approx((n - cells) / (k * n - k * p), rel=0.01)
    assert table["size"].to_dict()[MISALIGNED] > 0.05
    assert min(table["cost"]) > 1


def test_the_variance_alone_has_its_exact_ratio() -> None:
    panel, trace = run(scale=True)
    found = audit(SPEC, panel, trace)
    n, cells = len(panel), panel.groupby(["artist", "country"]).ngroups
    ratio = (n - cells) / (3 * n - 9)
    assert found.findings["size"].to_list() == pytest.approx([ratio])
    assert found.iterations["variance_ratio"][1:].to_numpy() == pytest.approx(ratio)
    assert found.iterations["coefficients_error"].max() < 1e-9


def test_misalignment_follows_the_tables_order_of_rows() -> None:
    panel, trace = run(shuffle=True, observation_major=True)
    assert audit(SPEC, panel, trace).causes == (MISALIGNED,)


@pytest.mark.parametrize("faults", [{}, {"effects_added_back": True}])
def test_a_correct_program_passes_also_with_effects_added_back(faults: dict[str, bool]) -> None:
    panel, trace = run(shuffle=True, **faults)
    found = audit(SPEC, panel, trace)
    assert found.passed
    assert found.causes == ()
    assert "No fault found" in found.finding
    assert not found.iterations["falls"].any()


def test_counting_all_rows_is_a_note_and_exact_for_its_own_objective() -> None:
    panel, trace = run(rows=True)
    found = audit(SPEC, panel, trace)
    assert found.causes == (ROWS,)
    assert found.passed
    assert found.findings["size"].to_list() == pytest.approx([11 / 12])
    assert "falls in 0 of 12 steps" in found.finding
    own = audit(SPEC, panel, trace, counts="rows")
    assert own.causes == ()
    assert not own.iterations["falls"].any()


def test_effects_of_the_pooled_fit_are_not_the_classes_own() -> None:
    panel, _ = run()
    correct = program.Program(panel, 3, program.Faults())
    pooled = np.linalg.lstsq(correct.x.to_numpy(), correct.y.to_numpy(), rcond=None)[0]
    rest = panel["streams"] - panel[program.COVARIATES].to_numpy() @ pooled
    effects = rest.groupby([panel["artist"], panel["country"]]).transform("mean").to_numpy()

    def residuals(coefficients: Any) -> Any:
        prediction = panel[program.COVARIATES].to_numpy() @ coefficients.T
        return panel["streams"].to_numpy()[:, None] - effects[:, None] - prediction

    correct.residuals = residuals
    found = audit(SPEC, panel, correct.run(12, 0))
    assert found.causes == ("E-step adds the pooled fit's effects back",)


def test_m_step_on_raw_data() -> None:
    panel, _ = run()
    wrong = program.Program(panel, 3, program.Faults())
    wrong.stacked_y = np.tile(panel["streams"], 3)
    wrong.stacked_x = np.kron(np.eye(3), panel[program.COVARIATES])
    assert audit(SPEC, panel, wrong.run(12, 0)).causes == ("M-step without removing the effects",)


TEXTBOOK: list[tuple[dict[str, Any], str]] = [
    ({"expectation": flat}, "E-step without the class weights"),
    ({"expectation": hard}, "hard assignment"),
    ({"deviation": lambda v: v}, "variance used as standard deviation"),
    ({"weights": lambda tau, n: n @ tau / n.sum()}, "weights count rows instead of units"),
    (
        {"weights": lambda tau, n: tau.sum(axis=0) / n.sum()},
        "weights divided by the number of rows",
    ),
    ({"rows_weight": np.square}, "regression weights squared"),
    ({"divisor": lambda mass, n, p: mass - p}, "variance divisor less the coefficients"),
    ({"divisor": lambda mass, n, p: n - p}, "variance from a regression's scale"),
    ({"divisor": lambda mass, n, p: mass * (n - p) / n}, "variance divisor scaled by N - p"),
    ({"divisor": lambda mass, n, p: mass - 1}, "variance divisor less one"),
]


@pytest.mark.parametrize(("fault", "cause"), TEXTBOOK)
def test_other_causes(fault: dict[str, Any], cause: str) -> None:
    case = build(units=40)
    begin = State(**case.model.to_raw(maximise(case.model, _vague(case))).blocks)
    found = audit(case.spec, case.table, textbook(case, **fault), start=begin, iterations=6)
    assert found.causes == (cause,)


def test_iterates_are_scored_as_the_referee_does_with_weights_that_sum_to_one() -> None:
    case = build(units=40)
    step = textbook(case, weights=lambda tau, n: tau.sum(axis=0) / n.sum())
    found = audit(case.spec, case.table, step, iterations=3)
    trace = found.trace
    assert trace.weights[1:].sum(axis=1).max() < 0.9
    for t, scored in enumerate(found.iterations["log_likelihood"]):
        weights = trace.weights[t] / trace.weights[t].sum()
        units = raw_unit_log_likelihood(
            case.panel, weights, trace.coefficients[t], trace.covariance[t]
        )
        assert scored == pytest.approx(units.sum(), rel=1e-10)


PAIRS: list[tuple[dict[str, Any], set[str]]] = [
    (
        {"expectation": flat, "deviation": lambda v: v},
        {"E-step without the class weights", "variance used as standard deviation"},
    ),
    (
        {"rows_weight": np.square, "weights": lambda tau, n: n @ tau / n.sum()},
        {"regression weights squared", "weights count rows instead of units"},
    ),
    (
        {"expectation": flat, "divisor": lambda mass, n, p: mass - p},
        {"E-step without the class weights", "variance divisor less the coefficients"},
    ),
]


@pytest.mark.parametrize(("faults", "causes"), PAIRS)
@pytest.mark.parametrize("seed", [0, 2])
def test_other_causes_in_pairs(faults: dict[str, Any], causes: set[str], seed: int) -> None:
    case = build(units=40, seed=seed)
    begin = State(**case.model.to_raw(maximise(case.model, _vague(case))).blocks)
    found = audit(case.spec, case.table, textbook(case, **faults), start=begin, iterations=8)
    assert set(found.causes) == causes


def test_the_textbook_passes() -> None:
    case = build(units=40)
    found = audit(case.spec, case.table, textbook(case), iterations=20)
    assert found.causes == ()


def test_an_unknown_cause_is_said_to_be_unknown() -> None:
    case = build(units=40)
    step = textbook(case, divisor=lambda mass, n, p: 1.7 * mass)
    found = audit(case.spec, case.table, step, iterations=4)
    assert found.causes == ("variance: unknown cause",)
    assert found.findings["size"].to_list() == pytest.approx([1 / 1.7])


def _vague(case: Case) -> Any:
    """Responsibilities near the middle, so that no E-step is saturated at once."""
    rng = np.random.default_rng(3)
    return rng.dirichlet(np.full(case.spec.n_components, 4.0), size=case.panel.n_units)


def _own_trace(case: Case, iterations: int = 8) -> dict[str, Any]:
    """Our own EM's iterates."""
    parameters = maximise(case.model, _vague(case))
    states = []
    for _ in range(iterations):
        states.append((parameters, case.model.expect(parameters)))
        parameters = maximise(case.model, states[-1][1].occupancy)
    raw = [case.model.to_raw(state) for state, _ in states]
    return {
        "weights": np.stack([p.weights for p in raw]),
        "coefficients": np.stack([p.blocks["coefficients"] for p in raw]),
        "covariance": np.stack([p.blocks["covariance"] for p in raw]),
        "responsibilities": np.stack([e.occupancy for _, e in states]),
        "log_likelihood": np.array([e.log_likelihood for _, e in states]),
    }


@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize(("covariance", "covariance_by"), STRUCTURES)
@pytest.mark.parametrize(("m", "k"), [(1, 2), (2, 2), (1, 1)])
def test_it_is_silent_on_our_own_em(
    covariance: str, covariance_by: str, absorb: bool, m: int, k: int
) -> None:
    case = build(covariance, covariance_by, m=m, k=k, absorb=absorb, units=40)
    trace = _own_trace(case)
    found = audit(case.spec, case.panel, trace)
    assert found.causes == ()
    assert np.allclose(found.iterations["log_likelihood"], trace["log_likelihood"], rtol=1e-12)


@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize(("covariance", "covariance_by"), STRUCTURES)
def test_the_exact_candidates_on_raw_rows_are_the_backends_step(
    covariance: str, covariance_by: str, absorb: bool
) -> None:
    case = build(covariance, covariance_by, m=2, k=3, absorb=absorb, units=60)
    problem = build_problem(case.spec, case.panel, "contrasts")
    before = problem.exact.from_raw(Parameters(**random_parameters(case).blocks))
    tau = problem.exact.expect(before).occupancy
    wanted = exact_m_step(problem, tau, before)
    exact = {stage: known[0] for stage, known in REGISTRY.items()}
    found = perform(problem, exact, problem.past((before,)))
    assert found is not None
    assert difference(problem, found, wanted, determined(problem, tau)).largest < 1e-9


def test_a_cause_must_say_what_to_do() -> None:
    def silent(given: object) -> object:
        """Nothing that a user is told."""
        return given

    with pytest.raises(ValueError, match="'some cause' needs a paragraph"):
        candidate("weights", "some cause")(silent)
    assert all(one.cause != "some cause" for one in REGISTRY["weights"])


def test_a_candidate_of_every_stage_says_what_to_do() -> None:
    for stage, known in REGISTRY.items():
        assert [c.kind for c in known].count("exact") == 1, stage
        assert known[0].kind == "exact"
        for one in known[1:]:
            assert one.cause
            assert one.statement.endswith(".")
