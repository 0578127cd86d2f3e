"""Time of each relabelling algorithm: python tests/benchmarks/bench_labels.py."""

import time

import numpy as np

from mixcompare import labels

REPEATS = 3
# Goals for the first case, in seconds.
GOALS = {"ECR": 1.0, "Stephens": 5.0}
CASES = ((4_000, 500, 3, 3.0), (4_000, 500, 3, 1.0), (4_000, 500, 8, 2.0), (1_000, 5_000, 4, 2.0))


def draws_of(draws: int, units: int, k: int, separation: float) -> labels.Draws:
    """Classes on a line, the parameters' noise, and labels switched at random."""
    rng = np.random.default_rng(0)
    truth = rng.integers(k, size=units)
    x = truth * separation + rng.normal(size=units)
    centre = np.arange(k) * separation + 0.1 * rng.normal(size=(draws, k))
    joint = -0.5 * np.square(x[None, :, None] - centre[:, None, :])
    tau = np.exp(joint - joint.max(axis=-1, keepdims=True))
    tau /= tau.sum(axis=-1, keepdims=True)
    shuffle = rng.permuted(np.broadcast_to(np.arange(k), (draws, k)), axis=-1)
    switched = labels.permute(tau, shuffle, axis=-1)
    return labels.Draws(
        responsibilities=switched,
        pivot=switched[0],
        reference=tau.mean(axis=0),
        quantity=np.take_along_axis(centre, shuffle, axis=-1),
        features=x[:, None],
    )


def main() -> None:
    """Run all cases."""
    for draws, units, k, separation in CASES:
        print(f"{draws:,} draws x {units:,} units x {k} classes, {separation} sd apart")  # noqa: T201
        made = draws_of(draws, units, k, separation)
        for name in labels.ALGORITHMS:
            if name == "climbing":
                continue
            times = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                labels.relabel(made, [name])
                times.append(time.perf_counter() - began)
            goal = f"   goal {GOALS[name]:g} s" if name in GOALS else ""
            print(f"  {name:<18} {min(times):7.3f} s{goal}")  # noqa: T201


if __name__ == "__main__":
    main()
