/* rpm.c - where rpm keeps its database: Berkeley DB (Packages), NDB (Packages.db), SQLite (rpmdb.sqlite). */
#include "detect/detector.h"

const struct detector detector_rpm = {
    .name = "rpm",
    .version = 1,
    .paths =
        "var/lib/rpm/Packages var/lib/rpm/Packages.db var/lib/rpm/rpmdb.sqlite "
        "usr/lib/sysimage/rpm/Packages usr/lib/sysimage/rpm/Packages.db usr/lib/sysimage/rpm/rpmdb.sqlite "
        "usr/share/rpm/Packages usr/share/rpm/Packages.db usr/share/rpm/rpmdb.sqlite",
    .unreadable = true,
};
