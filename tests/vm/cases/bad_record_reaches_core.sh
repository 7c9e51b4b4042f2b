# SPDX-License-Identifier: MIT OR Apache-2.0
# The core would use, or BUG() on, whatever the shim lets through.

hostile short-record "a record of the wrong size"
hostile long-record "a record of the wrong size"
hostile huge-record "a record of the wrong size"
hostile empty-record "a record of the wrong size"
hostile wrong-magic "a record of the wrong size"
hostile garbage "a link's name"
hostile bad-pointer "exit status 1: hostile driver: report: Bad address"
hostile no-nul "a link's name"
hostile empty-name "a link's name"
hostile slash "a link's name"
hostile no-dot "a link's name"
hostile dot-dot "a link's name"
hostile newline "a link's name"
hostile duplicate "two links of one name"
hostile no-such-id "a link's id"
hostile negative-id "a link's id"
hostile closed-link "a link's id"
hostile other-fds "a link's id"
hostile not-iterator "a link is not that of an iterator"
hostile too-many "too many links"
hostile read-twice "too few links"
hostile from-child "0 links instead of $links"

# Two good ones are found among descriptors of other kinds.
echo "exec /files/hostile among-others" | use_driver
mount_bpffs
test -e $bpffs/progs.debug
