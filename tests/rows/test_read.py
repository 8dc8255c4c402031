"""Every format gives the same rows; every bad input names its file, its place and what to do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from upbringing.errors import InputError
from upbringing.rows import Message, Row, read, sample, size, stream, write

CHAT = {"messages": [{"role": "user", "content": "hé?"}, {"role": "assistant", "content": "yes"}]}
COMPLETION = {"prompt": "2 + 2 =", "completion": " 4", "source": "sums"}
TEXT = {"text": "a line,\nanother — \u201cquoted\u201d"}
RECORDS: list[dict[str, Any]] = [CHAT, COMPLETION, TEXT]
ROWS = (
    Row.chat(CHAT["messages"]),
    Row.of_completion("2 + 2 =", " 4"),
    Row.of_text(TEXT["text"]),
)


def jsonl(path: Path, records: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8")
    return path


# ---- formats


def test_jsonl_gives_rows_with_their_lines(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [CHAT, "", COMPLETION, TEXT])
    rows = read(path)
    assert rows.rows == ROWS
    assert [r.where for r in rows] == [f"{path}:1", f"{path}:3", f"{path}:4"]
    assert rows[1].meta == {"source": "sums"}
    assert rows.skipped == []


def test_json_may_be_a_list_or_an_object_a_line_or_laid_out(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text, lines in (
        (json.dumps(RECORDS), [1, 1, 1]),
        ("[\n" + ",\n".join(json.dumps(r) for r in RECORDS) + "\n]\n", [2, 3, 4]),
        ("\n".join(json.dumps(r) for r in RECORDS), [1, 2, 3]),
        ("\n\n".join(json.dumps(r, indent=1) for r in [TEXT, TEXT, TEXT]), [1, 5, 9]),
    ):
        path.write_text(text, encoding="utf-8")
        rows = read(path)
        assert [r.line for r in rows] == lines
        assert rows.rows == ROWS or rows.rows == (ROWS[2],) * 3


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame(RECORDS).to_parquet(path)
    rows = read(path)
    assert rows.rows == ROWS
    assert rows[2].where == f"{path}:3"


def test_csv_gives_the_same_rows_and_knows_the_line_of_a_row_after_a_long_cell(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    frame = pd.DataFrame([{**r, "messages": json.dumps(r["messages"])} if "messages" in r else r for r in RECORDS])
    pd.concat([frame, frame]).to_csv(path, index=False)
    rows = read(path)
    assert rows.rows == ROWS * 2
    assert [r.line for r in rows] == [2, 3, 4, 6, 7, 8]


def test_a_saved_data_set_gives_the_same_rows(tmp_path: Path) -> None:
    import datasets

    data = datasets.Dataset.from_pandas(pd.DataFrame(RECORDS))
    data.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": data, "test": data.select([2])}).save_to_disk(str(tmp_path / "splits"))
    assert read(tmp_path / "one").rows == ROWS
    assert read(tmp_path / "splits").rows == ROWS
    assert read(tmp_path / "splits", split="test").rows == ROWS[2:]
    with pytest.raises(InputError, match="no split 'dev'; choose one of .*:train, .*:test"):
        read(tmp_path / "splits", split="dev")


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    jsonl(tmp_path / "b.jsonl", [TEXT])
    jsonl(tmp_path / "a.jsonl", [CHAT])
    jsonl(tmp_path / "more" / "c.jsonl", [COMPLETION])
    jsonl(tmp_path / ".hidden.jsonl", ["{broken"])
    (tmp_path / "README.md").write_text("not rows")
    assert read(tmp_path).rows == (ROWS[0], ROWS[2], ROWS[1])


def test_the_other_common_names_of_chats_are_understood(tmp_path: Path) -> None:
    records = [
        {"conversations": [{"from": "human", "value": "hé?"}, {"from": "gpt", "value": "yes"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hé?"}]}, CHAT["messages"][1]]},
        {"prompt": [CHAT["messages"][0]], "completion": [CHAT["messages"][1]]},
        {"prompt": "ignored", "messages": CHAT["messages"]},
    ]
    assert read(jsonl(tmp_path / "a.jsonl", records)).rows == (ROWS[0],) * 4


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": "hé?", "input": "", "output": "yes"},
        {"instruction": "hé?", "output": "yes", "text": "### Instruction:\nhé?\n\n### Response:\nyes"},
        {"question": "hé?", "answer": "yes"},
        {"prompt": "hé?", "response": "yes"},
        {"prompt": "hé?", "chosen": "yes", "rejected": "no"},
        {"prompt": "hé?", "chosen": CHAT["messages"], "rejected": CHAT["messages"]},
        {"prompt": CHAT["messages"][:1], "chosen": CHAT["messages"][1:], "rejected": CHAT["messages"][1:]},
        {"prompt": CHAT["messages"][:1], "chosen": CHAT["messages"], "rejected": CHAT["messages"]},
        {"chosen": CHAT["messages"], "rejected": CHAT["messages"]},
    ],
)
def test_questions_and_answers_under_other_names_are_the_chats_they_are(tmp_path: Path, record: Any) -> None:
    assert read(jsonl(tmp_path / "a.jsonl", [record])).rows == (ROWS[0],)
    pd.DataFrame([record]).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").rows == (ROWS[0],)


def test_what_an_instruction_is_about_its_system_line_and_earlier_turns_are_read_too(tmp_path: Path) -> None:
    record = {
        "instruction": "Sum up.",
        "input": "A text.",
        "output": "c",
        "system": "Be brief.",
        "history": [["a", "b"]],
    }
    (row,) = read(jsonl(tmp_path / "a.jsonl", [{**record, "id": 7}]))
    roles = [(m.role, m.content) for m in row.messages]
    turns = [("user", "a"), ("assistant", "b"), ("user", "Sum up.\n\nA text."), ("assistant", "c")]
    assert roles == [("system", "Be brief."), *turns]
    assert row.meta == {"id": 7}


def test_a_text_beside_a_question_that_is_not_its_template_is_still_a_text(tmp_path: Path) -> None:
    record = {"instruction": "Sum up.", "output": "c", "text": "A text of its own."}
    assert read(jsonl(tmp_path / "a.jsonl", [record]))[0].kind == "text"


def test_of_two_answers_the_chosen_one_is_learned_and_that_is_said(tmp_path: Path) -> None:
    rows = read(jsonl(tmp_path / "a.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c"}] * 2))
    assert rows[0].messages[-1].content == "b"
    assert rows.notes == ["2 rows have a chosen and a rejected answer: the chosen one is what is learned"]
    assert sample(tmp_path / "a.jsonl", 1)[0].notes
    assert read(jsonl(tmp_path / "b.jsonl", [CHAT])).notes == []


def test_packed_files_give_the_same_rows_and_tell_of_their_own_bytes(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv"):
        if name == "a.csv":
            pd.DataFrame([{**RECORDS[1], "text": None}, TEXT]).to_csv(tmp_path / name, index=False)
        else:
            jsonl(tmp_path / name, RECORDS)
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        assert read(packed).rows == read(tmp_path / name).rows
        counted: list[int] = []
        assert len(list(stream(packed, taken=counted.append)))
        assert sum(counted) == packed.stat().st_size
    assert sample(packed, 1)[1] == 2
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(InputError, match="the packed file is not whole"):
        read(packed)
    packed.write_text("text")
    with pytest.raises(InputError, match="cannot be read"):
        read(packed)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_under_the_name_of_jsonl_is_read(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(RECORDS, indent=indent))
    assert read(path).rows == ROWS
    assert sample(path, 9)[1] == len(ROWS)


def test_of_a_folder_cloned_from_the_hub_the_train_split_is_read_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for shard, record in (
        ("train-00000-of-00002", TEXT),
        ("train-00001-of-00002", CHAT),
        ("test-00000-of-00001", COMPLETION),
    ):
        pd.DataFrame([record]).to_parquet(tmp_path / "data" / f"{shard}.parquet")
    rows = read(tmp_path)
    assert rows.rows == (ROWS[2], ROWS[0])
    assert rows.notes == [f"{tmp_path}: read its split train, and not test (write {tmp_path}:test for that)"]
    assert sample(tmp_path, 9)[1] == 2
    assert read(f"{tmp_path}:test").rows == read(tmp_path, split="test").rows == (ROWS[1],)
    counted: list[int] = []
    list(stream(f"{tmp_path}:test", taken=counted.append))
    assert 0 < sum(counted) <= size(f"{tmp_path}:test") < size(tmp_path)
    assert len(list(stream(tmp_path, texts=True))) == 3  # a corpus is read whole
    with pytest.raises(InputError, match=r"no split 'dev'; choose one of .*:test, .*:train$"):
        read(f"{tmp_path}:dev")


def test_splits_of_other_names_must_be_chosen(tmp_path: Path) -> None:
    for name in ("train_sft", "test_sft"):
        pd.DataFrame([TEXT]).to_parquet(tmp_path / f"{name}-00000-of-00001.parquet")
    with pytest.raises(InputError, match=r"no split 'train'; choose one of .*:test_sft, .*:train_sft$"):
        read(tmp_path)
    assert read(f"{tmp_path}:train_sft").rows == (ROWS[2],)


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("train.jsonl", "validation.jsonl"), 1),
        (("train/a.jsonl", "test/a.jsonl"), 1),
        (("my-train.jsonl", "my-dev.jsonl", "more.jsonl"), 2),
        (("test.jsonl",), 1),  # the only split there is
        (("trained.jsonl", "contest.jsonl"), 2),  # no words of a split
        (("test.jsonl", "a.jsonl"), 2),
    ],
)
def test_files_that_name_another_split_are_left_out(tmp_path: Path, names: tuple[str, ...], kept: int) -> None:
    folder = tmp_path / "test"  # what the folder itself is called says nothing
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        jsonl(folder / name, [TEXT])
    assert len(read(folder)) == kept


def test_a_file_has_no_splits(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [TEXT])
    with pytest.raises(InputError, match="no such file"):
        read(f"{path}:test")


def test_a_developers_message_is_a_system_message(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"messages": [{"role": "developer", "content": "be"}, *CHAT["messages"]]}])
    assert read(path)[0].messages[0] == Message("system", "be")


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": "the sea", "far": None}}}
TOOL_CHAT = {
    "messages": [
        {"role": "system", "content": "You are Ada."},
        {"role": "user", "content": "what is there?"},
        {"role": "assistant", "content": "", "reasoning_content": "I must look.", "tool_calls": [CALL]},
        {"role": "tool", "content": "ships", "name": "look", "tool_call_id": "c1"},
        {"role": "assistant", "content": "Ships."},
    ],
    "tools": [TOOL],
}


def test_calls_thoughts_tools_and_their_answers_are_read_and_written_back_whole(tmp_path: Path) -> None:
    rows = read(jsonl(tmp_path / "a.jsonl", [TOOL_CHAT]))
    turns = rows[0].messages
    assert rows[0].as_dict() == TOOL_CHAT
    assert (turns[2].reasoning, turns[2].tool_calls[0].name) == ("I must look.", "look")
    assert (turns[3].name, turns[3].tool_call_id) == ("look", "c1")
    write(rows, tmp_path / "b.jsonl")
    assert read(tmp_path / "b.jsonl").hash == rows.hash
    assert len({rows[0], read(tmp_path / "b.jsonl")[0], Row.chat(TOOL_CHAT["messages"], tools=rows[0].tools)}) == 1


@pytest.mark.parametrize(
    "spelling",
    [
        {"content": None, "tool_calls": [{"function": {"name": "look", "arguments": '{"at": "the sea"}'}}]},
        {"content": "", "tool_calls": [{"name": "look", "arguments": {"at": "the sea"}}]},
        {"content": "", "tool_calls": json.dumps([{"name": "look", "arguments": {"at": "the sea"}}])},
        {"content": None, "function_call": {"name": "look", "arguments": '{"at": "the sea"}'}},
        {"from": "function_call", "value": '{"name": "look", "arguments": {"at": "the sea"}}'},
    ],
)
@pytest.mark.parametrize("tools", [[TOOL], json.dumps([TOOL]), [TOOL["function"]], [json.dumps(TOOL)]])
def test_every_common_spelling_of_a_call_and_of_tools_is_the_same_row(
    tmp_path: Path, spelling: dict[str, Any], tools: Any
) -> None:
    turn = spelling if "from" in spelling else {"role": "assistant", **spelling}
    record = {"messages": [CHAT["messages"][0], turn, {"role": "observation", "content": "ships"}, CHAT["messages"][1]]}
    row = read(jsonl(tmp_path / "a.jsonl", [{**record, "tools": tools}]))[0]
    assert row.messages[1].as_dict()["tool_calls"][0]["function"] == {"name": "look", "arguments": {"at": "the sea"}}
    assert [m.role for m in row.messages] == ["user", "assistant", "tool", "assistant"]
    assert row.as_dict()["tools"] == [TOOL]
    assert row.meta == {}


def test_what_a_table_fills_in_is_no_argument(tmp_path: Path) -> None:
    other = {"id": "c2", "type": "function", "function": {"name": "look", "arguments": {"near": 1}}}
    chats = [
        {"messages": [CHAT["messages"][0], {"role": "assistant", "content": "", "tool_calls": [c]}]}
        for c in (CALL, other)
    ]
    pd.DataFrame(chats).to_parquet(tmp_path / "a.parquet")
    found = [json.loads(row.messages[1].tool_calls[0].arguments) for row in read(tmp_path / "a.parquet")]
    assert found == [{"at": "the sea"}, {"near": 1}]


def test_the_hash_does_not_depend_on_the_format(tmp_path: Path) -> None:
    pd.DataFrame(RECORDS).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").hash == read(jsonl(tmp_path / "b.jsonl", RECORDS)).hash


# ---- bad input


def called(function: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A chat that ends with a call."""
    return {
        "messages": [
            CHAT["messages"][0],
            {"role": "assistant", "content": None, "tool_calls": [{"function": function, **more}]},
        ]
    }


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"text": "a"', "broken JSON"),
        ("[1, 2]", "a row must be an object, not a list"),
        (
            {"riddle": "a", "solution": "b"},
            r'neither a chat, nor a completion, nor a text \(it has riddle, solution\); give it "messages" .* "chosen"',
        ),
        ({"instruction": "a", "output": " "}, '"output" is empty'),
        ({"question": ["a"], "answer": "b"}, '"question" must be a string'),
        ({"prompt": 3, "chosen": [CHAT["messages"][1]]}, '"prompt" is neither a string nor a list of messages'),
        ({"instruction": "a", "output": "b", "history": [["a"]]}, '"history" must be a list of pairs'),
        ({}, "it has no columns"),
        ({"prompt": "a"}, 'the row has no "completion"'),
        ({"completion": "a"}, 'the row has no "prompt"'),
        ({"prompt": 3, "completion": "a"}, '"prompt" must be a string, not a number'),
        ({"prompt": "a", "completion": ""}, '"completion" is empty'),
        ({"text": ["a"]}, '"text" must be a string, not a list'),
        ({"text": "  "}, '"text" is empty'),
        ({"messages": []}, '"messages" is empty'),
        ({"messages": "hello"}, "neither a list nor JSON"),
        ({"messages": ["hello"]}, "must be an object, not a string"),
        ({"messages": [{"role": "user", "content": "a"}]}, "has no assistant turn"),
        ({"messages": [*CHAT["messages"], CHAT["messages"][0]]}, "must end with an assistant turn"),
        ({"messages": [CHAT["messages"][0], {"role": "assistant", "content": " "}]}, "assistant turn .* is empty"),
        ({"messages": [CHAT["messages"][0], {"role": "assistant", "content": None}]}, 'has no "content"'),
        ({"messages": [{"role": "narrator", "content": "a"}]}, "has the role 'narrator'"),
        ({"messages": [*CHAT["messages"], {"role": "system", "content": "a"}, *CHAT["messages"]]}, "after the first"),
        (
            {"messages": [CHAT["messages"][0], {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
            "call 1 of .* has no name",
        ),
        (called({"name": "f", "arguments": "{broken"}), r"the arguments of call 1 of .*\[1\] are no JSON"),
        (called({"name": "f", "arguments": [1]}), "the arguments of call 1 .* must be an object"),
        (
            {"messages": [{**CHAT["messages"][0], "tool_calls": [{"function": {"name": "f"}}]}]},
            "calls a tool and has the",
        ),
        (
            {"messages": [{**CHAT["messages"][0], "reasoning": "hm"}, CHAT["messages"][1]]},
            "has reasoning and has the role",
        ),
        ({"messages": [*CHAT["messages"], {"role": "tool", "content": None}, CHAT["messages"][1]]}, 'has no "content"'),
        (
            {
                "messages": [
                    *called({"name": "f"}, id="1")["messages"],
                    {"role": "tool", "content": "a", "tool_call_id": "2"},
                    CHAT["messages"][1],
                ]
            },
            "answers the call '2', which nobody made",
        ),
        ({**CHAT, "tools": [{"description": "nameless"}]}, r'"tools"\[0\] has no name'),
        ({**CHAT, "tools": "calculator"}, '"tools" is neither a list nor JSON'),
        (
            {"messages": [CHAT["messages"][0], {"role": "user", "content": [{"type": "image"}]}]},
            "parts that are not text",
        ),
        ({"messages": [CHAT["messages"][0], {**CHAT["messages"][1], "weight": 0}]}, '"weight": 0'),
        ('{"text": "half \\ud83d"}', "half a character"),
        ({"prompt": CHAT["messages"], "completion": CHAT["messages"]}, '"prompt" holds assistant turns'),
    ],
)
def test_a_bad_row_names_file_line_and_remedy(tmp_path: Path, bad: Any, message: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", [CHAT, "", bad, TEXT])
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)

    rows = read(path, skip_invalid=True)
    assert rows.rows == (ROWS[0], ROWS[2])
    assert [where for where, _ in rows.skipped] == [f"{path}:3"]
    assert not rows.skipped[0][1].startswith(str(path))


def test_text_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "caf\xe9"}\n{"text": "b"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:2: the byte 0xe9 is not UTF-8; save"):
        read(path)
    assert len(read(path, skip_invalid=True)) == 2
    for name in ("a.json", "a.csv"):
        (tmp_path / name).write_bytes(b'text\n\n"caf\xe9"')
        with pytest.raises(InputError, match=rf"{name}:3: the byte 0xe9"):
            read(tmp_path / name)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    for name, text in (("a.jsonl", '{"text": "a"}'), ("a.json", '[{"text": "a"}]'), ("a.csv", "text\na")):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert read(tmp_path / name).rows == (Row.of_text("a"),)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[{"text": "a"},\n {"text": }]', 2),
        ('[{"text": "a"}\n {"text": "b"}]', 2),
        ('[{"text": "a"},\n {"text": "b"}\n', 3),
        ('[{"text": "a"}]\n\n x', 1),
        ('{"text": "a"}\n{"text"\n{"text": "b"}', 2),
    ],
)
def test_broken_json_names_the_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"a\.json:{line}: "):
        read(path)
    assert read(path, skip_invalid=True)[0] == Row.of_text("a")


