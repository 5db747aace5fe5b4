# SPDX-License-Identifier: BSD-2-Clause
"""Prints "PASSED FAILED SKIPPED" of a JUnit file, as meson and pytest write it; what failed or was
skipped is named on stderr. A file that isn't there is a failure: its tests never ran."""

import sys
import xml.etree.ElementTree as xml


def tally(file):
    passed = failed = skipped = 0
    try:
        cases = list(xml.parse(file).iter("testcase"))
    except (OSError, xml.ParseError) as error:
        print(f"  no results: {error}", file=sys.stderr)
        return 0, 1, 0
    for case in cases:
        name = f"{case.get('classname', '')} {case.get('name', '')}".strip()
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            print(f"  FAILED  {name}", file=sys.stderr)
        elif (skip := case.find("skipped")) is not None:
            skipped += 1
            print(f"  SKIPPED {name}: {skip.get('message', 'no reason')}", file=sys.stderr)
        else:
            passed += 1
    return passed, failed, skipped


print(*tally(sys.argv[1]))
