"""Python and command lines that make a fit again, perhaps with other options."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

from mixcompare.backends import get_backend
from mixcompare.fits.fit import Fit
from mixcompare.model.priors import Priors
from mixcompare.model.spec import MixtureSpec

DATA: Final = "DATA.csv"
# Options of `mixcompare compare` by backend and option.
_FLAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "em": {"starts": "--starts"},
    "pymc": {
        "draws": "--draws",
        "tune": "--tune",
        "chains": "--chains",
        "sampler": "--sampler",
        "init": "--init",
        "climbs": "--climbs",
        "target_accept": "--target-accept",
    },
}
# Of the machine, not of the numbers.
_ASIDE: Final = ("progress", "cores", "kernels")


class Name(str):
    """A name in code, written without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def spec_code(spec: MixtureSpec) -> str:
    """Python that builds a specification."""
    code = f"mc.{spec!r}"
    return f"{code.removesuffix(')')}, trust=True)" if spec.trust else code


def fit_code(name: str, fit: Fit, options: Mapping[str, Any], spec: str = "spec") -> str:
    """Python that fits the data again, under a name, with these options alone."""
    dropped = {"missing": "drop"} if fit.panel.dropped.rows else {}
    given = arguments({"backend": fit.backend, "seed": fit.seed, **dropped, **options})
    return f"{name} = mc.fit({spec}, data, {given})"


def arguments(values: Mapping[str, Any]) -> str:
    """Named arguments of a call; texts between double quotes."""
    written = {
        key: json.dumps(value) if type(value) is str else repr(value)
        for key, value in values.items()
    }
    return ", ".join(f"{key}={value}" for key, value in written.items())


def unusual_options(fit: Fit) -> dict[str, Any]:
    """A fit's options that are not the backend's own, without those of the machine.

    A start of one's own is kept as text only, from which it cannot be built again: it is left out.
    """
    usual = {f.name: f.default for f in dataclasses.fields(get_backend(fit.backend).Options)}
    usual = {name: list(v) if isinstance(v, tuple) else v for name, v in usual.items()}
    return {
        name: value
        for name, value in fit.options.items()
        if name not in (*_ASIDE, "initial") and name in usual and value != usual[name]
    }


def command(spec: MixtureSpec, seed: int, options: Mapping[str, Mapping[str, Any]]) -> str:
    """The command that compares with these options by backend; empty where there is none.

    It names the data `DATA`. A model with priors of its own, or with options that the command
    does not take, has none.
    """
    known = all(name in _FLAGS[backend] for backend, of in options.items() for name in of)
    if len(spec.responses) > 1 or spec.priors != Priors() or not known:
        return ""
    model = {key: value for key, value in spec.to_dict().items() if value is not None}
    if {"family", "link"} & model.keys():
        return ""
    del model["priors"]
    model["components"] = model.pop("n_components")
    if "absorb" in model:
        model["absorb"] = ":".join(model["absorb"])
    for name, default in (("covariance", "full"), ("covariance_by", "component")):
        if model[name] == default:
            del model[name]
    words = [
        *(("mixcompare", "compare", DATA)),
        *(w for key, value in model.items() for w in (f"--{key.replace('_', '-')}", str(value))),
        *(
            word
            for backend, of in options.items()
            for name, value in of.items()
            for word in (_FLAGS[backend][name], str(value))
        ),
        *("--seed", str(seed)),
        *(["--trust"] if spec.trust else []),
    ]
    return shlex.join(words)
