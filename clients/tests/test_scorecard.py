"""The page about conformance says what the tests do."""

import scorecard


def test_the_page_is_what_the_tests_cover():
    wanted = "write it with `python clients/tests/scorecard.py --write`"
    assert scorecard.PAGE.read_text() == scorecard.page(), wanted


def test_no_trap_is_open():
    open_traps = [line for line in scorecard.page().splitlines() if "**open**" in line]
    assert not open_traps, "\n".join(open_traps)
