#!/bin/bash
# A standby of $PRIMARY: copied from it when there is nothing yet, then it follows. `pg_ctl promote` makes it the primary.
set -euo pipefail
if [[ ! -s $PGDATA/PG_VERSION ]]; then
    until PGPASSWORD=$REPLICATION_PASSWORD pg_basebackup --pgdata="$PGDATA" --checkpoint=fast --wal-method=stream --slot=standby --write-recovery-conf \
        --dbname="host=$PRIMARY port=${PRIMARY_PORT:-5432} user=replication application_name=standby"; do
        find "$PGDATA" -mindepth 1 -delete
        sleep 2 # the primary is not up yet
    done
    chmod 0700 "$PGDATA"
fi
exec postgres "$@"
