# SPDX-License-Identifier: MIT OR Apache-2.0
# A mount that meets the module on its way out may be empty, but succeeds; one
# that meets it whole is populated, and so is every mount once this is over.

needs_module
reload() {
	while [ ! -e /tmp/enough ]; do
		modprobe $module || :
		rmmod $module || :
	done 2>/dev/null
	return 0
}
rm -f /tmp/enough
reload &
pid=$!
populated=0 empty=0
end=$(($(now_cs) + 300 * slowness))
# A slow guest may not have seen a whole one by then.
while [ "$(now_cs)" -lt $end ] || [ $populated = 0 ]; do
	mount_bpffs
	if [ -e $bpffs/progs.debug ]; then
		grep '^ *id name ' $bpffs/progs.debug
		populated=$((populated + 1))
	else
		empty=$((empty + 1))
	fi
	umount $bpffs
done
touch /tmp/enough
wait $pid
test $populated -gt 0
# No driver failed: what is empty is so because there was no module to ask.
test -z "$(log_lines | grep -v 'module get failed' || :)"
mount_bpffs
test -e $bpffs/progs.debug
