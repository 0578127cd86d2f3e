"""Files of fits from elsewhere: damaged, of another version, or made to do harm."""

from __future__ import annotations

import random
import re
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
import xarray as xr

import mixcompare as mc
from mixcompare.base.errors import MixCompareError
from mixcompare.base.files.checksum import FORMAT, last_line
from mixcompare.report.write_comparison import _saved
from tests.report_page import growth


@pytest.fixture(scope="module")
def em() -> mc.Fit:
    spec = mc.MixtureSpec("y ~ t", unit="unit", n_components=2)
    return mc.fit(spec, growth(), starts=3, seed=1, progress=False)


@pytest.fixture(scope="module")
def saved(em: mc.Fit, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return em.save(tmp_path_factory.mktemp("saved") / "em.nc").read_bytes()


@pytest.fixture
def earlier(saved: bytes, tmp_path: Path) -> Path:
    """As versions without a checksum saved it."""
    path = tmp_path / "earlier.nc"
    path.write_bytes(saved)
    with h5py.File(path, "r+") as file:  # which drops what follows the end of HDF5
        del file.attrs["file_format"]
    assert b"SHA-256" not in path.read_bytes()[-200:]
    return path


def sealed(path: Path) -> Path:
    """With the checksum that whoever made the file could give it."""
    content = path.read_bytes()
    path.write_bytes(content + last_line(content))
    return path


def test_no_flipped_bit_is_taken_for_a_number(saved: bytes, tmp_path: Path) -> None:
    path, rng = tmp_path / "em.nc", random.Random(5)
    places = [*rng.sample(range(len(saved)), 300), *range(len(saved) - 110, len(saved))]
    for place in places:
        changed = bytearray(saved)
        changed[place] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(mc.DataError, match=r"em\.nc is damaged: .* fit again"):
            mc.load(path)


def test_no_part_of_a_file_is_taken_for_the_whole(saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "em.nc"
    for part in (saved[:-1], saved[:-110], saved[: len(saved) // 2], saved[:600], saved + b"\n"):
        path.write_bytes(part)
        with pytest.raises(mc.DataError, match="damaged"):
            mc.load(path)


def test_a_number_changed_by_another_program_is_noticed(saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "em.nc"
    path.write_bytes(saved)
    with h5py.File(path, "r+") as file:
        file["estimate/coefficients"][0, 0, 0] *= 2
    with pytest.raises(mc.DataError, match="damaged"):
        mc.load(path)


def test_other_programs_read_the_file(saved: bytes, em: mc.Fit, tmp_path: Path) -> None:
    path = tmp_path / "em.nc"
    path.write_bytes(saved)
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert tree["estimate"].dataset["weights"].equals(em.weights)
    assert mc.load(path).tree.identical(em.tree)


def test_an_earlier_file_is_read_with_a_caution(em: mc.Fit, earlier: Path) -> None:
    fit = mc.load(earlier)
    assert fit.log_likelihood == em.log_likelihood
    assert fit.cautions[:-1] == em.cautions
    assert "no checksum" in fit.cautions[-1]
    again = mc.load(fit.save(earlier))
    assert again.cautions == fit.cautions  # what happened before it was saved again stays unknown


def test_the_panel_must_be_the_one_that_was_fitted(earlier: Path) -> None:
    with h5py.File(earlier, "r+") as file:
        file["panel/outcomes"][3, 0] += 1e-9
    for path in (earlier, sealed(earlier)):
        with pytest.raises(mc.DataError, match=r"earlier\.nc is damaged: its data are not those"):
            mc.load(path)


def test_a_later_format(em: mc.Fit, earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mixcompare.base.files.checksum.FORMAT", FORMAT + 1)
        sealed(earlier)
    with pytest.raises(mc.DataError, match=r"later version .*format 2; this version reads 1"):
        mc.load(earlier)


def without_cautions(file: h5py.File) -> None:
    del file.attrs["cautions"]


def without_panel(file: h5py.File) -> None:
    del file["panel"]


def broken_json(file: h5py.File) -> None:
    file.attrs["options"] = "{"


def other_specification(file: h5py.File) -> None:
    file.attrs["spec"] = '{"formula": "y ~ t", "later": 1}'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_cautions, "another version.*lacks cautions"),
        (without_panel, "another version.*lacks panel"),
        (broken_json, "damaged"),
        (other_specification, "unknown specification key"),
    ],
)
def test_what_another_version_may_lack(
    earlier: Path, change: Callable[[h5py.File], None], words: str
) -> None:
    with h5py.File(earlier, "r+") as file:
        change(file)
    with pytest.raises(MixCompareError, match=words):
        assert mc.load(earlier).spec


def external_link(file: h5py.File) -> None:
    file["estimate/more"] = h5py.ExternalLink("/etc/hostname", "/")


def external_array(file: h5py.File) -> None:
    del file["estimate/weights"]
    file["estimate/weights"] = h5py.ExternalLink("secret.nc", "/weights")


def soft_link(file: h5py.File) -> None:
    file["estimate/more"] = h5py.SoftLink("/panel/outcomes")


def external_storage(file: h5py.File) -> None:
    place = [("/etc/passwd", 0, 800)]
    file["estimate"].create_dataset("more", shape=(100,), dtype="f8", external=place)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(100,), dtype="f8")
    layout[:] = h5py.VirtualSource("secret.nc", "weights", shape=(100,))
    file["estimate"].create_virtual_dataset("more", layout)


def two_names(file: h5py.File) -> None:
    file["estimate/panel"] = file["panel"]


def itself(file: h5py.File) -> None:
    file["estimate/again"] = file["/"]


def not_there(file: h5py.File) -> None:
    file["estimate"].create_dataset("more", shape=(10**10,), dtype="f8")


def in_pieces(file: h5py.File) -> None:
    file["estimate"].create_dataset("more", shape=(10**10,), dtype="f8", chunks=(10**4,))


def compressed(file: h5py.File) -> None:
    file["estimate"].create_dataset(
        "more", shape=(10**10,), dtype="f8", chunks=(10**4,), compression="gzip"
    )


def zeros(file: h5py.File) -> None:
    made = file["estimate"].create_dataset(
        "more", shape=(2**23,), dtype="f8", chunks=(2**20,), compression="gzip"
    )
    made[:] = 0.0


def large_pieces(file: h5py.File) -> None:
    file["estimate"].create_dataset(
        "more", data=np.zeros(5), maxshape=(None,), chunks=(2**23,), compression="gzip"
    )


def large_numbers(file: h5py.File) -> None:
    file["estimate"].create_dataset("more", shape=(), dtype=np.dtype((np.float64, (10**8,))))


def one_text_many_times(file: h5py.File) -> None:
    text = h5py.string_dtype()
    made = file["estimate"].create_dataset("more", shape=(3000,), dtype=text)
    made[0] = "x" * 10**6
    place = made.id.get_offset()
    file.flush()
    path = Path(file.filename)
    file.close()
    content = bytearray(path.read_bytes())
    content[place : place + 3000 * 16] = content[place : place + 16] * 3000
    path.write_bytes(content)


def many_groups(file: h5py.File) -> None:
    group = file
    for _ in range(40):
        group = group.create_group("g")


def compound(file: h5py.File) -> None:
    file["estimate"]["more"] = np.zeros(3, dtype=[("a", "f8"), ("b", "i4")])


def texts_in_a_list(file: h5py.File) -> None:
    file.attrs["more"] = ["a", "b"]


@pytest.mark.parametrize("with_checksum", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        external_link, external_array, soft_link, external_storage, virtual, two_names, itself,
        not_there, in_pieces, compressed, zeros, large_pieces, large_numbers, one_text_many_times,
        many_groups, compound, texts_in_a_list,
    ],
)  # fmt: skip
def test_what_is_not_opened(
    earlier: Path, change: Callable[[h5py.File], None], with_checksum: bool
) -> None:
    with h5py.File(earlier, "r+") as file:
        change(file)
    if with_checksum:
        sealed(earlier)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(mc.DataError, match=r"earlier\.nc is not a fit .* is not opened: /"):
        mc.load(earlier)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_strange_files_beside_a_report_are_passed_by(
    em: mc.Fit, saved: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.nc").write_bytes(saved[:1000])
    (tmp_path / "b.nc").mkdir()
    (tmp_path / "c.nc").write_bytes(b"")
    assert _saved(em, tmp_path, "em.nc") is None
    (tmp_path / "z.nc").write_bytes(saved)
    assert _saved(em, tmp_path, "em.nc") == "z.nc"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89HDF\r\n\x1a\n", b"CDF\x01" + bytes(100), struct.pack("<100d", *range(100))],
    ids=["empty", "signature", "classic", "numbers"],
)
def test_other_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.nc"
    path.write_bytes(content)
    with pytest.raises(mc.DataError, match=re.escape(f"{path} is not a netCDF file")):
        mc.load(path)
