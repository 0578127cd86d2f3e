"""What is said of formulas that mean something else here than where they come from."""

import re

import pytest

from mixcompare.base.errors import SpecificationError
from mixcompare.model.spec import MixtureSpec

# Signs between terms cross, nest and remove terms; as arithmetic they would do nothing.
NO_ARITHMETIC = [
    ("y ~ t**2", "t**2", "I(t**2)"),
    ("y ~ t^2", "t**2", "I(t**2)"),
    ("y ~ t ** 3 + x", "t**3", "I(t**3)"),
    ("y ~ (t)**2", "t**2", "I(t**2)"),
    ("y ~ (1 + t)^2", "t**2", "I(t**2)"),
    ("y ~ (t - 1)**2", "t**2", "I(t**2)"),
    ("y ~ x + (t)^2:z", "t**2", "I(t**2)"),
    ("y ~ log(t)**2", "log(t)**2", "I(log(t)**2)"),
    ("y ~ `a b`**2", "a b**2", "I("),
    ("y ~ (t:x)**2", "t:x**2", "I((t * x)**2)"),
    ("y ~ x * t**2", "t**2", "I(t**2)"),
    ("y ~ t*t", "t * t", "I(t**2)"),
    ("y ~ t:t", "t:t", "I(t**2)"),
    ("y ~ t:x:t", "t:x:t", "I(t**2)"),
    ("y ~ x - z", "- z", "I(x - z)"),
    ("y ~ -x", "- x", "I(-x)"),
    ("y ~ x + z - w", "- w", "I(z - w)"),
    ("y ~ x*z - x:w", "- x:w", "I("),
    ("y - z ~ x", "-", "I(y - z) ~"),
    ("y/n ~ x", "/", "I(y/n) ~"),
    ("y*n ~ x", "*", "I(y*n) ~"),
    ("y:n ~ x", ":", "I(y * n) ~"),
    ("y**2 ~ x", "**", "I(y**2) ~"),
    ("y^2 ~ x", "^", "I(y**2) ~"),
    ("-y ~ x", "-", "I(-y) ~"),
    ("log(y) - log(n) ~ x", "-", "I(log(y) - log(n)) ~"),
    ("y ~ I(t^2)", "t ^ 2", "t**2"),
]
IN_PLACE = [
    ("cbind(a, b) ~ x", "cbind", "a + b ~"),
    ("c(a, b) ~ x", "c", "a + b ~"),
    ("y ~ factor(x)", "factor", "C(x)"),
    ("y ~ as.factor(z)", "cannot be parsed", "C(z)"),
    ("y ~ x + I(as.numeric(z))", "cannot be parsed", "column of numbers"),
    ("y ~ ordered(x)", "ordered", "C(x, contr.poly)"),
    ("y ~ relevel(g, 'b')", "relevel", "C(g, contr.treatment('level'))"),
    ("y ~ interaction(g, h)", "interaction", "C(g):C(h)"),
    ("y ~ x | id", "|", "absorb="),
    ("y ~ x + (1 | id)", "|", "Random effects are not supported"),
    ("y ~ x + (1 + x || id)", "|", "unit="),
    ("y ~ x + offset(w)", "offset", "I(y - w) ~"),
    ("y ~ log1p(x)", "log1p", "np.log1p(x)"),
    ("y ~ sqrt(x)", "sqrt", "np.sqrt(x)"),
    ("y ~ abs(x)", "abs", "np.abs(x)"),
    ("y ~ ln(x)", "ln", "log(x)"),
    ("y ~ log(x, 2)", "log(x, 2)", "log2(x)"),
    ("y ~ .", "`.` stands for no columns here", "y ~ x1 + x2"),
    ("y ~ ", "names no covariate", "y ~ 1"),
    ("y ~ lag(x)", "lag", "groupby('unit')['x'].shift()"),
    ("y ~ lag(x, 2)", "lag", "shift()"),
    ("y ~ ns(x, 3)", "ns", "cr(x, df=4)"),
    ("y ~ s(x)", "s", "bs(x, df=4)"),
    ("y ~ x %in% z", "%in%", "z / x".replace("z", "g")),
    ("~ x", "one '~'", "y ~ x"),
    ("y = x", "=", "'~'"),
    ("y <- x", "<-", "'~'"),
    ("y ~ x, z", ",", "'+'"),
    ("df$y ~ df$x", "$", "columns alone"),
    ("y ~ x > 1", ">", "I(x > 1)"),
    ("y ~ x == 1", "==", "I(x == 1)"),
    ("y ~ !x", "!", "I("),
    ("y ~ 2*x", "cannot be parsed", "I(2*x)"),
    ("y ~ x + 2", "cannot be parsed", "I(2*x)"),
    ("y ~ log(Sepal.Length)", "Sepal.Length", "`Sepal.Length`"),
    ("y ~ x.clip(0)", "x.clip", "np.maximum(x, low)"),
    ("y ~ I(x - x.mean())", "x.mean", "center(x)"),
    ("y ~ I(x - mean(x))", "mean", "center(x)"),
    ("y ~ np.where(x > 0, 1, 0)", "np.where", "I((x > 0) * 1)"),
    ("y ~ poly(x, 2, raw=TRUE)", "TRUE", "True"),
    ("y ~ poly(x, 2, rwa=True)", "rwa", "degree, raw"),
    ("y ~ Q('a b')", "Q", "backticks"),
    ("y ~ centre(x)", "centre", "did you mean 'center'?"),
    ("y ~ I('a')", "I('a')", "no column"),
    ("y ~ I(1)", "I(1)", "no column"),
    ("y ~ {2}", "2", "no column"),
    ("y ~ C()", "C()", "no column"),
    ("y ~ ``", "``", "without letters"),
    ("y ~ x + C(``)", "``", "without letters"),
    ("y ~ np.pi", "np.pi", "backticks"),
    ("y ~ `1`", "`1`", "I(`1`)"),
    ("y ~ x + `1`:z", "`1`", "Rename"),
    ("y ~ 0 + `1`", "`1`", "Rename"),
    ("y ~ a:b + `a:b`", "`a:b`", "another term"),
    ("y ~ log(x) + `log(x)`", "`log(x)`", "another term"),
    ("y ~ I((x > 0) and (z > 0))", "and", "&"),
]


