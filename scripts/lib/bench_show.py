# SPDX-License-Identifier: BSD-2-Clause
"""What scripts/bench says of its results: rows on a screen, a plot, tables in a document."""

import math
import os
import re
import statistics

PATH_HEAD = f"  {'scenario':<42}{'cycles':>8}{'over io':>9}{'±':>6}{'target':>8}  {'':<5}{'Mpps':>6}" \
            f"{'of macswap':>12}"  # fmt: skip
XDP_HEAD = f"  {'scenario':<42}{'ns':>8}{'±':>15}{'target':>8}"
START_HEAD = f"  {'scenario':<42}{'bytes a flow':>17}{'target':>14}  {'':<5}{'tables':>9}{'serving':>10}"

SCALING_HEAD = f"  {'scenario':<42}{'workers':>8}{'over io':>9}{'±':>6}{'worst':>8}{'io':>8}{'Mpps':>9}" \
               f"{'of linear':>11}"  # fmt: skip


def verdict(screen, result):
    if result["target"] is None:
        return "     "
    return screen.good("met  ") if result["met"] else screen.bad("not  ")


def path_row(screen, title, r):
    if r["unit"] == "percent":
        line = f"  {title:<42}{'-':>8}{'-':>9}{r['spread'] / 2:>6.1f}{'-':>8}  {'':<5}"
        line += f"{r['mpps']:>6.1f}{r['ratio_to_macswap']:>12.2f}"
        return line + "".join(f"\n{'':>6}{note}" for note in path_notes(screen, r))
    target = r["target"] if r["unit"] == "cycles" and r["target"] else "-"
    line = (
        f"  {title:<42}{r['cycles_per_packet']:>8.1f}{r['cycles_over_io']:>9.1f}"
        f"{r['spread'] / 2:>6.1f}{target:>8}  "
        + (verdict(screen, r) if r["unit"] == "cycles" else "     ")
        + f"{r['mpps']:>6.1f}{r['ratio_to_macswap']:>12.2f}"
    )
    return line + "".join(f"\n{'':>6}{note}" for note in path_notes(screen, r))


def path_notes(screen, r):
    if r["unit"] == "conn/s":
        yield (
            f"{r['connections_per_s'] / 1e6:.2f} M connections a second, target "
            f"{r['target'] / 1e6:g}: {verdict(screen, r)}"
        )
    if r["unit"] == "percent":
        yield (
            f"established goodput {r['goodput_before_mpps']:.1f} Mpps before, "
            f"{r['goodput_during_mpps']:.1f} during {r['syns_per_s'] / 1e6:.2f} M SYNs a second "
            f"({100 * r['syns_served']:.0f}% of them served)"
        )
        yield (
            f"falls {r['fall_percent']:.1f}%, target {r['target']}; live entries evicted: "
            f"{r['evicted']}: {verdict(screen, r)}"
        )


def xdp_row(screen, title, r):
    target = f"{r['target']:>8}  {verdict(screen, r)}" if r["target"] else f"{'-':>8}"
    return f"  {title:<42}{r['ns_per_packet']:>8.0f}{r['spread'] / 2:>15.1f}{target}"


def start_row(screen, title, r):
    return (
        f"  {title:<42}{r['bytes_per_flow']:>17.1f}{r['target']:>14}  {verdict(screen, r)}"
        f"{r['all_tables_mb']:>6.0f} MB{r['serving_s']:>8.2f} s"
    )


def scaling_row(screen, title, r):
    return (
        f"  {title:<42}{r['workers']:>8}{r['cycles_over_io']:>9.1f}{r['spread'] / 2:>6.1f}"
        f"{r['worst_worker']:>8.1f}{r['io']:>8.1f}{r['mpps']:>9.1f}{r['linear']:>11.3f}"
        + (f"  {verdict(screen, r)}" if r["workers"] > 1 else "")
    )


def floors(results, core):
    def middle(name):
        return statistics.median(r[name] for r in results if name in r)

    bare = f"our bare loop {middle('io'):.1f}, " if any("io" in r for r in results) else ""
    return (
        f"  Floors, cycles a packet: testpmd io {middle('testpmd_io'):.1f}, macswap "
        f"{middle('testpmd_macswap'):.1f}; {bare}with the generator {middle('floor'):.1f}.\n"
        f"  TSC {results[0]['tsc_mhz']} MHz, core {core}; ± is half the distance of the quartiles "
        "over the rounds."
    )


# ---- plot ----

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 420, 300, 58, 34, 16, 48
COLOURS = {"steady": "#1b6ca8", "tracked": "#c2571a", "limited": "#3a7d44"}
OTHERS = ["#7b4ea3", "#8a6d1b", "#b03060"]


def curves(scenarios, results, figure):
    """{curve: [(flows, figure)]} of those scenarios that have a curve."""
    of = {r["scenario"]: r for r in results}
    found = {}
    for scenario in scenarios:
        if getattr(scenario, "curve", None) and figure in of.get(scenario.name, {}):
            point = (scenario.flows, of[scenario.name][figure])
            found.setdefault(scenario.curve, []).append(point)
    return found


def count(n):
    return f"{n // 1000000}M" if n >= 1000000 else f"{n // 1000}k" if n >= 1000 else str(n)


