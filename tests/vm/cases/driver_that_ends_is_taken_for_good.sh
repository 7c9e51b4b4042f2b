# SPDX-License-Identifier: MIT OR Apache-2.0
# Killed in every state of the protocol, and gone without a word.

for state in begin started one-link two-links end; do
	hostile kill-$state "killed by signal 9"
done
hostile segv-started "killed by signal 11"
hostile exit-begin "0 links instead of $links"
hostile exit-one-link "1 links instead of $links"
hostile other-magic "exit status 1: hostile driver: magic: Protocol error"
hostile exit-code "exit status 7"
