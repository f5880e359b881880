"""The journal of a batch: whole lines, the last one counts, cut ones are nothing."""

from __future__ import annotations

import json
from dataclasses import replace

from gossamer.batch.journal import (
    Failure,
    JournalWriter,
    Record,
    Run,
    journal_path,
    part_paths,
    read_journal,
    take_parts,
)

RUN = Run("0.1.0", "2026-11-28T10:00:00+00:00", ["batch", "in"], {"matting": {"band": 20}}, {}, "u2netp", 3)
DONE = Record("a/1.jpg", "/in/a/1.jpg", "a/1.png", "a/1.png", "done", score=97.5, seconds={"read": 0.1}, bytes=7)
ODD = Record("\udce9.jpg", "/in/\udce9.jpg", "é.png", None, "failed", Failure("It is cut off.", "Get a complete copy."))
NOTES = Record("notes.txt", "/in/notes.txt", None, None, "skipped", Failure("It is no picture."))


def test_what_is_written_is_read_whatever_the_name(tmp_path) -> None:
    writer = JournalWriter(tmp_path)
    writer.begin(RUN)
    for record in (DONE, ODD, NOTES):
        writer.append(record)
    writer.close()
    found = read_journal(tmp_path)
    assert found.runs == [RUN]
    assert list(found.records.values()) == [DONE, ODD, NOTES]
    assert not found.intents
    assert found.broken == 0


def test_an_intent_stands_until_its_record_comes(tmp_path) -> None:
    writer = JournalWriter(tmp_path)
    writer.intend(DONE)
    writer.intend(replace(DONE, target="b.png"))
    writer.append(DONE)
    writer.close()
    found = read_journal(tmp_path)
    assert list(found.records) == ["a/1.png"]
    assert list(found.intents) == ["b.png"]


def test_a_last_line_that_was_cut_off_at_any_byte_is_nothing_and_the_next_run_goes_on(tmp_path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(DONE)
    writer.append(ODD)
    writer.close()
    whole = journal_path(tmp_path).read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        journal_path(tmp_path).write_bytes(whole[:end])
        assert list(read_journal(tmp_path).records.values()) == [DONE]
        writer = JournalWriter(tmp_path)
        writer.append(NOTES)
        writer.close()
        found = read_journal(tmp_path)
        assert [record for record in found.records.values() if record != ODD] == [DONE, NOTES]


def test_lines_of_other_hands_and_of_later_versions_do_not_end_the_reading(tmp_path) -> None:
    journal_path(tmp_path).parent.mkdir()
    later = {**json.loads(json.dumps(DONE.__dict__)), "invented": 1}
    lines = ["[]", "nonsense", '{"source": 3}', "[" * 100_000, json.dumps({"run": 5}), json.dumps(later)]
    journal_path(tmp_path).write_text("\n".join(lines) + "\n")
    found = read_journal(tmp_path)
    assert list(found.records.values()) == [DONE]
    assert found.broken == 5


def test_there_may_be_none(tmp_path) -> None:
    assert not read_journal(tmp_path).records


def test_parts_count_after_the_journal_and_are_taken_into_it(tmp_path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(replace(DONE, state="failed"))
    part = JournalWriter(tmp_path, "b")
    part.append(DONE)
    part.intend(replace(DONE, target="b.png"))
    part.close()
    other = JournalWriter(tmp_path, "a")
    other.append(NOTES)
    other.close()
    with part_paths(tmp_path)[0].open("ab") as file:
        file.write(b'{"source": "cut off by a ki')
    for _ in range(2):
        found = read_journal(tmp_path)
        assert found.records == {DONE.key: DONE, NOTES.key: NOTES}
        assert list(found.intents) == ["b.png"]
        take_parts(tmp_path, writer)
        assert not part_paths(tmp_path)
    writer.close()
