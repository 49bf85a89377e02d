/*
 * scan_source.h - where an IMAGE of `eclair scan`, `explain`, `diff` and `packages` is: one row a source.
 *
 * Prefix     "NAME:REST" names a source, and that one alone is asked, for REST.
 * Guess      Without a prefix the guessed sources are asked in the order of the table, for all of IMAGE. One that says ERR_NOT_FOUND lets
 *            the next one be asked; any other error ends the search. When none has it, the error tells what each of them said.
 *            What begins with "/", "./" or "../", and "-", can be on disk only.
 */
#pragma once
#include "cmd/scan_run.h"

struct scan_source {
    const char *name;    /* "docker": its prefix, without the colon */
    const char *rest;    /* for help: what follows it, "PATH[:TAG]"; NULL: NAME */
    const char *summary; /* for help: "an image of the Docker daemon" */
    bool guessed;        /* asked for an IMAGE without a prefix, too */
    /* Sets input->container, or input->list. `guessing`: nobody named this source, so a daemon that does not run, or a name that cannot be one
     * of this source, is ERR_NOT_FOUND. The error's text does not name the image. */
    int (*open)(const struct scan_session *s, const char *image, bool guessing, struct scan_input *input,
                struct err *e);
};

extern const struct scan_source *const scan_sources[]; /* ends with NULL */

/* source_disk.c, source_daemon.c, source_registry.c */
extern const struct scan_source source_disk, source_docker_archive, source_oci_archive, source_oci,
    source_oci_dir, source_aci, source_dir, source_rootfs, source_sbom, source_purls, source_docker,
    source_podman, source_registry;

/* Opens by prefix or by guess; an error names the image. */
int scan_source_open(const struct scan_session *s, const char *image, struct scan_input *ret, struct err *e);
void scan_input_done(struct scan_input *i);
void scan_sources_help(FILE *to); /* the table, for --help */