def test_a_csv_cell_may_be_as_long_as_a_book(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "long " * 50_000 + "\n")
    assert len(read(path)[0].text) == 250_000


def test_a_csv_row_of_another_length_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('prompt,completion\n"a\nb",c\nd,e,f\n,g\n')
    with pytest.raises(InputError, match=r"a\.csv:4: the row has 3 cells and the header 2"):
        read(path)
    assert read(path, skip_invalid=True).rows == (Row.of_completion("a\nb", "c"), Row.of_completion("", "g"))


def test_an_open_quote_in_a_csv_names_where_it_began(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text\na\n"b\nc\n')
    with pytest.raises(InputError, match=r"a\.csv:3: broken CSV"):
        read(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    for missing in (tmp_path / "no.jsonl", tmp_path / "no"):
        with pytest.raises(InputError, match="there is no such file or folder"):
            read(missing)


def test_an_empty_file_or_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the folder holds no \.jsonl"):
        read(tmp_path)
    for name, text in (("a.jsonl", ""), ("b.jsonl", "\n\n"), ("c.json", "[]"), ("d.csv", "text\n"), ("e.parquet", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=rf"{name}: (the file is empty|there are no rows in it)"):
            read(tmp_path / name)


def test_a_file_without_one_good_row_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"x": 1}, {"y": 2}])
    with pytest.raises(InputError, match="none of its 2 rows can be used; the first: neither a chat"):
        read(path, skip_invalid=True)


