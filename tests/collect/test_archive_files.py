"""Trees, archives and media: what is in them is taken, what should not be is refused and told."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from dose_lib.errors import UsageError
from pipelines.collect.files import Found, LeftOut, find_places, read_places
from pipelines.collect.unpack import Limits
from tests.pipelines.objects import dose_report, encode

LIMITS = Limits(
    object_bytes=1_000_000, total_bytes=30_000_000, ratio_from=2_000_000, ratio=100, members=500
)
OBJECT = encode(dose_report(1))


def take(*paths: Path, limits: Limits = LIMITS) -> tuple[dict[str, bytes], dict[str, str]]:
    """What was found, and what was left out and why, by path below the first one's folder."""
    found: dict[str, bytes] = {}
    left: dict[str, str] = {}
    for one in read_places(find_places(paths), limits):
        name = os.path.relpath(one.path, paths[0].parent)
        if isinstance(one, Found):
            found[name] = one.data
        else:
            assert isinstance(one, LeftOut)
            assert one.is_trouble
            left[name] = one.reason
    return found, left


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, *infos: tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for number, info in enumerate((entry("IM1"), *infos, entry("IM2"))):
            data = OBJECT + bytes(2 * number) if info.isreg() else b""
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_a_zip_gives_its_files_at_any_depth(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"deep/IM3": OBJECT}).read_bytes()
    file = make_zip(tmp_path / "cd.zip", {"IM1": OBJECT, "a/b/IM2": OBJECT, "more.zip": inner})
    found, left = take(file)
    assert set(found) == {"cd.zip/IM1", "cd.zip/a/b/IM2", "cd.zip/more.zip/deep/IM3"}
    assert set(found.values()) == {OBJECT}
    assert not left


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_tar_is_read_as_it_streams(tmp_path: Path, suffix: str) -> None:
    mode = "w" if suffix == "tar" else f"w:{suffix.removeprefix('tar.')}"
    found, left = take(make_tar(tmp_path / f"a.{suffix}", mode=mode))
    assert set(found) == {f"a.{suffix}/IM1", f"a.{suffix}/IM2"}
    assert not left


def test_one_compressed_file_is_one_file(tmp_path: Path) -> None:
    file = tmp_path / "report.dcm.gz"
    file.write_bytes(gzip.compress(OBJECT))
    assert take(file) == ({"report.dcm.gz/report.dcm": OBJECT}, {})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../etc/cron.d/evil", "leads outside"),
        ("a/../../evil", "leads outside"),
        ("..\\evil", "leads outside"),
        ("/etc/evil", "absolute"),
        ("C:/evil", "absolute"),
        ("\\\\server\\evil", "absolute"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str, reason: str) -> None:
    file = make_zip(tmp_path / "a.zip", {"IM1": OBJECT, name: OBJECT, "IM2": OBJECT})
    found, left = take(file)
    assert set(found) == {"a.zip/IM1", "a.zip/IM2"}
    assert [reason in r for r in left.values()] == [True]
    found, left = take(make_tar(tmp_path / "a.tar", entry(name)))
    assert (len(found), [reason in r for r in left.values()]) == (2, [True])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "a.zip"]


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (entry("loop", tarfile.SYMTYPE, "loop"), "a symbolic link"),
        (entry("passwd", tarfile.SYMTYPE, "/etc/passwd"), "a symbolic link"),
        (entry("hard", tarfile.LNKTYPE, "IM1"), "a hard link"),
        (entry("zero", tarfile.CHRTYPE), "no regular file"),
        (entry("disk", tarfile.BLKTYPE), "no regular file"),
        (entry("pipe", tarfile.FIFOTYPE), "no regular file"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, info: tarfile.TarInfo, reason: str) -> None:
    found, left = take(make_tar(tmp_path / "a.tar", info))
    assert len(found) == 2
    assert [r.startswith(reason) for r in left.values()] == [True]


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("IM1", OBJECT)
    assert take(file) == ({"a.zip/IM1": OBJECT}, {"a.zip/link": "a symbolic link"})