def panel(at, title, lines):
    """One set of axes, at AT from the left: flows (log) against a cost."""
    high = max(cost for points in lines.values() for _, cost in points)
    step = 10 ** math.floor(math.log10(high))
    step = step if high / step >= 4 else step / 2 if high / step >= 2 else step / 5
    top = math.ceil(high / step) * step
    decades = 7
    colours = iter(OTHERS)

    def x(flows):
        return at + LEFT + (WIDTH - LEFT - RIGHT) * math.log10(max(flows, 1)) / decades

    def y(cost):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * cost / top

    yield f'<text x="{at + LEFT}" y="20" font-weight="bold">{title}</text>'
    for i in range(round(top / step) + 1):
        yield (
            f'<line x1="{x(1):.1f}" x2="{x(10**decades):.1f}" y1="{y(i * step):.1f}" '
            f'y2="{y(i * step):.1f}" stroke="#ddd"/>'
            f'<text x="{x(1) - 6:.1f}" y="{y(i * step) + 4:.1f}" text-anchor="end">{i * step:g}</text>'
        )
    for d in range(decades + 1):
        yield (
            f'<text x="{x(10**d):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{count(10**d)}</text>"
        )
    yield (
        f'<text x="{(x(1) + x(10**decades)) / 2:.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
        "flows, in random order</text>"
    )
    for name, points in lines.items():
        colour = COLOURS.get(name) or next(colours, "#444")
        points = sorted(points)
        way = " ".join(f"{x(f):.1f},{y(c):.1f}" for f, c in points)
        yield f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for flows, cost in points:
            yield (
                f'<circle cx="{x(flows):.1f}" cy="{y(cost):.1f}" r="3.5" fill="{colour}">'
                f"<title>{name}, {flows} flows: {cost:g}</title></circle>"
            )
        yield (
            f'<text x="{x(points[0][0]) + 6:.1f}" y="{y(points[0][1]) - 8:.1f}" fill="{colour}">'
            f"{name}</text>"
        )


def plot(file, scenarios, results):
    """Cost against number of flows, as SVG."""
    panels = [
        (title, lines)
        for title, figure in (("Worker: cycles a packet over io", "cycles_over_io"),
                              ("XDP: ns a packet", "ns_per_packet"))
        if (lines := curves(scenarios, results, figure))
    ]  # fmt: skip
    body = [line for i, (title, lines) in enumerate(panels)
            for line in panel(i * WIDTH, title, lines)]  # fmt: skip
    width = WIDTH * max(len(panels), 1)
    with open(file, "w", encoding="utf-8") as out:
        out.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
            f'viewBox="0 0 {width} {HEIGHT}" font-family="sans-serif" font-size="11">\n'
            f'<rect width="{width}" height="{HEIGHT}" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
        )


# ---- tables in a document ----


def said(r):
    return "" if r["target"] is None else "met" if r["met"] else "not met"


def target_of(r):
    if r["target"] is None:
        return "-"
    return {"conn/s": f"{r['target'] / 1e6:g} M/s", "percent": f"{r['target']}%"}.get(
        r["unit"], str(r["target"])
    )


def figure_of(r):
    if r["unit"] == "conn/s":
        return f"{r['connections_per_s'] / 1e6:.1f} M connections/s"
    if r["unit"] == "percent":
        return f"falls {r['fall_percent']:.1f}%, {r['evicted']} evicted"
    return f"{r['cycles_over_io']:.1f}" if "cycles_over_io" in r else f"{r['ns_per_packet']:.0f} ns"


def markdown(scenarios, results):
    """The tables of docs/performance.md, by name."""
    titles = {s.name: s.title for s in scenarios}
    path = [r for r in results if "cycles_over_io" in r]
    xdp = [r for r in results if "ns_per_packet" in r]
    start = [r for r in results if "bytes_per_flow" in r]
    tables = {}
    if path:
        tables["path"] = [
            "| scenario | over io | ± | target | | Mpps | of macswap |",
            "|---|---|---|---|---|---|---|",
        ] + [
            f"| {titles[r['scenario']]} | {figure_of(r)} | {r['spread'] / 2:.1f} | {target_of(r)} | "
            f"{said(r)} | {r['mpps']:.1f} | {r['ratio_to_macswap']:.2f} |"
            for r in path
        ]
        tables["path"] += ["", floors(path, "the last").strip().replace("\n  ", " ")]
    if xdp:
        tables["xdp"] = ["| scenario | ns | ± | target | |", "|---|---|---|---|---|"] + [
            f"| {titles[r['scenario']]} | {r['ns_per_packet']:.0f} | {r['spread'] / 2:.1f} | "
            f"{target_of(r)} | {said(r)} |"
            for r in xdp
        ]
    if start:
        tables["start"] = [
            "| flows | bytes a flow | flow table | all tables | control resident | dataplane resident"
            " | control ready | serving |",
            "|---|---|---|---|---|---|---|---|",
        ] + [
            f"| {r['flows']:,} | {r['bytes_per_flow']} | {r['flow_table_mb']} MB | "
            f"{r['all_tables_mb']} MB | {r['control_resident_mb']} MB | "
            f"{r['dataplane_resident_mb']} MB | {r['control_ready_s']} s | {r['serving_s']} s |"
            for r in start
        ]
    return tables


def document(file, tables):
    """Puts each table between its two marks in FILE; a mark that isn't there is an error."""
    with open(file, encoding="utf-8") as source:
        text = source.read()
    for name, lines in tables.items():
        block = "\n".join(lines)
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, n = re.subn(pattern, lambda m, b=block: m[1] + b + "\n" + m[2], text, flags=re.DOTALL)
        if n != 1:
            raise RuntimeError(f"{file} has no place for the table {name}")
    with open(f"{file}.new", "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(f"{file}.new", file)
