"""What is wrong with a table is said in one line with the file, the place and the value."""

from __future__ import annotations

import re

import numpy as np
import pytest

from adaptive_dropout.data.tables import read_table

X = np.arange(8.0).reshape(4, 2)
Y = np.array([0, 1, 0, 1])


def refused(path, message, target=None, error=ValueError):
    with pytest.raises(error) as caught:
        read_table(path, target)
    text = str(caught.value)
    assert str(path) in text
    assert re.search(message, text), text
    assert "\n" not in text


def test_the_target_is_the_named_column_else_target_else_the_last(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,target,b\n1.5,0,7\n2.5,1,7\n3.5,0,8\n4.5,1,8\n")
    assert read_table(path).y.tolist() == [0, 1, 0, 1]
    assert read_table(path, "b").y.tolist() == [7, 7, 8, 8]
    assert read_table(path, "a").x.tolist() == [[0, 7], [1, 7], [0, 8], [1, 8]]
    path.write_text("a,b\n0.5,1\n1.5,0\n2.5,1\n3.5,0\n")
    assert read_table(path).y.tolist() == [1, 0, 1, 0]


def test_one_target_with_a_point_makes_all_of_them_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,y\n1,0\n2,1\n3,0.0\n4,1\n")
    assert read_table(path).y.dtype == np.float64


def test_blank_lines_signs_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,y\n\n1,-1\n2,+1\n\n3,-1\n4,1\n", encoding="utf-8-sig")
    assert read_table(path, "y").y.tolist() == [-1, 1, -1, 1]
    assert read_table(path, "y").x.tolist() == [[1], [2], [3], [4]]


def test_another_array_can_be_the_target(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, price=X[:, 0])
    assert read_table(tmp_path / "a.npz", "price").y.tolist() == [0, 2, 4, 6]


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "no.npz", r"path has to name a \.npz, \.csv or \.tsv file$", error=FileNotFoundError)


def test_an_unknown_suffix_is_refused(tmp_path):
    (tmp_path / "a.xlsx").write_text("")
    refused(tmp_path / "a.xlsx", r"has to be \.npz, \.csv or \.tsv, but is '\.xlsx'$")


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 but no zip"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    refused(tmp_path / "a.npz", r"not a readable \.npz file \(.+\)")


def test_a_single_array_under_the_wrong_suffix_is_refused(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, X)
    refused(tmp_path / "a.npz", r"not a readable \.npz file \(.+\)")


def test_an_npz_cut_short_or_with_flipped_bits_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random((200, 20)), y=np.arange(200) % 2)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, r"not a readable \.npz file \(.+\)")
    path.write_bytes(whole[:1000] + bytes(255 - byte for byte in whole[1000:1100]) + whole[1100:])
    refused(path, r"not a readable \.npz file \(.+\)")


def test_an_unknown_compression_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 99  # the compression method in the zip's directory
    path.write_bytes(content)
    refused(path, r"not a readable \.npz file \(.*compression.*\)")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([[object()]] * 4), y=Y)
    refused(tmp_path / "a.npz", r"not a readable \.npz file \(.*allow_pickle.*\)")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"arrays named 'x' and 'y' are needed, but it holds \['x'\]$"),
        ({"x": X, "y": Y[:3]}, "equally long, but are 4 and 3$"),
        ({"x": X[:, 0], "y": Y}, r"need the shape \(examples, features\), but have \(4,\)$"),
        ({"x": X[:, :0], "y": Y}, r"need the shape \(examples, features\), but have \(4, 0\)$"),
        ({"x": X, "y": np.array(list("abab"))}, r"'y' has to be an array of numbers, but is <U1 \(4,\)$"),
        ({"x": X + 1j, "y": Y}, r"'x' has to be an array of numbers, but is complex128"),
        ({"x": X, "y": np.float64(1)}, r"'y' has to be an array of numbers, but is float64 \(\)$"),
        ({"x": np.where(X == 5, np.nan, X), "y": Y}, r"the inputs have to be finite, but hold nan at \[2, 1\]$"),
        ({"x": X, "y": np.array([0, 1, np.inf, 2])}, r"the targets have to be finite, but hold inf at \[2\]$"),
        ({"x": X, "y": np.stack([Y, Y], 1)}, r"are classes and need the shape \(examples,\), but have \(4, 2\)$"),
        ({"x": X, "y": 0 * Y}, "1 different ones in 4 examples cannot be learned; .* as floats$"),
        ({"x": X, "y": np.arange(4)}, "4 different ones in 4 examples cannot be learned; .* as floats$"),
    ],
)
def test_arrays_that_cannot_be_learned_from_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a header and lines of numbers are needed, but it has 0 lines$"),
        ("a,y\n", "but it has 1 lines$"),
        ("a,y\n1,0\n\n2,x\n", r"line 4, column 'y' holds 'x', not a number$"),
        ("a,y\n1,0\n,1\n", r"line 3, column 'a' holds '', not a number$"),
        ("a,y\n1,0\n2,1,5\n", "line 3 has 3 cells, but the header has 2$"),
        ("a;y\n1;0\n", r"a column 'a;y' and one more are needed, but the header is \['a;y'\]$"),
        ("a,y\n1,0\nnan,1\n3,0\n4,1\n", r"the inputs have to be finite, but hold nan at \[1, 0\]$"),
        ('a,y\n"1,0\n', r"not a readable \.csv text \(.+\)$"),
    ],
)
def test_text_that_cannot_be_learned_from_is_refused(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    refused(tmp_path / "a.csv", message)


def test_a_column_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,y\n1,0\n2,1\n")
    refused(tmp_path / "a.csv", r"a column 'price' and one more are needed, but the header is \['a', 'y'\]$", "price")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,y\n\xff\xfe,0\n")
    refused(tmp_path / "a.csv", r"not a readable \.csv text \(.*decode.*\)$")
