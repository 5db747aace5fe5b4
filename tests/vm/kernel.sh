# SPDX-License-Identifier: BSD-2-Clause
# What this kernel's verifier and map code say of the program and the store.

budget()
{
	timeout 120 "$here/test_budget" >/tmp/budget 2>&1
	local status=$?
	cat /tmp/budget
	grep 'instructions verified' /tmp/budget
	return $status
}

store()
{
	timeout 120 "$here/test_store" >/tmp/store 2>&1
	local status=$?
	grep -vE '^\[ +(RUN|OK)' /tmp/store
	echo "$(grep -cE '^\[ +OK' /tmp/store) tests"
	return $status
}

parity()
{
	timeout 300 "$here/test_parity" 20000 1
}

check "the verifier takes the XDP program" budget
check "the store" store
check "both engines decide the same" parity
