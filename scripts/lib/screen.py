# SPDX-License-Identifier: BSD-2-Clause
"""What the demo shows: prose, commands, and a table that is redrawn in place on a terminal.

Where the output is no terminal there are no colours and no cursor movements, and a table is
printed once, when its phase is over. NO_COLOR (no-color.org) is respected.
"""

import os
import sys

BARS = " ▏▎▍▌▋▊▉█"


def bar(percent, width):
    """PERCENT of WIDTH characters, in eighths."""
    eighths = round(max(0.0, min(percent, 100.0)) * width * 8 / 100)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (BARS[rest] if rest else "")).ljust(width)


class Screen:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.live = out.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.live and "NO_COLOR" not in os.environ
        self.drawn = 0
        if hasattr(out, "reconfigure"):  # bars and box lines, also under LANG=C
            out.reconfigure(encoding="utf-8")

    def paint(self, text, code):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def bold(self, text):
        return self.paint(text, 1)

    def dim(self, text):
        return self.paint(text, 2)

    def good(self, text):
        return self.paint(text, 32)

    def bad(self, text):
        return self.paint(text, 31)

    def say(self, text=""):
        self.keep()
        print(text, file=self.out, flush=True)

    def title(self, text):
        self.say()
        self.say(self.bold(text))

    def command(self, command, answer):
        self.say("  " + self.paint("$ ", 36) + self.bold(command))
        for line in answer.splitlines():
            self.say(self.dim("    " + line))

    def draw(self, lines, final=False):
        """Shows LINES in the place of those drawn before."""
        if not self.live and not final:
            return
        if self.drawn:
            self.out.write(f"\033[{self.drawn}A")
        for line in lines:
            self.out.write(("\033[2K" if self.live else "") + line + "\n")
        self.out.flush()
        self.drawn = len(lines)
        if final or not self.live:
            self.keep()

    def keep(self):
        """What is drawn stays; what comes next is written under it."""
        self.drawn = 0


class Table:
    """Backends as one phase sees them: what has happened since the phase began. It fits 80 columns:
    a line that wraps can't be redrawn."""

    HEAD = f"  {'backend':<8}{'address':<15}{'weight':>6}  {'state':<9}{'due':>6}  " \
           f"{'new connections':<20}{'packets/s':>9}"  # fmt: skip

    def __init__(self, screen):
        self.screen = screen

    def lines(self, rows, shares, due, rates, total, note):
        yield self.screen.dim(self.HEAD)
        for name, row in sorted(rows.items()):
            share = shares.get(name, 0.0)
            paint = self.screen.good if row["state"] == "ready" else self.screen.dim
            yield (
                f"  {self.screen.bold(name.ljust(8))}"
                f"{row['address'] + ':' + str(row['port']):<15}{row['weight']:>6}  "
                + paint(f"{row['state']:<9}")
                + f"{due.get(name, 0.0):>5.1f}%  {share:>5.1f}% "
                + paint(bar(share, 11))
                + f" {rates.get(name, 0.0):>9,.0f}"
            )
        yield self.screen.dim(f"  {total:,} new connections in this phase; {note}")
