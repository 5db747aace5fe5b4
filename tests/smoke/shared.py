# SPDX-License-Identifier: BSD-2-Clause
"""The fixtures of conftest.py, made once for a module that imports them: for tests that change
nothing, neither in the topology nor in the instance. What such tests count is a difference."""

import conftest
import pytest

once = pytest.fixture(scope="module")
topology = once(conftest.make_topology)
idle = once(conftest.configure)
sluice = once(conftest.serve)
echo = once(conftest.serve_echo)
