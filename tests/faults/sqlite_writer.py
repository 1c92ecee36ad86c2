"""Commits counters to an SQLite database for ever and tells each on standard output once its commit has returned."""

import sqlite3
import sys

path, first = sys.argv[1], int(sys.argv[2])
database = sqlite3.connect(path, isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
database.execute("CREATE TABLE IF NOT EXISTS entry (counter INTEGER PRIMARY KEY, filler BLOB)")
counter = first
while True:
    database.execute("INSERT INTO entry VALUES (?, randomblob(2000))", (counter,))
    print(counter, flush=True)
    counter += 1
