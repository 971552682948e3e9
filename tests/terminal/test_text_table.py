"""Tables of text."""

from seisml.terminal.text_table import text_table


def test_numbers_stand_right_and_text_left():
    rows = [
        {"encoder": "random", "accuracy": 0.41234, "events": 160},
        {"encoder": "pretrained\n(VNIbCReg) [bold]", "accuracy": float("nan"), "events": None},
        {"encoder": "x", "seconds": 1e-5},
    ]
    assert text_table(rows, "Test accuracy").splitlines() == [
        "Test accuracy",
        "encoder                       accuracy  events  seconds",
        "-" * 56,
        "random                           0.412     160        -",
        "pretrained (VNIbCReg) [bold]         -       -        -",
        "x                                    -       -    1e-05",
    ]
    assert text_table([]) == "" and text_table([], "nothing") == "nothing"


def test_a_pipe_does_not_cut_columns():
    row = {f"column {number}": "x" * 30 for number in range(20)}
    lines = text_table([row]).splitlines()
    assert len(lines) == 3 and lines[2].split() == ["x" * 30] * 20
