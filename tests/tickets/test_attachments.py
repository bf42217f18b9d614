"""Which files are accepted, how they are kept, who may fetch them (abuse cases 9, 12, 13, 16)."""

import io
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from statuspage.kernel import clock
from statuspage.kernel.errors import Invalid, NotFound
from tests.tickets.scene import Scene
from tickets import attachments, following, storage
from tickets.attachments import Sent
from tickets.requests import Filed


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    return out.getvalue()


def archive(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, "<x/>")
    return out.getvalue()


PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
DOCX = archive("[Content_Types].xml", "word/document.xml")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.pdf", PDF, "application/pdf"),
        ("A.PDF", PDF, "application/pdf"),
        ("a.png", picture(), "image/png"),
        ("a.zip", archive("x.txt"), "application/zip"),
        ("a.docx", DOCX, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.txt", "zażółć".encode(), "text/plain"),
        ("a.txt", "zażółć".encode("cp1250"), "text/plain"),
        ("a.csv", b"a;b\n1;2", "text/csv"),
        ("a.xml", b"<?xml version='1.0'?><a/>", "application/xml"),
        ("a.eml", b"From: a@b\nSubject: x\n\nx", "message/rfc822"),
    ],
)
def test_a_file_is_known_by_its_name_and_its_content(name: str, content: bytes, kind: str) -> None:
    assert attachments.media_type(name, content) == kind


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.exe", b"MZ\x90\0"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"),
        ("a.html", b"<script>1</script>"),
        ("a.js", b"alert(1)"),
        ("a", PDF),
        ("a.pdf.exe", PDF),
        ("a.pdf", b"MZ\x90\0"),
        ("a.png", b"<svg>"),
        ("a.docx", PDF),
        ("a.txt", b"MZ\x90\0"),
        ("a.txt", b"\x7fELF"),
        ("a.csv", b"a\0b"),
        ("a.txt", b"#!/bin/sh\nrm -rf /"),
    ],
)
def test_what_may_run_or_lies_about_itself_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        attachments.media_type(name, content)
    assert refused.value.field == "files"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\me\\report.pdf", "report.pdf"),
        ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie: x.pdf"),
        ("gpj.\u202etxt.pdf", "gpj.txt.pdf"),
        ("zażółć gęślą.pdf", "zażółć gęślą.pdf"),
        (".pdf", "file.pdf"),
        ("", "file"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_a_name_steers_nothing(given: str, kept: str) -> None:
    found = attachments.tidied_name(given)
    assert found == kept
    assert len(found) <= attachments.MAX_NAME


def send(scene: Scene, filed: Filed, *files: tuple[str, bytes], body: str = "") -> None:
    house = scene.house
    kept = [
        Sent(name, storage.keep(io.BytesIO(content), house.settings.data.dir, at_most=20_000_000))
        for name, content in files
    ]
    house.db.run_now(following.write, filed.view_key, body, kept, house=house, now=scene.at(1))


def contents(scene: Scene) -> list[Path]:
    return list(storage.directory(scene.house.settings.data.dir).glob("??/*"))


def test_the_same_content_is_kept_once(scene: Scene) -> None:
    one, other = scene.file(), scene.file()
    send(scene, one, ("a.pdf", PDF), ("b.pdf", PDF))
    send(scene, other, ("c.pdf", PDF))
    assert len(contents(scene)) == 1
    assert contents(scene)[0].stat().st_mode & 0o077 == 0
    names = [file.name for file in scene.house.db.read_now(attachments.listed, one.ticket_id)]
    assert sorted(names) == ["a.pdf", "b.pdf"]


def test_a_file_of_another_request_is_not_there(scene: Scene) -> None:
    one, other = scene.file(), scene.file()
    send(scene, one, ("a.pdf", PDF))
    (file,) = scene.house.db.read_now(attachments.listed, one.ticket_id)
    assert scene.house.db.read_now(attachments.fetched, one.ticket_id, file.id).name == "a.pdf"
    with pytest.raises(NotFound):
        scene.house.db.read_now(attachments.fetched, other.ticket_id, file.id)


def test_too_many_too_large_or_empty_files_are_refused_and_nothing_is_written(scene: Scene) -> None:
    filed = scene.file()
    with pytest.raises(Invalid, match="At most 10 files"):
        send(scene, filed, *((f"{n}.pdf", PDF) for n in range(11)))
    with pytest.raises(Invalid, match="empty"):
        send(scene, filed, ("a.txt", b""))
    big = PDF + b"\0" * 18_000_000
    send(scene, filed, ("a.pdf", big), ("b.pdf", big))
    with pytest.raises(Invalid, match="50 MB"):
        send(scene, filed, ("c.pdf", big))
    assert len(scene.house.db.read_now(attachments.listed, filed.ticket_id)) == 2
    assert len(scene.ticket(filed).messages) == 1


def test_a_file_beyond_the_limit_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="At most 1 MB"):
        storage.keep(io.BytesIO(b"x" * 1_000_001), str(tmp_path), at_most=1_000_000)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_belongs_to_nobody_is_swept_after_a_day(scene: Scene) -> None:
    data_dir = scene.house.settings.data.dir
    filed = scene.file()
    send(scene, filed, ("a.pdf", PDF))
    orphan = storage.keep(io.BytesIO(b"orphan"), data_dir, at_most=100)
    now = clock.now()
    assert scene.house.db.run_now(attachments.sweep, data_dir=data_dir, now=now) == 0
    for path in contents(scene):
        os.utime(path, (0, 0))
    assert scene.house.db.run_now(attachments.sweep, data_dir=data_dir, now=now) == 1
    assert not storage.place(orphan.digest, data_dir).exists()
    assert len(contents(scene)) == 1