@pytest.mark.parametrize(("formula", "part", "way"), NO_ARITHMETIC + IN_PLACE)
def test_errors_name_the_part_and_what_to_write(formula: str, part: str, way: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        MixtureSpec(formula, n_components=2)
    said = str(caught.value).replace(repr(formula), "...", 1)
    assert part in said
    assert way in said
    assert "\n" not in said
    # One paragraph, whose sentences end.
    assert re.fullmatch(r"formula .*[.?)]", said)


@pytest.mark.parametrize("term", ["t**2", "t*t", "-t", "`1`", "factor(t)", "I('a')", "(1 | t)"])
def test_further_formulas_are_read_in_the_same_way(term: str) -> None:
    for name in ("common", "membership"):
        with pytest.raises(SpecificationError, match=f"^{name} "):
            MixtureSpec.from_dict(
                {"formula": "y ~ 1", "unit": "u", "n_components": 2, name: f"~ {term}"}
            )


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ (a + b)**2",
        "y ~ (a + b + c)^3 - a:b",
        "y ~ a*b*c - c:b:a",
        "y ~ a*b - a",
        "y ~ a + b + a:b - b",
        "y ~ (a + b):(a + c)",
        "y ~ t**1",
        "y ~ 1 - 1 + t",
        "y ~ t - 0",
        "y ~ -1 + t",
        "y ~ +t",
        "y ~ `a:b` + c",
        "+y + z ~ t",
        "(y + z) ~ t",
        "I(y**2) + I(y/z) ~ t",
    ],
)
def test_signs_that_cross_nest_and_remove_terms_are_fine(formula: str) -> None:
    MixtureSpec(formula, n_components=2)
    side = formula.split("~")[1]
    MixtureSpec("y ~ 1", unit="u", common=f"~ {side} + z", n_components=2)
