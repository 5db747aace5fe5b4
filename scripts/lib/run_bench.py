# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench, once the machine is ready and Sluice is built: what is measured, in which order,
and where the results go. bench_scenarios.py has the table of scenarios.
"""

import argparse
import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import sys
import tempfile

import bench_path
import bench_scaling
import bench_scenarios
import bench_show
import bench_start
import bench_xdp
import gateway
import topology as net
from screen import Screen

ROUNDS, QUICK_ROUNDS = 30, 8
STAGED = ["nat-1m", "tracked-64k", "tracked-1m"]
SCALED = ["nat-1m", "tracked-1m", "limited-1m"]
TEMPORARY = tempfile.gettempdir()
LOCK = "/run/lock/sluice-bench"
HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.normpath(f"{HERE}/../../docs/performance.md")
PLOT = os.path.normpath(f"{HERE}/../../docs/performance.svg")


def remove_leftovers():
    """Of benches that were killed so hard that they couldn't clean up."""
    places = (f"{bench_path.HUGE}/sluice.bench-*", f"{net.BPFFS}/sluice-bench-*",
              f"{TEMPORARY}/sluice-bench-*", f"{bench_path.EAL_DIR}/*bench-*",
              f"{bench_path.HUGE}/*bench-*map_*")  # fmt: skip
    for pattern in places:
        for path in glob.glob(pattern):
            match = re.search(r"bench-(\d+)", path)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def arguments():
    names = [scenario.name for scenario in bench_scenarios.ALL]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="What the packet path costs, beside testpmd. Exit status 0 when all was "
        "measured, whether or not targets are met.",
    )
    parser.add_argument("--quick", action="store_true", help="about two minutes, less exact")
    parser.add_argument("--scenario", action="append", metavar="NAME", choices=names,
                        help="only this one; may be repeated: " + ", ".join(names))  # fmt: skip
    parser.add_argument("--tables", choices=["huge", "bpf"], default="huge",
                        help="where the tables live (huge pages)")  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    parser.add_argument("--plot", metavar="FILE",
                        help="cost against number of flows, as SVG; measures a few points more")  # fmt: skip
    parser.add_argument("--stages", action="store_true",
                        help="instead of all that: where a worker's cycles go")  # fmt: skip
    parser.add_argument("--scaling", action="store_true",
                        help="instead of all that: 1, 2, 4, 8 workers at once, where there are cores")  # fmt: skip
    parser.add_argument("--document", action="store_true",
                        help="put the tables, the plot and the stages into docs/performance.md")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    return parser.parse_args()


def alone():
    """Two benches at once on one core would measure each other. The lock goes with us."""
    lock = open(LOCK, "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("waiting for another bench ...", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def temporary():
    return tempfile.TemporaryDirectory(prefix=f"sluice-bench-{os.getpid()}-")


class Bench:
    def __init__(self, screen, options):
        self.screen = screen
        self.options = options
        self.results = []

    def chosen(self, scenarios):
        named, plotted = self.options.scenario, self.options.plot or self.options.document
        return [s for s in scenarios
                if (s.name in named if named else plotted or not getattr(s, "extra", False))]  # fmt: skip

    def keep(self, row, result):
        self.results.append(result)
        self.screen.say(row)
        if self.options.json:
            with open(self.options.json, "w", encoding="utf-8") as file:
                json.dump(self.results, file, indent=1)
                file.write("\n")

    def rounds(self):
        return QUICK_ROUNDS if self.options.quick else ROUNDS

    def run_path(self, directory, chosen):
        with bench_path.Testpmd(directory) as testpmd:
            self.screen.say(self.screen.dim(bench_show.PATH_HEAD))
            for s in chosen:
                r = bench_path.measure(directory, testpmd, s, self.options.tables, self.rounds())
                self.keep(bench_show.path_row(self.screen, s.title, r), r)
        self.screen.say(self.screen.dim(bench_show.floors(self.results, bench_path.CORE)))

    def run_xdp(self, chosen):
        self.screen.say(self.screen.dim(bench_show.XDP_HEAD))
        for s in chosen:
            r = bench_xdp.measure(s, self.options.quick)
            self.keep(bench_show.xdp_row(self.screen, s.title, r), r)

    def run_start(self, directory, chosen):
        self.screen.say(self.screen.dim(bench_show.START_HEAD))
        for s in chosen:
            r = bench_start.measure(directory, s)
            self.keep(bench_show.start_row(self.screen, s.title, r), r)

    def run(self):
        path, xdp, start = map(self.chosen, (bench_scenarios.PATH, bench_scenarios.XDP,
                                             bench_scenarios.START))  # fmt: skip
        with temporary() as directory:
            if path:
                self.run_path(directory, path)
            if xdp:
                self.run_xdp(xdp)
            if start:
                self.run_start(directory, start)

    def stages(self):
        """A table of what each stage adds, for the screen and the document."""
        named = self.options.scenario or STAGED
        lines = ["| cycles a packet | io | parse, classify | decide | the worker's own | all |",
                 "|---|---|---|---|---|---|"]  # fmt: skip
        self.screen.say(self.screen.dim(f"  {'cycles a packet':<42}{'io':>8}{'classify':>10}"
                                        f"{'decide':>8}{'worker':>8}{'all':>8}"))  # fmt: skip
        with temporary() as directory:
            for s in (s for s in bench_scenarios.PATH if s.name in named):
                parts = bench_path.stages(directory, s, self.options.tables, self.rounds() // 2)
                cells = [*parts.values(), sum(parts.values())]
                self.screen.say(f"  {s.title:<42}{cells[0]:>8.1f}{cells[1]:>10.1f}"
                                + "".join(f"{cell:>8.1f}" for cell in cells[2:]))  # fmt: skip
                lines.append(f"| {s.title} | " + " | ".join(f"{c:.1f}" for c in cells) + " |")
        return lines

    def scaling(self):
        named = self.options.scenario or SCALED
        rounds = self.rounds() // 2
        self.screen.say(self.screen.dim(bench_show.SCALING_HEAD))
        with temporary() as directory:
            for s in (s for s in bench_scenarios.PATH if s.name in named):
                for r in bench_scaling.measure(directory, s, self.options.tables, rounds):
                    self.keep(bench_show.scaling_row(self.screen, s.title, r), r)


def write(bench, options):
    if options.plot:
        bench_show.plot(options.plot, bench_scenarios.ALL, bench.results)
    if options.document:
        tables = bench_show.markdown(bench_scenarios.ALL, bench.results)
        tables["stages"] = bench.stages()
        bench_show.document(DOCUMENT, tables)
        bench_show.plot(PLOT, bench_scenarios.ALL, bench.results)


def main():
    options = arguments()
    if options.list:
        for scenario in bench_scenarios.ALL:
            print(f"{scenario.name:<16} {scenario.title}")
        return 0
    net.interruptible()
    screen = Screen()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(alone())
            remove_leftovers()
            gateway.leave_the_worker()
            bench = Bench(screen, options)
            if options.stages:
                bench.stages()
            elif options.scaling:
                bench.scaling()
            else:
                bench.run()
                write(bench, options)
    except KeyboardInterrupt:
        screen.say("\n  interrupted; cleaned up")
        return 130
    except (bench_path.Failure, TimeoutError, RuntimeError, OSError) as error:
        screen.say(screen.bad(f"  bench: {error}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
