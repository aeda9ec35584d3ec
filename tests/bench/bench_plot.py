"""Dots of all rounds, and their medians, each beside what it is compared with; without any library."""

import html
import math
import statistics

WIDTH, ROW, LEFT, RIGHT, TOP = 760, 22, 190, 40, 40
WIDE_LEFT, LEAST, MOST, MARKS = 270, 0.25, 8, (0.25, 0.5, 1, 2, 4, 8)
COLORS = {"plain": "#666666", "empty": "#cc79a7", "attach": "#0072b2", "nftables": "#d55e00", "relay": "#009e73"}


def write_plot(path, figures):
    """`figures`: {what: {way: values by round}}; plotted is each value over that of the plain bridge in the same round."""
    lines, y = [], TOP
    for what, ways in figures.items():
        lines.append(f'<text x="10" y="{y + 4}" font-weight="bold">{what}</text>')
        y += ROW
        for way, values in ways.items():
            ratios = [value / plain for value, plain in zip(values, ways["plain"])]
            dots = "".join(f'<circle cx="{place(ratio):.1f}" cy="{y}" r="3" fill-opacity="0.4"/>' for ratio in ratios)
            middle = place(statistics.median(ratios))
            lines.append(f'<g fill="{COLORS[way]}"><text x="30" y="{y + 4}">{way}</text>{dots}'
                         f'<rect x="{middle - 1.5:.1f}" y="{y - 8}" width="3" height="16"/></g>')
            y += ROW
        y += ROW // 2
    marks = "".join(f'<line x1="{place(mark)}" x2="{place(mark)}" y1="{TOP - 15}" y2="{y}" stroke="#ccc"/>'
                    f'<text x="{place(mark) - 10}" y="{TOP - 20}">{mark}</text>' for mark in (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2))
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" font-family="sans-serif" font-size="12">'
                    f'<rect width="100%" height="100%" fill="white"/>{marks}{"".join(lines)}</svg>\n')


def place(ratio):
    return LEFT + min(ratio, 2.0) / 2 * (WIDTH - LEFT - RIGHT)


def place_by_twos(ratio):
    """Each doubling takes as much room."""
    return WIDE_LEFT + (math.log2(min(max(ratio, LEAST), MOST)) - math.log2(LEAST)) / math.log2(MOST / LEAST) * (WIDTH - WIDE_LEFT - RIGHT)


def write_ratios(path, compared):
    """`compared`: {what: {arm: ratios by round}}"""
    lines, y = [], TOP
    for what, arms in compared.items():
        arms = {arm: ratios for arm, ratios in arms.items() if set(ratios) != {1}}      # not what the others are compared with
        if not arms:
            continue
        lines.append(f'<text x="10" y="{y + 4}" font-weight="bold">{html.escape(what)}</text>')
        y += ROW
        for arm, ratios in arms.items():
            dots = "".join(f'<circle cx="{place_by_twos(ratio):.1f}" cy="{y}" r="3" fill-opacity="0.4"/>' for ratio in ratios)
            middle = place_by_twos(statistics.median(ratios))
            lines.append(f'<g fill="{COLORS["attach"]}"><text x="30" y="{y + 4}">{html.escape(arm)}</text>{dots}'
                         f'<rect x="{middle - 1.5:.1f}" y="{y - 8}" width="3" height="16"/></g>')
            y += ROW
        y += ROW // 2
    marks = "".join(f'<line x1="{place_by_twos(mark):.1f}" x2="{place_by_twos(mark):.1f}" y1="{TOP - 15}" y2="{y}" stroke="#ccc"/>'
                    f'<text x="{place_by_twos(mark) - 10:.1f}" y="{TOP - 20}">{mark}</text>' for mark in MARKS)
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" font-family="sans-serif" font-size="12">'
                    f'<rect width="100%" height="100%" fill="white"/>{marks}{"".join(lines)}</svg>\n')