def test_a_file_that_is_not_what_its_name_says_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("text")
    with pytest.raises(InputError, match="not a Parquet file"):
        read(tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InputError, match=r"unknown kind of file '\.txt'; use \.jsonl"):
        read(tmp_path / "a.txt")


def test_an_unknown_hub_id_says_what_to_check() -> None:
    with pytest.raises(InputError, match="neither a file here nor a data set that the hub gives .* check the name"):
        read("nobody/nothing-at-all")


# ---- writing


def test_what_is_written_reads_back_with_its_meta(tmp_path: Path) -> None:
    rows = read(jsonl(tmp_path / "a.jsonl", RECORDS))
    write(rows, tmp_path / "new" / "b.jsonl")
    again = read(tmp_path / "new" / "b.jsonl")
    assert again.hash == rows.hash
    assert again[1].meta == {"source": "sums"}


def test_writing_never_replaces_a_file_unless_told(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", RECORDS)
    with pytest.raises(InputError, match="exists already"):
        write([ROWS[2]], path)
    assert len(read(path)) == 3
    write([ROWS[2]], path, overwrite=True)
    assert len(read(path)) == 1


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", RECORDS)
    with pytest.raises(TypeError):
        write([ROWS[0], Row.of_text("a", meta={"x": object()})], path, overwrite=True)
    assert len(read(path)) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]
