#!/bin/bash
# Run once by the image of PostgreSQL, in a new database: a standby may follow, and is waited for before a commit is acknowledged.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v password="$REPLICATION_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'END'
CREATE ROLE replication REPLICATION LOGIN PASSWORD :'password';
SELECT pg_create_physical_replication_slot('standby');
-- "remote_write" instead of "on": a crash of both machines may lose what was just acknowledged, for half the waiting
ALTER SYSTEM SET synchronous_commit = 'on';
ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (standby)';
-- what the standby did not fetch is kept up to here; then it must be made anew
ALTER SYSTEM SET max_slot_wal_keep_size = '8GB';
END
echo 'host replication replication all scram-sha-256' >>"$PGDATA/pg_hba.conf"