def test_an_encrypted_member_is_told(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "a.zip", {"IM1": OBJECT, "IM2": OBJECT})
    data = bytearray(file.read_bytes())
    # The flag, in the local head and in the directory, of the first member.
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    file.write_bytes(data)
    found, left = take(file)
    assert set(found) == {"a.zip/IM2"}
    assert left == {"a.zip/IM1": "encrypted: unpack it with its password"}


def bomb_zip(path: Path) -> Path:
    return make_zip(path, {"IM1": OBJECT} | {f"Z{n}": bytes(999_000) for n in range(40)})


def bomb_tar(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, size in (("IM1", 0), *((f"Z{n}", 999_000) for n in range(40))):
            info = tarfile.TarInfo(name)
            data = OBJECT if name == "IM1" else bytes(size)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def bomb_head(path: Path) -> Path:
    """A head that says its name is 200 MB long: read whole, it would be in memory."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 200_000_000
    with gzip.open(path, "wb") as file:
        first = tarfile.TarInfo("IM1")
        first.size = len(OBJECT)
        padding = -len(OBJECT) % 512
        file.write(first.tobuf() + OBJECT + bytes(padding) + info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(200):
            file.write(bytes(1_000_000))
    return path


def bomb_overlap(path: Path) -> Path:
    """Every entry of the directory names the same compressed megabyte."""
    make_zip(path, {"IM1": OBJECT, "Z0": bytes(999_000)})
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    second = data.index(b"PK\x01\x02", start + 4)
    directory = data[start:end] + data[second:end] * 99
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 101, 101, len(directory))
    path.write_bytes(data[:start] + directory + tail)
    return path


@pytest.mark.parametrize("make", [bomb_zip, bomb_tar, bomb_head, bomb_overlap])
def test_a_bomb_is_given_up_and_what_came_before_is_kept(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    file = make(tmp_path / ("a.tar.gz" if make in (bomb_tar, bomb_head) else "a.zip"))
    found, left = take(file)
    assert found[f"{file.name}/IM1"] == OBJECT
    assert sum(map(len, found.values())) < 5_000_000
    (reason,) = left.values()
    assert "times its size" in reason


def test_a_file_that_is_larger_than_its_head_says_is_left_out(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "a.zip", {"IM1": OBJECT, "Z": os.urandom(10) * 150_000})
    data = file.read_bytes()
    lie = struct.pack("<I", 1000)
    for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.rindex(magic) + offset
        data = data[:at] + lie + data[at + 4 :]
    file.write_bytes(data)
    found, left = take(file)
    assert found["a.zip/IM1"] == OBJECT
    assert "a.zip/Z" in left or len(found.get("a.zip/Z", b"")) <= 1000


def test_archives_in_archives_have_an_end(tmp_path: Path) -> None:
    data = OBJECT
    for level in range(6):
        data = make_zip(tmp_path / "x.zip", {"n.zip" if level else "IM1": data}).read_bytes()
    found, left = take(tmp_path / "x.zip")
    assert not found
    assert any("deeper than 3" in reason for reason in left.values())


def test_too_many_members_are_given_up(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "a.zip", {f"{n}": b"" for n in range(600)})
    _, left = take(file)
    assert left["a.zip"].startswith("the archive holds more than 500 files")


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_damaged_archive_gives_what_can_be_read(tmp_path: Path, cut: float) -> None:
    file = make_tar(tmp_path / "a.tar.gz", mode="w:gz")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * cut)])
    _, left = take(file)
    assert any("damaged" in reason or "no file" in reason for reason in left.values())


def test_a_member_with_a_wrong_checksum_is_refused_alone(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "a.zip", {"IM1": OBJECT, "IM2": OBJECT + b"\0\0"})
    data = file.read_bytes()
    crc = struct.pack("<I", zlib.crc32(OBJECT))
    file.write_bytes(data.replace(crc, b"\1\2\3\4"))
    found, left = take(file)
    assert set(found) == {"a.zip/IM2"}
    assert left["a.zip/IM1"].startswith("the member is damaged")


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "rar")],
)
def test_other_archives_are_told_by_name(tmp_path: Path, start: bytes, kind: str) -> None:
    file = tmp_path / "a.tar.zst"
    file.write_bytes(start + bytes(600))
    _, left = take(file)
    assert f"a {kind} archive" in left["a.tar.zst"]


def test_a_tree_is_walked_without_following_loops(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "IM1").write_bytes(OBJECT)
    (tree / "a" / "again").symlink_to(tree)
    (tree / "self").symlink_to(tree / "self")
    (tree / "inside").symlink_to(tree / "a" / "IM1")
    (tmp_path / "secret").write_bytes(OBJECT)
    (tree / "outside").symlink_to(tmp_path / "secret")
    os.mkfifo(tree / "pipe")
    found, left = take(tree)
    assert set(found) == {"tree/a/IM1", "tree/inside"}
    assert left == {
        "tree/self": "a symbolic link to nothing, or to itself",
        "tree/outside": "a symbolic link that leads outside the folder",
        "tree/pipe": "no regular file",
    }


def test_a_document_in_a_tree_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    make_zip(tmp_path / "tree" / "letter.docx", {"IM1": OBJECT})
    found, _ = take(tmp_path / "tree")
    assert set(found) == {"tree/letter.docx"}  # as a file, which is no object


def make_medium(folder: Path, *names: str) -> Path:
    """A DICOMDIR that names these files; two of them exist."""
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.FileSetID = "CD"
    with disable_value_validation():
        _write(directory, names)
        directory.save_as(folder_of(folder) / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def _write(directory: Dataset, names: Iterable[str]) -> None:
    records = []
    for name in names:
        record = Dataset()
        record.RecordInUseFlag = 0xFFFF
        record.DirectoryRecordType = "SR DOCUMENT"
        record.ReferencedFileID = name.split("\\")
        records.append(record)
    directory.DirectoryRecordSequence = records


def folder_of(folder: Path) -> Path:
    """The folder of the medium, with three files in it."""
    (folder / "DICOM").mkdir(parents=True)
    for name in ("im1", "im2", "EXTRA"):
        (folder / "DICOM" / name).write_bytes(OBJECT)
    return folder


def test_a_dicomdir_gives_its_files_and_tells_the_missing(tmp_path: Path) -> None:
    """Names on the medium are in capitals, on the disk they may be in small letters."""
    medium = make_medium(tmp_path / "cd", "DICOM\\IM1", "DICOM\\IM2", "DICOM\\IM9", "..\\passwd")
    found, left = take(medium)
    assert set(found) == {"DICOM/im1", "DICOM/im2"}
    assert left == {
        "DICOM/IM9": "DICOMDIR names it, but it is not there",
        "passwd": "DICOMDIR names a file outside its medium",
    }


@pytest.mark.parametrize("as_zip", [False, True])
def test_a_medium_in_a_folder_or_archive_is_checked_too(tmp_path: Path, as_zip: bool) -> None:
    folder = tmp_path / "cd"
    make_medium(folder, "DICOM\\IM1", "DICOM\\IM9")
    if as_zip:
        files = [p for p in folder.rglob("*") if p.is_file()]
        members = {str(p.relative_to(folder)): p.read_bytes() for p in files}
        found, left = take(make_zip(tmp_path / "cd.zip", members))
    else:
        found, left = take(folder)
    assert len(found) == 3
    assert [(Path(p).name, r) for p, r in left.items()] == [
        ("IM9", "DICOMDIR names it, but it is not there")
    ]


def test_a_broken_dicomdir_is_told(tmp_path: Path) -> None:
    file = tmp_path / "DICOMDIR"
    file.write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\x00")
    _, left = take(file)
    assert left["DICOMDIR"].startswith("the DICOMDIR cannot be read")


def test_a_path_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file or folder"):
        find_places([tmp_path / "nothing"])
