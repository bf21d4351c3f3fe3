"""Puts the SQL rule for event patterns beside the operators, on the same events: event_sql.py COLONIES DAYS.

Runs `cargo bench -p coral-operators --bench event_patterns` in bulk and with one more event, which writes its events as CSV,
then RFD 003's rule, corrected, over them in DuckDB, and prints the ratios. Needs the Python package duckdb.
"""

import os
import re
import subprocess
import sys
import tempfile
import time

import duckdb

# pairs of one application, from staging to production, within four hours; events are distinct
RULE = """
SELECT s.application_name, s.service_id, s.event_type, p.application_name, p.service_id, p.event_type,
       count(DISTINCT s.event_id) AS occurrences,
       quantile_disc(p.timestamp_ms - s.timestamp_ms, 0.5) AS lag_p50_ms
FROM (SELECT * FROM events WHERE environment = 'staging' AND event_type IN ('deploy', 'error_spike')) AS s
JOIN (SELECT * FROM events WHERE environment = 'production' AND event_type IN ('error_spike', 'crash')) AS p
  ON s.application_name = p.application_name
WHERE p.timestamp_ms > s.timestamp_ms AND p.timestamp_ms < s.timestamp_ms + 4 * 3600 * 1000
GROUP BY ALL HAVING occurrences >= 3
"""


def ours(colonies, days, events):
    """What the bench prints, in bulk and with one more event."""
    command = "cargo bench -p coral-operators --bench event_patterns -- ".split() + [colonies, days]
    environment = {**os.environ, "EVENTS_CSV": events}
    printed = [subprocess.run(command + more, env=environment, check=True, capture_output=True, text=True).stdout
               for more in ([], ["one"])]
    return "\n".join(printed)


def rule(events):
    """Seconds of the fastest of seven runs over a table in memory, events, and patterns."""
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("CREATE TABLE events AS SELECT * FROM read_csv(?)", [events])
    count = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    best, found = float("inf"), []
    for _ in range(7):
        began = time.perf_counter()
        found = connection.execute(RULE).fetchall()
        best = min(best, time.perf_counter() - began)
    return best, count, len(found)


def main():
    colonies, days = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        events = os.path.join(folder, "events.csv")
        printed = ours(colonies, days, events)
        print(printed)
        seconds, count, patterns = rule(events)
    print(f"DuckDB {duckdb.__version__}, 2 threads: the rule over {count} events of {colonies} colonies in {days} days takes "
          f"{seconds * 1e3:.2f} ms and gives {patterns} pairs of types")
    for wall in re.findall(r"bulk, 2 threads: ([\d.]+) s", printed):
        print(f"bulk on 2 threads: {float(wall) / seconds:.1f} times as long as the rule run once")
    for kind, median in re.findall(r"one more, ([\w ]+): median ([\d.]+) ms", printed):
        print(f"one more, {kind}: {seconds * 1e3 / float(median):.1f} times less than the rule")


if __name__ == "__main__":
    main()
