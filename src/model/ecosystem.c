#include "model/ecosystem.h"

const struct ecosystem ecosystems[ECOSYSTEMS] = {
    { "crates", ECOSYSTEM_RUST, "semver", NAMES_EXACT },
    { "go", "Go", "semver", NAMES_FOLDED },
    { "hex", "Hex", "semver", NAMES_FOLDED },
    { "maven", "Maven", "maven", NAMES_EXACT },
    { "npm", "npm", "semver", NAMES_EXACT },
    { "nuget", "NuGet", "nuget", NAMES_FOLDED },
    { "packagist", "Packagist", "packagist", NAMES_FOLDED },
    { "pub", "Pub", "semver", NAMES_EXACT },
    { "pypi", "PyPI", "pep440", NAMES_PYTHON },
    { "rubygems", "RubyGems", "gem", NAMES_EXACT },
};

const struct ecosystem *ecosystem_of(str name)
{
    for (size_t i = 0; i < ECOSYSTEMS; i++)
        if (str_eq(name, str_from(ecosystems[i].name)))
            return &ecosystems[i];
    return NULL;
}

static bool is_separator(char c) { return c == '-' || c == '_' || c == '.'; }

static char folded(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

str ecosystem_package(const struct ecosystem *e, str name, struct arena *a)
{
    if (e->names == NAMES_EXACT)
        return name;
    char *to = arena_alloc(a, name.len, 1);
    size_t n = 0;
    for (size_t i = 0; to && i < name.len; i++) {
        bool separator = e->names == NAMES_PYTHON && is_separator(name.ptr[i]);
        if (separator && n && to[n - 1] == '-')
            continue;
        to[n++] = separator ? '-' : folded(name.ptr[i]);
    }
    return str_of(to, n);
}
