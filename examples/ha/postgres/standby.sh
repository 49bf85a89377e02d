#!/bin/bash
# A standby of $PRIMARY: copied from it when there is nothing yet, then it follows. `pg_ctl promote` makes it the primary.
set -euo pipefail
if [[ ! -e $PGDATA ]]; then
    until rm -rf "$PGDATA.new" && PGPASSWORD=$REPLICATION_PASSWORD pg_basebackup --pgdata="$PGDATA.new" --checkpoint=fast --wal-method=stream --slot=standby \
        --write-recovery-conf --dbname="host=$PRIMARY port=${PRIMARY_PORT:-5432} user=replication application_name=standby"; do
        sleep 2 # the primary is not up yet
    done
    mv "$PGDATA.new" "$PGDATA" # whole, or not at all
fi
# promoted it is alone at first: what the copy says of a standby that must be waited for is not its own
exec postgres -c synchronous_standby_names= "$@"
