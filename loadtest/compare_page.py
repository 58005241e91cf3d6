"""The comparison as a section of docs/performance.md, with its plots."""

import argparse
import sys
import time

import pages
from measure import Results, Sample, digits, median, spread
from peers import PEERS

JSON = {peer.name: peer.json for peer in PEERS}


def size_name(size: int) -> str:
    return f"{size // 1024} KiB" if size >= 1024 and size % 1024 == 0 else f"{size} B"


def ratios(cell: dict[str, list[Sample]], name: str) -> list[float]:
    """To the floor of the same round."""
    return [sample.cpu_us / base.cpu_us for sample, base in zip(cell[name], cell["floor"])]


def cpu_table(results: Results, count: int, sizes: list[int]) -> str:
    names = list(dict.fromkeys(name for size in sizes for name in results.cells[count, size]))
    rows = []
    for name in names:
        row = [name, JSON[name]]
        for size in sizes:
            cell = results.cells[count, size]
            if name not in cell:
                row += ["failed", "", ""]
                continue
            row += [spread([s.cpu_us for s in cell[name]]), spread(ratios(cell, name)),
                    f"{median([s.busy for s in cell[name]]):.0%}"]
        rows.append(row)
    heads = ["", "JSON"]
    for size in sizes:
        heads += [f"{size_name(size)}: µs", "× floor", "busy"]
    return pages.table(heads, rows)


def better(results: Results, sizes: list[int], counts: list[int]) -> str:
    """Every cell in which a peer needs less CPU than Sluice does for the same work."""
    found: dict[str, list[str]] = {}
    for count in counts:
        for size in sizes:
            cell = results.cells[count, size]
            for name in cell:
                own = "sluice" if next(p for p in PEERS if p.name == name).merges else "sluice proxy"
                if name in ("floor", own) or own not in cell:
                    continue
                factor = median([s.cpu_us for s in cell[own]]) / median([s.cpu_us for s in cell[name]])
                if factor > 1:
                    found.setdefault(name, []).append(f"{factor:.2f} times at N = {count}, {size_name(size)}")
    if not found:
        return "No peer was cheaper than Sluice in any row."
    return "Cheaper than Sluice (proxies: than its `proxy` strategy), by how much:\n\n" + "\n".join(
        f"- {name} ({JSON[name]}): {', '.join(cells)}" for name, cells in found.items())


def latency_table(results: Results, key: tuple[int, int]) -> str:
    wanted = results.latency_rate[key]
    rows = []
    for name, samples in results.latency[key].items():
        kept = median([s.rate for s in samples])
        rows.append([name, *(spread([getattr(s, part) / 1e3 for s in samples]) for part in ("p50_us", "p99_us", "p999_us")),
                     digits(kept) if kept > 0.95 * wanted else f"{digits(kept)}: cannot keep up",
                     str(sum(s.errors for s in samples))])
    return pages.table(["", "p50 ms", "p99 ms", "p99.9 ms", "replies/s", "errors"], rows)


def overload_table(results: Results) -> str:
    rows = []
    for name, samples in results.overload.items():
        capacity = median([s.rate for s in results.cells[10, 4096][name]])
        row = [name, digits(capacity)]
        for sample in samples.values():
            asked = sample.report["sent"] + sample.report["errors"]["unsent"]
            row += [f"{sample.good_rate / capacity:.0%}", digits(sample.p50_us / 1e3), digits(sample.p99_us / 1e3),
                    f"{sample.errors / max(1, asked):.0%}"]
        rows.append(row)
    return pages.table(["", "own replies/s", "2×: good", "p50 ms", "p99 ms", "errors", "4×: good", "p50 ms", "p99 ms",
                        "errors"], rows)


def fault_table(results: Results) -> str:
    names = list(dict.fromkeys(name for rows in results.faults.values() for name in rows))
    body = []
    for name in names:
        row = [name]
        for rows in results.faults.values():
            sample = rows[name]
            if sample.report["replies"] == 0:
                row += ["none", "none", "0 %"]
            else:
                row += [digits(sample.p50_us / 1e3), digits(sample.max_us / 1e3),
                        f"{sample.report['good'] / max(1, sample.report['sent']):.0%}"]
        body.append(row)
    heads = [""]
    for title in results.faults:
        heads += [f"{title}: p50 ms", "longest ms", "with the healthy parts"]
    return pages.table(heads, body)


def plots(results: Results, counts: list[int], sizes: list[int]) -> list[str]:
    count = 3 if 3 in counts else counts[0]
    groups = {}
    for size in sizes:
        cell = results.cells[count, size]
        groups[f"{size_name(size)} a backend"] = [(name, median(r), min(r), max(r)) for name in cell
                                                  for r in [ratios(cell, name)]]
    shown = [pages.bars("cpu", f"CPU per request as a ratio to the floor, N = {count} (less is better)", "×", groups)]
    key = (3, 4096)
    if key in results.latency:
        parts = {"p50": "p50_us", "p99": "p99_us", "p99.9": "p999_us"}
        groups = {title: [(name, median(v), min(v), max(v)) for name, samples in results.latency[key].items()
                          for v in [[getattr(s, part) / 1e3 for s in samples]]] for title, part in parts.items()}
        shown.append(pages.bars("latency", f"Latency at {results.latency_rate[key]}/s, N = 3, 4 KiB, in ms", "", groups))
    return shown


def section(results: Results, options: argparse.Namespace, images: list[str]) -> str:
    counts, sizes = options.backends, options.sizes
    known = {name.split("+")[0].split()[0]: version for name, version in results.versions.items() if version}
    versions = ", ".join(f"{name} {version}" for name, version in known.items())
    minutes = (time.monotonic() - options.began) / 60
    text = ["## Beside others", f"`./run compare` (here {minutes:.0f} minutes) on {pages.machine()}. {versions}. The gateway "
            "has one CPU and one worker; load generator and backends share the others. Everything runs in one go and in turns: "
            f"{options.rounds} rounds of {options.unit:.1f} s for each gateway in each cell. Figures are medians over the "
            "rounds, with minimum and maximum. Sluice runs as it is used: JSON validated, headers, metrics, access log. \"× floor\" is to "
            "`sluice-floor` in the same round. \"busy\" is the share of its CPU that the gateway used: below 100 % load generator "
            "and backends were the bottleneck, and it made smaller batches."]
    text += images
    for count in counts:
        text.append(f"### CPU per request, N = {count}, {options.connections} connections\n\n" + cpu_table(results, count, sizes))
    text.append(better(results, sizes, counts))
    for count, size in results.latency:
        text.append(f"### Latency at {results.latency_rate[count, size]}/s (half of what Sluice can), N = {count}, "
                    f"{size_name(size)}\n\n" + latency_table(results, (count, size)))
    if results.overload:
        text.append("### Overload, N = 10, 4 KiB\n\nTwo and four times what each can do by itself, over 1,500 "
                    "connections; latency counts from when a request was due; a reply that takes longer than 2 s after its send "
                    "is an error. Good replies as a share of its own rate.\n\n" + overload_table(results))
    text.append("### One of three backends hangs, or drips a byte each 100 ms\n\n100 requests per second, deadline 500 ms "
                "everywhere (nginx: `proxy_read_timeout`, which starts anew with every byte).\n\n" + fault_table(results))
    if results.failed:
        text.append("Failed: " + "; ".join(results.failed) + ".")
    if results.absent:
        text.append("Absent: " + "; ".join(f"{name} ({reason})" for name, reason in results.absent.items()) + ".")
    return "\n\n".join(text)


def write(results: Results, options: argparse.Namespace) -> None:
    images = [] if options.no_page else plots(results, options.backends, options.sizes)
    text = section(results, options, images)
    if options.no_page:
        print(text)
    else:
        pages.write_section("compare", text)
        print(f"compare: wrote {pages.PAGE}", file=sys.stderr)
